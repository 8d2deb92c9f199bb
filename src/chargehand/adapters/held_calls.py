"""Tool calls of live attempts that wait for somebody's yes (SPEC 7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from chargehand.domain.events import CommandAsked, CommandDropped, Event

__all__ = ["ANSWER_WAIT_S", "HeldCalls", "Ruling"]

ANSWER_WAIT_S = 10 * 60.0
"""How long an agent is held: after that it hears a no, so that a slot is not taken for days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """Whether a call may go on, and what the agent is told."""

    allow: bool
    text: str


@dataclass(slots=True)
class HeldCalls:
    """The calls that are held now, by an id that is unique in the run. Silence never approves [I9]."""

    wait_s: float = ANSWER_WAIT_S
    _asked: Callable[[Event], None] | None = None
    _held: dict[str, asyncio.Future[Ruling]] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def listen(self, asked: Callable[[Event], None]) -> None:
        """Call `asked` with an event for each call that is held, or given up."""
        self._asked = asked

    def rule(self, call: str, *, allow: bool, text: str) -> None:
        """Answer a held call; one that nobody holds is harmless."""
        held = self._held.get(call)
        if held is not None and not held.done():
            held.set_result(Ruling(allow=allow, text=text))

    async def ask(self, *, key: str, task: str, attempt: int, command: str, why: str) -> Ruling:
        """Hold a call until somebody answers, or nobody did in time; cancelled, it leaves nothing behind."""
        if self._asked is None:
            return Ruling(allow=False, text="Nobody can be asked here.")
        call = f"{key}/call-{next(self._numbers)}"
        held: asyncio.Future[Ruling] = asyncio.get_running_loop().create_future()
        self._held[call] = held
        try:
            self._asked(CommandAsked(key=key, task=task, attempt=attempt, call=call, command=command, why=why))
            async with asyncio.timeout(self.wait_s):
                return await held
        except TimeoutError:
            self._asked(CommandDropped(call=call))
            text = f"Nobody answered within {self.wait_s:.0f} s: go on without it, or report BLOCKED and say why."
            return Ruling(allow=False, text=text)
        finally:
            del self._held[call]
