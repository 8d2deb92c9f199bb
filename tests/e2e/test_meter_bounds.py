"""What agents could do to a meter: hang up on what is thought, lean on what it never saw, have others reach out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from chargehand.adapters.meter import Meter, PriceTable, Upstream
from chargehand.adapters.meter.headers import address
from chargehand.dialects import Dialect
from tests.talking import KEY, SPEECHES, ask, metered, no_proxies, scenario, spec

pytestmark = pytest.mark.usefixtures("no_proxies")
__all__ = ["no_proxies"]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@asynccontextmanager
async def provider(handler: Callable[[web.BaseRequest], Any], clock: Clock) -> AsyncIterator[Meter]:
    """A provider that answers in some way of its own, and a meter in front of it."""
    runner = web.ServerRunner(web.Server(handler, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    meter = Meter({"stub": Upstream(base_url=url, key=KEY)}, PriceTable.packaged(), clock=clock)
    await meter.start()
    try:
        yield meter
    finally:
        await meter.stop()
        await runner.cleanup()


def refusing(body: str) -> AbstractAsyncContextManager[Meter]:
    """A provider that answers each request with an error of these words."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=401, text=body)

    return provider(handler, Clock())


def thinking(first: Any, clock: Clock, left: asyncio.Event | None = None) -> AbstractAsyncContextManager[Meter]:
    """A provider that sends one small event and then thinks for ever; `left` is set when nobody waits any more."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: %b\n\n" % json.dumps(first).encode())
        try:
            await asyncio.Event().wait()
        finally:
            if left is not None:
                left.set()
        return answer

    return provider(handler, clock)


SMALL = {
    Dialect.ANTHROPIC: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}},
    Dialect.CHAT: {"model": "gpt-5.5", "choices": [{"delta": {"content": "x"}}]},
    Dialect.RESPONSES: {"type": "response.output_text.delta", "delta": "x"},
}
STARTED = {"type": "message_start", "message": {"model": "claude-opus-4-5", "usage": {"input_tokens": 900}}}


@pytest.mark.parametrize(
    ("dialect", "event", "seconds", "output"),
    [
        *((dialect, event, 6.0, 600) for dialect, event in SMALL.items()),
        (Dialect.ANTHROPIC, STARTED, 6.0, 600),
        (Dialect.ANTHROPIC, STARTED, 60.0, 1000),
        (Dialect.CHAT, SMALL[Dialect.CHAT], 0.0, 1),
    ],
)
def test_who_hangs_up_on_what_is_thought_has_it_counted(
    run: Any, dialect: Dialect, event: dict[str, Any], seconds: float, output: int
) -> None:
    """I10: a small event is no sign that nothing else was made; the time counts, up to what was reserved."""
    clock = Clock()

    async def play() -> None:
        async with thinking(event, clock) as meter:
            access = meter.open(spec())
            speech = SPEECHES[dialect]
            async with aiohttp.ClientSession(headers=speech.auth(access.token)) as session:
                body = speech.body(True, "x", False)
                async with session.post(access.base_url + speech.path(True), json=body) as answer:
                    await answer.content.readuntil(b"\n\n")
                    clock.at += seconds
            record = meter.close("attempt")
        assert (record.output_tokens, record.estimated_output, record.unread) == (output, output, 1)

    run(play())


RESPONSES = SPEECHES[Dialect.RESPONSES]


def test_what_the_provider_kept_is_reserved_like_the_longest_before(run: Any) -> None:
    """I10: three words behind a long conversation cost the conversation, told or not."""

    async def play() -> None:
        async with metered(scenario({"say": "x"}, usage={"input": 5000, "output": 100})) as (server, meter):
            access = meter.open(spec(tokens=100_000))
            body = RESPONSES.body(False, "x", False)
            later = {**body, "previous_response_id": "resp_1"}
            first = await ask(access.base_url, RESPONSES, body=later, token=access.token)
            assert (first.status, len(server.seen)) == (400, 0), "nobody knows how long it is"
            assert "conversation" in first.document["error"]["message"]
            assert (await ask(access.base_url, RESPONSES, body=body, token=access.token)).status == 200
            assert (await ask(access.base_url, RESPONSES, body=later, token=access.token)).status == 200
            unbounded = meter.open(spec("free"))
            assert (await ask(unbounded.base_url, RESPONSES, body=later, token=unbounded.token)).status == 200

    run(play())


def test_a_conversation_that_was_hung_up_on_counts_in_full(run: Any) -> None:
    """I10."""

    async def play() -> None:
        left = asyncio.Event()
        async with thinking(SMALL[Dialect.RESPONSES], Clock(), left) as meter:
            access = meter.open(spec())
            async with aiohttp.ClientSession(headers=RESPONSES.auth(access.token)) as session:
                body = RESPONSES.body(True, "x" * 8000, False)
                later = {**RESPONSES.body(True, "x", False), "previous_response_id": "resp_1"}
                for each in (body, later):
                    async with session.post(access.base_url + RESPONSES.path(True), json=each) as answer:
                        await answer.content.readuntil(b"\n\n")
                    await left.wait()
                    left.clear()
            record = meter.close("attempt")
        assert record.input_tokens > 2 * 2000

    run(play())


@pytest.mark.parametrize("bound", [{"usd": 1.0}, {"is_fenced": True}])
def test_a_provider_that_is_bounded_only_answers(run: Any, bound: dict[str, Any]) -> None:
    """I10, SPEC 7.1: nothing is fetched, run or hurried; where nothing bounds the agent, it may ask for all of it."""
    speech = SPEECHES[Dialect.ANTHROPIC]
    picture = {"type": "image", "source": {"type": "url", "url": "https://evil.example/?q=words"}}

    async def play() -> None:
        async with metered(scenario({"say": "x"})) as (server, meter):
            access, free = meter.open(spec(**bound)), meter.open(spec("free"))
            body = speech.body(False, "x", False)
            asked = {**body, "messages": [{"role": "user", "content": [picture]}]}
            told = await ask(access.base_url, speech, body=asked, token=access.token)
            assert (told.status, "source url" in told.document["error"]["message"]) == (400, True)
            hurried = await ask(access.base_url, speech, body={**body, "speed": "fast"}, token=access.token)
            assert hurried.status == 400
            url = f"{access.base_url}/v1/messages/count_tokens"
            async with (
                aiohttp.ClientSession(headers=speech.auth(access.token)) as session,
                session.post(url, json=asked) as counted,
            ):
                assert counted.status == 400, "what is counted is fetched, too"
            assert not server.seen
            assert (await ask(free.base_url, speech, body=asked, token=free.token)).status == 200

    run(play())


def test_a_body_that_says_something_twice_is_not_passed_on(run: Any) -> None:
    """I10: the meter reads one of them, its provider the other."""

    async def play() -> None:
        async with metered(scenario({"say": "x"})) as (server, meter):
            access = meter.open(spec())
            text = b'{"model": "gpt-5.5-mini", "model": "gpt-5.5", "messages": [{"role": "user", "content": "x"}]}'
            async with (
                aiohttp.ClientSession(headers={"Authorization": f"Bearer {access.token}"}) as session,
                session.post(f"{access.base_url}/v1/chat/completions", data=text) as answer,
            ):
                assert answer.status == 400
                assert "twice" in (await answer.json())["error"]["message"]
            assert not server.seen

    run(play())


@pytest.mark.parametrize("whole", [True, False])
def test_half_a_key_is_never_told(run: Any, whole: bool) -> None:
    """SPEC 7.3: a provider may repeat the key that it refuses; it is taken out before the words are cut."""
    message = "x" * (1000 - len(KEY) // 2) + KEY + " is wrong"

    async def play() -> None:
        async with refusing(json.dumps({"error": {"message": message}}) if whole else message) as meter:
            access = meter.open(spec())
            await ask(access.base_url, SPEECHES[Dialect.CHAT], token=access.token)
            (problem,) = meter.look("attempt").problems
        assert len(problem.text) <= 1000
        assert KEY[:8] not in problem.text

    run(play())


def test_who_pays_and_what_is_asked_is_the_users_to_say(run: Any) -> None:
    """SPEC 7: headers and parameters that name another account or method stay here; those of the settings go on."""
    theirs = {"OpenAI-Organization": "org-x", "OpenAI-Project": "p", "X-Goog-User-Project": "p"}
    theirs |= {"X-HTTP-Method-Override": "DELETE", "X-Kept": "yes"}

    async def play() -> None:
        async with metered(scenario({"say": "x"}), headers={"OpenAI-Organization": "org-ours"}) as (server, meter):
            access = meter.open(spec())
            speech = SPEECHES[Dialect.CHAT]
            async with aiohttp.ClientSession(headers=speech.auth(access.token) | theirs) as session:
                url = access.base_url + speech.path(False)
                async with session.post(url, json=speech.body(False, "x", False)) as answer:
                    assert answer.status == 200
            (seen,) = server.seen
        assert seen.headers["openai-organization"] == "org-ours"
        assert seen.headers["x-kept"] == "yes"
        assert not {"openai-project", "x-goog-user-project", "x-http-method-override"} & set(seen.headers)
        query = "%24httpMethod=DELETE&$userProject=p&k%65y=x&$alt=json&beta=true"
        assert address(Upstream(base_url="https://x"), "/v1/messages", query) == (
            "https://x/v1/messages?%24alt=json&beta=true"
        )

    run(play())
