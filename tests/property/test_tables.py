"""Tables carry every value there is, and a state read from them is the state, in everything that deciding looks at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from enum import StrEnum
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargehand.adapters.codec import EVENTS
from chargehand.adapters.tables import _tables, fingerprint, pack, unpack
from chargehand.domain.events import Recorded
from chargehand.domain.evolve import fold
from chargehand.domain.state import RunState, TaskRecord
from tests.play import Play, a_plan, a_task
from tests.property.simulation import Simulation, runs
from tests.property.test_codec import built
from tests.property.test_run_properties import play_out

KINDS = [table.kind for table in _tables(RunState) if table.kind is not RunState]
"""What a state is made of; the state as a whole goes through tables in the runs below."""


def through(value: Any) -> Any:
    """The value after it was JSON."""
    text = json.dumps(pack(value))
    assert text.isascii()
    return unpack(type(value), json.loads(text))


def exact(value: Any) -> Any:
    """Equal only for values alike in type, order and default factories too; a whole number may stand for a float."""
    if is_dataclass(value):
        return type(value), [exact(getattr(value, one.name)) for one in fields(value)]
    if isinstance(value, dict):
        return type(value), getattr(value, "default_factory", None), [(exact(k), exact(v)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [exact(item) for item in value]
    return float if type(value) is int else type(value), value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_value_comes_back(kind: type):
    """Every class that a state is made of, with every field drawn."""

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(built(kind))
    def check(value: Any) -> None:
        assert through(value) == value

    check()


class Restored(Play):
    """The run again, with its state taken through tables after every turn."""

    def __init__(self, run: Simulation) -> None:
        super().__init__(run.start.plan)
        self.start, self.journal = run.start, run.journal[:1]
        self.state = through(fold(self.journal))
        for self.now, facts in run.turns:
            self.record(*facts)
            again = through(self.state)
            assert exact(again) == exact(self.state)
            self.state = again


@settings(derandomize=True, deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(run=runs(), seed=st.integers(0, 2**32))
def test_going_on_from_tables_is_going_on(run: Simulation, seed: int):
    """I13, I15: a state that was put away and taken out again decides what the state itself would have decided."""
    play_out(run, Random(seed).choice)
    again = Restored(run)
    assert again.journal == run.journal
    assert exact(again.state) == exact(fold(run.journal))


@settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(run=runs(), seed=st.integers(0, 2**32))
def test_a_live_state_is_the_fold_of_its_journal(run: Simulation, seed: int):
    """I5: what is put away while a run goes on is what its journal says when it is read again."""
    play_out(run, Random(seed).choice)
    read = [Recorded(seq=r.seq, at=r.at, event=EVENTS.decode(EVENTS.encode(r.event))) for r in run.journal]
    assert exact(through(run.state)) == exact(fold(read))
    middle = Random(seed).randrange(1, len(read) + 1)
    assert exact(fold(read[middle:], onto=through(fold(read[:middle])))) == exact(fold(read))


# -- the shape ------------------------------------------------------------------------------------


Colour = StrEnum("Colour", {"RED": "red"})


def a_class(*columns: Any, **columns_with_default: Any) -> type:
    made = [*columns, *((name, type(value), field(default=value)) for name, value in columns_with_default.items())]
    return make_dataclass("Thing", made, frozen=True, slots=True, kw_only=True)


def test_whatever_changes_the_meaning_of_tables_changes_the_fingerprint():
    """I14: a release never reads a state that another one has put away with another meaning."""
    shapes = [
        a_class(("a", int)),
        a_class(("a", str)),
        a_class(("a", int), ("b", int)),
        a_class(("b", int), ("a", int)),
        a_class(a=1),
        a_class(a=2),
        a_class(("a", Colour)),
        a_class(("a", tuple[Colour, ...])),
        a_class(("a", tuple[Colour, Colour])),
        a_class(("a", frozenset[Colour])),
        a_class(("a", dict[str, int])),
        a_class(("a", dict[str, str])),
    ]
    assert len({fingerprint(shape) for shape in shapes}) == len(shapes)


def test_a_member_more_changes_the_fingerprint():
    def with_members(members: dict[str, str]) -> type:
        return a_class(("a", StrEnum("Colour", members)))

    assert fingerprint(a_class(("a", Colour))) == fingerprint(with_members({"RED": "red"}))
    assert fingerprint(a_class(("a", Colour))) != fingerprint(with_members({"RED": "red", "BLUE": "blue"}))


def test_a_class_below_counts():
    def outer(inner: type) -> type:
        return make_dataclass("Outer", [("inner", inner)], frozen=True, slots=True, kw_only=True)

    assert fingerprint(outer(a_class(("a", int)))) != fingerprint(outer(a_class(("a", int), ("b", int))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    a: complex


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    a: int | str


@dataclass(frozen=True, kw_only=True)
class WithoutSlots:
    a: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreThanItsFields:
    a: int

    def __post_init__(self) -> None:
        assert self.a


def test_a_type_without_a_form_is_refused_at_once():
    """A field that could be lost is an error before anything is written."""
    for kind in (Unknown, Ambiguous, WithoutSlots, MoreThanItsFields):
        with pytest.raises(TypeError, match="in a table"):
            fingerprint(kind)


def test_two_classes_of_one_name_are_refused():
    both = a_class(("a", a_class(("x", int))), ("b", make_dataclass("Thing", [("y", int)], slots=True, kw_only=True)))
    with pytest.raises(TypeError, match="same name"):
        fingerprint(both)


# -- damage ---------------------------------------------------------------------------------------


NO_TABLES: tuple[Any, ...] = (None, [], [1, {}], [2, {}], {}, "x", [1, {"nothing": [1]}])
NO_COLUMNS: tuple[Any, ...] = (None, [], [None], ["x"], [1.5], [[]], [[1], [99]], 7, "x", {})


def wounds(packed: Any) -> Iterator[Any]:
    """Something else in one place, for every kind of place."""
    for table in packed:
        yield {name: rows for name, rows in packed.items() if name != table}
        for other in NO_TABLES:
            yield {**packed, table: other}
        count, columns = packed[table]
        for column in columns:
            for other in NO_COLUMNS:
                yield {**packed, table: [count, {**columns, column: other}]}


def test_other_data_is_an_error_of_a_known_kind_or_a_value():
    """No shape of JSON leads anywhere else: whoever loads can catch what comes."""
    play = Play(a_plan(a_task("a"), a_task("b")))
    play.begin()
    play.through("a")
    packed = json.loads(json.dumps(pack(play.state)))
    refused = 0
    for wounded in wounds(packed):
        try:
            assert isinstance(unpack(RunState, wounded), RunState)
        except (ValueError, TypeError, LookupError, AttributeError):
            refused += 1
    assert refused > 100
    assert isinstance(unpack(RunState, packed).tasks["a"], TaskRecord)
