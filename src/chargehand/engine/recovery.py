"""On opening a run: every intent without an outcome is checked against the world (SPEC 8)."""

from __future__ import annotations

from chargehand.domain.effects import Effect, Land
from chargehand.domain.events import EffectLost, Event, LandFinished
from chargehand.domain.outcome import Landed
from chargehand.domain.state import RunState
from chargehand.engine.dispatch import Ports

__all__ = ["recover"]


async def recover(ports: Ports, state: RunState) -> list[Event]:
    """What became of the effects that were under way when the last holder died, as events to record.

    Only a landing can have come to its outcome unseen: the branch tells. Everything else is done again; the fleet has
    ended what still ran and rescued what it left.
    """
    if not state.inflight:
        return []
    await ports.fleet.recover(state.run)
    return [await _settle(ports, state, effect) for effect in list(state.inflight.values())]


async def _settle(ports: Ports, state: RunState, effect: Effect) -> Event:
    if isinstance(effect, Land) and await ports.integrator.head(state.branch) == effect.commit:
        landed = Landed(commit=effect.commit)
        return LandFinished(key=effect.key, task=effect.task, attempt=effect.attempt, result=landed)
    return EffectLost(key=effect.key, detail="The process that carried it out is gone.")
