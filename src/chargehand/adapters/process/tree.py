"""Processes as /proc shows them: who descends from whom, what they use, and signals that cannot miss."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PROC", "Stat", "cpu_ticks", "descendants", "send", "snapshot", "stat_of"]

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """One process; `started` in kernel ticks makes the pid unambiguous, `cpu` in ticks counts reaped children."""

    pid: int
    name: str
    parent: int
    state: str
    started: int
    cpu: int


def stat_of(pid: int) -> Stat | None:
    """The process `pid`, or None when there is none (or no /proc)."""
    try:
        text = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name stands in brackets and may hold brackets and blanks itself.
    head, _, rest = text.rpartition(b")")
    fields = rest.split()
    if len(fields) < 20:
        return None
    return Stat(
        pid=pid,
        name=head.partition(b"(")[2].decode(errors="replace"),
        parent=int(fields[1]),
        state=fields[0].decode(),
        started=int(fields[19]),
        cpu=sum(int(field) for field in fields[11:15]),
    )


def snapshot() -> dict[int, Stat]:
    """All processes we may see at this moment."""
    try:
        names = os.listdir(PROC)  # noqa: PTH208 — a Path for each process costs more than reading it
    except OSError:
        return {}
    found = (stat_of(int(name)) for name in names if name.isdigit())
    return {stat.pid: stat for stat in found if stat is not None}


def descendants(root: int, processes: dict[int, Stat]) -> list[Stat]:
    """Everything below `root`, without it, parents before children."""
    children: dict[int, list[Stat]] = {}
    for stat in processes.values():
        children.setdefault(stat.parent, []).append(stat)
    found = list(children.get(root, ()))
    for stat in found:
        found += children.get(stat.pid, ())
    return found


def cpu_ticks(root: int) -> int:
    """CPU time of the whole tree, in ticks; that of ended processes is counted by whoever waited for them."""
    processes = snapshot()
    own = processes.get(root)
    return (own.cpu if own else 0) + sum(stat.cpu for stat in descendants(root, processes))


def send(targets: Iterable[Stat], number: int) -> None:
    """Signal each process if it is still the same one; those that are gone or not ours are passed over."""
    for stat in targets:
        if stat.pid <= 1 or stat.state in "ZX":
            continue
        with suppress(ProcessLookupError, PermissionError):
            _send_one(stat, number)


def _send_one(stat: Stat, number: int) -> None:
    if not hasattr(os, "pidfd_open"):
        os.kill(stat.pid, number)
        return
    descriptor = os.pidfd_open(stat.pid)
    try:
        now = stat_of(stat.pid)
        if now is not None and now.started == stat.started:
            signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)
