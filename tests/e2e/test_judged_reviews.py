"""Reviewers of every kind, in whole runs: what each leads to, in journal, document, report and receipt (SPEC 4)."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.judged import BOX, DONE, PASS, Court, fails, roles, task, write
from tests.repos import Repo

WRONG = "major a.txt:1 It says the wrong thing."
RESOLVED = {"id": "f1", "status": "resolved"}
FIXED = [{"read_brief_check": "It says the wrong thing."}, write("a.txt", "two\n"), DONE]
QUALITY = ["quality-reviewer 3", "quality passed", "landed"]


@pytest.fixture
def court(repo: Repo, tmp_path: Path) -> Court:
    return Court(repo=repo, folder=tmp_path, sandbox=BOX)


# -- a reviewer that writes -----------------------------------------------------------------------


def test_a_reviewer_that_writes_is_void(court: Court):
    """I7: its word counts for nothing, what it wrote is in no tree, and a fresh one is asked."""
    meddles = [write("a.txt", "bent\n"), write("more.txt"), PASS]
    assert court.judge([task()], {"a": roles(spec_reviewer={2: meddles})}) == 0
    assert court.told() == [
        *("implementer 1", "spec-reviewer 2", "void: violated", "spec-reviewer 3", "spec passed"),
        *("quality-reviewer 4", "quality passed", "landed"),
    ]
    assert (court.landed("a.txt"), court.landed("more.txt")) == ("one", None)
    assert court.warned() == ["agent", "review_violation"]
    assert "violation: modified a.txt" in court.show()
    assert "the reviewer changed what it judges" in court.report()
    assert [row["attempt"] for row in court.receipt()["reviews"]] == [3, 4]


def test_two_that_write_and_nobody_to_ask(court: Court):
    """I7, I9: a change is not landed unseen."""
    meddles = [write("a.txt", "bent\n"), PASS]
    assert court.judge([task()], {"a": roles(spec_reviewer=meddles)}, unattended=False) == 4
    assert court.told()[-2:] == ["spec-reviewer 3", "asked review approve|retry|skip|stop"]
    (decision,) = court.document["decisions"]
    assert "for the second time" in decision["question"]
    assert court.go_on(unattended=True) == 1
    assert court.outcome() == ("blocked", "review_void")
    assert court.landed("a.txt") is None


def test_another_reviewer_after_two_that_write(court: Court):
    """A person may ask for one more; the change is kept, and what was said before counts for nothing."""
    meddles = [write("a.txt", "bent\n"), PASS]
    court.judge([task()], {"a": roles(spec_reviewer={2: meddles, 3: meddles})}, unattended=False)
    court.answer("retry")
    assert court.go_on() == 0
    assert court.told()[-6:] == ["answered retry", "spec-reviewer 4", "spec passed", *_later(QUALITY, 5)]
    assert court.landed("a.txt") == "one"


def _later(lines: list[str], number: int) -> list[str]:
    return [line.replace(" 3", f" {number}") for line in lines]


# -- verdicts that do not hold together -----------------------------------------------------------

UNMET = {"criterion": "a.txt says two", "met": False, "evidence": "it says one"}


def test_pass_over_an_unmet_criterion_is_returned(court: Court):
    """SPEC 4: nobody passes what they say themselves is not met; the next reviewer is told."""
    says = {"verdict": {"verdict": "PASS", "criteria": [UNMET]}}
    honest = [{"read_brief_check": ["did not count", "a.txt says two"]}, fails(criteria=[UNMET])]
    scenario = {"a": roles(spec_reviewer={2: [says], 3: honest}, fixer=[write("a.txt", "two\n"), DONE])}
    assert court.judge([task(acceptance=["a.txt says two"])], scenario) == 0
    assert court.told() == [
        *("implementer 1", "spec-reviewer 2", "void: malformed", "spec-reviewer 3", "spec failed: 'a.txt says two'"),
        *("again: review", "fixer 4", "spec-reviewer 5", "spec passed", "quality-reviewer 6", "quality passed"),
        "landed",
    ]
    assert court.landed("a.txt") == "two"
    assert "not met: a.txt says two (it says one)" in court.show()


def test_a_reviewer_that_passes_everything_is_believed(court: Court):
    """What only a reviewer could see passes with a careless one: criteria that matter are commands, and hold anyway."""
    promise = "a.txt says two"
    tasks = [task(acceptance=[promise]), task("b", acceptance=[promise], verify=[["grep", "-q", "two", "b.txt"]])]
    assert court.judge(tasks, {"a": roles(), "b": roles("b")}) == 1
    assert court.states() == {"a": "integrated", "b": "failed gate_red"}
    assert court.told()[-2:] == ["quality passed", "landed"]
    assert not [line for line in court.told("b") if "reviewer" in line]
    assert [row["passed"] for row in court.receipt()["reviews"]] == [True, True]
    assert court.landed("b.txt") is None


NO_GROUND = {"verdict": {"verdict": "FAIL", "findings": ["major nowhere.py:7 Bad.", "minor a.txt:1 Ugly."]}}


def test_a_reviewer_that_fails_without_evidence(court: Court):
    """SPEC 4: returned once; after a second one a person is asked, and nobody there means blocked."""
    says = {2: [NO_GROUND], 3: [{"read_brief_check": "names no critical or major finding"}, NO_GROUND]}
    assert court.judge([task()], {"a": roles(spec_reviewer=says)}) == 1
    assert court.told() == [
        *("implementer 1", "spec-reviewer 2", "void: malformed", "spec-reviewer 3"),
        *("asked review approve|retry|skip|stop", "answered block", "blocked: review_void"),
    ]
    assert "came to nothing twice" in court.task()["detail"]
    assert "major nowhere.py:7, which is not there: Bad." in court.show()
    assert "came to nothing twice" in court.report()


def test_a_finding_that_is_nowhere_holds_nothing_up(court: Court):
    """Told in report and receipt, with the ruling that let it pass."""
    says = {"verdict": {"verdict": "PASS", "findings": ["major nowhere.py:7 Bad.", "minor a.txt:1 Ugly."]}}
    assert court.judge([task()], {"a": roles(spec_reviewer={2: [says]})}) == 0
    assert "spec passed nowhere:f1 minor:f2" in court.told()
    assert [(row["id"], row["ruling"]) for row in court.receipt()["parked"]] == [("f1", "nowhere"), ("f2", "minor")]
    assert "### Parked findings" in court.report()


# -- later rounds ---------------------------------------------------------------------------------


def test_goal_posts_stay_where_they_are(court: Court):
    """SPEC 4: what round 2 finds elsewhere is kept for the report and holds nothing up."""
    late = fails(RESOLVED, "critical README.md:1 No licence.", criteria=[{"criterion": "It has a logo", "met": False}])
    says = {2: [fails(WRONG)], 4: [{"read_brief_check": ["Frozen findings", "[f1] major a.txt:1"]}, late]}
    assert court.judge([task()], {"a": roles(spec_reviewer=says, fixer=FIXED)}) == 0
    assert court.told() == [
        *("implementer 1", "spec-reviewer 2", "spec failed: f1", "again: review", "fixer 3", "spec-reviewer 4"),
        *("spec passed late:f2 late:It has a logo", "quality-reviewer 5", "quality passed", "landed"),
    ]
    assert court.landed("a.txt") == "two"
    parked = {row["claim"]: row["ruling"] for row in court.receipt()["parked"]}
    assert parked == {"No licence.": "late", "Criterion not met: It has a logo": "late"}
    report = court.report()
    assert "No licence." in report
    assert "It has a logo" in report


def test_what_the_fix_broke_counts(court: Court):
    broke = fails(RESOLVED, {"id": "n1", "severity": "major", "file": "a.txt", "line": 1, "claim": "Now it is French."})
    says = {2: [fails(WRONG)], 4: [broke]}
    fixer = {3: FIXED, 5: [{"read_brief_check": "Now it is French."}, write("a.txt", "three\n"), DONE]}
    assert court.judge([task()], {"a": roles(spec_reviewer=says, fixer=fixer)}) == 0
    assert court.told() == [
        *("implementer 1", "spec-reviewer 2", "spec failed: f1", "again: review", "fixer 3"),
        *("spec-reviewer 4", "spec failed: n1", "again: review", "fixer 5", "spec-reviewer 6", "spec passed"),
        *("quality-reviewer 7", "quality passed", "landed"),
    ]
    assert court.landed("a.txt") == "three"


def test_a_fixer_that_makes_it_worse(court: Court):
    """SPEC 3.8: what was there before is kept; after two fixes somebody is asked, and nobody there means blocked."""
    named = [
        {"id": f"n{n}", "severity": "major", "file": "a.txt", "line": 1, "claim": f"Worse by {n}."} for n in (1, 2)
    ]
    says = {2: [fails(WRONG)], 4: [fails(named[0])], 6: [fails(*named)]}
    fixer = {3: [write("a.txt", "worse\n"), DONE], 5: [write("a.txt", "worst\n"), DONE]}
    assert court.judge([task()], {"a": roles(spec_reviewer=says, fixer=fixer)}, unattended=False) == 4
    assert court.told() == [
        *("implementer 1", "spec-reviewer 2", "spec failed: f1", "again: review", "fixer 3"),
        *("spec-reviewer 4", "spec failed: f1, n1", "again: review", "fixer 5"),
        *("spec-reviewer 6", "spec failed: f1, n1, n2", "asked review approve|retry|skip|stop"),
    ]
    (decision,) = court.document["decisions"]
    assert "worse than what was there before" in decision["question"]
    assert court.go_on(unattended=True) == 1
    assert court.outcome() == ("blocked", "review_unresolved")
    assert court.repo.files(court.task()["commit"])["a.txt"] == "one"
    assert court.landed("a.txt") is None


def test_a_fix_for_quality_carries_the_first_verdict_over(court: Court):
    """SPEC 4: it stays in the files of the findings; receipts say that the verdict was carried."""
    scenario = {"a": roles(quality_reviewer={3: [fails(WRONG)]}, fixer=FIXED)}
    assert court.judge([task()], scenario) == 0
    assert court.told() == [
        *("implementer 1", "spec-reviewer 2", "spec passed", "quality-reviewer 3", "quality failed: f1"),
        *("again: review", "fixer 4", "spec carried", "quality-reviewer 5", "quality passed", "landed"),
    ]
    tree = court.repo.git("rev-parse", f"{court.task()['commit']}^{{tree}}")
    rows = [(row["stage"], row["passed"], row["carried"]) for row in court.receipt()["reviews"] if row["tree"] == tree]
    assert rows == [("spec", True, True), ("quality", True, False)]


def test_a_fix_for_quality_that_goes_further_is_looked_at_again(court: Court):
    """SPEC 4: by the first reviewer, what changed only; no round of its own."""
    files = {"create": ["a.txt"], "modify": ["README.md"]}
    delta = [{"read_brief_check": "what changed since the last review"}, {"read_diff_check": "elsewhere"}, PASS]
    fixer = [*FIXED[:2], write("README.md", "elsewhere\n"), DONE]
    scenario = {"a": roles(spec_reviewer={5: delta}, quality_reviewer={3: [fails(WRONG)]}, fixer=fixer)}
    assert court.judge([task(files=files)], scenario) == 0
    assert court.told()[-6:] == [
        *("fixer 4", "spec-reviewer 5", "spec passed", "quality-reviewer 6", "quality passed", "landed")
    ]


# -- reviewers that do not get there --------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "seen"),
    [
        ([{"print": "no idea"}, {"exit": 3}], "exit 3"),
        ([{"crash": "KILL"}], "exit 137" if BOX == "bwrap" else "signal 9"),
        ([{"verdict": {"text": "all good!"}}], "no verdict"),
        ([{"hang": "silent"}], "process: stall"),
    ],
    ids=["exit", "signal", "prose", "silence"],
)
def test_a_reviewer_without_a_verdict_is_asked_once_more(court: Court, how: list[Any], seen: str):
    """I10: silence has a budget, too."""
    scenario = {"a": roles(quality_reviewer={3: how})}
    assert court.judge([task(limits={"idle": "1s"})], scenario) == 0
    assert court.told() == [
        *("implementer 1", "spec-reviewer 2", "spec passed", "quality-reviewer 3", "void: malformed"),
        *("quality-reviewer 4", "quality passed", "landed"),
    ]
    assert seen in court.show()


LIMITED = """\
import json, os, pathlib, sys
mark = pathlib.Path(sys.argv[1]) / "asked"
sys.stdin.read()
if mark.exists():
    print('```chargehand-verdict\\n{"verdict": "PASS"}\\n```')
