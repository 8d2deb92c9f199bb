"""The meter: a loopback proxy between agents and their model providers (SPEC 3.8, ARCHITECTURE 3.5).

It lives in the coordinator's event loop and listens on 127.0.0.1 and, for sandboxes without a network, on Unix
sockets. Every attempt has a token, which is part of the address and is what the agent takes for its key; the real
keys are known here only. Bodies, keys and tokens are never logged.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.meter.account import Account
from chargehand.adapters.meter.arrival import Arrival, Question
from chargehand.adapters.meter.cassette import Player, Recorder
from chargehand.adapters.meter.headers import address, is_passed, is_plain, proxy_of, tokens_in
from chargehand.adapters.meter.prices import PriceTable
from chargehand.adapters.meter.values import Bounds, MeterRecord, MeterSpec, Upstream
from chargehand.adapters.unix_socket import bound
from chargehand.dialects import refusal, route
from chargehand.domain.errors import AdapterError, UserError
from chargehand.ports import MeterAccess

if TYPE_CHECKING:
    from aiohttp import ClientSession, web

__all__ = ["Meter"]

_LONGEST_HEADER = 65536
_MOST_TOLD = 10_000
_READ_AT_ONCE = 256 * 1024


class Meter:
    """Meters attempts. `start` before the first `open`; `stop` ends every request.

    `clock` is monotonic and `now` the time of day, both in seconds. With a cassette, questions and answers are
    written to it, or answers come from it and no provider is ever asked.
    """

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        prices: PriceTable,
        *,
        bounds: Bounds | None = None,
        cassette: Recorder | Player | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._upstreams = dict(upstreams)
        self._prices = prices
        self._bounds = bounds or Bounds()
        self._cassette = cassette
        self._clock = clock
        self._now = now
        self._accounts: dict[str, Account] = {}  # by key
        self._tokens: dict[str, str] = {}  # token to key
        self._told: set[str] = set()
        self._proxies: dict[str, str | None] = {}  # by base_url
        self._sockets: dict[Path, web.SockSite] = {}
        self._runner: web.ServerRunner | None = None
        self._session: ClientSession | None = None
        self._port = 0

    # -- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1; `UserError` for an address or a proxy that cannot be used."""
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web

        for name, one in self._upstreams.items():
            if not one.base_url.startswith(("http://", "https://")):
                text = f"The address {one.base_url!r} of the model provider {name} must begin with https:// or http://."
                raise UserError(text, code="upstream")
        self._proxies = {one.base_url: proxy_of(one.base_url) for one in self._upstreams.values()}
        self._session = ClientSession(
            connector=TCPConnector(limit=0, keepalive_timeout=60),
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=None, sock_connect=self._bounds.connect_s, sock_read=self._bounds.silence_s),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            read_bufsize=_READ_AT_ONCE,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )
        silent = logging.Logger("chargehand.meter")  # of no family: what clients send is told to nobody
        silent.addHandler(logging.NullHandler())
        server = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            logger=silent,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            read_bufsize=_READ_AT_ONCE,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=self._bounds.stop_s)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]

    async def listen(self, path: Path) -> None:
        """Listen on a Unix socket, too, for a sandbox without a network; only this user may connect.

        The socket goes when it is left, or the meter stops.
        """
        from aiohttp import web

        if self._runner is None:
            raise AdapterError("meter", "The meter was not started.")
        await self.leave(path)
        try:
            site = web.SockSite(self._runner, bound(path))
            await site.start()
        except OSError as error:
            raise AdapterError("meter", f"The meter cannot listen on {path}: {error}.") from None
        self._sockets[path] = site

    async def leave(self, path: Path) -> None:
        """Listen on that socket no longer, and remove it; harmless when it is not listened on."""
        site = self._sockets.pop(path, None)
        if site is not None and self._runner is not None:
            await site.stop()
            with suppress(OSError):
                path.unlink(missing_ok=True)

    async def stop(self) -> None:
        """End every request and stop listening; harmless when repeated."""
        for key in list(self._accounts):
            self.close(key)
        for path in list(self._sockets):
            await self.leave(path)
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        self._runner, self._session = None, None

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return self._port

    # -- attempts ---------------------------------------------------------------------------------

    def open(self, spec: MeterSpec) -> MeterAccess:
        """Meter an attempt from now on; one with a known key begins anew. `UserError` for an unknown upstream."""
        if self._runner is None:
            raise AdapterError("meter", "The meter was not started.")
        if spec.upstream not in self._upstreams:
            known = ", ".join(sorted(self._upstreams)) or "none"
            raise UserError(f"There is no model provider called {spec.upstream}; there are: {known}.", code="upstream")
        self.close(spec.key)
        token = f"chm-{secrets.token_urlsafe(24)}"
        self._tokens[token] = spec.key
        self._accounts[spec.key] = Account(spec=spec, prices=self._prices, clock=self._clock, now=self._now)
        return MeterAccess(base_url=f"http://127.0.0.1:{self._port}/t/{token}", token=token)

    def look(self, key: str) -> MeterRecord:
        """What an attempt used so far; an empty record for an unknown one."""
        account = self._accounts.get(key)
        return account.record() if account else MeterRecord()

    def is_news(self, text: str) -> bool:
        """Whether this is said for the first time; what is true of many attempts is told once."""
        is_new = text not in self._told
        if len(self._told) < _MOST_TOLD:
            self._told.add(text)
        return is_new

    def close(self, key: str) -> MeterRecord:
        """The token is worth nothing any more; requests under way are ended, and counted as far as they got."""
        account = self._accounts.pop(key, None)
        if account is None:
            return MeterRecord()
        self._tokens = {token: owner for token, owner in self._tokens.items() if owner != key}
        for exchange in list(account.running):
            exchange.settle()
            if exchange.task is not None:
                exchange.task.cancel()
        return account.record()

    # -- requests ---------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        from chargehand.adapters.meter.passage import Admitted, Passage, answer_of

        raw, _, query = request.raw_path.partition("?")
        token, path = _token_in(raw)
        taken = route(request.method, path)
        if not token:
            token = next((one for one in tokens_in(request.headers, request.query) if one in self._tokens), "")
        key = self._tokens.get(token)
        if key is None:
            text = "This token is not, or no longer, that of an attempt."
            return answer_of(refusal(taken.dialect, 401, text))
        account = self._accounts[key]
        upstream = self._upstreams[account.spec.upstream]
        if not is_plain(path) or not is_passed(request.method, path, taken, upstream):
            text = f"The meter does not pass on {request.method} {path}: only answers, token counts and models."
            return answer_of(refusal(taken.dialect, 404, text))
        admitted = Admitted(account=account, token=token, upstream=upstream, taken=taken, path=path, query=query)
        return await Passage(request, admitted, self._ask, self._bounds).carry()

    def _ask(self, upstream: Upstream, question: Question) -> AbstractAsyncContextManager[Arrival]:
        if isinstance(self._cassette, Player):
            return self._cassette.answer(question)
        asking = self._fetch(upstream, question)
        if self._cassette is not None:
            return self._cassette.recording(question, asking, hidden=(upstream.key, *self._tokens))
        return asking

    @asynccontextmanager
    async def _fetch(self, upstream: Upstream, question: Question) -> AsyncIterator[Arrival]:
        from yarl import URL

        assert self._session is not None
        url = URL(address(upstream, question.path, question.query), encoded=True)
        if url.origin() != URL(upstream.base_url).origin():  # the key is for that provider alone
            raise ValueError(f"{url.host} is not where the provider is.")
        async with self._session.request(
            question.method,
            url,
            headers=question.headers,
            data=question.body or None,
            proxy=self._proxies.get(upstream.base_url),
            allow_redirects=False,
        ) as response:
            yield Arrival(
                status=response.status,
                reason=response.reason or "",
                headers=tuple(response.headers.items()),
                chunks=response.content.iter_any(),
            )


def _token_in(path: str) -> tuple[str, str]:
    """The token and the rest of `/t/TOKEN/REST`; no token and all of it for any other path."""
    if not path.startswith("/t/"):
        return "", path
    token, slash, rest = path.removeprefix("/t/").partition("/")
    return token, slash + rest
