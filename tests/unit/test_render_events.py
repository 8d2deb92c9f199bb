"""Every event there is has a line for people and a document for programs."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.cli.render.event_json import event_document, type_name
from chargehand.cli.render.lines import Line, say
from chargehand.cli.render.text import to_json
from chargehand.domain.effects import Land, StartAttempt
from chargehand.domain.events import (
    DecisionAsked,
    EffectIntended,
    Event,
    GatesFinished,
    LandFinished,
    Recorded,
    TaskAdded,
    TaskEnded,
    WarningRaised,
    WaveEnded,
)
from chargehand.domain.outcome import GateResult, GateStatus, HeadMoved, Role
from chargehand.domain.plan import GatePoint, Task
from chargehand.domain.words import Decision, DecisionKind, Reason, TaskStatus

KINDS = get_args(Event)


def built(kind: Any) -> Any:
    return st.builds(kind, **dict.fromkeys((field.name for field in fields(kind)), ...))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_has_a_line_and_a_document(kind: Any):
    """I14: also those of journals that hold strange text."""

    @settings(max_examples=15, deadline=None)
    @given(built(kind))
    def check(event: Event):
        line = say(event)
        assert isinstance(line, Line)
        assert line.what
        document = json.loads(to_json(event_document(Recorded(seq=3, at=1.5, event=event), "run-1"), indent=None))
        assert (document["seq"], document["at"], document["run"]) == (3, "1970-01-01T00:00:01.500Z", "run-1")
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", document["type"])
        assert {"task", "attempt"} <= set(document)

    check()


def document(event: Event) -> dict[str, Any]:
    return event_document(Recorded(seq=1, at=0.0, event=event), "r")


def test_names_of_types():
    assert type_name(WarningRaised) == "warning_raised"
    assert len({type_name(kind) for kind in KINDS}) == len(KINDS)


def test_an_effect_names_its_task_and_its_kind():
    effect = StartAttempt(key="a/1/attempt", task="a", attempt=1, role=Role.IMPLEMENTER, base="b" * 40)
    made = document(EffectIntended(effect=effect))
    assert (made["type"], made["task"], made["attempt"]) == ("effect_intended", "a", 1)
    assert made["effect"]["type"] == "start_attempt"
    assert made["effect"]["role"] == "implementer"


def test_what_is_not_about_a_task_says_null():
    made = document(WarningRaised(code="x", text="y"))
    assert made == {
        "seq": 1,
        "at": "1970-01-01T00:00:00.000Z",
        "type": "warning_raised",
        "run": "r",
        "task": None,
        "attempt": None,
        "code": "x",
        "text": "y",
    }


def test_an_added_task_keeps_its_definition_beside_its_id():
    made = document(TaskAdded(task=Task(id="fix-1", title="Fix"), point=GatePoint.RUN, wave=0))
    assert made["task"] == "fix-1"
    assert made["added_task"]["title"] == "Fix"


def test_a_question_is_about_its_task():
    asked = Decision(
        id="d1",
        task="a",
        kind=DecisionKind.START,
        reason=Reason.NEEDS_HUMAN,
        question="May it?",
        choices=("approve", "reject"),
        default="reject",
    )
    assert document(DecisionAsked(decision=asked))["task"] == "a"
    line = say(DecisionAsked(decision=asked))
    assert (line.task, line.detail) == ("a", "d1: May it? [approve | reject]")


def test_one_of_several_results_says_which():
    made = document(LandFinished(key="a/1/land", task="a", attempt=1, result=HeadMoved(actual=None)))
    assert made["result"] == {"type": "head_moved", "actual": None}
    assert say(LandFinished(key="k", task="a", attempt=1, result=HeadMoved(actual=None))).what == "head_moved"


def test_a_gate_that_is_red_as_on_the_base_is_neither_green_nor_news():
    def result(gate: str, status: GateStatus, *tests: str) -> GateResult:
        return GateResult(gate=gate, tree="t", status=status, failed_tests=tests or None)

    base = {"lint": result("lint", GateStatus.FAIL), "tests": result("tests", GateStatus.FAIL, "t1", "t2")}

    def told(*results: GateResult) -> tuple[str, str]:
        event = GatesFinished(key="k", task="a", attempt=1, point=GatePoint.TASK, commit="c" * 40, results=results)
        line = say(event, base=base)
        return line.reason, line.detail

    fine = result("types", GateStatus.PASS)
    assert told(fine) == ("green", "types")
    assert told(fine, result("lint", GateStatus.FAIL)) == ("", "lint red as on the base; green: types")
    assert told(result("tests", GateStatus.FAIL, "t2")) == ("", "tests red as on the base")
    assert told(result("tests", GateStatus.FAIL, "t3"))[0] == "red"
    assert told(result("tests", GateStatus.FAIL))[0] == "red", "broken otherwise than before"
    reason, detail = told(result("types", GateStatus.FAIL), result("lint", GateStatus.FAIL))
    assert (reason, detail) == ("red", "types: fail; lint red as on the base")


def test_lines_say_what_people_ask_for():
    start = StartAttempt(key="a/2/attempt", task="a", attempt=2, role=Role.FIXER, base="b" * 40)
    assert say(EffectIntended(effect=start), agent="claude").detail == "attempt 2 by claude, as fixer, from bbbbbbbbbb"
    land = Land(key="a/2/land", task="a", attempt=2, head="c" * 40, commit="d" * 40)
    assert say(EffectIntended(effect=land)).detail == "moving the branch to dddddddddd"
    ended = TaskEnded(task="a", status=TaskStatus.FAILED, reason=Reason.GATE_RED, detail="tests: 2 failed")
    line = say(ended)
    assert (line.what, line.reason, line.detail) == ("failed", "gate_red", "tests: 2 failed")
    assert say(WaveEnded(wave=2)).detail == "nothing is left to do in wave 2", "perhaps nothing of it ever ran"