else:
    mark.touch()
    print("litellm.RateLimitError: RateLimitError: 429, please try again in 1 second")
"""


def test_a_reviewer_whose_provider_asks_to_wait(court: Court):
    """SPEC 3.8: no attempt is consumed, and the stated reset is waited for."""
    marks, program = court.folder / "marks", court.folder / "limited.py"
    marks.mkdir()
    program.write_text(LIMITED)
    command = shlex.join([sys.executable, "-I", "-S", str(program), str(marks)])
    sets = ["agents.limited.kind=aider", f"agents.limited.command={command}", f"sandbox.write={marks}", "agent=script"]
    assert court.judge([task()], {"a": roles()}, sets=[*sets, "reviewer=limited"]) == 0
    assert court.told() == [
        *("implementer 1", "spec-reviewer 2", "provider waits", "void: wait", "spec-reviewer 3", "spec passed"),
        *("quality-reviewer 4", "quality passed", "landed"),
    ]
    assert court.state is not None
    assert court.state.tasks["a"].tries.attempts == 3


# -- who looks ------------------------------------------------------------------------------------


def test_the_reviewer_is_another_agent(court: Court):
    """SPEC 4: the one of the task, else that of the run; report and receipt name who it was."""
    for name in ("judge", "other"):
        text = {"scenario": 1, "tasks": {"*": {"roles": {"default": [PASS, {"print": name}]}}}}
        (court.folder / f"{name}.json").write_text(json.dumps(text))
    sets = [f"agents.{n}.{key}" for n in ("judge", "other") for key in ("kind=scripted", f"command={n}.json")]
    sets = [each.replace("command=", f"command={court.folder}/") for each in sets]
    tasks = [task(), task("b", reviewer="other")]
    assert court.judge(tasks, {"a": roles(), "b": roles("b")}, sets=[*sets, "agent=script", "reviewer=judge"]) == 0
    assert {row["agent"] for row in court.receipt("a")["reviews"]} == {"judge"}
    assert {row["agent"] for row in court.receipt("b")["reviews"]} == {"other"}
    assert "attempt 2, spec-reviewer, judge" in court.show("a")
    assert "attempt 1, implementer, script" in court.show("b")


# -- evidence -------------------------------------------------------------------------------------


def test_evidence_commands_are_run_by_the_runtime(court: Court):
    """I6: exit codes are recorded and told to fixer and reader; a dangerous one is not run, and nobody is asked."""
    commands = {"good": "grep -q one a.txt", "bad": "sh -c 'exit 3'", "danger": "rm -rf /", "odd": "echo 'x"}
    findings = [
        {"id": name, "severity": "major", "file": "a.txt", "line": 1, "claim": f"{name} claim", "evidence_command": run}
        for name, run in commands.items()
    ]
    fixer = [
        {"read_brief_check": ["evidence: `grep -q one a.txt` (exit code 0)", "`sh -c 'exit 3'` (exit code 3)"]},
        {"read_brief_check": ["`rm -rf /` (not run: It is dangerous", "`echo 'x` (not run: It cannot be read"]},
        *FIXED[1:],
    ]
    scenario = {"a": roles(spec_reviewer={2: [fails(*findings)]}, fixer=fixer)}
    assert court.judge([task()], scenario) == 0
    assert court.told()[:5] == [
        *("implementer 1", "spec-reviewer 2", "spec failed: good, bad, danger, odd", "again: review", "fixer 3"),
    ]
    shown = court.show()
    assert "evidence of good: `grep -q one a.txt`: exit code 0" in shown
    assert "evidence of bad: `sh -c 'exit 3'`: exit code 3" in shown
    assert "evidence of danger: `rm -rf /`: not run: It is dangerous" in shown
    assert court.landed("README.md") == "A project."


# -- people ---------------------------------------------------------------------------------------


def test_a_person_takes_the_change_as_it_is(court: Court):
    """I9: what is open lands only with that person's name under it, and the ruling is told."""
    fixer = {n: [write("a.txt", f"{n}\n"), DONE] for n in (3, 5)}
    scenario = {"a": roles(spec_reviewer=[fails(WRONG)], fixer=fixer)}
    assert court.judge([task()], scenario, unattended=False) == 4
    assert court.told()[-3:] == ["spec-reviewer 6", "spec failed: f1", "asked review approve|retry|skip|stop"]
    court.answer("approve")
    assert court.go_on() == 0
    assert court.told()[-3:] == ["answered approve", "spec passed human:f1", "landed"]
    assert court.landed("a.txt") == "5"
    receipt = court.receipt()
    assert [(row["id"], row["ruling"]) for row in receipt["parked"]] == [("f1", "human")]
    assert [(row["choice"], row["by"]) for row in receipt["decisions"]] == [("approve", "uma")]
    report = court.report()
    assert "It says the wrong thing." in report
    assert "**approve** by uma (for now)" in report


