"""Reads an answer on the side, while its bytes go to the agent: usage, model, and what went wrong."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Protocol

from chargehand.dialects import AnswerReader, Dialect, StreamProblem, TokenUse

__all__ = ["Watch", "decoder", "message_in"]

_MOST_ERROR_BYTES = 65536
_MOST_AT_ONCE = 16 * 1024 * 1024


class _Decoder(Protocol):
    def __call__(self, chunk: bytes, /) -> bytes: ...


def decoder(encoding: str) -> _Decoder | None:
    """What undoes a Content-Encoding piece by piece; None for one that cannot be undone here.

    A piece never grows beyond 16 MiB: what a small answer unpacks to is not to fill the memory.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return bytes
    if encoding in {"gzip", "x-gzip", "deflate"}:
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding != "deflate" else zlib.decompressobj()
        return lambda chunk: unpack.decompress(chunk, _MOST_AT_ONCE)
    if encoding == "br":
        return _brotli()
    return None


def _brotli() -> _Decoder | None:
    """Brotli has no place in the standard library: it is undone where somebody installed it."""
    try:
        process: Callable[[bytes], bytes] = import_module("brotli").Decompressor().process
    except (ImportError, AttributeError):
        return None
    return process


class Watch:
    """One answer: `feed` the bytes as they came, `finish`, then look. Nothing here raises, whatever comes."""

    def __init__(self, dialect: Dialect | None, status: int, headers: Mapping[str, str]) -> None:
        self.is_error = status >= 400
        self.error_body = b""
        self._decode = decoder(headers.get("Content-Encoding", ""))
        self._unread_bytes = 0
        is_sse = headers.get("Content-Type", "").lower().startswith("text/event-stream")
        self._reader = AnswerReader(dialect, is_sse=is_sse) if dialect and not self.is_error else None

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        if self._decode is None:
            self._unread_bytes += len(chunk)
            return
        try:
            plain = self._decode(chunk)
        except Exception:  # noqa: BLE001 - zlib and brotli have errors of their own, and all mean the same
            self._decode = None
            self._unread_bytes += len(chunk)
            return
        if self.is_error:
            self.error_body += plain[: _MOST_ERROR_BYTES - len(self.error_body)]
        elif self._reader is not None:
            self._reader.feed(plain)

    def finish(self) -> None:
        """No more bytes will come."""
        if self._reader is not None and self._decode is not None:
            self._reader.finish()

    @property
    def usage(self) -> TokenUse | None:
        """The tokens, as far as they were told."""
        return self._reader.usage if self._reader else None

    @property
    def is_told(self) -> bool:
        """Whether the tokens were told to the end."""
        return self._reader is not None and self._reader.is_told

    @property
    def guessed(self) -> int:
        """Tokens of output by the length of what came. What cannot be unpacked is text, and was four times as long."""
        return (self._reader.guessed if self._reader else 0) + self._unread_bytes

    @property
    def model(self) -> str:
        """The model that says it answered."""
        return self._reader.model if self._reader else ""

    @property
    def problem(self) -> StreamProblem | None:
        """An error in the middle of an answer that began well."""
        return self._reader.problem if self._reader else None


def message_in(body: bytes) -> str:
    """The message of an error's body, in whichever dialect; the text itself when it is none.

    Nothing is cut: whoever shows it takes secrets out first.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
    if isinstance(document, list) and document:
        document = document[0]
    error = document.get("error", document) if isinstance(document, dict) else document
    if isinstance(error, dict):
        error = error.get("message") or error.get("status") or error.get("type") or ""
    return str(error)
