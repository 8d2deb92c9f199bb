"""Reading the JSON objects that agents answer with, safely, from files the agent controls (SPEC 3.6, 4, 5).

The file named by `CHARGEHAND_RESULT` counts alone when it exists. Where it does not, the last complete block fenced
with the tag in the final message counts. Nothing here blocks, follows a link, reads more than 1 MiB or raises for
what an agent wrote: the answer is the value, or one sentence that says what is wrong with it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from chargehand.adapters.text import clean_text

__all__ = [
    "MAX_BYTES",
    "Malformed",
    "Object",
    "a_name",
    "a_text",
    "any_text",
    "choice",
    "last_fence",
    "listed",
    "one_of",
    "read_end",
    "read_object",
    "shown",
    "tame",
    "texts",
    "to_json",
]

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64

E = TypeVar("E", bound=StrEnum)
Object = dict[str, Any]


class Malformed(Exception):
    """What is wrong with an answer, as a sentence."""


def read_object(result: Path, output: Path | None, tag: str, name: str = "report") -> Object | str:
    """The JSON object in `result`, else in the last block of `output` fenced with `tag`; else what is wrong.

    `name` is what the object is called in that sentence.
    """
    try:
        raw = _read_result(result)
        if raw is not None:
            return _object(_utf8(raw))
        block = last_fence(read_end(output), tag) if output else None
        return f"The agent wrote no {name}." if block is None else _object(block)
    except Malformed as problem:
        return f"The {name} is malformed: {problem}"


# -- files ----------------------------------------------------------------------------------------


def _read_result(path: Path) -> bytes | None:
    """The bytes of a regular file of at most MAX_BYTES in a real folder; None when there is no such name."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Malformed(f"its folder cannot be opened ({error.strerror}).") from None
    try:
        return _read_regular(path.name, folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Malformed(f"the file cannot be read ({error.strerror}).") from None
    finally:
        os.close(folder)


def _read_regular(name: str, folder: int) -> bytes:
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise Malformed("it must be a regular file; links, folders, pipes and devices are not read.")
    # looked at twice: between stat and open the agent may have put something else there
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, dir_fd=folder), "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Malformed("it must be a regular file; links, folders, pipes and devices are not read.")
        raw = _read_up_to(file.read, MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise Malformed(f"it is larger than {MAX_BYTES} bytes.")
    return raw


def _read_up_to(read: Callable[[int], bytes | None], limit: int) -> bytes:
    parts: list[bytes] = []
    while limit > 0 and (part := read(limit)):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def read_end(path: Path, limit: int = MAX_BYTES) -> str:
    """The last `limit` bytes of a file of ours, as text; empty where there is none."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - limit))
            return _read_up_to(file.read, limit).decode("utf-8", "replace")
    except OSError:
        return ""


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"it is not UTF-8 (byte {error.start}).") from None


# -- fences ---------------------------------------------------------------------------------------

_FENCE = re.compile(r" {0,3}(?P<run>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)$")


def last_fence(message: str, tag: str) -> str | None:
    """The text of the last complete block fenced with ``` or ~~~ and tagged `tag`, or None.

    A block inside a longer fence, or one of the other kind, is quoted text and does not count; a fence that is
    never closed opens nothing.
    """
    lines = clean_text(message).split("\n")
    marks = {number: match for number, line in enumerate(lines) if (match := _FENCE.match(line))}
    closable = _longest_ends(marks)
    found: str | None = None
    start, run, wanted = 0, "", False
    for number, match in marks.items():
        mark, words = match["run"], match["info"].split()
        if run and not words and mark[0] == run[0] and len(mark) >= len(run):
            if wanted:
                found = "\n".join(lines[start:number])
            run = ""
        elif len(mark) <= closable[number] and (
            not run or (tag in words and mark[0] == run[0] and len(mark) >= len(run))
        ):
            # a tagged fence inside one that is no longer: the outer was never meant to hold it
            start, run, wanted = number + 1, mark, tag in words
    return found


def _longest_ends(marks: dict[int, re.Match[str]]) -> dict[int, int]:
    """For each fence: the length of the longest line after it that could close it."""
    longest = {"`": 0, "~": 0}
    after: dict[int, int] = {}
    for number in reversed(marks):
        mark = marks[number]["run"]
        after[number] = longest[mark[0]]
        if not marks[number]["info"].strip():
            longest[mark[0]] = max(longest[mark[0]], len(mark))
    return after


# -- JSON -----------------------------------------------------------------------------------------


def _object(text: str) -> Object:
    """A JSON object, strictly: no NaN, no number out of range, no key twice, no deep nesting."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise Malformed(_TOO_DEEP) from None
    except ValueError as error:
        raise Malformed(f"it is not JSON ({str(error)[:200]}).") from None
    if not isinstance(value, dict):
        raise Malformed("it must be a JSON object.")
    return tame(value)


def tame(value: Mapping[str, Any]) -> Object:
    """The same object with text that can be written as UTF-8; `Malformed` when it is nested too deeply."""
    found: Object = _tame(dict(value), MAX_DEPTH)
    return found


_TOO_DEEP = f"it is nested more than {MAX_DEPTH} levels deep."
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def _once(pairs: list[tuple[str, Any]]) -> Object:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Malformed(f"the key `{a_name(twice)}` stands twice.")
    return value


def _no_constant(name: str) -> Any:
    raise Malformed(f"it is not JSON ({name} is no number there).")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise Malformed(f"the number {text[:40]} is out of range.")
    return number


def _tame(value: Any, depth: int) -> Any:
    """The same value with text that can be written as UTF-8; refuses deep nesting."""
    if isinstance(value, str):
        return _HALF_PAIR.sub("\ufffd", value)
    if isinstance(value, dict | list) and depth == 0:
        raise Malformed(_TOO_DEEP)
    if isinstance(value, dict):
        return {_HALF_PAIR.sub("\ufffd", key): _tame(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_tame(item, depth - 1) for item in value]
    return value


def to_json(value: Any) -> str:
    """The value as JSON text."""
    return json.dumps(value, ensure_ascii=False)


def a_name(key: str) -> str:
    """A key, fit to be shown."""
    return clean_text(key)[:60]


# -- fields ---------------------------------------------------------------------------------------


def one_of(kind: type[StrEnum]) -> str:
    """The words of a choice, for a message."""
    return ", ".join(member.value for member in kind)


def choice(kind: type[E], value: Any, key: str) -> E:
    """A word of a closed list; `Malformed` names the key, the words and what was found."""
    if isinstance(value, str) and value in kind.__members__.values():
        return kind(value)
    raise Malformed(f"`{key}` must be one of {one_of(kind)}; found {shown(value)}.")


def shown(value: Any) -> str:
    """A value, short enough for a message."""
    text = clean_text(to_json(value)).replace("\n", " ")  # a next-line character is a line end, too
    return text if len(text) <= 60 else f"{text[:57]}…"


def a_text(data: Mapping[str, Any], key: str, path: str = "") -> str:
    """The text under a key, empty where there is none."""
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"`{path}{key}` must be text; found {shown(value)}.")
    return value


def any_text(data: Mapping[str, Any], key: str) -> str:
    """Text; anything else stands as JSON, since the format leaves open what it looks like."""
    value = data.get(key)
    return "" if value is None else value if isinstance(value, str) else to_json(value)


def listed(data: Mapping[str, Any], key: str) -> list[Any]:
    """A list; a single value that is no list is a list of one, nothing is none."""
    value = data.get(key)
    return [] if value is None else value if isinstance(value, list) else [value]


def texts(data: Mapping[str, Any], key: str, *, loose: bool = False) -> tuple[str, ...]:
    """A list of texts; with `loose` an object in it stands as JSON."""
    items = []
    for item in listed(data, key):
        if loose and isinstance(item, dict):
            items.append(to_json(item))
        elif isinstance(item, str):
            items.append(item)
        else:
            raise Malformed(f"`{key}` must be a list of texts; found {shown(item)}.")
    return tuple(items)
