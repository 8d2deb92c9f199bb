"""The program of an agent: its words, and whether it is there."""

from __future__ import annotations

import os
import shlex
import shutil

from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef

__all__ = ["program_words", "why_missing"]


def program_words(definition: AgentDef, default: str = "") -> tuple[str, ...]:
    """The words of its command, or `default`; a relative program with a slash counts from where Chargehand was started.

    UserError when they cannot be split, or there are none.
    """
    try:
        words = shlex.split(definition.command or default)
    except ValueError as error:
        raise UserError(
            f"The command of agent {definition.name} cannot be split into words ({error}): {definition.command}",
            code="agent_command",
            hint="POSIX quoting applies; no shell is involved.",
        ) from None
    if not words or not words[0]:
        raise UserError(f"Agent {definition.name} has no command.", code="agent_command")
    if any("\0" in word for word in (*words, *definition.args)):
        raise UserError(f"The command of agent {definition.name} holds a NUL character.", code="agent_command")
    if "/" in words[0]:
        words[0] = os.path.join(definition.cwd or os.getcwd(), words[0])  # noqa: PTH109, PTH118
    return tuple(words)


def why_missing(program: str) -> str:
    """Why the program cannot be run, judged by the PATH that is passed on to it; empty when it can."""
    if "/" not in program:
        return "" if shutil.which(program) else f"The program `{program}` is not on PATH."
    if not os.path.lexists(program):
        return f"There is no program {program}."
    if not os.path.isfile(program):  # noqa: PTH113
        return f"{program} is no program but a folder, a broken link or the like."
    return "" if os.access(program, os.X_OK) else f"{program} is not executable; `chmod +x` makes it so."
