"""The use cases of the front ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.errors import AdapterError, RunLocked, UserError
from chargehand.domain.events import Event, RunAccepted, RunResumed
from chargehand.domain.outcome import ReportStatus
from chargehand.domain.words import RunVerdict
from chargehand.engine.dispatch import Ports
from chargehand.engine.service import RunSummary, Service, UnreadableRun
from chargehand.ports import OpenRun
from chargehand.testing.fakes import FakeClock, FakeFleet, FakeJournal, attempt_result
from tests.engines import MemoryStore, World
from tests.play import a_plan, a_task


class Office:
    """A service over one store; `worlds` are what its runs work on."""

    def __init__(self, *outcomes: Any, review: bool = False) -> None:
        self.store = MemoryStore()
        self.clock = FakeClock()
        self.fleet = FakeFleet({("a", n): outcome for n, outcome in enumerate(outcomes, start=1)})
        self.world = World(a_plan(a_task("a")), fleet=self.fleet, options={"review": review})
        self.service = Service(self.store, self.build, self.clock)

    async def build(self, held: OpenRun, state: Any) -> Ports:
        self.world.journal, self.world.inbox = self.store.journals[held.run], self.store.inboxes[held.run]
        return self.world.ports()

    def start(self, run: str = "r") -> OpenRun:
        return self.service.start(replace(self.world.started(), run=run))

    def drive(self, held: OpenRun | None = None, **options: Any) -> Any:
        return asyncio.run(self.service.drive(held or self.start(), **options))


def fails(spec: Any) -> Any:
    return attempt_result(spec, ReportStatus.FAILED)


def test_start_and_drive():
    office = Office()
    state = office.drive()
    assert state.finished.verdict is RunVerdict.FINISHED
    assert office.store.held == set()
    (summary,) = office.service.runs()
    assert isinstance(summary, RunSummary)
    assert (summary.run, summary.held, summary.state) == ("r", False, state)


def test_a_run_says_that_there_are_no_reviews():
    office = Office(review=True)
    assert [w.code for w in office.drive().warnings] == ["reviews_unavailable"]


def test_a_started_run_can_be_resumed_whatever_happens():
    office = Office()
    office.start().release()
    state = office.drive(office.service.take_up("r"))
    assert state.finished.verdict is RunVerdict.FINISHED


def test_a_run_has_one_holder():
    office = Office()
    office.start()
    with pytest.raises(RunLocked):
        office.service.take_up("r")
    assert office.service.look("r").held


def test_a_journal_that_cannot_be_read_hides_no_other_run():
    """Every run is named, that one with what is wrong with it; the newest run is found all the same."""

    class Damaged(FakeJournal):
        def read(self, after: int = 0) -> Any:
            raise AdapterError("journal", "The journal is damaged.")

    office = Office()
    office.start("first").release()
    office.store.make_journal = Damaged
    office.start("broken").release()
    office.store.make_journal = FakeJournal
    office.start("last").release()
    first, broken, last = office.service.runs()
    assert isinstance(broken, UnreadableRun)
    assert (first.run, broken.run, last.run) == ("first", "broken", "last")
    assert "is damaged" in str(broken.problem)
    assert office.service.newest(None) == "last"
    assert office.service.newest("broken") == "broken"


def test_a_journal_that_refuses_the_start_leaves_nothing_held():
    class Full(FakeJournal):
        def append(self, events: Any, at: float) -> Any:
            raise AdapterError("journal", "disk full")

    office = Office()
    office.store.make_journal = Full
    with pytest.raises(AdapterError, match="disk full"):
        office.start()
    assert office.store.held == set()


def test_a_run_is_released_when_its_ports_cannot_be_built():
    office = Office()

    async def broken(held: OpenRun, state: Any) -> Ports:
        raise UserError("No sandbox works here.")

    office.service = Service(office.store, broken, office.clock)
    with pytest.raises(UserError):
        office.drive()
    assert office.store.held == set()


def test_a_finished_run_is_not_driven_again():
    office = Office()
    first = office.drive()
    again = office.drive(office.service.take_up("r"))
    assert again == first
    assert len(office.fleet.submitted) == 1


def test_a_run_that_never_started_is_told():
    """The process died between making the folder and the first event."""
    office = Office()
    office.store.create("r", [], 0.0).release()
    with pytest.raises(UserError, match="never started") as told:
        office.service.look("r")
    assert told.value.hint
    with pytest.raises(UserError, match="never started"):
        office.drive(office.service.take_up("r"))
    assert office.store.held == set()


def test_a_resume_says_who_and_how_before_anything_else():
    """The time before it is not counted."""
    office = Office(fails, fails)
    office.drive()
    office.drive(office.service.take_up("r"), unattended=True)
    resumes = [r.event for r in office.service.events("r") if isinstance(r.event, RunResumed)]
    assert [r.unattended for r in resumes] == [None, True]
    assert all(r.pid and r.host and r.version for r in resumes)


def test_the_front_end_sees_events_and_gets_the_engine():
    office = Office()
    seen: list[Event] = []
    engines: list[Any] = []
    office.drive(observe=lambda recorded, state: seen.append(recorded.event), on_engine=engines.append)
    assert isinstance(seen[0], RunResumed)
    assert engines[0].state.finished


def test_the_newest_run_is_meant_unless_one_is_named():
    office = Office()
    with pytest.raises(UserError, match="has no runs"):
        office.service.newest(None)
    with pytest.raises(UserError, match="There is no run x here") as none:
        office.service.newest("x")
    assert "Known" not in none.value.message
    for run in ("one", "two"):
        office.start(run)
    assert office.service.newest(None) == "two"
    assert office.service.newest("one") == "one"
    with pytest.raises(UserError, match="Known runs: one, two"):
        office.service.newest("three")


def test_an_answer_is_checked_and_left_in_the_inbox():
    """9: from any process."""
    office = Office(fails, fails)
    office.drive()
    with pytest.raises(UserError, match="no open decision d9") as unknown:
        office.service.answer("r", "d9", "retry", "me")
    assert unknown.value.hint == "Open: d1."
    with pytest.raises(UserError, match="cannot be answered with perhaps") as wrong:
        office.service.answer("r", "d1", "perhaps", "me")
    assert wrong.value.hint == "Choose one of: retry, skip, stop."
    office.service.answer("r", "d1", "retry", "me", note="look closer")
    state = office.drive(office.service.take_up("r"))
    assert state.finished.verdict is RunVerdict.FINISHED
    assert "look closer" in office.fleet.submitted[-1].brief
    with pytest.raises(UserError) as over:
        office.service.answer("r", "d1", "retry", "me")
    assert over.value.hint == "Open: none."


def test_an_acceptance_is_recorded_and_nothing_is_left_held():
    office = Office()
    office.drive()
    office.service.accepted("r", RunAccepted(target="main", commit="c" * 40, how="merge"))
    accepted = office.service.look("r").state.accepted
    assert accepted is not None
    assert accepted.how == "merge"
    assert office.store.held == set()
