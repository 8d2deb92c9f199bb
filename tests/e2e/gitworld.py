"""A repository with a pool and an integrator, driven synchronously; and what an agent may do in it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

from chargehand.adapters.git import Repository
from chargehand.adapters.integrator import GitIntegrator
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.outcome import ChangeKind, LandResult, MergeResult, Sealed
from chargehand.ports import LandJob, MergeJob, SealJob, Workspace
from tests.repos import Repo

REF = "refs/chargehand/attempts/run/task/1"


class World:
    """What a coordinator has; every call runs to its end."""

    def __init__(self, repo: Repo, pool: Path, runner: asyncio.Runner) -> None:
        self.repo = repo
        self.pool = pool
        self.runner = runner
        self.run = runner.run
        self.repository = self.run(Repository.discover(repo.path, repo.environ))
        self.workspaces = GitWorkspaces(self.repository, pool)
        self.integrator = GitIntegrator(self.repository)

    def acquire(self, commit: str | None = None, *, branch: str = "task", keep: Sequence[str] = ()) -> Workspace:
        base = commit or self.run(self.repository.resolve("HEAD"))
        return self.run(self.workspaces.acquire(base, branch=branch, keep=keep))

    def seal(
        self,
        workspace: Workspace,
        *,
        declared: Sequence[str] = (),
        claim: str | None = None,
        inputs: Sequence[str] = (),
        artifacts: Sequence[str] = (),
        ref: str = REF,
        origin: str = "",
    ) -> Sealed:
        job = SealJob(
            workspace=workspace,
            ref=ref,
            message="Seal the attempt\n",
            declared=tuple(declared),
            claim=claim,
            inputs=tuple(inputs),
            artifacts=tuple(artifacts),
            origin=origin,
        )
        return self.run(self.workspaces.seal(job))

    def rescue(self, workspace: Workspace, prefix: str = "refs/chargehand/rescue/run/task") -> str | None:
        return self.run(self.workspaces.rescue(workspace, prefix, "Left behind\n"))

    def release(self, workspace: Workspace) -> None:
        self.run(self.workspaces.release(workspace))

    def merge(self, head: str, commit: str, ref: str = "refs/chargehand/candidates/run/task/1") -> MergeResult:
        return self.run(self.integrator.merge(MergeJob(head=head, commit=commit, ref=ref, message="Merge\n")))

    def land(self, branch: str, expect: str, commit: str) -> LandResult:
        return self.run(self.integrator.land(LandJob(branch=branch, expect=expect, commit=commit, ref="a-candidate")))


class Agent:
    """Works in a workspace with a git of its own, as a coding agent would."""

    def __init__(self, workspace: Workspace, environ: dict[str, str]) -> None:
        self.path = workspace.path
        person = {"NAME": "Agent", "EMAIL": "agent@example.org"}
        made = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
        self.environ = {**environ, **made}

    def git(self, *args: str, cwd: Path | None = None) -> str:
        got = subprocess.run(
            ["git", *args], cwd=cwd or self.path, env=self.environ, capture_output=True, text=True, check=False
        )
        assert got.returncode == 0, (args, got.stderr)
        return got.stdout.strip()

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def commit(self, message: str = "work") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


def kinds(sealed: Sealed) -> dict[str, ChangeKind]:
    """The changes as a mapping."""
    return {change.path: change.kind for change in sealed.changes}
