"""Whether what gates and checks are run with is there, as far as the name of a program does not tell."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from chargehand.adapters.process import capture
from chargehand.domain.errors import AdapterError
from chargehand.domain.plan import Command, Plan
from chargehand.domain.problem import Problem, Severity

__all__ = ["missing_runners"]

_PYTHON = re.compile(r"python(?:3(?:\.\d+)?)?\Z")
_MODULE = re.compile(r"[A-Za-z_]\w*")
_LOOK = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
_DEADLINE_S = 10


async def missing_runners(plan: Plan, environ: Mapping[str, str], root: Path, source: str) -> list[Problem]:
    """A warning for each `python -m MODULE` whose module that python does not have.

    None where a setup may bring it, or where it is the project's own: in `root` or above, or made by a task. No code of
    the project is run: only a python of the PATH is asked, from elsewhere, without the user's own packages, which no
    gate sees either.
    """
    if plan.setup is not None:
        return []
    made = {
        path.partition("/")[0].removesuffix(".py") for task in plan.tasks if task.files for path in task.files.writes
    }
    found: dict[tuple[str, str], Problem] = {}
    for what, command in _commands(plan):
        words = command.argv
        if command.shell or len(words) < 3 or words[1] != "-m":
            continue
        named = (words[0], words[2])
        if not (_PYTHON.match(words[0]) and _MODULE.fullmatch(words[2])) or named in found:
            continue
        if words[2] in made or _is_own(words[2], root):
            continue
        if await _is_missing(*named, environ):
            found[named] = Problem(
                code="missing_program",
                message=f"{what} cannot be run here: {words[0]} has no module '{words[2]}'.",
                severity=Severity.WARNING,
                hint=f"Install it for that python, or name another command. A run ends at its canary: {command.text}",
                file=source,
                command=command.text,
            )
    return list(found.values())


def _is_own(module: str, root: Path) -> bool:
    return any((each / module).is_dir() or (each / f"{module}.py").is_file() for each in (root, *root.parents))


def _commands(plan: Plan) -> Iterator[tuple[str, Command]]:
    for gate in plan.gates:
        yield f"Gate {gate.id}", gate.run
    for task in plan.tasks:
        for command in task.verify:
            yield f"The verify command of task {task.id}", command


async def _is_missing(program: str, module: str, environ: Mapping[str, str]) -> bool:
    path = shutil.which(program, path=environ.get("PATH", ""))
    if path is None:
        return False  # that it is not there is said by itself
    argv = (path, "-I", "-c", _LOOK, module)
    try:
        done = await capture(argv, cwd=Path(os.sep), env={"PATH": environ.get("PATH", "")}, timeout_s=_DEADLINE_S)
    except AdapterError:
        return False  # nobody knows
    return done.code == 1 and not done.stderr
