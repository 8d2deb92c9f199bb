"""Runs whose journal cannot be read, seen from the commands that begin or look at others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, task
from tests.repos import Repo


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "world")


@pytest.mark.parametrize("how", ["zeroed", "deleted"])
def test_a_run_beside_one_that_cannot_be_read_says_so(cli: CliWorld, how: str):
    """What was begun may be begun twice: nobody can tell, so it is said; who asks for a new run knows."""
    plan = cli.plan([task("a")])
    assert "could not be read" not in cli.run(plan).stderr
    folder = cli.repo.path / ".git" / "chargehand" / "runs" / "todo-1"
    (folder / "snapshot.json").unlink(missing_ok=True)
    journal = folder / "journal.db"
    size = journal.stat().st_size
    for file in folder.glob("journal.db*"):
        file.unlink()
    if how == "zeroed":
        journal.write_bytes(b"\0" * size)
    started = cli.run(plan)
    assert started.code == 0, started.stderr
    assert "warning: run todo-1 could not be read, and may be an unfinished run of this plan" in started.stderr
    assert "`chargehand doctor`" in started.stderr
    assert "could not be read" not in cli.run(plan, "--new").stderr
