"""Plays a story on the model world: one process after the other, each of which may die at a chosen call."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chargehand.domain.commands import Request, RequestKind
from chargehand.domain.decide import wake_at
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import (
    AttemptFinished,
    Event,
    FixFinished,
    GateMitigated,
    GatesFinished,
    LandFinished,
    MergeFinished,
    RequeueWhy,
    ReviewFailed,
    ReviewPassed,
    ReviewVoided,
    RunStarted,
    TaskEnded,
    TaskIntegrated,
    TaskRequeued,
)
from chargehand.domain.ids import REF_ROOT
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.outcome import ExitKind
from chargehand.domain.review import VoidWhy
from chargehand.domain.state import RunState
from chargehand.domain.words import TERMINAL
from chargehand.engine.dispatch import Ports
from chargehand.engine.loop import Engine
from chargehand.engine.service import Service
from chargehand.ports import OpenRun
from chargehand.testing.fakes import FakeInbox, FakeNotifier
from chargehand.testing.faults import Crash, Faults
from tests.crash.model import (
    BASE,
    BRANCH,
    RUN,
    Director,
    Memory,
    ModelFleet,
    ModelGates,
    ModelIntegrator,
    ModelReader,
    World,
)
from tests.crash.stories import Story
from tests.engines import MemoryStore
from tests.invariants import Watch

__all__ = ["Game", "steps"]

COUNTED = ("journal", "inbox", "fleet", "gates", "integrator", "workspaces", "notifier")
"""Not the clock: dying as one looks at it is dying between the calls around it."""


class Game:
    """A run of a story; `script` is the order in which effects come out."""

    def __init__(
        self,
        story: Story,
        *,
        script: Iterable[str] = (),
        memory: Memory = Memory.NOTHING,
        eager: bool = False,
    ) -> None:
        self.story = story
        self.store = MemoryStore()
        self.world = World(acts=story.acts, memory=memory, eager=eager, director=Director(tuple(script)))
        agents = tuple(AgentDef(name=name, kind="command") for name in ("agent", "scripted"))
        options = RunOptions(agent="agent", agents=agents, **{"review": False, **story.options})
        started = RunStarted(run=RUN, plan=story.plan, options=options, base=BASE, branch=BRANCH)
        service = Service(self.store, self._no_ports, self.world.clock)
        service.start(started).release()
        self.world.journal = self.store.journals[RUN]
        self.watch = Watch(self.records[0])
        self.watched = False
        self.engine: Engine | None = None
        self.driver: asyncio.Task[Any] | None = None
        self.fleet: ModelFleet | None = None
        self.faults: Faults | None = None
        self.deaths = 0
        self.stops = 0  # deaths with the time to clean up
        self.closed = False

    async def _no_ports(self, _held: OpenRun, _state: RunState) -> Ports:
        raise AssertionError("Nothing is driven here.")

    @property
    def records(self) -> Any:
        """The journal."""
        return self.world.journal.records

    @property
    def events(self) -> list[Event]:
        """The journal without its numbers."""
        return [recorded.event for recorded in self.records]

    def events_of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    # -- processes ----------------------------------------------------------------------------

    def play(self, *faults: Faults | None) -> RunState:
        """One process after the other until the run is over; who takes over from the n-th dead has the n-th faults.

        A process that has nothing left to do but to wait for people ends; then people answer, and it goes on.
        """
        return asyncio.run(self._play(faults))

    async def _play(self, faults: tuple[Faults | None, ...]) -> RunState:
        async with asyncio.timeout(20):
            for _ in range(60):
                due = faults[self.deaths] if self.deaths < len(faults) else None
                try:
                    state = await self.process(due)
                except Crash:
                    self.deaths += 1
                    self.world.die()
                    continue
                except (AdapterError, asyncio.CancelledError):
                    assert not self.world.live, "I11: a process that could end its attempts did not"
                    self.deaths += 1
                    self.stops += 1
                    continue
                if state.finished is not None:
                    return state
                assert state.waits_for_people or state.paused, "a run that stopped for no reason"
                self._answer(state)
        raise AssertionError("It never came to an end.")

    async def process(self, faults: Faults | None = None) -> RunState:
        """A process takes the run up, recovers and drives it; what it raises comes through."""
        service = Service(self.store, lambda held, _state: self._ports(held, faults), self.world.clock)
        held, self.faults = service.take_up(RUN), faults
        self.driver = asyncio.ensure_future(service.drive(held, on_engine=self._take_engine))
        director = asyncio.ensure_future(self.world.director.direct(self._look, self._idle))
        try:
            await asyncio.wait([self.driver, director], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (director, self.driver):
                task.cancel()
            await asyncio.wait([self.driver, director])
            self.engine = None
        if not director.cancelled():
            director.result()
        state: RunState = self.driver.result()
        return state

    def cancel(self) -> None:
        """Cancel the process that drives the run now."""
        assert self.driver is not None
        self.driver.cancel()

    def close(self) -> BaseException:
        """The fleet is closed under the engine: its attempts end, and the call that finds out is cancelled."""
        self.closed = True
        if self.fleet is not None:
            self.fleet.end_all()
        return asyncio.CancelledError()

    async def _ports(self, held: OpenRun, faults: Faults | None) -> Ports:
        world = self.world
        self.fleet = ModelFleet(world)
        parts: dict[str, Any] = {
            "journal": held.journal,
            "inbox": held.inbox,
            "fleet": self.fleet,
            "gates": ModelGates(world),
            "integrator": ModelIntegrator(world),
            "workspaces": ModelReader(world),
            "notifier": FakeNotifier(),
            "clock": world.clock,
        }
        if faults is not None:
            parts |= {name: faults.wrap(parts[name]) for name in COUNTED}
        return Ports(**parts)

    def _take_engine(self, engine: Engine) -> None:
        self.engine = engine

    def _look(self) -> bool:
        """Nothing moves: every invariant is looked at, and people ask for what is due."""
        if self.engine is None or (self.faults is not None and self.faults.dead):
            return False
        if self.watched:
            self.watch.check(self.engine.state, self.records, self.world.clock.now())
        reached = {(type(event).__name__, getattr(event, "task", "")) for event in self.events}
        inbox = self.store.inbox(RUN)
        due = [self.story.requests[point] for point in self.story.requests if point in reached]
        new = [request for request in due if request.id not in inbox.requests]
        for request in new:
            inbox.put(request)
        return bool(new)

    def _idle(self) -> bool:
        """Nothing is under way: the next timer goes off."""
        if self.engine is None:
            return False
        state = self.engine.state
        due = wake_at(state, self.world.clock.now())
        if due is None:
            return False
        self.world.clock.at = due
        self.engine.nudge()
        return True

    def _answer(self, state: RunState) -> None:
        """Left by processes of their own, which are gone before anybody takes it."""
        for answer in self._answers(state):
            self.store.inbox(RUN).put(answer)

    def _answers(self, state: RunState) -> list[Request]:
        return [
            Request(
                id=decision.id,
                kind=RequestKind.ANSWER,
                decision=decision.id,
                choice=self.story.answers.get((decision.task, decision.kind), decision.choices[0]),
                by="me",
            )
            for decision in state.decisions.values()
        ]

    def play_until_people(self) -> RunState:
        """A process drives the run until only people can move it."""
        state = asyncio.run(self._until_people())
        assert state.waits_for_people
        return state

    async def _until_people(self) -> RunState:
        async with asyncio.timeout(20):
            return await self.process()

    def answered_by(self, state: RunState, faults: Faults) -> bool:
        """A process of people answers what was open in `state`; whether it survived its faults."""
        service = Service(_Faulty(self.store, faults), self._no_ports, self.world.clock)
        for answer in self._answers(state):
            try:
                service.request(RUN, replace(answer, id=f"{answer.id} by {id(faults)}"))
            except UserError:
                continue  # it was answered before
            except Crash:
                self.store.held.clear()  # the kernel's lock goes with its process
                return False
        return True

    # -- afterwards ---------------------------------------------------------------------------

    def check(self, state: RunState) -> None:
        """What holds of every run that has ended, however often it was killed."""
        world = self.world
        assert state.finished is not None
        assert state.finished.verdict is self.story.verdict, state.finished
        assert sorted(world.landed()) == sorted(self.story.landed)  # I4: on the branch, each once
        integrated = Counter(event.task for event in self.events_of(TaskIntegrated))
        assert integrated == Counter(self.story.landed)  # I4: and in the journal
        self.watch.check(state, self.records, world.clock.now())  # I3, I5, I9, I10, I12, I13
        assert all(record.status in TERMINAL for record in state.tasks.values())
        assert not world.live, "attempts are left"
        assert not world.running, "gates are left"
        assert not self.store.held, "the lock is left"
        assert not self.store.inbox(RUN).pending(), "requests are left"
        self._refs(state)

    def _refs(self, state: RunState) -> None:
        """I2: everything sealed is kept by a ref; and no ref is there that no document names."""
        kept = set(self.world.refs.values())
        for event in self.events_of(AttemptFinished):
            sealed = event.result.sealed
            assert sealed is None or sealed.commit in kept or not sealed.changes
        for ref in set(self.world.refs) - {BRANCH}:
            kind, run, task, number = ref.removeprefix(f"{REF_ROOT}/").split("/")
            assert (kind, run) in {("attempts", RUN), ("candidates", RUN)}
            record = state.tasks[task]
            assert 1 <= int(number.partition("-")[0]) <= record.attempts + record.lost


class _Faulty(MemoryStore):
    """The same runs, through ports that may fail."""

    def __init__(self, store: MemoryStore, faults: Faults) -> None:
        super().__init__()
        vars(self).update(vars(store))
        self._faults = faults

    def open(self, run: str) -> OpenRun:
        """Hold a run."""
        held = super().open(run)
        return replace(held, journal=self._faults.wrap(held.journal), inbox=self._faults.wrap(held.inbox))

    def inbox(self, run: str) -> FakeInbox:
        """Where answers go."""
        return self._faults.wrap(super().inbox(run))


def steps(game: Game, task: str = "") -> list[tuple[str, ...]]:
    """What happened, to one task or to all, without what a crash may change: ids of commits, launches, losses."""
    found: list[tuple[str, ...]] = []
    for event in game.events:
        named = getattr(event, "task", "")
        if task and named != task:
            continue
        match event:
            case AttemptFinished(result=result) if result.exit.kind is not ExitKind.CANCELLED:
                said = result.report.status if result.report else "nothing"
                found.append((named, "attempt", str(event.attempt), said, result.exit.kind))
            case GatesFinished(results=results):
                found.append((named, "gates", event.point, *(f"{r.gate} {r.status}" for r in results)))
            case MergeFinished() | LandFinished():
                found.append((named, type(event.result).__name__, str(event.attempt)))
            case TaskRequeued(why=why) if why is not RequeueWhy.LOST:
                found.append((named, "again", why))
            case ReviewPassed(stage=stage, carried=carried):
                found.append((named, "passed", stage, "carried" if carried else "judged"))
            case ReviewFailed(stage=stage, open=left):
                found.append((named, "failed", stage, *(finding.id for finding in left)))
            case ReviewVoided(why=why) if why is not VoidWhy.LOST:
                found.append((named, "void", why))
            case GateMitigated(gate=gate, by=by):
                found.append((named, "mitigated", gate, by))
            case FixFinished(sealed=sealed):
                found.append((named, "mended" if sealed else "not mended"))
            case TaskEnded(status=status, reason=reason):
                found.append((named, status, reason))
            case TaskIntegrated():
                found.append((named, "integrated", str(event.attempt)))
            case _:
                pass
    return found
