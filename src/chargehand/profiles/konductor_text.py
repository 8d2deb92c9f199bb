"""The texts of Konductor's artifacts: summaries of tasks, and what reviewers said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from chargehand.domain.evidence import stray_changes
from chargehand.domain.outcome import ChangeKind, ConcernKind, GateStatus, ReportStatus
from chargehand.domain.review import Criterion, Finding, Judged, Reviews, Ruling, Stage
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.test_changes import is_test
from chargehand.domain.words import DecisionKind, Reason, TaskStatus

__all__ = ["extra_changes", "holistic_text", "is_held_up", "review_text", "steps_of", "summary_text"]

_FENCE = re.compile(r" {0,3}(?P<mark>`{3,}|~{3,})(?P<rest>.*)")
_STEP = re.compile(r"(?i) {0,3}###[ \t]+task[ \t]+(?P<number>\d{1,9})\b")
_CLAIMED = frozenset({TaskStatus.GATING, TaskStatus.REVIEWING, TaskStatus.INTEGRATING})
_ENDED = frozenset({TaskStatus.BLOCKED, TaskStatus.FAILED})
_STUCK = frozenset({ReportStatus.NEEDS_CONTEXT, ReportStatus.BLOCKED})
_HOLDING_UP = frozenset(
    {
        DecisionKind.ESCALATION,
        DecisionKind.CONTEXT,
        DecisionKind.SPLIT,
        DecisionKind.BLOCKED,
        DecisionKind.KICKBACK,
        DecisionKind.REVIEW,
    }
)
_MANUAL = "needs manual intervention"
_NAMES = {Stage.SPEC: "Spec Review", Stage.QUALITY: "Quality Review", Stage.HOLISTIC: "Code Review"}
_RULINGS = {
    Ruling.MINOR: "by its severity",
    Ruling.LATE: "raised too late",
    Ruling.NOWHERE: "names no existing place",
    Ruling.HUMAN: "taken as it is",
}


def summary_text(record: TaskRecord, state: RunState, plan: str, step: str, *, accepted: bool) -> str | None:
    """The summary of a task as it stands; None where there is nothing Konductor has a word for."""
    status, review = _statuses(record, state, accepted=accepted)
    if not status:
        return None
    parts = [f"# Plan {plan} - Task {step} Summary", f"## Status: {status}", *_body(record, state)]
    if review:
        parts.append(f"## Review Status: {review}")
        if review == "passed" and not record.reviews.judged:
            parts.append("No reviewer looked at it: reviews are switched off, or there was nothing to review.")
    if record.status is TaskStatus.INTEGRATED and not accepted:
        parts.append(f"Not accepted yet: branch {state.branch}, commit {record.landed or 'unknown'}.")
    elif record.status is TaskStatus.INTEGRATED and state.accepted is not None and state.accepted.is_staged:
        whole = f"branch {state.branch}, commit {state.accepted.commit}"  # what is committed later is all of it at once
        parts.append(f"Staged in the checkout of {state.accepted.target}, and not committed: {whole} keeps it.")
    return "\n\n".join(parts) + "\n"


def steps_of(text: str) -> set[int]:
    """The numbers of the tasks of a plan file: its headings of level 3, none of them in fenced code."""
    found, fence = set(), ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and mark["mark"].startswith(fence) and not mark["rest"].strip() else fence
        elif mark:
            fence = mark["mark"]
        elif step := _STEP.match(line):
            found.add(int(step["number"]))
    return found


def is_held_up(record: TaskRecord, state: RunState) -> bool:
    """Whether people are asked what becomes of a task that came to nothing, and would be blocked without a word."""
    decision = state.decisions.get(record.decision or "")
    return record.status is TaskStatus.AWAITING_DECISION and decision is not None and decision.kind in _HOLDING_UP


def extra_changes(record: TaskRecord, state: RunState) -> tuple[str, ...]:
    """The paths a task changed outside the files that its plan lists."""
    if record.sealed is None:
        return ()
    whole = replace(record.sealed, changes=record.sealed.told.changes)
    return tuple(dict.fromkeys(change.path for change in stray_changes(record.task, state.plan, whole)))


def _statuses(record: TaskRecord, state: RunState, *, accepted: bool) -> tuple[str, str]:
    """(status, review status). What was accepted is complete by Konductor's own rule: DONE, and passed."""
    claimed = record.report.status.value if record.report is not None else "DONE"
    if record.status is TaskStatus.INTEGRATED:
        with_concerns = claimed == "DONE_WITH_CONCERNS" and not accepted
        return ("DONE_WITH_CONCERNS" if with_concerns else "DONE"), "passed"
    if record.status in _ENDED and record.reason is Reason.REVIEW_UNRESOLVED:
        return claimed, _MANUAL
    if record.status in _ENDED and record.reason is not Reason.BLOCKED_ON:
        return "BLOCKED", ""
    if record.status in _CLAIMED and claimed in {"DONE", "DONE_WITH_CONCERNS"}:
        return claimed, ""
    if record.status is TaskStatus.AWAITING_DECISION and record.report and record.report.status in _STUCK:
        return claimed, ""
    if is_held_up(record, state):
        return (claimed, _MANUAL) if record.reason is Reason.REVIEW_UNRESOLVED else ("BLOCKED", "")
    return "", ""


