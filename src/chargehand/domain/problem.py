"""What is wrong with a plan or a setting, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

__all__ = ["Path", "Problem", "Severity", "nearest"]

Path = tuple[str | int, ...]


class Severity(StrEnum):
    """An error stops before the first token is spent (exit 2); a warning is said and gone past."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One remark about a plan or a configuration file.

    `path` leads to the value in the document, as keys and positions from 0 (`("tasks", 3, "depends_on", 0)`);
    `line` and `column` count from 1 and are filled in by whoever read the file. `command` is the exact command a
    remark is about.
    """

    code: str
    message: str
    severity: Severity = Severity.ERROR
    hint: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    task: str = ""
    command: str = ""
    path: Path = ()

    @property
    def is_error(self) -> bool:
        """Whether it stops the run."""
        return self.severity is Severity.ERROR


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word most like this one; empty when none is."""
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean '{found[0]}'?" if found else ""
