"""Somebody who is still there when Chargehand is gone, for sandboxes that were just being made [I11].

bubblewrap binds its inside to its own life only when it has set it up, some milliseconds after it was started. When
Chargehand is killed in between, bubblewrap dies and its inside lives. One sleeping shell per process of Chargehand
waits for that: when the pipe to it closes without a word, it becomes a sweeper that kills all that was started.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from chargehand.adapters.process.tree import stat_of

__all__ = ["OWNER_VARIABLE", "owner"]

OWNER_VARIABLE = "CHARGEHAND_OWNER"
SWEEPER = Path(__file__).with_name("sweep.py")
DISMISSAL_S = 2.0
SCRIPT = "trap '' INT TERM HUP; read -r _ && exit; exec \"$@\""
_guards: dict[int, subprocess.Popen[bytes]] = {}  # one for each pid: a fork of ours needs its own


def owner() -> str:
    """The name of this process for its guard, who is there from now on."""
    pid = os.getpid()
    stat = stat_of(pid)
    name = f"{pid}-{stat.started if stat else 0}"
    guard = _guards.get(pid)
    if guard is None or guard.poll() is not None:
        if guard is None:
            atexit.register(_dismiss, pid)
        _guards[pid] = _start(name)
    return name


def _start(name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", SCRIPT, "sh", sys.executable, "-I", "-S", str(SWEEPER), name],
        cwd="/",
        env={"PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        bufsize=0,
    )


def _dismiss(pid: int) -> None:
    guard = _guards.pop(pid, None)
    if guard is None or os.getpid() != pid or guard.stdin is None:
        return
    with suppress(OSError):
        guard.stdin.write(b"\n")
    guard.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        guard.wait(DISMISSAL_S)
