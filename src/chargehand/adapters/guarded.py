"""The tool calls of one attempt: ruled on as they come, and what needs a person is asked and waited for (SPEC 7.2)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.guarding.calls import Question, Ruling, ToolCall, rule
from chargehand.adapters.guarding.configs import hook_argv
from chargehand.adapters.guarding.place import Place
from chargehand.adapters.guarding.server import HookServer
from chargehand.adapters.held_calls import HeldCalls
from chargehand.adapters.output import Redactor
from chargehand.adapters.process import Running
from chargehand.adapters.text import clean_text
from chargehand.ports import AttemptSpec, Places

__all__ = ["Guarded", "PlaceOf"]

PlaceOf = Callable[[Places], Place]
"""From the folders of an attempt to what of the machine counts as its own."""

STIR_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hook:
    folder: Path
    argv: tuple[str, ...]

    @property
    def readable(self) -> tuple[Path, ...]:
        """What the agent's sandbox has to show: the socket's folder and the program."""
        return (self.folder, Path(self.argv[3]))


class Guarded:
    """The coordinator's end of one attempt's hook. An agent that waits for a person is not silent."""

    def __init__(
        self, held: HeldCalls, spec: AttemptSpec, *, form: str, folder: Path, redactor: Callable[[], Redactor]
    ) -> None:
        self._held = held
        self._spec = spec
        self._redactor = redactor
        self._place: Place | None = None
        self._waiting = 0
        self._stirred = asyncio.Event()
        socket = folder / "calls"
        self._server = HookServer(socket, self._decide)
        self.hook = _Hook(folder=folder, argv=hook_argv(sys.executable, form, socket))

    async def start(self, place: Place) -> None:
        """Listen; calls are judged as made in `place`. AdapterError where no socket can be made."""
        self._place = place
        self.hook.folder.mkdir(mode=0o700, exist_ok=True)
        await self._server.start()

    async def stop(self) -> None:
        """Deny whoever still waits, and stop listening; harmless when repeated."""
        await self._server.stop()

    async def attend(self, running: Running) -> None:
        """Tell the silence budget that an agent which waits for an answer is alive."""
        while True:
            await self._stirred.wait()
            while self._waiting:
                running.is_heard()
                await asyncio.sleep(STIR_S)
            self._stirred.clear()

    async def _decide(self, call: ToolCall) -> Ruling:
        if self._place is None:
            return Ruling(allow=False, reason="Nobody decided about it, so it is denied.")
        found = await asyncio.to_thread(rule, call, self._place)
        return await self._ask(found) if isinstance(found, Question) else found

    async def _ask(self, question: Question) -> Ruling:
        """Ask, and wait. What cannot be shown as it would run cannot be answered: a yes is for what was read [I9]."""
        spec, redact = self._spec, self._redactor().text
        if clean_text(question.command) != question.command:
            return Ruling(allow=False, reason="It holds characters that nobody sees; write it without them.")
        self._waiting += 1
        self._stirred.set()
        try:
            ruling = await self._held.ask(
                key=spec.key,
                task=spec.task,
                attempt=spec.attempt,
                command=redact(question.command),
                why=redact(" ".join(dict.fromkeys(danger.why for danger in question.dangers))),
            )
        finally:
            self._waiting -= 1
        return Ruling(allow=ruling.allow, reason=ruling.text)
