"""Thousands of alike values as JSON that is read in a fraction of a second: a table per class, a column per field.

A value of a dataclass is a row of the table of its class and stands elsewhere as the number of that row, so what many
values share is stored once, and shared again when it is read. A column in which every row holds the default of its
field is left out. Which tables and columns there are follows from the type hints alone: a new field is carried without
a word here, and a hint that has no form is a TypeError. `fingerprint` tells whether two releases mean the same by it.

Nothing here is for keeping: what must be read by later releases goes through `adapters.codec`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from graphlib import TopologicalSorter
from hashlib import sha256
from itertools import chain, islice, repeat
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

__all__ = ["fingerprint", "pack", "unpack"]

T = TypeVar("T")
Column = list[Any]
Rows = dict[type, list[Any]]

_PLAIN = (str, int, bool, NoneType)
_MANY: dict[Any, Callable[[Iterable[Any]], Any]] = {tuple: tuple, list: list, frozenset: frozenset}


class _Form:
    """How a column of one type is packed and unpacked. `classes` are the dataclasses right below it."""

    classes: tuple[type, ...] = ()

    def pack(self, column: Column, book: _Book, /) -> Any:
        """A column as JSON; rows that nobody has seen yet are entered into the book."""
        raise NotImplementedError

    def unpack(self, packed: Any, rows: Rows, /) -> Column:
        """The column again; `rows` holds the tables of all classes below."""
        raise NotImplementedError


class _Book:
    """The rows of all classes, each value once."""

    def __init__(self, classes: Iterable[type]) -> None:
        self.rows: Rows = {kind: [] for kind in classes}
        self._numbers: dict[int, int] = {}

    def enter(self, kind: type, values: Column) -> list[int]:
        """The numbers of the rows that hold these values."""
        rows, numbers = self.rows[kind], self._numbers
        found = []
        for value in values:
            number = numbers.get(id(value))
            if number is None:
                number = numbers[id(value)] = len(rows)
                rows.append(value)
            found.append(number)
        return found


class _Same(_Form):
    """What JSON holds as it is."""

    def __init__(self, *kinds: type) -> None:
        self.kinds = frozenset(kinds)

    def pack(self, column: Column, _: _Book, /) -> Any:
        return column

    def unpack(self, packed: Any, _: Rows, /) -> Column:
        found = set(map(type, packed))
        if found - self.kinds:
            raise TypeError(f"A column holds something else than {self.kinds}.")
        if float in self.kinds and int in found:
            return [float(value) if type(value) is int else value for value in packed]
        return cast("Column", packed)


class _Enum(_Form):
    def __init__(self, kind: type[Enum]) -> None:
        self.members = {member.value: member for member in kind}

    def pack(self, column: Column, _: _Book, /) -> Any:
        return list(map(attrgetter("_value_"), column))

    def unpack(self, packed: Any, _: Rows, /) -> Column:
        return list(map(self.members.__getitem__, packed))


class _Row(_Form):
    """A value of one dataclass."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.classes = (kind,)

    def pack(self, column: Column, book: _Book, /) -> Any:
        return book.enter(self.kind, column)

    def unpack(self, packed: Any, rows: Rows, /) -> Column:
        return list(map(rows[self.kind].__getitem__, packed))


class _Either(_Form):
    """A value of one of several dataclasses: the name of the class, and the number of the row."""

    def __init__(self, kinds: tuple[type, ...]) -> None:
        self.classes = kinds
        self.named = {kind.__name__: kind for kind in kinds}

    def pack(self, column: Column, book: _Book, /) -> Any:
        return [[type(value).__name__, *book.enter(type(value), [value])] for value in column]

    def unpack(self, packed: Any, rows: Rows, /) -> Column:
        return [rows[self.named[name]][number] for name, number in packed]


class _Optional(_Form):
    """Which rows hold something, and a column of what those hold."""

    def __init__(self, inner: _Form) -> None:
        self.inner = inner
        self.classes = inner.classes

    def pack(self, column: Column, book: _Book, /) -> Any:
        held = [value for value in column if value is not None]
        return [[int(value is not None) for value in column], self.inner.pack(held, book)]

    def unpack(self, packed: Any, rows: Rows, /) -> Column:
        there, held = packed
        values = iter(self.inner.unpack(held, rows))
        return [next(values) if is_there else None for is_there in there]


