"""A new plan for a run that has begun: what it changes, what it may not, and how the state follows (SPEC 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from chargehand.domain.effects import RunCanary
from chargehand.domain.errors import UserError
from chargehand.domain.moves import block_again, renewed
from chargehand.domain.plan import GatePoint, Plan, Task
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import Reason, TaskStatus

__all__ = ["Replan", "compare", "replan"]

_IDLE = frozenset({TaskStatus.WAITING, TaskStatus.AWAITING_DECISION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replan:
    """What a new plan does to a run, by task id in plan order; `plan` is the complete new one.

    `kept` are integrated tasks that the new plan no longer names; `canary` says that gates or setup changed, so the
    base is looked at again.
    """

    plan: Plan
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    canary: bool

    @property
    def changes_nothing(self) -> bool:
        """Whether the new plan is the old one."""
        return not (self.added or self.changed or self.removed or self.canary)


def compare(state: RunState, plan: Plan) -> Replan:
    """What `plan` would do to the run; `UserError` with every reason why it cannot be taken."""
    problems = [*_other_plan(state.plan, plan), *_touches(state, plan)]
    if problems:
        raise UserError(
            "The run cannot take this plan: " + " ".join(problems),
            code="replan_refused",
            hint="Change the plan back there, or start a new run with `chargehand run PLAN --new`.",
        )
    ids = {task.id for task in plan.tasks}
    integrated = {r.id: r.task for r in state.tasks.values() if r.status is TaskStatus.INTEGRATED}
    kept = tuple(task for task in state.plan.tasks if task.id in integrated and task.id not in ids)
    tasks = tuple(integrated.get(task.id, task) for task in plan.tasks)
    old = {task.id: task for task in state.plan.tasks}
    return Replan(
        plan=replace(plan, tasks=(*kept, *tasks)),
        added=tuple(task.id for task in tasks if task.id not in old),
        changed=tuple(task.id for task in tasks if task.id in old and old[task.id] != task),
        removed=tuple(_removed(state, plan)),
        kept=tuple(task.id for task in kept),
        canary=_gates(plan) != _gates(state.plan),
    )


def _removed(state: RunState, plan: Plan) -> Iterator[str]:
    """Tasks of the old plan that the new one leaves out and that are not done; those of the runtime are none."""
    ids = {task.id for task in plan.tasks}
    for record in state.tasks.values():
        of_plan = record.fixes_gates_of is None
        if of_plan and record.id not in ids and record.status not in {TaskStatus.INTEGRATED, TaskStatus.SKIPPED}:
            yield record.id


def _gates(plan: Plan) -> tuple[object, ...]:
    return (plan.gates, plan.setup, plan.env)


# -- what is refused ------------------------------------------------------------------------------


def _other_plan(old: Plan, new: Plan) -> Iterator[str]:
    for name in ("plan", "profile", "barrier"):
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            yield f"Its `{name}` is {now}, that of the run is {was}."


def _touches(state: RunState, plan: Plan) -> Iterator[str]:
    """Why single tasks cannot be replaced."""
    for task in plan.tasks:
        record = state.tasks.get(task.id)
        if record is None or not _differs(state, plan, task):
            continue
        if record.fixes_gates_of is not None:
            yield f"Task {task.id} is the name of a fix that the run added."
        elif record.status is TaskStatus.INTEGRATED:
            if changed := _substance(record.task, task):
                yield f"Task {task.id} is integrated and stays, but its {changed} changed: give new work a new id."
        elif _is_under_way(record):
            yield f"Task {task.id} is {record.status} and changed: pause the run or cancel the task first."
        elif _is_another(record.task, task):
            yield (
                f"Task {task.id} changed too much: it has another title and none of the files it had. "
                "Give the new work an id of its own."
            )
    for name in _removed(state, plan):
        if _is_under_way(state.tasks[name]):
            yield f"Task {name} is {state.tasks[name].status} and missing: pause the run or cancel the task first."
    for name in sorted(_changed(state, plan)):
        if later := state.went_on_without(name):
            yield f"Task {name} was left out and changed, and {', '.join(later)} went on without it."
    busy = [record.id for record in state.tasks.values() if _is_under_way(record)]
    if busy and _gates(plan) != _gates(state.plan):
        yield f"Its gates, setup or env changed while {', '.join(busy)} is under way: pause the run first."


def _is_under_way(record: TaskRecord) -> bool:
    return not record.is_over and record.status not in _IDLE


def _substance(old: Task, new: Task) -> str:
    """Which part of the work itself differs, in words; empty when only what surrounds it does."""
    parts = ("description", "files", "acceptance", "verify", "interfaces")
    return " and ".join(part for part in parts if getattr(old, part) != getattr(new, part))


def _is_another(old: Task, new: Task) -> bool:
    """Whether nothing that a person would recognise the task by is left."""
    before = set(old.files.writes) if old.files else set()
    after = set(new.files.writes) if new.files else set()
    return old.title != new.title and not before & after and (old.description != new.description)


# -- how the state follows ------------------------------------------------------------------------


def replan(state: RunState, plan: Plan) -> None:
    """Fold a new plan in: records of unchanged tasks stay, changed ones begin anew, missing ones are skipped."""
    ids = {task.id for task in plan.tasks}
    removed = set(_removed(state, plan))
    changed = _changed(state, plan)
    records: dict[str, TaskRecord] = {}
    for record in state.tasks.values():
        if record.id in removed:
            records[record.id] = _replaced(record)
        elif record.id in changed or record.blocked_on in changed | removed:
            records[record.id] = _begun_anew(record)
        else:
            records[record.id] = record
    records |= {task.id: records[task.id].but(task=task, approved=()) for task in plan.tasks if task.id in changed}
    for decision in [*state.decisions.values(), *(decision for decision, *_ in state.answers.values())]:
        if decision.task and records[decision.task].decision != decision.id:
            _withdraw(state, decision.id)
    if _gates(plan) != _gates(state.plan):  # what was gated by the old ones is gated anew
        state.canary = None
        state.canaries += any(isinstance(effect, RunCanary) for effect in state.inflight.values())
        records = {
            name: record.but(candidate=None, candidate_green=False, again=record.again + 1)
            for name, record in records.items()
        }
    state.gate_anew()
    state.closing = None
    state.rounds = dict.fromkeys(GatePoint, 0)
    state.blocked.clear()
    state.orphaned.clear()
    idle = removed | changed | {name for name, record in records.items() if record.blocked_on in changed | removed}
    state.attention = {name: None for name in state.attention if name not in idle}
    state.enlist(plan, records)
    block_again(state, [name for name in ids if state.tasks[name].status is TaskStatus.WAITING])


def _changed(state: RunState, plan: Plan) -> set[str]:
    """The known tasks that a new plan has otherwise; one that comes back begins anew, also with its old text.

    What landed behind the plan, taken up again after a plan had left it out, has landed [I4].
    """
    settled = {task.id for task in state.plan.tasks}
    settled |= {record.id for record in state.tasks.values() if record.status is TaskStatus.INTEGRATED}
    known = [task for task in plan.tasks if task.id in state.tasks]
    return {task.id for task in known if task.id not in settled or _differs(state, plan, task)}


def _differs(state: RunState, plan: Plan, task: Task) -> bool:
    """Whether a known task is another one, or what it waits for is stated now and was not, or the other way round."""
    record = state.tasks[task.id]
    if record.task != task:
        return True
    return record.status is not TaskStatus.INTEGRATED and (task.id in state.inferred) is not (task.id in plan.inferred)


def _begun_anew(record: TaskRecord) -> TaskRecord:
    return record.but(status=TaskStatus.WAITING, decision=None, not_before=None, unjudged=None, **renewed(record))


def _replaced(record: TaskRecord) -> TaskRecord:
    return record.but(
        status=TaskStatus.SKIPPED,
        reason=Reason.REPLANNED,
        detail="The new plan has other tasks in its place.",
        blocked_on=None,
        decision=None,
        not_before=None,
        ending=None,
    )


def _withdraw(state: RunState, decision: str) -> None:
    state.decisions.pop(decision, None)
    state.answers.pop(decision, None)
    state.holds.pop(decision, None)
