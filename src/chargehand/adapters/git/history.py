"""The commits an agent made: read from its object store, judged, and brought into the user's repository.

The store is the agent's: it is read only when nothing in it points elsewhere, what it claims about objects
is not believed, and what comes out of it is checked and named anew on its way in (`--strict`).
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.git.command import Git, GitFailed
from chargehand.adapters.git.incoming import DURABLE, Incoming, listed
from chargehand.adapters.git.raw import Commit, Raw, parse_log
from chargehand.adapters.git.refs import is_plain_directory, read_small
from chargehand.domain.errors import AdapterError

__all__ = ["AgentStore", "History"]

_MOST_FILES = 500_000
_FULL = os.strerror(errno.ENOSPC)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The commits between a base and a head, newest first; `rooted`: the base is an ancestor of the head."""

    head: str
    rooted: bool
    commits: tuple[Commit, ...]

    @property
    def tree(self) -> str | None:
        """The tree of the head, where it is one of the commits."""
        return next((commit.tree for commit in self.commits if commit.oid == self.head), None)

    @property
    def single(self) -> tuple[Raw, ...] | None:
        """The whole difference to the base, when the head is one plain commit on it."""
        if self.rooted and len(self.commits) == 1 and len(self.commits[0].parents) == 1:
            return self.commits[0].touched
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStore:
    """The object store of a workspace's own `.git`; what is sound in it goes to `incoming`, which `git` sees."""

    git_dir: Path
    user_objects: Path
    git: Git
    scratch: Path
    incoming: Incoming

    @property
    def _objects(self) -> Path:
        return self.git_dir / "objects"

    def reader(self) -> Git | None:
        """Git that also sees the agent's objects; None when the store is not one we would have made."""
        if not self._is_plain() or not self._holds_only_files():
            return None
        return self.git.on(GIT_ALTERNATE_OBJECT_DIRECTORIES=listed(self.user_objects, self._objects))

    def _is_plain(self) -> bool:
        if not all(is_plain_directory(self.git_dir / part) for part in (".", "objects")):
            return False
        alternates = read_small(self._objects, "info/alternates", 65536)
        expected = os.fsencode(self.user_objects) + b"\n"
        return alternates == expected or not os.path.lexists(self._objects / "info" / "alternates")

    def _holds_only_files(self) -> bool:
        count = 0
        pending = [os.fspath(self._objects)]
        while pending:
            try:
                entries = list(os.scandir(pending.pop()))
            except OSError:
                return False
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    pending.append(entry.path)
                elif not stat.S_ISREG(mode):
                    return False
            count += len(entries)
            if count > _MOST_FILES:
                return False
        return True

    async def history(self, reader: Git, base: str, head: str) -> History | None:
        """The commits of `head` that `base` does not have; None when they cannot be read."""
        args = ("-z", "--raw", "--no-abbrev", "-c", "--no-renames", "--format=>%H %T %P", "--no-show-signature")
        try:
            got = await reader.run("log", *args, "--end-of-options", f"{base}..{head}")
        except AdapterError:
            return None
        commits = parse_log(got.stdout)
        rooted = base == head or any(base in commit.parents for commit in commits)
        return History(head=head, rooted=rooted, commits=commits)

    async def bring_in(self, reader: Git, base: str, heads: tuple[str, ...]) -> bool:
        """Copy what `heads` have beyond `base`, checked; False when it is not sound."""
        wanted = "".join(f"{head}\n" for head in heads) + f"^{base}\n"
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="pack-") as folder:
            stem = Path(folder, "pack")
            args = ("--revs", "-q", "--no-use-bitmap-index", "--no-reuse-object", str(stem))
            try:
                await reader.run("pack-objects", *args, stdin=wanted.encode())
                for pack in Path(folder).glob("pack-*.pack"):
                    await self.git.run(*DURABLE, "index-pack", "--strict", str(pack))
                    self.incoming.take(pack, heads)
            except GitFailed as error:
                if _FULL in error.stderr:  # of the disk, not of the store: nothing is given up for that
                    raise
                return False
        return True
