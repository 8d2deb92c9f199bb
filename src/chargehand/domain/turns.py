"""Tasks that nothing orders but that must not run together: they take turns (SPEC 2.2, 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from chargehand.domain.graph import Needs, dependants, lineage
from chargehand.domain.plan import Mode, Task
from chargehand.domain.scope import interface_name, meetings

__all__ = ["MAX_TURNS", "Turn", "Turns", "taking_turns"]

MAX_TURNS = 500
_MAX_PAIRS = 100
_MAX_COMPARISONS = 100_000
_MAX_GROUPS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Tasks of which no two run together, and why. `all_pairs` is False when some of them are ordered anyway."""

    tasks: tuple[str, ...]
    because: str
    all_pairs: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """At most `MAX_TURNS` entries in plan order; `omitted` counts the rest.

    With `complete` False there was too much to compare: entries may be missing, and `omitted` is too small.
    """

    entries: tuple[Turn, ...] = ()
    omitted: int = 0
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clash:
    ones: tuple[int, ...]
    twos: tuple[int, ...]
    because: str


@dataclass(slots=True, kw_only=True)
class _Apart:
    """For each task the set of those that may run beside it, worked out when first asked for."""

    above: Sequence[int]
    below: Sequence[int]
    allowed: Sequence[int]
    known: dict[int, int] = field(default_factory=dict)

    def of(self, task: int) -> int:
        if task not in self.known:
            self.known[task] = self.allowed[task] & ~(self.above[task] | self.below[task] | 1 << task)
        return self.known[task]


def taking_turns(tasks: Sequence[Task], needs: Needs, waves: Mapping[str, int] | None = None) -> Turns:
    """Find the tasks that may be under way together and whose files or produced interfaces overlap.

    `needs` has the tasks in their order and no cycle. With `waves` (a barrier after each) only tasks of one wave
    can run together. Many tasks with one reason in common make one entry.
    """
    apart = _apart(tasks, needs, waves)
    found = meetings([task.files.writes if task.files else () for task in tasks], limit=_MAX_COMPARISONS)
    clashes = [
        _Clash(ones=meeting.ones, twos=meeting.twos, because=_about_files(meeting.one, meeting.two))
        for meeting in found.found
    ]
    clashes += _same_products(tasks)
    reasons: dict[tuple[int, ...], list[str]] = {}
    partial: set[tuple[int, ...]] = set()
    for clash in clashes:
        if len(reasons) > _MAX_GROUPS:
            break
        for members, whole in _groups(clash, apart):
            reasons.setdefault(members, []).append(clash.because)
            if not whole:
                partial.add(members)
    entries = (
        Turn(
            tasks=tuple(tasks[number].id for number in members),
            because=_joined(reasons[members]),
            all_pairs=members not in partial,
        )
        for members in sorted(reasons)
    )
    kept = tuple(islice(entries, MAX_TURNS))
    return Turns(
        entries=kept, omitted=len(reasons) - len(kept), complete=found.complete and len(reasons) <= _MAX_GROUPS
    )


def _apart(tasks: Sequence[Task], needs: Needs, waves: Mapping[str, int] | None) -> _Apart:
    parallel = sum(1 << number for number, task in enumerate(tasks) if task.mode is Mode.PARALLEL)
    by_wave: dict[int, int] = {}
    for number, task in enumerate(tasks):
        wave = waves[task.id] if waves else 0
        by_wave[wave] = by_wave.get(wave, 0) | 1 << number
    allowed = [
        by_wave[waves[task.id] if waves else 0] & parallel if task.mode is Mode.PARALLEL else 0 for task in tasks
    ]
    return _Apart(above=lineage(needs).above, below=lineage(dependants(needs)).above, allowed=allowed)


def _members(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def _bits(numbers: Iterable[int]) -> int:
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def _same_products(tasks: Sequence[Task]) -> Iterator[_Clash]:
    makers: dict[str, list[int]] = {}
    for number, task in enumerate(tasks):
        for name in dict.fromkeys(interface_name(text) for text in task.interfaces.produces):
            makers.setdefault(name, []).append(number)
    for name, made_by in makers.items():
        if len(made_by) > 1:
            yield _Clash(ones=tuple(made_by), twos=tuple(made_by), because=f"produce the interface {name}")


def _groups(clash: _Clash, apart: _Apart) -> Iterator[tuple[tuple[int, ...], bool]]:
    """The tasks of a clash that may run together: all in one group, or in pairs when that is not true of all."""
    ones, twos = _bits(clash.ones), _bits(clash.twos)
    partners: dict[int, int] = {}
    for task in sorted({*clash.ones, *clash.twos}):
        rivals = (twos if ones >> task & 1 else 0) | (ones if twos >> task & 1 else 0)
        beside = apart.of(task) & rivals
        if beside:
            partners[task] = beside
    pairs = sum(beside.bit_count() for beside in partners.values()) // 2
    if pairs == len(partners) * (len(partners) - 1) // 2:
        if partners:
            yield tuple(partners), True
    elif pairs <= _MAX_PAIRS:
        for task, beside in partners.items():
            yield from (((task, other), True) for other in _members(beside) if other > task)
    else:
        yield tuple(partners), False


def _about_files(one: str, two: str) -> str:
    return f"may change {one}" if one == two else f"may change {one} and {two}, which overlap"


def _joined(reasons: Sequence[str]) -> str:
    shown = list(dict.fromkeys(reasons))
    more = f" and {len(shown) - 3} more reasons" if len(shown) > 3 else ""
    return "; ".join(shown[:3]) + more
