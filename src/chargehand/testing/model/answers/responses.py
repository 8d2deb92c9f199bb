"""OpenAI Responses (https://platform.openai.com/docs/api-reference/responses-streaming)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from .answer import Answer, arguments, call_id, pieces, sse

__all__ = ["document", "events"]

_MADE_AT = 1_750_000_000


def document(answer: Answer) -> dict[str, Any]:
    """A response."""
    items = ([_message(answer, answer.text)] if answer.text or not answer.calls else []) + [
        _call(answer, index) for index in range(len(answer.calls))
    ]
    return {**_head(answer), "status": "completed", "output": items, "usage": _usage(answer)}


def events(answer: Answer) -> Iterator[bytes]:
    """The response as a stream."""
    number = -1

    def event(kind: str, **fields: Any) -> bytes:
        nonlocal number
        number += 1
        return sse({"type": kind, "sequence_number": number, **fields}, kind)

    yield event("response.created", response=_head(answer))
    yield event("response.in_progress", response=_head(answer))
    place = 0
    if answer.text or not answer.calls:
        yield from _message_events(answer, event)
        place = 1
    for index in range(len(answer.calls)):
        yield from _call_events(answer, index, place + index, event)
    yield event("response.completed", response=document(answer))


def _message_events(answer: Answer, event: Callable[..., bytes]) -> Iterator[bytes]:
    where = {"item_id": f"msg_{answer.id}", "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    begun = {**_message(answer, ""), "status": "in_progress", "content": []}
    yield event("response.output_item.added", output_index=0, item=begun)
    yield event("response.content_part.added", **where, part=empty)
    for piece in pieces(answer.text):
        yield event("response.output_text.delta", **where, delta=piece)
    yield event("response.output_text.done", **where, text=answer.text)
    yield event("response.content_part.done", **where, part={**empty, "text": answer.text})
    yield event("response.output_item.done", output_index=0, item=_message(answer, answer.text))


def _call_events(answer: Answer, index: int, place: int, event: Callable[..., bytes]) -> Iterator[bytes]:
    item = _call(answer, index)
    key = {"function_call": "arguments", "custom_tool_call": "input"}.get(item["type"])
    begun = {**item, "status": "in_progress", **({key: ""} if key else {})}
    yield event("response.output_item.added", output_index=place, item=begun)
    if key:
        kind = "function_call_arguments" if key == "arguments" else "custom_tool_call_input"
        where = {"item_id": item["id"], "output_index": place}
        for piece in pieces(item[key]):
            yield event(f"response.{kind}.delta", **where, delta=piece)
        yield event(f"response.{kind}.done", **where, **{key: item[key]})
    yield event("response.output_item.done", output_index=place, item=item)


def _head(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": _MADE_AT,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": True,
        "tools": [],
        "usage": None,
    }


def _message(answer: Answer, text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }


def _call(answer: Answer, index: int) -> dict[str, Any]:
    call, known = answer.calls[index], call_id(answer, index)
    shared = {"id": f"item_{known}", "call_id": known, "status": "completed"}
    if call.kind == "custom":
        text = call.input.get("input")
        text = text if isinstance(text, str) else json.dumps(call.input)
        return {**shared, "type": "custom_tool_call", "name": call.name, "input": text}
    if call.kind == "local_shell":
        action = {"type": "exec", "command": call.input.get("command", []), "env": {}}
        return {**shared, "type": "local_shell_call", "action": action}
    return {**shared, "type": "function_call", "name": call.name, "arguments": arguments(call)}


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }
