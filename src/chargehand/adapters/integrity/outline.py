"""What a file of tests says, whatever its language: its tests, what they check, and what keeps them from running."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["EXACT", "LOOSE", "PARTIAL", "TRIVIAL", "Case", "Check", "Mark", "Outline", "weaker"]

TRIVIAL, LOOSE, PARTIAL, EXACT = range(4)
"""How much a check demands: nothing, that there is something, something of it, all of it."""

_FEWER_IS_LOOSER = frozenset({"places", "digits", "decimal", "significant"})
_DEFAULTS = {
    "rel": 1e-6,
    "abs": 1e-12,
    "rel_tol": 1e-9,
    "abs_tol": 0.0,
    "rtol": 1e-5,
    "atol": 1e-8,
    "delta": 0.0,
    "places": 7.0,
    "digits": 2.0,
    "decimal": 7.0,
    "significant": 7.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One assertion. `subject` is what is looked at, `text` all of it, both normalised.

    `times`: how often it is made in one go; `many`: more often, but nobody knows how often. `below` and `above` are the
    bounds it demands, `options` what is accepted.
    """

    subject: str
    text: str
    line: int
    strength: int = EXACT
    times: int = 1
    many: bool = False
    conditional: bool = False
    below: float | None = None
    above: float | None = None
    options: frozenset[str] = frozenset()
    tolerances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something with a place: a marker, a hook, an exit, a mock. Equal texts are the same thing."""

    text: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test, or one function that tests may call. `rows` is how many parameter sets it runs with.

    `names` are the functions it calls, resolved by the imports; `params` the fixtures it asks for.
    """

    name: str
    line: int
    checks: tuple[Check, ...] = ()
    marks: tuple[Mark, ...] = ()
    mocks: tuple[Mark, ...] = ()
    rows: int = 1
    many: bool = False
    calls: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()
    everywhere: bool = False  # it runs for every test: a fixture with autouse
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A file. `marks` stand outside of single tests; `hooks` are what decides which tests run, or what they report."""

    cases: Mapping[str, Case] = field(default_factory=dict)
    helpers: Mapping[str, Case] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    mocks: tuple[Mark, ...] = ()
    exits: tuple[Mark, ...] = ()
    hooks: tuple[Mark, ...] = ()
    rewrites: tuple[Mark, ...] = ()
    modules: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


def weaker(old: Check, new: Check) -> str:
    """In what way a check of the same subject demands less than before; an empty string when it does not."""
    if new.strength < old.strength:
        return "it checks nothing" if new.strength == TRIVIAL else "it accepts more"
    if new.conditional and not old.conditional:
        return "it is made under a condition only"
    if _raised(old.below, new.below) or _raised(new.above, old.above):
        return "its bound is looser"
    if old.options and new.options > old.options:
        return "it accepts more values"
    for key in {*old.tolerances, *new.tolerances}:
        before = old.tolerances.get(key, _DEFAULTS.get(key, 0.0))
        after = new.tolerances.get(key, _DEFAULTS.get(key, 0.0))
        if (after < before) if key in _FEWER_IS_LOOSER else (after > before):
            return f"its tolerance `{key}` is {after:g}, {before:g} before"
    return ""


def _raised(old: float | None, new: float | None) -> bool:
    return old is not None and new is not None and new > old
