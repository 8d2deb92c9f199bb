"""Runs checks on a commit in a clean checkout that is thrown back afterwards (SPEC 5).

Nothing that runs here can change what is judged [I7]: the checkouts belong to a pool of their own that no agent sees,
each job starts from a cleaned one, and what is read back are exit codes, logs and JUnit XML.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from chargehand.adapters.gating.fingerprint import TreeFacts
from chargehand.adapters.gating.fixing import fix
from chargehand.adapters.gating.job import Job
from chargehand.adapters.gating.parts import GateParts
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import GateResult, Sealed
from chargehand.ports import FixJob, GateJob

__all__ = ["CommandGates", "GateParts"]

T = TypeVar("T")


class CommandGates:
    """Implements `ports.Gates` with the commands of the plan."""

    def __init__(self, parts: GateParts) -> None:
        self._parts = parts
        self._facts = TreeFacts(repository=parts.repository)
        self._jobs: dict[str, asyncio.Task[Any]] = {}

    async def run(self, job: GateJob) -> tuple[GateResult, ...]:
        """One result per check that was run (`setup` and `syntax` included, in front), in order.

        `setup` has a result only when it had to run; with `red_first` and `overlay` their results come last.
        AdapterError when no checkout could be made.
        """
        return await self._do(job.key, Job(self._parts, job, self._facts).run())

    async def fix(self, job: FixJob) -> Sealed | None:
        """Run the commands and seal what they changed on top of `job.commit`; None when nothing of it differs.

        AdapterError when no checkout could be made.
        """
        return await self._do(job.key, fix(self._parts, job))

    async def cancel(self, key: str) -> None:
        """End the job and every process of it, and wait for that; harmless for a job that is not there."""
        task = self._jobs.get(key)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _do(self, key: str, work: Coroutine[Any, Any, T]) -> T:
        if key in self._jobs:
            work.close()
            raise AdapterError("gates", f"The job {key} is running already.")
        task = asyncio.ensure_future(work)
        self._jobs[key] = task
        try:
            return await task  # whoever cancels this cancels the task, and waits until it has cleaned up
        except OSError as error:
            raise AdapterError("gates", f"The job {key} could not be run: {error}.", retryable=True) from error
        finally:
            del self._jobs[key]
