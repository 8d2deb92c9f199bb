"""What people may ask of a run, what it comes to, and what is refused (SPEC 9, 10.1)."""

from __future__ import annotations

from typing import Any

import pytest

from chargehand.domain.commands import Request, RequestKind, obey, take
from chargehand.domain.decide import is_stuck, to_end, wake_at
from chargehand.domain.effects import RunCanary, RunGates, StartAttempt
from chargehand.domain.errors import UserError
from chargehand.domain.events import (
    BranchFound,
    DispatchStopped,
    EffectIntended,
    EffectLost,
    HistoryLost,
    RequestTaken,
    RunAccepted,
    RunCancelled,
    RunFinished,
    RunInterrupted,
    RunReopened,
    RunResumed,
    TaskEndAsked,
    TaskEnded,
    TaskFound,
    TaskReopened,
    TaskRequeued,
    WarningRaised,
)
from chargehand.domain.evolve import evolve, fold
from chargehand.domain.outcome import ExitKind, ReportStatus
from chargehand.domain.plan import Barrier, GatePoint
from chargehand.domain.view import document, exit_code, run_state, why
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, StopReason, TaskStatus
from tests.play import UNFITTED, Play, a_gate, a_plan, a_task, done, ended, failed, faulty

RESUMED = RunResumed(pid=1, host="h", version="v")
S = TaskStatus


def begun(*tasks: Any, gates: Any = (), barrier: Barrier = Barrier.NONE, **options: Any) -> Play:
    play = Play(a_plan(*tasks, gates=gates, barrier=barrier), **options)
    play.begin()
    return play


def verdict(play: Play) -> Any:
    return play.state.finished.verdict


def ending(play: Play) -> list[Any]:
    """The tasks whose effects are to be ended."""
    effects: Any = to_end(play.state)
    return [effect.task for effect in effects]


def asks(play: Play, kind: str, task: str = "", **fields: Any) -> list[Any]:
    """A request is taken, and everything that follows from it."""
    name = f"q{len(play.journal)}"
    return play.record(*take(play.state, Request(id=name, kind=RequestKind(kind), task=task, by="me", **fields)))


def refused(play: Play, kind: str, task: str = "", **fields: Any) -> UserError:
    with pytest.raises(UserError) as error:
        obey(play.state, Request(id="q", kind=RequestKind(kind), task=task, by="me", **fields))
    return error.value


def failing(play: Play, task: str) -> None:
    """The task is failed for good, as an unattended run does it."""
    for _ in range(2):
        if task in play.running:
            play.attempt(task, done(ReportStatus.FAILED, summary=f"no {len(play.journal)}"))
    if play.task(task).status is S.AWAITING_DECISION:
        play.answer("skip", play.task(task).decision)


# -- requests -------------------------------------------------------------------------------------


def test_a_request_is_taken_once_however_often_it_is_found():
    """A crash between the journal and the inbox leaves the request where it was."""
    play = begun(a_task("a"))
    request = Request(id="1", kind=RequestKind.PAUSE, by="me")
    play.record(*take(play.state, request))
    assert take(play.state, request) == ()
    assert take(fold(play.journal), request) == ()


def test_a_request_that_comes_too_late_is_refused_on_the_record():
    play = begun(a_task("a"))
    play.through("a")
    events = take(play.state, Request(id="1", kind=RequestKind.SKIP, task="a", by="me"))
    assert events == (
        RequestTaken(id="1", kind="skip", by="me", task="a", refused="Task a is integrated already."),
        WarningRaised(code="request_refused", task="a", text="skip a by me was refused: Task a is integrated already."),
    )


def test_a_request_about_an_unknown_task_is_told_without_it():
    play = begun(a_task("a"))
    warning: Any = take(play.state, Request(id="1", kind=RequestKind.RETRY, task="zz"))[-1]
    assert (warning.task, "by somebody" in warning.text) == ("", True)
    assert refused(play, "retry", "zz").code == "unknown_task"
    many = begun(*(a_task(f"t{n}") for n in range(9)))
    assert refused(many, "skip", "zz").hint.endswith("t7, ….")


