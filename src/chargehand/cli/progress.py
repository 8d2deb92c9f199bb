"""A run's progress on stderr: nothing, or a line for each change of state. The live display is in `live`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from chargehand.cli.output import Output, may_colour
from chargehand.cli.render.lines import STYLES, Line, Rank, say
from chargehand.cli.render.pen import Pen, one_line, shorten
from chargehand.cli.render.units import clock
from chargehand.cli.render.waits import stand_in
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import CircuitOpened, EffectIntended, Event, GatesPassed, Recorded
from chargehand.domain.moves import agent_of
from chargehand.domain.outcome import GateResult
from chargehand.domain.state import RunState

__all__ = ["IdRoom", "PlainProgress", "Progress", "event_line", "id_room", "spoken"]

_DETAIL = 300
_WIDEST_ID = 24
_WIDEST_WORD = 11


class Progress(Protocol):
    """Shows what happens while a run is driven."""

    def event(self, recorded: Recorded, state: RunState) -> None:
        """An event was recorded; `state` is the run after it, and changes as the run goes on."""
        ...

    def output(self, key: str, line: str) -> None:
        """An attempt or gate job printed a line."""
        ...

    def note(self, *lines: str) -> None:
        """Say something that stays on the screen."""
        ...

    def pause(self) -> None:
        """Leave the terminal to a question, until the next event."""
        ...

    def end(self) -> None:
        """Give the terminal back; harmless when repeated."""
        ...


def spoken(recorded: Recorded, state: RunState) -> Line:
    """The line of an event, with the agent where an attempt starts; `state` is the run after it."""
    event = recorded.event
    if isinstance(event, EffectIntended) and isinstance(event.effect, StartAttempt):
        effect = event.effect
        return say(event, agent=effect.agent or agent_of(state, state.tasks[effect.task]))
    if isinstance(event, CircuitOpened):
        return say(event, agent=stand_in(state, event.agent, recorded.at), at=recorded.at)
    return say(event, base=_base_of(event, state))


def _base_of(event: Event, state: RunState) -> Mapping[str, GateResult]:
    """The gates that are red since the base, of those that the event is about."""
    if isinstance(event, GatesPassed) and state.baseline_red:
        due = {gate.id for gate in state.plan.gates_on(event.point)}
        return {gate: result for gate, result in state.baseline_red.items() if gate in due}
    return state.baseline_red


def event_line(at: float, line: Line, pen: Pen, *, ids: int = 0, words: int = _WIDEST_WORD) -> str:
    """`hh:mm:ss task state reason detail`, cut to the pen's width; `ids` and `words` are the room for id and state."""
    style = STYLES.get(line.what) or STYLES.get(line.reason, "")
    head = f"{clock(at)} {(line.task or '(run)').ljust(ids)} "
    word = line.what.ljust(words)
    tail = one_line(f"{line.reason} {line.detail}")
    room = _DETAIL if pen.width is None else max(0, pen.width - len(head) - len(word) - 1)
    return f"{head}{pen.draw(word, style)} {shorten(tail, room)}".rstrip()


def id_room(tasks: Iterable[str]) -> int:
    """The room for task ids in lines below each other."""
    return min(_WIDEST_ID, max(map(len, (*tasks, "(run)"))))


class IdRoom:
    """The same for a run that goes on: worked out when a task was added, not for every event."""

    def __init__(self) -> None:
        self._known = (-1, 0)

    def of(self, state: RunState) -> int:
        """The room for the ids of its tasks."""
        if self._known[0] != len(state.tasks):
            self._known = (len(state.tasks), id_room(state.tasks))
        return self._known[1]


class PlainProgress:
    """A line for each change of state, for logs and pipes; silent with `--quiet`."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._pen = Pen(colour=may_colour(out.stderr))
        self._ids = IdRoom()

    def event(self, recorded: Recorded, state: RunState) -> None:
        """Print the changes."""
        line = spoken(recorded, state)
        if line.rank >= Rank.CHANGE:
            self._out.note(event_line(recorded.at, line, self._pen, ids=self._ids.of(state)))

    def output(self, key: str, line: str) -> None:
        """What programs print stays in their files."""

    def note(self, *lines: str) -> None:
        """Print them."""
        self._out.note(*lines)

    def pause(self) -> None:
        """Nothing is in the way."""

    def end(self) -> None:
        """Nothing to give back."""
