"""Drives a run from the terminal: progress, signals, questions, and what is printed at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call
from chargehand.cli.output import is_terminal
from chargehand.cli.progress import PlainProgress, Progress
from chargehand.cli.prompts import Prompter
from chargehand.cli.render.canary import base_lines
from chargehand.cli.render.header import header_lines
from chargehand.cli.render.pen import hang
from chargehand.cli.requesting import asker
from chargehand.domain.events import CanaryFinished
from chargehand.domain.words import Decision

if TYPE_CHECKING:
    from chargehand.domain.events import Recorded
    from chargehand.domain.state import RunState
    from chargehand.engine.loop import Engine
    from chargehand.ports import OpenRun
    from chargehand.wiring import Workshop

__all__ = ["Driver", "may_ask", "print_header"]

_SIGNALS = {signal.SIGINT: "ctrl-c", signal.SIGTERM: "sigterm", signal.SIGHUP: "a closed terminal"}


def may_ask(call: Call) -> bool:
    """Whether somebody sits at a terminal who can be asked."""
    return not call.out.json and is_terminal(sys.stdin) and is_terminal(call.out.stderr)


def is_live(call: Call) -> bool:
    """Whether the display may move."""
    return is_terminal(call.out.stderr) and os.environ.get("TERM") != "dumb" and not (call.out.json or call.out.quiet)


async def print_header(call: Call, workshop: Workshop, state: RunState) -> None:
    """What will be done, before it is."""
    sandbox = (await workshop.sandbox(state.options.sandbox)).announcement
    if call.out.quiet:
        return
    here = 0 if call.out.json else await workshop.uncommitted(path for path, _ in state.options.inputs)
    call.out.note(*header_lines(state, call.side_pen, sandbox=sandbox, uncommitted=here), "")


class Driver:
    """Drives one run; `waits` keeps it going while only decisions are left, `asks` puts them on the terminal."""

    def __init__(self, call: Call, workshop: Workshop, run: str, *, asks: bool, waits: bool) -> None:
        self._call = call
        self._workshop = workshop
        self._run = run
        self._asks = asks
        self._waits = waits
        self._engine: Engine | None = None
        self._presses = 0
        self._caught: list[signal.Signals] = []
        self._progress: Progress = PlainProgress(call.out)
        self._prompter: Prompter | None = None

    async def drive(self, held: OpenRun, history: list[Recorded], *, unattended: bool | None = None) -> RunState:
        """Drive the held run to its end or standstill; Ctrl-C, SIGTERM and SIGHUP end it cleanly."""
        self._prepare(history)
        self._catch_signals(asyncio.current_task())
        try:
            return await self._workshop.service.drive(
                held,
                observe=self._observe,
                on_engine=self._take,
                tell=self._tell,
                wait_for_people=self._waits,
                unattended=unattended,
            )
        except asyncio.CancelledError:
            if self._presses:  # stopped before the engine ran: nothing had begun
                raise click.Abort from None
            raise
        finally:
            if self._prompter:
                self._prompter.close()
            self._progress.end()
            self._release_signals()

    def _prepare(self, history: list[Recorded]) -> None:
        if is_live(self._call):
            from chargehand.cli.live import LiveProgress
            from chargehand.wiring.profiling import listed

            own = partial(listed, self._workshop)
            self._progress = LiveProgress(self._call.out, self._call.side_pen, history, listed=own)
        if self._asks:
            self._prompter = Prompter(self._progress, lambda: self._call.side_pen, self._answer)
        self._workshop.on_output = self._progress.output

    # -- what the engine tells --------------------------------------------------------------------

    def _take(self, engine: Engine) -> None:
        self._engine = engine

    def _tell(self, text: str) -> None:
        self._progress.note(*hang("found: ", text, self._call.side_pen))

    def _observe(self, recorded: Recorded, state: RunState) -> None:
        self._call.session.recent.append(recorded)
        if self._prompter:
            self._prompter.make_room()
        self._progress.event(recorded, state)
        if isinstance(recorded.event, CanaryFinished) and not self._call.out.json:
            folder = self._workshop.store.folder(self._run)
            self._progress.note(*base_lines(state, self._call.side_pen, folder))
        if self._prompter:
            asyncio.get_running_loop().call_soon(self._prompter.look, state)

    def _answer(self, decision: Decision, choice: str, note: str) -> None:
        self._workshop.service.answer(self._run, decision.id, choice, asker(), note)

    # -- signals ----------------------------------------------------------------------------------

    def _catch_signals(self, main: asyncio.Task[object] | None) -> None:
        loop = asyncio.get_running_loop()
        for number, name in _SIGNALS.items():
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # `nohup`: it is meant to outlive its terminal
            self._caught.append(number)
            loop.add_signal_handler(number, self._stop, name, main)

    def _release_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in self._caught:
            loop.remove_signal_handler(number)

    def _stop(self, name: str, main: asyncio.Task[object] | None) -> None:
        """Once: start nothing more and end what is live. Twice: at once."""
        self._presses += 1
        if self._engine is None:
            if main is not None:
                main.cancel()
            return
        if self._presses == 1:
            if self._prompter:
                self._prompter.make_room()
            again = ", press again to stop at once" if name == "ctrl-c" else ""
            step = self._call.side_pen.step(f"resume {self._run}")
            self._say(f"stopping{again}: `{step}` will go on.")
            self._engine.interrupt(name)
        elif name != "a closed terminal":  # a shell that ends may say so more than once
            if self._presses == 2:
                self._say("killing what is live; what it left is kept.")
            self._engine.interrupt(name, now=True)

    def _say(self, text: str) -> None:
        self._progress.note(*hang("", text, self._call.side_pen, indent=0))
