"""A world in memory that outlives its processes: contents, a branch, agents that are started and may be forgotten.

What stays when a process dies is in `World`: commits with real contents, refs, attempts (live, or ended with a
result that nobody has recorded). The ports of a process are made anew for each. They are harder than the shipped
fakes: an attempt takes time, merging is by content and may conflict, gates judge what is in a tree, every effect has
to find its intent in the journal [I5], and a `Director` decides in which order things come out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import EffectIntended, Event
from chargehand.domain.options import Caps
from chargehand.domain.outcome import (
    LOOKERS,
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
    LandResult,
    MergeResult,
    Report,
    ReportStatus,
    Role,
    Sealed,
    Usage,
)
from chargehand.ports import AttemptSpec, Check, FixJob, GateJob, LandJob, MergeJob, Opened, Recovered
from chargehand.testing.fakes import FakeClock, object_id
from tests.looks import fitted, passes

__all__ = ["BASE", "BRANCH", "RUN", "Act", "Director", "Memory", "ModelFleet", "ModelGates", "ModelIntegrator", "World"]

RUN = "r"
BRANCH = f"chargehand/{RUN}"
BASE = object_id("base")
DONE = Report(status=ReportStatus.DONE)
TICKS = 12
"""Turns of the event loop after which all that follows from an outcome has been asked for; three were seen to do."""
EXITED = AgentExit(kind=ExitKind.EXITED, code=0)

Tree = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What an agent does in one attempt: files it writes, lines it adds to sorted lists, and what it says.

    The lists are sorted so that the result does not depend on who came first; two who add to one at the same time
    conflict all the same. `error` is what the fleet raises instead.
    """

    write: Tree = field(default_factory=dict)
    lines: Tree = field(default_factory=dict)
    report: Report | None = DONE
    exit: AgentExit = EXITED
    error: str = ""


class Memory(StrEnum):
    """What a fleet still knows of attempts when the process that started them has died."""

    NOTHING = "nothing"  # local processes: gone with their parent
    ENDED = "ended"  # those that had come to their end
    ALL = "all"  # they went on, and came to their end unseen


class Director:
    """Lets effects come out one at a time, in the order of a script; what the script does not know comes by task.

    With it two runs have the same outcomes in the same order, however often one of them was killed.
    """

    def __init__(self, script: Sequence[str] = ()) -> None:
        self.script = {name: place for place, name in enumerate(script)}
        self.released: list[str] = []
        self._last: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._arrived = asyncio.Event()

    async def turn(self, name: str) -> None:
        """Wait for one's turn."""
        self._waiting[name] = asyncio.get_running_loop().create_future()
        self._arrived.set()
        try:
            await self._waiting[name]
        finally:
            self._waiting.pop(name, None)

    def release(self, name: str) -> None:
        """It is the turn of this one, whatever the script says."""
        waiting = self._waiting.pop(name, None)
        if waiting is not None and not waiting.done():
            self.released.append(name)
            waiting.set_result(None)

    async def direct(self, look: Callable[[], bool], idle: Callable[[], bool]) -> None:
        """Give turns until cancelled.

        `look` is called before each, `idle` where nothing waits for one; True says that they made something happen.
        """
        while True:
            for _ in range(TICKS):  # until all that follows from the last turn is under way
                await asyncio.sleep(0)
            if look():
                continue
            if self._waiting:
                self._give()
            elif not idle():
                self._arrived.clear()
                await self._arrived.wait()

    def _give(self) -> None:
        name = min(self._waiting, key=self._place)
        self._last[name.partition("/")[0]] = self._place(name)[0]
        self.release(name)

    def _place(self, name: str) -> tuple[float, str]:
        task = name.partition("/")[0]
        return (float(self.script.get(name, self._last.get(task, len(self.script)))), name)


