"""Station Kit: a handoff packet carried out as a line of subtasks, with its session chain and its records (SPEC 11).

The parent of the line is this program, so the parent's model is none. What the system keeps in a todo list of a chat
stands in `.kilocode/line/<task-id>` here, and is made of events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import AttemptFinished, CanaryFinished, GatesFinished, Recorded, TaskIntegrated
from chargehand.domain.line import Restoration
from chargehand.domain.outcome import GateResult, GateStatus, Role
from chargehand.domain.plan import Command, GatePoint, GateSpec, Plan
from chargehand.domain.problem import Problem
from chargehand.domain.restoring import line_fault
from chargehand.domain.runtimes import claimed_mode, claimed_model
from chargehand.domain.state import RunState
from chargehand.domain.words import RunVerdict, TaskStatus
from chargehand.ports import Projection
from chargehand.profiles.bounds import BOUNDS
from chargehand.profiles.factory_chain import link_text, moment, thoughts_of
from chargehand.profiles.factory_text import completion_text, gate_report, todo_rows, todo_text
from chargehand.profiles.profile import Profile, Site
from chargehand.profiles.told import told_by_factory_line

__all__ = ["PROFILE"]

_WORKER = """\
You are one worker of a line: this subtask is yours, nothing else of the task is.
1. Before an edit that touches more than one file, an interface or tests, settle the risk and the steps; report them
   under "risk" and "edit_plan".
2. Verify the signatures you use in the sources, and those of libraries in their documentation. Do not guess.
3. Edit narrowly; write whole files only where they are new.
4. Find every caller and every reference of what you changed, and update them: call sites, imports, types.
5. Format and lint are checked after you, without exceptions. Mend the cause: no global ignores, no `# type: ignore` or
   any other comment that silences a check, no strictness lowered: your change is read for them. A per-file ignore for
   an import that is needed at run time, or a per-module override for a library without stubs, is allowed in the
   subtask of the gates.
