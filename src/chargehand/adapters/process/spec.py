"""What the process door is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from chargehand.domain.secrecy import Vault

__all__ = ["MARKER_VARIABLE", "SANDBOX_FAILED", "Captured", "EndKind", "ProcessEnd", "ProcessSpec"]

MARKER_VARIABLE = "CHARGEHAND_MARKER"


class EndKind(StrEnum):
    """How a process came to its end."""

    EXITED = "exited"  # by itself: `code` or `signal` says how
    TIMEOUT = "timeout"  # the wall budget was used up
    STALL = "stall"  # the silence budget was used up
    CANCELLED = "cancelled"  # somebody called stop()
    LINGERED = "lingered"  # had reported, did not end within the grace
    NOT_STARTED = "not_started"  # the program could not be executed
    OVER_DISK = "over_disk"  # what lies below `watch` grew over `disk_bytes`


SANDBOX_FAILED = "The sandbox could not be made"
"""How the detail of NOT_STARTED begins when the sandbox itself failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One process to be run inside its bounds (SPEC 3.5 and 5).

    `env` is the whole environment, nothing is inherited. `stdin` is read by the program, then EOF. `stdout` and
    `stderr` are files to be written (`stderr=None`: into the same file), each of at most `output_bytes` and a
    line that says how much of the middle was dropped. `idle_s` bounds the time without output, without CPU time
    in the tree and without a change below `watch`. When the path `done` exists the process has `done_grace_s`
    to end by itself. `marker` finds leftovers after a crash (`kill_leftovers`). `tap` is told every piece of standard
    output as it comes, in the event loop, so it must be quick, and must not raise. The secrets of `vault` never get
    into the files or into `last_line`; `tap` is told everything.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    stdin: bytes = b""
    stdout: Path
    stderr: Path | None = None
    wall_s: float
    idle_s: float | None = None
    watch: tuple[Path, ...] = ()
    output_bytes: int = 64 * 1024 * 1024
    disk_bytes: int | None = None
    done: Path | None = None
    done_grace_s: float = 10.0
    marker: str = ""
    tap: Callable[[bytes], None] | None = None
    vault: Vault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEnd:
    """How it ended; `code` and `signal` are those of the program itself, both None when it never ran."""

    kind: EndKind
    code: int | None = None
    signal: int | None = None
    wall_s: float = 0.0
    dropped_bytes: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a short helper answered; a fatal signal n is the code -n."""

    code: int
    stdout: bytes
    stderr: bytes
