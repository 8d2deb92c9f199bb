"""Folding: what each event changes, and what the machine refuses (SPEC 3.2, 8)."""

from __future__ import annotations

import pytest

from chargehand.domain.effects import MergeCandidate, RunGates
from chargehand.domain.events import (
    AttemptAccepted,
    DispatchStopped,
    EffectLost,
    RequeueWhy,
    RunAccepted,
    RunFinished,
    RunResumed,
    RunStarted,
    TaskEnded,
    TaskIntegrated,
    TaskRequeued,
)
from chargehand.domain.evolve import evolve, fold
from chargehand.domain.outcome import ExitKind, GateStatus, Usage
from chargehand.domain.plan import Barrier, GatePoint
from chargehand.domain.state import TRANSITIONS, IllegalTransition
from chargehand.domain.words import HOLDS, TERMINAL, Reason, RunVerdict, StopReason, TaskStatus
from tests.play import Play, a_gate, a_plan, a_task, done, ended, passed


def begun(*tasks, **plan) -> Play:
    play = Play(a_plan(*(tasks or (a_task("a"),)), **plan), jobs=2)
    play.begin()
    return play


def test_a_journal_begins_with_its_start():
    play = begun()
    with pytest.raises(IllegalTransition, match="begins with RunStarted"):
        fold(play.journal[1:])


def test_a_run_starts_once():
    play = begun()
    with pytest.raises(IllegalTransition, match="starts once"):
        evolve(play.state, play.start, play.now)


def test_folding_gives_the_live_state():
    """fold(journal) is the state that was driven."""
    play = begun(a_task("a"), a_task("b", "a"))
    play.through("a")
    assert fold(play.journal) == play.state


def test_a_terminal_state_is_left_only_to_begin_anew_and_integrated_never():
    """I4: what has landed cannot land again."""
    ends = {status: following for status, following in TRANSITIONS.items() if status in TERMINAL}
    assert ends.pop(TaskStatus.INTEGRATED) == frozenset()
    assert set(ends.values()) == {frozenset({TaskStatus.WAITING})}
    assert set(TRANSITIONS) == set(TaskStatus)


@pytest.mark.parametrize(
    "event",
    [
        AttemptAccepted(task="b", attempt=1),
        TaskIntegrated(task="b", attempt=1, commit="c"),
        TaskRequeued(task="b", why=RequeueWhy.RETRY),
    ],
)
def test_a_move_the_table_does_not_know_is_refused(event):
    play = Play(a_plan(a_task("a"), a_task("b")), jobs=1)
    play.begin()
    if isinstance(event, AttemptAccepted):
        evolve(play.state, TaskEnded(task="b", status=TaskStatus.SKIPPED, reason=Reason.HUMAN), play.now)
        with pytest.raises((IllegalTransition, AssertionError)):
            evolve(play.state, event, play.now)
        return
    with pytest.raises(IllegalTransition, match="cannot go from waiting"):
        evolve(play.state, event, play.now)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_is_over_stays_over(status):
    play = Play(a_plan(a_task("a")))
    if status is TaskStatus.INTEGRATED:
        play.begin()
        play.through("a")
    else:
        evolve(play.state, TaskEnded(task="a", status=status, reason=Reason.HUMAN), play.now)
    for again in sorted(TERMINAL - {TaskStatus.INTEGRATED}):
        with pytest.raises(IllegalTransition):
            evolve(play.state, TaskEnded(task="a", status=again, reason=Reason.HUMAN), play.now)


def test_an_outcome_of_an_effect_nobody_intended_is_refused():
    """A damaged journal is told, not folded."""
    play = begun()
    with pytest.raises(KeyError):
        evolve(play.state, EffectLost(key="no/1/attempt", detail=""), play.now)


@pytest.mark.parametrize("kind", ["gates", "merge"])
def test_a_lost_step_of_a_task_is_intended_again(kind):
    """8: an intent without outcome is done anew; the task is where it was [I5]."""
    play = begun(gates=[a_gate("g", GatePoint.TASK)])
    play.attempt("a")
    if kind == "merge":
        play.gates("a")
    effect = play.state.inflight[play.task("a").inflight]
    assert isinstance(effect, MergeCandidate if kind == "merge" else RunGates)
    play.record(EffectLost(key=effect.key, detail="killed"))
    assert play.state.inflight[play.task("a").inflight] == effect
    play.integrate("a")
    assert play.task("a").status is TaskStatus.INTEGRATED


