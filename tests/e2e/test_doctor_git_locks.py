"""Locks of git: those of a git that is at work are left alone, those of a dead one are removed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld
from tests.repos import Repo

HOLDS = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"


@pytest.fixture
def lock(repo: Repo) -> Path:
    """Made an hour ago."""
    made = repo.path / ".git" / "packed-refs.lock"
    made.touch()
    os.utime(made, (made.stat().st_mtime - 3600,) * 2)
    return made


@contextmanager
def at_work(repo: Repo, lock: Path, how: str) -> Iterator[int]:
    """A process that waits for its input to end."""
    git = ["git", "cat-file", "--batch"]
    words, cwd = {
        "has it open": ([sys.executable, "-c", HOLDS, str(lock)], Path("/")),
        "git in the tree": (git, repo.path),
        "git elsewhere": (["git", f"--git-dir={repo.path / '.git'}", *git[1:]], Path("/")),
    }[how]
    with subprocess.Popen(words, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if how != "has it open":
            process.stdin.write(b"HEAD\n")
            process.stdin.flush()
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


@pytest.mark.parametrize("how", ["has it open", "git in the tree", "git elsewhere"])
def test_a_lock_of_a_git_at_work_stays(repo: Repo, tmp_path: Path, lock: Path, how: str):
    cli = CliWorld(repo, tmp_path / "world")
    with at_work(repo, lock, how) as pid:
        done = cli.call("doctor", "--repair", "--yes", "--json")
        (row,) = [row for row in done.document["findings"] if row["name"] == "git locks"]
        assert (row["ok"], row["repair"]) == (None, None)
        assert f"{pid} (" in row["text"]
        assert lock.exists()
    assert cli.call("doctor", "--repair", "--yes", "--json").code == 0
    assert not lock.exists()
