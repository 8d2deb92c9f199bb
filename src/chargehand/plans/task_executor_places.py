"""Where the tasks of the JIRA pipeline lie (`prompts/<JIRA>/iteration_<n>/tasks.yaml`), and which are meant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from chargehand.domain.problem import Problem
from chargehand.plans.native import read_lossy, read_text

__all__ = ["Meant", "is_tasks_file", "name_of", "tasks_below"]

_FILE = "tasks.yaml"
_ITERATION = re.compile(r"iteration_(\d{1,6})")
_TASKS = re.compile(r"(?m)^(?:[\"']?tasks[\"']?)[ \t]*:")
_OWN = re.compile(
    r"(?m)^[\s{,-]*[\"']?(?:parallel_groups|validation_policy|files_to_modify|execution_strategy|success_criteria)"
    r"[\"']?[ \t]*:"
)
_NATIVE = re.compile(r"(?m)^[\"']?chargehand[\"']?[ \t]*:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """The file that is meant (None: `problem` says why), and the iterations that are left alone."""

    file: Path | None = None
    others: tuple[str, ...] = ()
    problem: Problem | None = None


def is_tasks_file(text: str) -> bool:
    """By the key `tasks` and one of the keys that are its own, even when the rest is broken."""
    return bool(_TASKS.search(text) and _OWN.search(text) and not _NATIVE.search(text))


def tasks_below(folder: Path) -> Meant | None:
    """The tasks of the newest iteration below `prompts`, a ticket or an iteration; None when there are none."""
    found = [
        file for pattern in (_FILE, f"iteration_*/{_FILE}", f"*/iteration_*/{_FILE}") for file in _at(folder, pattern)
    ]
    tickets = sorted({_ticket(file) for file in found})
    if len(tickets) > 1:
        names = ", ".join(ticket.name for ticket in tickets)
        hint = f"Name one, such as {tickets[0]}."
        text = f"More than one ticket could be meant: {names}."
        return Meant(problem=Problem(code="ambiguous_plan", message=text, file=str(folder), hint=hint))
    if not found:
        return None
    ordered = sorted(found, key=_number)
    return Meant(file=ordered[-1], others=tuple(file.parent.name for file in ordered[:-1]))


def _at(folder: Path, pattern: str) -> list[Path]:
    try:
        files = [file for file in sorted(folder.glob(pattern)) if file.exists()]
    except OSError:
        return []
    return [file for file in files if _is_meant(file)]


def _is_meant(file: Path) -> bool:
    """In the folder of an iteration also what is broken: passed over, an older iteration would be taken."""
    text, problem = read_text(file)
    text = read_lossy(file) if problem is not None else text
    is_placed = _ITERATION.fullmatch(file.parent.name) is not None and not _NATIVE.search(text)
    return is_placed or is_tasks_file(text)


def _ticket(file: Path) -> Path:
    folder = file.parent
    return folder.parent if _ITERATION.fullmatch(folder.name) else folder


def _number(file: Path) -> int:
    named = _ITERATION.fullmatch(file.parent.name)
    return int(named[1]) if named else 0


def name_of(file: Path) -> tuple[str, int | None]:
    """The ticket and the iteration that a file belongs to, by its folders; without one, its folder and None."""
    path = file.absolute()
    named = _ITERATION.fullmatch(path.parent.name)
    return (path.parent.parent.name, int(named[1])) if named else (path.parent.name, None)