def test_lost_gates_of_the_run_are_intended_again():
    play = begun(gates=[a_gate("g", GatePoint.RUN)])
    play.through("a")
    effect = play.effect(RunGates)
    play.record(EffectLost(key=effect.key, detail="killed"))
    assert play.effect(RunGates) == effect
    play.gates()
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_lost_attempt_frees_its_slot_and_starts_again():
    play = Play(a_plan(a_task("a"), a_task("b")), jobs=1)
    play.begin()
    key = play.task("a").inflight
    events = play.record(EffectLost(key=key, detail="killed"))
    assert play.running == ["a"]
    assert events[0].effect.key == "a/1/attempt-2"
    assert play.task("a").attempts == 1
    assert play.state.agents_live == {"agent": 1}


def test_usage_is_added_up_where_it_was_measured():
    play = begun(a_task("a"), a_task("b"))
    play.attempt("a", done(usage=Usage(tokens=3)))
    assert (play.state.tokens, play.state.usd) == (3, None)
    play.attempt("b", done(usage=Usage(tokens=4, usd=0.25)))
    assert (play.state.tokens, play.state.usd) == (7, 0.25)


def test_a_clock_that_jumps_back_costs_nothing():
    """Clock jumps: nothing lost, no negative time."""
    play = begun(a_task("a"), a_task("b"))
    play.now += 10
    play.attempt("a", ended(ExitKind.LOST))
    busy = play.state.busy_s
    play.now -= 5000
    play.attempt("a", ended(ExitKind.LOST))
    assert play.state.busy_s == busy


def test_a_resume_may_change_who_answers():
    play = begun()
    for unattended, expected in ((None, False), (True, True), (None, True), (False, False)):
        evolve(play.state, RunResumed(pid=1, host="h", version="v", unattended=unattended), play.now)
        assert play.state.unattended is expected


def test_the_end_of_a_task_ends_all_that_depend_on_it_whatever_their_order():
    play = Play(a_plan(a_task("c", "b"), a_task("b", "a"), a_task("a"), a_task("d")), only=("d",))
    play.begin()
    assert {t: play.task(t).reason for t in "abc"} == dict.fromkeys("abc", Reason.NOT_SELECTED)
    assert play.state.orphaned == {}


def test_a_task_withdrawn_from_a_later_wave_is_not_offered_again():
    plan = a_plan(a_task("a"), a_task("b", wave=2), a_task("c", wave=2), barrier=Barrier.WAVE)
    play = Play(plan, only=("a", "c"))
    play.begin()
    play.through("a")
    assert play.running == ["c"]


def test_the_canary_keeps_what_was_red():
    play = Play(a_plan(a_task("a"), gates=[a_gate("one"), a_gate("two")]))
    play.begin(passed("one"))
    assert play.state.baseline_red == {}
    assert [r.status for r in play.state.canary] == [GateStatus.PASS, GateStatus.PASS]


def test_questions_that_hold_the_run_are_few():
    assert sorted(HOLDS) == ["branch_moved", "config_changed", "kickback"]


def test_the_first_stop_counts():
    play = begun()
    evolve(play.state, DispatchStopped(reason=StopReason.BUDGET, detail="one"), play.now)
    evolve(play.state, DispatchStopped(reason=StopReason.HUMAN, detail="two"), play.now)
    assert play.state.stopped.detail == "one"


def test_the_end_of_a_run_is_kept():
    play = begun()
    evolve(play.state, RunFinished(verdict=RunVerdict.CANCELLED), play.now)
    assert play.state.finished.verdict is RunVerdict.CANCELLED


def test_a_start_can_be_read_alone():
    play = begun()
    assert isinstance(play.journal[0].event, RunStarted)
    alone = fold(play.journal[:1])
    assert (alone.seq, alone.open_tasks, alone.last_at) == (1, 1, play.journal[0].at)


def test_an_accepted_run_remembers_where_it_landed():
    play = Play(a_plan(a_task("a")))
    evolve(play.state, RunAccepted(target="main", commit="c" * 40, how="squash"), play.now)
    assert play.state.accepted is not None
    assert play.state.accepted.target == "main"


def test_what_lies_staged_has_not_landed():
    play = Play(a_plan(a_task("a")))
    assert not play.state.is_landed
    evolve(play.state, RunAccepted(target="main", commit="c" * 40, how="staged"), play.now)
    assert not play.state.is_landed
    evolve(play.state, RunAccepted(target="main", commit="d" * 40, how="squash"), play.now)
    assert play.state.is_landed
