"""What came back: claims of agents, evidence of the runtime, results of gates and merges.

Everything that can happen is a value here, with a named reason (ARCHITECTURE: errors).
Times are seconds; commits and trees are full hexadecimal object names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chargehand.domain.line import Restoration
from chargehand.domain.review import Review
from chargehand.domain.silencing import Silenced
from chargehand.domain.test_changes import TestChange

__all__ = [
    "LOOKERS",
    "REVIEWERS",
    "AgentExit",
    "AttemptResult",
    "Blocker",
    "BlockerKind",
    "Candidate",
    "Change",
    "ChangeKind",
    "ClaimCheck",
    "Concern",
    "ConcernKind",
    "Conflict",
    "ExitKind",
    "FaultKind",
    "GateResult",
    "GateStatus",
    "HeadMoved",
    "Kickback",
    "KickbackSignal",
    "LandResult",
    "Landed",
    "MergeResult",
    "Report",
    "ReportStatus",
    "Role",
    "Sealed",
    "Usage",
    "WholeChange",
]


class Role(StrEnum):
    """What an agent is asked to be in one attempt."""

    IMPLEMENTER = "implementer"
    SPEC_REVIEWER = "spec-reviewer"
    QUALITY_REVIEWER = "quality-reviewer"
    HOLISTIC_REVIEWER = "holistic-reviewer"
    FIXER = "fixer"
    FITTER = "fitter"
    RESEARCHER = "researcher"


REVIEWERS = frozenset({Role.SPEC_REVIEWER, Role.QUALITY_REVIEWER, Role.HOLISTIC_REVIEWER})
"""Those who judge a tree and change nothing [I7]."""

LOOKERS = REVIEWERS | {Role.FITTER, Role.RESEARCHER}
"""Those who work on a copy that is thrown away: what counts is what they say."""


# -- claims ---------------------------------------------------------------------------------------


class ReportStatus(StrEnum):
    """The status an agent claims (SPEC 3.6)."""

    DONE = "DONE"
    DONE_WITH_CONCERNS = "DONE_WITH_CONCERNS"
    NEEDS_CONTEXT = "NEEDS_CONTEXT"
    BLOCKED = "BLOCKED"
    FAILED = "FAILED"
    KICKBACK = "KICKBACK"


class ConcernKind(StrEnum):
    """All but `info` ask for a fix; a concern without a kind is `unstated`, and actionable."""

    CORRECTNESS = "correctness"
    SECURITY = "security"
    SPEC = "spec"
    INFO = "info"
    UNSTATED = "unstated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """A doubt an agent has about its own work."""

    text: str
    kind: ConcernKind = ConcernKind.UNSTATED


class BlockerKind(StrEnum):
    """Why an agent cannot go on."""

    CONTEXT = "context"
    TOO_COMPLEX = "too_complex"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """What stopped an agent; a blocker given as plain text is `external`."""

    text: str
    kind: BlockerKind = BlockerKind.EXTERNAL


class KickbackSignal(StrEnum):
    """Why an agent returns the plan itself."""

    SCOPE_CREEP = "scope_creep"
    MISSING_CONTEXT = "missing_context"
    NEEDS_RESEARCH = "needs_research"
    TOO_MANY_TASKS = "too_many_tasks"
    NEEDS_SPLIT = "needs_split"
    SPEC_INCOMPLETE = "spec_incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kickback:
    """A return of the plan: the rest of the run stops until somebody decided."""

    signal: KickbackSignal
    details: str = ""
    recommendation: str = ""
    suggested_split: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an agent says came of its attempt: a claim, never evidence [I6].

    `extra` is a JSON object with the keys this version does not know.
    """

    status: ReportStatus
    summary: str = ""
    files_changed: tuple[str, ...] = ()
    tests_added: tuple[str, ...] = ()
    tests_modified: tuple[str, ...] = ()
    coverage: str = ""
    validation: str = ""
    commit: str | None = None
    interfaces: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    concerns: tuple[Concern, ...] = ()
    missing_context: tuple[str, ...] = ()
    blocker: Blocker | None = None
    kickback: Kickback | None = None
    extra: str = "{}"


# -- how a process ended --------------------------------------------------------------------------


