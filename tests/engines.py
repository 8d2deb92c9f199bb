"""Whole runs on the shipped fakes: a world that outlives a process, and a process that may die."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from chargehand.domain.errors import RunLocked, UserError
from chargehand.domain.events import Event, Recorded, RunResumed, RunStarted
from chargehand.domain.evolve import fold
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.plan import Plan
from chargehand.engine.dispatch import Ports
from chargehand.engine.loop import Engine
from chargehand.engine.recovery import recover
from chargehand.ports import AttemptSpec, OpenRun
from chargehand.testing.fakes import (
    FakeClock,
    FakeFleet,
    FakeGates,
    FakeInbox,
    FakeIntegrator,
    FakeJournal,
    FakeNotifier,
    FakeSnapshots,
    attempt_result,
    object_id,
)
from chargehand.testing.faults import Faults

BASE = object_id("base")


class FakeReader:
    """The one method of `ports.Workspaces` that the engine uses."""

    def __init__(self, files: dict[str, str] | None = None) -> None:
        self.files = files or {}
        self.error: Exception | None = None

    async def read(self, commit: str, paths: Sequence[str], limit: int) -> dict[str, str]:
        """The files of the table among those asked for."""
        if self.error is not None:
            raise self.error
        return {path: self.files[path][:limit] for path in paths if path in self.files}


def steady(spec: AttemptSpec) -> Any:
    """A result that is the same however often the attempt had to be started."""
    return attempt_result(spec, content=spec.task)


@dataclass
class World:
    """What stays when a process dies: journal, inbox, branch, clock. Fleet and gates are those of the process."""

    plan: Plan
    options: dict[str, Any] = field(default_factory=dict)
    journal: FakeJournal = field(default_factory=FakeJournal)
    inbox: FakeInbox = field(default_factory=FakeInbox)
    integrator: FakeIntegrator = field(default_factory=FakeIntegrator)
    fleet: FakeFleet = field(default_factory=FakeFleet)
    gates: FakeGates = field(default_factory=FakeGates)
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    reader: FakeReader = field(default_factory=FakeReader)
    clock: Any = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        if not self.journal.records:
            self.journal.append([self.started()], self.clock.now())

    def started(self) -> RunStarted:
        """The first event of the run."""
        agents = (AgentDef(name="agent", kind="command"),)
        options = RunOptions(agent="agent", agents=agents, **{"jobs": 2, **self.options})
        return RunStarted(run="r", plan=self.plan, options=options, base=BASE, branch="chargehand/r")

    def ports(self, faults: Faults | None = None, *only: str) -> Ports:
        """The ports of a process; with `faults` their calls are counted (those of `only`, if any)."""
        ports = Ports(
            journal=self.journal,
            inbox=self.inbox,
            fleet=self.fleet,
            gates=self.gates,
            integrator=self.integrator,
            workspaces=self.reader,  # type: ignore[arg-type]  # the one method the engine uses
            notifier=self.notifier,
            clock=self.clock,
        )
        if faults is None:
            return ports
        names = only or ("journal", "inbox", "fleet", "gates", "integrator", "workspaces", "notifier", "clock")
        return replace(ports, **{name: faults.wrap(getattr(ports, name)) for name in names})

    def engine(self, observe: Any = None, ports: Ports | None = None) -> Engine:
        """A process on this world."""
        return Engine(ports or self.ports(), fold(list(self.journal.read())), observe)

    async def drive(self, ports: Ports | None = None, **options: Any) -> Any:
        """A process takes the run up, recovers and drives it; bounded, for a test must not hang."""
        ports = ports or self.ports()
        state = fold(list(self.journal.read()))
        resumed = RunResumed(pid=1, host="h", version="v", unattended=options.pop("unattended", None))
        async with asyncio.timeout(20):
            first: list[Event] = [resumed, *await recover(ports, state)]
            return await Engine(ports, state, options.pop("observe", None)).run(first, **options)

    # -- looking ------------------------------------------------------------------------------

    @property
    def head(self) -> str:
        """Where the branch stands."""
        return self.integrator.branches["chargehand/r"]

    @property
    def head_tree(self) -> str:
        """The tree of the branch."""
        return self.integrator.trees[self.head]

    def landed(self) -> list[str]:
        """The tasks on the branch, oldest first."""
        commits = self.integrator.history("chargehand/r")[:-1]
        return [self.integrator.messages[commit].split(":")[0] for commit in reversed(commits)]

    def events(self, kind: type[Any]) -> list[Any]:
        """The events of a kind in the journal."""
        return [recorded.event for recorded in self.journal.records if isinstance(recorded.event, kind)]


async def until(reached: Callable[[], object]) -> None:
    """Let the other tasks of the event loop go on until something is so."""
    for _ in range(100_000):
        if reached():
            return
        await asyncio.sleep(0)
    raise TimeoutError("It did not come to that.")


class MemoryStore:
    """`ports.RunStore` in dictionaries."""

    def __init__(self) -> None:
        self.journals: dict[str, FakeJournal] = {}
        self.inboxes: dict[str, FakeInbox] = {}
        self.kept: dict[str, FakeSnapshots] = {}
        self.held: set[str] = set()
        self.make_journal: Callable[[], FakeJournal] = FakeJournal
        self.make_snapshots: Callable[[], FakeSnapshots] = FakeSnapshots

    def create(self, run: str, first: Sequence[Event], at: float) -> OpenRun:
        """A new run."""
        if run in self.journals:
            raise UserError(f"There is a run {run} already.")
        journal = self.make_journal()
        if first:
            journal.append(first, at)
        self.journals[run] = journal
        self.inboxes[run] = FakeInbox()
        self.kept[run] = self.make_snapshots()
        return self.open(run)

    def open(self, run: str) -> OpenRun:
        """Hold a run."""
        if run in self.held:
            raise RunLocked(run, "somebody")
        self.held.add(run)
        return OpenRun(
            run=run,
            folder=self.folder(run),
            journal=self.journals[run],
            inbox=self.inboxes[run],
            snapshots=self.kept[run],
            beat=lambda: None,
            release=lambda: self.held.discard(run),
        )

    def read(self, run: str, after: int = 0, most: int | None = None) -> list[Recorded]:
        """The events after that number."""
        return list(islice(self.journals[run].read(after), most))

    def snapshots(self, run: str) -> FakeSnapshots:
        """Where the state is kept."""
        return self.kept[run]

    def inbox(self, run: str) -> FakeInbox:
        """Where answers go."""
        return self.inboxes[run]

    def runs(self) -> list[str]:
        """All runs, oldest first."""
        return list(self.journals)

    def holder(self, run: str) -> str | None:
        """Who holds it."""
        return "somebody" if run in self.held else None

    def folder(self, run: str) -> Path:
        """A folder nobody makes."""
        return Path("/nonexistent") / run
