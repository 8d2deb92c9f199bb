"""What the end of a command says about a tree, or about the line (SPEC 5). Pure."""

from __future__ import annotations

import asyncio
import re
import shlex

from chargehand.adapters.process import EndKind, ProcessEnd
from chargehand.adapters.text import clean_text
from chargehand.domain.outcome import FaultKind, GateStatus
from chargehand.domain.plan import Command

__all__ = ["judge"]

_MARKS = {EndKind.TIMEOUT: FaultKind.TIMEOUT, EndKind.STALL: FaultKind.STALL, EndKind.OVER_DISK: FaultKind.AMBIGUOUS}


def judge(command: Command, end: ProcessEnd, output: str) -> tuple[GateStatus, FaultKind | None, str]:
    """What an end means: exit 0 passes, what could not judge is a fault, everything else fails."""
    if end.kind is EndKind.CANCELLED:
        raise asyncio.CancelledError
    if end.kind in _MARKS:
        return GateStatus.FAULT, _MARKS[end.kind], end.detail
    if end.kind is EndKind.NOT_STARTED:
        return GateStatus.FAULT, FaultKind.ENV_MISSING, end.detail
    if end.kind is EndKind.EXITED and end.code == 0:
        return GateStatus.PASS, None, end.detail
    missing = _missing_program(command, end, output)
    if missing:
        return GateStatus.FAULT, FaultKind.ENV_MISSING, missing
    how = f"signal {end.signal}" if end.signal is not None else f"exit code {end.code}"
    return GateStatus.FAIL, None, f"It ended with {how}."


_NOT_FOUND = re.compile(r"^(?:\S*/)?(?:ba|da|z|k|a)?sh: (?:line )?(?:\d+: )?(?P<name>.+?): (?:command )?not found$")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_TOOLS = frozenset(
    {
        *("pytest", "mypy", "ruff", "coverage", "tox", "nox", "flake8", "black", "isort", "pylint", "pyright", "build"),
        *("pip", "uv", "behave", "robot", "bandit", "hatch", "poetry", "pre_commit", "unittest"),
    }
)


def _missing_program(command: Command, end: ProcessEnd, output: str) -> str:
    """Why a command that did run could not judge: a program was missing. An empty string when none was.

    For a string that is what the shell says about its first word; a known tool that `python -m` cannot find counts,
    too, because `No module named` about anything else may well be what the check is about.
    """
    first = _first_word(command)
    if end.code == 126:
        return f"The program {first} cannot be executed: look at its permissions."
    lines = [line.strip() for line in clean_text(output).split("\n") if line.strip()]
    if command.shell and end.code == 127:
        names = {found["name"] for line in lines if (found := _NOT_FOUND.match(line))}
        if first in names:
            return f"The program {first} was not found on PATH: install it or name it by its full path."
    argv = command.argv
    is_tool = not command.shell and len(argv) > 2 and argv[1] == "-m" and argv[2] in _TOOLS
    if is_tool and end.code == 1 and lines and lines[-1].endswith(f"No module named {argv[2]}"):
        return f"{argv[0]} has no module {argv[2]}: install it where {argv[0]} finds it, for example in `setup`."
    return ""


def _first_word(command: Command) -> str:
    if not command.shell:
        return command.argv[0]
    try:
        words = shlex.split(command.argv[0], comments=True)
    except ValueError:
        words = command.argv[0].split()
    return next((word for word in words if not _ASSIGNMENT.match(word)), "")
