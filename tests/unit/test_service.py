"""The use cases of the front ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.commands import Request, RequestKind
from chargehand.domain.decide import settle
from chargehand.domain.errors import AdapterError, RunLocked, UserError
from chargehand.domain.events import Event, RunAccepted, RunResumed
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import ReportStatus
from chargehand.domain.words import RunVerdict, TaskStatus
from chargehand.engine import service
from chargehand.engine.dispatch import Ports
from chargehand.engine.service import RunSummary, Service, UnreadableRun, new_id
from chargehand.ports import NoticeKind, OpenRun
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


# -- requests -------------------------------------------------------------------------------------


def a_request(kind: RequestKind, **fields: Any) -> Request:
    return Request(id=new_id(), kind=kind, by="me", **fields)


def test_a_request_to_a_run_that_nobody_drives_is_recorded_at_once():
    office = Office(fails, fails)
    office.drive(unattended=True)
    summary = office.service.request("r", a_request(RequestKind.RETRY, task="a"))
    assert (summary.held, summary.state.finished) == (False, None)
    assert summary.state.tasks["a"].status is TaskStatus.WAITING
    assert office.store.held == set()
    assert office.store.inboxes["r"].pending() == []
    assert office.drive(office.service.take_up("r")).finished.verdict is RunVerdict.FINISHED


def test_a_request_to_a_held_run_is_left_for_its_holder():
    office = Office()
    held = office.start()
    summary = office.service.request("r", a_request(RequestKind.CANCEL))
    assert summary.held
    assert [request.kind for request in office.store.inboxes["r"].pending()] == [RequestKind.CANCEL]
    assert office.drive(held).finished.verdict is RunVerdict.CANCELLED
    assert office.fleet.submitted == []


def test_a_request_that_makes_no_sense_is_refused_and_left_nowhere():
    office = Office()
    office.drive()
    with pytest.raises(UserError, match="has landed"):
        office.service.request("r", a_request(RequestKind.RETRY, task="a"))
    assert office.store.inboxes["r"].pending() == []


def test_a_request_waits_until_what_a_dead_holder_left_is_looked_after():
    """Recovery comes first; only a pause is taken before it, and the time nobody held the run is not counted."""
    office = Office()
    held = office.start()
    state = fold(list(held.journal.read()))
    held.journal.append(settle(state, office.clock.now()), office.clock.now())
    held.release()
    office.clock.advance(90_000.0)
    summary = office.service.request("r", a_request(RequestKind.CANCEL))
    assert summary.state.cancelled is None
    summary = office.service.request("r", a_request(RequestKind.PAUSE))
    assert (summary.state.paused is not None, summary.state.busy_s) == (True, 0.0)
    assert [request.kind for request in office.store.inboxes["r"].pending()] == [RequestKind.CANCEL]


def test_a_request_that_came_in_while_another_was_taken_is_taken_too():
    """Its sender found the run held, by somebody who was about to let go."""
    office = Office()
    office.start().release()
    inbox, opened = office.store.inboxes["r"], office.store.open
    late = [a_request(RequestKind.SKIP, task="a")]

    def open_late(run: str) -> OpenRun:
        held = opened(run)

        def release() -> None:
            if late:
                inbox.put(late.pop())
            held.release()

        return replace(held, release=release)

    office.store.open = open_late  # type: ignore[method-assign]
    summary = office.service.request("r", a_request(RequestKind.PAUSE))
    assert summary.state.paused is not None
    assert summary.state.tasks["a"].ending is not None
    assert inbox.pending() == []


def test_who_only_leaves_a_request_is_waited_for(monkeypatch):
    monkeypatch.setattr(service, "TAKE_UP_PAUSE_S", 0.0)
    office = Office()
    office.start().release()
    tries: list[str] = []
    opened = office.store.open

    def busy(run: str) -> OpenRun:
        tries.append(run)
        if len(tries) < 3:
            raise RunLocked(run, "somebody")
        return opened(run)

    office.store.open = busy  # type: ignore[method-assign]
    office.service.take_up("r").release()
    assert len(tries) == 3


def test_without_the_lock_the_run_stops(monkeypatch):
    """Somebody else may be driving it now."""
    monkeypatch.setattr(service, "BEAT_S", 0.0)
    office = Office()
    office.fleet.hold = True

    def beat() -> None:
        if office.fleet.live:
            raise AdapterError("lock", "The lock was taken away.")

    with pytest.raises(AdapterError, match="taken away"):
        office.drive(replace(office.start(), beat=beat))
    assert office.fleet.cancelled == ["a/1/attempt"]
    assert office.store.held == set()


def test_people_are_told_how_a_run_came_to_rest():
    office = Office(fails, fails)
    office.drive()
    kinds = [notice.kind for notice in office.world.notifier.sent]
    assert kinds == [NoticeKind.DECISION, NoticeKind.WAITING]
    office.service.answer("r", "d1", "skip", "me")
    office.drive(office.service.take_up("r"))
    assert office.world.notifier.sent[-1].kind is NoticeKind.FINISHED


def test_an_open_question_is_told_again_to_who_takes_the_run_up():
    office = Office(fails, fails)
    office.drive()
    office.world.notifier.sent.clear()
    office.drive(office.service.take_up("r"))
    assert [notice.decision for notice in office.world.notifier.sent] == ["d1", ""]
    office.world.notifier.sent.clear()
    office.drive(office.service.take_up("r"), unattended=True)
    assert NoticeKind.DECISION not in [notice.kind for notice in office.world.notifier.sent]


def test_a_copied_run_is_refused_by_all_that_would_change_it():
    """I2: both would use the same branch and the same refs."""
    office = Office()
    office.start().release()
    store = office.store
    store.journals["copy"], store.inboxes["copy"] = store.journals["r"], store.inboxes["r"]
    store.kept["copy"] = store.kept["r"]
    request = Request(id=new_id(), kind=RequestKind.PAUSE, by="uma")
    tries = (lambda: office.drive(office.service.take_up("copy")), lambda: office.service.request("copy", request))
    for attempt in tries:
        with pytest.raises(UserError, match="folder of run copy holds run r") as caught:
            attempt()
        assert caught.value.code == "copied_run"
    assert office.store.held == set()
    assert office.store.inboxes["r"].pending() == []
    found = {row.run: row for row in office.service.runs()}
    assert isinstance(found["copy"], UnreadableRun)
    assert isinstance(found["r"], RunSummary)
    assert office.drive(office.service.take_up("r")).finished.verdict is RunVerdict.FINISHED


def test_a_stale_answer_in_the_inbox_of_a_run_that_nobody_drives_is_settled_without_a_word():
    """I9: it comes to nothing, and is never found again."""
    office = Office(fails, fails)
    office.drive()
    inbox = office.store.inboxes["r"]
    inbox.put(Request(id="stale", kind=RequestKind.ANSWER, decision="d9", choice="retry", by="me"))
    before = len(office.store.journals["r"].records)
    office.service.request("r", a_request(RequestKind.PAUSE))
    assert inbox.pending() == []
    assert len(office.store.journals["r"].records) == before + 2


def test_what_is_derived_is_written_before_the_run_is_released():
    """A projection: after the events it shows, also of a run that is over, and while nobody else can hold it."""
    office = Office()
    seen: list[Any] = []

    async def project(held: OpenRun, tell: Any) -> None:
        seen.append((len(list(held.journal.read())), set(office.store.held), tell))

    office.service = Service(office.store, office.build, office.clock, project)
    office.drive(tell=print)
    office.drive(office.service.take_up("r"))
    count = len(office.service.events("r"))
    assert seen == [(count, {"r"}, print), (count, {"r"}, None)]
    assert office.store.held == set()


def test_a_run_that_is_interrupted_comes_to_rest_without_a_word():
    """SPEC 9: whoever stopped it knows; it is neither over nor does it wait for an answer."""
    office = Office()
    state = office.drive(on_engine=lambda engine: engine.interrupt("me"))
    assert state.interrupted
    assert (state.finished, state.waits_for_people) == (None, False)
    assert office.world.notifier.sent == []
