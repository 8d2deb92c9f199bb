"""Konductor: the plans of one phase, with what was done of them already (`.konductor/phases/<phase>/plans`).

A plan is several tasks in sequence; plans stand in waves. What is read is the project, its `.konductor`, a phase, its
`plans`, or one plan file; a run is always one phase. Review files lie beside the plans and are none.
"""

from __future__ import annotations

import re
from pathlib import Path

from chargehand.plans.konductor_phase import PhaseReading
from chargehand.plans.loaded import LoadedPlan

__all__ = ["KonductorReader"]

_OPENING = re.compile(r"\A\ufeff?\+\+\+[ \t]*\r?\n")
_KEY = re.compile(r"(?m)^[ \t]*(?:plan|wave)[ \t]*=")
_NUMBERED = re.compile(r"\d+(?:\D.*)?(?<!-summary)(?<!-review)\.md")
_LOOK_CHARS = 65_536


class KonductorReader:
    """Reads a phase of Konductor."""

    name = "konductor"
    wants = "it begins with TOML between lines '+++' that has 'plan' or 'wave', or is a folder of such plans"
    places = (".konductor",)

    def claims(self, path: Path, text: str | None) -> bool:
        """A plan by its frontmatter, even when the rest of it is broken; a folder by the plans in it."""
        if text is not None:
            return _is_plan(text)
        return path.is_dir() and _plans_below(path) is not None

    def read(self, path: Path, text: str | None, source: str) -> LoadedPlan:  # noqa: ARG002 - part of `Reader`
        """Read the phase that is meant; problems name the file they are in."""
        folder = path if path.is_dir() else None
        place = _plans_below(folder) if folder is not None else None
        return PhaseReading(path=path, source=source, place=place).read()


def _is_plan(text: str) -> bool:
    opening = _OPENING.match(text)
    if opening is None:
        return False
    front = re.split(r"(?m)^\+\+\+[ \t]*\r?$", text[opening.end() : _LOOK_CHARS], maxsplit=1)[0]
    return _KEY.search(front) is not None


def _plans_below(folder: Path) -> str | None:
    """Which of the three kinds of folder this is: `phases`, `phase` or `plans`."""
    if folder.name == "plans" and _holds_plan(folder):
        return "plans"
    if _holds_plan(folder / "plans"):
        return "phase"
    try:
        phases = sorted(folder.glob("phases/*/plans"))
    except OSError:
        return None
    return "phases" if any(_holds_plan(plans) for plans in phases) else None


def _holds_plan(folder: Path) -> bool:
    """Also where every plan in it is broken: that is told, not passed over."""
    is_phase = folder.absolute().parent.parent.name == "phases"
    try:
        files = [file for file in sorted(folder.glob("*.md")) if file.is_file()]
    except OSError:
        return False
    return any(_opens(file) or (is_phase and _NUMBERED.fullmatch(file.name)) for file in files)


def _opens(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return _OPENING.match(opened.read(80)) is not None
    except OSError:
        return False
