"""Providers that asked to be left alone: until when, and who works meanwhile."""

from __future__ import annotations

from chargehand.cli.render.pen import Pen, hang
from chargehand.cli.render.units import duration, moment
from chargehand.domain.state import RunState

__all__ = ["stand_in", "wait_lines"]


def stand_in(state: RunState, agent: str, now: float) -> str:
    """Who takes the tasks of `agent` while its provider is left alone; empty where nobody does."""
    fallbacks = {each.name: each.fallback for each in state.options.agents}
    seen, name = {agent}, fallbacks.get(agent)
    while name is not None and name not in seen:
        if state.circuits.get(name, 0.0) <= now:
            return name
        seen.add(name)
        name = fallbacks.get(name)
    return ""


def wait_lines(state: RunState, pen: Pen, now: float) -> list[str]:
    """A line for each provider that is left alone; none for a run that is over."""
    lines: list[str] = []
    for agent, until in sorted(state.circuits.items(), key=lambda pair: pair[1]):
        if until <= now or state.finished is not None:
            continue
        other = stand_in(state, agent, now)
        instead = f"{other} takes its tasks" if other else "no other agent takes its tasks"
        text = f"asked to wait until {moment(until, now)}, {duration(until - now)} more; {instead}"
        lines += hang(f"{pen.draw('waiting', 'ask')} the provider of {agent} ", text, pen)
    return [*lines, ""] if lines else []