@dataclass
class World:
    """What stays when a process dies. `acts` says what comes of a task, attempt by attempt (last: all later).

    An attempt of those who only look is a result as it is; where there is none, reviewers are content and fitters help.
    A look at the whole run is the task `run`.

    `eager`: effects happen at once and are only told later; else they happen when their turn comes.
    """

    acts: Mapping[str, Sequence[Act | AttemptResult]]
    journal: Any = None
    memory: Memory = Memory.NOTHING
    eager: bool = False
    clock: FakeClock = field(default_factory=FakeClock)
    director: Director = field(default_factory=Director)
    trees: dict[str, Tree] = field(default_factory=lambda: {BASE: {"README.md": "A project.\n"}})
    parents: dict[str, tuple[str, ...]] = field(default_factory=lambda: {BASE: ()})
    tasks: dict[str, str] = field(default_factory=dict)  # merge commit -> task
    refs: dict[str, str] = field(default_factory=dict)
    live: dict[str, AttemptSpec] = field(default_factory=dict)
    ended: dict[str, AttemptResult | AdapterError] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    running: set[str] = field(default_factory=set)  # gate jobs

    def tree_id(self, commit: str) -> str:
        """The name of a content."""
        return object_id("tree", *sorted(self.trees[commit].items()))

    def store(self, tree: Tree, *parents: str, about: str) -> str:
        """A commit."""
        commit = object_id("commit", *parents, about, *sorted(tree.items()))
        self.trees[commit], self.parents[commit] = dict(tree), parents
        return commit

    def landed(self) -> list[str]:
        """The tasks on the branch by first parent, oldest first."""
        found: list[str] = []
        commit = self.refs[BRANCH]
        while commit != BASE:
            found.append(self.tasks[commit])
            commit = self.parents[commit][0]
        return found[::-1]

    def must_be_intended(self, matches: Callable[[Effect], bool]) -> None:
        """I5: the intent of what is being done is durable, and has no outcome yet."""
        open_: dict[str, Effect] = {}
        for recorded in self.journal.records:
            event: Event = recorded.event
            if isinstance(event, EffectIntended):
                open_[event.effect.key] = event.effect
            else:
                open_.pop(getattr(event, "key", ""), None)
        assert any(matches(effect) for effect in open_.values()), f"an effect without an intent; open: {list(open_)}"

    def die(self) -> None:
        """Everything that was of the process goes with it."""
        self.running.clear()
        if self.memory is Memory.ALL:
            for spec in list(self.live.values()):
                with suppress(AdapterError):
                    self.end(spec)

    # -- attempts -----------------------------------------------------------------------------

    def end(self, spec: AttemptSpec) -> AttemptResult:
        """The attempt comes to its end, once."""
        if spec.key not in self.ended:
            self.ended[spec.key] = self._result(spec)
            self.live.pop(spec.key, None)
        result = self.ended[spec.key]
        if isinstance(result, AdapterError):
            raise result
        return result

    def _result(self, spec: AttemptSpec) -> AttemptResult | AdapterError:
        if spec.role in LOOKERS:
            return self._looked(spec)
        acts = self.acts.get(spec.task) or (Act(write=dict.fromkeys(literals(spec), f"{spec.task}\n")),)
        act = [each for each in acts[: spec.attempt] if isinstance(each, Act)][-1]
        if act.error:
            return AdapterError("fleet", act.error)
        before = self.trees[spec.base]
        added = {path: sorted_lines(before.get(path, ""), line) for path, line in act.lines.items()}
        tree = {**before, **act.write, **added}
        changed = sorted(path for path in tree if tree[path] != before.get(path))
        commit = spec.base
        if changed:
            commit = self.store(tree, spec.base, about=f"{spec.task}/{spec.attempt}")
            self.refs[spec.ref] = commit
        return AttemptResult(
            exit=act.exit,
            report=act.report,
            report_problem="" if act.report else "The agent wrote no report.",
            sealed=Sealed(
                base=spec.base,
                commit=commit,
                tree=self.tree_id(commit),
                base_tree=self.tree_id(spec.base),
                changes=tuple(Change(path=path, kind=ChangeKind.MODIFIED) for path in changed),
                present=tuple(path for path in spec.declared if path in tree),
            ),
            usage=Usage(wall_s=1.0),
        )

    def _looked(self, spec: AttemptSpec) -> AttemptResult:
        """I7: who looks is shown what is named, and nothing of it is kept."""
        assert self.tree_id(spec.commit) == spec.tree, "somebody is told another tree than they get"
        acts = self.acts.get(spec.task, ())
        act = acts[spec.attempt - 1] if spec.attempt <= len(acts) else None
        if isinstance(act, AttemptResult):
            return act
        return fitted(spec.gate, env=(("STUCK_JOBS", "1"),)) if spec.role is Role.FITTER else passes()


def literals(spec: AttemptSpec) -> list[str]:
    """The declared paths that are no patterns; of a task without any, one of its name."""
    return [path for path in spec.declared if not set(path) & set("*?[")] or [f"{spec.task}.txt"]


def sorted_lines(text: str, line: str) -> str:
    """A list with one more line in it."""
    return "".join(sorted({*text.splitlines(keepends=True), f"{line}\n"}))


