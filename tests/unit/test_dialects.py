"""The forms of model providers: streams, usage, times of reset, refusals."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.dialects import AnswerReader, Dialect, Errand, SseEvents, TokenUse, expected, refusal, retry_at, route
from chargehand.dialects.chat import UsageChunkFilter, asking_for_usage
from chargehand.dialects.estimates import USUAL_OUTPUT
from chargehand.dialects.resets import duration_s

NOW = 1_795_000_000.0


# -- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "dialect", "errand", "model", "streams"),
    [
        ("POST", "/v1/messages", Dialect.ANTHROPIC, Errand.GENERATE, "", None),
        ("POST", "/anything/v1/messages/", Dialect.ANTHROPIC, Errand.GENERATE, "", None),
        ("POST", "/v1/messages/count_tokens", Dialect.ANTHROPIC, Errand.COUNT, "", None),
        ("POST", "/v1/messages/batches", None, Errand.OTHER, "", None),
        ("POST", "/v1/responses", Dialect.RESPONSES, Errand.GENERATE, "", None),
        ("POST", "/v1/responses/compact", Dialect.RESPONSES, Errand.GENERATE, "", None),
        ("POST", "/v1/responses/input_tokens", Dialect.RESPONSES, Errand.COUNT, "", None),
        ("GET", "/v1/responses/resp_1", None, Errand.OTHER, "", None),
        ("POST", "/chat/completions", Dialect.CHAT, Errand.GENERATE, "", None),
        ("GET", "/v1/models", None, Errand.OTHER, "", None),
        ("GET", "/v1beta/models", Dialect.GEMINI, Errand.OTHER, "", None),
        ("POST", "/v1beta/models/g-2:generateContent", Dialect.GEMINI, Errand.GENERATE, "g-2", False),
        ("POST", "/v1beta/models/g-2%3AstreamGenerateContent", Dialect.GEMINI, Errand.GENERATE, "g-2", True),
        ("POST", "/v1beta/tunedModels/t:countTokens", Dialect.GEMINI, Errand.COUNT, "t", False),
        ("POST", "/v1beta/models/g:embedContent", Dialect.GEMINI, Errand.OTHER, "g", False),
    ],
)
def test_paths(
    method: str, path: str, dialect: Dialect | None, errand: Errand, model: str, streams: bool | None
) -> None:
    found = route(method, path)
    assert (found.dialect, found.errand, found.model, found.streams) == (dialect, errand, model, streams)


@pytest.mark.parametrize(
    ("path", "is_usual"),
    [
        *(("/v1/messages", True), ("/messages", True), ("/api/v1/chat/completions", True), ("/v1/responses/", True)),
        *(
            ("/v1beta/openai/chat/completions", True),
            ("/anthropic/v1/messages", True),
            ("/v1/threads/t/messages", False),
        ),
        *(("/v1/evals/responses", False), ("/v1alpha/models/m:generateContent", True), ("/v1/x/models", False)),
        *(("/x/models/m:generateContent", False), ("/v1/models", True), ("/v1/models/a/b", True), ("/v1/files", False)),
    ],
)
def test_what_stands_in_front_of_a_path(path: str, is_usual: bool) -> None:
    assert route("POST", path).is_usual is is_usual


# -- server-sent events ---------------------------------------------------------------------------

STREAM = (
    b"event: one\r\ndata: 1\r\n\r\n: a comment\n\ndata:2\ndata: 3\n\nid: 7\nevent: x\n\n"
    b"data: \xc3\xbc\r\rretry: 5\ndata:  two blanks\n\ndata\n\ndata: unfinished"
)
EVENTS = [("one", b"1"), ("", b"2\n3"), ("", b"\xc3\xbc"), ("", b" two blanks"), ("", b"unfinished")]


def _events(pieces: list[bytes]) -> tuple[list[tuple[str, bytes]], bytes]:
    reader = SseEvents()
    found = [event for piece in pieces for event in reader.feed(piece)]
    raw = b"".join(event.raw for event in found) + reader.pending
    found += reader.finish()
    return [(event.name, event.data) for event in found if event.data], raw


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=20))
def test_a_stream_says_the_same_however_it_is_cut(cuts: list[int]) -> None:
    places = sorted({0, len(STREAM), *cuts})
    pieces = [STREAM[a:b] for a, b in pairwise(places)]
    assert _events(pieces) == (EVENTS, STREAM)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_bytes_are_lost_and_nothing_raises(pieces: list[bytes]) -> None:
    assert _events(pieces)[1] == b"".join(pieces)


def test_an_event_that_never_ends_takes_no_more_memory() -> None:
    reader = SseEvents(most_bytes=1000)
    assert list(reader.feed(b"data: 1\n\n" + b"data: " + b"x" * 990)) != []
    states = [reader.is_lost]
    assert list(reader.feed(b"x" * 990)) == []
    assert [*states, reader.is_lost] == [False, True]
    assert reader.pending == b""
    assert list(reader.feed(b"\n\ndata: 2\n\n")) == []
    assert list(reader.finish()) == []


# -- usage ----------------------------------------------------------------------------------------


def _sse(*documents: object) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in documents)


def _read(dialect: Dialect, answer: bytes, *, is_sse: bool, size: int = 17) -> AnswerReader:
    reader = AnswerReader(dialect, is_sse=is_sse)
    for start in range(0, len(answer), size):
        reader.feed(answer[start : start + size])
    reader.finish()
    return reader


ANTHROPIC_START = {
    "type": "message_start",
    "message": {
        "model": "claude-x",
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 500,
            "cache_creation_input_tokens": 90,
            "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 30},
            "output_tokens": 1,
        },
    },
}
ANTHROPIC_USE = TokenUse(input=600, output=77, cached=500, written=90, written_1h=30)
OPENAI_USE = TokenUse(input=600, output=77, cached=500)
RESPONSE = {
    "model": "gpt-x",
    "usage": {
        "input_tokens": 600,
        "input_tokens_details": {"cached_tokens": 500},
        "output_tokens": 77,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 677,
    },
}
CHAT_USAGE = {
    "prompt_tokens": 600,
    "completion_tokens": 77,
    "prompt_tokens_details": {"cached_tokens": 500},
    "completion_tokens_details": {"reasoning_tokens": 40},
}
GEMINI_USAGE = {
    "promptTokenCount": 580,
    "toolUsePromptTokenCount": 20,
    "cachedContentTokenCount": 500,
    "candidatesTokenCount": 37,
    "thoughtsTokenCount": 40,
    "totalTokenCount": 677,
}
TEXT = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": 'of "usage": {"output_tokens": 9}'}}


@pytest.mark.parametrize(
    ("dialect", "answer", "is_sse", "use", "model"),
    [
        (
            Dialect.ANTHROPIC,
            _sse(
                ANTHROPIC_START,
                TEXT,
                {"type": "message_delta", "usage": {"output_tokens": 77}},
                {"type": "message_stop"},
            ),
            True,
            ANTHROPIC_USE,
            "claude-x",
        ),
        (
            Dialect.ANTHROPIC,  # the last event may tell it all again, with nulls for what it does not know
            _sse(
                ANTHROPIC_START,
                {
                    "type": "message_delta",
                    "usage": {"input_tokens": 10, "cache_read_input_tokens": None, "output_tokens": 77},
                },
            ),
            True,
            ANTHROPIC_USE,
            "claude-x",
        ),
        (
            Dialect.ANTHROPIC,
            json.dumps({**ANTHROPIC_START["message"], "type": "message"}).encode(),  # type: ignore[dict-item]
            False,
            TokenUse(input=600, output=1, cached=500, written=90, written_1h=30),
            "claude-x",
        ),
        (
            Dialect.RESPONSES,
            _sse(
                {"type": "response.created", "response": {"model": "gpt-x", "usage": None}},
                {"type": "response.output_text.delta", "delta": 'a "usage" of words'},
                {"type": "response.completed", "response": RESPONSE},
            ),
            True,
            OPENAI_USE,
            "gpt-x",
        ),
        (Dialect.RESPONSES, json.dumps(RESPONSE).encode(), False, OPENAI_USE, "gpt-x"),
        (
            Dialect.CHAT,
            _sse(
                {"model": "gpt-x", "choices": [{"delta": {"content": "a"}}], "usage": None},
                {"model": "gpt-x", "choices": [], "usage": CHAT_USAGE},
            )
            + b"data: [DONE]\n\n",
            True,
            OPENAI_USE,
            "gpt-x",
        ),
        (Dialect.CHAT, json.dumps({"model": "gpt-x", "usage": CHAT_USAGE}).encode(), False, OPENAI_USE, "gpt-x"),
        (
            Dialect.CHAT,  # another provider's word for what was cached
            json.dumps(
                {"usage": {**CHAT_USAGE, "prompt_tokens_details": None, "prompt_cache_hit_tokens": 500}}
            ).encode(),
            False,
            OPENAI_USE,
            "",
        ),
        (
            Dialect.GEMINI,
            _sse(
                {"modelVersion": "gemini-x", "usageMetadata": {"promptTokenCount": 600, "candidatesTokenCount": 3}},
                {"modelVersion": "gemini-x", "usageMetadata": GEMINI_USAGE},
            ),
            True,
            OPENAI_USE,
            "gemini-x",
        ),
        (
            Dialect.GEMINI,  # a stream that was not asked to be one of events
            json.dumps([{"modelVersion": "gemini-x"}, {"usageMetadata": GEMINI_USAGE}]).encode(),
            False,
            OPENAI_USE,
            "gemini-x",
        ),
    ],
)
def test_usage(dialect: Dialect, answer: bytes, is_sse: bool, use: TokenUse, model: str) -> None:
    reader = _read(dialect, answer, is_sse=is_sse)
    assert (reader.usage, reader.model, reader.problem, reader.is_unread) == (use, model, None, False)


@pytest.mark.parametrize("dialect", Dialect)
@given(content=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_whatever_comes_nothing_raises(dialect: Dialect, content: Any) -> None:
    """A provider's answer is untrusted data: wrong types are nothing, not a failure."""
    shapes = [
        content,
        {"usage": content, "usageMetadata": content, "model": content, "error": content, "message": content},
        {"type": "message_start", "message": {"usage": {"input_tokens": content, "cache_creation": content}}},
        {"response": {"usage": {"input_tokens": content, "input_tokens_details": content}, "error": {"code": content}}},
        {"usage": {"prompt_tokens": content, "prompt_tokens_details": {"cached_tokens": content}}, "choices": content},
        {"type": "error", "code": content, "message": content},
    ]
    for one in shapes:
        for is_sse in (True, False):
            text = json.dumps(one).encode()
            reader = _read(dialect, _sse(one) if is_sse else text, is_sse=is_sse, size=4096)
            use = reader.usage
            assert use is None or (use.input >= use.cached + use.written >= 0 and use.output >= 0)


