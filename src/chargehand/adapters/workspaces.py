"""Pooled checkouts, each a repository of its own, recycled from attempt to attempt (ARCHITECTURE 3.2).

A workspace is a folder with a `.git` that we wrote for the agent and never run git in; what we do to it goes
through a git directory of our own beside it. There is no fallback: where no checkout can be made, the
attempt fails, and the user's own work tree is never used instead (I1).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.adapters.checkout import Checkout
from chargehand.adapters.copies import Copy
from chargehand.adapters.git.command import GIB, MIB
from chargehand.adapters.git.layout import Layout, layout_of, planted, tags_as_packed_refs
from chargehand.adapters.git.loose_refs import locks_of
from chargehand.adapters.git.partial import complete
from chargehand.adapters.git.reading import read_texts, write_patch
from chargehand.adapters.git.refs import is_plain_directory, ref_safe
from chargehand.adapters.git.repository import Identity, Repository
from chargehand.adapters.lfs import LargeFiles, Missing
from chargehand.adapters.rescue import Rescuer, prefix_of
from chargehand.adapters.sealing import Sealer
from chargehand.adapters.secret_findings import SecretWatch
from chargehand.adapters.slots import Note, Pool, Slot, file_identity, open_up, remove_tree
from chargehand.adapters.submodules import Module, find_modules, read_modules, write_modules
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import Sealed
from chargehand.domain.seal_rules import dropping_patterns
from chargehand.ports import SealJob, Workspace

__all__ = ["GitWorkspaces"]

_DEPTH = 5  # submodules in submodules
_PLENTY = 16 * GIB  # a checkout is not measured where this much is free
_LOCK_S = 1.0  # longer than any git holds a lock on one ref


@dataclass(slots=True)
class _Known:
    """What is read once and stays true for the life of the object."""

    packed_refs: bytes | None = None
    exclude: bytes | None = None
    size: int | None = None


class GitWorkspaces:
    """Implements `ports.Workspaces` for a repository; slots live in `pool`, outside every work tree."""

    def __init__(
        self,
        repository: Repository,
        pool: Path,
        *,
        precious: bool = True,
        spare_bytes: int = GIB,
        watch: SecretWatch | None = None,
    ) -> None:
        """`precious`: what a dead holder left in a slot is work of an agent, not of a gate.

        `spare_bytes` have to be free on the disk beside what a checkout takes; gates go on with whatever there is.
        `watch` looks for secrets in what is sealed.
        """
        self.repository = repository
        self._precious = precious
        self._watch = watch
        self._spare_bytes = spare_bytes if precious else 0
        name = (repository.root or repository.common_dir).name.removesuffix(".git")
        self._pool = Pool(pool, re.sub(r"[^A-Za-z0-9._-]", "-", name).strip(".-") or "work")
        self._held: dict[str, Slot] = {}
        self._known = _Known()

    @property
    def identity(self) -> Identity:
        """Who agents commit as, and who seals."""
        return self.repository.identity

    # -- taking and giving back

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
        A slot that its holder left behind is rescued first, as the work of its task where it is that of a run, else
        under `refs/chargehand/rescue/abandoned/<slot>`.
        AdapterError when the disk has less than `spare_bytes` left beside what the checkout takes.
        """
        slot = self._pool.take(commit)  # not in a thread: a cancelled call would leave it taken
        try:
            await self._rescue_abandoned(slot)
            await self._check_room(slot, commit)
            try:
                await self._fill(slot, commit, branch, keep, hide)
            except Missing:
                raise
            except (AdapterError, OSError):
                if not await complete(self.repository, commit):
                    await self._start_over(slot)
                await self._fill(slot, commit, branch, keep, hide)
        except BaseException:
            slot.give_back()
            raise
        index = file_identity(slot.work / ".git" / "index")
        try:
            slot.write_note(Note(commit=commit, branch=branch, held=True, index=index, declared=tuple(declared)))
        except OSError:
            slot.give_back()
            raise
        self._held[slot.name] = slot
        return Workspace(path=slot.work, slot=slot.name, commit=commit, branch=branch)

    async def release(self, workspace: Workspace) -> None:
        """Give the checkout back to the pool; harmless when repeated."""
        slot = self._held.pop(workspace.slot, None) or self._pool.take_named(workspace.slot)
        if slot is not None:
            slot.write_note(Note(commit=workspace.commit, branch=workspace.branch, held=False))
            slot.give_back()

    def let_go(self, workspace: Workspace) -> None:
        """Hold a workspace no longer, and leave in the slot what is said about it."""
        slot = self._held.pop(workspace.slot, None)
        if slot is not None:
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

    async def unlock(self, run: str) -> None:
        """Remove the locks that a dead holder of the run left on its refs: nobody else writes them (SPEC 8).

        A git that packs refs has one for a moment; what is the same a second later is nobody's.
        """
        name, common = ref_safe(run), self.repository.common_dir
        before = locks_of(common, name)
        if before:
            await asyncio.sleep(_LOCK_S)
        for lock, _ in before.items() & locks_of(common, name).items():
            with suppress(OSError):  # then git says that it is in the way
                lock.unlink()

    # -- keeping what is in it

    async def seal(self, job: SealJob) -> Sealed:
        """Fix everything in the workspace under `job.ref`, with a git directory no agent can write."""
        slot = self._slot(job.workspace)
        note = slot.note()
        touched = note is None or note.index != file_identity(slot.work / ".git" / "index")
        try:
            sealer = await self._sealer(self._checkout(slot), job.workspace.commit, index_touched=touched)
            return await sealer.seal(job)
        except OSError as error:
            raise AdapterError("workspaces", f"{slot.work} could not be sealed: {error}.", retryable=True) from error

    async def rescue(self, workspace: Workspace, prefix: str, message: str) -> str | None:
        """Keep tracked and untracked files under the next free ref `<prefix>/<n>`; None when nothing differs."""
        slot = self._slot(workspace)
        note = slot.note()
        return await self._rescue(slot, note.declared if note else (), workspace.commit, prefix, message)

    async def _rescue(self, slot: Slot, declared: Sequence[str], commit: str, prefix: str, message: str) -> str | None:
        try:
            return await self._rescuer(self._checkout(slot), declared).rescue(commit, prefix, message)
        except OSError as error:
            raise AdapterError("workspaces", f"{slot.work} could not be rescued: {error}.", retryable=True) from error

    def copy(self, workspace: Workspace) -> Copy:
        """The workspace as one that is only to be looked at; AdapterError when it is not held, or gone."""
        return Copy(checkout=self._checkout(self._slot(workspace)), commit=workspace.commit)

    # -- reading commits

    async def patch(self, base: str, commit: str, target: Path, limit: int) -> None:
        """Write the difference of two commits to `target`, cut at `limit` bytes."""
        await write_patch(self.repository.plumbing(), base, commit, target, limit)

    async def read(self, commit: str, paths: Sequence[str], limit: int) -> dict[str, str]:
        """The text of the files of a commit that exist and are text, each cut at `limit` characters."""
        return await read_texts(self.repository.plumbing(), commit, paths, limit)

    async def holds(self, ref: str, commit: str, tree: str) -> bool:
        """Whether `ref` points to the commit, and both it and its tree, which is this one, are there."""
        asked = f"{ref_safe(ref)}\n{commit}^{{tree}}\n".encode()
        got = await self.repository.git().run("cat-file", "--batch-check=%(objectname)", stdin=asked)
        return got.stdout.decode("utf-8", "replace").splitlines() == [commit, tree]

    # -- making one

    async def _fill(self, slot: Slot, commit: str, branch: str, keep: Sequence[str], hide: Sequence[str]) -> None:
        exclude = self._exclude() + "".join(f"{pattern}\n" for pattern in (*keep, *map(_exactly, hide))).encode()
        checkout = self._checkout(slot)
        if slot.work.is_symlink() or (slot.work.exists() and not slot.work.is_dir()):
            await asyncio.to_thread(self._throw_away, slot.work)
        large = LargeFiles.of(checkout)
        if large is not None:
            await large.let_go()
        await self._check_out(checkout, commit, exclude, keep)
        modules = await self._fill_modules(checkout, commit, branch, exclude)
        if large is not None:
            await large.fill()
        packed = await self._packed_refs()
        await asyncio.to_thread(
            checkout.write_skeleton,
            commit=commit,
            branch=branch,
            identity=self.identity,
            exclude=exclude,
            packed_refs=packed,
            extra=[line for module in modules for line in module.settings],
        )

    async def _check_out(self, checkout: Checkout, commit: str, exclude: bytes, keep: Sequence[str] = ()) -> None:
        """Exactly the files of a commit, without anything an agent planted."""
        await asyncio.to_thread(checkout.work.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(self._throw_away, checkout.work / ".git")
        await asyncio.to_thread(checkout.write_own, exclude)
        await checkout.tree.check_out(commit, keep)
        layout = await self._layout(checkout.repository, commit)
        root = os.fsencode(checkout.work)
        for folder in planted(root, layout.folders):
            await asyncio.to_thread(self._throw_away, Path(os.fsdecode(root + b"/" + folder)) / ".git")

    async def _fill_modules(
        self, checkout: Checkout, commit: str, branch: str, exclude: bytes, depth: int = 0
    ) -> tuple[Module, ...]:
        """Fill the submodules the user has; a folder of one they have not is empty."""
        links = (await self._layout(checkout.repository, commit)).links
        modules: tuple[Module, ...] = ()
        if links and depth < _DEPTH:
            cache = self.repository.fetched_modules
            modules = await find_modules(checkout.repository, commit, links, cache, inside=depth > 0)
        filled = {os.fsencode(module.path) for module in modules}
        for path in links:
            if path not in filled:
                await asyncio.to_thread(self._empty, checkout.work / os.fsdecode(path))
        for module in modules:
            inner = module.checkout(checkout)
            await self._check_out(inner, module.commit, exclude)
            await self._fill_modules(inner, module.commit, branch, exclude, depth + 1)
            await asyncio.to_thread(
                inner.write_skeleton, commit=module.commit, branch=branch, identity=self.identity, exclude=exclude
            )
        write_modules(checkout, modules)
        return modules

    def _empty(self, folder: Path) -> None:
        if not is_plain_directory(folder) or any(folder.iterdir()):
            self._throw_away(folder)
            folder.mkdir(parents=True)

    async def _start_over(self, slot: Slot) -> None:
        await asyncio.to_thread(open_up, slot.work)
        await asyncio.to_thread(self._throw_away, slot.work)
        await asyncio.to_thread(self._throw_away, slot.git_dir)

    def _throw_away(self, path: Path) -> None:
        aside = self._pool.discard(path)
        if aside is not None:
            remove_tree(aside)

    async def _rescue_abandoned(self, slot: Slot) -> None:
        """Keep what a dead holder left; what cannot be rescued is set aside, never overwritten."""
        if not self._precious or not os.path.lexists(slot.work):
            return
        note = slot.note()
        if slot.is_illegible:
            await asyncio.to_thread(self._pool.set_aside, slot)
        if note is None or not note.held:
            return
        prefix = prefix_of(note.branch, slot.name)
        message = f"What was left in workspace {slot.name} on {note.branch}\n"
        try:
            await self._rescue(slot, note.declared, note.commit, prefix, message)
        except AdapterError:
            await asyncio.to_thread(self._pool.set_aside, slot)
        slot.write_note(Note(commit=note.commit, branch=note.branch, held=False))

    async def _check_room(self, slot: Slot, commit: str) -> None:
        """Refuse to begin what would end with a full disk."""
        needed = self._spare_bytes
        for place, more in ((self._pool.folder, not slot.work.exists()), (self.repository.objects, False)):
            free = shutil.disk_usage(place).free
            if more and free < needed + _PLENTY:
                needed += await self._size(commit)
            if free < needed:
                text = f"{place} has {free // MIB} MiB left, and an attempt needs {-(-needed // MIB)} MiB to start"
                hint = "make room (`chargehand clean` removes what finished runs left), then retry"
                raise AdapterError("workspaces", f"{text}: {hint}.")

    async def _size(self, commit: str) -> int:
        """How many bytes the files of a commit take, more or less."""
        if self._known.size is None:
            listed = await self.repository.plumbing().run("ls-tree", "-r", "-l", "-z", "--full-tree", commit)
            sizes = (entry.partition(b"\t")[0].split()[3:] for entry in listed.stdout.split(b"\0"))
            self._known.size = sum(int(size[0]) for size in sizes if size and size[0].isdigit())
        return self._known.size

    # -- what is behind a slot

    def _slot(self, workspace: Workspace) -> Slot:
        slot = self._held.get(workspace.slot) or self._pool.take_named(workspace.slot)
        if slot is None:
            raise AdapterError("workspaces", f"{workspace.slot} is in use by another process.", retryable=True)
        if not slot.work.is_dir() or not slot.git_dir.is_dir():
            if workspace.slot not in self._held:
                slot.give_back()
            raise AdapterError("workspaces", f"the workspace {workspace.path} is gone.")
        self._held[workspace.slot] = slot
        return slot

    def _checkout(self, slot: Slot) -> Checkout:
        return Checkout(repository=self.repository, work=slot.work, git_dir=slot.git_dir, scratch=slot.home)

    async def _sealer(self, checkout: Checkout, commit: str, *, index_touched: bool = True) -> Sealer:
        incoming = checkout.repository.incoming()
        checkout = replace(checkout, incoming=incoming)
        modules = {
            os.fsencode(module.path): (
                module.commit,
                await self._sealer(module.checkout(checkout), module.commit),
            )
            for module in read_modules(checkout)
        }
        return Sealer(
            repository=checkout.repository,
            tree=checkout.tree,
            store=checkout.store(incoming),
            incoming=incoming,
            folders=(await self._layout(checkout.repository, commit)).folders,
            index_touched=index_touched,
            modules=modules,
            large=LargeFiles.of(checkout),
            watch=self._watch,
        )

    def _rescuer(self, checkout: Checkout, declared: Sequence[str] = ()) -> Rescuer:
        incoming = checkout.repository.incoming()
        checkout = replace(checkout, incoming=incoming)
        return Rescuer(
            repository=checkout.repository,
            tree=checkout.tree,
            store=checkout.store(incoming),
            incoming=incoming,
            modules={
                os.fsencode(module.path): (module.commit, self._rescuer(module.checkout(checkout)))
                for module in read_modules(checkout)
            },
            large=LargeFiles.of(checkout),
            declared=declared,
        )

    async def _layout(self, repository: Repository, commit: str) -> Layout:
        layout = repository.layouts.get(commit)
        if layout is None:
            layout = await layout_of(repository.plumbing(), commit)
            repository.layouts.add(commit, layout)
        return layout

    async def _packed_refs(self) -> bytes:
        """The user's tags, as a `packed-refs` file; read once."""
        if self._known.packed_refs is None:
            self._known.packed_refs = await tags_as_packed_refs(self.repository.git())
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


def _exactly(path: str) -> str:
    """An ignore pattern for one path from the root."""
    return "/" + re.sub(r"([\\*?\[ ])", r"\\\1", path)
