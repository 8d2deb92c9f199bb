"""Random plans, and a world that answers every effect in every way it can come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from hypothesis import strategies as st

from chargehand.domain import graph
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
    AttemptFinished,
    BranchOpened,
    CanaryFinished,
    Event,
    FixFinished,
    GatesFinished,
    LandFinished,
    MergeFinished,
)
from chargehand.domain.line import RestorationOutcome
from chargehand.domain.options import AgentDef, Caps
from chargehand.domain.outcome import (
    REVIEWERS,
    AgentExit,
    AttemptResult,
    Blocker,
    BlockerKind,
    Candidate,
    Concern,
    ConcernKind,
    Conflict,
    ExitKind,
    FaultKind,
    GateResult,
    GateStatus,
    HeadMoved,
    Kickback,
    KickbackSignal,
    Landed,
    ReportStatus,
    Role,
    Usage,
)
from chargehand.domain.plan import (
    Barrier,
    Command,
    Complexity,
    Features,
    Files,
    GatePoint,
    GateSpec,
    Interfaces,
    Mode,
    Plan,
    Scope,
    Task,
    TaskType,
    Weight,
)
from chargehand.domain.policy import HOUSE, Policy
from chargehand.domain.review import Finding, Severity
from chargehand.domain.words import Questioned
from tests.invariants import Watch
from tests.looks import a_finding, broke_rules, fails, fitted, no_verdict, not_met, passes, researched
from tests.play import Answer, Play, done, ended, mended, tree_of

T = TypeVar("T")
Draw = Callable[[Sequence[Any]], Any]
"""Picks one of several things; the choice is Hypothesis's."""

STATUS = ReportStatus
NOT_AN_ATTEMPT = ("lost", "cancelled", "rate", "down")


class Mood(StrEnum):
    """What goes wrong most in a run."""

    ANYTHING = "anything"
    FUSSY = "fussy"  # reviewers
    FAULTY = "faulty"  # gates that cannot judge


# -- plans ------------------------------------------------------------------------------------------

PATTERNS = ("a.py", "b.py", "src/*.py", "src/x.py", "docs")
SIGNATURES = ("f(x: int)", "f(x: str)", "g()")
GATES = (
    GateSpec(
        id="lint",
        run=Command(argv=("lint",)),
        on=frozenset({GatePoint.TASK, GatePoint.RUN}),
        idle_s=60.0,
        fix=Command(argv=("lint", "--fix")),
    ),
    GateSpec(id="tests", run=Command(argv=("tests",)), junit=True),
    GateSpec(id="wave", run=Command(argv=("wave",)), on=frozenset({GatePoint.WAVE})),
)


@st.composite
def plans(draw: Any) -> Plan:
    """One to twelve tasks with everything that changes how they are scheduled."""
    size = draw(st.integers(1, 12))
    barrier = draw(st.sampled_from(Barrier))
    needs: dict[str, list[str]] = {}
    for number in range(size):
        earlier = st.sampled_from(sorted(needs)) if needs else st.nothing()
        needs[f"t{number}"] = draw(st.lists(earlier, max_size=min(3, number), unique=True))
    declared = {name: draw(st.none() | st.integers(1, 4)) for name in needs}
    legal = graph.waves(needs, declared, strict=barrier is Barrier.WAVE)
    waves = {name: legal[name] if declared[name] else None for name in needs}
    order = draw(st.permutations(sorted(needs)))
    groups = draw(st.sampled_from([(None,), (None, None, "g"), ("g", "h"), ("g",)]))
    tasks = tuple(_task(draw, name, tuple(needs[name]), waves[name], draw(st.sampled_from(groups))) for name in order)
    gates = tuple(gate for gate in GATES if draw(st.booleans()))
    allowed = draw(st.sampled_from([(), ("tests",)]))
    features = Features(holistic=draw(st.booleans()))
    inferred = tuple(name for name in order if needs[name] and draw(st.booleans()))
    return Plan(
        plan="p", tasks=tasks, barrier=barrier, gates=gates, allow_red=allowed, features=features, inferred=inferred
    )


