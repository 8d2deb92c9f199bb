"""Reads a patch of git into files and lines: what a page shows of a change, never more than its share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from chargehand.report.model import FileDiff, Hunk

__all__ = ["Room", "read_patch"]

_HEAD = "diff --git "
_ESCAPE = re.compile(r"\\([abtnvfr\"\\]|[0-7]{3})")
_LETTERS = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_KINDS = {"+": "added", "-": "removed", " ": "same", "@": "head", "\\": "note"}
_BINARY = ("Binary files ", "GIT binary patch")
_LONGEST_LINE = 500


@dataclass(slots=True, kw_only=True)
class Room:
    """How much of the patches a page may still take; shared by all tasks, and used up as they are read."""

    characters: int = 6_000_000
    file_lines: int = 400
    task_lines: int = 2500
    task_files: int = 200


@dataclass(slots=True, kw_only=True)
class _File:
    path: str
    what: str = "modified"
    binary: bool = False
    added: int = 0
    removed: int = 0
    lines: list[str] = field(default_factory=list)


def read_patch(patch: str, clean: Callable[[str], str], room: Room) -> tuple[tuple[FileDiff, ...], str]:
    """The files of a patch, and what is not shown of it in a sentence (else empty).

    Paths and lines are cleaned one by one: nothing that a line holds can make it look like another line.
    """
    files, left = [], 0
    lines_left = room.task_lines
    for number, file in enumerate(_files(patch)):
        if number >= room.task_files:
            left += 1
            continue
        allowed = max(0, min(room.file_lines, lines_left, len(file.lines) if room.characters > 0 else 0))
        shown = file.lines[:allowed]
        hunks = _hunks(shown, clean)
        lines_left -= len(shown)
        room.characters -= sum(len(hunk.text) for hunk in hunks)
        made = FileDiff(path=clean(file.path), what=file.what, added=file.added, removed=file.removed)
        files.append(replace(made, binary=file.binary, hunks=hunks, cut=len(file.lines) - len(shown)))
    return tuple(files), f"{left:,} more files are not listed." if left else ""


def _files(patch: str) -> Iterator[_File]:
    file: _File | None = None
    in_hunk = False
    for line in patch.split("\n"):
        if line.startswith(_HEAD):
            if file is not None:
                yield file
            file, in_hunk = _File(path=_path(line.removeprefix(_HEAD))), False
        elif file is None:
            continue
        elif line.startswith("@@"):
            in_hunk = True
            file.lines.append(line)
        elif in_hunk and line[:1] in _KINDS:
            file.added += line.startswith("+")
            file.removed += line.startswith("-")
            file.lines.append(line)
        else:
            in_hunk = False
            _head_line(file, line)
    if file is not None:
        yield file


def _head_line(file: _File, line: str) -> None:
    if line.startswith("new file"):
        file.what = "added"
    elif line.startswith("deleted file"):
        file.what = "deleted"
    elif line.startswith("old mode "):
        file.what = "mode changed"
    elif line.startswith(_BINARY):
        file.binary = True


def _path(names: str) -> str:
    """The path in `a/PATH b/PATH`, which are the same without renames; quoted as in C where it is unusual."""
    if names.startswith('"'):
        return _unquoted(names[1 : len(names) // 2 - 1])[2:]
    return names[: len(names) // 2][2:]


def _unquoted(text: str) -> str:
    def letter(found: re.Match[str]) -> str:
        code = found[1]
        return _LETTERS[code] if code in _LETTERS else chr(int(code, 8))

    raw = _ESCAPE.sub(letter, text)
    try:
        return raw.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:  # letters above Latin-1 stand in it as they are
        return raw


def _hunks(lines: list[str], clean: Callable[[str], str]) -> tuple[Hunk, ...]:
    found: list[tuple[str, list[str]]] = []
    for whole in lines:
        kind, line = _KINDS[whole[:1]], whole.removesuffix("\r")
        text = clean(line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} […]").replace("\n", "␤")
        if found and found[-1][0] == kind:
            found[-1][1].append(text)
        else:
            found.append((kind, [text]))
    return tuple(Hunk(kind=kind, text="\n".join(texts) + "\n") for kind, texts in found)
