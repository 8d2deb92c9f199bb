"""A workspace that is only to be looked at: what in it is no longer as it was [I7].

Two looks are compared, so that what `setup` made and what was copied in before the agent started is nobody's doing.
Both are taken with the runtime's own git directory, as sealing does: nothing an agent can write is believed or run.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chargehand.adapters.checkout import Checkout
from chargehand.adapters.git.layout import layout_of, planted
from chargehand.adapters.git.raw import path_text
from chargehand.adapters.git.refs import list_refs, read_head
from chargehand.adapters.submodules import read_modules
from chargehand.domain.errors import AdapterError
from chargehand.domain.seal_rules import is_dropping

__all__ = ["Copy", "CopyState", "violations"]

_MOST_REFS = 1_000_000
_PIECE = 1 << 20
_LARGE = 64 << 20
_GONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A path that is not as committed: whether git tracks it, and what is there (`_GONE`: nothing)."""

    tracked: bool
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyState:
    """What differs from the commit, by path, and where the refs of the copy stand, by name."""

    files: Mapping[str, _Entry] = field(default_factory=dict)
    refs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """The checkout of a commit that somebody only looks at."""

    checkout: Checkout
    commit: str

    async def state(self, before: CopyState | None = None) -> CopyState:
        """How it is now. With `before`, only what was there already is read: the rest differs anyway.

        AdapterError when it cannot be told, as for a workspace that is gone.
        """
        try:
            return await self._state("", before)
        except OSError as error:
            raise AdapterError("workspaces", f"{self.checkout.work} cannot be looked at: {error}.") from error

    async def _state(self, prefix: str, before: CopyState | None) -> CopyState:
        checkout = self.checkout
        tree = checkout.tree
        if not checkout.work.is_dir():
            raise AdapterError("workspaces", f"the workspace {checkout.work} is gone.")
        tree.unlock()
        pending = await tree.pending()
        if pending.unseen:
            some = ", ".join(path_text(path)[:200] for path in pending.unseen[:5])
            raise AdapterError("workspaces", f"git cannot look into folders of the workspace ({some}).")
        untracked = [path for path in pending.untracked if not is_dropping(os.fsdecode(path))]
        known = None if before is None else before.files.keys()
        paths = [*((path, True) for path in pending.tracked), *((path, False) for path in untracked)]
        files = await asyncio.to_thread(lambda: dict(self._entries(prefix, paths, known)))
        for path in (*pending.nested, *await self._planted()):
            files.setdefault(prefix + path_text(path), _Entry(tracked=False, mark="a repository"))
        refs = await asyncio.to_thread(_refs, checkout.work / ".git", prefix)
        for module in read_modules(checkout):
            inner = Copy(checkout=module.checkout(checkout), commit=module.commit)
            if not inner.checkout.work.is_dir():
                files[prefix + module.path] = _Entry(tracked=True, mark=_GONE)
                continue
            found = await inner._state(f"{prefix}{module.path}/", before)
            files |= found.files
            refs |= found.refs
        return CopyState(files=files, refs=refs)

    async def _planted(self) -> tuple[bytes, ...]:
        repository = self.checkout.repository
        layout = repository.layouts.get(self.commit)
        if layout is None:
            layout = await layout_of(repository.plumbing(), self.commit)
            repository.layouts.add(self.commit, layout)
        return await asyncio.to_thread(planted, os.fsencode(self.checkout.work), layout.folders)

    def _entries(
        self, prefix: str, paths: Iterable[tuple[bytes, bool]], known: Iterable[str] | None
    ) -> Iterator[tuple[str, _Entry]]:
        for path, tracked in paths:
            name = prefix + path_text(path)
            kind = self.checkout.tree.kind(path)
            full = self.checkout.work / os.fsdecode(path)
            mark = _GONE if kind is None else _mark(full, kind) if known is None or name in known else "new"
            yield name, _Entry(tracked=tracked, mark=mark)


def _mark(path: Path, kind: int) -> str:
    """What stands for the content and mode of a path; no link is followed, and no pipe waited for.

    A large file is told by what the kernel notes about it: nobody sets the time of its last change.
    """
    if kind == stat.S_IFLNK:
        return f"link {os.fsencode(path.readlink()).hex()}"
    if kind != stat.S_IFREG:
        return f"kind {kind:o}"
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if found.st_size > _LARGE:
            return f"large {found.st_mode:o} {found.st_ino} {found.st_size} {found.st_ctime_ns}"
        digest = hashlib.sha256()
        while piece := file.read(_PIECE):
            digest.update(piece)
    return f"file {bool(found.st_mode & stat.S_IXUSR)} {digest.hexdigest()}"


def _refs(git_dir: Path, prefix: str) -> dict[str, str]:
    refs = list_refs(git_dir, "refs", most=_MOST_REFS)
    head = read_head(git_dir).commit
    found = {"HEAD": head, **refs} if head is not None else refs
    return {f"{prefix and prefix + ' '}{name}": oid for name, oid in found.items()}


def violations(before: CopyState, after: CopyState) -> tuple[str, ...]:
    """What was changed between two looks, in words, files first: `modified src/a.py`."""
    return (*_of_files(before.files, after.files), *_of_refs(before.refs, after.refs))


def _of_files(before: Mapping[str, _Entry], after: Mapping[str, _Entry]) -> Iterator[str]:
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        if new is None:  # as committed again, or what setup had made is gone
            yield f"{'modified' if old is not None and old.tracked else 'deleted'} {path}"
        elif new.mark == _GONE:
            yield f"deleted {path}"
        else:
            yield f"{'created' if old is None and not new.tracked else 'modified'} {path}"


def _of_refs(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield f"{'deleted' if new is None else 'created' if old is None else 'moved'} {name}"
