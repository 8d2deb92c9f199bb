"""From the files of a sendit feature to a plan: what is still to be done, and what the rest of it came to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from chargehand.domain.plan import Defaults, Files, GateSpec, Plan, Scope, Task, Weight
from chargehand.domain.problem import Path as Where
from chargehand.domain.problem import Problem, Severity
from chargehand.domain.test_changes import is_test
from chargehand.plans.document import Place
from chargehand.plans.loaded import LoadedPlan, Stated
from chargehand.plans.native import read_text
from chargehand.plans.sendit_done import Progress, Row, Spec, read_progress, read_spec
from chargehand.plans.sendit_file import KNOWN, PlanFile, PlanStep, read_plan_file
from chargehand.plans.sendit_runner import runners_of, verify_of
from chargehand.plans.sendit_task import chained, listed
from chargehand.plans.verify_text import finder

__all__ = ["NOT_READY", "FeatureReading"]

NOT_READY = "What is open in the spec"
"""The title under which a plan carries what keeps its spec from being ready; its profile says what that means."""

_Claim = tuple[Path, int]
_MOST_TASKS = 8
_TEXT_CHARS = 24_000


@dataclass(slots=True, kw_only=True)
class FeatureReading:
    """One reading: `path` as it was named, `plans` the plans that could be meant.

    `absent` are tasks whose commit git does not have where it should, with the reason; `there` are tasks of a branch
    nobody accepted whose commit it has all the same. Both name a plan and a task of it.
    """

    path: Path
    source: str
    plans: Sequence[Path]
    absent: Mapping[_Claim, str] = field(default_factory=dict)
    there: Collection[_Claim] = ()
    problems: list[Problem] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)
    steps: list[PlanStep] = field(default_factory=list)
    plan_path: Path | None = None
    landed: dict[str, str] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)
    claims: dict[str, _Claim] = field(default_factory=dict)

    def read(self) -> LoadedPlan:
        """Everything that can be read, and all that is wrong with it."""
        found = self._choose()
        if found is None:
            return self._loaded(None)
        self.plan_path = found
        file = self._plan_file(found)
        progress = self._progress(found)
        plan = self._plan(file, progress) if file is not None else None
        if plan is not None and not plan.tasks and not self._failed:
            hint = "Nothing is left to be carried out; add a task, or take another feature."
            self._problem("nothing_left", "All tasks of the plan are done.", found, hint=hint)
        return self._loaded(plan)

    @property
    def _failed(self) -> bool:
        return any(problem.is_error for problem in self.problems)

    def _loaded(self, plan: Plan | None) -> LoadedPlan:
        gates = len(plan.gates) if plan is not None else 0
        return LoadedPlan(
            source=self.source,
            locate=self._locate,
            plan=None if self._failed else plan,
            draft=plan,
            problems=tuple(sorted(self.problems, key=lambda each: (each.file or "", each.line or 0))),
            counts={name: self.counts[name] for name in sorted(self.counts)},
            told=tuple(self.told),
            reader="sendit",
            files=tuple(dict.fromkeys(self.files)),
            stated=Stated(keys=frozenset({"plan", "profile", "barrier", "defaults.weight"}), gates=gates),
            landed=self.landed,
            pending=self.pending,
            redo=self._redo,
        )

    def _redo(self, absent: Mapping[str, str], there: Collection[str]) -> LoadedPlan:
        refuted = {self.claims[name]: why for name, why in absent.items()}
        found = {self.claims[name] for name in there}
        again = FeatureReading(
            path=self.path,
            source=self.source,
            plans=self.plans,
            absent={**self.absent, **refuted},
            there={*self.there, *found},
        )
        return again.read()

    def _claim(self, row: Row, plan: Path, into: dict[str, str]) -> None:
        """Hand out the commit that a row names, to be looked up."""
        name = f"task-{row.number}" if plan == self.plan_path else f"{plan.parent}: task-{row.number}"
        self.claims[name] = (plan, row.number)
        into[name] = row.commit

    def _problem(self, code: str, message: str, file: Path, *, line: int | None = None, hint: str = "") -> None:
        self.problems.append(Problem(code=code, message=message, file=str(file), line=line, hint=hint))

    def _warn(self, code: str, message: str, file: Path, *, line: int | None = None, hint: str = "") -> None:
        warning = Problem(code=code, message=message, severity=Severity.WARNING, file=str(file), line=line, hint=hint)
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

    # -- which plan is meant ----------------------------------------------------------------------

    def _choose(self) -> Path | None:
        """The one plan; of several the one that is under way, else the only one that is not done."""
        if len(self.plans) == 1:
            return self.plans[0]
        broken = [plan for plan in self.plans if self._is_broken(plan)]
        if broken:
            return None
        left = [plan for plan in self.plans if not self._is_done(plan)]
        under_way = [plan for plan in left if (plan.parent / "PROGRESS.md").is_file()]
        chosen = under_way if len(under_way) == 1 else left or list(self.plans[:1])
        if len(chosen) == 1:
            others = [str(plan.parent) for plan in self.plans if plan != chosen[0]]
            self.counts["features_left_alone"] = len(others)
            self.told.append(f"Features left alone: {', '.join(others)}.")
            self.plan_path = chosen[0]
            for plan in self.plans:
                if plan != chosen[0]:
                    self._claim_of(plan)
            return chosen[0]
        names = ", ".join(str(plan.parent) for plan in chosen)
        hint = f"Name one, such as {chosen[0].parent}."
        self._problem("ambiguous_plan", f"More than one feature could be meant: {names}.", self.path, hint=hint)
        return None

    def _is_broken(self, plan: Path) -> bool:
        """Whether nobody can tell how far a feature is; passed over, it would be as good as done."""
        found = [(file, read_text(file)[1]) for file in (plan, plan.parent / "PROGRESS.md") if file.exists()]
        wrong = [(file, problem) for file, problem in found if problem is not None]
        for file, problem in wrong:
            hint = "It begins with '# Plan: …'." if problem.code == "empty" and file == plan else ""
            self._take([replace(problem, hint=hint or problem.hint, line=problem.line or 1)], file)
        return bool(wrong)

    def _is_done(self, plan: Path) -> bool:
        """Whether every task of a plan has a row that counts."""
        steps = {step.number for step in read_plan_file(read_text(plan)[0])[0].steps}
        file = plan.parent / "PROGRESS.md"
        if not steps or not file.is_file():
            return False
        progress = read_progress(read_text(file)[0])[0]
        done = {row.number for row in progress.rows if self._stands(row, progress, plan)}
        return steps <= done

    def _claim_of(self, plan: Path) -> None:
        """Hand out what the rows of a feature say that is passed over."""
        file = plan.parent / "PROGRESS.md"
        if not file.is_file():
            return
        progress = read_progress(read_text(file)[0])[0]
        for row in progress.rows:
            if self._stands(row, progress, plan):
                self._claim(row, plan, self.landed)
            elif row.status == "done" and row.commit and row.number in progress.unaccepted:
                self._claim(row, plan, self.pending)

    def _stands(self, row: Row, progress: Progress, plan: Path) -> bool:
        """Whether a row counts: with a commit that nobody refuted, and accepted, or in the base all the same."""
        claim = (plan, row.number)
        elsewhere = claim in self.absent or (row.number in progress.unaccepted and claim not in self.there)
        return row.status == "done" and bool(row.commit) and not elsewhere

    @property
    def folder(self) -> Path:
        """The feature's folder."""
        assert self.plan_path is not None
        return self.plan_path.parent

    @property
    def root(self) -> Path:
        """What lies around the nearest `specs`, else the feature's folder: documents are named from there."""
        folder = self.folder.resolve()
        around = next((each for each in (folder, *folder.parents) if each.name == "specs"), None)
        return around.parent if around is not None else folder

    @property
    def project(self) -> Path:
        """Where commands run and files are named from: the work tree of git around it, where there is one."""
        around = (self.root, *self.root.parents)
        return next((each for each in around if (each / ".git").exists()), self.root)

    def _below(self, path: Path) -> str:
        try:
            return path.resolve().relative_to(self.project).as_posix()
        except ValueError:
            return path.name

    # -- the files --------------------------------------------------------------------------------

    def _plan_file(self, path: Path) -> PlanFile | None:
        text = self._text(path)
        self.files.append(str(path))
        if text is None:
            return None
        plan, found = read_plan_file(text)
        self._take(found, path)
        self.steps = list(plan.steps)
        self.counts["plan_tasks"] = len(plan.steps)
        if len(plan.steps) > _MOST_TASKS:
            message = f"The plan has {len(plan.steps)} tasks; sendit keeps plans to {_MOST_TASKS}."
            self._warn("many_tasks", message, path, hint="Split the spec.")
        for step in plan.steps:
            if unknown := [name for name in step.texts if name not in KNOWN]:
                self.told.append(f"task-{step.number}: goes into the brief as it is: {', '.join(unknown)}.")
        if plan.others:
            names = ", ".join(f"'{title}'" for title, _ in plan.others)
            self.told.append(f"Sections that go into the briefs as they are: {names}.")
        return plan

    def _refuse_links(self, *kept: Path) -> None:
        for file in kept:
            if file.is_symlink():
                text = f"{file.name} is a link: a run would put a file of its own in its place."
                self._problem("linked_file", text, file, hint="Put the file itself there.")

    def _progress(self, plan: Path) -> Progress:
        file = plan.parent / "PROGRESS.md"
        self._refuse_links(file, plan.parent / "RESEARCH.md")
        text = self._text(file) if file.exists() else None
        if text is None:
            return Progress()
        progress, found = read_progress(text)
        self._take(found, file)
        known = {step.number: step for step in self.steps}
        self.counts["rows"] = len(progress.rows)
        for row in progress.rows:
            self._check_row(row, known.get(row.number), progress, file, plan)
        return progress

    def _check_row(self, row: Row, step: PlanStep | None, progress: Progress, file: Path, plan: Path) -> None:
        if step is None:
            text = f"Row {row.number} is about a task that the plan does not have; it is left alone."
            self._warn("orphan", text, file, line=row.line)
            self.counts["left_alone"] += 1
        elif row.status != "done":
            return
        elif not row.commit:
            text = f"Task {row.number} is said to be done and names no commit: it is done again."
            self._warn("no_commit", text, file, line=row.line)
        elif row.number in progress.unaccepted:
            branch, name = progress.unaccepted[row.number], f"task-{row.number}"
            if (plan, row.number) in self.there:
                self.told.append(f"{name}: done on {branch}, which nobody accepted; the base has it all the same.")
            else:
                self.told.append(f"{name}: done on {branch}, which nobody accepted: it is done again.")
                self._claim(row, plan, self.pending)
        elif _same(row.title) != _same(step.title):
            text = f"Row {row.number} says '{row.title[:80]}' is done; task {row.number} is '{step.title[:80]}'."
            hint = "Give the row the title of the task, or set it to pending."
            self._problem("other_task", text, file, line=row.line, hint=hint)
        elif why := self.absent.get((plan, row.number)):
            text = f"Task {row.number} is said to be done as {row.commit}, and {why}: it is done again."
            hint = "Where the work is there under another hash, put that one into the row."
            self._warn("commit_not_there", text, file, line=row.line, hint=hint)

    def _spec(self, file: PlanFile) -> tuple[Path | None, Spec]:
        assert self.plan_path is not None
        path = self.folder / "SPEC.md"
        if file.origin:
            named = PurePosixPath(file.origin)
            if named.is_absolute() or ".." in named.parts:
                text = f"The plan comes from '{file.origin}', which is no path below the project."
                self._problem("unsafe_path", text, self.plan_path, line=file.origin_line)
                return None, Spec()
            path = self.root / named
            if not path.is_file():
                text = f"The plan comes from {file.origin}, which is not there."
                hint = "Put it back, or take the line '> From: …' out."
                self._problem("missing_spec", text, self.plan_path, line=file.origin_line, hint=hint)
                return None, Spec()
        text_ = self._text(path) if path.is_file() else None
        if text_ is None:
            self.told.append("There is no SPEC.md: the weight is light.")
            return None, Spec()
        spec, found = read_spec(text_)
        self._take(found, path)
        self.files.append(str(path))
        return path, spec

    # -- the plan ---------------------------------------------------------------------------------

    def _plan(self, file: PlanFile, progress: Progress) -> Plan:
        spec_path, spec = self._spec(file)
        weight = progress.weight or (Weight.FULL if spec_path is not None else Weight.LIGHT)
        self.told.append(
            f"Weight: {weight}, {'as PROGRESS.md says' if progress.weight else 'by whether a spec is there'}."
        )
        done = {row.number: row for row in progress.rows if self._counts_as_done(row, progress)}
        steps = [step for step in file.steps if step.number not in done]
        self.counts["done"] = len(file.steps) - len(steps)
        assert self.plan_path is not None
        for row in done.values():
            self._claim(row, self.plan_path, self.landed)
        gates = runners_of(self.project, finder(self.project))
        self._tell_of_suite(gates)
        paths = self._named_files(spec_path, spec)
        shared = self._approach(file, spec_path, paths, spec.tests)
        background = self._not_ready(spec_path, spec)
        made = [self._task(step, weight, shared, spec.tests, gates) for step in steps]
        tasks = chained(made, {f"task-{s.number}" for s in steps if s.marked}, self.told)
        before = [f"{row.number}. {row.title} (commit {row.commit})" for row in done.values()]
        if before:
            background = [("Done before", "\n".join(before)), *background]
        tasks = [replace(task, background=tuple(background)) for task in tasks]
        self.steps = steps
        return Plan(
            plan=_slug(self.folder.resolve(), self.root),
            goal=file.objective or file.title,
            profile="sendit",
            success_criteria=file.criteria,
            defaults=Defaults(weight=weight),
            gates=gates,
            tasks=tuple(tasks),
            inferred=tuple(task.id for task in tasks if task.depends_on),
        )

    def _counts_as_done(self, row: Row, progress: Progress) -> bool:
        assert self.plan_path is not None
        known = {step.number for step in self.steps}
        return row.number in known and self._stands(row, progress, self.plan_path)

    def _tell_of_suite(self, gates: Sequence[GateSpec]) -> None:
        if not gates:
            self.told.append("No test runner was found: there is no final suite unless `commands.test` is set.")
        for gate in gates:
            self.told.append(f"Final suite: {gate.run.text}.")

    def _approach(self, file: PlanFile, spec_path: Path | None, paths: Sequence[str], tests: Sequence[str]) -> str:
        """What full weight is told besides the task: where spec and plan are, and what the plan says of the whole."""
        names = {"RESEARCH.md": "what research found", "GLOBAL.md": "what holds everywhere"}
        spec = self._below(spec_path) if spec_path is not None else ""
        where = [
            f"- `{path}`: {'the spec' if path == spec else names.get(PurePosixPath(path).name, 'the plan')}"
            for path in paths
        ]
        parts = [("Read first", "\n".join(where)), ("Objective", file.objective), ("Context", file.context)]
        parts += [*file.others, ("Tests of the spec, those of your task have to pass", _bulleted(tests))]
        return "\n\n".join(f"{title}:\n{text[:_TEXT_CHARS]}" for title, text in parts if text.strip())

    def _not_ready(self, spec_path: Path | None, spec: Spec) -> list[tuple[str, str]]:
        if spec_path is None or not spec.missing:
            return []
        missing = [f"{self._below(spec_path)}:{line}: {text}" for line, text in spec.missing]
        for text in missing:
            self.told.append(f"The spec is not ready, and only weight light does without: {text}.")
        return [(NOT_READY, "\n".join(missing))]

    def _named_files(self, spec_path: Path | None, spec: Spec) -> tuple[str, ...]:
        """What an agent is told to read; it is there in its workspace, also where git does not have it yet."""
        assert self.plan_path is not None
        paths = [self.plan_path, *([spec_path] if spec_path is not None else [])]
        common = self.root / "specs" / "GLOBAL.md"
        for path in (self.folder / "RESEARCH.md", common if spec_path is not None else None):
            if path is not None and path.is_file():
                paths.append(path)
                self.files.append(str(path))
        for name in spec.tests:
            safe = not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
            if safe and (self.project / name).is_file():
                self.files.append(str(self.project / name))
            elif not safe:
                self._problem(
                    "unsafe_path", f"The test file '{name}' is no path below the project.", spec_path or self.path
                )
        return tuple(dict.fromkeys(self._below(path) for path in paths))

    def _task(
        self,
        step: PlanStep,
        weight: Weight,
        approach: str,
        tests: Sequence[str],
        gates: Sequence[GateSpec],
    ) -> Task:
        ident = f"task-{step.number}"
        files = self._files(ident, step)
        writes = files.writes if files is not None else ()
        verify = verify_of(step.texts.get("verify", ""), [*writes, *tests], gates, finder(self.project))
        self.told += [f"{ident}: verify {text}" for text in verify.told]
        parts = [step.notes, step.texts.get("action", "")]
        parts += [f"Spec ref: {step.texts['spec ref']}"] if step.texts.get("spec ref") else []
        parts += [f"{name}: {text}" for name, text in step.texts.items() if name not in KNOWN]
        self.counts["open"] += 1
        return Task(
            id=ident,
            title=step.title,
            description="\n\n".join(part for part in parts if part),
            files=files,
            scope=Scope.STRICT,
            acceptance=verify.criteria,
            verify=verify.commands,
            weight=weight,
            approach=approach,
        )

    def _files(self, ident: str, step: PlanStep) -> Files | None:
        told: list[str] = []
        found = listed(step.texts.get("files", ""), told)
        self.told += [f"{ident}: {text}" for text in told]
        if not found:
            self.told.append(f"{ident}: lists no files: it is unscoped.")
            return None
        create = [path for path, is_new in found if is_new and not is_test(path)]
        modify = [path for path, is_new in found if not is_new and not is_test(path)]
        test = [path for path, _ in found if is_test(path)]
        return Files(create=tuple(create), modify=tuple(modify), test=tuple(test))

    def _locate(self, path: Where) -> Place | None:
        """The line of what a check says is wrong."""
        if path[:1] != ("tasks",) or len(path) < 2 or not isinstance(path[1], int) or path[1] >= len(self.steps):
            return None
        step = self.steps[path[1]]
        key = str(path[2]) if len(path) > 2 else ""
        inner = {"files": "files", "verify": "verify", "acceptance": "verify", "description": "action"}.get(key, "")
        return Place(step.lines.get(inner, step.line), 1, str(self.plan_path))


def _bulleted(paths: Sequence[str]) -> str:
    return "\n".join(f"- `{path}`" for path in paths)


def _same(title: str) -> str:
    return " ".join(re.sub(r"[`*_\\]", "", title).lower().split())


def _slug(folder: Path, root: Path) -> str:
    """The name of a plan: the path of its feature below `specs`."""
    parts = folder.relative_to(root).parts[1:] if folder != root else (folder.name,)
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts or (folder.name,)).lower()).strip("-")[:50] or "feature"
