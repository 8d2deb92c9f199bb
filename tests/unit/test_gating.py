"""What gate results mean (SPEC 3.1, 5; I7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chargehand.domain.gating import GateVerdict, due_checks, gate_failure, judge_gates, verify_ids
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.domain.plan import Command, GatePoint
from tests.play import a_gate, a_plan, a_task, failed, faulty, passed

TREE = "tree"


def on(result: GateResult, tree: str = TREE) -> GateResult:
    return replace(result, tree=tree)


def judge(*results: GateResult, baseline: tuple[GateResult, ...] = (), due: tuple[str, ...] = ()) -> GateVerdict:
    return judge_gates([on(r) for r in results], {b.gate: b for b in baseline}, due, TREE)


def names(results: tuple[GateResult, ...]) -> list[str]:
    return [result.gate for result in results]


def test_green_red_and_faulty():
    verdict = judge(passed("a"), failed("b"), faulty("c"))
    assert (names(verdict.red), names(verdict.faults), verdict.green) == (["b"], ["c"], ())
    assert not verdict.is_green
    assert judge(passed("a"), due=("a",)).is_green
    assert judge().is_green


def test_a_check_that_is_due_is_green_only_by_a_result():
    """I3, I7: silence, or a result for another tree, is a fault."""
    assert names(judge(passed("a"), due=("a", "b")).faults) == ["b"]
    other = judge_gates([on(passed("a"), "another")], {}, ("a",), TREE)
    assert names(other.faults) == ["a"]


def test_after_a_red_check_the_others_need_not_run():
    assert judge(failed("a"), due=("a", "b")).faults == ()
    assert names(judge(faulty("a"), due=("a", "b")).faults) == ["a"]


def test_skipped_is_a_result():
    skipped = GateResult(gate="syntax", tree="", status=GateStatus.SKIPPED)
    assert judge(skipped, due=("syntax",)).is_green


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        (failed("g"), failed("g"), "advisory"),
        (failed("g"), failed("g", "t1"), "advisory"),
        (failed("g", "t1"), failed("g", "t1"), "advisory"),
        (failed("g", "t1", "t2"), failed("g", "t1"), "advisory"),
        (failed("g", "t1"), failed("g", "t1", "t2"), "red"),
        (failed("g", "t1"), failed("g", "t2"), "red"),
        (failed("g", "t1"), failed("g"), "red"),
    ],
)
def test_the_baseline_excuses_what_was_red_before(before, now, kind):
    """3.1: with test ids only new failures count; without, advisory until first green."""
    verdict = judge(now, baseline=(before,))
    assert names(getattr(verdict, kind)) == ["g"]
    assert verdict.is_green is (kind == "advisory")


def test_green_though_red_on_the_base():
    assert judge(passed("g"), baseline=(failed("g"),)).green == ("g",)
    assert judge(faulty("g"), baseline=(failed("g"),)).green == ()


def test_the_checks_of_a_point():
    plan = a_plan(a_task("a"), gates=[a_gate("lint", GatePoint.TASK), a_gate("tests")])
    task = a_task("a", verify=(Command(argv=("x",)), Command(argv=("y",))))
    assert verify_ids(task) == ("verify-1", "verify-2")
    assert due_checks(plan, GatePoint.TASK, task) == ("verify-1", "verify-2", "lint")
    assert due_checks(plan, GatePoint.RUN) == ("tests",)


def test_the_failure_names_what_is_red_and_the_new_failures():
    before = failed("tests", "old")
    now = (failed("lint", tail="E501"), failed("tests", "old", "new", detail="1 failed", command="pytest"))
    failure = gate_failure(judge(*now, baseline=(before,)), {"tests": before}, GatePoint.RUN, ())
    assert failure.summary == "Red: lint, tests."
    assert failure.facts == ("lint: exit code 1 ()", "tests: 1 failed (pytest)", "failing: new")
    assert failure.tail == "E501"


def test_the_nearer_to_the_branch_the_better():
    due = ("verify-1", "lint", "unit")

    def severity(gate: str, point: GatePoint) -> int:
        return gate_failure(judge(failed(gate)), {}, point, due).severity

    ranks = [
        severity("setup", GatePoint.TASK),
        severity("lint", GatePoint.TASK),
        severity("unit", GatePoint.TASK),
        severity("verify-1", GatePoint.INTEGRATE),
        severity("unit", GatePoint.INTEGRATE),
    ]
    assert ranks == sorted(ranks, reverse=True)
    assert severity("setup", GatePoint.TASK) == severity("verify-1", GatePoint.TASK)


def test_the_same_red_has_the_same_signature():
    def sign(*results: GateResult) -> str:
        return gate_failure(judge(*results), {}, GatePoint.TASK, ()).signature

    assert sign(failed("a", tail="x")) == sign(failed("a", tail="x"))
    assert sign(failed("a", tail="x")) != sign(failed("a", tail="y"))
    assert sign(failed("a", tail="x")) != sign(failed("b", tail="x"))


def test_a_gate_without_tests_that_ran_before_is_red_also_where_it_was_red_on_the_base():
    """3.7.4: they have not passed, they are gone."""
    gone = replace(failed("tests", "t1"), vanished=("t2",))
    verdict = judge(gone, baseline=(failed("tests", "t1"),))
    assert names(verdict.red) == ["tests"]
