"""The tool calls of one attempt: ruled on as they come, and what needs a person is asked and waited for (SPEC 7.2)."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.guarding.calls import Question, Ruling, ToolCall, rule
from chargehand.adapters.guarding.classify import forbidding
from chargehand.adapters.guarding.configs import hook_argv
from chargehand.adapters.guarding.place import Place
from chargehand.adapters.guarding.server import HookServer
from chargehand.adapters.held_calls import HeldCalls
from chargehand.adapters.output import Redactor
from chargehand.adapters.process import Running
from chargehand.adapters.text import clean_text
from chargehand.domain.outcome import LOOKERS
from chargehand.ports import AgentEvent, AttemptSpec, EventKind, Places

__all__ = ["Guarded", "PlaceOf"]

PlaceOf = Callable[[Places], Place]
"""From the folders of an attempt to what of the machine counts as its own."""

STIR_S = 1.0
_QUOTING = re.compile(r"[\s'\"\\]+")
_COMPARED_CHARS = 60
_MOST_TOLD = 10_000
_MOST_SHOWN = 3
_SHOWN_CHARS = 200


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
        self._ruled = list(spec.ruled)
        self._approved: list[tuple[str, str]] = []
        self._called: list[str] = []
        self._refused: list[str] = []
        self._denied: list[str] = []
        self._waiting = 0
        self._stirred = asyncio.Event()
        socket = folder / "calls"
        self._server = HookServer(socket, self._decide)
        self.hook = _Hook(folder=folder, argv=hook_argv(sys.executable, form, socket))

    async def start(self, place: Place) -> None:
        """Listen; calls are judged as made in `place`. AdapterError where no socket can be made."""
        self._place = forbidding(place, self._spec.forbidden) if self._spec.forbidden else place
        self.hook.folder.mkdir(mode=0o700, exist_ok=True)
        await self._server.start()

    async def stop(self) -> None:
        """Deny whoever still waits, and stop listening; harmless when repeated."""
        await self._server.stop()

    def heard(self, event: AgentEvent) -> None:
        """Take what the program tells of its calls: it may have rules of its own, and refuse what was approved."""
        kept = {EventKind.CALL: self._called, EventKind.DENIED: self._refused}.get(event.kind)
        if kept is not None and len(kept) < _MOST_TOLD:
            kept.append(_bare(event.text))

    @property
    def in_vain(self) -> tuple[str, ...]:
        """A sentence for each approved command that the program did not run, as far as it tells."""
        told = []
        for command, plain in self._approved:
            bare = _bare(plain)[:_COMPARED_CHARS]
            if any(bare in text for text in self._refused):
                told.append(f"A command was approved, but the agent's program itself refused to run it: {command}")
            elif not any(bare in text for text in self._called):
                told.append(
                    "A command was approved, but the agent's program does not tell of running it: a rule of its own "
                    f"seems to have refused it (its messages are in stderr.log): {command}"
                )
        return tuple(told)

    @property
    def denied(self) -> tuple[str, ...]:
        """A sentence about the tool calls that were denied without asking anybody; none when there were none."""
        if not self._denied:
            return ()
        number, shown = len(self._denied), list(dict.fromkeys(self._denied))[:_MOST_SHOWN]
        head = "1 tool call was denied" if number == 1 else f"{number} tool calls were denied"
        more = ", and others" if len(set(self._denied)) > len(shown) else ""
        return (f"{head} without a question: {'; '.join(shown)}{more}.",)

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
        if isinstance(found, Question):
            return await self._ask(found)
        return found if found.allow else self._denied_at_once(call.tool, _object_of(call), found.reason)

    async def _ask(self, question: Question) -> Ruling:
        """Ask, and wait. What cannot be shown as it would run cannot be answered: a yes is for what was read [I9]."""
        spec, redact = self._spec, self._redactor().text
        if spec.role in LOOKERS:
            return self._denied_at_once("a command", redact(question.command), "Who only looks has no need of it.")
        if clean_text(question.command) != question.command:
            reason = "It holds characters that nobody sees; write it without them."
            return self._denied_at_once("a command", question.command, reason)
        shown = redact(question.command)
        if (before := self._said_before(question, shown)) is not None:
            return before
        self._waiting += 1
        self._stirred.set()
        try:
            ruling = await self._held.ask(
                key=spec.key,
                task=spec.task,
                attempt=spec.attempt,
                command=shown,
                why=redact(" ".join(dict.fromkeys(danger.why for danger in question.dangers))),
            )
        finally:
            self._waiting -= 1
        return self._noted(shown, question, Ruling(allow=ruling.allow, reason=ruling.text))

    def _denied_at_once(self, tool: str, what: str, reason: str) -> Ruling:
        redact = self._redactor().text  # before anything is cut: half a secret is not found any more
        self._denied.append(f"{tool}: {redact(what)[:_SHOWN_CHARS]} ({redact(reason).rstrip('.')})")
        return Ruling(allow=False, reason=reason)

    def _said_before(self, question: Question, shown: str) -> Ruling | None:
        """What people said of this command before the attempt: a yes is for one run of what was read, to the letter.

        The folder is part of what was read: a question says where it runs.
        """
        if (shown, False) in self._ruled:
            return Ruling(allow=False, reason="Somebody said no to this one: go on without it.")
        if (shown, True) in self._ruled and shown == question.command:
            self._ruled.remove((shown, True))
            return self._noted(shown, question, Ruling(allow=True, reason="Somebody said yes to this one."))
        return None

    def _noted(self, shown: str, question: Question, ruling: Ruling) -> Ruling:
        if ruling.allow:
            self._approved.append((shown, self._redactor().text(question.plain or question.command)))
        return ruling


def _object_of(call: ToolCall) -> str:
    """What a call is about, in a few words."""
    return call.command or ", ".join((*call.paths, *call.urls)) or "nothing that was told"


def _bare(text: str) -> str:
    """A command without what a program adds when it quotes it, to be found again in what the program tells."""
    return _QUOTING.sub("", text)
