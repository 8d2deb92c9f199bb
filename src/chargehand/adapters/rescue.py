"""Keeps what is in a workspace from being lost, without judging it (I2, SPEC 7.5)."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chargehand.adapters.git.command import MIB, Git, GitFailed
from chargehand.adapters.git.history import AgentStore
from chargehand.adapters.git.incoming import Incoming
from chargehand.adapters.git.raw import GITLINK, Raw
from chargehand.adapters.git.refs import list_refs, read_head, read_ref, ref_safe
from chargehand.adapters.git.repository import Repository
from chargehand.adapters.git.work import WorkTree
from chargehand.adapters.ignored import declared_files
from chargehand.adapters.left_out import LeftOut, Why, files_in, look_over, sort_out, told
from chargehand.adapters.lfs import LargeFiles
from chargehand.domain.errors import AdapterError
from chargehand.domain.ids import REF_ROOT, integration_branch, rescue_prefix
from chargehand.domain.seal_rules import is_dropping

__all__ = ["Rescuer", "keep_under", "other_ends", "prefix_of", "seal_under", "sound_ends", "would_be_lost"]

_RESERVE = 2 * MIB
_TRIES = 300
_MOVES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescuer:
    """Rescues one workspace, whatever state its `.git` is in; `modules` are its submodules, by path.

    `declared` are the patterns of files that count although git ignores them.
    """

    repository: Repository
    tree: WorkTree
    store: AgentStore
    incoming: Incoming
    modules: Mapping[bytes, tuple[str, Rescuer]] = field(default_factory=dict)
    large: LargeFiles | None = None
    declared: Sequence[str] = ()

    async def rescue(self, base: str, prefix: str, message: str) -> str | None:
        """Commit everything not ignored under the next free `<prefix>/<n>`; None when nothing differs.

        The agent's commits become parents, those of other branches and of its stash too. What git cannot keep is named
        in the message. AdapterError when something only lacks room: what fits is kept, and the workspace has to stay.
        """
        with self.incoming:
            return await self._rescue(base, prefix, message)

    async def _rescue(self, base: str, prefix: str, message: str) -> str | None:
        self.tree.unlock()
        left = LeftOut()
        await asyncio.to_thread(look_over, os.fsencode(self.tree.path), left)
        failed: list[Exception] = []
        links = await self._modules(prefix, message, failed)
        parents = await self._parents(base)
        tree = await self._write(parents[0], links, left)
        ref = None
        if parents != (base,) or tree != await self.repository.tree(base) or left.holds_work:
            ref = await self._keep(base, prefix, told(message, left), tree, parents)
        if left.lacks_room:
            text = f"There was no room for {left.lacks_room} files of {self.tree.path}, which stays as it is"
            raise AdapterError("workspaces", f"{text}; the rest is kept in {ref}. Make room.", retryable=True)
        if failed:
            raise failed[0]
        return ref

    async def _keep(self, base: str, prefix: str, message: str, tree: str, parents: Sequence[str]) -> str:
        commit = self.incoming.commit(tree, parents, self.repository.identity, message)
        await self.incoming.hand_over(self.tree.git, [commit], [base])
        return await keep_under(self.repository, prefix, commit)

    def _room(self) -> int:
        """How many bytes of files can be kept: they are written down, and then packed."""
        return max(0, (shutil.disk_usage(self.repository.objects).free - _RESERVE) // 2)

    async def _parents(self, base: str) -> tuple[str, ...]:
        """What the rescue stands on: the agent's head where it can be read, else the base; then its other ends."""
        git_dir = self.tree.path / ".git"
        head = read_head(git_dir).commit
        ends = [end for end in dict.fromkeys((head, *other_ends(git_dir))) if end is not None and end != base]
        reader = self.store.reader()
        if reader is None or not ends:
            return (base,)
        sound = await sound_ends(self.store, reader, base, ends)
        first = (head,) if head is not None and head in sound else (base,)
        return (*first, *(end for end in sound if end not in first))

    async def _modules(self, prefix: str, message: str, failed: list[Exception]) -> list[Raw]:
        """Rescue each submodule in its own repository; the rescue of the whole then points there.

        One that fails does not keep the others from being kept.
        """
        links = []
        for path, (commit, rescuer) in self.modules.items():
            if self.tree.kind(path) == stat.S_IFDIR:
                try:
                    ref = await rescuer.rescue(commit, prefix, message)
                except (AdapterError, OSError) as error:
                    failed.append(error)
                    continue
                kept = None if ref is None else await rescuer.repository.ref(ref)
                if kept is not None:
                    links.append(Raw(old_mode=GITLINK, new_mode="", old=kept, new="", path=path))
        return links

    async def _write(self, commit: str, links: Sequence[Raw], left: LeftOut) -> str:
        """The tree of the workspace: as its attributes want it, or byte for byte where git stumbles over them."""
        try:
            found = LeftOut()
            tree = await self._tree(commit, links, found)
        except AdapterError:
            found = LeftOut()
            self.tree.ignore_attributes()
            try:
                tree = await self._tree(commit, links, found, one_by_one=True)
            finally:
                self.tree.forget()
        left.join(found)
        return tree

    async def _tree(self, commit: str, links: Sequence[Raw], left: LeftOut, *, one_by_one: bool = False) -> str:
        await self.tree.rewind(commit)
        paths = await self._paths()
        root = os.fsencode(self.tree.path)
        paths = await asyncio.to_thread(sort_out, root, paths, left, room=self._room())
        pointers: list[Raw] = []
        if self.large is not None:
            paths, pointers = await self.large.turn(paths)
        await self.tree.stage([], [*pointers, *links])
        if one_by_one:
            for path in await self._stage(paths, [_TRIES]):
                left.add(Why.REFUSED, path)
        else:
            await self.tree.stage(paths)
        tree = await self.tree.write_tree()
        if tree is None:
            raise AdapterError("git", "objects of the workspace vanish while it is rescued.", retryable=True)
        return tree

    async def _paths(self) -> list[bytes]:
        pending = await self.tree.pending()
        root = os.fsencode(self.tree.path)
        found = [path for path in pending.untracked if not is_dropping(os.fsdecode(path))]
        inside = [path for nested in pending.nested for path in files_in(root, nested)]
        known = {*pending.tracked, *found, *inside}
        return [*pending.tracked, *found, *inside, *sorted(await declared_files(self.tree, self.declared, known))]

    async def _stage(self, paths: Sequence[bytes], tries: list[int]) -> list[bytes]:
        """Stage what git takes; what it refuses is found by halves, in a bounded number of tries."""
        tries[0] -= 1
        if tries[0] < 0:
            raise AdapterError("workspaces", f"git refuses too many files of {self.tree.path}, which stays as it is.")
        try:
            await self.tree.stage(paths)
        except AdapterError:
            if len(paths) <= 1:
                return list(paths)
            self.tree.unlock()
            middle = len(paths) // 2
            return [*await self._stage(paths[:middle], tries), *await self._stage(paths[middle:], tries)]
        return []


