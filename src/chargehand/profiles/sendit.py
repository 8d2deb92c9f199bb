"""sendit: a feature is carried out, and its `PROGRESS.md` says at any moment how far (SPEC 11).

The bounds stand in `profiles.bounds`, the words for briefs below. The projection is drawn from the state after each
event, so that what it writes anew at a resume is what it wrote before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import Recorded
from chargehand.domain.hand_edits import is_by_hand
from chargehand.domain.outcome import GateStatus, Role
from chargehand.domain.plan import Command, GatePoint, GateSpec, Plan, Task, Weight
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import Reason, RunVerdict, TaskStatus
from chargehand.ports import Projection
from chargehand.profiles.bounds import BOUNDS
from chargehand.profiles.profile import Profile, Site
from chargehand.profiles.sendit_report import ResultReport
from chargehand.profiles.sendit_text import Entry, Standing, Summary, progress_text, research_text
from chargehand.profiles.told import told_by_sendit

__all__ = ["PROFILE"]

_EXECUTOR = """\
Committing is not optional here. Before you report, commit your change on the branch you are on, and give the hash of
that commit under `commit` in your report. A report of DONE without a new commit that holds the change has failed.
Check your work yourself first, three times at most; when it still fails, take back what you did not commit and report
FAILED. The task may turn out to be another one than the plan thought: commit what is finished, and report KICKBACK with
the signal scope_creep (it needs more than five files, or is more than three concerns), missing_context (the spec does
not say what you need to know) or needs_research (something has to be found out first).
PROGRESS.md is kept by the runtime: never write it."""

_WORDING = ((Role.IMPLEMENTER.value, _EXECUTOR), (Role.FIXER.value, _EXECUTOR))

_NOT_READY = "What is open in the spec"
_DONE_BEFORE = "Done before"
_TASK = re.compile(r"task-(?P<number>\d{1,6})")
_BEFORE = re.compile(r"(?P<number>\d+)\. (?P<title>.*) \(commit (?P<commit>[0-9a-f]{7,64})\)")
_HASH_CHARS = 12
_NOTE_CHARS = 300
_ENDED = frozenset({TaskStatus.FAILED, TaskStatus.BLOCKED})
_NOT_ITS_OWN = frozenset({Reason.BLOCKED_ON, Reason.NEEDS_HUMAN, Reason.RUN_STOPPED, Reason.NOT_SELECTED})
_TOLD = frozenset({TaskStatus.FAILED, TaskStatus.BLOCKED, TaskStatus.SKIPPED, TaskStatus.CANCELLED})


# -- the plan as it is run ------------------------------------------------------------------------


def _arrange(plan: Plan, settings: Mapping[str, object]) -> Plan:
    """Full weight wants a spec that is ready; light weight asks for none."""
    plan = replace(plan, gates=_gates(plan, settings))
    if plan.defaults.weight is Weight.LIGHT:
        return replace(plan, tasks=tuple(_light(task) for task in plan.tasks))
    missing = next((text for task in plan.tasks for title, text in task.background if title == _NOT_READY), "")
    if missing:
        text = f"The spec is not ready: {'; '.join(missing.splitlines())}."
        hint = "Settle it, or use `chargehand run --weight light`: then neither the spec nor its tests are asked."
        raise UserError(text, code="spec_not_ready", hint=hint)
    return plan


def _gates(plan: Plan, settings: Mapping[str, object]) -> tuple[GateSpec, ...]:
    """What the settings name as the tests goes before what was found in the project's files."""
    made = []
    for name in ("build", "test"):
        command = settings.get(f"commands.{name}")
        if isinstance(command, Command):
            gate = "suite" if name == "test" else "build"
            made.append(GateSpec(id=gate, run=command, on=frozenset({GatePoint.RUN})))
    named = {gate.id for gate in made}
    found = [gate for gate in plan.gates if not (gate.id.startswith("suite-") and "suite" in named)]
    return (*(gate for gate in made if gate.id not in {each.id for each in found}), *found)


def _light(task: Task) -> Task:
    return replace(task, background=tuple(entry for entry in task.background if entry[0] != _NOT_READY))


