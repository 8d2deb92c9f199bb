"""Trees and branches: workspaces, gates, integration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chargehand.domain.outcome import (
    GateResult,
    LandResult,
    MergeResult,
    Sealed,
)
from chargehand.domain.plan import Command, EnvSpec, SetupSpec

__all__ = [
    "Check",
    "FixJob",
    "GateJob",
    "Gates",
    "Integrator",
    "LandJob",
    "MergeJob",
    "Opened",
    "SealJob",
    "Workspace",
    "Workspaces",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """An isolated checkout; `slot` is its place in the pool."""

    path: Path
    slot: str
    commit: str
    branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealJob:
    """What to seal: `ref` keeps the result; `claim` is the commit a report names.

    `inputs` are paths of copies of ours; what is there, or matches one of the patterns `artifacts`, stays as the base
    has it. `origin` is the commit where the whole change began (empty: that of the workspace): `Sealed.whole` is since
    then.
    """

    workspace: Workspace
    ref: str
    message: str
    declared: tuple[str, ...] = ()
    claim: str | None = None
    inputs: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    origin: str = ""


class Workspaces(Protocol):
    """Pooled checkouts outside the user's tree, each a repository of its own (ARCHITECTURE 3.2)."""

    async def acquire(
        self,
        commit: str,
        *,
        branch: str,
        keep: Sequence[str] = (),
        hide: Sequence[str] = (),
        declared: Sequence[str] = (),
    ) -> Workspace:
        """A clean checkout of `commit` on `branch` that nobody else has.

        `keep` patterns survive cleaning; untracked files at the paths in `hide` are no part of the work. `declared`
        patterns name ignored files that are, should they have to be rescued.
        """
        ...

    async def release(self, workspace: Workspace) -> None:
        """Give the checkout back to the pool; what is in it is lost, so seal or rescue first."""
        ...

    async def seal(self, job: SealJob) -> Sealed:
        """Fix everything in the workspace under `job.ref`, with a git directory no agent can write."""
        ...

    async def rescue(self, workspace: Workspace, prefix: str, message: str) -> str | None:
        """Keep tracked and untracked files under the next free ref `<prefix>/<n>`; None when nothing differs."""
        ...

    async def patch(self, base: str, commit: str, target: Path, limit: int) -> None:
        """Write the difference of two commits to `target`, cut at `limit` bytes."""
        ...

    async def read(self, commit: str, paths: Sequence[str], limit: int) -> dict[str, str]:
        """The text of the files of a commit that exist and are text, each cut at `limit` characters."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One command that must exit 0.

    `env` is added to its environment. With `rerun` a failure is run once more, unchanged: a check that passes then is
    green and its `flaky` says so. `baseline` names the file of test ids (`GateResult.tests`) of the tree before; with
    it, tests that passed there and do not run any more make the check fail (`vanished`), unless `may_vanish`.
    """

    id: str
    run: Command
    wall_s: float
    idle_s: float | None = None
    junit: bool = False
    env: tuple[tuple[str, str], ...] = ()
    rerun: bool = False
    baseline: str = ""
    may_vanish: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateJob:
    """Checks on one commit, in order, in one clean checkout after `setup`.

    `base` is where the change began; with `syntax` the files changed since are parsed first. `stop_early`
    ends the job at the first check that does not pass. With `red_first` the verify checks (ids `verify-N`) and checks
    with test ids run on the base with the change's `tests` (patterns, else all test files of the change) laid over it:
    result `red-first` passes when something failed there. With `overlay` they run on the commit with the base's tests
    laid over it: result `overlay`. `cache` lets a result of the same tree, command and environment stand for a run.
    """

    key: str
    run: str
    task: str
    attempt: int
    commit: str
    tree: str
    base: str
    checks: tuple[Check, ...]
    setup: SetupSpec | None = None
    env: EnvSpec = EnvSpec()
    syntax: bool = False
    stop_early: bool = False
    red_first: bool = False
    overlay: bool = False
    tests: tuple[str, ...] = ()
    cache: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FixJob:
    """Commands that mend a tree by themselves (`fix` of gates), run in order in a clean checkout of `commit`.

    `paths` are the files of the change: only they may differ afterwards, the rest is put back. `ref` keeps the result.
    `origin` is where the whole change began (empty: nobody asks).
    """

    key: str
    run: str
    task: str
    attempt: int
    commit: str
    base: str
    commands: tuple[Check, ...]
    paths: tuple[str, ...]
    ref: str
    message: str
    setup: SetupSpec | None = None
    env: EnvSpec = EnvSpec()
    origin: str = ""


class Gates(Protocol):
    """Runs deterministic checks in throw-away checkouts; they cannot change what they judge [I7]."""

    async def run(self, job: GateJob) -> tuple[GateResult, ...]:
        """One result per check that was run (`setup` and `syntax` included, in front), in order."""
        ...

    async def fix(self, job: FixJob) -> Sealed | None:
        """Run the commands and seal what they changed on top of `job.commit`; None when nothing of it differs."""
        ...

    async def cancel(self, key: str) -> None:
        """End the job and every process of it; `run` then raises `asyncio.CancelledError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeJob:
    """Merge `commit` into `head`; the candidate is kept under `ref`; `message` holds the trailers."""

    head: str
    commit: str
    ref: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LandJob:
    """Move `branch` from `expect` to `commit`."""

    branch: str
    expect: str
    commit: str
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Where the integration branch stands; `conventions` are the convention files at its head."""

    head: str
    tree: str
    conventions: tuple[str, ...] = ()


class Integrator(Protocol):
    """Lands commits on the integration branch, without a work tree."""

    async def open(self, branch: str, base: str) -> Opened:
        """Create the branch at `base` unless it exists; answer where it stands."""
        ...

    async def head(self, branch: str) -> str | None:
        """Where the branch stands, or None."""
        ...

    async def contains(self, branch: str, commit: str) -> bool:
        """Whether the commit is on the first-parent line of the branch."""
        ...

    async def merge(self, job: MergeJob) -> MergeResult:
        """Build the candidate: always a merge commit, first parent `head`. The same job gives the same tree."""
        ...

    async def land(self, job: LandJob) -> LandResult:
        """Compare-and-swap; landing a commit on which the branch already stands is `Landed` again."""
        ...
