"""Finding what a person means: a task of a run, an attempt of a task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.domain.errors import UserError
from chargehand.domain.problem import nearest

if TYPE_CHECKING:
    from chargehand.domain.state import RunState, TaskRecord
    from chargehand.wiring import Workshop

__all__ = ["changes", "task_of"]

_LOOK_S = 0.5


def task_of(state: RunState, task: str) -> TaskRecord:
    """The task of that id; `UserError` with the nearest one."""
    record = state.tasks.get(task)
    if record is None:
        known = ", ".join(list(state.tasks)[:20])
        hint = f"{nearest(task, state.tasks)} Its tasks: {known}.".lstrip()
        raise UserError(f"Run {state.run} has no task {task}.", code="unknown_task", hint=hint)
    return record


async def changes(workshop: Workshop, run: str, *, beat_s: float | None = None) -> AsyncIterator[None]:
    """Yield when the journal of a run another process writes may have grown, and every `beat_s` at the latest.

    Ends when nobody drives the run any more, after a last time. What another process does to a file can only be
    looked at: a `stat` twice a second, and nothing is read while nothing changes.
    """
    folder = workshop.store.folder(run)
    seen, waited = _stamp(folder), 0.0
    yield
    while workshop.store.holder(run) is not None:
        await asyncio.sleep(_LOOK_S)
        waited += _LOOK_S
        stamp = _stamp(folder)
        if stamp != seen or (beat_s is not None and waited >= beat_s):
            seen, waited = stamp, 0.0
            yield
    yield


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    found = []
    for path in sorted(folder.glob("journal.db*")):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(found)