# -- the files ------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Feature(Projection):
    """The files of a feature; a `folder` of None lies outside the work tree and is never written to [I1]."""

    site: Site
    folder: Path | None
    landed_as: str = ""
    is_accepted: bool = False

    def begin(self, state: RunState) -> None:
        """All files anew."""
        if state.accepted is not None:
            self.is_accepted = True
            self.landed_as = state.accepted.commit if state.accepted.how == "squash" else ""
        self._write(state)

    def take(self, recorded: Recorded, state: RunState) -> None:  # noqa: ARG002 - all of it is in the state
        """The row of the task the event is about."""
        self._write(state)

    def accepted(self, state: RunState, commit: str) -> None:
        """What is done is on the user's branch; after a squash as that one commit."""
        self.is_accepted = True
        self.landed_as = commit if state.accepted is not None and state.accepted.how == "squash" else ""
        self._write(state)

    def _write(self, state: RunState) -> None:
        if self.folder is None:
            return
        path = self.folder / "PROGRESS.md"
        standing = self._standing(state, self.folder)
        self.site.write(path, progress_text(_text(path), standing, state.started_at))
        found = {
            record.id: text
            for record in state.tasks.values()
            if (text := "\n".join(said for name, said in record.context if name == "research"))
        }
        if found:
            path = self.folder / "RESEARCH.md"
            text = research_text(_text(path), standing.feature, standing.specs, found)
            self.site.write(path, text)

    def _standing(self, state: RunState, folder: Path) -> Standing:
        records = [record for record in state.tasks.values() if _TASK.fullmatch(record.id)]
        is_all = all(record.status is TaskStatus.INTEGRATED for record in state.tasks.values())
        weight = (state.weight or state.plan.defaults.weight).value
        spec = folder / "SPEC.md"
        has_spec = spec.is_file()
        is_over = self.is_accepted and is_all and state.finished is not None
        return Standing(
            feature=folder.name.replace("-", " ").title(),
            weight=weight,
            step="postflight" if is_over else "execute",
            reason="a spec is there" if has_spec else "there is no spec",
            specs=spec.relative_to(self.site.root).as_posix() if has_spec else "none",
            entries=[
                self._entry(record)
                for record in (records if _has_begun(state) or not (folder / "PROGRESS.md").exists() else ())
                if not is_by_hand(state, record)
            ],
            notes=list(self._notes(state, records)),
            summary=self._summary(state, is_all=is_all) if state.finished is not None else None,
            finished_before=_done_before(state),
        )

    def _entry(self, record: TaskRecord) -> Entry:
        status = "done" if record.status is TaskStatus.INTEGRATED else "failed" if _is_failed(record) else "pending"
        commit = self._commit(record) if status == "done" else ""
        number = int(record.id.removeprefix("task-"))
        return Entry(number=number, title=record.task.title, status=status, commit=commit)

    def _commit(self, record: TaskRecord) -> str:
        return (self.landed_as or record.landed or "")[:_HASH_CHARS]

    def _notes(self, state: RunState, records: list[TaskRecord]) -> Iterator[str]:
        done = [record.id.removeprefix("task-") for record in records if record.status is TaskStatus.INTEGRATED]
        if done and not self.is_accepted:
            tasks = f"task{'s' if len(done) > 1 else ''} {', '.join(done)}"
            yield f"Not accepted yet: {tasks}; branch {state.branch}"
        stopped = state.stopped.detail if state.stopped is not None else ""
        if stopped and not _has_begun(state):
            yield f"Stopped before anything began: {_line(stopped)}"
            return
        for record in state.tasks.values():
            if record.status is TaskStatus.INTEGRATED:
                if not _TASK.fullmatch(record.id):
                    yield f"{record.id}: {_line(record.task.title)}, done ({self._commit(record)})"
            elif record.status in _TOLD or record.status is TaskStatus.AWAITING_DECISION:
                why = _line(record.detail or _question(state, record)) or "no details"
                yield f"{record.id}: {record.status.value} ({record.reason or 'asked'}): {why}"

    def _summary(self, state: RunState, *, is_all: bool) -> Summary:
        before = _done_before(state)
        records = [record for record in state.tasks.values() if _TASK.fullmatch(record.id)]
        done = [record for record in records if record.status is TaskStatus.INTEGRATED]
        red = _red(state)
        is_green = state.finished is not None and state.finished.verdict is RunVerdict.FINISHED
        execution = "complete" if is_all and is_green else "failed" if red or not done else "partial"
        closing = state.closing
        tested = closing is not None and closing.point is GatePoint.RUN and bool(closing.results)
        return Summary(
            execution=execution,
            done=len(done) + len(before),
            total=len(records) + len(before),
            commits=list(dict.fromkeys(self._commit(record) for record in done)),
            results=(f"{red} failures" if red else "all-pass") if tested else "",
        )


