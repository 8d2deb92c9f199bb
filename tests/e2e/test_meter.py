"""The meter between a client and a provider, over real sockets: what passes, what is counted, what is refused."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from chargehand.adapters.meter import Auth, Bounds, Meter, MeterRecord, MeterSpec, PriceTable, Problem, Upstream
from chargehand.dialects import Dialect, TokenUse
from chargehand.domain.errors import AdapterError, UserError
from chargehand.testing.model import ModelServer
from tests.talking import (
    KEY,
    SPEECHES,
    Speech,
    ask,
    every_dialect,
    metered,
    no_proxies,
    scenario,
    spec,
    streamed_or_not,
)

pytestmark = pytest.mark.usefixtures("no_proxies")
__all__ = ["no_proxies"]

NUMBERS = {"input": 1000, "output": 50, "cached": 600}


@every_dialect
@streamed_or_not
def test_bytes_pass_unaltered_and_are_counted(run: Any, speech: Speech, streams: bool) -> None:
    async def play() -> None:
        async with metered(scenario({"say": "Grüße. " * 40}, usage=NUMBERS)) as (server, meter):
            access = meter.open(spec(model="asked-for"))
            body = speech.body(streams, "Do it.", True)
            if speech.dialect is Dialect.CHAT and streams:
                body["stream_options"] = {"include_usage": True}
            direct = await ask(server.url, speech, streams=streams, body=body, token=KEY)
            through = await ask(access.base_url, speech, streams=streams, body=body, token=access.token)
            record = meter.look("attempt")
        assert (through.status, through.raw) == (direct.status, direct.raw)
        assert through.headers["Content-Type"] == direct.headers["Content-Type"]
        assert (record.requests, record.running, record.unread, record.failures) == (1, 0, 0, 0)
        assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (1000, 50, 600)
        assert record.tokens == 1050
        model = "gemini-2.5-pro" if speech.dialect is Dialect.GEMINI else body["model"]
        assert (record.model_asked, record.model_used) == ("asked-for", model)
        assert record.models == {model: TokenUse(input=1000, output=50, cached=600)}
        expected = {"claude-opus-4-5": 0.00355, "gpt-5.5": 0.0038, "gemini-2.5-pro": 0.001075}[model]
        assert record.usd == pytest.approx(expected)
        assert record.first_byte_s is not None
        assert record.first_byte_s > 0
        assert record.asked_at is not None
        assert record.last_byte_at is not None
        assert record.asked_at <= record.last_byte_at

    run(play())


@every_dialect
def test_the_agent_never_has_the_key_and_the_provider_never_the_token(run: Any, speech: Speech) -> None:
    async def play() -> None:
        async with metered(scenario({"say": "x"})) as (server, meter):
            access = meter.open(spec())
            hops = {"Connection": "close, X-Only-Here", "X-Only-Here": "1", "TE": "trailers", "Accept-Encoding": "br"}
            headers = {**hops, "User-Agent": "agent/1.0", "X-Kept": "yes", "Proxy-Authorization": "Basic x"}
            answer = await ask(access.base_url, speech, token=access.token, headers=headers)
            (seen,) = server.seen
        assert answer.status == 200
        assert access.token not in json.dumps(dict(seen.headers))
        assert access.token not in seen.path
        usual = {Dialect.ANTHROPIC: "x-api-key", Dialect.GEMINI: "x-goog-api-key"}.get(speech.dialect, "authorization")
        assert [name for name, value in seen.headers.items() if KEY in value] == [usual]
        assert seen.headers["accept-encoding"] == "identity"
        assert (seen.headers["user-agent"], seen.headers["x-kept"]) == ("agent/1.0", "yes")
        assert not {"x-only-here", "te", "proxy-authorization"} & set(seen.headers)
        assert seen.headers["host"] == server.url.removeprefix("http://")

    run(play())


def test_the_key_goes_where_the_settings_say(run: Any) -> None:
    async def play() -> None:
        more: dict[str, Any] = {"auth": Auth.BEARER, "headers": {"X-Title": "ours"}}
        async with metered(scenario({"say": "x"}), **more) as (server, meter):
            access = meter.open(spec())
            await ask(access.base_url, SPEECHES[Dialect.ANTHROPIC], token=access.token, headers={"x-title": "its"})
            (seen,) = server.seen
        assert seen.headers["authorization"] == f"Bearer {KEY}"
        assert "x-api-key" not in seen.headers
        assert seen.headers["x-title"] == "ours"

    run(play())


@every_dialect
def test_a_wrong_token_is_refused(run: Any, speech: Speech) -> None:
    async def play() -> None:
        async with metered(scenario({"say": "x"})) as (server, meter):
            access = meter.open(spec())
            wrong = f"http://127.0.0.1:{meter.port}/t/chm-guessed"
            assert (await ask(wrong, speech, token="chm-guessed")).status == 401
            assert (await ask(f"http://127.0.0.1:{meter.port}", speech, token="chm-guessed")).status == 401
            by_header = await ask(f"http://127.0.0.1:{meter.port}", speech, token=access.token)
            assert by_header.status == 200, "an agent that takes no path gives its token as the key"
            meter.close("attempt")
            answer = await ask(access.base_url, speech, token=access.token)
            assert answer.status == 401
            assert "token" in answer.document["error"]["message"]
            assert len(server.seen) == 1

    run(play())


@every_dialect
@streamed_or_not
def test_a_used_up_budget_ends_the_attempt(run: Any, speech: Speech, streams: bool) -> None:
    """I10: the answer that goes over is let through, the next request is refused, finally, in the dialect's words."""

    async def play() -> None:
        async with metered(scenario({"say": "x"}, usage=NUMBERS)) as (server, meter):
            tokens = meter.open(spec("tokens", tokens=2100))
            money = meter.open(spec("money", usd=0.0001))
            other = meter.open(spec("other"))
            for _ in range(2):
                assert (await ask(tokens.base_url, speech, streams=streams, token=tokens.token)).status == 200
            assert meter.look("tokens").over_budget == "2,100 of 2,100 tokens are used"
            assert (await ask(money.base_url, speech, streams=streams, token=money.token)).status == 200
            asked = len(server.seen)
            for key, access in (("tokens", tokens), ("money", money)):
                answer = await ask(access.base_url, speech, streams=streams, token=access.token)
                assert answer.status == 400
                assert answer.headers["x-should-retry"] == "false"
                error = answer.document["error"]
                assert "budget of this attempt is used up" in error["message"]
                assert "INVALID_ARGUMENT" in str(error) or error["type"] == "invalid_request_error"
                assert meter.look(key).refused == 1
            assert len(server.seen) == asked, "nothing more is paid for"
            assert meter.look("money").over_budget.endswith("of 0.0001 US dollars are used")
            assert (await ask(other.base_url, speech, streams=streams, token=other.token)).status == 200

    run(play())


