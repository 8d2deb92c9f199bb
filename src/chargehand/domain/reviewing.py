"""The two reviews of a change: who is asked, what an answer comes to, and when it is enough (SPEC 4).

Spec compliance first, then quality, each by a fresh agent that did not write the code. A verdict counts for one tree.
Findings are frozen after the first round; two fixes a stage, then a person is asked; unattended the task is blocked.
"""

from __future__ import annotations

from chargehand.domain.asking import ask, escalate
from chargehand.domain.circuits import reviewer_for
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import (
    AttemptFinished,
    CircuitOpened,
    EffectIntended,
    Event,
    RequeueWhy,
    ReviewFailed,
    ReviewPassed,
    ReviewVoided,
    TaskRequeued,
    WarningRaised,
)
from chargehand.domain.evidence import signature
from chargehand.domain.ids import attempt_key
from chargehand.domain.judging import Judgement, judge
from chargehand.domain.outcome import AttemptResult, ExitKind, Role, Sealed
from chargehand.domain.plan import Complexity, Weight
from chargehand.domain.review import Review, Reviews, Stage, VoidWhy
from chargehand.domain.schedule import obstacle_to_looking, used_up
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import DecisionKind, Failure, Reason

__all__ = [
    "ROLES",
    "STAGES",
    "ask_about_review",
    "conclude_review",
    "is_reviewed",
    "look_again",
    "next_review",
    "no_verdict",
    "review_failure",
    "start_over",
]

Events = tuple[Event, ...]

ROLES = {
    Stage.SPEC: Role.SPEC_REVIEWER,
    Stage.QUALITY: Role.QUALITY_REVIEWER,
    Stage.HOLISTIC: Role.HOLISTIC_REVIEWER,
}
STAGES = {role: stage for stage, role in ROLES.items()}

_CHOICES = ("approve", "retry", "skip", "stop")
_EFFECTS = {
    "approve": "approve: the change lands as it is, without any further review; what is open is told as your ruling",
    "retry": "retry: another attempt, with these findings in its brief and fresh bounds",
}
_AGAIN = {
    "approve": "approve: the change lands without this review, and without any further one",
    "retry": "retry: another reviewer is asked; the change is kept",
}


def is_reviewed(state: RunState, record: TaskRecord) -> bool:
    """Whether a change of this task is reviewed: as its plan says, else depth follows risk.

    A trivial, light task has gates only.
    """
    if not state.options.review or not state.options.policy.stages:
        return False
    if record.task.reviewed is not None:
        return record.task.reviewed
    light = (state.weight or record.task.weight) is Weight.LIGHT
    return not (light and record.task.complexity is Complexity.TRIVIAL)


# -- asking ---------------------------------------------------------------------------------------


def next_review(state: RunState, record: TaskRecord, now: float) -> Events:
    """The next step of a change that is being reviewed: a verdict carried over, or a reviewer; empty: it waits."""
    sealed, reviews = record.sealed, record.reviews
    assert sealed is not None
    stages = state.options.policy.stages
    stage = next((each for each in stages if not reviews.passed(each, sealed.tree)), stages[-1])
    if reviews.passed(stage, sealed.tree):  # carried over by a `fix` command, or judged before
        return (_passed(state, record, sealed, stage, Judgement(), carried=True),)
    if stage is not reviews.stage and _stays_inside(record, sealed):
        return (_passed(state, record, sealed, stage, Judgement(), carried=True),)
    if bound := used_up(state, record):
        return escalate(state, record, *bound, failure=record.failure)
    agent = reviewer_for(state, record, now)
    if agent is None or obstacle_to_looking(state, agent):
        return ()
    return (_ask(record, sealed, stage, agent),)


def _stays_inside(record: TaskRecord, sealed: Sealed) -> bool:
    """Whether a fix for stage 2 changed only files of its findings: then stage 1 need not look again."""
    reviews, way = record.reviews, record.reviews.detour
    if way.open or way.unmet or record.role is not Role.FIXER:
        return False
    changed = {*way.touched, *(change.path for change in sealed.changes)}
    return changed <= {finding.file for finding in reviews.open}


def _ask(record: TaskRecord, sealed: Sealed, stage: Stage, agent: str) -> EffectIntended:
    attempt = record.attempts + 1
    return EffectIntended(
        effect=StartAttempt(
            key=attempt_key(record.id, attempt, record.lost),
            task=record.id,
            attempt=attempt,
            role=ROLES[stage],
            base=record.origin or sealed.base,
            launch=attempt + record.lost,
            agent=agent,
            commit=sealed.commit,
            tree=sealed.tree,
            since=record.reviews.seen_by(stage).since,
        )
    )


# -- answers --------------------------------------------------------------------------------------


