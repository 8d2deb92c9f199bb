"""How waves and runs end (SPEC 3.1, 3.3, 6)."""

from __future__ import annotations

import pytest

from chargehand.domain.closing import interface_mismatches
from chargehand.domain.decide import wake_at
from chargehand.domain.effects import RunGates, StartAttempt
from chargehand.domain.events import GateMadeRequired, WaveEnded
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import ExitKind, ReportStatus
from chargehand.domain.plan import Barrier, GatePoint, Interfaces
from chargehand.domain.policy import Policy
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, TaskStatus
from tests.looks import no_verdict
from tests.play import BASE, UNFITTED, Play, a_gate, a_plan, a_task, crashed, done, ended, failed, faulty

RUN = a_gate("tests", GatePoint.RUN)
WAVE = a_gate("wave", GatePoint.WAVE)


def waves(*tasks, **options) -> Play:
    gates = options.pop("gates", [WAVE])
    play = Play(a_plan(*tasks, barrier=Barrier.WAVE, gates=gates), jobs=4, **options)
    play.begin()
    return play


def last_wave(**options) -> Play:
    """One wave, its one task integrated, its gates running."""
    play = waves(a_task("a"), **options)
    play.through("a")
    return play


# -- waves ----------------------------------------------------------------------------------------


def test_the_next_wave_starts_when_the_gates_of_the_last_are_green():
    play = waves(a_task("a", wave=1), a_task("b", wave=1), a_task("c", wave=2), a_task("d", wave=4))
    assert play.running == ["a", "b"]
    play.through("a")
    assert play.running == ["b"]
    play.through("b")
    gates = play.effect(RunGates)
    assert (gates.point, gates.commit, gates.key) == (GatePoint.WAVE, play.state.head, "wave-1/0/gates")
    assert play.running == []
    events = play.gates()
    assert WaveEnded(wave=1) in events
    assert play.running == ["c"]
    play.through("c")
    play.gates()
    assert play.running == ["d"]
    play.through("d")
    play.gates()
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_wave_without_gates_ends_with_its_tasks():
    play = waves(a_task("a"), a_task("b", "a"), gates=[])
    play.through("a")
    assert WaveEnded(wave=1) in play.events
    assert play.running == ["b"]


def test_the_next_wave_starts_those_not_blocked():
    play = waves(a_task("a"), a_task("b"), a_task("c", "a"), a_task("d", "b"))
    play.attempt("a", done(ReportStatus.BLOCKED, summary="no"))
    play.through("b")
    play.gates()
    assert play.task("c").blocked_on == "a"
    assert play.running == ["d"]


def test_a_red_wave_gets_three_fixes_then_a_question():
    """3.3: red → a fix task, at most 3 rounds, then a decision."""
    play = last_wave()
    for number in (1, 2, 3):
        play.gates("", failed("wave", tail=f"red {number}"))
        fix = f"fix-{number}"
        assert play.running == [fix]
        assert f"red {number}" in play.task(fix).task.description
        assert play.state.wave_of[fix] == 1
        play.through(fix)
    play.gates("", "wave")
    assert play.asked().kind is DecisionKind.WAVE
    assert "after 3 fix rounds" in play.asked().question
    assert not play.state.finished, "the question of the last wave is not closed over"
    assert play.record() == []
    play.answer("continue")
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_red_wave_unattended_stops():
    play = waves(a_task("a"), a_task("b", "a"), unattended=True)
    play.through("a")
    for number in (1, 2, 3):
        play.gates("", "wave")
        play.through(f"fix-{number}")
    play.gates("", "wave")
    assert play.task("b").reason is Reason.RUN_STOPPED
    assert play.state.finished.verdict is RunVerdict.FAILED


def test_a_fix_that_did_not_land_ends_the_rounds():
    play = last_wave()
    play.gates("", "wave")
    for _ in range(2):
        play.attempt("fix-1", crashed())
    play.answer("skip")
    assert play.asked().kind is DecisionKind.WAVE
    assert "after 1 fix rounds" in play.asked().question


def test_each_wave_has_its_own_rounds():
    """A fix that failed in one wave says nothing about the next."""
    play = waves(a_task("a"), a_task("b", "a"))
    play.through("a")
    play.gates("", "wave")
    for _ in range(2):
        play.attempt("fix-1", crashed())
    play.answer("skip")
    play.answer("continue")
    play.through("b")
    play.gates("", "wave")
    assert play.running == ["fix-2"]
    play.through("fix-2")
    play.gates()
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_wave_gate_that_could_not_judge_is_no_task_for_a_fixer():
    play = last_wave(**UNFITTED)
    play.gates("", faulty("wave"))
    assert play.asked().kind is DecisionKind.WAVE
    assert "no verdict" in play.asked().question
    play.answer("stop")
    assert play.state.finished.verdict is RunVerdict.FAILED


