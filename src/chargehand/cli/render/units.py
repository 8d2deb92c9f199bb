"""Times, durations and amounts as people read them, and as documents hold them."""

from __future__ import annotations

from datetime import datetime

from chargehand.report.units import amount, count, duration, iso, short

__all__ = ["ago", "amount", "clock", "count", "duration", "iso", "moment", "short"]


def clock(at: float) -> str:
    """The local time of day, hh:mm:ss."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def moment(at: float, now: float) -> str:
    """The local time of day, with the day where it is another one than `now`."""
    try:
        then, today = (datetime.fromtimestamp(each).astimezone() for each in (at, now))
    except (ValueError, OverflowError, OSError):
        return "a time that no calendar has"
    return clock(at) if then.date() == today.date() else f"{clock(at)} on {then.day} {then:%b}"


def ago(at: float, now: float) -> str:
    """How long ago a moment was."""
    return f"{duration(now - at)} ago"
