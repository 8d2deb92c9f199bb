"""What random runs found, reduced to the steps it takes; every invariant is checked after each of them (SPEC 12)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.commands import Request, RequestKind, take
from chargehand.domain.effects import RunCanary, RunGates, StartAttempt
from chargehand.domain.events import CanaryFinished, RunInterrupted, RunResumed
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import ExitKind, Kickback, KickbackSignal, ReportStatus, Role
from chargehand.domain.plan import Barrier, Command, GatePoint, Plan
from chargehand.domain.words import TaskStatus
from tests.invariants import Watch
from tests.play import a_gate, a_plan, a_task, crashed, done, ended, failed
from tests.watched import Watched

S = TaskStatus


class Asked(Watched):
    """A run that has begun, of which people ask things."""

    def __init__(self, plan: Plan, **options: Any) -> None:
        super().__init__(plan, **options)
        self.begin()

    def ask(self, kind: RequestKind, task: str = "", **fields: Any) -> list[Any]:
        request = Request(id=f"q{len(self.journal)}", kind=kind, task=task, by="me", **fields)
        events = take(self.state, request)
        assert not any(getattr(event, "refused", "") for event in events)
        return self.record(*events)

    def cancel(self, task: str) -> None:
        """The live attempt of a task is ended, and the task with it."""
        self.ask(RequestKind.CANCEL, task)
        self.attempt(task, ended(ExitKind.CANCELLED))

    def reread(self) -> None:
        """Another process reads the whole journal, and checks it as it was written."""
        Watch(self.journal[0]).check(fold(self.journal), self.journal, self.now)

    @property
    def gate_keys(self) -> list[str]:
        """The keys of the gates of the run."""
        effects = [getattr(event, "effect", None) for event in self.events]
        return [effect.key for effect in effects if isinstance(effect, RunGates) and not effect.task]


RUN = a_gate("tests", GatePoint.RUN)


# -- gates of the run that were under way when it got more to do --------------------------------------


def test_a_task_is_taken_up_again_while_the_gates_of_the_run_run():
    """What they say is kept; what landed meanwhile is gated under a key, and so with a log, of its own."""
    play = Asked(a_plan(a_task("a"), a_task("b"), gates=[RUN]))
    play.through("a")
    play.cancel("b")
    play.ask(RequestKind.RETRY, "b")
    play.gates()
    play.through("b")
    assert play.gate_keys == ["run-0/0/gates", "run-0/0/gates-2"]
    play.gates()
    assert play.state.finished


def test_a_new_plan_comes_while_the_gates_of_the_run_run():
    """The same, where the plan got a task more."""
    play = Asked(a_plan(a_task("a"), gates=[RUN]))
    play.through("a")
    play.ask(RequestKind.REPLAN, plan=a_plan(a_task("a"), a_task("b"), gates=[RUN]))
    play.gates()
    play.through("b")
    assert play.gate_keys == ["run-0/0/gates", "run-0/0/gates-2"]
    play.gates()
    assert play.state.finished


@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_fix_of_the_wave_before_lands_after_the_gates_of_one_that_came_to_nothing_or_while_they_run(meanwhile: bool):
    """The new plan goes on with wave 2, of which all is blocked; what the fix of wave 1 lands is gated anew."""
    wave: dict[str, Any] = {"gates": [a_gate("wave", GatePoint.WAVE)], "barrier": Barrier.WAVE}
    a, x = a_task("a", wave=1), a_task("x", wave=1)
    play = Asked(a_plan(a, x, a_task("c", "x", wave=2), **wave), jobs=2)
    play.cancel("x")
    play.through("a")
    play.gates("", "wave")
    assert play.running == ["fix-1"]
    play.ask(RequestKind.REPLAN, plan=a_plan(a, x, a_task("c", "x", wave=2, description="more"), **wave))
    play.attempt("fix-1", crashed())
    if meanwhile:
        play.through("fix-1")
        play.gates()
    else:
        play.gates()
        play.through("fix-1")
    assert play.gate_keys == ["wave-1/0/gates", "wave-2/0/gates-2", "wave-2/0/gates-3"]
    play.gates()
    assert play.state.finished


def test_gates_that_a_new_plan_changed_while_they_ran_say_nothing():
    """I7: what was run is not what is to be run now, whatever it is called."""
    play = Asked(a_plan(a_task("a"), gates=[RUN]))
    play.through("a")
    other = replace(RUN, run=Command(argv=("others",)))
    play.ask(RequestKind.REPLAN, plan=a_plan(a_task("a"), gates=[other]))
    play.gates()
    play.canary()
    assert play.state.finished is None
    play.gates("", "tests")
    assert play.running == ["fix-1"]


def test_a_look_at_the_base_that_a_new_plan_overtook_is_taken_again():
    """3.1: what was red with the gates of before excuses nothing of those of now."""
    play = Asked(a_plan(a_task("a"), gates=[RUN]))
    play.through("a")
    play.gates()
    plan = a_plan(a_task("a"), a_task("b"), gates=[replace(RUN, run=Command(argv=("others",)))])
    play.ask(RequestKind.REPLAN, plan=plan)
    first = play.effect(RunCanary)
    plan = replace(plan, gates=(replace(RUN, run=Command(argv=("more",))),))
    play.ask(RequestKind.REPLAN, plan=plan)
    play.record(CanaryFinished(key=first.key, results=(failed("tests"),)))
    assert (play.state.canary, play.state.baseline_red, play.running) == (None, {}, [])
    assert play.effect(RunCanary).key != first.key
    play.canary()
    assert play.running == ["b"]


def test_who_waits_for_a_provider_waits_for_the_wave_too_that_a_new_plan_put_before_it():
    """3.3: the wave of then had begun; the one of now begins after another."""
    wave: dict[str, Any] = {"barrier": Barrier.WAVE}
    play = Asked(a_plan(a_task("a", wave=1), a_task("b", wave=2), **wave), jobs=1)
    play.through("a")
    play.attempt("b", ended(ExitKind.RATE_LIMITED))
    play.ask(RequestKind.REPLAN, plan=a_plan(a_task("a", wave=1), a_task("c", wave=1), a_task("b", wave=2), **wave))
    play.pass_time(100_000.0)
    assert play.running == ["c"]
    play.through("c")
    assert play.running == ["b"]


# -- tasks that a plan left out, and people took up again ----------------------------------------------


def behind() -> Asked:
    """A task, with one after it, that a new plan left out, and that landed all the same: somebody retried it."""
    play = Asked(a_plan(a_task("a"), a_task("b", "a")))
    play.cancel("a")
    play.ask(RequestKind.REPLAN, plan=a_plan(a_task("c")))
    play.ask(RequestKind.RETRY, "a")
    play.through("a", "c")
    assert (play.task("a").status, play.task("b").status) == (S.INTEGRATED, S.SKIPPED)
    return play


def test_what_landed_behind_the_plan_has_landed_for_those_that_wait_for_it():
    """I13: after another plan, a task behind it may be taken up, too, and is not waited with for ever."""
    play = behind()
    play.ask(RequestKind.REPLAN, plan=a_plan(a_task("c"), a_task("d")))
    play.through("d")
    play.ask(RequestKind.RETRY, "b")
    assert play.running == ["b"]
    play.through("b")
    assert play.state.finished


def test_what_landed_behind_the_plan_is_not_done_again_when_a_plan_names_it_again():
    """I4: it lands once."""
    play = behind()
    landed = play.task("a").landed
    play.ask(RequestKind.REPLAN, plan=a_plan(a_task("a"), a_task("c"), a_task("e", "a")))
    assert play.running == ["e"]
    assert (play.task("a").status, play.task("a").landed) == (S.INTEGRATED, landed)


# -- tasks that people left out ------------------------------------------------------------------------


@pytest.mark.parametrize("needs", [("b", "a"), ("a", "b"), ("b",)])
def test_what_one_that_was_left_out_needs_is_needed_in_whatever_order_it_is_looked_at(needs: tuple[str, ...]):
    """2.3: c comes after b, which needs a; that c comes after a as well makes a no less needed."""
    play = Asked(a_plan(a_task("a"), a_task("b", "a"), a_task("c", *needs), inferred=("c",)))
    play.ask(RequestKind.SKIP, "b")
    play.ask(RequestKind.SKIP, "a")
    play.attempt("a", ended(ExitKind.CANCELLED))
    assert [play.task(name).status for name in "abc"] == [S.SKIPPED, S.SKIPPED, S.BLOCKED]
    assert play.running == []


def test_two_that_were_left_out_may_have_needed_the_same():
    """2.3: who comes after both waits for it once."""
    play = Asked(a_plan(a_task("a"), a_task("b", "a"), a_task("c", "a"), a_task("d", "b", "c"), inferred=("d",)))
    play.ask(RequestKind.SKIP, "b")
    play.ask(RequestKind.SKIP, "c")
    play.through("a")
    assert play.running == ["d"]


def test_two_that_were_left_out_may_have_come_after_the_same_that_was():
    """2.3: nobody is waited for where all that came before was left out."""
    names = ("b", "c", "d")
    play = Asked(a_plan(a_task("a"), a_task("b", "a"), a_task("c", "a"), a_task("d", "b", "c"), inferred=names))
    play.ask(RequestKind.SKIP, "b")
    play.ask(RequestKind.SKIP, "c")
    play.ask(RequestKind.SKIP, "a")
    play.attempt("a", ended(ExitKind.CANCELLED))
    assert play.running == ["d"]


# -- reading it all again ------------------------------------------------------------------------------


def test_a_journal_is_checked_by_the_plan_of_then():
    """I14: a task that waits for more by the plan of now began when it did not."""
    play = Asked(a_plan(a_task("a"), a_task("b")), jobs=1)
    play.cancel("a")
    play.cancel("b")
    play.ask(RequestKind.REPLAN, plan=a_plan(a_task("c"), a_task("a"), a_task("b", "c")))
    assert play.running == ["c"]
    play.reread()


# -- while nothing new begins --------------------------------------------------------------------------


def returned() -> Any:
    """An attempt that returns the plan, for it wants research."""
    return done(ReportStatus.KICKBACK, kickback=Kickback(signal=KickbackSignal.NEEDS_RESEARCH))


def test_nobody_looks_into_a_plan_while_the_run_is_interrupted():
    """3.8: what an agent returned while it was ended waits for the run to go on."""
    play = Asked(a_plan(a_task("a")))
    play.record(RunInterrupted(by="ctrl-c"))
    play.attempt("a", returned())
    assert play.running == []
    play.record(RunResumed(pid=1, host="h", version="v"))
    assert play.effect(StartAttempt, "a").role is Role.RESEARCHER


def test_nobody_looks_into_a_plan_while_a_question_holds_the_run():
    """3.8: two plans were returned; the second is looked into once the first question is answered."""
    play = Asked(a_plan(a_task("a"), a_task("b")), jobs=2)
    play.attempt("a", done(ReportStatus.KICKBACK, kickback=Kickback(signal=KickbackSignal.SCOPE_CREEP)))
    play.attempt("b", returned())
    assert play.running == []
    play.answer("skip")
    assert play.effect(StartAttempt, "b").role is Role.RESEARCHER
