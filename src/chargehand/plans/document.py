"""YAML and JSON text as plain data, with the position of every value (SPEC 2.1).

YAML is read from its events, not composed: nothing recurses, so no nesting can overrun the stack, and a plan of
10,000 tasks costs half a second. The rules are those of YAML 1.2: an unquoted scalar stays the text it is (`Plain`)
until a field says what it wants, so `on`, `yes`, `12:30` and `010` mean what they say. Tags are refused, aliases are
counted as if they were written out.
"""

from __future__ import annotations

import gc
import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from chargehand.domain.problem import Path, Problem

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_VALUES",
    "Document",
    "Place",
    "Plain",
    "no_collector",
    "parse_json",
    "parse_yaml",
]

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 40
MAX_VALUES = 2_000_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_UNSAFE_VALUE = re.compile("[\x00\ud800-\udfff]")


@contextmanager
def no_collector() -> Iterator[None]:
    """Millions of small values and no cycles among them: looking for garbage costs more than the reading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Plain(str):
    """An unquoted scalar: text, unless a field wants a number or a truth value."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; both count from 1."""

    line: int
    column: int


@dataclass(slots=True, kw_only=True)
class Document:
    """What was read. `data` is None when nothing could be; positions are worked out when first asked for."""

    text: str
    data: Any = None
    problems: list[Problem] = field(default_factory=list)
    is_json: bool = False
    _places: dict[Path, Place] | None = None

    def place(self, path: Path) -> Place | None:
        """Where the entry at `path` begins (a key with its value, or an item), or the nearest one around it.

        None when nothing was read.
        """
        if self.data is None:
            return None
        if self._places is None:
            builder = _JsonPlaces(self.text) if self.is_json else _Builder(self.text, keep_places=True)
            with no_collector():
                builder.run()
            self._places = builder.places
        return next((self._places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self._places), None)


