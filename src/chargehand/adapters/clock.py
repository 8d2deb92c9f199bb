"""The time of a process: wall-clock time that nobody can set forward or back while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["SteadyClock"]


def _since_boot() -> float:
    """Seconds since some moment, those of a suspended machine included where the system tells them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class SteadyClock:
    """Implements `ports.Clock`: the wall-clock time when it was made, plus what has passed since.

    A clock that is set a day forward would use up the budget of a run, one set back would double every wait.
    """

    def __init__(self, wall: Callable[[], float] = time.time, elapsed: Callable[[], float] = _since_boot) -> None:
        self._elapsed = elapsed
        self._start = wall() - elapsed()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._start + self._elapsed()