class _Many(_Form):
    """Collections: how many items each has, and one column of all items."""

    def __init__(self, make: Callable[[Iterable[Any]], Any], inner: _Form) -> None:
        self.make = make
        self.inner = inner
        self.classes = inner.classes

    def pack(self, column: Column, book: _Book, /) -> Any:
        return [list(map(len, column)), self.inner.pack(list(chain.from_iterable(column)), book)]

    def unpack(self, packed: Any, rows: Rows, /) -> Column:
        lengths, held = packed
        items, make = iter(self.inner.unpack(held, rows)), self.make
        return [make(islice(items, length)) for length in lengths]


class _Fixed(_Form):
    """Tuples of a known length: a column per place."""

    def __init__(self, inners: tuple[_Form, ...]) -> None:
        self.inners = inners
        self.classes = tuple(kind for inner in inners for kind in inner.classes)

    def pack(self, column: Column, book: _Book, /) -> Any:
        places = list(zip(*column, strict=True)) or [()] * len(self.inners)
        return [inner.pack(list(place), book) for inner, place in zip(self.inners, places, strict=True)]

    def unpack(self, packed: Any, rows: Rows, /) -> Column:
        places = [inner.unpack(place, rows) for inner, place in zip(self.inners, packed, strict=True)]
        return list(zip(*places, strict=True))


class _Mapping(_Form):
    """Dictionaries in the order they have: their items as pairs."""

    def __init__(self, inner: _Fixed) -> None:
        self.pairs = _Many(dict, inner)
        self.classes = inner.classes

    def pack(self, column: Column, book: _Book, /) -> Any:
        return self.pairs.pack([mapping.items() for mapping in column], book)

    def unpack(self, packed: Any, rows: Rows, /) -> Column:
        return self.pairs.unpack(packed, rows)


# -- forms of types -------------------------------------------------------------------------------


