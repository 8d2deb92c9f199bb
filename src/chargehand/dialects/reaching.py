"""What a request wants besides an answer: things fetched or run by the provider, and prices that nobody meters.

A provider that fetches an address takes words of the agent to wherever it likes, past every fence around the agent;
its own tools, faster lanes and pictures cost money beside the tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .routes import Dialect

__all__ = ["DuplicateKey", "leans_on_the_past", "once_each", "reaches_out"]

_TOOLS = re.compile(
    r"mcp\w*|(?:web_search|web_fetch|url_context|google_search|google_maps|enterprise_web_search|file_search"
    r"|image_generation|code_execution|code_interpreter|x_search|live_search|retrieval|search_retrieval)\w*"
)
_GOOGLE = re.compile(
    r"googlesearch\w*|urlcontext|codeexecution|filesearch|googlemaps|enterprisewebsearch|retrieval|mcpservers?|computeruse"
)
_FIELDS = frozenset({"mcpservers", "websearchoptions", "searchparameters", "audio"})
_LANES = frozenset({"priority", "flex", "fast"})
_TALK = ("messages", "system", "input", "instructions", "contents", "systeminstruction", "prompt")
_FILE_PARTS = frozenset({"image", "document", "file", "input_image", "input_file", "image_url", "container_upload"})


class DuplicateKey(ValueError):
    """An object of a document says something twice: which of it counts is for each reader to choose."""


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON (an `object_pairs_hook`); `DuplicateKey` where a key is there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKey("a key is there twice")
    return found


def leans_on_the_past(dialect: Dialect, document: dict[str, Any]) -> bool:
    """Whether the prompt is longer than what stands here: the provider adds what it kept of earlier ones."""
    fields = {_plain(key) for key, value in document.items() if value}
    if dialect is Dialect.GEMINI:
        return "cachedcontent" in fields
    if dialect is not Dialect.RESPONSES:
        return False
    refers = any(part.get("type") == "item_reference" for part in _objects(document.get("input")))
    return refers or bool(fields & {"previousresponseid", "conversation"}) or isinstance(document.get("prompt"), dict)


def reaches_out(dialect: Dialect, document: dict[str, Any]) -> str:
    """What of a request makes its provider reach out, or costs what tokens do not tell; empty where nothing does."""
    for key, value in document.items():
        plain = _plain(key)
        if value and plain in _FIELDS:
            return f"`{key}`"
        if plain == "servicetier" and str(value).lower() in _LANES:
            return f"`{key}` {value}"
        if plain == "speed" and value not in {None, "standard"}:
            return f"`{key}`"
        if plain in {"modalities", "generationconfig"} and _more_than_text(value):
            return "an answer that is more than text"
        if plain == "tools" and (found := next(_tools(dialect, value), "")):
            return f"the tool `{found}`, which the provider runs"
        if plain in _TALK and (found := next(_sources(value), "")):
            return f"`{found}`, which the provider fetches"
    return ""


def _plain(key: str) -> str:
    """One name for both spellings that are read: `fileData`, `file_data`."""
    return key.replace("_", "").lower()


def _more_than_text(value: object) -> bool:
    """The kinds of an answer, as a list or in the options of Gemini."""
    if isinstance(value, dict):
        return any(_plain(key) == "responsemodalities" and _more_than_text(kinds) for key, kinds in value.items())
    return isinstance(value, list) and any(str(kind).lower() != "text" for kind in value)


def _tools(dialect: Dialect, tools: object) -> Iterator[str]:
    for tool in tools if isinstance(tools, list) else [tools]:
        if not isinstance(tool, dict):
            continue
        if dialect is Dialect.GEMINI:
            yield from (key for key in tool if _GOOGLE.fullmatch(_plain(key)))
            continue
        kind = str(tool.get("type") or "")
        if _TOOLS.fullmatch(kind) or "server_url" in tool:
            yield kind or "server_url"


def _sources(talk: object) -> Iterator[str]:
    """Pictures and files that are somewhere else: at an address, or kept by the provider under a name."""
    for part in _objects(talk):
        kind, source = str(part.get("type") or ""), part.get("source")
        if kind and isinstance(source, dict) and source.get("type") in {"url", "file"}:
            yield f"source {source['type']}"
        if kind in _FILE_PARTS:
            inner = part.get("file")
            yield from (key for each in (part, inner) if isinstance(each, dict) for key in _FOREIGN if each.get(key))
            image = part.get("image_url")
            address = image.get("url") if isinstance(image, dict) else image
            if isinstance(address, str) and address and not address.startswith("data:"):
                yield "image_url"
        if not kind:
            yield from (key for key in part if _plain(key) == "filedata" and isinstance(part[key], dict))


_FOREIGN = ("file_url", "file_id", "fileId", "fileUrl")


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """Every object in a document, at whatever depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
