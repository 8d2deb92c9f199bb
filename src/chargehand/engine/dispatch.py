"""One effect → one port call → one outcome event. Decides nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar, assert_never

from chargehand.domain.effects import (
    Effect,
    Land,
    MergeCandidate,
    OpenBranch,
    RunCanary,
    RunFix,
    RunGates,
    StartAttempt,
)
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import (
    AttemptFinished,
    BranchOpened,
    CanaryFinished,
    Event,
    FixFinished,
    GatesFinished,
    LandFinished,
    MergeFinished,
)
from chargehand.domain.ids import effect_key
from chargehand.domain.outcome import (
    AgentExit,
    AttemptResult,
    BlockerKind,
    ExitKind,
    FaultKind,
    GateResult,
    GateStatus,
    Report,
    ReportStatus,
)
from chargehand.domain.state import RunState
from chargehand.engine import jobs
from chargehand.ports import (
    AttemptSpec,
    Clock,
    FixJob,
    Fleet,
    GateJob,
    Gates,
    Inbox,
    Integrator,
    Journal,
    LandJob,
    MergeJob,
    Notifier,
    Projection,
    Workspaces,
)

__all__ = ["Ports", "attempt_finished", "context_names", "perform"]

_CONTEXT_CHARS = 32_000
PAUSES_S = (0.1, 0.5, 2.0)
_FIRST_OPENING = effect_key("run", 0, "branch")

T = TypeVar("T")
_PATH_LIKE = re.compile(r"[\w.-]+(?:/[\w.-]+)+|[\w-]+\.[A-Za-z]\w{0,7}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the engine works with. `projections` are told each event once it is durable, with the state after it."""

    journal: Journal
    inbox: Inbox
    fleet: Fleet
    gates: Gates
    integrator: Integrator
    workspaces: Workspaces
    notifier: Notifier
    clock: Clock
    projections: tuple[Projection, ...] = ()


def perform(ports: Ports, state: RunState, effect: Effect) -> Coroutine[Any, Any, Event]:
    """The call an effect stands for. What it needs of the state is taken now: the state moves on while it runs."""
    match effect:
        case OpenBranch():
            return _open(ports, effect)
        case RunCanary():
            return _canary(ports, effect, jobs.canary_job(state, effect))
        case StartAttempt():
            return _attempt(ports, effect, jobs.attempt_spec(state, effect))
        case RunGates():
            return _gates(ports, effect, jobs.gate_job(state, effect))
        case RunFix():
            return _fix(ports, effect, jobs.fix_job(state, effect))
        case MergeCandidate():
            return _merge(ports, effect, jobs.merge_job(state, effect))
        case Land():
            return _land(ports, effect, jobs.land_job(state, effect))
        case _:  # pragma: no cover
            assert_never(effect)


async def _again(call: Callable[[], Awaitable[T]]) -> T:
    """Call once more, and again, where the port says that it may pass: a lock, a `gc` between two commands."""
    for pause_s in PAUSES_S:
        try:
            return await call()
        except AdapterError as error:
            if not error.retryable:
                raise
        await asyncio.sleep(pause_s)
    return await call()


async def _open(ports: Ports, effect: OpenBranch) -> Event:
    """Where the branch stands. When it is opened first it is new: what it holds then, a lost part of the journal knew.

    To go on would land again what landed before [I4]. Later openings take the branch as somebody else left it.
    """
    opened = await _again(lambda: ports.integrator.open(effect.branch, effect.base))
    if effect.key == _FIRST_OPENING and opened.head != effect.base:
        text = (
            f"Branch {effect.branch} holds commits up to {opened.head[:12]}, and the journal knows of no landing: it "
            "has lost events, or somebody else moved the branch. `chargehand doctor` says what can be done."
        )
        raise AdapterError("journal", text)
    return BranchOpened(key=effect.key, head=opened.head, tree=opened.tree, conventions=opened.conventions)


async def _canary(ports: Ports, effect: RunCanary, job: GateJob) -> Event:
    return CanaryFinished(key=effect.key, results=await _run_gates(ports, job))


