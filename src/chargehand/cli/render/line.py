"""One line of a run's progress, and how much it matters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["STYLES", "Line", "Rank"]

STYLES = {
    "running": "live",
    "gating": "live",
    "reviewing": "live",
    "integrating": "live",
    "awaiting_decision": "ask",
    "integrated": "good",
    "finished": "good",
    "failed": "bad",
    "blocked": "bad",
    "stopped": "bad",
    "red": "bad",
    "skipped": "quiet",
    "cancelled": "quiet",
    "waiting": "quiet",
    "interrupted": "ask",
    "paused": "ask",
    "warning": "ask",
}
"""State or word → style of `Pen.draw`."""


class Rank(IntEnum):
    """How much a line matters: ROUTINE stands in `log` only, NOTABLE also above a live display."""

    ROUTINE = 0
    CHANGE = 1
    NOTABLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event as a person reads it; an empty `task` is the run itself, `what` a task state or a word like it."""

    what: str
    task: str = ""
    reason: str = ""
    detail: str = ""
    rank: Rank = Rank.CHANGE
