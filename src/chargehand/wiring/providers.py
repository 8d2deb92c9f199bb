"""How the agents of a run reach their providers: through the meter, or with a login of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.agent_run import AgentHome, as_stream
from chargehand.adapters.agents import make_agent
from chargehand.adapters.folders import safe_name
from chargehand.dialects import Dialect
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.plan import Plan, Task
from chargehand.wiring.places import user_state_folder

if TYPE_CHECKING:
    from chargehand.adapters.meter import Meter, Upstream
    from chargehand.wiring.workshop import Workshop

__all__ = ["KEY_HINT", "Providers", "check_providers", "missing_key", "provide", "takes_key"]

KEY_HINT = "Export it in the environment that Chargehand is started in, or name another: `key` under [agents.{name}]."
"""What to do about a key that is not set."""

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


async def check_providers(
    shop: Workshop, plan: Plan, options: RunOptions, *, done: Collection[str] = frozenset()
) -> None:
    """`UserError` when an agent of the run could not reach its provider, before any of them starts.

    Its key is not set, and one of its tasks is not among those that are `done`; or the meter shall be all that agents
    reach, and an agent or the sandbox does not allow that.
    """
    await _check_network(shop, plan, options)
    open_tasks = tuple(task for task in plan.tasks if task.id not in done)
    for definition in _used(open_tasks, options):
        if why := missing_key(definition, shop.environ, replays=shop.settings.meter.replay is not None):
            raise UserError(why, code="no_key", hint=KEY_HINT.format(name=definition.name))


def missing_key(definition: AgentDef, environ: Mapping[str, str], *, replays: bool = False) -> str:
    """Why an agent that needs a key has none, in a sentence; empty when it has one, or needs none.

    `replays`: a cassette answers in place of providers, so what goes through the meter needs none.
    """
    name = definition.key.removeprefix("env:")
    if not name or environ.get(name) or not takes_key(definition):
        return ""
    if replays and definition.meter and _dialect(definition) is not None:
        return ""
    return f"The variable {name}, which holds the key of agent {definition.name}, is not set."


def takes_key(definition: AgentDef) -> bool:
    """Whether its program is one that we hand keys to; of any other, `key` only names what is redacted."""
    try:
        return as_stream(make_agent(definition)) is not None
    except UserError:
        return False  # it is told when the agent is to start


async def _check_network(shop: Workshop, plan: Plan, options: RunOptions) -> None:
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
    for definition in _used(plan.tasks, options):
        if why := _why_unmetered(shop, definition):
            raise UserError(
                f"sandbox.network is `meter`, and agent {definition.name} would reach nothing: {why}.",
                code="network_meter",
                hint="Give it a kind and a key that go through the meter, or set sandbox.network to open.",
            )


def _used(tasks: Sequence[Task], options: RunOptions) -> Iterator[AgentDef]:
    """The agents that tasks may come to, with those that take over from them."""
    known = {definition.name: definition for definition in options.agents}
    wanted = [task.agent or options.agent for task in tasks]
    if options.review:
        wanted += [name for task in tasks if (name := task.reviewer or options.reviewer)]
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
