"""The one way a projection writes a file of the user's work tree."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from chargehand.domain.errors import AdapterError

__all__ = ["write_atomically"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ASIDE = ".chargehand-{name}.{pid}.tmp"


def write_atomically(path: Path, text: str, root: Path) -> None:
    """Replace the file at `path`, which lies below `root`, in one step; missing folders are made.

    When it returns, the text is on the disk; whoever reads meanwhile sees the old file or the new one. A link on the
    way from `root` is refused, one at the end replaced; permissions of a file that was there stay. A file that says
    the same already is left alone; what writers that were killed have left beside it goes with the next replacement.
    AdapterError when it cannot be written.
    """
    try:
        parts = PurePosixPath(path.relative_to(root)).parts
        if not parts or ".." in parts or parts[0] == ".git":
            raise ValueError(f"it does not lie below {root}")
        data = text.encode("utf-8", "surrogateescape")
        with _folder(root, parts[:-1]) as folder:
            mode = _kept(folder, parts[-1], data)
            if mode is not None:
                _replace(folder, parts[-1], data, mode)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        text = f"{path} cannot be written: {reason}. Put that right, and go on with `chargehand resume`."
        raise AdapterError("projection", text) from error


@contextlib.contextmanager
def _folder(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """The folder, opened step by step: nothing that is put in its way meanwhile leads elsewhere."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
            below = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _kept(folder: int, name: str, data: bytes) -> int | None:
    """The permissions for the new file; None when the file says the same already."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return 0o644  # not there, a link, or not readable: it is replaced
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return 0o644
        with open(descriptor, "rb", closefd=False) as file:
            is_same = found.st_size == len(data) and file.read() == data
        return None if is_same else found.st_mode & 0o777


def _sweep(folder: int, name: str) -> None:
    """Remove what lies aside of this file, unless its writer lives: another run may write here, too."""
    head, _, tail = _ASIDE.format(name=name, pid="\0").partition("\0")
    for entry in os.listdir(folder):
        pid = entry.removeprefix(head).removesuffix(tail)
        if entry == f"{head}{pid}{tail}" and pid.isdecimal() and not _lives(int(pid)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry, dir_fd=folder)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _replace(folder: int, name: str, data: bytes, mode: int) -> None:
    _sweep(folder, name)
    aside = _ASIDE.format(name=name, pid=os.getpid())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(aside, dir_fd=folder)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(aside, flags, mode, dir_fd=folder), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(aside, dir_fd=folder)
        raise
    os.fsync(folder)