def _body(record: TaskRecord, state: RunState) -> Iterator[str]:
    report = record.report
    kinds = {change.path: change.kind for change in record.sealed.told.changes} if record.sealed is not None else {}
    files = list(dict.fromkeys((*record.files_changed, *kinds)))
    tests = list(dict.fromkeys((*(report.tests_added if report else ()), *(f for f in files if is_test(f)))))
    yield _listed("Files Created", [file for file in files if kinds.get(file) is ChangeKind.ADDED])
    yield _listed(
        "Files Modified", [_changed(file, kinds) for file in files if kinds.get(file) is not ChangeKind.ADDED]
    )
    yield _listed("Tests Added", tests)
    if results := _results(record):
        yield f"### Test Results\n{results}"
    extra = [f"{path} was changed, which the plan does not list." for path in extra_changes(record, state)]
    yield _listed("Deviations from Plan", [*(report.deviations if report else ()), *extra], numbered=True)
    yield _listed("Decisions Made", report.decisions if report else ())
    yield _listed("Verification", [_gate(each.gate, each.status, each.command) for each in record.checked])
    if report is not None and report.summary:
        yield f"## Notes\n{_inert(report.summary)}"
    if report is not None and report.concerns:
        yield _listed("Concerns", [_concern(each.kind, each.text) for each in report.concerns])
    if report is not None and report.missing_context and record.status is not TaskStatus.INTEGRATED:
        yield _listed("Missing Context", report.missing_context)
    if record.status in _ENDED:
        yield f"## Blocker\n{_inert(record.detail or str(record.reason))}"
    elif record.status is TaskStatus.AWAITING_DECISION and report is not None and report.blocker is not None:
        yield f"## Blocker\n{_inert(report.blocker.text)}"
    elif is_held_up(record, state):
        yield f"## Blocker\n{_inert(record.detail)}"


def _changed(file: str, kinds: dict[str, ChangeKind]) -> str:
    return f"{file} (deleted)" if kinds.get(file) is ChangeKind.DELETED else file


def _concern(kind: ConcernKind, text: str) -> str:
    return text if kind is ConcernKind.UNSTATED else f"({kind}) {text}"


def _gate(gate: str, status: GateStatus, command: str) -> str:
    mark = "x" if status is GateStatus.PASS else " "
    return f"[{mark}] {gate}" + (f": {command}" if command else "")


def _results(record: TaskRecord) -> str:
    tails = [f"$ {each.command}\n{each.tail}".rstrip() for each in record.checked if each.command]
    said = record.report.validation if record.report is not None and not tails else ""
    text = "\n".join(tails) or said
    return _inert(text)


def _listed(title: str, items: Iterable[str], *, numbered: bool = False) -> str:
    marks = [f"{n}. " if numbered else "- " for n in range(1, len(tuple(items)) + 1)]
    lines = [f"{mark}{' '.join(item.split())}" for mark, item in zip(marks, items, strict=True)]
    return "\n".join((f"## {title}", *(lines or ["None"])))


def _inert(text: str) -> str:
    """Text of others as indented code: no line of it is a heading, nor looks like one to who reads line by line."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines())


# -- reviews --------------------------------------------------------------------------------------


def review_text(reviews: Reviews, stage: Stage, plan: str, step: str, extra: Sequence[str] = ()) -> str | None:
    """What the reviewers of a stage said, with every round; None before the first verdict.

    `extra` are the paths changed outside the listed files.
    """
    return _review(reviews, stage, f"# {_NAMES[stage]}: Plan {plan} - Task {step}", extra)


def holistic_text(reviews: Reviews, phase: str) -> str | None:
    """The same for the look at the whole phase."""
    return _review(reviews, Stage.HOLISTIC, f"# {_NAMES[Stage.HOLISTIC]}: Phase {phase}")


def _review(reviews: Reviews, stage: Stage, title: str, extra: Sequence[str] = ()) -> str | None:
    rounds = [each for each in reviews.judged if each.stage is stage]
    if not rounds:
        return None
    is_open = reviews.stage is stage and not rounds[-1].passed
    parts = [title, f"## Verdict: {'PASS' if rounds[-1].passed else 'FAIL'}", _rounds(rounds)]
    if is_open:
        parts.append(_listed("Findings", [_finding(each) for each in reviews.open]))
        parts.append(_listed("Criteria Not Met", [_unmet(each) for each in reviews.unmet]))
    parts += [_listed("Changed Outside the Listed Files", extra)] if extra else []
    parked = [each for each in reviews.parked if each.stage is stage]
    if parked:
        parts.append(_listed("Left as it is", [f"{_finding(p.finding)} ({_RULINGS[p.ruling]})" for p in parked]))
    return "\n\n".join(parts) + "\n"


def _rounds(rounds: list[Judged]) -> str:
    said = []
    for number, each in enumerate(rounds, start=1):
        who = ", ".join(part for part in (each.agent, each.model) if part) or "a reviewer"
        carried = ", carried over" if each.carried else ""
        said.append(f"{number}: {'PASS' if each.passed else 'FAIL'} by {who}, tree {each.tree[:12]}{carried}")
    return _listed("Rounds", said)


def _finding(finding: Finding) -> str:
    place = f"{finding.file}:{finding.line}: " if finding.line else f"{finding.file}: " if finding.file else ""
    return f"[{finding.severity}] {place}{finding.claim}"


def _unmet(criterion: Criterion) -> str:
    return f"{criterion.criterion}: {criterion.evidence}" if criterion.evidence else criterion.criterion
