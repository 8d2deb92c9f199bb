"""Carries attempts out as processes of this machine; one attempt is the work of `adapters.attempt`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial

from chargehand.adapters.attempt import Attempt, FleetParts
from chargehand.adapters.confined import mark_of
from chargehand.adapters.process import kill_leftovers
from chargehand.domain.errors import AdapterError
from chargehand.domain.ids import integration_branch, rescue_prefix
from chargehand.domain.outcome import AttemptResult
from chargehand.ports import AttemptSpec, Recovered, Workspace

__all__ = ["FleetParts", "LocalFleet"]


class LocalFleet:
    """Implements `ports.Fleet` with local processes."""

    def __init__(self, parts: FleetParts) -> None:
        self._parts = parts
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

    async def recover(self, run: str, keys: Collection[str]) -> Recovered:
        """After a crash: end what still runs for `run`, and rescue what its workspaces hold."""
        parts = self._parts
        done: list[str] = []
        killed = await asyncio.to_thread(kill_leftovers, mark_of(parts.folder))
        if killed:
            done.append(f"Ended {len(killed)} processes that were left of run {run}.")
        for workspace in await asyncio.to_thread(parts.workspaces.abandoned):
            owner, _, task = workspace.branch.rpartition("/")
            if owner == integration_branch(run):
                done.append(await self._rescue(workspace, run, task))
        if all(task.done() for task in self._tasks.values()):
            await parts.folders.sweep()
        ended = {key: task for key, task in self._tasks.items() if key in keys and task.done()}
        results = {key: task.result() for key, task in ended.items() if not task.cancelled() and not task.exception()}
        return Recovered(results=results, told=tuple(done))

    async def _rescue(self, workspace: Workspace, run: str, task: str) -> str:
        message = f"{task}: what an interrupted attempt left\n\nChargehand-Run: {run}\nChargehand-Task: {task}\n"
        try:
            ref = await self._parts.workspaces.rescue(workspace, rescue_prefix(run, task), message)
        except AdapterError as error:
            return f"Task {task}: its workspace {workspace.path} could not be rescued and stays: {error.message}"
        await self._parts.workspaces.release(workspace)
        return f"Task {task}: {f'what it left is kept in {ref}' if ref else 'its workspace held nothing new'}."

    async def close(self) -> None:
        """End every live attempt, as the end of the program does; what they left is kept."""
        live = [task for task in self._tasks.values() if not task.done()]
        for task in live:
            task.cancel()
        if live:
            await asyncio.wait(live)
