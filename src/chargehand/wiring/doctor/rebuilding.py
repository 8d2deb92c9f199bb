"""The events that a rebuilt journal needs beyond what could be saved of the damaged one. Values in, values out."""

from __future__ import annotations

from dataclasses import dataclass, field

from chargehand.domain.effects import OpenBranch
from chargehand.domain.events import (
    BranchFound,
    BranchOpened,
    EffectIntended,
    EffectLost,
    Event,
    RunReplanned,
    RunStarted,
    TaskAdded,
    TaskFound,
    WarningRaised,
)
from chargehand.domain.evolve import evolve
from chargehand.domain.ids import effect_key
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import Reason, TaskStatus
from chargehand.wiring.doctor.evidence import Evidence, FoundLanding

__all__ = ["Rebuilt", "events_beyond", "first_event"]

_LOST = "What came of it was in the damaged part of the journal."
_BY = "doctor"


def first_event(snapshot: RunState) -> RunStarted:
    """How the run began, as a state of it tells."""
    return RunStarted(
        run=snapshot.run, plan=snapshot.plan, options=snapshot.options, base=snapshot.base, branch=snapshot.branch
    )


@dataclass(slots=True)
class Rebuilt:
    """`state` as it grows, and the `events` that took it there; `from_git` and `from_snapshot` are ids of tasks."""

    state: RunState
    at: float
    events: list[Event] = field(default_factory=list)
    from_snapshot: list[str] = field(default_factory=list)
    from_git: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        """Fold an event: what cannot be folded is no event for the journal."""
        evolve(self.state, event, self.at)
        self.events.append(event)

    def lose(self, record: TaskRecord) -> None:
        """Give up what was under way for a task: its end was found elsewhere."""
        if record.inflight is not None and record.inflight in self.state.inflight:
            self.tell(EffectLost(key=record.inflight, detail=_LOST))


def events_beyond(state: RunState, snapshot: RunState | None, evidence: Evidence, at: float) -> Rebuilt:
    """Bring a state, folded from the first events of a journal, to what a later snapshot and git tell; in place."""
    rebuilt = Rebuilt(state=state, at=at)
    if evidence.landings:
        _open_branch(rebuilt, evidence)
    if snapshot is not None and snapshot.seq > state.seq:
        _follow(rebuilt, snapshot)
    for landing in evidence.landings:
        _land(rebuilt, landing)
    for task, launches in evidence.launches.items():
        _count(rebuilt, task, max(launches, default=0))
    if evidence.landings:
        newest = evidence.landings[-1]
        if state.head != newest.commit:
            rebuilt.tell(BranchFound(head=newest.commit, tree=newest.tree))
    if snapshot is not None and snapshot.seq > state.seq:
        _end(rebuilt, snapshot)
    return rebuilt


def _open_branch(rebuilt: Rebuilt, evidence: Evidence) -> None:
    """Something landed, so the branch was opened, at the base, whether the journal still knows it or not."""
    state = rebuilt.state
    if state.opened:
        return
    key = effect_key("run", state.opened, "branch")
    if key not in state.inflight:
        rebuilt.tell(EffectIntended(effect=OpenBranch(key=key, branch=state.branch, base=state.base)))
    opened = BranchOpened(key=key, head=state.base, tree=evidence.base_tree, conventions=evidence.conventions)
    rebuilt.tell(opened)


# -- from a snapshot ------------------------------------------------------------------------------


def _follow(rebuilt: Rebuilt, snapshot: RunState) -> None:
    """What the snapshot knows beyond: the plan, tasks of the runtime, which tasks are over, what was started."""
    state = rebuilt.state
    if snapshot.plan != state.plan:
        rebuilt.tell(RunReplanned(plan=snapshot.plan, by=_BY))
    for name, then in snapshot.tasks.items():
        if name not in state.tasks and then.fixes_gates_of is not None:
            rebuilt.tell(TaskAdded(task=then.task, point=then.fixes_gates_of, wave=snapshot.wave_of[name]))
        if name in state.tasks:
            _catch_up(rebuilt, state.tasks[name], then)
    for warning in snapshot.warnings:
        if warning not in state.warnings:
            rebuilt.tell(WarningRaised(code=warning.code, text=warning.text, task=warning.task))


def _catch_up(rebuilt: Rebuilt, now: TaskRecord, then: TaskRecord) -> None:
    if not then.is_over and (then.attempts, then.lost) <= (now.attempts, now.lost):
        return
    if then.is_over:
        if now.is_over and now.status is then.status:
            return
        rebuilt.lose(now)
        rebuilt.from_snapshot.append(then.id)
    rebuilt.tell(
        TaskFound(
            task=then.id,
            status=then.status if then.is_over else TaskStatus.WAITING,
            reason=then.reason,
            detail=then.detail,
            attempts=then.attempts,
            lost=then.lost,
            commit=then.commit,
            landed=then.landed,
            blocked_on=then.blocked_on,
            files_changed=then.files_changed,
        )
    )


def _end(rebuilt: Rebuilt, snapshot: RunState) -> None:
    """That the run was stopped, over, or accepted."""
    state = rebuilt.state
    if snapshot.stopped is not None and state.stopped is None:
        rebuilt.tell(snapshot.stopped)
    if snapshot.finished is not None and state.finished is None:
        for key in list(state.inflight):
            rebuilt.tell(EffectLost(key=key, detail=_LOST))
        rebuilt.tell(snapshot.finished)
    if snapshot.accepted is not None and state.accepted is None:
        rebuilt.tell(snapshot.accepted)


# -- from git -------------------------------------------------------------------------------------


def _land(rebuilt: Rebuilt, landing: FoundLanding) -> None:
    """A task that is on the branch is integrated, whatever the journal still says: it must not land again (I4)."""
    record = rebuilt.state.tasks.get(landing.task)
    if record is None:
        rebuilt.unknown.append(landing.task)
        return
    if record.status is TaskStatus.INTEGRATED:
        return
    rebuilt.lose(record)
    record = rebuilt.state.tasks[landing.task]
    rebuilt.from_git.append(landing.task)
    rebuilt.tell(
        TaskFound(
            task=landing.task,
            status=TaskStatus.INTEGRATED,
            reason=Reason.INTEGRATED,
            detail="It was found on the branch when the damaged journal was repaired.",
            attempts=max(record.attempts, landing.attempt),
            lost=record.lost,
            commit=landing.sealed,
            landed=landing.commit,
            files_changed=landing.files,
        )
    )


def _count(rebuilt: Rebuilt, task: str, newest: int) -> None:
    """The next start of a task gets a number that no ref of before has: nothing sealed is overwritten (I2)."""
    record = rebuilt.state.tasks.get(task)
    if record is not None and newest > record.attempts + record.lost:
        lost = newest - record.attempts
        found = TaskFound(task=task, status=TaskStatus.WAITING, attempts=record.attempts, lost=lost)
        rebuilt.tell(found)
