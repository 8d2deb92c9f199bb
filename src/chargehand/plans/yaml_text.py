"""YAML text as plain data (SPEC 2.1).

YAML is read from its events, not composed: nothing recurses, so no nesting can overrun the stack, and a plan of
10,000 tasks costs half a second. The rules are those of YAML 1.2: an unquoted scalar stays the text it is (`Plain`)
until a field says what it wants, so `on`, `yes`, `12:30` and `010` mean what they say. Tags are refused, and so is the
merge key `<<`, which YAML 1.2 does not have: what it stands for would be lost unsaid. Aliases are counted as if they
were written out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from chargehand.domain.problem import Path, Problem
from chargehand.plans.document import MAX_DEPTH, MAX_VALUES, UNSAFE_VALUE, Document, Place, Plain

__all__ = ["parse_yaml"]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_MERGE = "<<"
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class _Stop(Exception):
    """Reading cannot go on; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def parse_yaml(text: str) -> Document:
    """Read one YAML document; everything that is wrong with it is in `problems`."""
    document = Document(index=lambda: _places(text))
    bad = _FORBIDDEN.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        message = f"The file contains the character U+{ord(bad[0]):04X}, which no text file may hold."
        document.problems.append(Problem(code="syntax", message=message, line=line, column=column, hint="Remove it."))
        return document
    builder = _Builder(text)
    builder.run()
    document.data = builder.data
    document.problems = builder.problems
    return document


def _places(text: str) -> dict[Path, Place]:
    builder = _Builder(text, keep_places=True)
    builder.run()
    return builder.places


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
            self.problems.append(_syntax_problem(error, self.text))

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
        elif event.style == '"' and UNSAFE_VALUE.search(value):
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
        if raw == _MERGE:
            message = "The merge key '<<' is not read: YAML 1.2 has none, and what it merges would be missing here."
            raise _stop(event, message, "Write the keys out; '*name' may stand for any value.", code="merge_key")
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


def _syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
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
        line=min(mark.line, text.count("\n")) + 1 if mark else None,
        column=mark.column + 1 if mark else None,
    )
