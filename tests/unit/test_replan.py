"""A new plan for a run that has begun: integrated work stays, and what cannot be taken says why (SPEC 3.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.commands import Request, RequestKind, take
from chargehand.domain.effects import RunCanary, StartAttempt
from chargehand.domain.errors import UserError
from chargehand.domain.events import RunReopened, RunReplanned, RunResumed
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import Kickback, KickbackSignal, ReportStatus
from chargehand.domain.plan import Barrier, Command, GatePoint, Plan, Task
from chargehand.domain.replan import compare
from chargehand.domain.view import exit_code
from chargehand.domain.words import Reason, RunVerdict, TaskStatus
from tests.play import Play, a_gate, a_plan, a_task, done

S = TaskStatus


def begun(*tasks: Any, gates: Any = (), **options: Any) -> Play:
    fields = {name: options.pop(name) for name in ("barrier",) if name in options}
    play = Play(a_plan(*tasks, gates=gates, **fields), **options)
    play.begin()
    return play


def verdict(play: Play) -> Any:
    return play.state.finished.verdict


def replanned(play: Play, plan: Plan) -> list[Any]:
    request = Request(id=f"q{len(play.journal)}", kind=RequestKind.REPLAN, by="me", plan=plan)
    events = play.record(*take(play.state, request))
    assert fold(play.journal) == play.state
    return events


def refusal(play: Play, plan: Plan) -> str:
    with pytest.raises(UserError) as error:
        compare(play.state, plan)
    assert error.value.code == "replan_refused"
    return error.value.message


def failing(play: Play, task: str) -> None:
    for text in ("one", "two"):
        play.attempt(task, done(ReportStatus.FAILED, summary=text))


def test_a_failed_task_is_split_and_the_run_goes_on():
    """Integrated work stays; the old task is skipped, so that it does not fail the run."""
    play = begun(a_task("a"), a_task("b", "a"), a_task("c", "b"), unattended=True)
    play.through("a")
    failing(play, "b")
    assert verdict(play) is RunVerdict.FAILED
    new = a_plan(a_task("a"), a_task("b1", "a"), a_task("b2", "b1"), a_task("c", "b2"))
    found = compare(play.state, new)
    assert (found.added, found.changed, found.removed, found.kept) == (("b1", "b2"), ("c",), ("b",), ())
    replanned(play, new)
    assert [type(event) for event in play.events if isinstance(event, RunReopened | RunReplanned)] == [
        RunReopened,
        RunReplanned,
    ]
    assert (play.task("b").status, play.task("b").reason) == (S.SKIPPED, Reason.REPLANNED)
    play.through("b1", "b2", "c")
    assert verdict(play) is RunVerdict.FINISHED
    assert exit_code(play.state) == 0


def test_a_reworded_task_begins_anew_and_remembers_its_last_patch():
    play = begun(a_task("a"), unattended=True)
    failing(play, "a")
    replanned(play, a_plan(a_task("a", description="clearer")))
    effect = play.effect(StartAttempt, "a")
    assert (effect.attempt, play.task("a").tries.attempts) == (3, 0)
    assert play.task("a").task.description == "clearer"
    assert play.task("a").previous == ("base", "sealed(a.2)")
    assert play.task("a").failure.reason is Reason.AGENT_FAILED


def test_the_better_patch_that_was_kept_is_the_one_to_begin_from():
    play = begun(a_task("a"), gates=[a_gate("t", GatePoint.TASK)], unattended=True)
    play.attempt("a")
    play.gates("a", "t")
    play.attempt("a", done(ReportStatus.FAILED, summary="worse"))
    kept = play.task("a").commit
    assert kept == "sealed(a.1)"
    replanned(play, a_plan(a_task("a", description="clearer"), gates=[a_gate("t", GatePoint.TASK)]))
    assert play.task("a").previous == ("base", kept)


def test_what_was_blocked_behind_a_replaced_task_runs_again():
    """Not only its direct dependents, whose text changed with it."""
    play = begun(a_task("a"), a_task("b", "a"), a_task("c", "b"), unattended=True)
    failing(play, "a")
    assert play.task("c").blocked_on == "a"
    replanned(play, a_plan(a_task("a2"), a_task("b", "a2"), a_task("c", "b")))
    play.through("a2", "b", "c")
    assert verdict(play) is RunVerdict.FINISHED


def test_what_still_needs_a_failed_task_is_blocked_again():
    play = begun(a_task("a"), a_task("b"), a_task("c"), unattended=True)
    failing(play, "a")
    play.through("b", "c")
    replanned(play, a_plan(a_task("a"), a_task("b"), a_task("c"), a_task("d", "a"), a_task("e", "b")))
    assert (play.task("d").status, play.task("d").blocked_on) == (S.BLOCKED, "a")
    assert play.running == ["e"]


def test_a_task_that_comes_back_is_done_after_all():
    """Left out by one plan, named again by the next, with the very same text."""
    play = begun(a_task("a"), a_task("b"), a_task("c", "b"), jobs=1, unattended=True)
    play.record(*take(play.state, Request(id="p", kind=RequestKind.PAUSE, by="me")))
    first = play.state.plan
    replanned(play, a_plan(*(task for task in first.tasks if task.id == play.running[0])))
    assert play.task("c").status is S.SKIPPED
    assert compare(play.state, first).added
    replanned(play, first)
    play.record(RunResumed(pid=1, host="h", version="v"))
    while play.running:
        play.through(play.running[0])
    assert verdict(play) is RunVerdict.FINISHED
    assert {record.status for record in play.state.tasks.values()} == {S.INTEGRATED}


def test_integrated_tasks_that_the_plan_leaves_out_are_kept():
    play = begun(a_task("a"), a_task("b", "a"))
    play.through("a")
    asked = a_plan(a_task("b"), a_task("n"))
    with pytest.raises(UserError):
        compare(play.state, asked)  # b runs
    play.through("b")
    new = a_plan(a_task("n"))
    assert compare(play.state, new).kept == ("a", "b")
    replanned(play, new)
    assert [task.id for task in play.state.plan.tasks] == ["a", "b", "n"]
    assert play.running == ["n"]


def test_an_integrated_task_keeps_its_own_text():
    """What surrounds the work may change in the plan; what was done stays what it was."""
    play = begun(a_task("a"), a_task("b", "a"))
    play.through("a")
    replanned(play, a_plan(replace(a_task("a"), title="Another title"), a_task("b", "a"), a_task("c")))
    assert play.task("a").task.title == "Task a"
    assert play.running == ["b", "c"]


def test_the_same_plan_changes_nothing():
    play = begun(a_task("a"))
    assert compare(play.state, play.state.plan).changes_nothing
    before = len(play.journal)
    replanned(play, play.state.plan)
    assert len(play.journal) == before + 1


def test_new_gates_are_tried_on_the_base_again():
    play = begun(a_task("a", needs_human=True), gates=[a_gate("t")])
    new = a_plan(a_task("a", needs_human=True), gates=[a_gate("t"), a_gate("u", GatePoint.TASK)])
    assert compare(play.state, new).canary
    replanned(play, new)
    canary = play.effect(RunCanary)
    assert canary.key != "run/0/canary"
    play.canary()
    play.answer("approve")
    play.through("a")
    play.gates()
    assert verdict(play) is RunVerdict.FINISHED


def test_a_sealed_change_that_waits_for_a_person_meets_the_new_gates():
    """I3: it lands only past the gates of then."""
    play = begun(a_task("a"), gates=[a_gate("t")])
    play.attempt("a")
    play.merge("a")
    play.gates("a", "t")
    play.attempt("a", done(content="better"))
    play.merge("a")
    play.gates("a", "t")
    assert play.task("a").candidate is not None
    replanned(play, a_plan(a_task("a"), gates=[a_gate("u")]))
    assert play.task("a").candidate is None
    assert play.task("a").status is S.AWAITING_DECISION


def test_a_kickback_is_followed_by_a_new_plan():
    """The run was held; the question goes with the task it was about."""
    play = begun(a_task("a"), a_task("b", "a"))
    play.attempt("a", done(ReportStatus.KICKBACK, kickback=Kickback(signal=KickbackSignal.NEEDS_SPLIT), changes=[]))
    assert play.state.held
    replanned(play, a_plan(a_task("a1"), a_task("a2", "a1"), a_task("b", "a2")))
    assert (play.state.held, play.state.decisions) == (None, {})
    assert play.running == ["a1"]


def test_a_question_that_was_answered_but_not_followed_goes_with_its_task():
    play = begun(a_task("a", needs_human=True), a_task("b"))
    decision = play.asked()
    play.record()
    play.state.decisions.clear()
    play.state.answers[decision.id] = (decision, "approve", "me")
    play.state.attention["a"] = None
    from chargehand.domain.replan import replan

    replan(play.state, a_plan(a_task("b")))
    assert play.state.answers == {}
    assert list(play.state.attention) == []


def test_a_wave_that_was_over_is_gone_through_again():
    tasks = (a_task("a", wave=1), a_task("b", "a", wave=2))
    play = begun(*tasks, barrier=Barrier.WAVE, jobs=1, unattended=True)
    play.through("a")
    assert play.state.wave == 2
    failing(play, "b")
    new = (*tasks, a_task("early", wave=1), a_task("later", wave=3))
    replanned(play, a_plan(*new, barrier=Barrier.WAVE))
    assert (play.state.wave, play.running) == (1, ["early"])


def test_fixes_that_the_run_added_stay_where_they_are():
    play = begun(a_task("a"), gates=[a_gate("r", GatePoint.RUN)])
    play.through("a")
    play.gates("", "r")
    assert play.running == ["fix-1"]
    assert "the name of a fix" in refusal(
        play, a_plan(a_task("a"), a_task("fix-1"), gates=[a_gate("r", GatePoint.RUN)])
    )
    play.through("fix-1")
    play.gates("", "r")
    play.through("fix-2")
    play.gates()
    assert verdict(play) is RunVerdict.FINISHED
    replanned(play, a_plan(a_task("a"), a_task("n"), gates=[a_gate("r", GatePoint.RUN)]))
    assert play.task("fix-1").status is S.INTEGRATED
    assert [task.id for task in play.state.plan.tasks] == ["a", "n"]
    assert play.running == ["n"]


def changed(task: Task, **fields: Any) -> Task:
    return replace(task, **fields)


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (replace(a_plan(a_task("a"), a_task("b")), plan="other"), "Its `plan` is other, that of the run is p."),
        (a_plan(a_task("a"), a_task("b"), barrier=Barrier.WAVE), "Its `barrier` is wave, that of the run is none."),
        (a_plan(a_task("a", description="new"), a_task("b")), "Task a is integrated and stays, but its description"),
        (
            a_plan(a_task("a", modify=["x"], verify=(Command(argv=("v",)),)), a_task("b")),
            "its files and verify changed: give new work a new id",
        ),
        (a_plan(a_task("a"), a_task("b", description="new")), "Task b is running and changed: pause the run"),
        (a_plan(a_task("a")), "Task b is running and missing: pause the run or cancel the task first."),
        (
            a_plan(a_task("a"), a_task("b"), gates=[a_gate("g")]),
            "Its gates, setup or env changed while b is under way",
        ),
    ],
)
def test_what_cannot_be_taken_says_why(plan, why):
    play = begun(a_task("a"), a_task("b"), jobs=1)
    play.through("a")
    assert why in refusal(play, plan)


def test_a_task_that_changed_too_much_is_refused():
    play = begun(a_task("a"), a_task("b", "a", modify=["x.py"]))
    other = replace(a_task("b", "a", modify=["y.py"]), title="Something else", description="all new")
    assert "Task b changed too much" in refusal(play, a_plan(a_task("a"), other))
    same_file = replace(other, files=a_task("b", modify=["x.py", "y.py"]).files)
    assert compare(play.state, a_plan(a_task("a"), same_file)).changed == ("b",)


def test_all_reasons_are_told_at_once():
    play = begun(a_task("a"), a_task("b"))
    told = refusal(play, replace(a_plan(a_task("b", description="x")), plan="other"))
    assert told.count("Its `plan`") == told.count("Task a is running") == told.count("Task b is running") == 1


def test_a_paused_run_takes_a_new_plan_and_goes_on():
    play = begun(a_task("a"), a_task("b"), jobs=1)
    play.record(*take(play.state, Request(id="p", kind=RequestKind.PAUSE, by="me")))
    play.through("a")
    replanned(play, a_plan(a_task("a"), a_task("b", description="new")))
    assert play.running == []
    play.record(RunResumed(pid=1, host="h", version="v"))
    assert play.running == ["b"]
