"""`chargehand log`: what happened in a run, event by event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command, run_argument

if TYPE_CHECKING:
    from chargehand.domain.events import Recorded

__all__ = ["log"]

_EXAMPLES = """
chargehand log                         everything that happened in the newest run
chargehand log --task api              only what is about one task
chargehand log --follow                go on until the run ends
chargehand log --json | jq -c .type    one document a line
"""


@command("log", examples=_EXAMPLES)
@run_argument
@click.option("--follow", "-f", is_flag=True, help="Print what happens from now on, too, until nobody drives the run.")
@click.option("--task", metavar="TASK", help="Only events about this task.")
async def log(call: Call, run: str | None, follow: bool, task: str | None) -> None:
    """Print the events of RUN, oldest first. With --json one document a line."""
    from chargehand.cli.looking import changes, task_of
    from chargehand.cli.progress import id_room

    workshop = await call.open()
    name = workshop.service.newest(run)
    state = workshop.service.look(name).state
    if task is not None:
        task_of(state, task)
    ids = id_room(state.tasks)
    if not follow:
        _print(call, workshop.service.events(name), name, task, ids)
        return
    seen = 0
    async for _ in changes(workshop, name):
        events = workshop.service.events(name)
        _print(call, events[seen:], name, task, ids)
        seen = len(events)


def _print(call: Call, events: list[Recorded], run: str, task: str | None, ids: int) -> None:
    from chargehand.cli.progress import event_line
    from chargehand.cli.render.event_json import event_document
    from chargehand.cli.render.lines import say

    pen = call.pen
    for recorded in events:
        line = say(recorded.event)
        if task is not None and line.task != task:
            continue
        if call.out.json:
            call.out.record(event_document(recorded, run))
        else:
            call.out.say(f"{recorded.seq:>5} {event_line(recorded.at, line, pen, ids=ids)}")
