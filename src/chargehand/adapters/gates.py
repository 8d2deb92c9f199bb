"""Runs checks on a commit in a clean checkout that is thrown back afterwards (SPEC 5).

Nothing that runs here can change what is judged [I7]: the checkouts belong to a pool of their own that no agent sees,
each job starts from a cleaned one, and what is read back are exit codes, logs and JUnit XML.
"""

from __future__ import annotations

import asyncio

from chargehand.adapters.gating.job import Job
from chargehand.adapters.gating.parts import GateParts
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import GateResult
from chargehand.ports import GateJob

__all__ = ["CommandGates", "GateParts"]


class CommandGates:
    """Implements `ports.Gates` with the commands of the plan."""

    def __init__(self, parts: GateParts) -> None:
        self._parts = parts
        self._jobs: dict[str, asyncio.Task[tuple[GateResult, ...]]] = {}

    async def run(self, job: GateJob) -> tuple[GateResult, ...]:
        """One result per check that was run (`setup` and `syntax` included, in front), in order.

        `setup` has a result only when it had to run. AdapterError when no checkout could be made.
        """
        if job.key in self._jobs:
            raise AdapterError("gates", f"The job {job.key} is running already.")
        task = asyncio.ensure_future(Job(self._parts, job).run())
        self._jobs[job.key] = task
        try:
            return await task  # whoever cancels this cancels the task, and waits until it has cleaned up
        except OSError as error:
            raise AdapterError("gates", f"The job {job.key} could not be run: {error}.", retryable=True) from error
        finally:
            del self._jobs[job.key]

    async def cancel(self, key: str) -> None:
        """End the job and every process of it, and wait for that; harmless for a job that is not there."""
        task = self._jobs.get(key)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
