"""Puts a change into the index and the files of the user's checkout, and moves no branch (I1: `accept` alone does it).

Git brings the two from the tree they are at to the one they are to be at, as it would in a fast-forward. That takes
more than one step, so a process may be killed in between, with files that are new and an index that is old. Nothing has
to be remembered of it: a file that is already as it is to be, and whose entry is either as it was or as it is to be, is
not in the way, and doing all of it again ends where doing it once does.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from chargehand.adapters.git.command import Git
from chargehand.adapters.git.raw import Raw, parse_raw, path_text

__all__ = ["Staged", "stage", "touching"]

_NOTHING = "000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """`changed`: something was to be done. `in_the_way`: files why nothing was; `said` is what git said of them."""

    changed: bool = False
    in_the_way: tuple[str, ...] = ()
    said: str = ""


async def stage(git: Git, plumbing: Git, old: str, new: str) -> Staged:
    """Bring the checkout where `git` works, which is on `old`, to the tree of `new`; its HEAD stays."""
    change = await _change(plumbing, old, new)
    local = await _local(git, change)
    ahead = await _ahead(git, change, old, new, local) if local else frozenset()
    in_the_way = tuple(sorted(path_text(path) for path in local if path not in ahead))
    if in_the_way:
        return Staged(in_the_way=in_the_way)
    entries = [entry for entry in change if entry.path in ahead]
    behind = await _names(git, "diff-index", "--cached", "-z", "--name-only", new)
    if not any(entry.path in behind for entry in change):
        return Staged()
    await git.run("update-index", "-z", "--index-info", stdin=_index_info(entries))
    await git.run("update-index", "-q", "--refresh", ok=(0, 1))
    got = await git.run("read-tree", "-m", "-u", old, new, ok=(0, 1, 128))
    if got.code == 0:
        return Staged(changed=True)
    said = got.stderr.decode("utf-8", "replace").strip()[-2000:]
    return Staged(in_the_way=tuple(path_text(entry.path) for entry in change[:1]), said=said)


async def touching(git: Git, plumbing: Git, old: str, new: str) -> list[bytes]:
    """Local changes, staged, unstaged, untracked or ignored, where files would change from one commit to the other."""
    return await _local(git, await _change(plumbing, old, new))


async def _change(plumbing: Git, old: str, new: str) -> tuple[Raw, ...]:
    got = await plumbing.run("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", old, new)
    return parse_raw(got.stdout)


async def _local(git: Git, change: Sequence[Raw]) -> list[bytes]:
    names = {entry.path for entry in change}
    folders = {b"/".join(parts[:n]) for parts in (name.split(b"/") for name in names) for n in range(1, len(parts))}
    flags = ("--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignored=matching")
    status = (await git.run("status", *flags, "--ignore-submodules=dirty")).stdout
    local = dict.fromkeys(entry[3:] for entry in status.split(b"\0") if entry)
    return [path for path in local if _touches(path, names, folders)]


def _touches(path: bytes, names: set[bytes], folders: set[bytes]) -> bool:
    if path.endswith(b"/"):  # an ignored folder as a whole: only what lies in it can be in the way
        return path.rstrip(b"/") in names or any(name.startswith(path) for name in names)
    parts = path.split(b"/")
    above = (b"/".join(parts[:n]) for n in range(1, len(parts)))
    return path in names or path in folders or any(folder in names for folder in above)


async def _ahead(git: Git, change: Sequence[Raw], old: str, new: str, local: Collection[bytes]) -> frozenset[bytes]:
    """The local changes that are this change: the file as it is to be, its entry as it was or as it is to be."""
    found = [entry for entry in change if entry.path in set(local)]
    neither = await _names(git, "diff-index", "--cached", "-z", "--name-only", old)
    neither &= await _names(git, "diff-index", "--cached", "-z", "--name-only", new)
    with TemporaryDirectory(prefix="chargehand-index-") as folder:
        aside = git.on(GIT_INDEX_FILE=str(Path(folder) / "index"))
        wanted = [entry for entry in found if entry.new_mode != _NOTHING]
        await aside.run("update-index", "-z", "--index-info", stdin=_index_info(wanted))
        await aside.run("update-index", "-q", "--refresh", ok=(0, 1))
        differ = await _names(aside, "diff-files", "-z", "--name-only")
    gone = {entry.path for entry in found if entry.new_mode == _NOTHING and _is_there(git.cwd, entry.path)}
    return frozenset(entry.path for entry in found) - neither - differ - gone


def _index_info(entries: Sequence[Raw]) -> bytes:
    return b"".join(f"{entry.new_mode} {entry.new}\t".encode() + entry.path + b"\0" for entry in entries)


async def _names(git: Git, *args: str) -> set[bytes]:
    return {name for name in (await git.run(*args)).stdout.split(b"\0") if name}


def _is_there(folder: Path, path: bytes) -> bool:
    return os.path.lexists(os.path.join(os.fsencode(folder), path))  # noqa: PTH118 - a name may be no text
