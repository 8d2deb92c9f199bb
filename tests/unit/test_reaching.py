"""What of a request makes its provider reach out, or costs what tokens do not tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chargehand.dialects import Dialect, DuplicateKey, leans_on_the_past, once_each, reaches_out

A, R, C, G = Dialect.ANTHROPIC, Dialect.RESPONSES, Dialect.CHAT, Dialect.GEMINI
URL = "https://evil.example/?q=words"


def said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, *parts]}]}


REACHING: list[tuple[Dialect, dict[str, Any], str]] = [
    (A, said({"type": "image", "source": {"type": "url", "url": URL}}), "source url"),
    (A, said({"type": "document", "source": {"type": "file", "file_id": "f"}}), "source file"),
    (A, said({"type": "tool_result", "content": [{"type": "image", "source": {"type": "url", "url": URL}}]}), "source"),
    (A, said({"type": "container_upload", "file_id": "f"}), "file_id"),
    (A, {"tools": [{"name": "Bash"}, {"type": "web_search_20250305", "name": "web_search"}]}, "web_search_20250305"),
    (A, {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "code_execution"),
    (A, {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}, "web_fetch"),
    (A, {"mcp_servers": [{"type": "url", "url": URL}]}, "mcp_servers"),
    (A, {"service_tier": "priority"}, "service_tier"),
    (A, {"speed": "fast"}, "speed"),
    (R, {"tools": [{"type": "mcp", "server_url": URL}]}, "mcp"),
    (R, {"tools": [{"type": "new_kind", "server_url": URL}]}, "new_kind"),
    (R, {"tools": [{"type": "web_search"}]}, "web_search"),
    (R, {"tools": [{"type": "web_search_preview_2025_03_11"}]}, "web_search_preview"),
    (R, {"tools": [{"type": "image_generation"}]}, "image_generation"),
    (R, {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "code_interpreter"),
    (R, {"service_tier": "flex"}, "service_tier"),
    (R, {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": URL}]}]}, "image_url"),
    (R, {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": URL}]}]}, "file_url"),
    (R, {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "file_id"),
    (C, said({"type": "image_url", "image_url": {"url": URL}}), "image_url"),
    (C, said({"type": "image_url", "image_url": {"url": "gs://bucket/x"}}), "image_url"),
    (C, said({"type": "file", "file": {"file_id": "f"}}), "file_id"),
    (C, {"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
    (C, {"modalities": ["text", "audio"]}, "more than text"),
    (G, {"contents": [{"parts": [{"fileData": {"fileUri": URL}}]}]}, "fileData"),
    (G, {"contents": [{"parts": [{"file_data": {"file_uri": URL}}]}]}, "file_data"),
    (G, {"tools": [{"googleSearch": {}}]}, "googleSearch"),
    (G, {"tools": [{"url_context": {}}]}, "url_context"),
    (G, {"tools": {"codeExecution": {}}}, "codeExecution"),
    (G, {"generationConfig": {"responseModalities": ["IMAGE"]}}, "more than text"),
]
HARMLESS: list[tuple[Dialect, dict[str, Any]]] = [
    (A, said({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}})),
    (A, said({"type": "document", "source": {"type": "text", "data": URL}})),
    (A, {"tools": [{"name": "web_search", "input_schema": {"type": "object"}}, {"type": "bash_20250124"}]}),
    (A, {"tools": [{"name": "x", "input_schema": {"properties": {"source": {"type": "url"}, "type": {}}}}]}),
    (A, {"service_tier": "auto", "speed": "standard", "mcp_servers": [], "stream": True}),
    (R, {"tools": [{"type": "function", "name": "mcp"}, {"type": "local_shell"}, {"type": "custom", "name": "p"}]}),
    (R, {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]}]}),
    (R, {"input": "look at https://example.org", "service_tier": "default"}),
    (C, said({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}})),
    (C, said({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "x"}})),
    (C, {"modalities": ["text"], "speed": None}),
    (G, {"tools": [{"functionDeclarations": [{"name": "google_search"}]}]}),
    (G, {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]}], "generationConfig": {}}),
    (G, {"tools": ["odd", 1]}),
]


@pytest.mark.parametrize(("dialect", "document", "what"), REACHING)
def test_what_a_provider_would_fetch_or_run_is_named(dialect: Dialect, document: dict[str, Any], what: str) -> None:
    """I10: what no token tells is under no bound; SPEC 7.1: a fetched address leads past every fence."""
    assert what in reaches_out(dialect, document)


@pytest.mark.parametrize(("dialect", "document"), HARMLESS)
def test_what_only_answers_is_none_of_it(dialect: Dialect, document: dict[str, Any]) -> None:
    assert reaches_out(dialect, document) == ""


@pytest.mark.parametrize(
    ("dialect", "document", "leans"),
    [
        (R, {"previous_response_id": "resp_1"}, True),
        (R, {"conversation": "conv_1"}, True),
        (R, {"prompt": {"id": "pmpt_1"}}, True),
        (R, {"input": [{"type": "item_reference", "id": "msg_1"}]}, True),
        (R, {"previous_response_id": None, "input": "x"}, False),
        (G, {"cachedContent": "cachedContents/1"}, True),
        (G, {"cached_content": "cachedContents/1"}, True),
        (G, {"contents": []}, False),
        (C, {"conversation": "x"}, False),
    ],
)
def test_a_prompt_that_goes_on_where_another_ended(dialect: Dialect, document: dict[str, Any], leans: bool) -> None:
    assert leans_on_the_past(dialect, document) is leans


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"b": [{"a": 1, "c": 2, "a": 3}]}', '{"a": 1, "\\u0061": 2}'])
def test_an_object_says_everything_once(text: str) -> None:
    with pytest.raises(DuplicateKey):
        json.loads(text, object_pairs_hook=once_each)
    assert json.loads('{"a": {"a": [1]}, "b": 2}', object_pairs_hook=once_each) == {"a": {"a": [1]}, "b": 2}
