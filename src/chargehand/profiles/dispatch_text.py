"""Changes in the text of a `state.json` where nothing else of it may change: one value at a time, by its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["lines", "listed", "set_members", "set_value"]

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[\s\ufeff]*")
_INDENT = "  "


def set_value(text: str, path: tuple[str, ...], value: Any) -> str:
    """The text with `value` at a path of keys; objects on the way are made where they are missing.

    Members of a list that were there already keep their own text. ValueError when the text is no JSON object, or what
    lies on the way is none.
    """
    at = _skip(text, 0)
    for depth, key in enumerate(path):
        members = _members(text, at)
        found = members.get(key)
        if found is None:
            for missing in reversed(path[depth + 1 :]):
                value = {missing: value}
            return _insert(text, at, members, {key: value})
        at, end = found
    return text[:at] + _rendered(text, at, end, value) + text[end:]


def set_members(text: str, key: str, values: Mapping[str, Any]) -> str:
    """The text with these members in the object at a key of the outermost one; the same as one after the other."""
    found = _members(text, start := _skip(text, 0)).get(key)
    if found is None:
        return _insert(text, start, _members(text, start), {key: dict(values)}) if values else text
    at = found[0]
    members = _members(text, at)
    for name in sorted(values.keys() & members.keys(), key=lambda name: -members[name][0]):
        begin, end = members[name]
        value = _rendered(text, begin, end, values[name])
        if value != text[begin:end]:
            text = text[:begin] + value + text[end:]
    fresh = {name: value for name, value in values.items() if name not in members}
    return _insert(text, at, _members(text, at), fresh) if fresh else text


def listed(text: str, key: str) -> list[Any]:
    """The list at a key of the outermost object; empty where there is none."""
    value = json.loads(text[_skip(text, 0) :]).get(key, [])
    return value if isinstance(value, list) else []


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _value_end(text: str, at: int) -> int:
    return _DECODER.raw_decode(text, at)[1]


def _members(text: str, at: int) -> dict[str, tuple[int, int]]:
    """Where each value of the object at a place begins and ends."""
    if text[at : at + 1] != "{":
        raise ValueError(f"an object was expected at character {at + 1}")
    found: dict[str, tuple[int, int]] = {}
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        key, end = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, end) + 1)
        end = _value_end(text, start)
        found[str(key)] = (start, end)
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at : at + 1] == "," else at
    return found


def _elements(text: str, at: int) -> list[tuple[int, int]]:
    found = []
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        end = _value_end(text, at)
        found.append((at, end))
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at : at + 1] == "," else at
    return found


def _insert(text: str, at: int, members: dict[str, tuple[int, int]], values: Mapping[str, Any]) -> str:
    """The text with new last members in the object at a place, laid out as their neighbours are."""
    entries = [f"{_dumped(key)}: {_dumped(value)}" for key, value in values.items()]
    if members:
        _, end = list(members.values())[-1]
        first = re.match(r"\{(\s*)", text[at:])
        between = first[1] if first and "\n" in first[1] else " "
        return text[:end] + "".join(f",{between}{entry}" for entry in entries) + text[end:]
    end = text.index("}", at)
    line = text[text.rfind("\n", 0, at) + 1 : at]
    lead = line[: len(line) - len(line.lstrip())]
    newline = _newline(text)
    if not newline:
        return f"{text[:at]}{{{', '.join(entries)}{text[end:]}"
    inner = f"{newline}{lead}{_INDENT}"
    return f"{text[:at]}{{{inner}{f',{inner}'.join(entries)}{newline}{lead}{text[end:]}"


def _rendered(text: str, at: int, end: int, value: Any) -> str:
    """A value in the place of an old one: as it stands where it is equal, a list with the text of what it keeps."""
    old = json.loads(text[at:end])
    if old == value and type(old) is type(value):
        return text[at:end]
    if not isinstance(value, list) or not isinstance(old, list):
        return _dumped(value)
    kept = [(json.loads(text[start:stop]), text[start:stop]) for start, stop in _elements(text, at)]
    parts = [next((raw for was, raw in kept if was == each), None) or _dumped(each) for each in value]
    lead = re.match(r"\[(\s*)", text[at:end])
    between = lead[1] if lead and kept and "\n" in lead[1] else ""
    tail = re.search(r"\s*(?=\]\Z)", text[at:end])
    if between and parts:
        return f"[{between}{f',{between}'.join(parts)}{tail[0] if tail else ''}]"
    return f"[{', '.join(parts)}]"


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n" if "\n" in text.strip() else ""


def lines(parts: Iterable[str]) -> str:
    """Parts as lines: what agents said is brought to one line each, of characters that can be seen."""
    seen = ("".join(sign if sign.isprintable() else " " for sign in part) for part in parts)
    return "\n".join(line for part in seen if (line := " ".join(part.split())))
