"""What a person wants to know before answering: since when a question waits, and what was tried (SPEC 9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chargehand.cli.render.units import count
from chargehand.cli.stories import Story, tell_stories
from chargehand.domain.events import DecisionAsked, Recorded
from chargehand.domain.outcome import REVIEWERS, AttemptResult, GateStatus, ReportStatus
from chargehand.domain.state import RunState
from chargehand.domain.words import Failure

__all__ = ["Facts", "facts_of"]

_MOST = 5
_BAD = frozenset({GateStatus.FAIL, GateStatus.FAULT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of an open question: `since` (seconds since the epoch), and a line for each attempt that was made."""

    since: float
    tried: tuple[str, ...] = ()


def facts_of(state: RunState, events: Sequence[Recorded]) -> dict[str, Facts]:
    """The facts of every open question, by its id; `events` are those of the run."""
    found: dict[str, Facts] = {}
    for recorded in events:
        event = recorded.event
        if isinstance(event, DecisionAsked) and event.decision.id in state.decisions:
            stories = tell_stories(events, event.decision.task) if event.decision.task else []
            found[event.decision.id] = Facts(since=recorded.at, tried=tuple(_tried(stories, event.decision.failure)))
    return found


def _tried(stories: Sequence[Story], asked_for: Failure | None) -> Iterator[str]:
    """A line for each attempt; the last was not sent back, so `asked_for` tells what was wrong with it."""
    for story in stories:
        why = asked_for.summary if asked_for is not None and story is stories[-1] else ""
        yield f"attempt {story.number}: {_how(story, why)}"


def _how(story: Story, why: str) -> str:
    """How an attempt ended, in plain words; `why` is what was wrong with it, where it does not tell itself."""
    result = story.result
    if story.is_look and result is not None and not story.lost:
        return _looked(story, result)
    if story.failure is not None:
        return story.failure.summary
    if story.lost:
        return f"it came to no end: {story.lost}"
    if result is None:
        return "it was under way"
    red = [gate.gate for _, gate in story.gates if gate.status in _BAD]
    if red:
        return f"red: {', '.join(dict.fromkeys(red))}"
    if result.report is None:
        return f"it left no report: {result.report_problem}"
    if why and result.report.status is ReportStatus.DONE:
        return why
    changed = count(len(result.sealed.changes) if result.sealed else 0, "path")
    claim = f"it reported {result.report.status.value}"
    return f"{claim} ({result.report.summary})" if result.report.summary else f"{claim}, {changed} changed"


def _looked(story: Story, result: AttemptResult) -> str:
    """What one who only looks came to: the verdict, why there is none that counts, what was proposed or found."""
    role = story.effect.role.value
    if story.effect.role in REVIEWERS:
        return f"{role}: {_verdict(story, result)}"
    if result.restoration is not None:
        return f"{role}: it proposed {'; '.join(result.restoration.mitigation_applied) or 'nothing'}"
    if result.report is not None:
        return f"{role}: {result.report.summary or result.report.status.value}"
    return f"{role}: no answer ({result.report_problem or result.exit.kind.value})"


def _verdict(story: Story, result: AttemptResult) -> str:
    review = result.review
    verdict = review.verdict if review is not None else None
    if review is not None and review.violations:
        return f"void: it changed what it judges ({'; '.join(review.violations[:_MOST])})"
    if verdict is None:
        why = (review.problem if review is not None else "") or story.void or result.report_problem
        return f"no verdict: {why or result.exit.detail or result.exit.kind.value}"
    if story.void:
        return f"void: {story.void}"
    number = len(verdict.findings)
    said = f", {count(number, 'finding')}" if number else ""
    return f"{'PASS' if verdict.passed else 'FAIL'}{said}"
