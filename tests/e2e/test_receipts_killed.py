"""SIGKILL between landing and note, and while notes are written: who comes next writes each of them once (SPEC 8)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, read_until, task
from tests.repos import Repo

NOTES = "refs/notes/chargehand"

# A process that writes receipts and kills itself where it would point the ref at the new notes, or right after.
_WRITER = """\
import asyncio, os, pathlib, signal, sys
from chargehand.adapters.git import Repository
from chargehand.wiring import open_workshop
from chargehand.wiring.receipts import write_receipts
when, run = sys.argv[1:]
plain = Repository.set_ref
async def set_ref(self, name, *words, **options):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    done = await plain(self, name, *words, **options)
    os.kill(os.getpid(), signal.SIGKILL)
Repository.set_ref = set_ref
async def main():
    shop = await open_workshop(repo=pathlib.Path.cwd(), state_dir=None, sets=[], flags={}, env=dict(os.environ))
    await write_receipts(shop, run)
asyncio.run(main())
"""


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


def notes(cli: CliWorld) -> list[str]:
    """(kind, task) of every line of every note, as text."""
    if not cli.repo.git("for-each-ref", NOTES):
        return []
    commits = [line.split(" ")[1] for line in cli.repo.git("notes", "--ref=chargehand", "list").splitlines()]
    lines = [line for c in commits for line in cli.repo.git("notes", "--ref=chargehand", "show", c).splitlines()]
    return sorted(f"{body['kind']} {body.get('task', {}).get('id', '')}".strip() for body in map(json.loads, lines))


def holds(cli: CliWorld, *words: str) -> bool:
    done = cli.call("receipt", "verify", "--json", *words)
    assert done.code == (0 if done.document["holds"] else 1), done.stderr
    return bool(done.document["holds"])


def test_killed_between_landing_and_note(cli: CliWorld) -> None:
    """I4: what landed before the kill is noted once, with what lands after it."""
    cli.script({"b": [{"stay": True}]})
    plan = cli.plan([task("a"), task("b", depends_on=["a"])], features={"code_review": False})
    with cli.started_run(plan, "--run-id", "r", "--unattended") as process:
        read_until(process, "integrated")
        cli.wait_until_written()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert cli.repo.git("log", "--format=%s", "main..chargehand/r").splitlines()
    assert notes(cli) == []
    cli.script({})
    assert cli.call("resume", "r").code == 0
    assert notes(cli) == ["run", "task a", "task b"]
    assert cli.repo.git("rev-list", "--count", NOTES) == "1"
    assert holds(cli)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_notes_are_written(cli: CliWorld, when: str) -> None:
    """Nothing is half there: the ref stands where it stood, or at all the notes; what the dead one left is swept."""
    assert cli.run(cli.plan([task("a")], features={"code_review": False}), "--run-id", "r").code == 0
    cli.repo.git("update-ref", "-d", NOTES)
    (cli.repo.path / ".git/chargehand/runs/r/receipts/run.json").unlink()
    killed = subprocess.run(
        [sys.executable, "-c", _WRITER, when, "r"],
        cwd=cli.repo.path,
        env=cli.environ,
        timeout=60,
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert notes(cli) == ([] if when == "before" else ["run", "task a"])
    cli.repo.git("gc", "-q", "--prune=now")
    assert holds(cli, "--no-run")
    assert notes(cli) == ["run", "task a"]
    assert cli.repo.git("rev-list", "--count", NOTES) == "1"
    assert cli.call("clean").code == 0
    cli.repo.git("gc", "-q", "--prune=now")
    assert cli.repo.git("fsck", "--strict", "--no-dangling") == ""
    left = [path.name for path in (cli.repo.path / ".git").rglob("*") if path.suffix in {".lock", ".keep"}]
    assert left == []
