"""What a human may ask of a run, and the events it comes to (SPEC 9, 10.1).

A front end calls `obey` on the state it sees, to refuse at once what makes no sense; the holder of the run calls
`take` on the state of then, for which the request may have come too late.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from chargehand.domain.asking import lapsed
from chargehand.domain.errors import UserError
from chargehand.domain.events import (
    DecisionAnswered,
    Event,
    RequestTaken,
    RunCancelled,
    RunPaused,
    RunReopened,
    RunReplanned,
    TaskEndAsked,
    TaskReopened,
    WarningRaised,
)
from chargehand.domain.evolve import evolve
from chargehand.domain.plan import Plan
from chargehand.domain.replan import compare
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import (
    Decision,
    DecisionKind,
    HandEdit,
    Means,
    Questioned,
    Reason,
    TaskStatus,
    TaskWord,
)

__all__ = ["Request", "RequestKind", "is_so", "obey", "take", "wish_of"]

Events = tuple[Event, ...]

_UNDER_WAY = frozenset({TaskStatus.RUNNING, TaskStatus.GATING, TaskStatus.REVIEWING, TaskStatus.INTEGRATING})


class RequestKind(StrEnum):
    """The verbs of people."""

    ANSWER = "answer"
    PAUSE = "pause"
    CANCEL = "cancel"
    RETRY = "retry"
    SKIP = "skip"
    REPLAN = "replan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a human or another process asks of a run; `id` makes a repeated request harmless.

    `task` empty means the run (cancel), or all that did not make it (retry). `choice` and `note` belong to an answer,
    `note` also to a retry: it is told to the agent; with skip and cancel it says why. `at_once` ends what is under way
    (pause). `plan` is for a replan, with the commands of it that want a yes. `unreadable` says why nothing else of a
    stored request could be read: it asks for nothing, and is refused with a warning.
    """

    id: str
    kind: RequestKind
    task: str = ""
    decision: str = ""
    choice: str = ""
    by: str = ""
    note: str = ""
    at_once: bool = False
    plan: Plan | None = None
    questioned: tuple[Questioned, ...] = ()
    unreadable: str = ""


def take(state: RunState, request: Request) -> Events:
    """The events a request comes to now: its consequences, or a refusal on the record; none when it was taken before.

    An answer to a question that is not open any more is void without a word [I9].
    """
    if request.id in state.taken:
        return ()
    if request.unreadable:
        return (WarningRaised(code="request_unreadable", text=_unreadable(request)),)
    try:
        events, refused = obey(state, request), ""
    except UserError as error:
        events, refused = (), error.message
    if request.kind is RequestKind.ANSWER:
        return events
    taken = RequestTaken(id=request.id, kind=request.kind, by=request.by, task=request.task, refused=refused)
    if not refused:
        return (taken, *events)
    text = f"{request.kind} {request.task}".rstrip() + f" by {request.by or 'somebody'} was refused: {refused}"
    known = request.task if request.task in state.tasks else ""
    return (taken, WarningRaised(code="request_refused", task=known, text=text))


def obey(state: RunState, request: Request, *, held: bool = True) -> Events:
    """The events of a request on this state; `UserError` says why it makes no sense here.

    `held`: a process drives the run. Where none does, nobody hears what is said of the tool call of a live attempt.
    """
    if request.unreadable:
        raise _refusal(_unreadable(request), "Ask again.")
    match request.kind:
        case RequestKind.ANSWER:
            return _answer(state, request, held=held)
        case RequestKind.PAUSE:
            return _pause(state, request)
        case RequestKind.CANCEL:
            return _cancel(state, request)
        case RequestKind.RETRY:
            return _retry(state, request)
        case RequestKind.SKIP:
            return _skip(state, request)
        case RequestKind.REPLAN:
            return _replan(state, request)
        case _:  # pragma: no cover
            assert_never(request.kind)


