"""The loop: whole runs on the shipped fakes, interrupts, people, timers, failures of every port (SPEC 3, 8, 9)."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.commands import RequestKind
from chargehand.domain.effects import Land, RunCanary, RunGates, StartAttempt
from chargehand.domain.errors import AdapterError, Stuck
from chargehand.domain.events import (
    AttemptFinished,
    DecisionAnswered,
    DecisionAsked,
    EffectIntended,
    EffectLost,
    Recorded,
    RunFinished,
    RunInterrupted,
    TaskIntegrated,
)
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, GateStatus, ReportStatus
from chargehand.domain.plan import Command, GatePoint
from chargehand.domain.policy import Policy
from chargehand.domain.state import RunState
from chargehand.domain.words import Reason, RunVerdict, TaskStatus
from chargehand.ports import Projection, Request
from chargehand.testing.fakes import FakeClock, FakeFleet, FakeGates, FakeInbox, attempt_result
from chargehand.testing.faults import Crash, Faults
from tests.engines import World, steady, until
from tests.play import a_gate, a_plan, a_task

DIAMOND = [a_task("a"), a_task("b", "a"), a_task("c", "a"), a_task("d", "b", "c")]
GATES = [a_gate("lint", GatePoint.TASK), a_gate("tests")]


def diamond(**parts: Any) -> World:
    return World(a_plan(*DIAMOND, gates=GATES), **parts)


def drive(world: World, *args: Any, **options: Any) -> Any:
    return asyncio.run(world.drive(*args, **options))


# -- whole runs -------------------------------------------------------------------------------------


def test_a_run_from_start_to_end():
    world = diamond()
    state = drive(world)
    assert state.finished.verdict is RunVerdict.FINISHED
    assert world.landed() == ["a", "b", "c", "d"]
    assert state.head == world.head
    assert fold(list(world.journal.read())) == state


def test_the_observer_sees_every_event_once_in_order():
    world = diamond()
    seen: list[int] = []
    drive(world, observe=lambda recorded, state: seen.append(recorded.seq))
    assert seen == list(range(2, len(world.journal.records) + 1))


def test_the_same_outcomes_give_the_same_journal():
    """I15."""
    one, two = diamond(), diamond()
    drive(one)
    drive(two)
    assert one.journal.records == two.journal.records


def test_intent_is_in_the_journal_before_the_port_is_called():
    """I5."""
    world = diamond()
    late: list[str] = []

    class Watching(FakeFleet):
        async def submit(self, spec: Any) -> None:
            intents = [e.effect.key for e in world.events(EffectIntended)]
            late.extend([spec.key] if spec.key not in intents else [])
            await super().submit(spec)

    world.fleet = Watching()
    drive(world)
    assert len(world.fleet.submitted) == 4
    assert late == []


def test_a_run_of_failures_ends_with_a_reason_for_each():
    """I12."""
    gates = FakeGates({("b", "lint"): GateStatus.FAIL})
    world = diamond(gates=gates, options={"unattended": True})
    state = drive(world)
    assert [(r.status, r.reason, r.blocked_on) for r in state.tasks.values()] == [
        (TaskStatus.INTEGRATED, Reason.INTEGRATED, None),
        (TaskStatus.FAILED, Reason.GATE_RED, None),
        (TaskStatus.INTEGRATED, Reason.INTEGRATED, None),
        (TaskStatus.BLOCKED, Reason.BLOCKED_ON, "b"),
    ]
    assert state.finished.verdict is RunVerdict.FAILED


def test_a_state_nothing_can_move_is_told():
    """I13: Stuck, with everything under way ended; never a hang."""
    world = World(a_plan(a_task("a", "nobody")))
    with pytest.raises(Stuck, match="cannot move"):
        drive(world)


# -- interrupts ---------------------------------------------------------------------------------------


def interrupting(world: World, at: Any, *, times: int = 1, **how: Any) -> Any:
    """Drive a world and interrupt it when `at` says so of an event."""

    async def play() -> Any:
        calls: list[int] = []

        def observe(recorded: Any, state: Any) -> None:
            if at(recorded.event) and len(calls) < times:
                calls.append(recorded.seq)
                engine.interrupt("ctrl-c", **how)

        engine = world.engine(observe)
        async with asyncio.timeout(20):
            return await engine.run()

    return asyncio.run(play())


def intends(kind: Any, task: str = "") -> Any:
    def matches(event: Any) -> bool:
        return isinstance(event, EffectIntended) and isinstance(event.effect, kind) and event.effect.task == task

    return matches


@pytest.mark.parametrize("now", [None, False, True])
def test_an_interrupt_ends_what_is_live(now):
    """I11: an attempt that was only just started is ended, too; it does not count and is started again."""
    world = diamond(fleet=FakeFleet(hold=True))
    state = interrupting(world, intends(StartAttempt, "a"), **({} if now is None else {"now": now}))
    assert state.interrupted
    assert not state.inflight
    assert world.fleet.cancelled == ["a/1/attempt"]
    (ended,) = world.events(AttemptFinished)
    assert (ended.result.exit.kind, ended.result.exit.detail) == (ExitKind.CANCELLED, "now" if now else "")
    assert state.tasks["a"].attempts == 0
    world.fleet.hold = False
    state = drive(world)
    assert state.finished.verdict is RunVerdict.FINISHED
    assert world.fleet.submitted[1].key == "a/1/attempt-2"
    assert state.tasks["a"].attempts == 1


def test_an_interrupt_before_the_first_turn_starts_nothing():
    world = diamond()

    async def play() -> Any:
        engine = world.engine()
        engine.interrupt("ctrl-c")
        return await engine.run()

    state = asyncio.run(play())
    assert state.interrupted
    assert not state.inflight
    assert world.fleet.submitted == []


def test_interrupted_twice_the_second_kills():
    class Slow(FakeFleet):
        """Ends an attempt only when it is killed."""

        async def cancel(self, key: str, *, now: bool = False) -> None:
            if now:
                await super().cancel(key, now=now)

    world = diamond(fleet=Slow(hold=True))

    async def play() -> Any:
        def observe(recorded: Any, state: Any) -> None:
            if intends(StartAttempt, "a")(recorded.event):
                engine.interrupt("ctrl-c")
            if isinstance(recorded.event, RunInterrupted) and not engine.state.tasks["a"].is_over:
                engine.interrupt("ctrl-c", now=True) if len(world.events(RunInterrupted)) == 1 else None

        engine = world.engine(observe)
        async with asyncio.timeout(20):
            return await engine.run()

    state = asyncio.run(play())
    assert state.interrupted
    assert world.fleet.cancelled == ["a/1/attempt"]
    assert len(world.events(RunInterrupted)) == 2


def canary_intended(event: Any) -> bool:
    return isinstance(event, EffectIntended) and isinstance(event.effect, RunCanary)


@pytest.mark.parametrize(("held", "at"), [("setup", canary_intended), ("verify-1", intends(RunGates, "a"))])
def test_an_interrupt_ends_gates(held, at):
    """Gates are ended and run again; what was sealed is kept."""
    tasks = [a_task("a", verify=(Command(argv=("true",)),))]
    world = World(a_plan(*tasks, gates=[a_gate("setup")]), gates=FakeGates(hold=[held]))
    state = interrupting(world, at)
    assert not state.inflight
    assert [e.detail for e in world.events(EffectLost)] == ["It was told to stop."]
    world.gates.hold = False
    assert drive(world).finished.verdict is RunVerdict.FINISHED
    assert [spec.key for spec in world.fleet.submitted] == ["a/1/attempt"]


def test_landing_is_waited_for():
    """Merging and landing take milliseconds: they come to their outcome [I4]."""
    world = diamond()
    state = interrupting(world, intends(Land, "a"))
    assert state.tasks["a"].status is TaskStatus.INTEGRATED
    assert state.tasks["b"].status is TaskStatus.WAITING
    assert drive(world).finished.verdict is RunVerdict.FINISHED
    assert world.landed() == ["a", "b", "c", "d"]


class Counting(FakeFleet):
    """Notes how often and how it was told to end an attempt; `deaf` attempts answer with an error."""

    def __init__(self, deaf: str = "") -> None:
        super().__init__(hold=True)
        self.told: list[tuple[str, bool]] = []
        self.deaf = deaf

    async def cancel(self, key: str, *, now: bool = False) -> None:
        self.told.append((key, now))
        if key == self.deaf:
            raise AdapterError("fleet", "it does not answer")
        await super().cancel(key, now=now)


def test_an_attempt_is_told_to_end_once():
    fleet = Counting()
    world = World(a_plan(a_task("a"), a_task("b")), fleet=fleet)
    interrupting(world, intends(StartAttempt, "a"))
    assert fleet.told == [("a/1/attempt", False), ("b/1/attempt", False)]


def test_one_that_cannot_be_ended_does_not_save_the_others():
    """I11: left by an error, the loop ends all it can, at once, and raises what it was left by."""
    fleet = Counting(deaf="a/1/attempt")
    world = World(a_plan(a_task("a"), a_task("b")), fleet=fleet)

    async def play() -> None:
        driven = asyncio.create_task(world.drive())
        await until(lambda: len(fleet.live) == 2)
        driven.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driven

    asyncio.run(play())
    assert sorted(fleet.told) == [("a/1/attempt", True), ("b/1/attempt", True)]
    assert fleet.live == ["a/1/attempt"]


def test_the_inbox_is_looked_into_when_there_is_reason_to():
    """Nothing is polled."""
    looked: list[int] = []

    class Watched(FakeInbox):
        def pending(self) -> list[Request]:
            looked.append(1)
            return super().pending()

    world = diamond(inbox=Watched())
    drive(world)
    assert len(looked) == 1


def test_a_fleet_that_cannot_cancel_is_told():
    """The error of an ending is raised by the loop, not lost in the background."""

    class Broken(FakeFleet):
        broken = True

        async def cancel(self, key: str, *, now: bool = False) -> None:
            if self.broken:
                type(self).broken = False
                raise AdapterError("fleet", "it does not answer")
            await super().cancel(key, now=now)

    world = diamond(fleet=Broken(hold=True))
    with pytest.raises(AdapterError, match="does not answer"):
        interrupting(world, intends(StartAttempt, "a"))
    assert world.fleet.live == []


# -- people -------------------------------------------------------------------------------------------


def asking(**parts: Any) -> World:
    fleet = FakeFleet({("a", n): lambda spec: attempt_result(spec, ReportStatus.FAILED) for n in (1, 2)})
    return World(a_plan(a_task("a"), a_task("b")), fleet=fleet, **parts)


def test_without_waiting_a_run_that_only_waits_for_people_ends():
    world = asking()
    state = drive(world)
    assert state.waits_for_people
    assert list(state.decisions) == ["d1"]
    (message,) = world.notifier.sent
    assert (message.run, message.kind, message.decision, message.task) == ("r", "decision", "d1", "a")
    assert message.choices == state.decisions["d1"].choices


def test_nobody_is_notified_in_an_unattended_run():
    world = asking(options={"unattended": True})
    assert drive(world).finished.verdict is RunVerdict.FAILED
    assert world.notifier.sent == []


def test_an_answer_wakes_the_loop():
    """9: rows anyone may answer; the loop waits without polling."""
    world = asking()

    async def play() -> Any:
        driven = asyncio.create_task(world.drive(wait_for_people=True))
        await until(lambda: world.notifier.sent)
        world.inbox.put(
            Request(id="1", kind=RequestKind.ANSWER, decision="d1", choice="retry", by="me", note="try harder")
        )
        return await driven

    state = asyncio.run(play())
    assert state.finished.verdict is RunVerdict.FINISHED
    (answer,) = world.events(DecisionAnswered)
    assert (answer.choice, answer.by, answer.note) == ("retry", "me", "try harder")
    assert "try harder" in world.fleet.submitted[-1].brief
    assert world.inbox.pending() == []


@pytest.mark.parametrize(
    "request_",
    [
        Request(id="1", kind=RequestKind.ANSWER, decision="d9", choice="retry", by="me"),
        Request(id="1", kind=RequestKind.ANSWER, decision="d1", choice="fail", by="me"),
        Request(id="1", kind=RequestKind.ANSWER, decision="", choice="retry", by="me"),
    ],
)
def test_an_answer_to_another_question_never_counts(request_):
    """I9: stale, unknown, or not offered; settled, so that it is never taken later."""
    world = asking()
    drive(world)
    world.inbox.put(request_)
    state = drive(world)
    assert list(state.decisions) == ["d1"]
    assert world.events(DecisionAnswered) == []
    assert world.inbox.pending() == []


def test_of_two_answers_the_first_counts():
    """I9: an answer counts for one question."""
    world = asking()
    drive(world)
    for name, choice in (("1", "skip"), ("2", "retry")):
        world.inbox.put(Request(id=name, kind=RequestKind.ANSWER, decision="d1", choice=choice, by="me"))
    state = drive(world)
    assert [a.choice for a in world.events(DecisionAnswered)] == ["skip"]
    assert state.tasks["a"].status is TaskStatus.SKIPPED


def test_an_answer_that_was_recorded_but_not_settled_counts_once():
    """A crash between the journal and the inbox."""
    world = asking()
    drive(world)
    world.inbox.put(Request(id="1", kind=RequestKind.ANSWER, decision="d1", choice="retry", by="me"))
    faults = Faults(at=1, error=lambda: AdapterError("inbox", "full"))
    ports = world.ports()
    broken = world.ports(faults, "inbox")
    faults.calls.clear()
    faults.at = next(n for n, name in enumerate(["listen", "pending", "settle"], start=1) if name == "settle")
    with pytest.raises(AdapterError):
        drive(world, broken)
    assert len(world.events(DecisionAnswered)) == 1
    state = drive(world, ports)
    assert len(world.events(DecisionAnswered)) == 1
    assert state.finished.verdict is RunVerdict.FINISHED


def test_resumed_unattended_a_waiting_run_ends():
    world = asking()
    drive(world)
    state = drive(world, unattended=True)
    assert state.tasks["a"].status is TaskStatus.FAILED
    assert state.finished.verdict is RunVerdict.FAILED


def test_an_interrupt_ends_the_waiting_for_people():
    world = asking()

    async def play() -> Any:
        engine = world.engine()
        driven = asyncio.create_task(engine.run(wait_for_people=True))
        await until(lambda: world.notifier.sent)
        engine.interrupt("ctrl-c")
        return await driven

    state = asyncio.run(play())
    assert state.interrupted
    assert list(state.decisions) == ["d1"]


# -- timers -------------------------------------------------------------------------------------------


class WallClock:
    """The real one: timers wait on it."""

    def now(self) -> float:
        return time.time()


def limited(spec: Any) -> AttemptResult:
    return AttemptResult(exit=AgentExit(kind=ExitKind.RATE_LIMITED))


def test_a_timer_wakes_the_loop():
    world = World(
        a_plan(a_task("a")),
        fleet=FakeFleet({("a", 1): limited}),
        clock=WallClock(),
        options={"policy": Policy(backoff_s=0.02)},
    )
    state = drive(world)
    assert state.finished.verdict is RunVerdict.FINISHED
    times = [r.at for r in world.journal.records if intends(StartAttempt, "a")(r.event)]
    assert times[1] - times[0] >= 0.02


def test_a_timer_that_is_due_while_the_slot_is_taken_keeps_nobody_busy():
    """The loop sleeps until something happens, and outcomes still come in."""
    world = World(
        a_plan(a_task("a"), a_task("b", agent="other")),
        fleet=FakeFleet({("a", 1): limited}),
        options={"jobs": 1, "policy": Policy(backoff_s=0.01)},
        clock=WallClock(),
    )

    async def play() -> Any:
        turns = 0

        def observe(recorded: Any, state: Any) -> None:
            nonlocal turns
            turns += 1
            if isinstance(recorded.event, AttemptFinished) and recorded.event.attempt == 1:
                world.fleet.hold = recorded.event.task == "a"

        driven = asyncio.create_task(world.drive(observe=observe))
        await until(lambda: world.fleet.live == ["b/1/attempt"])
        await asyncio.sleep(0.03)
        assert len(world.journal.records) == turns + 1
        world.fleet.finish("b/1/attempt")
        return await driven

    state = asyncio.run(play())
    assert state.finished.verdict is RunVerdict.FINISHED
    assert world.landed() == ["b", "a"]


def test_a_clock_that_jumps_over_a_timer_is_no_problem():
    class Jumping(FakeClock):
        def now(self) -> float:
            self.at += 50
            return self.at

    world = World(a_plan(a_task("a")), fleet=FakeFleet({("a", 1): limited}), clock=Jumping())
    assert drive(world).finished.verdict is RunVerdict.FINISHED


# -- the world fails ------------------------------------------------------------------------------------


def test_an_attempt_that_no_fleet_can_carry_out_is_an_outcome():
    """An error of the port is an outcome with a reason, never less isolation."""
    fleet = FakeFleet({"a": AdapterError("fleet", "no disk left")})
    world = World(a_plan(a_task("a"), a_task("b")), fleet=fleet, options={"unattended": True})
    state = drive(world)
    assert (state.tasks["a"].status, state.tasks["a"].reason) == (TaskStatus.FAILED, Reason.ENV_MISSING)
    assert "no disk left" in state.tasks["a"].detail
    assert state.tasks["b"].status is TaskStatus.INTEGRATED


def test_gates_that_no_checkout_could_be_made_for_are_a_fault():
    gates = FakeGates({("a", "lint"): AdapterError("gates", "no checkout")})
    world = World(a_plan(a_task("a"), gates=GATES), gates=gates, options={"unattended": True})
    state = drive(world)
    assert (state.tasks["a"].status, state.tasks["a"].reason) == (TaskStatus.FAILED, Reason.LINE_FAULT)
    assert "no checkout" in state.tasks["a"].detail


@pytest.mark.parametrize("name", ["open", "merge", "land"])
@pytest.mark.parametrize("error", [AdapterError("git", "broken"), ValueError("a bug"), Crash()])
def test_what_is_no_outcome_ends_the_run_and_a_resume_finishes_it(name, error):
    """Everything under way is ended, intents stay; nothing lands twice [I4, I11]."""
    world = diamond()
    faults = Faults(at=1, error=lambda: error)
    ports = world.ports()
    failing = replace(ports, integrator=faults.wrap(ports.integrator, name))
    with pytest.raises(type(error)):
        drive(world, failing)
    state = fold(list(world.journal.read()))
    assert state.inflight, "the intent stays"
    assert world.fleet.live == []
    assert drive(world).finished.verdict is RunVerdict.FINISHED
    assert world.landed() == ["a", "b", "c", "d"]


def test_an_error_ends_the_attempts_beside_it():
    """I11: nothing of ours goes on behind the back of a loop that was left."""
    gates = FakeGates({("a", "lint"): ValueError("a bug")})
    fleet = FakeFleet({"a": attempt_result})
    world = World(a_plan(a_task("a"), a_task("b"), gates=GATES), fleet=fleet, gates=gates)
    fleet.hold = True

    async def play() -> None:
        driven = asyncio.create_task(world.drive())
        await until(lambda: len(fleet.live) == 2)
        fleet.finish("a/1/attempt")
        with pytest.raises(ValueError, match="a bug"):
            await driven

    asyncio.run(play())
    assert fleet.live == []
    assert fleet.cancelled == ["b/1/attempt"]
    fleet.hold = False
    gates.outcomes.clear()
    assert drive(world).finished.verdict is RunVerdict.FINISHED


def test_what_came_beside_an_error_is_recorded():
    """An outcome is not lost because another call failed in the same moment."""
    gates = FakeGates({("a", "lint"): ValueError("a bug")})
    world = World(a_plan(a_task("a"), a_task("b"), gates=GATES), gates=gates)
    with pytest.raises(ValueError, match="a bug"):
        drive(world)
    assert {event.task for event in world.events(AttemptFinished)} == {"a", "b"}


def test_a_cancelled_loop_ends_everything():
    """As a front end that goes away."""
    world = diamond(fleet=FakeFleet(hold=True))

    async def play() -> None:
        driven = asyncio.create_task(world.drive())
        await until(lambda: world.fleet.live)
        driven.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driven

    asyncio.run(play())
    assert world.fleet.live == []
    world.fleet.hold = False
    assert drive(world).finished.verdict is RunVerdict.FINISHED


# -- the journal fails at every k -------------------------------------------------------------------------


def stubborn(**parts: Any) -> World:
    fleet = FakeFleet(dict.fromkeys("abcd", steady))
    return diamond(fleet=fleet, **parts)


def appends() -> int:
    world, faults = stubborn(), Faults()
    drive(world, world.ports(faults, "journal"))
    return sum(name.endswith("append") for name in faults.calls)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_journal_fails_at_every_kth_append(when):
    """I4, I5: resumed, the same final tree, each task landed once."""
    whole = stubborn()
    drive(whole)
    total = appends()
    assert total > 20
    for k in range(1, total + 1):
        world = stubborn()
        faults = Faults(at=k, when=when, error=lambda: AdapterError("journal", "disk full"))
        with pytest.raises(AdapterError, match="disk full"):
            drive(world, world.ports(faults, "journal"))
        assert world.fleet.live == []
        state = drive(world)
        assert state.finished.verdict is RunVerdict.FINISHED, k
        assert world.head_tree == whole.head_tree, k
        assert world.landed() == ["a", "b", "c", "d"], k
        assert [e.task for e in world.events(TaskIntegrated)] == ["a", "b", "c", "d"], k
        assert len(world.events(RunFinished)) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_process_dies_at_every_kth_call_of_any_port(when):
    """8: killed at any point; same outcomes, same tree, each task lands once [I4]."""
    whole, counting = stubborn(), Faults()
    drive(whole, whole.ports(counting))
    for k in range(1, len(counting.calls) + 1):
        world = stubborn()
        with pytest.raises(Crash):
            drive(world, world.ports(Faults(at=k, when=when)))
        state = drive(world)
        assert state.finished.verdict is RunVerdict.FINISHED, k
        assert world.head_tree == whole.head_tree, k
        assert world.landed() == ["a", "b", "c", "d"], k


def test_every_port_fails_once_at_every_kth_call():
    """An error of a port is an outcome or ends the process; either way the run comes to its end [I4, I12]."""
    counting = Faults()
    whole = stubborn()
    drive(whole, whole.ports(counting))
    for k in range(1, len(counting.calls) + 1):
        world = stubborn()
        faults = Faults(at=k, error=lambda: AdapterError("port", "it broke"))
        with suppress(AdapterError):
            drive(world, world.ports(faults))
        state = drive(world, unattended=True)
        landed = world.landed()
        assert state.finished, k
        assert len(landed) == len(set(landed)), k
        assert all(record.is_over and record.reason for record in state.tasks.values()), k


def test_decisions_are_asked_once_across_a_crash():
    world = asking()
    drive(world)
    drive(world)
    assert len(world.events(DecisionAsked)) == 1


# -- those who follow -------------------------------------------------------------------------------


class Follower(Projection):
    """A projection that keeps what it is given: what it began with, then events with the state after them."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.taken: list[tuple[int, int]] = []

    def begin(self, state: RunState) -> None:
        self.began.append(state.seq)

    def take(self, recorded: Recorded, state: RunState) -> None:
        self.taken.append((recorded.seq, state.seq))

    def accepted(self, state: RunState, commit: str) -> None:
        raise AssertionError("Nobody accepts while it runs.")


def test_projections_follow_every_event_and_begin_anew_with_each_process():
    """SPEC 11: each is told of what was there first, then of every event once, never before it is stored."""
    world, follower = diamond(), Follower()
    drive(world, replace(world.ports(), projections=(follower,)))
    last = world.journal.records[-1].seq
    assert follower.began == [1]
    assert [seq for seq, _ in follower.taken] == list(range(2, last + 1))
    assert all(seq <= known <= last for seq, known in follower.taken)

    later = Follower()
    drive(world, replace(world.ports(), projections=(later,)))
    assert later.began == [last]
    assert [seq for seq, _ in later.taken] == [last + 1]