def test_a_running_stream_is_let_finish(run: Any) -> None:
    """I10 is held between requests: cutting an answer off would lose what was paid for."""

    async def play() -> None:
        steps = ({"say": "a long answer " * 20, "pause_s": 0.01}, {"say": "short"})
        async with metered(scenario(*steps, usage=NUMBERS)) as (server, meter):
            access = meter.open(spec(tokens=1500))
            speech = SPEECHES[Dialect.ANTHROPIC]
            slow = asyncio.ensure_future(ask(access.base_url, speech, token=access.token))
            await server.requests(1)
            assert meter.look("attempt").running == 1
            body = speech.body(False, "Do it.", True)
            body["messages"].append({"role": "assistant", "content": "a long answer " * 20})
            assert (await ask(access.base_url, speech, streams=False, body=body, token=access.token)).text == "short"
            assert meter.look("attempt").over_budget
            assert (await ask(access.base_url, speech, token=access.token)).status == 400
            assert (await slow).text == "a long answer " * 20
            assert meter.look("attempt").input_tokens == 2000

    run(play())


@every_dialect
def test_rate_limits_and_failures_are_told(run: Any, speech: Speech) -> None:
    async def play() -> None:
        steps = ({"error": {"status": 429, "reset_s": 90}}, {"error": {"status": 503, "message": f"Key {KEY} is ill."}})
        async with metered(scenario(*steps, {"say": "x"}), now=lambda: 1_795_000_000.0) as (_, meter):
            access = meter.open(spec())
            answers = [await ask(access.base_url, speech, token=access.token) for _ in range(3)]
            record = meter.look("attempt")
        assert [answer.status for answer in answers] == [429, 503, 200]
        assert record.failures == 2
        limited, down = record.problems
        assert (limited.status, down.status, down.retry_at) == (429, 503, None)
        assert limited.retry_at is not None
        if speech.dialect is not Dialect.ANTHROPIC:  # whose reset is a date of today
            assert limited.retry_at == pytest.approx(1_795_000_090)
        assert down.text == "Key [redacted] is ill."
        assert record.requests == 3

    run(play())


@every_dialect
def test_chat_streams_are_asked_for_their_usage(run: Any, speech: Speech) -> None:
    """The agent that did not ask for the usage chunk does not get it; other dialects are left as they are."""

    async def play() -> None:
        async with metered(scenario({"say": "Hello there."}, usage=NUMBERS)) as (server, meter):
            access = meter.open(spec())
            direct = await ask(server.url, speech, token=KEY)
            through = await ask(access.base_url, speech, token=access.token)
            record = meter.look("attempt")
            sent = server.seen[1].body
        assert record.tokens == 1050
        if speech.dialect is Dialect.CHAT:
            assert sent.pop("stream_options") == {"include_usage": True}
            assert b"prompt_tokens" not in through.raw
            assert through.raw.replace(b',"usage":null', b"") == direct.raw
        else:
            assert through.raw == direct.raw
        assert sent == speech.body(True, "Do it.", True)

    run(play())


