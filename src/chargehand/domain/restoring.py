"""What follows when a gate could not judge: deterministic mitigations, then a fitter, then a person (SPEC 5).

More time once within the cap, or the same again once: no model is asked, and neither counts. Then a fitter is told the
Line Fault and answers with a Restoration. It may change budgets, invocation and environment of the gate, nothing else,
and the run of the gate that follows verifies it: that run is the retry. A second one needs another mitigation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chargehand.domain.circuits import agent_for, reviewer_for
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import AttemptFinished, EffectIntended, Event, GateMitigated, GatesFinished
from chargehand.domain.evidence import signature
from chargehand.domain.gating import check_of, verify_ids
from chargehand.domain.ids import attempt_key
from chargehand.domain.line import Fit, LineFault, Mitigation, Restoration, RestorationOutcome
from chargehand.domain.outcome import FaultKind, GateResult, GateStatus, Role
from chargehand.domain.plan import Command
from chargehand.domain.schedule import obstacle_to_looking, used_up
from chargehand.domain.state import GateFit, RunState, TaskRecord
from chargehand.domain.variables import bends_checks
from chargehand.domain.words import TaskStatus

__all__ = ["command_of", "first_fault", "fit_name", "line_fault", "mitigate", "refusal", "respond", "restored"]

Events = tuple[Event, ...]

_MORE = 2.0
"""By how much a budget is raised."""

_MAY_ADD = re.compile(
    r"-n=?\d+|-n=?auto|--numprocesses=(?:\d+|auto)|-j=?\d+|--jobs=\d+|--workers=\d+|--maxWorkers=\d+%?|--runInBand"
    r"|--(?:session-)?timeout=\d+(?:ms|s|m)?|--testTimeout=\d+|--test-timeout=\d+|--no-color|--color=\w+|-v+|--verbose"
)
"""What a fitter may add behind the arguments of a gate: how many at once, how long, how loud. Nothing else is known to
leave what is looked at as it is."""

_MAY_SET = re.compile(
    r"(?:[A-Z0-9_]+_)?(?:TIMEOUT|TIMEOUT_MS|TIMEOUT_S|TIMEOUT_SECONDS|WORKERS|JOBS|THREADS|NUM_THREADS|PORT|RETRY_DELAY)"
    r"|GOMAXPROCS|TZ|LANG|LC_[A-Z]+|NO_COLOR|FORCE_COLOR|TERM|PYTEST_XDIST_AUTO_NUM_WORKERS"
)
"""The variables that a fitter may set."""


# -- what a gate is called ------------------------------------------------------------------------


def fit_name(state: RunState, task: str, gate: str) -> str:
    """The name a mitigation is kept under: gates of the plan have one each, checks of a task belong to it."""
    shared = not task or any(each.id == gate for each in state.plan.gates)
    return gate if shared or "/" in gate else check_of(task, gate)  # one of a task beside it has its name already


def command_of(state: RunState, task: str, gate: str) -> Command | None:
    """The command of a gate or verify check as the plan has it; None for what the runtime itself does."""
    named: dict[str, Command] = {each.id: each.run for each in state.plan.gates}
    owner, _, check = gate.rpartition("/")
    if gate not in named and (record := state.tasks.get(owner or task)) is not None:
        named |= dict(zip(verify_ids(record.task), record.task.verify, strict=True))
        return named.get(check)
    return named.get(gate)


def first_fault(outcome: GatesFinished) -> GateResult | None:
    """The first check that could not judge."""
    return next((result for result in outcome.results if result.status is GateStatus.FAULT), None)


def line_fault(result: GateResult) -> LineFault:
    """The contract of FORMATS 3.3, out of what the gate left."""
    hints = (result.detail,) if result.detail else ()
    return LineFault(
        gate_id=result.gate,
        invocation=result.command,
        elapsed_seconds=round(result.wall_s, 3),
        last_output_lines=tuple(result.tail.splitlines()[-50:]),
        stop_reason=str(result.fault or FaultKind.AMBIGUOUS),
        repro_hints=(*hints, *((f"log: {result.log}",) if result.log else ())),
    )


# -- mitigations ----------------------------------------------------------------------------------


def respond(state: RunState, record: TaskRecord | None, fault: GateResult, now: float) -> Events | None:
    """What is done about a fault without asking a person: events, empty while a fitter is waited for, None: nothing."""
    task = record.id if record is not None else ""
    if events := mitigate(state, task, fault):
        return events
    known = state.fits.get(fit_name(state, task, fault.gate), GateFit())
    may_ask = len(known.fits) < state.options.policy.fits and command_of(state, task, fault.gate) is not None
    if not may_ask or (record is not None and used_up(state, record)):
        return None
    return _ask_fitter(state, record, fault, now)


def mitigate(state: RunState, task: str, fault: GateResult) -> Events:
    """More time, or the same again, once each: no model is asked, and neither counts."""
    name = fit_name(state, task, fault.gate)
    known = state.fits.get(name, GateFit())
    if fault.fault in {FaultKind.TIMEOUT, FaultKind.STALL} and not known.raised:
        more = _raised(state, task, fault, known.fit)
        if more is not None:
            text = f"Gate {fault.gate} could not judge ({fault.fault}): it gets more time, once."
            return (GateMitigated(task=task, gate=name, by=Mitigation.RAISED, detail=text, fit=more),)
    if fault.fault is FaultKind.AMBIGUOUS and not known.rerun:
        text = f"Gate {fault.gate} could not judge ({fault.detail or fault.fault}): it is run once more as it is."
        return (GateMitigated(task=task, gate=name, by=Mitigation.RERUN, detail=text),)
    return ()


def _raised(state: RunState, task: str, fault: GateResult, fit: Fit) -> Fit | None:
    """The budgets of a gate, doubled within the cap; None when there is no room, or no budget of its own."""
    if command_of(state, task, fault.gate) is None:
        return None
    spec = next((each for each in state.plan.gates if each.id == fault.gate), None)
    caps = state.options.caps
    wall_s = fit.wall_s or (spec.wall_s if spec else None) or caps.gate_wall_s
    idle_s = fit.idle_s or (spec.idle_s if spec else None)
    more_s = min(wall_s * _MORE, max(caps.gate_wall_cap_s, wall_s))
    if fault.fault is FaultKind.STALL and idle_s is not None:
        patience_s = min(idle_s * _MORE, more_s)
        return Fit(wall_s=more_s, idle_s=patience_s, argv=fit.argv, env=fit.env) if patience_s > idle_s else None
    return Fit(wall_s=more_s, idle_s=fit.idle_s, argv=fit.argv, env=fit.env) if more_s > wall_s else None


def _ask_fitter(state: RunState, record: TaskRecord | None, fault: GateResult, now: float) -> Events:
    whole = state.whole
    agent = agent_for(state, record, now) if record is not None else reviewer_for(state, None, now)
    if agent is None or obstacle_to_looking(state, agent):
        return ()
    attempts, lost = (record.attempts, record.lost) if record is not None else (whole.attempts, whole.lost)
    return (
        EffectIntended(
            effect=StartAttempt(
                key=attempt_key(record.id if record else "", attempts + 1, lost),
                task=record.id if record else "",
                attempt=attempts + 1,
                role=Role.FITTER,
                base=(record.origin if record else None) or state.base,
                launch=attempts + 1 + lost,
                agent=agent,
                commit=_commit_of(state, record),
                tree=fault.tree,
                gate=fault.gate,
            )
        ),
    )


def _commit_of(state: RunState, record: TaskRecord | None) -> str:
    """What the gate could not judge: a candidate, a sealed change, or the branch."""
    if record is None:
        return state.head or state.base
    judged = record.candidate if record.status is TaskStatus.INTEGRATING else record.sealed
    assert judged is not None
    return judged.commit


# -- what a fitter says ---------------------------------------------------------------------------


def restored(state: RunState, task: str, outcome: AttemptFinished, gate: str) -> tuple[Events, str]:
    """What a fitter's answer comes to: the gate run anew, or why it is not (then a person is asked)."""
    restoration = outcome.result.restoration
    if restoration is None:
        return (), f"The fitter gave no restoration: {outcome.result.report_problem or outcome.result.exit.kind}"
    told = "; ".join((*restoration.mitigation_applied, restoration.notes)).strip("; ") or "nothing is said"
    if restoration.outcome is not RestorationOutcome.GREEN:
        return (), f"The fitter says {restoration.outcome}: {told}"
    name = fit_name(state, task, gate)
    known = state.fits.get(name, GateFit())
    fit = _merged(restoration.fit, known.fit)
    mark = _mark(fit)
    if fit == known.fit or mark in known.fits:
        return (), f"The fitter proposes nothing that was not tried: {told}"
    if why := refusal(state, task, gate, restoration):
        return (), f"What the fitter proposes is not allowed: {why}"
    text = f"A fitter changed how gate {gate} is run: {told}"
    mitigated = GateMitigated(task=task, gate=name, by=Mitigation.FITTED, detail=text, fit=fit, signature=mark)
    return (mitigated,), ""


