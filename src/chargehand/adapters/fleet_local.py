"""Carries attempts out as processes of this machine; one attempt is the work of `adapters.attempt`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial

from chargehand.adapters.attempt import Attempt, FleetParts
from chargehand.adapters.attempt_note import ended_by_itself
from chargehand.adapters.fleet_recovery import take_over
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import Event
from chargehand.domain.outcome import AttemptResult
from chargehand.ports import AttemptSpec, Recovered

__all__ = ["FleetParts", "LocalFleet"]


class LocalFleet:
    """Implements `ports.Fleet` with local processes."""

    def __init__(self, parts: FleetParts) -> None:
        self._parts = parts
        self._calls = parts.calls
        self._attempts: dict[str, Attempt] = {}
        self._tasks: dict[str, asyncio.Task[AttemptResult]] = {}

    async def submit(self, spec: AttemptSpec) -> None:
        """Start the attempt; a second submit with the same key is the same attempt."""
        if spec.key in self._tasks:
            return
        attempt = Attempt(self._parts, spec)
        self._attempts[spec.key] = attempt
        task = self._tasks[spec.key] = asyncio.create_task(attempt.run(), name=f"attempt {spec.key}")
        task.add_done_callback(partial(self._ended, spec.key))

    def _ended(self, key: str, task: asyncio.Task[AttemptResult]) -> None:
        """Let go of everything but the result, and look at an error that perhaps nobody waits for."""
        del self._attempts[key]
        if not task.cancelled():
            task.exception()

    async def wait(self, key: str) -> AttemptResult:
        """Wait for a submitted attempt; AdapterError for an unknown key, and when the world could not carry it out."""
        if key not in self._tasks:
            raise AdapterError("fleet", f"There is no attempt {key}.")
        return await asyncio.shield(self._tasks[key])

    async def cancel(self, key: str, *, now: bool = False) -> None:
        """End the attempt and every process of it; `wait` tells CANCELLED. Harmless for one that has ended."""
        task = self._tasks.get(key)
        if task is not None and not task.done():
            await self._attempts[key].cancel(now=now)
            await asyncio.wait([task])

    def listen(self, asked: Callable[[Event], None]) -> None:
        """Call `asked` when a live attempt is held at a command."""
        self._calls.listen(asked)

    def rule(self, call: str, *, allow: bool, text: str) -> None:
        """Let a held call go on, or refuse it."""
        self._calls.rule(call, allow=allow, text=text)

    async def recover(self, run: str, keys: Collection[str]) -> Recovered:
        """After a crash: end what still runs for `run`, and rescue what its workspaces hold.

        An attempt that had ended and was sealed gives its result, if the repository still has what it speaks of.
        """
        ended = {key: task for key, task in self._tasks.items() if key in keys and task.done()}
        results = {key: task.result() for key, task in ended.items() if not task.cancelled() and not task.exception()}
        known = {key: result for key, result in results.items() if ended_by_itself(result)}
        is_idle = all(task.done() for task in self._tasks.values())
        return await take_over(self._parts, run, keys, known, sweep=is_idle)

    async def close(self) -> None:
        """End every live attempt, as the end of the program does; what they left is kept."""
        live = [task for task in self._tasks.values() if not task.done()]
        for task in live:
            task.cancel()
        if live:
            await asyncio.wait(live)
        if self._parts.meter is not None:
            await self._parts.meter.stop()
