"""A run that is taken up after its holder died: what people are told, and what became of their wishes (SPEC 8, 9)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from chargehand.domain.commands import Request, RequestKind
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import EffectIntended, RunPaused
from chargehand.domain.view import run_state
from chargehand.domain.words import RunVerdict
from chargehand.ports import Recovered
from chargehand.testing.fakes import FakeFleet
from tests.unit.test_service import Office


class Talkative(FakeFleet):
    """Has something to say of a dead holder."""

    async def recover(self, run: str, keys: Collection[str]) -> Recovered:
        """The keys it was asked about, in words."""
        return Recovered(told=tuple(f"{key} was looked after." for key in keys))


class Died(BaseException):
    """The process is gone."""


def dead_holder() -> Office:
    """An office whose process died while an attempt was under way; nobody holds the run any more."""
    office = Office()
    office.fleet = office.world.fleet = Talkative()

    def observe(recorded: Any, state: Any) -> None:
        if isinstance(recorded.event, EffectIntended) and isinstance(recorded.event.effect, StartAttempt):
            raise Died

    try:
        office.drive(observe=observe)
    except Died:
        assert office.service.look("r").state.inflight
        return office
    raise AssertionError("It did not die.")


def test_what_was_found_of_a_dead_holder_is_told():
    office = dead_holder()
    told: list[str] = []
    assert office.drive(office.service.take_up("r"), tell=told.append).finished.verdict is RunVerdict.FINISHED
    assert told == ["a/1/attempt was looked after."]


def test_nobody_has_to_listen():
    office = dead_holder()
    assert office.drive(office.service.take_up("r")).finished.verdict is RunVerdict.FINISHED


def test_a_pause_that_a_dead_holder_left_does_not_stop_who_goes_on():
    """Whoever takes the run up says so later than whoever asked for the pause."""
    office = dead_holder()
    summary = office.service.request("r", Request(id="1", kind=RequestKind.PAUSE, by="uma"))
    assert (summary.held, run_state(summary.state, held=False)) == (False, "paused")
    assert office.store.inboxes["r"].pending() == []
    state = office.drive(office.service.take_up("r"))
    assert state.finished.verdict is RunVerdict.FINISHED
    assert sum(isinstance(recorded.event, RunPaused) for recorded in office.service.events("r")) == 1


def test_other_wishes_wait_until_somebody_has_looked_after_what_was_under_way():
    office = dead_holder()
    summary = office.service.request("r", Request(id="1", kind=RequestKind.CANCEL, by="uma"))
    assert summary.state.cancelled is None
    assert len(office.store.inboxes["r"].pending()) == 1
    assert office.drive(office.service.take_up("r")).finished.verdict is RunVerdict.CANCELLED


def test_a_cancel_starts_nothing():
    """SPEC 9: who cancels a run that nobody drives takes it up, and it only ends."""
    office = dead_holder()
    submitted = len(office.fleet.submitted)
    office.service.request("r", Request(id="1", kind=RequestKind.CANCEL, by="uma"))
    asyncio.run(office.service.drive(office.service.take_up("r")))
    assert len(office.fleet.submitted) == submitted
