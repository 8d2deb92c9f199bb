"""A task that a person skips satisfies an inferred order, and nothing that is stated (SPEC 2.3)."""

from __future__ import annotations

from typing import Any

import pytest

from chargehand.domain.brief import compose
from chargehand.domain.commands import Request, RequestKind, obey, take
from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import UserError
from chargehand.domain.events import RunReplanned, TaskFound
from chargehand.domain.outcome import ExitKind, ReportStatus
from chargehand.domain.plan import Barrier, Plan
from chargehand.domain.policy import Policy
from chargehand.domain.replan import compare
from chargehand.domain.schedule import why_waiting
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, TaskStatus
from tests.play import Play, a_plan, a_task, done, ended

S = TaskStatus
FAILED = done(ReportStatus.FAILED)
CHAIN = ("a", "b", "c", "d")


def chain(*stated: str, **options: Any) -> Play:
    """a <- b <- c <- d, in an order that is inferred but for the tasks that state what they depend on."""
    tasks = [a_task(name, *CHAIN[number - 1 : number] if number else ()) for number, name in enumerate(CHAIN)]
    inferred = tuple(name for name in CHAIN[1:] if name not in stated)
    play = Play(a_plan(*tasks, inferred=inferred), **{"policy": Policy(retries=0), **options})
    play.begin()
    return play


def asks(play: Play, kind: str, task: str) -> None:
    play.record(*take(play.state, Request(id=f"{kind}{len(play.journal)}", kind=RequestKind(kind), task=task, by="me")))


def statuses(play: Play) -> str:
    """The first letter of the status of each task; w waits, r runs, i is integrated."""
    return "".join(play.task(name).status.value[0] for name in play.state.tasks)


def test_what_comes_after_a_skipped_task_goes_on():
    """2.3: nobody stated that it depends on it."""
    play = chain()
    play.attempt("a", FAILED)
    assert play.asked().effects[1].endswith("those after it go on")
    play.answer("skip")
    assert statuses(play) == "srww"
    play.through("b")
    play.through("c")
    play.through("d")
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_what_states_that_it_depends_on_it_is_blocked():
    """2.3: a stated dependency is one; what comes after the blocked task in the inferred order is blocked with it."""
    play = chain("b")
    play.attempt("a", FAILED)
    play.answer("skip")
    assert statuses(play) == "sbbb"
    assert {play.task(name).blocked_on for name in "bcd"} == {"a"}


def test_one_that_was_not_begun_hands_on_what_it_waits_for():
    """Left out of the middle, those around it stay in their order."""
    play = chain()
    asks(play, "skip", "b")
    asks(play, "skip", "c")
    assert statuses(play) == "rssw"
    assert "a (running) must land first" in why_waiting(play.state, play.task("d"), play.now)
    play.through("a")
    assert statuses(play) == "issr"
    brief = compose(play.state, play.effect(StartAttempt, "d")).text
    assert "a: Task a (commit" in brief, "it builds on what the skipped ones would have built on"
    assert "b: Task b" not in brief


def test_what_a_skipped_task_waits_for_may_fail():
    """I12: those after it are blocked on what failed, not on what was left out."""
    play = chain()
    asks(play, "skip", "b")
    play.attempt("a", FAILED)
    play.answer("stop")
    assert [play.task(name).blocked_on for name in "cd"] == ["a", "a"]


def test_a_stated_dependency_of_a_skipped_task_is_handed_on_as_one():
    """b states that it depends on a: c comes after b, and both a and b are left out."""
    play = chain("b")
    asks(play, "skip", "b")
    assert statuses(play) == "rsww"
    play.attempt("a", FAILED)
    play.answer("skip")
    assert statuses(play) == "ssbb"
    assert play.task("c").blocked_on == "a"


def test_a_skipped_task_that_is_taken_up_again_is_waited_for_again():
    play = chain(jobs=1)
    asks(play, "skip", "b")
    asks(play, "retry", "b")
    assert statuses(play) == "rwww"
    play.through("a")
    assert statuses(play) == "irww"
    play.through("b")
    play.through("c")
    play.through("d")
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_nobody_is_overtaken_by_what_went_on_without_it():
    """What waits for a task is not under way: one that was left out comes back only when nothing went past it."""
    play = chain()
    asks(play, "skip", "a")
    play.attempt("a", ended(ExitKind.CANCELLED))
    assert statuses(play) == "srww"
    with pytest.raises(UserError, match="Task a was left out, and b went on without it"):
        obey(play.state, Request(id="1", kind=RequestKind.RETRY, task="a", by="me"))
    tasks = list(play.start.plan.tasks)
    tasks[0] = a_task("a", description="otherwise")
    with pytest.raises(UserError, match="Task a was left out and changed, and b went on without it"):
        compare(play.state, a_plan(*tasks, inferred=("b", "c", "d")))
    play.through("b")
    play.attempt("c", FAILED)
    play.answer("stop")
    asks(play, "retry", "a")
    assert statuses(play) == "rifb"
    assert play.state.went_on_without("a") == ()
    play.through("a")
    asks(play, "retry", "c")
    assert statuses(play) == "iirw"


def test_one_that_failed_can_be_left_out_afterwards():
    """What was blocked on it goes on, in a run that was over."""
    play = chain(unattended=True)
    play.attempt("a", FAILED)
    assert statuses(play) == "fbbb"
    asks(play, "skip", "c")
    assert statuses(play) == "fbsb"
    asks(play, "skip", "a")
    assert statuses(play) == "srsw"
    play.through("b")
    assert statuses(play) == "sisr"


