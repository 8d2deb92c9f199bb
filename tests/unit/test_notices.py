"""What people are told when a run asks, and when it comes to rest (SPEC 9)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.outcome import ReportStatus
from chargehand.engine.notices import asked, ended
from chargehand.ports import NoticeKind
from chargehand.testing.fakes import FakeFleet, attempt_result
from tests.engines import World
from tests.play import a_plan, a_task


def driven(*failing: str, **options: Any) -> Any:
    """The state of a run whose tasks fail as told."""
    fleet = FakeFleet({(t, n): lambda spec: attempt_result(spec, ReportStatus.FAILED) for t in failing for n in (1, 2)})
    return asyncio.run(World(a_plan(a_task("a"), a_task("b")), fleet=fleet, options=options).drive())


def test_a_question_says_what_each_answer_does_and_how_to_answer():
    """9: what happened, what each answer does, and the exact command concerned."""
    state = driven("a")
    decision = replace(state.decisions["d1"], command="rm -rf build")
    notice = asked(state, decision)
    assert (notice.run, notice.kind, notice.task, notice.decision) == ("r", NoticeKind.DECISION, "a", "d1")
    assert (notice.choices, notice.command) == (("retry", "skip", "stop"), "rm -rf build")
    assert notice.title == "r asks d1 about task a"
    lines = notice.text.splitlines()
    assert decision.question.splitlines()[0] == lines[0]
    assert "The command: rm -rf build" in lines
    assert [f"- {effect}" for effect in decision.effects] == [line for line in lines if line.startswith("- ")]
    assert lines[-1] == "Answer with: chargehand answer d1 CHOICE --run r"


def test_a_question_about_the_run_names_no_task_and_its_choices_stand_for_themselves():
    state = driven("a")
    notice = asked(state, replace(state.decisions["d1"], task="", effects=()))
    assert notice.title == "r asks d1"
    assert "- skip" in notice.text
    assert "command" not in notice.text


@pytest.mark.parametrize(
    ("failing", "options", "kind"),
    [((), {}, "finished"), (("a",), {"unattended": True}, "failed"), (("a",), {}, "waiting")],
)
def test_a_run_at_rest_says_how_it_stands(failing, options, kind):
    state = driven(*failing, **options)
    notice = ended(state)
    assert (notice.kind, notice.title) == (kind, f"r is {kind}")
    assert notice.text.startswith("Tasks: ")
    assert "1 integrated" in notice.text or "2 integrated" in notice.text
    assert ("Open questions: d1. See: chargehand decisions r" in notice.text) == (kind == "waiting")
    assert ((state.finished is not None and state.finished.detail) or "Tasks") in notice.text


def test_a_run_that_was_left_is_interrupted():
    state = driven("a")
    state.interrupted = True
    assert ended(state).kind is NoticeKind.INTERRUPTED
