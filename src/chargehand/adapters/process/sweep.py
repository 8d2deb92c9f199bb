"""Kills what belongs to an owner that is gone. A script of its own: `python -I -S sweep.py OWNER`.

The first process of a sandbox carries the owner in the environment it was started with; with it, all others in
there die.
"""

import os
import sys
import time

SIGKILL = 9
PAUSE_S = 0.005
MOST_PASSES = 1000


def main(owner: str) -> None:
    """Look and kill until a look finds nothing."""
    entry = b"\0CHARGEHAND_OWNER=" + os.fsencode(owner) + b"\0"
    for _ in range(MOST_PASSES):
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _carries(pid, entry)]  # noqa: PTH208
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, SIGKILL)
            except OSError:
                continue
        time.sleep(PAUSE_S)


def _carries(pid: int, entry: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            return entry in b"\0" + file.read()
    except OSError:
        return False


if __name__ == "__main__":
    main(sys.argv[1])
