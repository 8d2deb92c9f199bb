"""How waves and runs end: their gates, fix rounds, and the verdict (SPEC 3.1, 3.3, 6)."""

from __future__ import annotations

from chargehand.domain.conclude import ask
from chargehand.domain.effects import RunGates
from chargehand.domain.events import (
    EffectIntended,
    Event,
    GateMadeRequired,
    RunFinished,
    TaskAdded,
    TaskEnded,
    WaveEnded,
)
from chargehand.domain.gating import GateVerdict, gate_failure, judge_gates
from chargehand.domain.outcome import GateResult
from chargehand.domain.plan import GatePoint, Task
from chargehand.domain.state import RunState
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, StopReason, TaskStatus

__all__ = ["cancel_rest", "close_run", "close_wave", "interface_mismatches"]

Events = tuple[Event, ...]

_STOP_REASONS = {
    StopReason.BREAKER: Reason.BREAKER,
    StopReason.KICKBACK: Reason.KICKBACK,
    StopReason.BUDGET: Reason.BUDGET,
    StopReason.HUMAN: Reason.RUN_STOPPED,
    StopReason.CANARY: Reason.RUN_STOPPED,
    StopReason.BRANCH_MOVED: Reason.BRANCH_MOVED,
}


# -- waves ----------------------------------------------------------------------------------------


def close_wave(state: RunState) -> Events:
    """With `barrier: wave`: gates and interfaces of a wave whose tasks are all terminal, fixes, or a question."""
    wave = state.wave
    if wave is None or state.stopped or state.inflight or state.wave_open.get(wave, 1):
        return ()
    if _answered(state, DecisionKind.WAVE):
        return (WaveEnded(wave=wave),)
    problems = interface_mismatches(state, wave)
    gates = state.plan.gates_on(GatePoint.WAVE)
    if gates and not _is_current(state, GatePoint.WAVE):
        return (_run_gates(state, GatePoint.WAVE),)
    verdict = _verdict(state) if gates else GateVerdict()
    if verdict.green:
        return tuple(GateMadeRequired(gate=gate) for gate in verdict.green)
    if verdict.is_green and not problems:
        return (WaveEnded(wave=wave),)
    text = "; ".join([*problems, *_lines(verdict)])
    if _may_fix(state, GatePoint.WAVE, state.options.policy.wave_fixes):
        return (TaskAdded(task=_fix_task(state, f"Wave {wave}", text, verdict), point=GatePoint.WAVE, wave=wave),)
    if state.decisions:
        return ()
    question = f"Wave {wave} is not green after {state.rounds[GatePoint.WAVE]} fix rounds: {text}"
    return ask(state, "", DecisionKind.WAVE, Reason.GATE_RED, question, ("continue", "stop"), "stop")


def interface_mismatches(state: RunState, wave: int) -> list[str]:
    """Interfaces that a later task consumes and a task of this wave reports in another form.

    An interface is named by what stands before the first bracket, colon, arrow or space; the rest is its form.
    """
    offered: dict[str, tuple[str, str]] = {}
    for task, number in state.wave_of.items():
        record = state.tasks[task]
        if number == wave and record.status is TaskStatus.INTEGRATED and record.report:
            for text in record.report.interfaces:
                offered[_name(text)] = (task, _form(text))
    problems = []
    for task, number in state.wave_of.items():
        for text in state.tasks[task].task.interfaces.consumes if number > wave else ():
            producer, form = offered.get(_name(text), ("", ""))
            if producer and "(" in text and form != _form(text):
                problems.append(f"{task} consumes `{text}`, but {producer} reports `{form}`")
    return problems


def _name(interface: str) -> str:
    for mark in "([:- ":
        interface = interface.split(mark, 1)[0]
    return interface.strip()


def _form(interface: str) -> str:
    return "".join(interface.split())


# -- the run --------------------------------------------------------------------------------------


def cancel_rest(state: RunState) -> Events:
    """A stopped run whose live attempts have ended: what is left is cancelled, with the reason."""
    if state.stopped is None or state.inflight or not state.open_tasks:
        return ()
    reason = _STOP_REASONS[state.stopped.reason]
    return tuple(
        TaskEnded(task=task, status=TaskStatus.CANCELLED, reason=reason, detail=state.stopped.detail)
        for task, record in state.tasks.items()
        if not record.is_over
    )


