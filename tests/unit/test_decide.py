"""What decide says is missing: opening, canary, gating, merging, landing, budgets, breaker (SPEC 3.1, 3.2, 3.7, 6)."""

from __future__ import annotations

from typing import Any

import pytest

from chargehand.domain.decide import decide, is_stuck, settle, wake_at
from chargehand.domain.effects import Land, MergeCandidate, OpenBranch, RunCanary, RunGates, StartAttempt
from chargehand.domain.events import (
    DecisionAnswered,
    EffectIntended,
    EffectLost,
    GatesFinished,
    GatesPassed,
    RunInterrupted,
    RunResumed,
)
from chargehand.domain.options import Caps
from chargehand.domain.outcome import Blocker, Concern, ExitKind, ReportStatus, Usage
from chargehand.domain.plan import Barrier, Command, Files, GatePoint
from chargehand.domain.policy import Policy
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, StopReason, TaskStatus
from tests.play import BASE, UNFITTED, Play, a_gate, a_plan, a_task, crashed, done, ended, failed, faulty, passed

VERIFY = (Command(argv=("check",)),)


def blocked(text: str = "no"):
    return done(ReportStatus.BLOCKED, blocker=Blocker(text=text))


# -- opening --------------------------------------------------------------------------------------


def test_nothing_starts_before_the_branch_and_the_canary():
    """3.1: branch, then canary on the untouched base, then agents."""
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests")]))
    play.record()
    assert [type(e) for e in play.state.inflight.values()] == [OpenBranch]
    play.opened()
    canary = play.effect(RunCanary)
    assert canary.commit == BASE
    play.canary()
    assert play.running == ["a"]


def test_a_plan_that_needs_no_agent_is_over_at_once():
    play = Play(a_plan(a_task("a")), only=())
    play.begin()
    play.through("a")
    assert decide(play.state, play.now) == (), "a run that is over stays over"


@pytest.mark.parametrize("result", [failed("setup", detail="no pip"), faulty("tests"), faulty("setup")])
def test_a_canary_that_cannot_run_stops_the_run_before_any_agent(result):
    """3.1: a gate that cannot run at all stops the run; every task ends with a reason [I12]."""
    play = Play(a_plan(a_task("a"), a_task("b", "a"), gates=[a_gate("tests")]))
    play.begin(result)
    if play.state.stopped is None:  # it was too slow, and was given more time once
        play.canary(result)
    assert play.state.stopped.reason is StopReason.CANARY
    assert result.gate in play.state.stopped.detail
    assert [(r.status, r.reason) for r in play.state.tasks.values()] == [
        (TaskStatus.CANCELLED, Reason.RUN_STOPPED),
        (TaskStatus.CANCELLED, Reason.RUN_STOPPED),
    ]
    assert play.state.finished.verdict is RunVerdict.FAILED
    assert not [e for e in play.events if isinstance(e, EffectIntended) and isinstance(e.effect, StartAttempt)]


def test_a_canary_without_detail_tells_the_exit_code():
    play = Play(a_plan(a_task("a")))
    play.begin(failed("setup"))
    assert "exit code 1" in play.state.stopped.detail


def test_an_opening_that_was_lost_is_done_again():
    """Also with `only`, whose tasks are left out once."""
    play = Play(a_plan(a_task("a"), a_task("b")), only=("a",))
    play.record()
    play.record(EffectLost(key=play.effect(OpenBranch).key, detail="gone"))
    play.opened()
    play.record(EffectLost(key=play.effect(RunCanary).key, detail="gone"))
    play.canary()
    assert play.running == ["a"]
    assert (play.task("b").status, play.task("b").reason) == (TaskStatus.SKIPPED, Reason.NOT_SELECTED)


def test_only_keeps_what_the_named_tasks_need():
    play = Play(a_plan(a_task("a"), a_task("b", "a"), a_task("c", "b"), a_task("d", "a")), only=("c", "b"))
    play.record()
    assert [t for t, r in play.state.tasks.items() if r.reason is Reason.NOT_SELECTED] == ["d"], "before anything else"
    play.begin()
    play.through("a", "b", "c")
    assert play.state.finished.verdict is RunVerdict.FINISHED


