"""What became of each finding: a remark of a reviewer, from the round that raised it to how it stands in the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from chargehand.domain.events import ReviewFailed, ReviewPassed, ReviewVoided
from chargehand.domain.review import Criterion, Finding, Parked, Probe, Ruling, Stage
from chargehand.report.history import Anew, Step

__all__ = ["Standing", "Tracked", "TrackedCriterion", "track"]


class Standing(StrEnum):
    """How a finding stands. `left`: the change it was about was begun anew, and nobody judged it again."""

    OPEN = "open"
    RESOLVED = "resolved"
    PARKED = "parked"
    LATE = "late"
    LEFT = "left"


@dataclass(slots=True, kw_only=True)
class Tracked:
    """A finding with the round that raised it (`attempt` is the reviewer's)."""

    stage: Stage
    finding: Finding
    attempt: int
    standing: Standing = Standing.OPEN
    ruling: Ruling | None = None
    probe: Probe | None = None


@dataclass(slots=True, kw_only=True)
class TrackedCriterion:
    """An acceptance criterion that a reviewer found not met."""

    stage: Stage
    criterion: Criterion
    attempt: int
    standing: Standing = Standing.OPEN


def track(steps: Iterable[Step]) -> tuple[list[Tracked], list[TrackedCriterion]]:
    """Every finding and every criterion that was once not met, in the order in which they were raised."""
    findings: list[Tracked] = []
    criteria: list[TrackedCriterion] = []
    for step in steps:
        match step:
            case ReviewFailed():
                _settle(findings, criteria, step.stage, {each.id for each in step.open}, _texts(step.unmet))
                _raise(findings, criteria, step)
                _park(findings, step.parked, step)
            case ReviewPassed():
                _park(findings, step.parked, step)
                _settle(findings, criteria, step.stage, set(), set())
            case Anew():
                _leave(findings, criteria)
            case ReviewVoided():
                pass
    return findings, criteria


def _leave(findings: list[Tracked], criteria: list[TrackedCriterion]) -> None:
    for each in findings:
        each.standing = Standing.LEFT if each.standing is Standing.OPEN else each.standing
    for mark in criteria:
        mark.standing = Standing.LEFT if mark.standing is Standing.OPEN else mark.standing


def _texts(criteria: Iterable[Criterion]) -> set[str]:
    return {each.criterion for each in criteria}


def _settle(
    findings: list[Tracked], criteria: list[TrackedCriterion], stage: Stage, kept: set[str], unmet: set[str]
) -> None:
    """What a later round of the stage no longer holds open was resolved."""
    for each in findings:
        if each.standing is Standing.OPEN and each.stage is stage and each.finding.id not in kept:
            each.standing = Standing.RESOLVED
    for mark in criteria:
        if mark.standing is Standing.OPEN and mark.stage is stage and mark.criterion.criterion not in unmet:
            mark.standing = Standing.RESOLVED


def _raise(findings: list[Tracked], criteria: list[TrackedCriterion], step: ReviewFailed) -> None:
    probes = {probe.finding: probe for probe in step.probes}
    known = {each.finding.id: each for each in findings if each.standing is Standing.OPEN and each.stage is step.stage}
    for finding in step.open:
        if (before := known.get(finding.id)) is not None:
            before.probe = probes.get(finding.id, before.probe)
            continue
        found = Tracked(stage=step.stage, finding=finding, attempt=step.attempt, probe=probes.get(finding.id))
        findings.append(found)
    open_now = {
        each.criterion.criterion for each in criteria if each.standing is Standing.OPEN and each.stage is step.stage
    }
    criteria += [
        TrackedCriterion(stage=step.stage, criterion=each, attempt=step.attempt)
        for each in step.unmet
        if each.criterion not in open_now
    ]


def _park(findings: list[Tracked], parked: Iterable[Parked], step: ReviewPassed | ReviewFailed) -> None:
    probes = {probe.finding: probe for probe in step.probes}
    for each in parked:
        standing = Standing.LATE if each.ruling is Ruling.LATE else Standing.PARKED
        before = next((t for t in findings if _is_same(t, each) and t.standing is Standing.OPEN), None)
        if before is not None:
            before.standing, before.ruling = standing, each.ruling
            continue
        findings.append(
            Tracked(
                stage=each.stage,
                finding=each.finding,
                attempt=step.attempt,
                standing=standing,
                ruling=each.ruling,
                probe=probes.get(each.finding.id),
            )
        )


def _is_same(tracked: Tracked, parked: Parked) -> bool:
    return tracked.stage is parked.stage and tracked.finding.id == parked.finding.id
