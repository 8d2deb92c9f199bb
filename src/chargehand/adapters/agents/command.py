"""The agent that is any command line: the contract of SPEC 3.5 and nothing else."""

from __future__ import annotations

import os
import shlex
import shutil

from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.ports import AttemptSpec, Launch, Places

__all__ = ["CommandAgent"]


class CommandAgent:
    """Implements `ports.Agent`: the command as given, the brief on its input."""

    def __init__(self, definition: AgentDef) -> None:
        self.name = definition.name
        self._argv = _argv(definition)

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:  # noqa: ARG002
        """The same command for every attempt."""
        return Launch(argv=self._argv, env={}, stdin=spec.brief.encode("utf-8", "replace"))

    def missing(self) -> str:
        """Why the program cannot be run, judged by the PATH that is passed on to it."""
        program = self._argv[0]
        if "/" not in program:
            return "" if shutil.which(program) else f"The program `{program}` is not on PATH."
        if not os.path.lexists(program):
            return f"There is no program {program}."
        if not os.path.isfile(program):  # noqa: PTH113
            return f"{program} is no program but a folder, a broken link or the like."
        return "" if os.access(program, os.X_OK) else f"{program} is not executable; `chmod +x` makes it so."


def _argv(definition: AgentDef) -> tuple[str, ...]:
    try:
        words = shlex.split(definition.command)
    except ValueError as error:
        raise UserError(
            f"The command of agent {definition.name} cannot be split into words ({error}): {definition.command}",
            code="agent_command",
            hint="POSIX quoting applies; no shell is involved.",
        ) from None
    if not words or not words[0]:
        raise UserError(f"Agent {definition.name} has no command.", code="agent_command")
    if "\0" in definition.command:
        raise UserError(f"The command of agent {definition.name} holds a NUL character.", code="agent_command")
    if "/" in words[0]:
        words[0] = os.path.join(definition.cwd or os.getcwd(), words[0])  # noqa: PTH109, PTH118
    return tuple(words)
