"""Finds added lines that look unfinished (SPEC 3.7, item 5). Pure, and cheap enough for every attempt.

A marker counts in a comment only, so that a status named after one is no finding; an empty body counts only
where something was to be written, so not in protocols, overloads, abstract methods or fakes of tests.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

__all__ = ["HINT", "unfinished"]

_MARKS = "|".join(word.upper() for word in ("todo", "fixme", "xxx"))

HINT = re.compile(_MARKS.encode() + rb"|(?i:not.{0,6}implement|unimplemented)|todo!|\bpass\b|\.\.\.")
"""A file without this has no finding: spares reading what it was before."""

_MOST = 50
_WIDTH = 160
_PROSE = (".md", ".rst", ".txt", ".adoc")
_IN_PROSE = re.compile(rf"^\s*(?:[-*>]\s+)?(?:\[ \]\s*)?(?:{_MARKS})\b\s*[:(]")
_IN_COMMENT = re.compile(rf"(?:#|//|/\*|<!--|--\s|;|%|^\s*\*)[^\"'`]*\b(?:{_MARKS})\b")
_MARK = re.compile(rf"\b(?:{_MARKS})\b")
_RAISED = re.compile(
    r"\b(?:raise|throw)\b.*\bNot(?:Yet)?Implemented(?:Error|Exception)\b"
    r"|\b(?:raise|throw|panic!?|die|abort|fatal)\b.*\bnot (?:yet )?implemented\b"
    r"|\b(?:todo|unimplemented)!\s*[(\[{]",
    re.IGNORECASE,
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def unfinished(path: str, text: str, before: str = "") -> tuple[str, ...]:
    """Findings as `path:line: text`, in order, at most 50; lines that were there `before` do not count."""
    lines = text.splitlines()
    found = set(_python(path, text)) if path.endswith(".py") else None
    numbers = found if found is not None else {n for n, line in enumerate(lines, 1) if _looks(path, line)}
    fresh = _beyond(lines, sorted(numbers), Counter(line.strip() for line in before.splitlines()))
    return tuple(f"{path}:{number}: {lines[number - 1].strip()[:_WIDTH]}" for number in fresh[:_MOST])


def _beyond(lines: list[str], numbers: list[int], old: Counter[str]) -> list[int]:
    seen = Counter(line.strip() for line in lines)
    fresh = []
    for number in numbers:
        line = lines[number - 1].strip()
        if seen[line] > old[line]:
            fresh.append(number)
    return fresh


def _looks(path: str, line: str) -> bool:
    if path.lower().endswith(_PROSE):
        return _IN_PROSE.search(line) is not None
    comment = _IN_COMMENT.search(line)
    if comment is not None and all(line.count(sign, 0, comment.start()) % 2 == 0 for sign in "\"'`"):
        return True
    return _RAISED.search(line) is not None


def _python(path: str, text: str) -> Iterator[int]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield from (n for n, line in enumerate(text.splitlines(), 1) if _looks(path, line))
        return
    yield from _comments(text)
    name = path.rpartition("/")[2]
    tests = name.startswith(("test_", "conftest")) or name.endswith("_test.py") or f"/{path}".find("/tests/") >= 0
    yield from _empty(tree, tests=tests)


def _comments(text: str) -> Iterator[int]:
    with suppress(tokenize.TokenError, SyntaxError):  # what one tokenizer takes, the other may not
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and _MARK.search(token.string):
                yield token.start[0]


def _empty(tree: ast.Module, *, tests: bool) -> Iterator[int]:
    """Functions without a body, and raised `NotImplementedError`s, outside of what is abstract on purpose."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef) and _names(node.bases) & {"Protocol"}:
            continue
        if isinstance(node, _FUNCTIONS):
            if any(name.startswith("abstract") or name == "overload" for name in _names(node.decorator_list)):
                continue
            if _is_empty(node) and _is_meant_to_work(node.name, tests=tests):
                yield node.lineno
        if isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in _names([node.exc]):
            yield node.lineno
        pending.extend(ast.iter_child_nodes(node))


def _is_meant_to_work(name: str, *, tests: bool) -> bool:
    if tests:
        return name.startswith("test")
    return not (name.startswith("__") or "noop" in name.replace("_", ""))


def _is_empty(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return bool(body) and all(
        isinstance(part, ast.Pass)
        or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and part.value.value is ...)
        for part in body
    )


def _names(nodes: list[ast.expr]) -> set[str]:
    return {_name(node) for node in nodes}


def _name(node: ast.expr) -> str:
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