def conclude_review(state: RunState, record: TaskRecord, outcome: AttemptFinished, now: float) -> Events:
    """What the end of a reviewer comes to."""
    look, sealed = record.look, record.sealed
    assert look is not None
    assert sealed is not None
    stage, result = STAGES[look.role], outcome.result
    warnings = tuple(WarningRaised(code="agent", text=text, task=record.id) for text in result.warnings)
    if void := look_again(state, record.id, look, record.reviews, result, now):
        return (*warnings, *void)
    if result.review is not None and result.review.violations and not state.options.policy.fresh_reviewers:
        return (*warnings, *_spoiled(state, record, look, result.review))
    if fault := no_verdict(result):
        return (*warnings, *_ask_about_reviewer(state, record, stage, fault))
    assert result.review is not None
    touched = _touched(record, sealed, stage)
    frozen = record.reviews.seen_by(stage)
    judgement = judge(result.review, frozen, stage, touched, record.task.acceptance)
    if judgement.problem:
        if record.reviews.malformed:
            return (*warnings, *_ask_about_reviewer(state, record, stage, judgement.problem))
        return (*warnings, _void(record.id, look, VoidWhy.MALFORMED, judgement.problem))
    if judgement.passed:
        return (*warnings, _passed(state, record, sealed, stage, judgement, result=result))
    return (*warnings, *_failed(state, record, sealed, stage, judgement, result))


def look_again(
    state: RunState, task: str, look: StartAttempt, reviews: Reviews, result: AttemptResult, now: float
) -> Events:
    """Where a review came to nothing and another one is due without asking anybody; empty when it is not so."""
    if void := start_over(state, task, look, result, now):
        return void
    review = result.review or Review()
    if review.violations and reviews.violated < state.options.policy.fresh_reviewers:
        text = f"The verdict is void: the reviewer changed what it judges ({'; '.join(review.violations[:5])})."
        warned = WarningRaised(code="review_violation", task=task, text=f"{text} A fresh one is asked.")
        return (warned, _void(task, look, VoidWhy.VIOLATED, text))
    if review.verdict is None and not review.violations and not reviews.malformed and _may_be_asked(result):
        return (_void(task, look, VoidWhy.MALFORMED, _why_none(result)),)
    return ()


def start_over(state: RunState, task: str, look: StartAttempt, result: AttemptResult, now: float) -> Events:
    """A look that was none: its process was lost, or its provider asked to wait (SPEC 3.8); else empty."""
    match result.exit.kind:
        case ExitKind.CANCELLED | ExitKind.LOST:
            return (_void(task, look, VoidWhy.LOST, ""),)
        case ExitKind.RATE_LIMITED | ExitKind.PROVIDER_DOWN:
            stated, back_off = result.exit.retry_at, now + state.options.policy.backoff_s
            until = max(now, stated) if stated is not None else back_off
            opened = CircuitOpened(agent=look.agent, until=until, detail=result.exit.detail)
            return (opened, _void(task, look, VoidWhy.WAIT, ""))
        case _:
            return ()


def _may_be_asked(result: AttemptResult) -> bool:
    return result.exit.kind not in {ExitKind.ENV_MISSING, ExitKind.OVER_BUDGET}


def no_verdict(result: AttemptResult) -> str:
    """Why there is no verdict that could count, after all that could be tried without asking anybody."""
    review = result.review or Review()
    if review.violations:
        return f"A reviewer changed what it judges, for the second time: {'; '.join(review.violations[:5])}"
    return "" if review.verdict is not None else _why_none(result)


def _spoiled(state: RunState, record: TaskRecord, look: StartAttempt, review: Review) -> Events:
    """Nobody else is asked to judge what a reviewer changed: a failure of the task."""
    stage = STAGES[look.role]
    text = f"The reviewer of attempt {look.attempt} changed what it judges: {'; '.join(review.violations[:5])}."
    void = _void(record.id, look, VoidWhy.VIOLATED, text)
    warned = WarningRaised(code="review_violation", task=record.id, text=text)
    if _is_retried(state, record):
        failure = Failure(reason=Reason.REVIEW_VOID, summary=text, signature=signature(Reason.REVIEW_VOID, stage))
        return (warned, void, TaskRequeued(task=record.id, why=RequeueWhy.RETRY, failure=failure))
    return (warned, *_ask_about_reviewer(state, record, stage, text, how="nothing"))


def _is_retried(state: RunState, record: TaskRecord) -> bool:
    policy = state.options.policy
    return policy.review_retries and record.tries.retries < policy.retries


def _why_none(result: AttemptResult) -> str:
    if result.review is not None and result.review.problem:
        return result.review.problem
    return f"The reviewer gave no verdict ({result.exit.detail or result.exit.kind})."


