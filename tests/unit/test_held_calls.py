"""Calls that wait for a yes: an answer, silence, and an attempt that goes away (I9)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from chargehand.adapters.held_calls import HeldCalls, Ruling
from chargehand.domain.commands import Request, RequestKind
from chargehand.domain.events import CommandAsked, CommandDropped, DecisionAnswered
from chargehand.domain.evolve import fold
from chargehand.domain.view import exit_code
from chargehand.domain.words import RunVerdict
from chargehand.ports import AttemptSpec
from chargehand.testing.fakes import FakeFleet
from chargehand.testing.faults import Crash, Faults
from tests.engines import World, steady, until
from tests.play import a_plan, a_task

ASK: dict[str, Any] = {"key": "a/1/attempt", "task": "a", "attempt": 1, "command": "rm -rf /", "why": "deletes"}


def held(wait_s: float = 60.0) -> tuple[HeldCalls, list[Any]]:
    calls = HeldCalls(wait_s=wait_s)
    told: list[Any] = []
    calls.listen(told.append)
    return calls, told


def test_an_answer_lets_exactly_that_call_go_on():
    async def script() -> None:
        calls, told = held()
        one = asyncio.create_task(calls.ask(**ASK))
        two = asyncio.create_task(calls.ask(**ASK))
        await until(lambda: len(told) == 2)
        first, second = told
        assert first == CommandAsked(call="a/1/attempt/call-1", **ASK)
        calls.rule(second.call, allow=True, text="go")
        calls.rule(second.call, allow=False, text="too late")
        calls.rule("unknown", allow=True, text="")
        assert await two == Ruling(allow=True, text="go")
        assert not one.done()
        calls.rule(first.call, allow=False, text="no")
        assert await one == Ruling(allow=False, text="no")

    asyncio.run(script())


def test_silence_is_a_no_and_its_question_is_withdrawn():
    async def script() -> None:
        calls, told = held(wait_s=0.0)
        ruling = await calls.ask(**ASK)
        assert not ruling.allow
        assert "report BLOCKED" in ruling.text
        assert told[-1] == CommandDropped(call=told[0].call)

    asyncio.run(script())


def test_with_nobody_to_ask_the_answer_is_no():
    assert not asyncio.run(HeldCalls().ask(**ASK)).allow


def test_the_engine_asks_records_and_answers():
    """I5: the answer is on the record before the agent hears it."""
    world = World(a_plan(a_task("a")), fleet=FakeFleet(hold=True))

    async def script() -> Any:
        driven = asyncio.create_task(world.drive(wait_for_people=True))
        await until(lambda: world.fleet.live)
        world.fleet.hold_at("a/1/attempt", "c1", "rm -rf /")
        await until(lambda: world.notifier.sent)
        world.inbox.put(Request(id="1", kind=RequestKind.ANSWER, decision="d1", choice="approve", by="me", note="once"))
        await until(lambda: world.fleet.ruled)
        assert world.events(DecisionAnswered)[0].call == "c1"
        world.fleet.hold_at("a/1/attempt", "c2", "rm -rf /y")
        await until(lambda: len(world.notifier.sent) == 2)
        world.inbox.put(Request(id="2", kind=RequestKind.ANSWER, decision="d2", choice="deny", by="me"))
        await until(lambda: len(world.fleet.ruled) == 2)
        world.fleet.finish("a/1/attempt")
        return await driven

    state = asyncio.run(script())
    assert state.finished.verdict is RunVerdict.FINISHED
    assert [(call, allow) for call, allow, _ in world.fleet.ruled] == [("c1", True), ("c2", False)]
    assert world.fleet.ruled[0][2] == "once"


def ask_of(world: World, choice: str) -> None:
    world.inbox.put(Request(id=choice, kind=RequestKind.ANSWER, decision="d1", choice=choice, by="me"))


def test_where_nobody_waits_only_the_question_is_left():
    """SPEC 10.1: exit 4, and the answer counts in the attempt that is made after it."""
    world = World(a_plan(a_task("a")), fleet=FakeFleet(hold=True))

    async def script() -> Any:
        driven = asyncio.create_task(world.drive())
        await until(lambda: world.fleet.live)
        world.fleet.hold_at("a/1/attempt", "c1", "rm -rf /")
        state = await driven
        assert (exit_code(state), list(state.decisions), world.fleet.live) == (4, ["d1"], [])
        ask_of(world, "approve")
        again = asyncio.create_task(world.drive())
        await until(lambda: world.fleet.live)
        world.fleet.finish(world.fleet.live[0])
        return await again

    state = asyncio.run(script())
    assert state.finished.verdict is RunVerdict.FINISHED
    assert [spec.ruled for spec in world.fleet.submitted] == [(), (("rm -rf /", True),)]
    assert len(world.fleet.cancelled) == 1


def test_a_question_of_a_dead_process_lapses_when_the_run_is_taken_up():
    """I9: an answer that was left for it meanwhile counts for nothing."""
    world = World(a_plan(a_task("a")), fleet=FakeFleet(hold=True))

    async def script() -> Any:
        driven = asyncio.create_task(world.drive(wait_for_people=True))
        await until(lambda: world.fleet.live)
        world.fleet.hold_at("a/1/attempt", "c1", "rm -rf /")
        await until(lambda: world.notifier.sent)
        driven.cancel()
        await asyncio.gather(driven, return_exceptions=True)
        ask_of(world, "approve")
        again = asyncio.create_task(world.drive(wait_for_people=True))
        await until(lambda: len(world.fleet.submitted) == 2)
        assert world.fleet.submitted[-1].ruled == ()
        world.fleet.finish(world.fleet.submitted[-1].key)
        return await again

    state = asyncio.run(script())
    assert state.finished.verdict is RunVerdict.FINISHED
    (dropped,) = world.events(CommandDropped)
    assert "d1 has lapsed" in dropped.detail
    assert world.events(DecisionAnswered) == []


class Asking(FakeFleet):
    """Every attempt wants to run one dangerous command; with a yes it ends well, without it waits."""

    async def submit(self, spec: AttemptSpec) -> None:
        await super().submit(spec)
        if (ASK["command"], True) in spec.ruled:
            self.finish(spec.key)
        else:
            asyncio.get_running_loop().call_soon(self.hold_at, spec.key, f"{spec.key}/call-1", ASK["command"])


def set_aside_with(faults: Faults) -> World:
    """A run that nobody waits for dies at one call, is taken up until only the question is left, and gets a yes."""
    world = World(a_plan(a_task("a")), fleet=Asking({"a": steady}, hold=True))
    with suppress(Crash):
        asyncio.run(world.drive(world.ports(faults)))
    state = asyncio.run(world.drive())
    assert exit_code(state) == 4
    (asked,) = state.decisions.values()
    assert (asked.call, asked.command) == ("", ASK["command"])
    assert not any(spec.ruled for spec in world.fleet.submitted)
    answer = Request(id="yes", kind=RequestKind.ANSWER, decision=asked.id, choice="approve", by="me")
    world.inbox.put(answer)
    return world


def test_dying_anywhere_while_an_attempt_is_set_aside():
    """I2, I9: at every call of every port, before and after it; the question stands in the end, and the yes counts."""
    whole = Faults()
    set_aside_with(whole)
    assert "Asking.cancel" in whole.calls
    for at in range(1, len(whole.calls) + 1):
        for when in ("before", "after"):
            world = set_aside_with(Faults(at, when=when))
            state = asyncio.run(world.drive())
            assert (state.finished.verdict, world.landed()) == (RunVerdict.FINISHED, ["a"]), (at, when)
            assert sum(bool(spec.ruled) for spec in world.fleet.submitted) == 1
            assert fold(list(world.journal.read())) == state
