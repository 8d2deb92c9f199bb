"""`chargehand log`: what happened in a run, event by event."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command, run_argument, task_option

if TYPE_CHECKING:
    from chargehand.domain.events import Recorded
    from chargehand.domain.state import RunState
    from chargehand.wiring import Workshop

__all__ = ["log"]

_EXAMPLES = """
chargehand log                         everything that happened in the newest run
chargehand log --task api              only what is about one task
chargehand log --follow                go on until the run is over; Ctrl-C leaves
chargehand log --json | jq -c .type    one document a line
"""
_WIDEST_STATE = len("awaiting_decision")


@command("log", examples=_EXAMPLES)
@run_argument
@click.option("--follow", "-f", is_flag=True, help="Print what happens from now on, too, until the run is over.")
@task_option("Only events about this task.")
async def log(call: Call, run: str | None, follow: bool, task: str | None) -> int:
    """Print the events of RUN, oldest first. With --json one document a line.

    --follow waits also while nobody drives the run, and goes on when it is taken up again.
    """
    from chargehand.cli.looking import task_of

    workshop = await call.open()
    name = workshop.service.newest(run)
    state = workshop.service.look(name).state
    if task is not None:
        task_of(state, task)
    teller = _Teller(call, name, task, max(map(len, (*state.tasks, "(run)"))))
    if not follow:
        teller.tell(workshop.service.events(name))
        return 0
    try:
        await _follow(call, workshop, name, teller)
    except asyncio.CancelledError:  # Ctrl-C is the way to leave
        return 130
    return 0


async def _follow(call: Call, workshop: Workshop, run: str, teller: _Teller) -> None:
    from chargehand.cli.looking import follow, holder_note

    async for view in follow(workshop, run):
        teller.tell(view.events)
        call.out.note(*holder_note(view, call.side_pen))


class _Teller:
    """Prints events, each with the run as it was then; `ids` is the room for the ids of tasks."""

    def __init__(self, call: Call, run: str, task: str | None, ids: int) -> None:
        self._call = call
        self._run = run
        self._task = task
        self._ids = ids
        self._state: RunState | None = None

    def tell(self, events: list[Recorded]) -> None:
        """The events after those that were told."""
        from chargehand.cli.progress import event_line, spoken
        from chargehand.cli.render.event_json import event_document
        from chargehand.domain.evolve import evolve, fold

        pen, out = self._call.pen, self._call.out
        for recorded in events:
            if self._state is None:
                self._state = fold([recorded])
            else:
                evolve(self._state, recorded.event, recorded.at)
            line = spoken(recorded, self._state)
            if self._task is not None and line.task != self._task:
                continue
            if out.json:
                out.record(event_document(recorded, self._run))
            else:
                head = f"{recorded.seq:>5} "
                room = None if pen.width is None else max(0, pen.width - len(head))
                narrow = replace(pen, width=room)
                out.say(head + event_line(recorded.at, line, narrow, ids=self._ids, words=_WIDEST_STATE))
