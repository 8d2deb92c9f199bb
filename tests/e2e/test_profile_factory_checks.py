"""What silences a check on a line of Station Kit fails, but for exceptions in the subtasks that make gates green."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.test_profile_factory_line import DONE, carry_out, put, world
from tests.e2e.world import World

__all__ = ["world"]


@pytest.mark.parametrize(
    ("task", "path", "text", "place"),
    [
        ("subtask-3", "src/export.py", "x = f()  # type: ignore\n", "src/export.py:1 comment # type: ignore"),
        ("gates", "src/export.py", "x = 1  # noqa: E501\n", "src/export.py:1 comment # noqa: E501"),
        ("gates", "ruff.toml", '[lint]\nignore = ["E501"]\n', "ruff.toml:2 setting lint.ignore: E501 added"),
        (
            "subtask-3",
            "ruff.toml",
            '[lint.per-file-ignores]\n"src/export.py" = ["TC003"]\n',
            "ruff.toml:2 exception lint.per-file-ignores.src/export.py: TC003 added",
        ),
    ],
)
def test_no_gate_is_made_green_by_looking_away(world: World, task: str, path: str, text: str, place: str):
    """What silences a check fails by its difference, whatever the report says [I6], with file and line."""
    steps: dict[str, Any] = {task.replace("-", "_"): [put(path, text), DONE]}
    document = carry_out(world, **steps)
    row = next(each for each in document["tasks"] if each["id"] == task)
    assert (row["state"], row["reason"]) == ("failed", "check_silenced"), row
    assert place in row["detail"]


def test_a_global_ignore_more_fails(world: World):
    """Where a tool has settings already, demanding less of it bends the gates, here as everywhere."""
    config = world.repo.path / "ruff.toml"
    config.write_text('[lint]\nselect = ["E"]\n')
    world.repo.git("add", "-A")
    world.repo.git("commit", "-q", "-m", "rules")
    document = carry_out(world, gates=[put("ruff.toml", '[lint]\nselect = ["E"]\nignore = ["E501"]\n'), DONE])
    task = next(each for each in document["tasks"] if each["id"] == "gates")
    assert (task["state"], task["reason"]) == ("failed", "tests_bent")


def test_the_gate_subtask_may_make_exceptions(world: World):
    """A per-file ignore and an override for a library without types, also where the tools have settings already."""
    old = '[tool.ruff.lint]\nselect = ["E"]\n[tool.mypy]\nstrict = true\n'
    (world.repo.path / "pyproject.toml").write_text(old)
    world.repo.git("add", "-A")
    world.repo.git("commit", "-q", "-m", "rules")
    new = old + '[tool.ruff.lint.per-file-ignores]\n"src/export.py" = ["TC003"]\n'
    new += '[[tool.mypy.overrides]]\nmodule = "orders.*"\nignore_missing_imports = true\n'
    assert carry_out(world, gates=[put("pyproject.toml", new), DONE])["state"] == "finished"


def test_a_fix_of_the_last_gates_may_make_exceptions(world: World):
    """The tasks that mend the gates at the end are gate subtasks as well."""
    (world.repo.path / "src" / "old.py").write_text("wrong_type = 1\n")
    world.repo.git("add", "-A")
    world.repo.git("commit", "-q", "-m", "old")
    mend, excuse = put("src/old.py", "right = 1\n"), '[lint.per-file-ignores]\n"src/old.py" = ["E1"]\n'
    document = carry_out(world, fix_1=[mend, put("ruff.toml", excuse), DONE])
    assert document["state"] == "finished", document["tasks"][-1]
