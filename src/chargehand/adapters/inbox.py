"""The inbox of a run with a nudge: who leaves a request wakes the holder, and nobody polls (SPEC 9).

The nudge is a byte in a named pipe beside the journal. It may get lost; the request cannot: it is in the journal's
file, and the holder looks there whenever it starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from chargehand.adapters.folders import odd_file
from chargehand.adapters.journal_sqlite import SqliteInbox
from chargehand.domain.errors import AdapterError
from chargehand.ports import Request

__all__ = ["NudgingInbox"]


class NudgingInbox:
    """Implements `ports.Inbox` over the journal's file and a pipe."""

    def __init__(self, journal: Path, pipe: Path, scrub: Callable[[str], str] = str) -> None:
        """`scrub` takes secrets out of the notes that people write: what is stored is told to agents."""
        self._scrub = scrub
        self._stored = SqliteInbox.open(journal)
        self._pipe = pipe
        self._reading: int | None = None

    def put(self, request: Request) -> None:
        """Store a request durably, and wake the holder of the run if there is one."""
        self._stored.put(replace(request, note=self._scrub(request.note)))
        with contextlib.suppress(OSError):  # nobody listens: the request is read at the next start
            writing = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if stat.S_ISFIFO(os.fstat(writing).st_mode):
                    os.write(writing, b".")
            finally:
                os.close(writing)

    def pending(self) -> list[Request]:
        """The requests not yet settled, oldest first."""
        return self._stored.pending()

    def settle(self, request_id: str) -> None:
        """Forget a request whose events are in the journal."""
        self._stored.settle(request_id)

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the running loop whenever a request may have come in, until `close`.

        UserError (`odd_file`) where a folder lies in the place of the pipe, AdapterError where none can be made.
        """
        try:
            self._pipe.unlink(missing_ok=True)
            os.mkfifo(self._pipe, 0o600)
        except OSError as error:
            problem = AdapterError("inbox", f"The pipe {self._pipe} cannot be made: {error.strerror}.")
            raise odd_file(self._pipe) or problem from error
        # Open for writing too: without a writer the pipe would be readable (at its end) all the time.
        self._reading = os.open(self._pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(self._reading, self._drain, wake)

    def close(self) -> None:
        """Stop listening and give the file up; harmless when repeated."""
        if self._reading is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._reading)
            os.close(self._reading)
            self._reading = None
            with contextlib.suppress(OSError):
                self._pipe.unlink(missing_ok=True)
        self._stored.close()

    def _drain(self, wake: Callable[[], None]) -> None:
        assert self._reading is not None
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reading, 4096):
                pass
        wake()
