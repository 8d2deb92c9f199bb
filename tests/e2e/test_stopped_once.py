"""A run that ends at its canary tells why once: none of its tasks has anything to say of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, task
from tests.repos import Repo


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


def test_why_nothing_began_is_told_once(cli: CliWorld) -> None:
    plan = cli.plan([task(name) for name in "abcdef"], setup={"run": "echo no network here; exit 7"})
    done = cli.run(plan)
    assert done.code == 1, done.stderr
    told, log = " ".join(done.stdout.split()), " ".join(done.stderr.split())
    assert "6 tasks never began, for the run stopped: a, b, c, d, e, f" in told
    why = "cannot run on the untouched base: It ended with exit code 7."
    assert (told.count(why), log.count(why)) == (1, 2), "in the log where it stopped, and as the verdict"
