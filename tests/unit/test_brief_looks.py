"""What people said reaches those who only look (SPEC 3.4, 9)."""

from __future__ import annotations

from chargehand.domain.brief import compose
from chargehand.domain.brief_looks import compose_look
from chargehand.domain.effects import StartAttempt
from chargehand.domain.outcome import Role
from chargehand.domain.plan import Features
from tests.looks import a_finding, fails, passes
from tests.play import Play, a_plan, a_task, done


def asked_after_three_rounds() -> Play:
    """Each round finds the same; a person is asked."""
    play = Play(a_plan(a_task("a"), features=Features(holistic=False)), review=True)
    play.begin()
    play.attempt("a")
    for _ in range(2):
        play.attempt("a", fails(a_finding()))
        play.attempt("a", done(changes=("change",)))
    play.attempt("a", fails(a_finding()))
    return play


def test_a_note_to_a_review_question_reaches_author_and_reviewer():
    """SPEC 9: whoever goes on after the answer reads what came with it, between fences, for it is data."""
    play = asked_after_three_rounds()
    question = play.asked().id
    play.answer("retry", note="mind the gap")
    author = play.effect(StartAttempt, "a")
    assert author.role in {Role.IMPLEMENTER, Role.FIXER}
    assert "mind the gap" in compose(play.state, author).text
    play.attempt("a", done(changes=("change",)))
    look = play.effect(StartAttempt, "a")
    assert look.role is Role.SPEC_REVIEWER
    told = compose_look(play.state, look).text
    assert f"## What a person said\n\n```data\nthe answer to {question}: mind the gap\n```" in told


def test_what_the_author_asked_for_is_nothing_a_reviewer_is_told():
    play = Play(a_plan(a_task("a"), features=Features(holistic=False)), review=True)
    play.begin()
    play.attempt("a")
    play.state.tasks["a"] = play.task("a").but(context=(("src/secret.py", "text"), ("what me says", "be kind")))
    told = compose_look(play.state, play.effect(StartAttempt, "a")).text
    assert "src/secret.py" not in told
    assert "what me says: be kind" in told
    play.attempt("a", passes())
