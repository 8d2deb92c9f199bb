"""What a benchmark says, and how thoroughly it is to measure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["How", "Row"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured value; `most` is the goal (None: only for information)."""

    part: str
    what: str
    value: float
    unit: str
    most: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """pass, miss, or nothing."""
        return "" if self.most is None else "pass" if self.value <= self.most else "MISS"


@dataclass(frozen=True, kw_only=True)
class How:
    """How thoroughly to measure, and where."""

    repeats: int
    quick: bool
    folder: str | None
