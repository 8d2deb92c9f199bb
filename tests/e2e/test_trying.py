"""`doctor --agent` and `agents`: a small program that speaks as Claude Code does, at a scripted model, in a sandbox."""

from __future__ import annotations

import json
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chargehand.testing.model import ModelServer, Scenario, serving
from tests.e2e.cliworld import CliWorld, Done
from tests.e2e.test_metering import _PROGRAM, KEY, MODEL
from tests.repos import Repo

VERSION = """\
#!{python} -IS
import sys
if "--version" in sys.argv:
    print("fake 3.2.1 (a program of tests)")
    sys.exit(0)
"""


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    made = CliWorld(repo, tmp_path / "world")
    made.environ["REAL_KEY"] = KEY
    return made


@contextmanager
def provider(*steps: Mapping[str, Any]) -> Iterator[ModelServer]:
    given = {"plays": [{"steps": list(steps)}], "usage": {"input": 1000, "output": 50}}
    with serving(Scenario.of(given), key=KEY) as server:
        yield server


def define(cli: CliWorld, url: str, **changes: Any) -> None:
    """The agent of the user's settings, named `fake`."""
    program = cli.folder / "fake-agent"
    program.write_text(VERSION.replace("{python}", sys.executable) + _PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    values: dict[str, Any] = {
        "kind": "claude",
        "command": str(program),
        "key": "env:REAL_KEY",
        "base_url": url,
        "model": MODEL,
    }
    values |= changes
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if value is not None]
    settings = cli.folder / "config" / "chargehand" / "config.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("\n".join(["[agents.fake]", *lines, ""]))
    cli.environ["XDG_CONFIG_HOME"] = str(settings.parent.parent)


def trial(cli: CliWorld, *words: str) -> Done:
    return cli.call("doctor", "--agent", "fake", *words)


ANSWER = {"report": {"status": "DONE", "summary": "It answers."}}


def test_an_agent_that_answers(cli: CliWorld) -> None:
    """I1: in a repository of its own, of which nothing is left; nothing is written in the user's."""
    before = cli.repo.files("HEAD")
    with provider(ANSWER) as server:
        define(cli, server.url)
        told = trial(cli, "--json")
    assert told.code == 0, told
    document = told.document
    took = document.pop("wall_s")
    assert 0 < took < 60
    assert document == {
        "agent": "fake",
        "kind": "claude",
        "ok": True,
        "version": "3.2.1",
        "model": MODEL,
        "tokens": 1050,
        "usd": pytest.approx((1000 * 3 + 50 * 15) / 1e6),
        "metered": True,
        "warnings": [],
        "problem": None,
        "hint": None,
    }
    assert len(server.seen) == 1
    assert cli.repo.files("HEAD") == before
    assert cli.repo.git("for-each-ref", "--format=%(refname)").splitlines() == ["refs/heads/main"]
    assert not (cli.repo.path / ".git" / "chargehand").exists()


def test_it_is_said_in_words(cli: CliWorld) -> None:
    with provider(ANSWER) as server:
        define(cli, server.url)
        told = trial(cli)
    assert told.code == 0
    assert told.stdout.startswith("ok fake (claude 3.2.1): it answers.\n")
    assert "used: 1,050 tokens, less than $0.01, counted by the meter" in told.stdout


@pytest.mark.parametrize(
    ("error", "problem", "hint"),
    [
        ({"status": 401}, "refused the login", None),
        ({"status": 429, "retry_after_s": 7200}, r"asks to wait until \d{4}-\d\d-\d\d \d\d:\d\d", "try again then"),
        ({"status": 404, "message": "model: nope"}, f"does not know the model {MODEL}", "Correct `model`"),
        ({"status": 500}, "does not answer as it should", "Look at the network"),
    ],
)
def test_what_a_provider_refuses_is_said(
    cli: CliWorld, error: Mapping[str, Any], problem: str, hint: str | None
) -> None:
    with provider({"error": error, "times": "forever"}) as server:
        define(cli, server.url)
        told = trial(cli, "--json")
    assert told.code == 1
    assert re.search(problem, told.document["problem"]), told.document
    assert (hint or "") in (told.document["hint"] or "")
    assert told.document["ok"] is False


