"""Nexus Cortexia: the agreed task graph of a project, with what was done of it already (`.nexus-cortexia/state.json`).

A task has no status of its own: it is what the list says that it stands in. What stands in none is open; what failed
or was blocked is taken up again; what a run left on a branch that nobody accepted is not in the base, and so not done.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from chargehand.domain.plan import Barrier, Complexity, Features, Files, Interfaces, Plan, Scope, Task, TaskType
from chargehand.domain.problem import Path as Where
from chargehand.domain.problem import Problem, Severity
from chargehand.domain.scope import is_literal, literal_path, validate
from chargehand.plans.dispatch_check import check_state
from chargehand.plans.dispatch_model import OF_STATE, OF_TASK, NexusState, NexusTask, TaskFiles
from chargehand.plans.document import Document, Place
from chargehand.plans.faults import dotted, filled, problem_of
from chargehand.plans.json_text import parse_json
from chargehand.plans.loaded import LoadedPlan, Stated
from chargehand.plans.native import read_lossy, read_text
from chargehand.plans.verify_text import Find, finder, read_verify

__all__ = ["NexusReader"]

_KEY = re.compile(r'"(?:task_graph|project_aim)"\s*:')
_PENDING = re.compile(r"(?m)^[ \t]*Not accepted yet: branch (?P<branch>\S+), commit (?P<commit>[0-9a-f]{7,64})\.")
_ACCEPTED = re.compile(r"(?m)^[ \t]*Accepted: branch \S+, commit (?P<commit>[0-9a-f]{7,64})\.")
_TOLD_OF_PROFILE = "Profile {profile} is about the debate before and the review after: neither is done here."
_TESTS_FIRST = " Tasks that name test files write them first."
_HOME = ".nexus-cortexia"
_FILE = "state.json"
_MOST_BESIDE = 12
_STATED = frozenset({"plan", "profile", "barrier", "features.code_review", "features.holistic"})


class NexusReader:
    """Reads the state of a project of Nexus Cortexia."""

    name = "nexus"
    wants = "it is JSON with the key 'task_graph', or a folder with such a state.json"
    places = (f"{_HOME}/{_FILE}",)

    def claims(self, path: Path, text: str | None) -> bool:
        """A state by its keys, even when the rest of it is broken, or by its place; a folder by the state in it."""
        if text is not None:
            by_key = text.lstrip("\ufeff \t\r\n").startswith("{") and _KEY.search(text) is not None
            return by_key or (path.name == _FILE and path.absolute().parent.name == _HOME)
        file = path / _FILE
        if not file.is_file():
            return False
        inner, problem = read_text(file)
        return self.claims(file, read_lossy(file) if problem else inner)

    def read(self, path: Path, text: str | None, source: str) -> LoadedPlan:  # noqa: ARG002 - part of `Reader`
        """Read the state; problems name the file and the line."""
        file = path / _FILE if path.is_dir() else path
        if text is None:
            text, problem = read_text(file)
            if problem is not None:
                return LoadedPlan(source=str(file), problems=(replace(problem, file=str(file)),), reader=self.name)
        return _Reading(file=file, document=parse_json(text)).read()


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One reading of `file`.

    `absent` are tasks whose commit git does not have where it should, with the reason; `there` are tasks of a branch
    nobody accepted whose commit it has all the same.
    """

    file: Path
    document: Document
    told: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    numbers: list[int] = field(default_factory=list)
    absent: Mapping[str, str] = field(default_factory=dict)
    there: Collection[str] = ()
    landed: dict[str, str] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)

    def read(self) -> LoadedPlan:
        problems = list(self.document.problems)
        state = None if problems else self._state(problems)
        if state is not None:
            problems += [*check_state(state), *self._not_there()]
        failed = any(problem.is_error for problem in problems)
        plan = self._plan(state) if state is not None and not failed else None
        if plan is not None and not plan.tasks:
            hint = "Nothing is left to be carried out; decompose the next aim first."
            path = ("completed_tasks",)
            problems.append(Problem(code="nothing_left", message="All tasks are completed.", hint=hint, path=path))
            plan = None
        loaded = LoadedPlan(source=str(self.file), locate=self.document.place)
        return replace(
            loaded,
            source=self._source(),
            plan=plan,
            problems=loaded.placed(problems),
            counts={name: self.counts[name] for name in sorted(self.counts)},
            told=tuple(self.told),
            reader=NexusReader.name,
            locate=self._locate,
            stated=Stated(keys=_STATED),
            landed=self.landed,
            pending=self.pending,
            redo=self._redo,
        )

    def _redo(self, absent: Mapping[str, str], there: Collection[str]) -> LoadedPlan:
        absent, there = {**self.absent, **absent}, {*self.there, *there}
        return _Reading(file=self.file, document=self.document, absent=absent, there=there).read()

    def _source(self) -> str:
        """The folder: a file would be shown to agents as the plan they work on, and this one is not theirs to see."""
        file = self.file.absolute()
        return str(file.parent if file.name == _FILE else file)

    def _state(self, problems: list[Problem]) -> NexusState | None:
        data = self.document.data
        self._count(data)
        try:
            state = NexusState.model_validate(data)
        except ValidationError as error:
            problems += [_problem(each) for each in _each(error)]
            problems += self._rest(_each(error))
            return None
        left = sorted(dict.fromkeys(_unknown_keys(state, ())))
        if left:
            self.counts["left_alone"] = len(left)
            self.told.append(f"Left alone: {', '.join(left)}.")
        return state

    def _rest(self, errors: list[Any]) -> list[Problem]:
        """What is wrong besides values that are none: all of it is told at once."""
        rest = filled(self.document.data, errors, ("task_graph", "tasks"), OF_TASK, OF_STATE)
        if rest is None:
            return []
        found = check_state(NexusState.model_validate(rest[0]), in_order=False)
        return [problem for problem in found if problem.is_error]

    def _not_there(self) -> Iterator[Problem]:
        for name, why in self.absent.items():
            text = f"Task {name} is said to be completed and accepted, and {why}: it is done again."
            hint = "Where the work is there all the same, take the last line of its output out."
            path = ("compressed_outputs", name)
            yield Problem(
                code="commit_not_there", message=text, severity=Severity.WARNING, hint=hint, path=path, task=name
            )

    def _count(self, data: Any) -> None:
        graph = data.get("task_graph") if isinstance(data, dict) else None
        tasks = graph.get("tasks") if isinstance(graph, dict) else None
        self.counts["plan_tasks"] = len(tasks) if isinstance(tasks, list) else 0

    # -- the plan ---------------------------------------------------------------------------------

    def _plan(self, state: NexusState) -> Plan:
        standing = self._standing(state)
        find = finder(self._root())
        done = {name for name, status in standing.items() if status == "done"}
        self.told.append("Order: as 'depends_on' and 'wave' state it; nothing is inferred.")
        if "profile" in state.model_fields_set:
            self.told.append(
                _TOLD_OF_PROFILE.format(profile=state.profile) + _TESTS_FIRST * (state.profile == "thorough")
            )
        tasks = []
        for number, node in enumerate(state.task_graph.tasks):
            if node.id not in done:
                self.numbers.append(number)
                tasks.append(self._task(node, state, done, find))
        return Plan(
            plan=_slug(self._root().name),
            goal=state.project_aim,
            profile="dispatch",
            barrier=Barrier.WAVE,
            features=Features(code_review=False, holistic=False),  # its review is a command of its own
            tasks=tuple(tasks),
        )

    def _root(self) -> Path:
        folder = self.file.resolve().parent
        return folder.parent if folder.name == _HOME else folder

    def _standing(self, state: NexusState) -> dict[str, str]:
        standing = dict.fromkeys((task.id for task in state.task_graph.tasks), "open")
        standing |= dict.fromkeys((each.task_id for each in state.blocked_tasks), "blocked")
        standing |= dict.fromkeys((each.task_id for each in state.failed_tasks), "failed")
        for name in state.completed_tasks:
            said = state.compressed_outputs.get(name, "")  # people add lines below ours
            pending, accepted = _PENDING.search(said), _ACCEPTED.search(said)
            pending = pending if name not in self.there else None
            standing[name] = "pending" if pending or name in self.absent else "done"
            if accepted and name not in self.absent:
                self.landed[name] = accepted["commit"]
            if pending:
                where = f"branch {pending['branch']} (commit {pending['commit'][:12]})"
                self.told.append(f"{name}: done on {where}, which was not accepted; it is done again.")
                self.pending[name] = pending["commit"]
        for status in ("open", "done", "failed", "blocked", "pending"):
            self.counts[status] = sum(each == status for each in standing.values())
        again = [f"{name} ({status})" for name, status in standing.items() if status in {"failed", "blocked"}]
        self.told += [f"Taken up again: {', '.join(again)}."] * bool(again)
        return standing

    def _task(self, node: NexusTask, state: NexusState, done: set[str], find: Find) -> Task:
        checks = [read_verify(text, find) for text in node.verify]
        self.told += [f"{node.id}: {text}" for check in checks for text in check.told]
        title = {task.id: task.title for task in state.task_graph.tasks}
        built_on = [name for name in dict.fromkeys(node.depends_on) if name in done]
        background = [(f"Output of {name}: {title[name]}", state.compressed_outputs.get(name, "")) for name in built_on]
        background += [
            ("It failed before", f"{each.reason} (retries: {each.retry_count})")
            for each in state.failed_tasks
            if each.task_id == node.id
        ]
        files = node.files
        return Task(
            id=node.id,
            title=node.title.strip(),
            description=node.description,
            approach=state.agreed_approaches.get(node.id, ""),
            depends_on=tuple(name for name in dict.fromkeys(node.depends_on) if name not in done),
            wave=node.wave,
            files=_files_of(files, self._root()) if files else None,
            scope=Scope.LEASE if files else Scope.STRICT,
            acceptance=(*node.acceptance, *(text for check in checks for text in check.criteria)),
            verify=tuple(dict.fromkeys(command for check in checks for command in check.commands)),
            interfaces=Interfaces(consumes=tuple(node.interfaces.consumes), produces=tuple(node.interfaces.produces)),
            type=TaskType.TDD if state.profile == "thorough" and files and files.test else TaskType.EXECUTE,
            complexity=Complexity(node.complexity),
            background=tuple((name, text) for name, text in background if text.strip()),
        )

    def _locate(self, path: Where) -> Place | None:
        """The place of what a check of the plan names; its tasks are those of the graph that are not done."""
        if path[:1] == ("tasks",) and len(path) > 1 and isinstance(path[1], int) and path[1] < len(self.numbers):
            rest = path[2:]
            path = ("task_graph", "tasks", self.numbers[path[1]], *rest)
        elif path[:1] == ("goal",):
            path = ("project_aim",)
        place = self.document.place(path)
        return replace(place, file=str(self.file)) if place is not None else None


