"""An error in the words of a dialect, so that the agent understands it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .routes import Dialect

__all__ = ["Refusal", "refusal"]

_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "forbidden"),
    404: ("invalid_request_error", "model_not_found"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("requests", "rate_limit_exceeded"),
}
_GEMINI = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An HTTP answer: status, JSON body, and headers that tell the common client libraries whether to try again."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def refusal(dialect: Dialect | None, status: int, message: str, *, code: str = "", final: bool = True) -> Refusal:
    """The error `message`; `final` says that asking again is no use.

    `code` is put where the dialect has a place for it. Without a dialect the body has OpenAI's form.
    """
    if dialect is Dialect.ANTHROPIC:
        kind = _ANTHROPIC.get(status, "api_error")
        document: dict[str, object] = {"type": "error", "error": {"type": kind, "message": message}}
    elif dialect is Dialect.GEMINI:
        document = {"error": {"code": status, "message": message, "status": _GEMINI.get(status, "INTERNAL")}}
    else:
        kind, usual = _OPENAI.get(status, ("server_error", None))
        document = {"error": {"message": message, "type": kind, "param": None, "code": code or usual}}
    headers = (("x-should-retry", "false"),) if final else ()
    return Refusal(status=status, body=json.dumps(document).encode(), headers=headers)