def test_a_provider_that_does_not_know_the_option_is_not_asked(run: Any) -> None:
    async def play() -> None:
        async with metered(scenario({"say": "Hello."}), asks_usage=False) as (server, meter):
            access = meter.open(spec())
            await ask(access.base_url, SPEECHES[Dialect.CHAT], token=access.token)
            assert "stream_options" not in server.seen[0].body
            record = meter.look("attempt")
        assert (record.unread, record.estimated) == (1, record.tokens)
        size = len(json.dumps(SPEECHES[Dialect.CHAT].body(True, "Do it.", True)))
        assert record.input_tokens == size // 4
        assert 1 <= record.output_tokens <= 40
        assert record.usd is not None
        assert record.usd > 0

    run(play())


@every_dialect
def test_an_answer_that_breaks_off_breaks_off_for_the_agent(run: Any, speech: Speech) -> None:
    async def play() -> None:
        async with metered(scenario({"say": "A long text. " * 20, "cut": 8}, usage=NUMBERS)) as (_, meter):
            access = meter.open(spec())
            with pytest.raises(aiohttp.ClientError):
                await ask(access.base_url, speech, token=access.token)
            record = meter.look("attempt")
        assert (record.failures, record.running) == (1, 0)
        assert record.problems[0].status == 502
        if speech.dialect in {Dialect.ANTHROPIC, Dialect.GEMINI}:  # tell what the prompt has cost before they end
            assert record.input_tokens == 1000
        else:
            assert 0 < record.input_tokens == record.estimated_input < 1000
        assert record.unread == 1
        assert record.output_tokens > 0

    run(play())


@every_dialect
def test_a_provider_that_is_not_there(run: Any, speech: Speech, unused_port: int) -> None:
    async def play() -> None:
        meter = Meter({"stub": Upstream(base_url=f"http://127.0.0.1:{unused_port}", key=KEY)}, PriceTable.packaged())
        await meter.start()
        access = meter.open(spec())
        answer = await ask(access.base_url, speech, token=access.token)
        record = meter.close("attempt")
        await meter.stop()
        assert answer.status == 502
        assert "x-should-retry" not in answer.headers
        assert "cannot be reached" in answer.document["error"]["message"]
        assert [problem.status for problem in record.problems] == [502]
        assert (record.running, record.unread) == (0, 0)

    run(play())


