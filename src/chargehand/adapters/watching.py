"""Waiting until other processes have written to a folder, or one of them has ended, without looking again and again.

The kernel tells both: `fcntl(F_NOTIFY)` sends a signal when a file of the folder is written, a pidfd becomes readable
when its process ends. Where it does not (another system, another thread, a folder that other machines write to), the
folder is looked at now and then.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["LOOK_S", "UNTOLD_S", "FolderWatch"]

LOOK_S = 0.5
"""How often is looked where nobody tells."""

UNTOLD_S = 10.0
"""How long a change may stay unseen that the kernel cannot tell of, such as one made by another machine."""

_SIGNAL = signal.SIGURG  # ignored by default: one that comes before or after us does no harm


class FolderWatch:
    """Tells when a file of a folder was written; to be entered within a running event loop, one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._woken = asyncio.Event()
        self._directory = -1
        self._listens = False

    def __enter__(self) -> Self:
        with suppress(ValueError, RuntimeError, NotImplementedError):  # only the main thread gets signals
            asyncio.get_running_loop().add_signal_handler(_SIGNAL, self._woken.set)
            self._listens = True
        if self._listens:
            with suppress(OSError, AttributeError):
                self._directory = _notified(self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1
        if self._listens:
            asyncio.get_running_loop().remove_signal_handler(_SIGNAL)
            self._listens = False

    async def wait(self, pid: int | None = None, most_s: float = UNTOLD_S) -> None:
        """Return when something was written since the last call, the process `pid` has ended, or `most_s` are over.

        It may return earlier: what has changed, if anything, is for the caller to see.
        """
        with self._ending(pid) as told:
            bound = most_s if told and self._directory >= 0 else min(most_s, LOOK_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(bound):
                    await self._woken.wait()
        self._woken.clear()

    @contextmanager
    def _ending(self, pid: int | None) -> Iterator[bool]:
        """Wake at the end of a process; False where that is not told."""
        if pid is None:
            yield True
            return
        try:
            process = os.pidfd_open(pid)
        except (OSError, AttributeError):  # gone by now, of another namespace, or another system
            yield False
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(process, self._woken.set)
        try:
            yield True
        finally:
            loop.remove_reader(process)
            os.close(process)


def _notified(folder: Path) -> int:
    """A descriptor of the folder; as long as it is open, the signal comes when a file in it is written or made."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.fcntl(directory, fcntl.F_SETSIG, _SIGNAL)
        fcntl.fcntl(directory, fcntl.F_NOTIFY, fcntl.DN_MODIFY | fcntl.DN_CREATE | fcntl.DN_MULTISHOT)
    except OSError:
        os.close(directory)
        raise
    return directory
