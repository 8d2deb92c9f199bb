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


def start(cli: CliWorld, scenario: Mapping[str, Any], *words: str, **keys: Any) -> Done:
    """`run` of one task with the scripted agent."""
    script = cli.folder / "scenario.json"
    script.write_text(json.dumps({"scenario": 1, "tasks": scenario}))
    given = cli.plan(PLAN, features={"code_review": True, "holistic": False}, **keys)
    sets = ("--set", "agents.script.kind=scripted", "--set", f"agents.script.command={script}")
    return cli.call("run", given, *sets, "--agent", "script", "--sandbox", BOX, *words)


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


MENDING = {
    "id": "lint",
    "run": ["sh", "-c", "! grep -rq badly --include=*.txt ."],
    "on": ["task"],
    "fix": ["sh", "-c", "sed -i s/badly/well/ *.txt"],
}


@pytest.fixture
def fixed(cli: CliWorld) -> CliWorld:
    """A task whose change a `fix` command mended, a reviewer found fault with, and a fixer finished; it landed."""
    later = {"verdict": {"verdict": "PASS", "findings": [{"id": "f1", "status": "resolved"}]}}
    script = {
        "a": roles(
            text="badly\n", spec_reviewer={2: [fails(WRONG)], 4: [later]}, fixer=[write("a.txt", "well\nmore\n"), DONE]
        )
    }
    done = start(cli, script, "--json", gates=[MENDING])
    assert done.code == 0, done.stderr
    return cli


def test_the_difference_is_the_whole_change_as_it_landed(fixed: CliWorld):
    """What a `fix` command and a fixer made of it included; one that only looked says what it looked at."""
    shown = fixed.call("show", "a", "--diff", "--json").document
    assert shown["attempt"] == 3
    assert "+well" in shown["diff"]
    assert "+more" in shown["diff"]
    row = fixed.call("status", "--json").document["tasks"][0]
    assert shown["commit"] == row["commit"]
    assert "+badly" in fixed.call("show", "a", "--diff", "-n", "1").stdout
    judged = fixed.call("show", "a", "--diff", "-n", "2")
    assert (judged.code, judged.stdout.startswith("Attempt 2 (spec-reviewer) changed nothing: it only looked")) == (
        0,
        True,
    )
    assert fixed.call("show", "a", "--diff", "-n", "2", "--json").document["diff"] == ""
    assert "You are the fixer" in fixed.call("show", "a", "--brief").stdout
    assert "You are the spec reviewer" in fixed.call("show", "a", "--brief", "-n", "2").stdout


def test_what_a_fix_command_mended_is_told_between_the_gates(fixed: CliWorld):
    text = " ".join(fixed.call("show", "a").stdout.split())
    red, _, rest = text.partition("mended by the fix command of lint, sealed as ")
    assert "gate lint (task): fail" in red
    assert "gate lint (task): pass" in rest
    (mended,) = fixed.call("show", "a", "--json").document["attempts"][0]["mended"]
    assert mended["gates"] == ["lint"]


def test_a_later_round_names_what_it_is_about(fixed: CliWorld):
    """A verdict that names a frozen finding by its id alone is shown with its place and claim."""
    text = " ".join(fixed.call("show", "a").stdout.split())
    assert "- f1 resolved: major a.txt:1: It says the wrong thing." in text


def test_an_attempt_that_changed_nothing_says_so(cli: CliWorld):
    done = start(cli, {"a": {"default": [DONE]}}, "--unattended")
    assert done.code == 1
    assert cli.call("show", "a", "--diff", "-n", "1").stdout == "nothing changed\n"


def test_what_was_tried_tells_verdicts(cli: CliWorld):
    """SPEC 9: of those who look, PASS or FAIL, or why there is no verdict that counts."""
    looks = {2: [fails(WRONG)], 4: [{"print": "no idea"}], 5: [write("x"), PASS], "default": [fails(WRONG)]}
    fixer = {3: [write("a.txt", "3\n"), DONE], 7: [write("a.txt", "7\n"), DONE]}
    asked = start(cli, {"a": roles(spec_reviewer=looks, fixer=fixer)}, "--json", "--no-wait")
    assert asked.code == 4, asked.stderr
    text = " ".join(cli.call("decisions").stdout.split())
    assert "left no report" not in text
    assert "attempt 2: spec-reviewer: FAIL, 1 finding" in text
    assert "attempt 4: spec-reviewer: no verdict: " in text
    assert "attempt 5: spec-reviewer: void: it changed what it judges (created x)" in text
