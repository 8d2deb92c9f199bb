"""When the state of a run is worth keeping: often enough to open fast, so seldom that nobody notices (SPEC 8)."""

from __future__ import annotations

from chargehand.domain.state import RunState
from chargehand.ports import Snapshots

__all__ = ["LEAST_EVENTS", "SMALL_EVENTS", "Keeper"]

SMALL_EVENTS = 500
"""A journal of that many events is folded before a snapshot of it could be read."""

LEAST_EVENTS = 1000
"""While a run goes on, so many events must have come in since the last snapshot."""


class Keeper:
    """Saves snapshots of one run; `state` is what was opened, and counts as kept only by its events so far.

    Without `snapshots` nothing is kept.
    """

    def __init__(self, snapshots: Snapshots | None, state: RunState) -> None:
        self._snapshots = snapshots
        self._kept_seq = state.seq

    def keep_if_due(self, state: RunState) -> None:
        """Save when a quarter of all events, and as many as there are tasks, are newer than the last snapshot.

        Saving costs what the run is large, so all snapshots of a run together cost a few times the last one.
        """
        since = state.seq - self._kept_seq
        if since >= max(LEAST_EVENTS, len(state.tasks), state.seq // 4):
            self.keep(state)

    def keep(self, state: RunState) -> None:
        """Save what is not saved yet, unless the run is small."""
        if self._snapshots is not None and state.seq > max(SMALL_EVENTS, self._kept_seq):
            self._snapshots.save(state)
            self._kept_seq = state.seq
