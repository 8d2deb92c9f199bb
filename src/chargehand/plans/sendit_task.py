"""The files of a sendit task, and which tasks wait for which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from chargehand.domain import scope
from chargehand.domain.plan import Task
from chargehand.plans.markdown import code_spans

__all__ = ["chained", "listed"]

_LINES = re.compile(r":\d+(?:-\d+)?\Z")
_NEW = re.compile(r"(?i)\b(?:create|created|new)\b")
_NOTE = re.compile(r"\s*\([^()]*\)\s*\Z")
_NONE = frozenset({"", "none", "n/a", "-", "–", "—"})


def listed(text: str) -> list[tuple[str, bool]]:
    """(path, whether it is said to be new) of each file that a text lists, by code spans where it has any."""
    found: dict[str, bool] = {}
    for line in text.split("\n"):
        spans = code_spans(line.strip())
        pieces = spans or line.split(",")
        for number, piece in enumerate(pieces):
            name = _NOTE.sub("", piece.strip().lstrip("-*+ ").strip())
            name = re.sub(r"(?i)\A(?:create|modify|test|update|edit)\s*:\s*", "", name)
            name = _LINES.sub("", name.strip("`\"' ")).removeprefix("./")
            if name.lower() in _NONE or (not spans and " " in name):
                continue
            around = _around(line, pieces, number) if spans else piece
            found.setdefault(name, _NEW.search(around) is not None)
    return list(found.items())


def _around(line: str, spans: Sequence[str], number: int) -> str:
    """What is said of a code span: the words up to the next one, or before it where it is the first."""
    parts = re.split(r"`[^`]*`", line)
    after = parts[number + 1] if number + 1 < len(parts) else ""
    return f"{parts[0] if number == 0 or len(spans) == 1 else ''} {after}"


def chained(tasks: list[Task], marked: set[str], told: list[str]) -> list[Task]:
    """The tasks in sequence; those in a row that are marked and touch different files stand side by side."""
    made: list[Task] = []
    before: list[str] = []
    group: list[Task] = []
    for task in tasks:
        joins = bool(group) and task.id in marked and group[-1].id in marked
        clash = next((other for other in group if _overlap(task, other)), None) if joins else None
        if joins and clash is not None:
            told.append(f"{task.id}: is marked independent, and shares files with {clash.id}: it waits for it.")
        if not joins or clash is not None:
            before, group = [each.id for each in group], []
        group.append(task)
        made.append(replace(task, depends_on=tuple(before)))
    return made


def _overlap(one: Task, other: Task) -> bool:
    """Whether two tasks may meet; those that declare nothing, or something unsafe, may."""
    if one.files is None or other.files is None:
        return True
    ones, others = one.files.writes, other.files.writes
    return any(scope.validate(path) for path in (*ones, *others)) or scope.overlaps(ones, others)