@cache
def _form(hint: Any) -> _Form:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _union(args)
    if origin is tuple and args[1:] != (...,):
        return _Fixed(tuple(map(_form, args)))
    if origin in _MANY:
        return _Many(_MANY[origin], _form(args[0]))
    if origin is dict:
        return _Mapping(_Fixed((_form(args[0]), _form(args[1]))))
    if hint is float:
        return _Same(float, int)
    if hint in _PLAIN:
        return _Same(hint)
    if hint is None:
        return _Same(NoneType)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _Enum(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return _Row(hint)
    raise TypeError(f"{hint} has no form in a table.")


def _union(args: tuple[Any, ...]) -> _Form:
    arms = tuple(arm for arm in args if arm is not NoneType)
    if len(arms) == 1:
        inner = _form(arms[0])
    elif all(is_dataclass(arm) for arm in arms):
        inner = _Either(arms)
    else:
        raise TypeError(f"{args} cannot be told apart in a table.")
    if len(arms) == len(args):
        return inner
    return _Same(*inner.kinds, NoneType) if isinstance(inner, _Same) else _Optional(inner)


class _Table:
    """The columns of one class, which has slots and whose fields are all there is to make one of it."""

    def __init__(self, kind: type) -> None:
        if hasattr(kind, "__post_init__") or "__slots__" not in vars(kind):
            raise TypeError(f"{kind.__name__} has no form in a table: it has no slots, or more to it than its fields.")
        hints = get_type_hints(kind)
        self.kind = kind
        self.fields: dict[str, Field[Any]] = {field.name: field for field in fields(kind)}
        self.forms = {name: _form(hints[name]) for name in self.fields}

    def pack(self, book: _Book) -> Any:
        """The number of rows, and the columns in which one differs from the default."""
        rows = book.rows[self.kind]
        columns = {}
        for name, form in self.forms.items():
            column = list(map(attrgetter(name), rows))
            if column.count(self.fields[name].default) < len(rows):  # MISSING equals nothing: the column is written
                columns[name] = form.pack(column, book)
        return [len(rows), columns]

    def unpack(self, packed: Any, rows: Rows) -> None:
        """Make the rows of this table; those of the classes below are there.

        Their slots are filled column by column: ten times as fast as calling the class for every row.
        """
        count, columns = packed
        made: Column = list(map(object.__new__, repeat(self.kind, count)))
        for name in self.fields:
            values = self._column(name, columns[name], rows) if name in columns else self._defaults(name, count)
            if len(values) != count:
                raise ValueError(f"{self.kind.__name__}.{name} has {len(values)} rows, not {count}.")
            deque(map(getattr(self.kind, name).__set__, made, values), maxlen=0)
        rows[self.kind] = made

    def _column(self, name: str, packed: Any, rows: Rows) -> Column:
        column, factory = self.forms[name].unpack(packed, rows), self.fields[name].default_factory
        return column if factory is MISSING else [_refill(factory(), value) for value in column]

    def _defaults(self, name: str, count: int) -> Column:
        default = self.fields[name].default
        if default is MISSING and count:
            raise ValueError(f"{self.kind.__name__}.{name} is missing.")
        return [default] * count


def _refill(fresh: Any, value: Any) -> Any:
    """The value in a container of the kind its field begins with: a `defaultdict` stays one."""
    if type(fresh) is type(value):
        return value
    fresh.clear()
    fresh.update(value)
    return fresh


_TABLES: dict[type, tuple[_Table, ...]] = {}


def _tables(root: type) -> tuple[_Table, ...]:
    """The tables of all classes below `root`, each after those it refers to."""
    if root not in _TABLES:
        _TABLES[root] = _arrange(root)
    return _TABLES[root]


def _arrange(root: type) -> tuple[_Table, ...]:
    found: dict[type, _Table] = {}
    todo = [root]
    while todo:
        kind = todo.pop()
        if kind not in found:
            found[kind] = _Table(kind)
            todo += _below(found[kind])
    if len({kind.__name__ for kind in found}) < len(found):
        raise TypeError(f"Two classes below {root.__name__} have the same name.")
    order = TopologicalSorter({kind: _below(table) for kind, table in found.items()})
    return tuple(found[kind] for kind in order.static_order())


def _below(table: _Table) -> list[type]:
    return [kind for form in table.forms.values() for kind in form.classes]


# -- whole values ---------------------------------------------------------------------------------


def pack(value: Any) -> dict[str, Any]:
    """A value of a dataclass, and everything below it, as JSON; it is changed by nobody meanwhile."""
    tables = _tables(type(value))
    book = _Book(table.kind for table in tables)
    book.enter(type(value), [value])
    return {table.kind.__name__: table.pack(book) for table in reversed(tables)}


def unpack(kind: type[T], packed: Any) -> T:
    """The value that `pack` was given; ValueError, TypeError, LookupError or ArithmeticError for other data."""
    rows: Rows = {}
    for table in _tables(kind):
        table.unpack(packed[table.kind.__name__], rows)
    (made,) = rows[kind]
    return cast("T", made)


def fingerprint(root: type) -> str:
    """A hash of all classes below `root`: their fields, with type and default, and the values of their enums."""
    text = [line for table in _tables(root) for line in _shape(table.kind)]
    return sha256("\n".join(text).encode()).hexdigest()


def _shape(kind: type) -> Iterator[str]:
    hints = get_type_hints(kind)
    for field in fields(kind):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        yield f"{kind.__name__}.{field.name}: {_spelled(hints[field.name])} = {_spelled(default)}"


def _spelled(value: Any) -> str:
    """The same text in every process: sets in order, enums with all their values."""
    if isinstance(value, type) and issubclass(value, Enum):
        return f"{value.__name__}{[member.value for member in value]}"
    if get_args(value):
        return f"{get_origin(value)}[{', '.join(map(_spelled, get_args(value)))}]"
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}({', '.join(_spelled(getattr(value, f.name)) for f in fields(value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_spelled, value)))}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_spelled, value))})"
    return "none" if value is MISSING else repr(value)
