"""`decide(state, now)`: what is missing, as events to record (ARCHITECTURE: one flow).

Level-triggered and pure: it looks at the state, never at what just happened, and is never replayed. It answers with
the next conclusions and intents; `settle` repeats it to the fixed point [I13]. The order is the whole policy of the
loop: conclude what came back, follow answers, block what cannot run any more, open the run, move tasks on, close
waves, dispatch, and finish.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter

from chargehand.domain.advancing import advance
from chargehand.domain.asking import (
    UNATTENDED,
    ask_about_call,
    ask_about_command,
    follow_answer,
    follow_wish,
    refused,
)
from chargehand.domain.circuits import next_reset
from chargehand.domain.closing import cancel_rest, close_cancelled, close_run, close_wave
from chargehand.domain.conclude import conclude
from chargehand.domain.effects import OpenBranch, RunCanary, RunFix, RunGates, StartAttempt
from chargehand.domain.events import (
    DecisionAnswered,
    DispatchStopped,
    EffectIntended,
    Event,
    TaskEnded,
)
from chargehand.domain.evolve import evolve
from chargehand.domain.ids import effect_key
from chargehand.domain.outcome import GateStatus
from chargehand.domain.restoring import mitigate
from chargehand.domain.schedule import dispatch
from chargehand.domain.state import RunState
from chargehand.domain.words import DecisionKind, Reason, StopReason, TaskStatus

__all__ = ["decide", "is_stuck", "runs_out_at", "settle", "to_end", "wake_at"]

Events = tuple[Event, ...]

_LATE_S = 0.001
"""A budget is used up when more than all of it is."""


def settle(state: RunState, now: float) -> list[Event]:
    """Evolve `state` to its fixed point and answer with the events that did it, in order, to be recorded."""
    settled: list[Event] = []
    while events := decide(state, now):
        for event in events:
            evolve(state, event, now)
        settled += events
    return settled


def decide(state: RunState, now: float) -> Events:
    """The next conclusions and intents; empty at the fixed point."""
    if state.finished is not None:
        return ()
    return (
        _conclude(state, now)
        or _ask_about_calls(state)
        or _answer_unattended(state)
        or _follow_run_answers(state)
        or _block_orphans(state)
        or _trip_breaker(state)
        or close_cancelled(state)
        or (() if state.halted or state.held or state.cancelled else _go_on(state, now))
    )


def _go_on(state: RunState, now: float) -> Events:
    if state.must_open or (state.canary is None and state.stopped is None):
        return _open(state)
    return (
        _stop_on_canary(state)
        or advance(state, now)
        or _stop_on_budget(state, now)
        or close_wave(state, now)
        or (() if state.stopped or state.paused else dispatch(state, now))
        or _let_groups_go(state, now)
        or cancel_rest(state)
        or close_run(state, now)
    )


def _let_groups_go(state: RunState, now: float) -> Events:
    """Groups whose other members cannot begin before what is ready has landed go on without them."""
    if state.inflight or state.paused or wake_at(state, now) is not None:
        return ()
    return advance(state, now, patient=False)


def wake_at(state: RunState, now: float) -> float | None:
    """When the next timer is due after `now`; those due already wait for something else, which is an event."""
    if state.stopped or state.holds or state.interrupted or state.paused:
        return None
    following = bisect_right(state.timers, now, key=itemgetter(0))
    timer = state.timers[following][0] if following < len(state.timers) else None
    reset = next_reset(state, now)
    return min((at for at in (timer, reset) if at is not None), default=None)


def runs_out_at(state: RunState, now: float) -> float | None:
    """When the wall clock of the run will be used up, if what is under way goes on [I10]; None where nothing is."""
    if not state.inflight or state.stopped is not None:
        return None
    at = state.last_at + max(0.0, state.options.caps.run_wall_s - state.busy_s) + _LATE_S
    return at if at > now else None


def to_end(state: RunState) -> Iterator[StartAttempt | RunGates | RunFix | RunCanary]:
    """The effects under way that people want ended, and attempts of a run whose budget is used up [I10].

    Merging and landing take milliseconds and are waited for; what an agent has finished may still be gated and land.
    """
    everything = state.halted or state.cancelled is not None
    spent = state.stopped is not None and state.stopped.reason is StopReason.BUDGET
    for effect in state.inflight.values():
        if spent and isinstance(effect, StartAttempt):
            yield effect
        elif isinstance(effect, StartAttempt | RunGates | RunFix | RunCanary):
            task = getattr(effect, "task", "")
            if everything or (task and state.tasks[task].ending is not None):
                yield effect


def is_stuck(state: RunState, now: float) -> bool:
    """Nothing runs, nothing will be due, nobody was asked, and the run is not over: a bug (SPEC I13)."""
    stands = state.interrupted or state.paused is not None
    waiting = state.inflight or state.decisions or stands or wake_at(state, now) is not None
    return not waiting and state.finished is None


# -- conclusions ----------------------------------------------------------------------------------


def _conclude(state: RunState, now: float) -> Events:
    for task in state.attention:
        record = state.tasks[task]
        if events := follow_wish(record):
            return events
        if record.decision is not None:  # a task that awaits one gets attention by the answer
            return follow_answer(record, *state.answers[record.decision])
        if events := conclude(state, record, now):
            return events
    return ()


def _ask_about_calls(state: RunState) -> Events:
    """Agents wait for an answer to each of these."""
    asked = {decision.call for decision in state.decisions.values()}
    return next((ask_about_call(state, call) for name, call in state.calls.items() if name not in asked), ())


def _answer_unattended(state: RunState) -> Events:
    if not state.unattended:
        return ()
    return tuple(
        DecisionAnswered(id=decision.id, choice=decision.default, by=UNATTENDED, call=decision.call)
        for decision in state.decisions.values()
    )


def _follow_run_answers(state: RunState) -> Events:
    """Answers to questions about the run itself; `stop` is all that needs an event."""
    for decision, choice, by in state.answers.values():
        if not decision.task and choice not in {"continue", "approve"} and state.stopped is None:
            detail = refused(decision, by) if choice == "reject" else decision.question
            return (DispatchStopped(reason=StopReason.HUMAN, detail=detail),)
    return ()


def _block_orphans(state: RunState) -> Events:
    """Tasks whose dependency ended otherwise than integrated."""
    if not state.orphaned:
        return ()
    return tuple(
        TaskEnded(
            task=task,
            status=TaskStatus.BLOCKED,
            reason=Reason.BLOCKED_ON,
            detail=f"Depends on {root}, which is {state.tasks[root].status}.",
            blocked_on=root,
        )
        for task, root in state.orphaned.items()
    )


def _trip_breaker(state: RunState) -> Events:
    bound = state.options.policy.breaker
    if bound is None or state.stopped is not None:
        return ()
    for tasks in state.blocked.values():
        if len(tasks) >= bound:
            text = f"{len(tasks)} tasks are blocked: " + "; ".join(
                f"{task} ({state.tasks[task].detail})" for task in tasks
            )
            return (DispatchStopped(reason=StopReason.BREAKER, detail=text, tasks=tuple(tasks)),)
    return ()


def _stop_on_budget(state: RunState, now: float) -> Events:
    caps = state.options.caps
    busy_s = state.busy_s + (max(0.0, now - state.last_at) if state.inflight else 0.0)
    for used, bound, name in (
        (busy_s, caps.run_wall_s, "wall clock (s)"),
        (state.tokens, caps.run_tokens, "tokens"),
        (state.held_usd, caps.run_usd, "money (usd)"),
    ):
        if used is not None and bound is not None and used > bound and state.stopped is None:
            text = f"The budget of the run is used up: {name} {used:.0f} of {bound:.0f}."
            return (DispatchStopped(reason=StopReason.BUDGET, detail=text),)
    return ()


# -- opening --------------------------------------------------------------------------------------


def _open(state: RunState) -> Events:
    """The branch, then the canary: nothing starts before both (SPEC 3.1).

    A branch that somebody else moved is opened again once a human says so, beside whatever is under way.
    """
    effect: OpenBranch | RunCanary
    if state.must_open:
        key = effect_key("run", state.opened, "branch")
        effect = OpenBranch(key=key, branch=state.branch, base=state.head or state.base)
    elif questioned := state.wants_yes(""):
        asked = any(each.kind is DecisionKind.COMMAND and not each.task for each in state.decisions.values())
        return () if asked else ask_about_command(state, questioned)
    else:
        effect = RunCanary(key=effect_key("run", state.canaries, "canary"), commit=state.base)
    if effect.key in state.inflight:
        return ()
    return (*_deselect(state), EffectIntended(effect=effect))


def _deselect(state: RunState) -> Events:
    """With `only`: the tasks that are neither named nor needed by a named one, before anything else happens."""
    if not state.options.only or state.head is not None:
        return ()
    wanted: set[str] = set()
    todo = list(state.options.only)
    while todo:
        task = todo.pop()
        if task not in wanted:
            wanted.add(task)
            todo += state.tasks[task].task.depends_on
    text = "It is neither among the tasks that were selected nor needed by one of them."
    return tuple(
        TaskEnded(task=task, status=TaskStatus.SKIPPED, reason=Reason.NOT_SELECTED, detail=text)
        for task, record in state.tasks.items()
        if task not in wanted and not record.is_over
    )


def _stop_on_canary(state: RunState) -> Events:
    """A gate that cannot run at all stops the run before any agent starts; more time is tried first."""
    for result in state.canary or ():
        broken = result.status is GateStatus.FAIL and result.gate == "setup"
        if state.stopped is None and result.status is GateStatus.FAULT and (events := mitigate(state, "", result)):
            return events
        if (broken or result.status is GateStatus.FAULT) and state.stopped is None:
            why = result.detail or f"exit code {result.exit_code}"
            text = f"{result.gate} cannot run on the untouched base: {why} ({result.command})"
            return (DispatchStopped(reason=StopReason.CANARY, detail=text),)
    return ()
