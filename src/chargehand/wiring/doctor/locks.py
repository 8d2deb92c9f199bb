"""Who drives a run, and locks that nobody holds any more."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from chargehand.adapters.lock import SEEMS_DEAD_S, Holder, RunLock
from chargehand.wiring.doctor.case import Case
from chargehand.wiring.doctor.finding import Finding, Repair

__all__ = ["look_at_lock"]


def look_at_lock(case: Case) -> list[Finding]:
    """Held by whom and since when; a holder that is gone; a lock of another machine; a lock file that is gone."""
    if case.holder is not None:
        is_there = (case.folder / "lock").exists()
        return [_held(case, case.holder) if is_there else _removed(case)]
    if case.is_over:
        return []
    if not (case.folder / "lock").exists():
        return [_removed(case)]
    if case.last is not None:
        return [_dead(case, case.last)]
    return []


def _held(case: Case, holder: Holder) -> Finding:
    now = time.time()
    who = f"{holder.text} drives it; its last sign of life is {_span(now - holder.heartbeat)} old"
    if holder.is_elsewhere:
        return _elsewhere(case, holder, who, now)
    if holder.seems_dead(now):
        hint = f"If it hangs, end it (`kill {holder.pid}`); then `chargehand resume {case.run}`."
        return Finding(area=case.area, name="lock", ok=None, text=who, hint=hint)
    return Finding(area=case.area, name="lock", ok=True, text=who)


def _elsewhere(case: Case, holder: Holder, who: str, now: float) -> Finding:
    text = f"{who}. Whether that machine still works on it cannot be seen from here"
    if not holder.seems_dead(now):
        hint = f"Go on there. If it is dead, wait until it was silent for {_span(SEEMS_DEAD_S)}, then ask again."
        return Finding(area=case.area, name="lock", ok=None, text=text, hint=hint)
    hint = f"Once you know that nothing runs there: `chargehand doctor {case.run} --repair`."
    repair = Repair(
        text=f"take run {case.run} away from {holder.host}, which seems dead", act=lambda: _forget(case), removes=True
    )
    return Finding(area=case.area, name="lock", ok=False, text=text, hint=hint, repair=repair)


async def _forget(case: Case) -> str:
    RunLock.forget(case.folder / "lock")
    return f"The run is free; `chargehand resume {case.run}` goes on."


def _removed(case: Case) -> Finding:
    if _is_locked(case.folder):
        text = "its lock file was removed, but a process still drives the run; it will notice and end"
        hint = f"Wait for a minute, then `chargehand resume {case.run}`."
    else:
        text = "its lock file was removed; nobody drives the run"
        hint = f"`chargehand resume {case.run}` makes a new one."
    return Finding(area=case.area, name="lock", ok=None, text=text, hint=hint)


def _is_locked(folder: Path) -> bool:
    """Whether somebody holds the folder, which the kernel tells also when the file in it is gone."""
    there = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(there, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system that locks no folders
    finally:
        os.close(there)
    return False


def _dead(case: Case, last: Holder) -> Finding:
    text = f"{last.text} drove it, and is gone without giving it up (killed, or the machine went down)"
    hint = f"Nothing to repair: `chargehand resume {case.run}` takes over."
    return Finding(area=case.area, name="lock", ok=None, text=text, hint=hint)


def _span(seconds: float) -> str:
    seconds = max(0.0, seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
