"""Tells people that something wants their attention. Never fails a run."""

from __future__ import annotations

import sys
from dataclasses import dataclass

__all__ = ["TerminalBell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalBell:
    """Implements `ports.Notifier` with the bell of the terminal; the text is the live display's to show."""

    enabled: bool = False

    def notify(self, title: str, text: str) -> None:  # noqa: ARG002 - part of the port
        """Ring, if that is wanted and there is a terminal."""
        if self.enabled and sys.stderr.isatty():
            sys.stderr.write("\a")
            sys.stderr.flush()

    async def close(self) -> None:
        """Nothing is under way: a bell has rung."""
