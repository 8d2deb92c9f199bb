"""Moving live tasks on: gates on their own tree, reviews, the train of candidates, landing (SPEC 3.7, 4, 6).

The train (`domain.train`). Tasks that wait to land stand in a queue, and their candidates are built on each other:
head+A, head+A+B, … Each is gated at once, in the slot its task holds; of a group that lands as one, only the last is.
Only the first may land. A green candidate behind it waits for what it was built on; a red one says nothing as long as
something before it is open. Where one leaves the queue without landing, those behind it are built and gated anew on
what stands before them then.
"""

from __future__ import annotations

from collections.abc import Iterator

from chargehand.domain.effects import Land, MergeCandidate, RunGates
from chargehand.domain.events import EffectIntended, Event, GatesPassed, MergeFinished
from chargehand.domain.gating import due_checks, verifies
from chargehand.domain.ids import effect_key
from chargehand.domain.outcome import Candidate
from chargehand.domain.plan import GatePoint
from chargehand.domain.reviewing import is_reviewed, next_review
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.train import Train, before, expected_head, next_to_gate, train
from chargehand.domain.words import TaskStatus

__all__ = ["advance"]

Events = tuple[Event, ...]

SYNTAX_SUFFIXES = (
    *(".py", ".pyi", ".json", ".yaml", ".yml", ".toml"),
    *(".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".java"),
)
"""Files with one of these endings are parsed before any gate is paid for (SPEC 3.7, item 5)."""


def advance(state: RunState, now: float, *, patient: bool = True) -> Events:
    """The next step of the first task that can take one; where not `patient`, also of groups that are not complete."""
    line = train(state, patient=patient)
    for task in state.attention:
        record = state.tasks[task]
        if record.unjudged is not None and not _is_spent(state, line, record):
            continue
        if record.status is TaskStatus.GATING:
            return (_gate(state, record),)
        reviewing = record.status is TaskStatus.REVIEWING
        if events := next_review(state, record, now) if reviewing else tuple(_integrate(state, line, record)):
            return events
    return ()


# -- the task's own tree --------------------------------------------------------------------------


def _gate(state: RunState, record: TaskRecord) -> Event:
    """Verify and task gates on the sealed tree; where there are none, the syntax check joins the next gates.

    Those of a group are not the task's own: its syntax is looked at before.
    """
    sealed = record.sealed
    assert sealed is not None
    own = due_checks(state.plan, GatePoint.TASK, record.task)
    alone = bool(own or record.task.group or not state.plan.gates_on(GatePoint.INTEGRATE))
    syntax = _has_syntax(record) and alone
    if not own and not syntax:
        review = is_reviewed(state, record)
        return GatesPassed(task=record.id, attempt=record.made, point=GatePoint.TASK, review=review)
    return EffectIntended(
        effect=RunGates(
            key=_key(record, "gates"),
            task=record.id,
            attempt=record.made,
            point=GatePoint.TASK,
            commit=sealed.commit,
            tree=sealed.tree,
            base=record.origin or sealed.base,
            verify=True,
            syntax=syntax,
        )
    )


def _has_syntax(record: TaskRecord) -> bool:
    return any(path.endswith(SYNTAX_SUFFIXES) for path in record.files_changed)


def _key(record: TaskRecord, step: str) -> str:
    """Gates that run again for the same attempt (mitigated, mended, or on another candidate) have logs of their own."""
    return effect_key(record.id, record.made, f"{step}-{record.again + 1}" if record.again else step)


# -- the train ------------------------------------------------------------------------------------


def _is_spent(state: RunState, line: Train, record: TaskRecord) -> bool:
    """Whether an outcome that was held back is about something that will never land: it is built anew."""
    if record.status is not TaskStatus.INTEGRATING:
        return False
    expected = expected_head(state, line, record.id)
    if isinstance(record.unjudged, MergeFinished):
        assert not isinstance(record.unjudged.result, Candidate)
        return expected is not None and record.unjudged.result.head not in {expected, state.head}
    candidate = record.candidate
    return candidate is not None and expected is not None and candidate.head not in {expected, state.head}


def _integrate(state: RunState, line: Train, record: TaskRecord) -> Iterator[Event]:
    """Merge, gate as merged, land; at most one of them."""
    sealed, candidate = record.sealed, record.candidate
    assert sealed is not None
    head = expected_head(state, line, record.id)
    if head is None:
        return
    unit = next(unit for unit in line if record.id in unit)
    if candidate is None or candidate.head != head:
        yield EffectIntended(
            effect=MergeCandidate(
                key=effect_key(record.id, record.made, "merge"),
                task=record.id,
                attempt=record.made,
                head=head,
                commit=sealed.commit,
            )
        )
    elif next_to_gate(state, unit) == record.id:
        yield _gate_candidate(state, record, candidate)
    elif landing := _landing(state, line, record):
        yield EffectIntended(effect=landing)


def _landing(state: RunState, line: Train, record: TaskRecord) -> Land | None:
    """The landing of the first unit, by its last task; one at a time."""
    unit, candidate = line[0], record.candidate
    assert candidate is not None
    busy = any(isinstance(effect, Land) for effect in state.inflight.values())
    if busy or unit[-1] != record.id or not record.candidate_green:
        return None
    first = state.tasks[unit[0]].candidate
    assert first is not None
    return Land(
        key=effect_key(record.id, record.made, "land"),
        task=record.id,
        attempt=record.made,
        head=first.head,
        commit=candidate.commit,
        beside=unit[:-1],
    )


def _gate_candidate(state: RunState, record: TaskRecord, candidate: Candidate) -> Event:
    """Integrate gates on the candidate; verify again only when its tree is another one than was verified.

    What is merged before it in its group is gated with it, and verified again.
    """
    point, beside = GatePoint.INTEGRATE, before(state, record)
    verify = verifies(record, point)
    others = [state.tasks[name] for name in beside]
    if not due_checks(state.plan, point, record.task if verify else None, [other.task for other in others]):
        return GatesPassed(task=record.id, attempt=record.made, point=point)
    base = others[0].candidate if others else candidate
    assert base is not None
    alone = not record.task.group and not due_checks(state.plan, GatePoint.TASK, record.task)
    return EffectIntended(
        effect=RunGates(
            key=_key(record, "integrate"),
            task=record.id,
            attempt=record.made,
            point=point,
            commit=candidate.commit,
            tree=candidate.tree,
            base=base.head,
            verify=verify,
            syntax=_has_syntax(record) and alone,
            beside=beside,
        )
    )
