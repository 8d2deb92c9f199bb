"""Every fact the journal may hold, past tense. Each says which transition it makes (see `domain.state`).

Events are never edited [I14]: a new shape is a new version with an upcaster in `adapters.codec`. There are facts from
outside (`…Finished`, `EffectLost`, `RequestReceived`) and conclusions that `decide` drew from them. Folding applies
both and decides nothing, so a run begun by one release can be finished by the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chargehand.domain.effects import Effect
from chargehand.domain.judgements import GateMitigated, ReviewFailed, ReviewPassed, ReviewVoided
from chargehand.domain.options import RunOptions
from chargehand.domain.outcome import (
    AttemptResult,
    GateResult,
    LandResult,
    MergeResult,
    Sealed,
)
from chargehand.domain.plan import GatePoint, Plan, Task
from chargehand.domain.words import Decision, Failure, Questioned, Reason, RunVerdict, StopReason, TaskStatus

__all__ = [
    "AttemptAccepted",
    "AttemptFinished",
    "BranchFound",
    "BranchOpened",
    "CanaryFinished",
    "CircuitOpened",
    "CommandAsked",
    "CommandDropped",
    "DecisionAnswered",
    "DecisionAsked",
    "DispatchStopped",
    "EffectIntended",
    "EffectLost",
    "Event",
    "FixFinished",
    "GateMadeRequired",
    "GateMitigated",
    "GatesFinished",
    "GatesPassed",
    "HistoryLost",
    "LandFinished",
    "MergeFinished",
    "Recorded",
    "RequestTaken",
    "RequeueWhy",
    "ReviewFailed",
    "ReviewPassed",
    "ReviewVoided",
    "RunAccepted",
    "RunCancelled",
    "RunFinished",
    "RunInterrupted",
    "RunPaused",
    "RunReopened",
    "RunReplanned",
    "RunResumed",
    "RunStarted",
    "TaskAdded",
    "TaskEndAsked",
    "TaskEnded",
    "TaskFound",
    "TaskIntegrated",
    "TaskReopened",
    "TaskRequeued",
    "WarningRaised",
    "WaveEnded",
]


# -- the run --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The first event of every journal: all tasks are waiting. `questioned` commands of the plan want a yes first."""

    run: str
    plan: Plan
    options: RunOptions
    base: str
    branch: str
    questioned: tuple[Questioned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed:
    """A process took the run up (again). Clears `RunInterrupted` and `RunPaused`."""

    pid: int
    host: str
    version: str
    unattended: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInterrupted:
    """Somebody asked to stop cleanly: nothing new starts, live attempts were ended."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaused:
    """Somebody asked for a pause: nothing new starts, what is under way ends; with `at_once` it is ended."""

    by: str
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled:
    """Somebody gave the run up: what is under way is ended, every open task is cancelled."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReopened:
    """A human takes a stop or an end back: the tasks that this stop cancelled wait again, with fresh rounds."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReplanned:
    """The plan was replaced. Integrated and unchanged tasks stay; changed ones wait again; missing ones are skipped.

    `plan` is complete: it keeps the integrated tasks as they were.
    """

    plan: Plan
    by: str
    questioned: tuple[Questioned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTaken:
    """A request of a human was taken from the inbox; its consequences follow in the same transaction.

    `refused` says why it has none. A request is taken once, however often it is found.
    """

    id: str
    kind: str
    by: str
    task: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLost:
    """A part of the journal was lost, and a repair went on from what is left and found.

    Questions may have been asked in the lost part: their numbers are not given again [I9].
    """

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchFound:
    """Where the integration branch stands, established from git when a damaged journal was repaired."""

    head: str
    tree: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchStopped:
    """No further task starts: breaker, kickback, run budget, or a human said stop."""

    reason: StopReason
    detail: str
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The end: nothing can move any more. Terminal."""

    verdict: RunVerdict
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAccepted:
    """The result was landed on a branch of the user's: `how` is fast-forward, merge, squash, or staged.

    Staged: it lies in the index and the files of the checkout that is on the branch, the branch did not move, and
    `commit` is what it was made from, which only the branch of the run holds.
    """

    target: str
    commit: str
    how: str

    @property
    def is_staged(self) -> bool:
        """Whether no branch of the user's holds it."""
        return self.how == "staged"


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningRaised:
    """Something a human should know that stops nothing."""

    code: str
    text: str
    task: str = ""


# -- effects --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectIntended:
    """Recorded before the effect is carried out [I5]. `StartAttempt`: waiting -> running."""

    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLost:
    """The effect did not come to an outcome (its process was killed, or told to stop); it will be intended anew.

    An attempt that is lost does not count as one: running -> waiting.
    """

    key: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchOpened:
    """Outcome of `OpenBranch`; `conventions` are the paths of convention files that exist at the base."""

    key: str
    head: str
    tree: str = ""
    conventions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryFinished:
    """Outcome of `RunCanary`: what was red before anybody touched anything."""

    key: str
    results: tuple[GateResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFinished:
    """Outcome of `StartAttempt`: claim and evidence. No transition; `decide` concludes."""

    key: str
    task: str
    attempt: int
    result: AttemptResult


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesFinished:
    """Outcome of `RunGates`. No transition; `decide` concludes."""

    key: str
    task: str
    attempt: int
    point: GatePoint
    commit: str
    results: tuple[GateResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixFinished:
    """Outcome of `RunFix`: what the commands made of the change; None when they changed nothing of it.

    With `sealed` the change is another one: its evidence is looked at, it is gated and reviewed anew.
    """

    key: str
    task: str
    attempt: int
    gates: tuple[str, ...]
    sealed: Sealed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeFinished:
    """Outcome of `MergeCandidate`. No transition; `decide` concludes."""

    key: str
    task: str
    attempt: int
    result: MergeResult


@dataclass(frozen=True, slots=True, kw_only=True)
class LandFinished:
    """Outcome of `Land`. With `Landed` the integration head has moved."""

    key: str
    task: str
    attempt: int
    result: LandResult


# -- conclusions about tasks ----------------------------------------------------------------------


class RequeueWhy(StrEnum):
    """Why a task starts another attempt; each has its own bound (SPEC 3.8)."""

    RETRY = "retry"
    FIX = "fix"
    REVIEW = "review"  # a fix for what a review found
    CONTEXT = "context"
    CONFLICT = "conflict"
    REPORT = "report"
    WAIT = "wait"  # rate limit, quota, provider down: not an attempt
    LOST = "lost"  # cancelled or lost worker: not an attempt
    ANSWERED = "answered"  # a human said retry


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptAccepted:
    """The evidence of an attempt is good, or a human takes it as it is: running | awaiting_decision -> gating."""

    task: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesPassed:
    """At TASK: gating | awaiting_decision -> integrating, with `review` -> reviewing.

    At INTEGRATE no transition: the candidate may land. `green` are gates that passed though they were red on the base.
    """

    task: str
    attempt: int
    point: GatePoint
    green: tuple[str, ...] = ()
    review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequeued:
    """Another attempt is due: running | gating | reviewing | integrating | awaiting_decision -> waiting.

    `context` is (name, text) of what the plan gives to a report that asked for it.
    """

    task: str
    why: RequeueWhy
    failure: Failure | None = None
    not_before: float | None = None
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAsked:
    """A live attempt wants to run a dangerous command and is held until somebody answers. No transition.

    `call` names the tool call within the run; `why` says in plain words what is dangerous about it.
    """

    key: str
    task: str
    attempt: int
    call: str
    command: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDropped:
    """A held call is held no more, and its question is withdrawn. No transition.

    Nobody answered in time, and the attempt goes on without it; or what `detail` says.
    """

    call: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitOpened:
    """The provider of an agent asked to wait: none of its attempts starts before `until`, then one tries first."""

    agent: str
    until: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskIntegrated:
    """Its candidate is on the integration branch: integrating -> integrated. Terminal [I4]."""

    task: str
    attempt: int
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    """Any state but a terminal one -> failed | blocked | skipped | cancelled. Terminal [I12]."""

    task: str
    status: TaskStatus
    reason: Reason
    detail: str = ""
    blocked_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEndAsked:
    """A human wants a task ended; what is under way for it is ended first, and a landing still counts."""

    task: str
    status: TaskStatus
    reason: Reason
    by: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReopened:
    """A human said retry: failed | blocked | skipped | cancelled -> waiting, with all that was blocked on it.

    For a task that waits for its time, the time has come. `note` is told to the agent.
    """

    task: str
    by: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFound:
    """What a snapshot or the branch tells of a task beyond a damaged journal: any state -> `status`.

    Only a terminal `status` moves the task. `attempts` and `lost` keep the keys and refs of later starts unique;
    `landed` is the commit on the branch's first-parent line.
    """

    task: str
    status: TaskStatus
    reason: Reason | None = None
    detail: str = ""
    attempts: int = 0
    lost: int = 0
    commit: str | None = None
    landed: str | None = None
    blocked_on: str | None = None
    files_changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAdded:
    """The runtime added a task of its own (a fix for a red wave or run gate); it is waiting.

    With `holistic` it mends what the look at the whole run found.
    """

    task: Task
    point: GatePoint
    wave: int
    holistic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAsked:
    """A question for a human; a task it is about goes to awaiting_decision and gives up slot and lease."""

    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAnswered:
    """An answer to exactly that question [I9]; `note` is what a person adds for the agent.

    `call` is the held tool call that the question was about.
    """

    id: str
    choice: str
    by: str
    note: str = ""
    call: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateMadeRequired:
    """A gate that was red on the base was green on the integration head: required from now on."""

    gate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveEnded:
    """All tasks of a wave are terminal and its gates passed (or a human let it go): the next may start."""

    wave: int


Event = (
    RunStarted
    | RunResumed
    | RunInterrupted
    | RunPaused
    | RunCancelled
    | RunReopened
    | RunReplanned
    | RequestTaken
    | BranchFound
    | HistoryLost
    | DispatchStopped
    | RunFinished
    | RunAccepted
    | WarningRaised
    | EffectIntended
    | EffectLost
    | BranchOpened
    | CanaryFinished
    | CircuitOpened
    | CommandAsked
    | CommandDropped
    | AttemptFinished
    | GatesFinished
    | FixFinished
    | MergeFinished
    | LandFinished
    | AttemptAccepted
    | GatesPassed
    | GateMitigated
    | ReviewPassed
    | ReviewFailed
    | ReviewVoided
    | TaskRequeued
    | TaskIntegrated
    | TaskEnded
    | TaskEndAsked
    | TaskReopened
    | TaskFound
    | TaskAdded
    | DecisionAsked
    | DecisionAnswered
    | GateMadeRequired
    | WaveEnded
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event as the journal holds it: sequence number from 1, time in seconds since the epoch."""

    seq: int
    at: float
    event: Event
