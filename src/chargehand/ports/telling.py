"""Agents that tell what they do while they do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from chargehand.domain.outcome import (
    ExitKind,
)
from chargehand.ports.attempts import Agent

__all__ = [
    "AgentEvent",
    "Capabilities",
    "EventKind",
    "EventReader",
    "ModelUsage",
    "StreamAgent",
    "StreamEnd",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a program can do, and what its driver can tell about it.

    `dialect` is how it speaks to its provider (a value of `dialects.Dialect`; empty: not known). `resume`: a session
    can be gone on with by its id; `sums`: what it then tells of tokens counts the session from its beginning. `turns`
    and `usd`: it bounds them itself. `calls`: tool calls are told. `tokens` and `cost`: it tells what it used. `hook`:
    it asks a program of ours before each tool call, in the form of the program named. `login` are the files below
    HOME that hold a login.
    """

    dialect: str = ""
    resume: bool = False
    sums: bool = False
    turns: bool = False
    usd: bool = False
    calls: bool = False
    tokens: bool = False
    cost: bool = False
    hook: str = ""
    login: tuple[str, ...] = ()


class EventKind(StrEnum):
    """What an agent tells while it works."""

    STARTED = "started"  # `text` is the model, as far as it is told
    TEXT = "text"  # words to its reader
    CALL = "call"  # a tool is called; `text` is the command, the path or the like
    RESULT = "result"  # what a tool answered
    DENIED = "denied"  # a tool call that was refused; `text` as in CALL
    RETRY = "retry"  # the provider failed, and is asked again
    ERROR = "error"
    USED = "used"  # `usage` has grown


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """What one process used, as its program tells it. `input_tokens` counts those from the cache, too."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEvent:
    """One thing an agent tells of itself: untrusted text, never evidence [I6].

    `call` joins a RESULT to its CALL; `failed` marks a RESULT of a tool that failed; `usage` is what was used so far.
    """

    kind: EventKind
    text: str = ""
    tool: str = ""
    call: str = ""
    failed: bool = False
    usage: ModelUsage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """What a program's stream comes to, once it has ended.

    `final_text` is its last message. `exit_kind` says how it really ended where the exit code does not: RATE_LIMITED
    or PROVIDER_DOWN (`retry_at` is a stated reset, seconds since the epoch), ENV_MISSING for a refused login,
    OVER_BUDGET for a limit of its own; None: the process speaks for itself. `failed`: the program tells of a failure,
    whatever its exit code. `detail` is a sentence for a human. `denials` are the tool calls that were refused. `model`
    and `mode` are what it says it ran with; empty where it says nothing.
    """

    final_text: str = ""
    session: str = ""
    model: str = ""
    mode: str = ""
    usage: ModelUsage | None = None
    exit_kind: ExitKind | None = None
    retry_at: float | None = None
    failed: bool = False
    detail: str = ""
    denials: tuple[str, ...] = ()


class EventReader(Protocol):
    """Reads the output of one process. Whatever the process prints, nothing here raises."""

    def feed(self, line: str) -> Sequence[AgentEvent]:
        """What one line of standard output tells, without its line end."""
        ...

    def conclude(self, code: int | None, signal: int | None) -> StreamEnd:
        """What all of it came to; `code` and `signal` are those of the process. Called once, after the last line."""
        ...


class StreamAgent(Agent, Protocol):
    """An agent whose program tells on standard output, line by line, what it does."""

    @property
    def capabilities(self) -> Capabilities:
        """What the program can do."""
        ...

    def reader(self) -> EventReader:
        """A reader for one process."""
        ...
