"""The state of a run: one mutable aggregate of frozen values, with the indexes that deciding needs.

Theory of operation. A task is in exactly one stored state; `TRANSITIONS` is the whole machine, and nothing but
`domain.evolve` moves a task. A task goes round: it waits until its dependencies are integrated and slot, lease and
budgets allow; an attempt runs (running); what the attempt left is gated on its own tree (gating), reviewed where
reviews are on (reviewing), merged and gated as merged (integrating), and landed (integrated). Every step leaves an
unjudged outcome in the record (`unjudged`), and `decide` draws one conclusion from it: forward, back to waiting with
a failure for the next brief, to a human (awaiting_decision), or to an end with a reason. A slot and a lease last from
dispatch to integrated or terminal; awaiting a decision gives both up, and waiting for one's group the slot. A human's
answer can also send a sealed change on (to gating or integrating): it needs no agent, so it takes neither again, and
merging finds what collides. Only a human brings a task back that ended otherwise than integrated: by retry, or by a new
plan.

`ready`, `timers`, `attention`, `queue` and `live` are indexes over the records: one event costs what it changes, not
what exists.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any

from chargehand.domain import graph
from chargehand.domain.effects import Effect, RunGates, StartAttempt
from chargehand.domain.errors import ChargehandError
from chargehand.domain.events import (
    AttemptFinished,
    CommandAsked,
    DispatchStopped,
    FixFinished,
    GatesFinished,
    LandFinished,
    MergeFinished,
    RequeueWhy,
    RunAccepted,
    RunCancelled,
    RunFinished,
    RunPaused,
    RunStarted,
    TaskEndAsked,
    WarningRaised,
)
from chargehand.domain.line import Fit
from chargehand.domain.options import RunOptions
from chargehand.domain.outcome import Candidate, GateResult, Report, Role, Sealed
from chargehand.domain.plan import Barrier, GatePoint, Plan, Task, Weight
from chargehand.domain.review import Reviews, Stage
from chargehand.domain.words import TERMINAL, Decision, DecisionKind, Failure, Questioned, Reason, TaskStatus

__all__ = [
    "TRANSITIONS",
    "Best",
    "GateFit",
    "IllegalTransition",
    "RunState",
    "TaskRecord",
    "Tries",
    "Unjudged",
    "Whole",
]

_S = TaskStatus
_ENDS = frozenset({_S.AWAITING_DECISION, _S.FAILED, _S.BLOCKED, _S.SKIPPED, _S.CANCELLED})

TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    _S.WAITING: frozenset({_S.RUNNING}) | _ENDS,
    _S.RUNNING: frozenset({_S.WAITING, _S.GATING}) | _ENDS,
    _S.GATING: frozenset({_S.WAITING, _S.GATING, _S.REVIEWING, _S.INTEGRATING}) | _ENDS,
    _S.REVIEWING: frozenset({_S.WAITING, _S.INTEGRATING}) | _ENDS,
    _S.INTEGRATING: frozenset({_S.WAITING, _S.GATING, _S.INTEGRATED}) | _ENDS,
    _S.AWAITING_DECISION: frozenset({_S.WAITING, _S.GATING, _S.INTEGRATING}) | (_ENDS - {_S.AWAITING_DECISION}),
    _S.INTEGRATED: frozenset(),
    _S.FAILED: frozenset({_S.WAITING}),
    _S.BLOCKED: frozenset({_S.WAITING}),
    _S.SKIPPED: frozenset({_S.WAITING}),
    _S.CANCELLED: frozenset({_S.WAITING}),
}

Unjudged = AttemptFinished | GatesFinished | FixFinished | MergeFinished | LandFinished


class IllegalTransition(ChargehandError):
    """An event asked for a move the machine does not know: a bug, or a damaged journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """What a task has used up since it began, or since a human said retry; each has a bound in policy or caps.

    `attempts` are those that count, in all roles; `waits` are rate limits in a row. `held_usd` is the money that counts
    against its cap; `usd` as much of it as is known (None: none), `uncosted` how many attempts cost nobody knows what.
    """

    attempts: int = 0
    tokens: int = 0
    estimated: int = 0
    held_usd: float = 0.0
    usd: float | None = None
    uncosted: int = 0
    retries: int = 0
    contexts: int = 0
    blocked_contexts: int = 0
    conflicts: int = 0
    concern_fixes: int = 0
    researches: int = 0
    waits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The least bad change of a task so far, and how bad it was; `passed` are checks it met."""

    severity: int
    base: str
    commit: str
    passed: tuple[str, ...] = ()

    def beats(self, failure: Failure) -> bool:
        """Whether a later failure is worse: further from the branch, or a check that passed is red (SPEC 3.8)."""
        return self.severity < failure.severity or not set(self.passed).isdisjoint(failure.red)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFit:
    """What was done about a gate that could not judge; `fits` are the signatures of what fitters proposed.

    `raised` lasts as long as the run; `rerun` and `fits` until the gate has judged again.
    """

    fit: Fit = Fit()
    raised: bool = False
    rerun: bool = False
    fits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What was looked at of the run as a whole, by reviewers and fitters that belong to no task.

    `attempts` numbers them; `aside` are the gates a fitter was asked about; `fixes` the tasks that mend what was found.
    `again` counts what was done about gates that could not judge, and how often people had the end begin anew.
    """

    attempts: int = 0
    lost: int = 0
    inflight: str | None = None
    look: StartAttempt | None = None
    unjudged: AttemptFinished | None = None
    aside: GatesFinished | None = None
    reviews: Reviews = Reviews(stage=Stage.HOLISTIC)
    fixes: tuple[str, ...] = ()
    again: int = 0

    def but(self, **changes: Any) -> Whole:
        """The same with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """Everything known about one task.

    `attempts` counts started processes except cancelled and `lost` ones, and numbers them; `waited` of them met a
    provider that asked to wait, `looked` only looked; `retried` says how often it was begun anew after a failure,
    whoever asked for it; `made` is the number of the one that made the change. `previous` is (base, commit) of the last
    judged change; `best` the least bad attempt so far; `origin` is the base of the whole change, `fix_base` the sealed
    commit a fixer starts from. `approved` are the kinds of decisions a human already said yes to; `agent` is who made
    the last attempt; `ending` is a human's wish to see the task ended, still to be followed; `unheard` is the question
    of a held call whose attempt was ended because nobody was waited for, and `ruled` what people said of such commands
    (text, allowed): it counts in the next attempt. `look` is the last attempt of one who only looks, `aside` the
    outcome that waits for it, `checked` what the gates said of the sealed tree, `mended` the gates whose `fix` was run
    on it, `merged` the files of test ids of the candidate, `again` counts what made its gates run again: mitigations,
    what was mended, other candidates. `overtaken`: something landed since its gates began, so they were held against
    tests of before. `apart`: it left the queue of its group once, and lands by itself from then on.
    """

    task: Task
    status: TaskStatus = TaskStatus.WAITING
    reason: Reason | None = None
    detail: str = ""
    blocked_on: str | None = None
    attempts: int = 0
    lost: int = 0
    waited: int = 0
    looked: int = 0
    retried: int = 0
    made: int = 0
    tries: Tries = Tries()
    role: Role = Role.IMPLEMENTER
    why: RequeueWhy | None = None
    base: str | None = None
    not_before: float | None = None
    inflight: str | None = None
    unjudged: Unjudged | None = None
    report: Report | None = None
    sealed: Sealed | None = None
    origin: str | None = None
    fix_base: str | None = None
    previous: tuple[str, str] | None = None
    best: Best | None = None
    failure: Failure | None = None
    signatures: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    context: tuple[tuple[str, str], ...] = ()
    candidate: Candidate | None = None
    candidate_green: bool = False
    greened: tuple[str, ...] = ()
    commit: str | None = None
    landed: str | None = None
    files_changed: tuple[str, ...] = ()
    decision: str | None = None
    approved: tuple[DecisionKind, ...] = ()
    ending: TaskEndAsked | None = None
    unheard: Decision | None = None
    ruled: tuple[tuple[str, bool], ...] = ()
    agent: str | None = None
    fixes_gates_of: GatePoint | None = None
    reviews: Reviews = Reviews()
    look: StartAttempt | None = None
    aside: Unjudged | None = None
    checked: tuple[GateResult, ...] = ()
    mended: tuple[str, ...] = ()
    merged: tuple[tuple[str, str], ...] = ()
    again: int = 0
    overtaken: bool = False
    apart: bool = False

    @property
    def id(self) -> str:
        """The id of the task."""
        return self.task.id

    @property
    def tried(self) -> int:
        """How many attempts of those who write count; the last of them may be under way."""
        return self.attempts - self.waited - self.looked

    @property
    def retried_now(self) -> int:
        """The retries with the one that begins: each has an attempt before it, whatever else was answered."""
        return min(self.retried + 1, self.tried)

    @property
    def is_over(self) -> bool:
        """Whether the task is in a terminal state."""
        return self.status in TERMINAL

    @property
    def is_left_out(self) -> bool:
        """Whether a person skipped the task: what only comes after it in an inferred order goes on (SPEC 2.3)."""
        return self.status is TaskStatus.SKIPPED and self.reason is Reason.HUMAN

    def but(self, **changes: Any) -> TaskRecord:
        """The record with some fields changed: `dataclasses.replace`, four times as fast, for it is in every event."""
        made = object.__new__(TaskRecord)
        for name, value in zip(_FIELDS, _VALUES(self), strict=True):
            object.__setattr__(made, name, value)
        for name, value in changes.items():
            object.__setattr__(made, name, value)
        return made


_FIELDS = tuple(field.name for field in fields(TaskRecord))
_VALUES = attrgetter(*_FIELDS)


@dataclass(slots=True, kw_only=True)
class RunState:
    """One run, folded from its events by `domain.evolve`; read by `domain.decide` and `domain.view`."""

    run: str
    plan: Plan
    options: RunOptions
    base: str
    branch: str
    started_at: float
    tasks: dict[str, TaskRecord] = field(default_factory=dict)
    # graph
    dependents: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unmet: dict[str, int] = field(default_factory=dict)
    inferred: frozenset[str] = frozenset()
    priority: dict[str, tuple[int, int]] = field(default_factory=dict)
    wave_of: dict[str, int] = field(default_factory=dict)
    wave_open: dict[int, int] = field(default_factory=dict)
    # indexes
    ready: list[tuple[int, int, str]] = field(default_factory=list)
    timers: list[tuple[float, str]] = field(default_factory=list)
    attention: dict[str, None] = field(default_factory=dict)
    queue: list[str] = field(default_factory=list)
    live: dict[str, None] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    later: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    agents_live: dict[str, int] = field(default_factory=dict)
    circuits: dict[str, float] = field(default_factory=dict)
    inflight: dict[str, Effect] = field(default_factory=dict)
    open_tasks: int = 0
    blocked: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    orphaned: dict[str, str] = field(default_factory=dict)
    # the branch and its gates
    must_open: bool = True
    opened: int = 0
    head: str | None = None
    base_tree: str = ""
    head_tree: str = ""
    conventions: tuple[str, ...] = ()
    canary: tuple[GateResult, ...] | None = None
    canaries: int = 0
    baseline_red: dict[str, GateResult] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)
    fits: dict[str, GateFit] = field(default_factory=dict)
    wave: int | None = None
    rounds: dict[GatePoint, int] = field(default_factory=lambda: dict.fromkeys(GatePoint, 0))
    closing: GatesFinished | None = None
    whole: Whole = Whole()
    # people
    decisions: dict[str, Decision] = field(default_factory=dict)
    answers: dict[str, tuple[Decision, str, str]] = field(default_factory=dict)
    questioned: dict[str, tuple[Questioned, ...]] = field(default_factory=dict)
    approved_commands: dict[str, None] = field(default_factory=dict)
    calls: dict[str, CommandAsked] = field(default_factory=dict)
    asked: int = 0
    edited: dict[str, tuple[str, str]] = field(default_factory=dict)
    by_hand: dict[str, str] = field(default_factory=dict)
    holds: dict[str, None] = field(default_factory=dict)
    # the end
    stopped: DispatchStopped | None = None
    interrupted: bool = False
    paused: RunPaused | None = None
    cancelled: RunCancelled | None = None
    taken: dict[str, None] = field(default_factory=dict)
    finished: RunFinished | None = None
    accepted: RunAccepted | None = None
    warnings: list[WarningRaised] = field(default_factory=list)
    weight: Weight | None = None
    unattended: bool = False
    # usage
    tokens: int | None = None
    estimated: int = 0
    held_usd: float = 0.0
    usd: float | None = None
    uncosted: int = 0
    busy_s: float = 0.0
    last_at: float = 0.0
    seq: int = 0

    @classmethod
    def start(cls, event: RunStarted, at: float) -> RunState:
        """The state right after `RunStarted`."""
        state = cls(
            run=event.run,
            plan=event.plan,
            options=event.options,
            base=event.base,
            branch=event.branch,
            started_at=at,
            last_at=at,
            unattended=event.options.unattended,
        )
        state.question(event.questioned)
        state.enlist(event.plan, {})
        return state

    def enlist(self, plan: Plan, records: Mapping[str, TaskRecord]) -> None:
        """Take a plan in: its tasks as `records` tell of them, else waiting; every index of the graph is made anew.

        Records of tasks that the plan does not have are kept behind it.
        """
        depends = {task.id: task.depends_on for task in plan.tasks}
        remaining = graph.remaining(depends)
        waves = graph.waves(depends, {t.id: t.wave for t in plan.tasks if t.wave is not None})
        self.plan, self.inferred = plan, frozenset(plan.inferred)
        self.wave_of = {name: wave for name, wave in self.wave_of.items() if name in records} | waves
        self.tasks, self.ready, self.timers, self.open_tasks = {}, [], [], 0
        self.wave_open.clear()
        self.dependents.clear()
        self.groups.clear()
        self.later.clear()
        known = {task.id: records.get(task.id) or TaskRecord(task=task) for task in plan.tasks}
        self.wave = self._first_wave(known) if plan.barrier is Barrier.WAVE and plan.tasks else None
        behind = {name: record for name, record in records.items() if name not in known}
        records = known | behind
        landed = {name for name, record in records.items() if record.status is TaskStatus.INTEGRATED}
        for order, record in enumerate(records.values()):
            self.add(record, remaining.get(record.id, 1), order, landed)
        if any(record.is_left_out for record in known.values()):
            self.relink()

    def needs_of(self, task: str, is_out: Callable[[str], bool] | None = None) -> Iterator[str]:
        """The tasks that must land before a task may start.

        In the place of one that a person left out of an inferred order, or did by hand, stands what that one had to
        wait for. With `is_out` these are asked for as if others had been left out.
        """
        is_out = is_out or self.is_left_out
        todo, passed, told = [task], {task}, set[str]()
        while todo:
            name = todo.pop()
            for needed in self.tasks[name].task.depends_on:
                goes_on = name in self.inferred or needed in self.by_hand
                if not goes_on or not is_out(needed):  # also where another one only comes after it
                    if needed not in told:
                        told.add(needed)
                        yield needed
                elif needed not in passed:
                    passed.add(needed)
                    todo.append(needed)

    def is_left_out(self, task: str) -> bool:
        """Whether a person skipped a task."""
        return self.tasks[task].is_left_out

    def is_done_by_hand(self, task: str) -> bool:
        """Whether a file was made to say that a task is done, and that was taken: what depends on it goes on."""
        return task in self.by_hand and self.is_left_out(task)

    def went_on_without(self, task: str) -> tuple[str, ...]:
        """The tasks under way that would have waited for this one, had a person not left it out."""
        if not self.is_left_out(task):
            return ()
        records = (self.tasks[name] for name in (self.tasks if task in self.by_hand else self.plan.inferred))
        return tuple(
            record.id
            for record in records
            if not record.is_over
            and record.status is not TaskStatus.WAITING
            and task in self.needs_of(record.id, lambda name: name != task and self.is_left_out(name))
        )

    def relink(self) -> None:
        """Who waits for whom, made anew after a person left a task out, or took one up again after all."""
        before, self.unmet = self.unmet, {}
        self.dependents.clear()
        for name in self.tasks:
            needs = tuple(self.needs_of(name))
            self.unmet[name] = sum(self.tasks[needed].status is not TaskStatus.INTEGRATED for needed in needs)
            for needed in needs:
                self.dependents[needed].append(name)
        for name, record in self.tasks.items():
            if record.status is TaskStatus.WAITING and bool(self.unmet[name]) is not bool(before[name]):
                (self.withdraw(record) if self.unmet[name] else self.offer(name))

    def _first_wave(self, records: Mapping[str, TaskRecord]) -> int:
        unfinished = [self.wave_of[name] for name, record in records.items() if not record.is_over]
        return min(unfinished or self.wave_of.values())

    def question(self, commands: Sequence[Questioned]) -> None:
        """The commands that want a yes, by task; those of gates and setup under the empty name."""
        self.questioned = {}
        for command in commands:
            self.questioned[command.task] = (*self.questioned.get(command.task, ()), command)

    def wants_yes(self, task: str) -> Questioned | None:
        """The next command of a task (or, for the empty name, of gates and setup) that nobody approved yet."""
        commands = self.questioned.get(task, ())
        return next((each for each in commands if each.command not in self.approved_commands), None)

    def add(self, record: TaskRecord, remaining: int, order: int, landed: Collection[str] = ()) -> None:
        """Take a task in where it stands: ready when it waits and all it depends on is among `landed`.

        The longest remaining path goes first, but for a unit that was begun: it is gone on with before another begins.
        """
        self.tasks[record.id] = record
        begun = len(self.plan.tasks) if record.id in self.inferred else 0
        self.priority[record.id] = (-remaining - begun, order)
        if record.task.group is not None:
            self.groups[record.task.group].append(record.id)
        wave = self.wave_of.setdefault(record.id, 0)
        self.open_tasks += not record.is_over
        self.wave_open[wave] = self.wave_open.get(wave, 0) + (not record.is_over)
        self.unmet[record.id] = sum(dependency not in landed for dependency in record.task.depends_on)
        for dependency in record.task.depends_on:
            self.dependents[dependency].append(record.id)
        if record.status is TaskStatus.WAITING:
            self.offer(record.id)

    def offer(self, task_id: str) -> None:
        """Put a waiting task where dispatch will find it, if its dependencies are integrated."""
        if self.unmet[task_id]:
            return
        record = self.tasks[task_id]
        if self.wave is not None and self.wave_of[task_id] > self.wave:
            self.later[self.wave_of[task_id]].append(task_id)
        elif record.not_before is not None:
            insort(self.timers, (record.not_before, task_id))
        else:
            insort(self.ready, (*self.priority[task_id], task_id))

    def withdraw(self, record: TaskRecord) -> None:
        """Take a task that no longer waits out of the indexes of dispatch."""
        if record.not_before is not None:
            self.timers = [timer for timer in self.timers if timer[1] != record.id]
            return
        entry = (*self.priority[record.id], record.id)
        at = bisect_left(self.ready, entry)
        if at < len(self.ready) and self.ready[at] == entry:
            del self.ready[at]

    def gate_anew(self) -> None:
        """The next gates of a wave or of the run have a key, and so a log, that those before them did not have.

        Nor those under way: what they say is not about what follows.
        """
        under_way = any(isinstance(each, RunGates) and not each.task for each in self.inflight.values())
        if under_way or self.closing is not None or any(self.rounds.values()):
            self.whole = self.whole.but(again=self.whole.again + 1)

    def key_of_gates(self, point: GatePoint) -> str:
        """The key of the next gates of the wave or of the run."""
        again = f"-{self.whole.again + 1}" if self.whole.again else ""
        return f"{point}-{self.wave or 0}/{self.gate_rounds(point)}/gates{again}"

    def gate_rounds(self, point: GatePoint) -> int:
        """How often something was added to mend what the gates of the wave or of the run said."""
        return self.rounds[point] + (len(self.whole.fixes) if point is GatePoint.RUN else 0)

    def move_head(self, head: str, tree: str) -> None:
        """The branch is somewhere else: what judged it where it was judges anew, under another key."""
        closing = self.closing
        if closing is not None and closing.commit != head and closing.key == self.key_of_gates(closing.point):
            self.whole = self.whole.but(again=self.whole.again + 1)
        self.head, self.head_tree = head, tree

    def phase(self, task_id: str) -> int:
        """The phase of the breaker: the task's wave where waves are declared and count, else one for the run."""
        if self.options.policy.breaker_spans_waves:
            return 0
        declared = self.wave is not None or self.tasks[task_id].task.wave is not None
        return self.wave_of[task_id] if declared else 0

    @property
    def halted(self) -> bool:
        """Whether somebody wants everything under way ended, and the run to go on another time."""
        return self.interrupted or (self.paused is not None and self.paused.at_once)

    @property
    def is_landed(self) -> bool:
        """Whether a branch of the user's holds what was integrated; what lies staged is held by the run's own alone."""
        return self.accepted is not None and not self.accepted.is_staged

    @property
    def held(self) -> str | None:
        """The question that holds the whole run, the oldest of several."""
        return next(iter(self.holds), None)

    @property
    def waits_for_people(self) -> bool:
        """Only decisions are left: nothing runs, and no timer would start anything."""
        looks = any(self.tasks[task].status is not TaskStatus.AWAITING_DECISION for task in self.attention)
        due = (self.timers or (self.circuits and (self.ready or looks))) and not self.holds
        return bool(self.decisions) and not self.inflight and not due and self.finished is None
