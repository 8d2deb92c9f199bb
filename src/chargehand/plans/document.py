"""What is read from YAML or JSON text: plain data, and the place of every value."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from chargehand.domain.problem import Path, Problem

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_VALUES", "UNSAFE_VALUE", "Document", "Place", "Plain", "no_collector"]

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 40
MAX_VALUES = 2_000_000

UNSAFE_VALUE = re.compile("[\x00\ud800-\udfff]")
"""What no text of a document may hold: it could not be handed to a process, or written down."""


@contextmanager
def no_collector() -> Iterator[None]:
    """Millions of small values and no cycles among them: looking for garbage costs more than the reading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Plain(str):
    """An unquoted scalar: text, unless a field wants a number or a truth value."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; both count from 1. `file` only where a plan is more than one file."""

    line: int
    column: int
    file: str | None = None


@dataclass(slots=True, kw_only=True)
class Document:
    """What was read. `data` is None when nothing could be; places are looked up when one is first asked for."""

    index: Callable[[], dict[Path, Place]]
    data: Any = None
    problems: list[Problem] = field(default_factory=list)
    _places: dict[Path, Place] | None = None

    def place(self, path: Path) -> Place | None:
        """Where the entry at `path` begins (a key with its value, or an item), or the nearest one around it.

        None when nothing was read.
        """
        if self.data is None:
            return None
        if self._places is None:
            with no_collector():
                self._places = self.index()
        places = self._places
        return next((places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in places), None)
