"""What comes of the other tasks when a person leaves some out (SPEC 2.3)."""

from __future__ import annotations

from collections.abc import Collection

from chargehand.domain.state import RunState
from chargehand.domain.words import TaskStatus

__all__ = ["behind", "blocked_by"]


def blocked_by(state: RunState, tasks: Collection[str]) -> list[str]:
    """The open tasks that cannot run without these, in plan order: in an inferred order those after them can."""

    def is_out(name: str) -> bool:
        return name in tasks or state.is_left_out(name)

    needing: dict[str, list[str]] = {}
    for name in (name for name, record in state.tasks.items() if not record.is_over):
        for needed in state.needs_of(name, is_out):
            needing.setdefault(needed, []).append(name)
    found: set[str] = set()
    todo = [*tasks]
    while todo:
        for name in needing.get(todo.pop(), ()):
            if name not in found:
                found.add(name)
                todo.append(name)
    return [name for name in state.tasks if name in found and name not in tasks]


def behind(state: RunState, task: str) -> list[str]:
    """The tasks that state that they depend on this one, and have not landed or been left out, in plan order."""
    over = {TaskStatus.INTEGRATED, TaskStatus.SKIPPED, TaskStatus.CANCELLED}
    return [
        name for name, record in state.tasks.items() if task in record.task.depends_on and record.status not in over
    ]
