"""What went wrong in a run and what became of it, told from its events. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from chargehand.domain.events import AttemptFinished, EffectLost, Event, Recorded, TaskIntegrated, TaskRequeued
from chargehand.domain.events import RequeueWhy as Why
from chargehand.domain.words import Failure, Reason

__all__ = ["Incident", "IncidentKind", "incidents_of"]


class IncidentKind(StrEnum):
    """What sent a task back."""

    LIE = "lie"
    STRAY = "stray"
    RED_GATE = "red_gate"
    CONFLICT = "conflict"
    REVIEW = "review"
    KILLED = "killed"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One thing that went wrong: `what` happened, as a sentence, and what `followed`."""

    kind: IncidentKind
    task: str
    what: str
    followed: str


_KINDS = {
    Reason.NO_CHANGE: IncidentKind.LIE,
    Reason.OUT_OF_SCOPE: IncidentKind.STRAY,
    Reason.GATE_RED: IncidentKind.RED_GATE,
    Reason.CONFLICT: IncidentKind.CONFLICT,
    Reason.REVIEW_UNRESOLVED: IncidentKind.REVIEW,
}


def incidents_of(recorded: Iterable[Recorded]) -> list[Incident]:
    """The incidents of a run, in the order in which they happened."""
    events = [record.event for record in recorded]
    landed = {event.task: event for event in events if isinstance(event, TaskIntegrated)}
    claims: dict[str, str] = {}
    found: list[Incident] = []
    for place, event in enumerate(events):
        match event:
            case AttemptFinished(result=result) if result.report is not None:
                claims[event.task] = f"{result.report.status}: {result.report.summary}"
            case TaskRequeued(failure=Failure() as failure):
                followed = _followed(event.task, landed, events[place:])
                found.append(_incident(event, failure, claims.get(event.task, ""), followed))
            case EffectLost(key=key, detail=detail) if key.endswith("/attempt"):
                task = key.split("/")[0]
                # whether its agent had begun is not in the journal: the intent alone may have been recorded
                what = f"It was started, or about to be, when the run was killed. {detail}".rstrip()
                found.append(Incident(kind=IncidentKind.KILLED, task=task, what=what, followed=_redone(task, landed)))
            case _:
                pass
    return found


def _incident(event: TaskRequeued, failure: Failure, claim: str, followed: str) -> Incident:
    kind = _KINDS.get(failure.reason, IncidentKind.OTHER)
    match kind:
        case IncidentKind.LIE:
            what = f"It reported “{claim}”, but the workspace was as it had been given."
        case IncidentKind.STRAY:
            what = f"{failure.summary} It reported “{claim}” all the same."
        case IncidentKind.RED_GATE:
            what = f"It reported “{claim}”, but the gate said no. {failure.summary}{_complaint(failure)}"
        case IncidentKind.REVIEW:
            shown = next((fact.strip() for fact in failure.facts if fact.strip().startswith("evidence: ")), "")
            code = shown.rpartition("(")[2].rstrip(")")
            proof = f" Its command to show that was run: {code}." if code else ""
            what = f"Its gates were green. {failure.summary}{proof}"
        case _:
            what = failure.summary
    return Incident(kind=kind, task=event.task, what=what, followed=followed)


def _complaint(failure: Failure) -> str:
    """The line of the gate's output that names the error, where there is one."""
    named = [line.strip() for line in failure.tail.splitlines() if line.partition(":")[0].endswith("Error")]
    return f" ({named[-1]})" if named else ""


def _followed(task: str, landed: dict[str, TaskIntegrated], rest: list[Event]) -> str:
    """What the runtime did about it, and how it ended."""
    first = rest[0]
    assert isinstance(first, TaskRequeued)
    if task not in landed:
        return "The task did not land."
    attempt = landed[task].attempt
    commit = landed[task].commit[:10]
    if first.why is Why.REVIEW:
        return f"A fixer mended it, the reviewer was asked again; attempt {attempt} landed as {commit}."
    if first.why is Why.CONFLICT:
        return f"It was done again on top of what had landed; attempt {attempt} landed as {commit}."
    return f"The next attempt was told so; attempt {attempt} landed as {commit}."


def _redone(task: str, landed: dict[str, TaskIntegrated]) -> str:
    if task not in landed:
        return "The task did not land."
    return f"It was done again, and does not count as an attempt; it landed once, as {landed[task].commit[:10]}."
