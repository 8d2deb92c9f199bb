"""The look at the run as a whole, and what it finds (SPEC 4)."""

from __future__ import annotations

from typing import Any

import pytest

from chargehand.domain.brief_looks import compose_look
from chargehand.domain.effects import RunGates, StartAttempt
from chargehand.domain.events import EffectLost, RunCancelled, RunPaused, RunReopened, RunResumed, TaskReopened
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import ExitKind, FaultKind, ReportStatus, Role
from chargehand.domain.plan import Features, GatePoint
from chargehand.domain.policy import Policy
from chargehand.domain.review import Ruling, Severity, Stage
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, TaskStatus
from chargehand.engine.jobs import attempt_spec
from tests.looks import a_finding, broke_rules, fails, fitted, no_verdict, not_met, passes
from tests.play import Play, a_gate, a_plan, a_task, crashed, done, ended, failed, faulty

S = TaskStatus


def whole(*tasks: Any, plan: Any = None, **options: Any) -> Play:
    """A run whose tasks have landed and which is looked at as a whole."""
    play = Play(a_plan(*(tasks or (a_task("a"),)), **(plan or {})), **{"review": True, **options})
    play.begin()
    for task in tasks or (a_task("a"),):
        lands(play, task.id)
    return play


def lands(play: Play, task: str) -> None:
    play.attempt(task)
    play.integrate(task)
    assert play.task(task).status is S.INTEGRATED


def look(play: Play) -> StartAttempt:
    effect = play.effect(StartAttempt)
    assert effect.role is Role.HOLISTIC_REVIEWER
    return effect


def told(play: Play) -> str:
    return compose_look(play.state, look(play)).text


def finished(play: Play) -> Any:
    return play.state.finished.verdict


# -- when and at what -----------------------------------------------------------------------------


def test_the_final_tree_is_looked_at_once_and_the_run_is_finished():
    play = whole(a_task("a"), plan={"goal": "All is well."})
    effect = look(play)
    assert (effect.task, effect.attempt, effect.base) == ("", 1, "base")
    assert (effect.commit, effect.tree, effect.since) == (play.state.head, play.state.head_tree, "")
    assert "All is well." in told(play)
    assert "a (Task a) landed as " in told(play)
    play.attempt("", passes())
    assert finished(play) is RunVerdict.FINISHED
    assert [each.tree for each in play.state.whole.reviews.judged] == [play.state.head_tree]


def test_a_look_at_the_whole_is_called_run():
    """4: `CHARGEHAND_TASK` of a holistic reviewer is `run`."""
    play = whole()
    spec = attempt_spec(play.state, look(play))
    assert (spec.task, spec.role, spec.commit) == ("run", Role.HOLISTIC_REVIEWER, play.state.head)
    assert spec.previous is None


def test_gates_of_the_run_come_first_and_are_told():
    play = whole(plan={"gates": [a_gate("tests", GatePoint.RUN)]})
    play.gates()
    assert "tests: passed on the final tree." in told(play)


@pytest.mark.parametrize("options", [{"review": False}, {"plan": {"features": Features(holistic=False)}}])
def test_where_it_is_off_nobody_looks(options):
    assert finished(whole(**options)) is RunVerdict.FINISHED


def test_where_nothing_landed_there_is_nothing_to_look_at():
    play = Play(a_plan(a_task("a")), review=True, unattended=True)
    play.begin()
    play.attempt("a", done(ReportStatus.BLOCKED, summary="no"))
    assert finished(play) is RunVerdict.FAILED


def test_where_a_gate_is_red_at_the_end_nobody_looks():
    play = whole(plan={"gates": [a_gate("tests", GatePoint.RUN)]}, policy=Policy(run_fixes=0))
    play.gates("", "tests")
    assert finished(play) is RunVerdict.FAILED


def test_it_names_what_is_missing_and_nothing_is_fixed():
    """4: or nothing more can move: then it names what is missing."""
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c", "b")), review=True, unattended=True, jobs=2)
    play.begin()
    play.attempt("b", done(ReportStatus.BLOCKED, summary="no database"))
    lands(play, "a")
    assert "b (Task b) is missing: blocked (no database)." in told(play)
    play.attempt("", fails(a_finding(file="x")))
    assert finished(play) is RunVerdict.FAILED
    assert len(play.state.tasks) == 3
    assert [each.id for each in play.state.whole.reviews.open] == ["f1"]


# -- fixes ----------------------------------------------------------------------------------------


def test_a_finding_becomes_a_task_that_is_reviewed_itself():
    """4: `fix-1`, unscoped; then the whole is looked at again, what changed since."""
    play = whole()
    first = look(play)
    play.attempt("", fails(a_finding(file="a.txt", claim="names differ")))
    record = play.task("fix-1")
    assert (record.task.files, play.running) == (None, ["fix-1"])
    assert "names differ" in record.task.description
    assert "[f1] major a.txt:1: names differ" in record.task.description
    play.attempt("fix-1", done(changes=["a.txt"]))
    assert play.effect(StartAttempt, "fix-1").role is Role.SPEC_REVIEWER
    play.integrate("fix-1")
    second = look(play)
    assert (second.attempt, second.since, second.tree) == (2, first.commit, play.state.head_tree)
    assert "names differ" in told(play)
    play.attempt("", passes())
    assert finished(play) is RunVerdict.FINISHED


