"""The clock of a process, and what a jump of the machine's clock does to a run."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from chargehand.adapters.clock import SteadyClock
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind
from chargehand.domain.words import RunVerdict
from chargehand.engine import loop
from chargehand.testing.contracts.facts import ClockContract
from chargehand.testing.fakes import FakeFleet, attempt_result
from tests.engines import World
from tests.play import a_plan, a_task


class TestSteadyClock(ClockContract):
    """The real one."""

    @pytest.fixture
    def clock(self) -> SteadyClock:
        """As a run has it."""
        return SteadyClock()


def test_setting_the_clock_changes_nothing_for_a_run():
    wall, elapsed = [1_700_000_000.0], [50.0]
    clock = SteadyClock(lambda: wall[0], lambda: elapsed[0])
    assert clock.now() == 1_700_000_000.0
    wall[0] += 86_400.0
    elapsed[0] += 2.0
    assert clock.now() == 1_700_000_002.0


def test_a_run_goes_on_when_the_next_process_finds_another_day(monkeypatch: Any):
    """A day forward and a day back between two processes: no budget is used up by it, and nothing lands twice [I4]."""
    for jump in (86_400.0, -86_400.0):
        world = World(a_plan(a_task("a"), a_task("b", "a")))
        waits = AttemptResult(exit=AgentExit(kind=ExitKind.RATE_LIMITED))
        answers: list[Any] = [waits, attempt_result]
        world.fleet = FakeFleet({"a": partial(_next, answers)})
        engine = world.engine()
        asyncio.run(_until_it_waits(world, engine))
        world.clock.advance(jump)
        monkeypatch.setattr(loop, "LONG_WAIT_S", 0.0)
        world.clock.step_s = 10.0
        state = asyncio.run(world.drive())
        assert state.finished.verdict is RunVerdict.FINISHED
        assert world.landed() == ["a", "b"]
        assert state.busy_s < 3_600.0
        monkeypatch.undo()


def _next(answers: list[Any], spec: Any) -> Any:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    return answer(spec) if callable(answer) else answer


async def _until_it_waits(world: World, engine: Any) -> None:
    def stop(recorded: Any, state: Any) -> None:
        if state.timers:
            engine.interrupt("the test")

    engine._observe = stop
    await engine.run()