def _task(draw: Any, name: str, needs: tuple[str, ...], wave: int | None, group: str | None) -> Task:
    rare = st.integers(0, 11).map(lambda n: n == 7)
    files = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2, unique=True)
    signatures = st.lists(st.sampled_from(SIGNATURES), max_size=1).map(tuple)
    return Task(
        id=name,
        title=name,
        depends_on=needs,
        wave=wave,
        files=draw(st.none() | files.map(lambda paths: Files(modify=tuple(paths)))),
        scope=draw(st.sampled_from(Scope)),
        mode=Mode.SEQUENTIAL if draw(rare) else Mode.PARALLEL,
        needs_human=draw(rare),
        allow_empty=draw(rare),
        agent=draw(st.none() | st.just("slow")),
        verify=(Command(argv=("verify",)),) if draw(st.booleans()) else (),
        acceptance=("it works",) if draw(st.booleans()) else (),
        weight=draw(st.sampled_from(Weight)),
        complexity=draw(st.sampled_from(Complexity)),
        type=TaskType.TDD if draw(rare) else TaskType.EXECUTE,
        reviewer=draw(st.none() | st.just("slow")),
        interfaces=Interfaces(consumes=draw(signatures), produces=draw(signatures)),
        group=group,
    )


RETRIED = Policy(review_fixes=0, review_retries=True, fresh_reviewers=0)
"""A review that is not content, or spoiled, is a failure of the task."""


@st.composite
def runs(draw: Any, *, unattended: bool | None = None) -> Simulation:
    """A run that has not begun."""
    plan = draw(plans())
    caps = draw(
        st.sampled_from([Caps(), Caps(task_attempts=3), Caps(run_tokens=40), Caps(task_usd=1.0), Caps(run_wall_s=3000)])
    )
    names = [task.id for task in plan.tasks]
    only = draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) if draw(st.booleans()) else []
    return Simulation(
        plan,
        agents=(
            AgentDef(name="slow", kind="command", jobs=1),
            AgentDef(name="other", kind="command", jobs=1, fallback="slow"),
        ),
        jobs=draw(st.integers(1, 4)),
        unattended=draw(st.booleans()) if unattended is None else unattended,
        only=tuple(only),
        caps=caps,
        review=draw(st.booleans()),
        mood=draw(st.sampled_from(Mood)),
        reviewer=draw(st.sampled_from([None, "slow", "other"])),
        policy=draw(st.sampled_from([HOUSE, RETRIED])),
        questioned=_questioned(draw, names),
    )


def _questioned(draw: Any, names: list[str]) -> tuple[Questioned, ...]:
    """In half of the runs, up to two commands of tasks and gates that want a yes."""
    places = st.tuples(st.sampled_from(["", *names]), st.sampled_from("xy"))
    found = draw(st.lists(places, max_size=2)) if draw(st.booleans()) else []
    return tuple(Questioned(task=task, where=task or "a gate", command=text, why="does things") for task, text in found)


# -- outcomes -----------------------------------------------------------------------------------------


def exits(kind: ExitKind, **fields: Any) -> Any:
    return done(None, end=AgentExit(kind=kind, **fields))


def kickback(signal: KickbackSignal) -> Any:
    return done(STATUS.KICKBACK, kickback=Kickback(signal=signal))


def blocked(kind: BlockerKind) -> Any:
    return done(STATUS.BLOCKED, blocker=Blocker(text=kind, kind=kind), context=[("b", "")], changes=[])


def concerned(kind: ConcernKind, path: str) -> Any:
    return done(STATUS.DONE_WITH_CONCERNS, concerns=(Concern(text=kind, kind=kind),), changes=[path])


