"""One way to reach people: the only thing a new one has to be."""

from __future__ import annotations

from typing import Protocol

from chargehand.ports import Notice

__all__ = ["Channel", "NotTold"]


class NotTold(Exception):
    """A message did not reach anybody. `kind` is the same for failures of one sort; `text` is a sentence."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class Channel(Protocol):
    """Carries messages that are already fit to show (`message.fit`), one at a time."""

    @property
    def name(self) -> str:
        """The name of its setting: `notify.<name>`."""
        ...

    async def send(self, notice: Notice) -> None:
        """Tell one message, within bounds of its own; `NotTold` when it reached nobody. May be cancelled."""
        ...

    def missing(self) -> str:
        """Why messages can reach nobody here, or an empty string; `send` is then silent."""
        ...
