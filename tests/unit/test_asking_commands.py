"""Dangerous commands of plans and of agents: an explicit yes for exactly that, else it does not run (SPEC 7.2)."""

from __future__ import annotations

from typing import Any

from chargehand.domain.commands import Request, RequestKind, take
from chargehand.domain.decide import to_end
from chargehand.domain.effects import RunCanary
from chargehand.domain.events import CommandAsked, CommandDropped, DecisionAnswered, EffectLost, RunResumed
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import ExitKind
from chargehand.domain.view import run_state, why
from chargehand.domain.words import DecisionKind, Questioned, Reason, RunVerdict, TaskStatus
from tests.play import Play, a_gate, a_plan, a_task, ended

S = TaskStatus
GATE = Questioned(task="", where="Gate lint", command="rm -rf build && lint", why="deletes a folder")
VERIFY = Questioned(task="a", where="A verify command of task a", command="sudo test", why="asks for privileges")


def begun(*questioned: Questioned, **options: Any) -> Play:
    plan = a_plan(a_task("a"), a_task("b"), gates=[a_gate("lint")])
    play = Play(plan, questioned=questioned, **{"jobs": 1, **options})
    play.record()
    play.opened()
    return play


def held(play: Play, call: str = "c1", command: str = "rm -rf /x") -> None:
    """The live attempt of task a is held at a command."""
    key = next(key for key in play.state.inflight if key.startswith("a/"))
    asked = CommandAsked(key=key, task="a", attempt=1, call=call, command=command, why="deletes outside the workspace")
    play.record(asked)


# -- commands of the plan -------------------------------------------------------------------------


def test_no_gate_runs_before_its_command_was_approved():
    play = begun(GATE)
    asked = play.asked()
    assert (asked.kind, asked.task, asked.command) == (DecisionKind.COMMAND, "", GATE.command)
    assert play.state.inflight == {}
    assert run_state(play.state, held=True) == "waiting"
    play.answer("approve")
    assert play.effect(RunCanary).commit == "base"


def test_a_gate_command_that_is_refused_ends_the_run():
    """It could never be green; the canary is not run either."""
    play = begun(GATE)
    play.answer("reject")
    assert play.state.finished.verdict is RunVerdict.FAILED
    assert [record.status for record in play.state.tasks.values()] == [S.CANCELLED] * 2
    assert not [event for event in play.events if isinstance(getattr(event, "effect", None), RunCanary)]


def test_silence_never_approves():
    """I9: unattended, the answer is no."""
    play = begun(GATE, unattended=True)
    assert play.state.finished.verdict is RunVerdict.FAILED


def test_each_command_is_asked_about_once_in_a_run():
    """The same text at two places is one command; another text is another one."""
    other = Questioned(task="", where="Setup", command="curl x | sh", why="runs what it loads")
    play = begun(GATE, other, Questioned(task="", where="Gate again", command=GATE.command, why="same"))
    play.answer("approve")
    assert play.asked().command == other.command
    play.answer("approve")
    assert play.state.decisions == {}
    assert fold(play.journal) == play.state


def test_a_verify_command_holds_its_task_only():
    play = begun(VERIFY)
    play.canary()
    assert play.task("a").status is S.AWAITING_DECISION
    assert play.running == ["b"]
    play.through("b")
    play.answer("approve")
    assert play.running == ["a"]
    play.through("a")
    play.gates()
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_refused_verify_command_blocks_its_task():
    play = begun(VERIFY)
    play.canary()
    play.answer("reject")
    assert (play.task("a").status, play.task("a").reason) == (S.BLOCKED, Reason.COMMAND_REJECTED)


def test_a_new_plan_brings_its_own_questions():
    play = begun(VERIFY)
    play.canary()
    plan = a_plan(a_task("b"), a_task("c"), gates=[a_gate("lint")])
    new = Questioned(task="c", where="verify of c", command="sudo x", why="asks for privileges")
    play.record(*take(play.state, Request(id="1", kind=RequestKind.REPLAN, plan=plan, questioned=(new,))))
    assert play.state.questioned == {"c": (new,)}
    play.through("b")
    assert play.asked().command == "sudo x"


# -- commands of agents ---------------------------------------------------------------------------


def test_an_agent_waits_for_the_answer_and_its_task_stays_where_it_is():
    play = begun()
    play.canary()
    held(play)
    asked = play.asked()
    assert (asked.call, asked.command, asked.default) == ("c1", "rm -rf /x", "deny")
    assert play.task("a").status is S.RUNNING
    assert run_state(play.state, held=True) == "running"
    assert "waits for your answer to d1" in why(play.state, "a", play.now)


def test_one_yes_covers_one_call():
    play = begun()
    play.canary()
    held(play)
    (answer,) = take(play.state, Request(id="1", kind=RequestKind.ANSWER, decision="d1", choice="approve", by="me"))
    assert answer == DecisionAnswered(id="d1", choice="approve", by="me", call="c1")
    play.record(answer)
    assert (play.state.decisions, play.state.calls) == ({}, {})
    held(play, "c2")
    assert play.asked().call == "c2"
    assert fold(play.journal) == play.state


def test_an_agent_that_is_told_no_goes_on():
    play = begun()
    play.canary()
    held(play)
    play.answer("deny", call="c1")
    assert play.task("a").status is S.RUNNING
    assert list(to_end(play.state)) == []
    play.through("a")
    assert play.task("a").status is S.INTEGRATED


def test_a_refusal_ends_the_attempt_and_blocks_the_task():
    play = begun()
    play.canary()
    held(play)
    play.answer("reject", call="c1")
    assert len(list(to_end(play.state))) == 1
    play.attempt("a", ended(ExitKind.CANCELLED))
    assert (play.task("a").status, play.task("a").reason) == (S.BLOCKED, Reason.COMMAND_REJECTED)
    assert play.task("a").detail == "The command was refused by me: rm -rf /x"


def test_unattended_agents_are_told_no():
    play = begun(unattended=True)
    play.canary()
    held(play)
    (answer,) = [event for event in play.events if isinstance(event, DecisionAnswered)]
    assert (answer.choice, answer.by, answer.call) == ("deny", "unattended", "c1")
    assert play.task("a").status is S.RUNNING


def test_questions_go_with_the_attempt_that_waited():
    for end in ("finished", "lost", "dropped"):
        play = begun()
        play.canary()
        held(play)
        held(play, "c2", "rm -rf /y")
        if end == "finished":
            play.through("a")
        elif end == "lost":
            key = next(iter(play.state.inflight))
            play.record(RunResumed(pid=1, host="h", version="v"), EffectLost(key=key, detail="gone"))
        else:
            play.record(CommandDropped(call="c1"))
            assert [decision.call for decision in play.state.decisions.values()] == ["c2"]
            play.record(CommandDropped(call="c2"))
        assert (play.state.decisions, play.state.calls) == ({}, {})
        assert fold(play.journal) == play.state
