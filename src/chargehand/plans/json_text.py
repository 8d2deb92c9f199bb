"""JSON text as plain data; `json` reads it, and a scan of the tokens finds places when one is asked for."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from chargehand.domain.problem import Path, Problem
from chargehand.plans.document import MAX_DEPTH, UNSAFE_VALUE, Document, Place

__all__ = ["parse_json"]


def parse_json(text: str) -> Document:
    """Read one JSON document; everything that is wrong with it is in `problems`."""
    document = Document(index=lambda: _JsonPlaces(text).run())
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
        _examine(document, text, doubles)
    return document


def _examine(document: Document, text: str, doubles: set[str]) -> None:
    """What `json` lets pass: repeated keys, depth, and text that cannot be written down."""
    if doubles:
        scan = _JsonPlaces(text)
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
        elif isinstance(value, str) and UNSAFE_VALUE.search(value):
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

    def run(self) -> dict[Path, Place]:
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
        return self.places

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
