"""Journal and inbox without a file, for runs that need not outlive their process.

Events go through the codec all the same: what cannot be stored fails here as it would on disk, and a reader gets
values of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from chargehand.adapters.codec import EVENTS
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import Event, Recorded
from chargehand.ports import Request

__all__ = ["MemoryInbox", "MemoryJournal"]


class MemoryJournal:
    """Implements `ports.Journal`; what was appended stays readable after `close`."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, str]] = []
        self._closed = False

    def append(self, events: Sequence[Event], at: float) -> list[Recorded]:
        """Store all events or none."""
        if self._closed:
            raise AdapterError("journal", "The journal is closed.")
        rows = [(at, EVENTS.encode(event)) for event in events]
        first = len(self._rows) + 1
        self._rows += rows
        return [Recorded(seq=first + index, at=at, event=event) for index, event in enumerate(events)]

    def read(self, after: int = 0) -> Iterator[Recorded]:
        """Yield the events after that number, in order, also those stored while reading."""
        while after < len(self._rows):
            at, body = self._rows[after]
            after += 1
            yield Recorded(seq=after, at=at, event=EVENTS.decode(body))

    def close(self) -> None:
        """Refuse further events; harmless when repeated."""
        self._closed = True


class MemoryInbox:
    """Implements `ports.Inbox`."""

    def __init__(self) -> None:
        self._requests: dict[str, Request] = {}
        self._settled: set[str] = set()
        self._wake: Callable[[], object] | None = None

    def put(self, request: Request) -> None:
        """Store a request; one with a known id, settled or not, changes nothing."""
        self._requests.setdefault(request.id, request)
        if self._wake:
            self._wake()

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the running loop after every `put`, until `close`."""
        loop = asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(wake)

    def close(self) -> None:
        """Stop listening; harmless when repeated."""
        self._wake = None

    def pending(self) -> list[Request]:
        """The requests not yet settled, oldest first."""
        return [request for name, request in self._requests.items() if name not in self._settled]

    def settle(self, request_id: str) -> None:
        """Forget a request; unknown ids are harmless."""
        if request_id in self._requests:
            self._settled.add(request_id)
