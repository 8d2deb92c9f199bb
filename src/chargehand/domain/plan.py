"""The plan: an immutable task graph with its policy (SPEC 2.1).

Values only. Reading a plan file is the work of `chargehand.plans`; checking one is `domain.check`.
Durations are seconds, paths are gitwildmatch patterns relative to the repository root.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "Barrier",
    "Command",
    "Complexity",
    "Defaults",
    "EnvSpec",
    "Features",
    "Files",
    "GatePoint",
    "GateSpec",
    "Interfaces",
    "Limits",
    "Mode",
    "Plan",
    "Risk",
    "Scope",
    "SetupSpec",
    "Task",
    "TaskType",
    "Weight",
]


class Barrier(StrEnum):
    """What holds tasks back besides their dependencies."""

    NONE = "none"
    WAVE = "wave"


class GatePoint(StrEnum):
    """Where a gate runs: on a sealed attempt, a merge candidate, a finished wave, the final tree."""

    TASK = "task"
    INTEGRATE = "integrate"
    WAVE = "wave"
    RUN = "run"


class Scope(StrEnum):
    """What a change outside the declared files is: a failure, a question for the reviewer, or part of the work."""

    STRICT = "strict"
    REVIEW = "review"
    LEASE = "lease"


class TaskType(StrEnum):
    """`tdd` asks for tests first; `execute` does not."""

    EXECUTE = "execute"
    TDD = "tdd"


class Weight(StrEnum):
    """How much context and review a task gets."""

    LIGHT = "light"
    FULL = "full"


class Complexity(StrEnum):
    """Drives review depth."""

    TRIVIAL = "trivial"
    SIMPLE = "simple"
    MODERATE = "moderate"


class Mode(StrEnum):
    """`sequential`: no other task of the run is live beside this one."""

    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of a plan: a list is an argv; a string is run by `sh -c` (SPEC 2.1)."""

    argv: tuple[str, ...]
    shell: bool = False

    @property
    def text(self) -> str:
        """The command as a person would read it."""
        return self.argv[0] if self.shell else " ".join(self.argv)

    def to_argv(self) -> tuple[str, ...]:
        """What is executed, before `$CHARGEHAND_…` substitution."""
        return ("sh", "-c", self.argv[0]) if self.shell else self.argv


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one attempt; None means the default of the settings."""

    wall_s: float | None = None
    idle_s: float | None = None
    tokens: int | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpec:
    """A deterministic check of a tree."""

    id: str
    run: Command
    on: frozenset[GatePoint] = frozenset({GatePoint.INTEGRATE, GatePoint.RUN})
    wall_s: float | None = None
    idle_s: float | None = None
    fix: Command | None = None
    junit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupSpec:
    """Prepares a checkout; run once per content of `key`; `keep` survives cleaning."""

    run: Command
    key: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvSpec:
    """Environment of agents, gates and setup: names passed on, and values set."""

    passed: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Declared paths of a task; all but `read` are its write patterns."""

    create: tuple[str, ...] = ()
    modify: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    read: tuple[str, ...] = ()

    @property
    def writes(self) -> tuple[str, ...]:
        """The patterns the task may change: its scope, and its lease."""
        return (*self.create, *self.modify, *self.test)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interfaces:
    """What a task needs from, and offers to, other tasks."""

    consumes: tuple[str, ...] = ()
    produces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """A known risk and what is to be done about it."""

    risk: str
    mitigation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Switches of a plan."""

    code_review: bool = True
    holistic: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a task takes where it says nothing itself; `jobs` bounds how many tasks of the plan are live at once."""

    agent: str | None = None
    reviewer: str | None = None
    model: str | None = None
    weight: Weight = Weight.FULL
    mode: Mode = Mode.PARALLEL
    limits: Limits = Limits()
    jobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One unit of work. `files` None means unscoped; `agent`, `model`, `reviewer` None mean the default.

    With `Scope.LEASE` the files only say which tasks run one after the other.

    `background` is (title, text) of what a plan of another system says goes into the brief besides: summaries of
    finished work, a spec, a named file. The native format has none. Nor has it `may_excuse`: where silenced checks
    fail, this task may still switch rules off for single files or modules in configuration. Nor `group`: tasks of one
    group land as one, merged in plan order, gated once, with one movement of the branch (`domain.train`).
    Nor `reviewed`: whether its change is reviewed, where that does not follow from weight and complexity. Nor
    `forbidden`: commands that its author may not run; they, and whatever else runs the same tool, are denied.
    """

    id: str
    title: str
    description: str = ""
    approach: str = ""
    depends_on: tuple[str, ...] = ()
    wave: int | None = None
    files: Files | None = None
    scope: Scope = Scope.STRICT
    acceptance: tuple[str, ...] = ()
    verify: tuple[Command, ...] = ()
    interfaces: Interfaces = Interfaces()
    type: TaskType = TaskType.EXECUTE
    weight: Weight = Weight.FULL
    complexity: Complexity = Complexity.SIMPLE
    needs_human: bool = False
    allow_empty: bool = False
    allow_test_changes: bool = False
    overlay: bool = False
    mandates: tuple[str, ...] = ()
    agent: str | None = None
    model: str | None = None
    reviewer: str | None = None
    limits: Limits = Limits()
    mode: Mode = Mode.PARALLEL
    background: tuple[tuple[str, str], ...] = ()
    may_excuse: bool = False
    group: str | None = None
    reviewed: bool | None = None
    forbidden: tuple[Command, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A checked task graph. `tasks` keep the order of the source: it breaks ties of the schedule.

    `inferred` are the tasks whose dependencies are the order in which a plan of another system lists them; steps of
    one unit, they may share its wave, and a unit that was begun goes on before another one begins. `accept_staged`:
    `accept` leaves the change staged and makes no commit of it.
    """

    plan: str
    tasks: tuple[Task, ...]
    goal: str = ""
    profile: str = "house"
    barrier: Barrier = Barrier.NONE
    success_criteria: tuple[str, ...] = ()
    risks: tuple[Risk, ...] = ()
    features: Features = Features()
    setup: SetupSpec | None = None
    env: EnvSpec = EnvSpec()
    allowlist: tuple[str, ...] = ()
    allow_red: tuple[str, ...] = ()
    defaults: Defaults = Defaults()
    gates: tuple[GateSpec, ...] = ()
    inferred: tuple[str, ...] = field(default=())
    accept_staged: bool = False

    def gates_on(self, point: GatePoint) -> tuple[GateSpec, ...]:
        """The gates that run at `point`, in plan order."""
        return tuple(gate for gate in self.gates if point in gate.on)