@pytest.fixture
def unused_port() -> int:
    """A port nobody listens on."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


@every_dialect
def test_a_provider_that_says_nothing(run: Any, speech: Speech) -> None:
    async def play() -> None:
        async with metered(scenario({"silence": "forever"}), bounds=Bounds(silence_s=0.1)) as (_, meter):
            access = meter.open(spec())
            answer = await ask(access.base_url, speech, token=access.token)
            assert answer.status == 504
            assert [problem.status for problem in meter.look("attempt").problems] == [504]

    run(play())


def test_silence_is_seen_while_it_lasts(run: Any) -> None:
    times = iter(range(100, 10_000))

    async def play() -> None:
        async with metered(scenario({"silence": "forever"}), clock=lambda: float(next(times))) as (server, meter):
            access = meter.open(spec())
            assert (meter.look("attempt").asked_at, meter.look("attempt").last_byte_at) == (None, None)
            hanging = asyncio.ensure_future(ask(access.base_url, SPEECHES[Dialect.CHAT], token=access.token))
            await server.requests(1)
            record = meter.look("attempt")
            assert (record.running, record.asked_at, record.last_byte_at) == (1, 100.0, None)
            closed = meter.close("attempt")
            assert (closed.running, closed.unread, closed.estimated) == (0, 1, closed.tokens)
            assert closed.input_tokens > 0
            with pytest.raises(aiohttp.ClientError):
                await hanging

    run(play())


def test_an_agent_that_hangs_up_ends_the_request(run: Any) -> None:
    """What nobody waits for is not paid for any longer."""

    async def play() -> None:
        gone = asyncio.Event()

        async def slow(request: web.BaseRequest) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await answer.prepare(request)
            await answer.write(b'data: {"type":"message_start","message":{"model":"m","usage":{"input_tokens":7}}}\n\n')
            try:
                await asyncio.Event().wait()
            finally:
                gone.set()
            return answer

        async with provider(slow) as meter:
            access = meter.open(spec())
            async with aiohttp.ClientSession() as session:
                body = SPEECHES[Dialect.ANTHROPIC].body(True, "Go.", False)
                async with session.post(f"{access.base_url}/v1/messages", json=body) as answer:
                    assert await answer.content.readline()
            await asyncio.wait_for(gone.wait(), 10)
            record = meter.close("attempt")
            assert (record.input_tokens, record.running) == (7, 0)

    run(play())


@asynccontextmanager
async def provider(
    handler: Callable[[web.BaseRequest], Any],
    *,
    path: str = "",
    now: Callable[[], float] = time.time,
    **more: Any,
) -> AsyncIterator[Meter]:
    """A provider that answers in some way of its own, and a meter in front of it."""
    runner = web.ServerRunner(
        web.Server(handler, handler_cancellation=True, auto_decompress=False), shutdown_timeout=0.1
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
    meter = Meter({"stub": Upstream(base_url=url, key=KEY, **more)}, PriceTable.packaged(), now=now)
    await meter.start()
    try:
        yield meter
    finally:
        await meter.stop()
        await runner.cleanup()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
@streamed_or_not
def test_compressed_answers_pass_as_they_are_and_are_read(run: Any, encoding: str, streams: bool) -> None:
    """A provider may compress although it was asked not to; what nobody here can unpack counts as unread."""
    usage = {"prompt_tokens": 11, "completion_tokens": 3}
    document = json.dumps({"model": "m", "choices": [], "usage": usage}).encode()
    plain = b"data: %b\n\ndata: [DONE]\n\n" % document if streams else document
    packed = {"gzip": gzip.compress(plain), "deflate": zlib.compress(plain), "br": b"\x0b\x02\x80brotli\x03"}[encoding]

    async def compressed(request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        kind = "text/event-stream" if streams else "application/json"
        headers = {"Content-Encoding": encoding, "Content-Type": kind}
        return web.Response(body=packed, headers=headers)

    async def play() -> None:
        async with provider(compressed) as meter, aiohttp.ClientSession(auto_decompress=False) as session:
            access = meter.open(spec())
            body = {"model": "m", "stream": streams, "stream_options": {"include_usage": True}, "messages": []}
            async with session.post(f"{access.base_url}/v1/chat/completions", json=body) as answer:
                assert await answer.read() == packed
                assert answer.headers["Content-Encoding"] == encoding
            record = meter.look("attempt")
        expected = (len(json.dumps(body)) // 4, len(packed), 1) if encoding == "br" else (11, 3, 0)
        assert (record.input_tokens, record.output_tokens, record.unread) == expected
        assert record.estimated == (record.tokens if encoding == "br" else 0)
        assert (record.usd, record.unpriced) == (None, ("m",))

    run(play())


def test_pieces_arrive_as_they_are_sent(run: Any) -> None:
    """Nothing is held back until more has come: the provider waits for the client before it goes on."""

    async def play() -> None:
        heard = asyncio.Event()

        async def turns(request: web.BaseRequest) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await answer.prepare(request)
            for piece in (b'data: {"type": "mess', b'age_start"}\n', b"\n", b"data: [DONE]\n\n"):
                await answer.write(piece)
                await heard.wait()
                heard.clear()
            await answer.write_eof()
            return answer

        async with provider(turns) as meter, aiohttp.ClientSession() as session:
            access = meter.open(spec())
            got = []
            async with session.post(f"{access.base_url}/v1/messages", json={"stream": True}) as answer:
                while piece := await answer.content.readany():
                    got.append(piece)
                    heard.set()
        assert got == [b'data: {"type": "mess', b'age_start"}\n', b"\n", b"data: [DONE]\n\n"]

    run(play())


def test_what_is_passed_on_and_what_is_not(run: Any) -> None:
    """Whatever else a key opens is not opened by a token: batches, files, administration, other paths of the host."""

    async def echo(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"path": request.raw_path, "key": request.headers.get("Authorization", "")})

    async def play() -> None:
        async with provider(echo, path="/api/v1", also=("/embeddings",)) as meter, aiohttp.ClientSession() as session:
            access = meter.open(spec())

            async def status(method: str, path: str) -> int:
                from yarl import URL

                url = URL(access.base_url + path, encoded=True)
                async with session.request(method, url, headers={"Authorization": f"Bearer {access.token}"}) as answer:
                    passed[:] = [(await answer.json()).get("path")]
                    return answer.status

            passed: list[Any] = []
            assert await status("GET", "/v1/models?limit=3&key=chm-x") == 200
            assert passed == ["/api/v1/models?limit=3"]
            assert await status("GET", "/v1/models/a%2Fb") == 200
            assert passed == ["/api/v1/models/a%2Fb"]
            assert await status("GET", "/v1beta/openai/models") == 200
            assert await status("POST", "/v1/messages/count_tokens") == 200
            assert await status("POST", "/v1beta/models/m:countTokens") == 200
            assert await status("POST", "/v1/embeddings") == 200
            for method, path in (
                ("POST", "/v1/messages/batches"),
                ("GET", "/v1/files"),
                ("DELETE", "/v1/models/m"),
                ("GET", "/v1/organizations/users"),
                ("GET", "/v1/models/../files"),
                ("GET", "/v1/models/%2e%2e/files"),
                ("POST", "/v1/x/../../admin/v1/messages"),
                ("GET", "/v1/messages"),
                ("POST", "/v1beta/models/m:embedContent"),
                ("POST", "/v1beta/models/m:batchGenerateContent"),
                ("POST", "/v1beta/models/m:predictLongRunning"),
                ("GET", "/v1/responses/resp_1"),
                ("POST", "/v1/responses/resp_1/cancel"),
                ("POST", "/v1/images/generations"),
                ("POST", "/v1/audio/speech"),
                ("POST", "/v1/threads/thread_1/messages"),
                ("POST", "/v1/evals/responses"),
                ("POST", "/v1/fine-tunes/models/m:generateContent"),
                ("GET", "/v1/fine_tuning/models"),
                ("GET", "/v1/usage/models"),
            ):
                assert await status(method, path) == 404, path
            assert meter.look("attempt").requests == 0

    run(play())


def test_too_large_a_request(run: Any) -> None:
    async def play() -> None:
        async with metered(scenario({"say": "x"}), bounds=Bounds(request_bytes=5000)) as (server, meter):
            access = meter.open(spec())
            for speech in SPEECHES.values():
                answer = await ask(access.base_url, speech, prompt="x" * 6000, token=access.token)
                assert answer.status == 413
                assert "larger than 5,000 bytes" in answer.document["error"]["message"]
            assert not server.seen

    run(play())


def test_errors_in_the_middle_of_a_stream_are_told(run: Any) -> None:
    """An overloaded provider says so after it has said 200."""

    async def play() -> None:
        async def overloaded(request: web.BaseRequest) -> web.StreamResponse:
            start = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 7}}}
            text = f"Overloaded, key {KEY}. Try again in 20s."
            error = {"type": "error", "error": {"type": "overloaded_error", "message": text}}
            events = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in (start, error))
            return web.Response(body=events, content_type="text/event-stream")

        async with provider(overloaded, now=lambda: 1000.0) as meter, aiohttp.ClientSession() as session:
            access = meter.open(spec())
            async with session.post(f"{access.base_url}/v1/messages", json={"stream": True}) as answer:
                assert (answer.status, b"overloaded_error" in await answer.read()) == (200, True)
            record = meter.look("attempt")
        assert record.problems == (
            Problem(status=529, retry_at=1020.0, text="Overloaded, key [redacted]. Try again in 20s."),
        )
        assert record.input_tokens == 7

    run(play())


def test_a_chat_stream_without_its_last_line(run: Any) -> None:
    """What the filter of usage holds back comes out at the end."""

    async def play() -> None:
        raw = b'data: {"model": "m", "choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]'

        async def lacking(request: web.BaseRequest) -> web.StreamResponse:
            assert b"include_usage" in await request.read()
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await answer.prepare(request)
            for piece in (raw[:9], raw[9:]):
                await answer.write(piece)
                await asyncio.sleep(0.02)
            return answer

        async with provider(lacking) as meter, aiohttp.ClientSession() as session:
            access = meter.open(spec())
            async with session.post(f"{access.base_url}/v1/chat/completions", json={"stream": True}) as answer:
                assert await answer.read() == raw
            assert meter.look("attempt").unread == 1

    run(play())


def test_too_many_requests_at_once(run: Any) -> None:
    """Whatever an agent does, the coordinator's memory is bounded."""

    async def play() -> None:
        async with metered(scenario({"silence": "forever", "times": 2}, {"say": "x"}), bounds=Bounds(parallel=2)) as (
            server,
            meter,
        ):
            access, other = meter.open(spec()), meter.open(spec("other"))
            speech = SPEECHES[Dialect.CHAT]
            hanging = [asyncio.ensure_future(ask(access.base_url, speech, token=access.token)) for _ in range(2)]
            await server.requests(2)
            answer = await ask(access.base_url, speech, token=access.token)
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
            assert (await ask(other.base_url, speech, token=other.token)).status == 200
            meter.close("attempt")
            for one in await asyncio.gather(*hanging, return_exceptions=True):
                assert isinstance(one, aiohttp.ClientError)

    run(play())


