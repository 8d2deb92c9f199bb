"""What `check` and `run` do first: find the plan, read it, and find everything that is wrong with it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.cli.call import NO_REPOSITORY, Call
from chargehand.cli.render.checked import check_lines
from chargehand.domain.check import Survey, World, programs_of
from chargehand.domain.errors import UserError
from chargehand.domain.problem import Problem, Severity
from chargehand.plans.checking import check_loaded, survey_document
from chargehand.plans.detect import read_plan
from chargehand.settings import Rank, Settings, load_settings, merge_into

if TYPE_CHECKING:
    from chargehand.domain.plan import Plan
    from chargehand.plans.loaded import LoadedPlan
    from chargehand.wiring import Workshop

__all__ = ["Surveyed", "print_check", "read_claimed", "survey_alone", "survey_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """A plan that was read and checked."""

    loaded: LoadedPlan
    found: Survey

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What stops a run."""
        return tuple(problem for problem in self.found.problems if problem.is_error)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is said and gone past."""
        return tuple(problem for problem in self.found.problems if not problem.is_error)


async def survey_plan(workshop: Workshop, path: Path | None, base: str | None = None) -> Surveyed:
    """Read and check the plan that is meant; without a path, the one at the known places."""
    from chargehand.wiring.plan_places import below_root
    from chargehand.wiring.profiling import kept_files
    from chargehand.wiring.runners import missing_runners

    loaded = await workshop.load_plan_at(path, base or "HEAD")
    subject = loaded.plan or loaded.draft
    if subject is None:
        return _surveyed(loaded, check_loaded(loaded), workshop.settings)
    commit = await workshop.repository.resolve(base or "HEAD")
    found = check_loaded(loaded, await workshop.world(subject, commit))
    ahead = _ahead(subject, workshop.settings, workshop.cwd, loaded.source)
    ahead += await missing_runners(subject, workshop.environ, workshop.cwd, loaded.source)
    root = workshop.repository.root or workshop.cwd
    source = workshop.cwd / loaded.source
    kept = loaded.placed([*below_root(loaded, source, root), *kept_files(subject, source, root)])
    return _surveyed(loaded, found, workshop.settings, *ahead, *_dangers(subject, workshop.settings, loaded), *kept)


async def read_claimed(call: Call, path: Path | None) -> LoadedPlan:
    """The plan as its source has it; what that says is done is done where HEAD has it, as for `check` and `run`."""
    try:
        workshop = await call.open()
    except UserError as error:
        if error.code not in NO_REPOSITORY or call.repo is not None:
            raise
        return read_plan(path, Path.cwd())
    return await workshop.read_plan_at(path, "HEAD")


def _surveyed(loaded: LoadedPlan, found: Survey, settings: Settings, *more: Problem) -> Surveyed:
    """Problems in the order of the file, those without a line last; those of the settings name theirs."""
    placed = sorted((_placed(problem, settings) for problem in (*found.problems, *more)), key=_order)
    return Surveyed(loaded=loaded, found=replace(found, problems=tuple(placed)))


def _placed(problem: Problem, settings: Settings) -> Problem:
    """A problem without a file is about what the settings joined with the plan: its file is theirs."""
    if problem.file is not None or not problem.path:
        return problem
    key = str(problem.path[0])
    value = settings.values.get(key) or next((v for k, v in settings.values.items() if k.startswith(f"{key}.")), None)
    if value is None or value.rank not in {Rank.USER, Rank.PROJECT}:
        return problem
    file, _, line = value.source.rpartition(":")
    return replace(problem, file=file or value.source, line=int(line) if file and line.isdigit() else None)


def _order(problem: Problem) -> tuple[bool, int, int]:
    return problem.line is None, problem.line or 0, problem.column or 0


def survey_alone(call: Call, path: Path | None, why: UserError) -> Surveyed:
    """The same where there is no repository to run in: `check` still finds what is wrong with the plan."""
    from chargehand.wiring.profiling import kept_files

    here = Path.cwd()
    settings = load_settings(here, os.environ, call.sets, call.flags)
    loaded = read_plan(path, here)
    if loaded.plan is not None:
        loaded = replace(loaded, plan=merge_into(loaded.plan, settings, loaded.stated))
    subject = loaded.plan or loaded.draft
    if subject is None:
        return _surveyed(loaded, check_loaded(loaded), settings)
    named = programs_of(subject)
    world = World(
        programs=frozenset(name for name in named if shutil.which(name)),
        files=frozenset(name.removeprefix("./") for name in named if "/" in name and (here / name).is_file()),
    )
    found = check_loaded(loaded, world)
    text = f"{why.message} `run` needs a repository with a commit."
    missing = Problem(code=why.code, message=text, severity=Severity.WARNING, hint=why.hint)
    ahead = _ahead(subject, settings, here, loaded.source)
    kept = loaded.placed(kept_files(subject, here / loaded.source, here))
    return _surveyed(loaded, found, settings, *ahead, *_dangers(subject, settings, loaded), *kept, missing)


def _dangers(plan: Plan, settings: Settings, loaded: LoadedPlan) -> list[Problem]:
    """The commands a run will ask about, and the keys that the plan must not hand out."""
    from chargehand.wiring.questioning import agreed, dangers_ahead, keys_handed_out

    errors = loaded.placed(keys_handed_out(plan, settings, loaded.source))
    return [*errors, *dangers_ahead(plan, loaded.source, agreed(settings))]


def _ahead(plan: Plan, settings: Settings, cwd: Path, source: str) -> list[Problem]:
    """What `run` would refuse here though the plan itself is sound: a warning, for others may have it."""
    from chargehand.profiles import profile_of
    from chargehand.wiring.casting import cast

    found = []
    try:
        profile_of(plan.profile)
        if plan.tasks:
            cast(plan, settings, cwd)
    except UserError as error:
        found.append(
            Problem(code=error.code, message=error.message, severity=Severity.WARNING, hint=error.hint, file=source)
        )
    return found


def print_check(call: Call, surveyed: Surveyed, path: Path | None) -> int:
    """What `check` and `run --dry-run` print; 2 when there are errors. Without a path it says which plan it took."""
    if path is None:
        call.out.note(f"taking {surveyed.loaded.source}")
    if call.out.json:
        call.out.document(survey_document(surveyed.loaded, surveyed.found))
    else:
        pen = call.pen
        call.out.say(*check_lines(surveyed.loaded, surveyed.found, pen))
    return 2 if surveyed.errors else 0