def test_an_answer_is_void_without_a_word_when_its_question_is_gone():
    """I9: it counts for one question."""
    play = begun(a_task("a", needs_human=True))
    asked = Request(id="1", kind=RequestKind.ANSWER, decision="d1", choice="approve", by="me")
    play.record(*take(play.state, asked))
    assert play.running == ["a"]
    assert take(play.state, asked) == ()
    assert refused(play, "answer", decision="d1", choice="approve").hint == "Open: none."
    other = begun(a_task("a", needs_human=True))
    assert refused(other, "answer", decision="d1", choice="maybe").hint == "Choose one of: approve, reject."


# -- pause ----------------------------------------------------------------------------------------


def test_a_paused_run_finishes_what_is_under_way_and_starts_nothing():
    """I13: a paused run is not stuck."""
    play = begun(a_task("a"), a_task("b"), jobs=1)
    asks(play, "pause")
    assert run_state(play.state, held=True) == "running"
    assert run_state(play.state, held=False) == "paused"
    play.through("a")
    assert play.running == []
    assert play.task("a").status is S.INTEGRATED
    assert (run_state(play.state, held=True), exit_code(play.state)) == ("paused", 130)
    assert "paused" in why(play.state, "b", play.now)
    assert not is_stuck(play.state, play.now)
    play.record(RESUMED)
    assert play.running == ["b"]


def test_a_pause_at_once_ends_what_is_under_way():
    play = begun(a_task("a"), gates=[a_gate("t", GatePoint.TASK)])
    asks(play, "pause", at_once=True)
    (effect,) = to_end(play.state)
    assert isinstance(effect, StartAttempt)
    play.attempt("a", ended(ExitKind.CANCELLED))
    assert (play.running, play.task("a").status) == ([], S.WAITING)
    play.record(RESUMED)
    assert play.running == ["a"]
    play.attempt("a")
    asks(play, "pause", at_once=True)
    (gates,) = to_end(play.state)
    assert isinstance(gates, RunGates)
    play.record(EffectLost(key=gates.key, detail="told to stop"))
    assert play.state.inflight == {}
    assert "paused" in why(play.state, "a", play.now)
    play.record(RESUMED)
    play.integrate("a")
    assert verdict(play) is RunVerdict.FINISHED


def test_a_second_pause_says_nothing_new_unless_it_is_at_once():
    play = begun(a_task("a"))
    asks(play, "pause")
    assert obey(play.state, Request(id="2", kind=RequestKind.PAUSE)) == ()
    assert len(obey(play.state, Request(id="2", kind=RequestKind.PAUSE, at_once=True))) == 1


def test_a_paused_run_waits_for_no_timer():
    play = begun(a_task("a"))
    play.attempt("a", ended(ExitKind.RATE_LIMITED))
    assert wake_at(play.state, play.now) is not None
    asks(play, "pause")
    assert wake_at(play.state, play.now) is None


def test_a_run_that_is_over_cannot_be_paused_or_cancelled():
    play = begun(a_task("a"))
    play.through("a")
    for kind in ("pause", "cancel"):
        assert refused(play, kind).message == "Run r is over."


# -- ending tasks ---------------------------------------------------------------------------------


def test_a_waiting_task_is_cancelled_at_once_and_blocks_what_needs_it():
    play = begun(a_task("a"), a_task("a2", "a"), a_task("b"), a_task("c", "b"), jobs=1)
    asks(play, "cancel", "b")
    assert (play.task("b").status, play.task("b").reason) == (S.CANCELLED, Reason.HUMAN)
    assert (play.task("c").status, play.task("c").blocked_on) == (S.BLOCKED, "b")