# -- gating -----------------------------------------------------------------------------------------


def test_verify_and_task_gates_run_on_the_sealed_tree():
    """3.7.5 [I7]."""
    play = Play(a_plan(a_task("a", verify=VERIFY), gates=[a_gate("lint", GatePoint.TASK)]))
    play.begin()
    play.attempt("a", done(changes=["a.py"]))
    effect, sealed = play.effect(RunGates, "a"), play.task("a").sealed
    assert (effect.point, effect.commit, effect.tree) == (GatePoint.TASK, sealed.commit, sealed.tree)
    assert (effect.verify, effect.syntax, effect.base) == (True, True, sealed.base)
    assert play.checks(effect) == ["verify-1", "lint"]


@pytest.mark.parametrize(
    ("path", "verify", "point", "expected"),
    [
        ("a.py", VERIFY, GatePoint.INTEGRATE, [(GatePoint.TASK, True), (GatePoint.INTEGRATE, False)]),
        ("a.py", (), GatePoint.INTEGRATE, [(GatePoint.INTEGRATE, True)]),
        ("a.py", (), GatePoint.RUN, [(GatePoint.TASK, True)]),
        ("a.txt", (), GatePoint.INTEGRATE, [(GatePoint.INTEGRATE, False)]),
        ("a.txt", (), GatePoint.RUN, []),
        ("a.txt", VERIFY, GatePoint.RUN, [(GatePoint.TASK, False), (GatePoint.INTEGRATE, False)]),
    ],
)
def test_syntax_is_checked_once_and_no_job_is_made_for_nothing(path, verify, point, expected):
    play = Play(a_plan(a_task("a", verify=verify), gates=[a_gate("tests", point)]))
    play.begin()
    play.attempt("a", done(changes=[path]))
    play.integrate("a")
    jobs = [e.effect for e in play.events if isinstance(e, EffectIntended) and isinstance(e.effect, RunGates)]
    assert [(job.point, job.syntax) for job in jobs if job.task] == expected
    assert play.task("a").status is TaskStatus.INTEGRATED


def test_the_gates_of_a_fix_judge_the_whole_change():
    """The base of a fixer's gates is where the change began, not where the fixer did."""
    play = Play(a_plan(a_task("a", verify=VERIFY)))
    play.begin()
    play.attempt("a", done(ReportStatus.DONE_WITH_CONCERNS, concerns=(Concern(text="x"),), changes=["a.py"]))
    play.attempt("a", done(changes=["b.txt"]))
    effect = play.effect(RunGates, "a")
    assert (effect.base, effect.syntax) == (BASE, True)


def test_verify_runs_again_only_where_the_candidate_has_another_tree():
    """3.7.7."""
    play = Play(a_plan(a_task("a", verify=VERIFY), gates=[a_gate("tests")]))
    play.begin()
    play.attempt("a")
    play.gates("a")
    merge = play.effect(MergeCandidate, "a")
    play.merge("a", tree=play.task("a").sealed.tree)
    assert merge.commit == play.task("a").sealed.commit
    assert play.checks(play.effect(RunGates, "a")) == ["tests"]


def test_a_candidate_of_the_same_tree_without_gates_lands_at_once():
    play = Play(a_plan(a_task("a", verify=VERIFY)))
    play.begin()
    play.attempt("a")
    play.gates("a")
    events = play.merge("a", tree=play.task("a").sealed.tree)
    assert GatesPassed(task="a", attempt=1, point=GatePoint.INTEGRATE) in events
    assert play.effect(Land, "a").head == BASE


