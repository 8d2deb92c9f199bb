"""Dangerous commands of plans and of agents: an explicit yes for exactly that, else it does not run (SPEC 7.2)."""

from __future__ import annotations

from typing import Any

import pytest

from chargehand.domain.asking import held_attempts, lapse_calls
from chargehand.domain.brief import compose
from chargehand.domain.commands import Request, RequestKind, obey, take
from chargehand.domain.decide import to_end
from chargehand.domain.effects import RunCanary, StartAttempt
from chargehand.domain.errors import UserError
from chargehand.domain.events import (
    CommandAsked,
    CommandDropped,
    DecisionAnswered,
    DecisionAsked,
    EffectLost,
    RunInterrupted,
    RunResumed,
)
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import ExitKind
from chargehand.domain.view import document, exit_code, open_decisions, run_state, why
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
    said = play.state.stopped.detail
    assert said.startswith("Refused because nobody is asked: Gate lint wants to run a command that needs a yes.")
    assert said.endswith(f"The command: {GATE.command}")


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


# -- attempts that were ended instead of waiting ---------------------------------------------------


def set_aside() -> Play:
    """Nobody is waited for: the attempt of task a, the only one, was ended while it was held at a command."""
    play = begun()
    play.canary()
    held(play)
    assert [effect.task for effect in held_attempts(play.state)] == ["a"]
    play.attempt("a", ended(ExitKind.CANCELLED))
    return play


def test_its_question_stands_and_is_all_that_is_left():
    """The same number, so an answer that was under way still counts [I9]; the slot goes to the next task."""
    play = set_aside()
    asked = play.state.decisions["d1"]
    assert (asked.call, asked.again, asked.choices, asked.command) == (
        "",
        True,
        ("approve", "deny", "reject"),
        "rm -rf /x",
    )
    assert "ended instead of waiting" in asked.question
    assert play.task("a").status is S.AWAITING_DECISION
    assert play.task("a").attempts == 0
    assert play.running == ["b"]
    play.through("b")
    assert (run_state(play.state, held=False), exit_code(play.state)) == ("waiting", 4)
    assert [row["id"] for row in document(play.state, held=False)["decisions"]] == ["d1"]
    assert fold(play.journal) == play.state


def test_a_yes_counts_for_that_command_in_the_next_attempt_and_no_longer():
    """I9: neither for a command of the plan with the same text, nor for the attempt after it."""
    play = set_aside()
    play.through("b")
    play.answer("approve")
    assert play.running == ["a"]
    assert play.task("a").ruled == (("rm -rf /x", True),)
    assert (play.task("a").reason, play.task("a").detail) == (None, "")
    assert play.state.approved_commands == {}
    play.attempt("a", ended(ExitKind.EXITED, code=3))
    assert play.running == ["a"]
    assert play.task("a").ruled == ()


def test_a_yes_does_not_outlive_a_lost_attempt():
    """I9: nobody knows whether it ran the command."""
    play = set_aside()
    play.through("b")
    play.answer("approve")
    key = next(iter(play.state.inflight))
    play.record(RunResumed(pid=1, host="h", version="v"), EffectLost(key=key, detail="gone"))
    assert (play.running, play.task("a").ruled) == (["a"], ())


def test_a_no_is_told_to_the_next_attempt():
    play = set_aside()
    play.through("b")
    play.answer("deny", note="Use the trash.")
    assert play.task("a").ruled == (("rm -rf /x", False),)
    brief = compose(play.state, play.effect(StartAttempt, "a")).text
    assert "Do not run `rm -rf /x`: the answer is no. Use the trash." in brief


def test_a_refusal_of_what_stands_blocks_the_task():
    play = set_aside()
    play.answer("reject")
    assert (play.task("a").status, play.task("a").reason) == (S.BLOCKED, Reason.COMMAND_REJECTED)
    assert play.task("a").detail.startswith("Refused by me: Attempt 1 of task a wants to run")


def test_an_attempt_that_was_ended_for_another_reason_leaves_no_question():
    """Who interrupts a run wants it to go on later, as it was."""
    play = begun()
    play.canary()
    held(play)
    play.record(RunInterrupted(by="ctrl-c"))
    play.attempt("a", ended(ExitKind.CANCELLED))
    assert (play.state.decisions, play.task("a").status) == ({}, S.WAITING)


def test_attempts_wait_for_people_only_when_all_of_them_do():
    play = begun(jobs=2)
    play.canary()
    assert held_attempts(play.state) == ()
    held(play)
    assert held_attempts(play.state) == ()
    play.through("b")
    assert [effect.task for effect in held_attempts(play.state)] == ["a"]


# -- calls of a process that is gone ---------------------------------------------------------------


def test_an_answer_that_nobody_would_hear_is_refused():
    """I9: it must not seem to count."""
    play = begun()
    play.canary()
    held(play)
    request = Request(id="1", kind=RequestKind.ANSWER, decision="d1", choice="approve", by="me")
    assert obey(play.state, request, held=True)
    with pytest.raises(UserError) as refused:
        obey(play.state, request, held=False)
    assert refused.value.code == "call_gone"
    assert "d1 has lapsed: it was about a tool call of attempt 1 of task a" in refused.value.message
    assert open_decisions(play.state, held=False) == []
    assert document(play.state, held=False)["decisions"] == []
    assert len(document(play.state, held=True)["decisions"]) == 1


def test_what_has_lapsed_is_on_the_record():
    play = begun()
    play.canary()
    held(play)
    (dropped,) = lapse_calls(play.state)
    assert isinstance(dropped, CommandDropped)
    assert dropped.call == "c1"
    assert dropped.detail.startswith("d1 has lapsed: the process that held `rm -rf /x` is gone.")
    key = next(iter(play.state.inflight))
    play.record(RunResumed(pid=1, host="h", version="v"), dropped, EffectLost(key=key, detail="gone"))
    assert (play.state.decisions, lapse_calls(play.state), play.running) == ({}, (), ["a"])
    assert not [event for event in play.events[-1:] if isinstance(event, DecisionAsked)]
