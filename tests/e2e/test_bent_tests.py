"""A change that bends the tests that judge it does not land: exit code, reason and journal (SPEC 3.7, item 4; I6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cliworld import CliWorld
from tests.repos import Repo

TESTS = """\
import pytest
from app.calc import add, third


def test_add():
    assert add(1, 2) == 3
    assert add(2, 2) == 4


def test_third():
    assert third() == pytest.approx(0.333, abs=0.001)
"""
CODE = "def add(a, b):\n    return a + b\n\n\ndef third():\n    return 0.3331\n"
WORK = {"app/calc.py": CODE.replace("0.3331", "0.5")}
FILES = {"modify": ["app/calc.py"], "test": ["tests/**", "conftest.py"]}


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    repo.write("app/__init__.py", "")
    repo.write("app/calc.py", CODE)
    repo.write("tests/test_calc.py", TESTS)
    repo.commit("code and tests")
    return CliWorld(repo, tmp_path / "cli")


def play(cli: CliWorld, write: dict[str, str], **keys: Any) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
    """A run of one task; its exit code, its row, and its journal."""
    cli.script({"a": [{"write": {**WORK, **write}}]})
    plan = cli.plan([{"id": "a", "title": "A", **keys}], features={"code_review": False})
    done = cli.run(plan, "--json", "--unattended")
    assert done.stdout, done.stderr
    return done.code, done.document["tasks"][0], cli.call("log", "--json").lines


def edited(old: str, new: str) -> dict[str, str]:
    assert old in TESTS
    return {"tests/test_calc.py": TESTS.replace(old, new, 1)}


BENT: dict[str, tuple[dict[str, str], str]] = {
    "skipped": (edited("def test_third", "@pytest.mark.skip\ndef test_third"), "tests/test_calc.py:10 skipped"),
    "assertion removed": (edited("    assert add(2, 2) == 4\n", ""), "tests/test_calc.py:5 weakened"),
    "tolerance raised": (edited("abs=0.001", "abs=0.5"), "tests/test_calc.py:11 weakened"),
    "deselected": ({"conftest.py": 'collect_ignore = ["tests/test_calc.py"]\n'}, "conftest.py:1 deselected"),
    "exit": ({"conftest.py": "import sys\n\nsys.exit(0)\n"}, "conftest.py:3 exits"),
    "mock": (
        edited(
            "def test_third():\n",
            "def test_third(monkeypatch):\n    monkeypatch.setattr('app.calc.third', lambda: 0.333)\n",
        ),
        "tests/test_calc.py:11 mocked",
    ),
}


@pytest.mark.parametrize("scoped", [True, False], ids=["scoped", "unscoped"])
@pytest.mark.parametrize("what", BENT)
def test_it_does_not_land(cli: CliWorld, what: str, scoped: bool):
    """I6, I3: green tests are evidence only while they are the tests that were there."""
    write, said = BENT[what]
    code, row, journal = play(cli, write, **({"files": FILES} if scoped else {}))
    assert code == 1
    assert (row["state"], row["reason"], row["landed"]) == ("failed", "tests_bent", None)
    assert said in row["detail"]
    ended = [line["result"]["sealed"]["test_changes"] for line in journal if line["type"] == "attempt_finished"]
    place, _, kind = said.partition(" ")
    assert len(ended) == row["attempts"] == 2
    for changes in ended:
        assert (place, kind) in {(f"{change['path']}:{change['line']}", change["kind"]) for change in changes}


def test_the_next_attempt_is_told_and_may_do_it_right(cli: CliWorld):
    cli.script({"a": [{"write": {**WORK, **BENT["skipped"][0]}}, {"write": {"app/calc.py": f"{CODE}\nX = 1\n"}}]})
    plan = cli.plan([{"id": "a", "title": "A", "files": FILES}], features={"code_review": False})
    done = cli.run(plan, "--json", "--unattended")
    assert done.code == 0, done.stdout
    assert done.document["tasks"][0]["attempts"] == 2
    brief = cli.call("show", "a", "--brief").stdout
    assert "tests/test_calc.py:10 skipped test_third: skip" in brief


def test_a_test_that_is_the_tasks_to_change_may_be_another(cli: CliWorld):
    code, row, _ = play(cli, edited("== 4", "== 4 and add(0, 0) == 0"), files=FILES)
    assert (code, row["state"]) == (0, "integrated")


def test_one_that_is_not_may_not(cli: CliWorld):
    code, row, _ = play(cli, edited("== 4", "== 4 and add(0, 0) == 0"), files={"modify": ["app/*.py", "tests/*.py"]})
    assert (code, row["reason"]) == (1, "tests_bent")
    assert "tests/test_calc.py modified" in row["detail"]


def test_a_task_without_files_may_change_tests_but_not_weaken_them(cli: CliWorld):
    code, row, _ = play(cli, edited("== 4", "== 4 and add(0, 0) == 0"))
    assert (code, row["state"]) == (0, "integrated")


def test_a_plan_may_allow_it(cli: CliWorld):
    code, row, _ = play(cli, BENT["assertion removed"][0], files=FILES, allow_test_changes=True)
    assert (code, row["state"]) == (0, "integrated")


def test_new_tests_are_welcome(cli: CliWorld):
    new = {"tests/test_more.py": "from app.calc import add\n\n\ndef test_more():\n    assert add(0, 0) == 0\n"}
    code, row, _ = play(cli, new, files={"modify": ["app/calc.py"], "create": ["tests/test_more.py"]})
    assert (code, row["state"]) == (0, "integrated")
