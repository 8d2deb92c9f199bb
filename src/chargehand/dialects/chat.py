"""Chat Completions tell their usage in a stream only when asked to; here they are asked."""

from __future__ import annotations

import json

from .sse import SseEvents

__all__ = ["UsageChunkFilter", "asking_for_usage"]

_ASK = b'"stream_options":{"include_usage":true}'


def asking_for_usage(body: bytes, document: object) -> bytes | None:
    """`body` (`document` when parsed) with `stream_options.include_usage`; None when it needs no change.

    An option is put in front, everything else stays as it came. Options that are there already are the agent's own:
    then the document is written anew.
    """
    if not isinstance(document, dict) or document.get("stream") is not True:
        return None
    options = document.get("stream_options")
    if isinstance(options, dict):
        if options.get("include_usage"):
            return None
        return json.dumps({**document, "stream_options": {**options, "include_usage": True}}).encode()
    if "stream_options" in document:
        return json.dumps({**document, "stream_options": {"include_usage": True}}).encode()
    start = body.index(b"{") + 1
    return body[:start] + _ASK + b"," + body[start:]


class UsageChunkFilter:
    """Takes the chunk that only holds usage out of a stream, for an agent that did not ask for it.

    Its `choices` are empty, which not every client expects. Everything else passes as it came, event by event.
    """

    def __init__(self) -> None:
        self._events = SseEvents()
        self._is_lost = False

    def feed(self, chunk: bytes) -> bytes:
        """What to pass on now."""
        if self._is_lost:
            return chunk
        held = self._events.pending + chunk
        events = list(self._events.feed(chunk))
        kept = b"".join(event.raw for event in events if not _is_usage_only(event.data))
        self._is_lost = self._events.is_lost
        return kept + held[sum(len(event.raw) for event in events) :] if self._is_lost else kept

    def finish(self) -> bytes:
        """What is left at the end of the stream."""
        return self._events.pending


def _is_usage_only(data: bytes) -> bool:
    if b'"usage"' not in data or b'"choices"' not in data:
        return False
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("choices") == [] and isinstance(document.get("usage"), dict)
