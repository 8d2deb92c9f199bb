"""Finds and ends what an earlier run of the program left behind, by its marks (`marks.py`)."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

from chargehand.adapters.process.marks import marked, without_master
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
    deadline = time.monotonic() + PATIENCE_S
    signalled, left = _kill(marker, deadline)
    while helpers := without_master(snapshot()):
        if time.monotonic() > deadline:
            send(helpers, signal.SIGKILL)
            break
        time.sleep(LOOK_S)
    gone = signalled.keys() - {stat.pid for stat in left}
    return Ended(killed=tuple(sorted(gone)), left=tuple(sorted(stat.pid for stat in left)))


def kill_leftovers(marker: str) -> list[int]:
    """Kill the processes marked with `marker` (or `marker/…`) and all below them; answers their pids.

    Returns when they are gone, at the latest after a few seconds. Never touches pid 1, this process or those
    it descends from. Blocks: call it in a thread where a loop runs.
    """
    return sorted(_kill(marker, time.monotonic() + PATIENCE_S)[0])


def _kill(marker: str, deadline: float) -> tuple[dict[int, Stat], list[Stat]]:
    """What was signalled, and what of it did not end in time."""
    signalled: dict[int, Stat] = {}
    while marker:
        processes = snapshot()
        targets = _targets(marker, processes)
        dying = [stat for stat in signalled.values() if _is_alive(stat, processes)]
        if not (targets or dying):
            break
        if time.monotonic() > deadline:
            return signalled, list({stat.pid: stat for stat in (*targets, *dying)}.values())
        send([*targets, *dying], signal.SIGKILL)
        signalled.update((stat.pid, stat) for stat in targets)
        time.sleep(LOOK_S)
    return signalled, []


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
