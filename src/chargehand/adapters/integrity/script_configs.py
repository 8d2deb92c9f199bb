"""Reads configuration that is written as a script: the literals of its objects, nothing is executed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tree_sitter import Node

from chargehand.adapters.integrity.config_rules import severity_of
from chargehand.adapters.integrity.script_checks import literal_number, text_of
from chargehand.adapters.integrity.script_tests import script_tree

__all__ = ["script_values"]

_DEPTH = 40


def script_values(path: str, text: str) -> dict[str, Any]:
    """The pairs of all objects in it, outermost first, as one tree; what is no literal stands as its text."""
    found: dict[str, Any] = {}
    stack = [script_tree(path, text)]
    while stack:
        node = stack.pop()
        if node.type == "object":
            for part in _parts(_object(node, 0)):
                _merge(found, part)
        else:
            stack.extend(reversed(node.named_children))
    return found


def _parts(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rules that an object switches off for its own `files` stand apart, as the older formats write them."""
    files, rules = whole.get("files"), whole.get("rules")
    if not isinstance(files, list) or not isinstance(rules, dict):
        yield whole
        return
    off = {name: value for name, value in rules.items() if severity_of(value) == 0}
    yield {**whole, "rules": {name: value for name, value in rules.items() if name not in off}}
    if off:
        yield {f"overrides[{', '.join(map(str, files))}]": {"files": files, "rules": off}}


def _merge(found: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            _merge(found[key], value)
        else:
            found[key if key not in found else f"{key}+"] = value


def _object(node: Node, depth: int) -> dict[str, Any]:
    found = {}
    for pair in node.named_children:
        if pair.type == "pair":
            key = text_of(pair.child_by_field_name("key")).strip("'\"`")
            found[key] = _value(pair.child_by_field_name("value"), depth + 1)
    return found


def _value(node: Node | None, depth: int) -> Any:
    if node is None or depth > _DEPTH:
        return None
    if node.type == "object":
        return _object(node, depth)
    if node.type == "array":
        return [_value(each, depth + 1) for each in node.named_children if each.type != "comment"]
    if node.type in {"true", "false"}:
        return node.type == "true"
    if node.type == "string":
        return text_of(node)[1:-1]
    number = literal_number(node)
    return text_of(node) if number is None else number
