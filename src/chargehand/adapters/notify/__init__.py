"""Tells people that something wants their attention, in the ways they chose. Never fails a run (SPEC 9)."""

from chargehand.adapters.notify.bell import TerminalBell
from chargehand.adapters.notify.channel import Channel, NotTold
from chargehand.adapters.notify.command import CommandChannel
from chargehand.adapters.notify.desktop import Desktop
from chargehand.adapters.notify.fan import Fan
from chargehand.adapters.notify.message import fit
from chargehand.adapters.notify.webhook import Patience, Webhook

__all__ = ["Channel", "CommandChannel", "Desktop", "Fan", "NotTold", "Patience", "TerminalBell", "Webhook", "fit"]
