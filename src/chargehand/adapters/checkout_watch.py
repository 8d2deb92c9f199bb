"""Tells whether anything of the user's repository changed while no sandbox held an agent (SPEC 3.7, item 3).

An agent without a sandbox may have written the repository's configuration, so even this look is taken with
a git directory of our own (I8): filters and fsmonitor named there do not run.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chargehand.adapters.git.command import Git, plain_environment
from chargehand.adapters.git.owned import own_directory
from chargehand.adapters.git.raw import path_text
from chargehand.adapters.git.refs import read_head
from chargehand.adapters.git.repository import Repository
from chargehand.domain.ids import REF_ROOT
from chargehand.domain.scope import matches

__all__ = ["CheckoutWatch", "Differences", "Snapshot"]

_OURS = (f"{REF_ROOT}/", "refs/heads/chargehand/", "refs/notes/chargehand")
_SETTINGS = ("config", "config.worktree", "info/attributes", "info/exclude", "objects/info/alternates")
_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was there at one moment: paths and refs of the checkout, names of settings and hooks."""

    checkout: Mapping[str, str]
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What changed between two snapshots; the user may have done it, or the agent."""

    checkout_changed: tuple[str, ...]
    config_changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutWatch:
    """Looks at the user's repository before and after an attempt; leaves out what Chargehand itself moves.

    `artifacts` are patterns of paths that the coordinator writes for another system, at any time.
    """

    repository: Repository
    artifacts: tuple[str, ...] = ()
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False, compare=False)

    async def snapshot(self) -> Snapshot:
        """Refs, work tree, hooks and configuration as they are now."""
        refs = await self._refs()
        async with self._one_at_a_time:  # all looks share one git directory
            status = await self._status()
        settings = await asyncio.to_thread(self._settings)
        seen = {path: state for path, state in status.items() if not matches(self.artifacts, path)}
        return Snapshot(checkout={**refs, **seen}, settings=settings)

    @staticmethod
    def diff(before: Snapshot, after: Snapshot) -> Differences:
        """The paths, refs and settings that are not the same in both."""
        return Differences(
            checkout_changed=_unequal(before.checkout, after.checkout),
            config_changed=_unequal(before.settings, after.settings),
        )

    async def _refs(self) -> dict[str, str]:
        git = Git(cwd=self.repository.common_dir, env=plain_environment(self.repository.environ))
        where = ("--git-dir", str(self.repository.common_dir))
        got = await git.run(*where, "for-each-ref", "--format=%(objectname) %(refname)")
        refs = {}
        for line in got.stdout.decode("utf-8", "backslashreplace").splitlines():
            oid, _, name = line.partition(" ")
            if not name.startswith(_OURS):
                refs[name] = oid
        head = read_head(self.repository.git_dir)  # of this work tree; its refs lie in the common folder
        return {**refs, "HEAD": head.branch or head.commit or ""}

    async def _status(self) -> dict[str, str]:
        root = self.repository.root
        commit = await self.repository.ref("HEAD")
        if root is None or commit is None:
            return {}
        own = self.repository.common_dir / "chargehand" / "watch"
        exclude = self.repository.common_dir / "info" / "exclude"
        hidden = exclude.read_bytes() if exclude.is_file() else b""
        own_directory(
            own,
            self.repository.config,
            self.repository.object_format,
            work=root,
            shallow=self.repository.shallow_file,
            exclude=hidden,
        )
        (own / "HEAD").write_text(f"{commit}\n", encoding="ascii")
        env = plain_environment(self.repository.environ) | {
            "GIT_OBJECT_DIRECTORY": str(self.repository.objects),
            "GIT_INDEX_FILE": str(self.repository.git_dir / "index"),
        }
        git = Git(cwd=root, env=env)
        where = ("--git-dir", str(own), "--work-tree", str(root))
        args = ("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all")
        got = await git.run(*where, *args)
        return await asyncio.to_thread(_entries, root, got.stdout)

    def _settings(self) -> dict[str, str]:
        common = self.repository.common_dir
        found = {name: _fingerprint(common / name) for name in _SETTINGS}
        if self.repository.git_dir != common:
            found["config.worktree"] = _fingerprint(self.repository.git_dir / "config.worktree")
        configured = self.repository.config.get("core.hookspath")
        hooks = (self.repository.root or common) / Path(configured).expanduser() if configured else common / "hooks"
        try:
            names = sorted(entry.name for entry in os.scandir(hooks))
        except OSError:
            names = []
        found.update({f"hooks/{name}": _fingerprint(hooks / name) for name in names})
        return found


def _entries(root: Path, data: bytes) -> dict[str, str]:
    """Each path that is not as committed, with enough to tell when it changes once more."""
    found = {}
    for entry in data.split(b"\0"):
        if entry:
            path = entry[3:]
            found[path_text(path)] = entry[:2].decode("ascii") + _stat(root / os.fsdecode(path))
    return found


def _stat(path: Path) -> str:
    try:
        found = path.lstat()
    except OSError:
        return ""
    return f" {found.st_mode:o} {found.st_size} {found.st_mtime_ns}"


def _fingerprint(path: Path) -> str:
    try:
        if path.is_symlink():
            return f"link {path.readlink()}"
        if not path.is_file():
            return "other" if path.exists() else ""
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(_LARGEST)).hexdigest()
        return f"{path.stat().st_mode:o} {path.stat().st_size} {digest}"
    except OSError:
        return "unreadable"


def _unequal(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in {*before, *after} if before.get(name, "") != after.get(name, "")))
