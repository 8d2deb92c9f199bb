"""The round of the doctor: what is looked at, in which order."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chargehand.domain.errors import ChargehandError
from chargehand.domain.plan import Plan
from chargehand.domain.words import RunVerdict
from chargehand.wiring.doctor.branch import look_at_branch, look_at_work
from chargehand.wiring.doctor.case import Case, case_of
from chargehand.wiring.doctor.finding import Finding, words_of
from chargehand.wiring.doctor.journals import look_at_journal
from chargehand.wiring.doctor.leftovers import look_at_leftovers, look_at_processes
from chargehand.wiring.doctor.locks import look_at_lock
from chargehand.wiring.doctor.machine import look_at_machine
from chargehand.wiring.doctor.oddities import look_at_files, look_at_state
from chargehand.wiring.doctor.programs import look_at_agents, look_at_programs, needs_of_plan, needs_of_run
from chargehand.wiring.doctor.standing import look_at_standing
from chargehand.wiring.doctor.unknown import look_for_unknown_work
from chargehand.wiring.doctor.workspaces import look_at_workspaces

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Subject", "examine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is asked about besides machine and repository: a plan, one run (None: all of them), or neither."""

    plan: Plan | None = None
    run: str | None = None


async def examine(shop: Workshop, subject: Subject) -> list[Finding]:
    """Every finding, by area: machine, agents and programs, runs, and what is left of them."""
    found = await _looked("this machine", look_at_machine(shop))
    runs = [subject.run] if subject.run is not None else shop.store.runs()
    about_runs: list[Finding] = []
    over: set[str] = set()
    for run in runs:
        broken, case = await _case(shop, run)
        about_runs += broken
        if case is None:
            continue
        about_runs += await _look_at_run(case, asked=subject.run is not None)
        if subject.run is not None:
            found += await _looked("programs", _look_at_needs(case))
        if case.is_over:
            over.add(run)
    if subject.run is not None:
        return found + about_runs + look_at_processes(shop, runs)
    found += look_at_agents(shop, shop.settings.agents)
    if subject.plan is not None:
        needs = needs_of_plan(shop, subject.plan)
        found += await _looked("programs", look_at_programs(shop, needs, shop.settings.agents))
    found += about_runs + look_at_state(shop) + look_at_processes(shop, runs)
    found += await _looked("workspaces", look_at_workspaces(shop, over))
    return found + await _looked("leftovers", look_at_leftovers(shop, over))


async def _looked(area: str, look: Awaitable[list[Finding]]) -> list[Finding]:
    """What was found; where looking itself fails, that is the finding: the rest is looked at all the same."""
    try:
        return await look
    except (ChargehandError, OSError) as error:
        text = f"this could not be looked at: {words_of(error)}"
        return [Finding(area=area, name="look", ok=False, text=text)]


async def _case(shop: Workshop, run: str) -> tuple[list[Finding], Case | None]:
    """What is wrong with the files of a run; the run itself, where it can be read."""
    odd = look_at_files(shop, run)
    if any(finding.ok is False for finding in odd):
        return odd, None
    broken = await _looked(f"run {run}", look_at_journal(shop, run))
    if any(finding.ok is False for finding in broken):
        return [*odd, *broken], None
    return [*odd, *broken], case_of(shop, run)


async def _look_at_run(case: Case, *, asked: bool) -> list[Finding]:
    return [
        *await _looked(case.area, look_at_standing(case, asked=asked)),
        *look_at_lock(case),
        *await _looked(case.area, look_at_branch(case)),
        *await _looked(case.area, look_at_work(case)),
        *await _looked(case.area, look_for_unknown_work(case)),
    ]


async def _look_at_needs(case: Case) -> list[Finding]:
    """Agents and programs of a run, as it was started; one that made it starts no agent any more."""
    finished = case.state.finished
    made_it = case.state.accepted is not None or (finished is not None and finished.verdict is RunVerdict.FINISHED)
    agents = () if made_it else case.state.options.agents
    return look_at_agents(case.shop, agents) + await look_at_programs(case.shop, needs_of_run(case.state), agents)