def _void(task: str, look: StartAttempt, why: VoidWhy, detail: str) -> ReviewVoided:
    return ReviewVoided(task=task, attempt=look.attempt, why=why, detail=detail)


def _touched(record: TaskRecord, sealed: Sealed, stage: Stage) -> frozenset[str] | None:
    """The files a later round may say something new about; None in the first round of a stage."""
    asked_on_the_way = stage is not record.reviews.stage
    if record.reviews.rounds == 0 and not asked_on_the_way:
        return None
    return frozenset({*record.reviews.seen_by(stage).touched, *(change.path for change in sealed.changes)})


def _passed(
    state: RunState,
    record: TaskRecord,
    sealed: Sealed,
    stage: Stage,
    judgement: Judgement,
    *,
    carried: bool = False,
    result: AttemptResult | None = None,
) -> ReviewPassed:
    look = record.look
    return ReviewPassed(
        task=record.id,
        attempt=record.attempts,
        stage=stage,
        tree=sealed.tree,
        commit=sealed.commit,
        agent=look.agent if look and not carried else "",
        model=result.model if result else "",
        parked=judgement.parked,
        probes=result.review.probes if result and result.review else (),
        carried=carried,
        done=stage is state.options.policy.stages[-1],
    )


def _failed(
    state: RunState, record: TaskRecord, sealed: Sealed, stage: Stage, judgement: Judgement, result: AttemptResult
) -> Events:
    """A fix, while the stage has one left, or a retry; then a person, and unattended the task is blocked."""
    assert record.look is not None
    assert result.review is not None
    failed = ReviewFailed(
        task=record.id,
        attempt=record.attempts,
        stage=stage,
        tree=sealed.tree,
        commit=sealed.commit,
        agent=record.look.agent,
        model=result.model,
        open=judgement.open,
        unmet=judgement.unmet,
        parked=judgement.parked,
        probes=result.review.probes,
    )
    failure = review_failure(stage, judgement, result.review)
    if record.reviews.fixes < state.options.policy.review_fixes:
        return (failed, TaskRequeued(task=record.id, why=RequeueWhy.REVIEW, failure=failure))
    if _is_retried(state, record):
        return (failed, TaskRequeued(task=record.id, why=RequeueWhy.RETRY, failure=failure))
    text = f"The {stage} review is not content after {record.reviews.fixes} fixes: {failure.summary}"
    kept = ""
    if record.best is not None and record.best.severity < failure.severity:
        kept = record.best.commit
        text += f" This is worse than what was there before; that is kept as {kept[:12]}; `approve` takes the last one."
    return (failed, *ask_about_review(state, record, text, failure, kept=kept))


def ask_about_review(state: RunState, record: TaskRecord, text: str, failure: Failure, *, kept: str = "") -> Events:
    """A change that its reviewers are not content with: approve | retry | skip | stop; unattended it is blocked."""
    kind, reason = DecisionKind.REVIEW, Reason.REVIEW_UNRESOLVED
    return ask(state, record.id, kind, reason, text, _CHOICES, "block", kept=kept, failure=failure, effects=_EFFECTS)


def review_failure(stage: Stage, judgement: Judgement, review: Review) -> Failure:
    """What a fixer is told, and what a person is asked about: every open point with its place and evidence."""
    probes = {probe.finding: probe for probe in review.probes}
    facts = []
    for finding in judgement.open:
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        facts.append(f"[{finding.id}] {finding.severity} {place}: {finding.claim}")
        facts += [f"  appeals to: {finding.clause}"] * bool(finding.clause)
        if probe := probes.get(finding.id):
            came = f"exit code {probe.exit_code}" if not probe.refused else f"not run: {probe.refused}"
            facts.append(f"  evidence: `{probe.command}` ({came})")
    facts += [f"not met: {mark.criterion}" + (f" ({mark.evidence})" * bool(mark.evidence)) for mark in judgement.unmet]
    count = len(judgement.open) + len(judgement.unmet)
    claims = [finding.claim for finding in judgement.open] + [f"not met: {m.criterion}" for m in judgement.unmet]
    return Failure(
        reason=Reason.REVIEW_UNRESOLVED,
        summary=f"The {stage} review names {count}: " + "; ".join(claims)[:1500],
        signature=signature(Reason.REVIEW_UNRESOLVED, stage, *claims),
        facts=tuple(facts),
        severity=count,
    )


def _ask_about_reviewer(
    state: RunState, record: TaskRecord, stage: Stage, fault: str, *, how: str = "nothing twice"
) -> Events:
    text = f"The {stage} review came to {how}, and a change is not landed unseen. {fault}"
    kind, reason = DecisionKind.REVIEW, Reason.REVIEW_VOID
    return ask(state, record.id, kind, reason, text, _CHOICES, "block", effects=_AGAIN)
