"""Which task starts next: dependencies, slots, leases, budgets, in a deterministic order (SPEC 3.3) [I15]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from heapq import merge
from itertools import product, takewhile

from chargehand.domain import scope
from chargehand.domain.asking import ask, ask_about_command, escalate
from chargehand.domain.circuits import agent_for, why_none
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import EffectIntended, Event
from chargehand.domain.ids import attempt_key
from chargehand.domain.outcome import Role
from chargehand.domain.plan import Mode, Task
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.train import lands_first, slots_taken
from chargehand.domain.words import DecisionKind, Reason, StopReason, TaskStatus

__all__ = ["dispatch", "disputes", "obstacle_to_looking", "used_up", "why_waiting"]


def dispatch(state: RunState, now: float) -> tuple[Event, ...]:
    """Start the first task that may start: longest remaining critical path first, then plan order."""
    jobs = state.options.jobs
    if slots_taken(state) >= jobs or sum(state.agents_live.values()) >= jobs or _is_researched(state):
        return ()
    disputed = disputes(state)
    for task in _candidates(state, now):
        record = state.tasks[task]
        if task in disputed:
            continue
        if record.task.needs_human and DecisionKind.START not in record.approved:
            text = f"Task {task} ({record.task.title}) asks for a yes before it starts."
            kind, reason = DecisionKind.START, Reason.NEEDS_HUMAN
            return ask(state, task, kind, reason, text, ("approve", "reject"), "reject")
        if questioned := state.wants_yes(task):
            return ask_about_command(state, questioned)
        if bound := used_up(state, record):
            return escalate(state, record, *bound, failure=record.failure)
        agent = agent_for(state, record, now)
        if agent is not None and not _obstacle(state, record, agent):
            return (_start(state, record, agent),)
    return ()


def disputes(state: RunState) -> dict[str, str]:
    """The open question by task of which a file that was edited by hand says something else: they do not start."""
    edits = ((name, edit) for name, decision in state.decisions.items() for edit in decision.edits)
    return {word.task: name for name, edit in edits for word in edit.words}


def _candidates(state: RunState, now: float) -> Iterator[str]:
    """The tasks that may start, best first: those that are ready, and those whose time has come."""
    due = takewhile(lambda timer: timer[0] <= now, state.timers)
    waited = sorted((*state.priority[task], task) for _, task in due)
    return (task for _, _, task in merge(waited, state.ready))


def used_up(state: RunState, record: TaskRecord) -> tuple[Reason, str] | None:
    """Which cap of the task forbids another attempt, if any [I10]."""
    caps, tries = state.options.caps, record.tries
    if tries.attempts >= caps.task_attempts:
        return Reason.ATTEMPTS, f"The task used up its {tries.attempts} attempts."
    if caps.task_tokens is not None and tries.tokens > caps.task_tokens:
        return Reason.BUDGET, f"The task used {tries.tokens} of its {caps.task_tokens} tokens."
    if caps.task_usd is not None and tries.held_usd > caps.task_usd:
        return Reason.BUDGET, f"The task used {tries.held_usd:.2f} of its {caps.task_usd:.2f} USD."
    return None


def _start(state: RunState, record: TaskRecord, agent: str) -> EffectIntended:
    assert state.head is not None
    attempt = record.attempts + 1
    launch = attempt + record.lost
    return EffectIntended(
        effect=StartAttempt(
            key=attempt_key(record.id, attempt, record.lost),
            task=record.id,
            attempt=attempt,
            role=record.role,
            base=record.fix_base or state.head,
            launch=launch,
            agent=agent,
        )
    )


def _is_researched(state: RunState) -> bool:
    """Whether somebody looks into a plan that was returned, or will as soon as they can: nothing starts meanwhile."""
    waits = (state.tasks[task] for task in state.attention)
    return any(record.status is TaskStatus.RUNNING and record.unjudged is not None for record in waits) or any(
        isinstance(effect, StartAttempt) and effect.role is Role.RESEARCHER for effect in state.inflight.values()
    )


def obstacle_to_looking(state: RunState, agent: str) -> str:
    """What keeps one who only looks from starting: slots and the bound of its agent count processes."""
    if state.interrupted:
        return "the run was interrupted"
    if state.paused is not None:
        return "the run is paused"
    if state.held is not None:
        return f"the run is held by decision {state.held}"
    if state.stopped is not None and state.stopped.reason is StopReason.BUDGET:
        return "the budget of the run is used up"
    if sum(state.agents_live.values()) >= state.options.jobs:
        return f"all {state.options.jobs} slots are taken"
    return _no_room(state, agent)


def _no_room(state: RunState, agent: str) -> str:
    bound = next((a.jobs for a in state.options.agents if a.name == agent), None)
    if bound is not None and state.agents_live.get(agent, 0) >= bound:
        return f"agent {agent} has no free slot ({bound})"
    return ""


def _obstacle(state: RunState, record: TaskRecord, agent: str) -> str:
    """What keeps a ready task from starting beside the live ones, in words; empty when nothing does."""
    if full := _no_room(state, agent):
        return full
    if lands_first(state, record):
        return f"the rest of its group ({record.task.group}) lands first"
    for other in state.live:
        if why := _clash(record.task, state.tasks[other].task):
            return f"{why}, and {other} is live"
    return ""


def _clash(task: Task, other: Task) -> str:
    """Why two tasks cannot be live together; empty when they can."""
    if Mode.SEQUENTIAL in {task.mode, other.mode}:
        return "one of the two runs alone"
    if task.files and other.files and _leases_meet(task.files.writes, other.files.writes):
        return "both have a lease on the same files"
    mine, theirs = task.interfaces.produces, other.interfaces.produces
    if mine and theirs and not _products(mine).isdisjoint(_products(theirs)):
        return "both produce the same interface"
    return ""


def _leases_meet(ones: tuple[str, ...], twos: tuple[str, ...]) -> bool:
    """`scope.overlaps`, with a short way for what is true of nearly all pairs: two plain paths that differ."""
    for one, two in product(ones, twos):
        plain = scope.is_literal(one) and scope.is_literal(two) and "\\" not in one and "\\" not in two
        if (not plain or one.startswith(two) or two.startswith(one)) and scope.overlap(one, two):
            return True
    return False


@lru_cache(maxsize=16384)
def _products(interfaces: tuple[str, ...]) -> frozenset[str]:
    return frozenset(scope.interface_name(text) for text in interfaces)


def why_waiting(state: RunState, record: TaskRecord, now: float) -> str:
    """Why a waiting task does not run, in words (SPEC I12)."""
    if state.interrupted:
        return "the run was interrupted; `chargehand resume` goes on"
    if state.paused is not None:
        return "the run is paused; `chargehand resume` goes on"
    if state.stopped is not None:
        return f"the run starts nothing more ({state.stopped.reason}: {state.stopped.detail})"
    if state.held is not None:
        return f"the run is held by decision {state.held}"
    missing = [d for d in state.needs_of(record.id) if state.tasks[d].landed is None]
    if missing:
        return ", ".join(f"{d} ({state.tasks[d].status})" for d in missing) + " must land first"
    if state.head is None or state.canary is None:
        return "the canary is not through yet"
    if record.not_before is not None and record.not_before > now:
        return f"its provider asked to wait for {record.not_before - now:.0f} s more"
    if state.wave is not None and state.wave_of[record.id] > state.wave:
        return f"wave {state.wave_of[record.id]} starts when wave {state.wave} has ended"
    if (asked := disputes(state).get(record.id)) is not None:
        return f"a file was edited by hand to say something else of it: answer {asked}"
    agent = agent_for(state, record, now)
    if agent is None:
        return why_none(state, record, now)
    if obstacle := _obstacle(state, record, agent):
        return obstacle
    if _is_researched(state):
        return "a plan that was returned is looked into first"
    if max(slots_taken(state), sum(state.agents_live.values())) >= state.options.jobs:
        return f"all {state.options.jobs} slots are taken"
    return "it starts next"
