"""What an attempt did to files that only the runtime writes is told to whoever asks, and counts for nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chargehand.cli.render.pen import PLAIN
from chargehand.cli.render.story import story_document, story_lines
from chargehand.cli.stories import tell_stories
from chargehand.domain.effects import StartAttempt
from chargehand.domain.evidence import find_failure
from chargehand.domain.facts import facts_of_task
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, Report, ReportStatus, Role, Sealed
from chargehand.domain.plan import GatePoint, Plan, Task
from chargehand.domain.policy import Policy
from chargehand.domain.silencing import Silenced, SilencedBy, Silencing
from chargehand.domain.test_changes import TestChange, TestChangeKind
from chargehand.domain.words import Reason, TaskStatus
from chargehand.testing.fakes import attempt_result
from tests.looks import passes
from tests.play import Play, a_gate, a_plan, a_task, done
from tests.unit.played import play

PATHS = tuple(f"plans/00{n}-summary.md" for n in range(1, 8))
TASK = Task(id="a", title="A")


def left_out(*paths: str) -> Callable[..., AttemptResult]:
    """An attempt that is like any other, but for what was left out of its change."""

    def result(*args: Any, **kwargs: Any) -> AttemptResult:
        made = attempt_result(*args, **kwargs)
        assert made.sealed is not None
        return replace(made, sealed=replace(made.sealed, left_out=paths))

    return result


def test_reviewers_are_told():
    state, _ = play(TASK, outcomes={"a": left_out(*PATHS[:2])})
    told = f"Left out of the change, since only the runtime writes them: {PATHS[0]}, {PATHS[1]}."
    assert told in facts_of_task(state, state.tasks["a"])
    state, _ = play(TASK)
    assert not any("Left out" in fact for fact in facts_of_task(state, state.tasks["a"]))


def test_show_tells_the_first_of_them():
    state, events = play(TASK, outcomes={"a": left_out(*PATHS)})
    stories = tell_stories(events, "a")
    text = " ".join("\n".join(story_lines(state, state.tasks["a"], stories, PLAIN, 1000.0)).split())
    assert f"left out, since only the runtime writes them: {', '.join(PATHS[:5])} and 2 more" in text
    document = story_document(state, state.tasks["a"], stories, 1000.0)
    assert document["attempts"][0]["result"]["sealed"]["left_out"] == list(PATHS)


@pytest.mark.parametrize("paths", [(), PATHS])
def test_an_agent_that_changed_nothing_else_is_told_why_that_is_none(paths: tuple[str, ...]):
    """I6: the next attempt reads it in its brief; the failure is the same."""
    sealed = Sealed(base="b", commit="b", tree="t", base_tree="t", left_out=paths)
    result = AttemptResult(
        exit=AgentExit(kind=ExitKind.EXITED, code=0), report=Report(status=ReportStatus.DONE), sealed=sealed
    )
    failure = find_failure(TASK, Plan(plan="p", tasks=(TASK,)), result, reviewed=False)
    assert failure is not None
    assert failure.reason is Reason.NO_CHANGE
    assert ("What only the runtime writes does not count" in failure.summary) is bool(paths)


def test_every_attempt_gets_the_patterns_of_its_run():
    """By value, as the run was started: a resume needs no profile to know them."""
    from chargehand.engine.jobs import attempt_spec

    agent = AgentDef(name="agent", kind="command", command="agent")
    state, _ = play(TASK, artifacts=("**/tasks.yaml",))
    assert state.options == replace(
        RunOptions(agent="agent", agents=(agent,)),
        agents=state.options.agents,
        review=False,
        artifacts=("**/tasks.yaml",),
    )
    effect = StartAttempt(key="a/1", task="a", attempt=1, role=Role.IMPLEMENTER, base="b")
    assert attempt_spec(state, effect).artifacts == ("**/tasks.yaml",)


def test_what_was_found_in_a_change_stays_with_it_when_a_fix_command_mends_it():
    """Whoever reviews the mended change is told of it, and what the command itself did is told besides."""
    touched = TestChange(path="tests/test_a.py", line=3, kind=TestChangeKind.MODIFIED, detail="test_a")
    first, second = (Silenced(path="a.py", by=SilencedBy.COMMENT, line=line, detail="noqa") for line in (1, 2))
    play = Play(a_plan(a_task("a"), gates=(a_gate("lint", GatePoint.TASK, fix="lint --fix"),)), review=True)
    play.begin()
    play.attempt("a", done(seal={"left_out": PATHS[:1], "silenced": (first,), "test_changes": (touched,)}))
    play.gates("a", "lint")
    play.mend("a", "change", silenced=(first, second))
    sealed = play.task("a").sealed
    assert (sealed.commit, sealed.left_out) == ("mended(sealed(a.1))", PATHS[:1])
    assert (sealed.told.silenced, sealed.told.test_changes) == ((first, second), (touched,))
    play.gates("a")
    effect = play.effect(StartAttempt, "a")
    assert (effect.role, play.task("a").sealed) == (Role.SPEC_REVIEWER, sealed)
    facts = facts_of_task(play.state, play.task("a"))
    assert f"Left out of the change, since only the runtime writes them: {PATHS[0]}." in facts
    assert sum("Silences a check" in fact or "existing tests" in fact for fact in facts) == 3
    play.integrate("a")
    assert play.task("a").sealed.left_out == PATHS[:1]


def test_what_a_fix_command_silences_is_judged():
    """A `fix` that silences a check where that fails the change fails it; what was there before does not."""
    policy = Policy(silencing=Silencing.FAILS)
    here = Silenced(path="a.py", by=SilencedBy.COMMENT, line=1, detail="noqa")
    play = Play(a_plan(a_task("a"), gates=(a_gate("lint", GatePoint.TASK, fix="lint --fix"),)), policy=policy)
    play.begin()
    play.attempt("a")
    play.gates("a", "lint")
    play.mend("a", "change", silenced=(here,))
    assert play.task("a").failure.reason is Reason.CHECK_SILENCED


def test_it_stays_with_a_change_that_was_reviewed_and_then_mended_as_merged():
    """What reviewers said is carried over to the mended tree or asked anew; what was left out is known to the end."""
    play = Play(a_plan(a_task("a"), gates=(a_gate("lint", GatePoint.INTEGRATE, fix="lint --fix"),)), review=True)
    play.begin()
    play.attempt("a", done(seal={"left_out": PATHS[:1]}))
    play.attempt("a", passes())
    play.attempt("a", passes())
    play.merge("a")
    play.gates("a", "lint")
    play.mend("a", "change")
    assert f"only the runtime writes them: {PATHS[0]}." in " ".join(facts_of_task(play.state, play.task("a")))
    play.integrate("a")
    record = play.task("a")
    assert (record.status, record.sealed.left_out) == (TaskStatus.INTEGRATED, PATHS[:1])
    assert record.reviews.judged[-1].tree == record.sealed.tree
