"""One request through the meter: in, on to the provider, back, and read on the side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from multidict import CIMultiDict

from chargehand.adapters.meter.account import Account, Exchange, Tally
from chargehand.adapters.meter.arrival import Arrival, Question
from chargehand.adapters.meter.headers import onward, returned
from chargehand.adapters.meter.values import Bounds, Upstream
from chargehand.adapters.meter.watching import Watch, message_in
from chargehand.adapters.text import clean_text, redact
from chargehand.dialects import (
    Dialect,
    DuplicateKey,
    Errand,
    Refusal,
    Route,
    TokenUse,
    expected,
    leans_on_the_past,
    once_each,
    reaches_out,
    refusal,
    retry_at,
)
from chargehand.dialects.chat import UsageChunkFilter, asking_for_usage

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Admitted", "Ask", "Passage", "answer_of"]

_NOT_JSON = "The body is no JSON object that the meter can read, so that it cannot tell what it would cost."
_BACKGROUND = (
    "The meter does not pass on answers in the background, whose tokens nobody could count: ask without `background`."
)
_TWICE = "The body says something twice in one object, and nobody can tell which of it would count."
_NO_MORE = (
    "The meter does not pass on {what}: what it costs, or what is sent there, is not metered. Ask without it; "
    "`sandbox.network` open and no limits in dollars lift this."
)
_PAST = (
    "The meter does not know how long the conversation is that the provider kept, and this attempt has a budget: "
    "send the conversation itself."
)
_HELD = "Other requests of this attempt may use up its budget; ask again when they are answered."
_TOKENS_A_SECOND = 100
_SHOWN_CHARS = 1000

Ask = Callable[[Upstream, Question], AbstractAsyncContextManager[Arrival]]
"""Puts a question to a provider, or to a cassette."""


class _AgentGone(Exception):
    """The agent hung up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A request that may pass: whose it is, where it goes, and what it is for."""

    account: Account
    token: str
    upstream: Upstream
    taken: Route
    path: str
    query: str


class Passage:
    """Carries one admitted request through. What the agent used is told to its account however this ends."""

    def __init__(self, request: web.BaseRequest, admitted: Admitted, ask: Ask, bounds: Bounds) -> None:
        self._request = request.clone(client_max_size=bounds.request_bytes)
        self._admitted = admitted
        self._account = admitted.account
        self._dialect: Dialect | None = admitted.taken.dialect
        self._ask = ask
        self._bounds = bounds
        self._model = admitted.taken.model
        self._watch: Watch | None = None
        self._arrival: Arrival | None = None
        self._since: float | None = None
        self._is_settled = False
        self._is_whole = False
        self._is_twofold = False
        self._exchange = Exchange(settle=self._settle, so_far=self._so_far, task=asyncio.current_task())

    async def carry(self) -> web.StreamResponse:
        """Answer the agent."""
        if len(self._account.running) >= self._bounds.parallel:
            text = f"More than {self._bounds.parallel} requests at once."
            told = refusal(self._dialect, 429, text, final=False)
            return answer_of(replace(told, headers=(("Retry-After", "1"),)))
        self._account.running.add(self._exchange)
        try:
            return await self._carry()
        finally:
            self._settle()

    async def _carry(self) -> web.StreamResponse:
        from aiohttp import ClientError, web

        try:
            body = await self._body()
        except web.HTTPRequestEntityTooLarge:
            limit = self._bounds.request_bytes
            return answer_of(refusal(self._dialect, 413, f"The request is larger than {limit:,} bytes."))
        question, adds_usage = self._question(body)
        if self._is_generating:
            if (told := await self._admitted_or_not(question)) is not None:
                return answer_of(told)
            self._since = self._account.asked(self._model)
        elif self._account.is_strict and body and (told := self._barred(question)) is not None:
            return answer_of(told)
        since = self._since if self._since is not None else self._account.clock()
        try:
            async with self._ask(self._admitted.upstream, question) as arrival:
                return await self._pass_on(arrival, since, adds_usage=adds_usage)
        except _AgentGone:
            return web.Response(status=499)
        except TimeoutError:
            return self._broken(504, "The provider did not answer in time.")
        except (ClientError, OSError) as error:
            return self._broken(502, f"The provider cannot be reached, or broke off: {_said(error)}.")

    @property
    def _is_generating(self) -> bool:
        return self._admitted.taken.errand is Errand.GENERATE

    async def _admitted_or_not(self, question: Question) -> Refusal | None:
        """Why a request for an answer does not go out; None when it does. It waits while others may use up its budget.

        From then on it is reserved what it may come to.
        """
        account = self._account
        if (told := self._barred(question)) is not None:
            return told
        try:
            async with asyncio.timeout(self._bounds.hold_s):
                while not (over := account.over_budget()) and account.is_held_up():
                    await account.eased()
        except TimeoutError:
            return replace(refusal(self._dialect, 429, _HELD, final=False), headers=(("Retry-After", "5"),))
        if over:
            account.refused()
            return _used_up(self._dialect, over)
        document = question.document
        assert self._dialect is not None
        assert isinstance(document, dict)
        reserved = expected(self._dialect, document, len(question.body))
        if leans_on_the_past(self._dialect, document):
            reserved = replace(reserved, input=reserved.input + account.longest)
        self._exchange.reserved = reserved
        return None

    def _barred(self, question: Question) -> Refusal | None:
        """Why a request is none for this attempt, whenever it is made; a provider fetches what it counts, too."""
        if self._dialect is None:
            return None
        if not isinstance(question.document, dict):
            return refusal(self._dialect, 400, _TWICE if self._is_twofold else _NOT_JSON)
        why = self._why_never(self._dialect, question.document)
        return refusal(self._dialect, 400, why, code="unsupported_parameter") if why else None

    def _why_never(self, dialect: Dialect, document: dict[str, object]) -> str:
        account = self._account
        if dialect is Dialect.RESPONSES and document.get("background"):
            return _BACKGROUND
        if account.is_strict and (what := reaches_out(dialect, document)):
            return _NO_MORE.format(what=what)
        if account.is_bounded and not account.longest and leans_on_the_past(dialect, document):
            return _PAST
        return ""

    async def _body(self) -> bytes:
        if self._request.headers.get("Expect", "").lower() == "100-continue" and self._request.transport is not None:
            self._request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await self._request.read()

    def _question(self, body: bytes) -> tuple[Question, bool]:
        """What goes on to the provider, and whether it was made to ask for its usage."""
        admitted, document, adds_usage = self._admitted, None, False
        if admitted.taken.dialect is not None and body:
            try:
                document = json.loads(body, object_pairs_hook=once_each)
            except (ValueError, RecursionError) as error:
                self._is_twofold = isinstance(error, DuplicateKey)
            if not self._model and isinstance(document, dict):
                self._model = str(document.get("model") or "")[:200]
            if self._dialect is Dialect.CHAT and admitted.upstream.asks_usage:
                asking = asking_for_usage(body, document)
                body, adds_usage = asking or body, asking is not None
        question = Question(
            method=self._request.method,
            path=admitted.path,
            query=admitted.query,
            headers=tuple(onward(self._request.headers.items(), admitted.upstream, self._dialect)),
            body=body,
            document=document,
            scrub=(*self._account.spec.scrub, (admitted.token, "<token>")),
        )
        return question, adds_usage

    async def _pass_on(self, arrival: Arrival, since: float, *, adds_usage: bool) -> web.StreamResponse:
        """The answer to the agent, piece by piece as it comes; it is read after each piece has gone on."""
        from aiohttp import web

        self._arrival = arrival
        headers = CIMultiDict(arrival.headers)
        self._watch = Watch(self._dialect, arrival.status, headers)
        is_plain = not headers.get("Content-Encoding")
        is_sse = headers.get("Content-Type", "").lower().startswith("text/event-stream")
        strip = UsageChunkFilter() if adds_usage and is_sse and is_plain else None
        answer = web.StreamResponse(
            status=arrival.status,
            reason=arrival.reason,
            headers=CIMultiDict(returned(arrival.headers, is_altered=strip is not None)),
        )
        await self._to_agent(answer.prepare(self._request))
        is_first = True
        async for chunk in arrival.chunks:
            self._account.heard(since, is_first=is_first and self._is_metered(arrival))
            is_first = False
            if piece := strip.feed(chunk) if strip else chunk:
                await self._to_agent(answer.write(piece))
            was_told = self._watch.is_told
            self._watch.feed(chunk)
            if self._watch.is_told and not was_told:
                self._account.ease()
        if strip and (rest := strip.finish()):
            await self._to_agent(answer.write(rest))
        self._watch.finish()
        self._is_whole = True
        self._settle()
        await self._to_agent(answer.write_eof())
        return answer

    async def _to_agent(self, sending: object) -> None:
        try:
            await sending  # type: ignore[misc]
        except ConnectionError as error:
            raise _AgentGone from error

    def _is_metered(self, arrival: Arrival) -> bool:
        return self._is_generating and arrival.status < 400

    def _broken(self, status: int, text: str) -> web.StreamResponse:
        """The provider is at fault: said in its dialect, or, once the answer has begun, by breaking off, too."""
        from aiohttp import web

        self._account.failed(status, None, self._clean(text))
        if self._arrival is None:
            self._since = None  # whoever never answers is not paid
            return answer_of(refusal(self._dialect, status, text, final=False))
        if self._request.transport is not None:
            self._request.transport.abort()
        return web.Response(status=status)

    def _so_far(self) -> Tally | None:
        """What it used until now: as it was told, else by its size; None before it went out, or where it failed."""
        if self._since is None or (self._arrival is not None and not self._is_metered(self._arrival)):
            return None
        watch, reserved = self._watch, self._exchange.reserved
        told = (watch.usage if watch else None) or TokenUse()
        model = (watch.model if watch else "") or self._model
        if watch is not None and watch.is_told:
            return Tally(model=model, use=told, told=told, is_final=True)
        guessed = watch.guessed if watch else 0
        if not guessed or not self._is_whole:
            guessed = max(guessed, self._meanwhile())
        more = TokenUse(
            input=0 if told.input else reserved.input,
            output=max(0, guessed - told.output),
        )
        return Tally(model=model, use=told + more, told=told)

    def _meanwhile(self) -> int:
        """Output that a model may have made while nothing of it came: what it thinks, an answer that is no stream.

        Whoever hangs up has it paid all the same, and a small event does not tell how much it was.
        """
        if self._is_whole and self._watch is not None and self._watch.usage is not None:
            return 0
        taken_s = self._account.clock() - (self._since or 0.0)
        return min(self._exchange.reserved.output, int(taken_s * _TOKENS_A_SECOND))

    def _settle(self) -> None:
        """Tell the account what came of this request; only the first time."""
        if self._is_settled:
            return
        self._is_settled = True
        self._account.running.discard(self._exchange)
        if (tally := self._so_far()) is not None:
            self._account.used(tally)
        self._account.ease()
        watch, arrival = self._watch, self._arrival
        if watch is None or arrival is None:
            return
        now = self._account.now()
        headers = {name.lower(): value for name, value in arrival.headers}
        if watch.is_error:
            body = watch.error_body
            text = message_in(body) or arrival.reason
            self._account.failed(arrival.status, retry_at(headers, body, now), self._clean(text))
        elif watch.problem is not None:
            found = watch.problem
            self._account.failed(found.status, retry_at({}, found.body, now), self._clean(found.text))

    def _clean(self, text: str) -> str:
        """The beginning of a provider's words, without control sequences, the key, or the token."""
        return redact(clean_text(text), (self._admitted.upstream.key, self._admitted.token))[:_SHOWN_CHARS]


def answer_of(told: Refusal) -> web.Response:
    """A refusal as an answer."""
    from aiohttp import web

    return web.Response(status=told.status, body=told.body, headers=dict(told.headers), content_type="application/json")


def _used_up(dialect: Dialect | None, over: str) -> Refusal:
    """400, which no client tries again; 403 would be taken for a wrong login by some, 429 be waited out by all."""
    text = (
        f"The budget of this attempt is used up: {over}. No further request will be answered. "
        "Stop here and report what was done."
    )
    return refusal(dialect, 400, text, code="budget_used_up")


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
