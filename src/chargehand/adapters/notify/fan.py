"""Sends each message by every channel; what a channel cannot tell is noted, and fails nothing."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from chargehand.adapters.folders import open_regular
from chargehand.adapters.notify.channel import Channel, NotTold
from chargehand.adapters.notify.message import fit, one_line, shortened
from chargehand.adapters.text import clean_text, redact
from chargehand.ports import Notice

__all__ = ["Fan"]

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_CLOSE_S = 5.0
_MOST_WAITING = 100
_LOG_BYTES = 256 * 1024
_PROBLEM_CHARS = 500


class Fan:
    """Implements `ports.Notifier` over any number of channels; each gets its messages in order, one at a time.

    What did not reach anybody is a line in the file `log` each time, up to 256 KiB, and a sentence in `problems` the
    first time: a dead receiver is told once, not once per message. `close` gives the channels `close_s` seconds.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        secrets: Sequence[str] = (),
        log: Path | None = None,
        close_s: float = _CLOSE_S,
    ) -> None:
        self._secrets = tuple(secrets)
        self._log = log
        self._close_s = close_s
        self._problems: dict[tuple[str, str], str] = {}
        self._lines = [_Line(channel, self._failed) for channel in channels]

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be told, a sentence for each kind of failure of each channel, in the order it came up."""
        return tuple(self._problems.values())

    def notify(self, notice: Notice) -> None:
        """Hand the message to every channel."""
        ready = fit(notice, self._secrets)
        for line in self._lines:
            line.put(ready)

    async def close(self) -> None:
        """Let what is under way go out; what has not by then is given up, and noted."""
        tasks = [line.task for line in self._lines if line.task is not None and not line.task.done()]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._close_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for line in self._lines:
            line.give_up()

    def _failed(self, channel: str, error: NotTold) -> None:
        text = shortened(one_line(redact(clean_text(error.text), self._secrets)), _PROBLEM_CHARS)
        self._problems.setdefault((channel, error.kind), f"notify.{channel}: {text}")
        if self._log is None:
            return
        # a note about a message is not worth more than trying
        with suppress(OSError), os.fdopen(open_regular(self._log, _APPEND), "a", encoding="utf-8") as log:
            if log.tell() < _LOG_BYTES:
                log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} notify.{channel}: {text}\n")


class _Line:
    """The messages that wait for one channel, and the task that sends them while there are any."""

    def __init__(self, channel: Channel, failed: Callable[[str, NotTold], None]) -> None:
        self.task: asyncio.Task[None] | None = None
        self._channel = channel
        self._failed = failed
        self._waiting: deque[Notice] = deque()

    def put(self, notice: Notice) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            text = f"{_MOST_WAITING} messages wait already; those that came after them were left out."
            self._failed(self._channel.name, NotTold("flood", text))
            return
        self._waiting.append(notice)
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self._work(), name=f"notify.{self._channel.name}")

    async def _work(self) -> None:
        while self._waiting:
            try:
                await self._channel.send(self._waiting[0])
            except NotTold as error:
                self._failed(self._channel.name, error)
            except Exception as error:  # noqa: BLE001  whatever a channel comes upon, the run goes on
                self._failed(self._channel.name, NotTold(type(error).__name__, f"{type(error).__name__}: {error}"))
            self._waiting.popleft()

    def give_up(self) -> None:
        if self._waiting:
            text = f"{len(self._waiting)} of the messages had not gone out when the run was left."
            self._failed(self._channel.name, NotTold("late", text))
            self._waiting.clear()
