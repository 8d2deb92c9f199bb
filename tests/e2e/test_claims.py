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


ROWS = """\
# Progress: Reports

**Current step**: execute

## Tasks

| # | Task | Status | Commit |
|---|---|---|---|
| 1 | Sum | done | {one} |
| 2 | Print | done | {one} |
| 3 | Mail | done | {two} |
"""


def test_a_feature_that_names_a_commit_that_is_not_there_is_not_passed_over(cli: CliWorld) -> None:
    """I6: all its rows say done; where git has not one of the commits, it is meant beside the other one."""
    cli.repo.git("add", "-A")
    cli.repo.git("commit", "-q", "-m", "all")
    head = cli.repo.git("rev-parse", "HEAD")
    progress = cli.repo.path / "specs/reports/PROGRESS.md"
    login = cli.repo.path / LOGIN / "PROGRESS.md"
    login.unlink()
    progress.write_text(ROWS.format(one=head, two=head))
    assert cli.call("check", "--json").document["plan"] == "auth-login"
    progress.write_text(ROWS.format(one=head, two="1234567"))
    done = cli.call("check", "--json").document
    assert (done["plan"], [each["code"] for each in done["warnings"] if "commit" in each["code"]]) == (
        "reports",
        ["commit_not_there"],
    ), "it is under way, the other is not"
    assert done["counts"]["done"] == 2
    progress.write_text(ROWS.format(one=head, two=head) + "\n- Not accepted yet: tasks 2, 3; branch chargehand/r-1\n")
    assert cli.call("check", "--json").document["plan"] == "auth-login", "the base has it all the same"
