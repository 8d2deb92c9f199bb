"""Those who only look ask nobody: a held call of theirs would hold a review for an answer it does not need."""

from __future__ import annotations

import asyncio
from functools import partial
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


@pytest.mark.parametrize("role", sorted(LOOKERS))
def test_half_a_secret_is_never_told(role, tmp_path: Path):
    """SPEC 7.3: what is denied is shown without its end, and without a secret that stands across the cut."""
    secret = "hunter2-hunter2-hunter2"
    spec = AttemptSpec(key="k", run="r", task="a", attempt=1, role=role, base="b", title="t", brief="", agent="x")
    redactor = partial(Redactor, (secret,))
    guarded = Guarded(HeldCalls(wait_s=0.01), spec, form="claude", folder=tmp_path, redactor=redactor)
    for command in ("echo " + "x" * 185 + secret, "echo " + "x" * 185 + secret + "\x1b[0m"):
        ruling = guarded._denied_at_once("Bash", command, f"It says {secret}.")
        assert not ruling.allow
    (told,) = guarded.denied
    assert "hunter2" not in told
    assert "xxx" in told
