"""Adapters to coding-agent programs, by kind. Other packages add kinds through the entry point group
`chargehand.agents`: an entry is a callable that makes a `ports.Agent` from an `AgentDef`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.ports import Agent

__all__ = ["GROUP", "AgentFactory", "agent_kinds", "make_agent"]

AgentFactory = Callable[[AgentDef], Agent]

GROUP = "chargehand.agents"

_BUILT_IN = {
    "aider": ("chargehand.adapters.agents.aider", "AiderAgent"),
    "claude": ("chargehand.adapters.agents.claude", "ClaudeAgent"),
    "codex": ("chargehand.adapters.agents.codex", "CodexAgent"),
    "command": ("chargehand.adapters.agents.command", "CommandAgent"),
    "gemini": ("chargehand.adapters.agents.gemini", "GeminiAgent"),
    "goose": ("chargehand.adapters.agents.goose", "GooseAgent"),
    "opencode": ("chargehand.adapters.agents.opencode", "OpenCodeAgent"),
    "scripted": ("chargehand.adapters.agents.scripted", "ScriptedAgent"),
}


def make_agent(definition: AgentDef) -> Agent:
    """The adapter a definition asks for; UserError for an unknown kind or a definition it cannot work with."""
    if definition.kind in _BUILT_IN:
        module, name = _BUILT_IN[definition.kind]
        return cast("AgentFactory", getattr(import_module(module), name))(definition)
    return _third_party(definition)(definition)


def agent_kinds() -> list[str]:
    """The kinds there are, those of other packages included."""
    from importlib.metadata import entry_points

    return sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))})


def _third_party(definition: AgentDef) -> AgentFactory:
    from importlib.metadata import entry_points

    found = list(entry_points(group=GROUP, name=definition.kind))
    if not found:
        raise UserError(
            f"Agent {definition.name} is of kind `{definition.kind}`, which is not known.",
            code="agent_kind",
            hint=f"There are: {', '.join(agent_kinds())}.",
        )
    try:
        return cast("AgentFactory", found[0].load())
    except Exception as error:
        raise UserError(
            f"The package behind agent kind `{definition.kind}` ({found[0].value}) cannot be loaded: {error}.",
            code="agent_kind",
        ) from error
