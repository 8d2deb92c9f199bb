"""Events as `log --json` prints them, one document a line (SPEC 10.1)."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import Any

from chargehand.cli.render.units import iso
from chargehand.domain.effects import Effect
from chargehand.domain.events import DecisionAsked, EffectIntended, Recorded
from chargehand.domain.outcome import LandResult, MergeResult

__all__ = ["event_document", "plain", "type_name"]

_HUMP = re.compile(r"(?<!^)(?=[A-Z])")
_NAMED = Effect | MergeResult | LandResult


def type_name(kind: type) -> str:
    """The name of an event type in documents: `AttemptFinished` → `attempt_finished`."""
    return _HUMP.sub("_", kind.__name__).lower()


def event_document(recorded: Recorded, run: str) -> dict[str, Any]:
    """`seq`, `at`, `type`, `run`, `task` and `attempt` (null where there is none), then what the event says.

    One of several possible values carries a `type` of its own.
    """
    event = recorded.event
    about: object = event
    if isinstance(event, EffectIntended):
        about = event.effect
    elif isinstance(event, DecisionAsked):
        about = event.decision
    task = getattr(about, "task", None)
    document: dict[str, Any] = {
        "seq": recorded.seq,
        "at": iso(recorded.at),
        "type": type_name(type(event)),
        "run": run,
        "task": getattr(task, "id", task) or None,
        "attempt": getattr(about, "attempt", None),
    }
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name not in document:
            document[field.name] = plain(value)
        elif is_dataclass(value):
            document[f"added_{field.name}"] = plain(value)
    return document


def plain(value: Any) -> Any:
    """A value of the domain as JSON holds it."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        return {"type": type_name(type(value)), **inner} if isinstance(value, _NAMED) else inner
    if isinstance(value, frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return repr(value)
    return value