def test_the_attempt_of_a_cancelled_task_is_ended_first():
    """I2: what it left is named."""
    play = begun(a_task("a"), a_task("b"))
    asks(play, "cancel", "a")
    assert ending(play) == ["a"]
    assert "is being ended" in why(play.state, "a", play.now)
    play.attempt(
        "a", done(None, end=ended(ExitKind.CANCELLED).exit, warnings=["odd"], seal={"config_changed": ("hooks",)})
    )
    assert play.task("a").status is S.CANCELLED
    assert "sealed(a.1)"[:12] in play.task("a").detail
    texts = [event.text for event in play.events if isinstance(event, WarningRaised)]
    assert texts == ["odd", "Hooks or configuration of your repository changed: hooks."]
    assert play.running == ["b"]


def test_an_attempt_that_was_never_sealed_leaves_nothing_to_name():
    play = begun(a_task("a"))
    asks(play, "skip", "a")
    play.attempt("a", ended(ExitKind.CANCELLED))
    assert (play.task("a").status, play.task("a").detail) == (S.SKIPPED, "Skipped by me.")


def test_a_landing_counts_though_somebody_wanted_the_task_ended():
    """I4: what is on the branch is integrated."""
    play = begun(a_task("a"))
    play.attempt("a")
    play.merge("a")
    asks(play, "cancel", "a")
    assert list(to_end(play.state)) == []
    play.land("a")
    assert play.task("a").status is S.INTEGRATED
    assert verdict(play) is RunVerdict.FINISHED


def test_gates_of_a_task_that_is_to_end_are_ended():
    play = begun(a_task("a"), gates=[a_gate("t", GatePoint.TASK)])
    play.attempt("a")
    asks(play, "skip", "a")
    (gates,) = to_end(play.state)
    play.record(EffectLost(key=gates.key, detail="told to stop"))
    assert play.task("a").status is S.SKIPPED


def test_a_task_that_waits_for_an_answer_is_ended_without_one():
    play = begun(a_task("a", needs_human=True))
    asks(play, "cancel", "a")
    assert play.state.decisions == {}
    assert play.task("a").status is S.CANCELLED


@pytest.mark.parametrize(("kind", "after"), [("cancel", S.INTEGRATED), ("skip", S.INTEGRATED), ("skip", S.SKIPPED)])
def test_a_task_that_is_over_is_not_ended_again(kind, after):
    play = begun(a_task("a"), a_task("b"))
    if after is S.INTEGRATED:
        play.through("a")
    else:
        asks(play, "skip", "a")
        play.attempt("a", ended(ExitKind.CANCELLED))
    assert refused(play, kind, "a").message == f"Task a is {after} already."


def test_a_failed_task_can_be_skipped_so_that_the_run_is_fine():
    play = begun(a_task("a"), a_task("b"), unattended=True)
    failing(play, "a")
    play.through("b")
    assert exit_code(play.state) == 1
    asks(play, "skip", "a")
    assert play.task("a").status is S.SKIPPED
    assert verdict(play) is RunVerdict.FINISHED
    assert exit_code(play.state) == 0


# -- cancelling the run ---------------------------------------------------------------------------


def test_a_cancelled_run_ends_everything_and_is_over():
    play = begun(a_task("a"), a_task("b"), a_task("c", "b"), jobs=1)
    asks(play, "cancel")
    assert ending(play) == ["b"]
    assert not play.state.finished
    play.attempt("b", ended(ExitKind.CANCELLED))
    assert play.state.finished == RunFinished(verdict=RunVerdict.CANCELLED, detail="Cancelled by me.")
    assert [play.task(name).status for name in "abc"] == [S.CANCELLED] * 3
    assert (run_state(play.state, held=False), exit_code(play.state)) == ("cancelled", 1)


def test_a_run_is_cancelled_before_its_canary_is_through():
    play = Play(a_plan(a_task("a"), gates=[a_gate("t")]))
    play.record()
    play.opened()
    asks(play, "cancel")
    (canary,) = to_end(play.state)
    assert isinstance(canary, RunCanary)
    play.record(EffectLost(key=canary.key, detail="told to stop"))
    assert verdict(play) is RunVerdict.CANCELLED


