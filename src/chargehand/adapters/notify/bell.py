"""The bell of the terminal."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TextIO

from chargehand.ports import Notice

__all__ = ["TerminalBell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalBell:
    """Implements `Channel`; the text is the live display's to show. `screen` None: standard error as it is then."""

    screen: TextIO | None = None
    name: str = "bell"

    async def send(self, notice: Notice) -> None:  # noqa: ARG002 - part of the protocol
        """Ring, if there is a terminal."""
        if self.missing():
            return
        screen = self.screen or sys.stderr
        screen.write("\a")
        screen.flush()

    def missing(self) -> str:
        """Without a terminal there is no bell."""
        screen = self.screen or sys.stderr
        return "" if not screen.closed and screen.isatty() else "Standard error is not a terminal."
