"""A plan at its known place that cannot be read is an error with its file: nothing else is taken instead of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chargehand.domain.problem import Problem
from chargehand.plans.detect import read_plan

FIXTURES = Path(__file__).parents[1] / "fixtures"
PLACES = {
    "dispatch": ".nexus-cortexia/state.json",
    "factory_line": ".kilocode/handoff/SK-7.json",
    "konductor": ".konductor/phases/01-auth-system/plans/003-login.md",
    "sendit": "specs/auth/login/PLAN.md",
    "task_executor": "prompts/SHOP-7/iteration_2/tasks.yaml",
}
SYSTEMS = sorted(PLACES)


def errors(root: Path) -> list[Problem]:
    loaded = read_plan(None, root)
    assert loaded.plan is None
    return [problem for problem in loaded.problems if problem.is_error]


@pytest.fixture(params=SYSTEMS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    root = tmp_path / "project"
    shutil.copytree(FIXTURES / request.param, root)
    return root, root / PLACES[request.param]


def test_a_plan_that_is_no_utf8_is_told_with_its_line(place: tuple[Path, Path]) -> None:
    root, file = place
    before = file.read_bytes()
    file.write_bytes(before.rstrip(b"\n") + b"\n\n# Pr\xe9vu\n")
    (problem, *more) = errors(root)
    assert more == []
    lines = before.rstrip(b"\n").count(b"\n") + 3
    assert (problem.code, problem.file, problem.line) == ("not_utf8", str(file), lines)


def test_an_empty_plan_is_told(place: tuple[Path, Path]) -> None:
    root, file = place
    file.write_bytes(b"\n")
    assert str(file) in {problem.file for problem in errors(root)}


def test_a_plan_cut_off_in_its_first_line_is_told(place: tuple[Path, Path]) -> None:
    root, file = place
    file.write_text(file.read_text().lstrip()[:3])
    assert str(file) in {problem.file for problem in errors(root)}


@pytest.mark.parametrize("text", ["tasks: []\n", "task:\n- id: A\n", "[", "\0"])
def test_a_broken_iteration_is_not_replaced_by_an_older_one(tmp_path: Path, text: str) -> None:
    shutil.copytree(FIXTURES / "task_executor", tmp_path / "project")
    file = tmp_path / "project" / PLACES["task_executor"]
    file.write_text(text)
    assert {problem.file for problem in errors(tmp_path / "project")} == {str(file)}


def test_another_plan_does_not_hide_one_that_cannot_be_read(tmp_path: Path) -> None:
    """Two packets of which one is broken: that is told, besides the question which is meant."""
    shutil.copytree(FIXTURES / "factory_line", tmp_path / "project")
    broken = tmp_path / "project/.kilocode/handoff/SK-8.json"
    broken.write_bytes(b"")
    assert next((p.code, p.file) for p in errors(tmp_path / "project")) == ("empty", str(broken))


def test_all_features_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """Also where only the progress is broken: nobody can tell that the feature is done."""
    root = tmp_path / "project"
    shutil.copytree(FIXTURES / "sendit", root)
    (root / "specs/auth/login/PROGRESS.md").write_bytes(b"# Progress\n\n| \xe9 |\n")
    (root / "specs/reports/PLAN.md").write_bytes(b"")
    assert [(p.code, p.file, p.line) for p in errors(root)] == [
        ("not_utf8", str(root / "specs/auth/login/PROGRESS.md"), 3),
        ("empty", str(root / "specs/reports/PLAN.md"), 1),
    ]


def test_an_empty_native_plan_under_our_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "chargehand.yaml").write_text("")
    assert [(p.code, p.file) for p in errors(tmp_path)] == [("empty", str(tmp_path / "chargehand.yaml"))]


def test_what_is_nobodys_plan_stays_out_of_the_way(tmp_path: Path) -> None:
    """A file of others that no reader could make out is not taken for a plan."""
    shutil.copytree(FIXTURES / "dispatch", tmp_path / "project")
    root = tmp_path / "project"
    (root / "plan.json").write_bytes(b"\xff\xfe{\0}\0")
    (root / ".kilocode").mkdir()
    (root / ".kilocode/mcp.json").write_bytes(b"\xff")
    assert read_plan(None, root).reader == "nexus"
