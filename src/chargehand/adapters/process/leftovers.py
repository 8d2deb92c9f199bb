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
    signalled: dict[int, Stat] = {}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        processes = snapshot()
        targets = _targets(marker, processes)
        dying = [stat for stat in signalled.values() if _is_alive(stat, processes)]
        if not (targets or dying) or time.monotonic() > deadline:
            return sorted(signalled)
        send([*targets, *dying], signal.SIGKILL)
        signalled.update((stat.pid, stat) for stat in targets)
        time.sleep(LOOK_S)


def _is_alive(stat: Stat, processes: dict[int, Stat]) -> bool:
    now = processes.get(stat.pid)
    return now is not None and now.started == stat.started and now.state not in "ZX"


def _targets(marker: str, processes: dict[int, Stat]) -> list[Stat]:
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
