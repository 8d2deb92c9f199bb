"""Questions to people, and what an answer about a task does to it (SPEC 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import (
    AttemptAccepted,
    AttemptFinished,
    CommandAsked,
    CommandDropped,
    DecisionAsked,
    DispatchStopped,
    Event,
    GatesPassed,
    LandFinished,
    RequeueWhy,
    ReviewPassed,
    TaskEnded,
    TaskRequeued,
    WarningRaised,
)
from chargehand.domain.evidence import signature
from chargehand.domain.outcome import Landed
from chargehand.domain.plan import GatePoint
from chargehand.domain.review import Parked, Ruling, Stage
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import (
    Decision,
    DecisionKind,
    Failure,
    HandEdit,
    Questioned,
    Reason,
    StopReason,
    TaskStatus,
)

__all__ = [
    "UNATTENDED",
    "UNLISTED",
    "ask",
    "ask_about_call",
    "ask_about_command",
    "ask_again",
    "end",
    "escalate",
    "follow_answer",
    "follow_wish",
    "held_attempts",
    "lapse_calls",
    "lapsed",
    "refused",
]

Events = tuple[Event, ...]

UNATTENDED = "unattended"
"""Who answers where nobody is asked: the default of a question."""

_EFFECTS = {
    "retry": "retry: another attempt, with this failure in its brief and fresh bounds",
    "skip": "skip: leave the task out; tasks that depend on it are blocked",
    "stop": "stop: the task is failed and the run starts nothing more",
    "approve": "approve: the task starts",
    "reject": "reject: the task is blocked",
    "full": "full: go on, with full weight for every task that is left",
    "continue": "continue: go on as things are",
    "block": "block: the task is blocked",
}

_SKIP_INFERRED = "skip: leave the task out; those that state that they depend on it are blocked, those after it go on"

UNLISTED = {"fail": "the task is failed, and the run goes on with the others"}
"""Answers that only `--unattended` gives, and what they do: to a person, `skip` and `stop` say it better."""

_STOPS = {DecisionKind.KICKBACK: StopReason.KICKBACK, DecisionKind.BRANCH_MOVED: StopReason.BRANCH_MOVED}

_STANDING = frozenset({Reason.LINE_FAULT, Reason.BRANCH_MOVED, Reason.REVIEW_VOID})
"""Questions about the world, not about the change: `retry` tries the world again and keeps the change."""


def ask(
    state: RunState,
    task: str,
    kind: DecisionKind,
    reason: Reason,
    question: str,
    choices: tuple[str, ...],
    default: str,
    *,
    kept: str = "",
    failure: Failure | None = None,
    effects: Mapping[str, str] | None = None,
    command: str = "",
    call: str = "",
    edits: tuple[HandEdit, ...] = (),
) -> Events:
    """A question to a human; its id is the next number of the run. `effects` says what a choice does here."""
    inferred = {"skip": _SKIP_INFERRED} if state.inferred else {}
    said = {**_EFFECTS, **inferred, **(effects or {})}
    decision = Decision(
        id=f"d{state.asked + 1}",
        task=task,
        kind=kind,
        reason=reason,
        question=question,
        choices=choices,
        default=default,
        effects=tuple(said[choice] for choice in choices),
        kept=kept,
        failure=failure,
        command=command,
        call=call,
        edits=edits,
    )
    return (DecisionAsked(decision=decision),)


_COMMAND = {
    "approve": "approve: this exact command of the plan may run in this run",
    "reject": "reject: what needs it is not done",
}

_CALL = {
    "approve": "approve: the command runs, once, in this attempt",
    "deny": "deny: the agent is told no, and goes on without it",
    "reject": "reject: the attempt is ended and the task is blocked",
}


def ask_about_command(state: RunState, asked: Questioned) -> Events:
    """A dangerous command of the plan: nothing runs it without a yes."""
    text = f"{asked.where} wants to run a command that needs a yes. {asked.why}"
    kind, reason = DecisionKind.COMMAND, Reason.COMMAND_REJECTED
    choices = ("approve", "reject")
    return ask(state, asked.task, kind, reason, text, choices, "reject", effects=_COMMAND, command=asked.command)


def ask_about_call(state: RunState, asked: CommandAsked) -> Events:
    """A dangerous command of a live agent, which waits for the answer; silence never approves [I9]."""
    text = f"Attempt {asked.attempt} of task {asked.task} wants to run a command that needs a yes. {asked.why}"
    kind, reason, choices = DecisionKind.COMMAND, Reason.COMMAND_REJECTED, ("approve", "deny", "reject")
    return ask(
        state, asked.task, kind, reason, text, choices, "deny", effects=_CALL, command=asked.command, call=asked.call
    )


_AGAIN = {
    "approve": "approve: the attempt is made again, and may run exactly this command, once",
    "deny": "deny: the attempt is made again, and is told not to run it",
    "reject": "reject: the task is blocked",
}


def ask_again(asked: Decision) -> Events:
    """The question of a held call whose attempt was ended because nobody was waited for: it may wait for days now."""
    text = f"{asked.question} The attempt was ended instead of waiting, and is made again when you have answered."
    effects = tuple(_AGAIN[choice] for choice in asked.choices)
    return (DecisionAsked(decision=replace(asked, question=text, effects=effects, call="", again=True)),)


def lapsed(state: RunState, decision: Decision) -> str:
    """Why nobody hears an answer to the question of a live attempt any more, in whole sentences."""
    attempt = f"attempt {state.tasks[decision.task].attempts} of task {decision.task}"
    return (
        f"{decision.id} has lapsed: it was about a tool call of {attempt}, and the process that held the call is gone. "
        "The attempt is made again, and asks again if it wants to run that."
    )


def held_attempts(state: RunState) -> tuple[StartAttempt, ...]:
    """The attempts under way when each of them waits for an answer, and nothing else is under way; else none."""
    held = {asked.key for asked in state.calls.values()}
    live = tuple(effect for effect in state.inflight.values() if isinstance(effect, StartAttempt))
    return live if held and held >= state.inflight.keys() else ()


def lapse_calls(state: RunState) -> Events:
    """The process that held these calls is gone: nobody hears an answer, so nobody is asked any more."""
    names = {decision.call: decision.id for decision in state.decisions.values()}
    return tuple(
        CommandDropped(
            call=call,
            detail=f"{names.get(call, 'A question')} has lapsed: the process that held `{asked.command}` is gone. "
            f"Attempt {asked.attempt} of {asked.task} is made again, and asks again if it wants to run that.",
        )
        for call, asked in state.calls.items()
    )


def escalate(
    state: RunState,
    record: TaskRecord,
    reason: Reason,
    text: str,
    *,
    kept: str = "",
    failure: Failure | None = None,
    effects: Mapping[str, str] | None = None,
) -> Events:
    """retry | skip | stop, and `approve` where `effects` explains it; unattended the task is failed."""
    approvable = effects is not None and "approve" in effects
    choices = (*(("approve",) if approvable else ()), "retry", "skip", "stop")
    kind = DecisionKind.ESCALATION
    return ask(state, record.id, kind, reason, text, choices, "fail", kept=kept, failure=failure, effects=effects)


def follow_answer(record: TaskRecord, decision: Decision, choice: str, by: str = "") -> Events:
    """What an answer about a task does to it; `by` is who gave it."""
    starts = decision.kind in {DecisionKind.START, DecisionKind.COMMAND}
    match choice:
        case "approve" | "deny" if decision.again:  # the attempt that asked was none: the next one is like it
            return (TaskRequeued(task=record.id, why=RequeueWhy.LOST),)
        case "approve" if starts:
            return (TaskRequeued(task=record.id, why=RequeueWhy.ANSWERED),)
        case "approve" if decision.kind is DecisionKind.REVIEW:
            return (_let_pass(record, by),)
        case "approve":
            return (_take_on(record),)
        case "retry" if decision.reason in _STANDING:
            return (_take_on(record),)
        case "retry" | "full":
            return (TaskRequeued(task=record.id, why=RequeueWhy.ANSWERED, failure=_lesson(decision)),)
        case "skip":
            return (end(record, TaskStatus.SKIPPED, Reason.HUMAN, decision.question),)
        case "block" if decision.kind is DecisionKind.BLOCKED:
            return (end(record, TaskStatus.BLOCKED, decision.reason, decision.question),)
        case "block" | "reject":
            return (end(record, TaskStatus.BLOCKED, decision.reason, refused(decision, by)),)
        case "fail":
            return (end(record, TaskStatus.FAILED, decision.reason, decision.question),)
        case _:  # stop
            ended = end(record, TaskStatus.FAILED, decision.reason, decision.question)
            why = _STOPS.get(decision.kind, StopReason.HUMAN)
            return (ended, DispatchStopped(reason=why, detail=decision.question, tasks=(record.id,)))


def refused(decision: Decision, by: str) -> str:
    """The question, who said no to it, and the command it was about."""
    command = f" The command: {decision.command}" if decision.command else ""
    if not by:
        return decision.question + command
    who = "because nobody is asked" if by == UNATTENDED else f"by {by}"
    return f"Refused {who}: {decision.question}{command}"


def follow_wish(record: TaskRecord) -> Events:
    """A human wants the task ended and nothing is under way for it any more; what has landed stays landed."""
    wish, outcome = record.ending, record.unjudged
    if wish is None or (isinstance(outcome, LandFinished) and isinstance(outcome.result, Landed)):
        return ()
    warnings: list[Event] = []
    kept = ""
    if isinstance(outcome, AttemptFinished):
        sealed = outcome.result.sealed
        texts = [*outcome.result.warnings]
        if sealed is not None and sealed.config_changed:
            texts.append(f"Hooks or configuration of your repository changed: {', '.join(sealed.config_changed)}.")
        if sealed is not None and sealed.commit != sealed.base:
            kept = f" What its last attempt left is commit {sealed.commit[:12]}."
        warnings += [WarningRaised(code="agent", text=text, task=record.id) for text in texts]
    verb = "Skipped" if wish.status is TaskStatus.SKIPPED else "Cancelled"
    text = wish.detail or f"{verb} by {wish.by or 'a person'}."
    return (*warnings, end(record, wish.status, wish.reason, text + kept))


def _take_on(record: TaskRecord) -> Event:
    """The sealed change stands and goes on from where it was: its own gates, or merging."""
    if record.candidate is None:
        return AttemptAccepted(task=record.id, attempt=record.made)
    return GatesPassed(task=record.id, attempt=record.made, point=GatePoint.TASK)


def _let_pass(record: TaskRecord, by: str) -> Event:
    """A person takes the change as it is: what was open is told in the report as their ruling."""
    sealed, reviews = record.sealed, record.reviews
    assert sealed is not None
    left = ((reviews.stage, reviews.open), (Stage.SPEC, reviews.detour.open))
    parked = [Parked(stage=stage, finding=each, ruling=Ruling.HUMAN) for stage, found in left for each in found]
    return ReviewPassed(
        task=record.id,
        attempt=record.made,
        stage=reviews.stage,
        tree=sealed.tree,
        commit=sealed.commit,
        parked=tuple(parked),
        done=True,
        by=by or "a person",
    )


def _lesson(decision: Decision) -> Failure:
    """What the next attempt is told: without it, it would get the same input again."""
    if decision.failure is not None:
        return decision.failure
    return Failure(
        reason=decision.reason,
        summary=decision.question,
        signature=signature(decision.reason, decision.question),
    )


def end(record: TaskRecord, status: TaskStatus, reason: Reason, detail: str) -> TaskEnded:
    """The end of a task, with its reason [I12]."""
    return TaskEnded(task=record.id, status=status, reason=reason, detail=detail)
