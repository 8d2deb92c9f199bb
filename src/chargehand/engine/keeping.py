"""When the state of a run is worth keeping: often enough to open fast, so seldom that nobody notices (SPEC 8)."""

from __future__ import annotations

from chargehand.domain.state import RunState
from chargehand.ports import Snapshots

__all__ = ["LEAST_EVENTS", "SMALL_EVENTS", "Keeper"]

SMALL_EVENTS = 500
"""A journal of that many events is folded before a snapshot of it could be read."""

LEAST_EVENTS = 1000
"""While a run goes on, at least so many events lie between two snapshots."""


class Keeper:
    """Loads and saves the snapshots of one run, and knows which part of its history they cover.

    With None nothing is kept.
    """

    def __init__(self, snapshots: Snapshots | None) -> None:
        self._snapshots = snapshots
        self._kept_seq = 0

    def load(self) -> RunState | None:
        """The state of the last snapshot, at its `seq`; None when all events have to be folded."""
        state = self._snapshots.load() if self._snapshots else None
        self._kept_seq = state.seq if state else 0
        return state

    def keep_if_due(self, state: RunState) -> None:
        """Save when a quarter of all events, and as many as there are tasks, are newer than the last snapshot.

        A snapshot costs what its run is large; growing like this, all of a run cost a few times the last one.
        """
        if state.seq - self._kept_seq >= max(LEAST_EVENTS, len(state.tasks), state.seq // 4):
            self.keep(state)

    def keep(self, state: RunState) -> None:
        """Save what is not saved yet, unless the run is small. The state must be that of the journal, to the event."""
        if self._snapshots is not None and state.seq > max(SMALL_EVENTS, self._kept_seq):
            self._snapshots.save(state)
            self._kept_seq = state.seq