def fix(play: Play, number: int) -> None:
    play.attempt(f"fix-{number}", done(changes=["a.txt"]))
    play.integrate(f"fix-{number}")


def unresolved(**options: Any) -> Play:
    """Three fixes, and still not content."""
    play = whole(**options)
    for number in (1, 2, 3):
        play.attempt("", fails(a_finding(file="a.txt", claim=f"wrong {number}")))
        fix(play, number)
    play.attempt("", fails(a_finding(file="a.txt", resolved=False)))
    return play


def test_three_fixes_then_a_question():
    """4: 3 rounds (at most 3 fixes) [I10]."""
    play = unresolved()
    asked = play.asked()
    assert (asked.kind, asked.reason, asked.choices) == (
        DecisionKind.HOLISTIC,
        Reason.REVIEW_UNRESOLVED,
        ("approve", "stop"),
    )
    assert "after 3 fixes" in asked.question
    play.answer("approve")
    assert [(each.finding.id, each.ruling) for each in play.state.whole.reviews.parked] == [("f1", Ruling.HUMAN)]
    assert finished(play) is RunVerdict.FINISHED


def test_stop_ends_the_run_as_failed():
    play = unresolved()
    play.answer("stop")
    assert finished(play) is RunVerdict.FAILED


def test_unattended_it_is_failed():
    assert finished(unresolved(unattended=True)) is RunVerdict.FAILED


def test_a_fix_that_does_not_land_ends_the_fixes():
    """A task is missing then, and nothing more is fixed."""
    play = whole()
    play.attempt("", fails(a_finding(file="a.txt")))
    for _ in range(2):
        play.attempt("fix-1", crashed())
    play.answer("skip")
    assert play.asked().kind is DecisionKind.HOLISTIC
    assert "after 1 fixes" in play.asked().question


def test_a_fix_that_fails_leaves_the_run_failed():
    play = whole(unattended=True)
    play.attempt("", fails(a_finding(file="a.txt")))
    for _ in range(2):
        play.attempt("fix-1", crashed())
    assert finished(play) is RunVerdict.FAILED


def test_gates_of_the_run_run_again_after_a_fix():
    play = whole(plan={"gates": [a_gate("tests", GatePoint.RUN)]})
    play.gates()
    play.attempt("", fails(a_finding(file="a.txt")))
    fix(play, 1)
    assert play.effect(RunGates).commit == play.state.head
    play.gates()
    play.attempt("", passes())
    assert finished(play) is RunVerdict.FINISHED


def test_a_fix_of_a_gate_and_one_of_a_finding_have_names_of_their_own():
    play = whole(plan={"gates": [a_gate("tests", GatePoint.RUN)]})
    play.gates("", "tests")
    fix(play, 1)
    play.gates()
    play.attempt("", fails(a_finding(file="a.txt")))
    assert play.running == ["fix-2"]
    assert play.state.whole.fixes == ("fix-2",)


def test_later_rounds_keep_the_goal_posts():
    """Only what the last fix touched may be added."""
    play = whole(plan={"success_criteria": ("it is fast",)})
    play.attempt("", fails(a_finding(file="a.txt")))
    fix(play, 1)
    late = a_finding("f2", file="elsewhere")
    play.attempt("", fails(a_finding(resolved=True), late, criteria=[not_met("made up")]))
    assert {each.ruling for each in play.state.whole.reviews.parked} == {Ruling.LATE}
    assert finished(play) is RunVerdict.FINISHED


def test_minor_findings_are_parked():
    play = whole()
    play.attempt("", passes(a_finding(severity=Severity.NOTE)))
    assert [(each.stage, each.ruling) for each in play.state.whole.reviews.parked] == [(Stage.HOLISTIC, Ruling.MINOR)]
    assert finished(play) is RunVerdict.FINISHED


# -- what does not count --------------------------------------------------------------------------


@pytest.mark.parametrize("result", [fails(), passes(a_finding()), no_verdict(), no_verdict(""), broke_rules()])
def test_what_does_not_count_is_asked_for_once_more_then_a_person_is_asked(result):
    play = whole()
    play.attempt("", result)
    assert look(play).attempt == 2
    assert "did not count" in told(play)
    play.attempt("", result)
    assert play.asked().kind is DecisionKind.HOLISTIC
    assert "came to nothing" in play.asked().question
    play.answer("approve")
    assert finished(play) is RunVerdict.FINISHED


def test_what_another_one_cannot_mend_is_asked_about_at_once():
    play = whole()
    play.attempt("", no_verdict("", ExitKind.ENV_MISSING, detail="there is no codex"))
    assert "there is no codex" in play.asked().question


