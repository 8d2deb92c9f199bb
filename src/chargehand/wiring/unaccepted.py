"""What a run is about to do again: the work of a finished run of the same plan that nobody accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chargehand.adapters.git.ancestry import why_absent
from chargehand.domain.errors import ChargehandError

if TYPE_CHECKING:
    from chargehand.domain.events import RunStarted
    from chargehand.wiring.workshop import Workshop

__all__ = ["Unaccepted", "unaccepted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unaccepted:
    """A finished run whose `branch` holds `tasks`, which the run that is about to start has as well."""

    run: str
    branch: str
    tasks: tuple[str, ...]


async def unaccepted(shop: Workshop, event: RunStarted) -> Unaccepted | None:
    """The newest finished run of the plan, where work of it is neither accepted nor in the base; else None."""
    wanted = {task.id for task in event.plan.tasks}
    for run in reversed(shop.store.runs()):
        try:
            state = shop.service.look(run).state
        except ChargehandError:
            continue  # said elsewhere
        if state.plan.plan != event.plan.plan or state.finished is None:
            continue
        again = tuple(name for name, record in state.tasks.items() if record.landed and name in wanted)
        if state.is_landed or not again or not state.head:
            return None
        shallow = shop.repository.shallow_file.exists()
        gone = await why_absent(shop.repository.plumbing(), event.base, (state.head,), is_shallow=shallow)
        return Unaccepted(run=run, branch=state.branch, tasks=again) if gone else None
    return None
