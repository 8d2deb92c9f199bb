"""One job from checkout to results."""

from __future__ import annotations

from collections.abc import Sequence

from chargehand.adapters.gating.parts import GateParts, Site, open_site
from chargehand.adapters.gating.runner import Runner
from chargehand.adapters.gating.syntax import Syntax
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.ports import Check, GateJob

__all__ = ["Job"]


class Job:
    """Runs the checks of a job in the order and the checkouts they are due in."""

    def __init__(self, parts: GateParts, job: GateJob) -> None:
        self._parts = parts
        self._job = job
        self._runner = Runner(parts, job)
        self._syntax = Syntax(parts, job, self._runner)

    async def run(self) -> tuple[GateResult, ...]:
        """One result per check that was run."""
        self._runner.open()
        if self._syntax.is_due and not self._job.checks and self._job.setup is None:
            alone = await self._syntax.alone()
            if alone is not None:
                return (alone,)
        results: list[GateResult] = []
        for number, checks in enumerate(_turns(self._job)):
            if any(_broke_off(result) for result in results) or (self._job.stop_early and _stops(results)):
                break
            async with open_site(self._parts, self._job) as site:
                await self._take_turn(site, checks, results, first=number == 0)
        return tuple(results)

    async def _take_turn(self, site: Site, checks: Sequence[Check], results: list[GateResult], *, first: bool) -> None:
        prepared = await self._runner.prepare(site)
        if prepared is not None and (first or prepared.status is not GateStatus.PASS):
            results.append(prepared)
        if prepared is not None and prepared.status is not GateStatus.PASS:
            return
        if first and self._syntax.is_due:
            results.append(await self._syntax.in_site(site))
        for check in checks:
            if self._job.stop_early and _stops(results):
                return
            results.append(await self._runner.check(site, check))


def _turns(job: GateJob) -> list[tuple[Check, ...]]:
    """Which checks share a checkout: a task's verify commands build on each other, a gate has one of its own.

    What runs in a check was written by agents, and may write where the next one looks [I7]. Where setup keeps nothing
    it would run anew for every gate, so there they share one.
    """
    if job.setup is not None and not job.setup.keep:
        return [job.checks]
    verify = tuple(check for check in job.checks if check.id.startswith("verify-"))
    gates: list[tuple[Check, ...]] = [(check,) for check in job.checks if check not in verify]
    return [verify, *gates] if verify or not gates else gates


def _broke_off(result: GateResult) -> bool:
    return result.gate == "setup" and result.status is not GateStatus.PASS


def _stops(results: Sequence[GateResult]) -> bool:
    return any(result.status in (GateStatus.FAIL, GateStatus.FAULT) for result in results)
