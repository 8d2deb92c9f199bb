"""Scheduling alone: the engine and a durable journal, with everything else standing in memory."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.domain.events import RunResumed, RunStarted
from chargehand.domain.evolve import fold
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.plan import Files, Plan, Task
from chargehand.domain.words import RunVerdict
from chargehand.engine.dispatch import Ports
from chargehand.engine.loop import Engine
from chargehand.ports import Workspaces
from chargehand.testing.fakes import FakeClock, FakeFleet, FakeGates, FakeInbox, FakeIntegrator, FakeNotifier

__all__ = ["Scheduled", "schedule"]


def plan_of_size(tasks: int, seed: int = 1) -> Plan:
    """A graph in which every task waits for up to three of the fifty before it."""
    chance = random.Random(seed)
    made = []
    for number in range(tasks):
        before = range(max(0, number - 50), number)
        after = chance.sample(before, min(len(before), chance.randrange(4)))
        files = Files(create=(f"src/m{number // 100}/f{number}.py",))
        depends_on = tuple(f"t{n}" for n in sorted(after))
        made.append(Task(id=f"t{number}", title=f"Task {number}", depends_on=depends_on, files=files))
    return Plan(plan="bench", tasks=tuple(made))


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """Seconds, seconds of CPU, and the number of events."""

    wall_s: float
    cpu_s: float
    events: int


def schedule(tasks: int, folder: str | None, *, jobs: int = 8) -> Scheduled:
    """Carry out `tasks` that do nothing."""
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        return asyncio.run(_carry_out(tasks, place / "journal.db", jobs))
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _carry_out(tasks: int, path: Path, jobs: int) -> Scheduled:
    options = RunOptions(agent="none", agents=(AgentDef(name="none", kind="command", command="true"),), jobs=jobs)
    plan = plan_of_size(tasks)
    start = RunStarted(run="bench", plan=plan, options=options, base="0" * 40, branch="chargehand/bench")
    SqliteJournal.create(path, run="bench").close()
    with SqliteJournal.open(path) as journal:
        began, used_s = time.perf_counter(), time.process_time()
        state = fold(journal.append([start], 0.0))
        ports = Ports(
            journal=journal,
            inbox=FakeInbox(),
            fleet=FakeFleet(),
            gates=FakeGates(),
            integrator=FakeIntegrator(),
            workspaces=cast("Workspaces", None),  # asked only for context, and nobody asks
            notifier=FakeNotifier(),
            clock=FakeClock(step_s=0.001),
        )
        end = await Engine(ports, state).run([RunResumed(pid=0, host="bench", version="0")])
        took_s, used_s = time.perf_counter() - began, time.process_time() - used_s
    if end.finished is None or end.finished.verdict is not RunVerdict.FINISHED:
        raise SystemExit(f"The run of {tasks} tasks did not finish: {end.finished}.")
    return Scheduled(wall_s=took_s, cpu_s=used_s, events=end.seq)