async def _attempt(ports: Ports, effect: StartAttempt, spec: AttemptSpec) -> Event:
    """A world that cannot carry an attempt out is an outcome too: the attempt never falls back to less isolation."""
    try:
        await ports.fleet.submit(spec)
        result = await ports.fleet.wait(spec.key)
    except AdapterError as error:
        await _give_up(ports, spec.key)
        result = AttemptResult(exit=AgentExit(kind=ExitKind.ENV_MISSING, detail=str(error)))
    return await attempt_finished(ports, effect, spec.reads, result)


async def _give_up(ports: Ports, key: str) -> None:
    """Nobody waits for the attempt any more: where it still runs, it must not run beside the next one [I11]."""
    with suppress(AdapterError):
        await ports.fleet.cancel(key, now=True)


async def attempt_finished(ports: Ports, effect: StartAttempt, reads: tuple[str, ...], result: AttemptResult) -> Event:
    """The outcome of an attempt: its result, with the context its report asks for."""
    result = await _with_context(ports, effect.base, reads, result)
    return AttemptFinished(key=effect.key, task=effect.task, attempt=effect.attempt, result=result)


async def _with_context(ports: Ports, base: str, reads: tuple[str, ...], result: AttemptResult) -> AttemptResult:
    """What a report asks for, as far as the repository has it; what was done stands even when it cannot be read."""
    names = context_names(result.report, reads)
    if not names:
        return result
    try:
        found = await ports.workspaces.read(base, names, _CONTEXT_CHARS)
    except AdapterError as error:
        return replace(result, warnings=(*result.warnings, f"The context it asked for could not be read: {error}"))
    return replace(result, context=tuple(found.items()))


def context_names(report: Report | None, reads: tuple[str, ...]) -> tuple[str, ...]:
    """The paths whose text answers a report that asks for context: what it names, and what the task names."""
    if report is None:
        return ()
    blocked_on_context = report.blocker is not None and report.blocker.kind is BlockerKind.CONTEXT
    if report.status is not ReportStatus.NEEDS_CONTEXT and not blocked_on_context:
        return ()
    asked = [*report.missing_context, report.blocker.text if report.blocker else ""]
    named = [path for text in asked for path in _paths_in(text)]
    return tuple(dict.fromkeys((*named, *reads)))


def _paths_in(text: str) -> list[str]:
    """What looks like a path in a sentence; a single word may be one without looking it."""
    words = text.split()
    return words if len(words) == 1 else _PATH_LIKE.findall(text)


async def _gates(ports: Ports, effect: RunGates, job: GateJob) -> Event:
    return GatesFinished(
        key=effect.key,
        task=effect.task,
        attempt=effect.attempt,
        point=effect.point,
        commit=effect.commit,
        results=await _run_gates(ports, job),
    )


async def _run_gates(ports: Ports, job: GateJob) -> tuple[GateResult, ...]:
    if not job.checks and not job.syntax and job.setup is None:
        return ()
    try:
        return await ports.gates.run(job)
    except AdapterError as error:
        return (
            GateResult(
                gate="checkout",
                tree=job.tree,
                status=GateStatus.FAULT,
                fault=FaultKind.AMBIGUOUS,
                detail=str(error),
            ),
        )


async def _fix(ports: Ports, effect: RunFix, job: FixJob) -> Event:
    """A world in which the commands cannot run mends nothing: what was red stays red."""
    try:
        sealed = await ports.gates.fix(job)
    except AdapterError:
        sealed = None
    return FixFinished(key=effect.key, task=effect.task, attempt=effect.attempt, gates=effect.gates, sealed=sealed)


async def _merge(ports: Ports, effect: MergeCandidate, job: MergeJob) -> Event:
    result = await _again(lambda: ports.integrator.merge(job))
    return MergeFinished(key=effect.key, task=effect.task, attempt=effect.attempt, result=result)


async def _land(ports: Ports, effect: Land, job: LandJob) -> Event:
    result = await _again(lambda: ports.integrator.land(job))
    return LandFinished(key=effect.key, task=effect.task, attempt=effect.attempt, result=result)
