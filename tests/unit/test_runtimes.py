"""Whether an attempt ran with the model it was asked to run with; a report's own word is a claim (I6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.outcome import Report, ReportStatus
from chargehand.domain.plan import Task
from chargehand.domain.runtimes import asked_model, claimed_mode, claimed_model, other_mode
from tests.play import Play, a_plan, a_task, done

SMALL = AgentDef(name="small", kind="command", model="gpt-5-mini")
PLAIN = AgentDef(name="plain", kind="command")
OPTIONS = RunOptions(agent="small", agents=(SMALL, PLAIN))


@pytest.mark.parametrize(
    ("task", "agent", "expected"),
    [
        (Task(id="a", title="A"), "small", "gpt-5-mini"),
        (Task(id="a", title="A", model="gpt-5"), "small", "gpt-5"),
        (Task(id="a", title="A", model="gpt-5"), "plain", ""),
        (Task(id="a", title="A", agent="plain", model="gpt-5"), "plain", "gpt-5"),
        (Task(id="a", title="A", model="gpt-5"), "gone", ""),
    ],
)
def test_a_task_asks_for_a_model_of_its_own_agent(task: Task, agent: str, expected: str):
    assert asked_model(OPTIONS, task, agent) == expected


@pytest.mark.parametrize("extra", ["{", "[]", "3", '{"runtime_model_reported": 3}', "[" * 100_000])
def test_an_odd_report_claims_nothing(extra: str):
    report = Report(status=ReportStatus.DONE, extra=extra)
    assert (claimed_model(report), claimed_mode(report)) == ("", "")
    assert claimed_model(None) == ""


def test_a_claim_is_one_short_line():
    report = Report(status=ReportStatus.DONE, extra='{"runtime_mode_reported": " code\\n mode ' + "x" * 500 + '"}')
    assert claimed_mode(report).startswith("code mode xxx")
    assert len(claimed_mode(report)) == 200


@pytest.mark.parametrize(
    ("asked", "told", "differs"),
    [("plan", "Plan", False), ("plan", "default", True), ("", "default", False), ("plan", "", False)],
)
def test_another_mode_than_was_asked_for(asked: str, told: str, differs: bool):
    assert bool(list(other_mode(asked, told))) is differs


def warned(claim: str, *, asked: str, told: str = "") -> list[str]:
    """What is warned of where a report names `claim`, a task asks for `asked`, and the stream tells `told`."""
    play = Play(a_plan(a_task("a", model=asked)))
    play.begin()
    answer = done(extra=f'{{"runtime_model_reported": "{claim}"}}')
    play.attempt("a", lambda effect: replace(answer(effect), model=told))
    return [each.text for each in play.state.warnings]


def test_a_claim_counts_where_nothing_else_is_known():
    assert warned("gpt-4", asked="gpt-5") == ["The model gpt-5 was asked for, and gpt-4 is what the report names."]
    assert warned("gpt-5-2025-08-07", asked="gpt-5") == []
    assert warned("anything", asked="sonnet") == [], "an alias"
    assert warned("gpt-4", asked="gpt-5", told="gpt-5") == [], "the stream knows"
