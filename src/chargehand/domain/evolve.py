"""`evolve(state, event, at)`: the only way a run changes. It folds and decides nothing (ARCHITECTURE: one flow)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from chargehand.domain.events import (
    AttemptAccepted,
    AttemptFinished,
    BranchFound,
    BranchOpened,
    CanaryFinished,
    CircuitOpened,
    CommandAsked,
    CommandDropped,
    DecisionAnswered,
    DecisionAsked,
    DispatchStopped,
    EffectIntended,
    EffectLost,
    Event,
    FixFinished,
    GateMadeRequired,
    GateMitigated,
    GatesFinished,
    GatesPassed,
    HistoryLost,
    LandFinished,
    MergeFinished,
    Recorded,
    RequestTaken,
    RequeueWhy,
    ReviewFailed,
    ReviewPassed,
    ReviewVoided,
    RunAccepted,
    RunCancelled,
    RunFinished,
    RunInterrupted,
    RunPaused,
    RunReopened,
    RunReplanned,
    RunResumed,
    RunStarted,
    TaskAdded,
    TaskEndAsked,
    TaskEnded,
    TaskFound,
    TaskIntegrated,
    TaskReopened,
    TaskRequeued,
    WarningRaised,
    WaveEnded,
)
from chargehand.domain.evidence import UNGATED
from chargehand.domain.ids import effect_key
from chargehand.domain.judged import take_judgement
from chargehand.domain.moves import after_end, move, release_dependents
from chargehand.domain.outcome import GateStatus, Role
from chargehand.domain.plan import GatePoint, Weight
from chargehand.domain.review import Reviews
from chargehand.domain.state import Best, IllegalTransition, RunState, TaskRecord, Tries
from chargehand.domain.steering import order, steer
from chargehand.domain.under_way import drop_calls, intend, lose, take_outcome
from chargehand.domain.words import HOLDS, Decision, DecisionKind, Failure, Means, Reason, TaskStatus

__all__ = ["evolve", "fold"]

LOST_QUESTIONS = 1000
"""How far the numbers of questions jump after a repair: those lost with the journal are not given again [I9]."""
_UNHELD = (RunResumed, RequestTaken)
"""What may come first after a time in which nobody held the run: then nothing was under way, whatever was intended."""
_AS_BEFORE = frozenset({RequeueWhy.WAIT, RequeueWhy.LOST})
_FIXES = frozenset({RequeueWhy.FIX, RequeueWhy.REVIEW})
_RETRIES = frozenset({RequeueWhy.RETRY, RequeueWhy.REPORT, RequeueWhy.ANSWERED})


def fold(recorded: Iterable[Recorded], onto: RunState | None = None) -> RunState:
    """The state after all events of a journal; the first must be `RunStarted`.

    With `onto`, the state after its first events, they are the rest of the journal, and `onto` goes on in place.
    """
    rest = iter(recorded)
    state = _begin(next(rest)) if onto is None else onto
    for record in rest:
        evolve(state, record.event, record.at)
        state.seq = record.seq
    return state


def _begin(first: Recorded) -> RunState:
    if not isinstance(first.event, RunStarted):
        raise IllegalTransition("A journal begins with RunStarted.")
    state = RunState.start(first.event, first.at)
    state.seq = first.seq
    return state


def evolve(state: RunState, event: Event, at: float) -> None:
    """Apply one event in place. Raises `IllegalTransition` for a move the machine does not know."""
    if state.inflight and not isinstance(event, _UNHELD):
        state.busy_s += max(0.0, at - state.last_at)
    state.last_at = at
    match event:
        case RunStarted():
            raise IllegalTransition("A run starts once.")
        case RunResumed() | RunInterrupted() | RunPaused() | RunCancelled() | RunReopened() | RunReplanned():
            steer(state, event)
        case DispatchStopped():
            state.stopped = state.stopped or event
        case RunFinished():
            state.finished = event
        case RunAccepted():
            state.accepted = event
        case WarningRaised() | GateMadeRequired() | CircuitOpened() | RequestTaken() | BranchFound() | HistoryLost():
            _note(state, event)
        case WaveEnded():
            _end_wave(state, event)
        case TaskAdded():
            _add_task(state, event)
        case DecisionAsked() | DecisionAnswered():
            _decide(state, event)
        case CommandAsked():
            state.calls[event.call] = event
        case CommandDropped():
            drop_calls(state, [event.call])
        case EffectIntended() | EffectLost() | BranchOpened() | CanaryFinished():
            _effect(state, event)
        case AttemptFinished() | GatesFinished() | FixFinished() | MergeFinished() | LandFinished():
            take_outcome(state, event)
        case AttemptAccepted() | GatesPassed() | TaskRequeued() | TaskIntegrated() | TaskEnded():
            _task(state, event)
        case ReviewPassed() | ReviewFailed() | ReviewVoided() | GateMitigated():
            take_judgement(state, event)
        case TaskEndAsked() | TaskReopened() | TaskFound():
            order(state, event)
        case _:  # pragma: no cover
            assert_never(event)


def _note(
    state: RunState,
    event: WarningRaised | GateMadeRequired | CircuitOpened | RequestTaken | BranchFound | HistoryLost,
) -> None:
    """What is to be known from here on, and moves nothing by itself."""
    match event:
        case WarningRaised():
            state.warnings.append(event)
        case GateMadeRequired():
            state.baseline_red.pop(event.gate, None)
        case CircuitOpened():
            state.circuits[event.agent] = max(event.until, state.circuits.get(event.agent, event.until))
        case RequestTaken():
            state.taken[event.id] = None
        case HistoryLost():
            state.asked += LOST_QUESTIONS
        case BranchFound():
            state.move_head(event.head, event.tree)
            state.must_open = False
        case _:  # pragma: no cover
            assert_never(event)


# -- effects and their outcomes -------------------------------------------------------------------


def _effect(state: RunState, event: EffectIntended | EffectLost | BranchOpened | CanaryFinished) -> None:
    match event:
        case EffectIntended(effect=effect):
            intend(state, effect)
        case EffectLost():
            lose(state, event.key)
        case BranchOpened():
            del state.inflight[event.key]
            state.base_tree = state.base_tree or event.tree
            state.move_head(event.head, event.tree)
            state.conventions, state.must_open = event.conventions, False
            state.opened += 1
        case CanaryFinished():
            del state.inflight[event.key]
            if event.key != effect_key("run", state.canaries, "canary"):
                return  # those were gates of another plan
            state.canary = event.results
            state.canaries += 1
            state.baseline_red = {r.gate: r for r in event.results if r.status is GateStatus.FAIL}
            state.tests |= {r.gate: r.tests for r in event.results if r.tests}
        case _:  # pragma: no cover
            assert_never(event)


# -- tasks ----------------------------------------------------------------------------------------


def _task(state: RunState, event: AttemptAccepted | GatesPassed | TaskRequeued | TaskIntegrated | TaskEnded) -> None:
    record = state.tasks[event.task]
    match event:
        case AttemptAccepted():
            assert record.sealed is not None
            changed = dict.fromkeys((*record.files_changed, *(c.path for c in record.sealed.changes)))
            move(
                state,
                record,
                TaskStatus.GATING,
                reason=None,
                detail="",
                commit=record.sealed.commit,
                files_changed=tuple(changed),
                trees=tuple(dict.fromkeys((*record.trees, record.sealed.tree))),
                again=_again(record),
                reviews=replace(record.reviews, malformed=0, violated=0),
            )
        case GatesPassed(point=GatePoint.TASK):
            to = TaskStatus.REVIEWING if event.review else TaskStatus.INTEGRATING
            move(state, record, to, candidate=None, candidate_green=False, again=_again(record))
        case GatesPassed():
            state.tasks[record.id] = record.but(
                candidate_green=True, greened=event.green, merged=_tests_of(record), unjudged=None
            )
            state.attention[record.id] = None
        case TaskRequeued():
            _requeue(state, record, event)
        case TaskIntegrated():
            said = record.report.summary if record.report else ""
            state.tests |= dict(record.merged)
            move(state, record, TaskStatus.INTEGRATED, reason=Reason.INTEGRATED, detail=said, landed=event.commit)
            release_dependents(state, record.id)
        case TaskEnded():
            move(
                state,
                record,
                event.status,
                reason=event.reason,
                detail=event.detail,
                blocked_on=event.blocked_on,
            )
            after_end(state, event)
        case _:  # pragma: no cover
            assert_never(event)


def _again(record: TaskRecord) -> int:
    """A person who sends a change on has its gates run again."""
    return record.again + (record.status is TaskStatus.AWAITING_DECISION)


def _tests_of(record: TaskRecord) -> tuple[tuple[str, str], ...]:
    """Where the test ids of the candidate are, by gate: what lands next is held against them."""
    results = record.unjudged.results if isinstance(record.unjudged, GatesFinished) else ()
    return tuple((result.gate, result.tests) for result in results if result.tests)


def _requeue(state: RunState, record: TaskRecord, event: TaskRequeued) -> None:
    tries = _count_try(record.tries, event.why, event.failure is not None)
    changes: dict[str, object] = {"not_before": event.not_before, "tries": tries}
    if event.why in _RETRIES:
        changes["retried"] = record.retried_now
    if event.why is RequeueWhy.WAIT:
        changes |= {"reason": Reason.RATE_LIMITED, "detail": "The provider asked to wait."}
    if record.status is TaskStatus.AWAITING_DECISION:
        changes |= {"reason": None, "detail": ""}
    if event.why not in _AS_BEFORE:
        to_fix = record.sealed if event.why in _FIXES else None
        changes |= {
            "why": event.why,
            "failure": event.failure or (record.failure if event.why is RequeueWhy.CONTEXT else None),
            "candidate": None,
            "candidate_green": False,
            "role": Role.FIXER if to_fix else Role.IMPLEMENTER,
            "fix_base": to_fix.commit if to_fix else None,
            "files_changed": (*record.files_changed, *(c.path for c in to_fix.changes)) if to_fix else (),
            "reviews": _reviews_after(record, event.why),
            "approved": tuple(kind for kind in record.approved if kind is not DecisionKind.REVIEW),
            "aside": None,
            "mended": (),
            **_learn(record, event.failure),
        }
    if event.why is RequeueWhy.ANSWERED:
        changes |= {"signatures": (), "trees": (), "best": None}
        if record.best is not None and record.best.commit == record.commit:
            changes["previous"] = (record.best.base, record.best.commit)
    if isinstance(record.unjudged, AttemptFinished):
        known = dict(record.context)
        found = (*record.unjudged.result.context, *event.context)
        changes["context"] = (*record.context, *(each for each in found if each[0] not in known))
    move(state, record, TaskStatus.WAITING, **changes)
    state.offer(record.id)


def _reviews_after(record: TaskRecord, why: RequeueWhy) -> Reviews:
    """A fix leaves the reviews where they are; any other change is a new one, reviewed from the start."""
    reviews = record.reviews
    if why is RequeueWhy.REVIEW:
        return replace(reviews, fixes=reviews.fixes + 1)
    if why is RequeueWhy.FIX:  # what this fix changed, nobody has looked at
        assert record.sealed is not None
        paths = tuple(change.path for change in record.sealed.changes)
        way = replace(reviews.detour, touched=(*reviews.detour.touched, *paths))
        return replace(reviews, touched=(*reviews.touched, *paths), detour=way)
    return Reviews(judged=reviews.judged, parked=reviews.parked)


def _learn(record: TaskRecord, failure: Failure | None) -> dict[str, object]:
    """What is kept of a judged attempt: its patch, and for the bounds its tree, its failure and how bad it was."""
    changes: dict[str, object] = {"reason": None, "detail": ""}
    sealed = record.sealed
    if sealed is not None:
        base = record.origin or sealed.base
        changes["previous"] = (base, sealed.commit)
        if failure is not None and failure.severity <= UNGATED:  # only a tree whose evidence was good can come "again"
            changes["trees"] = tuple(dict.fromkeys((*record.trees, sealed.tree)))
        if failure is not None and (record.best is None or not record.best.beats(failure)):
            changes["best"] = Best(severity=failure.severity, base=base, commit=sealed.commit, passed=failure.passed)
    if failure is not None:
        changes["signatures"] = (*record.signatures, failure.signature)
        changes["detail"] = failure.summary
        changes["reason"] = failure.reason
    return changes


def _count_try(tries: Tries, why: RequeueWhy, failed: bool) -> Tries:
    match why:
        case RequeueWhy.RETRY | RequeueWhy.REPORT:
            return replace(tries, retries=tries.retries + 1)
        case RequeueWhy.CONTEXT if failed:
            return replace(tries, blocked_contexts=tries.blocked_contexts + 1)
        case RequeueWhy.CONTEXT:
            return replace(tries, contexts=tries.contexts + 1)
        case RequeueWhy.CONFLICT:
            return replace(tries, conflicts=tries.conflicts + 1)
        case RequeueWhy.FIX:
            return replace(tries, concern_fixes=tries.concern_fixes + 1)
        case RequeueWhy.WAIT:
            return replace(tries, waits=tries.waits + 1)
        case RequeueWhy.LOST | RequeueWhy.REVIEW:
            return tries
        case RequeueWhy.ANSWERED:
            return Tries()
        case _:  # pragma: no cover
            assert_never(why)


def _add_task(state: RunState, event: TaskAdded) -> None:
    state.wave_of[event.task.id] = event.wave
    state.add(TaskRecord(task=event.task, fixes_gates_of=event.point), 1, len(state.tasks))
    if event.holistic:
        state.whole = state.whole.but(fixes=(*state.whole.fixes, event.task.id))
    else:
        state.rounds[event.point] += 1


def _end_wave(state: RunState, event: WaveEnded) -> None:
    following = sorted(wave for wave in state.wave_open if wave > event.wave)
    state.wave = following[0] if following else event.wave + 1
    state.rounds[GatePoint.WAVE] = 0
    state.answers = {i: answer for i, answer in state.answers.items() if answer[0].kind is not DecisionKind.WAVE}
    for task in dict.fromkeys(state.later.pop(state.wave, ())):
        if state.tasks[task].status is TaskStatus.WAITING:
            state.offer(task)


# -- people ---------------------------------------------------------------------------------------


def _decide(state: RunState, event: DecisionAsked | DecisionAnswered) -> None:
    if isinstance(event, DecisionAsked):
        _ask(state, event.decision)
        return
    decision = state.decisions.pop(event.id)
    state.holds.pop(decision.id, None)
    if decision.call:
        _answer_call(state, decision, event)
        return
    if decision.kind is DecisionKind.EDITED:  # what the answer comes to are events of their own
        state.edited |= {edit.file: (edit.digest, event.choice) for edit in decision.edits}
        words = [word for edit in decision.edits for word in edit.words if word.means is Means.DONE]
        state.by_hand |= {word.task: word.theirs for word in words} if event.choice == "file" else {}
        return
    state.answers[decision.id] = (decision, event.choice, event.by)
    if decision.task:
        record = state.tasks[decision.task]
        approved = (*record.approved, decision.kind) if event.choice == "approve" else record.approved
        ruled = ((decision.command, event.choice == "approve"),) if decision.again else ()
        context = (*record.context, *_told(decision, event))
        state.tasks[decision.task] = record.but(approved=approved, context=context, ruled=(*record.ruled, *ruled))
        state.attention[decision.task] = None
    if decision.kind is DecisionKind.COMMAND and event.choice == "approve" and not decision.again:
        state.approved_commands[decision.command] = None
    if event.choice == "full":
        state.weight = Weight.FULL
    if decision.kind is DecisionKind.BRANCH_MOVED and event.choice == "retry":
        state.must_open = True


def _told(decision: Decision, event: DecisionAnswered) -> tuple[tuple[str, str], ...]:
    """What the next attempt reads of an answer: a note, and a no to what the last one wanted to run."""
    refused = f"Do not run `{decision.command}`: the answer is no." if decision.again and event.choice == "deny" else ""
    text = " ".join(filter(None, (refused, event.note)))
    return ((f"the answer to {decision.id}", text),) if text else ()


def _ask(state: RunState, decision: Decision) -> None:
    state.decisions[decision.id] = decision
    state.asked += 1
    state.edited |= {edit.file: (edit.digest, "") for edit in decision.edits}
    if decision.task and not decision.call:
        record = state.tasks[decision.task]
        move(
            state,
            record,
            TaskStatus.AWAITING_DECISION,
            reason=decision.reason,
            detail=decision.question,
            decision=decision.id,
            commit=decision.kept or record.commit,
            unheard=None,
        )
    if decision.kind in HOLDS:
        state.holds[decision.id] = None


def _answer_call(state: RunState, decision: Decision, event: DecisionAnswered) -> None:
    """One yes covers one execution; a no lets the agent go on without, and a refusal ends the task (SPEC 7.2)."""
    state.calls.pop(decision.call, None)
    if event.choice == "reject":
        text = f"The command was refused by {event.by}: {decision.command}"
        status, reason = TaskStatus.BLOCKED, Reason.COMMAND_REJECTED
        order(state, TaskEndAsked(task=decision.task, status=status, reason=reason, by=event.by, detail=text))