def test_the_end_waits_for_the_fitter_of_the_last_wave():
    """While a provider asked to wait, nothing is gated that comes after the wave."""
    play = last_wave()
    for _ in range(2):
        play.gates("", faulty("wave"))
    play.attempt("", ended(ExitKind.RATE_LIMITED))
    assert not play.state.inflight
    again_s = wake_at(play.state, play.now)
    assert again_s is not None
    play.pass_time(again_s - play.now)
    assert play.effect(StartAttempt).gate == "wave"


def test_a_question_about_a_wave_waits_for_no_provider():
    """I13: when one fitter waits and another one had no answer, only a person can go on."""
    play = last_wave(reviewer="second", agents=[AgentDef(name="second", kind="command", fallback="agent")])
    for _ in range(2):
        play.gates("", faulty("wave"))
    play.attempt("", ended(ExitKind.RATE_LIMITED))
    play.attempt("", no_verdict())
    assert play.asked().kind is DecisionKind.WAVE
    assert play.state.waits_for_people
    assert wake_at(play.state, play.now) is None


def consumer(text: str):
    return a_task("b", "a", interfaces=Interfaces(consumes=(text,)))


@pytest.mark.parametrize(
    ("reported", "consumed", "matches"),
    [
        ("add(x: int) -> int", "add(x:int)->int", True),
        ("add(x: str) -> int", "add(x: int) -> int", False),
        ("add(x: str) -> int", "add", True),
        ("other(x)", "add(x)", True),
    ],
)
def test_interfaces_of_a_wave_are_compared_with_what_later_tasks_consume(reported, consumed, matches):
    """3.3: mismatched → a fix task."""
    play = waves(a_task("a"), consumer(consumed), gates=[])
    play.attempt("a", done(interfaces=(reported,)))
    play.integrate("a")
    assert play.running == (["b"] if matches else ["fix-1"])
    if not matches:
        assert "but a reports" in play.task("fix-1").task.description
        play.attempt("fix-1", done(interfaces=(consumed,)))
        play.integrate("fix-1")
        assert play.running == ["b"]
        assert interface_mismatches(play.state, 1) == []


def test_waves_that_nobody_selected_are_passed_by():
    """`--only` with waves: nothing of the first wave is wanted, and nothing waits for it."""
    play = waves(a_task("a", wave=1), a_task("b", wave=2), a_task("c", wave=3), only=("c",), gates=[])
    assert play.running == ["c"]
    play.through("c")
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_gates_of_waves_that_changed_nothing_run_once():
    """The same question is never paid for twice."""
    play = waves(a_task("a", wave=1), a_task("b", wave=2), a_task("c", wave=3), only=("c",))
    assert play.effect(RunGates).commit == BASE
    play.gates()
    assert play.running == ["c"]


def test_a_baseline_gate_at_the_end_of_a_wave():
    """Red on the base: advisory until first green on the integrated head, required from then on."""
    play = Play(a_plan(a_task("a"), a_task("b", "a"), a_task("c", "b"), barrier=Barrier.WAVE, gates=[WAVE]))
    play.begin(failed("wave"))
    play.through("a")
    play.gates("", "wave")
    assert play.running == ["b"]
    play.through("b")
    events = play.gates()
    assert GateMadeRequired(gate="wave") in events
    play.through("c")
    play.gates("", "wave")
    assert play.running == ["fix-1"]


# -- the run --------------------------------------------------------------------------------------


def finished(*results, gates=(RUN,), options=None, **plan) -> Play:
    """A run of one task that is integrated; its run gates are running."""
    play = Play(a_plan(a_task("a"), gates=gates, **plan), **(options or {}))
    play.begin(*results)
    play.through("a")
    return play


def test_run_gates_on_the_final_tree_decide():
    play = finished()
    gates = play.effect(RunGates)
    assert (gates.point, gates.commit, gates.tree) == (GatePoint.RUN, play.state.head, play.state.head_tree)
    play.gates()
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_red_run_gate_gets_three_fix_tasks():
    """6: at most 3 fix rounds, each a task of its own."""
    play = finished()
    for number in (1, 2, 3):
        play.gates("", failed("tests", "test_x", tail="boom"))
        fix = f"fix-{number}"
        assert "failing: test_x" in play.task(fix).task.description
        assert "boom" in play.task(fix).task.description
        play.through(fix)
    play.gates("", "tests")
    assert play.state.finished.verdict is RunVerdict.FAILED
    assert "gate tests is red on the final tree" in play.state.finished.detail
    assert len(play.state.tasks) == 4


def test_waves_and_runs_have_bounds_of_their_own():
    policy = Policy(wave_fixes=1, run_fixes=2)
    play = last_wave(gates=[WAVE, RUN], policy=policy)
    play.gates("", "wave")
    play.through("fix-1")
    play.gates("", "wave")
    play.answer("continue")
    for fix in ("fix-2", "fix-3"):
        play.gates("", "tests")
        play.through(fix)
    play.gates("", "tests")
    assert play.state.finished.verdict is RunVerdict.FAILED


