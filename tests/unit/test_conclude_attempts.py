"""SPEC 3.8, row by row: what follows the outcome of an attempt, and its bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.brief_looks import compose_look
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import AttemptAccepted, EffectLost, RequeueWhy, TaskRequeued, WarningRaised
from chargehand.domain.options import Caps
from chargehand.domain.outcome import (
    AgentExit,
    AttemptResult,
    Blocker,
    BlockerKind,
    Change,
    ChangeKind,
    Concern,
    ConcernKind,
    ExitKind,
    Kickback,
    KickbackSignal,
    ReportStatus,
    Role,
    Usage,
)
from chargehand.domain.plan import Files, GatePoint, Scope, Weight
from chargehand.domain.policy import Policy
from chargehand.domain.view import why
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, StopReason, TaskStatus
from tests.looks import researched
from tests.play import Play, a_gate, a_plan, a_task, crashed, done, ended, failed

STATUS = ReportStatus


def one_task(**options) -> Play:
    """A run of one task whose first attempt is live."""
    play = Play(a_plan(a_task("a", **options.pop("task", {})), **options.pop("plan", {})), **options)
    play.begin()
    return play


def two_runs(**options) -> tuple[Play, Play]:
    """The same run, attended and unattended."""
    return one_task(**options), one_task(unattended=True, **options)


# -- DONE -----------------------------------------------------------------------------------------


def test_done_with_good_evidence_goes_to_the_gates():
    """Row `DONE, evidence good` [I6]."""
    play = one_task(plan={"gates": [a_gate("lint", GatePoint.TASK)]})
    play.attempt("a")
    assert play.task("a").status is TaskStatus.GATING
    play.gates("a")
    assert play.task("a").status is TaskStatus.INTEGRATING
    play.integrate("a")
    assert play.task("a").status is TaskStatus.INTEGRATED
    assert play.task("a").landed == play.branch == play.state.head
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_warnings_of_the_attempt_are_recorded():
    play = one_task()
    play.attempt("a", done(warnings=["it lingered"], seal={"checkout_changed": ("README.md",)}))
    assert [(w.code, w.task) for w in play.state.warnings] == [("agent", "a"), ("checkout_changed", "a")]
    assert "README.md" in play.state.warnings[1].text


def test_what_an_agent_did_beyond_its_role_is_recorded_and_no_failure():
    """What nothing could stop is a warning of its own code; the evidence decides all the same [I6]."""
    play = one_task()
    play.attempt("a", lambda effect: replace(done(warnings=["slow"])(effect), violations=("It ran `npm test`.",)))
    found = [(warned.code, warned.text, warned.task) for warned in play.state.warnings]
    assert found == [("agent", "slow", "a"), ("role_violation", "It ran `npm test`.", "a")]
    assert play.task("a").status is TaskStatus.INTEGRATING


def test_no_report_but_a_change_is_judged_on_its_evidence():
    """3.6: a missing report counts as failed only when nothing changed [I6]."""
    play = one_task()
    play.attempt("a", done(None))
    assert play.task("a").status is TaskStatus.INTEGRATING
    assert [w.code for w in play.state.warnings] == ["no_report"]
    assert "no report was written" in play.state.warnings[0].text


def test_a_valid_report_beats_exit_code_signal_and_timeout():
    """3.5: evidence decides."""
    for end in (
        AgentExit(kind=ExitKind.EXITED, code=1),
        AgentExit(kind=ExitKind.EXITED, signal=9),
        AgentExit(kind=ExitKind.TIMEOUT),
        AgentExit(kind=ExitKind.STALL),
        AgentExit(kind=ExitKind.REPORTED),
        AgentExit(kind=ExitKind.OVER_BUDGET),
    ):
        play = one_task()
        play.attempt("a", done(end=end))
        assert play.task("a").status is TaskStatus.INTEGRATING, end


# -- DONE_WITH_CONCERNS ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [k for k in ConcernKind if k is not ConcernKind.INFO])
def test_an_actionable_concern_gets_one_fix(kind):
    """Row `DONE_WITH_CONCERNS`: a fix attempt on the sealed tree first; bound 1."""
    play = one_task()
    doubts = (Concern(text="is it?", kind=kind),)
    play.attempt("a", done(STATUS.DONE_WITH_CONCERNS, concerns=doubts))
    first = play.task("a").sealed
    assert (play.task("a").role, play.task("a").base) == (Role.FIXER, first.commit)
    assert play.task("a").failure.reason is Reason.CONCERNS
    assert "is it?" in play.task("a").failure.summary
    play.attempt("a", done(STATUS.DONE_WITH_CONCERNS, concerns=doubts))
    assert play.task("a").status is TaskStatus.INTEGRATING
    assert [w.code for w in play.state.warnings] == ["concerns"]


def test_the_bound_of_fixes_is_a_policy():
    play = one_task(policy=Policy(concern_fixes=2))
    for number in (1, 2):
        play.attempt("a", done(STATUS.DONE_WITH_CONCERNS, concerns=(Concern(text="x"),), changes=[f"{number}"]))
        assert play.task("a").role is Role.FIXER
    play.attempt("a", done(STATUS.DONE_WITH_CONCERNS, concerns=(Concern(text="x"),), changes=["3"]))
    assert play.task("a").status is TaskStatus.INTEGRATING
    assert play.task("a").files_changed == ("1", "2", "3")


def test_an_info_concern_is_recorded_and_the_task_goes_on():
    play = one_task()
    play.attempt("a", done(STATUS.DONE_WITH_CONCERNS, concerns=(Concern(text="fyi", kind=ConcernKind.INFO),)))
    assert play.task("a").status is TaskStatus.INTEGRATING
    assert play.task("a").report.concerns[0].text == "fyi"


def test_concerns_of_a_report_that_says_done_are_information():
    play = one_task()
    play.attempt("a", done(concerns=(Concern(text="x"),)))
    assert play.task("a").status is TaskStatus.INTEGRATING


def test_the_whole_change_of_a_fixer_is_shown_to_the_next_attempt():
    """A fixer's patch alone would hide what it was fixing."""
    play = one_task()
    play.attempt("a", done(STATUS.DONE_WITH_CONCERNS, concerns=(Concern(text="x"),), changes=["one"]))
    play.attempt("a", done(STATUS.FAILED, changes=["two"]))
    assert play.task("a").role is Role.IMPLEMENTER
    assert play.task("a").previous == (play.state.head, play.task("a").sealed.commit)


