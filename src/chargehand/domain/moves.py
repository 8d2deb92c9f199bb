"""How a task changes its state, and what follows from that in the indexes; only `evolve` calls this."""

from __future__ import annotations

from collections.abc import Iterable

from chargehand.domain.events import RequeueWhy, TaskEnded
from chargehand.domain.outcome import Role
from chargehand.domain.review import Reviews
from chargehand.domain.state import TRANSITIONS, IllegalTransition, RunState, TaskRecord, Tries
from chargehand.domain.words import TERMINAL, DecisionKind, Failure, TaskStatus

__all__ = ["after_end", "agent_of", "block_again", "move", "release_dependents", "renewed", "reopen", "shift"]

_FREE = TERMINAL | {TaskStatus.WAITING, TaskStatus.AWAITING_DECISION}


def move(state: RunState, record: TaskRecord, to: TaskStatus, **changes: object) -> TaskRecord:
    """The one place where a task changes its state."""
    if to not in TRANSITIONS[record.status]:
        raise IllegalTransition(f"Task {record.id} cannot go from {record.status} to {to}.")
    return shift(state, record, to, **changes)


def shift(state: RunState, record: TaskRecord, to: TaskStatus, **changes: object) -> TaskRecord:
    """`move` without asking the table: for what is established from the world instead of concluded."""
    if record.status is TaskStatus.WAITING:
        state.withdraw(record)
        changes.setdefault("not_before", None)
    if record.decision is not None:
        state.decisions.pop(record.decision, None)
        state.answers.pop(record.decision, None)
        state.holds.pop(record.decision, None)
        changes.setdefault("decision", None)
    if to in TERMINAL:
        changes.setdefault("ending", None)
    changes.setdefault("aside", None)
    if record.status is TaskStatus.INTEGRATING:
        changes.setdefault("apart", record.apart or to in {TaskStatus.WAITING, TaskStatus.AWAITING_DECISION})
    moved = record.but(status=to, unjudged=None, **changes)
    state.tasks[record.id] = moved
    state.attention.pop(record.id, None)
    if to in _FREE and record.id in state.live:
        del state.live[record.id]
    if record.status is TaskStatus.INTEGRATING:
        state.queue.remove(record.id)
    if to is TaskStatus.INTEGRATING:
        state.queue.append(record.id)
        state.attention[record.id] = None
    elif to in {TaskStatus.GATING, TaskStatus.REVIEWING}:
        state.attention[record.id] = None
    count = record.is_over - moved.is_over
    state.open_tasks += count
    state.wave_open[state.wave_of[record.id]] += count
    return moved


def agent_of(state: RunState, record: TaskRecord) -> str:
    """The name of the agent that works on a task, or would."""
    live = record.agent if record.id in state.live else None
    return live or record.task.agent or state.options.agent


def release_dependents(state: RunState, task: str) -> None:
    """What depends on an integrated task may be nearer to its start."""
    for dependent in state.dependents.get(task, ()):
        state.unmet[dependent] -= 1
        if state.tasks[dependent].status is TaskStatus.WAITING:
            state.offer(dependent)


def after_end(state: RunState, event: TaskEnded) -> None:
    """What depends on a task that ended otherwise is to be blocked, and its blocker counts for the breaker.

    What only comes after one that a person left out, or depends on one done by hand, waits for what that one waited for
    (SPEC 2.3).
    """
    root = event.blocked_on or event.task
    behind = state.dependents.get(event.task, ())
    waiting = [name for name in behind if not state.tasks[name].is_over]
    goes_on = state.is_done_by_hand(event.task) or not state.inferred.isdisjoint(behind)
    if state.is_left_out(event.task) and goes_on:
        state.relink()
        block_again(state, waiting)
    else:
        for dependent in waiting:
            state.orphaned.setdefault(dependent, root)
    state.orphaned.pop(event.task, None)
    if event.status is TaskStatus.BLOCKED and event.blocked_on is None:
        state.blocked[state.phase(event.task)].append(event.task)


def renewed(record: TaskRecord) -> dict[str, object]:
    """What a new beginning changes: the bounds are fresh; the last patch and why it was not enough stay."""
    return {
        "previous": _last_patch(record),
        "failure": _last_failure(record),
        "reason": None,
        "detail": "",
        "blocked_on": None,
        "tries": Tries(),
        "retried": record.retried_now,
        "role": Role.IMPLEMENTER,
        "why": RequeueWhy.ANSWERED,
        "fix_base": None,
        "candidate": None,
        "candidate_green": False,
        "files_changed": (),
        "signatures": (),
        "trees": (),
        "best": None,
        "ending": None,
        "ruled": (),
        "reviews": Reviews(judged=record.reviews.judged, parked=record.reviews.parked),
        "approved": tuple(kind for kind in record.approved if kind is not DecisionKind.REVIEW),
        "aside": None,
        "checked": (),
        "mended": (),
    }


def _last_patch(record: TaskRecord) -> tuple[str, str] | None:
    """(base, commit) of the change that was kept as the better one, else of the last one."""
    sealed, best = record.sealed, record.best
    if best is not None and best.commit == record.commit:
        return (best.base, best.commit)
    if sealed is not None and sealed.commit != sealed.base:
        return (record.origin or sealed.base, sealed.commit)
    return record.previous


def _last_failure(record: TaskRecord) -> Failure | None:
    """Why the task ended, for the next brief; an end that a human wished teaches nothing new."""
    ended_by_itself = record.status in {TaskStatus.FAILED, TaskStatus.BLOCKED} and record.blocked_on is None
    if record.reason is None or not ended_by_itself:
        return record.failure
    tail = record.failure.tail if record.failure else ""
    return Failure(reason=record.reason, summary=record.detail, signature=record.reason, tail=tail)


def reopen(state: RunState, task: str) -> None:
    """A task that ended otherwise than integrated waits again, and so does all that was blocked on it."""
    again = [task, *(record.id for record in state.tasks.values() if record.blocked_on == task)]
    was_left_out = state.is_left_out(task)
    for name in again:
        record = state.tasks[name]
        blocked = state.blocked[state.phase(name)]
        if name in blocked:
            blocked.remove(name)
        state.orphaned.pop(name, None)
        move(state, record, TaskStatus.WAITING, **renewed(record))
        state.offer(name)
    if was_left_out:
        state.relink()
    thought_blocked = [name for name, root in state.orphaned.items() if root in again]
    for name in thought_blocked:
        del state.orphaned[name]
    block_again(state, [*again, *thought_blocked])


def block_again(state: RunState, tasks: Iterable[str]) -> None:
    """Those of the tasks that wait for one which ended otherwise than integrated cannot run after all."""
    for task in tasks:
        for dependency in state.needs_of(task):
            other = state.tasks[dependency]
            if other.is_over and other.status is not TaskStatus.INTEGRATED:
                state.orphaned.setdefault(task, other.blocked_on or dependency)
