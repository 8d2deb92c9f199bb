"""What an attempt did to files that only the runtime writes is told to whoever asks, and counts for nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chargehand.cli.render.pen import PLAIN
from chargehand.cli.render.story import story_document, story_lines
from chargehand.cli.stories import tell_stories
from chargehand.domain.evidence import find_failure
from chargehand.domain.facts import facts_of_task
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, Report, ReportStatus, Sealed
from chargehand.domain.plan import Plan, Task
from chargehand.domain.words import Reason
from chargehand.testing.fakes import attempt_result
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
    from chargehand.domain.effects import StartAttempt
    from chargehand.domain.outcome import Role
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
