"""The terminal behind standard input: who may read it, and what it echoes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios

__all__ = ["Echo", "confirm", "forget_typed", "is_in_front"]

_LOCAL_FLAGS = 3


def is_in_front() -> bool:
    """Whether this process may read the terminal: a job in the background would be stopped for trying."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def forget_typed() -> None:
    """Drop what was typed and not read yet."""
    with contextlib.suppress(termios.error, OSError, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def confirm(question: str) -> bool:
    """Ask for a yes; an empty line is none [I9]. Ctrl-C raises `click.Abort` at once.

    Within `asyncio.run` it would only cancel the task, which is waiting right here and notices nothing.
    """
    import click

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm(question, default=False, err=True)
    finally:
        signal.signal(signal.SIGINT, before)


class Echo:
    """Keeps typed keys off the screen while something is drawn there, and puts the terminal back as it was."""

    def __init__(self) -> None:
        self._before: list[int | list[bytes | int]] | None = None

    def silence(self) -> None:
        """Show no keys; nothing happens where standard input is no terminal of ours."""
        if self._before is not None or not is_in_front():
            return
        with contextlib.suppress(termios.error):
            before = termios.tcgetattr(sys.stdin.fileno())
            silent = list(before)
            silent[_LOCAL_FLAGS] &= ~termios.ECHO
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, silent)
            self._before = before

    def restore(self) -> None:
        """Show keys again; harmless when repeated."""
        before, self._before = self._before, None
        if before is not None and is_in_front():
            with contextlib.suppress(termios.error):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)