def test_a_person_asks_for_another_attempt(court: Court):
    """The findings are in its brief, and the new change is judged from the beginning."""
    fixer = {n: [write("a.txt", f"{n}\n"), DONE] for n in (3, 5)}
    again = [{"read_brief_check": "It says the wrong thing."}, write("a.txt", "right\n"), DONE]
    given = roles(spec_reviewer={n: [fails(WRONG)] for n in (2, 4, 6)}, fixer=fixer)
    given["roles"]["implementer"] = {"attempts": {1: given["roles"]["implementer"], "default": again}}
    court.judge([task()], {"a": given}, unattended=False)
    court.answer("retry")
    assert court.go_on() == 0
    assert court.told()[-6:] == [
        *("implementer 7", "spec-reviewer 8", "spec passed", "quality-reviewer 9", "quality passed", "landed")
    ]
    assert court.landed("a.txt") == "right"


# -- without --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["feature", "setting", "depth"])
def test_nobody_looks(court: Court, way: str):
    """SPEC 4: features off, `--no-review`, and a trivial, light task; the report says so."""
    depth = {"complexity": "trivial", "weight": "light"} if way == "depth" else {}
    features = {"code_review": way != "feature", "holistic": False}
    sets = ["features.code_review=false"] * (way == "setting")
    assert court.judge([task(**depth)], {"a": roles()}, features=features, sets=sets) == 0
    assert court.told() == ["implementer 1", "landed"]
    assert court.receipt()["reviews"] == []
    assert ("Reviews were off: gates and evidence alone decided" in court.report()) is (way != "depth")


def test_depth_follows_risk(court: Court):
    """Trivial but full, and light but simple, are both reviewed."""
    tasks = [task(complexity="trivial"), task("b", weight="light")]
    assert court.judge(tasks, {"a": roles(), "b": roles("b")}) == 0
    for name in "ab":
        assert [line for line in court.told(name) if "passed" in line] == ["spec passed", "quality passed"]
