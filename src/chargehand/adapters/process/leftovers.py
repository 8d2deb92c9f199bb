"""Finds and ends what an earlier run of the program left behind, by the marker in its environment."""

from __future__ import annotations

import os
import signal
import time

from chargehand.adapters.process.tree import Stat, descendants, marked, send, snapshot

__all__ = ["kill_leftovers"]

PATIENCE_S = 5.0
LOOK_S = 0.01


def kill_leftovers(marker: str) -> list[int]:
    """Kill the processes marked with `marker` (or `marker/…`) and all below them; answers their pids.

    Returns when they are gone, at the latest after a few seconds. Never touches pid 1, this process or those
    it descends from. Blocks: call it in a thread where a loop runs.
    """
    if not marker:
        return []
    killed: set[int] = set()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        targets = _targets(marker)
        if not targets or time.monotonic() > deadline:
            return sorted(killed)
        send(targets, signal.SIGKILL)
        killed.update(stat.pid for stat in targets)
        time.sleep(LOOK_S)


def _targets(marker: str) -> list[Stat]:
    processes = snapshot()
    spared = _line_of(os.getpid(), processes)
    found = {stat.pid: stat for stat in marked(marker, processes, spared)}
    for stat in list(found.values()):
        found.update((below.pid, below) for below in descendants(stat.pid, processes) if below.state not in "ZX")
    return [stat for stat in found.values() if stat.pid > 1 and stat.pid not in spared]


def _line_of(pid: int, processes: dict[int, Stat]) -> list[int]:
    line = [pid]
    while (stat := processes.get(line[-1])) is not None and stat.parent > 0:
        line.append(stat.parent)
    return line