def test_a_result_for_another_tree_does_not_count():
    """I7: evidence names a tree and counts only for it. Silence is a fault, not a pass."""
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests")]), **UNFITTED)
    play.begin()
    play.attempt("a")
    play.merge("a")
    stale = (passed("tests", play.task("a").sealed.tree),)
    for _ in range(2):  # it is run once more before anybody is asked
        effect = play.effect(RunGates, "a")
        key, commit = effect.key, effect.commit
        play.record(
            GatesFinished(key=key, task="a", attempt=1, point=GatePoint.INTEGRATE, commit=commit, results=stale),
        )
    assert play.asked().reason is Reason.LINE_FAULT
    assert "no result for this tree" in play.asked().question


@pytest.mark.parametrize("point", [GatePoint.TASK, GatePoint.INTEGRATE])
def test_a_gate_that_could_not_judge_keeps_the_change(point):
    """Row `timeout, stall, env_missing, ambiguous`: a fault is a question; `retry` runs the gate, not the agent."""
    for unattended in (False, True):
        play = Play(a_plan(a_task("a"), gates=[a_gate("tests", point)]), unattended=unattended, **UNFITTED)
        play.begin()
        play.attempt("a")
        if point is GatePoint.INTEGRATE:
            play.merge("a")
        play.gates("a", faulty("tests"))
        if unattended:
            assert (play.task("a").status, play.task("a").reason) == (TaskStatus.FAILED, Reason.LINE_FAULT)
            continue
        assert "tests" in play.asked().question
        assert "timeout" in play.asked().question
        assert play.asked().effects[0] == "retry: the gates run again; what the attempt left is kept"
        play.answer("retry")
        assert play.task("a").attempts == 1
        play.integrate("a")
        assert play.task("a").status is TaskStatus.INTEGRATED


def test_a_candidate_of_an_earlier_attempt_does_not_stand_for_a_later_one():
    """I3: the gates of the task run again, although the attempt before had come as far as merging."""
    gates = [a_gate("lint", GatePoint.TASK), a_gate("tests")]
    play = Play(a_plan(a_task("a"), gates=gates), **UNFITTED)
    play.begin()
    play.attempt("a")
    play.gates("a")
    play.merge("a")
    play.gates("a", "tests")
    play.attempt("a")
    play.gates("a", faulty("lint"))
    play.answer("retry")
    assert play.effect(RunGates, "a").point is GatePoint.TASK


# -- integration --------------------------------------------------------------------------------------


def test_candidates_land_one_by_one_in_the_order_they_came():
    """6: the head moves by our own landing only; the next candidate is built on it [I3]."""
    play = Play(a_plan(a_task("a"), a_task("b"), gates=[a_gate("tests")]), jobs=2)
    play.begin()
    play.attempt("b")
    play.attempt("a")
    assert play.state.queue == ["b", "a"]
    assert play.task("a").inflight is None
    play.integrate("b")
    assert play.effect(MergeCandidate, "a").head == play.task("b").landed
    play.integrate("a")
    assert play.task("a").landed == play.state.head


def test_the_branch_moves_only_to_what_was_gated_as_merged():
    """I3."""
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests")]))
    play.begin()
    play.attempt("a")
    play.merge("a")
    gated = play.effect(RunGates, "a")
    assert gated.tree == play.task("a").candidate.tree
    play.gates("a")
    land = play.effect(Land, "a")
    assert (land.head, land.commit) == (BASE, gated.commit)


def test_a_conflict_is_redone_on_the_new_head_three_times():
    """Row conflict (6): a redo with both sides in the brief, not the one retry; the fourth escalates."""
    play = Play(a_plan(a_task("a")))
    play.begin()
    for number in range(3):
        play.attempt("a")
        play.merge("a", conflict=["src/x.py"])
        assert play.task("a").status is TaskStatus.RUNNING
        assert play.task("a").failure.tail == "both sides"
        assert play.task("a").tries.conflicts == number + 1
    assert play.task("a").tries.retries == 0
    play.attempt("a")
    play.merge("a", conflict=["src/x.py"])
    assert play.asked().reason is Reason.CONFLICT
    assert "4 times" in play.asked().question
    play.answer("retry")
    assert play.task("a").failure.tail == "both sides"


