"""A run that is over, and whose files somebody edited since: the same question as while it goes on (SPEC 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chargehand.domain.asking import UNATTENDED
from chargehand.domain.errors import RunLocked
from chargehand.domain.events import DecisionAnswered, Event
from chargehand.domain.evolve import fold
from chargehand.domain.hand_edits import ask_about_edits
from chargehand.domain.state import RunState
from chargehand.domain.words import DecisionKind
from chargehand.ports import OpenRun
from chargehand.wiring.profiling import projections

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["look_for_edits"]


def look_for_edits(shop: Workshop, run: str, *, unattended: bool | None = None) -> RunState:
    """Bring the files of a run that is over up to date, and ask about those that were edited by hand.

    Answers with the run as it is then; as it was where it was accepted, or somebody else holds it. Where nobody is
    asked, the run's own word stands. AdapterError when a file cannot be written.
    """
    state = shop.service.look(run).state
    if state.finished is None or state.accepted is not None:
        return state
    try:
        held = shop.service.take_up(run)
    except RunLocked:
        return state
    try:
        state = fold(held.journal.read())
        found = projections(shop, state)
        for projection in found:
            projection.begin(state)
        asked = ask_about_edits(state, [edit for projection in found for edit in projection.edits()])
        state = _record(shop, held, state, asked)
        if state.unattended if unattended is None else unattended:
            state = _record(shop, held, state, _defaults(state))
            for projection in projections(shop, state):
                projection.begin(state)
        return state
    finally:
        held.release()


def _defaults(state: RunState) -> tuple[Event, ...]:
    return tuple(
        DecisionAnswered(id=decision.id, choice=decision.default, by=UNATTENDED)
        for decision in state.decisions.values()
        if decision.kind is DecisionKind.EDITED
    )


def _record(shop: Workshop, held: OpenRun, state: RunState, events: tuple[Event, ...]) -> RunState:
    return fold(held.journal.append(events, shop.clock.now()), onto=state) if events else state
