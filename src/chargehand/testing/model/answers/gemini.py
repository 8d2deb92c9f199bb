"""Gemini generateContent (https://ai.google.dev/api/generate-content)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .answer import Answer, call_id, pieces, sse

__all__ = ["document", "events"]


def document(answer: Answer) -> dict[str, Any]:
    """A response."""
    parts: list[dict[str, Any]] = [{"text": answer.text}] if answer.text or not answer.calls else []
    return _response(answer, [*parts, *_calls(answer)], is_last=True)


def events(answer: Answer) -> Iterator[bytes]:
    """The response as a stream of partial ones."""
    for piece in pieces(answer.text):
        yield sse(_response(answer, [{"text": piece}], is_last=False))
    yield sse(_response(answer, _calls(answer) or [{"text": ""}], is_last=True))


def _calls(answer: Answer) -> list[dict[str, Any]]:
    # The input is an object here and cannot be broken JSON: one of a wrong type comes nearest.
    return [
        {
            "functionCall": {
                "id": call_id(answer, index),
                "name": call.name,
                "args": _broken(call.input) if call.broken else call.input,
            }
        }
        for index, call in enumerate(answer.calls)
    ]


def _broken(given: Any) -> dict[str, Any]:
    return dict.fromkeys(given, 5)


def _response(answer: Answer, parts: list[dict[str, Any]], *, is_last: bool) -> dict[str, Any]:
    usage = answer.usage
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if is_last:
        candidate["finishReason"] = "STOP"
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": usage.input,
            "cachedContentTokenCount": usage.cached,
            "candidatesTokenCount": usage.output if is_last else 1,
            "totalTokenCount": usage.input + usage.output,
        },
        "modelVersion": answer.model,
        "responseId": answer.id,
    }
