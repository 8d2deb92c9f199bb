"""The terminal behind standard input: who may read it, and what it echoes."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
from collections.abc import Iterator

__all__ = ["Echo", "confirm", "forget_typed", "is_in_front"]

_LOCAL_FLAGS = 3
_LONGEST_LINE = 4096
_YES, _NO = frozenset({"y", "yes"}), frozenset({"", "n", "no"})


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
    """Ask for a yes; an empty line is none [I9]. Ctrl-C and the end of the input raise `click.Abort` at once.

    `input` would not do: within `asyncio.run` a Ctrl-C only cancels the task, which is waiting right here, and one that
    comes just before the reading begins is noticed at the next key.
    """
    import click

    with _interrupts() as interrupted:
        while True:
            sys.stderr.write(f"{question} [y/N]: ")
            sys.stderr.flush()
            line = _line(interrupted)
            if not line:
                sys.stderr.write("\n")
                raise click.Abort
            word = line.strip().lower()
            if word in _YES or word in _NO:
                return word in _YES
            sys.stderr.write("Answer with y or n.\n")


@contextlib.contextmanager
def _interrupts() -> Iterator[int]:
    """A descriptor from which the numbers of signals are read; Ctrl-C does nothing else meanwhile."""
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    before = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    handler = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield waking
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.set_wakeup_fd(before)
        os.close(waking)
        os.close(woken)


def _line(interrupted: int) -> str:
    """What is typed; empty at the end of the input and at Ctrl-C."""
    typed = sys.stdin.fileno()
    try:
        while True:
            ready, _, _ = select.select([typed, interrupted], [], [])
            if interrupted in ready and signal.SIGINT in os.read(interrupted, 64):
                return ""
            if typed in ready:
                return os.read(typed, _LONGEST_LINE).decode(errors="replace")
    except OSError:  # the terminal is gone
        return ""


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
