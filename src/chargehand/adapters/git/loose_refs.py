"""Writes and deletes the refs nobody but Chargehand writes, as git does, without starting git for each.

They are made twice a task. Branches, and every update that compares, are git's own business.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from chargehand.domain.ids import REF_ROOT

__all__ = ["can_write", "delete_loose", "locks_of", "write_loose"]

_OURS = (f"{REF_ROOT}/attempts/", f"{REF_ROOT}/candidates/", f"{REF_ROOT}/bases/")
_NEEDS_GIT = ("extensions.refstorage", "core.sharedrepository")


def can_write(name: str, config: Mapping[str, str]) -> bool:
    """Whether this is a ref of ours in a repository that keeps refs in plain files, without a log of them."""
    if not name.startswith(_OURS) or config.get("core.logallrefupdates", "").lower() == "always":
        return False
    return not any(config.get(key, "files") not in ("files", "umask", "false", "0") for key in _NEEDS_GIT)


def write_loose(common_dir: Path, name: str, oid: str, *, new: bool = False) -> bool:
    """Point a ref at an object that is there; False when git has to be asked, and nothing was written.

    With `new` only a ref that is not there yet, which is looked at under the lock.

    The lock file is the one that git takes; the content reaches the disk before the name does.
    """
    path = common_dir / name
    lock = path.with_name(f"{path.name}.lock")
    if not _is_plain(common_dir, name):
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError:
        return False
    done = False
    with contextlib.suppress(OSError), os.fdopen(descriptor, "wb") as file:
        if not new or not (os.path.lexists(path) or name.encode() in _packed(common_dir)):
            file.write(f"{oid}\n".encode("ascii"))
            file.flush()
            os.fsync(descriptor)
            lock.rename(path)
            done = True
    if not done:
        with contextlib.suppress(OSError):
            lock.unlink()
    return done


def delete_loose(common_dir: Path, name: str, oid: str) -> bool:
    """Delete a ref that stands at `oid`, and its folder with the last one in it; False when git has to be asked."""
    path = common_dir / name
    lock = path.with_name(f"{path.name}.lock")
    try:
        if not _is_plain(common_dir, name) or name.encode() in _packed(common_dir):
            return False
        os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666))
    except OSError:
        return False
    try:
        stands = path.read_bytes().strip() == oid.encode("ascii")
        if stands:
            path.unlink()
    except OSError:
        stands = False
    with contextlib.suppress(OSError):
        lock.unlink()
        path.parent.rmdir()
    return stands


def locks_of(common_dir: Path, run: str) -> dict[Path, tuple[int, int]]:
    """The locks on refs that only the holder of a run writes, each with its inode and the time it was changed.

    `run` as it stands in refs. Links are not followed.
    """
    found = {}
    for kind in _OURS:
        place = common_dir / kind / run
        lock = place.with_name(f"{place.name}.lock")
        inside = [Path(top, name) for top, _, names in os.walk(place) for name in names if name.endswith(".lock")]
        for path in (lock, *inside):
            with contextlib.suppress(OSError):
                seen = path.lstat()
                found[path] = (seen.st_ino, seen.st_mtime_ns)
    return found


def _packed(common_dir: Path) -> bytes:
    try:
        return (common_dir / "packed-refs").read_bytes()
    except FileNotFoundError:
        return b""


def _is_plain(common_dir: Path, name: str) -> bool:
    """Whether no link is on the way, and what stands there is no ref to another ref."""
    path = common_dir
    for part in name.split("/"):
        path = path / part
        if path.is_symlink():
            return False
    if not os.path.lexists(path):
        return True
    return path.is_file() and not path.read_bytes().startswith(b"ref:")