@pytest.mark.parametrize(
    ("dialect", "event", "status", "text"),
    [
        (
            Dialect.ANTHROPIC,
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            529,
            "Overloaded",
        ),
        (
            Dialect.RESPONSES,
            {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "Slow"}}},
            429,
            "Slow",
        ),
        (Dialect.RESPONSES, {"type": "error", "code": "server_error", "message": "Broken"}, 500, "Broken"),
        (Dialect.CHAT, {"error": {"code": 502, "message": "Upstream"}}, 502, "Upstream"),
        (Dialect.GEMINI, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "Busy"}}, 503, "Busy"),
        (Dialect.GEMINI, {"error": {}}, 500, "error"),
    ],
)
def test_errors_in_the_middle_of_a_stream(dialect: Dialect, event: object, status: int, text: str) -> None:
    problem = _read(dialect, _sse(ANTHROPIC_START, event), is_sse=True).problem
    assert problem is not None
    assert (problem.status, problem.text) == (status, text)
    assert json.loads(problem.body)["error"] is not None


def test_what_came_is_guessed_by_its_text() -> None:
    """A piece is a token at least; what stands around its text is not counted."""
    words = ["Do", " it", " now", " with", " care and patience, please"]
    events = [{"type": "content_block_delta", "delta": {"type": "text_delta", "text": word}} for word in words]
    reader = _read(Dialect.ANTHROPIC, _sse(ANTHROPIC_START, *events), is_sse=True)
    assert not reader.is_told
    assert 8 <= reader.guessed <= 14
    for told in ({"type": "ping"}, {"type": "message_delta", "usage": {"output_tokens": 8}}):
        reader.feed(_sse(told))
        assert reader.is_told is (told["type"] == "message_delta")
    whole = _read(Dialect.CHAT, b'{"choices": "cut off in the mid', is_sse=False)
    assert (whole.guessed, whole.is_told, whole.is_unread) == (7, False, True)


