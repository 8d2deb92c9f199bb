"""`chargehand status`: where a run stands (SPEC 10.1)."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command, run_argument

if TYPE_CHECKING:
    from chargehand.wiring import Workshop

__all__ = ["status"]

_EXAMPLES = """
chargehand status                 the newest run
chargehand status todo-2 --watch  follow it until it is over; Ctrl-C leaves
chargehand status --json          the document that `run --json` prints
"""


@command("status", examples=_EXAMPLES)
@run_argument
@click.option("--watch", "-w", is_flag=True, help="Follow the run until it is over.")
async def status(call: Call, run: str | None, watch: bool) -> int:
    """Show where RUN stands: every task, what it waits for, open questions, the branch.

    --watch waits also while nobody drives the run, and goes on when it is taken up again. With --json the one document
    is printed as soon as nobody drives the run.
    """
    workshop = await call.open()
    name = workshop.service.newest(run)
    try:
        if watch:
            await _watch(call, workshop, name)
    except asyncio.CancelledError:  # Ctrl-C is the way to leave
        return 130
    _print(call, workshop, name)
    return 0


def _print(call: Call, workshop: Workshop, run: str) -> None:
    from chargehand.cli.render.summary import status_lines
    from chargehand.domain.view import document

    summary = workshop.service.look(run)
    if call.out.json:
        call.out.document(document(summary.state, held=summary.held))
        return
    pen = call.pen
    call.out.say(
        *status_lines(summary.state, pen, workshop.clock.now(), held=summary.held, folder=workshop.store.folder(run))
    )


async def _watch(call: Call, workshop: Workshop, run: str) -> None:
    from chargehand.cli.driving import is_live
    from chargehand.cli.looking import follow, holder_note
    from chargehand.cli.progress import PlainProgress, Progress

    progress: Progress = PlainProgress(call.out)
    try:
        async for view in follow(workshop, run):
            events = view.events
            if view.is_first and is_live(call):
                from chargehand.cli.live import LiveProgress
                from chargehand.wiring.profiling import listed

                own = partial(listed, workshop)
                progress = LiveProgress(call.out, call.side_pen, events[:-1], listed=own)
                events = events[-1:]
            for recorded in events:
                progress.event(recorded, view.state)
            if call.out.json and view.holder is None:
                return
            if note := holder_note(view, call.side_pen):
                if view.holder is None:
                    progress.pause()
                progress.note(*note)
    finally:
        progress.end()
