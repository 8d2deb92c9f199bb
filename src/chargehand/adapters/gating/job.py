"""One job from checkout to results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from chargehand.adapters.gate_cache import Entry
from chargehand.adapters.gating.aside import overlay, red_first
from chargehand.adapters.gating.fingerprint import Fingerprint, TreeFacts, fingerprints, turns
from chargehand.adapters.gating.parts import GateParts, Site, open_site
from chargehand.adapters.gating.runner import Ran, Runner
from chargehand.adapters.gating.syntax import Syntax
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.ports import Check, GateJob

__all__ = ["Job"]


class Job:
    """Runs the checks of a job in the order and the checkouts they are due in.

    A result of the cache stands for a run; where all do, no checkout is made. `aside` is for trees of our own making.
    """

    def __init__(self, parts: GateParts, job: GateJob, facts: TreeFacts, aside: str = "") -> None:
        self._parts = parts
        self._job = job
        self._facts = facts
        self._runner = Runner(parts, job, aside)
        self._syntax = Syntax(parts, job, self._runner)
        self._results: list[GateResult] = []
        self._known: dict[str, Fingerprint] = {}
        self._hits: dict[str, GateResult] = {}
        self._was_set_up = False
        self._to_parse = self._syntax.is_due

    async def run(self) -> tuple[GateResult, ...]:
        """One result per check that was run."""
        self._runner.open()
        self._known = await fingerprints(self._parts, self._facts, self._job) if self._job.checks else {}
        self._hits = await self._look_up()
        due = turns(self._job)
        if self._to_parse and not self._job.setup and not self._is_to_run(due[0]):
            await self._parse_alone()
        for checks in due:
            if self._is_over():
                break
            await self._take_turn(checks)
        await self._go_aside()
        return tuple(self._results)

    def _is_over(self) -> bool:
        """Whether nothing more is to be run: setup failed, or one red check was enough."""
        return any(_broke_off(result) for result in self._results) or (self._job.stop_early and _stops(self._results))

    def _is_to_run(self, checks: Sequence[Check]) -> bool:
        return any(check.id not in self._hits for check in checks)

    # -- a turn

    async def _take_turn(self, checks: Sequence[Check]) -> None:
        """Run checks that share a checkout; after a failure that is to be confirmed, go on in a second one."""
        only_setup = not self._job.checks and self._job.setup is not None
        if not (self._is_to_run(checks) or self._to_parse or only_setup):
            await self._run_from(None, checks, 0, None)
            return
        place, failed = 0, None
        while True:
            async with open_site(self._parts, self._job) as site:
                if not await self._make_ready(site):
                    self._results += [failed.result] if failed is not None else []
                    return
                for check in checks[:place]:  # they may make what it needs
                    await self._runner.check(site, check, self._known[check.id], again=True)
                place, failed = await self._run_from(site, checks, place, failed)
            if failed is None:
                return

    async def _run_from(
        self, site: Site | None, checks: Sequence[Check], place: int, failed: Ran | None
    ) -> tuple[int, Ran | None]:
        """Run the checks from a place on, of which the first has `failed` before.

        Answers where one failed that is to be run once more in a fresh checkout, with that run.
        """
        for at, check in enumerate(checks[place:], start=place):
            if self._is_over():
                break
            if check.id in self._hits:
                self._results.append(await self._runner.told(self._hits[check.id], time.time()))
                continue
            assert site is not None
            before, failed = failed, None
            ran = await self._runner.check(
                site,
                check,
                self._known[check.id],
                again=before is not None,
                failed=before.result if before is not None else None,
            )
            if before is None and check.rerun and ran.result.status is GateStatus.FAIL:
                return at, ran
            self._results.append(ran.result)
            await self._keep(checks[: at + 1], ran)
        return len(checks), None

    async def _make_ready(self, site: Site) -> bool:
        """Set up a checkout, and parse what changed in the first one; whether checks can run there."""
        prepared = await self._runner.prepare(site)
        good = prepared is None or prepared.status is GateStatus.PASS
        if prepared is not None and not self._was_set_up:
            self._results.insert(0, prepared)
        elif prepared is not None and not good:
            self._results.append(prepared)
        self._was_set_up = True
        if good and self._to_parse:
            self._to_parse = False
            started_at = time.time()
            self._results.append(await self._runner.told(await self._syntax.in_site(site), started_at))
        return good

    async def _parse_alone(self) -> None:
        started_at = time.time()
        alone = await self._syntax.alone()
        if alone is not None:
            self._to_parse = False
            self._results.append(await self._runner.told(alone, started_at))

    # -- aside

    async def _go_aside(self) -> None:
        """What the tests of the change say about its base, and those of its base about the change."""
        if self._job.red_first and not self._is_over():
            started_at = time.time()
            result = await red_first(self._parts, self._job, self._results, self._play)
            self._results.append(await self._runner.told(result, started_at))
        if self._job.overlay and not self._is_over():
            started_at = time.time()
            result = await overlay(self._parts, self._job, self._play)
            self._results.append(await self._runner.told(result, started_at))

    async def _play(self, job: GateJob, aside: str) -> tuple[GateResult, ...]:
        return await Job(self._parts, job, self._facts, aside).run()

    # -- the cache

    async def _look_up(self) -> dict[str, GateResult]:
        """The results that stand for a run; of checks that share a checkout, and build on each other, all or none."""
        cache = self._parts.cache
        if cache is None or not self._job.cache:
            return {}
        hits: dict[str, GateResult] = {}
        for checks in turns(self._job):
            found: dict[str, GateResult] = {}
            for check in checks:
                known = self._known[check.id]
                entry = await asyncio.to_thread(cache.get, known.key)
                if entry is None or (entry.base != known.base and await self._facts.mentions_base(self._job.tree)):
                    break
                result = await self._runner.from_cache(check, entry)
                if result is None:
                    break
                found[check.id] = result
            else:
                hits |= found
        return hits

    async def _keep(self, done: Sequence[Check], ran: Ran) -> None:
        """Keep a clean pass of the last of these checks, all of one checkout.

        Not where one before it was not clean, or what it ran in was another thing at its end than at its beginning.
        """
        cache, result = self._parts.cache, ran.result
        if cache is None or not self._job.cache or not ran.is_clean:
            return
        earlier = {check.id for check in done[:-1]}
        if any(each.gate in earlier and (each.flaky or each.status is not GateStatus.PASS) for each in self._results):
            return
        now = await fingerprints(self._parts, self._facts, replace(self._job, checks=tuple(done)))
        if now[result.gate].key != self._known[result.gate].key:
            return
        entry = Entry(
            run=self._job.run,
            tail=result.tail,
            wall_s=result.wall_s,
            output_sha256=result.output_sha256,
            environment=result.environment,
            base=self._known[result.gate].base,
            tests=ran.ids,
        )
        await asyncio.to_thread(cache.put, self._known[result.gate].key, entry)


def _broke_off(result: GateResult) -> bool:
    return result.gate == "setup" and result.status is not GateStatus.PASS


def _stops(results: Sequence[GateResult]) -> bool:
    return any(result.status in (GateStatus.FAIL, GateStatus.FAULT) for result in results)
