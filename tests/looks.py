"""What those say who only look: verdicts, restorations, research; values for plays and fakes alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chargehand.domain.line import Fit, Restoration, RestorationOutcome
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, Report, ReportStatus, Usage
from chargehand.domain.review import Criterion, Finding, Probe, Review, Severity, Verdict

__all__ = ["a_finding", "broke_rules", "fails", "fitted", "met", "no_verdict", "not_met", "passes", "researched"]

_EXIT = AgentExit(kind=ExitKind.EXITED, code=0)


def a_finding(name: str = "f1", severity: Severity = Severity.MAJOR, file: str = "change", **fields: Any) -> Finding:
    """A remark about line 1 of a file."""
    return Finding(id=name, severity=severity, file=file, **{"claim": f"{name} is wrong", "line": 1, **fields})


def met(text: str) -> Criterion:
    """A criterion that holds."""
    return Criterion(criterion=text, met=True, evidence="seen")


def not_met(text: str) -> Criterion:
    """A criterion that does not hold."""
    return Criterion(criterion=text, met=False, evidence="not seen")


def passes(*findings: Finding, **fields: Any) -> AttemptResult:
    """A reviewer who is content."""
    return _verdict(True, findings, **fields)


def fails(*findings: Finding, **fields: Any) -> AttemptResult:
    """A reviewer who is not; findings are where they say, but for those in `nowhere`."""
    return _verdict(False, findings, **fields)


def _verdict(
    passed: bool,
    findings: Sequence[Finding],
    *,
    criteria: Sequence[Criterion] = (),
    nowhere: Sequence[str] = (),
    probes: Sequence[Probe] = (),
    violations: Sequence[str] = (),
    **fields: Any,
) -> AttemptResult:
    return AttemptResult(
        exit=_EXIT,
        usage=Usage(wall_s=1.0),
        review=Review(
            verdict=Verdict(passed=passed, criteria=tuple(criteria), findings=tuple(findings)),
            located=tuple(each.id for each in findings if each.file and each.id not in nowhere),
            probes=tuple(probes),
            violations=tuple(violations),
        ),
        **fields,
    )


def broke_rules(*paths: str) -> AttemptResult:
    """A reviewer who changed what it judges, and is content."""
    return passes(violations=paths or ("change",))


def no_verdict(problem: str = "It is no JSON.", kind: ExitKind = ExitKind.EXITED, **fields: Any) -> AttemptResult:
    """A reviewer without a verdict; without a `problem` nothing at all is known of one."""
    review = Review(problem=problem) if problem else None
    return AttemptResult(exit=AgentExit(kind=kind, **fields), review=review)


def fitted(
    gate: str,
    outcome: RestorationOutcome = RestorationOutcome.GREEN,
    *,
    notes: str = "slow disk",
    applied: Sequence[str] = (),
    **fit: Any,
) -> AttemptResult:
    """A fitter's answer; `fit` is how the gate is to be run."""
    restoration = Restoration(
        gate_id=gate, outcome=outcome, fit=Fit(**fit), notes=notes, mitigation_applied=tuple(applied)
    )
    return AttemptResult(exit=_EXIT, usage=Usage(wall_s=1.0), restoration=restoration)


def researched(summary: str = "It is a tree.", **report: Any) -> AttemptResult:
    """What a researcher found."""
    return AttemptResult(
        exit=_EXIT, usage=Usage(wall_s=1.0), report=Report(status=ReportStatus.DONE, summary=summary, **report)
    )
