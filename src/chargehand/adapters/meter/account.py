"""What one attempt used: added up from its requests, and held against its budgets.

Three numbers are kept apart. *Told* is what a provider said of an answer; *guessed* stands in where nobody told, and
counts like it; *reserved* is what a request may still come to while it is under way. A request goes out as long as
what was used and what is reserved by others stay below the budget: so many at once overshoot by one answer, as one
after the other do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chargehand.adapters.meter.prices import Price, PriceTable
from chargehand.adapters.meter.values import MeterRecord, MeterSpec, Problem
from chargehand.dialects import TokenUse

__all__ = ["Account", "Exchange", "Tally"]

_MOST_PROBLEMS = 50
_MOST_MODELS = 50
_NOTHING = TokenUse()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What an answer of `model` used: `told` by its provider, for good when `is_final`, and `use`, guesses included."""

    model: str
    use: TokenUse
    told: TokenUse = _NOTHING
    is_final: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Exchange:
    """One request under way. `so_far` is what it used until now; None before it went out.

    `reserved` is what it may come to. `settle` tells its account for good; only the first call counts.
    """

    settle: Callable[[], None]
    so_far: Callable[[], Tally | None]
    task: asyncio.Task[object] | None = None
    reserved: TokenUse = _NOTHING


@dataclass(slots=True, kw_only=True, eq=False)
class Account:
    """The ledger of one attempt. `clock` is monotonic, `now` the time of day."""

    spec: MeterSpec
    prices: PriceTable
    clock: Callable[[], float]
    now: Callable[[], float]
    running: set[Exchange] = field(default_factory=set)
    _requests: int = 0
    _use: TokenUse = _NOTHING
    _guessed: TokenUse = _NOTHING
    _usd: float = 0.0
    _held_usd: float = 0.0
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
    _dearest: Price | None = None
    _longest: int = 0
    _eased: asyncio.Event = field(default_factory=asyncio.Event)

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

    def used(self, tally: Tally) -> None:
        """An answer is over; what nobody told of it is guessed, and marked as such."""
        if not tally.is_final:
            self._unread += 1
            self._guessed += tally.use - tally.told
        model, use = tally.model, tally.use
        self._use += use
        self._longest = max(self._longest, use.total)
        name = model if model in self._models or len(self._models) < _MOST_MODELS else "others"
        self._models[name] = self._models.get(name, _NOTHING) + use
        usd = self.prices.usd(model, use, self.now())
        self._usd += usd or 0.0
        self._held_usd += self._at_most(use) if usd is None else usd
        if usd is None and use.total and len(self._unpriced) < _MOST_MODELS:
            self._unpriced.add(model)

    def failed(self, status: int, retry_at: float | None, text: str) -> None:
        """A request came to nothing."""
        self._failures += 1
        self._problems.append(Problem(status=status, retry_at=retry_at, text=text))

    def refused(self) -> None:
        """A request was answered with the news that a budget is used up."""
        self._refused += 1

    # -- budgets ----------------------------------------------------------------------------------

    @property
    def is_bounded(self) -> bool:
        """Whether there is a budget at all."""
        return self.spec.tokens is not None or self.spec.usd is not None

    @property
    def is_strict(self) -> bool:
        """Whether its provider must do nothing but answer: nobody would count the money, or see what is sent where."""
        return self.spec.is_fenced or self.spec.usd is not None

    @property
    def longest(self) -> int:
        """The tokens of the longest answered request, prompt and answer: no conversation is longer until now."""
        return self._longest

    def over_budget(self) -> str:
        """Which budget is used up, in words; empty when none is. What is under way counts as far as it was told.

        An agent may go on as soon as it has read the last event of a stream, before the stream has come to its end.
        """
        if not self.is_bounded:
            return ""
        under_way = [(tally.model, tally.told) for one in self.running if (tally := one.so_far()) is not None]
        return self._reached(under_way)

    def is_held_up(self) -> bool:
        """Whether a budget would be used up if all that is under way came to what it may; then a new one waits."""
        return self.is_bounded and bool(self._reached(self._reservations()))

    def ease(self) -> None:
        """Something under way came to less than was reserved for it, or ended: who waits may look again."""
        self._eased.set()
        self._eased = asyncio.Event()

    async def eased(self) -> None:
        """Wait for the next time."""
        await self._eased.wait()

    def _reservations(self) -> Iterator[tuple[str, TokenUse]]:
        for one in self.running:
            tally = one.so_far()
            if tally is None:
                continue
            if tally.is_final:
                yield tally.model, tally.told
            else:
                least, use = one.reserved, tally.use
                whole = TokenUse(input=use.input, output=max(use.output, least.output))
                yield tally.model, whole + TokenUse(cached=use.cached, written=use.written, written_1h=use.written_1h)

    def _reached(self, under_way: Iterator[tuple[str, TokenUse]] | list[tuple[str, TokenUse]]) -> str:
        use, usd, now = self._use, self._held_usd, self.now()
        for model, more in under_way:
            use += more
            if self.spec.usd is not None:
                price = self.prices.usd(model, more, now)
                usd += self._at_most(more) if price is None else price
        if self.spec.tokens is not None and use.total >= self.spec.tokens:
            return f"{use.total:,} of {self.spec.tokens:,} tokens are used"
        if self.spec.usd is not None and usd >= self.spec.usd:
            guess = ", where a model without a price counts as the dearest" if self._unpriced else ""
            return f"{usd:.4f} of {self.spec.usd:.4f} US dollars are used{guess}"
        return ""

    def _at_most(self, use: TokenUse) -> float:
        """What tokens of a model without a price count for: nothing that is known costs more."""
        if self._dearest is None:
            self._dearest = self.prices.dearest()
        return self._dearest.parts(use) or 0.0

    # -- looking ----------------------------------------------------------------------------------

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
            estimated_input=self._guessed.input,
            estimated_output=self._guessed.output,
            usd=None if self._unpriced else self._usd,
            held_usd=self._held_usd,
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
