"""A message posted as JSON to a URL that Slack, Mattermost and their like understand.

The form is that of Slack's incoming webhooks: `text` is shown, with the three characters escaped that it takes for
markup (https://api.slack.com/docs/message-formatting), formatting and previews of links switched off. Everything of
ours stands under one key that such receivers ignore.

The request is made by urllib in a thread of its own: there is no HTTP client among the dependencies, and urllib
knows the proxies of the environment and verifies certificates. The thread is a daemon: a receiver that hangs
keeps neither the run nor the end of the program waiting.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from chargehand.adapters.notify.channel import NotTold
from chargehand.adapters.notify.message import fields
from chargehand.adapters.text import REDACTED
from chargehand.ports import Notice

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

__all__ = ["Patience", "Webhook", "payload", "retry_after_s", "wrong_url"]

T = TypeVar("T")

_SAID_BYTES = 200
_AGENT = "chargehand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The bounds of one message: tries, the time of each and of all, and the pauses between them.

    A pause doubles from `pause_s` on, give or take a half at random; one that the receiver asks for is kept when it
    is at most `longest_pause_s`, else the message is given up.
    """

    tries: int = 5
    try_s: float = 10.0
    total_s: float = 90.0
    pause_s: float = 0.5
    longest_pause_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What came of one try: an HTTP status, or 0 and why there was none."""

    status: int
    said: str = ""
    retry_after: str = ""
    is_final: bool = False


class Webhook:
    """Implements `Channel`. The URL is a secret: no message of this class holds more of it than the host."""

    name = "webhook"

    def __init__(
        self,
        url: str,
        *,
        patience: Patience | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._url = url
        self._patience = patience or Patience()
        self._sleep = sleep

    def missing(self) -> str:
        """A URL that is none reaches nobody."""
        return wrong_url(self._url)

    async def send(self, notice: Notice) -> None:
        """Post until it is taken; only what may heal is tried again: no connection, 429 and 5xx."""
        if why := self.missing():
            raise NotTold("url", why)
        body = json.dumps(payload(notice, uuid.uuid4().hex)).encode()
        last = _Answer(status=0, said="no answer")
        try:
            async with asyncio.timeout(self._patience.total_s):
                for number in range(self._patience.tries):
                    if number:
                        await self._sleep(self._pause_s(number, last))
                    last = await self._try(body)
                    if 200 <= last.status < 300:
                        return
                    if last.is_final or not (last.status in {0, 429} or last.status >= 500):
                        break
        except TimeoutError:
            pass
        raise NotTold(f"status {last.status}", f"{self._host} {_told(last, self._url)}")

    @property
    def _host(self) -> str:
        return urlsplit(self._url).hostname or ""

    def _pause_s(self, number: int, last: _Answer) -> float:
        asked_s = retry_after_s(last.retry_after, datetime.now(UTC))
        if asked_s is None:
            doubled = self._patience.pause_s * 2.0 ** (number - 1)
            return min(doubled * random.uniform(0.5, 1.5), self._patience.longest_pause_s)  # noqa: S311 - jitter
        if asked_s > self._patience.longest_pause_s:
            text = f"{self._host} answered {last.status} and asks to wait {asked_s:.0f} s, which is too long."
            raise NotTold(f"status {last.status}", text)
        return asked_s

    async def _try(self, body: bytes) -> _Answer:
        """One request. Its socket has the same bound; the one here ends an answer that comes byte by byte."""
        try:
            async with asyncio.timeout(self._patience.try_s * 1.5):
                return await _in_thread(lambda: _post(self._url, body, self._patience.try_s))
        except TimeoutError:
            return _Answer(status=0, said="it did not answer in time")


def payload(notice: Notice, message_id: str) -> dict[str, object]:
    """The document that is posted; `message_id` stays the same however often it is tried."""
    shown = "\n".join(filter(None, (notice.title, notice.text)))
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        shown = shown.replace(char, entity)
    return {
        "text": shown or notice.kind.value,
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "chargehand": {"id": message_id, **fields(notice)},
    }


def wrong_url(url: str) -> str:
    """Why no message can be posted to this URL, or an empty string; never holds the URL."""
    try:
        parts = urlsplit(url)
        has_host, has_login = bool(parts.hostname), parts.username is not None or parts.password is not None
        _ = parts.port
    except ValueError:
        return "The URL is not valid."
    if parts.scheme not in {"http", "https"} or not has_host:
        return "The URL does not begin with https:// or http:// and a host."
    if has_login:
        return "The URL holds a user name or a password, which is not supported: use `notify.command`."
    if not url.isascii() or any(char <= " " or char == "\x7f" for char in url):
        return "The URL holds a space, a control character or a letter that is not ASCII."
    return ""


def retry_after_s(header: str, now: datetime) -> float | None:
    """Seconds a `Retry-After` header asks for, as a number or a date (RFC 9110, 10.2.3); None when it says nothing."""
    from email.utils import parsedate_to_datetime

    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


def _told(answer: _Answer, url: str) -> str:
    """The end of a sentence about a failed try; a receiver may have repeated what it was called."""
    parts = urlsplit(url)
    said = answer.said.replace(url, REDACTED)
    for part in (parts.path, parts.path.lstrip("/"), parts.query):
        if len(part) >= 4:
            said = said.replace(part, REDACTED)
    said = " ".join(said.split()).rstrip(".")
    if not answer.status:
        return f"could not be reached: {said}."
    if 300 <= answer.status < 400:
        return f"answered {answer.status}, a redirect, which is not followed: name the new address."
    return f"answered {answer.status}{f' ({said})' if said else ''}."


def _post(url: str, body: bytes, timeout_s: float) -> _Answer:
    """One request; every ending is an answer."""
    import http.client
    import ssl
    from urllib.error import HTTPError, URLError
    from urllib.request import Request

    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": _AGENT}
    request = Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - `wrong_url` has looked at it
    try:
        with _opener().open(request, timeout=timeout_s) as response:
            return _Answer(status=response.status)
    except HTTPError as error:
        with error:
            asked = error.headers.get("Retry-After", "")
            return _Answer(status=error.code, said=_beginning(error), retry_after=asked)
    except URLError as error:
        reason = error.reason
        is_final = isinstance(reason, ssl.SSLCertVerificationError)
        return _Answer(status=0, said=_why(reason), is_final=is_final)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _Answer(status=0, said=_why(error))


def _opener() -> OpenerDirector:
    """Proxies of the environment, certificates verified, no redirect followed: a POST would become a GET."""
    import ssl
    from urllib.request import HTTPRedirectHandler, HTTPSHandler, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: object, **__: object) -> None:
            """Not followed, wherever it leads."""

    return build_opener(Stay, HTTPSHandler(context=ssl.create_default_context()))


def _beginning(body: IO[bytes]) -> str:
    """The first words of an answer: Slack says there what is wrong. Untrusted; the fan cleans it."""
    import http.client

    with suppress(OSError, http.client.HTTPException, ValueError):
        return body.read(_SAID_BYTES).decode("utf-8", "replace")
    return ""


def _why(reason: object) -> str:
    """What went wrong on the way; where an error of the HTTP library may quote the URL, only what sort it is."""
    import ssl

    if isinstance(reason, TimeoutError):
        return "it did not answer in time"
    if isinstance(reason, ssl.SSLError):
        return f"TLS failed ({getattr(reason, 'verify_message', '') or reason.reason})"
    if isinstance(reason, OSError):
        return reason.strerror or str(reason)
    return type(reason).__name__


async def _in_thread(call: Callable[[], T]) -> T:
    """The result of a call in a daemon thread; whoever is cancelled does not wait for it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # no error: a result

    def work() -> None:
        result, problem = None, None
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            problem = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=work, name="notify.webhook", daemon=True).start()
    return await future
