"""Konductor: a phase is carried out, and every file its other commands read is kept up to date (SPEC 11).

What its prompt asks a model for is data here: the bounds stand in `profiles.bounds`, the words for briefs below. The
projection is drawn from the state after each event, so that what it writes anew at a resume is what it wrote before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import EffectIntended, Recorded
from chargehand.domain.hand_edits import is_by_hand
from chargehand.domain.outcome import Role
from chargehand.domain.plan import Plan
from chargehand.domain.review import Stage
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import Reason, TaskStatus
from chargehand.ports import OwnReport, Projection
from chargehand.profiles.bounds import BOUNDS
from chargehand.profiles.konductor_report import SummaryReport
from chargehand.profiles.konductor_state import Blocked, Standing, result_text, state_text
from chargehand.profiles.konductor_text import (
    extra_changes,
    holistic_text,
    is_held_up,
    review_text,
    steps_of,
    summary_text,
)
from chargehand.profiles.profile import Profile, Site
from chargehand.profiles.told import told_by_konductor

__all__ = ["PROFILE"]

_DEVIATIONS = """\
The plan may meet a world it did not foresee. Ask first whether the answer would change the architecture (a new table,
service, library or layer; another interface than the plan has): then stop and report BLOCKED, and so when in doubt.
Else go on without asking, and report each as a deviation with the number of its rule:
1. what is broken and in the way of this task, you repair;
2. what is missing and critical (validation, error handling, a check of rights), you add;
3. what keeps the task from being finished (an import, a dependency that is declared, a setting), you put right.
Five reads in a row without a change are a sign: act, or report what keeps you from acting.
Stage files by name, never everything at once; one commit a task, `type(phase-plan): what`, and with tests first one
each for red, green and tidying up."""

_SPEC = """\
Judge whether the change is what the task says, nothing less and nothing more: the changes against the action; every
listed file created or modified; the verify step passes; no change beyond the task; what `done` says holds."""

_QUALITY = """\
Judge by seven criteria: correctness against the plan; errors handled and never swallowed; security (secrets, injection,
paths); duplication; performance (needless allocation, queries in loops, blocking calls in async code); dead code;
consistency with the code around. Something left as a to-do counts as a finding."""

_HOLISTIC = """\
Judge the phase as one: interfaces that plans share match; names follow one convention; what is to work together does;
nothing is written twice in two plans."""

_WORDING = (
    (Role.IMPLEMENTER.value, _DEVIATIONS),
    (Role.FIXER.value, _DEVIATIONS),
    (Role.SPEC_REVIEWER.value, _SPEC),
    (Role.QUALITY_REVIEWER.value, _QUALITY),
    (Role.HOLISTIC_REVIEWER.value, _HOLISTIC),
)

_TASK = re.compile(r"(?P<plan>\d+)-task-(?P<step>\d+)")
_FILE = re.compile(r"(?P<prefix>\d+)(?!\d).*\.md")
_NO_PLAN = re.compile(r".+-(?:summary|spec-review|quality-review)\.md")
_SUMMARY = re.compile(r"(?P<plan>\d+)-task-(?P<step>\d+)-summary\.md")
_UNDER_WAY = frozenset(
    {TaskStatus.RUNNING, TaskStatus.GATING, TaskStatus.REVIEWING, TaskStatus.INTEGRATING, TaskStatus.AWAITING_DECISION}
)


@dataclass(slots=True, kw_only=True)
class _Phase(Projection):
    """The files of a phase. `prefixes` are the numbers of its plans as their files write them."""

    site: Site
    folder: Path
    home: Path | None
    is_whole: bool
    prefixes: dict[int, str] = field(default_factory=dict)
    is_accepted: bool = False

    def begin(self, state: RunState) -> None:
        """All files anew."""
        self.is_accepted = state.accepted is not None
        self._write_all(state)

    def take(self, recorded: Recorded, state: RunState) -> None:
        """The files of the task the event is about, and those of the phase."""
        event = recorded.event
        effect = event.effect if isinstance(event, EffectIntended) else None
        started = isinstance(effect, StartAttempt)
        record = state.tasks.get(getattr(effect or event, "task", ""))
        if record is not None:
            self._write_task(record, state)
            self._write_results([record.id], state)
        self._write_phase(state, started=int(started))

    def accepted(self, state: RunState, commit: str) -> None:  # noqa: ARG002 - no file of Konductor names it
        """What is done is complete by Konductor's own rules, and the phase executed."""
        self.is_accepted = True
        self._write_all(state)

    def _write_all(self, state: RunState) -> None:
        for record in state.tasks.values():
            self._write_task(record, state)
        self._write_results(list(state.tasks), state)
        self._write_phase(state)

    # -- tasks ------------------------------------------------------------------------------------

    def _write_task(self, record: TaskRecord, state: RunState) -> None:
        named = _TASK.fullmatch(record.id)
        if named is None:
            return  # a fix of the runtime belongs to no plan
        plan, step = self.prefixes.get(int(named["plan"]), named["plan"]), named["step"]
        stem = f"{plan}-task-{step}"
        self._write(f"{stem}-summary.md", summary_text(record, state, plan, step, accepted=self.is_accepted))
        for stage, name in ((Stage.SPEC, "spec"), (Stage.QUALITY, "quality")):
            extra = extra_changes(record, state) if stage is Stage.SPEC else ()
            self._write(f"{stem}-{name}-review.md", review_text(record.reviews, stage, plan, step, extra))

    def _write(self, name: str, text: str | None) -> None:
        path = self.folder / "plans" / name
        if text is not None:
            self.site.write(path, text, whole=True)
        else:
            self.site.note(path)

    # -- plans ------------------------------------------------------------------------------------

    def _write_results(self, tasks: Iterable[str], state: RunState) -> None:
        """The result of each plan whose tasks are all over."""
        for number in dict.fromkeys(_plan_of(task) for task in tasks):
            records = [record for name, record in state.tasks.items() if number and _plan_of(name) == number]
            if self.home is None or not records or not all(record.is_over for record in records):
                continue
            prefix = self.prefixes.get(number, f"{number:03d}")
            landed = [record for record in records if record.status is TaskStatus.INTEGRATED]
            done = [record for record in records if _is_done(record, state)]
            before = len(self._done_before(number, state))
            values = [
                ("step", "execute"),
                ("phase", self.folder.name),
                ("plan", number),
                ("wave", state.wave_of[records[0].id]),
                ("status", "ok" if len(done) == len(records) else "error"),
                ("tasks_total", len(records) + before),
                ("tasks_completed", len(done) + before),
            ]
            note = self._where(state, landed[-1]) if landed else ""
            path = self.home / ".results" / f"execute-{self.folder.name}-plan-{prefix}.toml"
            self.site.write(path, result_text(values, note, state.last_at, _text(path)), whole=True)

    def _where(self, state: RunState, last: TaskRecord) -> str:
        """Where the work of a plan is while no branch of the user's holds it."""
        where = f"branch {state.branch}, commit {last.landed}"
        if not self.is_accepted:
            return f"not accepted yet: {where}"
        if state.accepted is not None and state.accepted.is_staged:
            return f"staged in the checkout of {state.accepted.target}, not committed: {where}"
        return ""

    def _done_before(self, number: int, state: RunState) -> set[int]:
        """The tasks of a plan that were done before the run: it has them, they have a summary, the run has them not."""
        named = (_SUMMARY.fullmatch(file.name) for file in (self.folder / "plans").glob("*-summary.md"))
        steps = {int(each["step"]) for each in named if each is not None and int(each["plan"]) == number}
        known = self._steps_of(number)
        return {step for step in steps & known if f"{number:03d}-task-{step}" not in state.tasks}

    def _steps_of(self, number: int) -> set[int]:
        """The numbers of a plan's tasks, as its headings say them."""
        files = sorted((self.folder / "plans").glob("*.md"))
        named = ((file, _FILE.fullmatch(file.name)) for file in files if not _NO_PLAN.fullmatch(file.name))
        plan = next((file for file, name in named if name is not None and int(name["prefix"]) == number), None)
        return steps_of(_text(plan)) if plan is not None else set()

    # -- the phase --------------------------------------------------------------------------------

    def _write_phase(self, state: RunState, *, started: int = 0) -> None:
        text = holistic_text(state.whole.reviews, self.folder.name)
        if text is not None:
            self.site.write(self.folder / "code-review.md", text)
        if self.home is None:
            return
        path = self.home / "state.toml"
        standing = self._standing(state, started)
        project = self.site.root.name
        own = self.site.own(path)  # sessions are counted, and times kept, while somebody is asked about the file
        text = own.text if own is not None and own.is_current else _text(path)
        self.site.write(path, state_text(text, standing, state.last_at, project))

    def _standing(self, state: RunState, started: int) -> Standing:
        open_plans = {
            number for name, record in state.tasks.items() if (number := _plan_of(name)) and not _is_done(record, state)
        }
        in_run = {number for name in state.tasks if (number := _plan_of(name))}
        complete = len(self.prefixes) - len(open_plans) if self.is_whole else None
        is_executed = self.is_accepted and self.is_whole and not open_plans
        live = next((r.id for r in state.tasks.values() if r.status in _UNDER_WAY and _plan_of(r.id)), "")
        current = _plan_of(live)
        plan = self.prefixes.get(current, f"{current:03d}") if current and not state.finished else ""
        return Standing(
            phase=self.folder.name,
            step="executed" if is_executed else "executing",
            status=self._status(state),
            plan=plan,
            wave=self._wave(state, live),
            plans=len(self.prefixes) or len(in_run),
            complete=complete,
            tasks=frozenset(state.tasks),
            blocked=tuple(_blocked(state)),
            started=started,
        )

    def _wave(self, state: RunState, live: str) -> int:
        """The wave under way, or the last of which anything ran."""
        planned = {name: state.wave_of[name] for name in state.tasks if _plan_of(name)}
        if live:
            return planned[live]
        begun = [wave for name, wave in planned.items() if state.tasks[name].attempts]
        first = min(planned.values(), default=0)
        return max(min(state.wave or 0, max(begun, default=first)), first)

    def _status(self, state: RunState) -> str:
        """One of the three it has; nothing is idle while tasks hold the phase up, whoever took in what is done."""
        is_still = self.is_accepted or state.finished or state.interrupted or state.paused
        if is_still or state.stopped:
            held_up = any(True for _ in _blocked(state))
            if is_still or held_up:
                return "blocked" if held_up else "idle"
        return "blocked" if state.waits_for_people else "busy"


