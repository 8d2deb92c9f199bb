"""Line numbers in TOML text, which `tomllib` does not tell."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["line_of", "toml_lines"]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_KEY})\s*\]")
_ENTRY = re.compile(rf"\s*({_KEY})\s*=")
_TOKEN = re.compile(r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[\[\]{}]|#.*|\\.|.')


def toml_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """The line (from 1) of every table and key that stands at the beginning of a line; tables of arrays are numbered.

    Keys of inline tables are not found; look for what they are in. The text is expected to be TOML.
    """
    found: dict[tuple[str | int, ...], int] = {}
    counts: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    quote, depth = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        rest = line
        if not quote and not depth:
            header, entry = _HEADER.match(line), _ENTRY.match(line)
            if header:
                table = _table(header, counts)
                found.setdefault(table, number)
                continue
            if entry:
                found.setdefault((*table, *_parts(entry[1])), number)
                rest = line[entry.end() :]
        quote, depth = _scan(rest, quote, depth)
    return found


def line_of(lines: Mapping[tuple[str | int, ...], int], path: tuple[str | int, ...]) -> int | None:
    """The line of a key, or of the nearest thing around it that has one."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)


def _table(header: re.Match[str], counts: dict[tuple[str | int, ...], int]) -> tuple[str | int, ...]:
    path: tuple[str | int, ...] = ()
    parts = _parts(header[2])
    for place, part in enumerate(parts):
        path = (*path, part)
        last = place == len(parts) - 1
        if last and header[1] == "[[":
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _parts(key: str) -> tuple[str, ...]:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in re.findall(_PART, key))


def _scan(text: str, quote: str, depth: int) -> tuple[str, int]:
    """Whether a multi-line text or a bracket is still open at the end of a line."""
    for token in _TOKEN.findall(text):
        if quote:
            quote = "" if token == quote else quote
        elif token in ('"""', "'''"):
            quote = token
        elif token in "[{":
            depth += 1
        elif token in "]}":
            depth -= 1
    return quote, max(depth, 0)
