"""The look at the run as a whole, when nothing more can move: do the parts fit together (SPEC 4).

Its findings become fix tasks, three at most; what is open after that is asked about. It names what is missing where
tasks did not land, and then nothing is fixed.
"""

from __future__ import annotations

from itertools import count

from chargehand.domain.asking import ask
from chargehand.domain.circuits import reviewer_for
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import (
    EffectIntended,
    Event,
    ReviewFailed,
    ReviewPassed,
    ReviewVoided,
    TaskAdded,
    WarningRaised,
)
from chargehand.domain.ids import attempt_key
from chargehand.domain.judging import Judgement, judge
from chargehand.domain.outcome import AttemptResult, Role
from chargehand.domain.plan import GatePoint, Task
from chargehand.domain.review import Parked, Review, Ruling, Stage, VoidWhy
from chargehand.domain.reviewing import look_again, no_verdict, review_failure
from chargehand.domain.schedule import obstacle_to_looking
from chargehand.domain.state import RunState
from chargehand.domain.words import DecisionKind, Failure, Reason, TaskStatus

__all__ = ["WHOLE", "close_holistic", "is_holistic"]

Events = tuple[Event, ...]

WHOLE = "run"
"""What a look at the whole run is called where a task would be named (SPEC 4)."""

_EFFECTS = {
    "approve": "approve: the run is taken as it is; what is open is told in the report as your ruling",
    "stop": "stop: the run ends as failed",
}


def is_holistic(state: RunState) -> bool:
    """Whether the run as a whole is looked at: reviews and the feature are on, and something landed."""
    wanted = state.options.review and state.options.policy.stages and state.plan.features.holistic
    if not wanted:
        return False
    return any(record.status is TaskStatus.INTEGRATED for record in state.tasks.values())


def close_holistic(state: RunState, now: float, *, complete: bool) -> Events | None:
    """The next step of the look at the whole run: events; empty while it waits to begin; None when it is over.

    `complete`: every task landed. The answer to a question about it is `approve`, or the run has been stopped.
    """
    if not is_holistic(state) or state.whole.reviews.passed(Stage.HOLISTIC, state.head_tree):
        return None
    if answered := [answer for answer in state.answers.values() if answer[0].kind is DecisionKind.HOLISTIC]:
        return (_let_pass(state, answered[-1][2] or "a person"),) if answered[-1][1] == "approve" else None
    outcome, look = state.whole.unjudged, state.whole.look
    if outcome is not None and look is not None and look.role is Role.HOLISTIC_REVIEWER:
        return _conclude(state, outcome.result, look, now)
    failure = _open_failure(state)
    return _ask(state, now) if failure is None else _mend(state, failure, complete=complete)


def _ask(state: RunState, now: float) -> Events:
    agent = reviewer_for(state, None, now)
    if agent is None or obstacle_to_looking(state, agent):
        return ()
    whole, head = state.whole, state.head
    assert head is not None
    attempt = whole.attempts + 1
    return (
        EffectIntended(
            effect=StartAttempt(
                key=attempt_key("", attempt, whole.lost),
                task="",
                attempt=attempt,
                role=Role.HOLISTIC_REVIEWER,
                base=state.base,
                launch=attempt + whole.lost,
                agent=agent,
                commit=head,
                tree=state.head_tree,
                since=whole.reviews.since,
            )
        ),
    )


def _conclude(state: RunState, result: AttemptResult, look: StartAttempt, now: float) -> Events:
    reviews = state.whole.reviews
    warnings = tuple(WarningRaised(code="agent", text=text) for text in result.warnings)
    if void := look_again(state, "", look, reviews, result, now):
        return (*warnings, *void)
    if fault := no_verdict(result):
        return (*warnings, *_question(state, f"The look at the whole run came to nothing twice. {fault}"))
    assert result.review is not None
    judgement = judge(result.review, reviews, Stage.HOLISTIC, _touched(state), state.plan.success_criteria)
    if judgement.problem:
        if reviews.malformed:
            return (*warnings, *_question(state, f"The look at the whole run came to nothing. {judgement.problem}"))
        void = (ReviewVoided(task="", attempt=look.attempt, why=VoidWhy.MALFORMED, detail=judgement.problem),)
        return (*warnings, *void)
    return (*warnings, _judged(judgement, look, result))


def _touched(state: RunState) -> frozenset[str] | None:
    """What the fix for the last look changed; None at the first look."""
    if state.whole.reviews.rounds == 0:
        return None
    return frozenset(path for name in state.whole.fixes[-1:] for path in state.tasks[name].files_changed)


def _judged(judgement: Judgement, look: StartAttempt, result: AttemptResult) -> Event:
    assert result.review is not None
    common = {
        "task": "",
        "attempt": look.attempt,
        "stage": Stage.HOLISTIC,
        "tree": look.tree,
        "commit": look.commit,
        "agent": look.agent,
        "model": result.model,
        "parked": judgement.parked,
        "probes": result.review.probes,
    }
    if judgement.passed:
        return ReviewPassed(**common)  # type: ignore[arg-type]  # the fields both have
    return ReviewFailed(**common, open=judgement.open, unmet=judgement.unmet)  # type: ignore[arg-type]


# -- what it found --------------------------------------------------------------------------------


def _open_failure(state: RunState) -> Failure | None:
    """What the last look left to be mended on exactly this tree; None when it has not failed on it."""
    reviews = state.whole.reviews
    judged = [each for each in reviews.judged if each.tree == state.head_tree]
    if not judged:
        return None
    judgement = Judgement(open=reviews.open, unmet=reviews.unmet)
    return review_failure(Stage.HOLISTIC, judgement, Review(probes=reviews.probes))


def _mend(state: RunState, failure: Failure, *, complete: bool) -> Events | None:
    """A fix task, while there may be one more; then a question. Where tasks are missing, they say enough."""
    if not complete:
        return None
    whole = state.whole
    landed = all(state.tasks[name].status is TaskStatus.INTEGRATED for name in whole.fixes)
    if landed and len(whole.fixes) < state.options.policy.holistic_fixes:
        name = next(name for number in count(1) if (name := f"fix-{number}") not in state.tasks)
        description = "\n".join((failure.summary, *failure.facts))
        task = Task(id=name, title="Mend what the look at the whole run found", description=description)
        return (TaskAdded(task=task, point=GatePoint.RUN, wave=0, holistic=True),)
    return _question(
        state, f"The look at the whole run is not content after {len(whole.fixes)} fixes: {failure.summary}"
    )


def _question(state: RunState, text: str) -> Events:
    choices, kind = ("approve", "stop"), DecisionKind.HOLISTIC
    return ask(state, "", kind, Reason.REVIEW_UNRESOLVED, text, choices, "stop", effects=_EFFECTS)


def _let_pass(state: RunState, by: str) -> ReviewPassed:
    reviews = state.whole.reviews
    parked = tuple(Parked(stage=Stage.HOLISTIC, finding=each, ruling=Ruling.HUMAN) for each in reviews.open)
    return ReviewPassed(
        task="",
        attempt=state.whole.attempts,
        stage=Stage.HOLISTIC,
        tree=state.head_tree,
        commit=state.head or state.base,
        parked=parked,
        by=by,
    )
