"""What gates are made of, and where a job works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.confined import Confined
from chargehand.adapters.environment import Environment, Ports
from chargehand.adapters.folders import PrivateFolders, Room
from chargehand.adapters.gate_cache import GateCache
from chargehand.adapters.git import Repository
from chargehand.adapters.setup import Setup, keep_patterns
from chargehand.ports import GateJob, OnOutput, Workspace, Workspaces

__all__ = ["GateParts", "Site", "open_site"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateParts:
    """What gates are made of.

    `workspaces` is a pool of their own; `folder` is the run's folder, for logs and audit; `cache` (None: there is
    none) belongs to the repository.
    """

    repository: Repository
    workspaces: Workspaces
    confined: Confined
    environment: Environment
    folders: PrivateFolders
    ports: Ports
    setup: Setup
    folder: Path
    setup_wall_s: float = 900.0
    on_output: OnOutput | None = None
    cache: GateCache | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a job works."""

    workspace: Workspace
    room: Room
    port_base: int

    @property
    def paths(self) -> tuple[str, ...]:
        """What differs from job to job and is to be left out of tails and test ids."""
        found = (self.workspace.path, self.room.root, self.room.tmp)
        return tuple({str(path) for path in found} | {str(path.resolve()) for path in found})


@asynccontextmanager
async def open_site(parts: GateParts, job: GateJob) -> AsyncIterator[Site]:
    """A clean checkout of the job's commit with a room and ports, given back at the end."""
    branch = f"chargehand/{job.run}/gates"
    workspace = await parts.workspaces.acquire(job.commit, branch=branch, keep=keep_patterns(job.setup))
    try:
        room = parts.folders.make()
        try:
            port_base = parts.ports.take()
            try:
                yield Site(workspace=workspace, room=room, port_base=port_base)
            finally:
                parts.ports.give(port_base)
        finally:
            await parts.folders.remove(room)
    finally:
        await parts.workspaces.release(workspace)
