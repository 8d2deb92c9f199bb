"""What holds of the reviews of a run, told from its events alone (SPEC 4) [I7, I10]."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import (
    AttemptFinished,
    DecisionAnswered,
    EffectIntended,
    FixFinished,
    GatesPassed,
    RequeueWhy,
    ReviewFailed,
    ReviewPassed,
    RunReopened,
    TaskAdded,
    TaskRequeued,
)
from chargehand.domain.outcome import REVIEWERS, AttemptResult, Role
from chargehand.domain.plan import Complexity, GatePoint, Weight
from chargehand.domain.review import BLOCKING, Finding, Ruling, Stage
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import DecisionKind, TaskStatus

__all__ = ["ReviewWatch"]

STAGES = (Stage.SPEC, Stage.QUALITY)


class ReviewWatch:
    """Follows the events of a run; `state` is always the one before the event."""

    def __init__(self) -> None:
        self.looks: dict[str, StartAttempt] = {}
        self.said: dict[str, tuple[StartAttempt, AttemptResult]] = {}  # the last answer of a reviewer, by task
        self.last: dict[tuple[str, Stage], bool] = {}  # what the stage said last of this change
        self.trees: dict[tuple[str, Stage], set[str]] = {}  # trees it passed
        self.open: dict[tuple[str, Stage], dict[str, Finding]] = {}
        self.counts: Counter[tuple[str, Stage]] = Counter()
        self.fixes: Counter[str] = Counter()
        self.whole = 0
        self.due: dict[str, bool] = {}
        self.approving: set[str] = set()
        self.approved: set[tuple[str, str]] = set()

    def follow(self, event: Any, state: RunState) -> None:
        """One event more."""
        match event:
            case EffectIntended(effect=StartAttempt() as effect):
                self._starts(effect, state)
            case AttemptFinished(key=key, task=task, result=result) if key in self.looks:
                self.said[task] = (self.looks.pop(key), result)
            case ReviewPassed():
                self._passed(event)
            case ReviewFailed():
                self._failed(event)
            case FixFinished(task=task, sealed=sealed) if sealed is not None:
                before = state.tasks[task].sealed
                assert before is not None
                for stage in STAGES:
                    if before.tree in (known := self.trees.get((task, stage), set())):
                        known.add(sealed.tree)
            case GatesPassed(task=task, point=GatePoint.TASK):
                record = state.tasks[task]
                light = (state.weight or record.task.weight) is Weight.LIGHT
                if record.status is not TaskStatus.AWAITING_DECISION:
                    trivial = light and record.task.complexity is Complexity.TRIVIAL
                    self.due[task] = state.options.review and not trivial
                    assert event.review is self.due[task], "depth follows risk"
            case TaskRequeued(task=task, why=RequeueWhy.REVIEW):
                self.fixes[task] += 1
                assert self.fixes[task] <= 2 * state.options.policy.review_fixes, "at most 2 fixes a stage"
            case TaskAdded(holistic=True):
                self.whole += 1
                assert self.whole <= state.options.policy.holistic_fixes
            case RunReopened():
                self.whole = 0
                self.counts = Counter({key: n for key, n in self.counts.items() if key[0]})
            case DecisionAnswered(id=name, choice="approve"):
                decision = state.decisions[name]
                if decision.kind in {DecisionKind.REVIEW, DecisionKind.HOLISTIC}:
                    self.approving.add(decision.task)
            case _:
                pass

    def _starts(self, effect: StartAttempt, state: RunState) -> None:
        if effect.role in REVIEWERS:
            self.looks[effect.key] = effect
            if effect.task:
                sealed = state.tasks[effect.task].sealed
                assert sealed is not None
                assert (effect.commit, effect.tree) == (sealed.commit, sealed.tree), "what would land is looked at"
            else:
                assert (effect.commit, effect.tree) == (state.head, state.head_tree)
        if effect.role is Role.IMPLEMENTER:  # a new change: nothing that was said counts for it
            self.fixes[effect.task] = 0
            for stage in STAGES:
                self.counts[effect.task, stage] = 0
                for known in (self.last, self.trees, self.open):
                    known.pop((effect.task, stage), None)

    def _passed(self, event: ReviewPassed) -> None:
        key = (event.task, event.stage)
        if event.task in self.approving:
            self.approving.discard(event.task)
            self.approved.add((event.task, event.tree))
        elif event.carried:
            assert self.last.get(key), "only a verdict that stands is carried over"
        else:
            self._counts(event)
            result = self.said.pop(event.task)[1]
            assert result.review is not None
            assert result.review.verdict is not None
            says = {finding.id: finding for finding in result.review.verdict.findings}
            for name in self.open.get(key, {}):
                open_still = name in says and says[name].resolved is False
                assert not open_still, "what is frozen is resolved, or it holds the change up"
            rulings = {each.finding.id: each.ruling for each in event.parked}
            for name, finding in says.items():
                if finding.severity in BLOCKING and name not in self.open.get(key, {}):
                    assert rulings[name] in {Ruling.LATE, Ruling.NOWHERE}, "nothing major is parked silently"
            self.last[key] = True
            self.open[key] = {}
        self.trees.setdefault(key, set()).add(event.tree)

    def _failed(self, event: ReviewFailed) -> None:
        self._counts(event)
        del self.said[event.task]
        key = (event.task, event.stage)
        assert event.open or event.unmet, "a review that fails says why"
        assert all(finding.severity in BLOCKING for finding in event.open)
        self.last[key] = False
        self.open[key] = {finding.id: finding for finding in event.open}

    def _counts(self, event: ReviewPassed | ReviewFailed) -> None:
        """I7: a verdict is one reviewer's, of the tree they were shown, which they did not change; I10: its bound."""
        effect, result = self.said[event.task]
        assert effect.tree == event.tree
        assert result.review is not None
        assert result.review.verdict is not None
        assert not result.review.violations
        key = (event.task, event.stage)
        self.counts[key] += 1
        most = {Stage.SPEC: 5, Stage.QUALITY: 3, Stage.HOLISTIC: 4}[event.stage]  # stage 1 is asked again on the way
        assert self.counts[key] <= most

    def lands(self, record: TaskRecord) -> None:
        """Both stages passed for exactly what was sealed, or a person took it, or it is not reviewed at all."""
        assert record.sealed is not None
        tree = record.sealed.tree
        if not self.due[record.id] or (record.id, tree) in self.approved:
            return
        for stage in STAGES:
            assert tree in self.trees[record.id, stage], f"{stage} did not pass what lands"
            assert self.last[record.id, stage], f"{stage} was not content when it was asked last"
            assert not self.open.get((record.id, stage)), "nothing major lands unresolved"
