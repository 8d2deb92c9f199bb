"""How the agents of a run reach their providers: through the meter, or with a login of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.agent_run import AgentHome, as_stream
from chargehand.adapters.agents import make_agent
from chargehand.adapters.folders import safe_name
from chargehand.dialects import Dialect
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.wiring.places import user_state_folder

if TYPE_CHECKING:
    from chargehand.adapters.meter import Meter, Upstream
    from chargehand.wiring.workshop import Workshop

__all__ = ["Providers", "provide"]

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
    from chargehand.adapters.meter import Meter, PriceTable

    meter = Meter(upstreams, PriceTable.packaged())
    await meter.start()
    return Providers(meter=meter, metered=frozenset(upstreams), homes=homes)


def _upstream(shop: Workshop, definition: AgentDef) -> Upstream | None:
    """The provider of an agent; None when it has no key, is to go there directly, or does not say how it speaks."""
    key = shop.environ.get(definition.key.removeprefix("env:"), "") if definition.key else ""
    if not key or not definition.meter:
        return None
    try:
        stream = as_stream(make_agent(definition))
    except UserError:
        return None  # it is told when the agent is to start
    if stream is None or stream.capabilities.dialect not in set(Dialect):
        return None
    from chargehand.adapters.meter import Upstream

    return Upstream(base_url=definition.base_url or _USUAL[Dialect(stream.capabilities.dialect)], key=key)


def _home(shop: Workshop, definition: AgentDef) -> AgentHome:
    """A kept HOME is the user's, not the repository's: a login that renews itself must not be in two places."""
    kept = user_state_folder(shop.environ) / "homes" / safe_name(definition.name)
    return AgentHome(
        kept=kept if definition.home == "persistent" else None,
        login=Path(definition.login) if definition.login else None,
    )
