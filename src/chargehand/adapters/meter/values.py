"""What goes into the meter and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from chargehand.dialects import TokenUse

__all__ = ["Auth", "Bounds", "MeterRecord", "MeterSpec", "Problem", "Upstream"]


class Auth(StrEnum):
    """The header that brings the real key to the provider."""

    USUAL = ""  # the one of the dialect
    X_API_KEY = "x-api-key"
    BEARER = "bearer"
    GOOGLE = "x-goog-api-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A provider: `base_url` with or without `/v1` at its end, and the real key (none: no key is sent).

    `headers` are sent along, `also` are further path endings that may be asked for (POST included), such as
    `/embeddings`; what they cost is not metered. `asks_usage`: streams of Chat Completions are asked for their usage.
    """

    base_url: str
    key: str = field(default="", repr=False)
    auth: Auth = Auth.USUAL
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    also: tuple[str, ...] = ()
    asks_usage: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSpec:
    """One attempt: `key` names it, `upstream` its provider, `model` the one asked for in the settings.

    `tokens` (all of input and output, cached ones included) and `usd` are its budgets. `is_fenced`: its agent reaches
    nothing but the meter. `scrub` are texts with what stands for them in a cassette, such as the path of the workspace.
    """

    key: str
    upstream: str
    model: str | None = None
    tokens: int | None = None
    usd: float | None = None
    is_fenced: bool = False
    scrub: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A request that failed: HTTP `status` (502 and 504 when there was no answer), when to ask again, and why.

    `retry_at` is in seconds since the epoch; `text` is the provider's own message: untrusted, without keys.
    """

    status: int
    retry_at: float | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRecord:
    """What one attempt used so far.

    `input_tokens` are all of the prompts, `cached_tokens` and `written_tokens` parts of them. `unread` counts answers
    whose usage nobody told, or not to the end, such as broken streams: of those the numbers are guessed, by the bytes
    that passed; `estimated_input` and `estimated_output` say how much of the tokens that is. `usd` is None when a model
    without a price was used (`unpriced` names it); `held_usd` is what counts against the budget: there such a model
    costs as much as the dearest of the table. `model_used` gave most of the output, `models` are all of
    them. `first_byte_s` is the time to the first byte of the first answer; `asked_at` and `last_byte_at` are
    monotonic times of the last request and of the last byte of any answer, `running` the requests under way: a model
    turn is silent when there are some and nothing comes. `problems` are the last ones, `failures` counts all.
    `over_budget` says in words which budget is used up, `refused` how many requests were answered so.
    """

    requests: int = 0
    running: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    estimated_input: int = 0
    estimated_output: int = 0
    usd: float | None = 0.0
    held_usd: float = 0.0
    unread: int = 0
    unpriced: tuple[str, ...] = ()
    model_asked: str = ""
    model_used: str = ""
    models: Mapping[str, TokenUse] = field(default_factory=dict)
    first_byte_s: float | None = None
    asked_at: float | None = None
    last_byte_at: float | None = None
    problems: tuple[Problem, ...] = ()
    failures: int = 0
    over_budget: str = ""
    refused: int = 0

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def estimated(self) -> int:
        """How many of the tokens are guessed."""
        return self.estimated_input + self.estimated_output


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The limits of the meter itself: of a request, of requests at once in an attempt, of waiting.

    `silence_s` is how long a provider may keep a request waiting for a byte, `hold_s` how long the meter does while
    other requests of the attempt may still use up its budget.
    """

    parallel: int = 32
    request_bytes: int = 64 * 1024 * 1024
    connect_s: float = 30.0
    silence_s: float = 1800.0
    hold_s: float = 120.0
    stop_s: float = 1.0
