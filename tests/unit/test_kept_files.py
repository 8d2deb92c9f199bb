"""A plan whose tasks are to write files that only the runtime writes is told so before it is run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.domain.plan import Files
from chargehand.wiring.profiling import kept_files
from tests.play import a_plan, a_task

SUMMARY = ".konductor/phases/01-auth/plans/001-task-1-summary.md"


@pytest.mark.parametrize(
    ("profile", "source", "path"),
    [
        ("konductor", ".konductor", SUMMARY),
        ("task-executor", "prompts/SHOP-7/iteration_2/tasks.yaml", "prompts/SHOP-7/iteration_2/tasks.yaml"),
        ("factory-line", ".kilocode/handoff/SK-7.json", ".kilocode/line/SK-7/todo.md"),
        ("dispatch", ".nexus-cortexia/state.json", ".nexus-cortexia/state.json"),
        ("sendit", "specs/p/PLAN.md", "specs/p/PROGRESS.md"),
    ],
)
def test_a_task_that_is_to_write_one_is_told(tmp_path: Path, profile: str, source: str, path: str):
    """Of every system; a file that a task only reads, and the same plan under the house's rules, are none."""
    (tmp_path / "specs/p").mkdir(parents=True)
    (tmp_path / "specs/p/PLAN.md").touch()
    both = Files(create=(path,), modify=("src/a.py", path))
    tasks = (a_task("a", files=both), a_task("b", files=Files(modify=("src/a.py",), read=(path,))))
    plan = replace(a_plan(*tasks), profile=profile)
    (problem,) = kept_files(plan, tmp_path / source, tmp_path)
    assert (problem.code, problem.task, problem.path) == ("kept_file", "a", ("tasks", 0, "files"))
    assert problem.message.count(path) == 1
    assert not problem.is_error
    assert not list(kept_files(replace(plan, profile="house"), tmp_path / source, tmp_path))


@pytest.mark.parametrize(
    ("profile", "path"),
    [
        ("konductor", ".konductor/**"),
        ("konductor", "docs/summary.md"),
        ("sendit", "other/PROGRESS.md"),
        ("none", SUMMARY),
    ],
)
def test_what_may_also_be_something_else_is_not(tmp_path: Path, profile: str, path: str):
    """Nor is anything said where it is not known which files those are: that is told as what it is."""
    plan = replace(a_plan(a_task("a", modify=[path]), a_task("b")), profile=profile)
    assert not list(kept_files(plan, tmp_path / "specs/login/PLAN.md", tmp_path))
