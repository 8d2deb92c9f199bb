"""What a verdict comes to: pure, one verdict against what is frozen (SPEC 4).

A verdict is taken at its word only as far as it holds together. Round 1 names what has to be mended; later rounds say
resolved or not resolved, and may add only what the fix itself broke. The goal posts stay where they are.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from chargehand.domain.review import (
    BLOCKING,
    Criterion,
    Finding,
    Parked,
    Review,
    Reviews,
    Ruling,
    Severity,
    Stage,
)

__all__ = ["Judgement", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What has to be mended (`open`, `unmet`), and what is parked; `problem` says why the verdict does not count."""

    open: tuple[Finding, ...] = ()
    unmet: tuple[Criterion, ...] = ()
    parked: tuple[Parked, ...] = ()
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing keeps the change from going on."""
        return not (self.open or self.unmet or self.problem)


def judge(
    review: Review, reviews: Reviews, stage: Stage, touched: Collection[str] | None, criteria: Collection[str]
) -> Judgement:
    """Weigh the verdict of a review that has one.

    `touched` are the files the last fix changed, None in round 1; `criteria` those of the task.
    """
    verdict = review.verdict
    assert verdict is not None
    frozen = {finding.id: finding for finding in reviews.open}
    parked: list[Parked] = []
    still = _still_open(verdict.passed, verdict.findings, frozen)
    fresh = []
    for finding in verdict.findings:
        if finding.id in frozen:
            continue
        ruling = _ruling(finding, review.located, touched)
        if ruling is None:
            fresh.append(finding)
        else:
            parked.append(Parked(stage=stage, finding=finding, ruling=ruling))
    claimed = [mark for mark in verdict.criteria if not mark.met]
    unmet = [mark for mark in claimed if _counts(mark, reviews, touched, criteria)]
    unmet += [] if verdict.passed else _not_mentioned(verdict.criteria, reviews.unmet)
    parked += [_moved_goal(stage, mark) for mark in claimed if mark not in unmet]
    grounds = bool(still or fresh or unmet)
    if verdict.passed and grounds:
        return Judgement(problem=_contradiction([*still, *fresh], unmet))
    late = touched is not None and any(each.ruling is Ruling.LATE for each in parked)
    if not verdict.passed and not grounds and not late:
        return Judgement(problem=_NO_GROUND)
    return Judgement(open=(*still, *fresh), unmet=tuple(unmet), parked=tuple(parked))


_NO_GROUND = (
    "The verdict is FAIL, but it names no critical or major finding at an existing file and line, no frozen finding "
    "that is not resolved, and no criterion that is not met."
)


def _still_open(passed: bool, findings: Collection[Finding], frozen: dict[str, Finding]) -> list[Finding]:
    """The frozen findings that are not resolved, as they were frozen.

    PASS resolves all that it does not keep open, FAIL none that it does not say is resolved.
    """
    said = {finding.id: finding.resolved for finding in findings if finding.id in frozen}
    if passed:
        return [frozen[name] for name, resolved in said.items() if resolved is False]
    return [finding for name, finding in frozen.items() if said.get(name) is not True]


def _not_mentioned(marks: Collection[Criterion], frozen: Collection[Criterion]) -> list[Criterion]:
    """Criteria that were not met, and of which a FAIL says nothing."""
    mentioned = {mark.criterion for mark in marks}
    return [mark for mark in frozen if mark.criterion not in mentioned]


def _ruling(finding: Finding, located: Collection[str], touched: Collection[str] | None) -> Ruling | None:
    """Why a new finding holds nothing up; None when it does."""
    if finding.severity not in BLOCKING:
        return Ruling.MINOR
    if finding.id not in located:
        return Ruling.NOWHERE
    if touched is not None and finding.file not in touched:
        return Ruling.LATE
    return None


def _counts(mark: Criterion, reviews: Reviews, touched: Collection[str] | None, criteria: Collection[str]) -> bool:
    """In later rounds a criterion counts when it was not met before, or is the task's own and a fix touched something.

    A criterion that a reviewer makes up after round 1 is a goal post that moved.
    """
    if touched is None or any(mark.criterion == before.criterion for before in reviews.unmet):
        return True
    return bool(touched) and mark.criterion in criteria


def _moved_goal(stage: Stage, mark: Criterion) -> Parked:
    claim = f"Criterion not met: {mark.criterion}" + (f" ({mark.evidence})" if mark.evidence else "")
    finding = Finding(id=mark.criterion[:60], severity=Severity.MAJOR, claim=claim)
    return Parked(stage=stage, finding=finding, ruling=Ruling.LATE)


def _contradiction(findings: Collection[Finding], unmet: Collection[Criterion]) -> str:
    named = [finding.id for finding in findings] + [mark.criterion for mark in unmet]
    return (
        f"The verdict is PASS, but it says that this is open: {', '.join(named)}. Say FAIL, or say that it is resolved "
        "(or minor)."
    )
