"""The states of an entry, and which one a task of a run is in.

Theory of operation. A SEQUENTIAL task goes PENDING, ACTIVE, DONE (its change is there, nobody judged it), ACCEPTED or
REJECTED; a PARALLEL one PENDING, ACTIVE, SYNTAX_VALID (nobody built it), ACCEPTED, or SYNTAX_ERROR. Each may end in
ERROR, and what went wrong becomes ACTIVE again with the next attempt. ACCEPTED is final once people took the work in.
"""

from __future__ import annotations

import re

from chargehand.domain.advancing import SYNTAX_SUFFIXES
from chargehand.domain.events import RequeueWhy
from chargehand.domain.outcome import GateStatus
from chargehand.domain.plan import GatePoint, Mode
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import DecisionKind, Reason, TaskStatus

__all__ = ["GOES_ON", "RESULTS", "TRANSITIONS", "is_undone", "leads_to", "status_of", "unparsed"]

TRANSITIONS: dict[Mode, dict[str, frozenset[str]]] = {
    Mode.SEQUENTIAL: {
        "PENDING": frozenset({"ACTIVE"}),
        "ACTIVE": frozenset({"DONE", "ERROR"}),
        "DONE": frozenset({"ACCEPTED", "REJECTED", "ERROR"}),
        "REJECTED": frozenset({"ACTIVE"}),
        "ERROR": frozenset({"ACTIVE"}),
        "ACCEPTED": frozenset(),
    },
    Mode.PARALLEL: {
        "PENDING": frozenset({"ACTIVE"}),
        "ACTIVE": frozenset({"SYNTAX_VALID", "SYNTAX_ERROR", "ERROR"}),
        "SYNTAX_VALID": frozenset({"ACCEPTED", "ERROR"}),
        "SYNTAX_ERROR": frozenset({"ACTIVE"}),
        "ERROR": frozenset({"ACTIVE"}),
        "ACCEPTED": frozenset(),
    },
}
"""What may follow what, by execution mode; anything else is refused."""

RESULTS = frozenset({"ACCEPTED", "REJECTED", "ERROR", "SYNTAX_VALID", "SYNTAX_ERROR"})
"""The states an attempt ends in."""

GOES_ON = frozenset({RequeueWhy.CONTEXT, RequeueWhy.WAIT, RequeueWhy.LOST, RequeueWhy.FIX})
"""Why a task waits though its attempt has not failed: the next process carries the same attempt on."""

_NO_RESULT = frozenset(
    {DecisionKind.START, DecisionKind.COMMAND, DecisionKind.CONFIG_CHANGED, DecisionKind.BRANCH_MOVED}
)
_BEHIND = frozenset({TaskStatus.REVIEWING, TaskStatus.INTEGRATING, TaskStatus.INTEGRATED})
_LEFT = frozenset({TaskStatus.SKIPPED, TaskStatus.CANCELLED})
_REVIEWED = frozenset({Reason.REVIEW_UNRESOLVED, Reason.REVIEW_NEEDED})
_JUDGED = _REVIEWED | {Reason.GATE_RED}
_SYNTAX = re.compile(r"\bRed: (?:[^.]*, )?syntax\b")


def leads_to(mode: Mode, old: str, new: str) -> bool:
    """Whether one state becomes the other, at once or by way of others: several events may lie between two looks."""
    seen, ahead = {old}, [old]
    while ahead:
        state = ahead.pop()
        if state == new:
            return True
        following = TRANSITIONS[mode].get(state, frozenset()) - seen
        seen |= following
        ahead += following
    return False


def is_undone(record: TaskRecord, old: str, attempts: int, least: int) -> bool:
    """Whether the attempt that an entry says is under way was interrupted, and does not count.

    `attempts` are those of the entry, `least` is the number of the attempt that comes next.
    """
    waits = record.status is TaskStatus.WAITING and record.tried <= record.retried + record.tries.conflicts
    return waits and old == "ACTIVE" and attempts >= least


def status_of(record: TaskRecord, state: RunState, old: str, *, undone: bool = False) -> str:
    """The state a task is in, where its entry says `old`; `old` where the system has no word for it.

    After an attempt that is `undone` it is what the one before it came to.
    """
    mode = record.task.mode
    if record.status is TaskStatus.INTEGRATED:
        return "ACCEPTED"
    if record.status in {TaskStatus.RUNNING, TaskStatus.GATING}:
        return "ACTIVE"
    if record.status in {TaskStatus.REVIEWING, TaskStatus.INTEGRATING}:
        if mode is Mode.SEQUENTIAL:
            return "DONE"
        return "SYNTAX_VALID" if _is_validated(record) else "ACTIVE"
    if _has_failed(record, state):
        return _failed(record, mode, "DONE" if undone and _was_judged(record, state) else old)
    stopped = record.status in _LEFT and old in {"ACTIVE", "DONE", "SYNTAX_VALID"} and record.attempts > 0
    return "ERROR" if stopped else old


def _is_validated(record: TaskRecord) -> bool:
    """Whether the syntax of a parallel task was looked at: on its own, or with the gates of its candidate."""
    looked = any(each.gate == "syntax" and each.status is not GateStatus.FAIL for each in record.checked)
    return looked or record.candidate_green or bool(unparsed(record))


def unparsed(record: TaskRecord) -> tuple[str, ...]:
    """The files of a parallel task's change for which there is no syntax check at all, once one would have been due."""
    if record.task.mode is not Mode.PARALLEL or record.sealed is None or record.status not in _BEHIND:
        return ()
    paths = tuple(change.path for change in record.sealed.told.changes)
    return () if any(path.endswith(SYNTAX_SUFFIXES) for path in paths) else paths


def _has_failed(record: TaskRecord, state: RunState) -> bool:
    if record.status is TaskStatus.WAITING:
        return record.failure is not None and record.why not in GOES_ON
    if record.status is TaskStatus.AWAITING_DECISION:
        decision = state.decisions.get(record.decision or "")
        return decision is None or decision.kind not in _NO_RESULT
    return record.status in {TaskStatus.FAILED, TaskStatus.BLOCKED} and record.attempts > 0


def _was_judged(record: TaskRecord, state: RunState) -> bool:
    """Whether what failed last was a change that somebody reviewed, or that was built and tested as merged."""
    assert record.failure is not None
    as_merged = {gate.id for gate in state.plan.gates_on(GatePoint.INTEGRATE)}
    return record.failure.reason in _REVIEWED or not as_merged.isdisjoint(record.failure.red)


def _failed(record: TaskRecord, mode: Mode, old: str) -> str:
    if old in {"REJECTED", "ERROR", "SYNTAX_ERROR"}:
        return old  # this attempt has its result already
    reason = record.reason or (record.failure.reason if record.failure else None)
    if mode is Mode.SEQUENTIAL:
        return "REJECTED" if reason in _JUDGED and old == "DONE" else "ERROR"
    said = f"{record.failure.summary if record.failure else ''} {record.detail}"
    has_syntax = reason is Reason.MISSING_FILE or (reason is Reason.GATE_RED and _SYNTAX.search(said) is not None)
    return "SYNTAX_ERROR" if has_syntax and old == "ACTIVE" else "ERROR"