@pytest.mark.parametrize(
    ("chunk", "is_told"),
    [
        ({"choices": [{"delta": {"content": "x"}}], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}, False),
        ({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5}}, True),
        ({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9}}, True),
        ({"choices": 5, "usage": {"prompt_tokens": 5, "completion_tokens": 9}}, True),
        ({"choices": []}, False),
    ],
)
def test_usage_that_is_told_again_and_again_is_told_at_the_end(chunk: dict[str, Any], is_told: bool) -> None:
    reader = AnswerReader(Dialect.CHAT, is_sse=True)
    reader.feed(_sse({"model": "m", **chunk}))
    assert reader.is_told is is_told
    reader.finish()
    assert reader.is_told is ("usage" in chunk)


@pytest.mark.parametrize(
    ("dialect", "document", "output"),
    [
        (Dialect.ANTHROPIC, {"max_tokens": 500}, 500),
        (Dialect.RESPONSES, {"max_output_tokens": 600, "max_tokens": 1}, 600),
        (Dialect.CHAT, {"max_completion_tokens": 700, "n": 3}, 2100),
        (Dialect.CHAT, {"max_tokens": 70}, 70),
        (Dialect.GEMINI, {"generationConfig": {"maxOutputTokens": 80, "candidateCount": 2}}, 160),
        (Dialect.GEMINI, {"generationConfig": 7}, USUAL_OUTPUT),
        (Dialect.ANTHROPIC, {"max_tokens": True}, USUAL_OUTPUT),
        (Dialect.CHAT, {"max_tokens": -5, "n": 0}, USUAL_OUTPUT),
        (Dialect.CHAT, {"max_tokens": 10**30}, 1_000_000),
        (Dialect.CHAT, [], USUAL_OUTPUT),
    ],
)
def test_what_a_request_may_come_to(dialect: Dialect, document: object, output: int) -> None:
    assert expected(dialect, document, 4000) == TokenUse(input=1000, output=output)


