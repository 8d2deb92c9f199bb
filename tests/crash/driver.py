"""A coordinator that dies by SIGKILL at a chosen call: `python -m tests.crash.driver RUN SANDBOX METHOD K WHEN`.

Started in the repository. It begins the run, or takes it up when it is there, as `chargehand run` and `resume` do, but
with the ports of the engine and the parts behind them wrapped in `Faults`: it dies at the K-th call of METHOD, WHEN
(before, after) it had its effect. With K = 0 it goes through, and prints the names of all calls as JSON.

A METHOD such as `at:spec-reviewer` is a moment of the journal (see `moment`): it dies at the K-th such event, as soon
as it is durable (before), or while what it began is at work (after).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from chargehand.domain.effects import MergeCandidate, StartAttempt
from chargehand.domain.events import EffectIntended, Event, Recorded, ReviewPassed
from chargehand.domain.state import RunState
from chargehand.engine.dispatch import Ports
from chargehand.engine.service import Service
from chargehand.ports import OpenRun
from chargehand.testing.faults import Faults
from chargehand.wiring import Workshop, open_workshop

AMID_S = 0.15
"""How long an effect is under way when it is cut off in the middle; agents and checks here take longer."""

PORTS = ("journal", "inbox", "fleet", "gates", "integrator", "workspaces")
PARTS = ("workspaces", "confined", "folders")
"""What fleet and gates are made of: checkouts, processes, private folders."""


def die() -> None:
    """Nothing is closed, flushed or said."""
    os.kill(os.getpid(), signal.SIGKILL)


def wrapped(ports: Ports, faults: Faults) -> Ports:
    """The ports, and what is below them, under the count."""
    for holder in (ports.fleet, ports.gates):
        inner: Any = holder
        inner._parts = replace(inner._parts, **{name: faults.wrap(getattr(inner._parts, name)) for name in PARTS})
    return replace(ports, **{name: faults.wrap(getattr(ports, name)) for name in PORTS})


def moment(event: Event, state: RunState) -> str:
    """What is about to happen: the role of an agent, the kind of another effect, `ahead` for a merge on another
    candidate, `judged` for a change that may land. Empty for anything else."""
    match event:
        case EffectIntended(effect=StartAttempt(role=role)):
            return role.value
        case EffectIntended(effect=MergeCandidate(head=head)) if head != state.head:
            return "ahead"
        case EffectIntended(effect=effect):
            return type(effect).__name__
        case ReviewPassed(done=True):
            return "judged"
        case _:
            return ""


class Moments:
    """Dies at the `at`-th event of a moment, at once or a little later."""

    def __init__(self, what: str, at: int, *, amid: bool) -> None:
        self.what = what
        self.left = at
        self.amid = amid

    def observe(self, recorded: Recorded, state: RunState) -> None:
        """Look at what was just recorded."""
        if moment(recorded.event, state) != self.what:
            return
        self.left -= 1
        if self.left == 0 and self.amid:
            asyncio.get_running_loop().call_later(AMID_S, die)
        elif self.left == 0:
            die()


async def drive(run: str, faults: Faults, sandbox: str, moments: Moments | None = None) -> RunState:
    """Begin the run or take it up, and drive it until nothing is left to do."""
    sets = [f"sandbox.kind={sandbox}", "unattended=true"]
    shop = await open_workshop(repo=Path.cwd(), state_dir=None, sets=sets, flags={}, env=os.environ)
    held = shop.service.take_up(run) if run in shop.store.runs() else await begun(shop, run)

    async def build(held: OpenRun, state: RunState) -> Ports:
        return wrapped(await shop.build(held, state), faults)

    observe = moments.observe if moments is not None else None
    return await Service(shop.store, build, shop.clock).drive(held, observe=observe)


async def begun(shop: Workshop, run: str) -> OpenRun:
    """A new run of the plan that lies in the repository."""
    loaded = shop.load_plan(Path("plan.yaml"))
    if loaded.plan is None:
        raise SystemExit(f"plan.yaml: {loaded.problems}")
    return shop.service.start(await shop.new_run(loaded.plan, run_id=run, plan_file=Path("plan.yaml")))


def main() -> None:
    """See above."""
    run, sandbox, method, at, when = sys.argv[1:]
    moments = None
    if what := method.removeprefix("at:") if method.startswith("at:") else "":
        moments = Moments(what, int(at), amid=when == "after")
    of_call = None if moments else int(at) or None
    faults = Faults(at=of_call, when="after" if when == "after" else "before", error=die, of="" if moments else method)
    state = asyncio.run(drive(run, faults, sandbox, moments))
    json.dump({"calls": faults.calls, "verdict": state.finished and state.finished.verdict}, sys.stdout)


if __name__ == "__main__":
    main()
