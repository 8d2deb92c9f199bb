"""Entries of a `tasks.yaml`: single values are changed, every other byte stays as people wrote it.

Where a value stands is asked of the YAML parser; what is written is held against what was meant before anybody gets
to see it. Libraries that write YAML anew keep comments and order, and not the spaces.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from chargehand.domain.errors import AdapterError

__all__ = ["DEPTH", "Value", "edited", "entries", "groups", "is_deep", "with_keys_of"]

Value = str | int | None | Sequence[str]
"""What is written: text, a number, nothing, or a list of texts."""

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_HALVES = re.compile("[\ud800-\udfff]")
_PLAIN_WORD = re.compile(r"[A-Z][A-Z_]*")
_BLOCKS = ("|", ">")
_BOM = "\ufeff"
DEPTH = 64
"""How deep a `tasks.yaml` may be nested; the reader of plans takes less."""


def entries(text: str) -> dict[str, dict[str, Any]]:
    """The entries by id, values as text; AdapterError when the text is none of a `tasks.yaml`."""
    data = _data(text)
    listed = data.get("tasks") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise _error("it has no list `tasks`")
    return {each["id"]: each for each in listed if isinstance(each, dict) and isinstance(each.get("id"), str)}


def groups(text: str) -> dict[str, str]:
    """The name of the group of each task that is in one."""
    found = _data(text).get("parallel_groups")
    pairs = found.items() if isinstance(found, dict) else ()
    return {member: name for name, members in pairs if isinstance(members, list) for member in members if member}


def edited(text: str, task: str, changes: Mapping[str, Value]) -> str:
    """The text with these keys of one entry set; AdapterError when that cannot be done without touching others."""
    mark, body = text[: len(text) - len(_bare(text))], _bare(text)  # the parser's places do not count the mark
    written = body
    for key, value in changes.items():
        written = _set(written, task, key, value)
    expected = copy.deepcopy(_data(body))
    entry = next(each for each in expected["tasks"] if isinstance(each, dict) and each.get("id") == task)
    entry |= {key: _as_read(value) for key, value in changes.items()}
    if _data(written) != expected:
        raise _error(f"the entry of {task} cannot be changed without changing others (anchors, or odd indentation)")
    return f"{mark}{written}"


def with_keys_of(text: str, other: str, keys: Sequence[str], *, but: Collection[str] = ()) -> str:
    """The text with these keys of its entries as another text has them, those of the tasks of `but` left alone."""
    theirs = entries(other)
    for task, entry in entries(text).items():
        if task in but or task not in theirs:
            continue
        named = [key for key in (*theirs[task], *entry) if key in keys]  # in the order in which they were added
        wanted = {key: theirs[task].get(key) for key in named if entry.get(key) != theirs[task].get(key)}
        if wanted:
            text = edited(text, task, {key: _as_number(value) for key, value in wanted.items()})
    return text


def _as_number(value: Value) -> Value:
    """A number is written as one."""
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 10 else value


def _error(why: str) -> AdapterError:
    return AdapterError("projection", f"tasks.yaml cannot be brought up to date: {why}. Put that right, then resume.")


def _bare(text: str) -> str:
    """The text without a byte order mark."""
    return text.removeprefix(_BOM)


def _data(text: str) -> Any:
    """Plain data in which every scalar is text."""
    import yaml

    text = _bare(text)
    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    if is_deep(text):
        raise _error(f"it is nested more than {DEPTH} levels deep")
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 - the base loader makes text, lists and mappings only
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise _error(f"it is not valid YAML ({' '.join(str(error).split())[:300]})") from error


def is_deep(text: str) -> bool:
    """Whether composing the text could overrun the stack: its events are looked at first, which recurses nowhere."""
    import yaml

    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH:
                return True
    except (yaml.YAMLError, ValueError):
        pass  # it is told when it is read
    return False


def _as_read(value: Value) -> Any:
    if value is None:
        return "null"
    return str(value) if isinstance(value, str | int) else [str(each) for each in value]


def _shown(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value if _PLAIN_WORD.fullmatch(value) else _quoted(value)
    return f"[{', '.join(_quoted(each) for each in value)}]"


def _quoted(text: str) -> str:
    shown = json.dumps(_HALVES.sub("\ufffd", text), ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", shown)


# -- places ---------------------------------------------------------------------------------------


def _set(text: str, task: str, key: str, value: Value) -> str:
    entry = _entry(text, task)
    pair = next((pair for pair in entry.value if pair[0].value == key), None)
    if pair is not None:
        return _replaced(text, pair[0], pair[1], _shown(value))
    return _added(text, entry, f"{key}: {_shown(value)}")


def _entry(text: str, task: str) -> Any:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root: Any = yaml.compose(text, Loader=loader)
        tasks = next(value for key, value in root.value if key.value == "tasks")
        for entry in tasks.value:
            if any(key.value == "id" and value.value == task for key, value in entry.value):
                return entry
    except (yaml.YAMLError, RecursionError, AttributeError, StopIteration, TypeError, ValueError) as error:
        raise _error(f"its entries cannot be found ({' '.join(str(error).split())[:300]})") from error
    raise _error(f"it has no entry {task} any more")


def _replaced(text: str, key: Any, value: Any, shown: str) -> str:
    start, end = value.start_mark.index, _end(text, value)
    after_key = key.end_mark.index
    if start < after_key:
        raise _error(f"'{key.value}' is an alias of another value")
    if not _is_block(value):
        space = " " if start == end and text[start - 1 : start] not in {" ", "\t"} else ""
        return f"{text[:start]}{space}{shown}{text[end:]}"
    colon = text.index(":", after_key)
    comment = text[colon + 1 : start].split("\n", 1)[0].rstrip() if "\n" in text[colon:start] else ""
    return f"{text[: colon + 1]} {shown}{comment}{text[end:]}"


def _is_block(node: Any) -> bool:
    return not isinstance(node.value, str) and not node.flow_style


def _end(text: str, node: Any) -> int:
    """Where a value really ends: the parser counts what stands before the next token, too."""
    if _is_block(node) and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    start, end = node.start_mark.index, node.end_mark.index
    return int(start + len(text[start:end].rstrip()))


def _added(text: str, entry: Any, line: str) -> str:
    """The entry with another key at its end, before a text whose trailing lines would count."""
    if not entry.value:
        raise _error("an entry is empty")
    values = [value for _, value in entry.value]
    if entry.flow_style:
        end = _end(text, values[-1])
        return f"{text[:end]}, {line}{text[end:]}"
    after = next(value for value in reversed(values) if getattr(value, "style", None) not in _BLOCKS)
    end = text.find("\n", _end(text, after))
    end = len(text) if end < 0 else end
    newline = "\r\n" if text[:end].endswith("\r") else "\n"
    end -= len(newline) - 1
    indent = " " * entry.value[0][0].start_mark.column
    return f"{text[:end]}{newline}{indent}{line}{text[end:]}"
