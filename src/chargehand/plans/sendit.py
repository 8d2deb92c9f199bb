"""sendit: the tasks of one feature (`specs/<feature>/PLAN.md`), with its spec and how far it was brought.

What is read is the project, its `specs`, a feature's folder or its plan. Nothing in the format states dependencies:
tasks follow each other as they stand, and that order is inferred, unless tasks in a row are marked independent and
their files are disjoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from chargehand.plans.loaded import LoadedPlan
from chargehand.plans.native import read_lossy, read_text
from chargehand.plans.sendit_feature import FeatureReading
from chargehand.plans.sendit_file import is_plan

__all__ = ["SenditReader"]

_DEPTH = 8
_NOT_BELOW = frozenset({".git", "node_modules", ".venv"})


class SenditReader:
    """Reads the plan of a feature of sendit."""

    name = "sendit"
    wants = "it begins with '# Plan: …' and has '> From: …' or '## Tasks', or is a folder with such a PLAN.md"
    places = ("specs",)

    def claims(self, path: Path, text: str | None) -> bool:
        """A plan by its title and one of the two marks; a folder by its own plan, `specs` by those below it."""
        if text is not None:
            return path.suffix.lower() == ".md" and is_plan(text)
        return path.is_dir() and any(True for _ in _plans_of(path))

    def read(self, path: Path, text: str | None, source: str) -> LoadedPlan:  # noqa: ARG002 - part of `Reader`
        """Read the feature that is meant; problems name the file they are in."""
        plans = list(_plans_of(path)) if path.is_dir() else [path]
        return FeatureReading(path=path, source=source, plans=plans).read()


def _plans_of(folder: Path) -> Iterator[Path]:
    """The plans below `specs`, or below a folder in it; elsewhere only the folder's own."""
    if "specs" not in folder.resolve().parts:
        if _holds_plan(folder / "PLAN.md"):
            yield folder / "PLAN.md"
        return
    for here, below, files in os.walk(folder):
        deep = len(Path(here).relative_to(folder).parts)
        below[:] = sorted(name for name in below if name not in _NOT_BELOW) if deep < _DEPTH else []
        if "PLAN.md" in files and _holds_plan(Path(here) / "PLAN.md"):
            yield Path(here) / "PLAN.md"


def _holds_plan(file: Path) -> bool:
    """What cannot be read is told, not passed over: a plan by what can be made of it, or by what lies beside it."""
    if not file.is_file():
        return False
    text, problem = read_text(file)
    is_begun = (file.parent / "PROGRESS.md").is_file()
    if problem is None:
        return is_plan(text) or (is_begun and "specs" in file.resolve().parts)
    return is_plan(read_lossy(file)) or is_begun or "specs" in file.resolve().parts
