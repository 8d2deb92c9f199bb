"""What became of what was under way when the last holder died (SPEC 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from chargehand.domain.effects import Land
from chargehand.domain.events import (
    AttemptFinished,
    DecisionAsked,
    EffectIntended,
    EffectLost,
    LandFinished,
    TaskIntegrated,
)
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import Landed, Report, ReportStatus
from chargehand.domain.plan import Files
from chargehand.domain.words import RunVerdict
from chargehand.engine.recovery import recover
from chargehand.ports import Recovered
from chargehand.testing.fakes import FakeFleet, attempt_result, object_id
from chargehand.testing.faults import Crash, Faults
from tests.engines import FakeReader, World, steady
from tests.play import a_plan, a_task


def killed(world: World, at: str, when: Any) -> World:
    """The process dies at the first call of that name."""
    ports = world.ports(faults := Faults(when=when), "fleet", "gates", "integrator")

    def watch(recorded: Any, state: Any) -> None:
        if isinstance(recorded.event, EffectIntended) and type(recorded.event.effect).__name__ == at:
            faults.at = faults.at or len(faults.calls) + 1

    try:
        asyncio.run(world.drive(ports, observe=watch))
    except Crash:
        return world
    raise AssertionError("It did not die.")


def recovered(world: World) -> list[Any]:
    return asyncio.run(recover(world.ports(), fold(list(world.journal.read()))))


def test_nothing_under_way_needs_nothing():
    world = World(a_plan(a_task("a")))
    asyncio.run(world.drive())
    assert recovered(world) == []


def test_a_branch_that_was_moved_unseen_is_a_landing():
    """I4: update-ref happened, the process died before it could say so."""
    world = killed(World(a_plan(a_task("a"))), "Land", "after")
    (event,) = recovered(world)
    assert isinstance(event, LandFinished)
    assert event.result == Landed(commit=world.head)
    assert asyncio.run(world.drive()).finished.verdict is RunVerdict.FINISHED
    assert world.landed() == ["a"]
    assert len(world.events(TaskIntegrated)) == 1


def test_a_landing_is_found_below_what_somebody_put_on_top():
    """I4: the branch moved on after our landing; it is asked for the commit, not for its head."""
    world = killed(World(a_plan(a_task("a"))), "Land", "after")
    landed, foreign = world.head, object_id("foreign")
    world.integrator.parents[foreign] = (landed, landed)
    world.integrator.move("chargehand/r", foreign)
    (event,) = recovered(world)
    assert isinstance(event, LandFinished)
    assert event.result == Landed(commit=landed)


def test_an_attempt_that_was_sealed_but_unjudged_is_not_run_again():
    """Its result is there; only the record of it is missing (SPEC 8)."""
    world = killed(World(a_plan(a_task("a"))), "StartAttempt", "after")
    (key,) = (spec.key for spec in world.fleet.submitted)
    state = asyncio.run(world.drive())
    assert state.finished.verdict is RunVerdict.FINISHED
    assert [event.key for event in world.events(AttemptFinished)] == [key]
    assert len(world.fleet.submitted) == 1


def test_an_attempt_that_asked_for_context_unseen_gets_it():
    """Its report is answered as if somebody had been there: from the repository, and only else by a human."""
    asks = Report(status=ReportStatus.NEEDS_CONTEXT, missing_context=("README.md",))
    fleet = FakeFleet({("a", 1): lambda spec: replace(attempt_result(spec, changes=[]), report=asks)})
    plan = a_plan(a_task("a", files=Files(modify=("a.txt",), read=("docs.md",))))
    world = World(plan, fleet=fleet, reader=FakeReader({"README.md": "read me", "docs.md": "docs"}))
    (event,) = recovered(killed(world, "StartAttempt", "after"))
    assert event.result.context == (("README.md", "read me"), ("docs.md", "docs"))
    assert asyncio.run(world.drive()).finished.verdict is RunVerdict.FINISHED
    assert not world.events(DecisionAsked)


def test_a_branch_that_was_not_moved_is_landed_again():
    world = killed(World(a_plan(a_task("a"))), "Land", "before")
    (event,) = recovered(world)
    assert isinstance(event, EffectLost)
    assert asyncio.run(world.drive()).finished.verdict is RunVerdict.FINISHED
    assert world.landed() == ["a"]
    intents = [e.effect for e in world.events(EffectIntended) if isinstance(e.effect, Land)]
    assert intents[0] == intents[1]


def test_an_attempt_without_an_outcome_is_started_again_under_another_key():
    """Never started, or gone with its process: redone; its rescue is the fleet's work [I2]."""
    world = killed(World(a_plan(a_task("a"))), "StartAttempt", "before")
    world.fleet = FakeFleet()
    (event,) = recovered(world)
    assert event.key == "a/1/attempt"
    world.fleet = FakeFleet({"a": steady})
    state = asyncio.run(world.drive())
    assert state.finished.verdict is RunVerdict.FINISHED
    assert (state.tasks["a"].attempts, world.fleet.submitted[0].key) == (1, "a/1/attempt-2")


def test_the_fleet_ends_what_is_left_before_anything_starts():
    """I11: leftovers of the last holder first."""
    world = killed(World(a_plan(a_task("a"))), "StartAttempt", "after")
    calls: list[str] = []

    class Watching(FakeFleet):
        async def recover(self, run: str, keys: Collection[str]) -> Recovered:
            calls.append(f"recover {run} {[*keys]}")
            return await super().recover(run, keys)

        async def submit(self, spec: Any) -> None:
            calls.append(f"submit {spec.key}")
            await super().submit(spec)

    world.fleet = Watching()
    asyncio.run(world.drive())
    assert calls == ["recover r ['a/1/attempt']", "submit a/1/attempt-2"]