class ExitKind(StrEnum):
    """How an agent process came to its end."""

    EXITED = "exited"  # by itself; code or signal says how
    REPORTED = "reported"  # had reported, lingered, and was ended after the grace
    TIMEOUT = "timeout"  # wall budget
    STALL = "stall"  # silence budget
    OVER_BUDGET = "over_budget"  # tokens, money or disk
    ENV_MISSING = "env_missing"  # the program could not be started at all
    RATE_LIMITED = "rate_limited"
    PROVIDER_DOWN = "provider_down"
    CANCELLED = "cancelled"
    LOST = "lost"  # the worker or its workspace went away


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentExit:
    """`code` is the exit status, `signal` the number of a fatal signal; `retry_at` a stated reset time."""

    kind: ExitKind
    code: int | None = None
    signal: int | None = None
    detail: str = ""
    retry_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an attempt consumed; None where nobody measured.

    `estimated` is how many of the tokens are guessed. `held_usd` is what counts against caps in place of `usd` where
    that is unknown, such as for a model without a price.
    """

    tokens: int | None = None
    usd: float | None = None
    estimated: int = 0
    held_usd: float | None = None
    wall_s: float = 0.0


# -- evidence -------------------------------------------------------------------------------------


class ChangeKind(StrEnum):
    """What happened to a path between base and sealed tree."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    MODE = "mode"
    SYMLINK_OUT = "symlink_out"  # a symbolic link that leaves the workspace
    NESTED_REPOSITORY = "nested_repository"
    SUBMODULE = "submodule"
    HISTORY = "history"  # touched by a commit of the agent, no longer different in the result


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One changed path. A rename is two changes: a deletion and an addition."""

    path: str
    kind: ChangeKind


class ClaimCheck(StrEnum):
    """What became of the `commit` a report names."""

    NONE = "none"
    GOOD = "good"
    MISSING = "missing"  # no such commit
    OLD = "old"  # already there at the base
    UNREACHABLE = "unreachable"  # exists, but is not part of the result
    EMPTY = "empty"  # part of the result, and changes no file


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeChange:
    """What a change does that several attempts, or commands, made one after another: all of it since its task began.

    The fields are those of `Sealed`; what a later one took back is no part of it.
    """

    changes: tuple[Change, ...] = ()
    placeholders: tuple[str, ...] = ()
    test_changes: tuple[TestChange, ...] = ()
    silenced: tuple[Silenced, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What the runtime found in a workspace and fixed under the attempt's ref (SPEC 3.7, items 1 to 3).

    `present` lists the declared literal paths that exist in the tree; `placeholders` are added lines that
    look unfinished, as `path:line: text`; `checkout_changed` and `config_changed` tell of changes in the
    user's repository during the attempt, looked at only where no sandbox held it. `secrets` are places where the
    change adds what must not be landed, as `path:line: kind`, never the value. `test_changes` are places where it
    touches the tests that judge it, `silenced` those where it silences other checks (item 4). `left_out` are paths of
    files that another system keeps of its runs: what was done there is no part of the change, and stays as the base has
    it. All this is since `base`, and what an attempt is held against; `whole` is there where it goes on from what was
    sealed before, and what is told of the change.
    """

    base: str
    commit: str
    tree: str
    base_tree: str
    changes: tuple[Change, ...] = ()
    present: tuple[str, ...] = ()
    agent_commits: int = 0
    base_is_ancestor: bool = True
    claim: ClaimCheck = ClaimCheck.NONE
    placeholders: tuple[str, ...] = ()
    checkout_changed: tuple[str, ...] = ()
    config_changed: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    test_changes: tuple[TestChange, ...] = ()
    silenced: tuple[Silenced, ...] = ()
    left_out: tuple[str, ...] = ()
    whole: WholeChange | None = None

    @property
    def told(self) -> WholeChange:
        """What is told of the change to those who look at it, and in the end."""
        return self.whole or WholeChange(
            changes=self.changes,
            placeholders=self.placeholders,
            test_changes=self.test_changes,
            silenced=self.silenced,
            left_out=self.left_out,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """Everything that is known when an attempt is over.

    `report_problem` says why there is no report; `seal_problem` why nothing could be sealed; `output` is the
    end of what the agent printed (redacted, at most 2,000 characters); `log` a path below the run's folder;
    `context` is (name, text) of what a NEEDS_CONTEXT report asked for and the repository could give; `session` the
    conversation of the agent, `model` the one it spoke to, and `mode` the one its program ran in, where that is told.
    Those who only look leave nothing
    sealed: `review` is what a reviewer came to, `restoration` what a fitter answers (`report_problem`: why there is
    none). `violations` are sentences about what its agent told of doing, and was not to do.
    """

    exit: AgentExit
    report: Report | None = None
    report_problem: str = ""
    sealed: Sealed | None = None
    seal_problem: str = ""
    usage: Usage = Usage()
    output: str = ""
    log: str = ""
    warnings: tuple[str, ...] = ()
    context: tuple[tuple[str, str], ...] = ()
    session: str = ""
    model: str = ""
    mode: str = ""
    review: Review | None = None
    restoration: Restoration | None = None
    violations: tuple[str, ...] = ()


# -- gates ----------------------------------------------------------------------------------------


class GateStatus(StrEnum):
    """`fault`: the gate could not judge; `skipped`: nothing to judge, or no tool for it (recorded)."""

    PASS = "pass"
    FAIL = "fail"
    FAULT = "fault"
    SKIPPED = "skipped"


class FaultKind(StrEnum):
    """Why a gate could not judge (SPEC 5)."""

    TIMEOUT = "timeout"
    STALL = "stall"
    ENV_MISSING = "env_missing"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate on one tree; counts for that tree only [I7].

    `failed_tests` are test ids from JUnit XML, None when there are none to read; `tail` is the end of the
    output (at most 50 lines, normalised); `log` a path below the run's folder. `flaky` are tests (or the gate itself)
    that failed and then passed unchanged; `vanished` tests that ran before the change and no longer do; `tests` the
    file below the run's folder with all test ids. `cached` names the run whose result on the same tree this is;
    `output_sha256` and `environment` are the fingerprints of what it printed and of what it ran in.
    """

    gate: str
    tree: str
    status: GateStatus
    fault: FaultKind | None = None
    exit_code: int | None = None
    command: str = ""
    detail: str = ""
    tail: str = ""
    failed_tests: tuple[str, ...] | None = None
    wall_s: float = 0.0
    log: str = ""
    flaky: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    tests: str = ""
    cached: str = ""
    output_sha256: str = ""
    environment: str = ""


# -- integration ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A merge commit of `head` and the sealed commit, not yet on the branch."""

    commit: str
    tree: str
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """The merge does not apply; `detail` shows both sides, capped."""

    head: str
    paths: tuple[str, ...]
    detail: str = ""


MergeResult = Candidate | Conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """The branch now stands at `commit`."""

    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadMoved:
    """Compare-and-swap refused: the branch stands at `actual` (None: it is gone)."""

    actual: str | None


LandResult = Landed | HeadMoved
