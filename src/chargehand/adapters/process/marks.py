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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from chargehand.adapters.process.spec import MARKER_VARIABLE
from chargehand.adapters.process.tree import PROC, Stat, stat_of

__all__ = ["HELPER_VARIABLE", "Found", "find", "mark_number", "marked", "own_name"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The processes that carry a mark, and the helpers, of whatever run, whose master is gone."""

    marked: list[Stat]
    helpers: list[Stat]


def marked(marker: str, processes: dict[int, Stat], spared: Sequence[int]) -> list[Stat]:
    """The processes marked with `marker`, or with one that begins with `marker` + "/".

    What has cleaned its environment is found by the whole marker, and by its part before the first "/".
    """
    return find(marker, processes, spared).marked


def find(marker: str, processes: dict[int, Stat], spared: Sequence[int]) -> Found:
    """Look once at every process."""
    number, is_head = mark_number(marker), "/" not in marker.rstrip("/")
    masters = {f"{stat.pid}-{stat.started}" for stat in processes.values() if stat.state not in "ZX"}
    found = Found(marked=[], helpers=[])
    for stat in processes.values():
        if stat.pid in spared or stat.state in "ZX" or stat.parent == _KERNEL:
            continue
        environment = _Environment(_read(stat.pid, "environ"))
        if marker and (_fits(_number_of(stat.pid), number, is_head) or _begins(environment[MARKER_VARIABLE], marker)):
            found.marked.append(stat)
        master = environment[HELPER_VARIABLE]
        if master and master not in masters and _counts_as_we_do(stat.pid):
            found.helpers.append(stat)
    return found


class _Environment:
    """The variables a process was started with; empty where there is none of that name."""

    def __init__(self, text: bytes) -> None:
        self._text = b"\0" + text

    def __getitem__(self, name: str) -> str:
        _, found, rest = self._text.partition(f"\0{name}=".encode())
        return os.fsdecode(rest.partition(b"\0")[0]) if found else ""


def _fits(found: int, number: int, is_head: bool) -> bool:
    return found == number or (is_head and found >> _TAIL_BITS == number >> _TAIL_BITS)


def _begins(found: str, marker: str) -> bool:
    return found == marker or found.startswith(f"{marker.rstrip('/')}/")


def _number_of(pid: int) -> int:
    """The soft limit of file locks, 0 where it is not told or unlimited."""
    _, found, rest = _read(pid, "limits").partition(_LIMIT)
    words = rest.split(None, 1) if found else []
    return int(words[0]) if words and words[0].isdigit() else 0


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"{PROC}/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - a Path costs as much as reading
            return file.read()
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


def _counts_as_we_do(pid: int) -> bool:
    """Whether pids mean the same to that process as to us: in a container they do not."""
    try:
        return (PROC / str(pid) / "ns" / "pid").readlink() == (PROC / "self" / "ns" / "pid").readlink()
    except OSError:
        return False
