"""SPEC 2.3: a verify text is a command only when it is one; else it becomes an acceptance criterion."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.domain.plan import Command
from chargehand.plans.verify_text import finder, read_verify

HAVE = {"pytest", "cargo", "npm", "test", "cd", "make"}


def find(name: str) -> bool:
    return name in HAVE or name.startswith("./")


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("`cargo test user`", ("cargo", "test", "user")),
        ("Run `pytest -q tests/a.py`.", ("pytest", "-q", "tests/a.py")),
        ("pytest -q", ("pytest", "-q")),
        ("```bash\nmake check\n```", ("make", "check")),
        ("```\n$ make check\n```", ("make", "check")),
        ("`./run.sh 'a b'`", ("./run.sh", "a b")),
    ],
)
def test_a_command_is_an_argv(text: str, argv: tuple[str, ...]):
    found = read_verify(text, find)
    assert (found.commands, found.criteria) == ((Command(argv=argv),), ())
    assert found.told == (f"taken as a command: {' '.join(argv)}",)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("`cd web && npm test`", "cd web && npm test"),
        ("`A=1 pytest`", "A=1 pytest"),
        ("```sh\nmake a\nmake b\n```", "set -e\nmake a\nmake b"),
    ],
)
def test_what_needs_a_shell_gets_one(text: str, line: str):
    assert read_verify(text, find).commands == (Command(argv=(line,), shell=True),)


@pytest.mark.parametrize(
    "text",
    [
        "The page shows the name.",
        "`gradle test`",
        "`User` has a name",
        "`unbalanced 'quote`",
        "test that the login works",
        "```python\nassert True\n```",
    ],
)
def test_what_is_no_command_here_is_a_criterion(text: str):
    found = read_verify(text, find)
    assert (found.commands, found.criteria) == ((), (text,))
    assert found.told == (f"taken as a criterion: {' '.join(text.split())}",)


def test_what_is_expected_of_a_command_stays_a_criterion():
    found = read_verify("`pytest -q` and `npm test`; both print 3 passed", find)
    assert [command.text for command in found.commands] == ["pytest -q", "npm test"]
    assert found.criteria == ("`pytest -q` and `npm test`; both print 3 passed",)
    assert len(found.told) == 3


def test_nothing_is_nothing():
    assert read_verify(" \n", find).told == ()


def test_the_programs_of_the_project_count(tmp_path: Path):
    (tmp_path / "gradlew").write_text("")
    found = finder(tmp_path, path="")
    assert [found(name) for name in ("gradlew", "./x", "scripts/x", "/nonexistent/x", "nope", "cd")] == [
        True,
        True,
        True,
        False,
        False,
        True,
    ]


@given(st.text(alphabet="`~$ \n'\"\\abm-=;&|make", max_size=60))
def test_nothing_is_lost_whatever_the_text_is(text: str):
    """A text is a command, a criterion, or empty; never an exception."""
    found = read_verify(text, find)
    assert bool(found.commands or found.criteria) == bool(text.strip())
