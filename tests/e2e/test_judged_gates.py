"""Gates that cannot judge, flake, mend or are red only together, in whole runs (SPEC 5, 6)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.effects import MergeCandidate
from chargehand.domain.events import EffectIntended, GateMitigated, TaskIntegrated
from tests.e2e.judged import BOX, DONE, Court, roles, task, write
from tests.repos import Repo

UNREVIEWED = {"code_review": False}
FAST = ["caps.gate_wall=300ms", "caps.gate_wall_cap=30s"]
SLOW = [["sh", "-c", "sleep 0.9"]]


class Line(Court):
    """A court with a folder that gates may write to, whatever holds them."""

    @property
    def marks(self) -> Path:
        found = self.folder / "marks"
        found.mkdir(exist_ok=True)
        return found

    def run_gates(self, tasks: list[dict[str, Any]], scenario: dict[str, Any], **keys: Any) -> int:
        sets = [f"sandbox.write={self.marks}", *keys.pop("sets", ())]
        return self.judge(tasks, scenario, sets=sets, features=UNREVIEWED, **keys)

    def script(self, body: str) -> list[str]:
        """A check that is part of the project: what a plan's own words do outside of a checkout is asked about."""
        self.repo.write("check.sh", body.replace("MARKS", str(self.marks)) + "\n")
        self.repo.commit("a check")
        return ["sh", "check.sh"]

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.runs / "gates.jsonl").read_text().splitlines()]


@pytest.fixture
def line(repo: Repo, tmp_path: Path) -> Line:
    return Line(repo=repo, folder=tmp_path, sandbox=BOX)


def restores(**keys: Any) -> list[dict[str, Any]]:
    """What a fitter does: it proposes."""
    return [{"restoration": {"outcome": "GREEN", "mitigation_applied": ["as I say"], **keys}}]


# -- time -----------------------------------------------------------------------------------------


def test_a_gate_that_is_out_of_time_once(line: Line):
    """SPEC 5: more time is no retry and asks no model."""
    tasks = [task(verify=[line.script("test -e MARKS/slow || { touch MARKS/slow; sleep 20; }")])]
    assert line.run_gates(tasks, {"a": roles()}, sets=["caps.gate_wall=1s", "caps.gate_wall_cap=30s"]) == 0
    assert line.told() == ["implementer 1", "verify-1 timeout", "a/verify-1 raised", "landed"]
    assert [row["stop_reason"] for row in line.audit()] == ["timeout", ""]
    assert "gate verify-1 (task): fault" in line.show()
    assert line.receipt()["verify"][0]["id"] == "verify-1"


def test_a_fitter_that_gives_a_gate_more_time(line: Line):
    """SPEC 5: the restoration is a claim; the run of the gate verifies it, and that run is the retry [I6]."""
    fitter = [
        {"read_brief_check": ['"gate_id": "verify-1"', '"stop_reason": "timeout"']},
        *restores(updated_fit_profile={"timeout_seconds": 20}),
    ]
    assert line.run_gates([task(verify=SLOW)], {"a": roles(fitter=fitter)}, sets=FAST) == 0
    assert line.told() == [
        *("implementer 1", "verify-1 timeout", "a/verify-1 raised", "verify-1 timeout", "fitter 2"),
        *("a/verify-1 fitted", "landed"),
    ]
    assert [(each.by, each.fit.wall_s) for each in line.of(GateMitigated)] == [("raised", 0.6), ("fitted", 20.0)]
    assert "proposes: as I say" in line.show()
    assert [row["role"] for row in line.receipt()["attempts"]] == ["implementer", "fitter"]


def test_the_second_fitter_has_to_say_something_else(line: Line):
    """I10: the same mitigation again is none; two fitters at most, then a person."""
    same = restores(updated_fit_profile={"timeout_seconds": 0.7})
    assert line.run_gates([task(verify=SLOW)], {"a": roles(fitter=same)}, sets=FAST) == 1
    assert line.told()[4:] == [
        *("fitter 2", "a/verify-1 fitted", "verify-1 timeout", "fitter 3"),
        *("asked escalation retry|skip|stop", "answered fail", "failed: line_fault"),
    ]
    assert "proposes nothing that was not tried" in line.task()["detail"]


# -- fitters that go too far ----------------------------------------------------------------------

HELD = {"create": ["a.txt", "gen.sh"]}
CANNOT = [["./gen.sh"]]


def unfit(line: Line, fitter: list[dict[str, Any]], **keys: Any) -> int:
    """A run whose check cannot be executed, and a fitter who says this."""
    given = roles(fitter=fitter)
    given["roles"]["implementer"].insert(0, write("gen.sh", "#!/bin/sh\n"))
    return line.run_gates([task(files=HELD, verify=CANNOT)], {"a": given}, **keys)