Report "runtime_model_reported" and "runtime_mode_reported" as your runtime names them."""

_FITTER = """\
You keep the line running: budgets, invocation and environment of the gate are yours, the product is not. Read the
contract and the pointers, not whole logs. Where secrets or somebody at the keyboard are needed, answer RED."""

_WORDING = (
    (Role.IMPLEMENTER.value, _WORKER),
    (Role.FIXER.value, _WORKER),
    (Role.FITTER.value, _FITTER),
)
_HOME = ".kilocode"
_PARENT = {
    "subtask": "Parent (Orchestrator)",
    "runtime_model_reported": "none",
    "runtime_mode_reported": "orchestrator",
}
_UNTOLD = "not reported"


@dataclass(slots=True, kw_only=True)
class _Line(Projection):
    """The files of a line. `home` is the `.kilocode` of the project."""

    site: Site
    home: Path
    packet: Mapping[str, Any]
    is_accepted: bool = False
    signatures: set[str] = field(default_factory=set)
    links: list[tuple[str, str]] = field(default_factory=list)

    @property
    def task_id(self) -> str:
        """The id of the task, as the packet has it."""
        return str(self.packet["task_id"])

    def begin(self, state: RunState) -> None:
        """All files anew; the records of gates and faults keep what earlier processes wrote."""
        self.is_accepted = state.accepted is not None
        self.signatures = {str(each.get("run_signature")) for each in self._lines("gates.jsonl")}
        text = gate_report(self.task_id, str(self.packet["session_export"]), state.plan, ())
        thoughts_of(self._prep())
        self._write("prep-gate.json", text)
        self._recall(state)
        self.links = self._chain(state)
        self._draw(state)

    def _recall(self, state: RunState) -> None:
        """What came to its end as a process did that had no time to write it: the journal has it."""
        known = {(each.get("subtask"), each.get("attempt")) for each in self._attested()}
        last: AttemptFinished | None = None
        for recorded in self.site.history():
            event = recorded.event
            if isinstance(event, GatesFinished | CanaryFinished):
                self._gates(event.key, event.results, state)
            elif isinstance(event, AttemptFinished):
                last = event
                if (event.task or "run", event.attempt) not in known:
                    self._attempt(event)
        if last is not None:
            self._attempt(last)  # another run may have had an attempt of the same number

    def take(self, recorded: Recorded, state: RunState) -> None:
        """What the event adds to the records, then the list and the chain."""
        event = recorded.event
        if isinstance(event, GatesFinished | CanaryFinished):
            self._gates(event.key, event.results, state)
        elif isinstance(event, AttemptFinished):
            self._attempt(event)
        elif isinstance(event, TaskIntegrated):
            self.links = self._chain(state)
        self._draw(state)

    def accepted(self, state: RunState, commit: str) -> None:  # noqa: ARG002 - the list names no commit then
        """The list is final, and the report says what is left to do."""
        self.is_accepted = True
        self.links = self._chain(state)
        self._draw(state)

    def _draw(self, state: RunState) -> None:
        exports = [("Prep", str(self.packet["session_export"])), *self.links]
        self._write("todo.md", todo_text(state, _subtasks(self.packet), accepted=self.is_accepted))
        if state.finished is None:
            return
        beads = (self.home.parent / ".beads").is_dir()
        attested = self._attested()
        text = completion_text(self.task_id, state, exports, attested, accepted=self.is_accepted, beads=beads)
        self._write("completion.md", text)

    # -- the chain --------------------------------------------------------------------------------

    def _prep(self) -> Path:
        return self.home.parent / str(self.packet["session_export"])

    def _chain(self, state: RunState) -> list[tuple[str, str]]:
        """(name, path) of every link of this run; what is missing is written, in the order of the line."""
        before = self._before(state)
        links = []
        day = moment(state.started_at)[:10]
        for record in state.tasks.values():
            if record.status is not TaskStatus.INTEGRATED or not _has_link(record.id):
                continue
            file = self.home / "thinking" / f"execution-{self.task_id}-{record.id}-{day}.json"
            old = _text(file)
            self.site.write(file, link_text(record, state, thoughts_of(before), old))
            name = record.id.replace("subtask-", "Subtask ").replace("tests", "Tests")
            links.append((name, str(file.relative_to(self.home.parent))))
            before = file
        return links

    def _before(self, state: RunState) -> Path:
        """What the first link of this run goes on from: that of the last subtask done before, else the preparation."""
        done = [each["id"] for each in self.packet["subtasks"] if f"subtask-{each['id']}" not in state.tasks]
        day = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
        folder = self.home / "thinking"
        links = (sorted(folder.glob(f"execution-{self.task_id}-subtask-{each}-{day}.json")) for each in reversed(done))
        return next((found[-1] for found in links if found), self._prep())

    # -- gates, faults, restorations --------------------------------------------------------------

    def _gates(self, key: str, results: Sequence[GateResult], state: RunState) -> None:
        """A line for each run of a gate, a contract for each that could not judge; once, however often it is told."""
        fresh = [each for each in results if f"{key}/{each.gate}" not in self.signatures]
        fresh = [each for each in fresh if each.status is not GateStatus.SKIPPED]
        for each in fresh:
            self._verified(each)
            if each.status is GateStatus.FAULT:
                contract = json.dumps(asdict(line_fault(each)), indent=2, ensure_ascii=False) + "\n"
                number = self._number("faults", each.gate)
                same = number and _text(self._path(f"faults/{each.gate}-{number}.json")) == contract
                self._write(f"faults/{each.gate}-{number + (not same)}.json", contract)
        if fresh:
            lines = [json.dumps(self._audit(key, each, state), ensure_ascii=False) + "\n" for each in fresh]
            self._write("gates.jsonl", _text(self._path("gates.jsonl")) + "".join(lines))
            self.signatures |= {f"{key}/{each.gate}" for each in fresh}

    def _audit(self, key: str, result: GateResult, state: RunState) -> dict[str, Any]:
        return {
            "schema_version": "gate_run.v1",
            "bead_id": self.task_id,
            "run_timestamp": moment(state.started_at),
            "run_signature": f"{key}/{result.gate}",
            "gate_id": result.gate,
            "status": result.status.value,
            "exit_code": result.exit_code,
            "elapsed_seconds": round(result.wall_s, 3),
            "invocation": result.command,
            "stop_reason": result.fault.value if result.fault is not None else None,
        }

    def _number(self, kind: str, gate: str) -> int:
        """The number of the last contract of a gate; 0 when there is none."""
        names = (file.stem.rpartition("-") for file in self._path(kind).glob(f"{gate}-*.json"))
        return max((int(number) for name, _, number in names if name == gate and number.isdigit()), default=0)

    def _attempt(self, event: AttemptFinished) -> None:
        result = event.result
        restoration = result.restoration
        if restoration is not None and (number := self._number("faults", restoration.gate_id)):
            name = f"restorations/{restoration.gate_id}-{number}.json"
            if not _text(self._path(name)):
                self._write(name, json.dumps(_contract(restoration), indent=2, ensure_ascii=False) + "\n")
        told = {
            "subtask": event.task or "run",
            "attempt": event.attempt,
            "runtime_model_reported": result.model or claimed_model(result.report) or _UNTOLD,
            "runtime_mode_reported": result.mode or claimed_mode(result.report) or _UNTOLD,
        }
        key = (told["subtask"], told["attempt"])
        others = [each for each in self._attested() if (each.get("subtask"), each.get("attempt")) != key]
        self._write("runtime.json", json.dumps([*others, told], indent=2, ensure_ascii=False) + "\n")

    def _attested(self) -> list[dict[str, Any]]:
        """What the runtimes of all attempts said they were; the parent's own first."""
        try:
            found = json.loads(_text(self._path("runtime.json")) or "[]")
        except (ValueError, RecursionError):
            found = []
        found = found if isinstance(found, list) else []
        listed = [each for each in found if isinstance(each, dict) and each.get("subtask") != _PARENT["subtask"]]
        return [dict(_PARENT), *listed]

    def _verified(self, result: GateResult) -> None:
        """The run of a gate that follows a restoration verifies it."""
        file = self._path(f"restorations/{result.gate}-{self._number('restorations', result.gate)}.json")
        text = _text(file)
        if not text:
            return
        contract = json.loads(text)
        run = contract["verification_run"]
        if run["status"] == "pending":
            elapsed_s = round(result.wall_s, 3)
            run |= {"invocation": result.command, "status": result.status.value, "elapsed_seconds": elapsed_s}
            self.site.write(file, json.dumps(contract, indent=2, ensure_ascii=False) + "\n")

    # -- files ------------------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        return self.home / "line" / self.task_id / name

    def _write(self, name: str, text: str) -> None:
        self.site.write(self._path(name), text, whole=True)

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        for line in _text(self._path(name)).splitlines():
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue  # a line somebody broke is no reason to write it twice, nor to stop
            if isinstance(found, dict):
                yield found


