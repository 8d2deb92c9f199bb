"""A run over fakes, for what is drawn from its events and its state."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from typing import Any, cast

from chargehand.domain.events import Recorded, RunStarted
from chargehand.domain.evolve import fold
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.plan import Plan, Task
from chargehand.domain.state import RunState
from chargehand.engine.dispatch import Ports
from chargehand.engine.loop import Engine
from chargehand.ports import Workspaces
from chargehand.testing.fakes import (
    FakeClock,
    FakeFleet,
    FakeGates,
    FakeInbox,
    FakeIntegrator,
    FakeJournal,
    FakeNotifier,
    object_id,
)

__all__ = ["play"]

BASE = object_id("base")


def play(
    *tasks: Task,
    outcomes: Mapping[Hashable, Any] | None = None,
    gates: Mapping[Hashable, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
    **options: Any,
) -> tuple[RunState, list[Recorded]]:
    """Run a plan until nothing moves; the state, and the events it was folded from."""
    agent = AgentDef(name="agent", kind="command", command="agent --do")
    chosen = {"agent": "agent", "agents": (agent,), "review": False, **options}
    started = RunStarted(
        run="r-1",
        plan=Plan(plan="p", tasks=tasks, **(plan or {})),
        options=RunOptions(**chosen),
        base=BASE,
        branch="chargehand/r-1",
    )
    journal = FakeJournal()
    journal.append([started], 1000.0)
    ports = Ports(
        journal=journal,
        inbox=FakeInbox(),
        fleet=FakeFleet(outcomes),
        gates=FakeGates(gates),
        integrator=FakeIntegrator(),
        workspaces=cast("Workspaces", None),  # asked only where an agent asks for context
        notifier=FakeNotifier(),
        clock=FakeClock(1000.0),
    )
    asyncio.run(Engine(ports, fold(list(journal.read()))).run())
    events = list(journal.read())
    return fold(events), events
