"""A run that is crashed, reopened, interrupted, answered and left alone at random (SPEC 8, 9, 12)."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any, TypeGuard

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chargehand.domain.commands import Request, RequestKind, take
from chargehand.domain.decide import to_end, wake_at
from chargehand.domain.effects import Effect, Land, StartAttempt
from chargehand.domain.events import (
    AttemptFinished,
    CommandAsked,
    CommandDropped,
    EffectLost,
    Event,
    LandFinished,
    RunInterrupted,
    RunResumed,
)
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import LOOKERS, AgentExit, AttemptResult, ExitKind, Landed
from chargehand.domain.plan import Plan
from tests.invariants import Watch
from tests.property.simulation import Simulation, runs

# Watched line by line thousands of turns take three times as long. A timeout that hits while Hypothesis draws looks as
# if what is drawn came out differently each time (FlakyStrategyDefinition): busy machines get the time they need.
pytestmark = [pytest.mark.no_cover, pytest.mark.timeout(900)]


@st.composite
def edited(draw: Any, run: Simulation) -> Plan:
    """The plan of a run as a human might change it: tasks dropped, reworded, split, and gates with them."""
    plan: Plan = run.state.plan
    dropped = set(draw(st.lists(st.sampled_from([task.id for task in plan.tasks]), max_size=2)))
    dropped = set() if len(dropped) == len(plan.tasks) else dropped
    tasks = []
    for task in plan.tasks:
        if task.id not in dropped:
            needs = tuple(name for name in task.depends_on if name not in dropped)
            text = draw(st.sampled_from([task.description, task.description, task.description, "reworded"]))
            tasks.append(replace(task, depends_on=needs, description=text))
    if draw(st.booleans()):
        ids = {*run.state.tasks, *(task.id for task in plan.tasks)}
        name = next(name for number in count(1) if (name := f"new{number}") not in ids)
        tasks.append(replace(tasks[-1], id=name, depends_on=(tasks[0].id,), title=name, wave=None))
    gates = draw(st.sampled_from([plan.gates, plan.gates, plan.gates[:1]]))
    return replace(plan, tasks=tuple(tasks), gates=gates)


def is_author(effect: Effect) -> TypeGuard[StartAttempt]:
    """Whether it is an attempt that may ask: who only looks is told no at once."""
    return isinstance(effect, StartAttempt) and effect.role not in LOOKERS


class RunMachine(RuleBasedStateMachine):
    """Every step is Hypothesis's choice; every invariant is checked after every turn."""

    run: Simulation
    requests: int

    @initialize(run=runs())
    def begin(self, run: Simulation) -> None:
        """A run that has just been started."""
        self.run = run
        self.requests = 0
        run.record()

    # -- the world ----------------------------------------------------------------------------

    @precondition(lambda self: self.run.state.inflight)
    @rule(data=st.data(), steps=st.integers(1, 6))
    def outcomes(self, data: Any, steps: int) -> None:
        """Some effects come out, one after the other."""
        for _ in range(steps):
            under_way = list(self.run.state.inflight.values())
            if not under_way:
                return
            effect = under_way[data.draw(st.integers(0, len(under_way) - 1))]
            self.run.finish(effect, lambda choices: data.draw(st.sampled_from(choices)))

    @precondition(lambda self: len(self.run.state.inflight) > 1)
    @rule(data=st.data())
    def outcomes_in_one_moment(self, data: Any) -> None:
        """Several effects come out between two turns."""
        effects = list(self.run.state.inflight.values())[:3]
        self.run.record(*(self.run.outcome(e, lambda choices: data.draw(st.sampled_from(choices))) for e in effects))

    @rule(seconds=st.sampled_from([1.0, 40.0, 1000.0, -500.0]))
    def clock(self, seconds: float) -> None:
        """Time passes, or the clock is set back."""
        self.run.pass_time(seconds)

    @precondition(lambda self: wake_at(self.run.state, self.run.now) is not None)
    @rule()
    def timer(self) -> None:
        """The next timer is due."""
        self.run.pass_time(wake_at(self.run.state, self.run.now) - self.run.now)  # type: ignore[operator]

    @precondition(lambda self: self.run.branch is not None and self.run.moves < 2)
    @rule(data=st.data())
    def somebody_moves_the_branch(self, data: Any) -> None:
        """Found out by the next landing."""
        self.run.move_branch(lambda choices: data.draw(st.sampled_from(choices)))

    # -- people -------------------------------------------------------------------------------

    @precondition(lambda self: self.run.state.decisions and not self.run.state.finished)
    @rule(data=st.data(), note=st.sampled_from(["", "because"]))
    def answer(self, data: Any, note: str) -> None:
        """A human answers one of the open questions."""
        decisions = list(self.run.state.decisions.values())
        decision = data.draw(st.sampled_from(decisions))
        choice = data.draw(st.sampled_from(decision.choices))
        self.run.answer(choice, decision.id, note=note, call=decision.call)

    @precondition(lambda self: not self.run.state.finished)
    @rule()
    def interrupt(self) -> None:
        """Somebody stops the run; what is live goes on to its end or is ended by other rules."""
        self.run.record(RunInterrupted(by="ctrl-c"))

    @precondition(lambda self: not self.run.state.finished)
    @rule(unattended=st.sampled_from([None, None, True, False]))
    def resume(self, unattended: bool | None) -> None:
        """Somebody takes the run up without a crash in between."""
        self.run.record(RunResumed(pid=1, host="h", version="v", unattended=unattended))

    @rule(data=st.data(), kind=st.sampled_from(list(RequestKind)), at_once=st.booleans())
    def request(self, data: Any, kind: RequestKind, at_once: bool) -> None:
        """Somebody asks for something, sensible or not; found twice in the inbox, it is taken once."""
        run = self.run
        self.requests += 1
        task = data.draw(st.sampled_from(["", *run.state.tasks]))
        plan = data.draw(edited(run)) if kind is RequestKind.REPLAN else None
        asked = Request(id=f"{self.requests}", kind=kind, task=task, by="me", at_once=at_once, plan=plan)
        needs_task = kind is RequestKind.SKIP
        if needs_task and not task:
            return
        run.record(*take(run.state, asked))
        if kind is not RequestKind.ANSWER:
            assert take(run.state, asked) == ()

    @precondition(lambda self: any(is_author(e) for e in self.run.state.inflight.values()))
    @rule(data=st.data())
    def an_agent_asks(self, data: Any) -> None:
        """A live attempt is held at a dangerous command."""
        live = [effect for effect in self.run.state.inflight.values() if is_author(effect)]
        effect = data.draw(st.sampled_from(live))
        self.requests += 1
        self.run.record(
            CommandAsked(
                key=effect.key,
                task=effect.task,
                attempt=effect.attempt,
                call=f"call-{self.requests}",
                command="rm -rf /",
                why="deletes",
            )
        )

    @precondition(lambda self: self.run.state.calls)
    @rule(data=st.data())
    def nobody_answered_in_time(self, data: Any) -> None:
        """The call was refused, and the attempt goes on."""
        self.run.record(CommandDropped(call=data.draw(st.sampled_from(list(self.run.state.calls)))))

    @precondition(lambda self: any(True for _ in to_end(self.run.state)))
    @rule()
    def what_people_want_ended_ends(self) -> None:
        """The loop ends attempts and gates; this is how their ports tell it."""
        for effect in list(to_end(self.run.state)):
            if isinstance(effect, StartAttempt):
                result = AttemptResult(exit=AgentExit(kind=ExitKind.CANCELLED))
                fact: Event = AttemptFinished(key=effect.key, task=effect.task, attempt=effect.attempt, result=result)
            else:
                fact = EffectLost(key=effect.key, detail="It was told to stop.")
            self.run.record(fact)

    # -- the process --------------------------------------------------------------------------

    @precondition(lambda self: not self.run.state.finished)
    @rule(data=st.data(), unseen=st.booleans(), gone_s=st.sampled_from([0.0, 90_000.0]))
    def crash(self, data: Any, unseen: bool, gone_s: float) -> None:
        """The process dies, perhaps after it moved the branch or an attempt ended; another one takes the run over.

        It recovers as `engine.recovery` does.
        """
        run = self.run
        landing = [effect for effect in run.state.inflight.values() if isinstance(effect, Land)]
        for effect in landing if unseen else ():
            if run.branch == effect.head:
                run.branch = effect.commit
        busy_s = run.state.busy_s
        run.now += gone_s
        run.state = fold(run.journal)
        facts = self.recovered(unseen, lambda choices: data.draw(st.sampled_from(choices)))
        run.record(RunResumed(pid=2, host="h", version="v"), *facts)
        assert run.state.busy_s == busy_s, "the time nobody held the run is not counted"

    def recovered(self, unseen: bool, draw: Any) -> list[Event]:
        """What became of what was under way; with `unseen`, attempts had ended and were sealed."""
        events: list[Event] = []
        for effect in self.run.state.inflight.values():
            if isinstance(effect, Land) and self.run.branch == effect.commit:
                result = Landed(commit=effect.commit)
                landed = LandFinished(key=effect.key, task=effect.task, attempt=effect.attempt, result=result)
                events.append(landed)
            elif unseen and isinstance(effect, StartAttempt):
                events.append(self.run.outcome(effect, draw))
            else:
                events.append(EffectLost(key=effect.key, detail="gone"))
        return events

    @rule()
    def reopen(self) -> None:
        """Another process reads the whole journal: the same state, and nothing to be done [I14]."""
        state = fold(self.run.journal)
        assert state == self.run.state
        self.run.state = state
        self.run.watch = watch = Watch(self.run.journal[0])
        watch.check(state, self.run.journal, self.run.now)
        self.run.record()

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """A run that is not over has something under way, a timer, a question, or was interrupted or paused."""
        state = self.run.state
        if not state.finished and not state.interrupted and not state.paused:
            assert state.inflight or state.decisions or wake_at(state, self.run.now) is not None


TestRunMachine = RunMachine.TestCase
TestRunMachine.settings = settings(
    derandomize=True,
    deadline=None,
    max_examples=120,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