def prefix_of(branch: str, slot: str) -> str:
    """Where what somebody left behind on a branch is kept: with the rescues of its task, if it has one."""
    run, _, task = branch.removeprefix(integration_branch("")).partition("/")
    if branch.startswith(integration_branch("")) and run and task:
        return rescue_prefix(run, task)
    return f"{REF_ROOT}/rescue/abandoned/{slot}"


def other_ends(git_dir: Path) -> list[str]:
    """The commits that branches and the stash of an agent's repository name."""
    refs = {**list_refs(git_dir, "refs/heads"), "stash": read_ref(git_dir, "refs/stash")}
    return list(dict.fromkeys(oid for oid in refs.values() if oid is not None))


async def sound_ends(store: AgentStore, reader: Git, base: str, ends: Sequence[str]) -> list[str]:
    """Those commits that are new and whose objects could be brought into the user's repository."""
    sound = []
    for end in ends:
        new = await reader.run("rev-list", "--max-count=1", "--end-of-options", end, f"^{base}", ok=(0, 128))
        if new.stdout.strip() and await store.bring_in(reader, base, (end,)):
            sound.append(end)
    return sound


async def seal_under(repository: Repository, ref: str, commit: str, prefix: str, *, why: str) -> None:
    """Point a ref at sealed work; other work that it holds is first kept under the next free `<prefix>/<n>` [I2].

    A journal that lost its end uses the numbers of attempts again. `AdapterError` when others keep moving the ref.
    """
    for _ in range(_MOVES):
        try:
            if await repository.set_ref(ref, commit, repository.zero, why=why):
                return
        except GitFailed as error:
            if "reference broken" not in error.stderr:
                raise
            # nothing that git could read stands there, so there is nothing to keep either
            await repository.set_ref(ref, commit, why=why)
            return
        old = await repository.ref(ref)
        if old == commit:
            return
        if old is None:
            continue
        if await would_be_lost(repository, old, commit):
            await keep_under(repository, prefix, old, once=True)
        if await repository.set_ref(ref, commit, old, why=why):
            return
    raise AdapterError("git", f"{ref} is moved by others while it is written.", retryable=True)


