"""What a change does to the tests that judge it, and which files those are (SPEC 3.7, item 4). Pure.

A test here is a file that a runner collects, or that it loads on the way there (`conftest.py`, helpers below `tests/`).
How a change bends one is found by `adapters.integrity`; what follows from it is `domain.evidence`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

__all__ = ["TestChange", "TestChangeKind", "is_test"]


class TestChangeKind(StrEnum):
    """`modified` alone is no harm where the task may change that file; every other kind takes force from a test."""

    __test__: ClassVar[bool] = False  # no test class, whatever its name says

    MODIFIED = "modified"
    DELETED = "deleted"  # a test, or a whole file of them
    SKIPPED = "skipped"  # skip, xfail, only, todo, ignore
    WEAKENED = "weakened"  # it checks less than before
    LOOSENED = "loosened"  # thresholds and rules in configuration
    EXCUSED = "excused"  # the same, for some files or modules only
    DESELECTED = "deselected"  # no longer collected
    EXITS = "exits"  # ends the runner with success
    MOCKED = "mocked"  # what is tested is replaced


@dataclass(frozen=True, slots=True, kw_only=True)
class TestChange:
    """One place where a change touches what judges it; `line` is of the new file, 0 where it has none."""

    __test__: ClassVar[bool] = False

    path: str
    kind: TestChangeKind
    detail: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place} {self.kind}" + (f" {self.detail}" if self.detail else "")


_FOLDERS = frozenset({"test", "tests", "__tests__", "__snapshots__", "spec", "specs", "e2e"})
_CODE = re.compile(
    r"""
      pyi? | [cm]?[jt]sx? | go | rs | java | kts? | scala | groovy | rb | php | cs | fs | vb | swift | c | cc | cpp
    | cxx | hh? | hpp | mm? | exs? | erl | clj[cs]? | dart | lua | pl | t | [rR] | jl | sh | bash | hs | ml | elm | vue
    | svelte | snap
    """,
    re.VERBOSE,
)
_NAMES = re.compile(
    r"""
      (?:test_.*|.*_test|tests?|conftest) \.pyi?
    | .+ [._-] (?:test|tests|spec|cy|e2e) \.[cm]?[jt]sx?
    | (?:test|test-.*) \.[cm]?[jt]s
    | .+_test \.(?:go|exs?|dart|c|cc|cpp|clj|rb|php|rs|ml)
    | (?:test_.*|tests?) \.(?:rs|rb|c|cc|cpp|lua|jl)
    | .+_spec \.(?:rb|lua)
    | (?:Test.+|.+(?:Tests?|TestCase|IT|Spec|Specs)) \.(?:java|kt|scala|groovy|cs|fs|vb|swift|php|m|mm)
    | .+ \.(?:bats|feature|robot)
    """,
    re.VERBOSE,
)


def is_test(path: str) -> bool:
    """Whether a file of this name holds tests or what tests load: by the usual names, and code below a tests folder."""
    *folders, name = path.split("/")
    if _NAMES.fullmatch(name):
        return True
    suffix = name.rpartition(".")[2] if "." in name else ""
    return _CODE.fullmatch(suffix) is not None and not _FOLDERS.isdisjoint(folder.lower() for folder in folders)
