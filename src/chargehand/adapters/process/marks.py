"""How the processes of a run are told from all others, also when whoever started them is gone.

Two marks, both inherited by everything that a marked process starts. The environment carries the marker as it is: it
says which attempt, but a program may clean its environment. So the launcher also puts a number into the soft limit of
file locks (`RLIMIT_LOCKS`), which Linux keeps and has ignored since 2.4: it outlives `env -i`, new sessions, double
forks and exec, needs no privilege, changes nothing, and can be read in /proc. Only a program that sets this very limit
leaves it behind.

Short helpers such as git have no launcher. Their environment names the process they work for, so that whoever takes
over from a dead one can let them come to their end.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from chargehand.adapters.process.spec import MARKER_VARIABLE
from chargehand.adapters.process.tree import PROC, Stat, stat_of

__all__ = ["HELPER_VARIABLE", "mark_number", "marked", "own_name", "without_master"]

HELPER_VARIABLE = "CHARGEHAND_HELPER_OF"

_HEAD_BITS = 31
_TAIL_BITS = 30
_FLAG = 1 << (_HEAD_BITS + _TAIL_BITS)
_LIMIT = b"\nMax file locks"
_KERNEL = 2  # the parent of all kernel threads


def mark_number(marker: str) -> int:
    """The number that stands for a marker: the upper half for what is before the first "/", the lower for all of it."""
    return _FLAG | _hash(marker.partition("/")[0], _HEAD_BITS) << _TAIL_BITS | _hash(marker, _TAIL_BITS)


def _hash(text: str, bits: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> (64 - bits)


def marked(marker: str, processes: dict[int, Stat], spared: Sequence[int]) -> list[Stat]:
    """The processes marked with `marker`, or with one that begins with `marker` + "/".

    What has cleaned its environment is found by the whole marker, and by its part before the first "/".
    """
    number, is_head = mark_number(marker), "/" not in marker.rstrip("/")
    return [
        stat
        for stat in _others(processes.values(), spared)
        if _fits(_number_of(stat.pid), number, is_head=is_head) or _begins(_entry(stat.pid, MARKER_VARIABLE), marker)
    ]


def _fits(found: int, number: int, *, is_head: bool) -> bool:
    return found == number or (is_head and found >> _TAIL_BITS == number >> _TAIL_BITS)


def _begins(found: str, marker: str) -> bool:
    return found == marker or found.startswith(f"{marker.rstrip('/')}/")


def _others(processes: Iterable[Stat], spared: Sequence[int]) -> Iterator[Stat]:
    return (stat for stat in processes if stat.pid not in spared and stat.state not in "ZX" and stat.parent != _KERNEL)


def _number_of(pid: int) -> int:
    """The soft limit of file locks, 0 where it is not told or unlimited."""
    text = _read(pid, "limits")
    words = text[text.find(_LIMIT) + len(_LIMIT) :].split(None, 1) if _LIMIT in text else []
    return int(words[0]) if words and words[0].isdigit() else 0


def _entry(pid: int, name: str) -> str:
    """What a process has been started with in its environment; empty where there is no such variable."""
    prefix = f"{name}=".encode()
    entries = _read(pid, "environ").split(b"\0")
    return next((os.fsdecode(entry[len(prefix) :]) for entry in entries if entry.startswith(prefix)), "")


def _read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""


# -- helpers ---------------------------------------------------------------------------------------


def own_name() -> str:
    """The name of this process for its helpers: pid and start time."""
    return _name_of(os.getpid())


@cache
def _name_of(pid: int) -> str:
    stat = stat_of(pid)
    return f"{pid}-{stat.started if stat else 0}"


def without_master(processes: dict[int, Stat]) -> list[Stat]:
    """The helpers whose master is gone, of whatever run."""
    masters = {f"{stat.pid}-{stat.started}" for stat in processes.values() if stat.state not in "ZX"}
    named = ((stat, _entry(stat.pid, HELPER_VARIABLE)) for stat in _others(processes.values(), ()))
    return [stat for stat, master in named if master and master not in masters and _counts_as_we_do(stat.pid)]


def _counts_as_we_do(pid: int) -> bool:
    """Whether pids mean the same to that process as to us: in a container they do not."""
    try:
        return (PROC / str(pid) / "ns" / "pid").readlink() == (PROC / "self" / "ns" / "pid").readlink()
    except OSError:
        return False