# -- fields ---------------------------------------------------------------------------------------


def _each(error: ValidationError) -> list[Any]:
    return list(error.errors(include_url=False))


def _problem(detail: Any) -> Problem:
    problem = problem_of(detail, NexusState)
    if problem.code == "missing_key":
        return replace(problem, hint=f'Add "{problem.path[-1]}" to it.')
    return problem


def _files_of(files: TaskFiles, root: Path) -> Files:
    """The files of a task; what lies beside them is for reading first."""
    writes = (*files.create, *files.modify, *files.test)
    beside = [path for written in writes for path in _beside(written, root) if path not in {*writes, *files.read}]
    return Files(
        create=tuple(files.create),
        modify=tuple(files.modify),
        test=tuple(files.test),
        read=(*files.read, *dict.fromkeys(beside[:_MOST_BESIDE])),
    )


def _beside(written: str, root: Path) -> Iterator[str]:
    if validate(written) is not None or not is_literal(written):
        return
    folder = (root / literal_path(written)).parent
    try:
        names = sorted(file.name for file in folder.iterdir() if file.is_file() and not file.is_symlink())
    except OSError:
        return
    for name in names:
        path = (folder / name).relative_to(root).as_posix()
        if not name.startswith(".") and is_literal(path) and validate(path) is None:
            yield path


def _unknown_keys(model: BaseModel, path: Where) -> Iterator[str]:
    """The keys that no field takes, once for each kind of place: lists of tasks count as one."""
    for key in model.model_extra or {}:
        yield dotted((*path, key))
    for key, value in model:
        if isinstance(value, BaseModel):
            yield from _unknown_keys(value, (*path, key))
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, BaseModel):
                    yield from _unknown_keys(each, (*path, f"{key}[]"))


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-") or "nexus"