def _merged(new: Fit, old: Fit) -> Fit:
    return Fit(
        wall_s=new.wall_s or old.wall_s,
        idle_s=new.idle_s or old.idle_s,
        argv=new.argv or old.argv,
        env=tuple(sorted({**dict(old.env), **dict(new.env)}.items())),
    )


def _mark(fit: Fit) -> str:
    env = (f"{name}={value}" for name, value in fit.env)
    return signature(str(fit.wall_s), str(fit.idle_s), "\0".join(fit.argv), "\0".join(env))


def refusal(state: RunState, task: str, gate: str, restoration: Restoration) -> str:
    """Why a restoration goes beyond budgets, invocation and environment; empty when it does not."""
    fit, command = restoration.fit, command_of(state, task, gate)
    if command is None:
        return f"{gate} is no command of the plan."
    if restoration.gate_id != gate:
        return f"it is about {restoration.gate_id}, and {gate} was asked about."
    cap_s = max(state.options.caps.gate_wall_cap_s, state.options.caps.gate_wall_s)
    if any(budget is not None and not 0 < budget <= cap_s for budget in (fit.wall_s, fit.idle_s)):
        return f"a budget must be more than 0 s and at most {cap_s:.0f} s."
    return next(_bent(command, fit), "")


def _bent(command: Command, fit: Fit) -> Iterator[str]:
    """Ways to make a check pass without having looked."""
    before, after = command.to_argv(), fit.argv
    if after and after[: len(before)] != before:
        yield "the invocation must be that of the gate, with nothing but additions behind it."
    elif odd := [word for word in after[len(before) :] if command.shell or not _MAY_ADD.fullmatch(word)]:
        yield f"nobody can tell that these leave what is looked at as it is: {' '.join(odd)}."
    for name, _ in fit.env:
        if bends_checks(name) or not _MAY_SET.fullmatch(name):
            yield f"the variable {name} may decide what is run."