def test_a_fix_makes_the_run_green():
    play = finished()
    play.gates("", "tests")
    play.through("fix-1")
    play.gates()
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_fix_task_that_fails_ends_the_run():
    play = Play(a_plan(a_task("a"), gates=[RUN]), unattended=True)
    play.begin()
    play.through("a")
    play.gates("", "tests")
    for _ in range(2):
        play.attempt("fix-1", crashed())
    assert play.state.finished.verdict is RunVerdict.FAILED
    assert "fix-1" in play.state.finished.detail
    assert "gate tests is red" in play.state.finished.detail


def test_names_of_fix_tasks_leave_those_of_the_plan_alone():
    play = Play(a_plan(a_task("fix-1"), gates=[RUN]))
    play.begin()
    play.through("fix-1")
    play.gates("", "tests")
    assert play.running == ["fix-2"]


def test_run_gates_run_also_when_tasks_were_lost_but_nothing_is_fixed():
    play = Play(a_plan(a_task("a"), a_task("b"), gates=[RUN]), unattended=True, jobs=2)
    play.begin()
    play.attempt("a", crashed())
    play.attempt("a", crashed())
    play.through("b")
    play.gates("", "tests")
    assert play.state.finished.verdict is RunVerdict.FAILED
    assert play.state.finished.detail == ("1 of 2 tasks are not integrated: a; gate tests is red on the final tree.")


def test_a_skipped_task_does_not_fail_the_run():
    play = Play(a_plan(a_task("a"), a_task("b")), jobs=1)
    play.begin()
    for _ in range(2):
        play.attempt("a", crashed())
    play.answer("skip")
    play.through("b")
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_allow_red_lets_a_gate_be_red_at_the_end():
    """3.1: a run gate red at the end means exit 1 unless listed in `allow_red`; nobody is asked to fix it."""
    play = finished(allow_red=("tests",))
    play.gates("", "tests")
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_gate_that_may_be_red_is_not_fixed_beside_one_that_may_not():
    other = a_gate("lint", GatePoint.RUN)
    play = finished(failed("lint"), gates=(RUN, other), allow_red=("tests",))
    play.gates("", "tests", "lint")
    assert play.state.finished.verdict is RunVerdict.FAILED
    assert play.state.finished.detail == "gate lint is red on the final tree."


def test_a_gate_red_on_the_base_and_at_the_end_fails_the_run():
    play = finished(failed("tests"))
    play.gates("", "tests")
    assert play.state.finished.verdict is RunVerdict.FAILED
    assert len(play.state.tasks) == 1


def test_with_test_ids_old_failures_are_excused_to_the_end():
    play = finished(failed("tests", "old"))
    play.gates("", failed("tests", "old"))
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_with_test_ids_new_failures_count():
    play = finished(failed("tests", "old"))
    play.gates("", failed("tests", "old", "new"))
    description = play.task("fix-1").task.description
    assert "failing: new" in description
    assert "failing: old" not in description


def test_a_gate_green_at_the_end_is_made_required():
    play = finished(failed("tests"))
    events = play.gates()
    assert GateMadeRequired(gate="tests") in events
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_run_gate_that_could_not_judge_is_red():
    play = finished(options=UNFITTED)
    play.gates("", faulty("tests"))
    assert play.state.finished.verdict is RunVerdict.FAILED
    assert len(play.state.tasks) == 1


def test_a_gate_green_as_merged_is_required_from_then_on():
    """Advisory until first green on the integration head; a task gate on its own tree does not count."""
    gates = [a_gate("tests", GatePoint.INTEGRATE), a_gate("lint", GatePoint.TASK)]
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c"), gates=gates), jobs=1)
    play.begin(failed("tests"), failed("lint"))
    play.attempt("a")
    play.gates("a")
    play.merge("a")
    play.gates("a", "tests")
    assert play.state.inflight[play.task("a").inflight].key == "a/1/land", "advisory"
    play.integrate("a")
    play.through("b")
    assert list(play.state.baseline_red) == ["lint"]
    play.attempt("c")
    play.gates("c")
    play.merge("c")
    play.gates("c", "tests")
    assert play.task("c").failure.reason is Reason.GATE_RED


def test_a_wave_of_fixes_of_the_run_belongs_to_no_wave():
    play = Play(a_plan(a_task("a"), barrier=Barrier.WAVE, gates=[WAVE, RUN]))
    play.begin()
    play.through("a")
    play.gates()
    play.gates("", "tests")
    assert play.running == ["fix-1"]
    play.through("fix-1")
    assert play.effect(RunGates).point is GatePoint.RUN
    play.gates()
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_the_first_of_several_decisions_is_answered_before_the_end():
    play = Play(a_plan(a_task("a", needs_human=True), a_task("b", needs_human=True)), jobs=2)
    play.begin()
    assert len(play.state.decisions) == 2
    play.answer("reject", "d1")
    assert not play.state.finished
    play.answer("reject", "d2")
    assert play.state.finished.detail == "2 of 2 tasks are not integrated: a, b."
    assert play.task("a").status is TaskStatus.BLOCKED