ATTEMPTS: dict[str, Callable[[Draw, str], Answer]] = {
    "done": lambda draw, path: done(changes=[path], interfaces=(draw(SIGNATURES),), usage=Usage(tokens=1, usd=0.1)),
    "wide": lambda draw, path: done(changes=[path, path if path != "any.py" else draw(("beside.py", "x.py"))]),
    "same": lambda draw, path: done(changes=[path], content="same"),
    "silent": lambda draw, path: done(None, changes=[path]),
    "stray": lambda draw, path: done(changes=[path, "stray.py"]),
    "nothing": lambda draw, path: done(changes=[]),
    "failed": lambda draw, path: done(STATUS.FAILED, summary=draw(("one", "two")), changes=[path]),
    "crash": lambda draw, path: exits(ExitKind.EXITED, code=draw((1, 2))),
    "bad seal": lambda draw, path: AttemptResult(exit=AgentExit(kind=ExitKind.EXITED, code=0), seal_problem="disk"),
    "rewritten": lambda draw, path: done(changes=[path], seal={"base_is_ancestor": False}),
    "timeout": lambda draw, path: exits(draw((ExitKind.TIMEOUT, ExitKind.STALL))),
    "no agent": lambda draw, path: ended(draw((ExitKind.ENV_MISSING, ExitKind.OVER_BUDGET))),
    "context": lambda draw, path: done(STATUS.NEEDS_CONTEXT, context=[(draw("xyz"), "")], changes=[]),
    "no context": lambda draw, path: done(STATUS.NEEDS_CONTEXT, changes=[]),
    "blocked": lambda draw, path: blocked(draw(tuple(BlockerKind))),
    "kickback": lambda draw, path: kickback(draw(tuple(KickbackSignal))),
    "concerns": lambda draw, path: concerned(draw(tuple(ConcernKind)), path),
    "config": lambda draw, path: done(changes=[path], seal={"config_changed": ("hooks",)}),
    "lost": lambda draw, path: ended(ExitKind.LOST),
    "cancelled": lambda draw, path: exits(ExitKind.CANCELLED),
    "rate": lambda draw, path: ended(ExitKind.RATE_LIMITED),
    "down": lambda draw, path: exits(ExitKind.PROVIDER_DOWN, retry_at=draw((0.0, 1e12))),
}
GOOD = ("done",) * 90


# -- those who only look ----------------------------------------------------------------------------


def found(draw: Draw, effect: StartAttempt, run: Simulation) -> Finding:
    """Something that is not good enough, in the change or beside it."""
    whole = run.state.whole if not effect.task else None
    paths = ("beside.py",) if whole else (*run.state.tasks[effect.task].files_changed[:2], "beside.py")
    severity = draw((Severity.CRITICAL, Severity.MAJOR))
    return a_finding(draw(("f1", "f2", "f3")), severity, draw(paths), claim=draw(("x", "y")))


def again(draw: Draw, effect: StartAttempt, run: Simulation) -> tuple[Finding, ...]:
    """What a later round says of what is frozen: resolved or not, or nothing."""
    reviews = run.state.tasks[effect.task].reviews if effect.task else run.state.whole.reviews
    said = (True, True, False, None)
    return tuple(a_finding(each.id, each.severity, each.file, resolved=draw(said)) for each in reviews.open)


LOOKS: dict[str, Callable[[Draw, StartAttempt, Simulation], AttemptResult]] = {
    "finding": lambda draw, effect, run: fails(found(draw, effect, run)),
    "findings": lambda draw, effect, run: fails(found(draw, effect, run), *again(draw, effect, run)),
    "not resolved": lambda draw, effect, run: fails(*again(draw, effect, run)),
    "resolved": lambda draw, effect, run: passes(*again(draw, effect, run)),
    "criterion": lambda draw, effect, run: fails(criteria=(not_met(draw(("it works", "made up"))),)),
    "minor": lambda draw, effect, run: passes(a_finding("f9", draw((Severity.MINOR, Severity.NOTE)))),
    "nowhere": lambda draw, effect, run: draw((passes, fails))(a_finding("f8"), nowhere=("f8",)),
    "no ground": lambda draw, effect, run: fails(),
    "contradiction": lambda draw, effect, run: passes(found(draw, effect, run)),
    "broken": lambda draw, effect, run: no_verdict(draw(("It is no JSON.", ""))),
    "no agent": lambda draw, effect, run: no_verdict("", draw((ExitKind.ENV_MISSING, ExitKind.OVER_BUDGET))),
    "late": lambda draw, effect, run: no_verdict("", draw((ExitKind.TIMEOUT, ExitKind.STALL))),
    "touches": lambda draw, effect, run: broke_rules(),
    "lost": lambda draw, effect, run: ended(ExitKind.LOST),
    "cancelled": lambda draw, effect, run: ended(ExitKind.CANCELLED),
    "rate": lambda draw, effect, run: ended(ExitKind.RATE_LIMITED),
    "down": lambda draw, effect, run: ended(ExitKind.PROVIDER_DOWN, retry_at=draw((0.0, 1e12))),
}
PASSES = ("pass",) * 45
FUSSY = ("finding", "findings", "criterion", "resolved", "resolved", "pass")

