"""Snapshots in the life of a run: when they are saved, and that opening by one is opening."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chargehand.domain.events import WarningRaised
from chargehand.domain.evolve import fold
from chargehand.domain.state import RunState
from chargehand.domain.words import RunVerdict
from chargehand.engine import keeping
from chargehand.engine.dispatch import Ports
from chargehand.engine.keeping import LEAST_EVENTS, SMALL_EVENTS, Keeper
from chargehand.engine.service import Service
from chargehand.ports import OpenRun
from chargehand.testing.fakes import FakeClock, FakeJournal, FakeSnapshots
from tests.engines import MemoryStore, World
from tests.play import Play, a_plan, a_task


class AllSnapshots(FakeSnapshots):
    """Keeps every state that was ever saved."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[RunState] = []

    def save(self, state: RunState) -> None:
        super().save(state)
        assert self.kept is not None
        self.states.append(self.kept)

    @property
    def saved(self) -> list[int]:
        return [state.seq for state in self.states]


def state_at(seq: int, tasks: int = 1) -> RunState:
    state: RunState = Play(a_plan(*(a_task(f"t{n}") for n in range(tasks)))).state
    state.seq = seq
    return state


def test_a_small_run_is_never_kept():
    snapshots = AllSnapshots()
    keeper = Keeper(snapshots)
    keeper.keep_if_due(state_at(SMALL_EVENTS))
    keeper.keep(state_at(SMALL_EVENTS))
    assert snapshots.saved == []
    keeper.keep(state_at(SMALL_EVENTS + 1))
    assert snapshots.saved == [SMALL_EVENTS + 1]


def test_the_distance_between_snapshots_grows_with_the_run():
    """Their number grows with the logarithm of the number of events."""
    snapshots = AllSnapshots()
    keeper, state = Keeper(snapshots), state_at(1)
    for seq in range(1, 120_001):
        state.seq = seq
        keeper.keep_if_due(state)
    gaps = [after - before for before, after in zip([0, *snapshots.saved], snapshots.saved, strict=False)]
    assert all(gap >= max(LEAST_EVENTS, seq // 4) for gap, seq in zip(gaps, snapshots.saved, strict=True))
    assert 12 < len(snapshots.saved) < 20
    assert snapshots.saved[-1] > 90_000


def test_many_tasks_are_kept_more_seldom():
    """A snapshot costs what the plan is large, however few events there are."""
    snapshots = AllSnapshots()
    keeper, state = Keeper(snapshots), state_at(1, tasks=1500)
    for state.seq in (1000, 1499, 1500, 2999, 3000):
        keeper.keep_if_due(state)
    assert snapshots.saved == [1500, 3000]


def test_what_is_kept_is_not_kept_again():
    snapshots = AllSnapshots()
    keeper = Keeper(snapshots)
    keeper.keep(state_at(2000))
    keeper.keep(state_at(2000))
    again = Keeper(snapshots)
    assert again.load() is not None
    again.keep(state_at(2000))
    again.keep_if_due(state_at(2999))
    assert snapshots.saved == [2000]


def test_without_snapshots_nothing_is_kept():
    keeper = Keeper(None)
    assert keeper.load() is None
    keeper.keep_if_due(state_at(5000))
    keeper.keep(state_at(5000))


# -- the service ----------------------------------------------------------------------------------


class CountingJournal(FakeJournal):
    """Notes from where it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_after: list[int] = []

    def read(self, after: int = 0) -> Any:
        self.read_after.append(after)
        return super().read(after)


class Office:
    """A service on a store that keeps snapshots of runs of any size."""

    def __init__(self, *tasks: str) -> None:
        self.store = MemoryStore()
        self.store.make_journal = CountingJournal
        self.store.make_snapshots = AllSnapshots
        self.world = World(a_plan(*map(a_task, tasks)))
        self.service = Service(self.store, self.build, FakeClock())

    async def build(self, held: OpenRun, state: Any) -> Ports:
        self.world.journal, self.world.inbox = self.store.journals[held.run], self.store.inboxes[held.run]
        return self.world.ports()

    @property
    def journal(self) -> CountingJournal:
        journal = self.store.journals["r"]
        assert isinstance(journal, CountingJournal)
        return journal

    @property
    def snapshots(self) -> AllSnapshots:
        snapshots = self.store.kept["r"]
        assert isinstance(snapshots, AllSnapshots)
        return snapshots


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(keeping, "SMALL_EVENTS", 5)
    monkeypatch.setattr(keeping, "LEAST_EVENTS", 6)
    return Office("a", "b", "c")


def test_a_run_ends_with_a_snapshot_of_its_end(office: Office):
    state = asyncio.run(office.service.drive(office.service.start(office.world.started())))
    assert state.finished is not None
    assert state.finished.verdict is RunVerdict.FINISHED
    assert office.snapshots.kept == state == fold(office.journal.records)
    office.journal.read_after.clear()
    assert office.service.look("r").state == state
    assert office.journal.read_after == [state.seq]


def test_events_since_the_snapshot_are_folded_onto_it(office: Office):
    asyncio.run(office.service.drive(office.service.start(office.world.started())))
    office.journal.append([WarningRaised(code="x", text="later")], 5.0)
    state = office.service.look("r").state
    assert state == fold(office.journal.records)
    assert state.warnings[-1].text == "later"


def test_every_snapshot_of_a_run_is_the_state_of_its_journal(office: Office):
    """I5: wherever a process dies, the next one goes on from what the journal says."""
    state = asyncio.run(office.service.drive(office.service.start(office.world.started())))
    records = office.journal.records
    assert len(office.snapshots.states) > 2
    for kept in office.snapshots.states:
        assert kept == fold(records[: kept.seq])
        assert fold(records[kept.seq :], onto=kept) == state


def test_a_run_that_is_over_is_kept_when_it_is_taken_up(office: Office):
    state = asyncio.run(office.service.drive(office.service.start(office.world.started())))
    office.snapshots.kept = None
    asyncio.run(office.service.drive(office.service.take_up("r")))
    assert office.snapshots.kept == state


def test_an_error_keeps_nothing_of_the_turn_it_broke(office: Office, monkeypatch: pytest.MonkeyPatch):
    """I5: a state that is ahead of its journal is never kept."""
    held = office.service.start(office.world.started())

    def full(events: Any, at: float) -> Any:
        if len(office.journal.records) > 20:
            raise OSError("disk full")
        return FakeJournal.append(office.journal, events, at)

    monkeypatch.setattr(office.journal, "append", full)
    with pytest.raises(OSError, match="disk full"):
        asyncio.run(office.service.drive(held))
    kept = office.snapshots.kept
    assert kept is not None
    assert kept == fold(office.journal.records[: kept.seq])