def test_a_fixer_that_changes_nothing_escalates():
    """Row `identical tree twice, from implementers or fixers`."""
    play = one_task()
    play.attempt("a", done(STATUS.DONE_WITH_CONCERNS, concerns=(Concern(text="x"),), content="same"))
    play.attempt("a", done(changes=[], seal={"tree": "tree(same)", "base_tree": "tree(same)"}))
    assert play.asked().question.startswith("Two attempts left the identical tree. The agent doubts")


def test_files_of_the_change_and_of_its_fix_are_counted_together():
    play = one_task()
    play.attempt("a", done(STATUS.DONE_WITH_CONCERNS, concerns=(Concern(text="x"),), changes=["one"]))
    play.attempt("a", done(changes=["two"]))
    assert play.task("a").files_changed == ("one", "two")


# -- NEEDS_CONTEXT --------------------------------------------------------------------------------


def test_context_is_given_twice_then_the_task_is_blocked():
    """Row `NEEDS_CONTEXT`: redispatch with what the repository gives; 2, then blocked."""
    play = one_task()
    for round_ in (1, 2):
        play.attempt("a", done(STATUS.NEEDS_CONTEXT, context=[(f"f{round_}", "text")], changes=[]))
        assert play.task("a").status is TaskStatus.RUNNING
        assert play.task("a").context[-1] == (f"f{round_}", "text")
    play.attempt("a", done(STATUS.NEEDS_CONTEXT, context=[("f3", "text")], missing_context=("f3",), changes=[]))
    assert (play.task("a").status, play.task("a").reason) == (TaskStatus.BLOCKED, Reason.NEEDS_CONTEXT)
    assert "f3" in play.task("a").detail
    assert play.task("a").attempts == 3


def test_context_that_nobody_has_is_asked_for():
    """Row `NEEDS_CONTEXT`: else a decision; unattended the task is blocked."""
    attended, unattended = two_runs()
    for play in (attended, unattended):
        play.attempt("a", done(STATUS.NEEDS_CONTEXT, missing_context=("which port?",), changes=[]))
    assert attended.asked().kind is DecisionKind.CONTEXT
    assert attended.asked().choices == ("retry", "block", "stop")
    assert "which port?" in attended.asked().question
    assert (unattended.task("a").status, unattended.task("a").reason) == (TaskStatus.BLOCKED, Reason.NEEDS_CONTEXT)


def test_the_same_context_again_is_nothing_new():
    """Never the same input twice."""
    play = one_task()
    play.attempt("a", done(STATUS.NEEDS_CONTEXT, context=[("f", "text")], changes=[]))
    play.attempt("a", done(STATUS.NEEDS_CONTEXT, context=[("f", "text")], summary="still missing", changes=[]))
    assert play.asked().kind is DecisionKind.CONTEXT
    assert "still missing" in play.asked().question