def _has_link(task: str) -> bool:
    return task == "tests" or task.startswith("subtask-")


def _contract(restoration: Restoration) -> dict[str, Any]:
    fit = restoration.fit
    return {
        "gate_id": restoration.gate_id,
        "outcome": restoration.outcome.value,
        "mitigation_applied": list(restoration.mitigation_applied),
        "verification_run": {"invocation": " ".join(fit.argv), "status": "pending", "elapsed_seconds": None},
        "env": dict(fit.env),
        "updated_fit_profile": {
            "timeout_seconds": fit.wall_s,
            "stall_seconds": fit.idle_s,
            "notes": restoration.notes,
            "confidence": restoration.confidence,
        },
    }


def _text(file: Path) -> str:
    """The text of an artifact that is there; AdapterError when it is, and cannot be read."""
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise AdapterError("projection", f"{file} cannot be read: {error}. Put that right, then resume.") from error


# -- before and around a run ----------------------------------------------------------------------


class _Outside(Projection):
    """A packet that lies outside the work tree is read and nothing is written for it [I1]."""

    def begin(self, state: RunState) -> None:
        """Nothing."""

    def take(self, recorded: Recorded, state: RunState) -> None:
        """Nothing."""

    def accepted(self, state: RunState, commit: str) -> None:
        """Nothing."""