def test_a_branch_moved_by_somebody_else_is_a_question():
    """6: by anyone else → a decision that holds the run; unattended the run stops."""
    for unattended in (False, True):
        play = Play(a_plan(a_task("a"), a_task("b"), a_task("c")), jobs=2, unattended=unattended)
        play.begin()
        play.attempt("a")
        play.merge("a")
        play.land("a", moved="elsewhere")
        if unattended:
            assert play.state.stopped.reason is StopReason.BRANCH_MOVED
            assert (play.task("a").status, play.task("a").reason) == (TaskStatus.FAILED, Reason.BRANCH_MOVED)
            continue
        assert play.asked().kind is DecisionKind.BRANCH_MOVED
        assert "elsewhere" in play.asked().question
        assert play.running == ["b"]


def test_a_moved_branch_is_taken_as_it_stands_when_a_human_says_so():
    """`retry` leaves the question for good: the branch is opened again, and the change merged into what is there."""
    play = Play(a_plan(a_task("a"), a_task("b")), jobs=2)
    play.begin()
    play.attempt("a")
    play.merge("a")
    play.land("a", moved="elsewhere")
    play.answer("retry")
    effect = play.effect(OpenBranch)
    assert (effect.key, effect.base) == ("run/1/branch", BASE)
    play.attempt("b")
    assert play.effect(OpenBranch).key == effect.key, "asked once, whatever else comes in"
    play.opened("elsewhere")
    assert play.state.base_tree == f"tree({BASE})"
    assert play.effect(MergeCandidate, "a").head == "elsewhere"
    play.integrate("a")
    assert play.task("a").landed == play.state.head
    assert play.task("a").attempts == 1
    play.integrate("b")
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_branch_that_is_gone_is_made_anew_where_it_was():
    play = Play(a_plan(a_task("a"), a_task("b", "a")))
    play.begin()
    play.through("a")
    play.attempt("b")
    play.merge("b")
    play.land("b", moved=None)
    assert "is gone" in play.asked().question
    play.answer("retry")
    assert play.effect(OpenBranch).base == play.task("a").landed


# -- stopping -----------------------------------------------------------------------------------------


def test_three_blocked_tasks_trip_the_breaker():
    """Breaker: stop starting, let live ones end, report every blocker, exit 1; `blocked_on` does not count."""
    tasks = [a_task("a"), a_task("b", "a"), a_task("c", "a"), a_task("d"), a_task("e"), a_task("f"), a_task("g")]
    play = Play(a_plan(*tasks), jobs=4)
    play.begin()
    assert play.running == ["a", "d", "e", "f"]
    play.attempt("a", blocked("one"))
    assert [play.task(t).reason for t in "bc"] == [Reason.BLOCKED_ON] * 2
    play.attempt("d", blocked("two"))
    assert not play.state.stopped
    assert play.running == ["e", "f", "g"]
    play.attempt("e", blocked("three"))
    assert play.state.stopped.reason is StopReason.BREAKER
    assert play.state.stopped.tasks == ("a", "d", "e")
    assert all(text in play.state.stopped.detail for text in ("one", "two", "three"))
    play.attempt("f", crashed())
    assert play.running == ["g"], "a retry is a start, too"
    play.through("g")
    assert play.task("g").status is TaskStatus.INTEGRATED
    assert (play.task("f").status, play.task("f").reason) == (TaskStatus.CANCELLED, Reason.BREAKER)
    assert play.state.finished.verdict is RunVerdict.FAILED


def test_exhausted_context_counts_for_the_breaker():
    play = Play(a_plan(a_task("a"), a_task("b")), policy=Policy(breaker=1, contexts=0))
    play.begin()
    play.attempt("a", done(ReportStatus.NEEDS_CONTEXT))
    assert play.state.stopped.reason is StopReason.BREAKER


