"""What a benchmark says, and how thoroughly it is to measure."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.ours import take

__all__ = ["How", "Row", "floor"]

ROOT = Path(__file__).parent.parent


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


def floor(how: How, *words: str) -> dict[str, float]:
    """What the floor says of the same work, in a process of its own."""
    argv = [sys.executable, str(ROOT / "bench" / "floor.py"), *words]
    taken = take([*argv, "--dir", how.folder] if how.folder else argv)
    done: dict[str, float] = json.loads(taken.out)
    return {**done, "all_cpu_s": taken.all_cpu_s}