@pytest.mark.parametrize("task", ["", "a"], ids=["the run", "the task"])
def test_what_was_cancelled_and_then_lost_is_not_started_again(task):
    """I13: the process died between the request and the end of the attempt; who takes over has only the wish."""
    play = begun(a_task("a"))
    asks(play, "cancel", task)
    key = play.task("a").inflight
    events = play.record(RESUMED, EffectLost(key=key, detail="gone"))
    assert not any(isinstance(event, EffectIntended) and isinstance(event.effect, StartAttempt) for event in events)
    assert play.task("a").status is S.CANCELLED


def test_cancelling_takes_back_the_questions_of_the_run():
    gates = [a_gate("w", GatePoint.WAVE)]
    play = begun(a_task("a", wave=1), a_task("b", "a", wave=2), gates=gates, barrier=Barrier.WAVE, **UNFITTED)
    play.through("a")
    play.gates("", faulty("w"))
    assert play.asked().kind is DecisionKind.WAVE
    play.record(RunCancelled(by="me"))
    assert play.state.decisions == {}
    assert verdict(play) is RunVerdict.CANCELLED


def test_a_cancelled_run_can_be_taken_up_again():
    play = begun(a_task("a"), a_task("b", "a"))
    asks(play, "cancel")
    play.attempt("a", ended(ExitKind.CANCELLED))
    asks(play, "retry", "a")
    assert not play.state.finished
    assert play.running == ["a"]
    play.through("a", "b")
    assert verdict(play) is RunVerdict.FINISHED


# -- retrying -------------------------------------------------------------------------------------


def test_a_failed_task_begins_anew_with_what_was_blocked_on_it():
    """Fresh bounds, the last failure in the brief, another key and ref for its next start."""
    play = begun(a_task("a"), a_task("b", "a"), a_task("c", "b"), unattended=True)
    failing(play, "a")
    assert verdict(play) is RunVerdict.FAILED
    assert play.task("c").blocked_on == "a"
    asks(play, "retry", "a", note="use the other file")
    assert [type(e) for e in play.events[-4:]][1:3] == [RunReopened, TaskReopened]
    assert play.running == ["a"]
    assert play.effect(StartAttempt, "a").attempt == 3
    assert play.task("a").tries.attempts == 0
    assert play.task("a").context == (("what me says", "use the other file"),)
    play.through("a", "b", "c")
    assert verdict(play) is RunVerdict.FINISHED
    assert fold(play.journal) == play.state


def test_a_task_that_needs_two_stays_blocked_by_the_other():
    play = begun(a_task("a"), a_task("b"), a_task("c", "a", "b"), unattended=True)
    failing(play, "a")
    failing(play, "b")
    assert play.task("c").blocked_on == "a"
    asks(play, "retry", "a")
    assert (play.task("c").status, play.task("c").blocked_on) == (S.BLOCKED, "b")
    assert refused(play, "retry", "c").message == "Task c is blocked on b."


def test_retry_without_a_task_takes_up_all_that_did_not_make_it():
    play = begun(a_task("a"), a_task("b"), a_task("c", "a"), a_task("d"), unattended=True)
    for name in "ab":
        failing(play, name)
    asks(play, "skip", "d")
    play.attempt("d", ended(ExitKind.CANCELLED))
    asks(play, "retry")
    assert sorted(play.running) == ["a", "b"]
    assert [play.task(name).status for name in "cd"] == [S.WAITING, S.SKIPPED]