def test_the_breaker_counts_per_wave_where_waves_are_declared():
    tasks = [a_task("a", wave=1), a_task("b", wave=1), a_task("c", wave=2), a_task("d", wave=2)]
    play = Play(a_plan(*tasks), jobs=4)
    play.begin()
    for task in "abc":
        play.attempt(task, blocked())
    assert not play.state.stopped
    play.through("d")
    assert play.task("d").status is TaskStatus.INTEGRATED


def test_the_breaker_counts_per_wave_where_waves_are_a_barrier():
    tasks = [a_task("a"), a_task("b"), a_task("c"), a_task("d", "c"), a_task("e", "c")]
    play = Play(a_plan(*tasks, barrier=Barrier.WAVE), jobs=4)
    play.begin()
    play.attempt("a", blocked())
    play.attempt("b", blocked())
    play.through("c")
    play.attempt("d", blocked())
    assert not play.state.stopped
    play.through("e")
    assert play.task("e").status is TaskStatus.INTEGRATED


def test_the_breaker_may_span_all_waves():
    tasks = [a_task("a", wave=1), a_task("b", wave=1), a_task("c", wave=2), a_task("d", wave=2)]
    play = Play(a_plan(*tasks), jobs=4, policy=Policy(breaker_spans_waves=True))
    play.begin()
    for task in "abc":
        play.attempt(task, blocked())
    assert play.state.stopped.reason is StopReason.BREAKER
    assert play.state.stopped.tasks == ("a", "b", "c")


def test_the_breaker_may_be_off():
    play = Play(a_plan(*(a_task(t) for t in "abcd")), jobs=4, policy=Policy(breaker=None))
    play.begin()
    for task in "abc":
        play.attempt(task, blocked())
    assert not play.state.stopped


def test_a_budget_may_be_used_to_its_end():
    caps = Caps(run_tokens=10, run_usd=1.0, run_wall_s=60, task_tokens=10, task_usd=1.0)
    play = Play(a_plan(a_task("a"), a_task("b")), jobs=1, caps=caps)
    play.begin()
    play.now += 60
    play.attempt("a", done(ReportStatus.FAILED, usage=Usage(tokens=10, usd=1.0)))
    assert play.running == ["a"]


@pytest.mark.parametrize(
    ("caps", "usage", "seconds", "name"),
    [
        (Caps(run_tokens=10), Usage(tokens=11), 0, "tokens"),
        (Caps(run_usd=1.0), Usage(usd=1.5), 0, "money"),
        (Caps(run_wall_s=60), Usage(), 61, "wall clock"),
    ],
)
def test_the_budget_of_the_run_stops_it(caps, usage, seconds, name):
    """Bounds hold: tokens, money, wall [I10]. What is live ends."""
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c")), jobs=2, caps=caps)
    play.begin()
    play.now += seconds
    play.attempt("a", done(usage=usage))
    assert play.state.stopped.reason is StopReason.BUDGET
    assert name in play.state.stopped.detail
    play.integrate("a")
    play.through("b")
    assert play.task("b").status is TaskStatus.INTEGRATED
    assert (play.task("c").status, play.task("c").reason) == (TaskStatus.CANCELLED, Reason.BUDGET)


def test_the_time_nobody_held_the_run_is_not_counted():
    """A run that was killed on Friday has its budget on Monday."""
    play = Play(a_plan(a_task("a")), caps=Caps(run_wall_s=3600))
    play.begin()
    play.now += 100
    play.record()
    play.now += 200_000
    key = play.effect(StartAttempt, "a").key
    play.record(RunResumed(pid=1, host="h", version="v"), EffectLost(key=key, detail="gone"))
    assert play.state.busy_s == 0.0
    assert play.running == ["a"]
    play.now += 10
    play.attempt("a")
    assert play.state.busy_s == 10.0


