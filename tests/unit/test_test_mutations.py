"""Every assertion of our own tests is missed when it is taken away, and nothing else is (SPEC 3.7, item 4)."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from chargehand.adapters.integrity.find import Changed, find_test_changes
from chargehand.domain.test_changes import TestChangeKind as Kind

TESTS = Path(__file__).parent
FILES = ["test_graph.py", "test_scope.py", "test_evidence.py", "test_junit.py", "test_gating.py", "test_folders.py"]
each_file = pytest.mark.parametrize("name", FILES)


def kinds(old: str, new: str) -> set[Kind]:
    changed = Changed(path="tests/test_it.py", old=old, new=new, existed=True, exists=True)
    return {change.kind for change in find_test_changes([changed])} - {Kind.MODIFIED}


def picked(text: str, *, most: int) -> Iterator[ast.FunctionDef]:
    found = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef) and node.name[:4] == "test"
    ]
    yield from random.Random(7).sample(found, min(most, len(found)))


def without(text: str, first: int, last: int, instead: str) -> str:
    lines = text.split("\n")
    return "\n".join([*lines[: first - 1], instead, *lines[last:]])


@each_file
def test_another_form_of_the_same_is_no_bending(name):
    text = (TESTS / name).read_text(encoding="utf-8")
    assert kinds(text, ast.unparse(ast.parse(text))) == set()


@each_file
def test_a_test_that_is_gone_is_missed(name):
    text = (TESTS / name).read_text(encoding="utf-8")
    for test in picked(text, most=3):
        first = min([test.lineno, *(each.lineno for each in test.decorator_list)])
        assert Kind.DELETED in kinds(text, without(text, first, test.end_lineno or first, "")), test.name


@each_file
@pytest.mark.parametrize("instead", ["pass", "assert True", "assert 'all is well'"])
def test_an_assertion_that_is_gone_is_missed(name, instead):
    text = (TESTS / name).read_text(encoding="utf-8")
    looked = 0
    for test in picked(text, most=4):
        for one in (node for node in ast.walk(test) if isinstance(node, ast.Assert)):
            new = without(text, one.lineno, one.end_lineno or one.lineno, " " * one.col_offset + instead)
            assert Kind.WEAKENED in kinds(text, new), (test.name, ast.unparse(one))
            looked += 1
            break
    assert looked
