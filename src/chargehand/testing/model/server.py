"""The server of the scripted model: HTTP on the loopback interface, one handler for all dialects."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from chargehand.dialects import Dialect, Errand, Refusal, Route, refusal, route
from chargehand.domain.errors import AdapterError

from .answers import document, events
from .conversation import Conversation, read_conversation
from .player import Player, Turn
from .scenario import Error, Scenario

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["ModelServer", "Seen", "serving"]

_MOST_REQUEST_BYTES = 256 * 1024 * 1024
_MOST_SEEN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request that came in: `headers` have lower-case names, `body` is None when it was no JSON.

    `play` and `step` say where in the scenario it was answered from (-1: nowhere), `results` what the tools had
    answered before it, `wrong` what the scenario asked for in vain.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any = None
    dialect: str = ""
    model: str = ""
    play: int = -1
    step: int = -1
    results: tuple[str, ...] = ()
    wrong: str = ""


class ModelServer:
    """Plays a scenario on 127.0.0.1. `key` is the only key it takes, when one is given; `port` 0 takes a free one."""

    def __init__(self, scenario: Scenario, *, port: int = 0, key: str | None = None) -> None:
        self.seen: deque[Seen] = deque(maxlen=_MOST_SEEN)
        self._scenario = scenario
        self._player = Player(scenario)
        self._port = port
        self._key = key
        self._runner: web.ServerRunner | None = None
        self._closing = asyncio.Event()
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        """The address below which all dialects answer, without a slash at its end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def wrong(self) -> list[str]:
        """What the scenario asked for in vain: a test should find nothing here."""
        return [seen.wrong for seen in self.seen if seen.wrong]

    async def requests(self, count: int) -> None:
        """Wait until so many requests have come in, of the last 10,000."""
        while len(self.seen) < count:
            self._news.clear()
            await self._news.wait()

    async def __aenter__(self) -> Self:
        from aiohttp import web

        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    # -- a request --------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import web

        request = request.clone(client_max_size=_MOST_REQUEST_BYTES)
        path, name = _named(request.path)
        if path == "/-/seen":
            return web.json_response([_public(seen) for seen in self.seen])
        taken = route(request.method, path)
        raw = await request.read()
        try:
            body = json.loads(raw) if raw else None
        except (ValueError, RecursionError):
            body = None
        seen = Seen(
            method=request.method,
            path=request.path,
            headers={key.lower(): value for key, value in request.headers.items()},
            body=body,
            dialect=taken.dialect or "",
        )
        if self._key is not None and self._key not in _keys(request):
            self._saw(seen)
            return _refused(refusal(taken.dialect, 401, "The key is wrong."))
        if taken.errand is not Errand.GENERATE or taken.dialect is None:
            self._saw(seen)
            return self._aside(taken, path, body)
        if not isinstance(body, dict):
            self._saw(seen)
            return _refused(refusal(taken.dialect, 400, "The body is no JSON object."))
        return await self._generate(request, taken, seen, name)

    def _aside(self, taken: Route, path: str, body: object) -> web.StreamResponse:
        """Counts of tokens and lists of models: constants, as far as they can be."""
        from aiohttp import web

        tokens = len(json.dumps(body)) // 4
        if taken.errand is Errand.COUNT:
            counted: dict[Dialect | None, dict[str, Any]] = {
                Dialect.ANTHROPIC: {"input_tokens": tokens},
                Dialect.GEMINI: {"totalTokens": tokens},
                Dialect.RESPONSES: {"object": "response.input_tokens", "input_tokens": tokens},
            }
            return web.json_response(counted[taken.dialect])
        if taken.dialect is Dialect.GEMINI:
            models = [
                {"name": f"models/{name}", "supportedGenerationMethods": ["generateContent", "countTokens"]}
                for name in self._scenario.models
            ]
            return web.json_response({"models": models})
        if path.rstrip("/").endswith("/models"):
            data = [
                {"id": name, "object": "model", "type": "model", "display_name": name, "owned_by": "scripted"}
                for name in self._scenario.models
            ]
            return web.json_response({"object": "list", "data": data, "has_more": False})
        return _refused(refusal(taken.dialect, 404, f"The scripted model has nothing at {path}."))

    async def _generate(self, request: web.BaseRequest, taken: Route, seen: Seen, name: str) -> web.StreamResponse:
        conversation = read_conversation(taken, seen.body)
        turn = self._player.turn(conversation, name)
        self._saw(
            replace(
                seen,
                model=conversation.model,
                play=turn.play,
                step=turn.index,
                results=conversation.results,
                wrong=turn.wrong,
            )
        )
        if turn.answer is None:
            return await self._fail(request, turn, conversation)
        if turn.step.delay_s:
            await self._pause(turn.step.delay_s)
        if conversation.streams:
            return await self._stream(request, turn, conversation)
        return await self._whole(request, turn, conversation)

    def _saw(self, seen: Seen) -> None:
        self.seen.append(seen)
        self._news.set()

    async def _whole(self, request: web.BaseRequest, turn: Turn, conversation: Conversation) -> web.StreamResponse:
        from aiohttp import web

        assert turn.answer is not None
        body = json.dumps(document(conversation.dialect, turn.answer)).encode()
        if turn.cut is None:
            return web.Response(body=body, content_type="application/json")
        answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        await answer.prepare(request)
        await answer.write(body[: len(body) // 2])
        return _cut(request, answer)

    async def _stream(self, request: web.BaseRequest, turn: Turn, conversation: Conversation) -> web.StreamResponse:
        assert turn.answer is not None
        made = events(conversation.dialect, turn.answer, tells_usage=conversation.tells_usage)
        is_array = conversation.dialect is Dialect.GEMINI and request.query.get("alt") != "sse"
        answer = _begin("application/json" if is_array else "text/event-stream")
        await answer.prepare(request)
        for number, event in enumerate(made):
            if turn.cut is not None and number >= turn.cut:
                return _cut(request, answer)
            if number and turn.step.pause_s:
                await self._pause(turn.step.pause_s)
            piece = event if not is_array else (b"," if number else b"[") + event[len(b"data: ") :]
            await answer.write(piece)
        if is_array:
            await answer.write(b"]")
        await answer.write_eof()
        return answer

    async def _fail(self, request: web.BaseRequest, turn: Turn, conversation: Conversation) -> web.StreamResponse:
        """A fault: an error, no answer at all, or one that cannot be read."""
        from aiohttp import web

        step = turn.step
        if step.error is not None:
            return _refused(_told(step.error, conversation.dialect), body=step.error.body)
        if step.silence is not None:
            await self._pause(None if step.silence == "forever" else float(step.silence))
            return _cut(request, web.Response())
        if step.garbage == "body" or not conversation.streams:
            return web.Response(body=b'{"id": "scripted", "choices": [{', content_type="application/json")
        answer = _begin("text/event-stream")
        await answer.prepare(request)
        await answer.write(b'event: scripted\ndata: {"type": "message_start", "choices": [{\n\ndata: \xff\xfe{{\n\n')
        await answer.write_eof()
        return answer

    async def _pause(self, seconds: float | None) -> None:
        """Wait so long, or until the server is closed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)


def _named(path: str) -> tuple[str, str]:
    """The path without `/s/NAME`, and the name."""
    if path.startswith("/s/"):
        name, _, rest = path.removeprefix("/s/").partition("/")
        return f"/{rest}", unquote(name)
    return path, ""


def _keys(request: web.BaseRequest) -> set[str]:
    headers = request.headers
    return {
        headers.get("x-api-key", ""),
        headers.get("x-goog-api-key", ""),
        headers.get("Authorization", "").removeprefix("Bearer "),
        request.query.get("key", ""),
    }


def _begin(content_type: str) -> web.StreamResponse:
    from aiohttp import web

    return web.StreamResponse(headers={"Content-Type": content_type, "Cache-Control": "no-cache"})


def _cut(request: web.BaseRequest, answer: web.StreamResponse) -> web.StreamResponse:
    """Drop the connection in the middle of the answer."""
    if request.transport is not None:
        request.transport.abort()
    return answer


def _refused(told: Refusal, *, body: str | None = None) -> web.StreamResponse:
    from aiohttp import web

    text = told.body if body is None else body.encode()
    return web.Response(status=told.status, body=text, headers=dict(told.headers), content_type="application/json")


def _told(error: Error, dialect: Dialect) -> Refusal:
    """The error with the time of the next try in the ways of the dialect."""
    made = refusal(dialect, error.status, error.message, final=False)
    headers: list[tuple[str, str]] = []
    body = made.body
    after_s = error.retry_after_s if error.retry_after_s is not None else error.reset_s
    if dialect is Dialect.GEMINI and after_s is not None:
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{after_s:g}s"}
        told = json.loads(body)
        body = json.dumps({"error": {**told["error"], "details": [info]}}).encode()
    elif error.retry_after_s is not None:
        headers.append(("Retry-After", f"{error.retry_after_s:g}"))
    if error.reset_s is not None and dialect is Dialect.ANTHROPIC:
        at = datetime.now(UTC) + timedelta(seconds=error.reset_s)
        headers += [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", at.isoformat(timespec="seconds").replace("+00:00", "Z")),
        ]
    elif error.reset_s is not None and dialect is not Dialect.GEMINI:
        headers += [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", f"{error.reset_s:g}s")]
    return Refusal(status=made.status, body=body, headers=tuple(headers))


def _public(seen: Seen) -> dict[str, Any]:
    """What `/-/seen` tells: no headers, for a key may be among them."""
    return {
        "method": seen.method,
        "path": seen.path,
        "dialect": seen.dialect,
        "model": seen.model,
        "play": seen.play,
        "step": seen.step,
        "results": list(seen.results),
        "wrong": seen.wrong,
    }


@contextmanager
def serving(scenario: Scenario, *, port: int = 0, key: str | None = None) -> Iterator[ModelServer]:
    """The server in a thread of its own, for those who have no event loop."""
    ready = threading.Event()
    state: dict[str, Any] = {}

    async def serve() -> None:
        stop = asyncio.Event()
        state["stop"] = (asyncio.get_running_loop(), stop)
        async with ModelServer(scenario, port=port, key=key) as server:
            state["server"] = server
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except OSError as error:
            state["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="scripted-model", daemon=True)
    thread.start()
    ready.wait()
    if "server" not in state:
        thread.join()
        raise AdapterError("model", f"The scripted model server cannot listen: {state.get('error')}.")
    try:
        yield state["server"]
    finally:
        loop, stop = state["stop"]
        loop.call_soon_threadsafe(stop.set)
        thread.join()