# -- the ports of a process -----------------------------------------------------------------------


class ModelFleet:
    """Implements `ports.Fleet`: knows the attempts of its own process, and of others what the world remembers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._own: dict[str, AttemptSpec] = {}
        self._cancelled: set[str] = set()

    async def submit(self, spec: AttemptSpec) -> None:
        """Start it."""
        world = self._world
        if spec.key in self._own:
            return
        world.must_be_intended(lambda effect: isinstance(effect, StartAttempt) and effect.key == spec.key)
        assert spec.key not in world.started, f"{spec.key} was started twice"
        self._own[spec.key] = world.live[spec.key] = spec
        world.started.append(spec.key)
        if world.eager:
            with suppress(AdapterError):
                world.end(spec)

    async def wait(self, key: str) -> AttemptResult:
        """How it ended."""
        spec = self._own[key]
        await self._world.director.turn(_name(spec))
        if key in self._cancelled:
            return AttemptResult(exit=AgentExit(kind=ExitKind.CANCELLED))
        return self._world.end(spec)

    async def cancel(self, key: str, *, now: bool = False) -> None:
        """End it."""
        self._cancel(key)

    async def close(self) -> None:
        """End every attempt."""
        self.end_all()

    def end_all(self) -> None:
        """End every attempt, as the end of the program does."""
        for key in list(self._own):
            self._cancel(key)

    def _cancel(self, key: str) -> None:
        if key in self._own and key in self._world.live:
            self._cancelled.add(key)
            del self._world.live[key]
            self._world.director.release(_name(self._own[key]))

    def listen(self, asked: Callable[[Event], None]) -> None:
        """Its attempts ask nothing."""

    def rule(self, call: str, *, allow: bool, text: str) -> None:
        """No call is held."""

    async def recover(self, run: str, keys: Collection[str]) -> Recovered:
        """What still runs is ended; of what had ended, the world may know the result."""
        world = self._world
        gone = list(world.live)
        world.live.clear()
        found = {key: world.ended[key] for key in keys if key in world.ended and world.memory is not Memory.NOTHING}
        return Recovered(
            results={key: end for key, end in found.items() if isinstance(end, AttemptResult)},
            told=tuple(f"{key} was ended." for key in gone),
        )


def _name(spec: AttemptSpec) -> str:
    """Without the number of the launch: started again after a crash, it is the same attempt."""
    return f"{spec.task}/{spec.attempt}/attempt"


class ModelGates:
    """Implements `ports.Gates`: a gate is red where a file of the tree says `red:<gate>`; its run takes time.

    Where one says `slow:<gate>` the gate needs more time than it has by default, where `stuck:<gate>` it needs the
    variable `STUCK_JOBS`. A `fix` makes red things good in the files it is given.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, job: GateJob) -> tuple[GateResult, ...]:
        """One result per check; the first red one ends a job with `stop_early`."""
        world = self._world
        world.must_be_intended(lambda effect: isinstance(effect, RunGates | RunCanary) and effect.key == job.key)
        assert world.tree_id(job.commit) == job.tree, "a gate is told another tree than it gets"
        world.running.add(job.key)
        try:
            await world.director.turn(job.key)
        finally:
            world.running.discard(job.key)
        results: list[GateResult] = []
        for check in job.checks:
            results.append(self._judged(check, job))
            if results[-1].status is not GateStatus.PASS and job.stop_early:
                break
        return tuple(results)

    def _judged(self, check: Check, job: GateJob) -> GateResult:
        texts = "".join(self._world.trees[job.commit].values())
        slow = f"slow:{check.id}" in texts and check.wall_s <= Caps().gate_wall_s
        if slow or (f"stuck:{check.id}" in texts and "STUCK_JOBS" not in dict(check.env)):
            kind = FaultKind.TIMEOUT if slow else FaultKind.ENV_MISSING
            return GateResult(gate=check.id, tree=job.tree, status=GateStatus.FAULT, fault=kind, detail=str(kind))
        red = f"red:{check.id}" in texts
        return GateResult(
            gate=check.id,
            tree=job.tree,
            status=GateStatus.FAIL if red else GateStatus.PASS,
            exit_code=int(red),
            tail=f"{check.id} is red" if red else "",
        )

    async def fix(self, job: FixJob) -> Sealed | None:
        """The change with red things made good, kept by its ref; None where there were none."""
        world = self._world
        world.must_be_intended(lambda effect: isinstance(effect, RunFix) and effect.key == job.key)
        world.running.add(job.key)
        try:
            await world.director.turn(job.key)
        finally:
            world.running.discard(job.key)
        before = world.trees[job.commit]
        marks = [f"red:{check.id.removeprefix('fix-')}" for check in job.commands]
        mended = {p: "good\n" for p in job.paths if p in before and any(mark in before[p] for mark in marks)}
        if not mended:
            return None
        commit = world.store({**before, **mended}, job.commit, about=job.message)
        world.refs[job.ref] = commit
        return Sealed(
            base=job.commit,
            commit=commit,
            tree=world.tree_id(commit),
            base_tree=world.tree_id(job.commit),
            changes=tuple(Change(path=path, kind=ChangeKind.MODIFIED) for path in sorted(mended)),
        )

    async def cancel(self, key: str) -> None:
        """Nothing of it is left in memory."""
        self._world.director.release(key)


