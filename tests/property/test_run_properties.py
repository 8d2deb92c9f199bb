"""Random plans and random outcomes of every kind: what always holds (SPEC 12).

Plans are Hypothesis's; the outcomes come from a seed, which is a hundred times as fast. The rule machine beside this
module lets Hypothesis choose every step.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargehand.domain.decide import wake_at
from chargehand.domain.schedule import _leases_meet
from chargehand.domain.scope import overlaps
from chargehand.domain.words import RunVerdict, TaskStatus
from tests.property.simulation import Draw, Simulation, runs
from tests.property.test_scope_overlap import PATTERN

# Watched line by line thousands of turns take three times as long. A timeout that hits while Hypothesis draws looks as
# if what is drawn came out differently each time (FlakyStrategyDefinition): busy machines get the time they need.
pytestmark = [pytest.mark.no_cover, pytest.mark.timeout(900)]

SETTINGS = settings(
    derandomize=True,
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
MOST_STEPS = 3000


def play_out(run: Simulation, draw: Draw) -> None:
    """Deliver outcomes in any order until the run is over, or waits for nothing but people."""
    run.record()
    for _ in range(MOST_STEPS):
        if run.state.finished or run.state.waits_for_people:
            return
        under_way = list(run.state.inflight.values())
        if under_way:
            run.now += draw((0.0, 1.0, 30.0))
            run.finish(draw(under_way), draw)
        else:
            due = wake_at(run.state, run.now)
            assert due is not None
            run.now = due
            run.record()
    raise AssertionError("It did not end.")


@SETTINGS
@given(run=runs(unattended=True), seed=st.integers(0, 2**32))
def test_unattended_every_run_ends(run: Simulation, seed: int) -> None:
    """With every outcome delivered the run ends, every task with a reason; I1–I15 of the domain hold all along."""
    play_out(run, Random(seed).choice)
    state = run.state
    assert state.finished
    done = {TaskStatus.INTEGRATED, TaskStatus.SKIPPED}
    if state.finished.verdict is RunVerdict.FINISHED:
        assert all(record.status in done for record in state.tasks.values())
    assert run.replayed().journal == run.journal


@SETTINGS
@given(run=runs(unattended=False), seed=st.integers(0, 2**32))
def test_attended_every_run_ends_or_asks(run: Simulation, seed: int) -> None:
    """I13: never stuck; I15: the same outcomes in the same order give the same events."""
    play_out(run, Random(seed).choice)
    assert run.state.finished or run.state.decisions
    assert run.replayed().journal == run.journal


@SETTINGS
@given(run=runs(unattended=False), seed=st.integers(0, 2**32))
def test_answered_at_random_no_answer_counts_for_another_question(run: Simulation, seed: int) -> None:
    """I9, and every choice that is offered leads on."""

    draw = Random(seed).choice
    for _ in range(6):
        play_out(run, draw)
        if run.state.finished:
            return
        decision = draw(list(run.state.decisions.values()))
        before = len(run.journal)
        run.answer(draw(decision.choices), decision.id)
        assert decision.id not in run.state.decisions
        assert len(run.journal) > before + 1, "an answer is followed by something"


LEASE = st.lists(PATTERN, min_size=1, max_size=2).map(tuple)


@settings(SETTINGS, max_examples=1000)
@given(one=LEASE, two=LEASE)
def test_the_short_way_says_what_the_long_one_says(one: tuple[str, ...], two: tuple[str, ...]) -> None:
    """Two leases meet exactly when their scopes overlap."""
    assert _leases_meet(one, two) == overlaps(one, two)