ENDED = ["asked escalation retry|skip|stop", "answered fail", "failed: line_fault"]


def test_a_fitter_that_changes_the_product(line: Line):
    """I7: making the program executable is work on the product: what it says then counts for nothing."""
    fitter = [{"chmod": {"path": "gen.sh", "mode": "755"}}, write("a.txt", "mended\n"), *restores()]
    assert unfit(line, fitter) == 1
    assert line.told() == ["implementer 1", "verify-1 env_missing", "fitter 2", *ENDED]
    assert "The fitter may change nothing, and did" in line.task()["detail"]
    assert line.of(GateMitigated) == []
    assert line.repo.files(line.task()["commit"])["a.txt"] == "one"
    assert "The fitter may change nothing, and did" in line.report()


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ({"invocation": ["./gen.sh", "-k", "easy"]}, "leave what is looked at as it is: -k easy"),
        ({"invocation": ["true"]}, "the invocation must be that of the gate"),
        ({"environment": {"PATH": "/tmp/mine"}}, "the variable PATH may decide what is run"),
        ({"updated_fit_profile": {"timeout_seconds": 86400}}, "a budget must be more than 0 s and at most"),
    ],
    ids=["-k", "program", "PATH", "budget"],
)
def test_a_fitter_that_bends_the_gate(line: Line, says: dict[str, Any], why: str):
    """SPEC 5: invocation and environment, but never so that the gate looks at less."""
    assert unfit(line, restores(**says)) == 1
    assert line.told() == ["implementer 1", "verify-1 env_missing", "fitter 2", *ENDED]
    assert "What the fitter proposes is not allowed: " in line.task()["detail"]
    assert why in line.task()["detail"]
    assert line.landed("a.txt") is None


def test_a_fitter_that_says_red_stops_the_line(line: Line):
    """SPEC 5: secrets or somebody at the keyboard are needed; what has not started does not."""
    tasks = [task(files=HELD, verify=CANNOT), task("b", depends_on=["a"])]
    given = roles(fitter=restores(outcome="RED", mitigation_applied=["it asks for a password"]))
    given["roles"]["implementer"].insert(0, write("gen.sh", "#!/bin/sh\n"))
    assert line.run_gates(tasks, {"a": given, "b": roles("b")}, unattended=False) == 1
    assert line.told() == ["implementer 1", "verify-1 env_missing", "fitter 2", "failed: line_fault"]
    assert line.told("") == ["stopped line_fault"]
    assert "it asks for a password" in line.task()["detail"]
    assert line.task("b")["attempts"] == 0
    assert line.document["state"] == "failed"


def test_a_fitter_that_says_yellow_asks(line: Line):
    """And `retry` runs the gate again on the same change, once somebody has seen to it."""
    fitter = restores(outcome="YELLOW", mitigation_applied=["who owns gen.sh?"])
    assert unfit(line, fitter, unattended=False) == 4
    assert line.told()[-1] == "asked escalation retry|skip|stop"
    (decision,) = line.document["decisions"]
    assert "The fitter says YELLOW: who owns gen.sh?" in decision["question"]
    line.answer("skip")
    assert line.go_on() == 0
    assert line.outcome()[0] == "skipped"


# -- flakes ---------------------------------------------------------------------------------------


FLAKY = "test -e MARKS/x || { touch MARKS/x; echo not yet; exit 1; }"


def test_a_flake_is_told_and_never_kept(line: Line):
    """SPEC 5, 6: red and then green unchanged lands, is named everywhere, and stands for no later run."""
    steady = {"id": "steady", "run": ["test", "-e", "README.md"], "on": ["task"]}
    tasks = [task(verify=[line.script(FLAKY)])]
    assert line.run_gates(tasks, {"a": roles()}, gates=[steady]) == 0
    assert line.told() == ["implementer 1", "verify-1 flaky", "landed"]
    assert [each for each in line.document["warnings"] if each["code"] == "flake"] == [
        {"code": "flake", "task": "a", "text": "verify-1 failed and then passed unchanged: verify-1"}
    ]
    rows = [row for row in line.audit() if row["gate_id"] == "verify-1"]
    assert [(row["status"], row["flaky"]) for row in rows] == [("fail", []), ("pass", ["verify-1"])]
    assert "### Flaky tests" in line.report()
    assert "flaky: verify-1" in line.show()
    assert line.run_gates(tasks, {"a": roles()}, gates=[steady]) == 0
    assert {row["gate_id"]: bool(row["cached"]) for row in line.audit() if row["task"]} == {
        "verify-1": False,
        "steady": True,
    }


