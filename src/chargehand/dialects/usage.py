"""What an answer says of itself: tokens, model, and errors that come in the middle of a stream.

Every dialect counts in its own way; `TokenUse` has one. Anthropic's `input_tokens` leave out what was read from and
written to the cache; the input of OpenAI and Gemini contains what was read from it. Gemini's `candidatesTokenCount`
leaves out the thoughts. Sources: the API references of the three, and streams that were seen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from .routes import Dialect
from .sse import MOST_BYTES, SseEvents

__all__ = ["BYTES_A_TOKEN", "AnswerReader", "StreamProblem", "TokenUse"]

BYTES_A_TOKEN = 4
"""Where nobody counts: text and code have three to five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUse:
    """Tokens of one answer. `input` is all of the prompt; `cached`, `written`, `written_1h` are parts of it.

    `cached` was read from a cache, `written` put into one (`written_1h` of it for an hour).
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    written_1h: int = 0

    def __add__(self, other: TokenUse) -> TokenUse:
        return TokenUse(
            input=self.input + other.input,
            output=self.output + other.output,
            cached=self.cached + other.cached,
            written=self.written + other.written,
            written_1h=self.written_1h + other.written_1h,
        )

    def __sub__(self, other: TokenUse) -> TokenUse:
        return TokenUse(
            input=self.input - other.input,
            output=self.output - other.output,
            cached=self.cached - other.cached,
            written=self.written - other.written,
            written_1h=self.written_1h - other.written_1h,
        )

    @property
    def total(self) -> int:
        """Input and output together."""
        return self.input + self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamProblem:
    """An error inside of an answer that began well; `status` is the one it would have had as an answer of its own."""

    status: int
    text: str
    body: bytes = b""


_STATUSES = {
    "overloaded_error": 529,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "usage_limit_reached": 429,
    "tokens": 429,
    "requests": 429,
    "resource_exhausted": 429,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "server_is_overloaded": 503,
    "unavailable": 503,
}
_MARKS = (b'"usage"', b'"usageMetadata"', b'"error"', b'"modelVersion"')


class AnswerReader:
    """Reads an answer on the side while it passes by: `feed` its bytes, `finish`, then look.

    `usage` is None as long as nobody told it, and `is_told` says that it was told for good; `guessed` is the output
    that came so far, by the length of its text. `model` is the one that answered; `is_unread` says that the answer
    could not be understood. At most 32 MiB of it are kept at a time.
    """

    def __init__(self, dialect: Dialect, *, is_sse: bool) -> None:
        self.usage: TokenUse | None = None
        self.model = ""
        self.problem: StreamProblem | None = None
        self.is_unread = False
        self.is_told = False
        self._dialect = dialect
        self._events = SseEvents() if is_sse else None
        self._body = bytearray()
        self._kept: dict[str, Any] = {}  # Anthropic: what its events said of usage so far
        self._bytes = 0
        self._pieces = 0
        self._piece_bytes = 0
        self._least_bytes = MOST_BYTES
        self._piece_mark = b'"parts"' if dialect is Dialect.GEMINI else b'"delta"'

    @property
    def guessed(self) -> int:
        """Tokens of output that came so far: each piece of a stream is one at least, its text one for four bytes.

        What stands around the text in every piece is as long as the shortest piece, or nearly.
        """
        if self._events is None or self.is_unread:
            return self._bytes // BYTES_A_TOKEN
        return self._pieces + (self._piece_bytes - self._pieces * self._least_bytes) // BYTES_A_TOKEN

    def feed(self, chunk: bytes) -> None:
        """The next bytes, decoded where they were compressed."""
        self._bytes += len(chunk)
        if self._events is not None:
            for event in self._events.feed(chunk):
                self._event(event.data)
            self.is_unread = self._events.is_lost
        elif len(self._body) + len(chunk) <= MOST_BYTES:
            self._body += chunk
        else:
            self.is_unread = True

    def finish(self) -> None:
        """No more will come."""
        if self._events is not None:
            for event in self._events.finish():
                self._event(event.data)
            self.is_told |= self._dialect is Dialect.CHAT and self.usage is not None
        elif not self.is_unread:
            try:
                document = json.loads(bytes(self._body))
            except (ValueError, RecursionError):
                self.is_unread = True
                return
            for one in document if isinstance(document, list) else [document]:
                self._document(one)
            self.is_told = self.usage is not None

    def _event(self, data: bytes) -> None:
        if self._piece_mark in data:
            size = len(data)
            self._pieces += 1
            self._piece_bytes += size
            self._least_bytes = min(self._least_bytes, size)
        # Most events are pieces of text: they are not parsed, once the model is known.
        if self.model and not any(mark in data for mark in _MARKS):
            return
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            return
        self._document(document)

    def _document(self, document: Any) -> None:
        if not isinstance(document, dict):
            return
        read = {
            Dialect.ANTHROPIC: self._anthropic,
            Dialect.RESPONSES: self._responses,
            Dialect.CHAT: self._chat,
            Dialect.GEMINI: self._gemini,
        }[self._dialect]
        read(document)
        if isinstance(error := document.get("error"), dict):
            self._error(error)

    def _anthropic(self, document: dict[str, Any]) -> None:
        message = document.get("message") if document.get("type") == "message_start" else document
        if isinstance(message, dict):
            self._named(message.get("model"))
        usage = message.get("usage") if isinstance(message, dict) else None
        if not isinstance(usage, dict):
            return
        self._kept |= {key: value for key, value in usage.items() if value is not None}
        kept, parts = self._kept, self._kept.get("cache_creation")
        cached, written = _count(kept, "cache_read_input_tokens"), _count(kept, "cache_creation_input_tokens")
        self.usage = TokenUse(
            input=_count(kept, "input_tokens") + cached + written,
            output=_count(kept, "output_tokens"),
            cached=cached,
            written=written,
            written_1h=min(written, _count(parts, "ephemeral_1h_input_tokens")),
        )
        self.is_told = document.get("type") == "message_delta"

    def _responses(self, document: dict[str, Any]) -> None:
        inner = document.get("response")
        answer = inner if isinstance(inner, dict) else document
        self._named(answer.get("model"))
        if isinstance(usage := answer.get("usage"), dict):
            self.usage = _openai(usage, "input_tokens", "output_tokens", "input_tokens_details")
            self.is_told = True
        if answer is inner and isinstance(error := answer.get("error"), dict):
            self._error(error)
        elif document.get("type") == "error" and "error" not in document:
            self._error(document)

    def _chat(self, document: dict[str, Any]) -> None:
        self._named(document.get("model"))
        if isinstance(usage := document.get("usage"), dict):
            self.usage = _openai(usage, "prompt_tokens", "completion_tokens", "prompt_tokens_details")
            choices = document.get("choices")  # some providers tell it again in every chunk
            self.is_told = not isinstance(choices, list) or not choices or any(map(_is_last, choices))

    def _gemini(self, document: dict[str, Any]) -> None:
        self._named(document.get("modelVersion"))
        if isinstance(usage := document.get("usageMetadata"), dict):
            thoughts = _count(usage, "thoughtsTokenCount")
            told = TokenUse(
                input=_count(usage, "promptTokenCount") + _count(usage, "toolUsePromptTokenCount"),
                output=_count(usage, "candidatesTokenCount") + thoughts,
                cached=_count(usage, "cachedContentTokenCount"),
            )
            before = self.usage or told  # each chunk tells it all again; the last may tell less
            self.usage = replace(told, input=max(told.input, before.input), output=max(told.output, before.output))
        candidates = document.get("candidates")
        if self.usage is not None and isinstance(candidates, list):
            self.is_told |= any(isinstance(one, dict) and one.get("finishReason") for one in candidates)

    def _named(self, model: object) -> None:
        if isinstance(model, str) and model:
            self.model = model[:200]

    def _error(self, error: dict[str, Any]) -> None:
        words = [error.get("code"), error.get("type"), error.get("status")]
        number = next((word for word in words if isinstance(word, int) and 400 <= word < 600), None)
        named = (_STATUSES.get(str(word).lower()) for word in words)
        status = number or next((found for found in named if found), 500)
        text = str(error.get("message") or error.get("type") or "error")
        self.problem = StreamProblem(status=status, text=text, body=json.dumps({"error": error}).encode())


def _openai(usage: dict[str, Any], input_key: str, output_key: str, details_key: str) -> TokenUse:
    details = usage.get(details_key)
    cached = _count(details, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens")
    written = _count(details, "cache_write_tokens") or _count(details, "cache_creation_tokens")
    total = _count(usage, input_key)
    return TokenUse(
        input=total,
        output=_count(usage, output_key),
        cached=min(cached, total),
        written=min(written, total - min(cached, total)),
    )


def _is_last(choice: object) -> bool:
    return isinstance(choice, dict) and bool(choice.get("finish_reason"))


def _count(mapping: object, key: str) -> int:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
