"""What a seal says of tests is read from the objects of both trees, whatever an agent made of its checkout (I6, I8)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.gitworld import Agent, World
from tests.repos import Repo

TEST = "def test_a():\n    assert f() == 1\n"
SKIPPED = "import pytest\n\n\n@pytest.mark.skip\n" + TEST


class Place:
    """A workspace with a test in it."""

    def __init__(self, world: World) -> None:
        world.repo.write("tests/test_a.py", TEST)
        world.repo.write("pyproject.toml", "[tool.coverage.report]\nfail_under = 90\n")
        world.repo.commit("a test")
        self.world = world
        self.workspace = world.acquire()
        self.agent = Agent(self.workspace, dict(world.repo.environ))

    def found(self) -> list[str]:
        return [str(change) for change in self.world.seal(self.workspace).test_changes]


@pytest.fixture
def place(world: World) -> Place:
    return Place(world)


BENT = ["tests/test_a.py modified", "tests/test_a.py:4 skipped test_a: skip"]


def test_nothing_changed(place: Place):
    place.agent.write("README.md", "changed\n")
    place.agent.write("tests/test_b.py", SKIPPED)
    assert place.found() == []


@pytest.mark.parametrize("how", ["file", "staged", "committed", "committed, then hidden"])
def test_however_it_was_left(place: Place, how: str):
    place.agent.write("tests/test_a.py", SKIPPED)
    if how == "staged":
        place.agent.git("add", "-A")
    if how.startswith("committed"):
        place.agent.commit()
    if how.endswith("hidden"):
        place.agent.git("update-index", "--skip-worktree", "tests/test_a.py")
        place.agent.write(".git/info/attributes", "*.py -diff binary\n")
    assert place.found() == BENT


def test_filters_and_attributes_of_an_agent_hide_nothing(place: Place):
    """I8: what an agent configures for its own git is not asked."""
    place.agent.git("config", "filter.hide.clean", "cat /dev/null")
    place.agent.write(".git/info/attributes", "tests/*.py filter=hide binary\n")
    place.agent.write("tests/test_a.py", SKIPPED)
    assert place.found() == BENT


def test_a_link_in_the_place_of_a_test_is_a_test_that_is_gone(place: Place):
    (place.agent.path / "tests/test_a.py").unlink()
    (place.agent.path / "tests/test_a.py").symlink_to("/dev/null")
    assert place.found() == ["tests/test_a.py deleted test_a is gone", "tests/test_a.py modified the file is gone"]


def test_a_mode_is_no_change_of_a_test(place: Place):
    (place.agent.path / "tests/test_a.py").chmod(0o755)
    assert place.found() == []


def test_a_test_that_is_too_large_to_be_read_or_no_text_is_told(place: Place):
    said = "tests/test_a.py weakened it can no longer be read: larger than 512 KiB, or no text"
    place.agent.write("tests/test_a.py", TEST + "# x\n" * 200_000)
    assert place.found() == ["tests/test_a.py modified", said]
    place.agent.write("tests/test_a.py", b"\0" + TEST.encode())
    assert place.found() == ["tests/test_a.py modified", said]


def test_much_that_is_new_hides_nothing(place: Place):
    for number in range(20):
        place.agent.write(f"tests/test_0{number}.py", f"X = {number}\n" + "# x\n" * 125_000)
    place.agent.write("tests/test_a.py", SKIPPED)
    assert place.found() == BENT


def test_what_there_was_no_room_to_compare_counts_as_weakened(world: World):
    for number in range(20):
        world.repo.write(f"tests/test_0{number}.py", f"def test_{number}():\n    assert f() == {number}\n")
    place = Place(world)
    for number in range(20):
        place.agent.write(f"tests/test_0{number}.py", f"X = {number}\n" + "# x\n" * 125_000)
    place.agent.write("tests/test_a.py", SKIPPED)
    found = place.found()
    assert found[-2:] == BENT
    assert [line for line in found if "too much of tests changed at once" in line]
    assert len([line for line in found if "weakened" in line or "deleted" in line]) == 20


def test_configuration_and_code_that_tests_import(place: Place):
    place.agent.write("pyproject.toml", "[tool.coverage.report]\nfail_under = 10\n")
    place.agent.write("app/__init__.py", "import os\n\nos._exit(0)\n")
    assert place.found() == [
        "app/__init__.py:3 exits os._exit(0) as soon as it is imported",
        "pyproject.toml:2 loosened tool.coverage.report.fail_under: is 10, 90 before",
    ]


def test_what_a_run_is_judged_by(world: World):
    """I6: an agent that writes another command into the settings of the project is told, with the line."""
    world.repo.write("chargehand.toml", '[commands]\ntest = ["pytest"]\n')
    place = Place(world)
    place.agent.write("chargehand.toml", '[commands]\ntest = ["true"]\nbuild = ["make"]\n')
    place.agent.write(".kilocode/fitter.toml", '[[gates]]\nid = "a"\ninvocation = ":"\n')
    assert place.found() == [
        ".kilocode/fitter.toml:3 loosened gates[a].invocation: does nothing: :",
        "chargehand.toml:2 loosened commands.test: does nothing: true",
    ]


def test_names_that_are_no_utf8_do_no_harm(place: Place):
    (place.agent.path / "tests/test_a.py").rename(place.agent.path / os.fsdecode(b"tests/test_\xff.py"))
    assert place.found() == []


def test_a_submodule_has_tests_too(world: World, tmp_path: Path):
    library = Repo(path=tmp_path / "library", environ=world.repo.environ).init()
    library.write("tests/test_a.py", TEST)
    library.commit("library")
    allowed = ("-c", "protocol.file.allow=always")
    world.repo.git(*allowed, "submodule", "add", "-q", str(library.path), "lib")
    world.repo.commit("with a submodule")
    place = Place(world)
    place.agent.write("lib/tests/test_a.py", SKIPPED)
    place.agent.write("lib/a.py", "x = f()  # noqa\n")
    sealed = world.seal(place.workspace)
    assert [str(each) for each in sealed.test_changes] == [line.replace("tests/", "lib/tests/", 1) for line in BENT]
    assert [str(each) for each in sealed.silenced] == ["lib/a.py:1 comment # noqa"]


# -- silenced checks ------------------------------------------------------------------------------


def silenced(place: Place) -> list[str]:
    return [str(each) for each in place.world.seal(place.workspace).silenced]


@pytest.mark.parametrize("how", ["file", "committed, then hidden"])
def test_a_silenced_check_is_found_however_it_was_left(place: Place, how: str):
    """I8: from the objects of both trees, whatever the agent's git says of them."""
    place.agent.write("src/a.py", "x = f()  # type: ignore\n")
    place.agent.write("ruff.toml", '[lint]\nignore = ["E501"]\n')
    place.agent.write("notes.md", "Use `# type: ignore`.\n")
    if how != "file":
        place.agent.commit()
        place.agent.write(".git/info/attributes", "*.py -diff binary\n")
    assert silenced(place) == ["ruff.toml:2 setting lint.ignore: E501 added", "src/a.py:1 comment # type: ignore"]


