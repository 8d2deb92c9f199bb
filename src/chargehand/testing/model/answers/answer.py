"""What the model says in one turn, before it has the form of a dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chargehand.dialects import TokenUse
from chargehand.testing.model.tools import ToolCall

__all__ = ["Answer", "arguments", "call_id", "pieces", "sse"]

_PIECE = 24
_PIECE_OF_MUCH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A text, tool calls, or both. `id` is unique for the turn and the same when the turn is asked for again."""

    id: str
    model: str
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: TokenUse = TokenUse()


def call_id(answer: Answer, index: int) -> str:
    """The id by which the result of a call comes back; `conversation` tells by it which calls were of one answer."""
    return f"call_{answer.id}_{index}"


def arguments(call: ToolCall) -> str:
    """The input of a call as text."""
    return '{"command": "true' if call.broken else json.dumps(call.input)


def pieces(text: str) -> Iterator[str]:
    """The text in the pieces in which it is streamed."""
    size = _PIECE if len(text) <= _PIECE * 1000 else _PIECE_OF_MUCH
    for start in range(0, len(text), size):
        yield text[start : start + size]


def sse(data: dict[str, Any], name: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
