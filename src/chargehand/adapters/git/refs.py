"""Reads `HEAD` and refs of a repository that an agent may have written, without running git there.

Running git in such a repository would execute what its configuration names (SPEC 3.7.1, I8). Nothing here
follows a symbolic link, blocks on a pipe, or reads more than a few kilobytes of a loose ref.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

__all__ = ["Head", "is_plain_directory", "list_refs", "read_head", "read_ref", "read_small", "read_tail", "ref_safe"]

_LOOSE = 4096
_PACKED = 8 * 1024 * 1024
_VISITED = 2000
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_REFNAME = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\]+\Z")
_DEPTH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where `HEAD` stands: `commit` is None when it cannot be told, `branch` when it is detached."""

    commit: str | None
    branch: str | None


def ref_safe(name: str) -> str:
    """A ref name in which what git refuses inside a name is written as `%2e`: ids of tasks may hold it."""
    parts = (re.sub(r"\.(?=\.)|(?<=\.)\.|\.(?=lock\Z)", "%2e", part) for part in name.split("/"))
    return re.sub(r"\.\Z", "%2e", "/".join(parts))


def is_plain_directory(path: Path) -> bool:
    """Whether the path itself is a directory, not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def read_small(root: Path, name: str, limit: int) -> bytes | None:
    """The content of a regular file below `root`, cut at `limit`; None when it is anything else."""
    file = _open_plain(root, name)
    if file is None:
        return None
    with file:
        return file.read(limit)


def read_tail(root: Path, name: str, limit: int) -> tuple[bytes, int]:
    """The last `limit` bytes of such a file and where they begin in it; nothing when it is anything else."""
    file = _open_plain(root, name)
    if file is None:
        return b"", 0
    with file:
        at = max(0, file.seek(0, os.SEEK_END) - limit)
        file.seek(at)
        return file.read(limit), at


def _open_plain(root: Path, name: str) -> BinaryIO | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        here = os.open(root, flags | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        *folders, last = name.split("/")
        for folder in folders:
            there = os.open(folder, flags | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = there
        fd = os.open(last, flags | os.O_NONBLOCK, dir_fd=here)
    except (OSError, ValueError):
        return None
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    return os.fdopen(fd, "rb")


def read_head(git_dir: Path) -> Head:
    """Where the repository stands, as far as its files tell."""
    text = _text(git_dir, "HEAD")
    if text is None:
        return Head(commit=None, branch=None)
    if text.startswith("ref:"):
        name = text[4:].strip()
        return Head(commit=read_ref(git_dir, name), branch=name.removeprefix("refs/heads/"))
    return Head(commit=text if _OID.match(text) else None, branch=None)


def read_ref(git_dir: Path, name: str, packed: Mapping[str, str] | None = None) -> str | None:
    """The object a ref names, through a bounded chain of symbolic refs; None when there is none.

    `packed` are the packed refs, when the caller has read them: the file may be as large as an agent made it.
    """
    for _ in range(_DEPTH):
        if not _safe(name):
            return None
        text = _text(git_dir, name)
        if text is None:
            return (_packed(git_dir) if packed is None else packed).get(name)
        if not text.startswith("ref:"):
            return text if _OID.match(text) else None
        name = text[4:].strip()
    return None


def list_refs(git_dir: Path, under: str, most: int = 1000) -> dict[str, str]:
    """The refs below a folder such as `refs/heads`, at most `most`, loose ones before packed ones.

    Looks at a bounded number of files: whoever hides a ref behind thousands of others has hidden it.
    """
    packed = _packed(git_dir)
    found: dict[str, str] = {}
    for name in islice(_loose(git_dir, under), _VISITED):
        oid = read_ref(git_dir, name, packed)
        if oid is not None and len(found) < most:
            found[name] = oid
    for name, oid in packed.items():
        if name.startswith(f"{under}/") and len(found) < most:
            found.setdefault(name, oid)
    return found


def _loose(git_dir: Path, under: str) -> Iterator[str]:
    """The names of the files below a folder, sorted within each."""
    top = git_dir / under
    if not all(is_plain_directory(part) for part in (git_dir, *_between(git_dir, top))):
        return
    for folder, folders, files in os.walk(top):
        folders.sort()
        prefix = Path(folder).relative_to(git_dir).as_posix()
        yield from (f"{prefix}/{file}" for file in sorted(files))


def _between(root: Path, path: Path) -> list[Path]:
    steps = path.relative_to(root).parts
    return [root.joinpath(*steps[: n + 1]) for n in range(len(steps))]


def _safe(name: str) -> bool:
    parts = name.split("/")
    return bool(_REFNAME.match(name)) and not any(part in ("", ".", "..") for part in parts)


def _text(git_dir: Path, name: str) -> str | None:
    data = read_small(git_dir, name, _LOOSE)
    return None if data is None else data.decode("utf-8", "surrogateescape").strip()


def _packed(git_dir: Path) -> dict[str, str]:
    data = read_small(git_dir, "packed-refs", _PACKED) or b""
    refs = {}
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        oid, _, name = line.partition(" ")
        if _OID.match(oid) and _safe(name):
            refs[name] = oid
    return refs
