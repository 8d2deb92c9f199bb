"""What sendit's profile makes of plans and of `PROGRESS.md`: single lines change, the rest stays as people wrote it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.domain.errors import UserError
from chargehand.domain.plan import Command, GatePoint, Plan, Weight
from chargehand.domain.policy import Commits
from chargehand.plans.detect import read_plan
from chargehand.plans.sendit_done import read_progress
from chargehand.plans.sendit_feature import NOT_READY
from chargehand.profiles import profile_of
from chargehand.profiles.sendit import _NOT_READY, PROFILE
from chargehand.profiles.sendit_text import Entry, Standing, Summary, progress_text, research_text

FIXTURE = Path(__file__).parent.parent / "fixtures" / "sendit"
PROGRESS = (FIXTURE / "specs/auth/login/PROGRESS.md").read_text(encoding="utf-8")
ENTRIES = (
    Entry(number=2, title="Add the user", status="done", commit="abcdef012345"),
    Entry(number=3, title="Check a | b", status="pending"),
)


def standing(**changes: Any) -> Standing:
    values: dict[str, Any] = {
        "feature": "Login",
        "weight": "full",
        "step": "execute",
        "reason": "a spec is there",
        "specs": "specs/auth/login/SPEC.md",
        "entries": ENTRIES,
        **changes,
    }
    return Standing(**values)


# -- progress -------------------------------------------------------------------------------------


def test_a_new_file_has_the_form_that_sendit_reads():
    """FORMATS 5.2."""
    assert progress_text("", standing(notes=["task-2: x"]), 0.0) == (
        "# Progress: Login\n\n**Started**: 1970-01-01T00:00:00Z\n**Weight**: full\n**Current step**: execute\n\n"
        "## Assessment\n\n- Weight: full\n- Reason: a spec is there\n- Relevant specs: specs/auth/login/SPEC.md\n\n"
        "## Tasks\n\n| # | Task | Status | Commit |\n|---|------|--------|--------|\n"
        "| 2 | Add the user | done | abcdef012345 |\n| 3 | Check a \\| b | pending | — |\n\n## Notes\n\n- task-2: x\n"
    )


def test_only_the_lines_that_are_ours_change():
    """Round trip: bytes outside the changed lines are the same."""
    text = progress_text(PROGRESS, standing(), 0.0)
    added = "| 2 | Add the user | done | abcdef012345 |\n| 3 | Check a \\| b | pending | — |\n"
    expected = PROGRESS.replace("**Current step**: plan", "**Current step**: execute")
    assert text == expected.replace("| 2 | Add the user | failed | — |\n", added)


def test_what_says_so_already_is_left_as_it_is():
    text = PROGRESS.replace("| 2 | Add the user | failed | — |", "|2|`Add` the user  | **Done** | `abcdef012345`|")
    assert "|2|`Add` the user  | **Done** | `abcdef012345`|" in progress_text(text, standing(), 0.0)


def test_line_ends_stay_those_of_the_file():
    text = PROGRESS.replace("\n", "\r\n")
    got = progress_text(text, standing(), 0.0)
    assert got.replace("\r\n", "\n") == progress_text(PROGRESS, standing(), 0.0)
    assert "\n" not in got.replace("\r\n", "")


def test_code_is_no_table_and_no_heading():
    fenced = "```\n## Tasks\n| # | Task | Status | Commit |\n| 2 | x | pending | — |\n**Weight**: light\n```\n"
    text = PROGRESS.replace("## Tasks", f"{fenced}\n## Tasks")
    assert fenced in progress_text(text, standing(), 0.0)


def test_our_notes_follow_those_of_people_and_go_when_they_are_over():
    text = progress_text(PROGRESS + "\n## Notes\n\nBy hand.\n", standing(notes=["task-2: failed (x): y"]), 0.0)
    assert text.endswith("## Notes\n\nBy hand.\n\n- task-2: failed (x): y\n")
    assert progress_text(text, standing(), 0.0).endswith("## Notes\n\nBy hand.\n")
    once = progress_text(PROGRESS, standing(notes=["task-2: failed (x): y"]), 0.0)
    assert progress_text(once, standing(), 0.0) == progress_text(PROGRESS, standing(), 0.0)


def test_the_summary_goes_when_the_run_goes_on():
    over = Summary(execution="partial", done=1, total=2, commits=["abc"], results="")
    text = progress_text(PROGRESS, standing(summary=over), 0.0)
    assert text.endswith(
        "## Execution\n\n**Execution**: partial\n**Tasks completed**: 1/2\n**Commits**: abc\n"
        "**Test results**: not run\n"
    )
    assert progress_text(text, standing(), 0.0) == progress_text(PROGRESS, standing(), 0.0)


def test_rows_that_were_lost_come_back_in_order():
    before = {1: ("Hash passwords", "0a1b2c3")}
    text = progress_text("", standing(finished_before=before), 0.0)
    assert "|---|------|--------|--------|\n| 1 | Hash passwords | done | 0a1b2c3 |\n| 2 |" in text


_NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(str.strip)
_TEXT = st.one_of(st.just(""), st.just(PROGRESS), st.lists(st.sampled_from(PROGRESS.splitlines())).map("\n".join))


@given(
    before=_TEXT,
    titles=st.lists(_NAMES, min_size=1, max_size=5),
    statuses=st.lists(st.sampled_from(("pending", "done", "failed")), min_size=5, max_size=5),
)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_again_and_written_the_same(before: str, titles: list[str], statuses: list[str]):
    """Round trip: write, read, write, from whatever text was there."""
    entries = [
        Entry(number=number, title=title, status=status, commit="0a1b2c3d4e5f" if status == "done" else "")
        for number, (title, status) in enumerate(zip(titles, statuses, strict=False), start=1)
    ]
    as_is = standing(entries=entries, notes=["Not accepted yet: task 1; branch b/x"])
    text = progress_text(before, as_is, 0.0)
    assert progress_text(text, as_is, 0.0) == text
    if before in {"", PROGRESS}:
        progress, problems = read_progress(text)
        assert problems == []
        rows = {row.number: (row.status, row.commit) for row in progress.rows}
        assert {entry.number: (entry.status, entry.commit) for entry in entries}.items() <= rows.items()
        assert progress.unaccepted == {1: "b/x"}


def test_research_is_quoted_and_replaced_not_repeated():
    found = {"task-3": "Argon.\n## Status"}
    once = research_text("# Research: Login\n\nBy hand.\n", "Login", "specs/login/SPEC.md", found)
    assert once == "# Research: Login\n\nBy hand.\n\n## Found for task-3\n\n> Argon.\n> ## Status\n"
    assert research_text(once, "Login", "specs/login/SPEC.md", found) == once


# -- the plan as it is run ------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    folder = tmp_path / "project"
    shutil.copytree(FIXTURE, folder)
    found = read_plan(None, folder).plan
    assert found is not None
    return found


def arrange(plan: Plan, **settings_: object) -> Plan:
    assert PROFILE.arrange is not None
    return PROFILE.arrange(plan, {f"commands.{name}": value for name, value in settings_.items()})


def test_the_agent_has_to_commit():
    assert profile_of("sendit").policy.commits is Commits.AGENT
    assert profile_of("sendit").policy.retries == 1
    assert NOT_READY == _NOT_READY


def test_a_spec_that_is_not_ready_is_refused_for_full_weight(plan: Plan):
    said = (NOT_READY, "specs/a/SPEC.md:3: it is open: x")
    open_plan = replace(plan, tasks=tuple(replace(t, background=(*t.background, said)) for t in plan.tasks))
    with pytest.raises(UserError) as raised:
        arrange(open_plan)
    assert raised.value.code == "spec_not_ready"
    assert raised.value.message == "The spec is not ready: specs/a/SPEC.md:3: it is open: x."
    light = arrange(replace(open_plan, defaults=replace(plan.defaults, weight=Weight.LIGHT)))
    assert not any(NOT_READY in dict(task.background) for task in light.tasks)


def test_the_tests_of_the_settings_are_the_suite(plan: Plan):
    assert [gate.id for gate in arrange(plan).gates] == ["suite-pytest"]
    named = arrange(plan, test=Command(argv=("make", "test")), build=Command(argv=("make",)))
    assert [(gate.id, gate.run.text, gate.on) for gate in named.gates] == [
        ("build", "make", frozenset({GatePoint.RUN})),
        ("suite", "make test", frozenset({GatePoint.RUN})),
    ]
