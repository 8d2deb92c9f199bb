"""TOML as people and agents write it: tables, or one problem with its line; never an error of the parser itself."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from chargehand.domain.problem import Problem

__all__ = ["TomlRefusedError", "load_toml", "parse_toml"]

_AT = re.compile(r"\(at line (\d+), column (\d+)\)")
_BITS = 63


class TomlRefusedError(ValueError):
    """What is wrong with a text of TOML: `message` in words, `line` from 1, `column` where it is known."""

    def __init__(self, message: str, line: int, column: int | None = None) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


def load_toml(text: str) -> dict[str, Any]:
    """The tables of a text; `TomlRefusedError` where it is no TOML, nested too deeply, or has a number beyond 64 bits.

    `tomllib` itself takes such a number, or ends in a bare `ValueError`; whoever shows one later would fail.
    """
    last = text.count("\n") + 1
    try:
        values = tomllib.loads(text)
        is_large = _has_large(values)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        at = _AT.search(said)
        message = _AT.sub("", said).replace("(at end of document)", "").strip()
        raise TomlRefusedError(message, int(at[1]) if at else last, int(at[2]) if at else None) from None
    except RecursionError:
        raise TomlRefusedError("it is nested too deeply", last) from None
    except ValueError:
        raise TomlRefusedError("it has a value that cannot be read", _line_of_large(text)) from None
    if is_large:
        raise TomlRefusedError("it has a number of more than 64 bits", _line_of_large(text))
    return values


def parse_toml(text: str, first: int = 1) -> tuple[dict[str, Any], Problem | None]:
    """The tables of a TOML text, or what is wrong with it; `first` is the number of its first line."""
    try:
        return load_toml(text), None
    except TomlRefusedError as error:
        message = f"This is not TOML: {error.message}."
        hint = "Mend the line; nothing is taken for a default."
        line = first + error.line - 1
        return {}, Problem(code="syntax", message=message, hint=hint, line=line, column=error.column)


def _has_large(values: object) -> bool:
    left = [values]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)
        elif isinstance(each, int) and not -(2**_BITS) <= each < 2**_BITS:
            return True
    return False


def _line_of_large(text: str) -> int:
    """The line of the longest run of digits, in whatever base: what is too large has one."""
    runs = re.finditer(r"[0-9A-Fa-f_]{16,}", text)
    longest = max(runs, key=lambda run: len(run[0]), default=None)
    return text.count("\n", 0, longest.start()) + 1 if longest else 1