def close_run(state: RunState) -> Events:
    """All tasks are terminal: run gates on the final tree, at most some fix tasks, then the verdict."""
    if state.open_tasks or state.inflight:
        return ()
    lost = [r.id for r in state.tasks.values() if r.status not in {TaskStatus.INTEGRATED, TaskStatus.SKIPPED}]
    if state.stopped is not None:
        return (RunFinished(verdict=RunVerdict.FAILED, detail=state.stopped.detail),)
    if state.plan.gates_on(GatePoint.RUN) and not _is_current(state, GatePoint.RUN):
        return (_run_gates(state, GatePoint.RUN),)
    verdict = _verdict(state)
    if verdict.green:
        return tuple(GateMadeRequired(gate=gate) for gate in verdict.green)
    red = _red_at_the_end(state, verdict)
    if not red and not lost:
        return (RunFinished(verdict=RunVerdict.FINISHED),)
    bound = state.options.policy.run_fixes
    if verdict.red and red and not lost and _may_fix(state, GatePoint.RUN, bound):
        text = "; ".join(_lines(verdict))
        task = _fix_task(state, "Run", text, verdict)
        return (TaskAdded(task=task, point=GatePoint.RUN, wave=0),)
    detail = [f"{len(lost)} of {len(state.tasks)} tasks are not integrated: {', '.join(lost)}"] * bool(lost)
    detail += [f"gate {gate} is red on the final tree" for gate in red]
    return (RunFinished(verdict=RunVerdict.FAILED, detail="; ".join(detail) + "."),)


def _red_at_the_end(state: RunState, verdict: GateVerdict) -> list[str]:
    """A gate red at the end counts, also when it was red on the base, unless the plan allows it (SPEC 3.1).

    A gate with test ids whose failures were all there before is not red.
    """
    advisory = [r for r in verdict.advisory if r.failed_tests is None]
    results: tuple[GateResult, ...] = (*verdict.red, *verdict.faults, *advisory)
    return [r.gate for r in results if r.gate not in state.plan.allow_red]


# -- shared ---------------------------------------------------------------------------------------


def _run_gates(state: RunState, point: GatePoint) -> EffectIntended:
    assert state.head is not None
    attempt = state.rounds[point]
    return EffectIntended(
        effect=RunGates(
            key=f"{point}-{state.wave or 0}/{attempt}/gates",
            task="",
            attempt=attempt,
            point=point,
            commit=state.head,
            tree=state.head_tree,
            base=state.base,
        )
    )


def _is_current(state: RunState, point: GatePoint) -> bool:
    closing = state.closing
    return closing is not None and closing.point is point and closing.commit == state.head


def _verdict(state: RunState) -> GateVerdict:
    return judge_gates(state.closing.results if state.closing else (), state.baseline_red)


def _lines(verdict: GateVerdict) -> list[str]:
    return [f"gate {r.gate}: {r.detail or r.status}" for r in (*verdict.red, *verdict.faults)]


def _may_fix(state: RunState, point: GatePoint, bound: int) -> bool:
    """Another fix round: within the bound, and the last one landed something."""
    last = [record for record in state.tasks.values() if record.fixes_gates_of is point]
    return state.rounds[point] < bound and (not last or last[-1].status is TaskStatus.INTEGRATED)


def _answered(state: RunState, kind: DecisionKind) -> bool:
    return any(decision.kind is kind and choice == "continue" for decision, choice in state.answers.values())


def _fix_task(state: RunState, what: str, text: str, verdict: GateVerdict) -> Task:
    """An unscoped task that gets the red gates as its description."""
    number = 1 + sum(1 for record in state.tasks.values() if record.fixes_gates_of is not None)
    name = f"fix-{number}"
    while name in state.tasks:
        number += 1
        name = f"fix-{number}"
    description = text
    if verdict.red:
        failure = gate_failure(verdict, state.baseline_red)
        description = "\n".join((text, *failure.facts, failure.tail))
    return Task(id=name, title=f"{what} gates are red: make them green", description=description)
