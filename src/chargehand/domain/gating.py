"""What gate results mean: baseline, new failures, faults (SPEC 3.1, 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chargehand.domain.evidence import signature
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.domain.words import Failure, Reason

__all__ = ["GateVerdict", "gate_failure", "judge_gates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """`red` counts against the tree; `faults` could not judge; `advisory` were red on the base already.

    `green` are the ids of gates that passed though they were red on the base.
    """

    red: tuple[GateResult, ...] = ()
    faults: tuple[GateResult, ...] = ()
    advisory: tuple[GateResult, ...] = ()
    green: tuple[str, ...] = ()

    @property
    def is_green(self) -> bool:
        """Whether nothing stands against the tree."""
        return not self.red and not self.faults


def judge_gates(results: Sequence[GateResult], baseline: Mapping[str, GateResult]) -> GateVerdict:
    """Sort results by what they mean, given the gates that were red on the base."""
    red: list[GateResult] = []
    faults: list[GateResult] = []
    advisory: list[GateResult] = []
    green: list[str] = []
    for result in results:
        before = baseline.get(result.gate)
        if result.status is GateStatus.FAULT:
            faults.append(result)
        elif result.status is GateStatus.FAIL:
            (advisory if before is not None and not _is_worse(result, before) else red).append(result)
        elif result.status is GateStatus.PASS and before is not None:
            green.append(result.gate)
    return GateVerdict(red=tuple(red), faults=tuple(faults), advisory=tuple(advisory), green=tuple(green))


def _is_worse(result: GateResult, before: GateResult) -> bool:
    """With test ids only new failures count; without, a gate red on the base is advisory until first green."""
    if before.failed_tests is None:
        return False
    if not result.failed_tests:
        return True  # red without a failing test to compare: something else broke
    return bool(set(result.failed_tests) - set(before.failed_tests))


def gate_failure(verdict: GateVerdict, baseline: Mapping[str, GateResult]) -> Failure:
    """The failure that red gates are, for the next brief and for the same-failure rule."""
    first = verdict.red[0]
    names = ", ".join(result.gate for result in verdict.red)
    facts = []
    for result in verdict.red:
        known = baseline[result.gate].failed_tests if result.gate in baseline else ()
        new = [test for test in result.failed_tests or () if test not in (known or ())]
        facts.append(f"{result.gate}: {result.detail or f'exit code {result.exit_code}'} ({result.command})")
        facts += [f"failing: {test}" for test in new[:20]]
    return Failure(
        reason=Reason.GATE_RED,
        summary=f"Red: {names}.",
        signature=signature(Reason.GATE_RED, *(f"{r.gate}:{r.tail}" for r in verdict.red)),
        tail=first.tail,
        facts=tuple(facts),
        severity=len(verdict.red),
    )
