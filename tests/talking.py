"""Requests to models in every dialect, as agents make them, and how their answers are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from chargehand.adapters.meter import Bounds, Meter, MeterSpec, Player, PriceTable, Recorder, Upstream
from chargehand.dialects import Dialect, SseEvents
from chargehand.testing.model import ModelServer, Scenario

KEY = "sk-made-up-real-key-0001"

SHELL_SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
WRITE_SCHEMA = {
    "type": "object",
    "properties": {"file_path": {"type": "string"}, "content": {"type": "string"}},
    "required": ["file_path", "content"],
}


@dataclass(frozen=True, kw_only=True)
class Said:
    """An answer, whatever its dialect: text, tool calls as (name, arguments as text), and the events it came in."""

    status: int
    text: str
    calls: list[tuple[str, str]]
    raw: bytes
    headers: Mapping[str, str]
    events: int = 0

    @property
    def document(self) -> Any:
        return json.loads(self.raw)


@dataclass(frozen=True, kw_only=True)
class Speech:
    """How one dialect is spoken: a path and a body from a conversation, and back."""

    dialect: Dialect
    path: Callable[[bool], str]
    body: Callable[[bool, str, bool], dict[str, Any]]
    read: Callable[[list[dict[str, Any]]], tuple[str, list[tuple[str, str]]]]
    auth: Callable[[str], dict[str, str]]


def _anthropic(streams: bool, prompt: str, tools: bool) -> dict[str, Any]:
    offered = [
        {"name": "Bash", "input_schema": SHELL_SCHEMA},
        {"name": "Write", "input_schema": WRITE_SCHEMA},
    ]
    return {
        "model": "claude-opus-4-5",
        "max_tokens": 1000,
        "stream": streams,
        "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}],
        **({"tools": offered} if tools else {}),
    }


def _responses(streams: bool, prompt: str, tools: bool) -> dict[str, Any]:
    offered = [
        {"type": "function", "name": "shell", "parameters": SHELL_SCHEMA},
        {"type": "function", "name": "write", "parameters": WRITE_SCHEMA},
    ]
    content = [{"type": "input_text", "text": prompt}]
    return {
        "model": "gpt-5.5",
        "stream": streams,
        "input": [{"type": "message", "role": "user", "content": content}],
        **({"tools": offered} if tools else {}),
    }


def _chat(streams: bool, prompt: str, tools: bool) -> dict[str, Any]:
    offered = [
        {"type": "function", "function": {"name": "bash", "parameters": SHELL_SCHEMA}},
        {"type": "function", "function": {"name": "write", "parameters": WRITE_SCHEMA}},
    ]
    return {
        "model": "gpt-5.5",
        "stream": streams,
        "messages": [{"role": "user", "content": prompt}],
        **({"tools": offered} if tools else {}),
    }


def _gemini(streams: bool, prompt: str, tools: bool) -> dict[str, Any]:
    declared = [
        {"name": "run_shell_command", "parametersJsonSchema": SHELL_SCHEMA},
        {"name": "write_file", "parametersJsonSchema": WRITE_SCHEMA},
    ]
    return {
        "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        **({"tools": [{"functionDeclarations": declared}]} if tools else {}),
    }


def _read_anthropic(documents: list[dict[str, Any]]) -> tuple[str, list[tuple[str, str]]]:
    text, calls = "", []
    for one in documents:
        if one["type"] == "message":
            text += "".join(block.get("text", "") for block in one["content"])
            calls += [(b["name"], json.dumps(b["input"])) for b in one["content"] if b["type"] == "tool_use"]
        elif one["type"] == "content_block_start" and one["content_block"]["type"] == "tool_use":
            calls.append((one["content_block"]["name"], ""))
        elif one["type"] == "content_block_delta":
            text += one["delta"].get("text", "")
            if piece := one["delta"].get("partial_json"):
                calls[-1] = (calls[-1][0], calls[-1][1] + piece)
    return text, calls


def _read_responses(documents: list[dict[str, Any]]) -> tuple[str, list[tuple[str, str]]]:
    whole = next((one.get("response", one) for one in documents[::-1] if one.get("type") == "response.completed"), None)
    if whole is None:
        whole = documents[-1] if documents and documents[-1].get("object") == "response" else {"output": []}
    text = "".join(p["text"] for item in whole["output"] if item["type"] == "message" for p in item["content"])
    calls = [
        (item.get("name", item["type"]), str(item.get("arguments", item.get("input", ""))))
        for item in whole["output"]
        if item["type"].endswith("_call")
    ]
    deltas = "".join(one["delta"] for one in documents if one.get("type") == "response.output_text.delta")
    return deltas or text, calls


def _read_chat(documents: list[dict[str, Any]]) -> tuple[str, list[tuple[str, str]]]:
    text, calls = "", []
    for one in documents:
        for choice in one.get("choices", []):
            part = choice.get("message") or choice.get("delta") or {}
            text += part.get("content") or ""
            for call in part.get("tool_calls", []):
                if call["function"].get("name"):
                    calls.append((call["function"]["name"], ""))
                calls[-1] = (calls[-1][0], calls[-1][1] + call["function"]["arguments"])
    return text, calls


def _read_gemini(documents: list[Any]) -> tuple[str, list[tuple[str, str]]]:
    flat = [one for document in documents for one in (document if isinstance(document, list) else [document])]
    parts = [part for one in flat for c in one.get("candidates", []) for part in c["content"]["parts"]]
    calls = [(p["functionCall"]["name"], json.dumps(p["functionCall"]["args"])) for p in parts if "functionCall" in p]
    return "".join(part.get("text", "") for part in parts), calls


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


SPEECHES = {
    Dialect.ANTHROPIC: Speech(
        dialect=Dialect.ANTHROPIC,
        path=lambda streams: "/v1/messages?beta=true",
        body=_anthropic,
        read=_read_anthropic,
        auth=lambda token: {"x-api-key": token, "anthropic-version": "2023-06-01"},
    ),
    Dialect.RESPONSES: Speech(
        dialect=Dialect.RESPONSES,
        path=lambda streams: "/v1/responses",
        body=_responses,
        read=_read_responses,
        auth=_bearer,
    ),
    Dialect.CHAT: Speech(
        dialect=Dialect.CHAT, path=lambda streams: "/v1/chat/completions", body=_chat, read=_read_chat, auth=_bearer
    ),
    Dialect.GEMINI: Speech(
        dialect=Dialect.GEMINI,
        path=lambda streams: (
            f"/v1beta/models/gemini-2.5-pro:{'streamGenerateContent?alt=sse' if streams else 'generateContent'}"
        ),
        body=_gemini,
        read=_read_gemini,
        auth=lambda token: {"x-goog-api-key": token},
    ),
}

every_dialect = pytest.mark.parametrize("speech", SPEECHES.values(), ids=[str(dialect) for dialect in SPEECHES])
streamed_or_not = pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])


async def ask(
    url: str,
    speech: Speech,
    *,
    streams: bool = True,
    prompt: str = "Do it.",
    tools: bool = True,
    token: str = "made-up",
    body: dict[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Said:
    """One request; `body` in place of the usual one."""
    import aiohttp

    sent = json.dumps(body if body is not None else speech.body(streams, prompt, tools))
    every = {"Content-Type": "application/json", **speech.auth(token), **(headers or {})}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + speech.path(streams), data=sent, headers=every) as answer,
    ):
        raw = await answer.read()
        return said(speech, answer.status, raw, answer.headers)


def said(speech: Speech, status: int, raw: bytes, headers: Mapping[str, str]) -> Said:
    """What these bytes say."""
    documents: list[Any] = []
    if status == 200 and headers.get("Content-Type", "").startswith("text/event-stream"):
        events = SseEvents()
        found = [*events.feed(raw), *events.finish()]
        documents = [json.loads(event.data) for event in found if event.data and event.data != b"[DONE]"]
    elif status == 200:
        documents = [json.loads(raw)]
    text, calls = speech.read(documents) if status == 200 else ("", [])
    return Said(status=status, text=text, calls=calls, raw=raw, headers=headers, events=len(documents))


def scenario(*steps: Mapping[str, Any], **more: Any) -> Scenario:
    """A scenario of one play for everybody, whether tools are offered or not."""
    return Scenario.of({"plays": [{"sides": True, "steps": list(steps)}], **more})


@asynccontextmanager
async def metered(
    plan: Scenario,
    *,
    cassette: Recorder | Player | None = None,
    bounds: Bounds | None = None,
    prices: PriceTable | None = None,
    now: Callable[[], float] | None = None,
    clock: Callable[[], float] | None = None,
    **upstream: Any,
) -> Any:
    """A scripted model, and a meter in front of it that alone knows the key."""
    async with ModelServer(plan, key=KEY) as server:
        more: dict[str, Any] = {name: given for name, given in (("now", now), ("clock", clock)) if given is not None}
        meter = Meter(
            {"stub": Upstream(base_url=server.url, key=KEY, **upstream)},
            prices or PriceTable.packaged(),
            cassette=cassette,
            bounds=bounds,
            **more,
        )
        await meter.start()
        try:
            yield server, meter
        finally:
            await meter.stop()


def spec(key: str = "attempt", **more: Any) -> MeterSpec:
    return MeterSpec(key=key, upstream="stub", **more)


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without proxies, whatever machine this is."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