def test_scripts_notebooks_and_decorators_are_looked_at(place: Place):
    place.agent.write("bin/run", "#!/usr/bin/env python3\nx = f()  # type: ignore\n")
    place.agent.write("LICENSE", "# type: ignore\n")
    place.agent.write("a.ipynb", '{"cells": [{"cell_type": "code",\n "source": "x = f()  # no\\u0071a"}]}')
    place.agent.write("src/a.py", "@no_type_check\ndef f(x):\n    return x.y\n")
    assert silenced(place) == [
        "a.ipynb comment # noqa",
        "bin/run:2 comment # type: ignore",
        "src/a.py:1 comment @no_type_check",
    ]


def test_a_comment_that_moves_to_another_file_is_not_new(world: World):
    world.repo.write("old.py", "x = f()  # noqa: E1\n")
    world.repo.write("same.py", "y = f()  # noqa: E1\n")
    world.repo.commit("code")
    place = Place(world)
    place.agent.git("rm", "-q", "old.py")
    place.agent.write("new.py", "if True:\n    x = f()  # noqa: E1\n")
    place.agent.write("same.py", "def g():\n    y = f()  # noqa: E1\n")
    assert silenced(place) == []


def test_what_there_was_no_room_for_is_told(place: Place):
    for number in range(18):
        place.agent.write(f"src/m{number:02}.py", f"# {'x' * 480_000}\ny = {number}  # noqa\n")
    found = silenced(place)
    assert "src/m00.py:2 comment # noqa" in found
    assert any(each.endswith("what it silences was not looked at: too much changed at once") for each in found)
