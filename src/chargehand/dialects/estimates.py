"""What a request may come to before anybody has told: by the size of its question and the bound of its answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .routes import Dialect
from .usage import BYTES_A_TOKEN, TokenUse

__all__ = ["USUAL_OUTPUT", "expected"]

USUAL_OUTPUT = 8192
"""Output of an answer that nobody bounded: more than most turns of an agent come to, less than all can."""

_MOST_OUTPUT = 1_000_000
_BIG_BODY = 32 * 1024
_INLINE = re.compile(r"(?:data:[^,]{0,100},)?[A-Za-z0-9+/=_-]{512}")
_INLINE_BYTES_A_TOKEN = 100  # an image of 200 kB is some two thousand tokens, whatever its bytes
_BOUNDS = {
    Dialect.ANTHROPIC: ("max_tokens",),
    Dialect.RESPONSES: ("max_output_tokens",),
    Dialect.CHAT: ("max_completion_tokens", "max_tokens"),
    Dialect.GEMINI: ("maxOutputTokens", "max_output_tokens"),
}


def expected(dialect: Dialect, document: object, size: int) -> TokenUse:
    """The tokens of a request whose body, `document` when parsed, has `size` bytes: a guess that leans to too many.

    Input is a token for four bytes, files and images in it for a hundred; output what the request allows.
    """
    inline = sum(_inline(document)) if size > _BIG_BODY else 0
    tokens = max(0, size - inline) // BYTES_A_TOKEN + inline // _INLINE_BYTES_A_TOKEN
    return TokenUse(input=max(1, tokens), output=_output(dialect, document))


def _output(dialect: Dialect, document: object) -> int:
    if not isinstance(document, dict):
        return USUAL_OUTPUT
    options: dict[str, Any] = document
    if dialect is Dialect.GEMINI:
        given = document.get("generationConfig") or document.get("generation_config")
        options = given if isinstance(given, dict) else {}
    bound = next((found for name in _BOUNDS[dialect] if (found := _number(options.get(name)))), USUAL_OUTPUT)
    answers = _number(options.get("n")) or _number(options.get("candidateCount")) or 1
    return min(bound * answers, _MOST_OUTPUT)


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _inline(document: object) -> Iterator[int]:
    """The sizes of files and images that stand in the body as base64."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and len(value) > 4096 and _INLINE.match(value):
            yield len(value)
