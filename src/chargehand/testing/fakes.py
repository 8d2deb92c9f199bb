"""In-memory stand-ins for every port the engine talks to. They pass the contract suites of `testing.contracts`.

Without instructions everything succeeds. What is to go otherwise stands in a table: the key names a task (or a task
and an attempt, or a check), the value is what happens. Commits and trees are hashes of what they were made from, so
the same run gives the same ids. Held fakes answer only when the test says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from hashlib import sha1
from typing import TypeVar

from chargehand.domain.errors import AdapterError
from chargehand.domain.events import CommandAsked, Event, Recorded
from chargehand.domain.line import Restoration
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
from chargehand.domain.review import Finding, Review, Severity, Verdict
from chargehand.domain.state import RunState
from chargehand.ports import AttemptSpec, Check, FixJob, GateJob, LandJob, MergeJob, Notice, Opened, Recovered, Request

__all__ = [
    "FakeClock",
    "FakeFleet",
    "FakeGates",
    "FakeInbox",
    "FakeIntegrator",
    "FakeJournal",
    "FakeNotifier",
    "FakeSnapshots",
    "Outcome",
    "attempt_result",
    "look_result",
    "object_id",
    "tree_of",
]

V = TypeVar("V")


def object_id(*parts: object) -> str:
    """Forty hexadecimal digits that depend on the parts only."""
    return sha1("\0".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def tree_of(commit: str) -> str:
    """The tree of a commit nobody made here, such as the base of a run."""
    return object_id("tree", commit)


def _first(table: Mapping[Hashable, V], *keys: Hashable) -> V | None:
    return next((table[key] for key in keys if key in table), None)


# -- facts ----------------------------------------------------------------------------------------


class FakeJournal:
    """A journal that keeps the very objects it was given."""

    def __init__(self) -> None:
        self.records: list[Recorded] = []
        self.closed = False

    def append(self, events: Sequence[Event], at: float) -> list[Recorded]:
        """Store all events."""
        if self.closed:
            raise AdapterError("journal", "The journal is closed.")
        first = len(self.records) + 1
        stored = [Recorded(seq=first + index, at=at, event=event) for index, event in enumerate(events)]
        self.records += stored
        return stored

    def read(self, after: int = 0) -> Iterator[Recorded]:
        """Yield the events after that number, also those stored while reading."""
        while after < len(self.records):
            yield self.records[after]
            after += 1

    def close(self) -> None:
        """Refuse further events; `records` stay."""
        self.closed = True


class FakeInbox:
    """An inbox in a dictionary."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}
        self.settled: set[str] = set()
        self._wake: Callable[[], None] | None = None

    def put(self, request: Request) -> None:
        """Store a request, and wake who listens; one with a known id changes nothing."""
        self.requests.setdefault(request.id, request)
        if self._wake:
            self._wake()

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` when a request comes in."""
        self._wake = wake

    def close(self) -> None:
        """Stop listening."""
        self._wake = None

    def pending(self) -> list[Request]:
        """The requests not yet settled, oldest first."""
        return [request for name, request in self.requests.items() if name not in self.settled]

    def settle(self, request_id: str) -> None:
        """Forget a request."""
        if request_id in self.requests:
            self.settled.add(request_id)


class FakeClock:
    """A clock that stands still until told; with `step_s` every look moves it on."""

    def __init__(self, at: float = 1_700_000_000.0, *, step_s: float = 0.0) -> None:
        self.at = at
        self.step_s = step_s

    def now(self) -> float:
        """The time it was set to."""
        self.at += self.step_s
        return self.at

    def advance(self, seconds: float) -> None:
        """Let time pass (or, with a negative number, let the clock jump back)."""
        self.at += seconds


class FakeNotifier:
    """Keeps the messages."""

    def __init__(self) -> None:
        self.sent: list[Notice] = []

    def notify(self, notice: Notice) -> None:
        """Keep one message."""
        self.sent.append(notice)

    async def close(self) -> None:
        """Nothing is ever under way."""


class FakeSnapshots:
    """Keeps a copy of the last state that was saved."""

    def __init__(self) -> None:
        self.kept: RunState | None = None

    def load(self) -> RunState | None:
        """The state that was saved last."""
        return deepcopy(self.kept)

    def save(self, state: RunState) -> None:
        """Keep the state of now."""
        self.kept = deepcopy(state)


# -- attempts -------------------------------------------------------------------------------------

Outcome = AttemptResult | Exception | Callable[[AttemptSpec], AttemptResult]
"""What comes of an attempt: a result, an error of the port, or a function that makes the result."""


def attempt_result(
    spec: AttemptSpec,
    status: ReportStatus | None = ReportStatus.DONE,
    *,
    changes: Sequence[str] | None = None,
    exit_kind: ExitKind = ExitKind.EXITED,
    content: str = "",
    **report: object,
) -> AttemptResult:
    """A result as a fleet gives it; `status` None means no report.

    `changes` are the paths found changed (None: the literal declared ones, else one file named after the task).
    Equal `content` on an equal base gives an equal tree; empty, it differs from attempt to attempt.
    """
    if changes is None:
        literal = [path for path in spec.declared if not set(path) & set("*?[")]
        changes = literal or [f"{spec.task}.txt"]
    commit = object_id("commit", spec.run, spec.task, spec.attempt, spec.base)
    unchanged = not changes
    tree = object_id("tree", spec.base, spec.task, content or spec.attempt)
    return AttemptResult(
        exit=AgentExit(kind=exit_kind, code=0 if exit_kind is ExitKind.EXITED else None),
        report=None if status is None else Report(status=status, **report),  # type: ignore[arg-type]
        report_problem="The agent wrote no report." if status is None else "",
        sealed=Sealed(
            base=spec.base,
            commit=spec.base if unchanged else commit,
            tree=tree_of(spec.base) if unchanged else tree,
            base_tree=tree_of(spec.base),
            changes=tuple(Change(path=path, kind=ChangeKind.ADDED) for path in sorted(changes)),
            present=tuple(sorted(set(changes) & set(spec.declared))),
        ),
        usage=Usage(wall_s=1.0),
    )


def look_result(spec: AttemptSpec, *, passed: bool = True, violations: Sequence[str] = ()) -> AttemptResult:
    """What a fleet gives for those who only look: a verdict, a restoration that changes nothing, or a report."""
    exit_ = AgentExit(kind=ExitKind.EXITED, code=0)
    usage = Usage(wall_s=1.0)
    if spec.role is Role.FITTER:
        return AttemptResult(exit=exit_, restoration=Restoration(gate_id=spec.gate), usage=usage)
    if spec.role is Role.RESEARCHER:
        return AttemptResult(exit=exit_, report=Report(status=ReportStatus.DONE), usage=usage)
    finding = Finding(id="f1", severity=Severity.MAJOR, claim="It is wrong.", file=f"{spec.task}.txt", line=1)
    verdict = Verdict(passed=passed, findings=() if passed else (finding,))
    located = tuple(each.id for each in verdict.findings)
    review = Review(verdict=verdict, located=located, violations=tuple(violations))
    return AttemptResult(exit=exit_, review=review, usage=usage)


class FakeFleet:
    """Attempts that end as the table says: by key, by (task, attempt), by task; else with DONE.

    Those who only look end by key, by (task, attempt), by (task, role); else they say that all is well.

    `submitted` lists what was started, in order; `live` are the keys without an end. With `hold` an attempt ends
    only by `finish` or `cancel`.
    """

    def __init__(self, outcomes: Mapping[Hashable, Outcome] | None = None, *, hold: bool = False) -> None:
        self.outcomes = dict(outcomes or {})
        self.hold = hold
        self.submitted: list[AttemptSpec] = []
        self.cancelled: list[str] = []
        self.ruled: list[tuple[str, bool, str]] = []
        self._asked: Callable[[Event], None] | None = None
        self._specs: dict[str, AttemptSpec] = {}
        self._ends: dict[str, asyncio.Future[AttemptResult | Exception]] = {}

    @property
    def live(self) -> list[str]:
        """The keys of attempts that have not ended, oldest first."""
        return [key for key, end in self._ends.items() if not end.done()]

    async def submit(self, spec: AttemptSpec) -> None:
        """Start an attempt unless it was started before."""
        if spec.key in self._ends:
            return
        self.submitted.append(spec)
        self._specs[spec.key] = spec
        self._ends[spec.key] = asyncio.get_running_loop().create_future()
        if not self.hold:
            self.finish(spec.key)

    def finish(self, key: str, outcome: Outcome | None = None) -> None:
        """End a live attempt with `outcome`, else with what the table says; the dead stay as they are."""
        spec, end = self._specs[key], self._ends[key]
        if end.done():
            return
        if spec.role in LOOKERS:
            found = (
                outcome or _first(self.outcomes, key, (spec.task, spec.attempt), (spec.task, spec.role)) or look_result
            )
        else:
            found = outcome or _first(self.outcomes, key, (spec.task, spec.attempt), spec.task) or attempt_result
        end.set_result(found if isinstance(found, AttemptResult | Exception) else found(spec))

    def listen(self, asked: Callable[[Event], None]) -> None:
        """Keep whom to tell of held calls."""
        self._asked = asked

    def hold_at(self, key: str, call: str, command: str) -> None:
        """A live attempt is held at a command."""
        spec = self._specs[key]
        assert self._asked is not None, "nobody listens"
        self._asked(
            CommandAsked(key=key, task=spec.task, attempt=spec.attempt, call=call, command=command, why="is dangerous")
        )

    def rule(self, call: str, *, allow: bool, text: str) -> None:
        """Keep the answer in `ruled`."""
        self.ruled.append((call, allow, text))

    async def close(self) -> None:
        """End every live attempt."""
        for key in self.live:
            await self.cancel(key, now=True)

    async def recover(self, run: str, keys: Collection[str]) -> Recovered:
        """Attempts of the run without an end are gone, as after a restart; the others of `keys` tell their result."""
        gone = [key for key in self.live if self._specs[key].run == run]
        for key in gone:
            del self._ends[key], self._specs[key]
        ended = {key: self._ends[key].result() for key in keys if key in self._ends}
        stopped = (ExitKind.CANCELLED, ExitKind.LOST)
        return Recovered(
            results={
                key: end
                for key, end in ended.items()
                if isinstance(end, AttemptResult) and end.exit.kind not in stopped
            },
            told=tuple(f"Attempt {key} was ended." for key in gone),
        )

    async def wait(self, key: str) -> AttemptResult:
        """How the attempt ended; AdapterError for a key nobody submitted."""
        if key not in self._ends:
            raise AdapterError("fleet", f"There is no attempt {key}.")
        end = await asyncio.shield(self._ends[key])
        if isinstance(end, Exception):
            raise end
        return end

    async def cancel(self, key: str, *, now: bool = False) -> None:
        """End an attempt; harmless for one that has ended or never was."""
        if key in self._ends and not self._ends[key].done():
            self.cancelled.append(key)
            self.finish(key, AttemptResult(exit=AgentExit(kind=ExitKind.CANCELLED, detail="now" if now else "")))


# -- gates ----------------------------------------------------------------------------------------


class FakeGates:
    """Checks that come out as the table says: by (job key, check), (task, attempt, check), (task, check), check.

    A value is a status or a whole result (its tree is that of the job); `red-first` and `overlay` are looked up like
    checks. `jobs` lists what was run, in order. A job with a check in `hold` (True: any job) ends only by `release` or
    `cancel`. With `caches` a pass stands for later runs of the same command on the same tree. `fixes` are the paths
    that a command mends, by the same keys; `fixed` lists what was asked for.
    """

    def __init__(
        self,
        outcomes: Mapping[Hashable, GateStatus | GateResult | Exception] | None = None,
        *,
        hold: bool | Collection[str] = False,
        fixes: Mapping[Hashable, Sequence[str] | Exception] | None = None,
        caches: bool = False,
    ) -> None:
        self.outcomes = dict(outcomes or {})
        self.hold = hold
        self.fixes = dict(fixes or {})
        self.caches = caches
        self.jobs: list[GateJob] = []
        self.fixed: list[FixJob] = []
        self._held: dict[str, asyncio.Future[None]] = {}
        self._kept: dict[Hashable, GateResult] = {}

    async def run(self, job: GateJob) -> tuple[GateResult, ...]:
        """One result per check, in order, then what was run aside; the first red one ends a job with `stop_early`."""
        self.jobs.append(job)
        await self._wait(job.key, job.checks)
        aside = [name for name, due in (("red-first", job.red_first), ("overlay", job.overlay)) if due]
        results: list[GateResult] = []
        for name in (*(check.id for check in job.checks), *aside):
            check = next((check for check in job.checks if check.id == name), None)
            results.append(self._known(job, check) or self._judge(job, name, check))
            if job.stop_early and results[-1].status in (GateStatus.FAIL, GateStatus.FAULT):
                break
        return tuple(results)

    async def fix(self, job: FixJob) -> Sealed | None:
        """What the table says that the commands mend, of `job.paths`."""
        self.fixed.append(job)
        await self._wait(job.key, job.commands)
        mended: list[str] = []
        for command in job.commands:
            found = _first(self.fixes, *_keys(job, command.id))
            if isinstance(found, Exception):
                raise found
            mended += [path for path in found or () if path in job.paths]
        if not mended:
            return None
        before = next((each.tree for each in reversed(self.jobs) if each.commit == job.commit), tree_of(job.commit))
        commit = object_id("fix", job.commit, job.ref, *mended)
        return Sealed(
            base=job.commit,
            commit=commit,
            tree=object_id("fixed", before, *mended),
            base_tree=before,
            changes=tuple(Change(path=path, kind=ChangeKind.MODIFIED) for path in sorted(set(mended))),
            present=tuple(sorted(job.paths)),
        )

    async def _wait(self, key: str, checks: Sequence[Check]) -> None:
        if self.hold if isinstance(self.hold, bool) else any(check.id in self.hold for check in checks):
            self._held[key] = asyncio.get_running_loop().create_future()
            try:
                await self._held[key]
            finally:
                del self._held[key]

    def _known(self, job: GateJob, check: Check | None) -> GateResult | None:
        """The pass that stands for this run."""
        if not self.caches or not job.cache or check is None:
            return None
        kept = self._kept.get(_meaning(job, check))
        return None if kept is None else replace(kept, gate=check.id, wall_s=0.0, log="")

    def _judge(self, job: GateJob, name: str, check: Check | None) -> GateResult:
        found = _first(self.outcomes, *_keys(job, name))
        if isinstance(found, Exception):
            raise found
        if isinstance(found, GateResult):
            return replace(found, gate=name, tree=job.tree)
        status = found or GateStatus.PASS
        result = GateResult(
            gate=name,
            tree=job.tree,
            status=status,
            fault=FaultKind.TIMEOUT if status is GateStatus.FAULT else None,
            exit_code={GateStatus.PASS: 0, GateStatus.FAIL: 1}.get(status),
            command=check.run.text if check else "",
            tail="" if status is GateStatus.PASS else f"{name} is red",
            wall_s=0.1,
        )
        if job.cache and check is not None and status is GateStatus.PASS:
            self._kept[_meaning(job, check)] = replace(result, cached=job.run)
        return result

    def release(self, key: str) -> None:
        """Let a held job end."""
        self._held[key].set_result(None)

    async def cancel(self, key: str) -> None:
        """End a held job; harmless for others."""
        if key in self._held:
            self._held[key].cancel()


def _keys(job: GateJob | FixJob, check: str) -> tuple[Hashable, ...]:
    return (job.key, check), (job.task, job.attempt, check), (job.task, check), check


def _meaning(job: GateJob, check: Check) -> Hashable:
    return job.tree, check.run, check.env, check.junit, job.setup, job.env


# -- integration ----------------------------------------------------------------------------------


class FakeIntegrator:
    """Branches in a dictionary. `conflicts` names paths by (task, attempt), or by task; `move` is somebody else."""

    def __init__(
        self, conflicts: Mapping[Hashable, Sequence[str]] | None = None, *, conventions: tuple[str, ...] = ()
    ) -> None:
        self.conflicts = dict(conflicts or {})
        self.conventions = conventions
        self.branches: dict[str, str] = {}
        self.trees: dict[str, str] = {}
        self.parents: dict[str, tuple[str, str]] = {}
        self.messages: dict[str, str] = {}

    def history(self, branch: str) -> list[str]:
        """The commits of the branch by first parent, newest first, down to the base."""
        commits = [self.branches[branch]]
        while commits[-1] in self.parents:
            commits.append(self.parents[commits[-1]][0])
        return commits

    def move(self, branch: str, commit: str | None) -> None:
        """What another process might do to the branch; None removes it."""
        if commit is None:
            del self.branches[branch]
        else:
            self.branches[branch] = commit

    async def open(self, branch: str, base: str) -> Opened:
        """Create the branch unless it exists; answer where it stands."""
        head = self.branches.setdefault(branch, base)
        return Opened(head=head, tree=self.trees.get(head, tree_of(head)), conventions=self.conventions)

    async def head(self, branch: str) -> str | None:
        """Where the branch stands."""
        return self.branches.get(branch)

    async def contains(self, branch: str, commit: str) -> bool:
        """Whether the commit is in `history`."""
        return branch in self.branches and commit in self.history(branch)

    async def merge(self, job: MergeJob) -> MergeResult:
        """A merge commit, or the conflict the table names; the task is read from the candidate's ref."""
        *_, task, attempt = job.ref.split("/")
        paths = _first(self.conflicts, (task, int(attempt) if attempt.isdecimal() else 0), task)
        if paths:
            return Conflict(head=job.head, paths=tuple(paths), detail="Both sides changed it.")
        commit = object_id("merge", job.head, job.commit, job.message)
        self.parents[commit] = (job.head, job.commit)
        self.messages[commit] = job.message
        tree = object_id("merged", self.trees.get(job.head, tree_of(job.head)), job.commit)
        self.trees[commit] = tree
        return Candidate(commit=commit, tree=tree, head=job.head)

    async def land(self, job: LandJob) -> LandResult:
        """Compare and swap."""
        actual = self.branches.get(job.branch)
        if actual == job.commit:
            return Landed(commit=job.commit)
        if actual != job.expect:
            return HeadMoved(actual=actual)
        self.branches[job.branch] = job.commit
        return Landed(commit=job.commit)