def test_every_retry_is_counted_whoever_asked_for_it():
    """The one of the bounds, the answer to a question, and a task taken up again; what others held up was not tried."""
    play = begun(a_task("a"), a_task("b", "a"))
    for number in range(4):
        play.attempt("a", done(ReportStatus.FAILED, summary=f"no {'abcd'[number]}"))
        if number == 1:
            play.answer("retry", play.task("a").decision)
    assert (play.task("a").attempts, play.task("a").retried, play.task("a").tries.retries) == (4, 3, 1)
    play.answer("skip", play.task("a").decision)
    asks(play, "retry", "a")
    assert (play.task("a").retried, play.task("b").retried) == (4, 0)
    play.attempt("a", ended(ExitKind.LOST))
    play.through("a", "b")
    assert (play.task("a").retried, play.task("b").retried) == (4, 0)


def test_an_answer_before_anything_was_tried_is_no_retry():
    play = begun(a_task("a", needs_human=True))
    play.answer("reject", play.task("a").decision)
    assert play.task("a").is_over
    asks(play, "retry", "a")
    assert (play.task("a").attempts, play.task("a").retried) == (0, 0)


def test_what_needs_two_that_are_retried_together_is_free_of_both():
    """Blocked on the first of them, it is not blocked on the second for the moment between the two."""
    for order in ("bc", "cb"):
        tasks = [a_task("b"), a_task("c"), a_task("d", "b"), a_task("e", "c", "d")]
        play = begun(*tasks, unattended=True)
        for name in order:
            play.attempt(name, done(ReportStatus.BLOCKED, changes=[]))
        assert play.task("e").status is S.BLOCKED
        asks(play, "retry")
        assert play.task("e").status is S.WAITING
        play.through("b", "c", "d", "e")
        assert verdict(play) is RunVerdict.FINISHED


def test_retry_all_of_nothing_is_refused():
    play = begun(a_task("a"))
    assert refused(play, "retry").message == "No task failed, was blocked or was cancelled."


def test_retry_all_behind_a_skipped_task_names_it():
    play = begun(a_task("a"), a_task("b", "a"), a_task("d", "b"), a_task("e", "d"))
    asks(play, "skip", "b")
    error = refused(play, "retry")
    assert error.message == "Only d, e are blocked, by b (skipped)."
    assert error.hint == "Take up what blocks them: `chargehand retry b`."


def test_retry_all_behind_one_skipped_task_speaks_of_one():
    play = begun(a_task("a"), a_task("b", "a"), a_task("d", "b"))
    asks(play, "skip", "b")
    assert refused(play, "retry").message == "Only d is blocked, by b (skipped)."


def test_a_question_about_a_task_is_answered_by_retry():
    play = begun(a_task("a"))
    for text in ("one", "two"):
        play.attempt("a", done(ReportStatus.FAILED, summary=text))
    assert play.asked().kind is DecisionKind.ESCALATION
    asks(play, "retry", "a", note="again")
    assert play.running == ["a"]


def test_a_question_without_a_retry_is_not_answered_by_it():
    play = begun(a_task("a", needs_human=True))
    error = refused(play, "retry", "a")
    assert error.hint == "Answer it: `chargehand answer d1 approve|reject`."
    play.state.decisions.clear()  # answered, and not yet followed
    assert "just been answered" in refused(play, "retry", "a").message


def test_a_task_that_waits_for_its_time_has_waited_enough():
    play = begun(a_task("a"), a_task("b", agent="other"), jobs=1)
    play.attempt("a", ended(ExitKind.RATE_LIMITED))
    assert play.running == ["b"]
    asks(play, "retry", "a")
    assert play.state.timers == []
    assert play.state.circuits == {}
    play.through("b")
    assert play.running == ["a"]
    assert fold(play.journal) == play.state


def test_what_cannot_be_retried_says_why():
    play = begun(a_task("a"), a_task("b", "a"), a_task("c"))
    assert "chargehand cancel a" in refused(play, "retry", "a").hint
    assert refused(play, "retry", "b").message == "Task b waits already."
    play.through("a")
    assert refused(play, "retry", "a").message == "Task a is integrated: its work has landed."
    play.record(TaskReopened(task="b", by="me"))
    assert play.task("b").status is S.RUNNING


