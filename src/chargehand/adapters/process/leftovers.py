"""Finds and ends what an earlier run of the program left behind, by its marks (`marks.py`)."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

from chargehand.adapters.process.marks import find
from chargehand.adapters.process.tree import Stat, descendants, send, snapshot

__all__ = ["Ended", "end_leftovers", "kill_leftovers"]

PATIENCE_S = 5.0
LOOK_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The pids of what was ended, and of what is still there: it belongs to somebody else, or hangs in the kernel."""

    killed: tuple[int, ...] = ()
    left: tuple[int, ...] = ()


def end_leftovers(marker: str) -> Ended:
    """Kill what is marked with `marker` (or `marker/…`), and see to it that helpers without a master end.

    Those are given time: git ends within moments by itself, and leaves lock files behind when it is killed. Returns
    when all are gone, at the latest after a few seconds. Blocks: call it in a thread where a loop runs.
    """
    return _end(marker, with_helpers=True)


def kill_leftovers(marker: str) -> list[int]:
    """Kill the processes marked with `marker` (or `marker/…`) and all below them; answers their pids.

    Returns when they are gone, at the latest after a few seconds. Never touches pid 1, this process or those
    it descends from. Blocks: call it in a thread where a loop runs.
    """
    ended = _end(marker, with_helpers=False) if marker else Ended()
    return sorted((*ended.killed, *ended.left))


def _end(marker: str, *, with_helpers: bool) -> Ended:
    signalled: dict[int, Stat] = {}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        processes = snapshot()
        found = find(marker, processes, _line_of(os.getpid(), processes))
        targets = _with_all_below(found.marked, processes)
        helpers = found.helpers if with_helpers else []
        dying = [stat for stat in signalled.values() if _is_alive(stat, processes)]
        left = {stat.pid for stat in (*targets, *dying)}
        is_late = time.monotonic() > deadline
        if is_late or not (left or helpers):
            send(helpers, signal.SIGKILL)
            return Ended(killed=tuple(sorted(signalled.keys() - left)), left=tuple(sorted(left)))
        send([*targets, *dying], signal.SIGKILL)
        signalled.update((stat.pid, stat) for stat in targets)
        time.sleep(LOOK_S)


def _is_alive(stat: Stat, processes: dict[int, Stat]) -> bool:
    now = processes.get(stat.pid)
    return now is not None and now.started == stat.started and now.state not in "ZX"


def _with_all_below(marked: list[Stat], processes: dict[int, Stat]) -> list[Stat]:
    spared = _line_of(os.getpid(), processes)
    found = {stat.pid: stat for stat in marked}
    for stat in marked:
        found.update((below.pid, below) for below in descendants(stat.pid, processes) if below.state not in "ZX")
    return [stat for stat in found.values() if stat.pid > 1 and stat.pid not in spared]


def _line_of(pid: int, processes: dict[int, Stat]) -> list[int]:
    line = [pid]
    while (stat := processes.get(line[-1])) is not None and stat.parent > 0:
        line.append(stat.parent)
    return line
