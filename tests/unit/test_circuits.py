"""Providers that ask to wait: nothing is tried before the reset, others go on, a fallback takes over (SPEC 3.8)."""

from __future__ import annotations

from typing import Any

from chargehand.domain.decide import is_stuck, wake_at
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import CircuitOpened, RunResumed
from chargehand.domain.evolve import fold
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import ExitKind
from chargehand.domain.view import why
from chargehand.engine.jobs import attempt_spec
from tests.play import Play, a_plan, a_task, ended


def begun(*tasks: Any, agents: Any = (), **options: Any) -> Play:
    play = Play(a_plan(*tasks), agents=agents, **{"jobs": 4, **options})
    play.begin()
    return play


def limited(play: Play, task: str, wait_s: float = 100.0) -> None:
    play.attempt(task, ended(ExitKind.RATE_LIMITED, retry_at=play.now + wait_s, detail="429"))


def other(name: str = "spare", **fields: Any) -> AgentDef:
    return AgentDef(name=name, kind="command", **fields)


def test_no_task_of_the_agent_starts_before_the_reset():
    """The attempt is not consumed, and nothing is asked of the provider meanwhile."""
    play = begun(a_task("a"), a_task("b"), jobs=1)
    limited(play, "a")
    assert play.running == []
    assert [event.agent for event in play.events if isinstance(event, CircuitOpened)] == ["agent"]
    assert "agent for 100 s more" in why(play.state, "b", play.now)
    assert wake_at(play.state, play.now) == play.now + 100
    assert not is_stuck(play.state, play.now)
    assert play.task("a").tries.attempts == 0


def test_one_attempt_tries_first_and_then_all_go_on():
    play = begun(*(a_task(name) for name in "abc"), jobs=3)
    limited(play, "a")
    limited(play, "b")
    limited(play, "c", 50.0)
    play.pass_time(100)
    assert play.running == ["a"], "half open: one tries"
    assert wake_at(play.state, play.now) is None
    play.attempt("a")
    assert play.running == ["b", "c"]
    assert play.state.circuits == {}


def test_a_try_that_meets_the_limit_again_opens_the_circuit_again():
    play = begun(a_task("a"), a_task("b"), jobs=1)
    limited(play, "a")
    play.pass_time(100)
    limited(play, play.running[0])
    assert play.running == []
    assert wake_at(play.state, play.now) == play.now + 100


def test_an_attempt_from_before_the_limit_closes_nothing():
    """Its last word with the provider was before the reset."""
    play = begun(a_task("a"), a_task("b"), a_task("c"), jobs=2)
    limited(play, "a")
    play.through("b")
    assert play.running == []
    assert play.state.circuits


def test_other_agents_go_on():
    play = begun(a_task("a"), a_task("b", agent="spare"), agents=[other()])
    limited(play, "a")
    assert play.running == ["b"]
    play.through("b")


def test_the_fallback_takes_the_tasks_and_not_the_model():
    agents = [other("first", fallback="spare"), other()]
    play = begun(a_task("a", agent="first", model="big"), a_task("b", agent="first"), agents=agents, jobs=1)
    assert attempt_spec(play.state, play.effect(StartAttempt, "a")).model == "big"
    limited(play, "a")
    effect = play.effect(StartAttempt, play.running[0])
    spec = attempt_spec(play.state, effect)
    assert (effect.agent, spec.agent, spec.model) == ("spare", "spare", None)
    play.through(effect.task)
    assert play.state.agents_live == {"first": 0, "spare": 1}
    assert fold(play.journal) == play.state


def test_with_all_of_them_waiting_the_first_reset_counts():
    agents = [other("first", fallback="spare"), other(fallback="first")]
    play = begun(a_task("a", agent="first"), agents=agents)
    limited(play, "a", 100.0)
    limited(play, "a", 30.0)
    assert play.running == []
    assert wake_at(play.state, play.now) == play.now + 30
    assert "first for 100 s more, spare for 30 s more" in why(play.state, "a", play.now)
    play.pass_time(30)
    assert play.effect(StartAttempt, "a").agent == "spare"


def test_a_wait_survives_a_restart():
    play = begun(a_task("a"), jobs=1)
    limited(play, "a")
    play.state = fold(play.journal)
    play.record(RunResumed(pid=1, host="h", version="v"))
    assert play.running == []
    play.pass_time(100)
    assert play.running == ["a"]


def test_a_reset_that_nobody_waits_for_wakes_nobody():
    play = begun(a_task("a"), a_task("b", agent="spare"), agents=[other()], jobs=2)
    play.record(CircuitOpened(agent="nobody", until=play.now + 5))
    assert wake_at(play.state, play.now) is None


def test_questions_and_a_reset_that_tasks_wait_for_are_not_only_questions():
    """The run goes on by itself."""
    play = begun(a_task("a"), a_task("b"), a_task("c", needs_human=True), jobs=1)
    limited(play, "a")
    assert play.state.decisions
    assert not play.state.waits_for_people