async def would_be_lost(repository: Repository, old: str, new: str) -> bool:
    """Whether `old` is there and no part of the history of `new`."""
    git = repository.git()
    if (await git.run("merge-base", "--is-ancestor", old, new, ok=(0, 1, 128))).code == 0:
        return False
    return (await git.run("cat-file", "-e", old, ok=(0, 1, 128))).code == 0


async def keep_under(repository: Repository, prefix: str, commit: str, *, once: bool = False) -> str:
    """Keep a commit of ours under the next free `<prefix>/<n>`; the ref.

    With `once` the commit is anybody's, and a rescue there that holds it already is enough. It is never named itself:
    who makes a commit chooses its date, and an old one would tell `clean` that nobody wants it any more (I2). What is
    named is a commit of our own and of now, on top of it and with its files.
    """
    prefix = ref_safe(prefix)
    fields = "--format=%(refname) %(objectname) %(parent)"
    held: dict[str, list[str]] = {}
    for line in (await repository.git().text("for-each-ref", fields, f"{prefix}/")).splitlines():
        ref, *commits = line.split(" ")
        held[ref] = commits
    if not once:
        return await _keep_as(repository, prefix, commit, held)
    found = next((ref for ref, commits in held.items() if commits[-1] == commit and len(commits) > 1), None)
    return found or await _keep_on_top(repository, prefix, commit, held)


async def _keep_on_top(repository: Repository, prefix: str, commit: str, taken: Iterable[str]) -> str:
    """Keep somebody else's commit as the last parent of one of ours; the first is its own, so that its patch shows."""
    got = await repository.git().text("rev-list", "--max-count=1", "--parents", "--end-of-options", commit)
    parents = (*got.split()[1:2], commit)
    with repository.incoming() as incoming:
        tree = await repository.tree(commit)
        made = incoming.commit(tree, parents, repository.identity, f"A commit beside what counts: {commit[:12]}\n")
        await incoming.hand_over(incoming.over(repository.plumbing()), [made], parents)
        return await _keep_as(repository, prefix, made, taken)


async def _keep_as(repository: Repository, prefix: str, commit: str, taken: Iterable[str]) -> str:
    ends = [ref.rpartition("/")[2] for ref in taken]
    number = max((int(end) if end.isdecimal() else 0 for end in ends), default=0) + 1
    while not await repository.set_ref(f"{prefix}/{number}", commit, repository.zero, why="chargehand: rescue"):
        number += 1
    return f"{prefix}/{number}"
