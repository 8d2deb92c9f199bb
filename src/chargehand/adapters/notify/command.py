"""A message given to a program of the user's."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters import process
from chargehand.adapters.notify.channel import NotTold
from chargehand.adapters.notify.message import fields
from chargehand.ports import Notice

__all__ = ["CommandChannel"]

_OUTPUT_BYTES = 64 * 1024
_SHOWN_BYTES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandChannel:
    """Implements `Channel` by one process per message: no shell, JSON on standard input, facts in `CHARGEHAND_*`.

    It is the user's own hook, outside every sandbox: it gets `env` whole, and `cwd` is where it starts and what a
    relative program with a slash counts from. Whatever it leaves running is ended with it.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    wall_s: float = 30.0
    name: str = "command"

    @property
    def _program(self) -> str:
        """`os.path.join`: pathlib would take the `./` away that keeps a name from being looked for on PATH."""
        program = self.argv[0]
        return os.path.join(self.cwd, program) if "/" in program else program  # noqa: PTH118

    def missing(self) -> str:
        """Whether the program is there."""
        found = shutil.which(self._program, path=self.env.get("PATH", ""))
        return "" if found else f"The program {self.argv[0]} was not found, or is not executable."

    async def send(self, notice: Notice) -> None:
        """Run the program; everything but exit 0 within `wall_s` is a failure."""
        with tempfile.TemporaryDirectory(prefix="chargehand-notify-") as folder:
            output = Path(folder) / "output"
            end = await process.run(
                process.ProcessSpec(
                    argv=(self._program, *self.argv[1:]),
                    cwd=self.cwd,
                    env={**self.env, **_variables(notice)},
                    stdin=json.dumps(fields(notice)).encode(),
                    stdout=output,
                    wall_s=self.wall_s,
                    output_bytes=_OUTPUT_BYTES,
                )
            )
            if end.kind is process.EndKind.EXITED and end.code == 0:
                return
            said = _tail(output)
        raise NotTold(f"{end.kind} {end.code} {end.signal}", f"{self.argv[0]} {_how(end, self.wall_s)}{said}")


def _variables(notice: Notice) -> dict[str, str]:
    return {
        "CHARGEHAND_NOTICE": notice.kind.value,
        "CHARGEHAND_RUN": notice.run,
        "CHARGEHAND_TASK": notice.task,
        "CHARGEHAND_DECISION": notice.decision,
        "CHARGEHAND_TITLE": notice.title,
    }


def _how(end: process.ProcessEnd, wall_s: float) -> str:
    if end.kind is process.EndKind.NOT_STARTED:
        return f"could not be started: {end.detail}"
    if end.kind is process.EndKind.TIMEOUT:
        return f"did not end within {wall_s:g} s."
    return f"ended with signal {end.signal}." if end.signal else f"ended with exit code {end.code}."


def _tail(output: Path) -> str:
    """The end of what it printed. Untrusted; the fan cleans it."""
    try:
        said = output.read_bytes()[-_SHOWN_BYTES:].decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return f" It printed: {said}" if said else ""
