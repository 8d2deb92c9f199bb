"""The train: in which order changes land, which of them land together, and what each is built on (SPEC 6).

Theory of operation. Tasks that wait to land stand in `RunState.queue`; the train is that queue in units. A unit is one
task, or the members of a group (`Task.group`), which land as one: merged one on the other in plan order, gated once on
the tree of all, with one movement of the branch. A group waits until each of its members is ready, over, or waits for a
person. Whoever left it once (a culprit, a conflict, a question) is a unit of its own from then on, and begins anew when
the rest has landed.

A red group is bisected over its prefixes. The changes merged before a member are a candidate of their own, so a prefix
that is green and the next one that is red name the culprit: the last member of a shortest red prefix. It goes back to
its task, and what was built on it is built anew on the green prefix. Each culprit costs at most one run of the gates
for the whole, and the logarithm of the size of the group to find it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from chargehand.domain.effects import RunGates
from chargehand.domain.events import GatesFinished, MergeFinished
from chargehand.domain.outcome import Conflict
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import TaskStatus

__all__ = [
    "Train",
    "before",
    "expected_head",
    "is_premature",
    "lacking",
    "lands_first",
    "next_to_gate",
    "slots_taken",
    "train",
    "unit_of",
]

Train = Sequence[tuple[str, ...]]
"""Units in the order in which they land; the tasks of a unit in that in which they are merged."""


# -- groups ---------------------------------------------------------------------------------------


def _group(record: TaskRecord) -> str | None:
    """The group with which a task lands; None for a unit of its own."""
    return None if record.apart else record.task.group


def lacking(state: RunState, record: TaskRecord) -> list[str]:
    """The members of its group for which a task of the queue waits: they are at work, or have yet to begin."""
    group = _group(record) if record.status is TaskStatus.INTEGRATING else None
    return [name for name in state.groups.get(group or "", ()) if _is_to_come(state.tasks[name])]


def _is_to_come(record: TaskRecord) -> bool:
    ready = record.status in {TaskStatus.INTEGRATING, TaskStatus.AWAITING_DECISION}
    return not (ready or record.is_over or record.apart)


def lands_first(state: RunState, record: TaskRecord) -> bool:
    """Whether a task that left its group waits for the rest of it to land: it is to begin on what that leaves."""
    group = record.task.group if record.apart else None
    return group is not None and any(_group(state.tasks[name]) == group for name in state.queue)


def slots_taken(state: RunState) -> int:
    """How many slots tasks hold: one that is ready and waits for its group keeps its lease, and no slot.

    Otherwise a group of more members than there are slots would never be complete.
    """
    tasks = (state.tasks[name] for name in state.live)
    return sum(_group(record) is None or record.status is not TaskStatus.INTEGRATING for record in tasks)


# -- units ----------------------------------------------------------------------------------------


def train(state: RunState, *, patient: bool = True) -> Train:
    """The units that may go on. Where not `patient`, groups go on without the members they wait for."""
    units: list[tuple[str, ...]] = []
    known: set[str] = set()
    for name in state.queue:
        group = _group(state.tasks[name])
        if group is None:
            units.append((name,))
        elif group not in known:
            known.add(group)
            units += _units(state, group, patient=patient)
    return units


def _units(state: RunState, group: str, *, patient: bool) -> Iterator[tuple[str, ...]]:
    """The group as one, without members that do not merge with those before them: these land first."""
    ready = _ready(state, group)
    heads = {record.candidate.commit for name in ready if (record := state.tasks[name]).candidate is not None}
    unit = tuple(name for name in ready if not _conflicts(state.tasks[name], {state.head, *heads}))
    if unit and not (patient and lacking(state, state.tasks[unit[0]])):
        yield unit


def _conflicts(record: TaskRecord, heads: Collection[str | None]) -> bool:
    """Whether a change does not merge with something that is there still."""
    outcome = record.unjudged
    return isinstance(outcome, MergeFinished) and isinstance(outcome.result, Conflict) and outcome.result.head in heads


def _ready(state: RunState, group: str) -> list[str]:
    """The members in the queue, in plan order."""
    return sorted(
        (name for name in state.queue if _group(state.tasks[name]) == group),
        key=lambda name: state.priority[name][1],
    )


def unit_of(state: RunState, record: TaskRecord) -> tuple[str, ...]:
    """The unit in which a task of the queue stands, complete or not."""
    group = _group(record)
    if group is None:
        return (record.id,)
    return next(_units(state, group, patient=False))


def before(state: RunState, record: TaskRecord) -> tuple[str, ...]:
    """The tasks whose changes are in the candidate of this one and land together with it."""
    unit = unit_of(state, record)
    return unit[: unit.index(record.id)]


# -- what is built on what ------------------------------------------------------------------------


def expected_head(state: RunState, line: Train, task: str) -> str | None:
    """What the candidate of a task is built on: the branch, or the candidate before it; None while there is none."""
    assert state.head is not None
    head = state.head
    for other in (name for unit in line for name in unit):
        if other == task:
            return head
        candidate = state.tasks[other].candidate
        if candidate is None or candidate.head != head:
            return None
        head = candidate.commit
    return None


def is_premature(state: RunState, record: TaskRecord) -> bool:
    """Whether what is said against a candidate may be the fault of another one.

    It is the task's own where everything before it has landed, or is known to be green in the same group.
    """
    if record.candidate is None:
        return False
    unit = unit_of(state, record)
    place = unit.index(record.id)
    if not _stands_on_branch(state, unit[: place + 1]):
        return True
    return place > 0 and not state.tasks[unit[place - 1]].candidate_green


def _stands_on_branch(state: RunState, unit: Sequence[str]) -> bool:
    """Whether the candidates of a unit are built on each other, and the first of them on the branch."""
    return _is_built(state, unit) and _base(state, unit) == state.head


def _is_built(state: RunState, unit: Sequence[str]) -> bool:
    candidates = [state.tasks[name].candidate for name in unit]
    head = candidates[0].head if candidates[0] is not None else ""
    for candidate in candidates:
        if candidate is None or candidate.head != head:
            return False
        head = candidate.commit
    return True


def _base(state: RunState, unit: Sequence[str]) -> str:
    candidate = state.tasks[unit[0]].candidate
    assert candidate is not None
    return candidate.head


def next_to_gate(state: RunState, unit: Sequence[str]) -> str | None:
    """The task whose candidate is to be gated next, if any: the whole unit, then the middle of what is unknown."""
    records = [state.tasks[name] for name in unit]
    if not _is_built(state, unit):
        return None
    if any(isinstance(state.inflight.get(record.inflight or ""), RunGates) for record in records):
        return None
    red = next((place for place, record in enumerate(records) if _is_red(record)), None)
    if red is None:
        return None if records[-1].candidate_green else unit[-1]
    first = next((place + 1 for place in reversed(range(red)) if records[place].candidate_green), 0)
    if first == red or not _stands_on_branch(state, unit):
        return None
    return unit[(first + red - 1) // 2]


def _is_red(record: TaskRecord) -> bool:
    """Whether gates stand against the candidate, also while something is done about it."""
    return isinstance(record.unjudged, GatesFinished) or isinstance(record.aside, GatesFinished)
