"""The tasks of one iteration of the JIRA pipeline, with how far each has come (`tasks.yaml`).

Tasks of a parallel group are done side by side; every other task by itself, at its place in the list. No task depends
on another: a group is a barrier. What was accepted is done, unless the entry says that nobody took the branch yet.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from chargehand.domain.plan import Barrier, Command, Complexity, Features, Files, Mode, Plan, Task, Weight
from chargehand.domain.problem import Path as Where
from chargehand.domain.problem import Problem, Severity
from chargehand.plans.document import Document, Place
from chargehand.plans.faults import filled, problem_of
from chargehand.plans.loaded import LoadedPlan, Stated
from chargehand.plans.native import read_text
from chargehand.plans.task_executor_model import Entry, TasksFile
from chargehand.plans.task_executor_places import is_tasks_file, name_of, tasks_below
from chargehand.plans.yaml_text import parse_yaml

__all__ = ["ENTRY_TITLE", "TaskExecutorReader"]

ENTRY_TITLE = "Task entry of tasks.yaml"
"""The title under which a task's entry stands in its brief, as the file has it."""

_SUFFIXES = frozenset({".yaml", ".yml"})
_PENDING = re.compile(r"(?m)^[ \t]*Not accepted yet: branch (?P<branch>\S+), commit (?P<commit>[0-9a-f]{7,64})\.")
_UNREVIEWED = {"DONE": "SEQUENTIAL", "SYNTAX_VALID": "PARALLEL"}
_AGAIN = frozenset({"ACTIVE", "REJECTED", "SYNTAX_ERROR", "ERROR"})
_OF_TASK: dict[str, Any] = {
    "description": "?",
    "title": "",
    "files_to_modify": [],
    "test_files": [],
    "success_criteria": [],
    "allowlist": [],
    "tool_mandates": [],
    "execution_strategy": None,
    "status": "PENDING",
    "attempts": 0,
}
_CODE_ONLY = "code_and_tests_only"
_NO_CODE = ("*.md", "*.rst", "*.adoc", "docs/**/*.txt", "prompts/**")
"""Documentation, and the pipeline's own folder: states and log there are the runtime's, and in no change."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAMES = {"files": "files_to_modify", "acceptance": "success_criteria", "mode": "execution_strategy"}


class TaskExecutorReader:
    """Reads the tasks of an iteration."""

    name = "task-executor"
    wants = (
        "it is YAML with 'tasks' and 'parallel_groups', 'validation_policy' or 'files_to_modify', or a folder of such"
    )
    places = ("prompts",)

    def claims(self, path: Path, text: str | None) -> bool:
        """A file by its keys, even when the rest of it is broken; a folder by the files in it."""
        if text is not None:
            return path.suffix.lower() in _SUFFIXES and is_tasks_file(text)
        return path.is_dir() and tasks_below(path) is not None

    def read(self, path: Path, text: str | None, source: str) -> LoadedPlan:
        """Read the newest iteration that is meant; problems name the file and the line."""
        if text is not None:
            return _Reading(file=path, text=text).read()
        meant = tasks_below(path)
        problem = meant.problem if meant else Problem(code="no_plan", message=f"There is no tasks.yaml in {path}.")
        if meant is None or meant.file is None:
            assert problem is not None
            return LoadedPlan(source=source, problems=(problem,), reader=self.name)
        text, problem = read_text(meant.file)
        if problem is not None:
            found = (replace(problem, file=str(meant.file)),)
            return LoadedPlan(source=str(meant.file), problems=found, reader=self.name)
        reading = _Reading(file=meant.file, text=text)
        reading.told += [f"Iterations left alone: {', '.join(meant.others)}."] * bool(meant.others)
        return reading.read()


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One reading of `file`; `numbers` are those of the plan's tasks in it, `broken` of unsound entries."""

    file: Path
    text: str
    document: Document = field(init=False)
    problems: list[Problem] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    numbers: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    broken: frozenset[int] = frozenset()
    has_groups: bool = True

    def __post_init__(self) -> None:
        self.document = parse_yaml(self.text)

    def read(self) -> LoadedPlan:
        """Everything that can be read, and all that is wrong with it."""
        self.problems += self.document.problems
        tasks = self._tasks() if not self.problems else None
        modes = self._modes(tasks) if tasks is not None else {}
        if tasks is not None:
            self._check(tasks, modes)
        failed = any(problem.is_error for problem in self.problems)
        plan = self._plan(tasks, modes) if tasks is not None and not failed else None
        if plan is not None and not plan.tasks:
            hint = "Nothing is left to be carried out; plan the next iteration first."
            self._problem("nothing_left", "All tasks are accepted.", ("tasks",), hint=hint)
            plan = None
        loaded = LoadedPlan(source=str(self.file), locate=self.document.place)
        return replace(
            loaded,
            plan=plan,
            problems=loaded.placed(self.problems),
            counts={name: self.counts[name] for name in sorted(self.counts)},
            told=tuple(self.told),
            reader=TaskExecutorReader.name,
            locate=self._locate,
            stated=self._stated(plan),
        )

    def _stated(self, plan: Plan | None) -> Stated:
        """What settings may not change: who is reviewed, and may build, hangs on the mode."""
        ids = frozenset(task.id for task in plan.tasks) if plan else frozenset()
        keys = frozenset({"plan", "profile", "barrier", "features.holistic"})
        return Stated(keys=keys, tasks={"mode": ids})

    def _problem(self, code: str, message: str, path: Where, *, hint: str = "") -> None:
        self.problems.append(Problem(code=code, message=message, hint=hint, path=path))

    # -- what is read -----------------------------------------------------------------------------

    def _tasks(self) -> TasksFile | None:
        data = self.document.data
        listed = data.get("tasks") if isinstance(data, dict) else None
        self.counts["plan_tasks"] = len(listed) if isinstance(listed, list) else 0
        try:
            return TasksFile.model_validate(data)
        except ValidationError as error:
            errors = error.errors(include_url=False)
        self.problems += [problem_of(each, TasksFile) for each in errors]
        rest = filled(data, errors, ("tasks",), _OF_TASK, {"validation_policy": {}, "parallel_groups": {}})
        if rest is None:
            return None
        data, self.broken, keys = rest
        self.has_groups = "parallel_groups" not in keys
        return TasksFile.model_validate(data)

    def _group_of(self, tasks: TasksFile) -> dict[str, str]:
        return {member: name for name, members in tasks.parallel_groups.items() for member in members}

    def _modes(self, tasks: TasksFile) -> dict[str, str]:
        """PARALLEL or SEQUENTIAL, by id; an entry that says neither is parallel in a group of more than one."""
        group = self._group_of(tasks)
        modes = {}
        for entry in tasks.tasks:
            shares = len(tasks.parallel_groups.get(group.get(entry.id, ""), ())) > 1
            modes[entry.id] = entry.execution_strategy or ("PARALLEL" if shares else "SEQUENTIAL")
            if entry.execution_strategy is None:
                self.told.append(f"{entry.id}: says no execution_strategy; taken as {modes[entry.id]}.")
        return modes

    # -- what is wrong ----------------------------------------------------------------------------

    def _check(self, tasks: TasksFile, modes: Mapping[str, str]) -> None:
        first: dict[str, int] = {}
        for number, entry in enumerate(tasks.tasks):
            if entry.id in first:
                line = self.document.place(("tasks", first[entry.id]))
                text = f"The id '{entry.id}' stands here twice; the first is in line {line.line if line else '?'}."
                self._problem("duplicate_id", text, ("tasks", number, "id"), hint="Give one of them another id.")
            first.setdefault(entry.id, number)
            if number not in self.broken:
                self._check_status(number, entry, modes[entry.id])
        if self.has_groups:
            self._check_groups(tasks, first)

    def _check_status(self, number: int, entry: Entry, mode: str) -> None:
        wanted = _UNREVIEWED.get(entry.status, mode)
        if entry.status == "SYNTAX_ERROR":
            wanted = "PARALLEL"
        elif entry.status == "REJECTED":
            wanted = "SEQUENTIAL"
        if wanted != mode:
            text = f"Task {entry.id} is {mode} and stands at {entry.status}, which only {wanted} tasks can."
            hint = "Put right its status, or its execution_strategy."
            self._problem("wrong_status", text, ("tasks", number, "status"), hint=hint)

    def _check_groups(self, tasks: TasksFile, known: Mapping[str, int]) -> None:
        seen: dict[str, str] = {}
        for name, members in tasks.parallel_groups.items():
            for position, member in enumerate(members):
                path = ("parallel_groups", name, position)
                if member not in known:
                    text = f"Group {name} names '{member}', which is no task."
                    self._problem("unknown_task", text, path, hint="Add the task, or take it out of the group.")
                elif member in seen:
                    text = f"Task {member} is in group {seen[member]} and in group {name}."
                    self._problem("two_groups", text, path, hint="Take it out of one of them.")
                elif len(members) > 1 and tasks.tasks[known[member]].execution_strategy == "SEQUENTIAL":
                    text = f"Task {member} is SEQUENTIAL, and group {name} has it beside others."
                    self._problem("wrong_group", text, path, hint="Take it out, or make it PARALLEL.")
                seen.setdefault(member, name)
        for number, entry in enumerate(tasks.tasks):
            if entry.execution_strategy == "PARALLEL" and entry.id not in seen and number not in self.broken:
                text = f"Task {entry.id} is PARALLEL and in no group; it is done by itself, at its place."
                where = ("tasks", number, "execution_strategy")
                self.problems.append(Problem(code="no_group", message=text, severity=Severity.WARNING, path=where))

    # -- the plan ---------------------------------------------------------------------------------

    def _plan(self, tasks: TasksFile, modes: Mapping[str, str]) -> Plan:
        standing = {entry.id: self._standing(entry) for entry in tasks.tasks}
        for status in ("accepted", "again", "open", "pending", "unreviewed"):
            self.counts[status] = sum(each == status for each in standing.values())
        self.counts["groups"] = len(tasks.parallel_groups)
        self._tell(tasks, standing)
        waves = _waves(tasks, {name for name, status in standing.items() if status != "accepted"})
        groups = {member: name for name, members in tasks.parallel_groups.items() for member in members}
        self.texts = _entries(self.text)
        made = []
        for number, entry in enumerate(tasks.tasks):
            if standing[entry.id] != "accepted":
                self.numbers.append(number)
                task = self._task(number, entry, modes[entry.id], waves[entry.id], standing[entry.id])
                alone = entry.id if entry.id not in tasks.parallel_groups else f"{entry.id} alone"
                group = groups.get(entry.id, alone) if task.mode is Mode.PARALLEL else None
                made.append(replace(task, group=group))
        ticket, iteration = name_of(self.file)
        policy = tasks.validation_policy
        no_code = _NO_CODE if policy.baseline_scope == _CODE_ONLY else ()
        part = f" iteration {iteration}" if iteration is not None else ""
        return Plan(
            plan=re.sub(r"[^a-z0-9]+", "-", f"{ticket}{part}".lower()).strip("-")[:60].strip("-") or "tasks",
            goal=f"{ticket},{part}: all tasks are accepted.",
            profile="task-executor",
            barrier=Barrier.WAVE,
            features=Features(holistic=False),  # the whole iteration is reviewed by another of their agents
            allowlist=tuple(dict.fromkeys((*policy.baseline_allowlist, *no_code))),
            tasks=tuple(made),
        )

    def _standing(self, entry: Entry) -> str:
        if entry.status == "ACCEPTED":
            details = entry.validation_details
            pending = _PENDING.search(details) if isinstance(details, str) else None
            if pending is None:
                return "accepted"
            where = f"branch {pending['branch']} (commit {pending['commit'][:12]})"
            self.told.append(f"{entry.id}: done on {where}, which was not accepted; it is done again.")
            return "pending"
        return "unreviewed" if entry.status in _UNREVIEWED else "again" if entry.status in _AGAIN else "open"

    def _tell(self, tasks: TasksFile, standing: Mapping[str, str]) -> None:
        again = [f"{entry.id} ({entry.status})" for entry in tasks.tasks if standing[entry.id] == "again"]
        self.told += [f"Next attempt: {', '.join(again)}."] * bool(again)
        left = [f"{entry.id} ({entry.status})" for entry in tasks.tasks if standing[entry.id] == "unreviewed"]
        self.told += [f"Said to be done, and nobody validated it; taken up again: {', '.join(left)}."] * bool(left)
        self.told.append("Order: groups as listed, every other task at its place; no task depends on another.")
        scope = tasks.validation_policy.baseline_scope
        if scope != _CODE_ONLY:
            said = f"baseline_scope is '{scope}'" if scope else "there is no baseline_scope"
            self.told.append(f"Documentation is in no task's scope unless listed: {said}, not '{_CODE_ONLY}'.")
        extra = sorted({*(tasks.model_extra or {}), *(tasks.validation_policy.model_extra or {})})
        self.told += [f"Left alone: {', '.join(extra)}."] * bool(extra)

    def _task(self, number: int, entry: Entry, mode: str, wave: int, standing: str) -> Task:
        parallel = mode == "PARALLEL"
        listed = entry.files_to_modify or entry.test_files
        files = Files(
            create=tuple(entry.test_files),  # expected test files are there, or the attempt has failed
            modify=tuple(dict.fromkeys((*entry.files_to_modify, *entry.allowlist))),
            test=tuple(entry.test_files),
        )
        if not listed:
            self.told.append(f"{entry.id}: lists no files: it is unscoped.")
        return Task(
            id=entry.id,
            title=_title(entry),
            description=entry.description.strip(),
            wave=wave,
            files=files if listed else None,
            acceptance=tuple(entry.success_criteria),
            verify=tuple(map(_there, entry.test_files)) if parallel else (),
            weight=Weight.LIGHT if parallel else Weight.FULL,
            complexity=Complexity.TRIVIAL if parallel else Complexity.SIMPLE,
            mode=Mode.PARALLEL if parallel else Mode.SEQUENTIAL,
            reviewed=not parallel,
            allow_empty=standing == "unreviewed",
            mandates=tuple(entry.tool_mandates) or ("none",),
            background=((ENTRY_TITLE, self.texts[number]),),
        )

    def _locate(self, path: Where) -> Place | None:
        """The place of what a check of the plan names; its tasks are those that are not accepted."""
        if path[:1] == ("tasks",) and len(path) > 1 and isinstance(path[1], int) and path[1] < len(self.numbers):
            rest = tuple(_NAMES.get(str(part), part) for part in path[2:3])
            path = ("tasks", self.numbers[path[1]], *rest)
        return self.document.place(path)


