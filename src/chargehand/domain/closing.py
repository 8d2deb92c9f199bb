"""How waves and runs end: their gates, fix rounds, and the verdict (SPEC 3.1, 3.3, 6)."""

from __future__ import annotations

from itertools import count

from chargehand.domain.asking import ask, end, follow_answer
from chargehand.domain.effects import RunGates
from chargehand.domain.events import (
    DispatchStopped,
    EffectIntended,
    Event,
    GateMadeRequired,
    RunFinished,
    TaskAdded,
    WarningRaised,
    WaveEnded,
)
from chargehand.domain.gating import GateVerdict, due_checks, gate_failure, judge_gates
from chargehand.domain.holistic import close_holistic
from chargehand.domain.outcome import GateResult, Role
from chargehand.domain.plan import GatePoint, Task
from chargehand.domain.restoring import respond, restored
from chargehand.domain.reviewing import start_over
from chargehand.domain.scope import interface_name
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, StopReason, TaskStatus

__all__ = ["cancel_rest", "close_cancelled", "close_run", "close_wave", "interface_mismatches"]

Events = tuple[Event, ...]

_RUN_WAVE = 0
"""Where the fix tasks of the run belong: to no wave of the plan."""

_STOP_REASONS = {
    StopReason.BREAKER: Reason.BREAKER,
    StopReason.KICKBACK: Reason.KICKBACK,
    StopReason.BUDGET: Reason.BUDGET,
    StopReason.HUMAN: Reason.RUN_STOPPED,
    StopReason.CANARY: Reason.RUN_STOPPED,
    StopReason.BRANCH_MOVED: Reason.BRANCH_MOVED,
    StopReason.LINE_FAULT: Reason.RUN_STOPPED,
}


_WAVE = {
    "continue": "continue: the next wave starts as things are",
    "stop": "stop: the run starts nothing more",
}


# -- waves ----------------------------------------------------------------------------------------


def close_wave(state: RunState, now: float) -> Events:
    """With `barrier: wave`: gates and interfaces of a wave whose tasks are all terminal, fixes, or a question."""
    wave = state.wave
    asked = any(decision.kind is not DecisionKind.EDITED for decision in state.decisions.values())
    if wave is None or state.stopped or state.inflight or asked or state.wave_open.get(wave, 1):
        return ()
    if any(decision.kind is DecisionKind.WAVE for decision, *_ in state.answers.values()):
        return (WaveEnded(wave=wave),)  # any other answer than to continue has stopped the run
    if not _is_current(state, GatePoint.WAVE):
        return (_run_gates(state, GatePoint.WAVE),)
    verdict = _verdict(state, GatePoint.WAVE)
    if verdict.green:
        return tuple(GateMadeRequired(gate=gate) for gate in verdict.green)
    if (events := _restore(state, verdict, now)) is not None:
        return events
    problems = interface_mismatches(state, wave)
    if verdict.is_green and not problems:
        return (WaveEnded(wave=wave),)
    text = "; ".join([*problems, *_lines(verdict)])
    if (problems or verdict.red) and _may_fix(state, GatePoint.WAVE, wave):
        task = _fix_task(state, f"Wave {wave}", text, verdict, GatePoint.WAVE)
        return (TaskAdded(task=task, point=GatePoint.WAVE, wave=wave),)
    question = f"Wave {wave} is not green after {state.rounds[GatePoint.WAVE]} fix rounds: {text}"
    return ask(state, "", DecisionKind.WAVE, Reason.GATE_RED, question, ("continue", "stop"), "stop", effects=_WAVE)


def interface_mismatches(state: RunState, wave: int) -> list[str]:
    """Interfaces that a later task consumes in one form and a task of this wave reports in another.

    The form is the text without spaces; where the consumer gives no signature, any form will do.
    """
    offered: dict[str, tuple[str, str]] = {}
    for task, number in state.wave_of.items():
        record = state.tasks[task]
        if number == wave and record.status is TaskStatus.INTEGRATED and record.report:
            for text in record.report.interfaces:
                offered[interface_name(text)] = (task, _form(text))
    problems = []
    for task, number in state.wave_of.items():
        for text in state.tasks[task].task.interfaces.consumes if number > wave else ():
            producer, form = offered.get(interface_name(text), ("", ""))
            if producer and "(" in text and form != _form(text):
                problems.append(f"{task} consumes `{text}`, but {producer} reports `{form}`")
    return problems


def _form(interface: str) -> str:
    return "".join(interface.split())


# -- the run --------------------------------------------------------------------------------------


def cancel_rest(state: RunState) -> Events:
    """A stopped run whose live attempts have ended: questions about attempts take their default, the rest ends."""
    if state.stopped is None or state.inflight or not state.open_tasks:
        return ()
    return tuple(_last_word(state, record, state.stopped) for record in state.tasks.values() if not record.is_over)


def _last_word(state: RunState, record: TaskRecord, stopped: DispatchStopped) -> Event:
    decision = state.decisions.get(record.decision or "")
    if decision is not None and decision.kind is not DecisionKind.START:
        return follow_answer(record, decision, decision.default)[0]
    return end(record, TaskStatus.CANCELLED, _STOP_REASONS[stopped.reason], stopped.detail)