@pytest.mark.parametrize("kind", [ExitKind.LOST, ExitKind.CANCELLED])
def test_a_lost_look_is_made_again(kind):
    play = whole()
    play.attempt("", ended(kind))
    assert (look(play).attempt, look(play).launch) == (1, 2)


def test_a_crash_gives_the_look_back():
    play = whole()
    key = look(play).key
    play.record(EffectLost(key=key, detail="gone"))
    assert (look(play).attempt, look(play).launch) == (1, 2)
    assert look(play).key != key


def test_a_provider_that_asks_to_wait_is_waited_for():
    play = whole()
    play.attempt("", ended(ExitKind.RATE_LIMITED, retry_at=1500.0))
    assert not play.state.inflight
    assert not play.state.waits_for_people
    play.pass_time(500)
    assert look(play).attempt == 2
    play.attempt("", passes())
    assert finished(play) is RunVerdict.FINISHED


def test_it_is_the_reviewer_of_the_run_who_looks():
    play = whole(agents=[AgentDef(name="judge", kind="command")], reviewer="judge")
    assert look(play).agent == "judge"


def test_warnings_of_the_agent_are_told():
    play = whole()
    play.attempt("", passes(warnings=("odd",)))
    assert [warning.text for warning in play.state.warnings] == ["odd"]


# -- people ---------------------------------------------------------------------------------------


def test_a_paused_run_starts_no_look():
    play = Play(a_plan(a_task("a")), review=True)
    play.begin()
    play.attempt("a")
    for _ in range(2):
        play.attempt("a", passes())
    play.merge("a")
    play.record(RunPaused(by="me"))
    play.land("a")
    assert not play.state.inflight
    play.record(RunResumed(pid=1, host="h", version="v"))
    look(play)


def test_a_cancelled_run_ends_the_look():
    play = whole()
    play.record(RunCancelled(by="me"))
    play.attempt("", ended(ExitKind.CANCELLED))
    assert finished(play) is RunVerdict.CANCELLED


def test_a_yes_counts_for_that_tree_only():
    """I9: taken up again, the run is looked at anew when more has landed."""
    play = Play(a_plan(a_task("a"), a_task("b")), review=True, jobs=2, policy=Policy(holistic_fixes=0))
    play.begin()
    for _ in range(2):
        play.attempt("b", crashed())
    play.answer("skip")
    lands(play, "a")
    play.attempt("", fails(a_finding(file="a.txt")))
    play.answer("approve")
    assert finished(play) is RunVerdict.FINISHED
    play.record(RunReopened(by="me"), TaskReopened(task="b", by="me"))
    lands(play, "b")
    assert look(play).tree == play.state.head_tree
    play.attempt("", passes())
    assert finished(play) is RunVerdict.FINISHED


def test_gates_of_the_end_that_something_overtook_judge_again_under_a_key_of_their_own():
    """I7: what they say of the tree before stands nowhere, and their log is kept beside the new one."""
    play = Play(a_plan(a_task("a"), a_task("b"), gates=[a_gate("tests", GatePoint.RUN)]), review=False, unattended=True)
    play.begin()
    play.through("a")
    for _ in range(2):
        play.attempt("b", crashed())
    before = play.effect(RunGates)
    play.record(TaskReopened(task="b", by="me"))
    play.through("b")
    play.gates("", "tests")
    after = play.effect(RunGates)
    assert (before.key, after.key) == ("run-0/0/gates", "run-0/0/gates-2")
    assert (before.tree == after.tree, after.tree) == (False, play.state.head_tree)
    play.gates("")
    assert finished(play) is RunVerdict.FINISHED
    play.record(RunReopened(by="me"))
    assert play.effect(RunGates).key == "run-0/0/gates-3"


def test_a_gate_that_cannot_judge_goes_before_the_look():
    play = whole(plan={"gates": [a_gate("tests", GatePoint.RUN)]})
    play.gates("", faulty("tests"))
    play.effect(RunGates)
    play.gates("", failed("tests"))
    assert play.running == ["fix-1"]


def test_a_look_follows_a_gate_that_a_fitter_mended():
    """Both belong to no task: what one left does not stand in the way of the other."""
    play = whole(plan={"gates": [a_gate("tests", GatePoint.RUN)]})
    play.gates("", faulty("tests", FaultKind.ENV_MISSING))
    play.attempt("", fitted("tests", env=(("ONE_TIMEOUT", "1"),)))
    play.gates()
    assert look(play).attempt == 2
    play.attempt("", fails(a_finding(file="a.txt")))
    fix(play, 1)
    play.gates("", faulty("tests", FaultKind.ENV_MISSING))
    assert play.effect(StartAttempt).role is Role.FITTER
    play.attempt("", fitted("tests", env=(("TWO_TIMEOUT", "1"),)))
    play.gates()
    assert look(play).attempt == 4
    play.attempt("", passes())
    assert finished(play) is RunVerdict.FINISHED