def test_context_is_kept_once():
    play = one_task()
    play.attempt("a", done(STATUS.NEEDS_CONTEXT, context=[("f", "text")], changes=[]))
    play.attempt("a", done(STATUS.NEEDS_CONTEXT, context=[("f", "text"), ("g", "text")], changes=[]))
    assert play.task("a").context == (("f", "text"), ("g", "text"))


def test_a_human_gives_the_context_in_words():
    """What a person answers reaches the agent: without it, `retry` would be the same input again."""
    play = one_task()
    play.attempt("a", done(STATUS.NEEDS_CONTEXT, missing_context=("which port?",), changes=[]))
    question = play.asked().id
    play.answer("retry", note="Port 8080.")
    assert play.task("a").status is TaskStatus.RUNNING
    assert play.task("a").context == ((f"the answer to {question}", "Port 8080."),)
    assert "which port?" in play.task("a").failure.summary


# -- BLOCKED --------------------------------------------------------------------------------------


def test_blocked_for_context_is_redispatched_once():
    """Row `BLOCKED`, kind context: redispatch with it; bound 1."""
    play = one_task()
    blocker = Blocker(text="no schema", kind=BlockerKind.CONTEXT)
    play.attempt("a", done(STATUS.BLOCKED, blocker=blocker, context=[("schema", "text")], changes=[]))
    assert play.task("a").status is TaskStatus.RUNNING
    assert play.task("a").context == (("schema", "text"),)
    assert "no schema" in play.task("a").failure.summary
    play.attempt("a", done(STATUS.BLOCKED, blocker=blocker, changes=[]))
    assert (play.task("a").status, play.task("a").reason) == (TaskStatus.BLOCKED, Reason.AGENT_BLOCKED)


def test_the_bound_of_blocked_for_context_is_a_policy():
    play = one_task(policy=Policy(blocked_contexts=2))
    for _ in range(3):
        assert play.task("a").status is TaskStatus.RUNNING
        play.attempt("a", done(STATUS.BLOCKED, blocker=Blocker(text="x", kind=BlockerKind.CONTEXT)))
    assert play.task("a").status is TaskStatus.BLOCKED


def test_too_complex_asks_for_a_split():
    """Row `BLOCKED`, kind too_complex: split, a decision; unattended blocked."""
    attended, unattended = two_runs()
    for play in (attended, unattended):
        play.attempt("a", done(STATUS.BLOCKED, blocker=Blocker(text="huge", kind=BlockerKind.TOO_COMPLEX)))
    assert attended.asked().kind is DecisionKind.SPLIT
    assert "huge" in attended.asked().question
    assert (unattended.task("a").status, unattended.task("a").reason) == (TaskStatus.BLOCKED, Reason.TOO_COMPLEX)


@pytest.mark.parametrize("blocker", [None, Blocker(text="no licence")])
def test_blocked_otherwise_blocks_the_task_and_its_dependants(blocker):
    """Row `BLOCKED`: else blocked, dependants `blocked_on` the root."""
    play = Play(a_plan(a_task("a"), a_task("b", "a"), a_task("c", "b")))
    play.begin()
    play.attempt("a", done(STATUS.BLOCKED, blocker=blocker, summary="no licence"))
    assert [(play.task(t).status, play.task(t).reason, play.task(t).blocked_on) for t in "abc"] == [
        (TaskStatus.BLOCKED, Reason.AGENT_BLOCKED, None),
        (TaskStatus.BLOCKED, Reason.BLOCKED_ON, "a"),
        (TaskStatus.BLOCKED, Reason.BLOCKED_ON, "a"),
    ]
    assert play.task("a").detail == "no licence"
    assert play.state.finished.verdict is RunVerdict.FAILED


# -- FAILED, evidence bad, invalid report, crash ----------------------------------------------------

BAD: dict[str, Any] = {
    "FAILED": (done(STATUS.FAILED, summary="no idea"), Reason.AGENT_FAILED),
    "nothing changed": (done(changes=[]), Reason.NO_CHANGE),
    "invalid report": (done(None, changes=[]), Reason.INVALID_REPORT),
    "crash": (crashed(), Reason.CRASH),
    "signal": (done(None, end=AgentExit(kind=ExitKind.EXITED, signal=11)), Reason.CRASH),
    "seal failed": (
        AttemptResult(exit=AgentExit(kind=ExitKind.EXITED, code=0), seal_problem="disk"),
        Reason.SEAL_FAILED,
    ),
    "timeout": (done(None, end=AgentExit(kind=ExitKind.TIMEOUT, detail="30 m")), Reason.TIMEOUT),
    "stall": (done(None, end=AgentExit(kind=ExitKind.STALL, detail="5 m")), Reason.STALL),
}


