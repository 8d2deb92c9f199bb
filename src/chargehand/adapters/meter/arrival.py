"""An answer as it arrives, from a provider or from a cassette."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

__all__ = ["Arrival", "Question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request on its way out: `path` from the root of the interface, `document` the body when it is JSON."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    document: object = None
    scrub: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Status and headers of an answer; `chunks` yields its bytes as they come in, each piece once."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    chunks: AsyncIterator[bytes]
