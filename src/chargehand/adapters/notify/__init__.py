"""Tells people that something wants their attention, in the ways they chose. Never fails a run (SPEC 9)."""

from chargehand.adapters.notify.bell import TerminalBell
from chargehand.adapters.notify.channel import Channel, NotTold
from chargehand.adapters.notify.fan import Fan

__all__ = ["Channel", "Fan", "NotTold", "TerminalBell"]
