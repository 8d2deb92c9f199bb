"""Those who only look ask nobody: a held call of theirs would hold a review for an answer it does not need."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chargehand.adapters.guarded import Guarded
from chargehand.adapters.guarding.calls import Question
from chargehand.adapters.held_calls import HeldCalls
from chargehand.adapters.output import Redactor
from chargehand.domain.events import CommandAsked, Event
from chargehand.domain.outcome import LOOKERS, Role
from chargehand.ports import AttemptSpec


@pytest.mark.parametrize("role", Role)
def test_who_only_looks_asks_nobody(role, tmp_path: Path):
    """SPEC 7.2: denied at once, and told of with the attempt; an author waits for the answer."""
    asked: list[Event] = []
    held = HeldCalls(wait_s=0.01)
    held.listen(asked.append)
    spec = AttemptSpec(key="k", run="r", task="a", attempt=1, role=role, base="b", title="t", brief="", agent="x")
    guarded = Guarded(held, spec, form="claude", folder=tmp_path, redactor=Redactor)
    ruling = asyncio.run(guarded._ask(Question(command="rm -rf /", dangers=())))
    assert not ruling.allow
    assert (role in LOOKERS) is not any(isinstance(event, CommandAsked) for event in asked)
    assert bool(guarded.denied) is (role in LOOKERS)
