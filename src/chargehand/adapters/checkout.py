"""One checkout of the pool: the folder an agent works in, and the runtime's git directory behind it.

A workspace is one of these, and so is each submodule in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.git.command import Git, plain_environment
from chargehand.adapters.git.history import AgentStore
from chargehand.adapters.git.incoming import Incoming
from chargehand.adapters.git.owned import agent_directory, own_directory
from chargehand.adapters.git.repository import Identity, Repository
from chargehand.adapters.git.work import WorkTree

__all__ = ["Checkout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """Files of `repository` at `work`; `git_dir` is ours, `work/.git` the agent's, `scratch` for our own use.

    New objects are written to `incoming`, where it is given.
    """

    repository: Repository
    work: Path
    git_dir: Path
    scratch: Path
    incoming: Incoming | None = None

    @property
    def tree(self) -> WorkTree:
        """The files, seen through our git directory."""
        repository = self.repository
        env = plain_environment(repository.environ) | {"GIT_OBJECT_DIRECTORY": str(repository.objects)}
        git = Git(cwd=self.work, env=env)
        where = ("--git-dir", str(self.git_dir), "--work-tree", str(self.work))
        bound = Git(cwd=self.work, env=env, options=(*git.options, *where))
        writing = bound if self.incoming is None else self.incoming.over(bound)
        return WorkTree(path=self.work, git_dir=self.git_dir, git=writing, zero=repository.zero)

    def store(self, incoming: Incoming) -> AgentStore:
        """The object store an agent writes into, and where what is sound in it goes."""
        return AgentStore(
            git_dir=self.work / ".git",
            user_objects=self.repository.objects,
            git=self.tree.git,
            scratch=self.scratch,
            incoming=incoming,
        )

    def write_own(self, exclude: bytes) -> None:
        """Write the runtime's git directory, or bring it up to date."""
        repository = self.repository
        own_directory(
            self.git_dir,
            repository.config,
            repository.object_format,
            work=self.work,
            shallow=repository.shallow_file,
            exclude=exclude,
            attributes=self._attributes(),
        )

    def write_skeleton(
        self,
        *,
        commit: str,
        branch: str,
        identity: Identity,
        exclude: bytes,
        packed_refs: bytes = b"",
        extra: Sequence[str] = (),
    ) -> None:
        """Write the `.git` an agent works with; there must be none."""
        repository = self.repository
        agent_directory(
            self.work / ".git",
            repository.config,
            repository.object_format,
            branch=branch,
            commit=commit,
            objects=repository.objects,
            person=(identity.name, identity.email),
            packed_refs=packed_refs,
            shallow=repository.shallow_file,
            index=self.git_dir / "index",
            exclude=exclude,
            attributes=self._attributes(),
            extra=extra,
        )

    def _attributes(self) -> bytes:
        file = self.repository.common_dir / "info" / "attributes"
        return file.read_bytes() if file.is_file() else b""
