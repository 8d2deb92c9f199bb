"""What a change does to silence the checks that judge code: lint, types, formatting, coverage (SPEC 3.7, item 4). Pure.

Where it happens is found by `adapters.integrity`. What follows is a matter of policy: a fact for reviewers, or a
failure. What takes force from tests is another thing: `domain.test_changes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Silenced", "SilencedBy", "Silencing"]


class SilencedBy(StrEnum):
    """How a check is silenced."""

    COMMENT = "comment"  # in code, for a line, a block or a file
    SETTING = "setting"  # in configuration, for everything
    EXCEPTION = "exception"  # in configuration, for some files or modules only


class Silencing(StrEnum):
    """What follows from a change that silences a check."""

    TOLD = "told"  # whoever reviews it is told
    FAILS = "fails"  # it fails; exceptions are left to the tasks that may make them


@dataclass(frozen=True, slots=True, kw_only=True)
class Silenced:
    """One place where a change silences a check; `line` is of the new file, 0 where nothing in it can be pointed at."""

    path: str
    by: SilencedBy
    detail: str
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place} {self.by} {self.detail}"
