"""The session chain of Station Kit: each subtask leaves a session that begins with all thoughts of the one before.

The server refuses a number that a line of thought has already, so a link goes on counting where the one before ended
(FORMATS 9). What was imported stays as it is, to the last key.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chargehand.domain.errors import AdapterError
from chargehand.domain.state import RunState, TaskRecord

__all__ = ["extra", "link_text", "moment", "thoughts_of"]

_STAGES = ("Problem Definition", "Research", "Analysis", "Synthesis", "Conclusion")
_MOST_CHARS = 20_000


def moment(seconds: float) -> str:
    """A time as the artifacts write it."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def extra(record: TaskRecord, key: str) -> str:
    """What a report says under a key of this system; empty where it says nothing."""
    try:
        value = json.loads(record.report.extra if record.report is not None else "{}").get(key)
    except (ValueError, AttributeError, RecursionError):
        return ""
    return " ".join(value.split())[:_MOST_CHARS] if isinstance(value, str) else ""


def thoughts_of(file: Path) -> list[dict[str, Any]]:
    """The thoughts of a session that the chain goes on from; AdapterError when it is gone or cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["thoughts"]
        numbers = [each["thoughtNumber"] for each in found]
        if not all(isinstance(each, dict) for each in found) or not all(isinstance(each, int) for each in numbers):
            raise ValueError("its thoughts have no numbers")
    except FileNotFoundError:
        text = f"The session {file} is gone, and the chain goes on from it. Put it back, then `chargehand resume`."
        raise AdapterError("projection", text) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        text = f"The session {file} cannot be read: {error!r}. Put it right, then `chargehand resume`."
        raise AdapterError("projection", text) from error
    return list(found)


def link_text(record: TaskRecord, state: RunState, before: Sequence[Mapping[str, Any]], old: str) -> str:
    """The link that a landed task leaves after `before`; `old` is the file as it stands: its times are kept."""
    number = max((each["thoughtNumber"] for each in before if not each.get("branchId")), default=0)
    times = _times(old)
    own = []
    for step, (stage, tag, text) in enumerate(_said(record, state), start=1):
        ident = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{state.run}/{record.id}/{step}"))
        own.append(
            {
                "thought": text[:_MOST_CHARS],
                "thoughtNumber": number + step,
                "totalThoughts": number + 2,
                "nextThoughtNeeded": step == 1,
                "stage": stage,
                "tags": ["execution", tag, record.id],
                "axiomsUsed": [],
                "assumptionsChallenged": [],
                "timestamp": times.get(ident, moment(state.last_at)),
                "id": ident,
            }
        )
    thoughts = [*before, *own]
    counted = {stage: sum(_is(each, stage) for each in thoughts) for stage in _STAGES}
    envelope = {
        "version": 2,
        "thoughts": thoughts,
        "lastUpdated": own[-1]["timestamp"],
        "exportedAt": own[-1]["timestamp"],
        "metadata": {"totalThoughts": len(thoughts), "stages": counted},
    }
    return json.dumps(envelope, indent=2, ensure_ascii=False) + "\n"


def _said(record: TaskRecord, state: RunState) -> tuple[tuple[str, str, str], ...]:
    """(stage, tag, text) of the thoughts of a link: the risk before, and the edit as it was made."""
    known = "; ".join(f"{each.risk} ({each.mitigation})" if each.mitigation else each.risk for each in state.plan.risks)
    risk = extra(record, "risk") or known or "none was named"
    report = record.report
    edit = extra(record, "edit_plan") or (" ".join(report.summary.split()) if report else "") or "none was told"
    files = ", ".join(record.files_changed[:50]) or "none"
    where = f"branch {state.branch}, commit {record.landed or 'unknown'}"
    return (
        ("Analysis", "risk-assessment", f"{record.id}: {record.task.title}\nRisk: {risk}"),
        ("Conclusion", "edit-plan", f"{record.id}: {edit}\nFiles: {files}\nLanded on {where}."),
    )


def _is(thought: Mapping[str, Any], stage: str) -> bool:
    return str(thought.get("stage", "")).casefold() == stage.casefold()


def _times(old: str) -> dict[str, str]:
    try:
        found = {each["id"]: each["timestamp"] for each in json.loads(old)["thoughts"] if "id" in each}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {ident: at for ident, at in found.items() if isinstance(at, str)}
