"""Which checks are due, and what their results mean: baseline, new failures, faults (SPEC 3.1, 5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from chargehand.domain.evidence import signature
from chargehand.domain.outcome import FaultKind, GateResult, GateStatus
from chargehand.domain.plan import GatePoint, Plan, Task, TaskType
from chargehand.domain.state import TaskRecord
from chargehand.domain.words import Failure, Reason

__all__ = [
    "FINDINGS",
    "OVERLAY",
    "RED_FIRST",
    "GateVerdict",
    "check_of",
    "due_checks",
    "gate_failure",
    "judge_gates",
    "tree_to_judge",
    "verifies",
    "verify_ids",
]

_STAGE = {GatePoint.TASK: 200, GatePoint.INTEGRATE: 100}
"""Red as merged is nearer to the branch than red on its own tree."""


RED_FIRST = "red-first"
"""The check that the tests of a change failed without it (SPEC 3.7.4)."""

OVERLAY = "overlay"
"""The check that the tests of the base pass on the change."""

FINDINGS = frozenset({RED_FIRST})
"""Checks that are a finding where reviews are on: the reviewer is told, and judges."""


# -- what is due ----------------------------------------------------------------------------------


def verify_ids(task: Task) -> tuple[str, ...]:
    """The ids of a task's own commands, in order."""
    return tuple(f"verify-{number}" for number, _ in enumerate(task.verify, start=1))


def due_checks(plan: Plan, point: GatePoint, task: Task | None = None, beside: Sequence[Task] = ()) -> tuple[str, ...]:
    """The ids of the checks of a point, in order: the verify commands of `task`, if any, then the gates.

    Those of tasks that land `beside` it come between, each under the name of its task.
    """
    own = verify_ids(task) if task is not None else ()
    own += tuple(check_of(other.id, name) for other in beside for name in verify_ids(other))
    if task is not None and point is GatePoint.TASK:
        own = (*own, *((RED_FIRST,) if task.type is TaskType.TDD else ()), *((OVERLAY,) if task.overlay else ()))
    return (*own, *(gate.id for gate in plan.gates_on(point)))


def check_of(task: str, check: str) -> str:
    """What a task's own check is called among those of other tasks."""
    return f"{task}/{check}"


def verifies(record: TaskRecord, point: GatePoint) -> bool:
    """Whether the task's own commands belong to the checks: on a candidate only where its tree is a new one."""
    return point is GatePoint.TASK or tree_to_judge(record, point) != tree_to_judge(record, GatePoint.TASK)


def tree_to_judge(record: TaskRecord, point: GatePoint) -> str:
    """The tree that the checks of a point are about."""
    judged = record.sealed if point is GatePoint.TASK else record.candidate
    assert judged is not None
    return judged.tree


# -- what it means --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """`red` counts against the tree; `faults` could not judge; `advisory` were red on the base already.

    `passed` are the ids of checks that passed, `green` those among them that were red on the base.
    """

    red: tuple[GateResult, ...] = ()
    faults: tuple[GateResult, ...] = ()
    advisory: tuple[GateResult, ...] = ()
    green: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()

    @property
    def is_green(self) -> bool:
        """Whether nothing stands against the tree."""
        return not self.red and not self.faults


def judge_gates(
    results: Sequence[GateResult],
    baseline: Mapping[str, GateResult],
    due: Sequence[str],
    tree: str,
    told: Collection[str] = (),
) -> GateVerdict:
    """Sort results by what they mean, given those red on the base; checks `told` to reviewers are advisory.

    A result counts for its own tree only [I7], and a check that is due is green only by a result: silence is a fault.
    """
    red: list[GateResult] = []
    faults: list[GateResult] = []
    advisory: list[GateResult] = []
    green: list[str] = []
    judged = [result for result in results if result.tree == tree]
    for result in judged:
        before = baseline.get(result.gate)
        if result.status is GateStatus.FAULT:
            faults.append(result)
        elif result.status is GateStatus.FAIL:
            known = before is not None and not _is_worse(result, before)
            (advisory if known or result.gate in told else red).append(result)
        elif result.status is GateStatus.PASS and before is not None:
            green.append(result.gate)
    if not red and not faults:
        faults += _silent(due, judged, tree)
    passed = tuple(result.gate for result in judged if result.status is GateStatus.PASS)
    return GateVerdict(
        red=tuple(red), faults=tuple(faults), advisory=tuple(advisory), green=tuple(green), passed=passed
    )


def _silent(due: Sequence[str], judged: Sequence[GateResult], tree: str) -> list[GateResult]:
    ran = {result.gate for result in judged}
    return [
        GateResult(
            gate=gate,
            tree=tree,
            status=GateStatus.FAULT,
            fault=FaultKind.AMBIGUOUS,
            detail="There is no result for this tree.",
        )
        for gate in due
        if gate not in ran
    ]


def _is_worse(result: GateResult, before: GateResult) -> bool:
    """With test ids only new failures count; without, a gate red on the base is advisory until first green."""
    if result.vanished:
        return True
    if before.failed_tests is None:
        return False
    if not result.failed_tests:
        return True  # red without a failing test to compare: something else broke
    return bool(set(result.failed_tests) - set(before.failed_tests))


def gate_failure(
    verdict: GateVerdict,
    baseline: Mapping[str, GateResult],
    point: GatePoint,
    due: Sequence[str],
    beside: Sequence[str] = (),
) -> Failure:
    """The failure that red gates are, for the next brief and for the same-failure rule.

    `beside` are the tasks that were merged before it in its group, and are green without it.
    """
    first = verdict.red[0]
    names = ", ".join(result.gate for result in verdict.red)
    facts = []
    for result in verdict.red:
        known = baseline[result.gate].failed_tests if result.gate in baseline else ()
        new = [test for test in result.failed_tests or () if test not in (known or ())]
        facts.append(f"{result.gate}: {result.detail or f'exit code {result.exit_code}'} ({result.command})")
        facts += [f"failing: {test}" for test in new[:20]]
    facts += [f"It is red as merged with {', '.join(beside)}; without this task they are green."] * bool(beside)
    return Failure(
        reason=Reason.GATE_RED,
        summary=f"Red: {names}.",
        signature=signature(Reason.GATE_RED, *(f"{r.gate}:{r.tail}" for r in verdict.red)),
        tail=first.tail,
        facts=tuple(facts),
        severity=_STAGE.get(point, 0) + len(due) - _reached(verdict, due),
        passed=verdict.passed,
        red=tuple(result.gate for result in verdict.red),
    )


def _reached(verdict: GateVerdict, due: Sequence[str]) -> int:
    """How many checks in a row are not red: what stands in front of the checks (setup, syntax) lets none count."""
    red = {result.gate for result in verdict.red}
    return next((number for number, check in enumerate(due) if check in red), 0)
