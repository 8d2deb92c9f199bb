"""The look at the whole run, returned plans, and missing context, in whole runs (SPEC 3.8, 4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.events import TaskAdded
from tests.e2e.judged import BOX, DONE, FAIL, PASS, Court, fails, roles, task, write
from tests.repos import Repo

WHOLE = {"code_review": True, "holistic": True}
UNREVIEWED = {"code_review": False}
SPLIT = "major a.txt:1 a and b name one thing in two ways."


@pytest.fixture
def court(repo: Repo, tmp_path: Path) -> Court:
    return Court(repo=repo, folder=tmp_path, sandbox=BOX)


def looks(*rounds: Sequence[Any]) -> dict[str, Any]:
    """What those say who look at the whole, one after the other; the last one again and again."""
    given: dict[Any, Any] = dict(enumerate(map(list, rounds), start=1))
    return {"roles": {"holistic-reviewer": {"attempts": {**given, "default": list(rounds[-1])}}}}


def mends(number: int) -> dict[str, Any]:
    """A fix task that writes the same thing differently."""
    steps = [{"read_brief_check": "name one thing in two ways"}, write("a.txt", f"fixed {number}\n"), DONE]
    return {"roles": {"implementer": steps}}


# -- the look at the whole ------------------------------------------------------------------------


def test_what_the_last_look_finds_is_mended_and_looked_at_again(court: Court):
    """SPEC 4: a fix task of its own, gated and reviewed like any other; then the whole is judged anew [I7]."""
    first = [{"read_brief_check": ["Todos work", "Run of test"]}, fails(SPLIT)]
    again = [{"read_brief_check": ["Frozen findings", "in two ways"]}, {"verdict": {"verdict": "PASS", "findings": []}}]
    scenario = {"a": roles(), "fix-1": mends(1), "run": looks(first, again)}
    assert court.judge([task()], scenario, features=WHOLE, goal="Todos work.") == 0
    assert court.told("") == [
        *("holistic-reviewer 1", "holistic failed: f1", "holistic-reviewer 2", "holistic passed"),
    ]
    assert court.told("fix-1") == [
        *("implementer 1", "spec-reviewer 2", "spec passed", "quality-reviewer 3", "quality passed", "landed"),
    ]
    (added,) = court.of(TaskAdded)
    assert (added.task.id, added.holistic) == ("fix-1", True)
    assert court.landed("a.txt") == "fixed 1"
    assert "look at the whole run: PASS" in court.report()
    assert [row["stage"] for row in court.receipt("fix-1")["reviews"]] == ["spec", "quality"]


def test_after_three_fixes_a_person_is_asked(court: Court):
    """I10, I9: what they take is told as their ruling, in the report of the run."""
    scenario: dict[str, Any] = {f"fix-{n}": mends(n) for n in range(1, 6)}
    scenario |= {"a": roles(), "run": looks([fails(SPLIT)])}
    depth = {"complexity": "trivial", "weight": "light"}
    assert court.judge([task(**depth)], scenario, features=WHOLE, unattended=False) == 4
    assert court.states() == dict.fromkeys(("a", "fix-1", "fix-2", "fix-3"), "integrated")
    assert court.told("")[-2:] == ["holistic failed: f1", "asked holistic approve|stop"]
    court.answer("approve")
    assert court.go_on() == 0
    assert court.told("")[-2:] == ["answered approve", "holistic passed human:f1"]
    report = court.report()
    assert "in two ways" in report
    assert "**approve** by uma" in report


def test_where_a_task_is_missing_nothing_is_mended(court: Court):
    """SPEC 4: then it says what that means, and the run has failed all the same."""
    told = [{"read_brief_check": ["b", "blocked"]}, fails(criteria=[{"criterion": "Todos can be kept", "met": False}])]
    blocked = [{"report": {"status": "BLOCKED", "blocker": "no disk"}}]
    scenario = {"a": roles(), "b": {"roles": {"implementer": blocked}}, "run": looks(told)}
    success = ["Todos can be kept"]
    assert court.judge([task(), task("b")], scenario, features=WHOLE, success_criteria=success) == 1
    assert court.states() == {"a": "integrated", "b": "blocked agent_blocked"}
    assert court.told("") == ["holistic-reviewer 1", "holistic failed: 'Todos can be kept'"]
    assert court.of(TaskAdded) == []
    assert "- [ ] Todos can be kept" in court.report()


def test_one_who_looks_at_the_whole_and_writes(court: Court):
    """I7: void; a fresh one is asked, and a second one that writes ends in a question."""
    meddles = [write("a.txt", "bent\n"), PASS]
    scenario = {"a": roles(), "run": looks(meddles, [FAIL], [fails(SPLIT)], [PASS]), "fix-1": mends(1)}
    assert court.judge([task()], scenario, features=WHOLE) == 0
    assert court.told("") == [
        *("holistic-reviewer 1", "void: violated", "holistic-reviewer 2", "void: malformed"),
        *("holistic-reviewer 3", "holistic failed: f1", "holistic-reviewer 4", "holistic passed"),
    ]
    assert court.landed("a.txt") == "fixed 1"


@pytest.mark.parametrize("features", [{"code_review": True, "holistic": False}, {"code_review": False}])
def test_nobody_looks_at_the_whole(court: Court, features: dict[str, bool]):
    scenario = {"a": roles(), "run": looks([fails(SPLIT)])}
    assert court.judge([task()], scenario, features=features) == 0
    assert court.told("") == []
    assert "look at the whole run" not in court.report()


# -- plans that are returned ----------------------------------------------------------------------

BACK = {"signal": "needs_research", "details": "Which format do old files have?", "recommendation": "Look at app.py."}


def test_a_returned_plan_is_looked_into_before_anybody_is_asked(court: Court):
    """SPEC 3.8: one research attempt; what it found goes with the question. Its words change nothing [I6]."""
    research = [
        {"read_brief_check": ["Which format do old files have?", "Look at app.py."]},
        write("notes.txt"),
        {"report": {"status": "DONE", "summary": "They are CSV, see src/app.py."}},
    ]
    given = roles(researcher=research)
    given["roles"]["implementer"] = [{"report": {"status": "KICKBACK", "kickback": BACK}}]
    tasks = [task(), task("b", depends_on=["a"])]
    assert court.judge(tasks, {"a": given, "b": roles("b")}, unattended=False, features=UNREVIEWED) == 4
    assert court.told() == ["implementer 1", "researcher 2", "asked kickback skip|stop"]
    (decision,) = court.document["decisions"]
    assert "Research found: They are CSV, see src/app.py." in decision["question"]
    court.answer("stop")
    assert court.go_on() == 1
    assert court.outcome()[0] in {"failed", "cancelled"}
    assert court.task("b")["attempts"] == 0
    assert "The researcher changed its copy" in court.report()


def test_a_returned_plan_and_nobody_there(court: Court):
    """I9: the run stops; what has landed stays."""
    given = roles()
    given["roles"]["implementer"] = [{"report": {"status": "KICKBACK", "kickback": BACK}}]
    tasks = [task("b"), task(depends_on=["b"])]
    assert court.judge(tasks, {"a": given, "b": roles("b")}, features=UNREVIEWED) == 1
    assert court.told() == ["implementer 1", "researcher 2", "asked kickback skip|stop", *court.told()[3:]]
    assert court.told("") == ["stopped kickback"]
    assert court.landed("b.txt") == "one"


# -- missing context ------------------------------------------------------------------------------


def test_what_a_landed_task_left_is_given_to_who_asks(court: Court):
    """SPEC 3.8: plan and repository first; nobody is asked for what is known."""
    asks = {"report": {"status": "NEEDS_CONTEXT", "missing_context": ["What does store return?"]}}
    left = {"report": {"status": "DONE", "summary": "It returns bytes.", "interfaces": ["store.load() -> bytes"]}}
    given = roles("b")
    given["roles"]["implementer"] = {
        "attempts": {
            1: [asks],
            2: [{"read_brief_check": ["what task store left", "It returns bytes."]}, write("b.txt"), DONE],
        }
    }
    store = {"roles": {"implementer": [write("store.txt"), left]}}
    first, late = task("store"), task("b", depends_on=["wait"])
    wait = task("wait", depends_on=["store"])
    scenario = {"store": store, "b": given, "wait": roles("wait")}
    assert court.judge([first, wait, late], scenario, features=UNREVIEWED, unattended=False) == 0
    assert court.told("b") == ["implementer 1", "again: context", "implementer 2", "landed"]
    assert court.document["decisions"] == []
