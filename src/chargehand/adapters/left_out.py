"""What of a workspace a rescue cannot keep, and why: found before git fails on it, and named."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from chargehand.adapters.git.command import MIB
from chargehand.adapters.git.raw import path_text
from chargehand.domain.seal_rules import is_dropping

__all__ = ["LeftOut", "Why", "files_in", "look_over", "sort_out", "told"]

MOST_BYTES = 1024 * MIB
"""The largest file that is rescued."""
_NAMED = 50
_SHOWN = 200
_LONGEST = 4095
_REFUSED = re.compile(rb"\.git[ .]*(?::.*)?|git~1[ .]*(?::.*)?", re.IGNORECASE | re.DOTALL)


class Why(StrEnum):
    """The reasons, as they are told."""

    SPECIAL = "no file"
    UNREADABLE = "it cannot be read"
    DEEP = "its path is too long"
    NAME = "git refuses its name"
    LARGE = f"it is larger than {MOST_BYTES // MIB} MiB"
    ROOM = "the disk has no room for it"
    REFUSED = "git could not take it"


@dataclass(slots=True)
class LeftOut:
    """Paths by reason."""

    paths: dict[Why, list[bytes]] = field(default_factory=dict)

    def add(self, why: Why, path: bytes) -> None:
        """Note one."""
        self.paths.setdefault(why, []).append(path)

    def join(self, other: LeftOut) -> None:
        """Note those of another list."""
        for why, paths in other.paths.items():
            self.paths.setdefault(why, []).extend(paths)

    @property
    def holds_work(self) -> bool:
        """Whether anything is lost with them: a pipe or a socket holds nothing."""
        return any(why != Why.SPECIAL for why in self.paths)

    @property
    def lacks_room(self) -> int:
        """How many only wait for room."""
        return len(self.paths.get(Why.ROOM, ()))

    def text(self) -> str:
        """As it stands in the message of a rescue; empty when there is nothing."""
        lines = []
        for why, paths in sorted(self.paths.items()):
            lines += [f"- {_shown(path)}: {why}" for path in sorted(paths)[:_NAMED]]
            if len(paths) > _NAMED:
                lines.append(f"- and {len(paths) - _NAMED} more: {why}")
        return "\n".join(["Not kept:", *lines]) if lines else ""


def _shown(path: bytes) -> str:
    text = path_text(path).replace("\n", "\\n")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(path)} bytes)"


def look_over(root: bytes, left: LeftOut) -> None:
    """Note what no listing of git's shows: pipes, sockets, devices, and folders that cannot be entered."""
    pending = [b""]
    while pending:
        folder = pending.pop()
        try:
            entries = list(os.scandir(root + b"/" + folder))
        except OSError as error:
            left.add(Why.DEEP if error.errno == errno.ENAMETOOLONG else Why.UNREADABLE, folder)
            continue
        for entry in entries:
            path = folder + b"/" + entry.name if folder else entry.name
            if entry.name == b".git" or is_dropping(os.fsdecode(entry.name)):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif not entry.is_symlink() and not entry.is_file(follow_symlinks=False):
                left.add(Why.SPECIAL, path)


def sort_out(root: bytes, paths: Iterable[bytes], left: LeftOut, *, room: int) -> list[bytes]:
    """The paths that can be kept, in their order; the others are noted.

    `room` is how many bytes there are: the smallest files come first, and what is gone or no file costs nothing.
    """
    sizes: dict[bytes, int] = {}
    for path in paths:
        why, size = _judge(root, path)
        if why:
            left.add(why, path)
        else:
            sizes[path] = size
    if sum(sizes.values()) > room:
        for path, size in sorted(sizes.items(), key=lambda item: (item[1], item[0])):
            room -= size
            if size and room < 0:
                left.add(Why.ROOM, path)
                del sizes[path]
    return list(sizes)


def _judge(root: bytes, path: bytes) -> tuple[Why | None, int]:
    full = root + b"/" + path
    if len(full) > _LONGEST:
        return Why.DEEP, 0
    if any(_REFUSED.fullmatch(part) for part in path.split(b"/")):
        return Why.NAME, 0
    try:
        found = os.lstat(full)
        if not stat.S_ISREG(found.st_mode):
            return None, 0
        os.close(os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    except (FileNotFoundError, NotADirectoryError):
        return None, 0  # deleted
    except OSError:
        return Why.UNREADABLE, 0
    return (Why.LARGE, 0) if found.st_size > MOST_BYTES else (None, found.st_size)


def files_in(root: bytes, folder: bytes) -> Iterator[bytes]:
    """The files of a repository inside the workspace: git would only list its folder."""
    for here, folders, files in os.walk(root + b"/" + folder):
        folders[:] = sorted(name for name in folders if name != b".git" and not is_dropping(os.fsdecode(name)))
        for name in sorted([*files, *folders]):
            full = here + b"/" + name
            if name != b".git" and _is_file(full):
                yield full[len(root) + 1 :]


def _is_file(full: bytes) -> bool:
    try:
        return stat.S_IFMT(os.lstat(full).st_mode) in (stat.S_IFREG, stat.S_IFLNK)
    except OSError:
        return False


def told(message: str, left: LeftOut) -> str:
    """A message with what was left out, between its subject and the rest."""
    text = left.text()
    if not text:
        return message
    subject, _, rest = message.partition("\n")
    return "\n".join([subject, "", text, *([rest] if rest.startswith("\n") else ["", rest]), ""]).rstrip() + "\n"