class ModelIntegrator:
    """Implements `ports.Integrator` by content: three sides, path by path."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def open(self, branch: str, base: str) -> Opened:
        """Create the branch unless it is there."""
        world = self._world
        world.must_be_intended(lambda effect: isinstance(effect, OpenBranch) and effect.base == base)
        head = world.refs.setdefault(branch, base)
        await world.director.turn("run/0/branch")
        return Opened(head=head, tree=world.tree_id(head))

    async def head(self, branch: str) -> str | None:
        """Where it stands."""
        return self._world.refs.get(branch)

    async def contains(self, branch: str, commit: str) -> bool:
        """Whether it is on the first-parent line."""
        at: str | None = self._world.refs.get(branch)
        while at and at != commit:
            at = next(iter(self._world.parents[at]), None)
        return at is not None

    async def merge(self, job: MergeJob) -> MergeResult:
        """A candidate, kept under its ref; or a conflict, which keeps nothing."""
        world = self._world
        asked = (job.head, job.commit)
        world.must_be_intended(lambda e: isinstance(e, MergeCandidate) and (e.head, e.commit) == asked)
        *_, task, attempt = job.ref.split("/")
        if not world.eager:
            await world.director.turn(f"{task}/{attempt}/merge")
        result = self._merged(job, task)
        if world.eager:
            await world.director.turn(f"{task}/{attempt}/merge")
        return result

    def _merged(self, job: MergeJob, task: str) -> MergeResult:
        world = self._world
        base = world.trees[self._fork(job.commit, job.head)]
        ours, theirs = world.trees[job.head], world.trees[job.commit]
        paths = sorted({*base, *ours, *theirs})
        torn = [p for p in paths if len({base.get(p), ours.get(p), theirs.get(p)}) == 3]
        if torn:
            return Conflict(head=job.head, paths=tuple(torn), detail="Both sides changed it.")
        tree = {p: (theirs if ours.get(p) == base.get(p) else ours).get(p) for p in paths}
        commit = world.store(
            {p: text for p, text in tree.items() if text is not None}, job.head, job.commit, about=job.message
        )
        world.refs[job.ref], world.tasks[commit] = commit, task
        return Candidate(commit=commit, tree=world.tree_id(commit), head=job.head)

    def _fork(self, one: str, other: str) -> str:
        """The newest commit of the first-parent line of `other` that `one` stands on."""
        line = [other]
        while self._world.parents[line[-1]]:
            line.append(self._world.parents[line[-1]][0])
        below, todo = set(), [one]
        while todo:
            commit = todo.pop()
            below.add(commit)
            todo += self._world.parents[commit]
        return next(commit for commit in line if commit in below)

    async def land(self, job: LandJob) -> LandResult:
        """Compare and swap."""
        world = self._world
        asked = (job.expect, job.commit)
        world.must_be_intended(lambda e: isinstance(e, Land) and (e.head, e.commit) == asked)
        *_, task, attempt = job.ref.split("/")
        if not world.eager:
            await world.director.turn(f"{task}/{attempt}/land")
        actual = world.refs.get(job.branch)
        if actual == job.expect:
            world.refs[job.branch] = job.commit
        if world.eager:
            await world.director.turn(f"{task}/{attempt}/land")
        return Landed(commit=job.commit) if actual in {job.expect, job.commit} else HeadMoved(actual=actual)


class ModelReader:
    """The one method of `ports.Workspaces` that the engine uses."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def read(self, commit: str, paths: Sequence[str], limit: int) -> dict[str, str]:
        """The files of a commit among those asked for."""
        return {path: self._world.trees[commit][path][:limit] for path in paths if path in self._world.trees[commit]}
