"""How a run stands, for people: `status`, and the end of `run` and `resume`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from chargehand.cli.render.board import standing
from chargehand.cli.render.canary import stop_lines
from chargehand.cli.render.lines import STYLES
from chargehand.cli.render.pen import Cell, Pen, block, hang, table
from chargehand.cli.render.units import count, duration, short
from chargehand.cli.render.usage import UNMETERED, uncounted, used_by_run, work_of
from chargehand.cli.render.waits import wait_lines
from chargehand.domain.asking import UNLISTED
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.view import accepted_text, lapsed, open_decisions, run_state, why
from chargehand.domain.words import Decision, Reason, TaskStatus

__all__ = ["decision_lines", "endings", "status_lines", "summary_lines", "task_rows", "was_at_work", "what_it_does"]

_MARKS = {
    TaskStatus.INTEGRATED: "✓",
    TaskStatus.FAILED: "✗",
    TaskStatus.BLOCKED: "✗",
    TaskStatus.SKIPPED: "-",
    TaskStatus.CANCELLED: "-",
    TaskStatus.AWAITING_DECISION: "?",
    TaskStatus.WAITING: "·",
}
_LIVE_MARK = "▸"
_SHOWN_DETAIL = 600
_IN_HEADER = "reviews_unavailable"
_MOST_ROWS = 100
_MOST_EXPLAINED = 30
_MOST_BEHIND = 40
_MOST_NAMED = 10


def summary_lines(state: RunState, pen: Pen, *, accepted: str = "", folder: Path | None = None) -> list[str]:
    """The end of a run: a line a task, why each one that is not integrated is not, the branch, the next step.

    `folder` is the run's: paths of logs begin with it.
    """
    word = run_state(state, held=False)
    lines = ["", *task_rows(state, pen), ""]
    lines += _explanations(state, pen)
    lines += stop_lines(state, pen, folder)
    lines += decision_lines(state, pen)
    lines += _warnings(state, pen)
    lines += hang(f"{pen.draw(word, STYLES.get(word, 'strong'))}: ", _totals(state), pen)
    if state.finished and state.finished.detail:
        lines += block(state.finished.detail, pen)
    return [*lines, *endings(state, pen, word, accepted=accepted)]


def status_lines(state: RunState, pen: Pen, now: float, *, held: bool, folder: Path | None = None) -> list[str]:
    """`status`: what the summary says, with what each task that is not over waits for."""
    word = run_state(state, held=held)
    about_to = f" ({standing(state)})" if held and word == "running" and standing(state) else ""
    title = f"run {pen.draw(state.run, 'strong')}  {pen.draw(word + about_to, STYLES.get(word, 'live'))}"
    lines = [title, f"  plan {state.plan.plan}, branch {state.branch}, base {short(state.base)}"]
    lines += ["", *task_rows(state, pen, held=held), ""]
    about: list[str] = []
    unfinished = [
        record
        for record in state.tasks.values()
        if not record.is_over and (record.status is not TaskStatus.AWAITING_DECISION or _is_settled(state, record))
    ]
    for record in unfinished[:_MOST_EXPLAINED]:
        about += hang(f"{record.id}: ", what_it_does(state, record, pen, now, held=held), pen)
    lines += [*about, ""] if about else []
    lines += wait_lines(state, pen, now)
    lines += _explanations(state, pen, over=True)
    lines += stop_lines(state, pen, folder)
    lines += decision_lines(state, pen, held=held)
    lines += _warnings(state, pen)
    lines += hang("", _totals(state), pen)
    return lines + (endings(state, pen, word, held=held) if word != "running" else [])


def was_at_work(state: RunState, record: TaskRecord, *, held: bool) -> bool:
    """Whether the process that drove the run went away, killed perhaps, while something of this task was under way."""
    return not held and state.finished is None and record.inflight is not None


def what_it_does(state: RunState, record: TaskRecord, pen: Pen, now: float, *, held: bool) -> str:
    """`why` for people: of a run that nobody drives nothing is running."""
    if was_at_work(state, record, held=held):
        step = pen.step(f"resume {state.run}")
        return f"It was at work when the run stopped; `{step}` looks what became of it."
    if not held and state.finished is None and _is_settled(state, record):
        said = f"It is to be {record.ending.status.value}" if record.ending else "Its question was answered"
        return f"{said}; `{pen.step(f'resume {state.run}')}` sees to it."
    return why(state, record.id, now)


def _is_settled(state: RunState, record: TaskRecord) -> bool:
    """Whether a person has said what is to become of it, and nobody has done it yet."""
    answered = record.status is TaskStatus.AWAITING_DECISION and record.decision not in state.decisions
    return not record.is_over and (record.ending is not None or answered)


def task_rows(state: RunState, pen: Pen, *, held: bool = True) -> list[str]:
    """A line a task: mark, id, state, attempts, what landed or the reason, who worked and what it used (where that is
    known of any), title; of many tasks those not landed. Reviewers and others who only look made no attempt at it.
    """
    records = list(state.tasks.values())
    if len(records) > _MOST_ROWS:
        records = [record for record in records if record.status is not TaskStatus.INTEGRATED][:_MOST_ROWS]
    used = work_of(state)
    rows = [_task_row(record, gone=was_at_work(state, record, held=held)) for record in records]
    if used:
        rows = [(*row[:-1], used.get(record.id, ""), row[-1]) for row, record in zip(rows, records, strict=True)]
    lines = table(rows, pen)
    hidden = len(state.tasks) - len(records)
    return [*lines, f"  … and {hidden:,} more (--json has all)"] if hidden else lines


def _task_row(record: TaskRecord, *, gone: bool) -> tuple[Cell | str, ...]:
    style = STYLES["interrupted"] if gone else STYLES.get(record.status.value, "")
    reason = record.reason.value if record.reason and record.status is not TaskStatus.INTEGRATED else ""
    if record.ending is not None and not record.is_over:
        reason = f"to be {record.ending.status.value}"
    return (
        Cell(text=_MARKS.get(record.status, _LIVE_MARK), style=style),
        record.id,
        Cell(text=f"was {record.status.value}" if gone else record.status.value, style=style),
        count(tried, "attempt") if (tried := record.attempts - record.waited - record.looked) else "",
        short(record.landed) or reason,
        Cell(text=record.task.title, style="quiet"),
    )


def decision_lines(
    state: RunState,
    pen: Pen,
    *,
    only: str = "",
    before: Mapping[str, Sequence[str]] | None = None,
    held: bool = True,
) -> list[str]:
    """Each open question (or `only` that): what happened, what each answer does, how to answer.

    `before` says of a decision since when it waits and what was tried, line by line; `held`: a process drives the run.
    """
    lines: list[str] = []
    heard = {decision.id: decision for decision in open_decisions(state, held=held)}
    for decision in state.decisions.values():
        gone = decision.task and state.tasks[decision.task].ending is not None  # its task is to end whatever is said
        if decision.id not in heard:
            step = pen.step(f"resume {state.run}")
            lines += [*hang("", f"{lapsed(state, decision)} Go on with `{step}`.", pen, indent=2), ""]
        elif only in {"", decision.id} and not gone:
            lines += _decision(state, heard[decision.id], pen, (before or {}).get(decision.id, ()))
    return lines


_UNLISTED = {**UNLISTED, "block": "the task is blocked, and tasks that depend on it with it"}
_NO_VERDICTS = (
    "A program that knows reports but no verdicts cannot review: start the plan anew with `--no-review`, or with "
    "another program as `--reviewer NAME` or `--reviewer-command CMD`."
)


def _decision(state: RunState, decision: Decision, pen: Pen, before: Sequence[str]) -> list[str]:
    about = f" ({decision.task})" if decision.task else ""
    lines = hang(f"{pen.draw(decision.id, 'ask')}{about}: ", decision.question, pen)
    for line in before:
        lines += hang("    ", line, pen, indent=6)
    lines += block(f"command: {decision.command}", pen) if decision.command else []
    for effect in decision.effects or decision.choices:
        lines += hang("    - ", effect, pen)
    if decision.default not in decision.choices and decision.default in _UNLISTED:
        lines += block(f"unattended: {_UNLISTED[decision.default]}", pen)
    lines += block(_NO_VERDICTS, pen) if decision.reason is Reason.REVIEW_VOID else []
    step = pen.step(f"answer {decision.id} {'|'.join(decision.choices)} --run {state.run}")
    lines.append(f"  answer with: {step}")
    if decision.task and state.tasks[decision.task].attempts:
        lines.append("  see: " + pen.step(f"show {decision.task} --log --run {state.run}"))
    return [*lines, ""]


def _explanations(state: RunState, pen: Pen, *, over: bool = False) -> list[str]:
    """Each task that did not make it for a reason of its own; then the rest, by the task at the root of it.

    With `over` only tasks that are in a terminal state.
    """
    lines: list[str] = []
    behind: dict[str, list[str]] = {}
    own: list[TaskRecord] = []
    unbegun: list[TaskRecord] = []
    for record in state.tasks.values():
        if record.blocked_on is not None:
            behind.setdefault(record.blocked_on, []).append(record.id)
        elif _was_stopped_before(state, record):
            unbegun.append(record)
        elif record.status not in {TaskStatus.INTEGRATED, TaskStatus.SKIPPED} and (record.is_over or not over):
            own.append(record)
    if len(unbegun) == 1 or not (state.finished and state.finished.detail):
        own, unbegun = [*own, *unbegun], []
    for record in own[:_MOST_EXPLAINED]:
        lines += _explained(state, record, pen)
    lines += [f"… and {len(own) - _MOST_EXPLAINED:,} more (--json has all)"] if len(own) > _MOST_EXPLAINED else []
    if unbegun:  # why it stopped is told once, at the end
        names = ", ".join(record.id for record in unbegun[:_MOST_BEHIND])
        more = f", … ({len(unbegun):,} in all)" if len(unbegun) > _MOST_BEHIND else ""
        head = (
            f"{pen.draw(count(len(unbegun), 'task'), STYLES.get('cancelled', ''))} never began, for the run stopped: "
        )
        lines += hang(head, names + more, pen)
    for root, tasks in behind.items():
        head = pen.draw(count(len(tasks), "task"), STYLES["blocked"]) + f" blocked on {root}: "
        more = f", … ({len(tasks):,} in all)" if len(tasks) > _MOST_BEHIND else ""
        lines += hang(head, ", ".join(tasks[:_MOST_BEHIND]) + more, pen)
    return [*lines, ""] if lines else []


def _was_stopped_before(state: RunState, record: TaskRecord) -> bool:
    """Whether it was ended by what stopped the run, before it had begun: there is nothing to tell of it alone."""
    stopped = state.stopped.detail if state.stopped is not None else ""
    return bool(stopped) and record.is_over and not record.attempts and record.detail == stopped


def _explained(state: RunState, record: TaskRecord, pen: Pen) -> list[str]:
    """A task that did not make it, with the step that helps."""
    if record.status is TaskStatus.AWAITING_DECISION:
        return []
    reason = f" ({record.reason.value})" if record.reason else ""
    head = f"{pen.draw(record.id, STYLES.get(record.status.value, ''))} {record.status.value}{reason}: "
    detail = record.detail or why(state, record.id, state.last_at)
    lines = hang(head, detail[:_SHOWN_DETAIL], pen)
    if record.blocked_on is None and record.attempts:
        lines.append("  see: " + pen.step(f"show {record.id} --log --run {state.run}"))
    return lines


def endings(state: RunState, pen: Pen, word: str, *, accepted: str = "", held: bool = False) -> list[str]:
    """Where the work is, and what to type next; a `held` run waits for answers, not for `resume`."""
    if not accepted and state.accepted is not None:
        accepted = accepted_text(state.accepted, short(state.accepted.commit))
    landed = [record for record in state.tasks.values() if record.landed]
    where = f"branch: {state.branch} at {short(state.head or state.base)} ({count(len(landed), 'task')} landed)"
    step = {
        "finished": "" if accepted else "accept",
        "failed": "log",
        "waiting": "" if held else "resume",
        "interrupted": "resume",
        "paused": "resume",
    }.get(word, "")
    lines = [where]
    lines += [f"accepted: {accepted}"] if accepted else []
    answered = _answering(state, pen) if word != "running" and not accepted and not held else []
    lines += answered or (["next: " + pen.step(f"{step} {state.run}")] if step else [])
    return lines + (_again(state, pen) if word == "failed" else [])


def _answering(state: RunState, pen: Pen) -> list[str]:
    """The answer that a run waits for comes before all else; of several, where they are."""
    asked = [each for each in open_decisions(state, held=False) if not each.task or not state.tasks[each.task].ending]
    if not asked:
        return []
    (only, *more) = asked
    step = f"decisions {state.run}" if more else f"answer {only.id} {'|'.join(only.choices)} --run {state.run}"
    then = "" if state.finished is not None else f", then {pen.step(f'resume {state.run}')}"
    return [f"next: {pen.step(step)}{then}"]


def _again(state: RunState, pen: Pen) -> list[str]:
    """How tasks that did not make it are taken up again; nothing where the run gates alone are red, or it landed."""
    lost = {TaskStatus.FAILED, TaskStatus.BLOCKED, TaskStatus.CANCELLED}
    own = [r.id for r in state.tasks.values() if r.status in lost and r.blocked_on is None]
    if not own or state.accepted is not None:
        return []
    which = own[0] if len(own) == 1 else "--all"
    return [
        "or take it up again: " + pen.step(f"retry {which} --run {state.run}"),
        "               then: " + pen.step(f"resume {state.run}"),
    ]


def _warnings(state: RunState, pen: Pen) -> list[str]:
    """Each warning once, with the tasks that it is about."""
    about: dict[tuple[str, str], list[str]] = {}
    for warning in (warning for warning in state.warnings if warning.code != _IN_HEADER):
        about.setdefault((warning.code, warning.text), []).append(warning.task)
    lines: list[str] = []
    for (code, text), tasks in about.items():
        names = list(dict.fromkeys(task for task in tasks if task))
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        head = f"{', '.join(names[:_MOST_NAMED])}{more}: " if names else ""
        lines += hang(f"{pen.draw('warning', 'ask')} {code}: ", head + text, pen)
    return [*lines, ""] if lines else []


def _totals(state: RunState) -> str:
    numbers: dict[str, int] = {}
    for record in state.tasks.values():
        numbers[record.status.value] = numbers.get(record.status.value, 0) + 1
    parts = [f"{number} {name}" for name, number in numbers.items()]
    parts.append(f"{duration(state.busy_s)} at work")
    used = used_by_run(state)
    parts += [used] if used else []
    unmetered = uncounted(state)
    return ", ".join([*parts, f"{' and '.join(unmetered)} {UNMETERED}"] if unmetered else parts)