def test_an_accepted_run_takes_nothing_up_again():
    play = begun(a_task("a"), a_task("b"), unattended=True)
    failing(play, "a")
    play.through("b")
    play.record(RunAccepted(target="main", commit="c", how="merge"))
    assert refused(play, "retry", "a").message == "Run r was accepted into main; nothing can be added to it."


def test_the_breaker_counts_anew_after_a_retry():
    play = begun(*(a_task(name) for name in "abcd"), jobs=1, unattended=True)
    for name in "abc":
        play.attempt(name, done(ReportStatus.BLOCKED, changes=[]))
    assert play.state.stopped.reason is StopReason.BREAKER
    assert play.task("d").reason is Reason.BREAKER
    asks(play, "retry", "a")
    assert not play.state.stopped
    assert play.running == ["a"]
    play.attempt("a")
    play.integrate("a")
    assert play.running == ["d"], "the tasks that the stop cancelled wait again"


def test_a_blocked_task_that_is_retried_counts_no_longer():
    play = begun(*(a_task(name) for name in "abc"), jobs=1, unattended=True)
    for name in "ab":
        play.attempt(name, done(ReportStatus.BLOCKED, changes=[]))
    asks(play, "retry", "a")
    assert play.state.blocked == {0: ["b"]}


def test_a_broken_canary_is_looked_at_again_after_a_retry():
    play = Play(a_plan(a_task("a"), gates=[a_gate("t")]), **UNFITTED)
    play.begin(faulty("t"))
    assert play.state.stopped.reason is StopReason.CANARY
    asks(play, "retry")
    assert isinstance(play.effect(RunCanary), RunCanary)
    play.canary()
    assert play.running == ["a"]


def test_a_human_s_stop_is_taken_back_by_a_retry():
    """Its answer to a question of the run no longer stops anything."""
    gates = [a_gate("w", GatePoint.WAVE)]
    play = begun(a_task("a", wave=1), a_task("b", "a", wave=2), gates=gates, barrier=Barrier.WAVE, **UNFITTED)
    play.through("a")
    play.gates("", faulty("w"))
    play.answer("stop")
    assert isinstance(play.state.stopped, DispatchStopped)
    asks(play, "retry")
    assert document(play.state, held=True)["state"] == "running"
    play.gates()
    assert play.running == ["b"]


def test_a_task_of_a_later_wave_waits_for_its_wave_once():
    """Ended and taken up again while its wave was still to come, it is offered once."""
    play = begun(a_task("a", wave=1), a_task("b", wave=2), barrier=Barrier.WAVE)
    asks(play, "cancel", "b")
    asks(play, "retry", "b")
    play.through("a")
    assert play.running == ["b"]
    assert play.state.ready == []


# -- what a repair finds --------------------------------------------------------------------------


def repaired(play: Play, *found: Any) -> None:
    lost = [EffectLost(key=key, detail="gone") for key in list(play.state.inflight)]
    for event in (*lost, *found):
        evolve(play.state, event, play.now)
    play.record(RESUMED)


def test_a_landing_that_the_journal_lost_is_found_on_the_branch():
    """I4: it does not land again, and what needs it goes on from there."""
    play = begun(a_task("a"), a_task("b", "a"))
    found = TaskFound(
        task="a",
        status=S.INTEGRATED,
        reason=Reason.INTEGRATED,
        attempts=2,
        commit="x",
        landed="m",
        files_changed=("f",),
    )
    repaired(play, found, BranchFound(head="m", tree="t"))
    assert play.running == ["b"]
    assert play.effect(StartAttempt, "b").base == "m"
    (one, _) = document(play.state, held=False)["tasks"]
    assert (one["state"], one["landed"], one["attempts"], one["files_changed"]) == ("integrated", "m", 2, ["f"])


