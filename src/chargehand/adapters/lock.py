"""The lock of a run: one process at a time drives it (SPEC 8).

The kernel's lock on the file is the truth: it goes with the process that holds it, however that ended, so a dead
holder needs no time-out to be taken over. What the file says (pid, start, host, heartbeat) is for people, and for
finding what a dead holder left running. The file stays when the lock is given up.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import time
from types import TracebackType
from typing import Self

from chargehand.adapters.codec import from_data
from chargehand.domain.errors import AdapterError, RunLocked

__all__ = ["Holder", "RunLock", "start_ticks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds, or held, a run. `started` is the process's start in clock ticks since boot (0: unknown)."""

    pid: int
    started: int
    host: str
    since: float
    heartbeat: float
    boot: str = ""

    @property
    def text(self) -> str:
        """The holder as a message names it."""
        return f"process {self.pid} on {self.host}"


@dataclass(slots=True)
class RunLock:
    """A held lock. `previous` is the holder that did not give it up itself, None after a clean end."""

    path: Path
    holder: Holder
    previous: Holder | None
    _file: int
    _now: Callable[[], float] = field(default=time)

    @classmethod
    def acquire(cls, path: Path, *, now: Callable[[], float] = time) -> Self:
        """Take the lock at once, or raise RunLocked with the holder; the run's name is that of its folder."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = _take(path)
        except OSError as error:
            raise AdapterError("lock", f"The lock {path} cannot be taken: {error.strerror}.") from error
        at = now()
        holder = Holder(
            pid=os.getpid(),
            started=start_ticks(os.getpid()) or 0,
            host=socket.gethostname(),
            since=at,
            heartbeat=at,
            boot=_boot(),
        )
        lock = cls(path=path, holder=holder, previous=_read(file), _file=file, _now=now)
        lock._write(holder)
        return lock

    def beat(self) -> None:
        """Say that the holder is alive; AdapterError when the file was taken away from under the lock."""
        if not _same_file(self._file, self.path):
            raise AdapterError("lock", f"The lock {self.path} was removed or replaced while the run was held.")
        self.holder = replace(self.holder, heartbeat=self._now())
        self._write(self.holder)

    def release(self) -> None:
        """Give the lock up; harmless when repeated."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _write(self, holder: Holder) -> None:
        # padded and in one call: a reader beside us sees the old text or the new one
        text = json.dumps(asdict(holder)).ljust(512).encode() + b"\n"
        os.pwrite(self._file, text, 0)
        os.ftruncate(self._file, len(text))

    @staticmethod
    def look(path: Path) -> Holder | None:
        """Who seems to hold the lock, without touching it; None when nobody does."""
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            holder = _read(file)
        finally:
            os.close(file)
        return holder if holder and _alive(holder) else None


def _take(path: Path) -> int:
    """The descriptor of the locked file that is at `path` now."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(file)
            os.close(file)
            raise RunLocked(path.parent.name, holder.text if holder else "another process") from None
        except OSError:
            os.close(file)
            raise
        if _same_file(file, path):
            return file
        os.close(file)


def _same_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _alive(holder: Holder) -> bool:
    if holder.host != socket.gethostname():
        return True  # cannot be known from here
    if holder.started:
        return holder.boot == _boot() and start_ticks(holder.pid) == holder.started
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _read(file: int) -> Holder | None:
    """What the file says; None for an empty or unreadable one."""
    try:
        return from_data(Holder, json.loads(os.pread(file, 4096, 0)))
    except (ValueError, AdapterError):
        return None


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: with the pid its identity. None where it is not told."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        return int(text.rpartition(")")[2].split()[19])  # the name before it may hold blanks and brackets
    except (OSError, ValueError, IndexError):
        return None


def _boot() -> str:
    """The boot that start ticks count from."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
