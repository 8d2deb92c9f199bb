"""What the verify text of a plan of another system is: a command to run, or words for whoever judges (SPEC 2.3).

It is a command only when it parses as one whose program is on PATH, relative, or the project's own.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chargehand.domain.plan import Command
from chargehand.plans.markdown import code_spans, fences, without_code

__all__ = ["Verify", "finder", "read_verify"]

Find = Callable[[str], bool]
"""Whether a program of this name can be run."""

_SHELLS = frozenset({"", "bash", "console", "sh", "shell", "zsh"})
_NEEDS_SHELL = re.compile(r"[|&;<>$`*?~(){}\n]|\A\s*[A-Za-z_]\w*=")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")
_BUILTINS = frozenset({"[", "cd", "test", "true", "false"})
_PROMPT = re.compile(r"(?m)^\s*\$ ")
_NAME_CHARS = 255
_BETWEEN = re.compile(r"(?i)[\s.,;:)(*+-]|\b(?:and|then|run|check|verify|execute|with|und)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """`commands` are run; `criteria` are judged; `told` says in a sentence for each text what it was taken for."""

    commands: tuple[Command, ...] = ()
    criteria: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def finder(root: Path, path: str | None = None) -> Find:
    """Looks for programs on PATH (`path`, or that of the process) and below `root`, the project's own."""

    def find(name: str) -> bool:
        if len(name) > _NAME_CHARS:
            return False
        if "/" in name:
            return not name.startswith("/") or Path(name).is_file()
        return name in _BUILTINS or shutil.which(name, path=path) is not None or (root / name).is_file()

    return find


def read_verify(text: str, find: Find) -> Verify:
    """Take a verify text apart: fenced blocks and code spans first; a text without either may be a command itself.

    A text that says more than its commands stays as a criterion, too: what it expects of them is for a reviewer.
    """
    text = text.strip()
    if not text:
        return Verify()
    marked = [*(body for info, body in fences(text) if info.lower() in _SHELLS), *code_spans(text)]
    commands, told = [], []
    for candidate in marked or ([] if _is_prose(text) else [text]):
        command = _command(candidate, find)
        if command is not None:
            commands.append(command)
            told.append(f"taken as a command: {command.text}")
    if commands and not _says_more(text, marked):
        return Verify(commands=tuple(dict.fromkeys(commands)), told=tuple(told))
    told.append(f"taken as a criterion: {' '.join(text.split())}")
    return Verify(commands=tuple(dict.fromkeys(commands)), criteria=(text,), told=tuple(told))


def _command(text: str, find: Find) -> Command | None:
    text = _PROMPT.sub("", text).strip()
    if not text or "\0" in text:
        return None
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    program = next((word for word in words if not _ASSIGNMENT.fullmatch(word)), "")
    if not program or not find(program):
        return None
    if _NEEDS_SHELL.search(text) or program in _BUILTINS:
        line = f"set -e\n{text}" if "\n" in text else text
        return Command(argv=(line,), shell=True)  # noqa: S604 - a value, nothing is run here
    return Command(argv=tuple(words))


def _is_prose(text: str) -> bool:
    """`test that it works` begins with the name of a program, and is a sentence."""
    words = text.split()
    return len(words) > 3 and all(re.fullmatch(r"[A-Za-z]+[.,]?", word) for word in words)


def _says_more(text: str, marked: list[str]) -> bool:
    if not marked:
        return False
    return bool(_BETWEEN.sub("", without_code(text)))
