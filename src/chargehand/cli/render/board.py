"""The live display as lines: the tasks that matter now, open questions, and a line of sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chargehand.cli.render.lines import STYLES, Rank, say
from chargehand.cli.render.pen import Cell, Pen, hang, one_line, shorten, table
from chargehand.cli.render.units import duration, moment
from chargehand.cli.render.usage import used_by_run
from chargehand.domain.effects import RunCanary, RunGates
from chargehand.domain.events import Recorded
from chargehand.domain.hand_edits import as_of_now
from chargehand.domain.moves import agent_of
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import TaskStatus

__all__ = ["Board", "board_lines", "standing"]

_MOST_ROWS = 30
_MOST_QUESTIONS = 3
_QUESTION_LINES = 3
_ROOMY = 16
_MOVING = frozenset({TaskStatus.RUNNING, TaskStatus.GATING, TaskStatus.REVIEWING, TaskStatus.INTEGRATING})
_SPIN = "⠋⠙⠸⠴⠦⠇"
_MARKS = {
    TaskStatus.INTEGRATED: "✓",
    TaskStatus.FAILED: "✗",
    TaskStatus.BLOCKED: "✗",
    TaskStatus.SKIPPED: "-",
    TaskStatus.CANCELLED: "-",
    TaskStatus.AWAITING_DECISION: "?",
    TaskStatus.WAITING: "·",
}


@dataclass(slots=True, kw_only=True)
class Board:
    """What the display knows besides the state: since when each task is where it is, and what it printed last."""

    since: dict[str, float] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    started_at: float | None = None

    def take(self, recorded: Recorded) -> None:
        """Note a change of state."""
        if self.started_at is None:
            self.started_at = recorded.at
        line = say(recorded.event)
        if line.rank >= Rank.CHANGE:
            self.since[line.task] = recorded.at
            self.lines.pop(line.task, None)

    def print(self, key: str, line: str) -> None:
        """Note the last line of an attempt or a gate job; what belongs to no task belongs to the run."""
        self.lines[key.partition("/")[0]] = line


def board_lines(
    board: Board, state: RunState, pen: Pen, now: float, *, rows: int, listed: Sequence[str] = ()
) -> list[str]:
    """At most `rows` lines for a terminal of `pen.width` cells; `listed` stands in place of the tasks at rest."""
    questions = _questions(state, pen, most=_QUESTION_LINES if rows >= _ROOMY else 1)
    room = max(1, min(_MOST_ROWS, rows - len(questions) - 3))
    if listed:
        return [*_listed(board, state, pen, now, listed, room), *questions, _sums(board, state, pen, now)]
    shown = _chosen(board, state, room)
    cells = [_row(board, state, state.tasks[task], now) for task in shown]
    cells += _run_row(board, state, now)
    lines = table(cells, pen)
    hidden = len(state.tasks) - len(shown)
    if hidden:
        lines.append(pen.draw(f"  … {_hidden(state, frozenset(shown))}", "quiet"))
    return [*lines, *questions, _sums(board, state, pen, now)]


def _listed(board: Board, state: RunState, pen: Pen, now: float, listed: Sequence[str], room: int) -> list[str]:
    """The list of the plan's system, around what is under way where it is too long, then what is under way."""
    moving = [record for record in state.tasks.values() if record.status in _MOVING][: max(1, room // 2)]
    cells = [*(_row(board, state, record, now) for record in moving), *_run_row(board, state, now)]
    most = max(1, room - len(cells))
    here = next((place for place, line in enumerate(listed) if line.startswith(("[-]", "[ ]"))), 0)
    first = max(0, min(here - most // 2, len(listed) - most))
    lines = [_cut(f"  {one_line(line)}", pen) for line in listed[first : first + most]]
    return [*lines, *(table(cells, pen) if cells else [])]


def _chosen(board: Board, state: RunState, room: int) -> list[str]:
    """All tasks where there is room, in plan order; else the moving ones, then those that changed last."""
    if len(state.tasks) <= room:
        return list(state.tasks)
    moving = [record.id for record in state.tasks.values() if record.status in _MOVING]
    rest = sorted((task for task in board.since if task in state.tasks), key=lambda task: -board.since[task])
    chosen = frozenset(list(dict.fromkeys([*moving, *rest]))[:room])
    return [task for task in state.tasks if task in chosen]


def _row(board: Board, state: RunState, record: TaskRecord, now: float) -> tuple[Cell | str, ...]:
    style = STYLES.get(record.status.value, "")
    moving = record.status in _MOVING
    mark = _SPIN[int(now * 4) % len(_SPIN)] if moving else _MARKS[record.status]
    who = f"{agent_of(state, record)} #{max(1, record.attempts)}" if moving else ""
    since = board.since.get(record.id)
    return (
        Cell(text=mark, style=style),
        record.id,
        Cell(text=record.status.value, style=style),
        who,
        duration(now - since) if moving and since is not None else "",
        Cell(text=_clock(state, record, now) or _remark(board, record), style="" if moving else "quiet"),
    )


def _clock(state: RunState, record: TaskRecord, now: float) -> str:
    """How long a provider still wants to be left alone that a waiting task needs; empty where none does."""
    if record.status is not TaskStatus.WAITING or state.unmet[record.id]:
        return ""
    agent = agent_of(state, record)
    until = max(record.not_before or 0.0, state.circuits.get(agent, 0.0))
    if until <= now:
        return ""
    return f"the provider of {agent} asked to wait until {moment(until, now)}, {duration(until - now)} more"


def _remark(board: Board, record: TaskRecord) -> str:
    if record.ending is not None and not record.is_over:
        return f"is being ended, as {record.ending.by or 'somebody'} asked"
    if record.id in board.lines:
        return board.lines[record.id]
    if record.status is TaskStatus.INTEGRATED or record.status in _MOVING:
        return record.task.title
    reason = record.reason.value if record.reason else ""
    return f"{reason}: {record.detail}" if reason and record.detail else reason or record.detail or record.task.title


def _run_row(board: Board, state: RunState, now: float) -> list[tuple[Cell | str, ...]]:
    """What the run does for itself: the canary, and the gates of waves and of the end."""
    for key, effect in state.inflight.items():
        if isinstance(effect, RunCanary) or (isinstance(effect, RunGates) and not effect.task):
            what = "canary" if isinstance(effect, RunCanary) else f"{effect.point} gates"
            text = board.lines.get(key.partition("/")[0], "")
            mark = Cell(text=_SPIN[int(now * 4) % len(_SPIN)], style="live")
            since = board.since.get("")
            return [(mark, "(run)", Cell(text=what, style="live"), "", duration(now - since) if since else "", text)]
    return []


def _hidden(state: RunState, shown: frozenset[str]) -> str:
    numbers: dict[str, int] = {}
    for record in state.tasks.values():
        if record.id not in shown:
            numbers[record.status.value] = numbers.get(record.status.value, 0) + 1
    return "and " + ", ".join(f"{number} {name}" for name, number in numbers.items())


def _questions(state: RunState, pen: Pen, *, most: int) -> list[str]:
    """The oldest questions, broken at words into at most `most` lines each."""
    lines: list[str] = []
    for decision in list(state.decisions.values())[:_MOST_QUESTIONS]:
        step = pen.step(f"answer {decision.id} {'|'.join(decision.choices)}")
        about = f" ({decision.task})" if decision.task else ""
        text = f"{step}{about} {one_line(as_of_now(state, decision).question)}"
        if most == 1 or pen.width is None:
            lines.append(pen.draw(_cut(f"  ? {decision.id} waits: {text}", pen), "ask"))
            continue
        shown = hang(f"  ? {decision.id} waits: ", text, pen)
        if len(shown) > most:
            shown = [*shown[: most - 1], shorten(f"{shown[most - 1]} …", pen.width)]
        lines += [pen.draw(line, "ask") for line in shown]
    more = len(state.decisions) - _MOST_QUESTIONS
    return [*lines, *([f"  ? and {more} more: {pen.step('decisions')}"] if more > 0 else [])]


def _sums(board: Board, state: RunState, pen: Pen, now: float) -> str:
    over = sum(1 for record in state.tasks.values() if record.is_over)
    started = board.started_at if board.started_at is not None else now
    parts = [
        duration(now - started),
        f"{len(state.live)} of {state.options.jobs} slots",
        f"{over} of {len(state.tasks)} tasks over",
        *_budget(state),
    ]
    parts += [standing(state)] if standing(state) else []
    parts += [f"starts nothing more ({state.stopped.reason})"] if state.stopped else []
    return _cut("  " + " · ".join(parts), pen)


def standing(state: RunState) -> str:
    """That people want the run to stand or to end; empty when it goes on."""
    if state.finished is not None:
        return ""
    if state.cancelled is not None:
        return "cancelling"
    if state.interrupted:
        return "stopping"
    if state.paused is None:
        return ""
    if not state.inflight:
        return "paused"
    return "pausing: live attempts are ended" if state.halted else "pausing: live attempts go on"


def _budget(state: RunState) -> list[str]:
    used, cap = used_by_run(state), state.options.caps.run_usd
    if state.usd is not None and cap:
        used += f" of ${cap:,.0f}"
    return [used] if used else []


def _cut(text: str, pen: Pen) -> str:
    return shorten(text, pen.width) if pen.width else text
