"""From an effect and the state to what a port is asked for: values in, values out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from chargehand.domain.brief import compose
from chargehand.domain.brief_looks import compose_look
from chargehand.domain.effects import Land, MergeCandidate, RunCanary, RunFix, RunGates, StartAttempt
from chargehand.domain.gating import check_of, verify_ids
from chargehand.domain.holistic import WHOLE
from chargehand.domain.ids import attempt_ref, candidate_ref
from chargehand.domain.outcome import LOOKERS, Role
from chargehand.domain.plan import Command, GatePoint, GateSpec, Task, TaskType
from chargehand.domain.restoring import fit_name
from chargehand.domain.state import GateFit, RunState, TaskRecord
from chargehand.ports import AttemptSpec, Check, FixJob, GateJob, LandJob, MergeJob

__all__ = ["attempt_spec", "canary_job", "fix_job", "gate_job", "gates_on_commit", "land_job", "merge_job"]

N = TypeVar("N", int, float)


def attempt_spec(state: RunState, effect: StartAttempt) -> AttemptSpec:
    """The attempt as a fleet carries it out, brief included."""
    if not effect.task:
        return _look_at_whole(state, effect)
    record = state.tasks[effect.task]
    task, caps = record.task, state.options.caps
    used = record.tries
    first = task.agent or state.options.agent
    agent = effect.agent or first
    looks = effect.role in LOOKERS
    return AttemptSpec(
        key=effect.key,
        run=state.run,
        task=task.id,
        attempt=effect.attempt,
        role=effect.role,
        base=effect.base,
        title=task.title,
        brief=(compose_look if looks else compose)(state, effect).text,
        agent=agent,
        model=task.model if agent == first else None,  # the model of a task is one of its own agent's
        wall_s=task.limits.wall_s or caps.attempt_wall_s,
        idle_s=caps.attempt_idle_s if task.limits.idle_s is None else task.limits.idle_s,
        previous=None if looks or effect.role is Role.FIXER else record.previous,
        ref=attempt_ref(state.run, task.id, effect.launch),
        declared=task.files.writes if task.files else (),
        reads=task.files.read if task.files else (),
        env=state.plan.env,
        setup=state.plan.setup,
        inputs=state.options.inputs,
        artifacts=state.options.artifacts,
        turns=next((each.turns for each in state.options.agents if each.name == agent), None),
        tokens=_least(task.limits.tokens, _left(caps.task_tokens, used.tokens), _left(caps.run_tokens, state.tokens)),
        usd=_least(task.limits.usd, _left(caps.task_usd, used.held_usd), _left(caps.run_usd, state.held_usd)),
        ruled=record.ruled,
        forbidden=() if looks else task.forbidden,
        origin="" if looks or record.fix_base is None else record.origin or "",
        commit=effect.commit,
        tree=effect.tree,
        since=effect.since,
        gate=effect.gate,
    )


def _look_at_whole(state: RunState, effect: StartAttempt) -> AttemptSpec:
    """A look at the whole run: the task is called `run`, and only the caps of the run bound it."""
    caps = state.options.caps
    return AttemptSpec(
        key=effect.key,
        run=state.run,
        task=WHOLE,
        attempt=effect.attempt,
        role=effect.role,
        base=effect.base,
        title=state.plan.goal or state.plan.plan,
        brief=compose_look(state, effect).text,
        agent=effect.agent,
        wall_s=caps.attempt_wall_s,
        idle_s=caps.attempt_idle_s,
        env=state.plan.env,
        setup=state.plan.setup,
        turns=next((each.turns for each in state.options.agents if each.name == effect.agent), None),
        tokens=_least(caps.task_tokens, _left(caps.run_tokens, state.tokens)),
        usd=_least(caps.task_usd, _left(caps.run_usd, state.held_usd)),
        commit=effect.commit,
        tree=effect.tree,
        since=effect.since,
        gate=effect.gate,
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
    record = state.tasks[effect.task] if effect.task else None
    task = record.task if record is not None else None
    checks: list[Check] = []
    if effect.verify and task is not None:
        checks += _verify(state, task)
    others = [state.tasks[name].task for name in effect.beside]
    for other in others:
        checks += (replace(check, id=check_of(other.id, check.id)) for check in _verify(state, other))
    checks += [_check(state, gate, effect) for gate in state.plan.gates_on(effect.point)]
    at_task = effect.point is GatePoint.TASK and task is not None
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
        red_first=at_task and task is not None and task.type is TaskType.TDD,
        overlay=at_task and task is not None and task.overlay,
        tests=task.files.test if task is not None and task.files else (),
    )


def _verify(state: RunState, task: Task) -> Iterator[Check]:
    for name, command in zip(verify_ids(task), task.verify, strict=True):
        fit = state.fits.get(fit_name(state, task.id, name), GateFit()).fit
        yield Check(
            id=name,
            run=Command(argv=fit.argv) if fit.argv else command,
            wall_s=fit.wall_s or state.options.caps.gate_wall_s,
            idle_s=fit.idle_s,
            env=fit.env,
            rerun=True,
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


def _check(state: RunState, gate: GateSpec, effect: RunGates | None = None) -> Check:
    """A gate as the plan says, or as it was fitted; for a change it runs again where it is red (SPEC 5)."""
    fit = state.fits.get(gate.id, GateFit()).fit
    record = state.tasks[effect.task] if effect is not None and effect.task else None
    return Check(
        id=gate.id,
        run=Command(argv=fit.argv) if fit.argv else gate.run,
        wall_s=fit.wall_s or gate.wall_s or state.options.caps.gate_wall_s,
        idle_s=fit.idle_s or gate.idle_s,
        junit=gate.junit,
        env=fit.env,
        rerun=record is not None,
        baseline=_baseline(state, gate.id, record, effect) if effect is not None and gate.junit else "",
        may_vanish=effect is not None and _may_vanish(state, effect),
    )


def _may_vanish(state: RunState, effect: RunGates) -> bool:
    """Whether one of the changes that are gated may take tests away."""
    names = (*effect.beside, effect.task)
    return any(state.tasks[name].task.allow_test_changes for name in names if name)


def _baseline(state: RunState, gate: str, record: TaskRecord | None, effect: RunGates) -> str:
    """The test ids of the tree before, where that is known: those that landed last, for what is built on them."""
    built_on_head = effect.point is not GatePoint.TASK or (record is not None and record.origin == state.head)
    return state.tests.get(gate, "") if built_on_head else ""


def fix_job(state: RunState, effect: RunFix) -> FixJob:
    """The `fix` commands of red gates, on the files of the change."""
    record = state.tasks[effect.task]
    task, wall_s = record.task, state.options.caps.gate_wall_s
    named = {gate.id: gate for gate in state.plan.gates}
    commands = [
        Check(id=f"fix-{name}", run=fix, wall_s=named[name].wall_s or wall_s)
        for name in effect.gates
        if (fix := named[name].fix) is not None
    ]
    return FixJob(
        key=effect.key,
        run=state.run,
        task=task.id,
        attempt=effect.attempt,
        commit=effect.commit,
        base=effect.commit,
        commands=tuple(commands),
        paths=effect.paths,
        ref=f"{attempt_ref(state.run, task.id, effect.attempt + record.lost)}-{effect.key.rsplit('/', 1)[-1]}",
        message=f"{task.id}: {', '.join(effect.gates)} mended by their own commands\n\n{_trailers(state, effect)}",
        setup=state.plan.setup,
        env=state.plan.env,
        origin=record.origin or "",
    )


def _trailers(state: RunState, effect: RunFix | MergeCandidate) -> str:
    return f"Chargehand-Run: {state.run}\nChargehand-Task: {effect.task}\nChargehand-Attempt: {effect.attempt}\n"


def merge_job(state: RunState, effect: MergeCandidate) -> MergeJob:
    """The candidate of a task: one merge commit with trailers (SPEC 6)."""
    task = state.tasks[effect.task].task
    message = f"{task.id}: {task.title}\n\n{_trailers(state, effect)}"
    ref = candidate_ref(state.run, effect.task, effect.attempt)
    return MergeJob(head=effect.head, commit=effect.commit, ref=ref, message=message)


def land_job(state: RunState, effect: Land) -> LandJob:
    """The compare-and-swap that lands a candidate."""
    ref = candidate_ref(state.run, effect.task, effect.attempt)
    return LandJob(branch=state.branch, expect=effect.head, commit=effect.commit, ref=ref)