FITS: dict[str, Callable[[Draw, StartAttempt], AttemptResult]] = {
    "more": lambda draw, effect: fitted(effect.gate, wall_s=draw((100.0, 200.0, 3000.0))),
    "env": lambda draw, effect: fitted(effect.gate, env=((draw(("SLOW_TIMEOUT", "PATH")), draw("12")),)),
    "argv": lambda draw, effect: fitted(effect.gate, argv=(effect.gate, draw(("-p", "-k")))),
    "nothing": lambda draw, effect: fitted(effect.gate),
    "other": lambda draw, effect: fitted("another", wall_s=10.0),
    "yellow": lambda draw, effect: fitted(effect.gate, RestorationOutcome.YELLOW),
    "red": lambda draw, effect: fitted(effect.gate, RestorationOutcome.RED),
    "silent": lambda draw, effect: no_verdict(),
    "lost": lambda draw, effect: ended(ExitKind.LOST),
    "rate": lambda draw, effect: ended(ExitKind.RATE_LIMITED),
}


_ENDINGS = {
    "lost": ExitKind.LOST,
    "cancelled": ExitKind.CANCELLED,
    "rate": ExitKind.RATE_LIMITED,
    "down": ExitKind.PROVIDER_DOWN,
}


class Simulation(Play):
    """A run whose effects come out in every way; patience bounds what no bound of the run does."""

    def __init__(self, plan: Plan, *, mood: Mood = Mood.ANYTHING, **options: Any) -> None:
        super().__init__(plan, **options)
        self.mood = mood
        self.watch = Watch(self.journal[0])
        self.turns: list[tuple[float, tuple[Event, ...]]] = []
        self.patience = 15
        self.moves = 0

    def record(self, *facts: Event) -> list[Any]:
        """One turn, with every invariant checked after it."""
        self.turns.append((self.now, facts))
        events = super().record(*facts)
        self.watch.check(self.state, self.journal, self.now)
        return events

    def finish(self, effect: Effect, draw: Draw) -> None:
        """An effect comes to some outcome."""
        self.record(self.outcome(effect, draw))

    def outcome(self, effect: Effect, draw: Draw) -> Event:
        """Some outcome of an effect."""
        match effect:
            case OpenBranch():
                self.branch = self.branch or effect.base
                return BranchOpened(key=effect.key, head=self.branch, tree=tree_of(self.branch))
            case RunCanary():
                ran = tuple(self._judged(gate.id, tree_of(effect.commit), draw) for gate in self.state.plan.gates)
                return CanaryFinished(key=effect.key, results=ran)
            case StartAttempt():
                result = self._attempted(effect, draw)
                return AttemptFinished(key=effect.key, task=effect.task, attempt=effect.attempt, result=result)
            case RunGates():
                return self._gated(effect, draw)
            case RunFix():
                paths = draw(((), effect.paths[:1], effect.paths))
                return FixFinished(
                    key=effect.key,
                    task=effect.task,
                    attempt=effect.attempt,
                    gates=effect.gates,
                    sealed=mended(effect, *paths),
                )
            case MergeCandidate():
                return self._merged(effect, draw)
            case Land():
                return self._landed(effect, draw)

    def _attempted(self, effect: StartAttempt, draw: Draw) -> AttemptResult:
        if effect.role in REVIEWERS:
            content = PASSES if self.mood is not Mood.FUSSY else ("pass", *FUSSY * 4)
            name = self._patiently(draw((*content, *LOOKS)), "pass")
            return passes() if name == "pass" else LOOKS[name](draw, effect, self)
        if effect.role is Role.FITTER:
            return FITS[self._patiently(draw((*FITS, "more", "more")), "more")](draw, effect)
        if effect.role is Role.RESEARCHER:
            name = self._patiently(draw(("found", "nothing", *NOT_AN_ATTEMPT)), "found")
            return ended(_ENDINGS[name]) if name in _ENDINGS else researched("x" if name == "found" else "")
        files = self.state.tasks[effect.task].task.files
        path = files.modify[0].replace("*", "y") if files else "any.py"
        good = GOOD if self.mood is Mood.ANYTHING else ("done", "wide") * 300
        answer = ATTEMPTS[self._patiently(draw((*good, *ATTEMPTS)), "done")](draw, path)
        return answer if isinstance(answer, AttemptResult) else answer(effect)

    def _patiently(self, name: str, instead: str) -> str:
        """What is no attempt does not come for ever."""
        self.patience -= name in NOT_AN_ATTEMPT
        return name if self.patience > 0 or name not in NOT_AN_ATTEMPT else instead

    def _gated(self, effect: RunGates, draw: Draw) -> Event:
        results = []
        for check in self.checks(effect):
            tree = draw((*[effect.tree] * 60, "another tree"))
            results.append(self._judged(check, tree, draw))
            if results[-1].status is GateStatus.FAIL and draw((False, True)):
                break
        return GatesFinished(
            key=effect.key,
            task=effect.task,
            attempt=effect.attempt,
            point=effect.point,
            commit=effect.commit,
            results=tuple(results),
        )

    def _judged(self, gate: str, tree: str, draw: Draw) -> GateResult:
        fine, red, faulty = {Mood.ANYTHING: (50, 9, 1), Mood.FUSSY: (100, 1, 1), Mood.FAULTY: (12, 1, 12)}[self.mood]
        weighed = (*[GateStatus.PASS] * fine, *[GateStatus.FAIL] * red, *[GateStatus.FAULT] * faulty)
        status = draw(weighed) if self.state.canary is not None or self.mood is not Mood.FAULTY else GateStatus.PASS
        if status is GateStatus.PASS:
            return GateResult(gate=gate, tree=tree, status=status)
        failing = draw((None, ("t1",), ("t1", "t2"))) if status is GateStatus.FAIL else None
        fault = draw(tuple(FaultKind)) if status is GateStatus.FAULT else None
        return GateResult(gate=gate, tree=tree, status=status, fault=fault, failed_tests=failing, tail=draw("uvw"))

    def _merged(self, effect: MergeCandidate, draw: Draw) -> Event:
        result: Candidate | Conflict
        if draw((*[False] * 9, True)):
            result = Conflict(head=effect.head, paths=("a.py",))
        else:
            commit = f"m{len(self.journal)}({effect.commit})"
            sealed = self.state.tasks[effect.task].sealed
            tree = draw((tree_of(commit), sealed.tree))
            result = Candidate(commit=commit, tree=tree, head=effect.head)
        return MergeFinished(key=effect.key, task=effect.task, attempt=effect.attempt, result=result)

    def _landed(self, effect: Land, draw: Draw) -> Event:
        result: Landed | HeadMoved
        if self.branch != effect.head:
            result = HeadMoved(actual=self.branch)
        else:
            result, self.branch = Landed(commit=effect.commit), effect.commit
        return LandFinished(key=effect.key, task=effect.task, attempt=effect.attempt, result=result)

    def move_branch(self, draw: Draw) -> None:
        """Somebody else moves the branch, or removes it."""
        self.moves += 1
        self.branch = draw((f"foreign{self.moves}", None))

    def replayed(self) -> Play:
        """The same outcomes in the same order, from the start."""
        again = Play(self.start.plan)
        again.start, again.journal = self.start, self.journal[:1]
        from chargehand.domain.evolve import fold

        again.state = fold(again.journal)
        for now, facts in self.turns:
            again.now = now
            again.record(*facts)
        return again
