"""What a run used and who used it, as `status`, the summary and `show` tell it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chargehand.cli.render.board import Board, board_lines
from chargehand.cli.render.header import header_lines
from chargehand.cli.render.pen import PLAIN
from chargehand.cli.render.story import story_document, story_lines
from chargehand.cli.render.summary import status_lines, summary_lines
from chargehand.cli.stories import tell_stories
from chargehand.domain.options import AgentDef, Caps
from chargehand.domain.outcome import AttemptResult, Usage
from chargehand.domain.plan import Task
from chargehand.domain.runtimes import other_model
from chargehand.domain.view import document
from chargehand.testing.fakes import attempt_result
from tests.unit.played import play

METERED = AgentDef(name="claude", kind="claude", key="env:KEY")
LOGIN = AgentDef(name="codex", kind="codex", login="/home/me")
DIRECT = replace(METERED, meter=False)


def used(tokens: int | None, usd: float | None, model: str = "", warning: str = "", estimated: int = 0) -> Any:
    def made(*given: Any) -> AttemptResult:
        usage, warnings = Usage(tokens=tokens, usd=usd, estimated=estimated), (warning,) if warning else ()
        return replace(attempt_result(*given), usage=usage, model=model, warnings=warnings)

    return made


def a_run(*agents: AgentDef, outcomes: dict[Hashable, Any]) -> Any:
    tasks = [
        Task(id=name, title=f"The {name}", agent=agents[min(n, len(agents) - 1)].name) for n, name in enumerate("ab")
    ]
    return play(*tasks, outcomes=outcomes, agent=agents[0].name, agents=agents)


def told(state: Any) -> str:
    return "\n".join(summary_lines(state, PLAIN))


def test_each_task_says_who_worked_and_what_that_used():
    state, _ = a_run(METERED, LOGIN, outcomes={"a": used(2100, 0.014, "big-1"), "b": used(None, None)})
    text = told(state)
    rows = {line.split()[1]: line for line in text.splitlines() if line.strip().startswith("✓")}
    assert "  claude, 2,100 tokens, $0.01  " in rows["a"]
    assert "  codex, not metered  " in rows["b"]
    assert "2,100 tokens, $0.01, codex without the meter" in text
    assert "codex, not metered" in "\n".join(status_lines(state, PLAIN, 2000.0, held=False))


def test_one_agent_is_not_named_in_every_line():
    state, _ = a_run(METERED, outcomes={"a": used(10, None), "b": used(20, None)})
    rows = [line for line in told(state).splitlines() if line.strip().startswith("✓")]
    assert ["claude" in row for row in rows] == [False, False]
    assert ["  10 tokens, cost unknown  " in rows[0], "  20 tokens, cost unknown  " in rows[1]] == [True, True]


def test_of_programs_that_may_ask_no_model_nothing_is_said():
    state, _ = play(Task(id="a", title="The a"))
    assert "meter" not in told(state)
    assert "tokens" not in told(state)


@pytest.mark.parametrize(
    ("agent", "outcome", "line"),
    [
        (METERED, used(2100, 0.014), "used: 2,100 tokens, $0.01, counted by the meter"),
        (LOGIN, used(2100, None), "used: 2,100 tokens, cost unknown, without the meter"),
        (METERED, used(40, None, estimated=30), "used: 40 tokens (30 estimated), cost unknown, counted by the meter"),
        (METERED, used(40, 0.001), "used: 40 tokens, less than $0.01, counted by the meter"),
        (DIRECT, used(None, None), "used: not told, without the meter"),
    ],
)
def test_an_attempt_says_who_counted(agent: AgentDef, outcome: Any, line: str):
    state, events = a_run(agent, outcomes={"a": outcome, "b": outcome})
    stories = tell_stories(events, "a")
    assert f"  {line}" in story_lines(state, state.tasks["a"], stories, PLAIN, 2000.0)


def test_an_unknown_cost_is_not_shown_as_none():
    state, _ = a_run(METERED, outcomes={"a": used(2100, None), "b": used(40, None)})
    assert "2,140 tokens, cost unknown" in told(state)
    assert "$0" not in told(state)
    assert document(state, held=False)["usage"]["usd"] is None


def test_money_that_is_known_in_part_is_the_least_it_can_be():
    """An unknown cost is never shown as nothing."""
    state, events = a_run(METERED, outcomes={"a": used(2100, 0.5), "b": used(40, None, estimated=30)})
    text = told(state)
    rows = {line.split()[1]: line for line in text.splitlines() if line.strip().startswith("✓")}
    assert "  2,100 tokens, $0.50  " in rows["a"]
    assert "  40 tokens (30 estimated), cost unknown  " in rows["b"]
    assert "2,140 tokens (30 estimated), at least $0.50" in text
    assert document(state, held=False)["usage"]["usd"] is None
    assert "used: 40 tokens (30 estimated), cost unknown, counted" in "\n".join(
        story_lines(state, state.tasks["b"], tell_stories(events, "b"), PLAIN, 2000.0)
    )
    assert "at least $0.50 of $250" in "\n".join(board_lines(Board(), state, PLAIN, 2000.0, rows=20))


def test_what_has_no_price_counts_against_caps():
    """I10: across attempts, by what the meter holds it for."""

    def made(*given: Any) -> AttemptResult:
        return replace(attempt_result(*given), usage=Usage(tokens=10, held_usd=3.0, wall_s=1.0))

    state, _ = a_run(METERED, outcomes={"a": made, "b": made})
    assert (state.usd, state.held_usd, state.uncosted) == (None, 6.0, 2)
    tries = state.tasks["a"].tries
    assert (tries.usd, tries.held_usd, tries.uncosted) == (None, 3.0, 1)
    stopped, _ = play(
        *(Task(id=name, title=name, depends_on=("a",) if name == "b" else ()) for name in "ab"),
        outcomes={"a": made, "b": made},
        caps=Caps(run_usd=2.5),
    )
    assert stopped.stopped is not None
    assert "money" in stopped.stopped.detail


def test_an_attempt_names_its_agent_and_the_model_that_answered():
    state, events = a_run(METERED, outcomes={"a": used(1, 0.0, "big-1"), "b": used(1, 0.0)})
    stories = tell_stories(events, "a")
    lines = story_lines(state, state.tasks["a"], stories, PLAIN, 2000.0)
    assert any(line.startswith("attempt 1, implementer, claude (big-1), from ") for line in lines)
    assert story_document(state, state.tasks["a"], stories, 2000.0)["attempts"][0]["agent"] == "claude"


def test_a_warning_about_several_tasks_is_told_once():
    warned = partial(used, 1, None, "m")
    state, _ = a_run(METERED, outcomes={"a": warned(warning="No price."), "b": warned(warning="No price.")})
    lines = [line for line in summary_lines(state, PLAIN) if "No price." in line]
    assert lines == ["warning agent: a, b: No price."]


@pytest.mark.parametrize(
    ("asked", "answered", "differs"),
    [
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", False),
        ("chargehand/gpt-5", "gpt-5-2025-08-07", False),
        ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5", False),
        ("sonnet", "claude-sonnet-4-5", False),
        ("claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", False),
        ("openai/gpt-5", "GPT-5", False),
        ("", "gpt-5", False),
        ("gpt-5", "", False),
        ("claude-opus-4-1", "claude-haiku-4-5", True),
    ],
)
def test_another_model_than_was_asked_for(asked: str, answered: str, differs: bool):
    """What is an alias is followed wherever it leads."""
    assert bool(list(other_model(asked, answered))) is differs


def header(*agents: AgentDef, **options: Any) -> str:
    state, _ = play(Task(id="a", title="The a"), agent=agents[0].name, agents=agents, **options)
    return " ".join("\n".join(header_lines(state, PLAIN, sandbox="Sandbox: bubblewrap.")).split())


def test_the_header_says_whose_usage_is_counted():
    assert "100,000,000 tokens, $250 the run questions" in header(METERED)
    assert "the run; what codex uses is what it tells itself questions" in header(LOGIN)
    own = AgentDef(name="own", kind="command", command="x")
    assert "the run; what own uses is not known questions" in header(own)
    caps = Caps(run_tokens=None, run_usd=None)
    assert "12h the run questions" in header(METERED, caps=caps)


def test_the_header_names_a_network_that_is_closed():
    assert "network" not in header(METERED)
    assert "network agents reach their model, and nothing else" in header(METERED, network="meter")
    assert "network none" in header(METERED, network="none")