def test_a_question_after_a_repair_has_the_number_of_none_that_was_lost():
    """I9: a late answer to a question of before counts for none of now."""
    play = begun(a_task("a"), a_task("b", "a", needs_human=True))
    found = TaskFound(task="a", status=S.INTEGRATED, landed="m")
    repaired(play, HistoryLost(detail="page 3"), found, BranchFound(head="m", tree="t"))
    assert play.asked().id == "d1001"


def test_a_landing_is_found_for_a_task_that_was_thought_blocked():
    play = begun(a_task("a"), a_task("b", "a"), unattended=True)
    failing(play, "a")
    for event in (RunReopened(by="a repair"), TaskFound(task="a", status=S.INTEGRATED, landed="m")):
        evolve(play.state, event, play.now)
    assert play.task("a").landed == "m"
    assert play.state.unmet["b"] == 0


def test_an_end_that_the_journal_lost_blocks_what_needs_it():
    play = begun(a_task("a"), a_task("b", "a"))
    repaired(play, TaskFound(task="a", status=S.FAILED, reason=Reason.CRASH, detail="died"))
    assert (play.task("a").status, play.task("b").blocked_on) == (S.FAILED, "a")


def test_an_end_that_was_known_is_only_put_right():
    play = begun(a_task("a"), a_task("b"), unattended=True)
    failing(play, "a")
    evolve(play.state, TaskFound(task="a", status=S.SKIPPED, reason=Reason.HUMAN), play.now)
    assert play.task("a").status is S.SKIPPED


def test_starts_that_the_journal_lost_keep_later_keys_unique():
    play = begun(a_task("a"))
    repaired(play, TaskFound(task="a", status=S.RUNNING, attempts=3, lost=2))
    assert play.effect(StartAttempt, "a").launch == 6


def test_nothing_found_undoes_a_landing():
    play = begun(a_task("a"), a_task("b"))
    play.through("a")
    evolve(play.state, TaskFound(task="a", status=S.FAILED, reason=Reason.CRASH), play.now)
    assert play.task("a").status is S.INTEGRATED


# -- interrupts beside it -------------------------------------------------------------------------


def test_a_cancelled_run_that_is_interrupted_is_over_once_nothing_is_under_way():
    play = begun(a_task("a"))
    asks(play, "cancel")
    play.record(RunInterrupted(by="ctrl-c"))
    play.attempt("a", ended(ExitKind.CANCELLED))
    assert verdict(play) is RunVerdict.CANCELLED


def test_a_wish_is_on_the_record_with_who_had_it():
    play = begun(a_task("a"))
    asks(play, "skip", "a")
    wishes = [event for event in play.events if isinstance(event, TaskEndAsked)]
    assert [(wish.task, wish.status, wish.reason, wish.by) for wish in wishes] == [("a", S.SKIPPED, Reason.HUMAN, "me")]
    assert not [event for event in play.events if isinstance(event, TaskEnded | TaskRequeued)]
    assert [
        e.effect.task for e in play.events if isinstance(e, EffectIntended) and isinstance(e.effect, StartAttempt)
    ] == ["a"]
    assert failed("x").gate == "x"


def test_a_request_that_cannot_be_read_is_a_warning_and_nothing_else():
    play = begun(a_task("a"))
    odd = Request(id="q", kind=RequestKind.ANSWER, unreadable="number 2: An event is damaged.")
    (warned,) = take(play.state, odd)
    assert isinstance(warned, WarningRaised)
    assert warned.code == "request_unreadable"
    assert "number 2: An event is damaged." in warned.text
    with pytest.raises(UserError, match="set aside"):
        obey(play.state, odd)


def test_a_replan_without_a_plan_is_refused():
    play = begun(a_task("a"))
    assert refused(play, "replan").code == "request_refused"
    taken, warned = take(play.state, Request(id="q", kind=RequestKind.REPLAN, by="me"))
    assert isinstance(taken, RequestTaken)
    assert taken.refused
    assert isinstance(warned, WarningRaised)