def test_an_image_is_not_counted_as_text() -> None:
    image, text = "QUJD" * 50_000, "words, and more words " * 5000
    document = {"messages": [{"content": [{"data": image}, {"url": f"data:image/png;base64,{image}"}, {"text": text}]}]}
    size = len(json.dumps(document))
    found = expected(Dialect.ANTHROPIC, document, size).input
    assert len(text) // 4 <= found <= len(text) // 4 + 4500


def test_an_answer_that_is_none_is_unread() -> None:
    assert _read(Dialect.CHAT, b"<html>", is_sse=False).is_unread
    assert not _read(Dialect.CHAT, b"data: <html>\n\n", is_sse=True).is_unread


# -- times of reset -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20s", 20),
        ("6m0s", 360),
        ("1h2m3.5s", 3723.5),
        ("120ms", 0.12),
        ("37.5 seconds", 37.5),
        ("2 hours and 5 minutes", 7500),
        ("1 day", 86400),
        ("soon", None),
        ("", None),
        ("20s later", None),
        ("5 apples", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration_s(text) == (None if seconds is None else pytest.approx(seconds))


RESET = "2026-11-18T11:31:40Z"  # 1,500 s after NOW


@pytest.mark.parametrize(
    ("headers", "body", "after_s"),
    [
        ({}, b"", None),
        ({"retry-after": "7"}, b"", 7),
        ({"retry-after": "0.5"}, b"", 0.5),
        ({"retry-after": "Wed, 18 Nov 2026 11:31:40 GMT"}, b"", 1500),
        ({"retry-after": "Wed, 18 Nov 2026 11:31:40"}, b"", 1500),
        ({"anthropic-ratelimit-tokens-reset": "2026-11-18T11:31:40"}, b"", 1500),
        ({"retry-after-ms": "250", "retry-after": "1"}, b"", 0.25),
        ({"retry-after": "tomorrow"}, b"", None),
        ({"retry-after": "-5"}, b"", 0),
        ({"retry-after": "nan"}, b"", None),
        ({"retry-after": "99999999"}, b"", None),
        ({"anthropic-ratelimit-requests-reset": RESET}, b"", 1500),
        (
            {
                "anthropic-ratelimit-requests-reset": RESET,
                "anthropic-ratelimit-requests-remaining": "12",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-18T11:07:40Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
            },
            b"",
            60,
        ),
        ({"anthropic-ratelimit-unified-reset": "1795001500"}, b"", 1500),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-reset-tokens": "20ms"}, b"", 360),
        (
            {
                "x-ratelimit-reset-requests": "6m0s",
                "x-ratelimit-remaining-requests": "3",
                "x-ratelimit-reset-tokens": "7.66s",
                "x-ratelimit-remaining-tokens": "0",
            },
            b"",
            7.66,
        ),
        ({"x-ratelimit-reset": "1795001500000"}, b"", 1500),
        ({"ratelimit-reset": "30"}, b"", 30),
        ({"retry-after": "7"}, b'{"error": {"message": "Try again in 50s."}}', 7),
        ({}, b'{"error": {"message": "Rate limit reached for x. Please try again in 1m30.5s. Visit y."}}', 90.5),
        ({}, b'{"error": {"message": "Please try again in 120ms."}}', 0.12),
        ({}, b'{"error": {"message": "Please retry in 37.2s.", "code": 429}}', 37.2),
        ({}, b'{"error": {"type": "usage_limit_reached", "resets_in_seconds": 3600}}', 3600),
        ({}, b'{"error": {"type": "usage_limit_reached", "resets_at": 1795001500}}', 1500),
        ({}, b'{"error": {"message": "Usage limit reached|1795001500"}}', 1500),
        (
            {},
            b'{"error": {"code": 429, "details": [{"@type": "x/QuotaFailure"}, {"@type": "x", "retryDelay": "41s"}]}}',
            41,
        ),
        ({}, b'[{"error": {"details": [{"retryDelay": "41.5s"}]}}]', 41.5),
        ({}, b'{"error": {"message": "You exceeded your current quota.", "type": "insufficient_quota"}}', None),
        ({}, b'{"error": {"details": {"retryDelay": 3}, "resets_at": "x"}}', None),
        ({}, b"[" * 100_000, None),
        ({}, b"\xff\xfe", None),
        ({}, b"null", None),
    ],
)
def test_when_to_come_back(headers: dict[str, str], body: bytes, after_s: float | None) -> None:
    found = retry_at(headers, body, NOW)
    assert found == (None if after_s is None else pytest.approx(NOW + after_s, abs=0.001))


# -- refusals and the usage of chats --------------------------------------------------------------


def test_refusals() -> None:
    def error(dialect: Dialect | None, status: int) -> Any:
        told = refusal(dialect, status, "No.", code="c")
        assert (told.status, told.headers) == (status, (("x-should-retry", "false"),))
        return json.loads(told.body)

    assert error(Dialect.ANTHROPIC, 400) == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "No."},
    }
    assert error(Dialect.ANTHROPIC, 529)["error"]["type"] == "overloaded_error"
    assert error(Dialect.GEMINI, 401) == {"error": {"code": 401, "message": "No.", "status": "UNAUTHENTICATED"}}
    for dialect in (Dialect.CHAT, Dialect.RESPONSES, None):
        assert error(dialect, 400)["error"] == {
            "message": "No.",
            "type": "invalid_request_error",
            "param": None,
            "code": "c",
        }
    assert refusal(None, 502, "No.", final=False).headers == ()


