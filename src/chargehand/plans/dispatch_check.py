"""What must hold of a `state.json` beyond its fields: names, order, what is done, and texts that give orders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chargehand.domain import graph
from chargehand.domain.problem import Path, Problem, Severity, nearest
from chargehand.domain.suspicion import injection_in
from chargehand.plans.dispatch_model import NexusState
from chargehand.plans.faults import dotted

__all__ = ["check_state"]

_TASKS: Path = ("task_graph", "tasks")
_ORDER = re.compile(
    r"\bignore\s+(?:all\s+)?(?:the\s+)?previous\b|<\s*/?\s*(?:system|assistant|user|human)\s*>|\bnew\s+instructions\s*:",
    re.IGNORECASE,
)


def check_state(state: NexusState, *, in_order: bool = True) -> list[Problem]:
    """Everything that is wrong, with the path of each; the tool of the system itself finds about half of it.

    What follows from waves and dependencies is found where the rest is sound, and wanted: `in_order`.
    """
    found = [*_ids(state), *_listed(state), *_named(state), *_texts(state)]
    found += _order(state) if in_order and not any(problem.is_error for problem in found) else []
    return found


def _ids(state: NexusState) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for number, task in enumerate(state.task_graph.tasks):
        if task.id in seen:
            text = f"The task id '{task.id}' is used twice: as task {seen[task.id] + 1} and task {number + 1}."
            path = (*_TASKS, number, "id")
            yield Problem(code="duplicate_id", message=text, hint="Rename one of them.", path=path, task=task.id)
        seen.setdefault(task.id, number)
    for number, task in enumerate(state.task_graph.tasks):
        for place, wanted in enumerate(task.depends_on):
            if wanted not in seen:
                text = f"Task {task.id} depends on '{wanted}', which is no task of the graph."
                hint = nearest(wanted, seen) or "Add the task, or remove the dependency."
                path = (*_TASKS, number, "depends_on", place)
                yield Problem(code="unknown_dependency", message=text, hint=hint, path=path, task=task.id)


def _listed(state: NexusState) -> Iterator[Problem]:
    """A task stands in one of the three lists, once."""
    known = [task.id for task in state.task_graph.tasks]
    entries: list[tuple[str, Path]] = [(name, ("completed_tasks", n)) for n, name in enumerate(state.completed_tasks)]
    entries += [(each.task_id, ("failed_tasks", n, "task_id")) for n, each in enumerate(state.failed_tasks)]
    entries += [(each.task_id, ("blocked_tasks", n, "task_id")) for n, each in enumerate(state.blocked_tasks)]
    first: dict[str, str] = {}
    for name, path in entries:
        where = str(path[0])
        if name not in known:
            yield _unknown(where, name, known, path)
        elif name not in first:
            first[name] = where
        elif first[name] == where:
            text = f"Task {name} stands in {where} twice."
            yield Problem(code="duplicate_id", message=text, hint="Take one of them out.", path=path, task=name)
        else:
            text = f"Task {name} stands in {first[name]} and in {where}."
            yield Problem(code="contradiction", message=text, hint="Take it out of one of them.", path=path, task=name)


def _named(state: NexusState) -> Iterator[Problem]:
    """What else names a task names one that there is."""
    known = [task.id for task in state.task_graph.tasks]
    for where, names in (
        ("agreed_approaches", state.agreed_approaches),
        ("compressed_outputs", state.compressed_outputs),
    ):
        for name in names:
            if name not in known:
                yield _unknown(where, name, known, (where, name))
    for number, issue in enumerate(state.recurring_issues):
        for place, name in enumerate(issue.seen_in):
            if name not in known:
                yield _unknown("recurring_issues", name, known, ("recurring_issues", number, "seen_in", place))
    failed = {each.task_id for each in state.failed_tasks}
    for number, each in enumerate(state.blocked_tasks):
        path: Path = ("blocked_tasks", number, "blocked_on")
        if each.blocked_on not in known:
            yield _unknown("blocked_tasks", each.blocked_on, known, path)
        elif each.blocked_on not in failed:
            text = f"Task {each.task_id} is blocked on {each.blocked_on}, which did not fail; it is taken up again."
            yield Problem(code="orphan", message=text, severity=Severity.WARNING, path=path, task=each.task_id)


def _unknown(where: str, name: str, known: Sequence[str], path: Path) -> Problem:
    text = f"{where} names '{name}', which is no task of the graph."
    hint = nearest(name, known) or "Take it out, or add the task."
    return Problem(code="unknown_task", message=text, hint=hint, path=path)


def _order(state: NexusState) -> Iterator[Problem]:
    tasks = state.task_graph.tasks
    cycle = graph.find_cycle({task.id: tuple(task.depends_on) for task in tasks})
    if cycle:
        number = next(n for n, task in enumerate(tasks) if task.id == cycle[0])
        shown = " -> ".join(cycle) if len(cycle) <= 20 else " -> ".join((*cycle[:18], "…", cycle[-1]))
        hint = "Each depends on the next; remove one of the dependencies."
        path: Path = (*_TASKS, number, "depends_on")
        text = f"The dependencies form a cycle: {shown}."
        yield Problem(code="cycle", message=text, hint=hint, path=path, task=cycle[0])
        return
    wave_of = {task.id: task.wave for task in tasks}
    done = set(state.completed_tasks)
    for number, task in enumerate(tasks):
        late = max(task.depends_on, key=wave_of.__getitem__, default="")
        if late and wave_of[late] >= task.wave:
            text = f"Task {task.id} is in wave {task.wave}, but it depends on {late} in wave {wave_of[late]}."
            hint, path = "A task's wave is later than those of its dependencies.", (*_TASKS, number, "wave")
            yield Problem(code="wave_order", message=text, hint=hint, path=path, task=task.id)
        missing = [name for name in task.depends_on if name not in done]
        if task.id in done and missing:
            text = f"Task {task.id} is completed, but {missing[0]}, which it depends on, is not."
            path = ("completed_tasks", state.completed_tasks.index(task.id))
            yield Problem(code="contradiction", message=text, severity=Severity.WARNING, path=path, task=task.id)
    if state.current_wave > max(wave_of.values()):
        text = f"current_wave is {state.current_wave}, but the last wave is {max(wave_of.values())}."
        yield Problem(code="bad_value", message=text, hint="Correct it.", path=("current_wave",))


def _texts(state: NexusState) -> Iterator[Problem]:
    """What people wrote for briefs gives no orders, as in the system itself; what agents left is only warned of."""
    for path, text in _all_texts(state):
        order = _ORDER.search(text)
        found = injection_in(text) or (" ".join(order[0].split()) if order else "")
        if found:
            where = dotted(path)
            severity = Severity.WARNING if path[0] in {"compressed_outputs", "failed_tasks"} else Severity.ERROR
            message = f"The text at {where} reads like an order to the agent: '{found}'."
            hint = "Write it another way."
            yield Problem(code="prompt_injection", message=message, severity=severity, hint=hint, path=path)


def _all_texts(state: NexusState) -> Iterator[tuple[Path, str]]:
    yield ("project_aim",), state.project_aim
    for number, task in enumerate(state.task_graph.tasks):
        yield (*_TASKS, number, "title"), task.title
        yield (*_TASKS, number, "description"), task.description
        for key, texts in (("acceptance", task.acceptance), ("verify", task.verify)):
            for place, text in enumerate(texts):
                yield (*_TASKS, number, key, place), text
        for key, texts in (("consumes", task.interfaces.consumes), ("produces", task.interfaces.produces)):
            for place, text in enumerate(texts):
                yield (*_TASKS, number, "interfaces", key, place), text
    for where, by_name in (
        ("agreed_approaches", state.agreed_approaches),
        ("compressed_outputs", state.compressed_outputs),
    ):
        for name, text in by_name.items():
            yield (where, name), text
    for number, failed in enumerate(state.failed_tasks):
        yield ("failed_tasks", number, "reason"), failed.reason
