"""The lock of a run: one process at a time drives it (SPEC 8).

The kernel's lock is the truth: it goes with the process that holds it, however that ended, so a dead holder needs no
time-out to be taken over, and no clock can make two of one. It is taken on the file and on the folder the file is in:
who removes the file while the run is held does not make room for a second holder. What the file says (pid, start,
host, heartbeat) is for people. The file stays when the lock is given up.

The lock of a kernel ends at its machine. Where the folder is shared with other machines and the lock does not reach,
the file is all there is: a holder that it names on another machine is never taken over silently, and only by an
explicit yes (`RunLock.forget`) once its heartbeat has stopped for `SEEMS_DEAD_S`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep, time
from types import TracebackType
from typing import Self

from chargehand.adapters.codec import from_data
from chargehand.adapters.folders import odd_file, open_regular
from chargehand.domain.errors import AdapterError, RunLocked

__all__ = ["SEEMS_DEAD_S", "Holder", "RunLock", "one_at_a_time", "start_ticks"]

SEEMS_DEAD_S = 600.0
"""A heartbeat that old is of a dead holder, perhaps: longer than any holder is kept from beating by a slow file server
or a machine that is moved, shorter than anybody's patience. It never decides anything without a person."""

_AHEAD_S = 300.0
_TURN_S = 30.0
_PATIENCE_S = 2.0
_LOOK_S = 0.01
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds, or held, a run. `started` is the process's start in clock ticks since boot (0: unknown).

    `since` and `heartbeat` are seconds since the epoch, by the clock of the holder's machine.
    """

    pid: int
    started: int
    host: str
    since: float
    heartbeat: float
    boot: str = ""

    @property
    def text(self) -> str:
        """The holder as a message names it."""
        if not self.pid:
            return "another process"
        return f"process {self.pid} on {self.host} since {_utc(self.since)}"

    @property
    def is_elsewhere(self) -> bool:
        """Whether it ran on another machine, where this kernel's locks perhaps do not reach."""
        return self.host != socket.gethostname() and (not self.boot or self.boot != _boot())

    def seems_dead(self, now: float) -> bool:
        """Whether nothing was heard of it for so long that a person may say it is dead.

        A heartbeat that is no time, or further ahead than clocks of machines differ, says nothing: it counts as old.
        """
        return not -_AHEAD_S <= now - self.heartbeat <= SEEMS_DEAD_S