def test_questions_of_a_stopped_run_are_closed():
    """Stop while decisions are open: nobody is left waiting, and what had failed is failed, for its reason [I12]."""
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c", needs_human=True), a_task("d")), jobs=3)
    play.begin()
    for _ in range(2):
        play.attempt("a", crashed())
        play.attempt("b", crashed())
    play.attempt("d", done(ReportStatus.NEEDS_CONTEXT, missing_context=("x",)))
    assert len(play.state.decisions) == 4
    play.answer("stop", next(i for i, d in play.state.decisions.items() if d.task == "a"))
    assert not play.state.decisions
    assert [(play.task(t).status, play.task(t).reason) for t in "bcd"] == [
        (TaskStatus.FAILED, Reason.CRASH),
        (TaskStatus.CANCELLED, Reason.RUN_STOPPED),
        (TaskStatus.BLOCKED, Reason.NEEDS_CONTEXT),
    ]
    assert play.state.finished.verdict is RunVerdict.FAILED


def test_what_fails_while_the_run_stops_is_failed():
    """Breaker: every blocker is reported, also those that come to their end after it."""
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c")), policy=Policy(breaker=1, retries=0), jobs=2)
    play.begin()
    play.attempt("a", blocked())
    play.attempt("b", crashed())
    assert (play.task("b").status, play.task("b").reason) == (TaskStatus.FAILED, Reason.CRASH)
    assert play.task("c").reason is Reason.BREAKER
    assert play.state.finished.verdict is RunVerdict.FAILED


# -- people -------------------------------------------------------------------------------------------


def test_a_task_that_needs_a_human_waits_for_a_yes():
    """`needs_human`: a decision before dispatch; unattended blocked [I9]."""
    attended = Play(a_plan(a_task("a", needs_human=True)))
    unattended = Play(a_plan(a_task("a", needs_human=True)), unattended=True)
    for play in (attended, unattended):
        play.begin()
    assert attended.asked().kind is DecisionKind.START
    assert attended.asked().choices == ("approve", "reject")
    assert (unattended.task("a").status, unattended.task("a").reason) == (TaskStatus.BLOCKED, Reason.NEEDS_HUMAN)
    attended.answer("approve")
    assert attended.running == ["a"]
    attended.attempt("a", crashed())
    assert attended.running == ["a"], "one yes is enough"


def test_a_task_may_be_rejected():
    play = Play(a_plan(a_task("a", needs_human=True), a_task("b", "a")))
    play.begin()
    question = play.asked().question
    play.answer("reject")
    assert play.task("a").status is TaskStatus.BLOCKED
    assert play.task("a").detail == f"Refused by me: {question}"
    assert play.task("b").blocked_on == "a"


def test_questions_wait_through_an_interrupt_and_a_resume():
    """Decisions survive restarts [I9]."""
    play = Play(a_plan(a_task("a", needs_human=True), a_task("b")))
    play.begin()
    play.record(RunInterrupted(by="ctrl-c"))
    play.attempt("b", ended(ExitKind.CANCELLED))
    assert play.running == []
    assert not is_stuck(play.state, play.now)
    play.record(RunResumed(pid=1, host="h", version="v"))
    assert play.running == ["b"]
    play.answer("approve")
    play.through("b", "a")
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_an_answer_counts_while_the_run_is_interrupted():
    play = Play(a_plan(a_task("a", needs_human=True)))
    play.begin()
    play.record(RunInterrupted(by="x"))
    play.answer("approve")
    assert play.task("a").status is TaskStatus.WAITING
    play.record(RunResumed(pid=1, host="h", version="v"))
    assert play.running == ["a"]


def test_a_waiting_run_resumed_unattended_takes_the_safe_defaults():
    play = Play(a_plan(a_task("a", needs_human=True), a_task("b")))
    play.begin()
    play.through("b")
    assert play.state.waits_for_people
    play.record(RunResumed(pid=1, host="h", version="v", unattended=True))
    assert play.task("a").status is TaskStatus.BLOCKED
    assert play.state.finished.verdict is RunVerdict.FAILED
    answers = [e for e in play.events if isinstance(e, DecisionAnswered)]
    assert [(a.choice, a.by) for a in answers] == [("reject", "unattended")]
    assert play.task("a").detail.startswith("Refused because nobody is asked: Task a ")


