"""One program of a run, confined and bounded: what agents, gates, setup and syntax checks have in common."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.adapters.folders import Room
from chargehand.adapters.process import SANDBOX_FAILED, EndKind, ProcessEnd, ProcessSpec, Running, start
from chargehand.adapters.sandbox import Confinement, Sandbox
from chargehand.adapters.text import clean_text
from chargehand.domain.plan import Command
from chargehand.domain.secrecy import Vault

__all__ = ["LINE_PAUSE_S", "Call", "Confined", "mark_of", "substitute", "tell_lines"]

LINE_PAUSE_S = 0.2
"""How often at most a listener is told the last line of output."""

SANDBOX_TRIES = 3

_NAMES = "JUNIT|TREE|BASE|SCRATCH|PORT_BASE"
_VARIABLE = re.compile(rf"\$(?:\{{(CHARGEHAND_(?:{_NAMES}))\}}|(CHARGEHAND_(?:{_NAMES}))(?![A-Za-z0-9_]))")


def mark_of(folder: Path) -> str:
    """What marks every process of a run: its folder, since runs of other repositories may have the same id."""
    return hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:24]


def substitute(command: Command, env: Mapping[str, str]) -> tuple[str, ...]:
    """The argv of a command of a plan; in a list the five `$CHARGEHAND_…` names are replaced, nothing else (SPEC 2.1).

    In a string the shell does it: the same names stand in the environment.
    """
    argv = command.to_argv()
    if command.shell:
        return argv
    return tuple(_VARIABLE.sub(lambda found: env.get(found[1] or found[2], found[0]), word) for word in argv)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One program to be run in a workspace.

    `stdout` and `stderr` are files (None: the same one). `attend` runs beside the program and ends with it.
    `done` and `grace_s` are for programs that report, `tap` for listening, `vault` for what must not be written down
    (see `ProcessSpec`). `readable` are more paths that it may read, `also` programs that it starts itself. `front` is
    the argv of a program that becomes it, and is started in its place.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    workspace: Path
    room: Room
    stdout: Path
    stderr: Path | None = None
    stdin: bytes = b""
    wall_s: float
    idle_s: float | None = None
    marker: str = ""
    done: Path | None = None
    grace_s: float = 10.0
    attend: Callable[[Running], Awaitable[None]] | None = None
    tap: Callable[[bytes], None] | None = None
    vault: Vault | None = None
    readable: tuple[Path, ...] = ()
    also: tuple[str, ...] = ()
    front: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confined:
    """The bounds that every program of one kind has.

    `hidden` is what belongs to the user (work tree, git directory), `readable` and `writable` what every program may
    read and write besides its workspace and its room; `network` is `open` or `none`.
    """

    sandbox: Sandbox
    hidden: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    network: str = "open"
    output_bytes: int = 64 * 1024 * 1024
    disk_bytes: int | None = 10 * 1024**3

    async def run(self, call: Call) -> ProcessEnd:
        """Run it to its end; when the caller is cancelled its whole tree is killed first [I11].

        NOT_STARTED says in `detail` why, in the words of the sandbox when it is the reason.
        """
        confinement = Confinement(
            workspace=call.workspace,
            writable=(*call.room.writable, *self.writable),
            readable=(call.room.given, *call.readable, *self.readable),
            hidden=self.hidden,
            env=call.env,
            network=self.network,
            also=(*call.also, *(call.argv[:1] if call.front else ())),
        )
        argv = call.argv
        if call.front and not self.sandbox.explain(argv[0], confinement):  # else it is refused in its own name
            argv = (*call.front, *argv)
        for _ in range(SANDBOX_TRIES):
            running = await start(self._spec(call, self.sandbox.wrap(argv, confinement)))
            end = await _attended(running, call.attend)
            if not _sandbox_failed(end):
                break
        if end.kind is EndKind.NOT_STARTED and not _sandbox_failed(end):
            why = self.sandbox.explain(call.argv[0], confinement) if call.argv else ""
            end = replace(end, detail=why or end.detail)
        return end

    def _spec(self, call: Call, argv: tuple[str, ...]) -> ProcessSpec:
        return ProcessSpec(
            argv=argv,
            cwd=call.workspace,
            env=call.env,
            stdin=call.stdin,
            stdout=call.stdout,
            stderr=call.stderr,
            wall_s=call.wall_s,
            idle_s=call.idle_s,
            watch=(call.workspace, *call.room.writable),
            output_bytes=self.output_bytes,
            disk_bytes=self.disk_bytes,
            done=call.done,
            done_grace_s=call.grace_s,
            marker=call.marker,
            tap=call.tap,
            vault=call.vault,
        )


def _sandbox_failed(end: ProcessEnd) -> bool:
    """Whether bubblewrap failed itself: the machine may change while it is set up, so it is tried again."""
    return end.kind is EndKind.NOT_STARTED and end.detail.startswith(SANDBOX_FAILED)


async def _attended(running: Running, attend: Callable[[Running], Awaitable[None]] | None) -> ProcessEnd:
    beside = None if attend is None else asyncio.ensure_future(attend(running))
    try:
        return await running.wait()
    except asyncio.CancelledError:
        await running.stop(now=True)
        raise
    finally:
        if beside is not None:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)  # a display that fails fails no program


async def tell_lines(running: Running, tell: Callable[[str], None]) -> None:
    """Tell the last line of output whenever there is a new one, a few times a second at most."""
    told = 0.0
    while True:
        await asyncio.sleep(LINE_PAUSE_S)
        if running.last_output_at != told:
            told = running.last_output_at
            line = clean_text(running.last_line).strip()[:500]
            if line:
                tell(line)
