"""Station Kit: a handoff packet with its prep session and the gates of `fitter.toml` (FORMATS 3).

The packet says what is to be done in which order; the session must show that it was thought through: without one, or
with one that stopped on the way, nothing starts. Done subtasks are not done again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from chargehand.domain.plan import Barrier, Files, GateSpec, Plan, Risk, Scope, Task
from chargehand.domain.problem import Path as Where
from chargehand.domain.problem import Problem, Severity
from chargehand.domain.test_changes import is_test
from chargehand.plans.document import Document, Place
from chargehand.plans.factory_gates import FITTER, read_fitting
from chargehand.plans.factory_model import Packet, Subtask
from chargehand.plans.factory_session import Session, digest, prep_gate, read_session
from chargehand.plans.factory_todo import TodoList, read_todo
from chargehand.plans.faults import dotted, problem_of
from chargehand.plans.fields import kind_of
from chargehand.plans.json_text import parse_json
from chargehand.plans.loaded import LoadedPlan, Stated
from chargehand.plans.native import read_lossy, read_text
from chargehand.plans.verify_text import finder, read_verify

__all__ = ["StationKitReader"]

_HOME = ".kilocode"
_PACKETS = "handoff"
_KEYS = (re.compile(r'"session_export"\s*:'), re.compile(r'"subtasks"\s*:'))
_DONE = frozenset({"completed", "done"})
_TESTS = ("tests/**", "test/**", "**/test_*", "**/*_test.*", "**/*.test.*", "**/*.spec.*")
_PATH = re.compile(r"[\w.@+-]+(?:/[\w.@+*-]+)*(?:::\S+)?")
_START = "/orchestrate-start-task"


class StationKitReader:
    """Reads a handoff packet of Station Kit, before and after its renaming."""

    name = "station-kit"
    wants = "it is JSON with the keys 'session_export' and 'subtasks', or a folder .kilocode with such a packet"
    places = (_HOME,)

    def claims(self, path: Path, text: str | None) -> bool:
        """A packet by its keys, even when the rest of it is broken; a folder `.kilocode` by the packets in it."""
        if text is not None:
            return text.lstrip("\ufeff \t\r\n").startswith("{") and all(key.search(text) for key in _KEYS)
        return path.is_dir() and any(True for _ in self._packets(path))

    def _packets(self, folder: Path) -> Iterator[Path]:
        """The packets of a `.kilocode`, or in a folder that is named itself."""
        patterns = ("*.json", "*/*.json") if folder.resolve().name == _HOME else ("*.json",)
        try:
            for file in sorted(each for pattern in patterns for each in folder.glob(pattern)):
                if self._is_packet(file):
                    yield file
        except OSError:
            return

    def _is_packet(self, file: Path) -> bool:
        """Among the packets also what is broken: passed over, another one would be taken."""
        text, problem = read_text(file)
        if problem is None and self.claims(file, text):
            return True
        is_placed = file.absolute().parent.name == _PACKETS
        if problem is None:
            return is_placed and bool(parse_json(text).problems)
        return is_placed or self.claims(file, read_lossy(file))

    def read(self, path: Path, text: str | None, source: str) -> LoadedPlan:
        """Read the packet and everything it names; problems name the file and the line."""
        if text is None:
            found = list(self._packets(path)) if path.is_dir() else [path]
            if len(found) != 1:
                broken = [replace(why, file=str(each)) for each in found if (why := read_text(each)[1])]
                return LoadedPlan(source=source, problems=(*broken, _which(path, found)), reader=self.name)
            path = found[0]
            text, problem = read_text(path)
            if problem is not None:
                return LoadedPlan(source=str(path), problems=(replace(problem, file=str(path)),), reader=self.name)
        return _Reading(file=path, document=parse_json(text)).read()


def _which(folder: Path, found: list[Path]) -> Problem:
    names = ", ".join(str(each.relative_to(folder)) for each in found) or "none"
    text = f"{folder} holds {len(found)} handoff packets: {names}."
    return Problem(code="ambiguous_plan", message=text, hint="Name the one you mean.", file=str(folder))


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One reading of the packet in `file`."""

    file: Path
    document: Document
    told: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    done: TodoList = field(default_factory=TodoList)

    def read(self) -> LoadedPlan:
        self.problems += self.document.problems
        packet = None if self.problems else self._packet()
        plan = self._plan(packet) if packet is not None else None
        failed = any(problem.is_error for problem in self.problems)
        if plan is not None and not failed and self.counts["open"] == 0 and self.done.tests:
            hint = "Set what is to be done again back to pending in the packet, and to [ ] in the todo list."
            text = "All subtasks of the packet and their tests are done."
            self.problems.append(Problem(code="nothing_left", message=text, hint=hint, path=("subtasks",)))
            failed = True
        loaded = LoadedPlan(source=str(self.file), locate=self.document.place)
        return replace(
            loaded,
            plan=None if failed else plan,
            draft=plan if failed else None,
            problems=loaded.placed(self.problems),
            counts={name: self.counts[name] for name in sorted(self.counts)},
            told=tuple(self.told),
            reader=StationKitReader.name,
            locate=self._locate,
            stated=Stated(
                keys=frozenset({"plan", "profile", "barrier"}), gates=len(plan.gates) if plan is not None else 0
            ),
        )

    def _packet(self) -> Packet | None:
        data = self.document.data
        listed = data.get("subtasks") if isinstance(data, dict) else None
        self.counts["subtasks"] = len(listed) if isinstance(listed, list) else 0
        try:
            packet = Packet.model_validate(data)
        except ValidationError as error:
            self.problems += [_problem(each) for each in error.errors(include_url=False)]
            return None
        left = sorted(dict.fromkeys(_unknown_keys(packet, ())))
        self.counts["left_alone"] = len(left)
        self.told += [f"Left alone: {', '.join(left)}."] * bool(left)
        self.done = self._todo(packet)
        self._check(packet)
        return packet

    def _todo(self, packet: Packet) -> TodoList:
        """What is done by the packet, and by the list that an accepted run left."""
        done = TodoList(subtasks=frozenset(each.id for each in packet.subtasks if each.status in _DONE))
        file = self._root() / _HOME / "line" / packet.task_id / "todo.md"
        if not file.exists():
            return done
        text, problem = read_text(file)
        if problem is not None:
            self.problems.append(replace(problem, file=str(file)))
            return done
        listed = read_todo(text)
        if listed.pending:
            self.told.append(f"Done on {listed.pending}, which was not accepted; it is done again.")
            return done
        known = listed.subtasks & {each.id for each in packet.subtasks}
        self.told += [f"Done by {file.name}: {', '.join(map(str, sorted(known)))}."] * bool(known)
        return TodoList(subtasks=done.subtasks | known, tests=listed.tests)

    def _check(self, packet: Packet) -> None:
        seen: dict[int, int] = {}
        waiting: Subtask | None = None
        for number, each in enumerate(packet.subtasks):
            path: Where = ("subtasks", number)
            if each.id in seen:
                text = f"The subtask id {each.id} is used twice."
                problem = Problem(code="duplicate_id", message=text, hint="Renumber one of them.", path=(*path, "id"))
                self.problems.append(problem)
            seen.setdefault(each.id, number)
            if each.id not in self.done.subtasks:
                waiting = waiting or each
            elif waiting is not None:
                text = f"Subtask {each.id} is done, but {waiting.id} before it is not."
                at = (*path, "status")
                self.problems.append(Problem(code="contradiction", message=text, severity=Severity.WARNING, path=at))

    # -- the plan ---------------------------------------------------------------------------------

    def _root(self) -> Path:
        """The project: the folder of the `.kilocode` the packet lies in, else the folder of the packet."""
        file = self.file.resolve()
        home = next((each for each in file.parents if each.name == _HOME), None)
        if home is not None:
            return home.parent
        return next((each for each in file.parents if (each / _HOME).is_dir()), file.parent)

    def _plan(self, packet: Packet) -> Plan:
        self.counts["done"] = sum(each.id in self.done.subtasks for each in packet.subtasks)
        self.counts["open"] = len(packet.subtasks) - self.counts["done"]
        prep = self._prep(packet)
        background = self._background(packet, prep)
        subtasks = self._tasks(packet, background)
        started = [
            str(each.id)
            for each in packet.subtasks
            if each.status == "in_progress" and each.id not in self.done.subtasks
        ]
        self.told += [f"In progress, and taken up again: {', '.join(started)}."] * bool(started)
        self.told.append("Order: the subtasks as they are listed, then tests, then gates (inferred).")
        gates = self._gates()
        tasks = (*subtasks, _gate_task(gates, subtasks[-1].id))
        return Plan(
            plan=_slug(packet.task_id),
            goal=f"{packet.task_id}: {packet.decision.approach}",
            profile="factory-line",
            barrier=Barrier.NONE,
            success_criteria=tuple(packet.success_criteria),
            risks=tuple(Risk(risk=each.risk, mitigation=each.mitigation) for each in packet.risks),
            tasks=tasks,
            gates=gates,
            inferred=tuple(task.id for task in tasks[1:]),
        )

    def _tasks(self, packet: Packet, background: tuple[tuple[str, str], ...]) -> list[Task]:
        files, approach = self._files(packet), _approach(packet)
        tasks: list[Task] = []
        for number, each in enumerate(packet.subtasks):
            if each.id in self.done.subtasks:
                continue
            self.numbers.append(number)
            task = Task(
                id=f"subtask-{each.id}",
                title=_title(each.description),
                description=each.description.strip(),
                approach=approach,
                depends_on=(tasks[-1].id,) if tasks else (),
                files=files,
                scope=Scope.REVIEW,
                background=(*background, ("Success criteria of the whole", _listed(packet.success_criteria))),
            )
            tasks.append(task)
        tasks.append(self._test_task(packet, files, approach, background, tuple(task.id for task in tasks)))
        return tasks

    def _test_task(
        self,
        packet: Packet,
        files: Files | None,
        approach: str,
        background: tuple[tuple[str, str], ...],
        before: tuple[str, ...],
    ) -> Task:
        find = finder(self._root())
        named = [each for each in packet.tests if _PATH.fullmatch(each) and is_test(each.split("::")[0])]
        checks = [read_verify(each, find) for each in packet.tests if each not in named]
        self.told += [f"tests: {text}" for check in checks for text in check.told]
        self.told += [f"tests: taken as a file: {each}" for each in named]
        tests = dict.fromkeys([*(each.split("::")[0] for each in named), *(files.test if files else ()), *_TESTS])
        return Task(
            id="tests",
            title="Add and update tests",
            description="Add or update tests for what the subtasks before made: what was usual, and the edge cases.",
            approach=approach,
            depends_on=before,
            files=Files(modify=files.modify if files else (), test=tuple(tests)),
            scope=Scope.REVIEW,
            acceptance=tuple(text for check in checks for text in check.criteria),
            verify=tuple(dict.fromkeys(command for check in checks for command in check.commands)),
            background=(*background, ("Success criteria of the whole", _listed(packet.success_criteria))),
            allow_empty=False,
        )

    def _files(self, packet: Packet) -> Files | None:
        paths = list(dict.fromkeys(each.path.removeprefix("./") for each in packet.files_touched))
        if not paths:
            return None
        return Files(
            modify=tuple(each for each in paths if not is_test(each)),
            test=tuple(each for each in paths if is_test(each)),
        )

    # -- the session ------------------------------------------------------------------------------

    def _inside(self, name: str) -> Path | None:
        """A file of the project by its name there; None where the name leads out of it."""
        root = self._root()
        file = (root / name).resolve()
        return file if not Path(name).is_absolute() and file.is_relative_to(root.resolve()) else None

    def _prep(self, packet: Packet) -> Session | None:
        path: Where = ("session_export",)
        file = self._inside(packet.session_export)
        if file is None:
            text = f"The prep session {packet.session_export} lies outside the project."
            self.problems.append(Problem(code="unsafe_path", message=text, hint="Name it from the root.", path=path))
            return None
        if not file.is_file():
            text = f"There is no prep session {packet.session_export}; nothing starts without one."
            hint = f"Run {_START} {packet.task_id} first: it thinks the task through and writes the session."
            self.problems.append(Problem(code="prep_missing", message=text, hint=hint, path=path))
            return None
        session = self._session(file)
        if session is None:
            return None
        self.counts["prep_thoughts"] = len(session.thoughts)
        for check, holds, found in prep_gate(session):
            if not holds:
                text = f"Prep gate FAIL, {check}: {found}."
                hint = f"Finish the preparation with {_START} {packet.task_id}, and export the session again."
                self.problems.append(Problem(code="prep_gate", message=text, hint=hint, file=str(file), line=1))
        if not any(problem.code == "prep_gate" for problem in self.problems):
            self.told.append("Prep gate: PASS.")
        return session

    def _session(self, file: Path) -> Session | None:
        text, problem = read_text(file)
        if problem is not None:
            self.problems.append(replace(problem, file=str(file)))
            return None
        session, problems, _ = read_session(text)
        self.problems += [replace(each, file=str(file)) for each in problems]
        return session

    def _background(self, packet: Packet, prep: Session | None) -> tuple[tuple[str, str], ...]:
        """What was thought so far: the last link of the chain, else the preparation."""
        last = [str(each.id) for each in packet.subtasks if each.id in self.done.subtasks]
        link = self._link(packet, last[-1]) if last else None
        session = (self._session(link) if link is not None else None) or prep
        if link is not None:
            self.told.append(f"Chain: goes on from {link.name}.")
        elif last:
            self.told.append(f"Chain: subtask {last[-1]} has left no session; it goes on from the preparation.")
        finished = [each for each in packet.subtasks if each.id in self.done.subtasks]
        done = [f"Subtask {each.id}: {each.description.strip()}" for each in finished]
        parts = [("What was thought before", digest(session))] if session is not None else []
        return (*parts, *([("Done before", _listed(done))] if done else []))

    def _link(self, packet: Packet, subtask: str) -> Path | None:
        folder = self._root() / _HOME / "thinking"
        pattern = f"execution-{packet.task_id}-subtask-{subtask}-[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].json"
        return next((each for each in sorted(folder.glob(pattern), reverse=True) if each.is_file()), None)

    # -- gates and places -------------------------------------------------------------------------

    def _gates(self) -> tuple[GateSpec, ...]:
        file = self._root() / _HOME / FITTER
        if not file.exists():
            self.told.append(f"There is no {_HOME}/{FITTER}: gates are those of the settings.")
            return ()
        text, problem = read_text(file)
        if problem is not None:
            self.problems.append(replace(problem, file=str(file)))
            return ()
        fitting = read_fitting(text)
        self.problems += [replace(each, file=str(file)) for each in fitting.problems]
        self.told += fitting.told
        return fitting.gates

    def _locate(self, path: Where) -> Place | None:
        """The place of what a check of the plan names, in the packet."""
        if path[:1] == ("tasks",) and len(path) > 1 and isinstance(path[1], int):
            number, rest = path[1], path[2:]
            if rest[:1] == ("files",):
                path = ("files_touched",)
            elif number < len(self.numbers):
                path = ("subtasks", self.numbers[number], *(("description",) if rest[:1] == ("title",) else rest))
            else:
                path = ("tests",)
        elif path[:1] == ("goal",):
            path = ("decision", "approach")
        place = self.document.place(path)
        return replace(place, file=str(self.file)) if place is not None else None


