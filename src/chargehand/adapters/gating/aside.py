"""Red first and overlay: what the checks say where the tests of one commit lie over another (SPEC 3.7, item 4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from chargehand.adapters.gating.fingerprint import is_verify
from chargehand.adapters.gating.ids import read_ids
from chargehand.adapters.gating.parts import GateParts
from chargehand.adapters.gating.trees import lay_over, tests_of_base, tests_of_change
from chargehand.adapters.junit import TestIds
from chargehand.domain.outcome import FaultKind, GateResult, GateStatus
from chargehand.ports import Check, GateJob

__all__ = ["OVERLAY", "RED_FIRST", "overlay", "red_first"]

RED_FIRST = "red-first"
OVERLAY = "overlay"
_NAMED = 20
_NO_CHECK = "There is no check that could run them: no verify command, and no gate with test ids."

Play = Callable[[GateJob, str], Awaitable[tuple[GateResult, ...]]]
"""Runs the job on a tree aside, whose name is given."""


async def red_first(parts: GateParts, job: GateJob, results: Sequence[GateResult], play: Play) -> GateResult:
    """Whether the tests of the change fail on its base; `results` are those of the change itself."""
    tests = await tests_of_change(parts.repository, job)
    if not tests:
        nothing = "The change has no test files: test-driven work is proved by its own tests."
        return replace(_skipped(job, RED_FIRST, nothing), status=GateStatus.FAIL)
    checks = tuple(replace(check, baseline="", rerun=False) for check in _telling(job))
    if not checks:
        return _skipped(job, RED_FIRST, _NO_CHECK)
    message = f"The tests of {job.commit} on their base\n"
    async with lay_over(parts.repository, job.base, tests, message) as laid:
        inner = _inner(job, checks, laid.commit, laid.tree)
        inner = replace(inner, cache=False, stop_early=not any(check.junit for check in checks))
        ran = await play(inner, RED_FIRST)
    return _judge_red(parts, job, ran, results)


async def overlay(parts: GateParts, job: GateJob, play: Play) -> GateResult:
    """Whether the change passes with the tests of its base."""
    tests = await tests_of_base(parts.repository, job)
    if not tests:
        return _skipped(job, OVERLAY, "The change leaves the tests of its base as they are.")
    checks = _telling(job)
    if not checks:
        return _skipped(job, OVERLAY, _NO_CHECK)
    async with lay_over(parts.repository, job.commit, tests, f"The tests of {job.base} on {job.commit}\n") as laid:
        ran = await play(replace(_inner(job, checks, laid.commit, laid.tree), stop_early=False), OVERLAY)
    return _judge_overlay(parts, job, ran)


def _telling(job: GateJob) -> tuple[Check, ...]:
    """The checks that run tests: a task's own commands, and gates that tell test ids."""
    return tuple(check for check in job.checks if is_verify(check) or check.junit)


def _inner(job: GateJob, checks: tuple[Check, ...], commit: str, tree: str) -> GateJob:
    return replace(job, checks=checks, commit=commit, tree=tree, syntax=False, red_first=False, overlay=False)


# -- what it means --------------------------------------------------------------------------------


def _judge_red(parts: GateParts, job: GateJob, ran: Sequence[GateResult], results: Sequence[GateResult]) -> GateResult:
    early = _already_green(parts, job, ran, results)
    told = f" New tests that pass on the base already: {_some(early)}." if early else ""
    red = _first_new_failure(parts, job, ran)
    if red is not None:
        return _summary(
            job, RED_FIRST, ran, red, GateStatus.PASS, f"{red.gate} failed on the base, as it should.{told}"
        )
    fault = _fault(ran)
    if fault is not None:
        why = f"Nobody can tell whether the tests of the change failed before: {fault.gate}: {fault.detail}"
        return _summary(job, RED_FIRST, ran, fault, GateStatus.FAULT, why)
    why = f"The tests of the change pass on its base: tests that never failed prove nothing.{told}"
    return _summary(job, RED_FIRST, ran, ran[-1], GateStatus.FAIL, why)


def _judge_overlay(parts: GateParts, job: GateJob, ran: Sequence[GateResult]) -> GateResult:
    red = _first_new_failure(parts, job, ran)
    fault = _fault(ran)
    if red is not None:
        why = f"{red.gate} fails with the tests of the base: {red.detail}"
        return _summary(job, OVERLAY, ran, red, GateStatus.FAIL, why)
    if fault is not None:
        return _summary(job, OVERLAY, ran, fault, GateStatus.FAULT, f"{fault.gate}: {fault.detail}")
    return _summary(job, OVERLAY, ran, ran[-1], GateStatus.PASS, "")


def _first_new_failure(parts: GateParts, job: GateJob, ran: Sequence[GateResult]) -> GateResult | None:
    """The first check that is red for another reason than tests that failed on the base already."""
    for result in ran:
        if result.status is not GateStatus.FAIL or result.gate == "setup":
            continue
        before = _baseline(parts, job, result.gate)
        known = set(before.failed) if before else set()
        if not result.failed_tests or result.vanished or set(result.failed_tests) - known:
            return result
    return None


def _fault(ran: Sequence[GateResult]) -> GateResult | None:
    """What kept the checks from judging; a setup that fails is such a thing, too."""
    return next(
        (r for r in ran if r.status is GateStatus.FAULT or (r.gate, r.status) == ("setup", GateStatus.FAIL)), None
    )


def _already_green(
    parts: GateParts, job: GateJob, ran: Sequence[GateResult], results: Sequence[GateResult]
) -> list[str]:
    """Tests that only the change has, and that passed with the code of its base."""
    found: set[str] = set()
    for result in ran:
        there = next((each for each in results if each.gate == result.gate and each.tests), None)
        before = _baseline(parts, job, result.gate)
        if there is None or before is None or not result.tests:
            continue
        now, on_base = read_ids(parts.folder, there.tests), read_ids(parts.folder, result.tests)
        if now is not None and on_base is not None:
            found |= set(on_base.passed) & (_all(now) - _all(before))
    return sorted(found)


def _baseline(parts: GateParts, job: GateJob, gate: str) -> TestIds | None:
    name = next((check.baseline for check in job.checks if check.id == gate), "")
    return read_ids(parts.folder, name) if name else None


def _all(ids: TestIds) -> set[str]:
    return {*ids.passed, *ids.failed, *ids.skipped}


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _skipped(job: GateJob, gate: str, why: str) -> GateResult:
    return GateResult(gate=gate, tree=job.tree, status=GateStatus.SKIPPED, detail=why)


def _summary(
    job: GateJob, gate: str, ran: Sequence[GateResult], shown: GateResult, status: GateStatus, detail: str
) -> GateResult:
    """One result for all that was run aside: `shown` is the one that decided."""
    fault = (shown.fault or FaultKind.AMBIGUOUS) if status is GateStatus.FAULT else None
    return replace(
        shown,
        gate=gate,
        tree=job.tree,
        status=status,
        fault=fault,
        detail=detail[:2000],
        failed_tests=shown.failed_tests if status is GateStatus.FAIL else None,
        wall_s=sum(result.wall_s for result in ran),
        flaky=tuple(dict.fromkeys(name for result in ran for name in result.flaky)),
        tests="",
    )
