"""How the state follows what was concluded of reviews, and of gates that could not judge; only `evolve` calls this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from chargehand.domain.events import GateMitigated, ReviewFailed, ReviewPassed, ReviewVoided
from chargehand.domain.line import Mitigation
from chargehand.domain.moves import move
from chargehand.domain.outcome import GateStatus
from chargehand.domain.review import Detour, Judged, Reviews, Stage, VoidWhy
from chargehand.domain.state import GateFit, RunState
from chargehand.domain.words import TaskStatus

__all__ = ["take_judgement"]


def take_judgement(state: RunState, event: ReviewPassed | ReviewFailed | ReviewVoided | GateMitigated) -> None:
    """A verdict counts, or does not; a gate is run again."""
    match event:
        case GateMitigated():
            _mitigate(state, event)
        case ReviewPassed(done=True) if event.task:
            record = state.tasks[event.task]
            reviews = _passed(record.reviews, event)
            move(state, record, TaskStatus.INTEGRATING, reviews=reviews, candidate=None, candidate_green=False)
        case ReviewPassed():
            _keep(state, event.task, lambda reviews: _passed(reviews, event))
        case ReviewFailed():
            sealed = state.tasks[event.task].sealed if event.task else None
            paths = tuple(change.path for change in sealed.changes) if sealed is not None else ()
            _keep(state, event.task, lambda reviews: _failed(reviews, event, paths))
        case ReviewVoided():
            _keep(state, event.task, lambda reviews: _voided(reviews, event))
        case _:  # pragma: no cover
            assert_never(event)


def _keep(state: RunState, task: str, change: Callable[[Reviews], Reviews]) -> None:
    """The reviews of a task, or of the run as a whole, after what was concluded; what waited for the look waits on."""
    if not task:
        state.whole = state.whole.but(unjudged=None, reviews=change(state.whole.reviews))
        return
    record = state.tasks[task]
    state.tasks[task] = record.but(unjudged=record.aside, aside=None, reviews=change(record.reviews))
    state.attention[task] = None


def _passed(reviews: Reviews, event: ReviewPassed) -> Reviews:
    """A stage that passed gives the rounds to the next one; one that is asked again on the way changes none."""
    heard = replace(
        reviews,
        judged=(*reviews.judged, _judged(event, passed=True)),
        parked=(*reviews.parked, *event.parked),
        returned="",
        malformed=0,
        violated=0,
        detour=Detour(),
    )
    if event.stage is not reviews.stage:
        return heard
    settled = replace(heard, open=(), unmet=(), touched=(), probes=())
    if event.stage is Stage.SPEC:  # whoever looks at quality has seen nothing of it yet
        return replace(settled, stage=Stage.QUALITY, rounds=0, fixes=0, since="")
    return replace(settled, rounds=reviews.rounds + 1, since=event.commit)


def _failed(reviews: Reviews, event: ReviewFailed, paths: tuple[str, ...]) -> Reviews:
    """What is open is the stage's own; `paths` are the files of the last fix."""
    heard = replace(
        reviews,
        judged=(*reviews.judged, _judged(event, passed=False)),
        parked=(*reviews.parked, *event.parked),
        returned="",
        malformed=0,
        violated=0,
    )
    found = Detour(open=event.open, unmet=event.unmet, since=event.commit, probes=event.probes)
    if event.stage is not reviews.stage:
        return replace(heard, touched=(*reviews.touched, *paths), detour=found)
    return replace(
        heard,
        rounds=reviews.rounds + 1,
        open=found.open,
        unmet=found.unmet,
        since=found.since,
        probes=found.probes,
        touched=(),
        detour=Detour(),
    )


def _judged(event: ReviewPassed | ReviewFailed, *, passed: bool) -> Judged:
    return Judged(
        stage=event.stage,
        tree=event.tree,
        passed=passed,
        attempt=event.attempt,
        agent=event.agent,
        model=event.model,
        carried=isinstance(event, ReviewPassed) and event.carried,
        by=event.by if isinstance(event, ReviewPassed) else "",
    )


def _voided(reviews: Reviews, event: ReviewVoided) -> Reviews:
    match event.why:
        case VoidWhy.MALFORMED:
            return replace(reviews, malformed=reviews.malformed + 1, returned=event.detail)
        case VoidWhy.VIOLATED:
            return replace(reviews, violated=reviews.violated + 1, returned=event.detail)
        case VoidWhy.WAIT | VoidWhy.LOST:
            return reviews
        case _:  # pragma: no cover
            assert_never(event.why)


def _mitigate(state: RunState, event: GateMitigated) -> None:
    known = state.fits.get(event.gate, GateFit())
    match event.by:
        case Mitigation.RAISED:
            state.fits[event.gate] = replace(known, raised=True, fit=event.fit)
        case Mitigation.RERUN:
            state.fits[event.gate] = replace(known, rerun=True)
        case Mitigation.FITTED:
            state.fits[event.gate] = replace(known, fit=event.fit, fits=(*known.fits, event.signature))
        case _:  # pragma: no cover
            assert_never(event.by)
    if not event.task:
        if any(result.status is GateStatus.FAULT for result in state.canary or ()):
            state.canary = None
        state.closing = None
        state.whole = state.whole.but(unjudged=None, aside=None, again=state.whole.again + 1)
        return
    record = state.tasks[event.task]
    state.tasks[event.task] = record.but(unjudged=None, aside=None, again=record.again + 1)
    state.attention[event.task] = None
