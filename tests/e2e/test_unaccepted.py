"""A finished run that nobody accepted: whoever starts its plan again is told what is done twice, and how to keep it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, task
from tests.e2e.screens import screen
from tests.repos import Repo


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


def flat(text: str) -> str:
    return " ".join(re.sub("\x1b\\[[0-9;]*m", "", text).split())


AGAIN = "will be done again: run todo-1 has finished, and nobody accepted it"


def test_what_was_done_and_not_accepted_is_said_to_be_done_again(cli: CliWorld) -> None:
    """Before the yes, and at the head of a run that was named; once accepted, or merged by hand, nothing is said."""
    plan = cli.plan([task("a"), task("b")], path=cli.repo.path / "plan.json")
    assert AGAIN not in cli.run(plan).stderr
    words = ["run", "--agent-command", cli.agent, "--sandbox", "none"]
    with screen(cli, *words) as shown:
        shown.wait_for("[y/N]: ")
        shown.press("n\n")
        assert shown.end() == 1
    told = flat(shown.text.partition("[y/N]: ")[0])
    assert f"2 tasks {AGAIN} (a, b on chargehand/todo-1)" in told
    assert "`chargehand accept todo-1`" in told
    again = flat(cli.run(plan, "--only", "a").stderr)
    assert AGAIN in again
    assert cli.call("accept", "todo-2", "--yes").code == 0
    assert "will be done again" not in flat(cli.run(plan).stderr)


def test_what_somebody_merged_is_not_done_twice(cli: CliWorld) -> None:
    plan = cli.plan([task("a")], path=cli.folder / "plan.json")
    cli.run(plan)
    cli.repo.git("merge", "-q", "--ff-only", "chargehand/todo-1")
    assert "will be done again" not in flat(cli.run(plan).stderr)
