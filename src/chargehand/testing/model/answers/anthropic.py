"""Anthropic Messages (https://docs.anthropic.com/en/api/messages-streaming)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .answer import Answer, arguments, call_id, pieces, sse

__all__ = ["document", "events"]


def document(answer: Answer) -> dict[str, Any]:
    """A message."""
    text = [{"type": "text", "text": answer.text}] if answer.text else []
    calls = [
        {
            "type": "tool_use",
            "id": call_id(answer, index),
            "name": call.name,
            "input": {} if call.broken else call.input,
        }
        for index, call in enumerate(answer.calls)
    ]
    return {**_message(answer), "content": [*text, *calls], "stop_reason": _reason(answer), "usage": _usage(answer)}


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _reason(answer: Answer) -> str:
    return "tool_use" if answer.calls else "end_turn"


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "input_tokens": usage.input - usage.cached - usage.written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": usage.written,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.written - usage.written_1h,
            "ephemeral_1h_input_tokens": usage.written_1h,
        },
        "output_tokens": usage.output,
        "service_tier": "standard",
    }


def events(answer: Answer) -> Iterator[bytes]:
    """The message as a stream."""
    start = {**_message(answer), "usage": {**_usage(answer), "output_tokens": 1}}
    yield _event("message_start", message=start)
    index = 0
    if answer.text or not answer.calls:
        yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        yield _event("ping")
        for piece in pieces(answer.text):
            yield _event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        yield _event("content_block_stop", index=index)
        index += 1
    for number, call in enumerate(answer.calls):
        block = {"type": "tool_use", "id": call_id(answer, number), "name": call.name, "input": {}}
        yield _event("content_block_start", index=index, content_block=block)
        for piece in pieces(arguments(call)):
            yield _event("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": piece})
        yield _event("content_block_stop", index=index)
        index += 1
    delta = {"stop_reason": _reason(answer), "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage={"output_tokens": answer.usage.output})
    yield _event("message_stop")


def _event(name: str, **fields: Any) -> bytes:
    return sse({"type": name, **fields}, name)
