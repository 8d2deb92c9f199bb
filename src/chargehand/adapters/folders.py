"""Private folders of one attempt or gate job: made new, given up emptied (SPEC 7.1)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.domain.errors import AdapterError, UserError

__all__ = [
    "PrivateFolders",
    "Room",
    "odd_file",
    "open_regular",
    "read_regular",
    "relative_parts",
    "remove_tree",
    "safe_name",
    "what_it_is",
    "write_below",
]

_TMP_BYTES = 75
_SHORT_PREFIX = "ch-"
_NO_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The folders of one attempt or job. `given` holds what it may only read, `out` what it hands back."""

    root: Path
    home: Path
    tmp: Path
    scratch: Path
    out: Path
    given: Path

    @property
    def writable(self) -> tuple[Path, ...]:
        """What a sandbox has to let it write."""
        return (self.home, self.tmp, self.scratch, self.out)


class PrivateFolders:
    """Makes and clears rooms below one folder that belongs to one run.

    Programs put sockets into TMPDIR, and the path of a socket is short (Python's own are 32 bytes longer than TMPDIR,
    107 is the limit): where the folder is too deep, TMPDIR lies in `short` and a link in the room leads to it.
    """

    def __init__(self, root: Path, short: Path = Path("/var/tmp")) -> None:  # noqa: S108 - a private folder in it
        self._root = root
        self._short = short

    def make(self) -> Room:
        """A new room, readable by nobody else."""
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            root = Path(tempfile.mkdtemp(prefix="", dir=self._root))
            room = Room(
                root=root,
                home=root / "home",
                tmp=root / "tmp",
                scratch=root / "scratch",
                out=root / "out",
                given=root / "given",
            )
            for folder in (room.home, room.scratch, room.out, room.given):
                folder.mkdir(mode=0o700)
            room = replace(room, tmp=self._tmp(room))
        except OSError as error:
            raise AdapterError("folders", f"Cannot make a private folder in {self._root}: {error}.") from error
        return room

    def _tmp(self, room: Room) -> Path:
        if len(os.fsencode(room.tmp)) > _TMP_BYTES and os.access(self._short, os.W_OK | os.X_OK):
            made = Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir=self._short))
            room.tmp.symlink_to(made)
            return made
        room.tmp.mkdir(mode=0o700)
        return room.tmp

    async def remove(self, room: Room) -> str:
        """Remove a room with everything in it, whatever modes and depths its user left behind.

        Answers why something stays, or an empty string: what came of an attempt does not depend on it.
        """
        try:
            await asyncio.to_thread(self._remove, room.root)
        except AdapterError as error:
            return error.message
        return ""

    async def sweep(self) -> None:
        """Remove what an earlier holder of the run left; call it before the first room is made."""
        await asyncio.to_thread(self.clear)

    def clear(self) -> None:
        """What `sweep` does, outside of any loop."""
        if self._root.is_dir():
            for entry in list(self._root.iterdir()):
                self._remove(entry)

    def _remove(self, root: Path) -> None:
        """Remove a room; a TMPDIR elsewhere first, as long as something tells where it is."""
        link = root / "tmp"
        if link.is_symlink():
            elsewhere = link.readlink()
            if elsewhere.parent == self._short and elsewhere.name.startswith(_SHORT_PREFIX):
                remove_tree(elsewhere)
        remove_tree(root)


def remove_tree(path: Path) -> None:
    """Remove a file or folder that somebody hostile may have filled; never follows a link.

    Folders without permissions and trees too deep for recursion are taken apart from the top. Raises
    `AdapterError` when something stays.
    """
    try:
        _remove(path)
    except (OSError, RecursionError):
        try:
            _take_apart(path)
        except OSError as error:
            raise AdapterError("folders", f"Cannot remove {path}: {error}.") from error


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _take_apart(path: Path) -> None:
    """Move every folder of the tree up beside its top, opened, and remove them one by one.

    Paths stay short all the time, so neither recursion nor the length of a path is a limit.
    """
    if not _is_folder(path):
        _remove(path)
        return
    count = 0
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        folder.chmod(0o700)
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in found:
            if not is_folder:
                (folder / name).unlink()
                continue
            count += 1
            up = path.with_name(f"{path.name}.{count}")
            (folder / name).chmod(0o700)
            (folder / name).rename(up)
            waiting.append(up)
        folder.rmdir()


def safe_name(text: str) -> str:
    """A file name for an effect key or a gate id: readable, never `.` or `..`, no separator, at most 200 bytes."""
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in text)
    return (kept.lstrip(".") or "_")[:200]


def read_regular(path: Path, limit: int) -> bytes | None:
    """The content of a regular file of at most `limit` bytes, else None: no link is followed, no pipe waited for."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError):
        return None
    return data if len(data) <= limit else None


def open_regular(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """A descriptor of a regular file; OSError for everything else, and no pipe is ever waited for."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | _NO_FOLLOW, mode)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
    return descriptor


def what_it_is(path: Path) -> str | None:
    """What lies where a regular file belongs, in words; None for a regular file, and where there is nothing."""
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError):
        return None
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return None if stat.S_ISREG(mode) else kinds.get(stat.S_IFMT(mode), "a device")


def odd_file(path: Path) -> UserError | None:
    """The refusal of a thing that lies where a file of ours belongs; None where nothing does, or a regular file."""
    kind = what_it_is(path)
    if kind is None:
        return None
    hint = f"Chargehand did not put it there: move it away, then `chargehand doctor {path.parent.name}` tells the rest."
    return UserError(f"{path} is {kind}, where a regular file is expected.", code="odd_file", hint=hint)


def relative_parts(path: str) -> tuple[str, ...]:
    """The parts of a repository path; raises `ValueError` for one that leaves the repository or enters `.git`."""
    parts = tuple(part for part in path.split("/") if part not in {"", "."})
    if not parts or path.startswith("/") or "\0" in path or ".." in parts or parts[0].lower() == ".git":
        raise ValueError(path)
    return parts


def write_below(root: Path, path: str, text: str) -> None:
    """Write `text` read-only at the repository path `path`; a link on the way is refused, one at the end replaced.

    Raises `AdapterError` when the path is unsafe or cannot be written.
    """
    try:
        parts = relative_parts(path)
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                folder = _step_into(folder, part)
            _replace(folder, parts[-1], text.encode("utf-8", "surrogateescape"))
        finally:
            os.close(folder)
    except (OSError, ValueError) as error:
        raise AdapterError("folders", f"Cannot copy {path} into the workspace: {error}.") from error


def _step_into(folder: int, part: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(part, dir_fd=folder)
    below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW, dir_fd=folder)
    os.close(folder)
    return below


def _replace(folder: int, name: str, data: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o444, dir_fd=folder)
    with os.fdopen(target, "wb") as file:
        file.write(data)
