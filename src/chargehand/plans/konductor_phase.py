"""From the files of a Konductor phase to a plan: what is still to be done, and what the rest of it came to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from chargehand.domain import graph
from chargehand.domain.plan import Barrier, Defaults, Features, Plan, Task
from chargehand.domain.problem import Path as Where
from chargehand.domain.problem import Problem, Severity
from chargehand.plans.bounds import MAX_TASKS, too_many
from chargehand.plans.document import Place
from chargehand.plans.konductor_done import Config, Standing, Summary, read_config, read_state, read_summary
from chargehand.plans.konductor_file import PlanFile, PlanStep, read_plan_file
from chargehand.plans.konductor_task import Made, goal_of, make_task, truths
from chargehand.plans.loaded import LoadedPlan, Stated
from chargehand.plans.native import read_lossy, read_text
from chargehand.plans.verify_text import finder

__all__ = ["PhaseReading"]

_SUMMARY = re.compile(r"(?P<plan>\d+)-task-(?P<task>\d+)-summary\.md")
_REVIEW = re.compile(r".+-(?:spec|quality)-review\.md")
_PLAN = re.compile(r"(?P<plan>\d+)\D.*md|(?P<only>\d+)\.md")
_SUFFIXES = frozenset({".md", ".markdown", ".mdown", ".mkd"})
_STARTS = frozenset({"", "planned", "executing", "executed", "blocked"})
"""Steps of `state.toml` from which a phase may be carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A plan file that was read, and its path as problems name it."""

    path: Path
    prefix: str
    plan: PlanFile

    def ident(self, step: PlanStep) -> str:
        return f"{self.plan.number:03d}-task-{step.number}"


@dataclass(slots=True, kw_only=True)
class PhaseReading:
    """One reading: `path` as it was named, `place` the kind of folder it is (None: a plan file).

    `there` are tasks whose work the base has, though their summaries know no more than where it lay.
    """

    path: Path
    source: str
    place: str | None
    there: Collection[str] = ()
    problems: list[Problem] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)
    config: Config = field(default_factory=Config)
    summaries: dict[tuple[int, int], Summary] = field(default_factory=dict)
    places: dict[str, tuple[_Read, PlanStep]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict)
    staged: dict[str, str] = field(default_factory=dict)

    def read(self) -> LoadedPlan:
        """Everything that can be read, and all that is wrong with it."""
        self._settings()
        phase = self._phase()
        if phase is None:
            return self._loaded(None)
        plans = self._plans(phase)
        self._read_summaries(phase / "plans", plans)
        plan = self._plan(phase, plans)
        if plan is not None and not plan.tasks and not self._failed:
            hint = "Nothing is left to be carried out; add a plan, or take another phase."
            self._problem("nothing_left", "All tasks of the phase are done.", phase, hint=hint)
        return self._loaded(plan)

    @property
    def _failed(self) -> bool:
        return any(problem.is_error for problem in self.problems)

    def _loaded(self, plan: Plan | None) -> LoadedPlan:
        loaded = LoadedPlan(source=self.source, locate=self._locate)
        return replace(
            loaded,
            plan=None if self._failed else plan,
            draft=plan,
            problems=tuple(sorted(self.problems, key=lambda each: (each.file or "", each.line or 0))),
            counts={name: self.counts[name] for name in sorted(self.counts)},
            told=tuple(self.told),
            reader="konductor",
            files=tuple(self.files),
            stated=Stated(keys=self._stated()),
            pending=self.pending,
            staged=self.staged,
            redo=self._redo,
        )

    def _redo(self, absent: Mapping[str, str], there: Collection[str]) -> LoadedPlan:  # noqa: ARG002 - none is claimed
        again = PhaseReading(path=self.path, source=self.source, place=self.place, there={*self.there, *there})
        return again.read()

    def _stated(self) -> frozenset[str]:
        switches = {"features.code_review", "features.holistic"} if "features.code_review" in self.config.stated else ()
        return frozenset({"plan", "profile", "barrier", *switches})

    def _problem(self, code: str, message: str, file: Path, *, line: int | None = None, hint: str = "") -> None:
        self.problems.append(Problem(code=code, message=message, file=str(file), line=line, hint=hint))

    def _warn(self, code: str, message: str, file: Path, *, hint: str = "") -> None:
        warning = Problem(code=code, message=message, severity=Severity.WARNING, file=str(file), hint=hint)
        self.problems.append(warning)

    def _take(self, found: Iterable[Problem], file: Path) -> None:
        self.problems += [replace(problem, file=str(file)) for problem in found]

    def _text(self, file: Path) -> str | None:
        text, problem = read_text(file)
        if problem is not None and problem.code == "empty":
            return ""
        if problem is not None:
            self._take([problem], file)
            return None
        return text

    # -- what is meant ----------------------------------------------------------------------------

    @property
    def home(self) -> Path | None:
        """The `.konductor` around what was named."""
        if self.place == "phases":
            return self.path
        above = self._own_phase().resolve().parent
        return above.parent if above.name == "phases" else None

    @property
    def root(self) -> Path:
        """The project: what lies around `.konductor`, else the phase."""
        home = self.home
        if home is None:
            return self._own_phase()
        return home.resolve().parent if home.resolve().name == ".konductor" else home

    def _own_phase(self) -> Path:
        if self.place == "phase":
            return self.path
        folder = self.path if self.place == "plans" else self.path.parent
        return folder.parent if folder.name == "plans" else folder

    def _settings(self) -> None:
        file = self.home / "config.toml" if self.home is not None else None
        if file is None or not file.exists():
            self.told.append("There is no config.toml: its defaults hold.")
            return
        text = self._text(file)
        if text is None:
            return
        self.config, found = read_config(text)
        self._take(found, file)
        left = sorted(self.config.stated & {"general.default_model", "hooks.test_patterns", "git.branching_strategy"})
        if left:
            self.told.append(f"Left alone in config.toml: {', '.join(left)}.")
        if not self.config.auto_commit:
            self.told.append("git.auto_commit is false: accept leaves the change staged, and commits nothing.")

    def _phase(self) -> Path | None:
        current, step = self._state()
        if self.place != "phases":
            phase = self._own_phase()
            if current and not _is_phase(phase.resolve().name, current):
                text = f"state.toml stands at phase {current}; it will be set to {phase.resolve().name}."
                self._warn("other_phase", text, phase)
            else:
                self._check_step(step)
            return phase
        phases = sorted(plans.parent for plans in self.path.glob("phases/*/plans") if any(plans.glob("*.md")))
        chosen = [phase for phase in phases if current and _is_phase(phase.name, current)]
        if len(chosen) == 1 or len(phases) == 1:
            phase = (chosen or phases)[0]
            others = [other.name for other in phases if other != phase]
            self.told += [f"Phases left alone: {', '.join(others)}."] * bool(others)
            self._check_step(step)
            return phase
        names = ", ".join(phase.name for phase in phases)
        hint = f"Name one, such as {phases[0]}." if phases else "Plan a phase first."
        self._problem("ambiguous_plan", f"More than one phase could be meant: {names}.", self.path, hint=hint)
        return None

    def _state(self) -> tuple[str, str]:
        file = self.home / "state.toml" if self.home is not None else None
        if file is None or not file.exists():
            return "", ""
        text = self._text(file)
        phase, step, found = read_state(text) if text is not None else ("", "", [])
        self._take(found, file)
        return phase, step

    def _check_step(self, step: str) -> None:
        if self.home is not None and step not in _STARTS:
            text = f"state.toml stands at step '{step}': a phase is carried out once it is planned."
            hint = "Plan the phase, or name the folder of another one."
            self._problem("wrong_step", text, self.home / "state.toml", hint=hint)

    # -- plans ------------------------------------------------------------------------------------

    def _plans(self, phase: Path) -> list[_Read]:
        """The plans of the phase by number; all of them, also where one file was named."""
        folder = phase / "plans" if (phase / "plans").is_dir() else phase
        found: dict[int, _Read] = {}
        for file in sorted(folder.glob("*.md")):
            if _REVIEW.fullmatch(file.name):
                self.counts["reviews"] += 1
            elif file.name.endswith("-summary.md"):
                self.counts["summaries"] += 1
            else:
                read = self._read_plan(file)
                if read is not None and (first := found.get(read.plan.number)):
                    text = f"Plan {read.plan.number} stands twice, first in {first.path.name}."
                    self._problem("duplicate_id", text, file, line=read.plan.lines.get("plan"), hint="Number it anew.")
                elif read is not None:
                    found[read.plan.number] = read
        self._tell_unread(folder)
        plans = [found[number] for number in sorted(found)]
        if self._has_too_many(plans):
            return []
        self._check_graph(plans)
        return plans

    def _tell_unread(self, folder: Path) -> None:
        """What is like a plan, and lies or is called so that nobody reads it."""
        near = [*folder.iterdir(), *folder.glob("*/*")] if folder.is_dir() else []
        named = [file for file in near if file.suffix.lower() in _SUFFIXES and not file.name.endswith("-summary.md")]
        unread = [
            file for file in named if file.parent != folder or file.suffix != ".md" or _REVIEW.fullmatch(file.name)
        ]
        left = sorted(_below(file, folder) for file in unread if read_lossy(file).startswith("+++"))
        if left:
            self.counts["left_alone"] += len(left)
            hint = "A plan lies right in the folder, ends in '.md', and is not called a review."
            self._warn("left_alone", f"Not read, though they begin like plans: {', '.join(left)}.", folder, hint=hint)

    def _has_too_many(self, plans: Sequence[_Read]) -> bool:
        steps = [(read, step) for read in plans for step in read.plan.steps]
        refused = too_many([step.line for _, step in steps])
        self._take([refused] if refused else [], steps[MAX_TASKS][0].path if refused else self.path)
        return refused is not None

    def _read_plan(self, file: Path) -> _Read | None:
        named = _PLAN.fullmatch(file.name)
        text = self._text(file)
        if text is None:
            self.counts.update(plans=1, plans_broken=1)
            return None
        if named is None and not text.startswith("+++"):
            self.counts["left_alone"] += 1
            self.told.append(f"Left alone: {file.name} has no number and no frontmatter.")
            return None
        self.counts["plans"] += 1
        self.files.append(str(file))
        plan, found = read_plan_file(text)
        self._take(found, file)
        if plan is None or any(problem.is_error for problem in found):
            self.counts["plans_broken"] += 1
            return None
        prefix = (named["plan"] or named["only"]) if named else f"{plan.number:03d}"
        if int(prefix) != plan.number:
            text = f"The file is named after plan {int(prefix)}, and its frontmatter says plan {plan.number}."
            self._problem("bad_value", text, file, line=plan.lines["plan"], hint="Make them the same.")
        self._tell_of(file, plan)
        return _Read(path=file, prefix=prefix, plan=plan)

    def _tell_of(self, file: Path, plan: PlanFile) -> None:
        if plan.unknown:
            self.told.append(f"Left alone in {file.name}: {', '.join(plan.unknown)}.")
        if plan.others:
            names = ", ".join(f"'{title}'" for title, _ in plan.others)
            self.told.append(f"Sections of {file.name} that go into the briefs as they are: {names}.")

    def _check_graph(self, plans: Sequence[_Read]) -> None:
        known = {read.plan.number: read for read in plans}
        broken = self.counts["plans_broken"] > 0
        for read in plans:
            for number in read.plan.values.get("depends_on", ()):
                if number not in known and not broken:
                    text = f"Plan {read.plan.number} depends on plan {number}, which the phase does not have."
                    line = read.plan.lines["depends_on"]
                    self._problem("unknown_dependency", text, read.path, line=line, hint="Add it, or take it out.")
        needs = {
            str(n): [str(d) for d in read.plan.values.get("depends_on", ()) if d in known] for n, read in known.items()
        }
        cycle = graph.find_cycle(needs)
        if cycle:
            read = known[int(cycle[0])]
            text = f"The plans depend on each other in a cycle: {' -> '.join(cycle)}."
            line = read.plan.lines["depends_on"]
            self._problem("cycle", text, read.path, line=line, hint="Take one of the dependencies out.")

    # -- what was done ----------------------------------------------------------------------------

    def _read_summaries(self, folder: Path, plans: Sequence[_Read]) -> None:
        known = {(int(read.prefix), step.number) for read in plans for step in read.plan.steps}
        named_as: dict[tuple[int, int], str] = {}
        for file in sorted(folder.glob("*-summary.md")):
            named = _SUMMARY.fullmatch(file.name)
            if named is None:
                self.counts["left_alone"] += 1
                self.told.append(f"Left alone: {file.name} is the summary of no task.")
                continue
            key = (int(named["plan"]), int(named["task"]))
            first = named_as.setdefault(key, file.name)
            if first != file.name:
                said = f"Task {key[1]} of plan {key[0]} has two summaries: {first} and {file.name}."
                self._problem("duplicate_id", said, file, hint="Leave the one that is named as the plan's file is.")
            text = self._text(file)
            summary, found = read_summary(text) if text is not None else (None, [])
            self._take(found, file)
            if key not in known:
                self._warn("orphan", f"{file.name} is about a task that no plan has; it is left alone.", file)
                self.counts["left_alone"] += 1
            elif summary is not None:
                self.summaries[key] = summary

    def _standing(self, read: _Read, step: PlanStep) -> Standing:
        summary = self.summaries.get((int(read.prefix), step.number))
        if summary is None:
            return Standing.OPEN
        ident = read.ident(step)
        if ident in self.there:
            return replace(summary, pending="").standing(reviews=self.config.code_review)
        standing = summary.standing(reviews=self.config.code_review)
        if standing is Standing.PENDING and summary.commit:
            (self.staged if summary.is_staged else self.pending)[ident] = summary.commit
        if standing is Standing.PENDING:
            why = "which the base does not have" if summary.is_staged else "which was not accepted"
            self.told.append(f"{ident}: done on branch {summary.pending}, {why}; it is done again.")
        return standing

    # -- the plan ---------------------------------------------------------------------------------

    def _plan(self, phase: Path, plans: Sequence[_Read]) -> Plan | None:
        if self._failed and not plans:
            return None
        meant = [read for read in plans if self.place is not None or read.path.name == self.path.name]
        left = self._left(plans, meant)
        if self.place is None:
            self._refuse_missing(meant, left)
            left = {name: standing for name, standing in left.items() if self.places[name][0] in meant}
        wanted = [(read, step) for read, step in self.places.values() if read in meant]
        tasks = [self._task(read, step, left) for read, step in wanted if read.ident(step) in left]
        self.order = [made.task.id for made in tasks]
        name = re.sub(r"[^a-z0-9]+", "-", phase.resolve().name.lower()).strip("-")[:50] or "phase"
        if self.place is None and meant:
            name = f"{name}-plan-{meant[0].prefix}"
        return Plan(
            plan=name,
            goal=goal_of(phase.resolve().name, [read.plan for read in meant]),
            profile="konductor",
            barrier=Barrier.WAVE,
            success_criteria=tuple(dict.fromkeys(text for read in meant for text in truths(read.plan))),
            features=Features(code_review=self.config.code_review, holistic=self.config.code_review),
            defaults=Defaults(jobs=self.config.jobs),
            tasks=tuple(made.task for made in tasks),
            inferred=tuple(made.task.id for made in tasks if made.is_later),
            accept_staged=not self.config.auto_commit,
        )

    def _left(self, plans: Sequence[_Read], meant: Sequence[_Read]) -> dict[str, Standing]:
        """The tasks that are still to be done, and how they stand."""
        left: dict[str, Standing] = {}
        for read in plans:
            for step in read.plan.steps:
                self.places[read.ident(step)] = (read, step)
                standing = self._standing(read, step)
                if read in meant:
                    self.counts["plan_tasks"] += 1
                    self.counts[standing.value] += 1
                if standing is not Standing.DONE:
                    left[read.ident(step)] = standing
        return left

    def _refuse_missing(self, meant: Sequence[_Read], left: dict[str, Standing]) -> None:
        for read in meant:
            for number in read.plan.values.get("depends_on", ()):
                if any(name.startswith(f"{number:03d}-task-") for name in left):
                    text = f"Plan {read.plan.number} depends on plan {number}, which is not done."
                    hint = "Name the folder of the phase, and both are carried out."
                    line = read.plan.lines["depends_on"]
                    self._problem("unknown_dependency", text, read.path, line=line, hint=hint)

    def _task(self, read: _Read, step: PlanStep, left: dict[str, Standing]) -> Made:
        before = [other for other in read.plan.steps if other.number < step.number]
        ident = read.ident(step)
        made = make_task(
            ident,
            read.plan,
            step,
            path=_below(read.path, self.root),
            config=self.config,
            standing=left[ident],
            find=finder(self.root),
            own=self.summaries.get((int(read.prefix), step.number)),
            done=[
                (read.ident(other), self.summaries[int(read.prefix), other.number])
                for other in before
                if read.ident(other) not in left
            ],
        )
        self.told += [f"{ident}: {text}" for text in made.told]
        earlier = [read.ident(other) for other in before if read.ident(other) in left]
        first = not before or not earlier
        needed = [name for name in left for number in read.plan.values.get("depends_on", ()) if _is_of(name, number)]
        needs = earlier if not first else [name for name in needed if name in left]
        task: Task = replace(made.task, depends_on=tuple(needs), needs_human=made.task.needs_human and first)
        return replace(made, task=task, is_later=not first)

    def _locate(self, path: Where) -> Place | None:
        """The line of what a check says is wrong: tasks by their position, each with its own file."""
        if path[:1] != ("tasks",) or len(path) < 2 or not isinstance(path[1], int) or path[1] >= len(self.order):
            return None
        read, step = self.places[self.order[path[1]]]
        key = str(path[2]) if len(path) > 2 else ""
        inner = {"files": "files", "verify": "verify", "acceptance": "done", "description": "action"}.get(key, "")
        line = step.lines.get(inner) or read.plan.lines.get(key) or step.line
        return Place(line, 1, str(read.path))


def _is_phase(name: str, said: str) -> bool:
    """Whether `said`, as `state.toml` or a plan says it, is the phase of this folder: its name, or its number."""
    return name == said or name.startswith(f"{said}-")


def _is_of(task: str, plan: int) -> bool:
    return task.startswith(f"{plan:03d}-task-")


def _below(path: Path, root: Path) -> str:
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.name
