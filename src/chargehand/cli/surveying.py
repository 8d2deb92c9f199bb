"""What `check` and `run` do first: find the plan, read it, and find everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.cli.call import Call
from chargehand.cli.render.checked import check_lines
from chargehand.cli.render.pen import Pen
from chargehand.domain.check import Survey
from chargehand.domain.errors import UserError
from chargehand.domain.problem import Problem, Severity
from chargehand.plans.checking import check_loaded, survey_document

if TYPE_CHECKING:
    from chargehand.domain.plan import Plan
    from chargehand.plans.loaded import LoadedPlan
    from chargehand.wiring import Workshop

__all__ = ["Surveyed", "print_check", "survey_plan"]


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


async def survey_plan(call: Call, workshop: Workshop, path: Path | None, base: str | None = None) -> Surveyed:
    """Read and check the plan that is meant; without a path it says which one it took."""
    loaded = workshop.load_plan(path)
    if path is None:
        call.out.note(f"taking {loaded.source}")
    subject = loaded.plan or loaded.draft
    world = await workshop.world(subject, base or "HEAD") if subject else None
    found = check_loaded(loaded, world)
    if subject is not None:
        found = replace(found, problems=(*found.problems, *_ahead(workshop, subject, loaded.source)))
    return Surveyed(loaded=loaded, found=found)


def _ahead(workshop: Workshop, plan: Plan, source: str) -> list[Problem]:
    """What `run` would refuse here though the plan itself is sound: a warning, for others may have it."""
    from chargehand.wiring.starting import settle_agents

    found = []
    if plan.profile != "house":
        text = f"Profile {plan.profile} is not in this version: `run` refuses it."
        found.append(Problem(code="profile_unavailable", message=text, severity=Severity.WARNING, file=source))
    try:
        if plan.tasks:
            settle_agents(plan, workshop.settings, workshop.cwd)
    except UserError as error:
        found.append(
            Problem(code=error.code, message=error.message, severity=Severity.WARNING, hint=error.hint, file=source)
        )
    return found


def print_check(call: Call, surveyed: Surveyed) -> int:
    """What `check` and `run --dry-run` print; 2 when there are errors."""
    if call.out.json:
        call.out.document(survey_document(surveyed.loaded, surveyed.found))
    else:
        pen = Pen(colour=call.out.colour, width=call.out.width)
        call.out.say(*check_lines(surveyed.loaded, surveyed.found, pen))
    return 2 if surveyed.errors else 0
