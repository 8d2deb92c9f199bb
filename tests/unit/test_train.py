"""The train: candidates are built and gated on each other before they land (SPEC 6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.effects import Land, MergeCandidate, RunGates, StartAttempt
from chargehand.domain.events import EffectLost, TaskEndAsked
from chargehand.domain.outcome import FaultKind, Role
from chargehand.domain.plan import Command, GatePoint
from chargehand.domain.policy import Policy
from chargehand.domain.words import Reason, TaskStatus
from chargehand.engine.jobs import gate_job
from tests.play import BASE, Play, a_gate, a_plan, a_task, crashed, failed, faulty, passed
from tests.watched import Watched

S = TaskStatus


def coupled(*names: str, merged: bool = True, **options: Any) -> Watched:
    """Tasks whose candidates are built on each other, their gates running."""
    gates = options.pop("gates", [a_gate("tests", GatePoint.INTEGRATE)])
    play = Watched(a_plan(*(a_task(name) for name in names), gates=gates), **{"jobs": len(names), **options})
    play.begin()
    for name in names:
        play.attempt(name)
    for name in names if merged else ():
        play.merge(name)
    return play


def gate_runs(play: Play) -> list[tuple[str, str]]:
    """Which candidates were gated, by task, and on which head."""
    found = [event.effect for event in play.events if hasattr(event, "effect")]
    return [(effect.task, effect.base) for effect in found if isinstance(effect, RunGates)]


def test_three_green_candidates_land_in_order_and_are_gated_once():
    """head+A, head+A+B, head+A+B+C at the same time [I3]."""
    play = coupled("a", "b", "c")
    commits = [play.task(name).candidate.commit for name in "abc"]
    assert [play.task(name).candidate.head for name in "abc"] == [BASE, *commits[:2]]
    assert all(play.effect(RunGates, name) for name in "abc")
    for name in "cba":
        play.gates(name)
    for name, commit in zip("abc", commits, strict=True):
        assert play.effect(Land, name).commit == commit
        play.land(name)
    assert play.branch == commits[-1]
    assert gate_runs(play) == [("a", BASE), ("b", commits[0]), ("c", commits[1])]


def test_a_green_one_waits_for_the_one_before_it_and_then_lands_at_once():
    play = coupled("a", "b")
    play.gates("b")
    assert play.task("b").candidate_green
    assert play.task("b").inflight is None
    play.gates("a")
    play.land("a")
    assert play.effect(Land, "b").head == play.task("a").landed


def test_nothing_is_built_on_a_candidate_that_is_not_there_yet():
    play = coupled("a", "b", merged=False)
    play.effect(MergeCandidate, "a")
    assert play.task("b").inflight is None


def test_the_red_one_in_the_middle_is_the_culprit():
    """The first red prefix names it; those behind it are rebuilt and land [I3]."""
    play = coupled("a", "b", "c")
    play.gates("c", "tests")
    assert play.task("c").status is S.INTEGRATING, "red behind others says nothing yet"
    play.gates("b", "tests")
    assert play.task("b").status is S.INTEGRATING
    play.gates("a")
    play.land("a")
    assert play.task("b").failure.reason is Reason.GATE_RED
    assert play.effect(StartAttempt, "b").role is Role.IMPLEMENTER
    assert play.effect(MergeCandidate, "c").head == play.branch
    play.integrate("c")
    assert play.task("c").status is S.INTEGRATED
    play.integrate("b")
    play.through("b")
    assert play.state.finished


def test_a_red_first_one_takes_nobody_with_it():
    play = coupled("a", "b")
    play.gates("b")
    play.gates("a", "tests")
    assert play.task("a").failure.reason is Reason.GATE_RED
    assert play.effect(MergeCandidate, "b").head == BASE, "what it was built on will never land"
    play.merge("b")
    assert play.effect(RunGates, "b").base == BASE
    play.gates("b")
    play.land("b")
    assert play.task("b").status is S.INTEGRATED


def test_gates_of_what_will_never_land_are_let_end_and_told_nothing():
    """They run on while the one before is sent back; what they say is about a tree that nobody wants."""
    play = coupled("a", "b")
    play.gates("a", "tests")
    old = play.effect(RunGates, "b")
    play.gates("b", "tests")
    assert play.task("b").status is S.INTEGRATING
    assert play.effect(MergeCandidate, "b").head == BASE
    play.merge("b")
    assert play.effect(RunGates, "b").commit != old.commit


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_of_a_premature_candidate_waits_too(kind):
    play = coupled("a", "b")
    play.gates("b", faulty("tests", kind))
    assert play.task("b").inflight is None
    assert not play.state.decisions
    play.gates("a")
    play.land("a")
    assert play.task("b").inflight or play.state.decisions, "now it is looked into"


def test_a_conflict_with_one_before_it_waits_until_that_has_landed():
    """It may go well without it."""
    play = coupled("a", "b", "c", merged=False)
    play.merge("a")
    play.merge("b", conflict=["list"])
    assert play.task("b").status is S.INTEGRATING
    assert play.task("c").inflight is None, "there is nothing to build it on"
    play.gates("a")
    play.land("a")
    assert play.task("b").tries.conflicts == 1
    assert play.effect(StartAttempt, "b").base == play.branch
    assert play.effect(MergeCandidate, "c").head == play.branch


def test_a_conflict_with_one_that_never_lands_is_none():
    play = coupled("a", "b", merged=False)
    play.merge("a")
    play.merge("b", conflict=["list"])
    play.gates("a", "tests")
    assert play.task("b").tries.conflicts == 0
    assert play.effect(MergeCandidate, "b").head == BASE


def test_a_skip_in_the_middle_rebuilds_those_behind():
    play = coupled("a", "b", "c")
    for name in "bc":
        play.gates(name)
    play.record(TaskEndAsked(task="b", status=S.SKIPPED, reason=Reason.HUMAN, by="me"))
    assert play.task("b").status is S.SKIPPED
    assert play.effect(MergeCandidate, "c").head == play.task("a").candidate.commit
    play.merge("c")
    play.gates("c")
    play.gates("a")
    play.land("a")
    play.land("c")
    assert play.state.finished
    assert [task for task, _ in gate_runs(play)] == ["a", "b", "c", "c"]


def test_a_branch_that_somebody_else_moved_holds_the_whole_train():
    play = coupled("a", "b")
    for name in "ab":
        play.gates(name)
    play.land("a", moved="foreign")
    assert play.asked().reason is Reason.BRANCH_MOVED
    assert not play.state.inflight
    play.answer("retry")
    play.opened("foreign")
    assert play.effect(MergeCandidate, "b").head == "foreign"
    play.merge("b")
    assert play.effect(MergeCandidate, "a").head == play.task("b").candidate.commit
    play.integrate("b")
    play.integrate("a")
    assert [play.task(name).status for name in "ab"] == [S.INTEGRATED, S.INTEGRATED]


def test_a_lost_gate_run_is_made_again():
    play = coupled("a", "b")
    key = play.effect(RunGates, "b").key
    play.record(EffectLost(key=key, detail="gone"))
    assert play.effect(RunGates, "b").key == key


def test_candidates_hold_the_slots_of_their_tasks():
    """I10: gating ahead takes no slot of its own, and gives none away."""
    play = Watched(a_plan(*(a_task(name) for name in "abc"), gates=[a_gate("tests")]), jobs=2)
    play.begin()
    play.attempt("a")
    play.attempt("b")
    assert (play.running, list(play.state.live)) == ([], ["a", "b"])
    play.merge("a")
    play.merge("b")
    play.gates("a")
    play.land("a")
    assert play.running == ["c"]


def test_without_gates_they_land_one_by_one():
    play = coupled("a", "b", merged=False, gates=[])
    play.merge("a")
    play.land("a")
    assert play.effect(MergeCandidate, "b").head == play.branch
    play.integrate("b")
    assert play.state.finished


def test_verify_runs_again_where_the_candidate_s_tree_is_another():
    """Behind others it always is; first, and unchanged by the merge, it is not."""
    verify = (Command(argv=("check",)),)
    play = Watched(a_plan(*(a_task(name, verify=verify) for name in "ab"), gates=[a_gate("tests")]), jobs=2)
    play.begin()
    for name in "ab":
        play.attempt(name)
        play.gates(name)
    play.merge("a", tree=play.task("a").sealed.tree)
    play.merge("b")
    assert play.checks(play.effect(RunGates, "a")) == ["tests"]
    assert play.checks(play.effect(RunGates, "b")) == ["verify-1", "tests"]


def test_a_gate_that_was_red_on_the_base_is_required_once_it_landed_green():
    """Green ahead of time counts when it has landed."""
    gates = [a_gate("tests", GatePoint.INTEGRATE)]
    play = Watched(a_plan(a_task("a"), a_task("b"), gates=gates), jobs=2)
    play.begin(failed("tests"))
    for name in "ab":
        play.attempt(name)
    for name in "ab":
        play.merge(name)
    play.gates("b")
    assert "tests" in play.state.baseline_red
    play.gates("a", "tests")
    play.land("a")
    assert "tests" in play.state.baseline_red
    play.land("b")
    assert "tests" not in play.state.baseline_red


def test_a_premature_red_one_that_is_first_later_is_judged_as_it_was():
    """What it was built on has landed: its red result is about exactly what would land."""
    play = coupled("a", "b", policy=Policy(retries=0))
    play.gates("b", "tests")
    play.gates("a")
    play.land("a")
    assert play.asked().reason is Reason.GATE_RED
    assert play.asked().task == "b"
    play.answer("retry")
    play.attempt("b", crashed())
    assert play.asked().reason is Reason.CRASH


def test_test_ids_are_held_against_what_landed_last():
    """3.7.4: what ran before has to run again; where the tree before is another one, nothing is known of it."""
    gates = [a_gate("tests", GatePoint.TASK, GatePoint.INTEGRATE, junit=True), a_gate("lint", GatePoint.TASK)]
    play = Watched(a_plan(a_task("a"), a_task("b"), gates=gates), jobs=2)

    def baseline(task: str) -> str:
        return gate_job(play.state, play.effect(RunGates, task)).checks[0].baseline

    play.begin(replace(passed("tests"), tests="canary.json"))
    play.attempt("a")
    play.attempt("b")
    assert baseline("a") == "canary.json"
    play.gates("a")
    play.merge("a")
    play.gates("a", replace(passed("tests"), tests="a.json"))
    play.land("a")
    assert baseline("b") == "", "it began on another tree"
    play.gates("b")
    play.merge("b")
    assert baseline("b") == "a.json"


# -- tests that are gone ----------------------------------------------------------------------------


def without_a_test(*, meanwhile: bool) -> Watched:
    """b was held against the tests of the base, of which a, that may, takes one away; `meanwhile`: a landed first."""
    play = coupled("a", "b", gates=[a_gate("tests", GatePoint.INTEGRATE, junit=True)])
    gone = replace(failed("tests"), vanished=("t1",))
    if meanwhile:
        play.gates("a")
        play.land("a")
        play.gates("b", gone)
    else:
        play.gates("b", gone)
        assert play.task("b").status is S.INTEGRATING
        play.gates("a")
        play.land("a")
    return play


@pytest.mark.parametrize("meanwhile", [True, False])
def test_tests_that_went_with_what_landed_before_it_are_not_missed(meanwhile: bool):
    """3.7.4: it is gated once more, held against the tests that landed."""
    play = without_a_test(meanwhile=meanwhile)
    assert play.effect(RunGates, "b").key == "b/1/integrate-2"
    play.gates("b")
    play.land("b")
    assert (play.task("b").status, play.task("b").attempts) == (S.INTEGRATED, 1)


@pytest.mark.parametrize("meanwhile", [True, False])
def test_tests_that_are_still_missed_are_red(meanwhile: bool):
    """Once is enough: what it took away itself is its own fault."""
    play = without_a_test(meanwhile=meanwhile)
    play.gates("b", replace(failed("tests"), vanished=("t2",)))
    assert (play.task("b").status, play.task("b").failure.reason) == (S.RUNNING, Reason.GATE_RED)


def test_what_is_red_for_another_reason_is_not_gated_once_more():
    play = coupled("a", "b", gates=[a_gate("tests", GatePoint.INTEGRATE), a_gate("lint", GatePoint.INTEGRATE)])
    play.gates("b", replace(failed("tests"), vanished=("t1",)), "lint")
    play.gates("a")
    play.land("a")
    assert play.running == ["b"]
