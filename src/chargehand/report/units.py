"""Durations and amounts as people read them, and moments as documents hold them."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["amount", "count", "duration", "instant", "iso", "short"]


def duration(seconds: float) -> str:
    """4s, 1m05s, 2h03m, 3d04h."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s" if rest else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02}m" if minutes else f"{hours}h"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02}h" if hours else f"{days}d"


def iso(at: float) -> str:
    """A moment in documents: ISO 8601, UTC, milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(at: float) -> str:
    """A moment for people who may be anywhere: 2026-02-03 04:05:06 UTC."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "a time that no calendar has"


def short(commit: str | None) -> str:
    """A commit as people quote it."""
    return commit[:10] if commit else ""


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 task, 2 tasks."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def amount(tokens: int | None, usd: float | None, *, estimated: int = 0, is_least: bool = False) -> str:
    """What was used, as far as it is known; empty when nothing is.

    `estimated` of the tokens are guessed; with `is_least` there is more that cost nobody knows what.
    """
    guessed = f" ({estimated:,} estimated)" if estimated else ""
    known = [f"{tokens:,} tokens{guessed}"] if tokens is not None else []
    if usd is not None:
        known.append(f"{'at least ' if is_least else ''}{_money(usd)}")
    elif tokens:
        known.append("cost unknown")
    return ", ".join(known)


def _money(usd: float) -> str:
    return "less than $0.01" if 0 < usd < 0.005 else f"${usd:,.2f}"
