"""Which interface a request speaks, told by its path alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

__all__ = ["Dialect", "Errand", "Route", "route"]


class Dialect(StrEnum):
    """The interface of a provider."""

    ANTHROPIC = "anthropic"  # Messages
    RESPONSES = "openai-responses"
    CHAT = "openai-chat"  # Chat Completions, of OpenAI and of everybody who followed
    GEMINI = "gemini"


class Errand(StrEnum):
    """What a request wants. Only GENERATE costs money."""

    GENERATE = "generate"
    COUNT = "count"  # tokens, counted by the provider
    OTHER = "other"  # lists of models and the like


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`model` and `streams` are what the path says of them; empty and None where the body does.

    `dialect` is None for what several of them share, such as `/v1/models`. `is_usual` says that nothing stands in front
    but versions and names of interfaces: whatever else is there may be another path with the same end.
    """

    dialect: Dialect | None
    errand: Errand
    model: str = ""
    streams: bool | None = None
    is_usual: bool = False


_ENDINGS = (
    ("/messages/count_tokens", Dialect.ANTHROPIC, Errand.COUNT),
    ("/messages", Dialect.ANTHROPIC, Errand.GENERATE),
    ("/responses/input_tokens", Dialect.RESPONSES, Errand.COUNT),
    ("/responses/compact", Dialect.RESPONSES, Errand.GENERATE),
    ("/responses", Dialect.RESPONSES, Errand.GENERATE),
    ("/chat/completions", Dialect.CHAT, Errand.GENERATE),
)
_GEMINI = re.compile(r"/(?:models|tunedModels)/(?P<model>[^/:]+):(?P<verb>[A-Za-z]+)$")
_GEMINI_VERBS = {
    "generateContent": (Errand.GENERATE, False),
    "streamGenerateContent": (Errand.GENERATE, True),
    "countTokens": (Errand.COUNT, False),
}
_FRONT = re.compile(r"(?:/(?:api|openai|anthropic|v\d+(?:(?:alpha|beta)\d*)?))*")
_MODELS = re.compile(r"/models(?:/[^/]+){0,3}$")


def route(method: str, path: str) -> Route:
    """What `path` (percent-encoded or not, without its query) is for; whatever stands in front of it is ignored."""
    path = unquote(path).rstrip("/")
    if found := _GEMINI.search(path):
        errand, streams = _GEMINI_VERBS.get(found["verb"], (Errand.OTHER, False))
        usual = _is_front(path[: found.start()])
        return Route(dialect=Dialect.GEMINI, errand=errand, model=found["model"], streams=streams, is_usual=usual)
    if method == "POST":
        for ending, dialect, errand in _ENDINGS:
            if path.endswith(ending):
                return Route(dialect=dialect, errand=errand, is_usual=_is_front(path.removesuffix(ending)))
    models = _MODELS.search(path)
    usual = models is not None and _is_front(path[: models.start()])
    own = Dialect.GEMINI if path.startswith("/v1beta/") else None
    return Route(dialect=own, errand=Errand.OTHER, is_usual=usual)


def _is_front(front: str) -> bool:
    return _FRONT.fullmatch(front) is not None
