"""Answers of a model in the form of each dialect: one document, or the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chargehand.dialects import Dialect

from . import anthropic, chat, gemini, responses
from .answer import Answer

__all__ = ["Answer", "document", "events"]


def document(dialect: Dialect, answer: Answer) -> dict[str, Any]:
    """The answer to a request that does not stream."""
    match dialect:
        case Dialect.ANTHROPIC:
            return anthropic.document(answer)
        case Dialect.RESPONSES:
            return responses.document(answer)
        case Dialect.CHAT:
            return chat.document(answer)
        case Dialect.GEMINI:
            return gemini.document(answer)


def events(dialect: Dialect, answer: Answer, *, tells_usage: bool = True) -> Iterator[bytes]:
    """The server-sent events of the same answer; `tells_usage` matters to Chat Completions only."""
    match dialect:
        case Dialect.ANTHROPIC:
            return anthropic.events(answer)
        case Dialect.RESPONSES:
            return responses.events(answer)
        case Dialect.CHAT:
            return chat.events(answer, tells_usage=tells_usage)
        case Dialect.GEMINI:
            return gemini.events(answer)
