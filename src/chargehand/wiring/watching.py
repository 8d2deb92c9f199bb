"""Looking on while other processes drive a run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.lock import RunLock
from chargehand.adapters.watching import FolderWatch

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Glimpse", "glimpses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """A moment of a run: who drives it, in words (None: nobody), and that process's id on this machine."""

    holder: str | None
    pid: int | None = None


async def glimpses(workshop: Workshop, run: str) -> AsyncGenerator[Glimpse, None]:
    """Yield at once, and whenever the journal may have grown or another process drives the run; never ends by itself.

    Who looks while nobody drives the run makes and removes a file beside the journal, which wakes us as a change does:
    so then, and only then, the times and sizes of the files decide (two changes within a tick of the clock look alike).
    """
    folder = workshop.store.folder(run)
    seen: object = None
    with FolderWatch(folder) as watch:
        while True:
            stamp = _stamp(folder)
            glimpse = _look(folder)
            if glimpse.holder is not None or (stamp, glimpse) != seen:
                seen = (stamp, glimpse)
                yield glimpse
            await watch.wait(glimpse.pid)


def _look(folder: Path) -> Glimpse:
    holder = RunLock.look(folder / "lock")
    if holder is None:
        return Glimpse(holder=None)
    return Glimpse(holder=holder.text, pid=None if holder.is_elsewhere else holder.pid or None)


def _stamp(folder: Path) -> tuple[tuple[int, int, int], ...]:
    """What changes when events are written. The shared-memory file is left out: looking changes it."""
    found = []
    for name in ("journal.db", "journal.db-wal"):
        try:
            status = (folder / name).stat()
        except FileNotFoundError:
            continue
        if status.st_size:
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)
