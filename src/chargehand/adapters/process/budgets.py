"""The bounds of one process: when to look, and which of them it has overstepped (SPEC 5)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from stat import S_ISDIR

from chargehand.adapters.process.spec import EndKind, ProcessSpec
from chargehand.adapters.process.tree import cpu_ticks

__all__ = ["Breach", "Budgets", "disk_usage", "newest_change"]

SHORTEST_LOOK_S, LONGEST_LOOK_S = 0.25, 15.0
DONE_LOOK_S = 0.5
DISK_FIRST_S, DISK_LONGEST_S = 0.5, 10.0
# Waiting programs use a little all the time (timers, a shell that polls): up to this share of one CPU is silence.
IDLE_CPU_SHARE = 0.02
MOST_FILES = 200_000
# An empty file costs something, too: without this, any number of them would be free.
INODE_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A bound that was overstepped."""

    kind: EndKind
    detail: str


class Budgets:
    """Asked now and then by the supervisor; all times are of the monotonic clock."""

    def __init__(self, spec: ProcessSpec, pid: int, now: float) -> None:
        self._spec = spec
        self._began = now
        self._silence = None if spec.idle_s is None else _Silence(spec.idle_s, spec.watch, pid, now)
        self._done_at: float | None = None
        self._disk_pause_s = DISK_FIRST_S
        self._disk_at = now + DISK_FIRST_S

    def pause_s(self, now: float) -> float:
        """How long nothing needs to be looked at."""
        due = [self._began + self._spec.wall_s]
        if self._silence is not None:
            due.append(self._silence.due)
        if self._spec.done is not None:
            due.append(now + DONE_LOOK_S if self._done_at is None else self._done_at + self._spec.done_grace_s)
        if self._spec.disk_bytes is not None:
            due.append(self._disk_at)
        return max(0.0, min(due) - now)

    async def check(self, now: float, output_at: float) -> Breach | None:
        """Look at everything that is due."""
        spec = self._spec
        if now >= self._began + spec.wall_s:
            return Breach(kind=EndKind.TIMEOUT, detail=f"The wall budget of {spec.wall_s:g} s was used up.")
        if self._has_lingered(now):
            detail = f"It had reported and did not end by itself within {spec.done_grace_s:g} s."
            return Breach(kind=EndKind.LINGERED, detail=detail)
        if spec.disk_bytes is not None and now >= self._disk_at and await self._over_disk(spec.disk_bytes):
            detail = f"Its files grew over the cap of {spec.disk_bytes} bytes."
            return Breach(kind=EndKind.OVER_DISK, detail=detail)
        if self._silence is not None and await self._silence.is_over(now, output_at):
            detail = f"No output, no CPU time and no file change for {spec.idle_s:g} s."
            return Breach(kind=EndKind.STALL, detail=detail)
        return None

    def _has_lingered(self, now: float) -> bool:
        if self._spec.done is None:
            return False
        if self._done_at is None and os.path.lexists(self._spec.done):
            self._done_at = now
        return self._done_at is not None and now >= self._done_at + self._spec.done_grace_s

    async def _over_disk(self, cap: int) -> bool:
        began = time.monotonic()
        used = await asyncio.to_thread(disk_usage, self._spec.watch, cap)
        ended = time.monotonic()
        self._disk_pause_s = max(min(self._disk_pause_s * 2, DISK_LONGEST_S), 20 * (ended - began))
        self._disk_at = ended + self._disk_pause_s
        return used > cap


class _Silence:
    """Output first, because it costs nothing; CPU time when there was none; files when that is silent, too."""

    def __init__(self, idle_s: float, watch: tuple[Path, ...], pid: int, now: float) -> None:
        self._idle_s = idle_s
        self._watch = watch
        self._pid = pid
        self._look_s = min(max(idle_s / 4, SHORTEST_LOOK_S), LONGEST_LOOK_S)
        self._active_at = now
        self._mark: tuple[float, int] | None = None
        self._newest = 0
        self.due = now + self._look_s

    async def is_over(self, now: float, output_at: float) -> bool:
        if now < self.due:
            return False
        self._active_at = max(self._active_at, output_at)
        if now - output_at >= self._look_s:
            await self._look_at_cpu(now, output_at)
        if now - self._active_at >= self._idle_s:
            await self._look_at_files(now)
        self.due = min(now + self._look_s, max(self._active_at + self._idle_s, now + SHORTEST_LOOK_S / 5))
        return now - self._active_at >= self._idle_s

    async def _look_at_cpu(self, now: float, output_at: float) -> None:
        ticks = await asyncio.to_thread(cpu_ticks, self._pid)
        if self._mark is None or self._mark[0] <= output_at:
            # What was used before this first look is not known: count it as activity.
            self._active_at, self._mark = now, (now, ticks)
            return
        began, before = self._mark
        least = max(1.0, IDLE_CPU_SHARE * (now - began) * os.sysconf("SC_CLK_TCK"))
        if abs(ticks - before) >= least:
            self._active_at, self._mark = now, (now, ticks)

    async def _look_at_files(self, now: float) -> None:
        before = self._newest
        self._newest = await asyncio.to_thread(newest_change, self._watch)
        if self._newest in (0, before):
            return
        age_s = time.time() - self._newest / 1e9
        # A change since the last look counts even when the wall clock makes it look old.
        self._active_at = max(self._active_at, now if before and age_s >= self._idle_s else now - max(age_s, 0.0))


def _walk(roots: Iterable[Path]) -> Iterator[os.stat_result]:
    """The status of everything below `roots`, links not followed."""
    waiting = [os.fspath(root) for root in roots]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        yield entry.stat(follow_symlinks=False)
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                    except OSError:
                        continue  # it went away while we looked
        except OSError:
            continue


def newest_change(roots: Iterable[Path]) -> int:
    """The newest change time below `roots` in nanoseconds, 0 when there is nothing; a bounded number of files."""
    newest = 0
    roots = tuple(roots)
    for root in roots:
        with suppress(OSError):
            newest = max(newest, root.stat().st_ctime_ns)
    return max(newest, max((status.st_ctime_ns for status in islice(_walk(roots), MOST_FILES)), default=0))


def disk_usage(roots: Iterable[Path], enough: int) -> int:
    """Bytes on disk below `roots`, hard links once; the count ends when it is over `enough`."""
    used = 0
    seen: set[tuple[int, int]] = set()
    for status in _walk(roots):
        if status.st_nlink > 1 and not S_ISDIR(status.st_mode):
            identity = (status.st_dev, status.st_ino)
            if identity in seen:
                continue
            seen.add(identity)
        used += status.st_blocks * 512 + INODE_BYTES
        if used > enough:
            break
    return used
