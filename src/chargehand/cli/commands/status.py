"""`chargehand status`: where a run stands (SPEC 10.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command, run_argument

if TYPE_CHECKING:
    from chargehand.wiring import Workshop

__all__ = ["status"]

_EXAMPLES = """
chargehand status                 the newest run
chargehand status todo-2 --watch  follow it until it comes to rest
chargehand status --json          the document that `run --json` prints
"""


@command("status", examples=_EXAMPLES)
@run_argument
@click.option("--watch", "-w", is_flag=True, help="Follow the run until it ends or nobody drives it.")
async def status(call: Call, run: str | None, watch: bool) -> None:
    """Show where RUN stands: every task, what it waits for, open questions, the branch.

    With --json and --watch the one document is printed when the run has come to rest.
    """
    workshop = await call.open()
    name = workshop.service.newest(run)
    if watch:
        await _watch(call, workshop, name)
    _print(call, workshop, name)


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
    from chargehand.cli.looking import changes
    from chargehand.cli.progress import PlainProgress, Progress
    from chargehand.domain.evolve import fold

    progress: Progress = PlainProgress(call.out)
    if is_live(call):
        from chargehand.cli.live import LiveProgress

        progress = LiveProgress(call.out, call.side_pen)
    seen = 0
    try:
        async for _ in changes(workshop, run):
            events = workshop.service.events(run)
            state = fold(events)
            for recorded in events[seen:]:
                progress.event(recorded, state)
            seen = len(events)
    finally:
        progress.end()