@pytest.mark.parametrize("name", BAD)
def test_a_failure_is_retried_once_with_the_failure_in_the_brief(name):
    """Row `FAILED, evidence bad, invalid report, crash`; and timeout, stall of an agent: 1 retry."""
    answer, reason = BAD[name]
    play = one_task()
    play.attempt("a", answer)
    assert (play.task("a").status, play.task("a").role) == (TaskStatus.RUNNING, Role.IMPLEMENTER)
    assert play.task("a").failure.reason is reason
    assert play.task("a").attempts == 2


@pytest.mark.parametrize("name", BAD)
def test_the_same_failure_twice_escalates(name):
    """Row `same failure signature twice`: no further retry; unattended the task is failed."""
    answer, reason = BAD[name]
    attended, unattended = two_runs()
    for play in (attended, unattended):
        play.attempt("a", answer)
        play.attempt("a", answer)
    assert attended.asked().reason is reason
    assert attended.asked().choices == ("retry", "skip", "stop")
    assert attended.asked().question.startswith("The same failure twice")
    assert (unattended.task("a").status, unattended.task("a").reason) == (TaskStatus.FAILED, reason)
    assert unattended.task("a").attempts == 2


def test_two_different_failures_use_the_retry_up():
    """Bound 1 retry = two implementer attempts."""
    play = one_task()
    play.attempt("a", crashed())
    play.attempt("a", done(STATUS.FAILED, summary="gave up"))
    assert play.asked().question.startswith("Failed again after 1 retry")
    assert play.task("a").attempts == 2


@pytest.mark.parametrize(("retries", "said"), [(0, "Failed: "), (2, "Failed again after 2 retries: ")])
def test_a_question_about_a_failure_says_the_retries_there_were(retries: int, said: str):
    """A first failure was not retried."""
    play = one_task(policy=Policy(retries=retries))
    for number in range(retries + 1):
        play.attempt("a", done(STATUS.FAILED, summary=f"failure {'abc'[number]}"))
    assert play.asked().question.startswith(said)


def test_retry_answered_starts_afresh_told_of_the_last_failure():
    """`retry`: another attempt with this failure in its brief and fresh bounds."""
    play = one_task()
    play.attempt("a", crashed())
    play.attempt("a", done(STATUS.FAILED, summary="gave up"))
    play.answer("retry")
    assert "gave up" in play.task("a").failure.summary
    assert play.task("a").why is RequeueWhy.ANSWERED
    play.attempt("a", crashed())
    assert play.task("a").status is TaskStatus.RUNNING
    assert play.task("a").attempts == 4


def test_skip_answered_leaves_the_task_out():
    play = one_task()
    play.attempt("a", crashed())
    play.attempt("a", crashed())
    play.answer("skip")
    assert (play.task("a").status, play.task("a").reason) == (TaskStatus.SKIPPED, Reason.HUMAN)
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_stop_answered_fails_the_task_and_stops_the_run():
    play = Play(a_plan(a_task("a"), a_task("b")), jobs=1)
    play.begin()
    play.attempt("a", crashed())
    play.attempt("a", crashed())
    assert play.running == ["b"]
    play.answer("stop")
    assert play.task("a").status is TaskStatus.FAILED
    assert play.state.stopped.reason is StopReason.HUMAN
    play.attempt("b", done())
    play.integrate("b")
    assert play.task("b").status is TaskStatus.INTEGRATED, "what was live is let end"
    assert play.state.finished.verdict is RunVerdict.FAILED


def test_an_identical_tree_twice_escalates():
    """Row `identical tree twice`."""
    play = one_task(plan={"gates": [a_gate("tests", GatePoint.TASK)]})
    play.attempt("a", done(content="same"))
    play.gates("a", failed("tests", tail="one"))
    play.attempt("a", done(content="same"))
    assert play.asked().question == "Two attempts left the identical tree. Red: tests."
    assert play.asked().reason is Reason.GATE_RED
    assert play.asked().failure.tail == "one"


def test_the_failure_is_still_told_when_context_was_asked_for_in_between():
    play = one_task(plan={"gates": [a_gate("tests", GatePoint.TASK)]})
    play.attempt("a")
    play.gates("a", "tests")
    play.attempt("a", done(STATUS.NEEDS_CONTEXT, context=[("f", "text")], changes=[]))
    assert play.task("a").failure.reason is Reason.GATE_RED


def test_the_tree_of_an_attempt_that_was_not_judged_may_come_again():
    """A crash may have left everything: the retry that leaves it again, and says so, is judged on it."""
    play = one_task()
    play.attempt("a", done(None, end=AgentExit(kind=ExitKind.EXITED, code=1), content="same"))
    play.attempt("a", done(content="same"))
    assert play.task("a").status is TaskStatus.INTEGRATING


