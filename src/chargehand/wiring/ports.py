"""The adapters behind the engine's ports, for one run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from chargehand.adapters.agents import make_agent
from chargehand.adapters.checkout_watch import CheckoutWatch
from chargehand.adapters.confined import Confined
from chargehand.adapters.environment import Environment, Identity
from chargehand.adapters.environment import Ports as PortBlocks
from chargehand.adapters.fleet_local import FleetParts, LocalFleet
from chargehand.adapters.folders import PrivateFolders
from chargehand.adapters.gates import CommandGates, GateParts, changed_paths
from chargehand.adapters.integrator import GitIntegrator
from chargehand.adapters.notify import TerminalBell
from chargehand.adapters.setup import Setup
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.errors import UserError
from chargehand.domain.state import RunState
from chargehand.engine.dispatch import Ports
from chargehand.ports import OpenRun

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["build_ports", "gates_alone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What fleet and gates of one run have in common."""

    confined: Confined
    environment: Environment
    folders: PrivateFolders
    blocks: PortBlocks
    folder: Path


async def build_ports(shop: Workshop, held: OpenRun, state: RunState) -> Ports:
    """Everything the engine works with; `UserError` when the sandbox that was asked for does not work here."""
    shared = await _shared(shop, state, held.folder)
    workspaces = GitWorkspaces(shop.repository, shop.places.agents)
    return Ports(
        journal=held.journal,
        inbox=held.inbox,
        fleet=_fleet(shop, state, shared, workspaces),
        gates=_gates(shop, state, shared),
        integrator=GitIntegrator(shop.repository),
        workspaces=workspaces,
        notifier=TerminalBell(enabled=shop.settings.notify.bell),
        clock=shop.clock,
    )


@asynccontextmanager
async def gates_alone(shop: Workshop, state: RunState) -> AsyncIterator[CommandGates]:
    """Gates of a run that nobody drives, for `accept`."""
    shared = await _shared(shop, state, shop.store.folder(state.run))
    yield _gates(shop, state, shared)


async def _shared(shop: Workshop, state: RunState, folder: Path) -> _Shared:
    options, repository, places = state.options, shop.repository, shop.places
    if options.network == "meter":
        hint = "Set sandbox.network to open or none."
        raise UserError("This version has no meter for the network of agents.", code="no_meter", hint=hint)
    choice = await shop.sandbox(options.sandbox)
    hidden = {repository.git_dir, repository.common_dir, places.state}
    if repository.root is not None:
        hidden.add(repository.root)
    who = repository.identity
    environment = Environment(outer=shop.environ, identity=Identity(name=who.name, email=who.email), cache=places.cache)
    confined = Confined(
        sandbox=choice.sandbox,
        hidden=tuple(sorted(hidden)),
        readable=(*repository.object_stores(), *(shop.cwd / path for path in options.sandbox_read)),
        writable=(*environment.cache, *(shop.cwd / path for path in options.sandbox_write)),
        network=options.network,
        output_bytes=options.caps.output_bytes,
        disk_bytes=options.caps.disk_bytes,
    )
    return _Shared(
        confined=confined,
        environment=environment,
        folders=PrivateFolders(places.private / f"{crc32(state.run.encode()):08x}"),
        blocks=PortBlocks(start=crc32(state.run.encode())),
        folder=folder,
    )


def _fleet(shop: Workshop, state: RunState, shared: _Shared, workspaces: GitWorkspaces) -> LocalFleet:
    caps = state.options.caps
    watch = CheckoutWatch(repository=shop.repository) if shared.confined.sandbox.kind == "none" else None
    parts = FleetParts(
        workspaces=workspaces,
        confined=shared.confined,
        agents={definition.name: make_agent(definition) for definition in state.options.agents},
        environment=shared.environment,
        folders=shared.folders,
        ports=shared.blocks,
        setup=Setup(confined=shared.confined, state=shop.places.agents / "setup", peers=[shop.places.gates / "setup"]),
        folder=shared.folder,
        setup_wall_s=caps.setup_wall_s,
        grace_s=caps.report_grace_s,
        on_output=shop.on_output,
        watch=watch,
    )
    return LocalFleet(parts)


def _gates(shop: Workshop, state: RunState, shared: _Shared) -> CommandGates:
    repository = shop.repository
    parts = GateParts(
        workspaces=GitWorkspaces(repository, shop.places.gates),
        confined=shared.confined,
        environment=shared.environment,
        folders=shared.folders,
        ports=shared.blocks,
        setup=Setup(confined=shared.confined, state=shop.places.gates / "setup"),
        changed=lambda base, commit: changed_paths(repository, base, commit),
        folder=shared.folder,
        setup_wall_s=state.options.caps.setup_wall_s,
        on_output=shop.on_output,
    )
    return CommandGates(parts)
