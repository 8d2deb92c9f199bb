"""What one attempt used: added up from its requests, and held against its budgets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chargehand.adapters.meter.prices import PriceTable
from chargehand.adapters.meter.values import MeterRecord, MeterSpec, Problem
from chargehand.dialects import TokenUse

if TYPE_CHECKING:
    import asyncio

__all__ = ["Account", "Exchange"]

_MOST_PROBLEMS = 50
_MOST_MODELS = 50


@dataclass(slots=True, kw_only=True, eq=False)
class Exchange:
    """One request under way. `so_far` is the model and what it used, as far as it was told; None before that.

    `settle` tells its account the same for good; only the first call counts.
    """

    settle: Callable[[], None]
    so_far: Callable[[], tuple[str, TokenUse] | None]
    task: asyncio.Task[object] | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Account:
    """The ledger of one attempt. `clock` is monotonic, `now` the time of day."""

    spec: MeterSpec
    prices: PriceTable
    clock: Callable[[], float]
    now: Callable[[], float]
    running: set[Exchange] = field(default_factory=set)
    _requests: int = 0
    _use: TokenUse = field(default_factory=TokenUse)
    _usd: float = 0.0
    _models: dict[str, TokenUse] = field(default_factory=dict)
    _unpriced: set[str] = field(default_factory=set)
    _unread: int = 0
    _asked: str = ""
    _first_byte_s: float | None = None
    _asked_at: float | None = None
    _last_byte_at: float | None = None
    _problems: deque[Problem] = field(default_factory=lambda: deque(maxlen=_MOST_PROBLEMS))
    _failures: int = 0
    _refused: int = 0

    def asked(self, model: str) -> float:
        """A request for an answer goes out; when, by the clock."""
        self._requests += 1
        self._asked = self._asked or model
        self._asked_at = self.clock()
        return self._asked_at

    def heard(self, since: float, *, is_first: bool) -> None:
        """Bytes of the answer to the request that was made at `since` came in."""
        self._last_byte_at = self.clock()
        if is_first and self._first_byte_s is None:
            self._first_byte_s = self._last_byte_at - since

    def used(self, model: str, use: TokenUse | None) -> None:
        """An answer of `model` is over; `use` is None when nobody told its tokens."""
        if use is None:
            self._unread += 1
            return
        self._use += use
        name = model if model in self._models or len(self._models) < _MOST_MODELS else "others"
        self._models[name] = self._models.get(name, TokenUse()) + use
        usd = self.prices.usd(model, use, self.now())
        if usd is not None:
            self._usd += usd
        elif len(self._unpriced) < _MOST_MODELS:
            self._unpriced.add(model)

    def failed(self, status: int, retry_at: float | None, text: str) -> None:
        """A request came to nothing."""
        self._failures += 1
        self._problems.append(Problem(status=status, retry_at=retry_at, text=text))

    def refused(self) -> None:
        """A request was answered with the news that a budget is used up."""
        self._refused += 1

    def over_budget(self) -> str:
        """Which budget is used up, in words; empty when none is. What is under way counts as far as it was told.

        An agent may go on as soon as it has read the last event of a stream, before the stream has come to its end.
        """
        if self.spec.tokens is None and self.spec.usd is None:
            return ""
        use, usd = self._use, self._usd
        for exchange in self.running:
            if (told := exchange.so_far()) is not None:
                use += told[1]
                usd += self.prices.usd(*told, self.now()) or 0.0
        tokens = use.input + use.output
        if self.spec.tokens is not None and tokens >= self.spec.tokens:
            return f"{tokens:,} of {self.spec.tokens:,} tokens are used"
        if self.spec.usd is not None and usd >= self.spec.usd:
            return f"{usd:.4f} of {self.spec.usd:.4f} US dollars are used"
        return ""

    def record(self) -> MeterRecord:
        """All of it at this moment."""
        used = max(self._models, key=lambda name: self._models[name].output, default="")
        return MeterRecord(
            requests=self._requests,
            running=len(self.running),
            input_tokens=self._use.input,
            output_tokens=self._use.output,
            cached_tokens=self._use.cached,
            written_tokens=self._use.written,
            usd=None if self._unpriced else self._usd,
            unread=self._unread,
            unpriced=tuple(sorted(self._unpriced)),
            model_asked=self.spec.model or self._asked,
            model_used=used,
            models=dict(self._models),
            first_byte_s=self._first_byte_s,
            asked_at=self._asked_at,
            last_byte_at=self._last_byte_at,
            problems=tuple(self._problems),
            failures=self._failures,
            over_budget=self.over_budget(),
            refused=self._refused,
        )
