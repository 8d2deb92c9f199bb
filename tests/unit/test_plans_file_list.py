"""Files as people list them: what is a path, what is prose, and that nothing vanishes without a word."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.plans.detect import read_plan
from chargehand.plans.sendit_task import listed

FIXTURES = Path(__file__).parents[1] / "fixtures"

TAKEN = [
    ("docs/log in.md, CHANGELOG.md", ["docs/log in.md", "CHANGELOG.md"], 1),
    ("CHANGE LOG.md, docs/a.md", ["CHANGE LOG.md", "docs/a.md"], 1),
    ("- docs/salt and pepper.md (new)\n- docs/grüße.md:12-14", ["docs/salt and pepper.md", "docs/grüße.md"], 1),
    ("`docs/log in.md`, CHANGELOG.md", ["docs/log in.md", "CHANGELOG.md"], 0),
    ("Create: my docs/", ["my docs/"], 1),
    ("`a.py` (as src/b.py does), `c.py`", ["a.py", "c.py"], 0),
    ("None needed", [], 0),
    ("none", [], 0),
    ("n/a", [], 0),
]
DOUBTFUL = [
    "src/a.py and src/b.py",
    "new docs/x.md",
    "a.py b.py",
    "docs/a.md for the log",
    "src/a and src/b.py",
    "LICENSE text",
]


@pytest.mark.parametrize(("text", "paths", "remarks"), TAKEN)
def test_paths_are_taken_as_they_stand(text: str, paths: list[str], remarks: int) -> None:
    told: list[str] = []
    assert [path for path, _ in listed(text, told)] == paths
    assert len(told) == remarks


@pytest.mark.parametrize("text", DOUBTFUL)
def test_what_may_be_prose_is_not_taken_and_told(text: str) -> None:
    told: list[str] = []
    assert listed(f"x.py, {text}", told) == [("x.py", False)]
    assert told == [f"Not taken for a file: '{text}'. Put the paths in it in code quotes."]


def test_a_path_behind_a_code_span_is_told() -> None:
    told: list[str] = []
    assert listed("`a.py` and docs/b.md, then the rest", told) == [("a.py", False)]
    assert told == ["Not taken for a file: 'docs/b.md'. Put it in code quotes."]


words = st.text(st.characters(categories=("Ll", "Lu")), min_size=1, max_size=6)


@given(st.lists(words, min_size=1, max_size=4))
def test_every_fragment_is_taken_or_told(parts: list[str]) -> None:
    text = f"{' '.join(parts)}.md"
    told: list[str] = []
    found = [path for path, _ in listed(f"`x.py`\n{text}", told)]
    assert text in found or any(text in each for each in told)


@pytest.mark.parametrize(
    ("system", "file", "task"),
    [
        ("sendit", "specs/auth/login/PLAN.md", "task-1"),
        ("konductor", ".konductor/phases/01-auth-system/plans/003-login.md", "003-task-1"),
    ],
)
def test_both_systems_read_them_alike(tmp_path: Path, system: str, file: str, task: str) -> None:
    root = tmp_path / "project"
    shutil.copytree(FIXTURES / system, root)
    (root / "specs/auth/login/PROGRESS.md").unlink(missing_ok=True)
    (root / "specs/reports/PLAN.md").unlink(missing_ok=True)
    text = (root / file).read_text()
    text, changed = re.subn(
        r"(?im)^((?:- )?\*\*files(?::\*\*|\*\*:)).*$", r"\1 docs/log in.md, CHANGELOG.md, all of it", text, count=1
    )
    assert changed
    (root / file).write_text(text)
    loaded = read_plan(None, root)
    plan = loaded.plan
    assert plan is not None, loaded.problems
    found = next(each for each in plan.tasks if each.id == task)
    assert found.files is not None
    assert found.files.writes == ("docs/log in.md", "CHANGELOG.md")
    assert f"{task}: Taken as one file: 'docs/log in.md'." in loaded.told
    assert f"{task}: Not taken for a file: 'all of it'. Put the paths in it in code quotes." in loaded.told