def _has_begun(state: RunState) -> bool:
    """Whether it came to a first attempt: a run that ends at its canary says nothing of what the rows tell."""
    return any(record.attempts or record.status is TaskStatus.INTEGRATED for record in state.tasks.values())


def _is_failed(record: TaskRecord) -> bool:
    """Whether it ended, or asks, for a reason of its own: blocked and kicked back have no other word."""
    if record.status in _ENDED:
        return record.reason not in _NOT_ITS_OWN
    return record.status is TaskStatus.AWAITING_DECISION and (record.report is not None or record.failure is not None)


def _red(state: RunState) -> int:
    """How much of the final suite is red: tests where they are known, else the gates."""
    closing = state.closing
    if closing is None or closing.point is not GatePoint.RUN:
        return 0
    bad = [r for r in closing.results if r.status is not GateStatus.PASS and r.gate not in state.plan.allow_red]
    return sum(max(1, len(result.failed_tests or ())) for result in bad)


def _question(state: RunState, record: TaskRecord) -> str:
    decision = state.decisions.get(record.decision or "")
    return decision.question if decision is not None else ""


def _done_before(state: RunState) -> dict[int, tuple[str, str]]:
    """(title, commit) by number of the tasks that were done before the run, as its plan tells them."""
    texts = {text for task in state.plan.tasks for title, text in task.background if title == _DONE_BEFORE}
    found = (_BEFORE.fullmatch(line) for text in texts for line in text.splitlines())
    return {int(each["number"]): (each["title"], each["commit"]) for each in found if each is not None}


def _line(text: str) -> str:
    """Text of others in one line that begins no other note."""
    return " ".join(text.split())[:_NOTE_CHARS]


def _text(path: Path) -> str:
    """What is there; nothing where it is a link or no file: that is replaced."""
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise AdapterError("projection", f"{path} cannot be read: {error.strerror}.") from error


# -- where the feature lies -----------------------------------------------------------------------


def _project(site: Site, plan: Plan) -> Projection:
    site = replace(site, root=site.root.resolve(), source=site.source.resolve())
    if not site.source.is_relative_to(site.root):
        return _Feature(site=site, folder=None)
    return _Feature(site=site, folder=_folder(site, plan.plan))


def _artifacts(site: Site, plan: Plan) -> tuple[str, ...]:
    """Its own two files of every feature: what one says would be the word of nobody about another one's rows."""
    site = replace(site, root=site.root.resolve(), source=site.source.resolve())
    if not site.source.is_relative_to(site.root):
        return ()
    folder = _folder(site, plan.plan)
    specs = next((each for each in folder.parents if each.name == "specs" and each.is_relative_to(site.root)), None)
    own = {folder: "", **({specs: "**/"} if specs is not None else {})}
    return tuple(
        f"{_literal(where.relative_to(site.root))}{below}{name}"
        for where, below in own.items()
        for name in ("PROGRESS.md", "RESEARCH.md")
    )


def _literal(folder: Path) -> str:
    """A folder as the beginning of a pattern."""
    name = folder.as_posix()
    return "" if name == "." else re.sub(r"([*?\[\]!#\\])", r"\\\1", name) + "/"


def _folder(site: Site, name: str) -> Path:
    """The folder of the feature; `source` as the reader was given."""
    source = site.source
    if source.is_file():
        return source.parent
    if (source / "PLAN.md").is_file():
        return source
    for below in (source, source / "specs"):
        for plan in sorted(below.rglob("PLAN.md")):
            if not plan.parent.resolve().is_relative_to(site.root):
                continue
            if _slug(plan.parent) == name:
                return plan.parent
    text = f"{source} has no feature {name} any more, whose plan this run carries out. Put it back, then resume."
    raise AdapterError("projection", text)


def _slug(folder: Path) -> str:
    """The name of a plan as the reader makes it: the path of its feature below the nearest `specs`."""
    parts = folder.parts
    at = max((n for n, part in enumerate(parts) if part == "specs"), default=len(parts) - 2)
    named = parts[at + 1 :] or parts[-1:]
    return re.sub(r"[^a-z0-9]+", "-", "-".join(named).lower()).strip("-")[:50] or "feature"


PROFILE = Profile(
    name="sendit",
    policy=BOUNDS["sendit"].policy,
    wording=_WORDING,
    arrange=_arrange,
    project=_project,
    told=told_by_sendit,
    artifacts=("**/.chargehand-*.tmp",),
    artifacts_at=_artifacts,
    report=lambda _site, _plan: ResultReport(),
)
