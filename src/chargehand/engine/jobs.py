"""From an effect and the state to what a port is asked for: values in, values out."""

from __future__ import annotations

from typing import TypeVar

from chargehand.domain.brief import compose
from chargehand.domain.effects import Land, MergeCandidate, RunCanary, RunGates, StartAttempt
from chargehand.domain.gating import verify_ids
from chargehand.domain.ids import attempt_ref, candidate_ref
from chargehand.domain.plan import GatePoint, GateSpec
from chargehand.domain.state import RunState
from chargehand.ports import AttemptSpec, Check, GateJob, LandJob, MergeJob

__all__ = ["attempt_spec", "canary_job", "gate_job", "gates_on_commit", "land_job", "merge_job"]

N = TypeVar("N", int, float)


def attempt_spec(state: RunState, effect: StartAttempt) -> AttemptSpec:
    """The attempt as a fleet carries it out, brief included."""
    record = state.tasks[effect.task]
    task, caps = record.task, state.options.caps
    used = record.tries
    first = task.agent or state.options.agent
    agent = effect.agent or first
    return AttemptSpec(
        key=effect.key,
        run=state.run,
        task=task.id,
        attempt=effect.attempt,
        role=effect.role,
        base=effect.base,
        title=task.title,
        brief=compose(state, effect).text,
        agent=agent,
        model=task.model if agent == first else None,  # the model of a task is one of its own agent's
        wall_s=task.limits.wall_s or caps.attempt_wall_s,
        idle_s=caps.attempt_idle_s if task.limits.idle_s is None else task.limits.idle_s,
        previous=record.previous,
        ref=attempt_ref(state.run, task.id, effect.launch),
        declared=task.files.writes if task.files else (),
        reads=task.files.read if task.files else (),
        env=state.plan.env,
        setup=state.plan.setup,
        inputs=state.options.inputs,
        turns=next((each.turns for each in state.options.agents if each.name == agent), None),
        tokens=_least(task.limits.tokens, _left(caps.task_tokens, used.tokens), _left(caps.run_tokens, state.tokens)),
        usd=_least(task.limits.usd, _left(caps.task_usd, used.usd), _left(caps.run_usd, state.usd)),
        ruled=record.ruled,
    )


def _left(cap: N | None, used: N | None) -> N | None:
    """What is left of a cap; None where there is none."""
    return None if cap is None else cap - (used or type(cap)(0))


def _least(*bounds: N | None) -> N | None:
    """The bound that is met first; None where there is none."""
    return min((bound for bound in bounds if bound is not None), default=None)


def canary_job(state: RunState, effect: RunCanary) -> GateJob:
    """Setup and every gate of the plan, on the base."""
    return GateJob(
        key=effect.key,
        run=state.run,
        task="",
        attempt=0,
        commit=effect.commit,
        tree=state.base_tree,
        base=effect.commit,
        checks=tuple(_check(state, gate) for gate in state.plan.gates),
        setup=state.plan.setup,
        env=state.plan.env,
    )


def gate_job(state: RunState, effect: RunGates) -> GateJob:
    """The checks of one point: the task's verify commands first, then the gates in plan order."""
    checks: list[Check] = []
    if effect.verify:
        wall_s = state.options.caps.gate_wall_s
        task = state.tasks[effect.task].task
        named = zip(verify_ids(task), task.verify, strict=True)
        checks += [Check(id=name, run=command, wall_s=wall_s) for name, command in named]
    checks += [_check(state, gate) for gate in state.plan.gates_on(effect.point)]
    return GateJob(
        key=effect.key,
        run=state.run,
        task=effect.task,
        attempt=effect.attempt,
        commit=effect.commit,
        tree=effect.tree,
        base=effect.base,
        checks=tuple(checks),
        setup=state.plan.setup,
        env=state.plan.env,
        syntax=effect.syntax,
        # One red check is enough, but one that was red on the base says nothing about those behind it.
        stop_early=bool(effect.task) and not any(check.id in state.baseline_red for check in checks),
    )


def gates_on_commit(state: RunState, point: GatePoint, commit: str, tree: str, *, key: str) -> GateJob:
    """The gates of a point on a commit outside the run: `accept` tests a merge with a moved target this way."""
    return GateJob(
        key=key,
        run=state.run,
        task="",
        attempt=0,
        commit=commit,
        tree=tree,
        base=state.base,
        checks=tuple(_check(state, gate) for gate in state.plan.gates_on(point)),
        setup=state.plan.setup,
        env=state.plan.env,
    )


def _check(state: RunState, gate: GateSpec) -> Check:
    wall_s = gate.wall_s or state.options.caps.gate_wall_s
    return Check(id=gate.id, run=gate.run, wall_s=wall_s, idle_s=gate.idle_s, junit=gate.junit)


def merge_job(state: RunState, effect: MergeCandidate) -> MergeJob:
    """The candidate of a task: one merge commit with trailers (SPEC 6)."""
    task = state.tasks[effect.task].task
    message = (
        f"{task.id}: {task.title}\n\n"
        f"Chargehand-Run: {state.run}\nChargehand-Task: {task.id}\nChargehand-Attempt: {effect.attempt}\n"
    )
    ref = candidate_ref(state.run, effect.task, effect.attempt)
    return MergeJob(head=effect.head, commit=effect.commit, ref=ref, message=message)


def land_job(state: RunState, effect: Land) -> LandJob:
    """The compare-and-swap that lands a candidate."""
    ref = candidate_ref(state.run, effect.task, effect.attempt)
    return LandJob(branch=state.branch, expect=effect.head, commit=effect.commit, ref=ref)
