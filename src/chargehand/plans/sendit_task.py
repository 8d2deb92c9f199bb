"""The files of a sendit task, and which tasks wait for which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from chargehand.domain import scope
from chargehand.domain.plan import Task
from chargehand.plans.file_list import beside_spans, cleaned, is_nothing, one_path
from chargehand.plans.markdown import code_spans, cut_spans

__all__ = ["chained", "listed"]

_NEW = re.compile(r"(?i)\b(?:create|created|new)\b")


def listed(text: str, told: list[str]) -> list[tuple[str, bool]]:
    """(path, whether it is said to be new) of each file that a text lists, by code spans where it has any.

    `told` gets what is taken for a path and might not be one, and the other way round.
    """
    found: dict[str, bool] = {}
    for line in text.split("\n"):
        spans = code_spans(line.strip())
        words = cut_spans(line, "\n").split("\n") if spans else []
        for number, piece in enumerate(spans or line.split(",")):
            name = cleaned(piece)
            if is_nothing(name) or not (spans or one_path(name, told)):
                continue
            around = _around(words, number) if spans else piece
            found.setdefault(name, _NEW.search(around) is not None)
        for name in beside_spans(line, told) if spans else ():
            found.setdefault(name, False)
    return list(found.items())


def _around(words: Sequence[str], number: int) -> str:
    """What is said of a code span: the words up to the next one, or before it where it is the first.

    `words` is what stands before the first one, and after each.
    """
    after = words[number + 1] if number + 1 < len(words) else ""
    return f"{words[0] if number == 0 else ''} {after}"


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
