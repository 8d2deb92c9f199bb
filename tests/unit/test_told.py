"""What the files of each system say of the tasks of a run (SPEC 11)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chargehand.domain.errors import AdapterError
from chargehand.domain.hand_edits import Told
from chargehand.domain.words import Means
from chargehand.profiles.told import (
    told_by_dispatch,
    told_by_factory_line,
    told_by_konductor,
    told_by_sendit,
    told_by_task_executor,
)

M = Means
PLANS = ".konductor/phases/01-auth/plans"
PROGRESS = """# Progress

| # | Task | Status | Commit |
|---|------|--------|--------|
| 9 | not in the section | done | 9999999 |

## Tasks

| # | Task | Status | Commit |
|---|------|--------|--------|
| 1 | Hash \\| salt | done | `0a1b2c3` |
|  2 | Add | **Failed** | — |
| 3 | Check | pending | |
| 4 | Odd | wip | - |
| 3 | Twice | done | 1111111 |
| x | no number | done | 1111111 |

Not a row | 7 | done
"""
YAML = """# kept
tasks:
  - {id: T-1, status: "ACCEPTED", attempts: 2}
  - id: T-2
    status: ERROR   # why
  - {id: T-3}
  - {id: T-4, status: null, attempts: 0}
  - {id: T-5, status: SYNTAX_VALID}