def test_a_blocked_one_that_is_left_out_is_not_waited_for_when_the_first_is_retried():
    """I13: c was over when b was left out, and waits for a alone when it comes back."""
    play = chain(unattended=True)
    play.attempt("a", FAILED)
    asks(play, "skip", "b")
    asks(play, "retry", "a")
    assert statuses(play) == "rsww"
    play.through("a")
    assert statuses(play) == "isrw"


def test_a_wave_is_waited_for_all_the_same():
    """A barrier is no dependency: what was left out frees nothing of a later wave."""
    tasks = (a_task("a", wave=1), a_task("b", "a", wave=1), a_task("x", wave=1), a_task("c", "b", wave=2))
    play = Play(a_plan(*tasks, barrier=Barrier.WAVE, inferred=("b", "c")))
    play.begin()
    asks(play, "skip", "b")
    play.through("a")
    assert play.task("c").status is S.WAITING
    play.through("x")
    assert play.task("c").status is S.RUNNING


def replanned(play: Play, plan: Plan) -> None:
    play.record(RunReplanned(plan=compare(play.state, plan).plan, by="me"))


def test_a_new_plan_keeps_what_was_left_out():
    """3.2: who waits for whom is made anew from the records."""
    play = chain()
    asks(play, "skip", "b")
    tasks = [*play.start.plan.tasks, a_task("e", "d")]
    replanned(play, a_plan(*tasks, inferred=("b", "c", "d")))
    play.through("a")
    assert statuses(play) == "isrww"


def test_a_new_plan_may_state_what_was_inferred():
    """Then the dependency is one, and what was left out blocks it."""
    play = chain()
    asks(play, "skip", "b")
    tasks = [*play.start.plan.tasks, a_task("e", "a")]
    replanned(play, a_plan(*tasks, inferred=("b", "d")))
    assert statuses(play) == "rsbbw"
    assert play.task("c").blocked_on == "b"


def test_one_that_is_found_integrated_after_all_is_met():
    """I4: a repair finds that what was skipped had landed; it is not counted twice."""
    play = chain()
    asks(play, "skip", "b")
    play.record(TaskFound(task="b", status=S.INTEGRATED, reason=Reason.INTEGRATED, landed="there"))
    play.through("a")
    assert statuses(play) == "iirw"
    play.through("c")
    assert statuses(play) == "iiir"


def test_left_out_by_others_than_a_person_is_no_yes():
    """A task that was not selected, or that a new plan dropped, is no decision of anybody's about those after it."""
    play = chain(only=("a",))
    assert statuses(play) == "rsss"
    assert not play.task("b").is_left_out


# -- what an agent cannot go on with --------------------------------------------------------------


ASKS: dict[str, Any] = {"policy": Policy(asks_blocked=True)}


def test_blocked_is_asked_about_where_the_policy_says_so():
    """I9: retry with what a person says, leave it out, leave it blocked, or stop; the rest goes on meanwhile."""
    play = Play(a_plan(a_task("a"), a_task("b")), jobs=1, **ASKS)
    play.begin()
    play.attempt("a", done(ReportStatus.BLOCKED, summary="no key"))
    asked = play.asked()
    assert (asked.kind, asked.choices, asked.default) == (
        DecisionKind.BLOCKED,
        ("retry", "skip", "block", "stop"),
        "block",
    )
    assert asked.question == "The agent is blocked: no key"
    assert play.task("b").status is S.RUNNING
    play.answer("retry")
    play.through("b")
    assert play.task("a").status is S.RUNNING
    assert "no key" in compose(play.state, play.effect(StartAttempt, "a")).text


@pytest.mark.parametrize(("choice", "status"), [("block", S.BLOCKED), ("skip", S.SKIPPED), ("stop", S.FAILED)])
def test_what_each_answer_does(choice: str, status: TaskStatus):
    play = Play(a_plan(a_task("a")), **ASKS)
    play.begin()
    play.attempt("a", done(ReportStatus.BLOCKED, summary="no key"))
    play.answer(choice)
    assert (play.task("a").status, play.task("a").detail) == (status, "The agent is blocked: no key")


def test_silence_leaves_it_blocked():
    """I9: unattended nobody is asked, and nothing is skipped."""
    play = Play(a_plan(a_task("a"), a_task("b", "a"), inferred=("b",)), unattended=True, **ASKS)
    play.begin()
    play.attempt("a", done(ReportStatus.BLOCKED, summary="no key"))
    record = play.task("a")
    assert (record.status, record.reason, record.detail) == (
        S.BLOCKED,
        Reason.AGENT_BLOCKED,
        "The agent is blocked: no key",
    )
    assert play.task("b").blocked_on == "a"
    assert play.state.finished.verdict is RunVerdict.FAILED


def test_context_that_is_asked_for_too_often_is_asked_about():
    play = Play(a_plan(a_task("a")), policy=Policy(contexts=0, asks_blocked=True))
    play.begin()
    play.attempt("a", done(ReportStatus.NEEDS_CONTEXT, missing_context=("the port",)))
    assert (play.asked().kind, play.asked().reason) == (DecisionKind.BLOCKED, Reason.NEEDS_CONTEXT)
