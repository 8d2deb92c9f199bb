"""One task of the report: what was asked, how it stands, and everything that was done for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chargehand.domain.outcome import WholeChange
from chargehand.domain.plan import Scope, Task, TaskType, Weight
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.view import sealed_commit, why
from chargehand.domain.words import TaskStatus
from chargehand.report.diffs import Room, read_patch
from chargehand.report.history import History
from chargehand.report.marks import TASKS
from chargehand.report.model import CheckRow, Fact, ReceiptRef, TaskChange, TaskPage, Tone, Warned
from chargehand.report.rows import Rows, total
from chargehand.report.units import count

__all__ = ["Pages", "Patch", "warnings_of"]

_MOST_FILES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A change as git tells it: `text` is a patch; `note` says what is missing of it, and why."""

    base: str
    commit: str
    landed: bool
    text: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Makes the pages of tasks."""

    state: RunState
    history: History
    rows: Rows
    patches: Mapping[str, Patch]
    receipts: Mapping[str, ReceiptRef]
    anchors: Mapping[str, str]
    room: Room

    def page(self, record: TaskRecord, warned: Sequence[Warned] = ()) -> TaskPage:
        """The page of one task."""
        name, rows, history = record.id, self.rows, self.history
        tries = history.tries.get(name, [])
        steps = history.steps.get(name, [])
        mark = TASKS[record.status]
        told = record.sealed.told if record.sealed else WholeChange()
        return TaskPage(
            id=name,
            anchor=self.anchors[name],
            title=rows.line(record.task.title),
            mark=mark,
            reason=_reason(record),
            why=rows.clean(self._why(record)),
            wave=self.state.wave_of.get(name) or None,
            asked=tuple(self._asked(record.task)),
            checks=tuple(self._checks(record.task)),
            facts=tuple(self._facts(record)),
            files=tuple(rows.line(path) for path in record.files_changed[:_MOST_FILES]),
            attempts=rows.attempts(tries),
            gates=rows.gates(history.gates.get(name, [])),
            verdicts=rows.verdicts(steps, tries),
            findings=rows.findings(steps, name),
            questions=rows.questions(each for each in history.questions if each.decision.task == name),
            test_changes=tuple(rows.line(str(each)) for each in told.test_changes),
            silenced=tuple(rows.line(str(each)) for each in told.silenced),
            left_out=tuple(rows.line(path) for path in told.left_out[:_MOST_FILES]),
            notes=tuple(rows.line(note) for note in history.notes.get(name, [])),
            warnings=tuple(warned),
            change=self._change(name),
            receipt=self.receipts.get(name),
            used=total(tried.result.usage for tried in tries if tried.result is not None),
            open=mark.tone in {Tone.BAD, Tone.ASK} and record.blocked_on is None,
        )

    def _why(self, record: TaskRecord) -> str:
        """A sentence about how the task stands; of a run that nobody drives nothing is running."""
        if record.status is TaskStatus.INTEGRATED:
            said = f" The agent says: {record.detail}" if record.detail else ""
            return f"Its change is on the integration branch.{said}"
        if record.status is TaskStatus.BLOCKED and record.blocked_on:
            return f"It depends on {record.blocked_on}, which did not make it."
        if record.is_over:
            return record.detail
        if not self.rows.live and self.state.finished is None and record.inflight is not None:
            return "It was at work when the run stopped; `chargehand resume` looks what became of it."
        return why(self.state, record.id, self.rows.now)

    def _asked(self, task: Task) -> Iterator[tuple[str, str]]:
        if task.description.strip():
            yield "Description", self.rows.clean(task.description).strip()
        if task.approach.strip():
            yield "Agreed approach", self.rows.clean(task.approach).strip()
        if task.mandates:
            yield "Mandates", "\n".join(self.rows.line(each) for each in task.mandates)

    def _checks(self, task: Task) -> Iterator[CheckRow]:
        for criterion in task.acceptance:
            yield CheckRow(text=self.rows.line(criterion))
        for command in task.verify:
            yield CheckRow(text=self.rows.line(command.text), is_command=True)

    def _facts(self, record: TaskRecord) -> Iterator[Fact]:
        task, line = record.task, self.rows.line
        if task.depends_on:
            yield Fact(label="depends on", text=", ".join(task.depends_on))
        if task.files is None:
            yield Fact(label="files", text="unscoped: it may change any")
        else:
            named = (("creates", task.files.create), ("modifies", task.files.modify), ("tests", task.files.test))
            for label, patterns in named:
                if patterns:
                    yield Fact(label=label, text=line(", ".join(patterns)), code=True)
        kind = [task.type.value] * (task.type is not TaskType.EXECUTE) + ["light"] * (task.weight is Weight.LIGHT)
        kind += ["a stray change is a question for the reviewer"] * (task.scope is Scope.REVIEW)
        kind += ["a change elsewhere is part of the work"] * (task.scope is Scope.LEASE)
        if kind:
            yield Fact(label="kind", text=", ".join(kind))
        commit = sealed_commit(record)
        if commit:
            yield Fact(label="sealed", text=commit, code=True)
        if record.landed:
            yield Fact(label="landed", text=record.landed, code=True)

    def _change(self, name: str) -> TaskChange | None:
        patch = self.patches.get(name)
        if patch is None:
            return None
        files, left = read_patch(patch.text, self.rows.clean, self.room)
        cut = sum(file.cut > 0 for file in files)
        notes = [self.rows.line(patch.note), left]
        if cut:
            command = f"chargehand show {name} --diff --run {self.state.run}"
            notes.append(f"{count(cut, 'file')} shown in part; all of it: {command}")
        note = " ".join(filter(None, notes))
        return TaskChange(landed=patch.landed, base=patch.base, commit=patch.commit, files=files, note=note)


def _reason(record: TaskRecord) -> str:
    """The reason where it says more than the state does."""
    if record.blocked_on:
        return f"by {record.blocked_on}"
    if record.reason is None or record.reason.value == record.status.value:
        return ""
    return record.reason.value.replace("_", " ")


def warnings_of(state: RunState, rows: Rows) -> tuple[Warned, ...]:
    """Each warning once, with the tasks it is about."""
    about: dict[tuple[str, str], list[str]] = {}
    for warning in state.warnings:
        about.setdefault((warning.code, rows.line(warning.text)), []).append(warning.task)
    return tuple(
        Warned(code=code, text=text, tasks=tuple(dict.fromkeys(filter(None, tasks))))
        for (code, text), tasks in about.items()
    )
