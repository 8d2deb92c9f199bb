"""What a plan's source says is done: held against git alike by `check`, `convert` and the choice of what is meant."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from chargehand.plans.native import parse_plan
from tests.e2e.cliworld import CliWorld
from tests.repos import Repo

FIXTURES = Path(__file__).parents[1] / "fixtures"
LOGIN = "specs/auth/login"


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    shutil.copytree(FIXTURES / "sendit", repo.path, dirs_exist_ok=True)
    return CliWorld(repo, tmp_path / "cli")


def test_convert_leaves_out_what_git_has_and_nothing_else(cli: CliWorld) -> None:
    """I6: a row whose commit is nowhere is no work; the file that is written has its task, and stderr says why."""
    checked = cli.call("check", "--json").document
    done = cli.call("convert", "--to", "native", "--json")
    written = parse_plan(done.document["text"], "plan.yaml").plan
    assert written is not None
    assert len(written.tasks) == checked["counts"]["open"] == 8
    assert written.tasks[0].id == "task-1"
    assert re.search(r"no single commit has that hash:\s+it is done again", done.stderr)
