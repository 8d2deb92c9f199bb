"""Whether a git is at work in a repository: then the locks that lie there may be its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from chargehand.adapters.process.tree import PROC, Stat, descendants, snapshot

__all__ = ["at_work"]

_LINK_BYTES = 4096


def at_work(common: Path, locks: Sequence[Path]) -> list[Stat]:
    """Processes that have a lock open, and gits in the repository with that common folder; not those of our own.

    A git closes some of its locks as soon as they are there, so open files alone say nothing. One of another user, of
    which nothing can be seen, counts as being here.
    """
    processes = snapshot()
    own = {os.getpid(), *(stat.pid for stat in descendants(os.getpid(), processes))}
    held = {identity for lock in locks if (identity := _identity(lock)) is not None}
    return [
        stat
        for stat in processes.values()
        if stat.pid not in own
        and (_has_open(stat.pid, held) or (stat.name.startswith("git") and stat.state != "Z" and _is_in(stat, common)))
    ]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _has_open(pid: int, held: set[tuple[int, int]]) -> bool:
    try:
        return any(_identity(link) in held for link in (PROC / str(pid) / "fd").iterdir())
    except OSError:
        return False


def _is_in(stat: Stat, common: Path) -> bool:
    folder = PROC / str(stat.pid)
    try:
        cwd = (folder / "cwd").readlink()
        told = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
    except PermissionError:
        return True
    except OSError:
        return False  # it is gone
    return os.fsencode(common) in told or cwd.is_relative_to(common) or common in _repositories(cwd)


def _repositories(cwd: Path) -> Iterator[Path]:
    """The common folder of the repository that a folder is in: the nearest `.git`, or what it points to."""
    for place in (cwd, *cwd.parents):
        with suppress(OSError, ValueError):
            if (place / ".git").is_dir():
                yield (place / ".git").resolve()
                return
            if (place / ".git").is_file():
                with (place / ".git").open("rb") as file:
                    target = os.fsdecode(file.read(_LINK_BYTES)).removeprefix("gitdir:").strip()
                yield from (place / target).resolve().parents
                return
