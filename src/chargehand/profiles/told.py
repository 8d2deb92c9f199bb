"""What the files of each system say of the tasks of a run: one small reader each, pure (SPEC 11).

Each takes the path in the work tree, the text, and the tasks of the run; it answers None for files that say nothing of
tasks, and raises ValueError, or AdapterError, for a text that its system could not read.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from chargehand.domain.hand_edits import Told
from chargehand.domain.words import Means
from chargehand.profiles.sendit_text import rows_of
from chargehand.profiles.task_executor_text import entries

__all__ = [
    "ATTEMPTS",
    "told_by_dispatch",
    "told_by_factory_line",
    "told_by_konductor",
    "told_by_sendit",
    "told_by_task_executor",
]

Words = Mapping[str, Told]

ATTEMPTS = "attempts: "
"""What stands before the number of attempts that an entry of `tasks.yaml` counts."""

_SUMMARY = re.compile(r"(?P<plan>\d{1,9})-task-(?P<step>\d{1,9})-summary\.md")
_RESULT = re.compile(r"execute-.*-plan-(?P<plan>\d{1,9})\.toml")
_STATUS = re.compile(r"(?im)^ {0,3}#{1,6}[ \t]+(?P<review>review[ \t]+)?status[ \t]*:[ \t]*(?P<said>.*?)[ \t#]*$")
_TODO = re.compile(r"(?m)^\s*\[(?P<mark>.)\]\s+Subtask (?P<number>\d{1,18}): (?P<title>.*?)\s*$")
_OF_ALL = {"Add/update tests": "tests", "Run quality gates": "gates"}

_TASKS_YAML = {
    "PENDING": Means.OPEN,
    "ACTIVE": Means.OPEN,
    "DONE": Means.DONE,
    "ACCEPTED": Means.DONE,
    "REJECTED": Means.FAILED,
    "ERROR": Means.FAILED,
    "SYNTAX_ERROR": Means.FAILED,
    "SKIPPED": Means.SKIPPED,
    "CANCELLED": Means.CANCELLED,
}
_PROGRESS = {
    "pending": Means.OPEN,
    "done": Means.DONE,
    "failed": Means.FAILED,
    "skipped": Means.SKIPPED,
    "cancelled": Means.CANCELLED,
}


# -- konductor ------------------------------------------------------------------------------------


def told_by_konductor(file: str, text: str, tasks: Collection[str]) -> Words | None:
    """A summary says how its task stands, a blocker of the state that it is held up, a result how its plan ended."""
    path = PurePosixPath(file)
    if (named := _SUMMARY.fullmatch(path.name)) is not None:
        return dict(_of_summary(f"{int(named['plan']):03d}-task-{int(named['step'])}", text))
    if path.name == "state.toml":
        return dict(_of_blockers(_toml(text), tasks))
    if path.parent.name == ".results" and (named := _RESULT.fullmatch(path.name)) is not None:
        said = str(_toml(text).get("status", ""))
        means = {"ok": Means.DONE, "error": Means.FAILED}.get(said, Means.OTHER)
        mine = f"{int(named['plan']):03d}-task-"
        return {task: Told(word=said, means=means) for task in tasks if task.startswith(mine)}
    return None


def _of_summary(task: str, text: str) -> Iterator[tuple[str, Told]]:
    said = {match["review"] is not None: match["said"].strip("*` ") for match in reversed(list(_STATUS.finditer(text)))}
    status, review = said.get(False, "").upper(), said.get(True, "").lower()
    if not status:
        return
    means = {"BLOCKED": Means.FAILED, "NEEDS_CONTEXT": Means.FAILED, "SKIPPED": Means.SKIPPED}.get(status, Means.OTHER)
    if status in {"DONE", "DONE_WITH_CONCERNS"}:
        means = Means.DONE if review in {"", "passed"} else Means.FAILED
    if status in {"PENDING", "READY", "IN_PROGRESS"}:
        means = Means.OPEN
    yield task, Told(word=f"{status}, review {review}" if review else status, means=means)


def _of_blockers(data: Mapping[str, Any], tasks: Collection[str]) -> Iterator[tuple[str, Told]]:
    """A task with a blocker that is not resolved is held up, whatever others of it are."""
    rows = data.get("blockers", [])
    listed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    for row in sorted(listed, key=lambda row: row.get("resolved") is not True):
        task = str(row.get("reason", "")).partition(":")[0]
        if task in tasks and row.get("step") == "executing":
            is_open = row.get("resolved") is True
            yield task, Told(word="resolved" if is_open else "blocked", means=Means.OPEN if is_open else Means.FAILED)


def _toml(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ValueError("the text is nested too deeply") from None


# -- dispatch -------------------------------------------------------------------------------------


def told_by_dispatch(file: str, text: str, tasks: Collection[str]) -> Words | None:  # noqa: ARG001 - one file, all tasks
    """The lists of a state; a task of the graph that is in none of them is still to be done."""
    data = json.loads(text.lstrip("\ufeff"))
    if not isinstance(data, dict):
        raise ValueError("it is no object")
    graph = data.get("task_graph")
    named = _list(graph.get("tasks")) if isinstance(graph, dict) else []
    names = [str(each["id"]) for each in named if isinstance(each, dict) and "id" in each]
    found = {name: Told(word="pending", means=Means.OPEN) for name in names}
    for key, word in (("blocked_tasks", "blocked"), ("failed_tasks", "failed")):
        for each in _list(data.get(key)):
            if isinstance(each, dict) and each.get("task_id") in found:
                found[each["task_id"]] = Told(word=word, means=Means.FAILED)
    for name in _list(data.get("completed_tasks")):
        if str(name) in found:
            found[str(name)] = Told(word="completed", means=Means.DONE)
    return found


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


# -- factory line ---------------------------------------------------------------------------------


def told_by_factory_line(file: str, text: str, tasks: Collection[str]) -> Words | None:
    """The marks of the todo list: done, under way, or to be done."""
    if PurePosixPath(file).name != "todo.md":
        return None
    found = {}
    for each in _TODO.finditer(text):
        task = _OF_ALL.get(each["title"], f"subtask-{int(each['number'])}")
        if task == "gates" and task not in tasks:
            continue  # ticked by what the gates came to
        means = {"x": Means.DONE, "X": Means.DONE, " ": Means.OPEN, "-": Means.OPEN}.get(each["mark"], Means.OTHER)
        found[task] = Told(word=f"[{each['mark'].lower()}]", means=means)
    return found


# -- task-executor --------------------------------------------------------------------------------


def told_by_task_executor(file: str, text: str, tasks: Collection[str]) -> Words | None:  # noqa: ARG001 - all entries
    """The status of each entry, and the attempts it counts."""
    if not file.endswith((".yaml", ".yml")):
        return None
    found = {}
    for task, entry in entries(text).items():
        word = _text(entry.get("status")) or "PENDING"
        attempts = _text(entry.get("attempts"))
        rest = f"{ATTEMPTS}{attempts}" if attempts not in {"", "0"} else ""
        found[task] = Told(word=word, means=_TASKS_YAML.get(word, Means.OTHER), rest=rest)
    return found


def _text(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    return "" if text in {"null", "~", "Null", "NULL"} else text


# -- sendit ---------------------------------------------------------------------------------------


def told_by_sendit(file: str, text: str, tasks: Collection[str]) -> Words | None:  # noqa: ARG001 - all rows
    """The rows of the progress: status, and the commit of what is done."""
    if PurePosixPath(file).name != "PROGRESS.md":
        return None
    return {
        f"task-{number}": Told(word=status, means=_PROGRESS.get(status, Means.OTHER), rest=commit)
        for number, (status, commit) in rows_of(text).items()
    }
