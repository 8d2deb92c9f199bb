"""What follows each ending of an attempt, through whole runs with real processes (SPEC 3.8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.errors import UserError
from chargehand.domain.events import DecisionAsked, DispatchStopped
from chargehand.domain.words import StopReason
from tests.e2e.world import DONE, World, write
from tests.repos import Repo


def task(name: str, *needs: str, **keys: Any) -> dict[str, Any]:
    return {"id": name, "title": name.upper(), "depends_on": list(needs), "files": {"create": [f"{name}.txt"]}, **keys}


def good(name: str) -> list[dict[str, Any]]:
    return [write(f"{name}.txt"), DONE]


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    return World(repo=repo, folder=tmp_path)


def test_a_red_gate_is_retried_with_the_failure_in_the_brief(world: World):
    scenario = {
        "a": {
            "attempts": {
                1: [write("a.txt", "wrong\n"), DONE],
                2: [
                    {"read_brief_check": ["verify-1", "is not right"]},
                    {"read_previous_check": "wrong"},
                    write("a.txt", "right\n"),
                    DONE,
                ],
            }
        }
    }
    verify = [["sh", "-c", "grep -q right a.txt || { echo is not right; exit 1; }"]]
    world.play([task("a", verify=verify)], scenario)
    assert world.outcome() == ("integrated", "integrated")
    assert world.task()["attempts"] == 2
    assert world.landed("a.txt") == "right"


def test_a_gate_that_is_red_for_ever_never_lands(world: World):
    world.play([task("a", verify=[["false"]]), task("b")], {"a": good("a"), "b": good("b")})
    assert world.outcome("a") == ("failed", "gate_red")
    assert world.task("a")["attempts"] == 2
    assert world.outcome("b") == ("integrated", "integrated")
    assert world.landed("a.txt") is None
    assert world.document["state"] == "failed"


def test_a_person_is_asked_when_one_is_there(world: World):
    world.play([task("a", verify=[["false"]])], {"a": good("a")}, unattended=False)
    assert world.document["state"] == "waiting"
    (decision,) = world.document["decisions"]
    assert decision["choices"] == ["retry", "skip", "stop"]
    assert decision["task"] == "a"
    world.resume(unattended=True)
    assert world.outcome() == ("failed", "gate_red")


def test_red_only_when_merged_uses_the_same_retry(world: World):
    """I3: two changes, each green alone, red together: whichever comes second does not land as it is."""
    gate = {"id": "sum", "run": ["sh", "-c", "test $(cat n/* | wc -l) -le 2"], "on": ["integrate", "run"]}
    world.repo.write("n/base", "1\n")
    world.repo.commit("numbers")
    tasks: list[dict[str, Any]] = [{"id": n, "title": n, "files": {"create": [f"n/{n}"]}} for n in "ab"]
    scenario = {
        n: {"attempts": {1: [write(f"n/{n}", "1\n"), DONE], "default": [write(f"n/{n}", ""), DONE]}} for n in "ab"
    }
    world.play(tasks, scenario, gates=[gate], sets=["jobs=2"])
    assert world.document["state"] == "finished", world.document["tasks"]
    assert sorted(world.task(n)["attempts"] for n in "ab") == [1, 2]
    assert sorted(str(world.landed(f"n/{n}")) for n in "ab") == ["", "1"]


def test_greenfield_a_gate_red_on_the_base_is_advisory_until_first_green(world: World):
    gate = {"id": "tests", "run": ["test", "-f", "b.txt"], "on": ["integrate", "run"]}
    tasks: list[dict[str, Any]] = [
        task("a"),
        task("b", "a"),
        {**task("c", "b"), "files": {"create": ["c.txt"], "modify": ["b.txt"]}},
    ]
    scenario = {"a": good("a"), "b": good("b"), "c": [write("c.txt"), {"delete": "b.txt"}, DONE]}
    world.play(tasks, scenario, gates=[gate])
    assert [world.outcome(name)[0] for name in "abc"] == ["integrated", "integrated", "failed"]
    assert world.document["baseline"] == []
    assert world.landed("b.txt") == "text"


def test_blocked_with_dependants(world: World):
    blocked = {"report": {"status": "BLOCKED", "blocker": "no credentials"}}
    tasks: list[dict[str, Any]] = [task("a"), task("b", "a"), task("c", "b"), task("d")]
    world.play(tasks, {"a": [blocked], "*": [DONE], "d": good("d")})
    assert world.outcome("a") == ("blocked", "agent_blocked")
    assert world.task("a")["detail"] == "no credentials"
    for name in "bc":
        assert world.outcome(name) == ("blocked", "blocked_on")
        assert world.task(name)["blocked_on"] == "a"
    assert world.outcome("d") == ("integrated", "integrated")


def test_the_breaker_stops_the_run(world: World):
    blocked = [{"report": {"status": "BLOCKED", "blocker": "no"}}]
    world.play([task(name) for name in "abcde"], dict.fromkeys("abcde", blocked), sets=["jobs=1"])
    states = [world.outcome(name) for name in "abcde"]
    assert states == [("blocked", "agent_blocked")] * 3 + [("cancelled", "breaker")] * 2
    assert world.document["state"] == "failed"
    stops = [event for event in world.events() if isinstance(event, DispatchStopped)]
    assert [stop.reason for stop in stops] == [StopReason.BREAKER]


def test_a_kickback_stops_and_holds(world: World):
    back = {"report": {"status": "KICKBACK", "kickback": {"signal": "spec_incomplete", "details": "what is X?"}}}
    world.play([task("a"), task("b", "a")], {"a": [back], "b": good("b")}, unattended=False)
    assert world.outcome("a") == ("awaiting_decision", "kickback")
    assert world.outcome("b")[0] == "waiting"
    world.resume(unattended=True)
    assert world.document["state"] == "failed"
    assert world.outcome("b")[0] == "cancelled" or world.outcome("b") == ("blocked", "blocked_on")


def test_missing_context_is_given_from_the_repository(world: World):
    ask = {"report": {"status": "NEEDS_CONTEXT", "missing_context": ["What does src/app.py return?"]}}
    scenario = {"a": {"attempts": {1: [ask], 2: [{"read_brief_check": "return 1"}, *good("a")]}}}
    world.play([task("a")], scenario)
    assert world.outcome() == ("integrated", "integrated")


def test_missing_context_that_nobody_has_is_asked_for(world: World):
    ask = {"report": {"status": "NEEDS_CONTEXT", "missing_context": ["What is the colour of the sky?"]}}
    world.play([task("a")], {"a": [ask]}, unattended=False)
    assert world.outcome() == ("awaiting_decision", "needs_context")
    assert "colour of the sky" in world.document["decisions"][0]["question"]


BAD_REPORTS: dict[str, dict[str, Any]] = {
    "empty": {"report_text": ""},
    "malformed": {"report_text": "{not json"},
    "unknown status": {"report": {"status": "FINE"}},
    "10 MB": {"report_text": {"text": '{"status": "DONE"', "size": 10_000_000}},
    "a link": {"report_text": {"symlink": "/etc/passwd"}},
    "a pipe": {"report_text": {"fifo": True}},
    "a folder": {"report_text": {"folder": True}},
}


@pytest.mark.parametrize("kind", BAD_REPORTS)
def test_an_unusable_report_is_judged_on_evidence(world: World, kind: str):
    """I6: with a change the evidence decides; without one the attempt failed."""
    scenario = {"a": [write("a.txt"), BAD_REPORTS[kind]], "b": [BAD_REPORTS[kind]]}
    world.play([task("a"), task("b")], scenario, sets=["caps.report_grace=1s"])
    assert world.outcome("a") == ("integrated", "integrated"), world.task("a")["detail"]
    assert world.outcome("b") == ("failed", "invalid_report"), world.task("b")["detail"]
    assert any(warning["task"] == "a" for warning in world.document["warnings"])


def test_no_report_at_all_is_judged_on_evidence(world: World):
    world.play([task("a"), task("b")], {"a": [write("a.txt")], "b": [{"print": "hello"}]})
    assert world.outcome("a") == ("integrated", "integrated"), world.task("a")["detail"]
    assert world.outcome("b") == ("failed", "invalid_report"), world.task("b")["detail"]


def test_a_report_in_the_final_message_counts(world: World):
    world.play([task("a")], {"a": [write("a.txt"), {"report_fence": {"status": "BLOCKED", "blocker": "why"}}]})
    assert world.outcome() == ("blocked", "agent_blocked")


@pytest.mark.parametrize("end", [{"exit": 3}, {"crash": "KILL"}, {"crash": "SEGV"}])
def test_a_crash_without_a_report_is_a_crash_even_with_a_change(world: World, end: dict[str, Any]):
    world.play([task("a")], {"a": {"attempts": {1: [write("a.txt"), end], 2: good("a")}}})
    assert world.outcome() == ("integrated", "integrated")
    assert world.task()["attempts"] == 2


def test_a_valid_report_beats_the_exit_code_with_a_warning(world: World):
    world.play([task("a")], {"a": [*good("a"), {"exit": 1}]})
    assert world.outcome() == ("integrated", "integrated")
    assert [warning["task"] for warning in world.document["warnings"]].count("a") == 1


def test_concerns_are_fixed_on_the_sealed_change(world: World):
    doubt = {"status": "DONE_WITH_CONCERNS", "concerns": [{"kind": "correctness", "text": "off by one"}]}
    scenario = {
        "a": {
            "roles": {
                "implementer": [write("a.txt", "1\n"), {"report": doubt}],
                "fixer": [
                    {"read_brief_check": "off by one"},
                    {"replace": {"path": "a.txt", "old": "1", "new": "2"}},
                    DONE,
                ],
            }
        }
    }
    world.play([task("a")], scenario)
    assert world.outcome() == ("integrated", "integrated")
    assert world.task()["attempts"] == 2
    assert world.landed("a.txt") == "2"


def test_an_info_concern_is_no_reason_to_wait(world: World):
    doubt = {"status": "DONE_WITH_CONCERNS", "concerns": [{"kind": "info", "text": "long file"}]}
    world.play([task("a")], {"a": [write("a.txt"), {"report": doubt}]})
    assert world.outcome() == ("integrated", "integrated")
    assert world.task()["attempts"] == 1


def test_an_agent_that_is_not_there_is_told_before_anything_starts(world: World):
    with pytest.raises(UserError, match="no-such-agent"):
        world.play_command([task("a")], "no-such-agent --flag")
    assert not [ref for ref in world.refs() if "chargehand" in ref]


def test_a_gate_that_cannot_run_stops_before_any_agent(world: World):
    gate = {"id": "lint", "run": ["no-such-linter", "."]}
    world.play([task("a")], {"a": good("a")}, gates=[gate])
    assert world.outcome() == ("cancelled", "run_stopped")
    assert world.task()["attempts"] == 0
    assert "no-such-linter" in world.task()["detail"]


def test_needs_human_is_asked_before_dispatch(world: World):
    world.play([task("a", needs_human=True)], {"a": good("a")}, unattended=False)
    assert world.task()["attempts"] == 0
    asked = [event for event in world.events() if isinstance(event, DecisionAsked)]
    assert [event.decision.choices for event in asked] == [("approve", "reject")]
    world.resume(unattended=True)
    assert world.outcome() == ("blocked", "needs_human")
