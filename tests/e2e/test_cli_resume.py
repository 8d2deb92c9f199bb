"""What `resume` finds of the attempts that were under way (SPEC 8)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.e2e.cliworld import CliWorld, task
from tests.repos import Repo


def test_work_that_another_run_rescued_is_named(repo: Repo, tmp_path: Path):
    """I2: the workspace was used again; what was in it is kept, and who takes the run up hears where."""
    cli = CliWorld(repo, tmp_path / "world")
    cli.script({"a": [{"stay": True}]})
    with cli.started_run(cli.plan([task("a")])) as process:
        cli.wait_until_written()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    other = cli.plan([task("b")], path=cli.folder / "other.json", plan="other")
    assert cli.run(other).code == 0
    (kept,) = cli.call("rescue", "list", "todo-1", "--json").document["rescues"]
    cli.script({})
    resumed = cli.call("resume", "todo-1")
    assert resumed.code == 0
    said = " ".join(resumed.stderr.split())
    assert f"found: Task a, attempt 1: what it had done is kept in {kept['ref']} already" in said
    again = cli.call("resume", "todo-1")
    assert "is kept in" not in again.stderr
