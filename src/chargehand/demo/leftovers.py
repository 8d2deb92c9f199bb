"""Which processes stand below one, and whether they have all ended: told by the kernel, not by their names."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Held"]


class Held:
    """Holds on to processes, so that their numbers cannot come to mean others.

    On systems without `/proc` and pidfds `known` is False, and there is nothing to tell.
    """

    known = hasattr(os, "pidfd_open") and Path("/proc/self/stat").is_file()

    def __init__(self, pids: list[int]) -> None:
        self._files: dict[int, int] = {}
        for pid in pids:
            with contextlib.suppress(OSError):
                self._files[os.pidfd_open(pid)] = pid

    @classmethod
    def below(cls, pid: int) -> Held:
        """Everything that descends from a process, the process itself not included."""
        return cls(list(_descendants(pid)) if cls.known else [])

    def __len__(self) -> int:
        return len(self._files)

    async def ended(self, timeout_s: float) -> list[int]:
        """Wait until all have ended; answers with those that have not in time."""
        return await asyncio.to_thread(self._ended, timeout_s)

    def _ended(self, timeout_s: float) -> list[int]:
        waiting = dict(self._files)
        poll = select.poll()
        for file in waiting:
            poll.register(file, select.POLLIN)
        until = time.monotonic() + timeout_s
        while waiting and (left_s := until - time.monotonic()) > 0:
            for file, _ in poll.poll(left_s * 1000):
                poll.unregister(file)
                del waiting[file]
        return sorted(waiting.values())

    def close(self) -> None:
        """Let go of them."""
        while self._files:
            os.close(self._files.popitem()[0])


def _descendants(pid: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    todo = list(children.get(pid, ()))
    while todo:
        child = todo.pop()
        yield child
        todo += children.get(child, ())