# -- the run --------------------------------------------------------------------------------------


def _answer(state: RunState, request: Request, *, held: bool) -> Events:
    asked = state.decisions.get(request.decision)
    if asked is None:
        open_ids = ", ".join(state.decisions) or "none"
        raise UserError(
            f"Run {state.run} has no open decision {request.decision}.",
            code="unknown_decision",
            hint=f"Open: {open_ids}.",
        )
    if asked.call and not held:
        raise UserError(lapsed(state, asked), code="call_gone", hint=f"Go on with `chargehand resume {state.run}`.")
    if request.choice not in asked.choices:
        raise UserError(
            f"{request.decision} cannot be answered with {request.choice}.",
            code="unknown_choice",
            hint=f"Choose one of: {', '.join(asked.choices)}.",
        )
    answered = DecisionAnswered(id=asked.id, choice=request.choice, by=request.by, note=request.note, call=asked.call)
    takes = asked.kind is DecisionKind.EDITED and request.choice == "file"
    return (answered, *(_words(state, asked, answered) if takes else ()))


def _words(state: RunState, asked: Decision, answered: DecisionAnswered) -> Events:
    """What taking the word of edited files comes to: each as if somebody had asked for it, one after the other."""
    trial, events = deepcopy(state), list[Event]()
    evolve(trial, answered, state.last_at)
    said = [(edit, word) for edit in asked.edits for word in edit.words]
    for edit, word in sorted(said, key=lambda pair: _is_behind(state, pair[1])):
        record = trial.tasks.get(word.task)
        if word.means is Means.OPEN and record is not None and record.status is TaskStatus.WAITING:
            continue  # what it was blocked on is tried again
        if record is not None and is_so(record, word.means):
            continue
        try:
            steps = obey(trial, wish_of(trial, edit, word, answered.by))
        except UserError as error:
            text = f"{edit.file} says '{word.theirs}' of {word.task}, and that was not taken: {error.message}"
            task = word.task if word.task in trial.tasks else ""
            steps = (WarningRaised(code="word_not_taken", task=task, text=text),)
        for event in steps:
            evolve(trial, event, state.last_at)
        events += steps
    return tuple(events)


def _is_behind(state: RunState, word: TaskWord) -> bool:
    """Whether the task ended for another one, whose word comes first."""
    record = state.tasks.get(word.task)
    return record is not None and record.blocked_on is not None


_SO_ALREADY = {
    Means.OPEN: frozenset(TaskStatus)
    - {
        TaskStatus.AWAITING_DECISION,
        TaskStatus.INTEGRATED,
        TaskStatus.FAILED,
        TaskStatus.BLOCKED,
        TaskStatus.SKIPPED,
        TaskStatus.CANCELLED,
    },
    Means.DONE: frozenset({TaskStatus.INTEGRATED, TaskStatus.SKIPPED}),
    Means.FAILED: frozenset({TaskStatus.FAILED, TaskStatus.BLOCKED, TaskStatus.AWAITING_DECISION}),
    Means.SKIPPED: frozenset({TaskStatus.SKIPPED, TaskStatus.CANCELLED}),
    Means.CANCELLED: frozenset({TaskStatus.SKIPPED, TaskStatus.CANCELLED}),
    Means.OTHER: frozenset[TaskStatus](),
}
"""Where a word changes nothing: the task stands like that already."""

_WISHES = {
    Means.OPEN: RequestKind.RETRY,
    Means.DONE: RequestKind.SKIP,
    Means.SKIPPED: RequestKind.SKIP,
    Means.CANCELLED: RequestKind.CANCEL,
}


def is_so(record: TaskRecord, means: Means) -> bool:
    """Whether a word of a file changes nothing: the task stands like that already."""
    return record.status in _SO_ALREADY[means]