# -- texts ----------------------------------------------------------------------------------------


def _gate_task(gates: tuple[GateSpec, ...], after: str) -> Task:
    lines = _listed([f"{gate.id}: `{gate.run.text}`" for gate in gates])
    text = "Run every quality gate, and mend what is red. Where nothing is red, change nothing."
    return Task(
        id="gates",
        title="Run quality gates",
        description=f"{text}\n\n{lines}".strip(),
        depends_on=(after,),
        scope=Scope.REVIEW,
        allow_empty=True,
        may_excuse=True,
    )


def _approach(packet: Packet) -> str:
    return "\n\n".join(part for part in (packet.decision.approach.strip(), packet.decision.rationale.strip()) if part)


def _title(text: str) -> str:
    first = text.strip().splitlines()[0].strip()
    return first if len(first) <= 80 else f"{first[:79]}…"


def _listed(items: list[str]) -> str:
    return "\n".join(f"- {' '.join(each.split())}" for each in items)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-") or "packet"


def _problem(detail: Any) -> Problem:
    if detail["loc"] == ():
        return Problem(code="wrong_type", message=f"Expected a mapping, found {kind_of(detail['input'])}.")
    found = problem_of(detail, Packet)
    return replace(found, hint=f'Add "{found.path[-1]}" to it.') if found.code == "missing_key" else found


def _unknown_keys(model: BaseModel, path: Where) -> Iterator[str]:
    """The keys that no field takes, once for each kind of place."""
    for key in model.model_extra or {}:
        yield dotted((*path, key))
    for key, value in model:
        if isinstance(value, BaseModel):
            yield from _unknown_keys(value, (*path, key))
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, BaseModel):
                    yield from _unknown_keys(each, (*path, f"{key}[]"))
