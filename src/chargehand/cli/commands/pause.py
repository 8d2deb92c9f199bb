"""`chargehand pause`: let a run stand until it is resumed (SPEC 9, 10.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command, run_argument

if TYPE_CHECKING:
    from chargehand.cli.requesting import Sent

__all__ = ["pause"]

_EXAMPLES = """
chargehand pause              nothing new starts; what is under way goes on to its end
chargehand pause todo-2 --now what is under way is ended, too; its work is kept
chargehand resume             go on
"""


@command("pause", examples=_EXAMPLES)
@run_argument
@click.option("--now", is_flag=True, help="End what is under way instead of waiting for it; its work is kept.")
async def pause(call: Call, run: str | None, now: bool) -> None:
    """Pause RUN: nothing new starts, live attempts go on to their end, then the process that drives it ends (130).

    `chargehand resume` goes on. A run that nobody drives is marked as paused.
    """
    from chargehand.cli.requesting import new_request, print_sent, send
    from chargehand.domain.commands import RequestKind

    workshop = await call.open()
    name = workshop.service.newest(run)
    sent = await send(workshop, name, new_request(RequestKind.PAUSE, at_once=now))
    print_sent(call, [sent], *([_said(call, sent)] if sent.taken else []))


def _said(call: Call, sent: Sent) -> str:
    from chargehand.cli.render.units import count
    from chargehand.cli.requesting import named

    state = sent.state
    if sent.holder is None:
        return f"Run {state.run} is paused."
    step = call.pen.step(f"resume {state.run}")
    live = count(len(state.inflight), "step")
    verb = "is" if len(state.inflight) == 1 else "are"
    if not state.inflight:
        under_way = "nothing is under way"
    elif state.halted:
        under_way = f"{live} under way {verb} ended, the work is kept"
    else:
        under_way = f"{live} under way {'goes' if verb == 'is' else 'go'} on to the end"
    return f"Run {state.run} starts nothing more; {under_way}. {named(sent.holder)} then ends; `{step}` goes on."