def close_cancelled(state: RunState) -> Events:
    """A run that was given up is over as soon as nothing of it is under way."""
    if state.cancelled is None or state.open_tasks or state.inflight:
        return ()
    text = f"Cancelled by {state.cancelled.by or 'a person'}."
    return (RunFinished(verdict=RunVerdict.CANCELLED, detail=text),)


def close_run(state: RunState, now: float) -> Events:
    """All tasks are terminal: run gates on the final tree, fixes, a look at the whole run, then the verdict."""
    if state.open_tasks or state.inflight or state.decisions:
        return ()
    if state.stopped is not None:
        return (RunFinished(verdict=RunVerdict.FAILED, detail=state.stopped.detail),)
    if state.wave is not None and state.wave in state.wave_open:
        return ()  # a gate of the last wave waits for a fitter
    if not _is_current(state, GatePoint.RUN):
        return (_run_gates(state, GatePoint.RUN),)
    verdict = _verdict(state, GatePoint.RUN)
    if verdict.green:
        return tuple(GateMadeRequired(gate=gate) for gate in verdict.green)
    if (events := _restore(state, verdict, now)) is not None:
        return events
    lost = [r.id for r in state.tasks.values() if r.status not in {TaskStatus.INTEGRATED, TaskStatus.SKIPPED}]
    red = _red_at_the_end(state, verdict)
    if not red and (events := close_holistic(state, now, complete=not lost)) is not None:
        return events
    if not red and not lost:
        return (RunFinished(verdict=RunVerdict.FINISHED),)
    if not lost and any(result in verdict.red for result in red) and _may_fix(state, GatePoint.RUN, _RUN_WAVE):
        task = _fix_task(state, "Run", "; ".join(_lines(verdict)), verdict, GatePoint.RUN)
        return (TaskAdded(task=task, point=GatePoint.RUN, wave=_RUN_WAVE),)
    detail = [f"{len(lost)} of {len(state.tasks)} tasks are not integrated: {', '.join(lost)}"] * bool(lost)
    detail += [f"gate {result.gate} is red on the final tree" for result in red]
    return (RunFinished(verdict=RunVerdict.FAILED, detail="; ".join(detail) + "."),)


def _red_at_the_end(state: RunState, verdict: GateVerdict) -> list[GateResult]:
    """A gate red at the end counts, also when it was red on the base, unless the plan allows it (SPEC 3.1).

    A gate with test ids whose failures were all there before is not red.
    """
    advisory = [r for r in verdict.advisory if r.failed_tests is None]
    results: tuple[GateResult, ...] = (*verdict.red, *verdict.faults, *advisory)
    return [r for r in results if r.gate not in state.plan.allow_red]


def _restore(state: RunState, verdict: GateVerdict, now: float) -> Events | None:
    """What is done about a gate of the run that could not judge; None when nothing is left to do."""
    if not verdict.faults:
        return None
    outcome, look = state.whole.unjudged, state.whole.look
    if outcome is not None and look is not None and look.role is Role.FITTER:
        if void := start_over(state, "", look, outcome.result, now):
            return void
        events, why = restored(state, "", outcome, look.gate)
        told = any(warning.text == why for warning in state.warnings)
        return events or (None if told else (WarningRaised(code="line_fault", text=why),))
    return respond(state, None, verdict.faults[0], now)


# -- shared ---------------------------------------------------------------------------------------


def _run_gates(state: RunState, point: GatePoint) -> EffectIntended:
    assert state.head is not None
    return EffectIntended(
        effect=RunGates(
            key=state.key_of_gates(point),
            task="",
            attempt=state.gate_rounds(point),
            point=point,
            commit=state.head,
            tree=state.head_tree,
            base=state.base,
        )
    )


def _is_current(state: RunState, point: GatePoint) -> bool:
    closing = state.closing
    nothing_due = not due_checks(state.plan, point)
    return nothing_due or (closing is not None and closing.point is point and closing.commit == state.head)


def _verdict(state: RunState, point: GatePoint) -> GateVerdict:
    """What the last gates of a point say; nothing due is green."""
    due = due_checks(state.plan, point)
    results = state.closing.results if due and state.closing else ()
    excused = state.options.policy.final_baseline or point is not GatePoint.RUN
    return judge_gates(results, state.baseline_red if excused else {}, due, state.head_tree)


def _lines(verdict: GateVerdict) -> list[str]:
    return [f"gate {r.gate}: {r.detail or r.status}" for r in (*verdict.red, *verdict.faults)]


def _may_fix(state: RunState, point: GatePoint, wave: int) -> bool:
    """Another fix round: within the bound, and the last one, if any, landed something."""
    policy = state.options.policy
    bound = policy.wave_fixes if point is GatePoint.WAVE else policy.run_fixes
    fixes = [r for r in state.tasks.values() if r.fixes_gates_of is point and state.wave_of[r.id] == wave]
    return state.rounds[point] < bound and all(fix.status is TaskStatus.INTEGRATED for fix in fixes)


def _fix_task(state: RunState, what: str, text: str, verdict: GateVerdict, point: GatePoint) -> Task:
    """An unscoped task that gets the red gates as its description."""
    name = next(name for number in count(1) if (name := f"fix-{number}") not in state.tasks)
    description = text
    if verdict.red:
        failure = gate_failure(verdict, state.baseline_red, point, due_checks(state.plan, point))
        description = "\n".join((text, *failure.facts, failure.tail))
    return Task(id=name, title=f"{what} gates are red: make them green", description=description, may_excuse=True)
