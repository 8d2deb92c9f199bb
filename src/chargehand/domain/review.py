"""Judgements: what a reviewer says of a change, and what the runtime established about it (SPEC 4).

A verdict is a claim about one tree. It counts for that tree only [I7], and only as far as it holds: what it says is
there is looked up, and the commands it names are run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

__all__ = [
    "BLOCKING",
    "Criterion",
    "Detour",
    "Finding",
    "Judged",
    "Parked",
    "Probe",
    "Review",
    "Reviews",
    "Ruling",
    "Severity",
    "Stage",
    "Verdict",
    "VoidWhy",
]


class Stage(StrEnum):
    """What a review asks: does it do what the task says; is it good; do the parts fit together."""

    SPEC = "spec"
    QUALITY = "quality"
    HOLISTIC = "holistic"


class Severity(StrEnum):
    """How much a finding weighs; `critical` and `major` keep a change from landing."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    NOTE = "note"


BLOCKING = frozenset({Severity.CRITICAL, Severity.MAJOR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One remark. `line` counts from 1; `clause` is the part of task or standard it appeals to.

    `resolved` is what a later round says of a frozen finding (None: nothing).
    """

    id: str
    severity: Severity
    claim: str
    file: str = ""
    line: int | None = None
    clause: str = ""
    evidence_command: str = ""
    resolved: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What a verdict says of one acceptance criterion."""

    criterion: str
    met: bool
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reviewer wrote (`chargehand-verdict/1`). `extra` is a JSON object with keys this version does not know."""

    passed: bool
    criteria: tuple[Criterion, ...] = ()
    findings: tuple[Finding, ...] = ()
    summary: str = ""
    extra: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An evidence command, run by the runtime; `exit_code` None with `refused` or a fault as the reason."""

    finding: str
    command: str
    exit_code: int | None = None
    tail: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What came of a reviewer's attempt.

    `problem` says why there is no verdict. `located` are the ids of findings that name an existing file and line of
    the judged tree. `violations` say what the reviewer changed: with any, the verdict is void [I7].
    """

    verdict: Verdict | None = None
    problem: str = ""
    located: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    violations: tuple[str, ...] = ()


class VoidWhy(StrEnum):
    """Why a review came to nothing; each has its own bound."""

    WAIT = "wait"  # rate limit, quota, provider down: not a review
    LOST = "lost"  # cancelled or lost worker: not a review
    MALFORMED = "malformed"  # no verdict, or one that does not hold together
    VIOLATED = "violated"  # the reviewer changed something


class Ruling(StrEnum):
    """Why a finding does not keep the change from landing."""

    MINOR = "minor"  # its own severity
    LATE = "late"  # raised after round 1, about something the fix did not touch
    NOWHERE = "nowhere"  # it names no existing file and line
    HUMAN = "human"  # a person took the change as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A finding that is told in the report and holds nothing up, with the ruling."""

    stage: Stage
    finding: Finding
    ruling: Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict that counted: which tree, by whom. `carried`: taken over from the tree before the last fix.

    `by` is the person who let the change pass without one.
    """

    stage: Stage
    tree: str
    passed: bool
    attempt: int
    agent: str = ""
    model: str = ""
    carried: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detour:
    """What stage 1 left open where a fix for stage 2 went beyond its findings: the fields of `Reviews`, for stage 1."""

    open: tuple[Finding, ...] = ()
    unmet: tuple[Criterion, ...] = ()
    since: str = ""
    touched: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """How far the reviews of a change have come.

    `stage` is the one whose rounds are used up: `rounds` verdicts that counted, `fixes` that were asked for. `open` and
    `unmet` are frozen after round 1 and shrink. `judged` are all verdicts that counted, `parked` all findings that hold
    nothing up. `since` is the commit judged last: a later round is about what changed after it, the files of the last
    fix and, where another came between, those in `touched`. `detour` is for stage 1, asked again on the way through
    stage 2. `returned` says why
    the last answer did not count; `malformed` and `violated` count such answers in a row. `probes` are those of the
    last verdict.
    """

    stage: Stage = Stage.SPEC
    rounds: int = 0
    fixes: int = 0
    open: tuple[Finding, ...] = ()
    unmet: tuple[Criterion, ...] = ()
    judged: tuple[Judged, ...] = ()
    parked: tuple[Parked, ...] = ()
    since: str = ""
    returned: str = ""
    malformed: int = 0
    violated: int = 0
    probes: tuple[Probe, ...] = ()
    touched: tuple[str, ...] = ()
    detour: Detour = Detour()

    def seen_by(self, stage: Stage) -> Reviews:
        """The same as the reviewer of a stage has to see them: what is frozen is that stage's own."""
        if stage is self.stage:
            return self
        way = self.detour
        since = way.since or self.since  # what stage 2 judged last has passed stage 1
        return replace(self, open=way.open, unmet=way.unmet, since=since, touched=way.touched, probes=way.probes)

    def passed(self, stage: Stage, tree: str) -> bool:
        """Whether a stage passed for exactly this tree [I7]."""
        return any(each.passed and each.stage is stage and each.tree == tree for each in self.judged)
