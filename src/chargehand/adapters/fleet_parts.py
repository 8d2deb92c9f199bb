"""What a fleet on this machine is made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from chargehand.adapters.agent_run import AgentHome
from chargehand.adapters.checkout_watch import CheckoutWatch
from chargehand.adapters.confined import Confined
from chargehand.adapters.copies import Copy
from chargehand.adapters.environment import Environment, Ports
from chargehand.adapters.folders import PrivateFolders
from chargehand.adapters.held_calls import HeldCalls
from chargehand.adapters.setup import Setup
from chargehand.ports import Agent, OnOutput, OwnReport, Workspace, Workspaces

if TYPE_CHECKING:
    from chargehand.adapters.guarded import PlaceOf
    from chargehand.adapters.meter import Meter

__all__ = ["FleetParts", "Pooled"]


class Pooled(Workspaces, Protocol):
    """Workspaces that can be found again when their holder has died, and compared with what they were."""

    def copy(self, workspace: Workspace) -> Copy:
        """The workspace as one that is only to be looked at."""
        ...

    def abandoned(self) -> list[Workspace]:
        """Those whose holder died before it gave them back."""
        ...

    async def unlock(self, run: str) -> None:
        """Remove the locks that a dead holder of the run left on its refs."""
        ...

    async def holds(self, ref: str, commit: str, tree: str) -> bool:
        """Whether `ref` points to the commit, and both it and its tree, which is this one, are there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetParts:
    """What a fleet is made of. `folder` is the run's folder: files kept for humans lie in it, under `attempts`.

    `watch` is given where no sandbox holds agents: it tells what changed in the user's repository meanwhile. `calls`
    are tool calls that wait for somebody's yes, judged as made in `place_of` (None: nothing is judged). `homes` tells
    of agents, by name, what of their HOME is kept; `metered` names those that reach their provider, which the meter
    knows by the same name, through `meter`; `models` are the models of the settings, by agent. With `relays` their
    sandbox has no network, and the meter is brought into it. `own_report` reads reports in the form of another system.
    """

    workspaces: Pooled
    confined: Confined
    agents: Mapping[str, Agent]
    environment: Environment
    folders: PrivateFolders
    ports: Ports
    setup: Setup
    folder: Path
    setup_wall_s: float = 900.0
    grace_s: float = 10.0
    on_output: OnOutput | None = None
    watch: CheckoutWatch | None = None
    meter: Meter | None = None
    metered: Collection[str] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    relays: bool = False
    calls: HeldCalls = field(default_factory=HeldCalls)
    place_of: PlaceOf | None = None
    homes: Mapping[str, AgentHome] = field(default_factory=dict)
    own_report: OwnReport | None = None
