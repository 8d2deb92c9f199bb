"""Attempts and the programs that make them: fleets and agents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from chargehand.domain.events import Event
from chargehand.domain.outcome import (
    AttemptResult,
    Role,
)
from chargehand.domain.plan import Command, EnvSpec, SetupSpec

__all__ = [
    "Agent",
    "AttemptSpec",
    "Fleet",
    "Launch",
    "Left",
    "MeterAccess",
    "OnOutput",
    "OwnReport",
    "Places",
    "Recovered",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSpec:
    """Everything a fleet needs for one attempt, by value: never a local path of the coordinator.

    `key` is unique in the run; `previous` is (base, commit) of the attempt before, shown as a patch;
    `ref` keeps what is sealed; `declared` are the write patterns of the task (sealed even when ignored), `reads`
    what it names for reading (given as context on demand); `agent` names an agent of the settings; `inputs` are
    (path, text) of plan and spec files copied read-only and never sealed; nor is what matches one of the patterns
    `artifacts`. `session` names an earlier conversation of
    the agent that is gone on with; `turns`, `tokens` and `usd` bound what it may use (None: no bound of this kind).
    `ruled` is what people said of dangerous commands before it starts: the exact text, and whether it may run, once.
    Those who only look (`outcome.LOOKERS`) get a copy of `commit`, whose tree is `tree`, that is thrown away; `since`
    is where the difference begins that they are shown (empty: `base`). `gate` is what a fitter is asked about.
    `forbidden` are commands that the agent may not run, nor what else runs the same tool. `origin` is where the whole
    change began, for an attempt that goes on from what was sealed before (`Sealed.whole`); else empty.
    """

    key: str
    run: str
    task: str
    attempt: int
    role: Role
    base: str
    title: str
    brief: str
    agent: str
    model: str | None = None
    wall_s: float = 1800.0
    idle_s: float | None = 300.0
    previous: tuple[str, str] | None = None
    ref: str = ""
    declared: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    env: EnvSpec = EnvSpec()
    setup: SetupSpec | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    artifacts: tuple[str, ...] = ()
    session: str = ""
    turns: int | None = None
    tokens: int | None = None
    usd: float | None = None
    ruled: tuple[tuple[str, bool], ...] = ()
    commit: str = ""
    tree: str = ""
    since: str = ""
    gate: str = ""
    forbidden: tuple[Command, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What an attempt at a task left where its plan's own system wants a report: untrusted, of bounded size.

    `files` are the contents by path, of those alone that differ from `before`, which is what was there when the agent
    started. `unread` says of a path why it cannot be read. `said` is the end of its last message.
    """

    task: str
    said: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    before: Mapping[str, bytes] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


class OwnReport(Protocol):
    """Reads reports in the form of another system; pure. It is asked where an agent wrote none of ours (SPEC 3.6)."""

    def paths(self, task: str) -> tuple[str, ...]:
        """Where the agent of a task would write it, relative to the work tree; none when only its message counts."""
        ...

    def read(self, left: Left) -> Mapping[str, object] | str | None:
        """An object as in `chargehand-report/1`; one sentence that says what is wrong; or None: there is no report."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a fleet found of the attempts of a dead holder.

    `results` are attempts that had come to their end, and were sealed, before anybody could record it, by key;
    `told` says in words what was ended, rescued or kept.
    """

    results: Mapping[str, AttemptResult] = field(default_factory=dict)
    told: tuple[str, ...] = ()


class Fleet(Protocol):
    """Carries attempts out, here or on other machines."""

    async def submit(self, spec: AttemptSpec) -> None:
        """Start the attempt; a second submit with the same key is the same attempt."""
        ...

    async def wait(self, key: str) -> AttemptResult:
        """Wait for a submitted attempt; every ending is a result, sealed where anything could be sealed."""
        ...

    async def cancel(self, key: str, *, now: bool = False) -> None:
        """End the attempt and every process of it (INT, TERM, KILL; `now`: KILL); `wait` tells CANCELLED."""
        ...

    def listen(self, asked: Callable[[Event], None]) -> None:
        """Call `asked` with `CommandAsked` when a live attempt is held at a command, `CommandDropped` when it gave up.

        In the running event loop, until the fleet is left.
        """
        ...

    def rule(self, call: str, *, allow: bool, text: str) -> None:
        """Let a held call go on, or refuse it; `text` is told to the agent. A call that nobody holds is harmless."""
        ...

    async def recover(self, run: str, keys: Collection[str]) -> Recovered:
        """After a crash: end what still runs for `run`, and rescue what its workspaces hold.

        `keys` are the attempts whose outcome was never recorded.
        """
        ...

    async def close(self) -> None:
        """End every live attempt, keep what it left, give up what attempts had in common; harmless when repeated."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterAccess:
    """How one attempt reaches its model provider through the meter.

    `base_url` is `http://127.0.0.1:PORT/t/TOKEN`, without a slash at its end; below it lie the paths of the provider's
    own interface (`/v1/messages`, `/v1/responses`, `/v1beta/models/…`). `token` is what the agent takes for its key.
    """

    base_url: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Folders and files of one attempt on this machine; all absolute, the same inside a sandbox.

    `meter` is how the agent reaches its provider; None: directly. `hook` is the argv of the program that its program
    asks before each tool call; empty: there is none.
    """

    workspace: Path
    home: Path
    tmp: Path
    scratch: Path
    brief: Path
    result: Path
    previous: Path | None = None
    diff: Path | None = None
    port_base: int = 0
    meter: MeterAccess | None = None
    hook: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How an agent program is started; `env` is added to the environment of the attempt.

    `keys` adds variables whose value only the runtime knows: name in the attempt → name in the environment that
    Chargehand was started with. `home` are files (path below HOME → text) that are written before the start. `session`
    names the conversation where its name is chosen before it begins. `mode` is the mode that the program is asked to
    run in, where its stream says which one it ran in.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: bytes = b""
    keys: Mapping[str, str] = field(default_factory=dict)
    home: Mapping[str, str] = field(default_factory=dict)
    session: str = ""
    mode: str = ""


class Agent(Protocol):
    """An adapter to a coding-agent program."""

    @property
    def name(self) -> str:
        """The name used in plans and settings."""
        ...

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:
        """The program, its arguments and its input for one attempt."""
        ...

    def missing(self) -> str:
        """Why the program cannot be run here, or an empty string."""
        ...


OnOutput = Callable[[str, str], None]
"""Told the key of an attempt or gate job and the last line it printed."""
