"""Keeps the number of small packs low: git looks into each of them, in every process, for an object that it misses.

Every result comes in as a pack of its own. Once there are many of a size they become one, as `git repack --geometric`
would have it; packs of the user's are left alone. Who is reading one that goes finds its objects in the new one, as
with every `git repack`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.folders import open_regular, read_regular

__all__ = ["PACK_NAME", "PARTS", "Registry"]

PACK_NAME = re.compile(rb"pack-(?:[0-9a-f]{40}|[0-9a-f]{64})")
"""A pack directly in the folder of packs: what a file of names says otherwise is nobody's business there."""

PARTS = (".pack", ".rev", ".idx")
"""The files of a pack, in the order in which they are to appear: git looks for the index first."""
_MANY = 32
_ENTRY = re.compile(rb"(\d{1,4}) (" + PACK_NAME.pattern + rb")")
_MOST_BYTES = 4 * 1024 * 1024
_LINE = len("0 pack-\n") + 40
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_GC_S = 12 * 3600.0  # how long git itself believes in a `gc` of which only the lock is known


@dataclass(frozen=True, slots=True)
class Registry:
    """The packs that were made here, in `file`, each with how often it was combined; they lie in `folder`."""

    file: Path
    folder: Path

    def add(self, names: Collection[str], level: int = 0) -> None:
        """Note packs that a ref has; without this nothing happens to them."""
        if names:
            with os.fdopen(open_regular(self.file, _APPEND, 0o666), "w", encoding="ascii") as file:
                file.write("".join(f"{level} {name}\n" for name in names))

    def due(self) -> tuple[int, tuple[str, ...]] | None:
        """The packs that should be one, and how often those have been combined."""
        levels: dict[int, list[str]] = {}
        for level, name in self._read():
            if (self.folder / f"{name}.pack").exists() and not (self.folder / f"{name}.keep").exists():
                levels.setdefault(level, []).append(name)
        return next(((level, tuple(names)) for level, names in sorted(levels.items()) if len(names) >= _MANY), None)

    def may_be_due(self) -> bool:
        """Whether there is anything to look at; costs no look at the packs. Not while the user's git does the same."""
        with contextlib.suppress(FileNotFoundError):
            if self.file.stat().st_size < _MANY * _LINE:
                return False
            return time.time() - (self.folder.parent.parent / "gc.pid").stat().st_mtime > _GC_S
        return self.file.exists()

    def replace(self, names: Collection[str], level: int, by: Collection[str]) -> None:
        """Remove packs whose objects are in others now."""
        for name in names:
            for suffix in reversed(PARTS):
                (self.folder / f"{name}{suffix}").unlink(missing_ok=True)
        left = [(at, name) for at, name in self._read() if name not in names and self._exists(name)]
        aside = self.file.with_name(f"{self.file.name}.new")
        with os.fdopen(
            open_regular(aside, os.O_WRONLY | os.O_TRUNC | os.O_CREAT, 0o666), "w", encoding="ascii"
        ) as file:
            file.write("".join(f"{at} {name}\n" for at, name in left))
        aside.replace(self.file)
        self.add(by, level + 1)

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody else combines packs meanwhile."""
        fd = open_regular(self.file.with_name(f"{self.file.name}.lock"), os.O_RDWR | os.O_CREAT)
        try:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield True
                return
            yield False
        finally:
            os.close(fd)

    def _exists(self, name: str) -> bool:
        return (self.folder / f"{name}.pack").exists()

    def _read(self) -> list[tuple[int, str]]:
        lines = (read_regular(self.file, _MOST_BYTES) or b"").split(b"\n")
        found = [match for match in map(_ENTRY.fullmatch, lines) if match]
        return [(int(match[1]), match[2].decode("ascii")) for match in found]