"""


def short(found: Any) -> dict[str, tuple[str, Means, str]]:
    return {task: (told.word, told.means, told.rest) for task, told in found.items()}


def test_rows_of_sendit():
    found = short(told_by_sendit("specs/a/PROGRESS.md", PROGRESS, ()))
    assert found == {
        "task-1": ("done", M.DONE, "0a1b2c3"),
        "task-2": ("failed", M.FAILED, ""),
        "task-3": ("pending", M.OPEN, ""),
        "task-4": ("wip", M.OTHER, ""),
    }
    same = told_by_sendit("specs/a/PROGRESS.md", PROGRESS.replace("\n", "\r\n").replace("**Failed**", "failed"), ())
    assert short(same) == found, "form says nothing"
    assert told_by_sendit("specs/a/PROGRESS.md", "# Nothing\n", ()) == {}
    assert told_by_sendit("specs/a/RESEARCH.md", PROGRESS, ()) is None


def test_entries_of_tasks_yaml():
    assert short(told_by_task_executor("prompts/x/tasks.yaml", YAML, ())) == {
        "T-1": ("ACCEPTED", M.DONE, "attempts: 2"),
        "T-2": ("ERROR", M.FAILED, ""),
        "T-3": ("PENDING", M.OPEN, ""),
        "T-4": ("PENDING", M.OPEN, ""),
        "T-5": ("SYNTAX_VALID", M.OTHER, ""),
    }
    assert told_by_task_executor("prompts/x/log.jsonl", YAML, ()) is None
    with pytest.raises(AdapterError, match="no list `tasks`"):
        told_by_task_executor("tasks.yaml", "tasks: 3\n", ())


def test_lists_of_dispatch():
    data = {
        "task_graph": {"tasks": [{"id": name} for name in ("a", "b", "c", "d", "e")]},
        "completed_tasks": ["a", "gone"],
        "failed_tasks": [{"task_id": "b"}, {"task_id": "gone"}, "odd"],
        "blocked_tasks": [{"task_id": "c", "blocked_on": "b"}, {"task_id": "e"}],
    }
    expected = {
        "a": ("completed", M.DONE, ""),
        "b": ("failed", M.FAILED, ""),
        "c": ("blocked", M.FAILED, ""),
        "d": ("pending", M.OPEN, ""),
        "e": ("blocked", M.FAILED, ""),
    }
    assert short(told_by_dispatch("state.json", json.dumps(data), ())) == expected
    assert short(told_by_dispatch("state.json", "\ufeff" + json.dumps(data, indent=4), ())) == expected
    assert told_by_dispatch("state.json", '{"task_graph": 3, "failed_tasks": 4}', ()) == {}
    for text in ("[]", "{"):
        with pytest.raises(ValueError, match=r"no object|Expecting"):
            told_by_dispatch("state.json", text, ())


def test_marks_of_the_line():
    text = (
        "[x] Pre-Execution Gate\n[x] Subtask 1: Read\n[-] Subtask 2: Write\n[ ] Subtask 3: Count\n[?] Subtask 4: Odd\n"
        "[X] Subtask 5: Add/update tests\n[x] Subtask 6: Run quality gates\n[ ] Complete: books\n"
    )
    found = short(told_by_factory_line(".kilocode/line/t/todo.md", text, {"tests"}))
    assert found == {
        "subtask-1": ("[x]", M.DONE, ""),
        "subtask-2": ("[-]", M.OPEN, ""),
        "subtask-3": ("[ ]", M.OPEN, ""),
        "subtask-4": ("[?]", M.OTHER, ""),
        "tests": ("[x]", M.DONE, ""),
    }
    both = told_by_factory_line(".kilocode/line/t/todo.md", text, {"tests", "gates"})
    assert both is not None
    assert both["gates"].means is M.DONE
    assert told_by_factory_line(".kilocode/line/t/completion.md", text, ()) is None


@pytest.mark.parametrize(
    ("text", "word", "means"),
    [
        ("## Status: DONE\n## Review Status: passed\n", "DONE, review passed", M.DONE),
        ("## status: done\n", "DONE", M.DONE),
        ("## Status: DONE\n## Review Status: needs manual intervention\n", None, M.FAILED),
        ("## Status: BLOCKED\n\nDONE\n", "BLOCKED", M.FAILED),
        ("## Status: NEEDS_CONTEXT\n", "NEEDS_CONTEXT", M.FAILED),
        ("## Status: PENDING ##\n", "PENDING", M.OPEN),
        ("## Status: SKIPPED\n", "SKIPPED", M.SKIPPED),
        ("## Status: maybe\n", "MAYBE", M.OTHER),
    ],
)
def test_summaries_of_konductor(text: str, word: str | None, means: Means):
    found = told_by_konductor(f"{PLANS}/02-task-3-summary.md", f"# Plan 02\n\n{text}", ())
    assert found is not None
    assert (found["002-task-3"].word, found["002-task-3"].means) == (word or found["002-task-3"].word, means)


def test_a_summary_without_a_status_says_nothing():
    assert told_by_konductor(f"{PLANS}/002-task-3-summary.md", "# Plan\n", ()) == {}


def test_blockers_and_results_of_konductor():
    rows = [("001-task-1", "true"), ("001-task-1", "false"), ("001-task-2", "true"), ("009-task-9", "false")]
    text = "".join(
        f'[[blockers]]\nstep = "executing"\nreason = "{task}: why"\nresolved = {resolved}\n' for task, resolved in rows
    )
    tasks = {"001-task-1", "001-task-2", "002-task-1"}
    found = told_by_konductor(".konductor/state.toml", text, tasks)
    assert found == {
        "001-task-1": Told(word="blocked", means=M.FAILED),
        "001-task-2": Told(word="resolved", means=M.OPEN),
    }
    assert told_by_konductor(".konductor/state.toml", "blockers = 3\n", tasks) == {}
    results = ".konductor/.results/execute-01-auth-plan-001.toml"
    for said, means in (("ok", M.DONE), ("error", M.FAILED), ("odd", M.OTHER)):
        found = told_by_konductor(results, f'status = "{said}"\n', tasks)
        assert found == dict.fromkeys(("001-task-1", "001-task-2"), Told(word=said, means=means))
    with pytest.raises(ValueError, match="Expected"):
        told_by_konductor(results, "status\n", tasks)


@pytest.mark.parametrize("name", ["01-auth-plan.md", "001-task-1-spec-review.md", "code-review.md", "config.toml"])
def test_other_files_of_konductor_say_nothing_of_tasks(name: str):
    assert told_by_konductor(f"{PLANS}/{name}", "## Status: DONE\n", ()) is None