def wish_of(state: RunState, edit: HandEdit, word: TaskWord, by: str) -> Request:
    """What somebody wants who made a file say that; `UserError` where it is nothing that can be asked of a run."""
    if word.task not in state.tasks:
        text = f"Task {word.task} is not in run {state.run}."
        raise _refusal(text, "If the plan is another one now, use `chargehand replan`.")
    if not word.theirs:
        text = f"{edit.file} does not name {word.task} any more."
        raise _refusal(text, "If the plan is another one now, use `chargehand replan`.")
    if word.means not in _WISHES:
        raise _refusal(f"No run is told '{word.theirs}' by a file.", _instead(state, word.task))
    why = f"{edit.file} was edited to say '{word.theirs}', and its word was taken."
    kind = _WISHES[word.means]
    note = "" if kind is RequestKind.RETRY else why
    return Request(id="", kind=kind, task=word.task, by=by, note=note)


def _instead(state: RunState, task: str) -> str:
    """The steering that there is for a task as it stands."""
    verbs = []
    for kind in (RequestKind.SKIP, RequestKind.CANCEL, RequestKind.RETRY):
        try:
            obey(state, Request(id="", kind=kind, task=task))
        except UserError:
            continue
        verbs.append(f"`chargehand {kind} {task}`")
    if verbs:
        return f"There {'is' if len(verbs) == 1 else 'are'} {', '.join(verbs)}."
    if state.tasks[task].status is TaskStatus.INTEGRATED:
        return "Its work has landed; give further work a task of its own."
    return f"`chargehand why {task}` says how it stands."


def _pause(state: RunState, request: Request) -> Events:
    if state.finished is not None:
        raise _over(state)
    if state.paused is not None and state.paused.at_once >= request.at_once:
        return ()
    return (RunPaused(by=request.by, at_once=request.at_once),)


def _cancel(state: RunState, request: Request) -> Events:
    if request.task:
        record = _task(state, request)
        if record.is_over:
            raise _refusal(f"Task {record.id} is {record.status} already.", "Look at it with `chargehand show`.")
        return (_end(record, TaskStatus.CANCELLED, request),)
    if state.finished is not None:
        raise _over(state)
    return (RunCancelled(by=request.by),)


def _replan(state: RunState, request: Request) -> Events:
    if request.plan is None:
        raise _refusal("A replan without a plan changes nothing.", "Name the plan: `chargehand replan PLAN`.")
    _refuse_accepted(state)
    found = compare(state, request.plan)
    if found.changes_nothing:
        return ()
    replanned = RunReplanned(plan=found.plan, by=request.by, questioned=request.questioned)
    return (*_reopened(state, request), replanned)


# -- tasks ----------------------------------------------------------------------------------------


def _retry(state: RunState, request: Request) -> Events:
    if not request.task:
        return _retry_all(state, request)
    record = _task(state, request)
    if record.status is TaskStatus.AWAITING_DECISION:
        return _retry_by_answer(state, record, request)
    if record.status in _UNDER_WAY:
        raise _refusal(f"Task {record.id} is {record.status}.", f"End it first: `chargehand cancel {record.id}`.")
    if record.status is TaskStatus.WAITING and record.not_before is None:
        raise _refusal(f"Task {record.id} waits already.", f"`chargehand why {record.id}` says for what.")
    if record.status is TaskStatus.INTEGRATED:
        raise _refusal(f"Task {record.id} is integrated: its work has landed.", "Give further work a task of its own.")
    if record.blocked_on is not None:
        raise _refusal(f"Task {record.id} is blocked on {record.blocked_on}.", f"Retry {record.blocked_on} instead.")
    if later := state.went_on_without(record.id):
        text = f"Task {record.id} was left out, and {', '.join(later)} went on without it."
        raise _refusal(text, "Wait until nothing after it is under way, or give the work a task of its own.")
    return (*_reopened(state, request), TaskReopened(task=record.id, by=request.by, note=request.note))