class _Stop(Exception):
    """Reading cannot go on; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


# -- YAML -----------------------------------------------------------------------------------------


def parse_yaml(text: str) -> Document:
    """Read one YAML document; everything that is wrong with it is in `problems`."""
    document = Document(text=text)
    bad = _FORBIDDEN.search(text)
    if bad:
        place = _place_of(text, bad.start())
        message = f"The file contains the character U+{ord(bad[0]):04X}, which no text file may hold."
        document.problems.append(
            Problem(code="syntax", message=message, line=place.line, column=place.column, hint="Remove it.")
        )
        return document
    builder = _Builder(text)
    builder.run()
    document.data = builder.data
    document.problems = builder.problems
    return document


@dataclass(slots=True)
class _Frame:
    """An open mapping or list; `key` is the key that waits for its value."""

    container: Any
    path: Path
    anchor: str | None
    values: int = 1
    key: str | None = None
    key_lines: dict[str, int] | None = None


class _Builder:
    """Turns events into data, keeping its own stack."""

    def __init__(self, text: str, *, keep_places: bool = False) -> None:
        self.text = text
        self.keep_places = keep_places
        self.data: Any = None
        self.problems: list[Problem] = []
        self.places: dict[Path, Place] = {}
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0
        self._documents = 0

    def run(self) -> None:
        """Read to the end or to the first thing that cannot be read past."""
        try:
            for event in yaml.parse(self.text, Loader=_LOADER):
                self._take(event)
        except _Stop as stop:
            self.data = None
            self.problems.append(stop.problem)
        except yaml.YAMLError as error:
            self.data = None
            self.problems.append(_syntax_problem(error))

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            self._open({}, event)
        elif kind is yaml.SequenceStartEvent:
            self._open([], event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                raise _stop(event, "The file holds more than one document.", "Remove the second '---'.")

    def _scalar(self, event: Any) -> None:
        if event.tag is not None:
            raise _tag_refused(event)
        value = event.value
        if event.implicit[0]:
            value = None if value in _NULL else Plain(value)
        elif event.style == '"' and _UNSAFE_VALUE.search(value):
            raise _stop(event, "The text contains a NUL or half a surrogate pair.", "Remove the escape.")
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._add(value, event, 1, raw=event.value)

    def _open(self, container: Any, event: Any) -> None:
        if event.tag is not None:
            raise _tag_refused(event)
        if len(self._stack) >= MAX_DEPTH:
            raise _stop(event, f"The file is nested deeper than {MAX_DEPTH} levels.", "", code="too_large")
        path = self._add(container, event, 0)
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)
        lines: dict[str, int] | None = {} if isinstance(container, dict) else None
        self._stack.append(_Frame(container, path, event.anchor, key_lines=lines))

    def _close(self) -> None:
        frame = self._stack.pop()
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.container, frame.values)
        if self._stack:
            self._stack[-1].values += frame.values

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            message = f"The alias '*{event.anchor}' refers to nothing that is complete at this point."
            raise _stop(event, message, f"Define '&{event.anchor}' before it, and not around it.")
        value, values = self._anchors[event.anchor]
        self._add(value, event, values, raw=value if isinstance(value, str) else None)

    def _add(self, value: Any, event: Any, values: int, raw: str | None = None) -> Path:
        """Put a value where it belongs and answer its path."""
        self._values += max(values, 1)
        if self._values > MAX_VALUES:
            message = f"The file holds more than {MAX_VALUES:,} values (aliases count as written out)."
            raise _stop(event, message, "Split the plan.", code="too_large")
        if not self._stack:
            self.data = value
            return self._note((), event)
        frame = self._stack[-1]
        frame.values += values
        if isinstance(frame.container, list):
            frame.container.append(value)
            return self._note((*frame.path, len(frame.container) - 1), event)
        if frame.key is None:
            self._take_key(frame, event, raw)
            return ()
        key, frame.key = frame.key, None
        if key not in frame.container:
            frame.container[key] = value
            return self._note((*frame.path, key), event)
        return (*frame.path, key)

    def _take_key(self, frame: _Frame, event: Any, raw: str | None) -> None:
        if raw is None:
            raise _stop(event, "A key must be plain text.", "Write 'key: value'.")
        lines = frame.key_lines if frame.key_lines is not None else {}
        line = event.start_mark.line + 1
        if raw in lines:
            message = f"The key '{raw}' stands here twice; the first is in line {lines[raw]}."
            self.problems.append(_problem(event, message, "Remove one of them.", code="duplicate_key"))
        elif self.keep_places:
            self.places[*frame.path, raw] = Place(line, event.start_mark.column + 1)
        lines.setdefault(raw, line)
        frame.key = raw

    def _note(self, path: Path, event: Any) -> Path:
        if self.keep_places:
            mark = event.start_mark
            self.places.setdefault(path, Place(mark.line + 1, mark.column + 1))
        return path


def _problem(event: Any, message: str, hint: str, *, code: str = "syntax") -> Problem:
    mark = event.start_mark
    return Problem(code=code, message=message, hint=hint, line=mark.line + 1, column=mark.column + 1)


def _stop(event: Any, message: str, hint: str, *, code: str = "syntax") -> _Stop:
    return _Stop(_problem(event, message, hint, code=code))


def _tag_refused(event: Any) -> _Stop:
    hint = "Remove it; quote a value to make it text."
    return _stop(event, f"The tag '{event.tag}' is not allowed here.", hint)


def _syntax_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).split("\n", 1)[0]
    hint = ""
    if "cannot start any token" in what:
        hint = "Indent with spaces, and quote text that begins with a special character."
    elif "mapping values are not allowed" in what:
        hint = "Quote text that contains ': '."
    return Problem(
        code="syntax",
        message=f"This is not valid YAML: {what.rstrip('.')}.",
        hint=hint,
        line=mark.line + 1 if mark else None,
        column=mark.column + 1 if mark else None,
    )


# -- JSON -----------------------------------------------------------------------------------------


class _Duplicate(Exception):
    """A key stands twice in an object."""


def parse_json(text: str) -> Document:
    """Read one JSON document; everything that is wrong with it is in `problems`."""
    document = Document(text=text, is_json=True)
    doubles: set[str] = set()

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                doubles.add(key)
            else:
                found[key] = value
        return found

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not a number JSON knows")

    try:
        document.data = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except json.JSONDecodeError as error:
        message = f"This is not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}."
        document.problems.append(Problem(code="syntax", message=message, line=error.lineno, column=error.colno))
    except RecursionError:
        document.problems.append(Problem(code="too_large", message="The file is nested too deeply."))
    except ValueError as error:
        document.problems.append(Problem(code="syntax", message=f"This is not valid JSON: {error}."))
    else:
        _examine(document, doubles)
    return document


def _examine(document: Document, doubles: set[str]) -> None:
    """What `json` lets pass: repeated keys, depth, and text that cannot be written down."""
    if doubles:
        scan = _JsonPlaces(document.text)
        scan.run()
        document.problems += scan.problems
    todo: list[tuple[Any, int]] = [(document.data, 0)]
    while todo:
        value, depth = todo.pop()
        if depth > MAX_DEPTH:
            message = f"The file is nested deeper than {MAX_DEPTH} levels."
            document.problems.append(Problem(code="too_large", message=message))
            document.data = None
            return
        if isinstance(value, dict):
            todo += [(part, depth + 1) for part in (*value, *value.values())]
        elif isinstance(value, list):
            todo += [(part, depth + 1) for part in value]
        elif isinstance(value, str) and _UNSAFE_VALUE.search(value):
            message = "The file contains a text with a NUL or half a surrogate pair."
            document.problems.append(Problem(code="syntax", message=message, hint="Remove the escape."))
            document.data = None
            return


_JSON_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|([{}\[\],:])|([^\s{}\[\],:"]+))')


class _JsonPlaces:
    """Finds positions in a text that is known to be JSON."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.places: dict[Path, Place] = {}
        self.problems: list[Problem] = []
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def run(self) -> None:
        """Walk the tokens with a stack of open objects (their key) and arrays (their position)."""
        path: list[str | int] = []
        opened: list[str] = []
        tokens = self._tokens()
        for token, at in tokens:
            if token in "]}":
                opened.pop()
                path = path[: len(opened)]
            elif token == ",":
                if opened[-1] == "[":
                    path[-1] = int(path[-1]) + 1
                else:
                    path.pop()
            elif token == ":":
                continue
            elif opened and opened[-1] == "{" and len(path) < len(opened):
                path.append(self._key(tuple(path), token, at))
            else:
                self.places.setdefault(tuple(path), self._place(at))
                if token in "{[":
                    opened.append(token)
                    path += [0] if token == "[" else []

    def _key(self, path: Path, token: str, at: int) -> str:
        key = str(json.loads(token))
        place = self._place(at)
        first = self.places.setdefault((*path, key), place)
        if first is not place:
            message = f"The key '{key}' stands here twice; the first is in line {first.line}."
            self.problems.append(
                Problem(
                    code="duplicate_key",
                    message=message,
                    hint="Remove one of them.",
                    line=place.line,
                    column=place.column,
                )
            )
        return key

    def _tokens(self) -> Iterator[tuple[str, int]]:
        for found in _JSON_TOKEN.finditer(self.text):
            number = found.lastindex or 1
            yield found[number], found.start(number)

    def _place(self, at: int) -> Place:
        line = bisect_right(self._starts, at)
        return Place(line, at - self._starts[line - 1] + 1)


def _place_of(text: str, at: int) -> Place:
    return Place(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
