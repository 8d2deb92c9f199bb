"""What a request to a model holds, in one form for all dialects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chargehand.dialects import Dialect, Route

__all__ = ["Conversation", "Tool", "read_conversation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool the agent offers; `kind` is `function`, or OpenAI's `custom` (free text) or `local_shell`."""

    name: str
    schema: Mapping[str, Any]
    kind: str = "function"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    speaker: str  # system | user | model | tool
    text: str = ""
    calls: tuple[str, ...] = ()  # their ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """`turns` counts the answers so far that called tools; `said` are the model's texts, `told` all others.

    `first` is the first text of the user (the system's may tell the time), `results` what tools answered, `schema`
    the JSON schema an answer must fit.
    """

    dialect: Dialect
    model: str
    streams: bool
    tools: tuple[Tool, ...] = ()
    turns: int = 0
    said: str = ""
    told: str = ""
    first: str = ""
    results: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    tells_usage: bool = True

    @property
    def edits_by_text(self) -> bool:
        """Whether the agent takes edits as text, as Aider does, and offers no tools."""
        return not self.tools and ("SEARCH/REPLACE" in self.told or "*file listing*" in self.told)

    @property
    def folder(self) -> str:
        """The folder the agent says it works in; empty when it says none."""
        found = _FOLDER.search(self.told)
        return (found[1] or found[2]).strip().rstrip(".") if found else ""


_SPEAKERS = {"assistant": "model", "tool": "tool", "function": "tool", "system": "system", "developer": "system"}
_OURS = re.compile(r"call_([0-9a-f]{16})_\d+")
_FOLDER = re.compile(
    r"(?:(?:working|current) (?:in the )?(?:directory|folder)|workspace root folder)(?: is)?"
    r":[ \t]*[\"`']?(/[^\n<>`\"']+)"
    r"|<cwd>(/[^\n<>]+)</cwd>",
    re.IGNORECASE,
)


def read_conversation(route: Route, document: Mapping[str, Any]) -> Conversation:
    """The conversation of a request for an answer; what cannot be understood in it is left out."""
    assert route.dialect is not None
    read: Callable[[Mapping[str, Any]], tuple[list[_Message], list[Tool], Any]] = {
        Dialect.ANTHROPIC: _anthropic,
        Dialect.RESPONSES: _responses,
        Dialect.CHAT: _chat,
        Dialect.GEMINI: _gemini,
    }[route.dialect]
    messages, tools, schema = read(document)
    streams = bool(document.get("stream")) if route.streams is None else route.streams
    options = _dict(document.get("stream_options"))
    return Conversation(
        dialect=route.dialect,
        model=route.model or str(document.get("model", "")),
        streams=streams,
        tools=tuple(tools),
        turns=_turns(messages),
        said="\n".join(one.text for one in messages if one.speaker == "model"),
        told="\n".join(one.text for one in messages if one.speaker in {"system", "user"}),
        first=next((one.text for one in messages if one.speaker == "user" and one.text), ""),
        results=tuple(one.text for one in messages if one.speaker == "tool"),
        # Codex sends the schema of its final message with every turn of the work: only side requests are bound by it.
        schema=schema if isinstance(schema, Mapping) and not tools else None,
        tells_usage=route.dialect is not Dialect.CHAT or not streams or bool(options.get("include_usage")),
    )


def _turns(messages: list[_Message]) -> int:
    """Answers with tool calls. Some agents send one answer back as several messages, in a row or each with its result.

    Ids that were given here tell which calls were of one answer; where an agent makes its own, a row is one.
    """
    turns, open_turn, known = 0, False, set()
    for message in messages:
        if message.speaker != "model":
            open_turn = False
            continue
        for call in message.calls:
            ours = _OURS.search(call)
            if ours and ours[1] not in known:
                known.add(ours[1])
                turns += 1
            elif not ours and not open_turn:
                turns += 1
            open_turn = True
    return turns


# -- the dialects ---------------------------------------------------------------------------------


def _anthropic(document: Mapping[str, Any]) -> tuple[list[_Message], list[Tool], Any]:
    messages = [_Message(speaker="system", text=_text(document["system"]))] if document.get("system") else []
    for message in _dicts(document.get("messages")):
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(_dicts(content))
        speaker = "model" if message.get("role") == "assistant" else "user"
        messages += [
            _Message(speaker="tool", text=_text(block.get("content")))
            for block in blocks
            if block.get("type") == "tool_result"
        ]
        text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
        calls = tuple(str(block.get("id", "")) for block in blocks if block.get("type") == "tool_use")
        if text or calls:
            messages.append(_Message(speaker=speaker, text=text, calls=calls))
    tools = [
        Tool(name=str(one.get("name")), schema=_dict(one.get("input_schema")))
        for one in _dicts(document.get("tools"))
        if "input_schema" in one
    ]
    form = _dict(document.get("output_format")) or _dict(_dict(document.get("output_config")).get("format"))
    return messages, tools, form.get("schema")


def _responses(document: Mapping[str, Any]) -> tuple[list[_Message], list[Tool], Any]:
    messages = (
        [_Message(speaker="system", text=_text(document["instructions"]))] if document.get("instructions") else []
    )
    given = document.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else _dicts(given)
    for item in items:
        kind = str(item.get("type", "message"))
        if kind == "message":
            speaker = _SPEAKERS.get(str(item.get("role")), "user")
            messages.append(_Message(speaker=speaker, text=_text(item.get("content"))))
        elif kind.endswith("_call_output"):
            messages.append(_Message(speaker="tool", text=_text(item.get("output"))))
        elif kind.endswith("_call"):
            messages.append(_Message(speaker="model", calls=(str(item.get("call_id", "")),)))
    tools = [
        Tool(name=str(one.get("name") or one["type"]), schema=_dict(one.get("parameters")), kind=str(one["type"]))
        for one in _dicts(document.get("tools"))
        if one.get("type") in {"function", "custom", "local_shell"}
    ]
    form = _dict(_dict(document.get("text")).get("format"))
    return messages, tools, form.get("schema")


def _chat(document: Mapping[str, Any]) -> tuple[list[_Message], list[Tool], Any]:
    messages = []
    for message in _dicts(document.get("messages")):
        role, text = message.get("role"), _text(message.get("content"))
        calls = tuple(str(call.get("id", "")) for call in _dicts(message.get("tool_calls")))
        calls += ("",) if message.get("function_call") else ()
        speaker = _SPEAKERS.get(str(role), "user")
        messages.append(_Message(speaker=speaker, text=text, calls=calls))
    functions = [_dict(one.get("function")) for one in _dicts(document.get("tools"))]
    tools = [Tool(name=str(one["name"]), schema=_dict(one.get("parameters"))) for one in functions if "name" in one]
    form = _dict(document.get("response_format"))
    return messages, tools, _dict(form.get("json_schema")).get("schema")


def _gemini(document: Mapping[str, Any]) -> tuple[list[_Message], list[Tool], Any]:
    system = _dict(document.get("systemInstruction") or document.get("system_instruction"))
    messages = [_Message(speaker="system", text=_text(system.get("parts")))] if system else []
    for content in _dicts(document.get("contents")):
        parts = list(_dicts(content.get("parts")))
        speaker = "model" if content.get("role") == "model" else "user"
        messages += [
            _Message(speaker="tool", text=json.dumps(_dict(part["functionResponse"]).get("response")))
            for part in parts
            if "functionResponse" in part
        ]
        calls = tuple(str(_dict(part["functionCall"]).get("id", "")) for part in parts if "functionCall" in part)
        text = "".join(str(part.get("text", "")) for part in parts if not part.get("thought"))
        if text or calls:
            messages.append(_Message(speaker=speaker, text=text, calls=calls))
    tools = [
        Tool(name=str(one["name"]), schema=_dict(one.get("parametersJsonSchema") or one.get("parameters")))
        for group in _dicts(document.get("tools"))
        for one in _dicts(group.get("functionDeclarations"))
        if "name" in one
    ]
    config = _dict(document.get("generationConfig"))
    return messages, tools, config.get("responseJsonSchema") or config.get("responseSchema")


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))


def _text(value: object) -> str:
    """The texts in a content of any form."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text(one) for one in value)
    if isinstance(value, dict):
        return _text(value.get("text", value.get("content", value.get("output", ""))))
    return ""