def test_a_client_that_waits_to_be_told_to_send(run: Any) -> None:
    async def play() -> None:
        async with metered(scenario({"say": "x"})) as (_, meter):
            access = meter.open(spec())
            reader, writer = await asyncio.open_connection("127.0.0.1", meter.port)
            body = json.dumps(SPEECHES[Dialect.CHAT].body(False, "Go.", False)).encode()
            path = access.base_url.split(str(meter.port))[1] + "/v1/chat/completions"
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode())
            assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200 ")
            writer.close()
            await writer.wait_closed()

    run(play())


def test_an_upstream_connection_is_used_again(run: Any) -> None:
    async def play() -> None:
        peers = set()

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            assert request.transport is not None
            peers.add(request.transport.get_extra_info("peername"))
            await request.read()
            return web.json_response(
                {"type": "message", "model": "m", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}
            )

        async with provider(answer) as meter:
            access = meter.open(spec())
            for _ in range(5):
                await ask(access.base_url, SPEECHES[Dialect.ANTHROPIC], token=access.token)
            assert meter.look("attempt").tokens == 10
        assert len(peers) == 1

    run(play())


def test_a_proxy_of_the_environment(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        asked = []

        async def forward(request: web.BaseRequest) -> web.StreamResponse:
            asked.append(request.raw_path)
            return web.json_response({"model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1}})

        runner = web.ServerRunner(web.Server(forward))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{runner.addresses[0][1]}")
        meter = Meter({"stub": Upstream(base_url="http://provider.invalid", key=KEY)}, PriceTable.packaged())
        await meter.start()
        access = meter.open(spec())
        answer = await ask(access.base_url, SPEECHES[Dialect.CHAT], streams=False, token=access.token)
        await meter.stop()
        assert answer.status == 200
        assert asked == ["http://provider.invalid/v1/chat/completions"]
        await runner.cleanup()
        monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
        with pytest.raises(UserError, match="through a socks5 proxy"):
            await meter.start()
        monkeypatch.setenv("no_proxy", "provider.invalid")
        await meter.start()
        await meter.stop()

    run(play())


def test_nothing_is_logged(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        async with metered(scenario({"error": 500}, {"say": "x", "cut": 1}, {"say": "secret words"})) as (_, meter):
            access = meter.open(spec())
            for speech in SPEECHES.values():
                assert (await ask(access.base_url, speech, prompt=speech.dialect, token=access.token)).status == 500
                with pytest.raises(aiohttp.ClientError):
                    await ask(access.base_url, speech, prompt=speech.dialect, token=access.token)
            reader, writer = await asyncio.open_connection("127.0.0.1", meter.port)
            writer.write(b"POST /t/" + access.token.encode() + b" NONSENSE\r\n\r\n")
            assert b"400" in await reader.readline()
            writer.close()
            await writer.wait_closed()
            assert KEY not in repr(meter.look("attempt"))
            assert KEY not in repr(Upstream(base_url="x", key=KEY))

    with caplog.at_level(logging.DEBUG):
        run(play())
    assert [one for one in caplog.records if one.name != "asyncio"] == []


def test_opening_looking_closing(run: Any) -> None:
    async def play() -> None:
        meter = Meter({"stub": Upstream(base_url="http://127.0.0.1:1")}, PriceTable.packaged())
        with pytest.raises(AdapterError, match="not started"):
            meter.open(spec())
        with pytest.raises(AdapterError, match="not started"):
            await meter.listen(Path("/nowhere"))
        await meter.start()
        with pytest.raises(UserError, match="no model provider called other; there are: stub"):
            meter.open(MeterSpec(key="k", upstream="other"))
        first, again = meter.open(spec()), meter.open(spec())
        assert first.token != again.token
        assert again.base_url == f"http://127.0.0.1:{meter.port}/t/{again.token}"
        assert meter.look("unknown") == MeterRecord() == meter.close("unknown")
        assert meter.close("attempt") == MeterRecord()
        await meter.stop()
        await meter.stop()
        with pytest.raises(UserError, match="must begin with https://"):
            await Meter({"bad": Upstream(base_url="api.example.com")}, PriceTable.packaged()).start()

    run(play())


def test_a_body_that_cannot_be_read_is_not_passed_on(run: Any) -> None:
    """I10: whoever reads it differently would be paid for what was never counted."""

    async def play() -> None:
        async with ModelServer(scenario({"say": "x"})) as server:
            meter = Meter({"stub": Upstream(base_url=server.url)}, PriceTable.packaged())
            await meter.start()
            access = meter.open(spec())
            async with aiohttp.ClientSession() as session:
                for body in (b"{", b"", b"[]", b"[" * 100_000, b'{"n":' + b"1" * 5000 + b"}"):
                    async with session.post(f"{access.base_url}/v1/messages", data=body) as answer:
                        assert answer.status == 400
                        assert "no JSON object" in (await answer.json())["error"]["message"]
            assert not server.seen
            assert meter.look("attempt").requests == 0
            await meter.stop()

    run(play())


def test_a_budget_is_used_up_before_its_stream_has_ended(run: Any) -> None:
    """I10: a client goes on at the last event it waits for; the connection may stay open long after that."""

    async def play() -> None:
        done = asyncio.Event()

        async def lingering(request: web.BaseRequest) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await answer.prepare(request)
            start = {"type": "message_start", "message": {"model": "claude-opus-4-5", "usage": {"input_tokens": 900}}}
            last = {"type": "message_delta", "usage": {"output_tokens": 100}}
            for event in (start, last, {"type": "message_stop"}):
                await answer.write(b"data: %b\n\n" % json.dumps(event).encode())
            await done.wait()
            return answer

        async with provider(lingering) as meter, aiohttp.ClientSession() as session:
            for key, limit in (("tokens", {"tokens": 1000}), ("money", {"usd": 0.007})):
                done.clear()
                access = meter.open(spec(key, **limit))
                body = SPEECHES[Dialect.ANTHROPIC].body(True, "Go.", False)
                async with session.post(f"{access.base_url}/v1/messages", json=body) as first:
                    while b"message_stop" not in await first.content.readline():
                        pass
                    assert meter.look(key).running == 1
                    async with session.post(f"{access.base_url}/v1/messages", json=body) as second:
                        assert second.status == 400
                    done.set()
                    await first.read()
                assert meter.look(key).tokens == 1000

    run(play())


# -- bounds that hold although nobody tells -------------------------------------------------------


def deltas(count: int) -> bytes:
    """The beginning of a Chat Completions stream, of so many words; nobody tells usage."""
    pieces = [
        {"model": "gpt-5.5", "choices": [{"delta": {"content": f" word{number % 10}"}}]} for number in range(count)
    ]
    return b"".join(b"data: %b\n\n" % json.dumps(piece).encode() for piece in pieces)


def test_an_agent_that_hangs_up_again_and_again_runs_out(run: Any) -> None:
    """I10: usage that is never told is guessed, told as such, and ends the attempt like any other."""

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(deltas(100))
        await asyncio.Event().wait()
        return answer

    async def play() -> None:
        async with provider(endless) as meter:
            access = meter.open(spec(tokens=3000, usd=1.0))
            body = SPEECHES[Dialect.CHAT].body(True, "x" * 4000, False)
            statuses = []
            while 400 not in statuses:
                async with aiohttp.ClientSession() as session:
                    url = f"{access.base_url}/v1/chat/completions"
                    async with session.post(url, json=body) as answer:
                        statuses.append(answer.status)
                        if answer.status == 200:
                            await answer.content.readuntil(b"word9")
                assert len(statuses) < 10
            record = meter.close("attempt")
        assert statuses == [200, 200, 200, 400]
        assert (record.unread, record.refused) == (3, 1)
        assert record.over_budget
        assert record.estimated == record.tokens
        assert 3 * 1000 <= record.input_tokens <= 3 * 1100
        assert 3 * 100 <= record.output_tokens <= 3 * 150
        assert record.usd is not None
        assert record.usd > 0.01

    run(play())


def test_what_a_stream_told_is_kept_and_the_rest_is_guessed(run: Any) -> None:
    """I10: Anthropic tells the prompt first and the answer last; one that fails in between is counted by its bytes."""

    async def failing(request: web.BaseRequest) -> web.StreamResponse:
        start = {"type": "message_start", "message": {"model": "claude-opus-4-5", "usage": {"input_tokens": 900}}}
        delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "four letter words"}}
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        return web.Response(
            body=b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in (start, *[delta] * 30, error)),
            content_type="text/event-stream",
        )

    async def play() -> None:
        async with provider(failing) as meter:
            access = meter.open(spec())
            await ask(access.base_url, SPEECHES[Dialect.ANTHROPIC], token=access.token)
            record = meter.look("attempt")
        assert (record.input_tokens, record.estimated_input) == (900, 0)
        assert record.output_tokens == record.estimated_output == 30
        assert (record.failures, record.unread) == (1, 1)

    run(play())


def test_an_answer_nobody_can_read_is_counted_by_its_size(run: Any) -> None:
    """I10."""

    async def nonsense(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b'{"choices": [' + b"x" * 4000, content_type="application/json")

    async def play() -> None:
        async with provider(nonsense) as meter, aiohttp.ClientSession() as session:
            access = meter.open(spec(tokens=1000))
            async with session.post(f"{access.base_url}/v1/chat/completions", json={"model": "gpt-5.5"}) as answer:
                assert answer.status == 200
            record = meter.look("attempt")
        assert record.estimated_output == 1003
        assert record.over_budget

    run(play())


@every_dialect
def test_money_is_bounded_where_a_model_has_no_price(run: Any, speech: Speech) -> None:
    """I10: it counts as the dearest; without a limit of money nothing is held."""

    async def play() -> None:
        numbers = {"input": 10_000, "output": 1000}
        async with metered(scenario({"say": "x", "model": "unheard-of", "times": "forever"}, usage=numbers)) as (
            _,
            meter,
        ):
            bounded, free = meter.open(spec("bounded", usd=0.5)), meter.open(spec("free"))
            answers = [await ask(bounded.base_url, speech, token=bounded.token) for _ in range(4)]
            assert [answer.status for answer in answers] == [200, 200, 400, 400]
            assert "without a price" in answers[-1].document["error"]["message"]
            for _ in range(4):
                assert (await ask(free.base_url, speech, token=free.token)).status == 200
            record = meter.look("bounded")
            assert meter.look("free").refused == 0
        assert (record.usd, record.refused, record.unpriced) == (None, 2, ("unheard-of",))
        assert record.held_usd > 0.5

    run(play())


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/compact"])
def test_an_answer_in_the_background_is_refused(run: Any, path: str) -> None:
    """I10: its usage would be told to whoever asks for it later, and the meter passes no such question."""

    async def play() -> None:
        async with metered(scenario({"say": "x"})) as (server, meter), aiohttp.ClientSession() as session:
            access = meter.open(spec())
            body = {**SPEECHES[Dialect.RESPONSES].body(False, "Go.", False), "background": True}
            async with session.post(access.base_url + path, json=body) as answer:
                told = (await answer.json())["error"]
                assert (answer.status, answer.headers["x-should-retry"]) == (400, "false")
            assert "without `background`" in told["message"]
            assert told["code"] == "unsupported_parameter"
            assert not server.seen
            async with session.get(f"{access.base_url}/v1/responses/resp_1") as answer:
                assert answer.status == 404
            body["background"] = False
            async with session.post(f"{access.base_url}/v1/responses", json=body) as answer:
                assert answer.status == 200

    run(play())


@every_dialect
def test_many_at_once_overshoot_by_one_answer(run: Any, speech: Speech) -> None:
    """I10: what is under way is reserved; the others wait until it is known, and are then passed or refused."""

    async def play() -> None:
        numbers = {"input": 200, "output": 1000}
        wordings: dict[Dialect, Any] = {Dialect.ANTHROPIC: {"max_tokens": 1000}}
        wordings |= {Dialect.RESPONSES: {"max_output_tokens": 1000}, Dialect.CHAT: {"max_completion_tokens": 1000}}
        wordings |= {Dialect.GEMINI: {"generationConfig": {"maxOutputTokens": 1000}}}
        step = {"say": "x" * 20, "pause_s": 0.01, "times": "forever"}
        for streams in (True, False):
            async with metered(scenario(step, usage=numbers)) as (server, meter):
                access = meter.open(spec(tokens=3000))
                body = {**speech.body(streams, "Go.", False), **wordings[speech.dialect]}
                asking = [
                    ask(access.base_url, speech, streams=streams, body=body, token=access.token) for _ in range(12)
                ]
                answers = await asyncio.gather(*asking)
                record = meter.look("attempt")
            statuses = sorted(answer.status for answer in answers)
            assert statuses == [200] * 3 + [400] * 9
            assert (record.tokens, record.refused, record.running) == (3600, 9, 0)
            assert len(server.seen) == 3

    run(play())


def test_a_request_is_held_no_longer_than_it_is_worth(run: Any) -> None:
    """A client has a patience of its own: it is told to ask again, and nothing is paid."""

    async def play() -> None:
        plan = scenario({"silence": "forever", "times": 1}, {"say": "x"})
        async with metered(plan, bounds=Bounds(hold_s=0.05)) as (server, meter):
            access, speech = meter.open(spec(tokens=1000)), SPEECHES[Dialect.ANTHROPIC]
            hanging = asyncio.ensure_future(ask(access.base_url, speech, token=access.token))
            await server.requests(1)
            answer = await ask(access.base_url, speech, token=access.token)
            assert (answer.status, answer.headers["Retry-After"]) == (429, "5")
            assert "x-should-retry" not in answer.headers
            assert meter.look("attempt").refused == 0
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)

    run(play())


def test_who_is_held_goes_with_its_attempt(run: Any) -> None:
    async def play() -> None:
        plan = scenario({"silence": "forever", "times": 1}, {"say": "x"})
        async with metered(plan) as (server, meter):
            access, speech = meter.open(spec(tokens=1000)), SPEECHES[Dialect.CHAT]
            both = [asyncio.ensure_future(ask(access.base_url, speech, token=access.token)) for _ in range(2)]
            await server.requests(1)
            while meter.look("attempt").running < 2:  # noqa: ASYNC110 - who waits there tells nobody
                await asyncio.sleep(0)
            closed = meter.close("attempt")
            assert (closed.requests, closed.unread) == (1, 1), "the one that was held has used nothing"
            for one in await asyncio.gather(*both, return_exceptions=True):
                assert isinstance(one, aiohttp.ClientError)

    run(play())
