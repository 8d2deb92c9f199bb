"""Who works and who reviews in a run: from a plan, settings and flags to agents by name (SPEC 4, 10.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chargehand.adapters.agents import make_agent
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.domain.plan import Plan
from chargehand.settings import Settings

__all__ = ["Cast", "cast", "refuse_missing_agents"]

_HINT = "Define it under [agents.NAME] in chargehand.toml, or give --agent-command."
_REVIEWER_HINT = "Define it under [agents.NAME] in chargehand.toml, or give --reviewer-command."


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """The plan as it is run, its default agent and reviewer (None: the task's agent), and all agents it may use."""

    plan: Plan
    agent: str
    reviewer: str | None
    agents: tuple[AgentDef, ...]


def cast(plan: Plan, settings: Settings, cwd: Path) -> Cast:
    """Settle who works and who reviews; `UserError` for an agent nobody defined.

    A command given for the run goes before every name: that of an agent serves all roles where no reviewer is given.
    """
    agents, agent = list(settings.agents), None
    if settings.agent_command:
        given = AgentDef(name="command", kind="command", command=settings.agent_command, cwd=str(cwd))
        agents = [given, *(each for each in agents if each.name != given.name)]
        agent = given.name
        plan = replace(plan, tasks=tuple(replace(task, agent=None) for task in plan.tasks))
    reviewer = settings.reviewer
    if settings.reviewer_command:
        given = AgentDef(name="reviewer", kind="command", command=settings.reviewer_command, cwd=str(cwd))
        agents = [*(each for each in agents if each.name != given.name), given]
        reviewer = given.name
    if settings.reviewer_command or (settings.agent_command and reviewer is None):
        plan = replace(plan, tasks=tuple(replace(task, reviewer=None) for task in plan.tasks))
    elif reviewer is None and not settings.agent_command:
        reviewer = plan.defaults.reviewer
    _check_fallbacks(agents)
    agent = agent or _default(plan, settings, agents)
    _check_reviewers(plan, reviewer, agents)
    used = tuple(agents) if not settings.agent_command else tuple(_wanted(plan, agent, reviewer, agents))
    return Cast(plan=plan, agent=agent, reviewer=reviewer, agents=used)


def _wanted(plan: Plan, agent: str, reviewer: str | None, agents: Sequence[AgentDef]) -> Iterator[AgentDef]:
    """With an agent command, only those that may have something to do: it, and reviewers with their fallbacks."""
    known = {each.name: each for each in agents}
    todo: list[str | None] = [agent, reviewer, *(task.reviewer for task in plan.tasks)]
    seen: set[str] = set()
    while todo:
        name = todo.pop(0)
        if name is not None and name not in seen:
            seen.add(name)
            todo.append(known[name].fallback)
            yield known[name]


def _check_fallbacks(agents: Sequence[AgentDef]) -> None:
    known = {agent.name for agent in agents}
    for agent in agents:
        if agent.fallback == agent.name:
            raise UserError(f"Agent {agent.name} falls back to itself.", code="unknown_agent", hint=_HINT)
        if agent.fallback is not None and agent.fallback not in known:
            text = f"Agent {agent.name} falls back to {agent.fallback!r}, which is not defined."
            raise UserError(text, code="unknown_agent", hint=_HINT)


def _default(plan: Plan, settings: Settings, agents: Sequence[AgentDef]) -> str:
    """The agent of tasks that name none."""
    known = [agent.name for agent in agents if not (settings.reviewer_command and agent.name == "reviewer")]
    default = settings.agent or plan.defaults.agent or (known[0] if len(known) == 1 else None)
    for task in plan.tasks:
        wanted = task.agent or default
        if wanted is None:
            raise UserError(f"Task {task.id} names no agent, and there is no default.", code="no_agent", hint=_HINT)
        if wanted not in known:
            there = f"Defined are: {', '.join(known)}." if known else "None is defined."
            raise UserError(f"Task {task.id} wants agent {wanted!r}. {there}", code="unknown_agent", hint=_HINT)
    return default or known[0]


def _check_reviewers(plan: Plan, reviewer: str | None, agents: Sequence[AgentDef]) -> None:
    """A reviewer that is named has to be defined; where nothing is reviewed it does not matter."""
    if not plan.features.code_review:
        return
    known = {agent.name for agent in agents}
    if reviewer is not None and reviewer not in known:
        raise UserError(f"The reviewer {reviewer!r} is not defined.", code="unknown_agent", hint=_REVIEWER_HINT)
    for task in plan.tasks:
        if task.reviewer is not None and task.reviewer not in known:
            text = f"Task {task.id} wants {task.reviewer!r} as its reviewer, which is not defined."
            raise UserError(text, code="unknown_agent", hint=_REVIEWER_HINT)


def refuse_missing_agents(plan: Plan, settled: Cast, *, review: bool) -> None:
    """`UserError` when the program of an agent that a task would use is not there: nothing could start."""
    used = {task.agent or settled.agent for task in plan.tasks}
    if review:
        used |= {name for task in plan.tasks if (name := task.reviewer or settled.reviewer)}
    for definition in settled.agents:
        why = make_agent(definition).missing() if definition.name in used else ""
        if why:
            hint = "Install it, or correct its command; `chargehand agents` looks at all of them."
            raise UserError(f"Agent {definition.name} cannot be run: {why}", code="agent_missing", hint=hint)
