"""Server-sent events, read piece by piece as they come in (https://html.spec.whatwg.org/#event-stream-interpretation)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["MOST_BYTES", "Sse", "SseEvents"]

MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sse:
    """One event; `raw` is all of it as it came, the empty line at its end included."""

    name: str
    data: bytes
    raw: bytes = b""


class SseEvents:
    """Cuts a stream of bytes into events; at most `most_bytes` of an unfinished one are kept.

    After a longer one `is_lost` is true: the rest of the stream is not read any more.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self.is_lost = False
        self._most = most_bytes
        self._held = bytearray()  # an unfinished event
        self._seen = 0  # up to here there is no end of a line that was not looked at
        self._start = 0  # of the line that is being read
        self._name = ""
        self._data: list[bytes] = []

    @property
    def pending(self) -> bytes:
        """What came after the last event that is complete."""
        return bytes(self._held)

    def feed(self, chunk: bytes) -> Iterator[Sse]:
        """The events that `chunk` completes."""
        if self.is_lost:
            return
        self._held += chunk
        while (end := self._next_end()) is not None:
            line_end, next_start = end
            line = bytes(self._held[self._start : line_end])
            self._start = self._seen = next_start
            if line:
                self._field(line)
                continue
            event = Sse(name=self._name, data=b"\n".join(self._data), raw=bytes(self._held[:next_start]))
            del self._held[:next_start]
            self._start = self._seen = 0
            is_event = bool(self._data)
            self._name, self._data = "", []
            if is_event or event.raw:
                yield event
        if len(self._held) > self._most:
            self.is_lost = True
            self._held.clear()

    def finish(self) -> Iterator[Sse]:
        """The event that the end of the stream left without its empty line, if there is one."""
        if self.is_lost:
            return
        held = self.pending
        yield from self.feed(b"\n\n" if not held.endswith(b"\n") else b"\n")

    def _next_end(self) -> tuple[int, int] | None:
        """Where the current line ends and the next one begins; None as long as it has no end."""
        line_feed = self._held.find(b"\n", self._seen)
        carriage = self._held.find(b"\r", self._seen, line_feed if line_feed >= 0 else len(self._held))
        if carriage >= 0:
            if carriage + 1 == len(self._held):  # a line feed may follow, and belongs to it
                self._seen = carriage
                return None
            return carriage, carriage + (2 if self._held[carriage + 1 : carriage + 2] == b"\n" else 1)
        if line_feed >= 0:
            return line_feed, line_feed + 1
        self._seen = len(self._held)
        return None

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
