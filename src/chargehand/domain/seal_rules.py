"""What is never sealed, and which ignored files a declared pattern means all the same (SPEC 3.7.1). Pure.

A plan that says `src/**` does not mean the object files a build leaves in `src`, but one that says `dist/**`
where `dist` is ignored, or names an ignored file, means exactly those. So a pattern takes ignored files when a
made-up name that fits it would be ignored too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from chargehand.domain import scope

__all__ = [
    "DROPPINGS",
    "DROPPING_SUFFIXES",
    "counts",
    "dropping_patterns",
    "is_dropping",
    "literals",
    "named_paths",
    "samples",
]

DROPPINGS = frozenset(
    {
        "__pycache__",
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".hypothesis",
        ".tox",
        ".nox",
        ".venv",
        ".ipynb_checkpoints",
        ".eggs",
        "node_modules",
        ".npm",
        ".pnpm-store",
        ".turbo",
        ".parcel-cache",
        ".nyc_output",
        ".coverage",
        ".gradle",
        ".terraform",
        ".DS_Store",
        "Thumbs.db",
        ".aider.chat.history.md",
        ".aider.input.history",
    }
)
"""Names that tools leave behind. Untracked files below them are neither sealed nor counted, unless declared."""


DROPPING_SUFFIXES = (".pyc", ".pyo", ".egg-info")
"""Endings of such names."""


def is_dropping(path: str) -> bool:
    """Whether a path lies in, or is, something a tool leaves behind."""
    names = path.split("/")
    return not DROPPINGS.isdisjoint(names) or any(name.endswith(DROPPING_SUFFIXES) for name in names)


def dropping_patterns() -> tuple[str, ...]:
    """The same rule as lines of an exclude file."""
    return (*sorted(DROPPINGS), *(f"*{suffix}" for suffix in DROPPING_SUFFIXES))


def counts(declared: Sequence[str], path: str) -> bool:
    """Whether an untracked path is part of the work: no dropping, or one that a declared pattern names as such."""
    if not is_dropping(path):
        return True
    naming = [pattern for pattern in declared if is_dropping(pattern.rstrip("/"))]
    return bool(naming) and scope.matches(naming, path)


def literals(declared: Iterable[str]) -> dict[str, str]:
    """Path of each declared literal, by its spelling without a slash at the end."""
    return {
        pattern.rstrip("/"): scope.literal_path(pattern)
        for pattern in declared
        if scope.is_literal(pattern) and scope.validate(pattern) is None
    }


def named_paths(declared: Iterable[str]) -> tuple[str, ...]:
    """The paths that a pattern spells out, those with brackets included."""
    found: dict[str, None] = {}
    for pattern in declared:
        if scope.validate(pattern) is not None:
            continue
        if scope.is_literal(pattern):
            found[scope.literal_path(pattern)] = None
        elif set(pattern).isdisjoint("*?\\"):
            found[pattern.rstrip("/")] = None
    return tuple(found)


def samples(declared: Iterable[str], folders: Collection[str]) -> dict[str, str]:
    """For each pattern that may name several files: a made-up path that fits it, and git's pathspec for it.

    `folders` are the declared paths that are folders. The pathspec may select too much, never too little.
    """
    found = {}
    for pattern in declared:
        if scope.validate(pattern) is not None:
            continue
        path = scope.literal_path(pattern)
        if scope.is_literal(pattern):
            if path in folders:
                found[f"{path}/x"] = f":(top,literal){path}"
            continue
        anchor = "" if "/" in pattern.rstrip("/") else "**/"
        wide = "/".join("*" if set(part) & set("[\\") else part for part in pattern.rstrip("/").split("/"))
        fits = "/".join(_fitting(part) for part in pattern.rstrip("/").split("/"))
        found[f"{fits}/x" if pattern.endswith("/") else fits] = f":(top,glob){anchor}{wide}"
    return found


def _fitting(part: str) -> str:
    if part == "**":
        return "x"
    return re.sub(r"\*+|\?", "x", re.sub(r"\[!?([^\]])[^\]]*\]", r"\1", part)).replace("\\", "")