def test_an_empty_change_may_come_twice_where_it_is_allowed():
    play = one_task(task={"allow_empty": True}, plan={"gates": [a_gate("tests", GatePoint.TASK)]})
    play.attempt("a", done(changes=[]))
    play.gates("a", "tests")
    play.attempt("a", done(changes=[]))
    assert play.task("a").status is TaskStatus.GATING


GATES = [a_gate("lint", GatePoint.TASK), a_gate("unit", GatePoint.TASK), a_gate("tests", GatePoint.INTEGRATE)]


def test_a_worse_retry_keeps_the_better_commit():
    """Row `worse than before`: a gate that passed fails; the better attempt's state is kept, and somebody is asked."""
    play = one_task(plan={"gates": GATES})
    play.attempt("a")
    better = play.task("a").sealed
    play.gates("a", "unit")
    play.attempt("a")
    play.gates("a", "lint")
    assert play.asked().kept == better.commit
    assert "worse" in play.asked().question
    assert play.task("a").commit == better.commit
    play.answer("retry")
    assert play.task("a").previous == (better.base, better.commit)


def test_a_retry_that_breaks_what_passed_is_worse_however_far_it_gets():
    """Where a gate was red on the base all are run: a criterion that was met before, and is not, is a step back."""
    play = one_task(plan={"gates": GATES})
    play.attempt("a")
    better = play.task("a").sealed.commit
    play.gates("a", "lint")
    play.attempt("a")
    play.gates("a", "unit")
    assert play.asked().kept == better
    assert play.task("a").best.commit == better


def test_a_retry_that_gets_as_far_as_the_gates_is_better_than_no_evidence():
    play = one_task(plan={"gates": GATES})
    play.attempt("a", crashed())
    play.attempt("a")
    second = play.task("a").sealed.commit
    play.gates("a", "unit")
    assert play.asked().kept == ""
    assert play.task("a").commit == second


def test_a_retry_that_falls_back_behind_the_merge_is_worse():
    """Red as merged is nearer to landing than red on its own tree."""
    play = one_task(plan={"gates": GATES})
    play.attempt("a")
    first = play.task("a").sealed.commit
    play.gates("a")
    play.merge("a")
    play.gates("a", "tests")
    assert play.task("a").status is TaskStatus.RUNNING, "a red integrate gate uses the same retry"
    play.attempt("a")
    play.gates("a", "lint")
    assert play.asked().kept == first


def test_of_equal_attempts_the_later_is_kept():
    """It was made on a newer head."""
    play = one_task(policy=Policy(retries=0))
    play.attempt("a")
    play.merge("a", conflict=["x"])
    play.attempt("a")
    later = play.task("a").sealed.commit
    play.merge("a", conflict=["x"])
    play.attempt("a", crashed())
    assert play.asked().kept == later


def test_a_red_integrate_gate_uses_the_same_retry():
    play = one_task(plan={"gates": GATES})
    play.attempt("a", crashed())
    play.attempt("a")
    play.gates("a")
    play.merge("a")
    play.gates("a", "tests")
    assert play.asked().reason is Reason.GATE_RED
    assert play.task("a").attempts == 2


# -- KICKBACK -------------------------------------------------------------------------------------


def kick(signal: KickbackSignal):
    return done(STATUS.KICKBACK, kickback=Kickback(signal=signal, details="it is wrong", recommendation="think"))


@pytest.mark.parametrize("signal", [each for each in KickbackSignal if each is not KickbackSignal.NEEDS_RESEARCH])
def test_a_kickback_holds_the_run_until_somebody_decides(signal):
    """Row `KICKBACK`: stop dispatching, live attempts end and hold; a decision by signal; unattended: stop, exit 1."""
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c")), jobs=2)
    play.begin()
    play.attempt("a", kick(signal))
    assert play.asked().kind is DecisionKind.KICKBACK
    assert "it is wrong" in play.asked().question
    assert "it is wrong. It recommends: think" in play.asked().question, "two sentences"
    assert play.running == ["b"]
    play.attempt("b")
    assert not play.state.inflight, "nothing is dispatched, nothing lands"
    assert play.task("b").status is TaskStatus.GATING
    assert ("full" in play.asked().choices) is (signal is KickbackSignal.SCOPE_CREEP)
    assert ("retry" in play.asked().choices) is (signal is KickbackSignal.MISSING_CONTEXT)
    play.answer("skip")
    assert play.task("a").status is TaskStatus.SKIPPED
    play.integrate("b")
    assert play.task("b").status is TaskStatus.INTEGRATED
    assert play.running == ["c"]


