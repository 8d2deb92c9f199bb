"""`check` names every problem at once: a value that is none hides no other mistake."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chargehand.plans.checking import check_loaded
from chargehand.plans.detect import read_plan

FIXTURES = Path(__file__).parents[1] / "fixtures"
TWO = """\
tasks:
  - {id: A, description: d, files_to_modify: [a.py], status: WIP}
  - {id: B, description: d, files_to_modify: [b.py], execution_strategy: PARALLEL, status: DONE}
"""


def codes(root: Path) -> list[tuple[str, int | None]]:
    found = check_loaded(read_plan(None, root)).problems
    return [(problem.code, problem.line) for problem in found if problem.is_error]


def tasks(root: Path, text: str) -> Path:
    folder = root / "prompts/X-1/iteration_1"
    folder.mkdir(parents=True)
    (folder / "tasks.yaml").write_text(text)
    return root


def test_a_status_that_is_none_hides_no_other_task(tmp_path: Path) -> None:
    assert codes(tasks(tmp_path, TWO)) == [("bad_value", 2), ("wrong_status", 3)]


def test_an_entry_that_is_unsound_is_asked_no_more(tmp_path: Path) -> None:
    text = TWO.replace("WIP", "DONE, execution_strategy: SIDEWAYS") + "parallel_groups: {G: [A, B, C]}\n"
    assert codes(tasks(tmp_path, text)) == [("bad_value", 2), ("wrong_status", 3), ("unknown_task", 4)]


def test_groups_that_are_none_are_not_looked_into(tmp_path: Path) -> None:
    assert codes(tasks(tmp_path, TWO + "parallel_groups: [G]\n")) == [
        ("bad_value", 2),
        ("wrong_status", 3),
        ("bad_value", 4),
    ]


def test_a_task_without_a_name_says_nothing_about_others(tmp_path: Path) -> None:
    assert codes(tasks(tmp_path, TWO.replace("id: A, ", ""))) == [("missing_key", 2), ("bad_value", 2)]


def graph(task: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda state: state["task_graph"]["tasks"][1].update(task)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (graph({"complexity": "hard", "depends_on": ["task-77"]}), {"bad_value", "unknown_dependency"}),
        (lambda state: state.update(version="2", completed_tasks=["task-77"]), {"bad_value", "unknown_task"}),
        (graph({"wave": "x"}), {"bad_value"}),
        (lambda state: state.update(task_graph={"tasks": []}, completed_tasks=["task-77"]), {"bad_value"}),
    ],
    ids=["task", "file", "no order", "no graph"],
)
def test_a_state_is_told_as_a_whole(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], expected: set[str]
) -> None:
    shutil.copytree(FIXTURES / "dispatch", tmp_path / "project")
    file = tmp_path / "project/.nexus-cortexia/state.json"
    state = json.loads(file.read_text())
    change(state)
    file.write_text(json.dumps(state, indent=1))
    assert {code for code, _ in codes(tmp_path / "project")} == expected


def test_a_finished_phase_is_told_in_the_words_of_its_system(tmp_path: Path) -> None:
    """That nothing is left is enough: 'tasks:' is no word of Konductor or sendit."""
    root = tmp_path / "project"
    shutil.copytree(FIXTURES / "sendit", root)
    shutil.rmtree(root / "specs/auth")
    rows = "\n".join(f"| {n} | {title} | done | 0a1b2c3 |" for n, title in ((1, "Sum"), (2, "Print"), (3, "Mail")))
    table = f"## Tasks\n\n| # | Task | Status | Commit |\n|---|---|---|---|\n{rows}\n"
    (root / "specs/reports/PROGRESS.md").write_text(table)
    assert [code for code, _ in codes(root)] == ["nothing_left"]