def _is_done(record: TaskRecord, state: RunState) -> bool:
    """Whether it has landed, or somebody did it by hand and their word was taken."""
    return record.status is TaskStatus.INTEGRATED or is_by_hand(state, record)


def _blocked(state: RunState) -> Iterator[Blocked]:
    """The tasks that are blocked, or failed, for a reason of their own, or would be if nobody answered."""
    for record in state.tasks.values():
        ended = record.status in {TaskStatus.BLOCKED, TaskStatus.FAILED} and record.reason is not Reason.BLOCKED_ON
        if ended or is_held_up(record, state):
            detail = " ".join((record.detail or str(record.reason)).split())[:500]
            yield Blocked(task=record.id, reason=f"{record.id}: {detail}")


def _plan_of(task: str) -> int:
    """The number of the plan a task is of; 0 for tasks of the runtime."""
    named = _TASK.fullmatch(task)
    return int(named["plan"]) if named else 0


def _text(path: Path) -> str:
    """The text of an artifact that is there; AdapterError when it is, and cannot be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise AdapterError("projection", f"{path} cannot be read: {error}. Put that right, then resume.") from error


# -- where the phase lies -------------------------------------------------------------------------


class _Outside(Projection):
    """A phase that lies outside the work tree, or below a link out of it, is read and never written to [I1]."""

    def begin(self, state: RunState) -> None:
        """Nothing."""

    def take(self, recorded: Recorded, state: RunState) -> None:
        """Nothing."""

    def accepted(self, state: RunState, commit: str) -> None:
        """Nothing."""


def _project(site: Site, plan: Plan) -> Projection:
    site = replace(site, root=site.root.resolve(), source=site.source.resolve())
    if not site.source.is_relative_to(site.root):
        return _Outside()
    folder, is_whole = _phase_of(site.source, plan.plan)
    phases = folder.parent
    home = phases.parent if phases.name == "phases" else None
    return _Phase(site=site, folder=folder, home=home, is_whole=is_whole, prefixes=_prefixes(folder))


def _report(site: Site, plan: Plan) -> OwnReport | None:
    root, source = site.root.resolve(), site.source.resolve()
    if not source.is_relative_to(root):
        return None
    folder, _ = _phase_of(source, plan.plan)
    if not folder.is_relative_to(root):
        return None
    return SummaryReport(folder=(folder / "plans").relative_to(root).as_posix(), prefixes=_prefixes(folder))


def _phase_of(source: Path, name: str) -> tuple[Path, bool]:
    """The folder of the phase, and whether the run is all of it and not one plan; `source` as the reader was given."""
    if source.is_file():
        parent = source.parent
        return (parent.parent if parent.name == "plans" else parent), False
    if source.name == "plans" and not (source / "plans").is_dir():
        return source.parent, True
    if (source / "plans").is_dir():
        return source, True
    phases = [folder.parent for folder in sorted(source.glob("phases/*/plans"))]
    found = next((phase for phase in phases if _slug(phase.name) == name), None)
    if found is None:
        text = f"{source} has no phase {name} any more, whose plan this run carries out. Put it back, then resume."
        raise AdapterError("projection", text)
    return found, True


def _slug(name: str) -> str:
    """The name of a plan as the reader makes it of a folder's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50] or "phase"


def _prefixes(folder: Path) -> dict[int, str]:
    """The numbers of the plans as their files write them."""
    found: dict[int, str] = {}
    for file in sorted((folder / "plans").glob("*.md")):
        named = _FILE.fullmatch(file.name)
        if named and not _NO_PLAN.fullmatch(file.name):
            found.setdefault(int(named["prefix"]), named["prefix"])
    return found


_ARTIFACTS = (
    ".konductor/state.toml",
    ".konductor/.results/execute-*.toml",
    "**/plans/*-task-*-summary.md",
    "**/plans/*-task-*-spec-review.md",
    "**/plans/*-task-*-quality-review.md",
    "**/phases/*/code-review.md",
    "**/.chargehand-*.tmp",
)

PROFILE = Profile(
    name="konductor",
    policy=BOUNDS["konductor"].policy,
    wording=_WORDING,
    project=_project,
    told=told_by_konductor,
    artifacts=_ARTIFACTS,
    report=_report,
)
