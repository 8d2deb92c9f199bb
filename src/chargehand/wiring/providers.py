"""How the agents of a run reach their providers: through the meter, or with a login of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.agent_run import AgentHome, as_stream
from chargehand.adapters.agents import make_agent
from chargehand.adapters.folders import safe_name
from chargehand.dialects import Dialect
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.plan import Plan
from chargehand.wiring.places import user_state_folder

if TYPE_CHECKING:
    from chargehand.adapters.meter import Meter, Upstream
    from chargehand.wiring.workshop import Workshop

__all__ = ["Providers", "check_network", "provide"]

_USUAL = {
    Dialect.ANTHROPIC: "https://api.anthropic.com",
    Dialect.RESPONSES: "https://api.openai.com",
    Dialect.CHAT: "https://api.openai.com",
    Dialect.GEMINI: "https://generativelanguage.googleapis.com",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """`metered` names the agents that go through `meter`, which is started; `homes` what is kept of HOME, by agent."""

    meter: Meter | None = None
    metered: frozenset[str] = frozenset()
    homes: Mapping[str, AgentHome] = field(default_factory=dict)


async def provide(shop: Workshop, agents: tuple[AgentDef, ...]) -> Providers:
    """The meter for those agents that have a key and are to go there; whoever gets it has to stop it."""
    upstreams = {agent.name: found for agent in agents if (found := _upstream(shop, agent)) is not None}
    homes = {agent.name: _home(shop, agent) for agent in agents}
    if not upstreams:
        return Providers(homes=homes)
    from chargehand.adapters.meter import Meter, Player, PriceTable, Recorder

    files = shop.settings.meter
    cassette: Recorder | Player | None = None
    if files.replay is not None:
        cassette = Player(files.replay, vault=shop.vault)
    elif files.record is not None:
        cassette = Recorder(files.record, vault=shop.vault)
    meter = Meter(upstreams, PriceTable.read(files.prices), cassette=cassette)
    await meter.start()
    return Providers(meter=meter, metered=frozenset(upstreams), homes=homes)


async def check_network(shop: Workshop, plan: Plan, options: RunOptions) -> None:
    """`UserError` when the meter shall be all that agents reach, and one of them or the sandbox does not allow that."""
    if options.network != "meter":
        return
    kind = (await shop.sandbox(options.sandbox)).sandbox.kind
    if kind != "bwrap":
        why = "Landlock closes the loopback interface, too" if kind == "landlock" else "no sandbox holds them"
        raise UserError(
            f"sandbox.network is `meter`, and agents cannot be left with the meter alone: {why}.",
            code="network_meter",
            hint="Install bubblewrap, or set sandbox.network to open.",
        )
    for definition in _used(plan, options):
        if why := _why_unmetered(shop, definition):
            raise UserError(
                f"sandbox.network is `meter`, and agent {definition.name} would reach nothing: {why}.",
                code="network_meter",
                hint="Give it a kind and a key that go through the meter, or set sandbox.network to open.",
            )


def _used(plan: Plan, options: RunOptions) -> Iterator[AgentDef]:
    """The agents that tasks may come to, with those that take over from them."""
    known = {definition.name: definition for definition in options.agents}
    wanted = [task.agent or options.agent for task in plan.tasks]
    if options.review:
        wanted += [name for task in plan.tasks if (name := task.reviewer or options.reviewer)]
    seen: set[str] = set()
    while wanted:
        found = known.get(wanted.pop(0))
        if found is not None and found.name not in seen:
            seen.add(found.name)
            wanted += [found.fallback] if found.fallback else []
            yield found


def _why_unmetered(shop: Workshop, definition: AgentDef) -> str:
    """Why an agent does not go through the meter, as the end of a sentence; empty when it does."""
    if _upstream(shop, definition) is not None:
        return ""
    if not _dialect(definition):
        return f"how a program of kind `{definition.kind}` reaches its provider is not known"
    if not definition.meter:
        return "`meter = false` is set for it"
    if not definition.key:
        return "it has no `key`, and a login goes to its provider directly"
    return f"the variable {definition.key.removeprefix('env:')}, which holds its key, is not set"


def _dialect(definition: AgentDef) -> Dialect | None:
    """How an agent speaks to its provider; None where that is not known."""
    try:
        stream = as_stream(make_agent(definition))
    except UserError:
        return None  # it is told when the agent is to start
    known = stream is not None and stream.capabilities.dialect in set(Dialect)
    return Dialect(stream.capabilities.dialect) if stream is not None and known else None


def _upstream(shop: Workshop, definition: AgentDef) -> Upstream | None:
    """The provider of an agent; None when it has no key, is to go there directly, or does not say how it speaks."""
    key = shop.environ.get(definition.key.removeprefix("env:"), "") if definition.key else ""
    may_lack = bool(definition.key) and shop.settings.meter.replay is not None
    if not (key or may_lack) or not definition.meter:
        return None
    dialect = _dialect(definition)
    if dialect is None:
        return None
    from chargehand.adapters.meter import Upstream

    return Upstream(base_url=definition.base_url or _USUAL[dialect], key=key)


def _home(shop: Workshop, definition: AgentDef) -> AgentHome:
    """A kept HOME is the user's, not the repository's: a login that renews itself must not be in two places."""
    kept = user_state_folder(shop.environ) / "homes" / safe_name(definition.name)
    return AgentHome(
        kept=kept if definition.home == "persistent" else None,
        login=Path(definition.login) if definition.login else None,
    )
