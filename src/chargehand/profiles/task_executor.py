"""The task-executor of a JIRA pipeline: `tasks.yaml` is carried out and kept up to date, and `log.jsonl` (SPEC 11).

One process writes both, after the event that they show. What its prompt asks a model for is data here: the bounds
stand in `profiles.bounds`, the words for briefs below.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chargehand.domain import scope
from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import (
    EffectIntended,
    Event,
    Recorded,
    ReviewFailed,
    ReviewVoided,
    TaskRequeued,
    WarningRaised,
)
from chargehand.domain.hand_edits import Told
from chargehand.domain.outcome import Role
from chargehand.domain.plan import Command, GatePoint, GateSpec, Mode, Plan
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import Reason, TaskStatus
from chargehand.ports import OwnReport, Projection
from chargehand.profiles.bounds import BOUNDS
from chargehand.profiles.profile import Profile, Site
from chargehand.profiles.task_executor_log import final_message, iso, log_line, missing, violations
from chargehand.profiles.task_executor_report import EntryReport
from chargehand.profiles.task_executor_states import GOES_ON, RESULTS, is_undone, leads_to, status_of, unparsed
from chargehand.profiles.task_executor_text import Value, edited, entries, groups, with_keys_of
from chargehand.profiles.told import ATTEMPTS, told_by_task_executor

__all__ = ["PROFILE"]

_DEVELOPER = """\
You are the developer of this one task. Write its code and its tests as its entry says; do not plan, research, review,
decide on design, fill in what is missing, change the test strategy or commit. Only its files_to_modify, test_files and
allowlist may change, and documentation where its policy says so. Mandates are to be followed to the letter.
The entry's execution_strategy says how far validation goes: PARALLEL, write code and tests only and run neither build
nor tests, for others work beside you and the runtime runs both; SEQUENTIAL, build and test until both are green.
Leave tasks.yaml and log.jsonl alone: the runtime writes them."""

_REVIEWER = """\
You are the reviewer of this one task. Verify syntax, build, tests and code quality in full, and every success
criterion with its evidence. Do not write code, plan, design or suggest how to do it: whoever changes a file has not
reviewed."""

_WORDING = (
    (Role.IMPLEMENTER.value, _DEVELOPER),
    (Role.FIXER.value, _DEVELOPER),
    (Role.SPEC_REVIEWER.value, _REVIEWER),
)

_COMMANDS = ("commands.build", "commands.test")
_VIOLATIONS = frozenset({Reason.OUT_OF_SCOPE, Reason.BAD_COMMIT, Reason.CONFIG_CHANGED})
_TELLING = (WarningRaised, ReviewFailed, ReviewVoided)
_TAIL_LINES = 20
_UNDONE = "The attempt was interrupted. It does not count, and is begun again."
_OURS = (
    "status",
    "attempts",
    "last_execution_mode",
    "started_at",
    "first_code_change_at",
    "completed_at",
    "files_modified",
    "validation_details",
    "rejection_reason",
    "updated_at",
)
"""The keys of an entry that the run writes."""


@dataclass(slots=True, kw_only=True)
class _Tasks(Projection):
    """The entries of one file. `before` is how many attempts each had when the run began."""

    site: Site
    file: Path
    log: Path | None
    iteration: int | None
    before: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    accepted_as: str = ""

    def begin(self, state: RunState) -> None:
        """Bring all entries up to date."""
        self.accepted_as = state.accepted.commit if state.accepted is not None else ""
        self._write(state.tasks.values(), state, state.last_at)
        self._append(violations(state.warnings, state.last_at, self.iteration))

    def take(self, recorded: Recorded, state: RunState) -> None:
        """Bring the entry up to date that the event is about.

        The state is that after all events of one step: those that only tell something come before what follows from
        them, and what follows may be the next attempt already.
        """
        event = recorded.event
        effect = event.effect if isinstance(event, EffectIntended) else None
        if isinstance(event, WarningRaised):
            self._append(violations([event], recorded.at, self.iteration))
        if isinstance(event, _TELLING) or (effect is not None and not isinstance(effect, StartAttempt)):
            return
        decision = getattr(event, "decision", None)
        record = state.tasks.get(getattr(effect or decision or event, "task", ""))
        if record is not None:
            self._write([_failed_by(event, record)], state, recorded.at)

    def accepted(self, state: RunState, commit: str) -> None:
        """What was taken in is no longer said to wait."""
        self.accepted_as = commit
        self._write(state.tasks.values(), state, state.last_at)

    # -- entries ----------------------------------------------------------------------------------

    def _write(self, records: Iterable[TaskRecord], state: RunState, at: float) -> None:
        """The file first, then the log: a line that is missing is added when the run is taken up."""
        text = written = self._drawn()
        lines: list[dict[str, Any]] = []
        known = entries(text)
        for record in records:
            entry = known.get(record.id)
            if entry is None:
                if record.fixes_gates_of is None:
                    raise AdapterError("projection", f"{self.file} has no entry {record.id} any more; put it back.")
                continue  # a fix of the runtime is no task of theirs
            changes = self._changes(record, state, entry, at)
            if changes:
                written = edited(written, record.id, {**changes, "updated_at": iso(at)})
            lines += self._lines({**entry, **changes}, record, at, text)
        self.site.write(self.file, written)  # one that says so already is known by that, too
        self._append(lines)

    def _drawn(self) -> str:
        """The file as the run has it: with its own words where somebody edited them, and nobody said theirs count."""
        text = _text(self.file)
        own = self.site.own(self.file)
        if own is not None:
            return with_keys_of(text, own.text, _OURS, but=own.theirs)
        known = entries(text)
        for task, told in self.site.words(self.file).items():
            entry = known.get(task)
            wanted = _as_written(told, entry) if entry is not None else {}
            if wanted := {key: value for key, value in wanted.items() if not _says((entry or {}).get(key), value)}:
                text = edited(text, task, wanted)
        return text

    def _changes(self, record: TaskRecord, state: RunState, entry: Mapping[str, Any], at: float) -> dict[str, Value]:
        """The keys of an entry that say something else than the run."""
        old = _word(entry.get("status")) or "PENDING"
        least = self._least(record)
        undone = is_undone(record, old, _number(entry.get("attempts")), least)
        new = self._status(record, state, old, undone=undone)
        wanted: dict[str, Value] = {}
        if new != old:
            wanted["status"] = new
        if record.attempts == 0 and new == old:
            return {"attempts": least - 1, "validation_details": _UNDONE} if undone else self._said_only(record, entry)
        wanted |= self._started(record, entry, old, new, at)
        if undone:
            wanted["attempts"] = least - 1
        paths = _paths(record)
        if record.status is not TaskStatus.RUNNING and paths:
            wanted["files_modified"] = paths
            own = record.task.files.writes if record.task.files else ("**",)
            if not _word(entry.get("first_code_change_at")) and any(scope.matches(own, path) for path in paths):
                wanted["first_code_change_at"] = iso(at)
        details = "\n".join(self._details(record, state))
        if details:
            wanted["validation_details"] = details
        wanted |= _rejection(record, entry, new)
        if record.is_over and (new != old or not _word(entry.get("completed_at"))):
            wanted["completed_at"] = iso(at)
        return {key: value for key, value in wanted.items() if not _says(entry.get(key), value)}

    def _least(self, record: TaskRecord) -> int:
        """The number of the attempt that is under way, or comes next, where nobody counted others."""
        return self.before.get(record.id, ("", 0))[1] + 1 + record.retried + record.tries.conflicts

    def _status(self, record: TaskRecord, state: RunState, old: str, *, undone: bool) -> str:
        new = status_of(record, state, old, undone=undone)
        provisional = old == "ACCEPTED" and self.before.get(record.id, ("", 0))[0] == "ACCEPTED"
        if new != old and not provisional and not leads_to(record.task.mode, old, new):
            text = (
                f"{self.file}: {record.id} stands at {old}, and nothing leads from there to {new}: somebody changed it."
            )
            raise AdapterError("projection", f"{text} Put back what it said, and go on with `chargehand resume`.")
        return new

    def _started(self, record: TaskRecord, entry: Mapping[str, Any], old: str, new: str, at: float) -> dict[str, Value]:
        """What an attempt begins with; several processes may carry on one attempt."""
        wanted: dict[str, Value] = {"last_execution_mode": record.task.mode.value.upper()}
        if not _word(entry.get("started_at")):
            wanted["started_at"] = iso(at)
        attempts = _number(entry.get("attempts"))
        least = self._least(record)
        if new == "ACTIVE" and (old != "ACTIVE" or attempts < least):  # one that was missed, or was under way before
            wanted["attempts"] = max(attempts + 1, least)
            if _word(entry.get("completed_at")):
                wanted["completed_at"] = None
        elif attempts < least and record.status is not TaskStatus.WAITING:  # all of it was missed
            wanted["attempts"] = least
        return wanted

    def _said_only(self, record: TaskRecord, entry: Mapping[str, Any]) -> dict[str, Value]:
        """A task that never began has its state as it was; why it ends is said."""
        if not record.is_over and record.status is not TaskStatus.AWAITING_DECISION:
            return {}
        said = f"{record.status}: {record.reason}. {record.detail}".strip()
        return {} if _says(entry.get("validation_details"), said) else {"validation_details": said}

    def _details(self, record: TaskRecord, state: RunState) -> Iterator[str]:
        """What came of validation, in lines."""
        if record.status is TaskStatus.RUNNING:
            return
        if skipped := unparsed(record):
            yield f"syntax: skipped ({', '.join(skipped)}: no checker for it)"
        for each in record.checked:
            yield f"{each.gate}: {each.status}" + (f" ({each.detail})" if each.detail else "")
        for judged in record.reviews.judged:
            yield f"review: {'ACCEPTED' if judged.passed else 'REJECTED'} by {judged.agent or 'a reviewer'}"
        if record.status is TaskStatus.INTEGRATED:
            names = [gate.id for gate in state.plan.gates_on(GatePoint.INTEGRATE)]
            yield f"as merged: {', '.join(map(_excused(state), names))}"
            if self.accepted_as:
                yield f"Accepted as {self.accepted_as}."
            else:
                yield f"Not accepted yet: branch {state.branch}, commit {record.landed}."
            return
        if record.reason is not None or record.failure is not None:
            left = f"{record.status}: " if record.status in {TaskStatus.SKIPPED, TaskStatus.CANCELLED} else ""
            why = record.detail or (record.failure.summary if record.failure else "")
            yield f"{left}{record.reason or 'failed'}: {why}"
        if record.failure is not None:
            yield from record.failure.facts
            yield from record.failure.tail.splitlines()[-_TAIL_LINES:]

    # -- the log ----------------------------------------------------------------------------------

    def _lines(self, entry: Mapping[str, Any], record: TaskRecord, at: float, text: str) -> Iterator[dict[str, Any]]:
        """The final message of an attempt that has come to a result."""
        status = _word(entry.get("status"))
        if status not in RESULTS or record.attempts == 0:
            return
        attempt = _number(entry.get("attempts"))
        modified = entry.get("files_modified")
        number = len(modified) if isinstance(modified, list | tuple) else 0
        message = "\n".join(final_message(record, attempt, status, number, self.file.relative_to(self.site.root)))
        reason = record.failure.reason if record.failure is not None else record.reason
        violation = "developer" if reason in _VIOLATIONS and status == "ERROR" else ""
        failed = status != "ACCEPTED"
        line = log_line(
            "task_completed", record.id, message, at, iteration=self.iteration, violation=violation, failed=failed
        )
        yield {**line, "parallel_group": groups(text).get(record.id)}

    def _append(self, lines: Iterable[dict[str, Any]]) -> None:
        """Add the lines that are not there yet; the time alone makes none of them new."""
        new = list(lines)
        if self.log is None or not new:
            return
        text = _text(self.log) if self.log.exists() else ""
        shown = missing(text, new)
        if shown:
            start = text if not text or text.endswith("\n") else f"{text}\n"
            self.site.write(self.log, start + "".join(f"{line}\n" for line in shown))


def _shown(site: Site, state: RunState, task: str | None) -> tuple[str, ...]:
    """The final message of a task, from the run and the file; of the run, where every task stands."""
    root, file = site.root.resolve(), site.source.resolve()
    if not file.is_relative_to(root):
        return ()
    known = entries(_text(file))
    at = {
        record.id: status_of(record, state, _word(entry.get("status")) or "PENDING")
        for record in state.tasks.values()
        if (entry := known.get(record.id)) is not None
    }
    if task is None:
        return tuple(
            f"{name}: {status} (attempt {_number(known[name].get('attempts'))})" for name, status in at.items()
        )
    record = state.tasks[task]
    if at.get(task) not in RESULTS or record.attempts == 0:
        return ()
    return final_message(
        record, _number(known[task].get("attempts")), at[task], len(_paths(record)), file.relative_to(root)
    )


def _as_written(told: Told, entry: Mapping[str, Any]) -> dict[str, Value]:
    """What the run had written to an entry that somebody edited; a PENDING that nothing says is not added."""
    attempts = _number(told.rest.removeprefix(ATTEMPTS))
    has_none = not attempts and not _number(entry.get("attempts"))
    status = {} if (_word(entry.get("status")) or "PENDING") == told.word else {"status": told.word}
    return {**status, **({} if has_none else {"attempts": attempts})}


def _failed_by(event: Event, record: TaskRecord) -> TaskRecord:
    """The record as an event that ended an attempt left it: the next attempt may be under way by now."""
    if not isinstance(event, TaskRequeued) or event.failure is None or event.why in GOES_ON:
        return record
    failure = event.failure
    changes = {"why": event.why, "failure": failure, "reason": failure.reason, "detail": failure.summary}
    return record.but(status=TaskStatus.WAITING, **changes)


def _paths(record: TaskRecord) -> tuple[str, ...]:
    sealed = tuple(change.path for change in record.sealed.told.changes) if record.sealed is not None else ()
    return tuple(sorted({*record.files_changed, *sealed}))


def _excused(state: RunState) -> Callable[[str], str]:
    """What a gate came to before a change landed."""
    return lambda gate: f"{gate}: {'red before it, and no worse' if gate in state.baseline_red else 'pass'}"


def _rejection(record: TaskRecord, entry: Mapping[str, Any], status: str) -> dict[str, Value]:
    if status == "REJECTED":
        failure = record.failure
        return {"rejection_reason": record.detail or (failure.summary if failure else str(record.reason))}
    return {"rejection_reason": None} if status == "ACCEPTED" and _word(entry.get("rejection_reason")) else {}


def _word(value: object) -> str:
    """What an entry says, as text; nothing where it says nothing."""
    text = value.strip() if isinstance(value, str) else ""
    return "" if text in {"null", "~", "Null", "NULL"} else text


def _number(value: object) -> int:
    text = str(value) if isinstance(value, int) else _word(value)
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _says(found: object, value: Value) -> bool:
    if isinstance(value, str | int):
        return found == str(value)
    return not _word(found) and not found if value is None else found == list(value)


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        raise AdapterError("projection", f"{file} cannot be read: {error}. Put that right, then resume.") from error


# -- where it lies, and what it needs -------------------------------------------------------------


class _Outside(Projection):
    """Tasks that lie outside the work tree, or below a link out of it, are read and never written to [I1]."""

    def begin(self, state: RunState) -> None:
        """Nothing."""

    def take(self, recorded: Recorded, state: RunState) -> None:
        """Nothing."""

    def accepted(self, state: RunState, commit: str) -> None:
        """Nothing."""


def _project(site: Site, plan: Plan) -> Projection:
    root, file = site.root.resolve(), site.source.resolve()
    if not file.is_relative_to(root):
        return _Outside()
    kind, _, number = file.parent.name.partition("_")
    in_iteration = kind == "iteration" and number.isdecimal()
    return _Tasks(
        site=replace(site, root=root),
        file=file,
        log=file.parent.parent / "log.jsonl" if in_iteration else None,
        iteration=int(number) if in_iteration else None,
        before=dict(_before(plan)),
    )


def _report(site: Site, plan: Plan) -> OwnReport | None:
    del plan
    root, file = site.root.resolve(), site.source.resolve()
    return EntryReport(file=file.relative_to(root).as_posix()) if file.is_relative_to(root) else None


def _before(plan: Plan) -> Iterator[tuple[str, tuple[str, int]]]:
    """Status and attempts of each task when the run began: its entry is in its brief."""
    for task in plan.tasks:
        for _, text in task.background[:1]:
            try:
                entry = entries(f"tasks:\n- {text.replace(chr(10), chr(10) + '  ')}\n").get(task.id, {})
            except AdapterError:
                entry = {}
            yield task.id, (_word(entry.get("status")) or "PENDING", _number(entry.get("attempts")))


def _arrange(plan: Plan, settings: Mapping[str, object]) -> Plan:
    """Build and tests of every task as merged, and of the whole; UserError where nobody says what they are.

    Who works beside others may run neither; who works alone is told both, and its reviewer, too.
    """
    unset = [key for key in _COMMANDS if not isinstance(settings.get(key), Command)]
    if unset:
        text = f"tasks.yaml names no commands, and {' and '.join(unset)} are not set."
        hint = "Put `[commands]` with `build` and `test` into chargehand.toml."
        raise UserError(text, code="no_commands", hint=hint)
    own = {gate.id for gate in plan.gates}
    points = frozenset({GatePoint.INTEGRATE, GatePoint.RUN})
    made = [
        GateSpec(id=name, run=command, on=points)
        for name, key in zip(("build", "tests"), _COMMANDS, strict=True)
        if name not in own and isinstance(command := settings[key], Command)
    ]
    commands = tuple(found for key in _COMMANDS if isinstance(found := settings[key], Command))
    build, test = (each.text if each.shell else shlex.join(each.argv) for each in commands)
    tasks = (
        replace(task, forbidden=commands)
        if task.mode is Mode.PARALLEL
        else replace(task, description=f"{task.description}\n\nBuild: {build}\nTests: {test}".strip())
        for task in plan.tasks
    )
    return replace(plan, gates=(*made, *plan.gates), tasks=tuple(tasks))


PROFILE = Profile(
    name="task-executor",
    policy=BOUNDS["task-executor"].policy,
    wording=_WORDING,
    arrange=_arrange,
    project=_project,
    told=told_by_task_executor,
    artifacts=("prompts/**/tasks.yaml", "prompts/**/log.jsonl", "**/iteration_*/tasks.yaml", "**/.chargehand-*.tmp"),
    report=_report,
    shown=_shown,
)
