"""Fixes what an agent left in a workspace under a ref, and says what it is (SPEC 3.7, items 1 to 4).

The agent's commits come first: when they are sound they are brought into the user's repository. Then every
path that differs from the base, or that a commit touched, is taken from the workspace as it stands into the
runtime's index, by our rules of what counts, and written as a tree. Where that tree is the agent's own, its
commit is the result; else one commit of ours goes on top. Paths that only the coordinator writes stay as the base has
them, whatever was done there.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from chargehand.adapters.git.command import Git
from chargehand.adapters.git.history import AgentStore, History
from chargehand.adapters.git.incoming import Incoming
from chargehand.adapters.git.layout import planted
from chargehand.adapters.git.raw import GITLINK, Commit, Pending, Raw, path_text
from chargehand.adapters.git.refs import read_head
from chargehand.adapters.git.repository import Repository
from chargehand.adapters.git.work import FILES, WorkTree
from chargehand.adapters.ignored import declared_files
from chargehand.adapters.lfs import LargeFiles
from chargehand.adapters.rescue import keep_under, other_ends, seal_under, sound_ends
from chargehand.adapters.seal_findings import placeholders, silenced, test_changes
from chargehand.adapters.secret_findings import SecretWatch
from chargehand.domain.errors import AdapterError
from chargehand.domain.ids import REF_ROOT
from chargehand.domain.outcome import Change, ChangeKind, ClaimCheck, Sealed, WholeChange
from chargehand.domain.scope import matches
from chargehand.domain.seal_rules import counts, literals
from chargehand.domain.silencing import Silenced
from chargehand.domain.test_changes import TestChange
from chargehand.ports import SealJob

__all__ = ["Sealer"]

_LINK = "120000"
_MOST_LEFT_OUT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    tree: str
    nested: tuple[bytes, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Staging:
    """Paths to be taken from the workspace into the index of the base, entries to be set, paths to be left alone."""

    paths: list[bytes]
    entries: list[Raw]
    left_out: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What the result stands on: the base, or the agent's last commit where its history is sound."""

    commit: str
    history: History | None
    agent_commits: int = 0
    base_is_ancestor: bool = True
    reader: Git | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealer:
    """Seals one workspace; `folders` are the tracked folders of its base.

    `index_touched`: the agent's own index is no longer the one it was given. `modules` are the sealers of its
    submodules, by path, each with the commit it was filled with; `large` turns large files into pointers. `watch` looks
    for secrets; `inner`, `inner_tests` and `inner_silenced` are what was found in submodules.
    """

    repository: Repository
    tree: WorkTree
    store: AgentStore
    incoming: Incoming
    folders: Collection[bytes] = ()
    index_touched: bool = True
    modules: Mapping[bytes, tuple[str, Sealer]] = field(default_factory=dict)
    large: LargeFiles | None = None
    watch: SecretWatch | None = None
    inner: list[str] = field(default_factory=list)
    inner_tests: list[TestChange] = field(default_factory=list)
    inner_silenced: list[Silenced] = field(default_factory=list)

    async def seal(self, job: SealJob) -> Sealed:
        """Fix everything under `job.ref`; AdapterError when the workspace cannot be read or written down."""
        with self.incoming:
            return await self._seal(job)

    async def _seal(self, job: SealJob) -> Sealed:
        base = job.workspace.commit
        self.tree.unlock()
        base_tree = await self.repository.tree(base)
        start, pending = await self._both(base)
        if pending.unseen:
            some = ", ".join(path_text(path)[:200] for path in pending.unseen[:5])
            text = f"git cannot look into folders of the workspace ({some}): their paths must be shorter, and readable."
            raise AdapterError("workspaces", text)
        written = await self._write(job, start, pending)
        commit = await self._commit(job, start, written.tree, base_tree)
        diff = await self._diff(start, commit, base_tree, written.tree)
        self._remember_layout(base, commit, diff)
        ends = await self._other_ends(job, start)
        if commit != base or ends:
            await self.incoming.hand_over(self.tree.git, [commit, *ends], [base])
        rescues = _rescue_prefix(job.ref)
        await seal_under(self.repository, job.ref, commit, rescues, why=f"chargehand: seal {job.workspace.slot}")
        for end in ends:
            await keep_under(self.repository, rescues, end, once=True)
        own, *whole = await self._told(job, start, written, diff)
        return Sealed(
            base=base,
            commit=commit,
            tree=written.tree,
            base_tree=base_tree,
            changes=own.changes,
            present=await self._present(job, written.tree),
            agent_commits=start.agent_commits,
            base_is_ancestor=start.base_is_ancestor,
            claim=await self._claim(job, start, commit),
            placeholders=own.placeholders,
            secrets=await self._secrets(start, base_tree, diff),
            test_changes=own.test_changes,
            silenced=own.silenced,
            left_out=own.left_out,
            whole=whole[0] if whole else None,
        )

    async def _told(
        self, job: SealJob, start: _Start, written: _Written, diff: tuple[Raw, ...]
    ) -> Iterator[WholeChange]:
        """What is told of the difference, and of the whole change, where that began before this workspace did."""
        diffs = [diff]
        if job.origin not in {"", job.workspace.commit}:
            diffs.append(await self.tree.diff(job.origin, written.tree))
        unfinished = await placeholders(self.tree, diffs)
        tests = await test_changes(self.tree, diffs)
        quiet = await silenced(self.tree, diffs)
        return (
            WholeChange(
                changes=self._changes(job, each, written.nested, start.history),
                placeholders=unfinished[n],
                test_changes=(*tests[n], *dict.fromkeys(self.inner_tests)),
                silenced=(*quiet[n], *dict.fromkeys(self.inner_silenced)),
                left_out=written.left_out,
            )
            for n, each in enumerate(diffs)
        )

    async def _secrets(self, start: _Start, base_tree: str, diff: Sequence[Raw]) -> tuple[str, ...]:
        """Secrets that the result adds, in submodules as well, and in the agent's commits where they are part of it."""
        if self.watch is None:
            return ()
        history = start.history if start.base_is_ancestor else None
        return (*await self.watch.added(self.tree, base_tree, diff, history), *dict.fromkeys(self.inner))

    # -- the agent's commits

    async def _both(self, base: str) -> tuple[_Start, Pending]:
        """The commits and the files, read at the same time: neither look waits for the other."""
        files = asyncio.ensure_future(self.tree.pending())
        try:
            start = await self._start(base)
        except BaseException:
            files.cancel()
            await asyncio.gather(files, return_exceptions=True)
            raise
        return start, await files

    async def _start(self, base: str) -> _Start:
        head = read_head(self.tree.path / ".git").commit
        reader = self.store.reader()
        if head is None or head == base or reader is None:
            return _Start(commit=base, history=None, reader=reader)
        history = await self.store.history(reader, base, head)
        if history is None:
            return _Start(commit=base, history=None, reader=reader)
        count = len(history.commits)
        if not history.rooted:
            return _Start(commit=base, history=history, agent_commits=count, base_is_ancestor=False, reader=reader)
        if not await self.store.bring_in(reader, base, (head,)):
            return _Start(commit=base, history=None, reader=reader)
        return _Start(commit=head, history=history, agent_commits=count, reader=reader)

    async def _other_ends(self, job: SealJob, start: _Start) -> list[str]:
        """Work that is no part of the result, to be kept as rescues: branches, a stash, a rewritten history (I2)."""
        history = start.history
        sound = history is not None and start.base_is_ancestor
        known = {job.workspace.commit, *(made.oid for made in (history.commits if history and sound else ()))}
        heads = [history.head] if history is not None and not sound else []
        ends = [end for end in (*heads, *other_ends(self.tree.path / ".git")) if end not in known]
        if not ends or start.reader is None:
            return []
        return await sound_ends(self.store, start.reader, job.workspace.commit, list(dict.fromkeys(ends)))

    # -- the tree

    async def _write(self, job: SealJob, start: _Start, pending: Pending) -> _Written:
        base = job.workspace.commit
        committed = await self._committed(job, start)
        for again in (False, True):
            if again or pending.staged:  # sealed before
                await self.tree.rewind(base)
                pending = await self.tree.pending()
            staging = await self._to_stage(job, start, pending, committed)
            nested = (*pending.nested, *self._planted())
            tree = await self._settled(base, start, committed, staging)
            if tree is None:
                await self.tree.stage(staging.paths, staging.entries)
                tree = await self.tree.write_tree()
            if tree is not None:
                return _Written(tree=tree, nested=nested, left_out=_named(staging.left_out))
        raise AdapterError("git", "objects of the workspace vanish while it is sealed.", retryable=True)

    async def _settled(self, base: str, start: _Start, committed: Sequence[Raw], staging: _Staging) -> str | None:
        """The tree, where there is nothing to write down: nothing changed, or all of it is committed."""
        paths = staging.paths
        if staging.entries or not {raw.path for raw in committed} >= set(paths):
            return None
        if start.history is None or not start.base_is_ancestor:
            return None if paths else await self.repository.tree(base)
        if len(paths) < len(committed) or not await asyncio.to_thread(self._all_as_committed, committed):
            return None
        return start.history.tree

    def _all_as_committed(self, committed: Sequence[Raw]) -> bool:
        zero = self.repository.zero
        return all(self.tree.is_as(raw, zero) for raw in committed)

    async def _to_stage(self, job: SealJob, start: _Start, pending: Pending, committed: Sequence[Raw]) -> _Staging:
        own = [raw.path for raw in committed if not self._foreign(job, raw)]
        found = await self._wanted(job, start, pending, own)
        left_out = {path for path in (*found, *(raw.path for raw in committed)) if self._is_artifact(job, path)}
        paths = sorted(found - left_out)
        entries: list[Raw] = []
        if self.large is not None:
            paths, entries = await self.large.turn(paths)
        for path, (commit, sealer) in self.modules.items():
            if self.tree.kind(path) != stat.S_IFDIR:
                paths.append(path)
                continue
            inner = replace(job.workspace, path=sealer.tree.path, commit=commit)
            sealed = await sealer.seal(SealJob(workspace=inner, ref=job.ref, message=job.message))
            self.inner.extend(f"{path_text(path)}/{secret}" for secret in sealed.secrets)
            self.inner_tests.extend(
                replace(change, path=f"{path_text(path)}/{change.path}") for change in sealed.test_changes
            )
            self.inner_silenced.extend(replace(each, path=f"{path_text(path)}/{each.path}") for each in sealed.silenced)
            entries.append(Raw(old_mode=GITLINK, new_mode="", old=sealed.commit, new="", path=path))
        return _Staging(paths=paths, entries=entries, left_out=frozenset(left_out))

    async def _committed(self, job: SealJob, start: _Start) -> tuple[Raw, ...]:
        """What the agent's commits changed, taken together."""
        history = start.history
        if history is None or not start.base_is_ancestor:
            return ()
        if history.single is not None:
            return history.single
        return await self.tree.diff(job.workspace.commit, history.head)

    def _foreign(self, job: SealJob, raw: Raw) -> bool:
        """Whether an agent committed what is no part of the work: what is ours to write, droppings, repositories."""
        path = path_text(raw.path)
        if path in job.inputs or self._is_artifact(job, raw.path):
            return True
        if raw.old_mode != "000000":
            return False
        return raw.new_mode == GITLINK or not counts(job.declared, path)

    def _is_artifact(self, job: SealJob, path: bytes) -> bool:
        """Whether a path is one that only the coordinator writes; a copy of ours is left out without a word."""
        if not job.artifacts:
            return False
        text = path_text(path)
        return text not in job.inputs and matches(job.artifacts, text)

    async def _wanted(self, job: SealJob, start: _Start, pending: Pending, committed: Sequence[bytes]) -> set[bytes]:
        staged = await self._staged(start)
        found = {path for path in (*pending.untracked, *staged) if counts(job.declared, path_text(path))}
        found.update(pending.tracked, committed)
        found |= await declared_files(self.tree, job.declared, found)
        return found - {os.fsencode(path) for path in job.inputs}

    async def _staged(self, start: _Start) -> tuple[bytes, ...]:
        if not self.index_touched:
            return ()
        sound = start.history is not None and start.base_is_ancestor
        tree = start.history.tree if start.history is not None and sound else None
        return await self.tree.staged(start.commit, tree or await self.repository.tree(start.commit))

    def _planted(self) -> tuple[bytes, ...]:
        return planted(os.fsencode(self.tree.path), self.folders)

    # -- the result

    async def _commit(self, job: SealJob, start: _Start, tree: str, base_tree: str) -> str:
        if start.history is not None and start.base_is_ancestor and tree == start.history.tree:
            commit = start.history.head
        elif start.commit == job.workspace.commit and tree == base_tree:
            return job.workspace.commit
        else:
            commit = self.incoming.commit(tree, (start.commit,), self.repository.identity, job.message)
        self.repository.remember_tree(commit, tree)
        return commit

    def _remember_layout(self, base: str, commit: str, diff: Sequence[Raw]) -> None:
        layouts = self.repository.layouts
        known = layouts.get(base)
        if known is not None:
            layouts.add(commit, known.after(diff))

    async def _diff(self, start: _Start, commit: str, base_tree: str, tree: str) -> tuple[Raw, ...]:
        if tree == base_tree:
            return ()
        history = start.history
        if history is not None and history.head == commit and history.single is not None:
            return history.single
        return await self.tree.diff(base_tree, tree)

    def _changes(
        self, job: SealJob, diff: tuple[Raw, ...], nested: tuple[bytes, ...], history: History | None
    ) -> tuple[Change, ...]:
        found = {path_text(raw.path): self._kind(raw) for raw in diff}
        for path in nested:
            found.setdefault(path_text(path), ChangeKind.NESTED_REPOSITORY)
        for commit in history.commits if history else ():
            for raw in commit.touched:
                if raw.new_mode == GITLINK and path_text(raw.path) not in found and self._foreign(job, raw):
                    found[path_text(raw.path)] = ChangeKind.NESTED_REPOSITORY
                elif not self._foreign(job, raw):
                    found.setdefault(path_text(raw.path), ChangeKind.HISTORY)
        return tuple(Change(path=path, kind=kind) for path, kind in sorted(found.items()))

    def _kind(self, raw: Raw) -> ChangeKind:
        if GITLINK in (raw.old_mode, raw.new_mode):
            return ChangeKind.SUBMODULE
        if raw.new_mode == "000000":
            return ChangeKind.DELETED
        if raw.new_mode == _LINK and self._leaves(raw.path):
            return ChangeKind.SYMLINK_OUT
        if raw.old_mode == "000000":
            return ChangeKind.ADDED
        return ChangeKind.MODE if raw.old == raw.new else ChangeKind.MODIFIED

    def _leaves(self, path: bytes) -> bool:
        """Whether a link of the workspace points out of it, or into its `.git`."""
        link = Path(os.fsdecode(path))
        try:
            target = (self.tree.path / link).readlink()
        except OSError:
            return True
        landing = Path(os.path.normpath(link.parent / target)).parts
        return target.is_absolute() or landing[:1] in ((os.pardir,), (".git",))

    async def _present(self, job: SealJob, tree: str) -> tuple[str, ...]:
        spelled = literals(job.declared)
        found = {path: self.tree.kind(os.fsencode(path)) for path in spelled.values()}
        folders = [path for path, kind in found.items() if kind == stat.S_IFDIR]
        listed: set[bytes] = set()
        if folders:
            args = ("ls-tree", "-z", "--name-only", "--full-tree", tree, "--", *folders)
            listed = set((await self.tree.git.run(*args)).stdout.split(b"\0"))
        there = {path for path, kind in found.items() if kind in FILES or os.fsencode(path) in listed}
        return tuple(spelling for spelling, path in spelled.items() if path in there)

    async def _claim(self, job: SealJob, start: _Start, commit: str) -> ClaimCheck:
        claim = (job.claim or "").strip().lower()
        if not claim:
            return ClaimCheck.NONE
        if len(claim) < 7 or not set(claim) <= set("0123456789abcdef"):
            return ClaimCheck.MISSING
        made = start.history.commits if start.history else ()
        own = {commit, *(each.oid for each in made)}
        if start.base_is_ancestor and len([oid for oid in own if oid.startswith(claim)]) == 1:
            if any(each.oid.startswith(claim) and self._is_empty(job, each) for each in made):
                return ClaimCheck.EMPTY
            fresh = commit != job.workspace.commit or not commit.startswith(claim)
            return ClaimCheck.GOOD if fresh else ClaimCheck.OLD
        return await self._elsewhere(job, start, claim)

    def _is_empty(self, job: SealJob, made: Commit) -> bool:
        """Whether a commit of the agent changes nothing that counts."""
        return len(made.parents) == 1 and all(self._is_artifact(job, raw.path) for raw in made.touched)

    async def _elsewhere(self, job: SealJob, start: _Start, claim: str) -> ClaimCheck:
        git = start.reader or self.tree.git
        got = await git.run("rev-parse", "--verify", "--quiet", f"{claim}^{{commit}}", ok=(0, 1, 128))
        if got.code != 0:
            return ClaimCheck.MISSING
        oid = got.stdout.decode().strip()
        known = await git.run("merge-base", "--is-ancestor", oid, job.workspace.commit, ok=(0, 1, 128))
        return ClaimCheck.OLD if known.code == 0 else ClaimCheck.UNREACHABLE


def _named(paths: Collection[bytes]) -> tuple[str, ...]:
    """Paths as they are told, not more than anybody reads."""
    texts = sorted(path_text(path) for path in paths)
    return tuple(texts[:_MOST_LEFT_OUT])


def _rescue_prefix(ref: str) -> str:
    """Where what an attempt left beside its result is kept: with the rescues of its task."""
    where = ref.removeprefix(f"{REF_ROOT}/").removeprefix("attempts/").rpartition("/")[0]
    return f"{REF_ROOT}/rescue/{where or 'other/task'}"
