"""Takes secrets out of values before they are written down: events, results, reports (SPEC 7.3).

Every text is scrubbed but for the names by which the engine finds things again, and for what the user wrote: a plan is
carried out word by word, and stands in a file of the user's own anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from chargehand.adapters.text import shown_without
from chargehand.domain.events import Event, RunReplanned, RunStarted
from chargehand.domain.outcome import Change, Report
from chargehand.domain.plan import Task
from chargehand.domain.secrecy import Vault
from chargehand.domain.words import Decision

__all__ = ["KEPT", "scrubbed", "scrubber"]

T = TypeVar("T")

KEPT = frozenset(
    {
        *("id", "key", "run", "task", "tasks", "gate", "green", "agent", "call", "kind", "code"),
        *("commit", "tree", "base", "base_tree", "head", "actual", "branch", "target", "landed", "kept", "conventions"),
        *("choice", "choices", "default", "how", "log", "signature", "blocked_on", "version", "host"),
    }
)
"""Names of fields that hold ids, commits, branches and words of ours; in a report nothing is exempt."""

_OF_TASKS = ("title", "description", "approach", "acceptance")
"""What the runtime itself writes into a task of its own; the rest of it is commands and paths of the plan."""


def scrubber(vault: Vault) -> Callable[[Event], Event]:
    """What the journal puts every event through."""
    return lambda event: scrubbed(event, vault)


def scrubbed(value: T, vault: Vault) -> T:
    """The same value without secrets; the same object where there is none to know of."""
    return _of(value, vault) if vault.forms else value


def _of(value: Any, vault: Vault) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return shown_without(value, vault)
    if isinstance(value, tuple):
        return tuple(_of(item, vault) for item in value)
    if not is_dataclass(value) or isinstance(value, type | RunStarted | RunReplanned):
        return value
    found = _changed(value, vault)
    return replace(value, **found) if found else value


def _changed(value: Any, vault: Vault) -> Mapping[str, Any]:
    pairs = ((name, getattr(value, name)) for name in _texts_of(value))
    return {name: new for name, old in pairs if (new := _of(old, vault)) != old}


def _texts_of(value: Any) -> tuple[str, ...]:
    """The fields of a value that are scrubbed."""
    names = tuple(field.name for field in fields(value))
    if isinstance(value, Task):
        return _OF_TASKS
    if isinstance(value, Report | Change):
        return names
    if isinstance(value, Decision) and not value.call:
        names = tuple(name for name in names if name != "command")  # of the plan: found again by its text
    return tuple(name for name in names if name not in KEPT or is_dataclass(getattr(value, name)))