def _retry_all(state: RunState, request: Request) -> Events:
    """Everything that ended without its own wish: not what a human skipped, nor what only waits for others."""
    wanted = {TaskStatus.FAILED, TaskStatus.BLOCKED, TaskStatus.CANCELLED}
    failed = [r.id for r in state.tasks.values() if r.status in wanted and r.blocked_on is None]
    if not failed:
        raise _nothing_to_retry(state)
    opened = _reopened(state, request)
    again = [TaskReopened(task=task, by=request.by, note=request.note) for task in failed]
    return (*opened, *again)


def _nothing_to_retry(state: RunState) -> UserError:
    """Why all is nothing; who sees blocked tasks is told what they are behind."""
    behind = [record for record in state.tasks.values() if record.blocked_on is not None]
    roots = list(dict.fromkeys(str(record.blocked_on) for record in behind))
    if not roots:
        return _refusal("No task failed, was blocked or was cancelled.", "Name the task that is meant.")
    blocked = f"{', '.join(record.id for record in behind)} {'is' if len(behind) == 1 else 'are'} blocked"
    by = ", ".join(f"{root} ({state.tasks[root].status})" for root in roots)
    return _refusal(f"Only {blocked}, by {by}.", f"Take up what blocks them: `chargehand retry {' '.join(roots)}`.")


def _retry_by_answer(state: RunState, record: TaskRecord, request: Request) -> Events:
    decision = state.decisions.get(record.decision or "")
    if decision is None:
        raise _refusal(f"Task {record.id} has just been answered.", f"`chargehand why {record.id}` says what is next.")
    if "retry" not in decision.choices:
        hint = f"Answer it: `chargehand answer {decision.id} {'|'.join(decision.choices)}`."
        raise _refusal(f"Task {record.id} waits for decision {decision.id}, which has no retry.", hint)
    return (DecisionAnswered(id=decision.id, choice="retry", by=request.by, note=request.note),)


def _skip(state: RunState, request: Request) -> Events:
    record = _task(state, request)
    if record.status in {TaskStatus.INTEGRATED, TaskStatus.SKIPPED}:
        raise _refusal(f"Task {record.id} is {record.status} already.", "Look at it with `chargehand show`.")
    ended = _end(record, TaskStatus.SKIPPED, request)
    if not record.is_over:
        return (ended,)
    return (*_reopened(state, request), TaskReopened(task=record.id, by=request.by), ended)


def _end(record: TaskRecord, status: TaskStatus, request: Request) -> TaskEndAsked:
    return TaskEndAsked(task=record.id, status=status, reason=Reason.HUMAN, by=request.by, detail=request.note)


def _reopened(state: RunState, request: Request) -> Events:
    """A run that is over, or was stopped, goes on again."""
    _refuse_accepted(state)
    over = state.finished is not None or state.stopped is not None or state.cancelled is not None
    return (RunReopened(by=request.by),) if over else ()


def _refuse_accepted(state: RunState) -> None:
    if state.accepted is not None:
        raise _refusal(
            f"Run {state.run} was accepted into {state.accepted.target}; nothing can be added to it.",
            "Start a new run with `chargehand run PLAN --new`.",
        )


def _task(state: RunState, request: Request) -> TaskRecord:
    record = state.tasks.get(request.task)
    if record is None:
        known = ", ".join(list(state.tasks)[:8]) + (", …" if len(state.tasks) > 8 else "")
        raise UserError(f"Run {state.run} has no task {request.task}.", code="unknown_task", hint=f"Known: {known}.")
    return record


def _unreadable(request: Request) -> str:
    return f"A request in the inbox was set aside: {request.unreadable}"


def _over(state: RunState) -> UserError:
    return _refusal(
        f"Run {state.run} is over.", "`chargehand retry` takes tasks up again, `run PLAN --new` starts anew."
    )


def _refusal(message: str, hint: str) -> UserError:
    return UserError(message, code="request_refused", hint=hint)
