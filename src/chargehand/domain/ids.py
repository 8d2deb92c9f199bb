"""Identifiers, and how effect keys, branches and refs derive from them."""

from __future__ import annotations

from typing import NewType

__all__ = [
    "REF_ROOT",
    "RunId",
    "TaskId",
    "attempt_key",
    "attempt_ref",
    "candidate_ref",
    "effect_key",
    "integration_branch",
    "rescue_prefix",
]

RunId = NewType("RunId", str)
TaskId = NewType("TaskId", str)

REF_ROOT = "refs/chargehand"

_WHOLE = "run."
"""Stands where a task would: no task's id ends with a dot."""


def effect_key(task: str, attempt: int, step: str) -> str:
    """The key of an effect, unique in its run: the same step of the same attempt has the same key."""
    return f"{task}/{attempt}/{step}"


def attempt_key(task: str, attempt: int, lost: int) -> str:
    """The key of a start: one for each, also where a number is used again; without a task, for the run as a whole."""
    return effect_key(task or _WHOLE, attempt, f"attempt-{attempt + lost}" if lost else "attempt")


def integration_branch(run: str) -> str:
    """The short name of a run's integration branch (SPEC 3.1)."""
    return f"chargehand/{run}"


def attempt_ref(run: str, task: str, launch: int) -> str:
    """The ref that keeps what an attempt sealed, also when it was lost and its number is used again [I2]."""
    return f"{REF_ROOT}/attempts/{run}/{task}/{launch}"


def candidate_ref(run: str, task: str, attempt: int) -> str:
    """The ref that keeps a merge candidate while its gates run."""
    return f"{REF_ROOT}/candidates/{run}/{task}/{attempt}"


def rescue_prefix(run: str, task: str) -> str:
    """The folder of rescue refs of one task (SPEC 7.5)."""
    return f"{REF_ROOT}/rescue/{run}/{task}"
