"""The live display: redrawn when something happened, and four times a second while something is under way."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from chargehand.cli.output import Output, Patient
from chargehand.cli.progress import IdRoom, event_line, spoken
from chargehand.cli.render.board import Board, board_lines
from chargehand.cli.render.lines import Rank
from chargehand.cli.render.pen import Pen
from chargehand.cli.render.text import clean_styled
from chargehand.cli.terminal import Echo
from chargehand.domain.events import Recorded
from chargehand.domain.state import RunState

__all__ = ["LiveProgress"]

_PERIOD_S = 0.25
_KEPT_NOTES = 100
_WIPE = "\x1b[H\x1b[J"


class LiveProgress:
    """Implements `Progress` on a terminal; has to live inside an event loop.

    `history` are the events before this process took the run up: they tell since when each task is where it is.
    `listed` tells what is to be done in the words of the plan's system, where it keeps such a list.
    """

    def __init__(
        self,
        out: Output,
        pen: Pen,
        history: Iterable[Recorded] = (),
        *,
        now: Callable[[], float] = time.time,
        listed: Callable[[RunState], Sequence[str]] | None = None,
    ) -> None:
        self._pen = pen
        self._console = Console(file=cast("TextIO", Patient(out.stderr)), no_color=not pen.colour, highlight=False)
        self._live: Live | None = None
        self._echo = Echo()
        self._ids = IdRoom()
        self._board = Board()
        for recorded in history:
            self._board.take(recorded)
        self._board.started_at = None
        self._state: RunState | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._now = now
        self._list = listed
        self._listed: Sequence[str] = ()
        self._noted: deque[str] = deque(maxlen=_KEPT_NOTES)
        self._resized = False
        self._watches = False

    def event(self, recorded: Recorded, state: RunState) -> None:
        """Note it, print it above the display if it is notable, and redraw soon."""
        self._state = state
        self._board.take(recorded)
        self._listed = self._list(state) if self._list is not None else ()
        line = spoken(recorded, state)
        if line.rank is Rank.NOTABLE:
            pen = replace(self._pen, width=self._console.width)
            self.note(event_line(recorded.at, line, pen, ids=self._ids.of(state)))
        if self._live is None:
            self._live = self._start()
        self._soon(0.0)

    def output(self, key: str, line: str) -> None:
        """Show the last line beside its task at the next redraw."""
        self._board.print(key, line)

    def note(self, *lines: str) -> None:
        """Print above the display."""
        for line in lines:
            self._noted.append(line)
            self._console.print(Text.from_ansi(clean_styled(line)), soft_wrap=True)

    def pause(self) -> None:
        """Take the display away; the next event makes a new one below what was written meanwhile."""
        self._stop_timer()
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._echo.restore()

    def end(self) -> None:
        """Take the display away for good."""
        self.pause()
        if self._watches:
            self._watches = False
            asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)

    def _start(self) -> Live:
        self._echo.silence()
        if not self._watches:
            self._watches = True
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self._resize)
        live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        live.start()
        return live

    # -- drawing ----------------------------------------------------------------------------------

    def _soon(self, delay_s: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._draw)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _resize(self) -> None:
        self._resized = True
        self._soon(0.0)

    def _wipe(self) -> None:
        """Begin with an empty screen: a terminal that changed its width has moved the old rows nobody knows where."""
        assert self._live is not None
        self._live.stop()
        self._console.file.write(_WIPE)
        for line in list(self._noted)[-(self._console.height // 2) :]:
            self._console.print(Text.from_ansi(clean_styled(line)), soft_wrap=True)
        self._live = self._start()

    def _draw(self) -> None:
        self._timer = None
        if self._resized and self._live is not None:
            self._wipe()
        self._resized = False
        state = self._state
        if state is None or self._live is None:
            return
        size = self._console.size
        pen = replace(self._pen, width=size.width - 1)
        lines = board_lines(self._board, state, pen, self._now(), rows=size.height - 1, listed=self._listed)
        texts = (Text.from_ansi(line, no_wrap=True, overflow="ellipsis") for line in lines)
        self._live.update(Group(*texts), refresh=True)
        if state.inflight:
            self._soon(_PERIOD_S)