@dataclass(slots=True)
class RunLock:
    """A held lock. `previous` is the holder that did not give it up itself, None after a clean end."""

    path: Path
    holder: Holder
    previous: Holder | None
    _file: int
    _folder: int
    _now: Callable[[], float] = field(default=time)

    @classmethod
    def acquire(cls, path: Path, *, now: Callable[[], float] = time) -> Self:
        """Take the lock at once, or raise RunLocked with the holder; the run's name is that of its folder."""
        folder, file = _taken(path)
        previous = _read(file)
        if previous is not None and previous.is_elsewhere:
            _close(folder, file)
            raise RunLocked(path.parent.name, _elsewhere(previous, now()))
        at = now()
        holder = Holder(
            pid=os.getpid(),
            started=start_ticks(os.getpid()) or 0,
            host=socket.gethostname(),
            since=at,
            heartbeat=at,
            boot=_boot(),
        )
        lock = cls(path=path, holder=holder, previous=previous, _file=file, _folder=folder, _now=now)
        try:
            lock._write(holder)
        except OSError as error:
            _close(folder, file)
            raise _cannot(path, error) from error
        return lock

    def beat(self) -> None:
        """Say that the holder is alive; AdapterError when the file was taken away from under the lock.

        Costs microseconds; harmless after `release`. A heartbeat that cannot be written is no error: the kernel's lock
        holds all the same.
        """
        if self._file < 0:
            return
        if not _same_file(self._file, self.path):
            raise AdapterError("lock", f"The lock {self.path} was removed or replaced while the run was held.")
        self.holder = replace(self.holder, heartbeat=self._now())
        with contextlib.suppress(OSError):
            self._write(self.holder)

    def release(self) -> None:
        """Give the lock up; harmless when repeated."""
        if self._file >= 0:
            with contextlib.suppress(OSError):  # a full disk: then it is taken over as from a dead holder
                os.ftruncate(self._file, 0)
            _close(self._folder, self._file)
            self._file = self._folder = -1

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
        """Who holds the lock, without keeping anybody from it; None when nobody does.

        A holder that the file names on another machine counts: whether it is alive cannot be known from here.
        UserError (`odd_file`) where something else lies in its place, AdapterError where it cannot be opened.
        """
        try:
            file = open_regular(path)
        except FileNotFoundError:
            return _holder_of_folder(path.parent)
        except OSError as error:
            raise odd_file(path) or _cannot(path, error, "looked at") from error
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for a moment; who takes the lock tries again
        except OSError:
            return _read(file) or _somebody()
        else:
            holder = _read(file)
            return holder if holder is not None and holder.is_elsewhere else None
        finally:
            os.close(file)

    @staticmethod
    def forget(path: Path, *, now: Callable[[], float] = time) -> Holder | None:
        """Forget a holder on another machine that seems dead, because a person said so; answers who that was.

        None when there was nobody to forget. RunLocked when the run is held, or its holder was heard of lately.
        """
        folder, file = _taken(path)
        try:
            holder = _read(file)
            if holder is None or not holder.is_elsewhere:
                return None
            if not holder.seems_dead(now()):
                raise RunLocked(path.parent.name, _elsewhere(holder, now()))
            os.ftruncate(file, 0)
            return holder
        finally:
            _close(folder, file)


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold a lock that everybody needs for a moment only; AdapterError where somebody does not let go of it.

    Where its file cannot be made it holds nobody up: what it guards cannot be made there either, and that says why.
    UserError (`odd_file`) where something else lies in its place: then nobody would be kept from anything.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open_regular(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        refusal = odd_file(path)
        if refusal is not None:
            raise refusal from error
        yield
        return
    deadline = monotonic() + _TURN_S
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if monotonic() > deadline:
                    raise AdapterError("lock", f"Somebody holds {path} and does not let go of it.") from None
            sleep(_LOOK_S)
        yield
    finally:
        os.close(file)


def _taken(path: Path) -> tuple[int, int]:
    """The descriptors of the locked folder and of the locked file that is in it now."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = _when_free(path, _folder_of)
        try:
            return folder, _when_free(path, _take)
        except BaseException:
            os.close(folder)
            raise
    except OSError as error:
        raise odd_file(path) or _cannot(path, error) from error


def _when_free(path: Path, take: Callable[[Path], int]) -> int:
    """What `take` answers; RunLocked names the holder.

    Whoever was quicker needs a moment to say who it is, and who only looks holds the lock for a moment: so it is tried
    again until a living holder is named.
    """
    deadline = monotonic() + _PATIENCE_S
    while True:
        try:
            return take(path)
        except BlockingIOError:
            holder = _named(path)
        if holder is not None and _alive(holder):
            raise RunLocked(path.parent.name, holder.text)
        if monotonic() > deadline:
            raise RunLocked(path.parent.name, holder.text if holder else "another process")
        sleep(_LOOK_S)


def _folder_of(path: Path) -> int:
    folder = os.open(path.parent, _FOLDER)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        raise
    except OSError:
        return folder  # a file system that locks no folders: the file has to do
    return folder


def _holder_of_folder(folder: Path) -> Holder | None:
    """Somebody, where the folder is locked though its file was removed; None where nobody holds it."""
    try:
        descriptor = os.open(folder, _FOLDER)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _somebody()
    except OSError:
        return None
    else:
        return None
    finally:
        os.close(descriptor)


def _take(path: Path) -> int:
    while True:
        file = open_regular(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise
        if _same_file(file, path):
            return file
        os.close(file)


def _same_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _cannot(path: Path, error: OSError, done: str = "taken") -> AdapterError:
    return AdapterError("lock", f"The lock {path} cannot be {done}: {error.strerror}.")


def _elsewhere(holder: Holder, now: float) -> str:
    """A holder on another machine, with what speaks for its being alive."""
    heard = f"last heard of at {_utc(holder.heartbeat)}"
    if not holder.seems_dead(now):
        return f"{holder.text}, {heard}"
    return f"{holder.text}, which seems dead ({heard}; `chargehand doctor` can release the run)"


def _somebody() -> Holder:
    return Holder(pid=0, started=0, host=socket.gethostname(), since=0.0, heartbeat=0.0)


def _utc(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "an unknown time"


def _alive(holder: Holder) -> bool:
    """Whether the holder that a locked file names can be the one that holds it."""
    if holder.is_elsewhere or not holder.started:
        return True  # cannot be known from here
    return holder.boot == _boot() and start_ticks(holder.pid) == holder.started


def _named(path: Path) -> Holder | None:
    try:
        file = open_regular(path)
    except OSError:
        return None
    try:
        return _read(file)
    finally:
        os.close(file)


def _read(file: int) -> Holder | None:
    """What the file says; None for an empty or unreadable one."""
    try:
        return from_data(Holder, json.loads(os.pread(file, 4096, 0)))
    except (ValueError, RecursionError, AdapterError):
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
