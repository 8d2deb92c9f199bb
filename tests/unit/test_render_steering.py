"""How a run is drawn that people steer: paused, cancelled, answered, asked (SPEC 9, 10.1)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chargehand.cli.asked import facts_of
from chargehand.cli.render.board import Board, board_lines, standing
from chargehand.cli.render.pen import PLAIN, Pen
from chargehand.cli.render.summary import decision_lines, status_lines
from chargehand.cli.render.units import clock
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import (
    DecisionAnswered,
    DecisionAsked,
    EffectIntended,
    Event,
    RunCancelled,
    RunInterrupted,
    RunPaused,
    TaskEndAsked,
)
from chargehand.domain.evolve import evolve, fold
from chargehand.domain.outcome import ExitKind, GateStatus, ReportStatus
from chargehand.domain.plan import Command, GateSpec, Task
from chargehand.domain.state import RunState
from chargehand.domain.words import Reason, TaskStatus
from chargehand.testing.fakes import attempt_result
from tests.play import Play, a_plan, a_task, ended
from tests.unit.played import play

FAILS = partial(attempt_result, status=ReportStatus.FAILED, summary="no idea")


def plain_task(name: str) -> Task:
    return Task(id=name, title=f"The {name}")


def begun() -> RunState:
    """A run whose first attempt is under way."""
    _, events = play(plain_task("a"))
    starts = [e.seq for e in events if isinstance(e.event, EffectIntended) and isinstance(e.event.effect, StartAttempt)]
    return fold([recorded for recorded in events if recorded.seq <= starts[0]])


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (RunPaused(by="uma"), "pausing: live attempts go on"),
        (RunPaused(by="uma", at_once=True), "pausing: live attempts are ended"),
        (RunCancelled(by="uma"), "cancelling"),
        (RunInterrupted(by="ctrl-c"), "stopping"),
    ],
)
def test_a_run_that_is_to_stand_or_to_end_says_so(event: Event, words: str):
    state = begun()
    assert standing(state) == ""
    evolve(state, event, 1000.0)
    assert standing(state) == words
    assert board_lines(Board(), state, Pen(width=80), 1000.0, rows=20)[-1].endswith(words)
    title = status_lines(state, PLAIN, 1000.0, held=True)[0]
    assert title == f"run r-1  running ({words})"
    assert "(" not in status_lines(state, PLAIN, 1000.0, held=False)[0]


def test_a_task_that_is_to_end_says_so():
    """Its question is not asked any more: it is to end whatever is said [I9]."""
    state, _ = play(plain_task("a"), outcomes={"a": FAILS})
    wish = TaskEndAsked(task="a", status=TaskStatus.SKIPPED, reason=Reason.HUMAN, by="uma")
    evolve(state, wish, 1000.0)
    text = "\n".join(status_lines(state, PLAIN, 1000.0, held=False))
    assert "to be skipped" in text
    assert "a: It is to be skipped; `chargehand resume r-1` sees to it." in text
    assert "chargehand answer" not in text
    assert "is being ended, as uma asked" in "\n".join(board_lines(Board(), state, PLAIN, 1000.0, rows=20))


def test_an_answer_that_nobody_took_yet_is_told():
    state, _ = play(plain_task("a"), outcomes={"a": FAILS})
    evolve(state, DecisionAnswered(id="d1", choice="retry", by="uma"), 1000.0)
    text = "\n".join(status_lines(state, PLAIN, 1000.0, held=False))
    assert "a: Its question was answered; `chargehand resume r-1` sees to it." in text


def test_what_was_tried_says_why_it_was_not_enough():
    """The last attempt was not sent back: what was wrong with it stands in the question alone."""

    def empty(spec: Any) -> Any:
        made = attempt_result(spec)
        assert made.sealed is not None
        return replace(made, sealed=replace(made.sealed, tree=made.sealed.base_tree))

    state, events = play(plain_task("a"), outcomes={"a": empty})
    (facts,) = facts_of(state, events).values()
    said = "The report says done, but no file changed."
    assert facts.tried == tuple(f"attempt {number}: {said}" for number in range(1, len(facts.tried) + 1))


def test_what_is_known_of_a_question():
    """Since when it waits, and every attempt in plain words."""
    gate = GateSpec(id="tests", run=Command(argv=("make", "test")), on=frozenset({"task"}))  # type: ignore[arg-type]
    state, events = play(
        plain_task("a"),
        outcomes={("a", 1): FAILS},
        gates={("a", 2, "tests"): GateStatus.FAIL},
        plan={"gates": (gate,)},
    )
    (facts,) = facts_of(state, events).values()
    assert facts.since == next(r.at for r in events if isinstance(r.event, DecisionAsked))
    assert facts.tried == ("attempt 1: The agent reports failure: no idea", "attempt 2: red: tests")
    text = "\n".join(decision_lines(state, PLAIN, before={"d1": ["asked 4m ago", *facts.tried]}))
    assert "    asked 4m ago\n    attempt 1: " in text


def test_a_provider_that_asked_to_wait_has_a_clock():
    play = Play(a_plan(a_task("a"), a_task("b", "a")))
    play.begin()
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 90))
    drawn = board_lines(Board(), play.state, Pen(width=100), play.now + 10, rows=20)
    assert f"the provider of agent asked to wait until {clock(play.now + 90)}, 1m20s more" in drawn[0]
    assert " more" not in drawn[1]
    later = board_lines(Board(), play.state, Pen(width=100), play.now + 100, rows=20)
    assert " more" not in later[0]