def _there(path: str) -> Command:
    """What a parallel task is validated with, besides its syntax, before anything is built."""
    return Command(argv=("test", "-f", path))


def _title(entry: Entry) -> str:
    text = entry.title.strip() or entry.description.strip()
    line = text.splitlines()[0].strip()
    return line if len(line) <= 90 else f"{line[:87].rstrip()}…"


def _waves(tasks: TasksFile, left: set[str]) -> dict[str, int]:
    """A wave for every group and every other task that has something left: groups in their order, tasks in theirs."""
    place = {entry.id: number for number, entry in enumerate(tasks.tasks)}
    units: list[tuple[int, Sequence[str]]] = []
    latest = 0
    for members in tasks.parallel_groups.values():
        latest = max(latest, min((place[member] for member in members), default=0))
        units.append((latest, members))
    grouped = {member for _, members in units for member in members}
    units += [(number, (name,)) for name, number in place.items() if name not in grouped]
    waves: dict[str, int] = {}
    number = 0
    for _, unit in sorted(units, key=lambda unit: unit[0]):
        still_open = [member for member in unit if member in left]
        number += bool(still_open)
        waves |= dict.fromkeys(still_open, number)
    return waves


def _entries(text: str) -> list[str]:
    """The text of each entry of `tasks`, as the file has it, without what stands before the next one."""
    root: Any = yaml.compose(text, Loader=_LOADER)
    tasks = next(value for key, value in root.value if key.value == "tasks").value
    return [_entry(text, each.start_mark, each.end_mark) for each in tasks]


def _entry(text: str, start: Any, end: Any) -> str:
    lines = (" " * start.column + text[start.index : end.index]).splitlines()
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return textwrap.dedent("\n".join(line.rstrip() for line in lines))
