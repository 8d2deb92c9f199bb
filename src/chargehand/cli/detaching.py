"""`--detach`: a run goes on in the background, in a session of its own, once it is created and held (SPEC 10.1).

The command forks before anything else begins: no event loop, no thread, no connection is carried over. The process in
the background does all the work, at first with the streams of the terminal, so that whatever is wrong with a plan or a
repository is told there. When it holds the run it leaves: from then on it reads nothing and writes to a file in the
folder of the run. Between it and the command stands a process that only waits for that: it made the session, so that
closing the terminal ends nothing, and tells the command the exit code of one that ended before it left.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from chargehand.cli.call import Call
from chargehand.cli.output import Output
from chargehand.cli.render.units import iso
from chargehand.domain.view import document

if TYPE_CHECKING:
    from chargehand.domain.state import RunState

__all__ = ["LOG_BYTES", "LOG_NAME", "Detachment", "DriverLog", "in_background"]

LOG_NAME = "driver.log"
"""What a process in the background says, in the folder of its run."""

LOG_BYTES = 4 * 1024 * 1024
"""A log that long is moved aside, over the one of before."""

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def in_background(work: Callable[[Detachment], int]) -> int:
    """Do `work` in a process in the background; both processes return, each with its exit code.

    The command itself returns when the work has left it (0), or has ended before that (its code).
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    between = os.fork()
    if between:
        return _attend(between)
    os.setsid()
    reading, writing = os.pipe()
    worker = os.fork()
    if worker:
        os.close(writing)
        _stand_between(worker, reading)
    os.close(reading)
    return work(Detachment(writing))


def _attend(between: int) -> int:
    """Until the work has left or ended; signals that were meant for this command go to it."""

    def forward(number: int, _frame: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(between, number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    _, status = os.waitpid(between, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    return os.waitstatus_to_exitcode(status)


def _stand_between(worker: int, reading: int) -> None:
    """Never returns: ends when the worker has left, or with its exit code when it ended before."""
    for number in _FORWARDED:
        signal.signal(number, signal.SIG_IGN)
    if os.read(reading, 1):
        os._exit(0)
    _, status = os.waitpid(worker, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


class Detachment:
    """The way out of the terminal for the process in the background."""

    def __init__(self, writing: int) -> None:
        self._writing = writing

    def leave(self, call: Call, state: RunState, folder: Path) -> Call:
        """Say how to follow the run, leave the terminal for the log in `folder`; answers with the call to go on with.

        The run has to be held by this process.
        """
        if call.out.json:
            call.out.document(document(state, held=True))
        elif not call.out.quiet:
            call.out.say(*_farewell(call, state.run, folder / LOG_NAME))
        log = DriverLog(folder / LOG_NAME)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, 0)
        os.close(nowhere)
        sys.stdout = sys.stderr = stream = cast("TextIO", log)
        call.session.words = tuple(word for word in call.session.words if word != "--json")
        out = Output(json=False, quiet=False, stdout=stream, stderr=stream, vault=call.session.vault)
        out.tell(f"{iso(time.time())} process {os.getpid()} drives run {state.run} in the background")
        with suppress(BrokenPipeError):
            os.write(self._writing, b".")
        os.close(self._writing)
        return replace(call, out=out)


def _farewell(call: Call, run: str, log: Path) -> list[str]:
    pen = call.pen
    return [
        f"run {run} goes on in the background, as process {os.getpid()}; it waits for answers when it has questions.",
        f"  follow it:  {pen.step(f'status {run} --watch')}",
        f"              {pen.step(f'log {run} --follow')}",
        f"  questions:  {pen.step(f'decisions {run}')}",
        f"  stop it:    {pen.step(f'pause {run}')}, or {pen.step(f'cancel --run {run}')}",
        f"  its output: {log}",
    ]


class DriverLog(io.TextIOBase):
    """Standard output and error as a file that cannot grow for ever; what cannot be written is no failure."""

    encoding = "utf-8"

    def __init__(self, path: Path, *, limit: int = LOG_BYTES, targets: tuple[int, ...] = (1, 2)) -> None:
        self._path = path
        self._limit = limit
        self._targets = targets
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.open(self._path, flags, 0o600)
        except OSError:  # something else lies in its place: nobody reads what is said, and the run goes on
            file = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        for target in self._targets:
            os.dup2(file, target)
        self._size = os.fstat(file).st_size
        os.close(file)

    def write(self, text: str) -> int:
        """Append it, in a new file when the old one is full."""
        with suppress(OSError):
            if self._size >= self._limit:
                self._path.rename(self._path.with_name(f"{self._path.name}.1"))
                self._open()
            self._size += os.write(self._targets[0], text.encode("utf-8", "replace"))
        return len(text)

    def fileno(self) -> int:
        """The file."""
        return self._targets[0]
