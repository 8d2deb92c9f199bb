"""Judged work as a person sees it: `run`, `answer`, `resume`, `show`, `log`, `report`, and exit codes (SPEC 4, 10)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cliworld import CliWorld, Done
from tests.e2e.judged import BOX, DONE, PASS, fails, roles, task, write
from tests.repos import Repo

WRONG = "major a.txt:1 It says the wrong thing."
PLAN = [task(acceptance=["a.txt says two"])]


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


def start(cli: CliWorld, scenario: Mapping[str, Any], *words: str) -> Done:
    """`run` of one task with the scripted agent."""
    script = cli.folder / "scenario.json"
    script.write_text(json.dumps({"scenario": 1, "tasks": scenario}))
    plan = cli.plan(PLAN, features={"code_review": True, "holistic": False})
    sets = ("--set", "agents.script.kind=scripted", "--set", f"agents.script.command={script}")
    return cli.call("run", plan, *sets, "--agent", "script", "--sandbox", BOX, *words)


def test_a_person_lands_what_a_reviewer_would_not(cli: CliWorld):
    """I9: nothing lands before the answer; after it the ruling stands in log, report and receipt."""
    fixer = {n: [write("a.txt", f"{n}\n"), DONE] for n in (3, 5)}
    asked = start(cli, {"a": roles(spec_reviewer=[fails(WRONG)], fixer=fixer)}, "--json", "--no-wait")
    assert asked.code == 4, asked.stderr
    (decision,) = asked.document["decisions"]
    assert (decision["kind"], decision["choices"]) == ("review", ["approve", "retry", "skip", "stop"])
    assert asked.document["tasks"][0]["landed"] is None
    assert cli.call("answer", "d1", "approve").code == 0
    done = cli.call("resume", "--json")
    assert done.code == 0, done.stderr
    assert (done.document["state"], done.document["counts"]) == ("finished", {"integrated": 1})
    (passed,) = (
        line for line in cli.call("log", "--json").lines if line["type"] == "review_passed" and line["stage"] == "spec"
    )
    assert [(each["finding"]["id"], each["ruling"]) for each in passed["parked"]] == [("f1", "human")]
    shown = cli.call("show", "a").stdout
    assert shown.count("verdict: FAIL") == 3
    assert "- f1 major a.txt:1: It says the wrong thing." in shown
    report = cli.call("report", "--markdown", "--output", "-").stdout
    assert "It says the wrong thing." in report.partition("### Parked findings")[2]
    assert "**approve** by uma" in report
    assert cli.call("receipt", "verify", "--json").code == 0
    landed = done.document["tasks"][0]["landed"]
    note = [json.loads(line) for line in cli.repo.git("notes", "--ref=chargehand", "show", landed).splitlines()]
    (body,) = (each for each in note if each["kind"] == "task")
    assert [row["ruling"] for row in body["parked"]] == ["human"]
    assert [(row["choice"], row["by"]) for row in body["decisions"]] == [("approve", "uma")]


def test_nobody_there_means_blocked(cli: CliWorld):
    """I9: `--unattended` takes the safe default; what was done stays reachable [I2]."""
    fixer = {n: [write("a.txt", f"{n}\n"), DONE] for n in (3, 5)}
    done = start(cli, {"a": roles(quality_reviewer=[fails(WRONG)], fixer={4: fixer[3], 6: fixer[5]})}, "--unattended")
    assert done.code == 1
    status = cli.call("status", "--json").document
    row = status["tasks"][0]
    assert (row["state"], row["reason"], row["landed"]) == ("blocked", "review_unresolved", None)
    assert cli.repo.files(row["commit"])["a.txt"] == "5"
    assert "review_unresolved" in cli.call("why", "a").stdout


def test_no_review(cli: CliWorld):
    """SPEC 4: `--no-review` asks nobody, and the report says so."""
    done = start(cli, {"a": roles(spec_reviewer=[fails(WRONG)])}, "--no-review", "--json")
    assert done.code == 0, done.stderr
    assert done.document["tasks"][0]["attempts"] == 1
    assert not [line for line in cli.call("log", "--json").lines if line["type"].startswith("review")]
    report = cli.call("report", "--markdown", "--output", "-").stdout
    assert "Reviews were off: gates and evidence alone decided what landed." in report


def test_a_reviewer_of_its_own(cli: CliWorld):
    """SPEC 10.1: who is named by `--reviewer` looks, `--agent` works; a void verdict is told while it runs."""
    looks = {"default": {"attempts": {2: [write("x"), PASS], "default": [PASS]}}}
    other = cli.folder / "other.json"
    other.write_text(json.dumps({"scenario": 1, "tasks": {"*": {"roles": looks}}}))
    sets = ("--set", "agents.judge.kind=scripted", "--set", f"agents.judge.command={other}", "--reviewer", "judge")
    done = start(cli, {"a": roles()}, *sets, "--unattended")
    assert done.code == 0, done.stderr
    document = cli.call("show", "a", "--json").document
    assert [(each["role"], each["agent"]) for each in document["attempts"]] == [
        ("implementer", "script"),
        ("spec-reviewer", "judge"),
        ("spec-reviewer", "judge"),
        ("quality-reviewer", "judge"),
    ]
    assert "The verdict is void" in done.stderr + done.stdout