def looked_into(**options) -> Play:
    """A plan that wants research was returned; a researcher is at work, and `b` beside it."""
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c")), **{"jobs": 2, **options})
    play.begin()
    play.attempt("a", kick(KickbackSignal.NEEDS_RESEARCH))
    return play


def test_a_plan_that_wants_research_is_looked_into_once():
    """Row `KICKBACK`, needs_research: research, then a decision with what was found; nothing starts meanwhile."""
    play = looked_into()
    effect = play.effect(StartAttempt, "a")
    assert (effect.role, effect.attempt, effect.commit) == (Role.RESEARCHER, 2, play.state.head)
    told = compose_look(play.state, effect).text
    assert "it is wrong" in told
    assert "think" in told
    play.through("b")
    assert play.running == ["a"], "nothing is dispatched meanwhile"
    assert why(play.state, "c", play.now) == "It waits: a plan that was returned is looked into first."
    play.attempt("a", researched("It is a tree.", decisions=("use trees",)))
    asked = play.asked()
    assert (asked.kind, asked.choices) == (DecisionKind.KICKBACK, ("skip", "stop"))
    assert "Research found: It is a tree." in asked.question
    assert play.task("a").context == (("research", "It is a tree.\nuse trees"),)
    play.answer("skip")
    assert play.running == ["c"]


def test_research_unattended_stops_with_what_was_found():
    play = looked_into(unattended=True)
    play.attempt("a", researched())
    assert play.state.stopped.reason is StopReason.KICKBACK
    assert "It is a tree." in play.task("a").detail


@pytest.mark.parametrize("result", [ended(ExitKind.TIMEOUT), researched("")])
def test_research_that_finds_nothing_is_a_decision_all_the_same(result):
    play = looked_into()
    play.attempt("a", result)
    assert "nothing that could be used" in play.asked().question


@pytest.mark.parametrize("kind", [ExitKind.LOST, ExitKind.RATE_LIMITED, None])
def test_research_that_was_none_is_done_again(kind):
    """Lost, or its provider asked to wait: it does not count, and nothing else starts."""
    play = looked_into()
    if kind is None:
        play.record(EffectLost(key=play.effect(StartAttempt, "a").key, detail="gone"))
    else:
        play.attempt("a", ended(kind))
    play.through("b")
    if kind is ExitKind.RATE_LIMITED:
        assert play.running == []
        assert not play.state.decisions
        play.pass_time(30)
    assert play.running == ["a"]
    assert play.task("a").tries.researches == 0
    play.attempt("a", researched())
    assert play.asked().kind is DecisionKind.KICKBACK


def test_research_is_bounded():
    """Whatever the answer brings, a plan is not looked into twice."""
    play = looked_into()
    play.attempt("a", researched())
    assert play.task("a").tries.researches == 1
    off = looked_into(policy=Policy(researches=0))
    assert off.asked().kind is DecisionKind.KICKBACK


def test_a_task_that_used_up_its_attempts_is_not_looked_into():
    play = looked_into(caps=Caps(task_attempts=1))
    assert play.asked().kind is DecisionKind.KICKBACK


def test_a_kickback_unattended_stops_the_run():
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c")), jobs=2, unattended=True)
    play.begin()
    play.attempt("a", kick(KickbackSignal.NEEDS_SPLIT))
    assert play.task("a").reason is Reason.KICKBACK
    assert play.state.stopped.reason is StopReason.KICKBACK
    play.through("b")
    assert play.task("b").status is TaskStatus.INTEGRATED, "integrated work stays"
    assert (play.task("c").status, play.task("c").reason) == (TaskStatus.CANCELLED, Reason.KICKBACK)
    assert play.state.finished.verdict is RunVerdict.FAILED


def test_scope_creep_full_raises_the_weight_of_the_rest():
    play = one_task(task={"weight": Weight.LIGHT})
    play.attempt("a", kick(KickbackSignal.SCOPE_CREEP))
    play.answer("full")
    assert play.state.weight is Weight.FULL
    assert play.task("a").status is TaskStatus.RUNNING
    assert "it is wrong" in play.task("a").failure.summary, "never the same input again"


def test_two_kickbacks_hold_until_both_are_answered():
    """A run held twice is not let go by one answer."""
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c")), jobs=2)
    play.begin()
    play.attempt("a", kick(KickbackSignal.SPEC_INCOMPLETE))
    play.attempt("b", kick(KickbackSignal.NEEDS_SPLIT))
    play.answer("skip", "d2")
    assert play.running == []
    assert play.state.held == "d1"
    play.answer("skip", "d1")
    assert play.running == ["c"]