def test_a_provider_that_is_not_there(cli: CliWorld) -> None:
    define(cli, "http://127.0.0.1:1")
    told = trial(cli, "--json").document
    assert "does not answer as it should" in told["problem"]
    assert "base_url" in told["hint"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"command": "no-such-program-of-anybody"}, "is not on PATH"),
        ({"command": None, "kind": "goose"}, "installs it"),
        ({"key": "env:NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE, which holds the key of agent fake, is not set."),
        ({"key": None, "login": "/no/such/home"}, "There is no login of fake in /no/such/home"),
        ({"kind": "nonsense"}, "is of kind `nonsense`"),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(
    cli: CliWorld, changes: Mapping[str, Any], problem: str
) -> None:
    define(cli, "http://127.0.0.1:1", **changes)
    cli.environ["PATH"] = "/usr/bin:/bin"
    told = trial(cli, "--json")
    assert (told.code, told.document["ok"]) == (1, False)
    assert problem in told.document["problem"]


def test_a_model_that_answers_without_a_report(cli: CliWorld) -> None:
    """The provider, the key and the program are fine, and that is said: what is wrong is the answer."""
    with provider({"say": "All is \x1b[31mwell here.", "times": "forever"}) as server:
        define(cli, server.url)
        told = trial(cli, "--json")
        shown = trial(cli)
    assert (told.code, told.document["ok"], told.document["model"]) == (1, False, MODEL)
    assert told.document["problem"].startswith(f"Its model {MODEL} answers, but does not give the report")
    assert told.document["problem"].endswith("It said: All is well here."), told.document["problem"]
    assert "its login counts" in told.document["hint"]
    assert "does not give the report" in shown.stdout
    assert "\x1b" not in told.document["problem"] + shown.stdout


def test_a_program_that_says_nothing_is_no_model_that_answers(cli: CliWorld) -> None:
    settings = cli.repo.write("chargehand.toml", "[agents.fake]\ncommand = 'true'\n")
    told = trial(cli, "--json").document
    assert "without an answer that could be used" in told["problem"], settings


WORKER = """\
import os
open("a.txt", "w").write("a")
open(os.environ["CHARGEHAND_RESULT"], "w").write('{"status": "DONE"}')
"""
PLAN = {"chargehand": 1, "plan": "p", "tasks": [{"id": "a", "title": "A"}]}


def test_a_key_that_is_not_set_is_found_before_a_run(cli: CliWorld) -> None:
    """Exit 2 with the name of the variable and the next step; there is no run, no branch and no state."""
    define(cli, "http://127.0.0.1:1", key="env:NOT_SET_ANYWHERE")
    plan = cli.folder / "plan.json"
    plan.write_text(json.dumps(PLAN))
    told = cli.call("run", str(plan), "--json")
    error = told.document["error"]
    assert (told.code, error["code"]) == (2, "no_key")
    assert error["message"] == "The variable NOT_SET_ANYWHERE, which holds the key of agent fake, is not set."
    assert "Export it" in error["hint"]
    assert "[agents.fake]" in error["hint"]
    assert cli.repo.git("for-each-ref", "--format=%(refname)").splitlines() == ["refs/heads/main"]
    assert cli.call("runs", "--json").document == {"runs": []}
    findings = cli.call("doctor", "--json")
    assert "NOT_SET_ANYWHERE" in findings.stdout


def test_a_key_that_is_gone_is_found_before_a_run_goes_on(cli: CliWorld) -> None:
    """The run stays as it was, and goes on once the key is there."""
    define(cli, "http://127.0.0.1:1")
    plan = cli.folder / "plan.json"
    plan.write_text(json.dumps({**PLAN, "tasks": [{"id": "a", "title": "A", "needs_human": True}]}))
    assert cli.call("run", str(plan), "--no-wait", "--no-review", "--json").code == 4
    key = cli.environ.pop("REAL_KEY")
    told = cli.call("resume", "--json")
    assert (told.code, told.document["error"]["code"]) == (2, "no_key")
    cli.environ["REAL_KEY"] = key
    assert cli.call("resume", "--no-wait", "--json").code == 4


def test_the_key_of_an_agent_that_no_task_comes_to_is_not_missed(cli: CliWorld) -> None:
    define(cli, "http://127.0.0.1:1", key="env:NOT_SET_ANYWHERE")
    plan = cli.folder / "plan.json"
    plan.write_text(json.dumps(PLAN))
    program = cli.folder / "worker.py"
    program.write_text(WORKER)
    sets = ("--set", f"agents.own.command={sys.executable} -IS {program}", "--agent", "own", "--no-review")
    other = cli.call("run", str(plan), *sets, "--json")
    assert other.code == 0, other
    over = cli.call("run", str(plan), *sets, "--set", "agents.own.fallback=fake", "--new", "--json")
    assert (over.code, over.document["error"]["code"]) == (2, "no_key")


def test_an_agent_nobody_defined(cli: CliWorld) -> None:
    define(cli, "http://127.0.0.1:1")
    told = cli.call("doctor", "--agent", "other", "--json")
    assert (told.code, told.document["error"]["code"]) == (2, "unknown_agent")


def test_any_program_can_be_tried(cli: CliWorld) -> None:
    """A `command` agent reports by its file; nobody counts what it uses."""
    program = cli.folder / "own.py"
    program.write_text("import os; open(os.environ['CHARGEHAND_RESULT'], 'w').write('{\"status\": \"DONE\"}')\n")
    cli.repo.write("chargehand.toml", f"[agents.own]\ncommand = '{sys.executable} -IS {program}'\n")
    told = cli.call("doctor", "--agent", "own", "--json")
    assert told.code == 0, told
    assert (told.document["version"], told.document["tokens"], told.document["metered"]) == (None, None, False)


def test_agents_tells_versions_and_logins(cli: CliWorld) -> None:
    """Nothing is asked of any provider; a program that does not answer is not waited for long."""
    define(cli, "http://127.0.0.1:1")
    (row,) = cli.call("agents", "--json").document["agents"]
    assert (row["version"], row["login"], row["has_login"]) == ("3.2.1", "key REAL_KEY, through the meter", True)
    assert "asks before tool calls" in row["can"]
    assert "npm install" in row["install"]
    define(cli, "http://127.0.0.1:1", key="env:NOT_SET_ANYWHERE")
    told = cli.call("agents", "--json").document
    (row,) = told["agents"]
    assert (row["has_login"], row["runnable"], row["version"]) == (False, False, "3.2.1")
    assert row["problem"].startswith("The variable NOT_SET_ANYWHERE")
    assert {row["kind"] for row in told["programs"]} == {"aider", "codex", "gemini", "goose", "opencode"}
    shown = cli.call("agents").stdout
    assert re.search(r"^ *no +\S.*NOT_SET_ANYWHERE", shown, re.MULTILINE), shown
    tape = cli.folder / "tape"
    tape.write_text("")
    (row,) = cli.call("agents", "--json", "--set", f"meter.replay={tape}").document["agents"]
    assert row["runnable"] is True, "a cassette answers, and needs no key"
    assert "kinds of programs that no agent is of:" in shown
    home = cli.folder / "home"
    (home / ".claude").mkdir(parents=True)
    (home / ".claude" / ".credentials.json").write_text("{}")
    define(cli, "http://127.0.0.1:1", key=None, login=str(home))
    (row,) = cli.call("agents", "--json").document["agents"]
    assert (row["has_login"], row["login"].startswith("login from ")) == (True, True)
    assert row["login"].endswith("without the meter")
