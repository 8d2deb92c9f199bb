"""What happened in a run, put together from its events: attempts, gates, judgements, questions, and when each was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

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
    BranchOpened,
    CanaryFinished,
    CommandDropped,
    DecisionAnswered,
    DecisionAsked,
    EffectIntended,
    EffectLost,
    Event,
    FixFinished,
    GateMadeRequired,
    GateMitigated,
    GatesFinished,
    LandFinished,
    MergeFinished,
    Recorded,
    RequeueWhy,
    ReviewFailed,
    ReviewPassed,
    ReviewVoided,
    RunFinished,
    RunResumed,
    RunStarted,
    TaskEnded,
    TaskReopened,
    TaskRequeued,
)
from chargehand.domain.gating import judge_gates
from chargehand.domain.outcome import (
    LOOKERS,
    REVIEWERS,
    AttemptResult,
    Conflict,
    GateResult,
    GateStatus,
    HeadMoved,
    Role,
)
from chargehand.domain.plan import GatePoint
from chargehand.domain.words import Decision, Failure, Reason
from chargehand.report.units import count, short

__all__ = ["Anew", "Asked", "History", "Kind", "Ran", "Span", "Step", "Try", "remember"]

_SAME_CHANGE = frozenset({RequeueWhy.REVIEW, RequeueWhy.FIX, RequeueWhy.WAIT, RequeueWhy.LOST})


class Kind(StrEnum):
    """What filled a stretch of time."""

    AUTHOR = "author"
    REVIEW = "review"
    LOOK = "look"  # a fitter or a researcher
    GATES = "gates"
    MERGE = "merge"
    PROVIDER = "provider"  # a provider asked to wait
    DECISION = "decision"  # a question was open


@dataclass(slots=True, kw_only=True)
class Span:
    """A stretch of time; an empty `task` is the run itself. `end` None: it was not over when this was written."""

    task: str
    kind: Kind
    start: float
    label: str
    end: float | None = None
    lost: bool = False


@dataclass(slots=True, kw_only=True)
class Try:
    """One start of an agent; `sent_back` says why the task was sent back after it, `void` why a look did not count.

    `accepted`: the evidence was good. `passed` is what a verdict came to, None where there was none that counted.
    `mended` says what `fix` commands made of the change.
    """

    effect: StartAttempt
    started_at: float
    ended_at: float | None = None
    result: AttemptResult | None = None
    lost: str = ""
    sent_back: str = ""
    failure: Failure | None = None
    void: str = ""
    accepted: bool = False
    passed: bool | None = None
    mended: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One gate on one tree. `point` None: on the untouched base; `advisory`: it was as red there.

    `mended`: `fix` commands had changed the tree of the attempt before.
    """

    point: GatePoint | None
    attempt: int
    commit: str
    result: GateResult
    advisory: bool = False
    mended: bool = False


@dataclass(slots=True, kw_only=True)
class Asked:
    """A question, and what became of it; `dropped`: why nobody is asked any more."""

    decision: Decision
    at: float
    choice: str = ""
    by: str = ""
    note: str = ""
    answered_at: float | None = None
    dropped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anew:
    """The change of a task was begun anew: what was open about the one before is about nothing any more."""


Step = ReviewPassed | ReviewFailed | ReviewVoided | Anew


@dataclass(slots=True, kw_only=True)
class History:
    """Everything by task, in the order in which it happened; the empty name is the run itself."""

    tries: dict[str, list[Try]] = field(default_factory=lambda: defaultdict(list))
    gates: dict[str, list[Ran]] = field(default_factory=lambda: defaultdict(list))
    steps: dict[str, list[Step]] = field(default_factory=lambda: defaultdict(list))
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    questions: list[Asked] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    processes: list[RunResumed] = field(default_factory=list)
    started_at: float = 0.0
    ended_at: float | None = None
    last_at: float = 0.0


def remember(events: Iterable[Recorded]) -> History:
    """The history that a journal tells."""
    teller = _Teller()
    for recorded in events:
        teller.take(recorded.event, recorded.at)
    return teller.history


