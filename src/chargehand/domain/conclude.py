"""One outcome of one task → the conclusions to record: the table of SPEC 3.8, row by row."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import assert_never

from chargehand.domain.asking import ask, ask_again, end, escalate
from chargehand.domain.brief import outputs_of
from chargehand.domain.circuits import agent_for, chain
from chargehand.domain.effects import RunFix, StartAttempt
from chargehand.domain.events import (
    AttemptAccepted,
    AttemptFinished,
    CircuitOpened,
    DispatchStopped,
    EffectIntended,
    Event,
    FixFinished,
    GateMadeRequired,
    GateMitigated,
    GatesFinished,
    GatesPassed,
    LandFinished,
    MergeFinished,
    RequeueWhy,
    TaskIntegrated,
    TaskRequeued,
    WarningRaised,
)
from chargehand.domain.evidence import UNGATED, crash_of, find_failure, signature, stray_changes
from chargehand.domain.gating import (
    FINDINGS,
    GateVerdict,
    due_checks,
    gate_failure,
    judge_gates,
    tree_to_judge,
    verifies,
)
from chargehand.domain.ids import attempt_key, effect_key
from chargehand.domain.line import Mitigation, RestorationOutcome
from chargehand.domain.moves import agent_of
from chargehand.domain.outcome import (
    REVIEWERS,
    AgentExit,
    AttemptResult,
    BlockerKind,
    Candidate,
    ChangeKind,
    ConcernKind,
    Conflict,
    ExitKind,
    GateResult,
    HeadMoved,
    Kickback,
    KickbackSignal,
    Report,
    ReportStatus,
    Role,
    Sealed,
)
from chargehand.domain.plan import GatePoint
from chargehand.domain.restoring import first_fault, respond, restored
from chargehand.domain.reviewing import ask_about_review, conclude_review, is_reviewed, start_over
from chargehand.domain.runtimes import asked_model, claimed_model, other_model
from chargehand.domain.schedule import obstacle_to_looking, used_up
from chargehand.domain.scope import interface_name
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.train import before, is_premature
from chargehand.domain.words import DecisionKind, Failure, Reason, StopReason, TaskStatus

__all__ = ["conclude"]

Events = tuple[Event, ...]

_WORDS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?<![.])")
_FAULT_EFFECTS = {"retry": "retry: the gates run again; what the attempt left is kept"}
_BLOCKED_EFFECTS = {
    "retry": "retry: another attempt, with fresh bounds; what you add with `--note` is in its brief",
    "block": "block: the task stays blocked, and the run goes on with what does not depend on it",
}
_SPLIT_EFFECTS = {"block": "block: the task is blocked; split it in the plan, then `chargehand replan PLAN`"}
_MENDABLE = frozenset({ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.MODE})
_KICKBACK_CHOICES = {KickbackSignal.SCOPE_CREEP: ("full",), KickbackSignal.MISSING_CONTEXT: ("retry",)}


def conclude(state: RunState, record: TaskRecord, now: float) -> Events:
    """The conclusions from the unjudged outcome of a task; empty when there is none."""
    outcome = record.unjudged
    match outcome:
        case None:
            return ()
        case AttemptFinished() if record.look is not None and record.look.key == outcome.key:
            return _look(state, record, record.look, outcome, now)
        case AttemptFinished(result=result):
            return _attempt(state, record, result, now)
        case GatesFinished():
            return _gates(state, record, outcome, now)
        case FixFinished(sealed=sealed):
            return _mended(state, record, sealed)
        case MergeFinished(result=result):
            return _merge(state, record, result)
        case LandFinished():
            return _land(state, record, outcome)
        case _:  # pragma: no cover
            assert_never(outcome)


# -- those who only look --------------------------------------------------------------------------


def _look(state: RunState, record: TaskRecord, look: StartAttempt, outcome: AttemptFinished, now: float) -> Events:
    if look.role in REVIEWERS:
        return conclude_review(state, record, outcome, now)
    warnings = _warnings(record, outcome.result)
    if void := start_over(state, record.id, look, outcome.result, now):
        return (*warnings, *void)
    if look.role is Role.FITTER:
        return (*warnings, *_fitted(state, record, look, outcome))
    return (*warnings, *_researched(state, record, outcome))


def _fitted(state: RunState, record: TaskRecord, look: StartAttempt, outcome: AttemptFinished) -> Events:
    """The gate runs as the fitter says, which is the retry; else a person is asked, or the line stops (SPEC 5)."""
    events, why = restored(state, record.id, outcome, look.gate)
    if events:
        return events
    fault = first_fault(record.aside) if isinstance(record.aside, GatesFinished) else None
    text = f"Gate {look.gate} could not judge ({fault.fault if fault else 'fault'}). {why}"
    restoration = outcome.result.restoration
    if restoration is not None and restoration.outcome is RestorationOutcome.RED:
        ended = end(record, TaskStatus.FAILED, Reason.LINE_FAULT, text)
        return (ended, DispatchStopped(reason=StopReason.LINE_FAULT, detail=text, tasks=(record.id,)))
    return escalate(state, record, Reason.LINE_FAULT, text, effects=_FAULT_EFFECTS)


def _researched(state: RunState, record: TaskRecord, outcome: AttemptFinished) -> Events:
    """What was found goes with the question about the plan that was returned."""
    returned = record.aside.result.report if isinstance(record.aside, AttemptFinished) else None
    assert returned is not None
    report = outcome.result.report
    found = report.summary if report is not None and report.summary else "nothing that could be used"
    return _ask_about_plan(state, record, returned, f" Research found: {found}")


# -- attempts -------------------------------------------------------------------------------------


def _attempt(state: RunState, record: TaskRecord, result: AttemptResult, now: float) -> Events:
    return (*_warnings(record, result), *_claims(state, record, result), *_ending(state, record, result, now))


def _warnings(record: TaskRecord, result: AttemptResult) -> Events:
    said = [("agent", text) for text in result.warnings] + [("role_violation", text) for text in result.violations]
    return tuple(WarningRaised(code=code, text=text, task=record.id) for code, text in said)


def _claims(state: RunState, record: TaskRecord, result: AttemptResult) -> Events:
    """Another model than was asked for, where only the report tells of it."""
    if result.model:
        return ()
    asked = asked_model(state.options, record.task, record.agent or "")
    told = other_model(asked, claimed_model(result.report), "is what the report names")
    return tuple(WarningRaised(code="agent", text=text, task=record.id) for text in told)


def _ending(state: RunState, record: TaskRecord, result: AttemptResult, now: float) -> Events:
    kind, detail = result.exit.kind, result.exit.detail
    if result.sealed is not None and result.sealed.config_changed:
        return _config_changed(state, record, result.sealed.config_changed)
    if record.unheard is not None:
        return ask_again(record.unheard)
    if kind in {ExitKind.CANCELLED, ExitKind.LOST}:
        return (TaskRequeued(task=record.id, why=RequeueWhy.LOST),)
    if kind in {ExitKind.RATE_LIMITED, ExitKind.PROVIDER_DOWN}:
        return _wait(state, record, result, now)
    if result.report is not None:
        return _reported(state, record, result, result.report, now)
    match kind:
        case ExitKind.ENV_MISSING:
            return escalate(state, record, Reason.ENV_MISSING, f"The agent could not be run: {detail}")
        case ExitKind.OVER_BUDGET:
            return escalate(state, record, Reason.BUDGET, f"The attempt went over its budget: {detail}")
        case _:
            failure = crash_of(result)
            return _failed(state, record, failure) if failure else _judge(state, record, result)


def _wait(state: RunState, record: TaskRecord, result: AttemptResult, now: float) -> Events:
    policy = state.options.policy
    backoff = min(policy.backoff_s * 2 ** min(record.tries.waits, 16), policy.backoff_max_s)
    until = max(now, result.exit.retry_at) if result.exit.retry_at is not None else now + backoff
    agent = agent_of(state, record)
    opened = CircuitOpened(agent=agent, until=until, detail=result.exit.detail)
    others = any(name != agent for name in chain(state, record))  # they, or the circuit, say when it starts
    return (opened, TaskRequeued(task=record.id, why=RequeueWhy.WAIT, not_before=None if others else until))


def _config_changed(state: RunState, record: TaskRecord, names: tuple[str, ...]) -> Events:
    text = (
        "Hooks or configuration of your repository changed while an attempt ran without a sandbox: "
        f"{', '.join(names)}. Look at them before anything else runs."
    )
    kind, reason = DecisionKind.CONFIG_CHANGED, Reason.CONFIG_CHANGED
    return ask(state, record.id, kind, reason, text, ("retry", "stop"), "stop")


def _reported(state: RunState, record: TaskRecord, result: AttemptResult, report: Report, now: float) -> Events:
    match report.status:
        case ReportStatus.DONE | ReportStatus.DONE_WITH_CONCERNS:
            return _judge(state, record, result)
        case ReportStatus.NEEDS_CONTEXT:
            return _needs_context(state, record, result, report)
        case ReportStatus.BLOCKED:
            return _blocked(state, record, report)
        case ReportStatus.KICKBACK:
            return _kickback(state, record, report, now)
        case ReportStatus.FAILED:
            text = f"The agent reports failure: {report.summary or 'no reason given'}"
            failure = Failure(reason=Reason.AGENT_FAILED, summary=text, signature=signature("failed", report.summary))
            return _failed(state, record, failure)
        case _:  # pragma: no cover
            assert_never(report.status)


def _judge(state: RunState, record: TaskRecord, result: AttemptResult) -> Events:
    """Done, or no report but a change: the evidence decides [I6]."""
    if _is_identical(record, result):
        before = record.failure
        assert before is not None  # a tree is remembered together with what was wrong with it
        text = f"Two attempts left the identical tree. {before.summary}"
        if record.why is RequeueWhy.REVIEW:
            return ask_about_review(state, record, text, before)
        return escalate(state, record, before.reason, text, failure=before)
    reviewed = is_reviewed(state, record)
    policy = state.options.policy
    failure = find_failure(
        record.task, state.plan, result, reviewed=reviewed, commits=policy.commits, silencing=policy.silencing
    )
    if failure is not None:
        return _failed(state, record, failure)
    sealed = result.sealed
    assert sealed is not None
    stray = () if reviewed else stray_changes(record.task, state.plan, sealed)
    if stray:
        paths = ", ".join(change.path for change in stray)
        text = f"A reviewer would have to judge changes outside the declared files: {paths}."
        effects = {"approve": "approve: the change is taken as it is, and gated"}
        return escalate(state, record, Reason.REVIEW_NEEDED, text, effects=effects)
    warnings = [
        WarningRaised(
            code="checkout_changed",
            task=record.id,
            text="Changed in your checkout during the attempt (perhaps by you): " + ", ".join(sealed.checkout_changed),
        )
    ] * bool(sealed.checkout_changed)
    if result.report is None:
        text = f"Judged on evidence alone: {result.report_problem or 'no report was written'}"
        warnings.append(WarningRaised(code="no_report", task=record.id, text=text))
    return (*warnings, *_concerns(state, record, result.report))


def _is_identical(record: TaskRecord, result: AttemptResult) -> bool:
    """The tree of an earlier attempt again. Where nothing changed, that is said of a fixer only: it began with one."""
    sealed = result.sealed
    if sealed is None or sealed.tree not in record.trees:
        return False
    return sealed.tree != sealed.base_tree or record.role is Role.FIXER


def _concerns(state: RunState, record: TaskRecord, report: Report | None) -> Events:
    concerns = report.concerns if report and report.status is ReportStatus.DONE_WITH_CONCERNS else ()
    actionable = [concern.text for concern in concerns if concern.kind is not ConcernKind.INFO]
    accepted = AttemptAccepted(task=record.id, attempt=record.made)
    if not actionable:
        return (accepted,)
    text = "The agent doubts its own work: " + " | ".join(actionable)
    if record.tries.concern_fixes < state.options.policy.concern_fixes:
        failure = Failure(
            reason=Reason.CONCERNS,
            summary=text,
            signature=signature(Reason.CONCERNS, *actionable),
            severity=UNGATED,
        )
        return (TaskRequeued(task=record.id, why=RequeueWhy.FIX, failure=failure),)
    return (WarningRaised(code="concerns", task=record.id, text=text), accepted)


def _failed(state: RunState, record: TaskRecord, failure: Failure) -> Events:
    """One retry with the failure in the brief; the same failure, a used-up bound or a worse result asks a human."""
    if failure.signature in record.signatures:
        text = f"The same failure twice: {failure.summary}"
    elif record.tries.retries >= state.options.policy.retries:
        tried = record.tries.retries
        again = f" again after {tried} {'retry' if tried == 1 else 'retries'}" if tried else ""
        text = f"Failed{again}: {failure.summary}"
    else:
        return (TaskRequeued(task=record.id, why=RequeueWhy.RETRY, failure=failure),)
    kept = ""
    if record.best is not None and record.best.beats(failure):
        kept = record.best.commit
        text += f" This was worse than an attempt before; that one is kept as {kept[:12]}."
    return escalate(state, record, failure.reason, text, kept=kept, failure=failure)


def _needs_context(state: RunState, record: TaskRecord, result: AttemptResult, report: Report) -> Events:
    asked = "; ".join(report.missing_context) or report.summary or "nothing named"
    if record.tries.contexts >= state.options.policy.contexts:
        text = f"Context was asked for {record.tries.contexts + 1} times: {asked}"
        return _stuck(state, record, Reason.NEEDS_CONTEXT, text)
    known = {name for name, _ in record.context}
    told = _from_plan(state, record, asked)
    if any(name not in known for name, _ in (*result.context, *told)):
        return (TaskRequeued(task=record.id, why=RequeueWhy.CONTEXT, context=told),)
    text = f"The agent needs context that neither plan nor repository gives: {asked}"
    kind, reason = DecisionKind.CONTEXT, Reason.NEEDS_CONTEXT
    return ask(state, record.id, kind, reason, text, ("retry", "block", "stop"), "block")


def _from_plan(state: RunState, record: TaskRecord, asked: str) -> tuple[tuple[str, str], ...]:
    """What landed tasks left that the question names, by their id or by an interface they produce."""
    words = set(_WORDS.findall(asked))
    named = [
        other
        for other in state.tasks.values()
        if other.landed is not None
        and other.id != record.id
        and words & {other.id, *(interface_name(text) for text in other.task.interfaces.produces)}
    ]
    return tuple((f"what task {other.id} left", outputs_of(other)) for other in named)


def _blocked(state: RunState, record: TaskRecord, report: Report) -> Events:
    blocker = report.blocker
    kind = blocker.kind if blocker else BlockerKind.EXTERNAL
    text = blocker.text if blocker else report.summary
    if kind is BlockerKind.CONTEXT and record.tries.blocked_contexts < state.options.policy.blocked_contexts:
        failure = Failure(
            reason=Reason.AGENT_BLOCKED,
            summary=f"Blocked for want of context: {text}",
            signature=signature(Reason.AGENT_BLOCKED, text),
        )
        return (TaskRequeued(task=record.id, why=RequeueWhy.CONTEXT, failure=failure),)
    if kind is BlockerKind.TOO_COMPLEX:
        question = f"The agent says the task is too complex and should be split: {text}"
        reason, choices = Reason.TOO_COMPLEX, ("retry", "block", "stop")
        return ask(state, record.id, DecisionKind.SPLIT, reason, question, choices, "block", effects=_SPLIT_EFFECTS)
    return _stuck(state, record, Reason.AGENT_BLOCKED, text)


def _stuck(state: RunState, record: TaskRecord, reason: Reason, text: str) -> Events:
    """The task is blocked; where the policy says so, a person is asked first, and silence leaves it blocked."""
    if not state.options.policy.asks_blocked:
        return (end(record, TaskStatus.BLOCKED, reason, text),)
    question = f"The agent is blocked: {text}"
    choices = ("retry", "skip", "block", "stop")
    return ask(state, record.id, DecisionKind.BLOCKED, reason, question, choices, "block", effects=_BLOCKED_EFFECTS)


def _kickback(state: RunState, record: TaskRecord, report: Report, now: float) -> Events:
    """A plan that wants research is looked into once, before anybody is asked; nothing starts meanwhile (SPEC 3.8)."""
    kickback = report.kickback
    wants = kickback is not None and kickback.signal is KickbackSignal.NEEDS_RESEARCH
    if wants and record.tries.researches < state.options.policy.researches and not used_up(state, record):
        agent = agent_for(state, record, now)
        if agent is None or obstacle_to_looking(state, agent):
            return ()
        return (_research(state, record, agent),)
    return _ask_about_plan(state, record, report)


def _research(state: RunState, record: TaskRecord, agent: str) -> EffectIntended:
    assert state.head is not None
    attempt = record.attempts + 1
    return EffectIntended(
        effect=StartAttempt(
            key=attempt_key(record.id, attempt, record.lost),
            task=record.id,
            attempt=attempt,
            role=Role.RESEARCHER,
            base=state.head,
            launch=attempt + record.lost,
            agent=agent,
            commit=state.head,
            tree=state.head_tree,
        )
    )


def _ask_about_plan(state: RunState, record: TaskRecord, report: Report, found: str = "") -> Events:
    kickback = report.kickback or Kickback(signal=KickbackSignal.SPEC_INCOMPLETE, details=report.summary)
    text = f"The agent returns the plan ({kickback.signal}): {kickback.details}"
    if kickback.recommendation:
        end = "" if text.rstrip().endswith((".", "!", "?", "…", ":")) else "."
        text = f"{text.rstrip()}{end} It recommends: {kickback.recommendation}"
    choices = (*_KICKBACK_CHOICES.get(kickback.signal, ()), "skip", "stop")
    return ask(state, record.id, DecisionKind.KICKBACK, Reason.KICKBACK, text + found, choices, "stop")


# -- gates and integration ------------------------------------------------------------------------


def _gates(state: RunState, record: TaskRecord, outcome: GatesFinished, now: float) -> Events:
    point = outcome.point
    beside = before(state, record) if point is GatePoint.INTEGRATE else ()
    others = [state.tasks[name].task for name in beside]
    due = due_checks(state.plan, point, record.task if verifies(record, point) else None, others)
    told = FINDINGS if is_reviewed(state, record) else frozenset()
    verdict = judge_gates(outcome.results, state.baseline_red, due, tree_to_judge(record, point), told)
    waits = state.halted or state.held is not None  # what follows may be an effect, and nothing new begins
    if not verdict.is_green and (waits or is_premature(state, record)):
        return ()
    if verdict.faults:
        fault = verdict.faults[0]
        events = respond(state, record, fault, now)
        if events is not None:
            return events
        text = f"Gate {fault.gate} could not judge ({fault.fault}): {fault.detail}"
        return escalate(state, record, Reason.LINE_FAULT, text, effects=_FAULT_EFFECTS)
    if verdict.red and point is GatePoint.INTEGRATE and record.overtaken and all(red.vanished for red in verdict.red):
        return (_held_anew(record, verdict.red[0]),)
    if verdict.red:
        mending = _mend(state, record, verdict)
        return mending or _failed(state, record, gate_failure(verdict, state.baseline_red, point, due, beside))
    flakes = tuple(
        WarningRaised(
            code="flake", task=record.id, text=f"{r.gate} failed and then passed unchanged: {_named(r.flaky)}"
        )
        for r in outcome.results
        if r.flaky
    )
    review = point is GatePoint.TASK and is_reviewed(state, record)
    passed = GatesPassed(task=record.id, attempt=record.made, point=point, green=verdict.green, review=review)
    return (*flakes, passed)


def _held_anew(record: TaskRecord, red: GateResult) -> Event:
    """Tests that are gone may have gone with what landed meanwhile: the gate is held against those that landed."""
    text = f"Gate {red.gate} missed tests of before another change landed: it is held against those of now."
    return GateMitigated(task=record.id, gate=red.gate, by=Mitigation.RERUN, detail=text)


def _mended(state: RunState, record: TaskRecord, made: Sealed | None) -> Events:
    """What `fix` commands made of a change is a change: code of the change may have run in them.

    What was found in the change before them has been judged.
    """
    assert record.sealed is not None
    assert made is not None
    end = AgentExit(kind=ExitKind.EXITED, code=0)
    sealed = replace(record.sealed, test_changes=made.test_changes, silenced=made.silenced)
    result = AttemptResult(exit=end, report=record.report, sealed=sealed)
    reviewed, silencing = is_reviewed(state, record), state.options.policy.silencing
    failure = find_failure(record.task, state.plan, result, reviewed=reviewed, silencing=silencing)
    if failure is None:
        return (AttemptAccepted(task=record.id, attempt=record.made),)
    text = f"After the fix commands of {', '.join(record.mended)}: {failure.summary}"
    return _failed(state, record, replace(failure, summary=text))


def _named(tests: tuple[str, ...]) -> str:
    more = f" and {len(tests) - 5} more" if len(tests) > 5 else ""
    return ", ".join(tests[:5]) + more


def _mend(state: RunState, record: TaskRecord, verdict: GateVerdict) -> Events:
    """The `fix` commands of the red gates, once for a change, before an agent is asked."""
    sealed = record.sealed
    assert sealed is not None
    red = {result.gate for result in verdict.red}
    gates = tuple(g.id for g in state.plan.gates if g.id in red and g.fix is not None and g.id not in record.mended)
    paths = tuple(dict.fromkeys(c.path for c in sealed.changes if c.kind in _MENDABLE))
    if not gates or not paths:
        return ()
    key = effect_key(record.id, record.made, f"fix-{len(record.mended) + 1}")
    effect = RunFix(key=key, task=record.id, attempt=record.made, commit=sealed.commit, gates=gates, paths=paths)
    return (EffectIntended(effect=effect),)


def _merge(state: RunState, record: TaskRecord, result: Candidate | Conflict) -> Events:
    assert isinstance(result, Conflict)  # a candidate leaves nothing to conclude
    if result.head != state.head:
        return ()  # it may go well without the one before it
    paths = ", ".join(result.paths)
    failure = Failure(
        reason=Reason.CONFLICT,
        summary=f"Conflicts with what landed in the meantime: {paths}.",
        signature=signature(Reason.CONFLICT, result.head, *result.paths),
        tail=result.detail,
        severity=UNGATED,
    )
    if record.tries.conflicts >= state.options.policy.conflicts:
        text = f"Conflicts with what landed before, {record.tries.conflicts + 1} times now: {paths}."
        return escalate(state, record, Reason.CONFLICT, text, failure=failure)
    return (TaskRequeued(task=record.id, why=RequeueWhy.CONFLICT, failure=failure),)


def _land(state: RunState, record: TaskRecord, outcome: LandFinished) -> Events:
    """What was gated and has landed: of a group, each member at its own place on the branch."""
    result = outcome.result
    if isinstance(result, HeadMoved):
        where = f"is at {result.actual[:12]}" if result.actual else "is gone"
        ours = str(state.head)[:12]
        text = f"Branch {state.branch} was moved by somebody else: it {where}, expected {ours}."
        kind, reason = DecisionKind.BRANCH_MOVED, Reason.BRANCH_MOVED
        again = f"retry: the branch is taken as it stands (made anew at {ours}, if it is gone), and merged into again"
        return ask(state, record.id, kind, reason, text, ("retry", "stop"), "stop", effects={"retry": again})
    if outcome.task != record.id:  # the gates were those of the last one
        assert record.candidate is not None
        return (TaskIntegrated(task=record.id, attempt=record.made, commit=record.candidate.commit),)
    return (
        TaskIntegrated(task=record.id, attempt=record.made, commit=result.commit),
        *(GateMadeRequired(gate=gate) for gate in record.greened),
    )
