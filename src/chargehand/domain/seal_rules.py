"""What is never sealed, and how a declared pattern selects files (SPEC 3.7.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "DROPPINGS",
    "DROPPING_SUFFIXES",
    "declared_globs",
    "dropping_patterns",
    "is_dropping",
    "is_literal",
    "literals",
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


_UNSAFE = frozenset({"", ".", "..", ".git"})


def is_dropping(path: str) -> bool:
    """Whether a path lies in, or is, something a tool leaves behind."""
    names = path.split("/")
    return not DROPPINGS.isdisjoint(names) or any(name.endswith(DROPPING_SUFFIXES) for name in names)


def dropping_patterns() -> tuple[str, ...]:
    """The same rule as lines of an exclude file."""
    return (*sorted(DROPPINGS), *(f"*{suffix}" for suffix in DROPPING_SUFFIXES))


def is_literal(pattern: str) -> bool:
    """Whether a declared pattern names exactly one file."""
    return not any(sign in pattern for sign in "*?[!\\") and not pattern.endswith("/")


def literals(declared: Iterable[str]) -> tuple[str, ...]:
    """The declared patterns that name one file, relative to the repository root, each once."""
    found = dict.fromkeys(pattern.lstrip("/") for pattern in declared if is_literal(pattern))
    return tuple(path for path in found if _UNSAFE.isdisjoint(path.split("/")))


def declared_globs(declared: Iterable[str]) -> tuple[str, ...]:
    """Git's glob pathspecs for declared patterns that may name several files.

    A gitwildmatch pattern without a slash matches at any depth, and one that names a folder all below it.
    """
    found: dict[str, None] = {}
    for pattern in declared:
        if is_literal(pattern) or pattern.startswith("!"):
            continue
        anchored = "/" in pattern.rstrip("/")
        body = pattern.strip("/")
        base = body if anchored else f"**/{body}"
        if not pattern.endswith("/"):
            found[f":(top,glob){base}"] = None
        found[f":(top,glob){base}/**"] = None
    return tuple(found)
