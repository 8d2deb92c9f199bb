"""What the values of steps may be: each function answers what was expected, or an empty text."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing `typing` would cost a quarter of the start-up time
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "anywhere",
    "argv",
    "count",
    "flag",
    "inside",
    "mapping",
    "mode",
    "number",
    "one_of",
    "signal_name",
    "signal_number",
    "text",
    "texts",
    "verdict",
]


def inside(value: Any) -> str:
    """A path in the workspace: everything else is what `stray` is for."""
    if not isinstance(value, str) or not value:
        return "a path"
    parts = value.split("/")
    return "a path in the workspace (others need `stray`)" if value.startswith("/") or ".." in parts else ""


def anywhere(value: Any) -> str:
    """Any path."""
    return "" if isinstance(value, str) and value else "a path"


def text(value: Any) -> str:
    """Text, empty or not."""
    return "" if isinstance(value, str) else "text"


def texts(value: Any) -> str:
    """One text, or a list of them."""
    ok = isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))
    return "" if ok else "a text or a list of texts"


def argv(value: Any) -> str:
    """Arguments of a program, at least one."""
    ok = isinstance(value, list) and value and all(isinstance(item, str) for item in value)
    return "" if ok else "a list of arguments"


def number(value: Any) -> str:
    """Seconds and the like."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return "" if ok else "a number, 0 or more"


def count(value: Any) -> str:
    """A whole number."""
    ok = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return "" if ok else "a whole number, 0 or more"


def flag(value: Any) -> str:
    """Yes or no."""
    return "" if isinstance(value, bool) else "true or false"


def mapping(value: Any) -> str:
    """Any mapping."""
    return "" if isinstance(value, dict) else "a mapping"


def verdict(value: Any) -> str:
    """A word, a list of findings, or a whole verdict."""
    ok = value in ("PASS", "FAIL") or isinstance(value, dict | list)
    return "" if ok else "PASS, FAIL, a list of findings or a mapping"


def mode(value: Any) -> str:
    """Permissions as chmod takes them."""
    digits = str(value)
    ok = isinstance(value, str | int) and len(digits) in (3, 4) and not set(digits) - set("01234567")
    return "" if ok else "a mode in octal digits, such as 755"


def signal_name(value: Any) -> str:
    """A signal that exists."""
    return "" if signal_number(value) else "a signal, such as KILL or 9"


def one_of(*words: str) -> Callable[[Any], str]:
    """A check for one of some words."""
    return lambda value: "" if value in words else f"one of {', '.join(words)}"


def signal_number(value: Any) -> int:
    """The number of a signal given by name or number; 0 when there is none."""
    if isinstance(value, str):
        value = getattr(signal, f"SIG{value.upper().removeprefix('SIG')}", 0)
    return int(value) if isinstance(value, int) and 0 < value < signal.NSIG else 0