def test_a_kickback_without_details_is_an_incomplete_spec():
    play = one_task()
    play.attempt("a", done(STATUS.KICKBACK, summary="something is off"))
    assert "spec_incomplete" in play.asked().question
    assert "something is off" in play.asked().question


# -- the end of the process -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reason"), [(ExitKind.ENV_MISSING, Reason.ENV_MISSING), (ExitKind.OVER_BUDGET, Reason.BUDGET)]
)
def test_what_another_attempt_cannot_mend_escalates_at_once(kind, reason):
    """Rows `env_missing` and `budget exceeded`: bound 0."""
    attended, unattended = two_runs()
    for play in (attended, unattended):
        play.attempt("a", ended(kind, detail="what happened"))
    assert attended.asked().reason is reason
    assert "what happened" in attended.asked().question
    assert (unattended.task("a").status, unattended.task("a").reason) == (TaskStatus.FAILED, reason)
    attended.answer("retry")
    assert "what happened" in attended.task("a").failure.summary


@pytest.mark.parametrize("kind", [ExitKind.RATE_LIMITED, ExitKind.PROVIDER_DOWN])
def test_a_rate_limit_waits_until_the_stated_reset(kind):
    """Row `rate-limited, quota, provider down`: attempts are not consumed; other agents go on."""
    play = Play(a_plan(a_task("a"), a_task("b", agent="other")), jobs=1)
    play.begin()
    play.attempt("a", ended(kind, retry_at=play.now + 500))
    assert play.task("a").not_before == play.now + 500
    assert play.running == ["b"]
    play.through("b")
    play.pass_time(499)
    assert play.running == []
    play.pass_time(1)
    assert play.running == ["a"]
    assert play.task("a").tries.retries == 0


def test_a_rate_limit_without_a_reset_backs_off():
    """30 s doubling to 15 min; starting again once the provider was there."""
    play = one_task()
    waits = []
    for _ in range(7):
        play.attempt("a", ended(ExitKind.RATE_LIMITED))
        waits.append(play.task("a").not_before - play.now)
        play.pass_time(waits[-1])
    assert waits == [30, 60, 120, 240, 480, 900, 900]
    play.attempt("a", crashed())
    play.attempt("a", ended(ExitKind.PROVIDER_DOWN))
    assert play.task("a").not_before - play.now == 30


def test_a_reset_in_the_past_is_due_now():
    play = one_task()
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=play.now - 5))
    assert play.task("a").status is TaskStatus.RUNNING


def test_rate_limits_do_not_use_up_the_attempts():
    """Attempts are not consumed: neither the retry nor the cap of all roles [I10]."""
    play = one_task()
    for _ in range(40):
        play.attempt("a", ended(ExitKind.RATE_LIMITED))
        play.pass_time(900)
    assert play.task("a").status is TaskStatus.RUNNING


def not_an_attempt(kind: ExitKind):
    return done(None, end=AgentExit(kind=kind, retry_at=0.0))


