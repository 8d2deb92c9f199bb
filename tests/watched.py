"""A played run whose invariants are checked after every turn (SPEC 12)."""

from __future__ import annotations

from typing import Any

from tests.invariants import Watch
from tests.play import Play

__all__ = ["Watched"]


class Watched(Play):
    """As `Play`; whatever is recorded is held against every invariant at once."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.watch = Watch(self.journal[0])

    def record(self, *facts: Any) -> list[Any]:
        events = super().record(*facts)
        self.watch.check(self.state, self.journal, self.now)
        return events
