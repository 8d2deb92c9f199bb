"""How a task changes its state, and what follows from that in the indexes; only `evolve` calls this."""

from __future__ import annotations

from chargehand.domain.events import TaskEnded
from chargehand.domain.state import TRANSITIONS, IllegalTransition, RunState, TaskRecord
from chargehand.domain.words import TERMINAL, TaskStatus

__all__ = ["after_end", "agent_of", "move", "release_dependents"]

_FREE = TERMINAL | {TaskStatus.WAITING, TaskStatus.AWAITING_DECISION}


def move(state: RunState, record: TaskRecord, to: TaskStatus, **changes: object) -> TaskRecord:
    """The one place where a task changes its state."""
    if to not in TRANSITIONS[record.status]:
        raise IllegalTransition(f"Task {record.id} cannot go from {record.status} to {to}.")
    if record.status is TaskStatus.WAITING:
        state.withdraw(record)
        changes.setdefault("not_before", None)
    if record.decision is not None:
        state.decisions.pop(record.decision, None)
        state.answers.pop(record.decision, None)
        state.holds.pop(record.decision, None)
        changes.setdefault("decision", None)
    moved = record.but(status=to, unjudged=None, **changes)
    state.tasks[record.id] = moved
    state.attention.pop(record.id, None)
    if to in _FREE and record.id in state.live:
        del state.live[record.id]
        state.agents_live[agent_of(state, record)] -= 1
    if record.status is TaskStatus.INTEGRATING:
        state.queue.remove(record.id)
    if to is TaskStatus.INTEGRATING:
        state.queue.append(record.id)
        state.attention[record.id] = None
    elif to in {TaskStatus.GATING, TaskStatus.REVIEWING}:
        state.attention[record.id] = None
    elif to in TERMINAL:
        state.open_tasks -= 1
        state.wave_open[state.wave_of[record.id]] -= 1
    return moved


def agent_of(state: RunState, record: TaskRecord) -> str:
    """The name of the agent that works on a task."""
    return record.task.agent or state.options.agent


def release_dependents(state: RunState, task: str) -> None:
    """What depends on an integrated task may be nearer to its start."""
    for dependent in state.dependents.get(task, ()):
        state.unmet[dependent] -= 1
        if state.tasks[dependent].status is TaskStatus.WAITING:
            state.offer(dependent)


def after_end(state: RunState, event: TaskEnded) -> None:
    """What depends on a task that ended otherwise is to be blocked, and its blocker counts for the breaker."""
    root = event.blocked_on or event.task
    for dependent in state.dependents.get(event.task, ()):
        if not state.tasks[dependent].is_over:
            state.orphaned.setdefault(dependent, root)
    state.orphaned.pop(event.task, None)
    if event.status is TaskStatus.BLOCKED and event.blocked_on is None:
        state.blocked[state.phase(event.task)].append(event.task)
