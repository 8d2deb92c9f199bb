"""What a person says of a review, and what a fixer that changes nothing leaves (SPEC 3.8, 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chargehand.domain.brief import compose
from chargehand.domain.decide import runs_out_at, to_end
from chargehand.domain.effects import RunFix, StartAttempt
from chargehand.domain.events import FixFinished, ReviewPassed
from chargehand.domain.options import Caps
from chargehand.domain.outcome import ExitKind, Role
from chargehand.domain.plan import Command, GatePoint
from chargehand.domain.words import DecisionKind, Reason, StopReason, TaskStatus
from chargehand.engine.jobs import attempt_spec
from tests.looks import a_finding, fails, passes
from tests.play import Play, a_gate, a_plan, a_task, done, ended


def failed_once(**options: Any) -> Play:
    """The change was made, and its first reviewer found something: a fixer is at work."""
    play = Play(a_plan(a_task("a")), review=True, **options)
    play.begin()
    play.attempt("a", done(content="same"))
    play.attempt("a", fails(a_finding(file="change")))
    assert play.effect(StartAttempt, "a").role is Role.FIXER
    return play


def test_a_fixer_that_changes_nothing_leaves_the_change_to_a_person():
    """The reviewer may be wrong: the change can be taken as it is, and that person's yes is what is on record."""
    play = failed_once()
    play.attempt("a", done(content="same"))
    asked = play.asked()
    assert (asked.kind, asked.reason) == (DecisionKind.REVIEW, Reason.REVIEW_UNRESOLVED)
    assert asked.choices == ("approve", "retry", "skip", "stop")
    events = play.answer("approve")
    (passed,) = [event for event in events if isinstance(event, ReviewPassed)]
    assert (passed.by, passed.agent, passed.done) == ("me", "", True)
    assert [(each.by, each.passed) for each in play.task("a").reviews.judged] == [("", False), ("me", True)]
    play.integrate("a")
    assert play.task("a").status is TaskStatus.INTEGRATED


def test_unattended_it_is_blocked():
    play = failed_once(unattended=True)
    play.attempt("a", done(content="same"))
    assert (play.task("a").status, play.task("a").reason) == (TaskStatus.BLOCKED, Reason.REVIEW_UNRESOLVED)


def test_a_fixer_is_told_that_its_change_is_there():
    """It starts on the sealed change: there is no patch to apply, and nothing says so."""
    play = failed_once()
    effect = play.effect(StartAttempt, "a")
    brief = compose(play.state, effect).text
    assert "already in the current directory" in brief
    assert "Mend this, and nothing else" in brief
    assert "CHARGEHAND_PREVIOUS" not in brief
    assert attempt_spec(play.state, effect).previous is None


def test_what_a_fix_command_made_of_a_change_is_looked_at_as_any_change():
    """I6: code of the change may have run in it. What it adds counts, though no agent was at work."""
    gates = [a_gate("lint", GatePoint.TASK, fix=Command(argv=("lint", "--fix")))]
    play = Play(a_plan(a_task("a"), gates=gates))
    play.begin()
    play.attempt("a")
    play.gates("a", "lint")
    effect = play.effect(RunFix, "a")
    before = play.task("a").sealed
    added = replace(before, base=before.commit, commit="mended", tree="mended", secrets=("a.py:1: AWS key",))
    play.record(FixFinished(key=effect.key, task="a", attempt=1, gates=effect.gates, sealed=added))
    assert play.task("a").failure.reason is Reason.SECRET_ADDED
    assert play.task("a").failure.summary.startswith("After the fix commands of lint: ")
    assert play.effect(StartAttempt, "a").role is Role.IMPLEMENTER


def test_a_run_whose_time_is_used_up_ends_its_live_attempts():
    """I10: the wall clock of a run bounds the agents that are at work, not only those to come."""
    play = Play(a_plan(a_task("a"), a_task("b")), jobs=2, caps=Caps(run_wall_s=100.0))
    play.begin()
    due = runs_out_at(play.state, play.now)
    assert due is not None
    assert 100 <= due - play.now < 101
    assert list(to_end(play.state)) == []
    play.pass_time(due - play.now)
    assert play.state.stopped.reason is StopReason.BUDGET
    assert {effect.key for effect in to_end(play.state)} == {"a/1/attempt", "b/1/attempt"}
    assert runs_out_at(play.state, play.now) is None
    play.attempt("a", ended(ExitKind.CANCELLED))
    play.attempt("b")
    play.integrate("b")
    assert [play.task(name).status for name in "ab"] == [TaskStatus.CANCELLED, TaskStatus.INTEGRATED]
    assert play.task("a").reason is Reason.BUDGET


def test_nobody_looks_any_more_when_the_budget_is_used_up():
    play = Play(a_plan(a_task("a")), review=True, caps=Caps(run_wall_s=100.0))
    play.begin()
    play.pass_time(200.0)
    play.attempt("a")
    assert play.running == []
    assert (play.task("a").status, play.task("a").reason) == (TaskStatus.CANCELLED, Reason.BUDGET)


def test_a_tree_that_was_judged_before_is_not_judged_again():
    """I7: verdicts count for a tree, whichever attempt made it."""
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests")]), review=True)
    play.begin()
    for content in ("same", "other"):
        play.attempt("a", done(content=content))
        play.attempt("a", passes())
        play.attempt("a", passes())
        play.merge("a")
        play.gates("a", "tests")
    play.answer("retry")
    events = play.attempt("a", done(content="same"))
    carried = [event for event in events if isinstance(event, ReviewPassed)]
    assert [(event.carried, event.done) for event in carried] == [(True, True)]
    play.integrate("a")
    assert play.task("a").status is TaskStatus.INTEGRATED
