"""What was used, who used it, and whether the meter counted it."""

from __future__ import annotations

from chargehand.cli.render.units import amount
from chargehand.domain.moves import agent_of
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import Usage
from chargehand.domain.state import RunState, TaskRecord

__all__ = ["METERED", "UNMETERED", "told_by", "uncounted", "used_by_attempt", "used_by_run", "used_by_task", "work_of"]

METERED = "counted by the meter"
UNMETERED = "without the meter"

_NO_MODEL = frozenset({"command", "scripted"})
"""Kinds of agents of which nobody knows whether they ask a model at all."""


def told_by(definition: AgentDef | None) -> str:
    """How what an agent used is known: `METERED`, `UNMETERED`, or empty where it may have asked no model."""
    if definition is None or definition.kind in _NO_MODEL:
        return ""
    return METERED if definition.key and definition.meter else UNMETERED


def used_by_attempt(state: RunState, agent: str, usage: Usage) -> str:
    """What one attempt used and who says so; empty where there is nothing to say."""
    how = told_by(_definition(state, agent))
    used = amount(usage.tokens, usage.usd, estimated=usage.estimated)
    return ", ".join(filter(None, (used or ("not told" if how else ""), how)))


def used_by_run(state: RunState) -> str:
    """What the whole run used; money that is known in part only is told as the least it can be."""
    return amount(state.tokens, state.usd, estimated=state.estimated, is_least=state.uncosted > 0)


def used_by_task(state: RunState, record: TaskRecord) -> str:
    """What a task used since it began, or was retried; `not metered` where an agent told nothing."""
    tries = record.tries
    if tries.tokens:
        return amount(tries.tokens, tries.usd, estimated=tries.estimated, is_least=tries.uncosted > 0)
    unmetered = told_by(_definition(state, _last(state, record))) == UNMETERED
    return "not metered" if tries.attempts and unmetered else ""


def work_of(state: RunState) -> dict[str, str]:
    """In a few words, for each task with something to say: who worked on it, if several did, and what it used."""
    started = [record for record in state.tasks.values() if record.attempts]
    several = _several(state)
    told = {
        record.id: ", ".join(filter(None, (_last(state, record) if several else "", used_by_task(state, record))))
        for record in started
    }
    return {task: words for task, words in told.items() if words}


def _several(state: RunState) -> bool:
    return len({_last(state, record) for record in state.tasks.values() if record.attempts}) > 1


def uncounted(state: RunState) -> tuple[str, ...]:
    """The agents that worked without the meter."""
    names = dict.fromkeys(_last(state, record) for record in state.tasks.values() if record.attempts)
    return tuple(name for name in names if told_by(_definition(state, name)) == UNMETERED)


def _definition(state: RunState, name: str) -> AgentDef | None:
    return next((each for each in state.options.agents if each.name == name), None)


def _last(state: RunState, record: TaskRecord) -> str:
    """Who made the last attempt, or would make the first."""
    return record.agent or agent_of(state, record)
