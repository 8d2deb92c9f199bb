"""The todo list of a line: what it says is done, and whether that was accepted."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["TodoList", "read_todo"]

_LINE = re.compile(r"(?m)^\s*\[(?P<mark>.)\]\s+Subtask (?P<number>\d+): (?P<title>.*?)\s*$")
_PENDING = re.compile(r"(?m)^[ \t]*Not accepted yet: (?P<where>branch \S+, commit [0-9a-f]+)\.")
_TESTS = "Add/update tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class TodoList:
    """`subtasks` are the ids that are done, `tests` whether theirs are; `pending` names what nobody accepted yet."""

    subtasks: frozenset[int] = frozenset()
    tests: bool = False
    pending: str = ""


def read_todo(text: str) -> TodoList:
    """Read a list; a mark that nobody knows is not done."""
    pending = _PENDING.search(text)
    ticked = [each for each in _LINE.finditer(text) if each["mark"] in "xX"]
    return TodoList(
        subtasks=frozenset(int(each["number"][:18]) for each in ticked if each["title"] != _TESTS),
        tests=any(each["title"] == _TESTS for each in ticked),
        pending=pending["where"] if pending else "",
    )
