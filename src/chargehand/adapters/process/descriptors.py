"""How many files this process may have open."""

from __future__ import annotations

import resource
from contextlib import suppress

__all__ = ["ENOUGH", "allow_enough"]

ENOUGH = 1024
"""What most systems allow from the start; a run with many attempts and gates at once stays well below it."""


def allow_enough() -> int:
    """Raise a soft limit that is lower than that as far as the hard one permits; answers with the limit that holds.

    Programs started from here inherit it: the usual limit, not a larger one, which some old programs cannot bear.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    with suppress(OSError, ValueError):  # where it is not allowed after all, what is there has to do
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
