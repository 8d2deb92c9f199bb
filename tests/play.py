"""Plays a run on the domain alone: outcomes in, events out. No IO, no tasks, and the clock is a number.

`Play.record` is one turn of the engine's loop without its effects: facts are folded, `settle` concludes, both are
kept in `journal` as a store would keep them. What is in flight is answered by the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from chargehand.domain.decide import settle
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
    DecisionAnswered,
    Event,
    FixFinished,
    GatesFinished,
    LandFinished,
    MergeFinished,
    Recorded,
    RunStarted,
)
from chargehand.domain.evolve import evolve, fold
from chargehand.domain.gating import due_checks
from chargehand.domain.options import AgentDef, Caps, RunOptions
from chargehand.domain.outcome import (
    REVIEWERS,
    AgentExit,
    AttemptResult,
    Candidate,
    Change,
    ChangeKind,
    Conflict,
    ExitKind,
    FaultKind,
    GateResult,
    GateStatus,
    HeadMoved,
    Landed,
    Report,
    ReportStatus,
    Sealed,
    Usage,
)
from chargehand.domain.plan import Command, Files, GatePoint, GateSpec, Plan, Task
from chargehand.domain.policy import Policy
from chargehand.domain.words import Questioned
from tests.looks import passes

BASE = "base"
E = TypeVar("E", bound=Effect)
Answer = AttemptResult | Callable[[StartAttempt], AttemptResult]
UNFITTED: Mapping[str, Any] = {"policy": Policy(fits=0), "caps": Caps(gate_wall_cap_s=0.0)}
"""Options of a run in which nothing is done about a gate that took too long: a person is asked at once."""


# -- plans ----------------------------------------------------------------------------------------


def a_task(name: str, *needs: str, modify: Sequence[str] = (), **fields: Any) -> Task:
    """A task that may change the paths in `modify`; without any, and without `files`, it is unscoped."""
    declared = {"files": Files(modify=tuple(modify))} if modify else {}
    return Task(id=name, title=f"Task {name}", depends_on=needs, **{**declared, **fields})


def a_gate(name: str, *points: GatePoint, **fields: Any) -> GateSpec:
    """A gate at the given points; without points, where gates are by default."""
    on = {"on": frozenset(points)} if points else {}
    return GateSpec(id=name, run=Command(argv=(name,)), **{**on, **fields})


def a_plan(*tasks: Task, gates: Iterable[GateSpec] = (), **fields: Any) -> Plan:
    """A plan of these tasks."""
    return Plan(plan="p", tasks=tasks, gates=tuple(gates), **fields)


# -- outcomes -------------------------------------------------------------------------------------


def tree_of(commit: str) -> str:
    """The tree of a commit that no `Sealed` or `Candidate` names."""
    return f"tree({commit})"


def sealed(effect: StartAttempt, *, content: str = "", paths: Sequence[str] = ("change",), **fields: Any) -> Sealed:
    """What an attempt left: by default one change of its own; without `paths` an unchanged tree."""
    made = f"{effect.task}.{effect.launch}"
    unchanged = not paths
    return Sealed(
        **{
            "base": effect.base,
            "commit": effect.base if unchanged else f"sealed({made})",
            "tree": tree_of(effect.base) if unchanged else f"tree({content or made})",
            "base_tree": tree_of(effect.base),
            "changes": tuple(Change(path=path, kind=ChangeKind.MODIFIED) for path in paths),
            **fields,
        }
    )


def done(
    status: ReportStatus | None = ReportStatus.DONE,
    *,
    changes: Sequence[str] = ("change",),
    content: str = "",
    seal: Mapping[str, Any] | None = None,
    end: AgentExit | None = None,
    usage: Usage | None = None,
    context: Sequence[tuple[str, str]] = (),
    warnings: Sequence[str] = (),
    **report: Any,
) -> Callable[[StartAttempt], AttemptResult]:
    """A result with a report (status None: without one), sealed unless `seal` says otherwise."""

    def result(effect: StartAttempt) -> AttemptResult:
        return AttemptResult(
            exit=end or AgentExit(kind=ExitKind.EXITED, code=0),
            report=None if status is None else Report(status=status, **report),
            report_problem="" if status is not None else "no report was written",
            sealed=sealed(effect, content=content, paths=changes, **(seal or {})),
            usage=usage or Usage(wall_s=1.0),
            context=tuple(context),
            warnings=tuple(warnings),
        )

    return result


def mended(effect: RunFix, *paths: str, **seal: Any) -> Sealed | None:
    """What `fix` commands left of a change."""
    if not paths:
        return None
    return Sealed(
        base=effect.commit,
        commit=f"mended({effect.commit})",
        tree=f"tree(mended({effect.commit}))",
        base_tree=f"tree({effect.commit})",
        changes=tuple(Change(path=path, kind=ChangeKind.MODIFIED) for path in paths),
        **seal,
    )


def ended(kind: ExitKind, **fields: Any) -> AttemptResult:
    """A result that is nothing but an ending: no report, nothing sealed."""
    return AttemptResult(exit=AgentExit(kind=kind, **fields), report_problem="no report was written")


def crashed(code: int = 3) -> Callable[[StartAttempt], AttemptResult]:
    """An agent that died without a report but left a change."""
    return done(None, end=AgentExit(kind=ExitKind.EXITED, code=code))


# -- the player -----------------------------------------------------------------------------------


class Play:
    """One run, driven by hand."""

    def __init__(
        self,
        plan: Plan,
        *,
        now: float = 1000.0,
        agents: Sequence[AgentDef] = (),
        questioned: Sequence[Questioned] = (),
        **options: Any,
    ) -> None:
        agent = AgentDef(name="agent", kind="command")
        self.now = now
        self.start = RunStarted(
            run="r",
            plan=plan,
            options=RunOptions(agent="agent", agents=(agent, *agents), **options),
            base=BASE,
            branch="chargehand/r",
            questioned=tuple(questioned),
        )
        self.journal: list[Recorded] = [Recorded(seq=1, at=now, event=self.start)]
        self.state: Any = fold(self.journal)  # a RunState; tests read through its optional parts
        self.branch: str | None = None

    # -- the loop -----------------------------------------------------------------------------

    def record(self, *facts: Event) -> list[Any]:
        """One turn: facts, then conclusions; answers with the conclusions."""
        for fact in facts:
            self._store(fact)
            evolve(self.state, fact, self.now)
        before = len(self.journal)
        for event in settle(self.state, self.now):
            self._store(event)
        return [recorded.event for recorded in self.journal[before:]]

    def _store(self, event: Event) -> None:
        self.journal.append(Recorded(seq=len(self.journal) + 1, at=self.now, event=event))
        self.state.seq = len(self.journal)

    def pass_time(self, seconds: float) -> list[Any]:
        """Let the clock go on and look again."""
        self.now += seconds
        return self.record()

    # -- looking ------------------------------------------------------------------------------

    def task(self, task: str) -> Any:
        return self.state.tasks[task]

    @property
    def events(self) -> list[Any]:
        """The whole journal."""
        return [recorded.event for recorded in self.journal]

    def asked(self) -> Any:
        """The one open question."""
        (only,) = self.state.decisions.values()
        return only

    @property
    def running(self) -> list[str]:
        """The tasks with a live attempt, in the order of their start."""
        return [effect.task for effect in self.state.inflight.values() if isinstance(effect, StartAttempt)]

    def effect(self, kind: type[E], task: str = "") -> E:
        """The effect of that kind in flight for a task."""
        found = [e for e in self.state.inflight.values() if isinstance(e, kind) and getattr(e, "task", "") == task]
        assert len(found) == 1, f"{kind.__name__} of {task!r} in flight: {found}; all: {list(self.state.inflight)}"
        return found[0]

    # -- outcomes -----------------------------------------------------------------------------

    def begin(self, *results: GateResult) -> list[Any]:
        """Open the branch and pass the canary; `results` are its gates that were not green."""
        self.record()
        self.opened()
        return self.canary(*results)

    def opened(self, head: str | None = None) -> list[Any]:
        """The branch is open, at its base unless it stands elsewhere."""
        effect = self.effect(OpenBranch)
        self.branch = head or effect.base
        return self.record(BranchOpened(key=effect.key, head=self.branch, tree=tree_of(self.branch)))

    def canary(self, *results: GateResult) -> list[Any]:
        """The canary is through; gates not named are green."""
        effect = self.effect(RunCanary)
        named = {result.gate for result in results}
        green = [gate.id for gate in self.state.plan.gates if gate.id not in named]
        ran = (*results, *(passed(gate, self.state.base_tree) for gate in green))
        return self.record(CanaryFinished(key=effect.key, results=ran))

    def attempt(self, task: str, answer: Answer | None = None) -> list[Any]:
        """The live attempt of a task ends; without an answer it is done, with a change."""
        effect = self.effect(StartAttempt, task)
        answer = answer or done()
        result = answer if isinstance(answer, AttemptResult) else answer(effect)
        return self.record(AttemptFinished(key=effect.key, task=task, attempt=effect.attempt, result=result))

    def checks(self, effect: RunGates) -> list[str]:
        """The ids of the checks a job runs, in order."""
        task = self.state.tasks[effect.task].task if effect.verify else None
        others = [self.state.tasks[name].task for name in effect.beside]
        return list(due_checks(self.state.plan, effect.point, task, others))

    def gates(self, task: str = "", *red: GateResult | str) -> list[Any]:
        """The gates in flight for a task (or for the wave or run) end; those not named are green."""
        effect = self.effect(RunGates, task)
        results: list[GateResult] = []
        named = {r if isinstance(r, str) else r.gate: r for r in red}
        for check in [*(name for name in named if name not in self.checks(effect)), *self.checks(effect)]:
            result = named.get(check) or passed(check, effect.tree)
            result = failed(check) if isinstance(result, str) else result
            results.append(replace(result, tree=effect.tree))
        return self.record(
            GatesFinished(
                key=effect.key,
                task=task,
                attempt=effect.attempt,
                point=effect.point,
                commit=effect.commit,
                results=tuple(results),
            )
        )

    def mend(self, task: str, *paths: str, **seal: Any) -> list[Any]:
        """The `fix` commands in flight for a task end; without `paths` they mended nothing."""
        effect = self.effect(RunFix, task)
        sealed = mended(effect, *paths, **seal)
        return self.record(
            FixFinished(key=effect.key, task=task, attempt=effect.attempt, gates=effect.gates, sealed=sealed)
        )

    def merge(self, task: str, conflict: Sequence[str] = (), tree: str = "") -> list[Any]:
        """The candidate of a task is built (with a tree of its own, unless told), or does not merge."""
        effect = self.effect(MergeCandidate, task)
        result: Candidate | Conflict
        if conflict:
            result = Conflict(head=effect.head, paths=tuple(conflict), detail="both sides")
        else:
            commit = f"merge({effect.head},{effect.commit})"
            result = Candidate(commit=commit, tree=tree or tree_of(commit), head=effect.head)
        return self.record(MergeFinished(key=effect.key, task=task, attempt=effect.attempt, result=result))

    def land(self, task: str, *, moved: str | None = "", **_: Any) -> list[Any]:
        """The branch moves to the candidate; `moved` names where somebody else put it (None: it is gone)."""
        effect = self.effect(Land, task)
        result: Landed | HeadMoved
        if moved == "":
            result, self.branch = Landed(commit=effect.commit), effect.commit
        else:
            result, self.branch = HeadMoved(actual=moved), moved
        return self.record(LandFinished(key=effect.key, task=task, attempt=effect.attempt, result=result))

    def integrate(self, task: str) -> list[Any]:
        """Whatever is left between the end of an attempt and the branch goes well; reviewers are content."""
        steps: dict[type[Effect], Callable[[str], list[Event]]] = {
            StartAttempt: lambda name: self.attempt(name, passes()),
            RunGates: self.gates,
            MergeCandidate: self.merge,
            Land: self.land,
        }
        events: list[Event] = []
        while key := self.task(task).inflight:
            effect = self.state.inflight[key]
            if isinstance(effect, StartAttempt) and effect.role not in REVIEWERS:
                break
            events += steps[type(effect)](task)
        return events

    def through(self, *tasks: str) -> None:
        """The live attempts of these tasks are done and land, one after the other."""
        for task in tasks:
            self.attempt(task)
            self.integrate(task)

    def answer(self, choice: str, decision: str = "", **fields: Any) -> list[Any]:
        """A human answers the one open question, or the one that is named."""
        return self.record(DecisionAnswered(id=decision or self.asked().id, choice=choice, by="me", **fields))


# -- gate results ---------------------------------------------------------------------------------


def passed(gate: str, tree: str = "") -> GateResult:
    """A green gate."""
    return GateResult(gate=gate, tree=tree, status=GateStatus.PASS, exit_code=0)


def failed(gate: str, *tests: str, tail: str = "", **fields: Any) -> GateResult:
    """A red gate; `tests` are ids of failing tests, none named means there are no ids to read."""
    return GateResult(
        gate=gate,
        tree="",
        status=GateStatus.FAIL,
        exit_code=1,
        failed_tests=tests or None,
        tail=tail or f"{gate} is red",
        **fields,
    )


def faulty(gate: str, kind: FaultKind = FaultKind.TIMEOUT) -> GateResult:
    """A gate that could not judge."""
    return GateResult(gate=gate, tree="", status=GateStatus.FAULT, fault=kind, detail="no verdict")
