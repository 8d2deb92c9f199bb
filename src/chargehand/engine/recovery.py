"""On opening a run: every intent without an outcome is checked against the world (SPEC 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chargehand.domain.asking import lapse_calls
from chargehand.domain.effects import Effect, Land, StartAttempt
from chargehand.domain.events import EffectLost, Event, LandFinished
from chargehand.domain.outcome import AttemptResult, Landed
from chargehand.domain.state import RunState
from chargehand.engine.dispatch import Ports, attempt_finished

__all__ = ["recover"]


async def recover(ports: Ports, state: RunState, tell: Callable[[str], None] | None = None) -> list[Event]:
    """What became of the effects that were under way when the last holder died, as events to record.

    The world is asked: the branch tells whether a landing happened, the fleet which attempts came to their end unseen.
    Everything else is done again; the fleet has ended what still ran and rescued what it left, and says so: `tell` gets
    its sentences. Questions about calls that the dead holder held have lapsed.
    """
    attempts = [key for key, effect in state.inflight.items() if isinstance(effect, StartAttempt)]
    found = await ports.fleet.recover(state.run, attempts)
    if tell is not None:
        for text in found.told:
            tell(text)
    settled = [await _settle(ports, state, effect, found.results) for effect in state.inflight.values()]
    return [*lapse_calls(state), *settled]


async def _settle(ports: Ports, state: RunState, effect: Effect, results: Mapping[str, AttemptResult]) -> Event:
    if isinstance(effect, StartAttempt) and effect.key in results:
        files = state.tasks[effect.task].task.files if effect.task else None
        return await attempt_finished(ports, effect, files.read if files else (), results[effect.key])
    if isinstance(effect, Land) and await ports.integrator.contains(state.branch, effect.commit):
        landed = Landed(commit=effect.commit)
        return LandFinished(key=effect.key, task=effect.task, attempt=effect.attempt, result=landed)
    return EffectLost(key=effect.key, detail="The process that carried it out is gone.")
