"""Suites of the ports that keep and tell facts: journal, inbox, snapshots, clock, notifier."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from chargehand.domain.commands import RequestKind
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import (
    DecisionAnswered,
    Event,
    RunInterrupted,
    RunStarted,
    TaskIntegrated,
    WarningRaised,
)
from chargehand.domain.evolve import fold
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.plan import Plan, Task
from chargehand.domain.state import RunState
from chargehand.ports import Clock, Inbox, Journal, Notice, NoticeKind, Notifier, Request, Snapshots

__all__ = ["ClockContract", "InboxContract", "JournalContract", "NotifierContract", "SnapshotsContract"]


def _event(number: int) -> Event:
    return WarningRaised(code="test", text=f"event {number}")


class JournalContract:
    """Fixture: `make_journal`, a function that makes an empty journal, open for writing."""

    @pytest.fixture
    def make_journal(self) -> Callable[[], Journal]:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def journal(self, make_journal: Callable[[], Journal]) -> Iterator[Journal]:
        """An empty journal, closed at the end."""
        journal = make_journal()
        yield journal
        journal.close()

    def test_is_empty_at_first(self, journal: Journal) -> None:
        """Nothing is read from a new journal."""
        assert list(journal.read()) == []

    def test_numbers_from_one_without_gaps(self, journal: Journal) -> None:
        """Sequence numbers go on over several appends."""
        first = journal.append([_event(1), _event(2)], at=10.0)
        second = journal.append([_event(3)], at=11.0)
        assert [record.seq for record in first + second] == [1, 2, 3]
        assert [record.at for record in first + second] == [10.0, 10.0, 11.0]

    def test_reads_what_was_appended(self, journal: Journal) -> None:
        """Reading gives the records that append answered, equal and in order."""
        events: list[Event] = [
            _event(1),
            TaskIntegrated(task="a", attempt=2, commit="c" * 40),
            DecisionAnswered(id="d1", choice="retry", by="me\udcff \x00 é"),
        ]
        stored = journal.append(events, at=12.25)
        assert [record.event for record in stored] == events
        assert list(journal.read()) == stored

    def test_reads_after_a_number(self, journal: Journal) -> None:
        """`after` is exclusive, and may be the newest."""
        stored = journal.append([_event(number) for number in range(1, 8)], at=1.0)
        assert list(journal.read(after=4)) == stored[4:]
        assert list(journal.read(after=7)) == []

    def test_reading_sees_what_is_appended_meanwhile(self, journal: Journal) -> None:
        """A reader that has not come to the end gets later events too, each once."""
        journal.append([_event(1)], at=1.0)
        reader = journal.read()
        assert next(reader).seq == 1
        journal.append([_event(2), _event(3)], at=2.0)
        assert [record.seq for record in reader] == [2, 3]

    def test_appending_nothing_stores_nothing(self, journal: Journal) -> None:
        """An empty append is allowed and takes no number."""
        assert journal.append([], at=1.0) == []
        assert [record.seq for record in journal.append([_event(1)], at=2.0)] == [1]

    def test_stores_many_at_once(self, journal: Journal) -> None:
        """One append may hold thousands of events."""
        journal.append([_event(number) for number in range(3000)], at=1.0)
        assert [record.seq for record in journal.read()] == list(range(1, 3001))

    def test_takes_times_as_they_come(self, journal: Journal) -> None:
        """A clock that jumps back does not disturb the order."""
        journal.append([RunInterrupted(by="a")], at=100.0)
        journal.append([RunInterrupted(by="b")], at=50.0)
        assert [record.at for record in journal.read()] == [100.0, 50.0]

    def test_refuses_events_once_closed(self, journal: Journal) -> None:
        """Closing twice is harmless; appending afterwards is an error of the port."""
        journal.close()
        journal.close()
        with pytest.raises(AdapterError):
            journal.append([_event(1)], at=1.0)


class InboxContract:
    """Fixture: `make_inbox`, a function that makes an empty inbox."""

    @pytest.fixture
    def make_inbox(self) -> Callable[[], Inbox]:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def inbox(self, make_inbox: Callable[[], Inbox]) -> Iterator[Inbox]:
        """An empty inbox, closed at the end."""
        inbox = make_inbox()
        yield inbox
        inbox.close()

    def test_keeps_the_order(self, inbox: Inbox) -> None:
        """The oldest request comes first, with all it says."""
        requests = [
            Request(
                id="z", kind=RequestKind.ANSWER, task="t", decision="d1", choice="retry", by="me", note="because\n…"
            ),
            Request(id="a", kind=RequestKind.PAUSE),
        ]
        for request in requests:
            inbox.put(request)
        assert inbox.pending() == requests
        assert inbox.pending() == requests

    def test_a_repeated_request_is_one(self, inbox: Inbox) -> None:
        """The id decides; the first of that id counts [I9]."""
        inbox.put(Request(id="1", kind=RequestKind.RETRY, task="a"))
        inbox.put(Request(id="1", kind=RequestKind.SKIP, task="a"))
        assert [request.kind for request in inbox.pending()] == ["retry"]

    def test_a_settled_request_stays_settled(self, inbox: Inbox) -> None:
        """Neither settling nor putting it again brings it back."""
        inbox.put(Request(id="1", kind=RequestKind.RETRY))
        inbox.put(Request(id="2", kind=RequestKind.RETRY))
        inbox.settle("1")
        inbox.settle("1")
        inbox.put(Request(id="1", kind=RequestKind.RETRY))
        assert [request.id for request in inbox.pending()] == ["2"]

    def test_settling_the_unknown_is_harmless(self, inbox: Inbox) -> None:
        """A request that nobody put can still come later."""
        inbox.settle("1")
        inbox.put(Request(id="1", kind=RequestKind.RETRY))
        assert [request.id for request in inbox.pending()] == ["1"]

    def test_a_request_wakes_the_holder(self, inbox: Inbox) -> None:
        """Who listens is called in the event loop; closing ends that, and may be repeated."""

        async def script() -> None:
            woken = asyncio.Event()
            inbox.listen(woken.set)
            inbox.put(Request(id="1", kind=RequestKind.RETRY))
            async with asyncio.timeout(30):
                await woken.wait()
            assert [request.id for request in inbox.pending()] == ["1"]
            inbox.close()
            inbox.close()

        asyncio.run(script())


class SnapshotsContract:
    """Fixtures: `journal`, an empty journal open for writing, and `snapshots`, the snapshots of that journal."""

    @pytest.fixture
    def journal(self) -> Iterator[Journal]:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def snapshots(self, journal: Journal) -> Snapshots:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def state(self, journal: Journal) -> RunState:
        """The state after the first event of a run of two tasks, which is all that the journal holds."""
        tasks = (Task(id="a", title="A"), Task(id="b", title="B", depends_on=("a",)))
        agents = (AgentDef(name="agent", kind="command"),)
        options = RunOptions(agent="agent", agents=agents)
        plan = Plan(plan="p", tasks=tasks)
        return fold(
            journal.append([RunStarted(run="r", plan=plan, options=options, base="b", branch="chargehand/r")], at=1.0)
        )

    def test_there_is_none_at_first(self, snapshots: Snapshots, state: RunState) -> None:
        """A run begins without one."""
        assert state.seq == 1
        assert snapshots.load() is None

    def test_loads_what_was_saved(self, snapshots: Snapshots, state: RunState) -> None:
        """Equal to what was saved, any number of times, and at the same event."""
        snapshots.save(state)
        first, second = snapshots.load(), snapshots.load()
        assert first == second == state
        assert first is not second
        assert first is not None
        assert first.seq == 1

    def test_what_becomes_of_a_state_does_not_touch_its_snapshot(
        self, snapshots: Snapshots, state: RunState, journal: Journal
    ) -> None:
        """Neither the state that was saved nor one that was loaded is the snapshot itself."""
        snapshots.save(state)
        saved = fold(journal.read())
        later = journal.append([_event(1)], at=2.0)
        fold(later, onto=state)
        loaded = snapshots.load()
        assert loaded is not None
        fold(later, onto=loaded)
        assert loaded == state != saved
        assert snapshots.load() == saved

    def test_the_newest_counts(self, snapshots: Snapshots, state: RunState, journal: Journal) -> None:
        """Saving again takes the place of the snapshot before."""
        snapshots.save(state)
        snapshots.save(fold(journal.append([_event(1), RunInterrupted(by="x")], at=2.0), onto=state))
        loaded = snapshots.load()
        assert loaded == fold(journal.read())
        assert loaded is not None
        assert loaded.interrupted


class ClockContract:
    """Fixture: `clock`."""

    @pytest.fixture
    def clock(self) -> Clock:
        """To be given by the subclass."""
        raise NotImplementedError

    def test_tells_seconds_since_the_epoch(self, clock: Clock) -> None:
        """A float after 2020 and before 2100, so neither milliseconds nor a monotonic count."""
        assert isinstance(clock.now(), float)
        assert 1_577_836_800 < clock.now() < 4_102_444_800


class NotifierContract:
    """Fixture: `notifier`."""

    @pytest.fixture
    def notifier(self) -> Notifier:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.mark.parametrize("text", ["", "plain", "a" * 100_000, "\x1b[31m\x00\ud800 'quoted' $(touch x) `x`\n"])
    def test_never_fails_the_run(self, notifier: Notifier, text: str) -> None:
        """Whatever the message holds, telling it raises nothing, and closing twice is harmless."""

        async def tell() -> None:
            for kind in NoticeKind:
                notice = Notice(run=text, kind=kind, title=text, text=text, task=text, choices=(text,), command=text)
                notifier.notify(notice)
            await notifier.close()
            await notifier.close()

        asyncio.run(tell())

    def test_answers_at_once_and_closes_within_seconds(self, notifier: Notifier) -> None:
        """Twenty messages take no time to hand over, and a bounded one to go out."""

        async def tell() -> None:
            loop = asyncio.get_running_loop()
            began = loop.time()
            for number in range(20):
                notifier.notify(Notice(run="r", kind=NoticeKind.DECISION, title=f"message {number}"))
            assert loop.time() - began < 2
            async with asyncio.timeout(20):
                await notifier.close()

        asyncio.run(tell())
