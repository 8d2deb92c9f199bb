"""What a person says of a review, and what a fixer that changes nothing leaves (SPEC 3.8, 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chargehand.domain.brief import compose
from chargehand.domain.effects import RunFix, StartAttempt
from chargehand.domain.events import FixFinished, ReviewPassed
from chargehand.domain.outcome import Role
from chargehand.domain.plan import Command, GatePoint
from chargehand.domain.words import DecisionKind, Reason, TaskStatus
from chargehand.engine.jobs import attempt_spec
from tests.looks import a_finding, fails
from tests.play import Play, a_gate, a_plan, a_task, done


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
