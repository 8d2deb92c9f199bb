"""What each event says to a person: the lines of a run's progress and of `log`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from chargehand.cli.render.judged_lines import of_judgement, of_look
from chargehand.cli.render.line import STYLES, Line, Rank
from chargehand.cli.render.units import count, moment, short
from chargehand.domain.asking import UNATTENDED, UNLISTED
from chargehand.domain.effects import (
    Effect,
    Land,
    MergeCandidate,
    OpenBranch,
    RunCanary,
    RunFix,
    RunGates,
    StartAttempt,
)
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
    RequestTaken,
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
from chargehand.domain.outcome import LOOKERS, Candidate, GateResult, GateStatus, Landed
from chargehand.domain.plan import GatePoint
from chargehand.domain.view import accepted_text
from chargehand.domain.words import Reason, TaskStatus

__all__ = ["RED_AS_ON_BASE", "STYLES", "Line", "Rank", "is_as_on_base", "say", "under_way"]

RED_AS_ON_BASE = "red as on the base"


def say(event: Event, *, agent: str = "", base: Mapping[str, GateResult] | None = None, at: float = 0.0) -> Line:
    """The line of an event of the time `at`.

    `agent` names the agent of an attempt that starts, or the one that works in place of another whose provider asked
    to wait, where that is known. `base` are the results of the gates that are red since before anybody changed
    anything.
    """
    known = base or {}
    match event:
        case RunStarted() | RunResumed() | RunInterrupted() | DispatchStopped() | RunFinished() | WarningRaised():
            return _of_run(event)
        case RunPaused() | RunCancelled() | RunReopened() | RunReplanned() | RequestTaken():
            return _of_people(event)
        case BranchFound() | HistoryLost():
            return _of_repair(event)
        case TaskEndAsked() | TaskReopened() | TaskFound():
            return _of_wish(event)
        case RunAccepted():
            moved = f"{event.target} is at {short(event.commit)} ({event.how})"
            return Line(what="accepted", detail=accepted_text(event, short(event.commit)) if event.is_staged else moved)
        case EffectIntended():
            return _intended(event.effect, agent)
        case EffectLost():
            return Line(what="lost", detail=f"{event.key}: {event.detail}", rank=Rank.ROUTINE)
        case BranchOpened() | CanaryFinished() | AttemptFinished() | GatesFinished() | MergeFinished() | LandFinished():
            return _outcome(event, known)
        case ReviewPassed() | ReviewFailed() | ReviewVoided() | GateMitigated() | FixFinished():
            return of_judgement(event)
        case DecisionAsked() | DecisionAnswered():
            return _decision(event)
        case CommandAsked():
            return Line(what="asked", task=event.task, detail=f"may it run `{event.command}`? {event.why}")
        case CommandDropped():
            detail = event.detail or f"nobody answered in time: call {event.call} was refused"
            return Line(what="dropped", detail=detail, rank=Rank.NOTABLE if event.detail else Rank.CHANGE)
        case CircuitOpened():
            return _circuit(event, agent, at)
        case GateMadeRequired():
            return Line(what="required", detail=f"gate {event.gate} is green now and required from here on")
        case WaveEnded():
            return Line(what="wave", detail=f"nothing is left to do in wave {event.wave}")
        case _:
            return _of_task(event, known)


def _circuit(event: CircuitOpened, instead: str, at: float) -> Line:
    other = f"; {instead} takes its tasks" if instead else ""
    said = f": {event.detail}" if event.detail else ""
    detail = f"the provider of {event.agent} asked to wait until {moment(event.until, at)}{other}{said}"
    return Line(what="waiting", detail=detail)


# -- people, and what a repair found --------------------------------------------------------------


def _of_people(
    event: RunPaused | RunCancelled | RunReopened | RunReplanned | RequestTaken,
) -> Line:
    match event:
        case RunPaused():
            how = "what is under way is ended" if event.at_once else "what is under way goes on to its end"
            return Line(what="paused", detail=f"by {event.by}: nothing new starts, {how}", rank=Rank.NOTABLE)
        case RunCancelled():
            detail = f"by {event.by}: what is under way is ended, open tasks are cancelled"
            return Line(what="cancelled", detail=detail, rank=Rank.NOTABLE)
        case RunReopened():
            return Line(what="reopened", detail=f"by {event.by}", rank=Rank.NOTABLE)
        case RunReplanned():
            detail = f"by {event.by}: the plan has {len(event.plan.tasks)} tasks now"
            return Line(what="replanned", detail=detail, rank=Rank.NOTABLE)
        case RequestTaken():
            said = f"{event.kind} by {event.by}"
            if event.refused:
                return Line(what="refused", task=event.task, detail=f"{said}: {event.refused}", rank=Rank.ROUTINE)
            return Line(what="asked", task=event.task, detail=said, rank=Rank.ROUTINE)
        case _:  # pragma: no cover
            assert_never(event)


def _of_repair(event: BranchFound | HistoryLost) -> Line:
    if isinstance(event, BranchFound):
        return Line(what="found", detail=f"the integration branch stands at {short(event.head)}")
    return Line(what="repaired", detail=f"{event.detail} What is left, and what git tells, is what counts")


def _of_wish(event: TaskEndAsked | TaskReopened | TaskFound) -> Line:
    match event:
        case TaskEndAsked():
            detail = f"{event.by} wants it {event.status}"
            return Line(what="ending", task=event.task, detail=detail, rank=Rank.NOTABLE)
        case TaskReopened():
            told = f": {event.note}" if event.note else ""
            detail = f"again, as {event.by} asked{told}"
            return Line(what="waiting", task=event.task, detail=detail, rank=Rank.NOTABLE)
        case TaskFound():
            at = f" at {short(event.landed)}" if event.landed else ""
            return Line(what=event.status, task=event.task, reason=event.reason or "", detail=f"found{at} by a repair")
        case _:  # pragma: no cover
            assert_never(event)


# -- the run --------------------------------------------------------------------------------------


def _of_run(
    event: RunStarted | RunResumed | RunInterrupted | DispatchStopped | RunFinished | WarningRaised,
) -> Line:
    match event:
        case RunStarted():
            detail = f"plan {event.plan.plan}, {len(event.plan.tasks)} tasks, base {short(event.base)}"
            return Line(what="started", detail=detail, rank=Rank.ROUTINE)
        case RunResumed():
            detail = f"process {event.pid} on {event.host} drives it, chargehand {event.version}"
            return Line(what="driven", detail=detail, rank=Rank.ROUTINE)
        case RunInterrupted():
            return Line(what="interrupted", detail=f"stopped by {event.by}", rank=Rank.NOTABLE)
        case DispatchStopped():
            return Line(what="stopped", reason=event.reason.value, detail=event.detail, rank=Rank.NOTABLE)
        case RunFinished():
            return Line(what=event.verdict.value, detail=event.detail)
        case WarningRaised():
            return Line(task=event.task, what="warning", reason=event.code, detail=event.text, rank=Rank.NOTABLE)
        case _:  # pragma: no cover
            assert_never(event)


def _decision(event: DecisionAsked | DecisionAnswered) -> Line:
    if isinstance(event, DecisionAnswered):
        unlisted = UNLISTED.get(event.choice) if event.by == UNATTENDED else None
        meant = f" ({unlisted})" if unlisted else ""
        return Line(what="answered", detail=f"{event.id}: {event.choice}{meant}, by {event.by}", rank=Rank.NOTABLE)
    asked = event.decision
    detail = f"{asked.id}: {asked.question} [{' | '.join(asked.choices)}]"
    return Line(task=asked.task, what="awaiting_decision", reason=asked.reason.value, detail=detail, rank=Rank.NOTABLE)


# -- effects --------------------------------------------------------------------------------------


def _intended(effect: Effect, agent: str) -> Line:
    match effect:
        case OpenBranch():
            return Line(what="branch", detail=f"{effect.branch} at {short(effect.base)}", rank=Rank.ROUTINE)
        case RunCanary():
            return Line(what="canary", detail="setup and every gate, on the untouched base")
        case StartAttempt() if effect.role in LOOKERS:
            return of_look(effect, agent)
        case StartAttempt():
            role = "" if effect.role.value == "implementer" else f", as {effect.role.value}"
            by = f" by {agent}" if agent else ""
            detail = f"attempt {effect.attempt}{by}{role}, from {short(effect.base)}"
            return Line(task=effect.task, what="running", detail=detail)
        case RunGates():
            return _gates_start(effect)
        case RunFix():
            detail = f"the fix commands of {', '.join(effect.gates)}, on what changed"
            return Line(task=effect.task, what="mending", detail=detail)
        case MergeCandidate():
            detail = f"merging {short(effect.commit)} into {short(effect.head)}"
            return Line(task=effect.task, what="merging", detail=detail, rank=Rank.ROUTINE)
        case Land():
            detail = f"moving the branch to {short(effect.commit)}{_with(effect.beside)}"
            return Line(task=effect.task, what="landing", detail=detail, rank=Rank.ROUTINE)
        case _:  # pragma: no cover
            assert_never(effect)


def under_way(effect: Effect) -> str:
    """An effect whose process is gone, and what is done about it when the run is taken up (SPEC 8)."""
    match effect:
        case StartAttempt() if effect.role in LOOKERS:
            return f"{effect.task or 'the run'}: a {effect.role.value} was at work; another one is asked"
        case StartAttempt():
            what = f"{effect.task}: attempt {effect.attempt} was under way"
            return f"{what}; if it ended unseen it is judged, else what it left is rescued and it is done again"
        case RunCanary():
            return "the gates were being tried on the untouched base; they are tried again"
        case RunGates():
            whose = f"{effect.task}: its gates" if effect.task else f"the {effect.point} gates"
            return f"{whose} were running; they run again"
        case RunFix():
            return f"{effect.task}: commands were mending it; they run again"
        case MergeCandidate():
            return f"{effect.task}: it was being merged; the merge is made again"
        case Land():
            return f"{effect.task}: it was landing; the branch tells whether it did"
        case OpenBranch():
            return "the run's branch was being made; it is looked for"
        case _:  # pragma: no cover
            assert_never(effect)


def _gates_start(effect: RunGates) -> Line:
    detail = {
        GatePoint.TASK: "gates on what the attempt left",
        GatePoint.INTEGRATE: "gates on the merged tree",
        GatePoint.WAVE: "wave gates on the integration head",
        GatePoint.RUN: "run gates on the final tree",
    }[effect.point]
    rank = Rank.ROUTINE if effect.task else Rank.CHANGE
    text = f"{detail}{_with(effect.beside)} ({short(effect.commit)})"
    return Line(task=effect.task, what="gates", detail=text, rank=rank)


def _with(tasks: tuple[str, ...]) -> str:
    """Who is gated or lands together with a task."""
    return f", together with {', '.join(tasks)}" if tasks else ""


# -- outcomes -------------------------------------------------------------------------------------


def _outcome(
    event: BranchOpened | CanaryFinished | AttemptFinished | GatesFinished | MergeFinished | LandFinished,
    base: Mapping[str, GateResult],
) -> Line:
    match event:
        case BranchOpened():
            return Line(what="branch", detail=f"it stands at {short(event.head)}", rank=Rank.ROUTINE)
        case CanaryFinished():
            return _results("canary", "", event.results, Rank.CHANGE, {})
        case AttemptFinished():
            return _attempt(event)
        case GatesFinished():
            rank = Rank.ROUTINE if event.task else Rank.CHANGE
            return _results("gates", event.task, event.results, rank, base)
        case MergeFinished():
            return _merge(event)
        case LandFinished():
            return _land(event)
        case _:  # pragma: no cover
            assert_never(event)


def _results(what: str, task: str, results: tuple[GateResult, ...], rank: Rank, base: Mapping[str, GateResult]) -> Line:
    bad = [result for result in results if result.status in {GateStatus.FAIL, GateStatus.FAULT}]
    old = [result.gate for result in bad if is_as_on_base(result, base)]
    red = [result for result in bad if result.gate not in old]
    known = f"{', '.join(old)} {RED_AS_ON_BASE}" if old else ""
    if not red:
        green = ", ".join(r.gate for r in results if r.status is GateStatus.PASS)
        if old:
            return Line(task=task, what=what, detail=known + (f"; green: {green}" if green else ""), rank=rank)
        return Line(task=task, what=what, reason="green", detail=green or "nothing to check", rank=rank)
    detail = "; ".join([*(_result(result) for result in red), *([known] if known else [])])
    return Line(task=task, what=what, reason="red", detail=detail, rank=rank)


def _result(result: GateResult) -> str:
    how = result.fault.value if result.fault else result.status.value
    return f"{result.gate}: {how}" + (f", {result.detail}" if result.detail else "")


def is_as_on_base(result: GateResult, base: Mapping[str, GateResult]) -> bool:
    """Whether a red gate tells nothing new: it was red on the untouched base, with the same tests where it has any."""
    before = base.get(result.gate)
    if before is None or result.status is not GateStatus.FAIL:
        return False
    if before.failed_tests is None:
        return True
    return bool(result.failed_tests) and set(result.failed_tests or ()) <= set(before.failed_tests)


def _attempt(event: AttemptFinished) -> Line:
    result = event.result
    parts = [f"attempt {event.attempt} {result.exit.kind.value}"]
    if result.exit.code is not None:
        parts.append(f"exit {result.exit.code}")
    if result.exit.signal is not None:
        parts.append(f"signal {result.exit.signal}")
    if result.review is not None:
        verdict = result.review.verdict
        said = f"no verdict: {result.review.problem}" if verdict is None else "PASS" if verdict.passed else "FAIL"
        parts.append(f"says {said}" if verdict is not None else said)
    elif result.restoration is not None:
        parts.append(f"proposes {'; '.join(result.restoration.mitigation_applied) or 'nothing named'}")
    else:
        claim = f"claims {result.report.status.value}" if result.report else f"no report: {result.report_problem}"
        parts.append(claim)
    if result.sealed is not None:
        parts.append(f"{count(len(result.sealed.changes), 'path')} changed")
    parts += [result.seal_problem] * bool(result.seal_problem)
    return Line(task=event.task, what="attempt", detail=", ".join(parts), rank=Rank.ROUTINE)


def _merge(event: MergeFinished) -> Line:
    if isinstance(event.result, Candidate):
        detail = f"candidate {short(event.result.commit)}"
        return Line(task=event.task, what="merged", detail=detail, rank=Rank.ROUTINE)
    detail = f"with the branch at {short(event.result.head)}: {', '.join(event.result.paths)}"
    return Line(task=event.task, what="conflict", detail=detail)


def _land(event: LandFinished) -> Line:
    if isinstance(event.result, Landed):
        return Line(task=event.task, what="landed", detail=short(event.result.commit), rank=Rank.ROUTINE)
    detail = f"the branch stands at {short(event.result.actual) or 'nothing'}"
    return Line(task=event.task, what="head_moved", detail=detail)


# -- tasks ----------------------------------------------------------------------------------------


def _of_task(
    event: AttemptAccepted | GatesPassed | TaskRequeued | TaskIntegrated | TaskEnded | TaskAdded,
    base: Mapping[str, GateResult],
) -> Line:
    match event:
        case AttemptAccepted():
            return Line(task=event.task, what="gating", detail=f"attempt {event.attempt} left good evidence")
        case GatesPassed():
            but = f" or {RED_AS_ON_BASE} ({', '.join(base)})" if base else ""
            if event.review:
                return Line(task=event.task, what="reviewing", detail=f"its gates are green{but}")
            if event.point is GatePoint.TASK:
                return Line(task=event.task, what="integrating", detail=f"its gates are green{but}")
            return Line(task=event.task, what="gates", detail=f"green{but}, as merged", rank=Rank.ROUTINE)
        case TaskRequeued():
            detail = event.failure.summary if event.failure else ""
            return Line(task=event.task, what="waiting", reason=event.why.value, detail=detail)
        case TaskIntegrated():
            detail = f"landed as {short(event.commit)}"
            return Line(task=event.task, what="integrated", detail=detail, rank=Rank.NOTABLE)
        case TaskEnded():
            rank = Rank.CHANGE if event.status is TaskStatus.SKIPPED else Rank.NOTABLE
            reason = event.reason.value
            detail = "" if event.reason is Reason.RUN_STOPPED else event.detail  # the line of the stop says it
            return Line(task=event.task, what=event.status.value, reason=reason, detail=detail, rank=rank)
        case TaskAdded():
            return Line(task=event.task.id, what="waiting", reason="added", detail=event.task.title)
        case _:  # pragma: no cover
            assert_never(event)