def test_a_gate_that_passes_by_luck(line: Line):
    """Green at the second try is told; what is red twice as merged does not land [I3]."""
    script = """\
test -e a.txt || exit 0
echo x >> MARKS/count
case $(wc -l < MARKS/count) in 1|3|4) echo bad; exit 1;; esac
"""
    gate = {"id": "tests", "run": line.script(script), "on": ["task", "integrate"]}
    given = {"a": {"attempts": {1: [write("a.txt", "one\n"), DONE], "default": [write("a.txt", "two\n"), DONE]}}}
    assert line.run_gates([task()], given, gates=[gate], sets=["gate_cache=false"]) == 0
    assert line.told() == [
        *("implementer 1", "tests flaky", "tests fail", "again: retry", "implementer 2", "landed"),
    ]
    assert line.warned() == ["flake"]
    assert line.landed("a.txt") == "two"
    tried = [(row["attempt"], row["status"]) for row in line.audit() if row["task"] == "a"]
    assert tried == [(1, "fail"), (1, "pass"), (1, "fail"), (1, "fail"), (2, "pass"), (2, "pass")]


# -- `fix` commands -------------------------------------------------------------------------------


def lint(fix: str) -> dict[str, Any]:
    return {
        "id": "lint",
        "run": ["sh", "-c", "! grep -rq badly --include=*.txt ."],
        "on": ["task"],
        "fix": ["sh", "-c", fix],
    }


def test_a_fix_command_mends_before_anybody_is_asked(line: Line):
    """SPEC 5: once, on the files of the change; reviewers see what lands, and no agent is asked."""
    gate = lint("sed -i s/badly/well/ *.txt; echo more > other.txt")
    assert line.judge([task()], {"a": roles(text="badly\n")}, gates=[gate]) == 0
    assert line.told() == [
        *("implementer 1", "lint fail", "fix mended", "spec-reviewer 2", "spec passed"),
        *("quality-reviewer 3", "quality passed", "landed"),
    ]
    assert (line.landed("a.txt"), line.landed("other.txt")) == ("well", None)
    tree = line.repo.git("rev-parse", f"{line.task()['commit']}^{{tree}}")
    assert {row["tree"] for row in line.receipt()["reviews"]} == {tree}


def test_a_fix_command_that_does_not_help(line: Line):
    """I10: once for a change; then the retry, whose brief says what is red."""
    again = [{"read_brief_check": "lint"}, write("a.txt", "well\n"), DONE]
    given = {"a": {"attempts": {1: [write("a.txt", "badly\n"), DONE], "default": again}}}
    assert line.run_gates([task()], given, gates=[lint("true")]) == 0
    assert line.told() == [
        *("implementer 1", "lint fail", "fix nothing", "again: retry", "implementer 2", "landed"),
    ]


# -- the train ------------------------------------------------------------------------------------


def test_three_green_candidates_that_are_red_together(line: Line):
    """SPEC 6: tested on each other in free slots; the first red prefix names the culprit, and the others land [I3]."""
    script = """\
set -- $(ls a.txt b.txt c.txt 2> /dev/null)
case $# in 0) exit 0;; 3) touch MARKS/last;; esac
until test -e MARKS/last; do sleep 0.05; done
! { grep -qs one a.txt && grep -qs one c.txt; }
"""
    gate = {"id": "sum", "run": line.script(script), "on": ["integrate"], "wall": "30s"}
    given = {
        name: {"attempts": {1: [write(f"{name}.txt", "one\n"), DONE], "default": [write(f"{name}.txt", "two\n"), DONE]}}
        for name in "abc"
    }
    assert line.run_gates([task(name) for name in "abc"], given, gates=[gate], sets=["jobs=3"]) == 0
    (culprit,) = (name for name in "abc" if line.task(name)["attempts"] == 2)
    assert culprit in "ac"
    for name in "abc":
        told = line.told(name)
        if name == culprit:
            assert told == ["implementer 1", "sum fail", "again: retry", "implementer 2", "landed"]
        else:  # who came after the culprit was red on top of it, and is not sent back for that
            assert [word for word in told if word != "sum fail"] == ["implementer 1", "landed"]
    assert [event.task for event in line.of(TaskIntegrated)][-1] == culprit
    assert line.landed(f"{culprit}.txt") == "two"
    heads = [e.effect.head for e in line.of(EffectIntended) if isinstance(e.effect, MergeCandidate)]
    assert heads[0] == line.document["base"]
    assert len(set(heads[:3])) == 3, "each was built on the one before it, before any had landed"