@pytest.mark.parametrize("kind", [ExitKind.CANCELLED, ExitKind.LOST, ExitKind.RATE_LIMITED])
def test_a_fixer_that_was_not_an_attempt_is_a_fixer_again(kind):
    """Row `cancelled, lost worker`: redispatched, as it was."""
    play = one_task()
    play.attempt("a", done(STATUS.DONE_WITH_CONCERNS, concerns=(Concern(text="x"),)))
    before = play.task("a")
    play.attempt("a", not_an_attempt(kind))
    after = play.task("a")
    for name in ("role", "base", "fix_base", "origin", "failure", "previous", "sealed", "report", "best", "why"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.tries.concern_fixes == before.tries.concern_fixes


@pytest.mark.parametrize("kind", [ExitKind.CANCELLED, ExitKind.LOST])
def test_a_lost_attempt_is_not_one_but_its_key_is_not_used_again(kind):
    """`attempts` does not count it; a second start must not be taken for the first [I4], nor overwrite its ref [I2]."""
    play = one_task()
    first = play.state.inflight[play.task("a").inflight]
    play.attempt("a", not_an_attempt(kind))
    second = play.state.inflight[play.task("a").inflight]
    assert play.task("a").attempts == first.attempt == second.attempt == 1
    assert first.key != second.key
    assert (first.launch, second.launch) == (1, 2)


def test_a_lost_worker_may_be_lost_often():
    play = one_task()
    keys = set()
    for _ in range(30):
        keys.add(play.task("a").inflight)
        play.attempt("a", ended(ExitKind.LOST))
    assert len(keys) == 30
    assert (play.task("a").status, play.task("a").attempts) == (TaskStatus.RUNNING, 1)


@pytest.mark.parametrize("kind", [ExitKind.EXITED, ExitKind.CANCELLED, ExitKind.RATE_LIMITED])
def test_changed_hooks_or_configuration_hold_the_run(kind):
    """3.7.3: a decision, however the attempt ended."""
    attended, unattended = two_runs()
    for play in (attended, unattended):
        play.attempt("a", done(seal={"config_changed": ("hooks/pre-commit",)}, end=AgentExit(kind=kind, code=0)))
    assert attended.asked().kind is DecisionKind.CONFIG_CHANGED
    assert attended.state.held
    assert "hooks/pre-commit" in attended.asked().question
    assert unattended.task("a").reason is Reason.CONFIG_CHANGED
    assert unattended.state.finished.verdict is RunVerdict.FAILED
    attended.answer("retry")
    assert attended.running == ["a"]


# -- bounds of a task -------------------------------------------------------------------------------


def test_a_task_has_a_number_of_attempts_in_all_roles():
    """Caps: attempts per task in all roles; a human's `retry` gives fresh bounds, not the same question again [I10]."""
    play = one_task(caps=Caps(task_attempts=2))
    play.attempt("a", done(STATUS.NEEDS_CONTEXT, context=[("f", "")], changes=[]))
    play.attempt("a", crashed())
    assert play.asked().reason is Reason.ATTEMPTS
    play.answer("retry")
    assert play.running == ["a"]
    play.attempt("a", crashed())
    assert play.running == ["a"]
    play.attempt("a", done(STATUS.FAILED))
    assert play.asked().reason is Reason.AGENT_FAILED


@pytest.mark.parametrize("usage", [Usage(tokens=11), Usage(usd=1.5)])
def test_a_task_has_a_budget(usage):
    """Row `budget exceeded`, tokens and money per task: escalate before the next attempt [I10]."""
    caps = Caps(task_tokens=10, task_usd=1.0)
    attended, unattended = two_runs(caps=caps)
    for play in (attended, unattended):
        play.attempt("a", done(STATUS.FAILED, usage=usage))
    assert attended.asked().reason is Reason.BUDGET
    assert unattended.task("a").reason is Reason.BUDGET
    attended.answer("retry")
    assert attended.running == ["a"]


def test_a_task_that_succeeds_over_its_budget_lands():
    play = one_task(caps=Caps(task_tokens=10))
    play.attempt("a", done(usage=Usage(tokens=11)))
    play.integrate("a")
    assert play.task("a").status is TaskStatus.INTEGRATED


# -- scope: review ----------------------------------------------------------------------------------


def test_a_stray_change_under_scope_review_is_a_question():
    """A change that only a reviewer can judge: without one a human may take it, and the work is kept."""
    task = {"files": Files(modify=("src/a.py",)), "scope": Scope.REVIEW}
    attended, unattended = two_runs(task=task)
    for play in (attended, unattended):
        play.attempt("a", done(changes=["src/a.py", "src/b.py"]))
    assert attended.asked().reason is Reason.REVIEW_NEEDED
    assert attended.asked().choices == ("approve", "retry", "skip", "stop")
    assert "src/b.py" in attended.asked().question
    assert unattended.task("a").status is TaskStatus.FAILED
    taken = attended.task("a").sealed.commit
    events = attended.answer("approve")
    assert AttemptAccepted(task="a", attempt=1) in events
    attended.integrate("a")
    assert attended.task("a").status is TaskStatus.INTEGRATED
    assert attended.task("a").commit == taken
    assert attended.task("a").attempts == 1


def test_out_of_scope_under_strict_is_a_failure():
    play = one_task(task={"files": Files(modify=("src/a.py",))})
    play.attempt("a", done(changes=["src/a.py", "src/b.py"]))
    assert play.task("a").failure.reason is Reason.OUT_OF_SCOPE


def test_unfinished_places_fail_where_nobody_reviews():
    play = one_task()
    play.attempt("a", done(seal={"placeholders": ("a.py:1: TODO",)}))
    assert play.task("a").failure.reason is Reason.PLACEHOLDER


def test_a_link_out_is_never_in_scope():
    play = one_task()
    play.attempt("a", done(seal={"changes": (Change(path="link", kind=ChangeKind.SYMLINK_OUT),)}))
    assert play.task("a").failure.reason is Reason.OUT_OF_SCOPE


def test_requeues_are_facts_of_the_journal():
    """Every way back to waiting is one event that says why."""
    play = one_task()
    events = play.attempt("a", crashed())
    assert [type(e) for e in events if isinstance(e, TaskRequeued | WarningRaised)] == [TaskRequeued]
    assert events[0].why is RequeueWhy.RETRY
