"""What pydantic finds, said in plain words and with a place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from chargehand.domain.problem import Path, Problem, nearest
from chargehand.plans.fields import kind_of

__all__ = ["dotted", "filled", "known_keys", "mend", "problem_of"]

_SYNONYMS = {
    "after": "depends_on",
    "blocked_by": "depends_on",
    "criteria": "acceptance",
    "acceptance_criteria": "acceptance",
    "cmd": "run",
    "command": "run",
    "dependencies": "depends_on",
    "deps": "depends_on",
    "depends": "depends_on",
    "environment": "env",
    "name": "title",
    "needs": "depends_on",
    "requires": "depends_on",
    "summary": "title",
    "timeout": "wall",
    "validation": "verify",
    "version": "chargehand",
}
_EXPECTED = {
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def dotted(path: Path) -> str:
    """The path as a person reads it: `tasks[3].files.create`; positions count from 0, as in the file's lists."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the document"


def known_keys(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The keys of the mapping at `path` in a document of that model; empty where any key is right."""
    current: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int) or current is None:
            continue
        current = _model_of(_annotations(current).get(part))
    return tuple(_annotations(current)) if current else ()


def _annotations(model: type[BaseModel]) -> Mapping[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_of(part))), None)


def problem_of(error: ErrorDetails, model: type[BaseModel]) -> Problem:
    """The problem behind one pydantic error; its `path` leads to the value, for an unknown key to the key."""
    kind = error["type"]
    path: Path = tuple(part for part in error["loc"] if part != "[key]")
    where = dotted(path)
    if kind == "extra_forbidden":
        return _unknown_key(path, known_keys(model, path[:-1]))
    if kind == "missing":
        hint = f"Add '{path[-1]}:' to it."
        around = f" of {dotted(path[:-1])}" if path[:-1] else ""
        return Problem(code="missing_key", message=f"The key '{path[-1]}'{around} is missing.", hint=hint, path=path)
    if kind == "said":
        return Problem(code="bad_value", message=f"{where}: {error['ctx']['message']}", path=path)
    if kind in {"enum", "literal_error"}:
        return _not_one_of(error, path)
    if kind in {"too_short", "string_too_short"}:
        return Problem(code="bad_value", message=f"{where}: Expected at least one entry.", path=path)
    expected = _EXPECTED.get(kind, "another value")
    message = f"{where}: Expected {expected}, found {kind_of(error['input'])}."
    return Problem(code="wrong_type", message=message, hint=_type_hint(kind, error["input"]), path=path)


def _unknown_key(path: Path, known: Iterable[str]) -> Problem:
    key = str(path[-1])
    names = tuple(known)
    around = f" of {dotted(path[:-1])}" if path[:-1] else ""
    synonym = _SYNONYMS.get(key.lower().replace("-", "_"))
    if synonym in names:
        hint = f"Did you mean '{synonym}'?"
    else:
        hint = nearest(key, names) or f"Known keys: {', '.join(names)}."
    return Problem(code="unknown_key", message=f"The key '{key}'{around} is unknown.", hint=hint, path=path)


def _not_one_of(error: ErrorDetails, path: Path) -> Problem:
    allowed = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
    found = error["input"]
    hint = nearest(found, allowed.split(", ")) if isinstance(found, str) else ""
    message = f"{dotted(path)}: Expected one of {allowed}; found {kind_of(found)}."
    return Problem(code="bad_value", message=message, hint=hint, path=path)


def _type_hint(kind: str, found: Any) -> str:
    if kind == "list_type" and isinstance(found, str) and found.strip():
        return "Put it in brackets: [ … ]."
    if kind == "string_type" and isinstance(found, int | float):
        return "Put it in quotes."
    return ""


# -- what is left ---------------------------------------------------------------------------------


def mend(data: dict[str, Any], errors: Sequence[ErrorDetails]) -> None:
    """Take out of a plan document what pydantic refused, so that the rest can be checked too.

    Tasks keep their positions: one that is no mapping, or has no id, is replaced by one whose id nobody could write.
    """
    places = {tuple(part for part in error["loc"] if part != "[key]"): error["type"] for error in errors}
    for path, kind in sorted(places.items(), key=lambda item: _backwards(item[0])):
        if kind == "missing":
            _fill(data, path)
        elif len(path) == 2 and path[0] == "tasks" and isinstance(path[1], int):
            data["tasks"][path[1]] = {"id": f"?{path[1]}", "title": "?"}
        else:
            _remove(data, path)


def _backwards(path: Path) -> tuple[tuple[int, str], ...]:
    """A sort key that brings later entries of a list first, so that earlier positions stay what they are."""
    return tuple((-part, "") if isinstance(part, int) else (0, part) for part in path)


def _fill(data: dict[str, Any], path: Path) -> None:
    """Give a required key a value nobody could write, or take away the mapping that lacks it."""
    if path == ("chargehand",):
        data["chargehand"] = 1
    elif path == ("plan",):
        data["plan"] = "?"
    elif len(path) == 3 and path[0] == "tasks" and isinstance(path[1], int):
        data["tasks"][path[1]][path[2]] = f"?{path[1]}"
    else:
        _remove(data, path[:-1])


def _remove(data: Any, path: Path) -> None:
    for part in path[:-1]:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return
    last = path[-1]
    if isinstance(data, dict):
        data.pop(last, None)
    elif isinstance(data, list) and isinstance(last, int) and last < len(data):
        del data[last]


def filled(
    data: Any, errors: Sequence[ErrorDetails], tasks: Path, of_task: Mapping[str, Any], of_file: Mapping[str, Any]
) -> tuple[Any, frozenset[int], frozenset[str]] | None:
    """A copy of a document with an innocent value for each that pydantic refused, so that the rest can be checked too.

    `tasks` is where its tasks stand; the values are those of a key of a task, and of the document. With it the numbers
    of the tasks and the keys of the document that were wrong. None where there is no such value: without its name a
    task says nothing about the others.
    """
    copy = deepcopy(data)
    numbers: set[int] = set()
    keys: set[str] = set()
    at = len(tasks)
    for error in errors:
        path = tuple(part for part in error["loc"] if part != "[key]")
        entry = _at(copy, path[: at + 1])
        if path[:at] == tasks and len(path) > at + 1 and isinstance(entry, dict) and path[at + 1] in of_task:
            entry[path[at + 1]] = deepcopy(of_task[str(path[at + 1])])
            numbers.add(int(path[at]))
        elif isinstance(copy, dict) and path and path[0] in of_file:
            copy[path[0]] = deepcopy(of_file[str(path[0])])
            keys.add(str(path[0]))
        else:
            return None
    return copy, frozenset(numbers), frozenset(keys)


def _at(data: Any, path: Path) -> Any:
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data