def _project(site: Site, plan: Plan) -> Projection:  # noqa: ARG001 - the packet says more than the plan
    site = replace(site, root=site.root.resolve(), source=site.source.resolve())
    home = _home(site)
    if home is None:
        return _Outside()
    return _Line(site=site, home=home, packet=_packet(site.source))


def _subtasks(packet: Mapping[str, Any]) -> list[tuple[int, str]]:
    """(id, description) of each, as the packet has them."""
    return [(each["id"], str(each["description"])) for each in packet["subtasks"]]


def _home(site: Site) -> Path | None:
    """The `.kilocode` of the project the packet is of; None where that is not in the work tree."""
    if not site.source.is_relative_to(site.root):
        return None
    above = next((each for each in site.source.parents if each.name == _HOME), None)
    beside = next((each / _HOME for each in site.source.parents if (each / _HOME).is_dir()), None)
    home = above or beside or site.source.parent / _HOME
    return home if home.is_relative_to(site.root) and home != site.root else None


def _packet(source: Path) -> Mapping[str, Any]:
    try:
        packet = json.loads(source.read_text(encoding="utf-8-sig"))
        if not all(isinstance(each["id"], int) and isinstance(each["description"], str) for each in packet["subtasks"]):
            raise ValueError("its subtasks have no ids")
        str(packet["task_id"]), str(packet["session_export"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        text = f"The handoff packet {source} cannot be read any more: {error!r}. Put it back, then `chargehand resume`."
        raise AdapterError("projection", text) from error
    found: Mapping[str, Any] = packet
    return found


def _refused(site: Site, plan: Plan, problems: Sequence[Problem]) -> None:
    """A prep gate that failed leaves its report, too; nothing else is written for a packet that is broken."""
    failures = [each.message for each in problems if each.code in {"prep_gate", "prep_missing"}]
    line = _project(site, plan)
    if failures and isinstance(line, _Line):
        text = gate_report(line.task_id, str(line.packet["session_export"]), plan, failures)
        line._write("prep-gate.json", text)


def _shown(site: Site, state: RunState, task: str | None) -> tuple[str, ...]:
    """The todo list as the run stands; of a task, its line."""
    home = _home(Site(root=site.root.resolve(), source=site.source.resolve()))
    if home is None:
        return ()
    rows = todo_rows(state, _subtasks(_packet(site.source)), accepted=state.accepted is not None)
    return tuple(line for name, line in rows if task in {None, name})


def _books(site: Site, state: RunState) -> tuple[tuple[str, ...], ...]:
    """The issue is closed when all of it was accepted; `done` is no status of beads."""
    site = replace(site, root=site.root.resolve(), source=site.source.resolve())
    home = _home(site)
    is_whole = state.finished is not None and state.finished.verdict is RunVerdict.FINISHED
    if home is None or not is_whole or not (home.parent / ".beads").is_dir():
        return ()
    return ("bd", "close", str(_packet(site.source)["task_id"])), ("bd", "sync")


def _arrange(plan: Plan, settings: Mapping[str, object]) -> Plan:
    """A line without gates takes the commands of the settings for them; UserError where there are none either."""
    if plan.gates:
        return plan
    given = (("build", settings.get("commands.build")), ("test", settings.get("commands.test")))
    gates = tuple(
        GateSpec(id=name, run=command, on=frozenset({GatePoint.RUN}))
        for name, command in given
        if isinstance(command, Command)
    )
    if not gates:
        raise UserError(
            f"Plan {plan.plan} has no quality gates, and a line without them inspects nothing.",
            code="no_gates",
            hint=f"Add {_HOME}/fitter.toml, or [commands] build and test to chargehand.toml.",
        )
    return replace(plan, gates=gates)


PROFILE = Profile(
    name="factory-line",
    policy=BOUNDS["factory-line"].policy,
    wording=_WORDING,
    arrange=_arrange,
    accepts=BOUNDS["factory-line"].accepts,
    project=_project,
    told=told_by_factory_line,
    refused=_refused,
    books=_books,
    shown=_shown,
    shown_live=True,
    artifacts=(".kilocode/thinking/execution-*.json", ".kilocode/line/**", "**/.chargehand-*.tmp"),
)
