"""Pooled checkouts, each a repository of its own, recycled from attempt to attempt (ARCHITECTURE 3.2).

A workspace is a folder with a `.git` that we wrote for the agent and never run git in; what we do to it goes
through a git directory of our own beside it. There is no fallback: where no checkout can be made, the
attempt fails, and the user's own work tree is never used instead (I1).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chargehand.adapters.git.command import Git, plain_environment
from chargehand.adapters.git.history import AgentStore
from chargehand.adapters.git.owned import agent_directory, own_directory
from chargehand.adapters.git.partial import complete
from chargehand.adapters.git.reading import read_texts, write_patch
from chargehand.adapters.git.repository import Identity, Repository
from chargehand.adapters.git.work import WorkTree
from chargehand.adapters.rescue import Rescuer
from chargehand.adapters.sealing import Sealer
from chargehand.adapters.slots import Note, Pool, Slot, file_identity, open_up, remove_tree
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import Sealed
from chargehand.domain.seal_rules import dropping_patterns
from chargehand.ports import SealJob, Workspace

__all__ = ["GitWorkspaces"]


@dataclass(slots=True)
class _Known:
    """What is read once and stays true for the life of the object."""

    packed_refs: bytes | None = None
    exclude: bytes | None = None
    folders: dict[str, tuple[bytes, ...]] = field(default_factory=dict)


class GitWorkspaces:
    """Implements `ports.Workspaces` for a repository; slots live in `pool`, outside every work tree."""

    def __init__(self, repository: Repository, pool: Path) -> None:
        self.repository = repository
        name = (repository.root or repository.common_dir).name.removesuffix(".git")
        self._pool = Pool(pool, re.sub(r"[^A-Za-z0-9._-]", "-", name).strip(".-") or "work")
        self._held: dict[str, Slot] = {}
        self._known = _Known()

    @property
    def identity(self) -> Identity:
        """Who agents commit as, and who seals."""
        return self.repository.identity

    # -- taking and giving back

    async def acquire(self, commit: str, *, branch: str, keep: Sequence[str] = ()) -> Workspace:
        """A clean checkout of `commit` on `branch` that nobody else has; `keep` patterns survive cleaning.

        A slot that its holder left behind is rescued first, under `refs/chargehand/rescue/abandoned/<slot>`.
        """
        slot = await asyncio.to_thread(self._pool.take)
        try:
            await self._rescue_abandoned(slot)
            try:
                await self._fill(slot, commit, branch, keep)
            except (AdapterError, OSError):
                if not await complete(self.repository, commit):
                    await self._start_over(slot)
                await self._fill(slot, commit, branch, keep)
        except BaseException:
            slot.give_back()
            raise
        index = file_identity(slot.work / ".git" / "index")
        slot.write_note(Note(commit=commit, branch=branch, held=True, index=index))
        self._held[slot.name] = slot
        return Workspace(path=slot.work, slot=slot.name, commit=commit, branch=branch)

    async def release(self, workspace: Workspace) -> None:
        """Give the checkout back to the pool; harmless when repeated."""
        slot = self._held.pop(workspace.slot, None) or self._pool.take_named(workspace.slot)
        if slot is not None:
            slot.write_note(Note(commit=workspace.commit, branch=workspace.branch, held=False))
            slot.give_back()

    def abandoned(self) -> list[Workspace]:
        """The workspaces whose holder died before it gave them back: to be rescued, then released."""
        found = []
        for name in self._pool.names():
            slot = None if name in self._held else self._pool.take_named(name)
            if slot is not None:
                note = slot.note()
                if note is not None and note.held:
                    found.append(Workspace(path=slot.work, slot=name, commit=note.commit, branch=note.branch))
                slot.give_back()
        return found

    # -- keeping what is in it

    async def seal(self, job: SealJob) -> Sealed:
        """Fix everything in the workspace under `job.ref`, with a git directory no agent can write."""
        slot = self._slot(job.workspace)
        folders = await self._folders(job.workspace.commit)
        tree = self._tree(slot)
        store = self._store(slot, tree)
        note = slot.note()
        sealer = Sealer(
            repository=self.repository,
            tree=tree,
            store=store,
            folders=folders,
            index_touched=note is None or note.index != file_identity(slot.work / ".git" / "index"),
        )
        return await sealer.seal(job)

    async def rescue(self, workspace: Workspace, prefix: str, message: str) -> str | None:
        """Keep tracked and untracked files under the next free ref `<prefix>/<n>`; None when nothing differs."""
        return await self._rescuer(self._slot(workspace)).rescue(workspace.commit, prefix, message)

    # -- reading commits

    async def patch(self, base: str, commit: str, target: Path, limit: int) -> None:
        """Write the difference of two commits to `target`, cut at `limit` bytes."""
        await write_patch(self.repository.plumbing(), base, commit, target, limit)

    async def read(self, commit: str, paths: Sequence[str], limit: int) -> dict[str, str]:
        """The text of the files of a commit that exist and are text, each cut at `limit` characters."""
        return await read_texts(self.repository.plumbing(), commit, paths, limit)

    # -- making one

    async def _fill(self, slot: Slot, commit: str, branch: str, keep: Sequence[str]) -> None:
        exclude = self._exclude() + "".join(f"{pattern}\n" for pattern in keep).encode()
        await asyncio.to_thread(self._ready, slot, exclude)
        tree = self._tree(slot)
        folders, _ = await asyncio.gather(self._folders(commit), tree.check_out(commit, keep))
        for folder in folders:
            planted = os.fsencode(slot.work) + b"/" + folder + b"/.git"
            if os.path.lexists(planted):
                await asyncio.to_thread(remove_tree, Path(os.fsdecode(planted)))
        packed = await self._packed_refs()
        await asyncio.to_thread(self._skeleton, slot, commit, branch, exclude, packed)

    def _ready(self, slot: Slot, exclude: bytes) -> None:
        if slot.work.is_symlink() or (slot.work.exists() and not slot.work.is_dir()):
            self._throw_away(slot.work)
        slot.work.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(slot.work / ".git"):
            self._throw_away(slot.work / ".git")
        repository = self.repository
        own_directory(
            slot.git_dir,
            repository.config,
            repository.object_format,
            work=slot.work,
            shallow=repository.shallow_file,
            exclude=exclude,
            attributes=self._attributes(),
        )

    def _skeleton(self, slot: Slot, commit: str, branch: str, exclude: bytes, packed: bytes) -> None:
        repository = self.repository
        agent_directory(
            slot.work / ".git",
            repository.config,
            repository.object_format,
            branch=branch,
            commit=commit,
            objects=repository.objects,
            person=(self.identity.name, self.identity.email),
            packed_refs=packed,
            shallow=repository.shallow_file,
            index=slot.git_dir / "index",
            exclude=exclude,
            attributes=self._attributes(),
        )

    async def _start_over(self, slot: Slot) -> None:
        await asyncio.to_thread(open_up, slot.work)
        await asyncio.to_thread(self._throw_away, slot.work)
        await asyncio.to_thread(self._throw_away, slot.git_dir)

    def _throw_away(self, path: Path) -> None:
        aside = self._pool.discard(path)
        if aside is not None:
            remove_tree(aside)

    async def _rescue_abandoned(self, slot: Slot) -> None:
        note = slot.note()
        if note is None or not note.held or not slot.work.is_dir():
            return
        await self._rescuer(slot).rescue(
            note.commit,
            f"refs/chargehand/rescue/abandoned/{slot.name}",
            f"What was left in workspace {slot.name} on {note.branch}\n",
        )

    # -- what is behind a slot

    def _slot(self, workspace: Workspace) -> Slot:
        slot = self._held.get(workspace.slot) or self._pool.take_named(workspace.slot)
        if slot is None:
            raise AdapterError("workspaces", f"{workspace.slot} is in use by another process.", retryable=True)
        if not slot.work.is_dir() or not slot.git_dir.is_dir():
            slot.give_back()
            raise AdapterError("workspaces", f"the workspace {workspace.path} is gone.")
        self._held[workspace.slot] = slot
        return slot

    def _tree(self, slot: Slot) -> WorkTree:
        repository = self.repository
        env = plain_environment(repository.environ) | {"GIT_OBJECT_DIRECTORY": str(repository.objects)}
        git = Git(cwd=slot.work, env=env)
        where = ("--git-dir", str(slot.git_dir), "--work-tree", str(slot.work))
        bound = Git(cwd=slot.work, env=env, options=(*git.options, *where))
        return WorkTree(path=slot.work, git_dir=slot.git_dir, git=bound, zero=repository.zero)

    def _rescuer(self, slot: Slot) -> Rescuer:
        tree = self._tree(slot)
        return Rescuer(repository=self.repository, tree=tree, store=self._store(slot, tree))

    def _store(self, slot: Slot, tree: WorkTree) -> AgentStore:
        return AgentStore(
            git_dir=slot.work / ".git", user_objects=self.repository.objects, git=tree.git, scratch=slot.home
        )

    async def _folders(self, commit: str) -> tuple[bytes, ...]:
        """The tracked folders of a commit: where a planted `.git` would outlive cleaning."""
        if commit not in self._known.folders:
            got = await self.repository.plumbing().run("ls-tree", "-r", "-d", "-z", "--name-only", commit)
            self._known.folders[commit] = tuple(path for path in got.stdout.split(b"\0") if path)
        return self._known.folders[commit]

    async def _packed_refs(self) -> bytes:
        """The user's tags, as a `packed-refs` file; read once."""
        if self._known.packed_refs is None:
            fields = "--format=%(objectname) %(refname)%00%(*objectname)"
            got = await self.repository.git().run("for-each-ref", fields, "refs/tags")
            lines = [b"# pack-refs with: peeled fully-peeled sorted "]
            for line in got.stdout.splitlines():
                tag, _, peeled = line.partition(b"\0")
                lines += [tag, *([b"^" + peeled] if peeled else [])]
            self._known.packed_refs = b"\n".join([*lines, b""])
        return self._known.packed_refs

    def _exclude(self) -> bytes:
        """What untracked files nobody sees: tool droppings, and what the user excludes."""
        if self._known.exclude is None:
            config = self.repository.config.get("core.excludesfile")
            environ = self.repository.environ
            home = environ.get("HOME", "/nonexistent")
            folder = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
            chosen = config.replace("~", home, 1) if config and config.startswith("~/") else config
            files = [Path(chosen or f"{folder}/git/ignore"), self.repository.common_dir / "info" / "exclude"]
            parts = ["".join(f"{pattern}\n" for pattern in dropping_patterns()).encode()]
            parts += [file.read_bytes() + b"\n" for file in files if file.is_file()]
            self._known.exclude = b"".join(parts)
        return self._known.exclude

    def _attributes(self) -> bytes:
        file = self.repository.common_dir / "info" / "attributes"
        return file.read_bytes() if file.is_file() else b""
