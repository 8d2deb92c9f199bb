"""The only door to subprocesses: bounded in time, silence, output and disk; no process outlives it [I10, I11]."""

from chargehand.adapters.process.capture import capture
from chargehand.adapters.process.descriptors import allow_enough
from chargehand.adapters.process.guard import OWNER_VARIABLE
from chargehand.adapters.process.leftovers import Ended, end_leftovers, kill_leftovers
from chargehand.adapters.process.running import Running, run, start
from chargehand.adapters.process.spawn import is_for_loader, launcher_prefix
from chargehand.adapters.process.spec import MARKER_VARIABLE, SANDBOX_FAILED, Captured, EndKind, ProcessEnd, ProcessSpec

__all__ = [
    "MARKER_VARIABLE",
    "OWNER_VARIABLE",
    "SANDBOX_FAILED",
    "Captured",
    "EndKind",
    "Ended",
    "ProcessEnd",
    "ProcessSpec",
    "Running",
    "allow_enough",
    "capture",
    "end_leftovers",
    "is_for_loader",
    "kill_leftovers",
    "launcher_prefix",
    "run",
    "start",
]