def test_interrupted_nothing_new_starts_and_what_was_concluded_stays():
    play = Play(a_plan(a_task("a"), a_task("b")), jobs=1)
    play.begin()
    play.record(RunInterrupted(by="x"))
    play.attempt("a")
    assert play.task("a").status is TaskStatus.GATING
    assert not play.state.inflight
    play.record(RunResumed(pid=1, host="h", version="v"))
    play.integrate("a")
    assert play.task("a").status is TaskStatus.INTEGRATED


# -- timers -------------------------------------------------------------------------------------------


def each_with_its_own(*names: str) -> list[Any]:
    """Tasks whose agents have providers of their own: one that asks to wait holds up no other."""
    return [a_task(name, agent=f"agent of {name}") for name in names]


def test_the_next_timer_is_the_first_that_is_not_due_yet():
    """A timer that is due and cannot start waits for an event: waking for it would turn the loop in circles."""
    play = Play(a_plan(*each_with_its_own("a", "b", "c")), jobs=1)
    play.begin()
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 10))
    play.attempt("b", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 20))
    start = play.now
    assert wake_at(play.state, play.now) == start + 10
    play.pass_time(10)
    assert play.running == ["c"], "the one slot is taken"
    assert wake_at(play.state, play.now) == start + 20
    play.pass_time(10)
    assert wake_at(play.state, play.now) is None
    play.through("c")
    assert play.running == ["a"]


def test_what_was_due_long_ago_does_not_go_before_longer_paths():
    """3.3: longest remaining path first, also among tasks whose time has come."""
    play = Play(a_plan(*each_with_its_own("a", "b"), a_task("c", "b")), jobs=1)
    play.begin()
    play.attempt("b", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 10))
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 5))
    play.pass_time(60)
    assert play.running == ["b"]


def test_no_timer_wakes_a_run_that_is_held_stopped_or_interrupted():
    play = Play(a_plan(*each_with_its_own("a", "b", "c")), jobs=2)
    play.begin()
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 10))
    play.attempt("b", done(ReportStatus.KICKBACK))
    assert wake_at(play.state, play.now) is None
    play.attempt("c", ended(ExitKind.LOST))
    assert play.state.waits_for_people, "only the answer is left, whatever the timers say"
    play.answer("skip")
    play.record(RunInterrupted(by="x"))
    assert wake_at(play.state, play.now) is None


def test_a_timer_and_a_question_are_not_only_a_question():
    play = Play(a_plan(a_task("a"), a_task("b", needs_human=True)))
    play.begin()
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 10))
    assert play.state.decisions
    assert not play.state.waits_for_people


def test_nothing_is_missing_right_after_settling():
    """I13: the fixed point."""
    play = Play(a_plan(a_task("a"), a_task("b", "a")))
    play.begin()
    assert settle(play.state, play.now) == []
    assert not is_stuck(play.state, play.now)


def test_a_run_that_cannot_move_is_stuck():
    """I13: told, instead of a hang. Only a damaged state gets there."""
    play = Play(a_plan(a_task("a", "nobody")))
    play.begin()
    assert is_stuck(play.state, play.now)
    play.record(RunInterrupted(by="x"))
    assert not is_stuck(play.state, play.now)


def test_a_run_that_waits_for_a_timer_or_an_answer_is_not_stuck():
    play = Play(a_plan(a_task("a"), a_task("b", needs_human=True)))
    play.begin()
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 10))
    assert not is_stuck(play.state, play.now)
    play.answer("reject")
    assert not is_stuck(play.state, play.now)
    play.state.timers.clear()
    assert is_stuck(play.state, play.now)


def test_a_task_whose_files_need_no_syntax_check_has_its_files_recorded():
    play = Play(a_plan(a_task("a", files=Files(modify=("x.txt",)))))
    play.begin()
    play.attempt("a", done(changes=["x.txt"]))
    assert play.task("a").files_changed == ("x.txt",)
