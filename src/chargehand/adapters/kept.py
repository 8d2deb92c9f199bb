"""Folders that setup made and cleaning spares: found, looked over, repaired, copied (SPEC 3.7).

What lies in a kept folder was put there by setup, but agents and tests run beside it and may write to it. So
after setup every entry is noted with its inode and its change time, which no program can set back. Before
the folder is used again, entries that were added are removed; one that was changed or removed makes the
folder worthless, and setup runs again.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from chargehand.adapters.folders import relative_parts, remove_tree

__all__ = ["Entry", "Table", "anchored", "found_roots", "mentions", "note_down", "repair"]

Entry = tuple[int, int, int, int]
"""Mode, size, inode, change time in ns; of a folder only the mode counts."""

Table = dict[str, Entry]
"""Every entry below the kept roots (they included), by path from the workspace."""

_CHUNK = 1 << 20
_GLOB = frozenset("*?[")


def anchored(patterns: Iterable[str]) -> tuple[str, ...]:
    """`keep` entries as ignore patterns that match from the repository root only."""
    return tuple("/" + "/".join(_parts(pattern)) for pattern in patterns if _parts(pattern))


def found_roots(workspace: Path, patterns: Iterable[str]) -> list[str]:
    """The paths that `keep` entries name and that exist, none inside another; never through a link."""
    found: set[str] = set()
    for pattern in patterns:
        parts = _parts(pattern)
        if not parts:
            continue
        if any(_GLOB.intersection(part) for part in parts):
            matches = [path.relative_to(workspace).as_posix() for path in workspace.glob("/".join(parts))]
        else:
            matches = ["/".join(parts)]
        found.update(match for match in matches if _is_reached(workspace, match))
    return [path for path in sorted(found) if not found.intersection(_above(path))]


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _parts(pattern: str) -> tuple[str, ...]:
    try:
        return relative_parts(pattern.strip("/"))
    except ValueError:
        return ()


def _is_reached(workspace: Path, path: str) -> bool:
    place = workspace
    *folders, last = path.split("/")
    for folder in folders:
        place = place / folder
        if place.is_symlink():
            return False
    return os.path.lexists(place / last)


# -- noting down and looking over -----------------------------------------------------------------


def note_down(workspace: Path, roots: Sequence[str]) -> Table:
    """Every entry below the roots as it is now."""
    return dict(_walk(workspace, roots, {}))


def repair(workspace: Path, roots: Sequence[str], table: Table) -> bool:
    """Bring kept folders back to what was noted: False when something was changed or removed.

    Entries that were added are removed, whole folders at once.
    """
    seen = 0
    added: list[str] = []
    for path, entry in _walk(workspace, roots, table):
        if path not in table:
            added.append(path)
        elif table[path] == entry:
            seen += 1
        else:
            return False
    for path in added:
        remove_tree(workspace / path)
    return seen == len(table)


def _walk(workspace: Path, roots: Sequence[str], known: Table) -> Iterator[tuple[str, Entry]]:
    """All entries, links not followed; with a table, unknown folders are not entered."""
    base = os.fspath(workspace)
    waiting: list[str] = []
    for root in roots:
        try:
            entry = _entry(os.lstat(f"{base}/{root}"))
        except (FileNotFoundError, NotADirectoryError):  # a commit may have a file where a folder was
            continue
        yield root, entry
        if stat.S_ISDIR(entry[0]) and (not known or root in known):
            waiting.append(root)
    while waiting:
        folder = waiting.pop()
        with os.scandir(f"{base}/{folder}") as entries:
            for found in entries:
                path = f"{folder}/{found.name}"
                entry = _entry(found.stat(follow_symlinks=False))
                yield path, entry
                if stat.S_ISDIR(entry[0]) and (not known or path in known):
                    waiting.append(path)


def _entry(status: os.stat_result) -> Entry:
    if stat.S_ISDIR(status.st_mode):
        return (status.st_mode, 0, 0, 0)
    return (status.st_mode, status.st_size, status.st_ino, status.st_ctime_ns)


# -- whether they can be used elsewhere -----------------------------------------------------------


def mentions(workspace: Path, table: Table, places: Sequence[Path]) -> str:
    """The first entry that knows where it lies, or an empty string: only then a copy works elsewhere.

    Looked for in the content of every file and in the target of every link: the path of each of `places` as it is,
    and as URLs, JSON, shells and wide characters write it. A link that leaves the workspace counts, too, as
    does an egg (an archive with paths in it) and whatever cannot be read.
    """
    needles = sorted({form for place in places for form in _forms(place)}, key=len, reverse=True)
    for path, entry in table.items():
        full = workspace / path
        try:
            if stat.S_ISLNK(entry[0]):
                knows = _link_knows(path, bytes(full.readlink()), needles)
            elif stat.S_ISREG(entry[0]):
                knows = path.endswith(".egg") or _file_knows(full, needles)
            else:
                knows = not stat.S_ISDIR(entry[0])
        except OSError:
            knows = True
        if knows:
            return path
    return ""


def _forms(place: Path) -> Iterator[bytes]:
    for text in {str(place), os.path.realpath(place)}:
        raw = os.fsencode(text)
        yield raw
        yield quote(raw).encode()
        yield json.dumps(text)[1:-1].encode("ascii")
        yield json.dumps(text)[1:-1].replace("/", "\\/").encode("ascii")
        yield raw.replace(b" ", b"\\ ")
        yield text.encode("utf-16-le", "surrogatepass")
        yield text.encode("utf-16-be", "surrogatepass")


def _link_knows(path: str, target: bytes, needles: Sequence[bytes]) -> bool:
    if target.startswith(b"/"):
        return any(needle in target for needle in needles)
    folder = os.fsencode(path).rpartition(b"/")[0]
    landing = os.path.normpath(os.path.join(folder, target))  # noqa: PTH118 - bytes
    return landing == b".." or landing.startswith(b"../")


def _file_knows(path: Path, needles: Sequence[bytes]) -> bool:
    overlap = len(needles[0])
    kept = b""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_CHUNK):
            kept = kept[-overlap:] + piece
            if any(needle in kept for needle in needles):
                return True
    return False
