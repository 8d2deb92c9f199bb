"""What the settings came to: typed values, each with the place it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from chargehand.domain.options import AgentDef, Caps
from chargehand.domain.plan import Barrier, Command, EnvSpec, GateSpec, Limits, Mode, SetupSpec, Weight
from chargehand.domain.problem import Problem

__all__ = ["Commands", "Defaults", "Metering", "Notify", "Rank", "Sandbox", "Settings", "Value"]


class Rank(IntEnum):
    """The sources, weakest first. What ranks above `PROJECT` also goes before what a plan says for all its tasks."""

    BUILT_IN = 0
    USER = 1
    PROJECT = 2
    ENVIRONMENT = 3
    SET = 4
    FLAG = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One setting: dotted key, value as the program uses it, value as it was written, and where that was."""

    key: str
    value: Any
    shown: str
    source: str
    rank: Rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Build and test commands for systems whose plans name none; `approved` are commands that need no further yes."""

    build: Command | None = None
    test: Command | None = None
    approved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What holds agents: `kind` auto, bwrap, landlock or none; `network` open, meter or none."""

    kind: str = "auto"
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    network: str = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """Files of the meter: a price table, and a cassette that is recorded to, or one that is played from."""

    prices: Path | None = None
    record: Path | None = None
    replay: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """How people are told. `webhook` is the URL itself, a secret; `command` never a shell line."""

    bell: bool = False
    desktop: bool = False
    webhook: str | None = field(default=None, repr=False)
    command: Command | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a task takes where neither it nor its plan says; None is not set."""

    agent: str | None = None
    reviewer: str | None = None
    model: str | None = None
    weight: Weight | None = None
    mode: Mode | None = None
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that is configured, from all sources (SPEC 10.2). None is not set.

    `agent` and `reviewer` already are those of `[defaults]` where the top level names none. `setup`, `env` and
    `gates` are what the settings say; `settings.merge_into` joins them with a plan.
    """

    jobs: int = 4
    agent: str | None = None
    reviewer: str | None = None
    agent_command: str | None = None
    reviewer_command: str | None = None
    profile: str | None = None
    barrier: Barrier | None = None
    unattended: bool = False
    accept: bool = False
    state_dir: Path | None = None
    rescue_days: int = 30
    secrets_allow: tuple[str, ...] = ()
    spare_bytes: int = 1024**3
    gate_cache: bool = True
    gate_cache_days: int = 7
    defaults: Defaults = Defaults()
    code_review: bool | None = None
    holistic: bool | None = None
    gates: tuple[GateSpec, ...] = ()
    setup: SetupSpec | None = None
    env: EnvSpec = EnvSpec()
    commands: Commands = Commands()
    sandbox: Sandbox = Sandbox()
    agents: tuple[AgentDef, ...] = ()
    meter: Metering = Metering()
    caps: Caps = Caps()
    notify: Notify = Notify()
    values: Mapping[str, Value] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    def rank(self, key: str) -> Rank:
        """Where the value of a key comes from."""
        found = self.values.get(key)
        return found.rank if found else Rank.BUILT_IN

    def explain(self) -> tuple[tuple[str, str, str], ...]:
        """Every setting as (key, value, source), in the order of the table of options, for `chargehand config`."""
        return tuple((value.key, value.shown, value.source) for value in self.values.values())
