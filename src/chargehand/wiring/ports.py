"""The adapters behind the engine's ports, for one run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.agents import make_agent
from chargehand.adapters.checkout_watch import CheckoutWatch
from chargehand.adapters.confined import Confined
from chargehand.adapters.environment import Environment, Identity
from chargehand.adapters.environment import Ports as PortBlocks
from chargehand.adapters.fleet_local import FleetParts, LocalFleet
from chargehand.adapters.folders import PrivateFolders
from chargehand.adapters.gate_cache import GateCache
from chargehand.adapters.gates import CommandGates, GateParts
from chargehand.adapters.integrator import GitIntegrator
from chargehand.adapters.process import allow_enough
from chargehand.adapters.sandbox import Sandbox
from chargehand.adapters.secret_findings import SecretWatch
from chargehand.adapters.setup import Setup
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.state import RunState
from chargehand.engine.dispatch import Ports
from chargehand.ports import OpenRun
from chargehand.profiles import profile_of
from chargehand.wiring.notifying import build_notifier
from chargehand.wiring.places import private_name, run_mark
from chargehand.wiring.profiling import own_report, projections
from chargehand.wiring.providers import Providers, check_providers, provide
from chargehand.wiring.secrecy import learn_keys

if TYPE_CHECKING:
    from chargehand.adapters.guarding.place import Place
    from chargehand.domain.plan import Plan
    from chargehand.ports import Places
    from chargehand.wiring.workshop import Workshop

__all__ = ["build_ports", "fleet_alone", "gates_alone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """What fleet and gates of one run are both made of; their caches are apart, so that no agent feeds a gate."""

    sandbox: Sandbox
    hidden: tuple[Path, ...]
    folders: PrivateFolders
    blocks: PortBlocks
    folder: Path


async def build_ports(shop: Workshop, held: OpenRun, state: RunState) -> Ports:
    """Everything the engine works with; `UserError` when a sandbox or a key is missing here."""
    allow_enough()
    done = {name for name, record in state.tasks.items() if record.is_over}
    await check_providers(shop, state.plan, state.options, done=done)
    site = await _site(shop, state, held.folder)
    workspaces = GitWorkspaces(
        shop.repository,
        shop.places.agents,
        spare_bytes=shop.settings.spare_bytes,
        watch=_watch(shop),
    )
    return Ports(
        journal=held.journal,
        inbox=held.inbox,
        fleet=_fleet(shop, state, site, workspaces, await provide(shop, state.options.agents)),
        gates=_gates(shop, state, site),
        integrator=GitIntegrator(shop.repository),
        workspaces=workspaces,
        notifier=build_notifier(shop, state.plan.env, held.folder),
        clock=shop.clock,
        projections=projections(shop, state),
    )


def _checkout_watch(shop: Workshop, state: RunState) -> CheckoutWatch:
    artifacts = state.options.artifacts or profile_of(state.plan.profile).artifacts  # of runs older than that option
    return CheckoutWatch(repository=shop.repository, artifacts=artifacts)


@asynccontextmanager
async def gates_alone(shop: Workshop, state: RunState) -> AsyncIterator[CommandGates]:
    """Gates of a run that nobody drives, for `accept`."""
    yield _gates(shop, state, await _site(shop, state, shop.store.folder(state.run)))


@asynccontextmanager
async def fleet_alone(shop: Workshop, state: RunState) -> AsyncIterator[tuple[LocalFleet, frozenset[str]]]:
    """The fleet of a run that is none, for a single attempt, and the names of the agents that go through the meter."""
    allow_enough()
    await check_providers(shop, state.plan, state.options)
    folder = shop.store.folder(state.run)
    folder.mkdir(parents=True, exist_ok=True)
    site = await _site(shop, state, folder)
    workspaces = GitWorkspaces(shop.repository, shop.places.agents, spare_bytes=shop.settings.spare_bytes)
    providers = await provide(shop, state.options.agents)
    fleet = _fleet(shop, state, site, workspaces, providers)
    try:
        yield fleet, providers.metered
    finally:
        await fleet.close()


async def _site(shop: Workshop, state: RunState, folder: Path) -> _Site:
    options, repository, places = state.options, shop.repository, shop.places
    learn_keys(shop.vault, shop.environ, options.agents)
    choice = await shop.sandbox(options.sandbox)
    hidden = {repository.git_dir, repository.common_dir, places.state}
    if repository.root is not None:
        hidden.add(repository.root)
    return _Site(
        sandbox=choice.sandbox,
        hidden=tuple(sorted(hidden)),
        folders=PrivateFolders(places.private / private_name(folder)),
        blocks=PortBlocks(start=run_mark(folder)),
        folder=folder,
    )


def _environment(shop: Workshop, kind: str) -> Environment:
    who = shop.repository.identity
    identity = Identity(name=who.name, email=who.email)
    return Environment(outer=shop.environ, identity=identity, cache=shop.places.cache / kind, vault=shop.vault)


def _confined(
    shop: Workshop, state: RunState, site: _Site, environment: Environment, *, fills_cache: bool = True
) -> Confined:
    options, cache = state.options, environment.cache
    return Confined(
        sandbox=site.sandbox,
        hidden=site.hidden,
        readable=(
            *shop.repository.object_stores(),
            *(() if fills_cache else cache),
            *(shop.cwd / path for path in options.sandbox_read),
        ),
        writable=(*(cache if fills_cache else ()), *(shop.cwd / path for path in options.sandbox_write)),
        network="open" if options.network == "open" else "none",
        output_bytes=options.caps.output_bytes,
        disk_bytes=options.caps.disk_bytes,
    )


def _fleet(shop: Workshop, state: RunState, site: _Site, workspaces: GitWorkspaces, providers: Providers) -> LocalFleet:
    caps, places = state.options.caps, shop.places
    environment = _environment(shop, "agents")
    confined = _confined(shop, state, site, environment)
    parts = FleetParts(
        workspaces=workspaces,
        confined=confined,
        agents={definition.name: make_agent(definition) for definition in state.options.agents},
        environment=environment,
        folders=site.folders,
        ports=site.blocks,
        setup=Setup(confined=confined, state=places.agents / "setup", peers=[places.gates / "setup"]),
        folder=site.folder,
        setup_wall_s=caps.setup_wall_s,
        grace_s=caps.report_grace_s,
        on_output=shop.on_output,
        place_of=partial(_place_of, state.plan, site.sandbox.kind != "none"),
        watch=_checkout_watch(shop, state) if site.sandbox.kind == "none" else None,
        meter=providers.meter,
        metered=providers.metered,
        models={definition.name: definition.model for definition in state.options.agents if definition.model},
        relays=state.options.network == "meter",
        homes=providers.homes,
        own_report=own_report(shop, state),
    )
    return LocalFleet(parts)


def _place_of(plan: Plan, sandboxed: bool, places: Places) -> Place:
    """What the tool calls of an attempt may reach; the parser behind it is loaded by the first agent that asks."""
    from chargehand.adapters.guarding.plans import attempt_place

    return attempt_place(plan, places, sandboxed=sandboxed)


def _gates(shop: Workshop, state: RunState, site: _Site) -> CommandGates:
    repository = shop.repository
    environment = _environment(shop, "gates")
    preparing = _confined(shop, state, site, environment)
    parts = GateParts(
        workspaces=GitWorkspaces(repository, shop.places.gates, precious=False, watch=_watch(shop)),
        confined=_confined(shop, state, site, environment, fills_cache=False),
        environment=environment,
        folders=site.folders,
        ports=site.blocks,
        setup=Setup(confined=preparing, state=shop.places.gates / "setup"),
        repository=repository,
        folder=site.folder,
        setup_wall_s=state.options.caps.setup_wall_s,
        on_output=shop.on_output,
        cache=_gate_cache(shop),
    )
    return CommandGates(parts)


def _gate_cache(shop: Workshop) -> GateCache | None:
    settings = shop.settings
    return GateCache(shop.places.gate_cache, days=settings.gate_cache_days) if settings.gate_cache else None


def _watch(shop: Workshop) -> SecretWatch:
    return SecretWatch(vault=shop.vault, allow=shop.settings.secrets_allow)
