"""How much text, and how many tasks, a plan in Markdown may have; beyond that it is refused, with its place.

Each bound keeps what is done with the text linear in what is allowed: nobody waits for a file that no person wrote.
"""

from __future__ import annotations

from collections.abc import Sequence

from chargehand.domain.problem import Problem

__all__ = [
    "MAX_CHARS",
    "MAX_LINES",
    "MAX_MARKS",
    "MAX_NAMES",
    "MAX_TASKS",
    "MAX_VERIFY",
    "plain",
    "too_long",
    "too_many",
    "too_wide",
]

MAX_CHARS = 256 * 1024
MAX_LINES = 10_000
MAX_TASKS = 500
MAX_NAMES = 2_000
"""Characters of one line that lists files."""
MAX_VERIFY = 16_000
MAX_MARKS = 400
"""Backticks of one text that says what verifies a task."""


def plain(text: str) -> str:
    """The text without byte order mark, its lines ended as everywhere."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def too_long(text: str) -> Problem | None:
    """What is wrong with a text that has too many characters or lines, at the first one that is too many."""
    if len(text) <= MAX_CHARS and text.count("\n") < MAX_LINES:
        return None
    if len(text) > MAX_CHARS:
        line = text.count("\n", 0, MAX_CHARS) + 1
        message = f"The file has {len(text):,} characters; a file of Markdown has {MAX_CHARS:,} at most."
    else:
        line = MAX_LINES + 1
        message = f"The file has {text.count(chr(10)) + 1:,} lines; a file of Markdown has {MAX_LINES:,} at most."
    return Problem(code="too_large", message=message, hint="Split it.", line=min(line, MAX_LINES + 1))


def too_many(lines: Sequence[int]) -> Problem | None:
    """What is wrong with so many tasks, by the lines they stand in, at the first one that is too many."""
    if len(lines) <= MAX_TASKS:
        return None
    message = f"The plan has {len(lines):,} tasks; {MAX_TASKS:,} is the most."
    return Problem(code="too_large", message=message, hint="Split the plan.", line=lines[MAX_TASKS])


def too_wide(task: str, name: str, text: str, line: int) -> Problem | None:
    """What is wrong with a field of a task that lists files or says what verifies it; `line` is where it begins."""
    if name == "files":
        for number, each in enumerate(text.split("\n")):
            if len(each) > MAX_NAMES:
                message = f"{task} lists files in a line of {len(each):,} characters; {MAX_NAMES:,} is the most."
                return Problem(code="too_large", message=message, hint="Put each file on its own.", line=line + number)
    if name == "verify" and len(text) > MAX_VERIFY:
        message = f"{task} has {len(text):,} characters in what verifies it; {MAX_VERIFY:,} is the most."
        return Problem(code="too_large", message=message, hint="Put the commands into one script.", line=line)
    if name == "verify" and text.count("`") > MAX_MARKS:
        message = f"{task} has {text.count('`'):,} backticks in what verifies it; {MAX_MARKS:,} is the most."
        return Problem(code="too_large", message=message, hint="Put the commands into one script.", line=line)
    return None
