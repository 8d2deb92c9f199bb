"""Everything the runtime may do, imperative, each with a key derived from (task, attempt, step).

An effect is recorded (`EffectIntended`) before it is carried out; its outcome is an event with the same key.
Doing an effect twice is harmless, or detected: that is what the key, the refs and compare-and-swap are for.
"""

from __future__ import annotations

from dataclasses import dataclass

from chargehand.domain.outcome import Role
from chargehand.domain.plan import GatePoint

__all__ = [
    "Effect",
    "Land",
    "MergeCandidate",
    "OpenBranch",
    "RunCanary",
    "RunGates",
    "StartAttempt",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBranch:
    """Create the integration branch at the base."""

    key: str
    branch: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCanary:
    """Run `setup` and every gate on the untouched base (SPEC 3.1)."""

    key: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAttempt:
    """Run an agent on a task, from `base`, and seal what it leaves.

    `launch` counts every start of the task, also of attempts that were lost and whose number is used again: no two
    starts share a key or a ref. `agent` is who works on it; empty in old journals: the agent of the task.
    """

    key: str
    task: str
    attempt: int
    role: Role
    base: str
    launch: int = 1
    agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGates:
    """Run the gates of `point` (with `verify` the task's own commands, with `syntax` a parse of what changed).

    For wave and run gates `task` is empty and `attempt` counts the rounds.
    """

    key: str
    task: str
    attempt: int
    point: GatePoint
    commit: str
    tree: str
    base: str
    verify: bool = False
    syntax: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCandidate:
    """Merge a sealed commit into the integration head, without a work tree."""

    key: str
    task: str
    attempt: int
    head: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Land:
    """Move the integration branch from `head` to the candidate by compare-and-swap [I3]."""

    key: str
    task: str
    attempt: int
    head: str
    commit: str


Effect = OpenBranch | RunCanary | StartAttempt | RunGates | MergeCandidate | Land
