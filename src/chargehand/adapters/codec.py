"""Events (and every other frozen value) to versioned JSON and back.

An event is stored as `{"type": name, "v": version, "data": {…}}`. Inside `data` a value of a union carries its
class name under `$`, enums stand as their values, tuples and (sorted) frozensets as lists. All fields are
written, so a later change of a default does not change what an old event meant; a field that is missing takes
the default of its class, which is how fields are added. Any other change of shape raises the version of the
event and needs an upcaster: events themselves are never edited [I14].

Coders are compiled from type hints, once per class, when the class is first met.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import Event

__all__ = ["EVENTS", "UPCASTERS", "Codec", "Upcaster", "from_data", "to_data"]

T = TypeVar("T")
Data = dict[str, Any]
Upcaster = Callable[[Data], Data]
"""Turns the `data` of one version of an event into that of the next; may change its argument."""

TAG = "$"

UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}
"""(event type, version it reads) → upcaster. The current version of a type is one above its highest entry."""


class _Misfit(ValueError):
    """Data that does not have the shape of its type."""


# -- coders ---------------------------------------------------------------------------------------


class _Coder:
    """A pair of functions for one type. `plain` values stand in JSON as they are."""

    __slots__ = ("decode", "encode", "plain")

    def __init__(self, encode: Callable[[Any], Any], decode: Callable[[Any], Any], *, plain: bool = False) -> None:
        self.encode = encode
        self.decode = decode
        self.plain = plain


def _same(value: Any) -> Any:
    return value


def _exactly(kind: type) -> _Coder:
    def decode(value: Any) -> Any:
        if type(value) is kind:
            return value
        raise _Misfit(f"{kind.__name__} expected, found {_short(value)}")

    return _Coder(_same, decode, plain=True)


def _number() -> _Coder:
    """Floats; the ones JSON has no word for stand as text."""

    def encode(value: float) -> float | str:
        return value if isfinite(value) else repr(float(value))

    def decode(value: Any) -> float:
        if type(value) is float:
            return value
        if type(value) is int or value in ("inf", "-inf", "nan"):
            try:
                return float(value)
            except OverflowError:
                raise _Misfit("the number is too large") from None
        raise _Misfit(f"number expected, found {_short(value)}")

    return _Coder(encode, decode)


def _enum(kind: type[Enum]) -> _Coder:
    members = {member.value: member for member in kind}

    def decode(value: Any) -> Enum:
        try:
            return members[value]
        except (KeyError, TypeError):
            raise _Misfit(f"{kind.__name__} has no value {_short(value)}") from None

    return _Coder(attrgetter("_value_"), decode)


def _optional(inner: _Coder) -> _Coder:
    encode, decode = inner.encode, inner.decode
    return _Coder(
        _same if inner.plain else lambda value: None if value is None else encode(value),
        lambda value: None if value is None else decode(value),
        plain=inner.plain,
    )


def _list(value: Any) -> list[Any]:
    if type(value) is list:
        return value
    raise _Misfit(f"list expected, found {_short(value)}")


def _many(inner: _Coder) -> _Coder:
    encode, decode = inner.encode, inner.decode
    return _Coder(
        list if inner.plain else lambda value: [encode(item) for item in value],
        lambda value: tuple([decode(item) for item in _list(value)]),
    )


def _some(inner: _Coder) -> _Coder:
    encode, decode = inner.encode, inner.decode
    return _Coder(
        lambda value: sorted(encode(item) for item in value),
        lambda value: frozenset(decode(item) for item in _list(value)),
    )


def _row(inners: tuple[_Coder, ...]) -> _Coder:
    def encode(value: tuple[Any, ...]) -> list[Any]:
        return [inner.encode(item) for inner, item in zip(inners, value, strict=True)]

    def decode(value: Any) -> tuple[Any, ...]:
        if len(_list(value)) != len(inners):
            raise _Misfit(f"list of {len(inners)} expected, found {len(value)} items")
        return tuple([inner.decode(item) for inner, item in zip(inners, value, strict=True)])

    return _Coder(encode, decode)


class _Record(_Coder):
    """A dataclass. Its fields are looked at when the first value comes by, so types may refer to themselves."""

    __slots__ = ("_decoders", "_encoders", "_get", "_kind", "_names")

    def __init__(self, kind: type) -> None:
        super().__init__(self._encode, self._decode)
        self._kind = kind
        self._names: tuple[str, ...] | None = None

    def _compile(self) -> tuple[str, ...]:
        hints = get_type_hints(self._kind)
        coders = {field.name: _coder(hints[field.name]) for field in fields(self._kind)}
        names = tuple(coders)
        one = len(names) == 1
        get = attrgetter(*names) if names else lambda _: ()
        self._get = (lambda value: (get(value),)) if one else get
        self._encoders = [(name, coder.encode) for name, coder in coders.items() if not coder.plain]
        self._decoders = {name: coder.decode for name, coder in coders.items()}
        self._names = names
        return names

    def _encode(self, value: Any) -> Data:
        names = self._names if self._names is not None else self._compile()
        data = dict(zip(names, self._get(value), strict=True))
        for name, encode in self._encoders:
            data[name] = encode(data[name])
        return data

    def _decode(self, value: Any) -> Any:
        if self._names is None:
            self._compile()
        if type(value) is not dict:
            raise _Misfit(f"{self._kind.__name__} expected, found {_short(value)}")
        decoders, given, name = self._decoders, {}, ""
        try:
            for name, item in value.items():
                given[name] = decoders[name](item)
            return self._kind(**given)
        except KeyError:
            raise _Misfit(f"{self._kind.__name__} has no field {_short(name)}") from None
        except _Misfit as misfit:
            raise _Misfit(f"{self._kind.__name__}.{name}: {misfit}") from None
        except TypeError as error:
            raise _Misfit(str(error)) from None


def _tagged(kinds: tuple[type, ...]) -> _Coder:
    coders = {kind: (kind.__name__, _coder(kind)) for kind in kinds}
    named = {kind.__name__: _coder(kind) for kind in kinds}

    def encode(value: Any) -> Data:
        name, coder = coders[type(value)]
        return {TAG: name, **coder.encode(value)}

    def decode(value: Any) -> Any:
        rest = dict(value) if type(value) is dict else {}
        name = rest.pop(TAG, None)
        if not isinstance(name, str) or name not in named:
            raise _Misfit(f"one of {', '.join(named)} expected, found {_short(value)}")
        return named[name].decode(rest)

    return _Coder(encode, decode)


def _union(hint: Any) -> _Coder:
    arms = tuple(arm for arm in get_args(hint) if arm is not NoneType)
    if len(arms) == 1:
        inner = _coder(arms[0])
    elif all(is_dataclass(arm) for arm in arms):
        inner = _tagged(arms)
    else:
        raise TypeError(f"{hint} cannot be told apart in JSON.")
    return _optional(inner) if len(arms) < len(get_args(hint)) else inner


def _build(hint: Any) -> _Coder:
    origin, args = get_origin(hint), get_args(hint)
    if hasattr(hint, "__supertype__"):
        return _coder(hint.__supertype__)
    if origin in (Union, UnionType):
        return _union(hint)
    if origin is tuple:
        return _many(_coder(args[0])) if args[1:] == (...,) else _row(tuple(_coder(arg) for arg in args))
    if origin is frozenset:
        return _some(_coder(args[0]))
    if hint is float:
        return _number()
    if hint in (str, int, bool):
        return _exactly(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return _Record(hint)
    raise TypeError(f"{hint} has no form in JSON.")


_CODERS: dict[Any, _Coder] = {}


def _coder(hint: Any) -> _Coder:
    coder = _CODERS.get(hint)
    if coder is None:
        coder = _CODERS[hint] = _build(hint)
    return coder


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


# -- doors ----------------------------------------------------------------------------------------


def to_data(value: Any) -> Data:
    """A dataclass as a JSON object (dicts, lists and scalars only)."""
    return cast("Data", _coder(type(value)).encode(value))


def from_data(kind: type[T], data: Any) -> T:
    """The value `to_data` was given; AdapterError for data of another shape."""
    try:
        return cast("T", _coder(kind).decode(data))
    except _Misfit as misfit:
        raise AdapterError("codec", f"This is no {kind.__name__}: {misfit}.") from None


class Codec(Generic[T]):
    """JSON text for the values of one closed union of dataclasses, with versions.

    Decoding raises UserError (`newer_journal`) for a type or version this release does not know, AdapterError
    for text that is damaged. Versions begin at 1; `upcasters` lead from each one to the next.
    """

    def __init__(self, union: Any, upcasters: Mapping[tuple[str, int], Upcaster]) -> None:
        self._kinds: dict[str, type] = {kind.__name__: kind for kind in get_args(union) or (union,)}
        self._upcasters = upcasters
        self._versions = {
            name: 1 + max((version for kind, version in upcasters if kind == name), default=0) for name in self._kinds
        }
        self._dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

    def encode(self, value: T) -> str:
        """ASCII JSON in one line; the same value always gives the same text."""
        name = type(value).__name__
        return self._dumps({"type": name, "v": self._versions[name], "data": to_data(value)})

    def decode(self, text: str) -> T:
        """The value that `encode` was given, by this release or an older one."""
        name, version, data = self._open(text)
        kind, current = self._kinds.get(name), self._versions.get(name, 0)
        if kind is None or version > current:
            raise UserError(
                f"The journal holds an event `{name}` in version {version}; this Chargehand knows "
                f"{f'version {current}' if kind else 'no such event'}: it was written by a newer Chargehand.",
                code="newer_journal",
                hint="Use the release that wrote it, or a later one.",
            )
        for step in range(version, current):
            data = self._upcasters[name, step](data)
        return cast("T", from_data(kind, data))

    def _open(self, text: str) -> tuple[str, int, Data]:
        try:
            envelope = json.loads(text)
            name, version, data = envelope["type"], envelope["v"], envelope["data"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise AdapterError("journal", f"An event is damaged: {type(error).__name__} in {_short(text)}.") from None
        if type(name) is not str or type(version) is not int or version < 1 or type(data) is not dict:
            raise AdapterError("journal", f"An event is damaged: no type, version and data in {_short(text)}.")
        return name, version, data


EVENTS: Codec[Event] = Codec(Event, UPCASTERS)
"""The codec of the journal."""
