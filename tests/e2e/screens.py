"""Commands on a terminal of their own: what they write, and keys for them."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cliworld import CliWorld

__all__ = ["Screen", "run_words", "screen"]

PATIENCE_S = 60


class Screen:
    """A child on a terminal of its own: what it wrote, and keys for it."""

    def __init__(self, pid: int, terminal: int) -> None:
        self.pid = pid
        self.text = ""
        self._seen = 0
        self._terminal = terminal
        self._status: int | None = None

    def wait_for(self, text: str) -> None:
        """Read until `text` is there; what comes after it is looked at by the next call."""
        while (place := self.text.find(text, self._seen)) < 0:
            assert self._read() is not None, f"{text!r} never came:\n{self.text}"
        self._seen = place + len(text)

    def _read(self) -> str | None:
        ready, _, _ = select.select([self._terminal], [], [], PATIENCE_S)
        assert ready, f"nothing comes any more:\n{self.text}"
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # the other end is closed
            return None
        self.text += data.decode("utf-8", "replace")
        return data.decode("utf-8", "replace") if data else None

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._terminal, keys.encode())

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read() is not None:
            pass
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(self._status)

    def resize(self, columns: int) -> None:
        """Give the terminal another width, which tells the child."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))

    def hang_up(self) -> int:
        """Close the terminal, as a closed window does; the exit code of the child."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._terminal)
        os.close(nowhere)
        _, self._status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(self._status)

    def close(self) -> None:
        """End the child if it has not ended."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._terminal)


@contextmanager
def screen(
    cli: CliWorld, *words: str | Path, columns: int = 100, argv: list[str] | None = None, **env: str
) -> Iterator[Screen]:
    """Start `chargehand` (or another program) on a terminal of 30 rows."""
    argv = argv or [sys.executable, "-m", "chargehand", *map(str, words)]
    environ = {**cli.environ, **env}
    # a child of its own session, made by exec right after the fork: nothing of pytest runs in it
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover
        os.chdir(cli.repo.path)
        os.execve(argv[0], argv, environ)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    shown = Screen(pid, terminal)
    try:
        yield shown
    finally:
        shown.close()


def run_words(cli: CliWorld, plan: Path, *words: str) -> list[str | Path]:
    return ["run", plan, "--agent-command", cli.agent, "--sandbox", "none", *words]
