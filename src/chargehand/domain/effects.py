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
    "RunFix",
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
    Those who only look are shown `commit` with its `tree`, `base` is where the change began, and `since` (where it is
    not empty) the commit they judged before; `gate` is what a fitter is asked about. For a look at the whole run
    `task` is empty.
    """

    key: str
    task: str
    attempt: int
    role: Role
    base: str
    launch: int = 1
    agent: str = ""
    commit: str = ""
    tree: str = ""
    since: str = ""
    gate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGates:
    """Run the gates of `point` (with `verify` the task's own commands, with `syntax` a parse of what changed).

    For wave and run gates `task` is empty and `attempt` counts the rounds. `beside` are other tasks whose changes are
    in the candidate and land with it: their own commands run, too, under the names `<task>/verify-<n>`.
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
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFix:
    """Run the `fix` commands of red `gates` on the files a change touched, and seal what they mended (SPEC 5)."""

    key: str
    task: str
    attempt: int
    commit: str
    gates: tuple[str, ...]
    paths: tuple[str, ...]


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
    """Move the integration branch from `head` to the candidate by compare-and-swap [I3].

    `beside` are other tasks that land with it, in the order in which they were merged before it.
    """

    key: str
    task: str
    attempt: int
    head: str
    commit: str
    beside: tuple[str, ...] = ()


Effect = OpenBranch | RunCanary | StartAttempt | RunGates | RunFix | MergeCandidate | Land
