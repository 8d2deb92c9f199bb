"""The native plan format as models: one class per mapping of SPEC 2.1, one field per key.

A field that is None was not stated (an empty value counts as not stated); `plans.native` turns the models into
`chargehand.domain.plan` values and fills in what is left out. The descriptions are those of the JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chargehand.domain.plan import Barrier, Complexity, GatePoint, Mode, Scope, TaskType, Weight
from chargehand.plans.fields import Count, Duration, EnvName, Flag, Model, Money, ShellOrArgv, Version, WaveNumber

__all__ = [
    "ID_PATTERN",
    "PROFILES",
    "SLUG_PATTERN",
    "DefaultsModel",
    "EnvModel",
    "FeaturesModel",
    "FilesModel",
    "GateModel",
    "InterfacesModel",
    "LimitsModel",
    "PlanModel",
    "RiskModel",
    "SetupModel",
    "TaskModel",
]

SLUG_PATTERN = r"^[a-z0-9][a-z0-9-]{0,63}$"
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
PROFILES = ("house", "konductor", "dispatch", "factory-line", "task-executor", "sendit")

Profile = Literal["house", "konductor", "dispatch", "factory-line", "task-executor", "sendit"]
Slug = Annotated[str, Field(json_schema_extra={"pattern": SLUG_PATTERN})]
Id = Annotated[str, Field(json_schema_extra={"pattern": ID_PATTERN})]
Texts = list[str] | None
Paths = list[str] | None


class RiskModel(Model):
    """A known risk."""

    risk: str = Field(description="What may go wrong.")
    mitigation: str | None = Field(None, description="What is to be done about it.")


class FeaturesModel(Model):
    """Switches of the run."""

    code_review: Flag | None = Field(None, description="Review every task. Default: true.")
    holistic: Flag | None = Field(None, description="Review the whole once all tasks are integrated. Default: true.")


class SetupModel(Model):
    """How a fresh checkout is made ready."""

    run: ShellOrArgv = Field(description="The command; it runs once per content of the `key` files.")
    key: Paths = Field(None, description="Files whose content decides whether the command must run again.")
    keep: Paths = Field(None, description="Patterns of what the command makes and cleaning leaves alone.")


class EnvModel(Model):
    """The environment of agents, gates and setup."""

    pass_: list[EnvName] | None = Field(None, alias="pass", description="Names of variables that are passed on.")
    set_: dict[EnvName, str] | None = Field(None, alias="set", description="Variables and the values they get.")


class LimitsModel(Model):
    """Bounds of one attempt; what is left out is taken from the settings."""

    wall: Duration | None = Field(None, description="Longest duration of an attempt.")
    idle: Duration | None = Field(None, description="Longest silence: no output, no CPU time, no file change.")
    tokens: Count | None = Field(None, description="Tokens an attempt may use.")
    usd: Money | None = Field(None, description="US dollars an attempt may cost.")


class DefaultsModel(Model):
    """What a task takes where it says nothing itself."""

    agent: str | None = Field(None, description="Name of the agent that implements.")
    reviewer: str | None = Field(None, description="Name of the agent that reviews.")
    model: str | None = Field(None, description="Model name, passed to the agent as it is.")
    weight: Weight | None = Field(None, description="How much context and review. Default: full.")
    mode: Mode | None = Field(None, description="`sequential`: nothing else runs beside the task. Default: parallel.")
    limits: LimitsModel | None = Field(None, description="Bounds of an attempt.")


class GateModel(Model):
    """A deterministic check of a tree; exit 0 passes."""

    id: Id = Field(description="Unique name of the gate.")
    run: ShellOrArgv = Field(description="The command: a list is an argv, a text is run by `sh -c`.")
    on: list[GatePoint] | None = Field(
        None, min_length=1, description="When it runs: task, integrate, wave, run. Default: [integrate, run]."
    )
    wall: Duration | None = Field(None, description="Longest duration. Default: the cap `gate_wall` of the settings.")
    idle: Duration | None = Field(None, description="Longest silence. Default: no bound.")
    fix: ShellOrArgv | None = Field(None, description="A command tried once on the changed files before any fixer.")
    junit: Flag | None = Field(None, description="The command writes JUnit XML to $CHARGEHAND_JUNIT. Default: false.")


class FilesModel(Model):
    """The paths of a task: gitwildmatch patterns relative to the repository root."""

    create: Paths = Field(None, description="Files the task makes; every plain path must exist at the end.")
    modify: Paths = Field(None, description="Files the task may change.")
    test: Paths = Field(None, description="Test files the task may make or change.")
    read: Paths = Field(None, description="Files the agent should read.")


class InterfacesModel(Model):
    """What a task needs from other tasks and offers to them."""

    consumes: Texts = Field(None, description="Interfaces the task uses.")
    produces: Texts = Field(None, description="Interfaces the task makes.")


class TaskModel(Model):
    """One unit of work."""

    id: Id = Field(description="Unique name of the task.")
    title: str = Field(description="One line: what the task is.")
    description: str | None = Field(None, description="What to build.")
    approach: str | None = Field(None, description="The approach agreed before execution.")
    depends_on: list[str] | None = Field(None, description="Ids of tasks that must be integrated before.")
    wave: WaveNumber | None = Field(None, description="Number of its wave, from 1. Default: follows from depends_on.")
    files: FilesModel | None = Field(None, description="Its paths. Left out: the task is unscoped.")
    scope: Scope | None = Field(
        None,
        description="A change outside the files: `strict` fails, `review` asks the reviewer, `lease` takes it: the "
        "files only say what runs one after the other. Default: strict.",
    )
    acceptance: Texts = Field(None, description="Criteria the result has to meet.")
    verify: list[ShellOrArgv] | None = Field(None, description="Commands that must exit 0 on the result.")
    interfaces: InterfacesModel | None = Field(None, description="What it consumes and produces.")
    type: TaskType | None = Field(None, description="`tdd`: tests first, seen to fail. Default: execute.")
    weight: Weight | None = Field(None, description="How much context and review. Default: that of `defaults`.")
    complexity: Complexity | None = Field(None, description="Drives review depth. Default: simple.")
    needs_human: Flag | None = Field(None, description="Ask a human before the task starts. Default: false.")
    allow_empty: Flag | None = Field(None, description="An unchanged tree may be success. Default: false.")
    allow_test_changes: Flag | None = Field(
        None, description="The task may change, skip or delete tests that it does not list. Default: false."
    )
    overlay: Flag | None = Field(None, description="Also run the base's version of existing tests. Default: false.")
    mandates: Texts = Field(None, description="Tool mandates, word by word into the brief.")
    agent: str | None = Field(None, description="Name of the agent. Default: that of `defaults`.")
    model: str | None = Field(None, description="Model name. Default: that of `defaults`.")
    reviewer: str | None = Field(None, description="Name of the reviewing agent. Default: that of `defaults`.")
    limits: LimitsModel | None = Field(None, description="Bounds of an attempt. Default: those of `defaults`.")
    mode: Mode | None = Field(None, description="`sequential`: runs alone. Default: that of `defaults`.")


class PlanModel(Model):
    """A Chargehand plan: an immutable task graph with its policy."""

    chargehand: Version = Field(description="Version of the format: 1.")
    plan: Slug = Field(description="Name of the plan.")
    goal: str | None = Field(None, description="What is true when the plan is done.")
    profile: Profile | None = Field(None, description="How the run behaves. Default: house.")
    barrier: Barrier | None = Field(
        None, description="`wave`: a wave ends before the next begins. Default: none, only dependencies count."
    )
    success_criteria: Texts = Field(None, description="Ticked in the final report.")
    risks: list[RiskModel] | None = Field(None, description="Known risks; the relevant ones reach the briefs.")
    features: FeaturesModel | None = Field(None, description="Switches of the run.")
    setup: SetupModel | None = Field(None, description="How a fresh checkout is made ready.")
    env: EnvModel | None = Field(None, description="The environment of agents, gates and setup.")
    allowlist: Paths = Field(None, description="Patterns of paths that any task may change.")
    allow_red: Texts = Field(None, description="Ids of gates that may be red at the end.")
    defaults: DefaultsModel | None = Field(None, description="What a task takes where it says nothing itself.")
    gates: list[GateModel] | None = Field(None, description="Checks of a tree.")
    tasks: list[TaskModel] | None = Field(None, description="The tasks; their order breaks ties of the schedule.")
