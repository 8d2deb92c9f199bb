"""What tokens cost: a dated table in the package, and a file of the user that goes before it."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

from chargehand.dialects import TokenUse
from chargehand.domain.errors import UserError

__all__ = ["Price", "PriceTable"]

_MOST_BYTES = 4 * 1024 * 1024
_RATES = ("input", "output", "cached", "written", "written_1h")
_KEYS = {*_RATES, "above", "until", "then"}
_SUFFIXES = re.compile(r"(?:[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|latest)|-v\d+(?::\d+)?)$")
_PREFIXES = re.compile(r"^(?:.*/|(?:[a-z]{2,6}\.)?(?:anthropic|openai|google)\.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens; None where nobody said. `cached` were read from a cache, `written` put into one.

    `above` is (tokens of the prompt, the price of the whole request when there are more). `until` is the last day
    this holds, `then` what follows; None: unknown.
    """

    input: float
    output: float
    cached: float | None = None
    written: float | None = None
    written_1h: float | None = None
    above: tuple[int, Price] | None = None
    until: date | None = None
    then: Price | None = None

    def usd(self, use: TokenUse, on: date) -> float | None:
        """What `use`, of one request, costs on that day; None when a price it needs is unknown."""
        if self.until is not None and on > self.until:
            return self.then.usd(use, on) if self.then else None
        if self.above is not None and use.input > self.above[0]:
            return self.above[1].usd(use, on)
        return self.parts(use)

    def parts(self, use: TokenUse) -> float | None:
        """What `use` costs at these rates, whatever the day and the size; None when one that it needs is unknown."""
        parts = (
            (use.input - use.cached - use.written, self.input),
            (use.output, self.output),
            (use.cached, self.cached),
            (use.written - use.written_1h, self.written),
            (use.written_1h, self.written_1h),
        )
        total = 0.0
        for tokens, rate in parts:
            if tokens <= 0:
                continue
            if rate is None:
                return None
            total += tokens * rate
        return total / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices by the name of the model; `date` and `source` say how old they are and where they are from."""

    models: Mapping[str, Price] = field(default_factory=dict)
    date: str = ""
    source: str = ""

    @classmethod
    def packaged(cls) -> Self:
        """The table of this version of Chargehand."""
        return cls._parsed(Path(__file__).with_name("prices.json"))

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """The table of the package, with the models of the file at `path` in place of its own."""
        packaged = cls.packaged()
        if path is None:
            return packaged
        own = cls._parsed(path)
        return cls(
            models={**packaged.models, **own.models},
            date=own.date or packaged.date,
            source=f"{path}; else {packaged.source}",
        )

    @classmethod
    def _parsed(cls, path: Path) -> Self:
        try:
            document = json.loads(_text(path))
            models = {str(name): _price(given) for name, given in document["models"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            said = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
            raise UserError(
                f"The price table {path} cannot be used: {said}.",
                code="prices",
                file=str(path),
                hint="docs/reference/meter.md shows the form of a price table.",
            ) from None
        source = document.get("source", "")
        return cls(
            models=models,
            date=str(document.get("date", "")),
            source="; ".join(map(str, source)) if isinstance(source, list) else str(source),
        )

    def price(self, model: str) -> Price | None:
        """The price of `model`, whatever date, version or provider stands around its name; None when it has none."""
        names = [model, _PREFIXES.sub("", model)]
        names += [_SUFFIXES.sub("", name) for name in names]
        names.append(_SUFFIXES.sub("", names[-1]))
        return next((self.models[name] for name in names if name in self.models), None)

    def dearest(self) -> Price:
        """A price that no model of the table exceeds in anything; of an empty table, a hundred dollars."""
        every = list(_every(self.models.values()))

        def most(rate: str) -> float:
            return max((value for one in every if (value := getattr(one, rate)) is not None), default=100.0)

        return Price(
            input=most("input"),
            output=most("output"),
            cached=most("cached"),
            written=most("written"),
            written_1h=most("written_1h"),
        )

    def usd(self, model: str, use: TokenUse, at: float) -> float | None:
        """What one answer of `model` cost at that time (seconds since the epoch); None when nobody knows."""
        found = self.price(model)
        return found.usd(use, datetime.fromtimestamp(at, UTC).date()) if found else None


def _text(path: Path) -> str:
    """The text of a regular file of reasonable size; nothing is waited for, as the other end of a pipe would be."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no regular file")
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
    return data.decode("utf-8")


def _every(prices: Iterable[Price]) -> Iterator[Price]:
    for one in prices:
        yield one
        yield from _every([more for more in (one.above[1] if one.above else None, one.then) if more is not None])


def _price(given: Any) -> Price:
    unknown = set(given) - _KEYS - {"tokens"}
    if unknown:
        raise ValueError(f"unknown key `{min(unknown)}`; there are {', '.join(sorted(_KEYS))}")
    rates = {name: _rate(name, given[name]) for name in _RATES if name in given}
    above, until, then = given.get("above"), given.get("until"), given.get("then")
    return Price(
        input=rates.pop("input") if "input" in rates else _lacking("input"),
        output=rates.pop("output") if "output" in rates else _lacking("output"),
        **rates,
        above=(int(above["tokens"]), _price(above)) if above else None,
        until=date.fromisoformat(until) if until else None,
        then=_price(then) if then else None,
    )


def _rate(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1_000_000:
        raise ValueError(f"`{name}` must be dollars per million tokens, not {value!r}")
    return float(value)


def _lacking(name: str) -> float:
    raise ValueError(f"a model lacks `{name}`")
