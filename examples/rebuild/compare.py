"""Whether two folders hold the same files: names, bytes, links, and the permission to execute."""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["differences", "listing"]

_NOT_OURS = (".git",)


def listing(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Every file below a folder: its path, its kind as git knows it, and what is in it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/", 1)[0] in _NOT_OURS:
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[name] = ("link", os.fsencode(path.readlink()))
        elif stat.S_ISREG(mode):
            found[name] = ("program" if mode & stat.S_IXUSR else "file", path.read_bytes())
    return found


def differences(original: Path, result: Path) -> list[str]:
    """One sentence for each file that is not the same in both; empty when all are."""
    before, after = listing(original), listing(result)
    found = [f"{name} is missing." for name in before if name not in after]
    found += [f"{name} is not in the original." for name in after if name not in before]
    for name in before:
        if name in after and before[name] != after[name]:
            (kind, text), (other, there) = before[name], after[name]
            found.append(f"{name} differs." if text != there else f"{name} is a {other}, a {kind} in the original.")
    return found
