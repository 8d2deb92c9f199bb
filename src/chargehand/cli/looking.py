"""Finding what a person means: a task of a run, and what becomes of the run while others drive it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chargehand.cli.render.pen import Pen, hang
from chargehand.domain.errors import UserError
from chargehand.domain.evolve import fold
from chargehand.domain.problem import nearest
from chargehand.domain.view import run_state

if TYPE_CHECKING:
    from chargehand.domain.events import Recorded
    from chargehand.domain.state import RunState, TaskRecord
    from chargehand.wiring import Workshop
    from chargehand.wiring.watching import Glimpse

__all__ = ["View", "follow", "holder_note", "task_of"]


def task_of(state: RunState, task: str) -> TaskRecord:
    """The task of that id; `UserError` with the nearest one."""
    record = state.tasks.get(task)
    if record is None:
        known = ", ".join(list(state.tasks)[:20])
        hint = f"{nearest(task, state.tasks)} Its tasks: {known}.".lstrip()
        raise UserError(f"Run {state.run} has no task {task}.", code="unknown_task", hint=hint)
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is new of a run: the events since the last view, the run after them, who drives it (None: nobody).

    `came` and `went` say that a process took the run up, or let go of it, since the last view.
    """

    events: list[Recorded]
    state: RunState
    holder: str | None
    came: bool = False
    went: bool = False
    is_first: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the run has ended and nobody is busy with it any more."""
        return self.state.finished is not None and self.holder is None


async def follow(workshop: Workshop, run: str) -> AsyncGenerator[View, None]:
    """Yield the run from its first event, then whatever is new, until it is over; also across those who drive it."""
    from chargehand.wiring.watching import glimpses

    events = workshop.service.events(run)
    state = fold(events)
    last: Glimpse | None = None
    async with aclosing(glimpses(workshop, run)) as moments:
        async for moment in moments:
            if last is not None:
                events = workshop.store.read(run, state.seq)
                fold(events, onto=state)
            other = last is not None and moment != last
            view = View(
                events=events,
                state=state,
                holder=moment.holder,
                came=other and moment.holder is not None,
                went=other and moment.holder is None,
                is_first=last is None,
            )
            if last is None or events or other:
                yield view
            last = moment
            if view.is_over:
                return


def holder_note(view: View, pen: Pen) -> list[str]:
    """What is to be said when a process took the run up or let go of it, or nobody drives it in the first place."""
    if view.came:
        who = f"{(view.holder or '')[:1].upper()}{(view.holder or '')[1:]}"
        return hang("", f"{who} drives run {view.state.run} now.", pen, indent=0)
    if view.holder is not None or view.is_over or not (view.went or view.is_first):
        return []
    word = run_state(view.state, held=False)
    step = pen.step(f"resume {view.state.run}")
    text = f"Nobody drives run {view.state.run} ({word}): `{step}` goes on with it, Ctrl-C leaves."
    return hang("", text, pen, indent=0)
