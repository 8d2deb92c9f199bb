"""What holds of a run at every moment (SPEC 12), checked on its state and its journal."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

from chargehand.domain.decide import decide, is_stuck, wake_at
from chargehand.domain.effects import Effect, Land, RunCanary, RunGates, StartAttempt
from chargehand.domain.events import (
    BranchOpened,
    CanaryFinished,
    DecisionAnswered,
    DecisionAsked,
    EffectIntended,
    GateMadeRequired,
    GatesFinished,
    LandFinished,
    MergeFinished,
    Recorded,
    RequestTaken,
    RunCancelled,
    RunInterrupted,
    RunPaused,
    RunReopened,
    RunReplanned,
    RunResumed,
    TaskEnded,
    TaskIntegrated,
)
from chargehand.domain.evolve import evolve, fold
from chargehand.domain.gating import check_of, verify_ids
from chargehand.domain.outcome import LOOKERS, Candidate, GateResult, GateStatus, Landed, Role
from chargehand.domain.plan import GatePoint, Mode
from chargehand.domain.scope import overlaps
from chargehand.domain.state import RunState
from chargehand.domain.train import slots_taken
from chargehand.domain.view import document, why
from chargehand.domain.words import HOLDS, TERMINAL, Decision, Reason, TaskStatus
from tests.reviews import ReviewWatch

__all__ = ["Watch"]


class Watch:
    """Follows one journal: what was checked once is not checked again, so that a step costs what it adds."""

    def __init__(self, first: Recorded) -> None:
        self.seen = 1
        self.shadow = fold([first])
        self.head = ""
        self.baseline: dict[str, GateResult] = {}
        self.gated: dict[str, set[str]] = {}  # tree -> checks that do not stand against it
        self.candidates: dict[str, Candidate] = {}
        self.landed: Counter[str] = Counter()
        self.landed_as: dict[str, str] = {}
        self.open: dict[str, Decision] = {}
        self.starts: set[str] = set()
        self.judged: set[str] = set()
        self.reviews = ReviewWatch()
        self.interrupted = False
        self.paused = False
        self.taken: set[str] = set()

    def check(self, state: RunState, journal: list[Recorded], now: float) -> None:
        """Everything, after a turn."""
        for recorded in journal[self.seen :]:
            self._event(recorded.event)
            self.reviews.follow(recorded.event, self.shadow)
            evolve(self.shadow, recorded.event, recorded.at)
            self.open = {name: q for name, q in self.open.items() if not q.call or name in self.shadow.decisions}
            if isinstance(recorded.event, RunCancelled | RunReopened | RunReplanned):  # they withdraw questions
                self.open = {name: asked for name, asked in self.open.items() if name in self.shadow.decisions}
            self.shadow.seq = recorded.seq
        self.seen = len(journal)
        self._settled(state, now)
        self._indexes(state)
        self._live(state)
        self._tasks(state, now)

    # -- state --------------------------------------------------------------------------------

    def _settled(self, state: RunState, now: float) -> None:
        """I13: a fixed point, and never stuck. Folding gives the live state, and deciding leaves no trace in it."""
        assert decide(state, now) == ()
        assert not is_stuck(state, now)
        assert self.shadow == state
        assert not (state.waits_for_people and wake_at(state, now) is not None)

    def _live(self, state: RunState) -> None:
        """Slots, limits per agent, leases, sequential mode, one step of a task at a time [I10]."""
        assert slots_taken(state) <= state.options.jobs
        tasks = [state.tasks[name] for name in state.live]
        limits = {agent.name: agent.jobs for agent in state.options.agents}
        working = Counter(effect.agent for effect in state.inflight.values() if isinstance(effect, StartAttempt))
        assert working.total() <= state.options.jobs
        assert working == Counter(state.agents_live), "those at work are counted"
        assert all(limits.get(agent) is None or count <= limits[agent] for agent, count in working.items())  # type: ignore[operator]
        for one, two in combinations([record.task for record in tasks], 2):
            assert Mode.SEQUENTIAL not in {one.mode, two.mode}
            if one.files and two.files:
                assert not overlaps(one.files.writes, two.files.writes)
        busy = Counter(effect.task for effect in state.inflight.values() if getattr(effect, "task", ""))  # type: ignore[union-attr]
        landing = [effect for effect in state.inflight.values() if isinstance(effect, Land)]
        assert len(landing) <= 1
        busy.update(name for effect in landing for name in effect.beside)
        assert set(busy) == {name for name, record in state.tasks.items() if record.inflight}
        assert all(count == 1 for count in busy.values())
        running = {name for name, record in state.tasks.items() if record.status is TaskStatus.RUNNING}
        assert running <= set(state.live)

    def _indexes(self, state: RunState) -> None:
        """The indexes say what the records say."""
        waiting = {name for name, record in state.tasks.items() if record.status is TaskStatus.WAITING}
        offered = [name for *_, name in state.ready] + [name for _, name in state.timers]
        due = {name for name in waiting if not state.unmet[name]}
        assert sorted(offered) == sorted(n for n in due if state.wave is None or state.wave_of[n] <= state.wave)
        assert (state.ready, state.timers) == (sorted(state.ready), sorted(state.timers))
        open_tasks = [name for name, record in state.tasks.items() if record.status not in TERMINAL]
        assert state.open_tasks == len(open_tasks)
        per_wave = Counter(state.wave_of[name] for name in open_tasks)
        assert state.wave_open == {wave: per_wave[wave] for wave in state.wave_open}
        landing = [name for name, record in state.tasks.items() if record.status is TaskStatus.INTEGRATING]
        assert sorted(state.queue) == sorted(landing)
        assert set(state.holds) <= set(state.decisions)
        for name in waiting:
            met = all(self._met(name, needed, state) for needed in state.tasks[name].task.depends_on)
            assert bool(state.unmet[name]) is not met

    def _tasks(self, state: RunState, now: float) -> None:
        """I12: a reason for every end, and an answer for every task at every moment. I10: no bound is passed."""
        for name, record in state.tasks.items():
            assert why(state, name, now)
            if record.status in TERMINAL:
                assert record.reason
                assert record.inflight is None
                assert record.decision is None
            assert (record.decision in state.decisions) is (record.status is TaskStatus.AWAITING_DECISION)
            assert (record.landed is not None) is (record.status is TaskStatus.INTEGRATED)
            caps, tries = state.options.caps, record.tries
            assert tries.attempts <= caps.task_attempts
            policy = state.options.policy
            assert tries.retries <= policy.retries
            assert tries.conflicts <= policy.conflicts
            assert tries.contexts <= policy.contexts
            assert tries.concern_fixes <= policy.concern_fixes
            assert tries.blocked_contexts <= policy.blocked_contexts
            assert tries.researches <= policy.researches
            assert record.reviews.fixes <= policy.review_fixes
        assert len(state.whole.fixes) <= state.options.policy.holistic_fixes
        assert all(len(fit.fits) <= state.options.policy.fits for fit in state.fits.values())
        assert document(state, held=True)["run"] == state.run
        if state.finished is not None:
            assert not state.inflight
            assert not state.decisions
            assert not state.live
            assert state.whole.inflight is None
            assert all(record.status in TERMINAL for record in state.tasks.values())

    # -- events -------------------------------------------------------------------------------

    def _event(self, event: Any) -> None:
        """Judged on the state before it: that of now may be of another plan."""
        match event:
            case EffectIntended(effect=effect):
                self._intended(effect, self.shadow)
            case RunInterrupted() | RunResumed():
                self.interrupted, self.paused = isinstance(event, RunInterrupted), False
            case RunPaused(at_once=at_once):
                self.paused, self.interrupted = True, self.interrupted or at_once
            case RequestTaken(id=name):
                assert name not in self.taken, "a request is taken once"
                self.taken.add(name)
            case BranchOpened(head=head):
                self.head = head
            case CanaryFinished(key=key, results=results) if key == f"run/{self.shadow.canaries}/canary":
                self.baseline = {r.gate: r for r in results if r.status is GateStatus.FAIL}
            case GateMadeRequired(gate=gate):
                self.baseline.pop(gate, None)
            case GatesFinished(key=key, results=results):
                self.judged.add(key)
                for result in results:
                    if self._excused(result):
                        self.gated.setdefault(result.tree, set()).add(result.gate)
            case MergeFinished(result=Candidate() as candidate):
                self.candidates[candidate.commit] = candidate
            case LandFinished(key=key, result=Landed(commit=commit)):
                effect = self.shadow.inflight[key]
                assert isinstance(effect, Land)
                assert effect.commit == commit
                self._landing(effect, self.shadow)
            case TaskIntegrated(task=task, commit=commit):
                assert self.landed[task] == 1
                assert self.landed_as[task] == commit
            case DecisionAsked(decision=decision):
                assert decision.id not in self.open
                self.open[decision.id] = decision
            case DecisionAnswered(id=name, choice=choice, by=by):
                decision = self.open.pop(name)  # I9: a question is answered once, and while it is open
                assert choice == decision.default if by == "unattended" else choice in decision.choices
            case TaskEnded(task=task):
                self.open = {name: asked for name, asked in self.open.items() if asked.task != task}
            case _:
                pass

    def _excused(self, result: GateResult) -> bool:
        """Green, or red as on the base."""
        before = self.baseline.get(result.gate)
        if result.status is not GateStatus.FAIL:
            return result.status is not GateStatus.FAULT
        if before is None:
            return False
        if before.failed_tests is None:
            return True
        return bool(result.failed_tests) and set(result.failed_tests or ()) <= set(before.failed_tests)

    def _intended(self, effect: Effect, state: RunState) -> None:
        assert not self.interrupted
        assert not any(asked.kind in HOLDS for asked in self.open.values()), "a held run does nothing new"
        match effect:
            case RunCanary():
                assert state.wants_yes("") is None, "a dangerous command was approved first"
            case StartAttempt():
                assert not self.paused, "nothing starts in a paused run"
                assert effect.key not in self.starts, "a key is never used for two starts"
                self.starts.add(effect.key)
                if effect.role not in LOOKERS:
                    assert state.wants_yes(effect.task) is None, "a dangerous command was approved first"
                    researching = [e for e in self.shadow.inflight.values() if isinstance(e, StartAttempt)]
                    assert all(e.role is not Role.RESEARCHER for e in researching), "nothing starts meanwhile"
                if effect.task:
                    for needed in state.tasks[effect.task].task.depends_on:
                        assert self._met(effect.task, needed, state), "never before its dependencies are integrated"
            case Land():
                assert effect.head == self.head
            case RunGates(point=point):
                assert effect.key not in self.judged, "every run of gates has a log of its own"
                assert point is not GatePoint.INTEGRATE or effect.tree == self.candidates[effect.commit].tree
            case _:
                pass

    def _met(self, task: str, needed: str, state: RunState) -> bool:
        """Whether it landed, or a person left it out of an inferred order and it waits for nothing itself."""
        if self.landed[needed]:
            return True
        other = state.tasks[needed]
        left_out = other.status is TaskStatus.SKIPPED and other.reason is Reason.HUMAN
        passed = left_out and task in state.plan.inferred
        return passed and all(self._met(needed, more, state) for more in other.task.depends_on)

    def _landing(self, effect: Land, state: RunState) -> None:
        """I3: only to a candidate on our head whose checks passed on exactly that tree; I4: each task once.

        Of tasks that land together, each is built on the one before it, and the last is gated with all of them.
        """
        names = (*effect.beside, effect.task)
        assert len({state.tasks[name].task.group for name in names}) == 1
        assert len(names) == 1 or state.tasks[effect.task].task.group
        head, records = self.head, [state.tasks[name] for name in names]
        green = self.gated.get(self.candidates[effect.commit].tree, set())
        assert green >= {gate.id for gate in state.plan.gates_on(GatePoint.INTEGRATE)}
        for record in records:
            was = self.shadow.tasks[record.id].candidate
            assert was is not None
            assert was == self.candidates[was.commit]
            assert was.head == head
            head = self.landed_as[record.id] = was.commit
            own = [*verify_ids(record.task)]
            assert green >= ({*own} if record.id == effect.task else {check_of(record.id, name) for name in own})
            assert record.sealed is not None
            self.reviews.lands(record)
            sealed = self.gated.get(record.sealed.tree, set())
            assert sealed >= {gate.id for gate in state.plan.gates_on(GatePoint.TASK)}
            self.landed[record.id] += 1
            assert self.landed[record.id] == 1
        assert head == effect.commit
        self.head = head
