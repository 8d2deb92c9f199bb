"""Held tool calls at the command line: who answers, who hears it, what is left of a dead process (SPEC 7.2)."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, Done, task
from tests.e2e.test_guarded import PROGRAM
from tests.repos import Repo

TASK = task("a", files={"create": ["found.json"]}, verify=[["test", "-s", "found.json"]])
COMMAND = "git push --dry-run origin main; rm -rf /srv/data"


class Guarded:
    """A repository with an agent whose program asks before its one dangerous call."""

    def __init__(self, cli: CliWorld) -> None:
        self.cli = cli
        program = cli.folder / "program.py"
        program.write_text(f"COMMANDS = {(COMMAND,)!r}\nTOLD = {(COMMAND,)!r}\nREFUSED = ()\n{PROGRAM}")
        command = shlex.join([sys.executable, "-I", "-S", str(program)])
        self.flags: tuple[str, ...] = ("--agent", "fake", "--sandbox", "none")
        for name, value in {"kind": "claude", "command": command, "meter": "false"}.items():
            self.flags += ("--set", f"agents.fake.{name}={value}")

    def run(self, *words: str) -> Done:
        return self.cli.call("run", self.cli.plan([TASK]), *self.flags, *words)

    def landed(self) -> str:
        return self.cli.repo.git("show", "chargehand/todo-1:found.json")


@pytest.fixture
def guarded(repo: Repo, tmp_path: Path) -> Guarded:
    return Guarded(CliWorld(repo, tmp_path / "world"))


def test_without_anybody_to_wait_for_the_question_is_all_that_is_left(guarded: Guarded):
    """SPEC 10.1: exit 4, nothing hangs; the yes that comes later counts once, without another question [I9]."""
    done = guarded.run("--json")
    (asked,) = done.document["decisions"]
    assert (done.code, done.document["state"], asked["kind"], asked["command"]) == (4, "waiting", "command", COMMAND)
    assert asked["choices"] == ["approve", "deny", "reject"]
    assert done.document["tasks"][0]["state"] == "awaiting_decision"
    assert "waits for your answer to d1" in guarded.cli.call("show", "a").stdout
    assert guarded.cli.call("approve", "d1").code == 0
    resumed = guarded.cli.call("resume", "--json")
    assert (resumed.code, resumed.document["tasks"][0]["attempts"]) == (0, 1)
    assert '"allow"' in guarded.landed()
    shown = " ".join(guarded.cli.call("show", "a").stdout.split())
    assert f"asked: approved by uma before it began: {COMMAND}" in shown


def test_a_no_that_comes_later_is_heard_by_the_next_attempt(guarded: Guarded):
    assert guarded.run("--no-wait").code == 4
    assert guarded.cli.call("deny", "d1").code == 0
    assert guarded.cli.call("resume", "--json").code == 0
    assert '"deny"' in guarded.landed()
    shown = " ".join(guarded.cli.call("show", "a").stdout.split())
    assert f"asked: denied by uma before it began: {COMMAND}" in shown
    (row,) = guarded.cli.call("show", "a", "--json").document["attempts"]
    assert [(call["command"], call["by"]) for call in row["calls"]] == [(COMMAND, "uma")]


def test_unattended_the_answer_is_no_and_stands_in_show(guarded: Guarded):
    """I9: silence never approves."""
    assert guarded.run("--unattended", "--json").code == 0
    assert '"deny"' in guarded.landed()
    assert "asked: denied, because nobody is asked: " in " ".join(guarded.cli.call("show", "a").stdout.split())


def test_an_answer_to_a_process_that_was_killed_is_refused(guarded: Guarded):
    """I9: nobody hears it, so it does not seem to count; the attempt is made again, and asks again."""
    cli = guarded.cli
    with cli.start("run", cli.plan([TASK]), *guarded.flags, "--detach") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    pid = _held(cli)
    os.kill(pid, signal.SIGKILL)
    _gone(cli)
    refused = cli.call("approve", "d1")
    assert refused.code == 2
    assert "d1 has lapsed" in " ".join(refused.stderr.split())
    assert cli.call("answer", "d1", "deny", "--json").document["error"]["code"] == "call_gone"
    assert cli.call("decisions", "--json").document["decisions"] == []
    assert "d1 has lapsed" in " ".join(cli.call("decisions").stdout.split())
    assert cli.call("status", "--json").document["decisions"] == []
    resumed = cli.call("resume", "--json")
    assert (resumed.code, [row["id"] for row in resumed.document["decisions"]]) == (4, ["d2"])
    dropped = [row for row in cli.call("log", "--json").lines if row["type"] == "command_dropped"]
    assert "d1 has lapsed" in dropped[0]["detail"]


def _held(cli: CliWorld) -> int:
    """The process of the run, once its agent is held at a call."""
    with cli.start("log", "--follow") as following:
        assert following.stdout is not None
        for line in following.stdout:
            if "d1" in line:
                break
    return int(next(row["pid"] for row in cli.call("log", "--json").lines if row["type"] == "run_resumed"))


def _gone(cli: CliWorld) -> None:
    """Return when nobody drives the run any more: a killed process takes a moment to let go."""
    for _ in range(200):
        if cli.call("status", "--json").document["state"] == "interrupted":
            return
    raise AssertionError("The process does not go.")
