"""The agents and programs that a plan, or a run, needs: found, and visible where a sandbox holds them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chargehand.adapters.agents import make_agent
from chargehand.adapters.agents.program import program_words
from chargehand.domain.check import programs_of
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.domain.plan import Plan
from chargehand.wiring.doctor.finding import Finding
from chargehand.wiring.providers import KEY_HINT, missing_key

if TYPE_CHECKING:
    from chargehand.adapters.sandbox import Confinement, Sandbox
    from chargehand.domain.state import RunState
    from chargehand.wiring.workshop import Workshop

__all__ = ["Needs", "look_at_agents", "look_at_programs", "needs_of_plan", "needs_of_run", "why_not"]

_AGENTS = "agents"
_PROGRAMS = "programs of the plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What would be started, and how it would be held: `kind` of sandbox, what it shows besides."""

    programs: tuple[str, ...]
    kind: str
    read: tuple[str, ...]


def needs_of_plan(shop: Workshop, plan: Plan) -> Needs:
    """Of a plan that is not started yet: as the settings have it."""
    sandbox = shop.settings.sandbox
    return Needs(programs=tuple(programs_of(plan)), kind=sandbox.kind, read=tuple(sandbox.read))


def needs_of_run(state: RunState) -> Needs:
    """Of a run: as it was started."""
    options = state.options
    return Needs(programs=tuple(programs_of(state.plan)), kind=options.sandbox, read=tuple(options.sandbox_read))


def look_at_agents(shop: Workshop, agents: Sequence[AgentDef]) -> list[Finding]:
    """Whether the program of each agent is there, and the key that it needs."""
    replays = shop.settings.meter.replay is not None
    found = []
    for definition in agents:
        why = why_not(definition)
        hint = "Install it, or correct its command under [agents.NAME] in chargehand.toml." if why else ""
        if not why and (why := missing_key(definition, shop.environ, replays=replays)):
            hint = KEY_HINT.format(name=definition.name)
        text = why or definition.command
        found.append(Finding(area=_AGENTS, name=f"agent {definition.name}", ok=not why, text=text, hint=hint))
    return found


def why_not(definition: AgentDef) -> str:
    """Why an agent cannot run here; empty when nothing speaks against it."""
    try:
        return make_agent(definition).missing()
    except UserError as error:
        return error.message


async def look_at_programs(shop: Workshop, needs: Needs, agents: Sequence[AgentDef]) -> list[Finding]:
    """Programs that are missing, or that the sandbox would hide; of agents only those that are hidden."""
    from chargehand.adapters.sandbox import Confinement

    try:
        sandbox = (await shop.sandbox(needs.kind)).sandbox
    except UserError as error:
        text = f"it was started with the sandbox {needs.kind}: {error.message}"
        return [Finding(area=_PROGRAMS, name="sandbox", ok=False, text=text, hint=error.hint)]
    path = shop.environ.get("PATH", "")
    shop.places.agents.mkdir(parents=True, exist_ok=True)
    hidden = tuple(p for p in (shop.repository.root, shop.repository.common_dir) if p is not None)
    confinement = Confinement(
        workspace=shop.places.agents,
        readable=tuple(shop.cwd / folder for folder in needs.read),
        hidden=hidden,
        env={"PATH": path, "HOME": "/nonexistent"},
    )
    found = [
        _program(program, sandbox, confinement, path) for program in dict.fromkeys(needs.programs) if "/" not in program
    ]
    return found + _hidden_agents(agents, sandbox, confinement, path)


def _program(program: str, sandbox: Sandbox, confinement: Confinement, path: str) -> Finding:
    name = f"program {program}"
    if shutil.which(program, path=path) is None:
        hint = "Install it, unless setup or the plan makes it."
        return Finding(area=_PROGRAMS, name=name, ok=None, text="it is not on PATH", hint=hint)
    if why := sandbox.explain(program, confinement):
        return Finding(area=_PROGRAMS, name=name, ok=False, text=why, hint="Name its folder in sandbox.read.")
    return Finding(area=_PROGRAMS, name=name, ok=True, text="found, and visible in the sandbox")


def _hidden_agents(agents: Sequence[AgentDef], sandbox: Sandbox, confinement: Confinement, path: str) -> list[Finding]:
    found = []
    for definition in agents:
        program = _first_word(definition)
        if program and shutil.which(program, path=path) and (why := sandbox.explain(program, confinement)):
            name = f"program of agent {definition.name}"
            hint = "Name its folder in sandbox.read."
            found.append(Finding(area=_PROGRAMS, name=name, ok=False, text=why, hint=hint))
    return found


def _first_word(definition: AgentDef) -> str:
    """The program an agent of kind `command` is, as it is started; other kinds know themselves what they start."""
    if definition.kind != "command":
        return ""
    try:
        return program_words(definition)[0]
    except UserError:
        return ""  # `why_not` has told already that it cannot be read
