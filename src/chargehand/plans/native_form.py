"""What of a plan of another system the native format can hold, and what it cannot: nothing vanishes unsaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from chargehand.domain.plan import Defaults, Plan, Task

__all__ = ["Loss", "losses", "native_form"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Something that another plan says and the written one does not: a field of the plan or of its tasks.

    `field` is the name of it (`defaults.jobs`, `tasks.group`), `text` what becomes of it, `tasks` those it is about;
    none where it is the plan as a whole.
    """

    field: str
    text: str
    tasks: tuple[str, ...] = ()


_OF_TASKS = {
    "background": "what their system says besides stands at the end of the description",
    "description": "the description differs in white space",
    "wave": "waves are left to be derived from the dependencies, since tasks of one wave follow each other",
    "group": "tasks of a group land one by one, each gated as merged by itself",
    "reviewed": "whether a change is reviewed follows from weight and complexity, and from no rule for the task",
    "forbidden": "commands that the author may not run are not denied",
    "may_excuse": "nothing is said of who may switch checks off for single files",
}
_OF_PLAN = {
    "profile": "it runs with the rules of the house, not with those of its system, and writes none of its files",
    "inferred": "which order was only inferred is a comment at the top; every dependency counts as one that was stated",
    "accept_staged": "a comment at the top: accept makes a commit of the change",
    "defaults.jobs": "how many tasks may be live at once is up to --jobs",
}
_UNKNOWN = "the native format has no word for it"


def native_form(plan: Plan) -> Plan:
    """The plan without what only its own system has: summaries and specs go into the description of their task.

    Where tasks of one wave follow each other, as the native format does not have it, waves are left to be derived.
    """
    waves = {task.id: task.wave or 0 for task in plan.tasks}
    shared = any(waves[task.id] <= waves.get(need, -1) for task in plan.tasks for need in task.depends_on)
    tasks = tuple(
        replace(task, description=_described(task), background=(), wave=None if shared else task.wave)
        for task in plan.tasks
    )
    return replace(plan, tasks=tasks, profile="house")


def _described(task: Task) -> str:
    more = "".join(f"\n\n{title}:\n{text}" for title, text in task.background)
    return f"{task.description}{more}".strip()


def losses(source: Plan, written: Plan) -> tuple[Loss, ...]:
    """Every field in which the plan that was written differs from the one that was read, one loss each."""
    return (*_of_plan(source, written), *_of_tasks(source.tasks, written.tasks))


def _of_plan(source: Plan, written: Plan) -> Iterator[Loss]:
    for name in (field.name for field in fields(Plan)):
        ours, theirs = getattr(source, name), getattr(written, name)
        if name == "defaults":
            yield from _of_defaults(ours, theirs)
        elif name == "inferred" and ours != theirs:
            yield Loss(field=name, text=_OF_PLAN[name], tasks=ours)
        elif name != "tasks" and ours != theirs:
            yield Loss(field=name, text=_OF_PLAN.get(name, _UNKNOWN))


def _of_defaults(source: Defaults, written: Defaults) -> Iterator[Loss]:
    for name in (f"defaults.{field.name}" for field in fields(Defaults)):
        if getattr(source, name.partition(".")[2]) != getattr(written, name.partition(".")[2]):
            yield Loss(field=name, text=_OF_PLAN.get(name, _UNKNOWN))


def _of_tasks(source: Sequence[Task], written: Sequence[Task]) -> Iterator[Loss]:
    if [task.id for task in source] != [task.id for task in written]:
        yield Loss(field="tasks", text="not all of them are written, or not in this order", tasks=_ids(source))
        return
    for name in (field.name for field in fields(Task)):
        changed = [ours for ours, theirs in zip(source, written, strict=True) if _differs(ours, theirs, name)]
        if changed:
            yield Loss(field=f"tasks.{name}", text=_OF_TASKS.get(name, _UNKNOWN), tasks=_ids(changed))


def _differs(source: Task, written: Task, name: str) -> bool:
    if name == "description" and source.background and written.description == _described(source):
        return False  # told of the background
    return bool(getattr(source, name) != getattr(written, name))


def _ids(tasks: Sequence[Task]) -> tuple[str, ...]:
    return tuple(task.id for task in tasks)
