"""The closed vocabularies of tasks and runs, and the small values that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "HOLDS",
    "STOPPED",
    "TERMINAL",
    "Decision",
    "DecisionKind",
    "Failure",
    "HandEdit",
    "Means",
    "Questioned",
    "Reason",
    "RunVerdict",
    "StopReason",
    "TaskStatus",
    "TaskWord",
]


class TaskStatus(StrEnum):
    """The stored states of a task (SPEC 3.2); "ready" is derived."""

    WAITING = "waiting"
    RUNNING = "running"
    GATING = "gating"
    REVIEWING = "reviewing"
    INTEGRATING = "integrating"
    AWAITING_DECISION = "awaiting_decision"
    INTEGRATED = "integrated"
    FAILED = "failed"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


TERMINAL = frozenset(
    {
        TaskStatus.INTEGRATED,
        TaskStatus.FAILED,
        TaskStatus.BLOCKED,
        TaskStatus.SKIPPED,
        TaskStatus.CANCELLED,
    }
)


class Reason(StrEnum):
    """Why a task is where it is: the closed list behind every terminal state [I12]."""

    INTEGRATED = "integrated"
    # evidence
    NO_CHANGE = "no_change"
    OUT_OF_SCOPE = "out_of_scope"
    MISSING_FILE = "missing_file"
    BAD_COMMIT = "bad_commit"
    BASE_LOST = "base_lost"
    PLACEHOLDER = "placeholder"
    SECRET_ADDED = "secret_added"
    TESTS_BENT = "tests_bent"
    CHECK_SILENCED = "check_silenced"
    SEAL_FAILED = "seal_failed"
    CONFIG_CHANGED = "config_changed"
    # the agent
    AGENT_FAILED = "agent_failed"
    AGENT_BLOCKED = "agent_blocked"
    NEEDS_CONTEXT = "needs_context"
    TOO_COMPLEX = "too_complex"
    KICKBACK = "kickback"
    CONCERNS = "concerns"
    INVALID_REPORT = "invalid_report"
    CRASH = "crash"
    TIMEOUT = "timeout"
    STALL = "stall"
    ENV_MISSING = "env_missing"
    BUDGET = "budget"
    RATE_LIMITED = "rate_limited"
    # gates, reviews, integration
    GATE_RED = "gate_red"
    LINE_FAULT = "line_fault"
    REVIEW_UNRESOLVED = "review_unresolved"
    REVIEW_NEEDED = "review_needed"
    REVIEW_VOID = "review_void"
    COMMAND_REJECTED = "command_rejected"
    CONFLICT = "conflict"
    BRANCH_MOVED = "branch_moved"
    # bounds
    SAME_FAILURE = "same_failure"
    IDENTICAL_TREE = "identical_tree"
    ATTEMPTS = "attempts"
    # others
    BLOCKED_ON = "blocked_on"
    BREAKER = "breaker"
    RUN_STOPPED = "run_stopped"
    NOT_SELECTED = "not_selected"
    REPLANNED = "replanned"
    HUMAN = "human"
    NEEDS_HUMAN = "needs_human"
    INTERNAL = "internal"


STOPPED = frozenset({Reason.BREAKER, Reason.KICKBACK, Reason.BUDGET, Reason.RUN_STOPPED, Reason.BRANCH_MOVED})
"""The reasons of tasks that were cancelled because the run was stopped, not for anything of their own."""


class StopReason(StrEnum):
    """Why a run starts no further task."""

    BREAKER = "breaker"
    KICKBACK = "kickback"
    BUDGET = "budget"
    HUMAN = "human"
    CANARY = "canary"
    BRANCH_MOVED = "branch_moved"
    LINE_FAULT = "line_fault"


class RunVerdict(StrEnum):
    """How a run ended: `finished` means all integrated and every required run gate green."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DecisionKind(StrEnum):
    """What a question is about."""

    START = "start"  # needs_human before dispatch
    ESCALATION = "escalation"  # retry | skip | stop
    CONTEXT = "context"
    SPLIT = "split"
    BLOCKED = "blocked"  # only where the policy asks
    KICKBACK = "kickback"
    BRANCH_MOVED = "branch_moved"
    CONFIG_CHANGED = "config_changed"
    WAVE = "wave"
    RUN_GATE = "run_gate"
    COMMAND = "command"
    REVIEW = "review"
    HOLISTIC = "holistic"
    EDITED = "edited"  # somebody edited by hand what shows the run: file | ours


HOLDS = frozenset({DecisionKind.KICKBACK, DecisionKind.CONFIG_CHANGED, DecisionKind.BRANCH_MOVED})
"""Questions that hold the whole run: nothing new starts and nothing lands until they are answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong in an attempt, as the next brief tells it and as the bounds compare it.

    `signature` is the normalised identity of the failure; `tail` at most 50 lines; `facts` lines for a human;
    `severity` ranks attempts, the least is the best: it grows with the checks still to pass before the branch, and
    stays at its default where there was nothing worth checking. `passed` and `red` are the checks of the point at which
    it failed, as far as they were run.
    """

    reason: Reason
    summary: str
    signature: str
    tail: str = ""
    facts: tuple[str, ...] = ()
    severity: int = 1000
    passed: tuple[str, ...] = ()
    red: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Questioned:
    """A command of the plan that wants an explicit yes before it runs (SPEC 7.2).

    `task` is the task whose verify command it is, empty for gates and setup; `where` names it for people, `why` says
    in whole sentences what is dangerous about it.
    """

    task: str
    where: str
    command: str
    why: str


class Means(StrEnum):
    """What the word that a file has for a task comes to, whatever its system calls it."""

    OPEN = "open"  # to be done, or under way
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    OTHER = "other"  # nothing a run could be told by it


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWord:
    """What somebody made a file say of a task: `theirs`, where the run had written `ours`; both empty for nothing."""

    task: str
    ours: str
    theirs: str
    means: Means


@dataclass(frozen=True, slots=True, kw_only=True)
class HandEdit:
    """A file that shows the run, edited by hand so that it says something else of these tasks.

    `file` is its path in the work tree, `digest` the SHA-256 of what it holds, `kept` where a copy of that lies.
    """

    file: str
    digest: str
    kept: str
    words: tuple[TaskWord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A question put to a human. `default` is what `--unattended` answers; `effects` says what each choice does.

    `kept` is the commit of the better attempt where a later one was worse; `failure` is what the next attempt is told
    when the answer is another one (None: the question itself). `call` is the tool call of a live attempt that waits
    for the answer: the task stays where it is. `again`: that attempt was ended because nobody was waited for, and the
    answer is for the one that is made after it. `edits` are the files whose word is to be taken, or not.
    """

    id: str
    task: str
    kind: DecisionKind
    reason: Reason
    question: str
    choices: tuple[str, ...]
    default: str
    effects: tuple[str, ...] = ()
    command: str = ""
    kept: str = ""
    failure: Failure | None = None
    call: str = ""
    again: bool = False
    edits: tuple[HandEdit, ...] = ()
