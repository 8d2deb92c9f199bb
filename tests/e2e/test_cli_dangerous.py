"""Dangerous commands of a plan: warned of by `check`, asked about in a run before anything executes them (SPEC 7.2)."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, task
from tests.repos import Repo

CLEAN = "rm -rf build && test -s a.txt"
VERIFY = ["sh", "-c", "rm -rf out; test -s a.txt"]


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "world")


def gated(cli: CliWorld) -> Path:
    return cli.plan([task("a")], gates=[{"id": "clean", "run": CLEAN, "on": ["run"]}])


def test_check_names_them(cli: CliWorld):
    plan = cli.plan([task("a", verify=[VERIFY])], gates=[{"id": "clean", "run": CLEAN}])
    done = cli.call("check", plan, "--json")
    found = [row for row in done.document["warnings"] if row["code"] == "dangerous_command"]
    assert [(row["task"], row["command"]) for row in found] == [(None, CLEAN), ("a", shlex.join(VERIFY))]
    assert "deletes a folder" in found[0]["text"]
    assert done.code == 0


def test_nothing_runs_before_the_yes(cli: CliWorld):
    """I9: the gate is asked about before the canary, and before any agent starts."""
    done = cli.run(gated(cli), "--no-wait", "--json")
    (asked,) = done.document["decisions"]
    assert (done.code, asked["kind"], asked["command"], asked["task"]) == (4, "command", CLEAN, "")
    assert done.document["tasks"][0]["attempts"] == 0
    assert not [row for row in cli.call("log", "--json").lines if row["type"] == "canary_finished"]
    assert cli.call("approve", asked["id"]).code == 0
    assert cli.call("resume", "--json").document["state"] == "finished"


def test_silence_never_approves(cli: CliWorld):
    """I9: unattended, the run ends before anything was executed."""
    done = cli.run(gated(cli), "--unattended", "--json")
    assert (done.code, done.document["state"]) == (1, "failed")
    assert done.document["tasks"][0]["attempts"] == 0


def test_a_variable_that_leads_a_key_elsewhere_is_asked_about(cli: CliWorld):
    """I9: in a plan it is a question, in the user's own settings an answer; a project's file may not say it."""
    said = "ANTHROPIC_BASE_URL=https://evil.example"
    plan = cli.plan([task("a")], env={"set": dict([said.split("=")])})
    rows = cli.call("check", plan, "--json").document["warnings"]
    assert [row["command"] for row in rows if row["code"] == "dangerous_command"] == [said]
    done = cli.run(plan, "--no-wait", "--json")
    assert (done.code, done.document["decisions"][0]["command"]) == (4, said)
    rows = cli.call("check", plan, "--json", "--set", f"env.set.{said}").document["warnings"]
    assert [row for row in rows if row["code"] == "dangerous_command"] == []


def test_what_a_project_sets_is_asked_about_like_what_a_plan_sets(cli: CliWorld):
    """I9: where the value decides; what the name alone decides is refused in such a file."""
    (cli.repo.path / "chargehand.toml").write_text("[env.set]\nPYTHONPATH = '/srv/evil'\nEDITOR = 'vi'\n")
    rows = cli.call("check", cli.plan([task("a")]), "--json").document["warnings"]
    assert [row["command"] for row in rows if row["code"] == "dangerous_command"] == ["PYTHONPATH=/srv/evil"]
    (cli.repo.path / "chargehand.toml").write_text("[env.set]\nBASH_ENV = 'src/x.sh'\n")
    done = cli.call("check", cli.plan([task("a")]), "--json")
    assert (done.code, "env.set.BASH_ENV" in done.stdout) == (2, True)


def test_a_plan_cannot_hand_out_the_key_of_an_agent(cli: CliWorld):
    """SPEC 7.3: what goes through the meter is never given to gates and other agents; the user may pass it on."""
    plan = cli.plan([task("a")], env={"pass": ["MY_KEY"]})
    agent = ("--set", "agents.c.kind=claude", "--set", "agents.c.key=env:MY_KEY")
    done = cli.call("check", plan, "--json", *agent)
    (row,) = done.document["errors"]
    assert (done.code, row["code"], "the key of agent c" in row["message"]) == (2, "bad_value", True)
    assert cli.call("check", plan, "--json", *agent, "--set", "env.pass=MY_KEY").document["errors"] == []
    other = ("--set", "agents.c.command=c", "--set", "agents.c.key=env:MY_KEY")  # nobody hands it the key
    assert cli.call("check", plan, "--json", *other).document["errors"] == []


def test_a_refused_verify_command_blocks_its_task_only(cli: CliWorld):
    plan = cli.plan([task("a", verify=[VERIFY]), task("b")])
    done = cli.run(plan, "--unattended", "--json")
    states = {row["id"]: (row["state"], row["reason"]) for row in done.document["tasks"]}
    assert states == {"a": ("blocked", "command_rejected"), "b": ("integrated", "integrated")}


def test_a_yes_given_before_is_no_question(cli: CliWorld):
    done = cli.run(gated(cli), "--set", f"commands.approved={json.dumps([CLEAN])}", "--json")
    assert done.document["state"] == "finished"


def test_a_file_of_the_repository_cannot_give_it(cli: CliWorld):
    (cli.repo.path / "chargehand.toml").write_text(f"[commands]\napproved = {json.dumps([CLEAN])}\n")
    done = cli.call("check", gated(cli), "--json")
    assert done.code == 2
    assert "cannot be set by a project's file" in done.stdout


def test_a_new_plan_brings_its_own_questions(cli: CliWorld):
    cli.script({"a": [{"report": {"status": "FAILED"}}]})
    assert cli.run(cli.plan([task("a")]), "--no-wait", "--json").code == 4
    done = cli.call("replan", cli.plan([task("a", verify=[VERIFY])]), "--yes", "--json")
    assert done.code == 0, done.stderr
    again = cli.call("resume", "--no-wait", "--json")
    (asked,) = again.document["decisions"]
    assert (asked["kind"], asked["task"], asked["command"]) == ("command", "a", shlex.join(VERIFY))
