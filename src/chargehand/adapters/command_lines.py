"""Command lines that agents write down: split into words, and given to a shell only where they need one."""

from __future__ import annotations

import re
import shlex

__all__ = ["argv_of", "needs_shell"]

_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_SYNTAX = re.compile(
    r"""
      [|&;<>()$`\n*?\[\#]                     # pipes, lists, redirections, variables, patterns
    | (?:^|\s)~                               # a HOME
    | \{[^{}\s]*(?:,|\.\.)[^{}\s]*\}          # several words in one
    | ^\s*(?:[A-Za-z_]\w*\+?=|!\s)            # an assignment in front, a negation
    """,
    re.VERBOSE,
)


def needs_shell(text: str) -> bool:
    """Whether a line says something that only a shell understands: pipes, variables, patterns, assignments."""
    return bool(_SYNTAX.search(_QUOTED.sub(_stand_in, text)))


def _stand_in(quoted: re.Match[str]) -> str:
    """What stands for a quoted part: double quotes keep no shell from variables and commands in them."""
    text = quoted[0]
    return "$" if text.startswith('"') and ("$" in text or "`" in text) else "x"


def argv_of(text: str) -> tuple[str, ...] | str:
    """The program and its arguments, `sh -c` in front where the line needs a shell; else what is wrong with it."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        return f"{error}.".replace("..", ".")
    if "\0" in text:
        return "it holds a NUL character."
    if not words or not words[0]:
        return "it is empty."
    return ("sh", "-c", text) if needs_shell(text) else words