def test_only_streams_that_do_not_ask_are_made_to() -> None:
    def asked(text: str) -> Any:
        body = text.encode()
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        changed = asking_for_usage(body, document)
        return None if changed is None else json.loads(changed)

    assert asked('{"stream": false}') is None
    assert asked('{"model": "m"}') is None
    assert asked("[]") is None
    assert asked("{") is None
    assert asked('{"stream": true, "stream_options": {"include_usage": true}}') is None
    wanted = {"include_usage": True}
    assert asked(' { "stream": true}') == {"stream": True, "stream_options": wanted}
    assert asked('{"stream": true, "stream_options": null}') == {"stream": True, "stream_options": wanted}
    assert asked('{"stream": true, "stream_options": {"x": 1}}') == {
        "stream": True,
        "stream_options": {"x": 1, "include_usage": True},
    }
    assert asking_for_usage(b'{"a": 1,  "stream": true}', {"a": 1, "stream": True}) == (
        b'{"stream_options":{"include_usage":true},"a": 1,  "stream": true}'
    )


CHUNKS = (
    b": hello\n\n",
    b'data: {"choices": [{"delta": {"content": "the \\"usage\\" of choices"}}], "usage": null}\n\n',
    b'data: {"choices": [], "prompt_filter_results": []}\n\n',
    b'data: {"choices": [{"delta": {}}], "usage": {"prompt_tokens": 1}}\n\n',
    b'data: {"choices": [], "usage": {"prompt_tokens": 1}}\n\n',
    b'data: {"choices": [], "usage"\n\n',
    b"data: [DONE]\n\n",
    b"data: cut of",
)


@given(st.lists(st.integers(min_value=0, max_value=400), max_size=12))
def test_only_the_chunk_of_usage_is_taken_out(cuts: list[int]) -> None:
    stream = b"".join(CHUNKS)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    passing = UsageChunkFilter()
    passed = b"".join(passing.feed(stream[a:b]) for a, b in pairwise(places)) + passing.finish()
    assert passed == b"".join(chunk for chunk in CHUNKS if chunk is not CHUNKS[4])
