"""The report as values: every text in it is fit to be shown, but not escaped; that is the work of who writes it.

Times are seconds since the epoch; sizes of drawings are percent of the width, or pixels where the name says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "Asking",
    "AttemptRow",
    "Bar",
    "Break",
    "CheckRow",
    "Criterion",
    "Edge",
    "Fact",
    "FileDiff",
    "Finding",
    "GateLine",
    "GraphDrawing",
    "Hunk",
    "Mark",
    "Node",
    "ReceiptRef",
    "Report",
    "TaskChange",
    "TaskPage",
    "Tick",
    "Timeline",
    "TimelineRow",
    "Tone",
    "VerdictRow",
    "Warned",
]


class Tone(StrEnum):
    """What a state means to a reader; drawn as colour, never as colour alone."""

    GOOD = "good"
    BAD = "bad"
    ASK = "ask"
    LIVE = "live"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A state: its word, one character for it, its tone."""

    word: str
    glyph: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a list of facts; `code`: a path, a commit or a command."""

    label: str
    text: str
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A warning, once, with the tasks it is about."""

    code: str
    text: str
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A success criterion; ticked only where a verdict on the final tree says that it is met."""

    text: str
    mark: Mark
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLine:
    """What a gate says of one tree. `where` is the point at which it ran, `said` why it is not green."""

    gate: str
    where: str
    mark: Mark
    took: str = ""
    attempt: int = 0
    tree: str = ""
    command: str = ""
    said: str = ""
    tail: str = ""
    log: str = ""
    cached: str = ""
    flaky: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    more_failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt; `how` is how its process ended, `claim` what the agent reported, `notes` what followed.

    `missing` is what the runtime says of an answer that is not there, or is none.
    """

    number: int
    role: str
    agent: str
    model: str
    mark: Mark
    how: str
    started_at: float
    took: str
    used: str
    claim: str = ""
    missing: str = ""
    notes: tuple[str, ...] = ()
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """A verdict that counted: for exactly this tree."""

    stage: str
    mark: Mark
    tree: str
    attempt: int
    agent: str
    model: str
    carried: bool = False
    criteria: tuple[tuple[str, bool, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A remark of a reviewer; `mark` is how it stands, `ruling` why it holds nothing up."""

    stage: str
    id: str
    severity: str
    mark: Mark
    claim: str
    place: str = ""
    clause: str = ""
    ruling: str = ""
    evidence: str = ""
    attempt: int = 0
    task: str = ""
    parked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A question and its answer; `answer` is empty while it waits."""

    id: str
    task: str
    kind: str
    question: str
    mark: Mark
    asked_at: float
    waited: str
    choices: tuple[str, ...] = ()
    command: str = ""
    answer: str = ""
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """Neighbouring lines of a patch of one kind: head, same, added, removed, note."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """What a change does to one file; `cut`: how many lines of the patch are not shown."""

    path: str
    what: str
    added: int = 0
    removed: int = 0
    binary: bool = False
    hunks: tuple[Hunk, ...] = ()
    cut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskChange:
    """The change of a task: what landed, or what was sealed last. `note` says what is not shown, and why."""

    landed: bool
    base: str
    commit: str
    files: tuple[FileDiff, ...] = ()
    note: str = ""

    @property
    def added(self) -> int:
        """Lines added."""
        return sum(file.added for file in self.files)

    @property
    def removed(self) -> int:
        """Lines removed."""
        return sum(file.removed for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRef:
    """Where the proof of what landed is."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """A command or acceptance criterion of a task as the plan has it."""

    text: str
    is_command: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """Everything about one task; `why` says in a sentence how it stands."""

    id: str
    anchor: str
    title: str
    mark: Mark
    reason: str
    why: str
    wave: int | None
    asked: tuple[tuple[str, str], ...] = ()
    checks: tuple[CheckRow, ...] = ()
    facts: tuple[Fact, ...] = ()
    files: tuple[str, ...] = ()
    attempts: tuple[AttemptRow, ...] = ()
    gates: tuple[GateLine, ...] = ()
    verdicts: tuple[VerdictRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    questions: tuple[Asking, ...] = ()
    test_changes: tuple[str, ...] = ()
    silenced: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[Warned, ...] = ()
    change: TaskChange | None = None
    receipt: ReceiptRef | None = None
    used: str = ""
    open: bool = False

    @property
    def flakes(self) -> tuple[tuple[str, str], ...]:
        """Tests that failed and then passed unchanged, with their gate."""
        return tuple(dict.fromkeys((test, line.gate) for line in self.gates for test in line.flaky))


# -- drawings -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A task in the graph: a box with its upper left corner at (x, y), in pixels."""

    anchor: str
    label: str
    title: str
    tip: str
    mark: Mark
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A dependency as a path of SVG, from the one that is needed to the one that needs it."""

    path: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDrawing:
    """The plan, from left to right; `dense`: boxes hold a letter and nothing else."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: float
    height: float
    box_width: float
    box_height: float
    dense: bool = False
    compact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of time in a row: from `x` over `width`, both percent; `lane` 1 is the thin one below."""

    x: float
    width: float
    kind: str
    tip: str
    lane: int = 0
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """The bars of one task, or of the run itself."""

    label: str
    anchor: str
    mark: Mark | None
    bars: tuple[Bar, ...]
    tip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on the time axis; `dense`: there is no room for its label on a narrow screen."""

    x: float
    label: str
    dense: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A stretch in which nothing was under way, drawn shorter than it was."""

    x: float
    width: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All rows on one axis; `kinds` are those that occur, `start` is where the axis begins."""

    rows: tuple[TimelineRow, ...]
    ticks: tuple[Tick, ...]
    breaks: tuple[Break, ...]
    kinds: tuple[str, ...]
    start: float
    hidden: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run. `said` is its state in whole sentences; `sandbox_warning` is there where no sandbox held the agents.

    `questions` are those about the run, `open_questions` all that an answer is heard to, also about tasks.
    """

    run: str
    plan: str
    goal: str
    mark: Mark
    said: tuple[str, ...]
    made_at: float
    started_at: float
    facts: tuple[Fact, ...]
    counts: tuple[tuple[Mark, int], ...]
    sandbox_warning: str = ""
    reviews_off: str = ""
    criteria: tuple[Criterion, ...] = ()
    warnings: tuple[Warned, ...] = ()
    tasks: tuple[TaskPage, ...] = ()
    graph: GraphDrawing | None = None
    timeline: Timeline | None = None
    attempts: tuple[AttemptRow, ...] = ()
    gates: tuple[GateLine, ...] = ()
    final_gates: tuple[GateLine, ...] = ()
    baseline: tuple[GateLine, ...] = ()
    verdicts: tuple[VerdictRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    parked: tuple[Finding, ...] = ()
    open_findings: tuple[Finding, ...] = ()
    questions: tuple[Asking, ...] = ()
    open_questions: tuple[Asking, ...] = ()
    notes: tuple[str, ...] = ()
    next_steps: tuple[tuple[str, str], ...] = ()
    receipt: ReceiptRef | None = None
    has_receipts: bool = False

    @property
    def flakes(self) -> tuple[tuple[str, str, str], ...]:
        """(task, test, gate) of everything that failed and then passed unchanged; the task is empty for the run."""
        run = [("", test, line.gate) for line in self.gates for test in line.flaky]
        return tuple(dict.fromkeys([*run, *((task.id, *flake) for task in self.tasks for flake in task.flakes)]))
