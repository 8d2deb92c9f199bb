"""How the state follows what people want of a run, and what a repair found out; only `evolve` calls this."""

from __future__ import annotations

from typing import assert_never

from chargehand.domain.events import (
    RunCancelled,
    RunInterrupted,
    RunPaused,
    RunReopened,
    RunReplanned,
    RunResumed,
    TaskEndAsked,
    TaskEnded,
    TaskFound,
    TaskReopened,
)
from chargehand.domain.moves import after_end, reopen, shift
from chargehand.domain.plan import GatePoint
from chargehand.domain.replan import replan
from chargehand.domain.review import Reviews
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import STOPPED, TERMINAL, DecisionKind, Reason, StopReason, TaskStatus

__all__ = ["order", "steer"]

Steering = RunResumed | RunInterrupted | RunPaused | RunCancelled | RunReopened | RunReplanned
Order = TaskEndAsked | TaskReopened | TaskFound


def steer(state: RunState, event: Steering) -> None:
    """Whether the run goes on, stands, or ends, as people want it."""
    match event:
        case RunResumed():
            state.interrupted, state.paused = False, None
            state.unattended = state.unattended if event.unattended is None else event.unattended
        case RunInterrupted():
            state.interrupted = True
        case RunPaused():
            state.paused = event
        case RunCancelled():
            state.cancelled = event
            _forget_questions_of_the_run(state)
            state.edited = {file: (digest, choice or "ours") for file, (digest, choice) in state.edited.items()}
            for record in [record for record in state.tasks.values() if not record.is_over]:
                ended, why = TaskStatus.CANCELLED, Reason.RUN_STOPPED
                order(state, TaskEndAsked(task=record.id, status=ended, reason=why, by=event.by))
        case RunReopened():
            _reopen_run(state)
        case RunReplanned():
            replan(state, event.plan)
            state.question(event.questioned)
        case _:  # pragma: no cover
            assert_never(event)


def _forget_questions_of_the_run(state: RunState, *, kept: DecisionKind | None = None) -> None:
    for decision in [decision for decision in state.decisions.values() if not decision.task]:
        if decision.kind is not kept:
            del state.decisions[decision.id]
    state.answers = {name: answer for name, answer in state.answers.items() if answer[0].task}


def _reopen_run(state: RunState) -> None:
    if state.stopped is not None and state.stopped.reason is StopReason.CANARY:
        state.canary = None
    state.gate_anew()
    state.finished, state.stopped, state.cancelled, state.closing = None, None, None, None
    state.rounds = dict.fromkeys(GatePoint, 0)
    reviews = state.whole.reviews
    kept = Reviews(stage=reviews.stage, judged=reviews.judged, parked=reviews.parked)
    state.whole = state.whole.but(unjudged=None, aside=None, fixes=(), reviews=kept)
    state.blocked.clear()
    _forget_questions_of_the_run(state, kept=DecisionKind.EDITED)
    for name, record in state.tasks.items():
        if record.status is TaskStatus.CANCELLED and record.reason in STOPPED:
            reopen(state, name)


def order(state: RunState, event: Order) -> None:
    """What people want of one task, and what became of it unseen."""
    record = state.tasks[event.task]
    match event:
        case TaskEndAsked():
            state.tasks[event.task] = record.but(ending=event)
            state.attention |= {event.task: None} if record.inflight is None else {}
        case TaskReopened():
            _reopen_task(state, record)
            state.gate_anew()
            record = state.tasks[event.task]
            said = ((f"what {event.by} says", event.note),) if event.note else ()
            state.tasks[event.task] = record.but(context=(*record.context, *said))
        case TaskFound():
            _find(state, record, event)
        case _:  # pragma: no cover
            assert_never(event)


def _reopen_task(state: RunState, record: TaskRecord) -> None:
    if record.is_over:
        reopen(state, record.id)
    elif record.not_before is not None:
        state.circuits.pop(record.agent or "", None)
        state.withdraw(record)
        state.tasks[record.id] = record.but(not_before=None)
        state.offer(record.id)


def _find(state: RunState, record: TaskRecord, event: TaskFound) -> None:
    """Evidence from outside the journal: it counts what was started, and where the task ended."""
    known = {"attempts": max(record.attempts, event.attempts), "lost": max(record.lost, event.lost)}
    state.tasks[record.id] = record = record.but(**known)
    if event.status not in TERMINAL or record.status is TaskStatus.INTEGRATED:
        return
    facts = {"detail": event.detail, "commit": event.commit, "landed": event.landed, "blocked_on": event.blocked_on}
    was_over = record.is_over
    shift(state, record, event.status, reason=event.reason, files_changed=event.files_changed, **facts)
    if event.status is TaskStatus.INTEGRATED:
        state.orphaned.pop(record.id, None)
        state.relink()
    elif not was_over:
        after_end(
            state,
            TaskEnded(
                task=record.id,
                status=event.status,
                reason=event.reason or Reason.INTERNAL,
                detail=event.detail,
                blocked_on=event.blocked_on,
            ),
        )