class _Teller:
    def __init__(self) -> None:
        self.history = History()
        self._open: dict[str, Span] = {}
        self._tries: dict[str, Try] = {}
        self._waits: dict[str, Span] = {}
        self._asked: dict[str, tuple[Asked, Span]] = {}
        self._base: dict[str, GateResult] = {}
        self._lands: dict[str, Land] = {}
        self._gone: dict[str, float] = {}
        """Spans that were open when a process went away, and when it was last heard of."""

    def take(self, event: Event, at: float) -> None:
        history = self.history
        if not history.started_at or isinstance(event, RunStarted):
            history.started_at = at
        match event:
            case EffectIntended():
                self._begin(event.effect, at)
            case (
                AttemptFinished()
                | GatesFinished()
                | FixFinished()
                | MergeFinished()
                | LandFinished()
                | BranchOpened()
                | CanaryFinished()
            ):
                self._outcome(event, at)
            case EffectLost():
                self._lose(event, at)
            case DecisionAsked() | DecisionAnswered() | CommandDropped():
                self._question(event, at)
            case ReviewPassed() | ReviewFailed() | ReviewVoided() | GateMitigated():
                self._judgement(event)
            case AttemptAccepted():
                if (tried := self._try(event.task, event.attempt)) is not None:
                    tried.accepted = True
            case GateMadeRequired():
                self._base.pop(event.gate, None)
            case TaskRequeued() | TaskEnded() | TaskReopened():
                self._task(event, at)
            case RunResumed():
                self._gone |= dict.fromkeys(self._open, history.last_at)
                history.processes.append(event)
            case RunFinished():
                self._withdraw(None, at)
                history.ended_at = at
            case _:
                pass
        if not isinstance(event, RunFinished):
            history.ended_at = None if isinstance(event, EffectIntended) else history.ended_at
        history.last_at = max(history.last_at, at)

    # -- effects ----------------------------------------------------------------------------------

    def _begin(self, effect: Effect, at: float) -> None:
        task = getattr(effect, "task", "")
        if isinstance(effect, StartAttempt):
            begun = Try(effect=effect, started_at=at)
            self._tries[effect.key] = begun
            self.history.tries[task].append(begun)
            self._end(self._waits.pop(task, None), at)
        if isinstance(effect, Land):
            self._lands[effect.key] = effect
        kind, label = _kind(effect)
        span = Span(task=task, kind=kind, start=at, label=label)
        self._open[effect.key] = span
        self.history.spans.append(span)

    def _outcome(
        self,
        event: AttemptFinished
        | GatesFinished
        | FixFinished
        | MergeFinished
        | LandFinished
        | BranchOpened
        | CanaryFinished,
        at: float,
    ) -> None:
        history = self.history
        wall_s = event.result.usage.wall_s if isinstance(event, AttemptFinished) else 0.0
        ended = self._close(event.key, at, wall_s)
        match event:
            case AttemptFinished():
                if (tried := self._tries.get(event.key)) is not None:
                    tried.result, tried.ended_at = event.result, ended
            case GatesFinished():
                author = self._try(event.task, event.attempt)
                history.gates[event.task] += [
                    Ran(
                        point=event.point,
                        attempt=event.attempt,
                        commit=event.commit,
                        result=each,
                        advisory=bool(judge_gates([each], self._base, (), each.tree).advisory),
                        mended=author is not None and bool(author.mended),
                    )
                    for each in event.results
                ]
            case CanaryFinished():
                self._base = {each.gate: each for each in event.results if each.status is GateStatus.FAIL}
                history.gates[""] += [Ran(point=None, attempt=0, commit="", result=each) for each in event.results]
            case FixFinished():
                self._mend(event)
            case MergeFinished(result=Conflict() as conflict):
                paths = ", ".join(conflict.paths)
                history.notes[event.task].append(f"Attempt {event.attempt} did not merge: conflicts in {paths}.")
            case LandFinished(result=HeadMoved()):
                history.notes[event.task].append(f"Attempt {event.attempt} did not land: the branch had moved.")
            case LandFinished() if event.key in self._lands:
                self._land(self._lands.pop(event.key))
            case _:
                pass

    def _land(self, effect: Land) -> None:
        """Who landed as one: the gates as merged are told of the last, and stood for all."""
        names = (*effect.beside, effect.task) if effect.beside else ()
        for name in names:
            others = ", ".join(other for other in names if other != name)
            whose = "" if name == effect.task else f"; its gates as merged are those told of {effect.task}"
            self.history.notes[name].append(f"Landed as one with {others}{whose}.")

    def _mend(self, event: FixFinished) -> None:
        """What the runtime's own `fix` commands made of a change: no agent was at work."""
        whose = f"the fix command{'s' * (len(event.gates) > 1)} of {', '.join(event.gates)}"
        if (sealed := event.sealed) is None:
            self.history.notes[event.task].append(f"{whose[0].upper()}{whose[1:]} changed nothing.")
            return
        paths = count(len(sealed.changes), "path")
        text = f"Mended by {whose}: {paths} changed, sealed as {short(sealed.commit)}, and gated anew."
        self.history.notes[event.task].append(text)
        if (tried := self._try(event.task, event.attempt)) is not None:
            tried.mended = (*tried.mended, text)

    def _lose(self, event: EffectLost, at: float) -> None:
        if (span := self._open.get(event.key)) is not None:
            span.lost = True
        ended = self._close(event.key, at)
        if (tried := self._tries.get(event.key)) is not None:
            tried.lost, tried.ended_at = event.detail or "it did not come to an end", ended

    def _close(self, key: str, at: float, wall_s: float = 0.0) -> float:
        """End a span; one that a process left behind ended when that was last heard of, or as long as it ran."""
        span, heard = self._open.pop(key, None), self._gone.pop(key, None)
        if span is None:
            return at
        ended = at if heard is None else min(at, max(heard, span.start + wall_s))
        self._end(span, ended)
        return ended

    @staticmethod
    def _end(span: Span | None, at: float) -> None:
        if span is not None and span.end is None:
            span.end = max(at, span.start)

    # -- people and judgements --------------------------------------------------------------------

    def _question(self, event: DecisionAsked | DecisionAnswered | CommandDropped, at: float) -> None:
        match event:
            case DecisionAsked(decision=decision):
                asked = Asked(decision=decision, at=at)
                span = Span(
                    task=decision.task, kind=Kind.DECISION, start=at, label=f"{decision.id} waits for an answer"
                )
                self._asked[decision.id] = (asked, span)
                self.history.questions.append(asked)
                self._void_last(decision)
                self.history.spans.append(span)
            case DecisionAnswered() if event.id in self._asked:
                asked, span = self._asked.pop(event.id)
                asked.choice, asked.by, asked.note, asked.answered_at = event.choice, event.by, event.note, at
                self._end(span, at)
            case CommandDropped():
                for name, (asked, span) in list(self._asked.items()):
                    if asked.decision.call == event.call:
                        asked.dropped = event.detail or "nobody answered in time: the command was refused"
                        self._end(span, at)
                        del self._asked[name]
            case _:
                pass

    def _void_last(self, decision: Decision) -> None:
        """A second answer of a reviewer that does not count has no event of its own: a person is asked instead."""
        tries = self.history.tries.get(decision.task, [])
        last = tries[-1] if tries else None
        if decision.reason is Reason.REVIEW_VOID and last is not None and last.effect.role in REVIEWERS:
            last.void = last.void or decision.question

    def _withdraw(self, task: str | None, at: float) -> None:
        """Nobody is asked about a task that has ended, or a run (None)."""
        for name, (asked, span) in list(self._asked.items()):
            if task is None or asked.decision.task == task:
                asked.dropped = "it had no object any more"
                self._end(span, at)
                del self._asked[name]

    def _judgement(self, event: ReviewPassed | ReviewFailed | ReviewVoided | GateMitigated) -> None:
        if isinstance(event, GateMitigated):
            text = f"Gate {event.gate} could not judge and was run again ({event.by}): {event.detail}"
            self.history.notes[event.task].append(text)
            return
        self.history.steps[event.task].append(event)
        tried = self._try(event.task, event.attempt)
        if tried is None or tried.effect.role not in REVIEWERS:
            return
        if isinstance(event, ReviewVoided):
            tried.void = f"{event.why}: {event.detail}" if event.detail else event.why.value
        elif isinstance(event, ReviewFailed) or not event.carried:
            tried.passed = isinstance(event, ReviewPassed)

    def _try(self, task: str, attempt: int) -> Try | None:
        """The last start of an attempt of that number."""
        tries = self.history.tries.get(task, [])
        return next((tried for tried in reversed(tries) if tried.effect.attempt == attempt), None)

    def _task(self, event: TaskRequeued | TaskEnded | TaskReopened, at: float) -> None:
        history = self.history
        if isinstance(event, TaskEnded):
            self._withdraw(event.task, at)
            self._end(self._waits.pop(event.task, None), at)
            return
        if isinstance(event, TaskReopened):
            history.notes[event.task].append(f"Taken up again, as {event.by} asked{_behind(event.note)}.")
            history.steps[event.task].append(Anew())
            return
        if history.tries[event.task]:
            last = history.tries[event.task][-1]
            last.sent_back, last.failure = event.why.value, event.failure
        if event.why not in _SAME_CHANGE:
            history.steps[event.task].append(Anew())
        if event.why is RequeueWhy.WAIT:
            span = Span(task=event.task, kind=Kind.PROVIDER, start=at, label="the provider asked to wait")
            self._waits[event.task] = span
            history.spans.append(span)


def _behind(note: str) -> str:
    return f": {note}" if note else ""


def _kind(effect: Effect) -> tuple[Kind, str]:
    match effect:
        case StartAttempt():
            by = f" by {effect.agent}" if effect.agent else ""
            return _role(effect.role), f"attempt {effect.attempt}, {effect.role}{by}"
        case RunGates():
            where = "on the candidate, as merged" if effect.point is GatePoint.INTEGRATE else f"at {effect.point}"
            return Kind.GATES, f"gates {where}"
        case RunFix():
            return Kind.GATES, f"fix commands of {', '.join(effect.gates)}"
        case RunCanary():
            return Kind.GATES, "setup and every gate on the untouched base"
        case MergeCandidate():
            return Kind.MERGE, "merge"
        case Land():
            return Kind.MERGE, "landing"
        case OpenBranch():
            return Kind.MERGE, "opening the branch"


def _role(role: Role) -> Kind:
    if role in REVIEWERS:
        return Kind.REVIEW
    return Kind.LOOK if role in LOOKERS else Kind.AUTHOR
