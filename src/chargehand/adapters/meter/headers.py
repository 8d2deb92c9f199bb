"""Headers, addresses and proxies: what goes on to the provider, and what comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from chargehand.adapters.meter.values import Auth, Upstream
from chargehand.dialects import Dialect, Errand, Route
from chargehand.domain.errors import UserError

__all__ = ["address", "is_passed", "is_plain", "onward", "proxy_of", "returned", "tokens_in"]

_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "trailers", "transfer-encoding", "upgrade"),
        *("proxy-authenticate", "proxy-authorization"),
    }
)
_KEYS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})
_OURS = frozenset({"host", "content-length", "content-encoding", "accept-encoding", "expect", "cookie"})
_MEANS_ANOTHER = frozenset(
    {
        *("openai-organization", "openai-project", "x-goog-user-project"),
        *("x-http-method-override", "x-http-method", "x-method-override"),
    }
)
"""Who pays, and what is asked for, is the user's to say: `headers` of the upstream may have them."""
_USUAL = {Dialect.ANTHROPIC: Auth.X_API_KEY, Dialect.GEMINI: Auth.GOOGLE}


def tokens_in(headers: Mapping[str, str], query: Mapping[str, str]) -> list[str]:
    """What a client gives for its key, in whichever header or parameter."""
    scheme, _, bearer = headers.get("Authorization", "").partition(" ")
    given = [headers.get("x-api-key", ""), headers.get("x-goog-api-key", ""), query.get("key", "")]
    return [value for value in (*given, bearer.strip() if scheme.lower() == "bearer" else "") if value]


def is_plain(path: str) -> bool:
    """Whether everybody reads the path alike: from the root, no empty, dotted or hidden parts, nothing that ends it.

    What the meter judges and what the provider is asked for must be the same. A slash in the name of a model may be
    written `%2F`.
    """
    return _PLAIN.fullmatch(path) is not None and not _BARRED.intersection(path.lower().split("/"))


def is_passed(method: str, path: str, taken: Route, upstream: Upstream) -> bool:
    """Whether the meter passes a request on: what it can meter, counts, lists of models, and what the settings add.

    Everything else (batches, files, administration) would use the real key behind the meter's back.
    """
    segments = unquote(path).split("/")
    if ".." in segments or "." in segments:
        return False
    if taken.is_usual and taken.errand is not Errand.OTHER:
        return method == "POST"
    if taken.is_usual and not taken.model:  # a list of models, or one of them
        return method in {"GET", "HEAD"}
    return any(unquote(path).rstrip("/").endswith(ending) for ending in upstream.also)


_PLAIN = re.compile(r"(?:/(?!\.{1,2}(?:/|$))(?:[A-Za-z0-9._~:@-]|%2[Ff]|%3[Aa])+)+/?")
_BARRED = frozenset({"files", "batches", "organization", "organizations", "uploads", "fine_tuning", "vector_stores"})


def address(upstream: Upstream, path: str, query: str) -> str:
    """The provider's address for `path` (percent-encoded, from the root of its interface), without any key in it."""
    base = upstream.base_url.rstrip("/")
    for version in ("/v1", "/v1beta"):
        if base.endswith(version) and path.startswith(f"{version}/"):
            base = base.removesuffix(version)
    given = parse_qsl(query, keep_blank_values=True)
    if any(map(_is_dropped, given)):
        query = urlencode([pair for pair in given if not _is_dropped(pair)])
    return base + path + (f"?{query}" if query else "")


def _is_dropped(pair: tuple[str, str]) -> bool:
    """Parameters that are another key, another payer or another method: `$httpMethod` and its like."""
    name = pair[0].lower()
    return name in {"key", "access_token", "oauth_token", "userproject"} or (name.startswith("$") and name != "$alt")


def onward(headers: Iterable[tuple[str, str]], upstream: Upstream, dialect: Dialect | None) -> list[tuple[str, str]]:
    """The headers for the provider: those of the agent without its token, with the real key, asking for plain bytes."""
    given = list(headers)
    dropped = _HOP_BY_HOP | _KEYS | _OURS | _MEANS_ANOTHER | _named(given) | {name.lower() for name in upstream.headers}
    kept = [(name, value) for name, value in given if name.lower() not in dropped]
    kept.append(("Accept-Encoding", "identity"))
    kept += upstream.headers.items()
    if upstream.key:
        kept.append(_key(upstream, dialect, {name.lower() for name, _ in given}))
    return kept


def _key(upstream: Upstream, dialect: Dialect | None, given: set[str]) -> tuple[str, str]:
    auth = upstream.auth
    if auth is Auth.USUAL and dialect is None:  # a list of models: as the client does it
        auth = next((one for one in (Auth.X_API_KEY, Auth.GOOGLE) if one in given), Auth.BEARER)
    elif auth is Auth.USUAL and dialect is not None:
        auth = _USUAL.get(dialect, Auth.BEARER)
    return ("Authorization", f"Bearer {upstream.key}") if auth is Auth.BEARER else (auth.value, upstream.key)


def returned(headers: Iterable[tuple[str, str]], *, is_altered: bool) -> list[tuple[str, str]]:
    """The headers for the agent; an answer whose bytes are altered loses its length."""
    given = list(headers)
    dropped = _HOP_BY_HOP | _named(given) | ({"content-length"} if is_altered else set())
    return [(name, value) for name, value in given if name.lower() not in dropped]


def _named(headers: list[tuple[str, str]]) -> set[str]:
    """The headers that a Connection header declares to be for one hop only."""
    return {
        name.strip().lower() for header, value in headers if header.lower() == "connection" for name in value.split(",")
    }


def proxy_of(url: str) -> str | None:
    """The proxy of the environment for `url`; None when it is reached directly, `UserError` for one we cannot use."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found:
        return None
    found = found if "://" in found else f"http://{found}"
    if not found.startswith(("http://", "https://")):
        kind = found.partition(":")[0]
        raise UserError(
            f"The meter cannot reach {parts.hostname} through a {kind} proxy; an HTTP proxy is expected.",
            code="proxy",
            hint="Set HTTPS_PROXY to an HTTP proxy, or name the host in NO_PROXY.",
        )
    return found
