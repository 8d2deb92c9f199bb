"""From the state of a run and its events to the report: the one way in (SPEC 10.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chargehand.domain.events import Recorded, ReviewFailed, ReviewPassed
from chargehand.domain.plan import GatePoint
from chargehand.domain.review import Stage
from chargehand.domain.state import RunState
from chargehand.domain.view import accepted_text, open_decisions, run_state
from chargehand.domain.words import TERMINAL, TaskStatus
from chargehand.report.diffs import Room
from chargehand.report.graph import GraphTask, draw_graph
from chargehand.report.history import Asked, History, Ran, remember
from chargehand.report.marks import RUNS, TASKS
from chargehand.report.model import (
    Criterion,
    Fact,
    GraphDrawing,
    Mark,
    ReceiptRef,
    Report,
    TaskPage,
    Timeline,
    Tone,
    Warned,
)
from chargehand.report.pages import Pages, Patch, warnings_of
from chargehand.report.rows import Rows, total
from chargehand.report.timeline import RowOf, draw_timeline
from chargehand.report.units import count, duration, instant

__all__ = ["Source", "build_report"]

_MOST_NAMED = 12
_ORDER = (TaskStatus.INTEGRATED, *(status for status in reversed(TaskStatus) if status is not TaskStatus.INTEGRATED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a report is made of.

    `events` is the whole journal and `state` what it folds to; `live`: a process drives the run. `patches` and
    `receipts` are by task, the receipt of the run under the empty name. `sandbox` says in words what held the agents,
    `unheld` that nothing did. `clean` makes text of others fit to be shown.
    """

    state: RunState
    events: Sequence[Recorded]
    now: float
    live: bool
    clean: Callable[[str], str]
    sandbox: str = ""
    unheld: bool = False
    patches: Mapping[str, Patch] = field(default_factory=dict)
    receipts: Mapping[str, ReceiptRef] = field(default_factory=dict)


def build_report(source: Source) -> Report:
    """The report of a run in any state: unfinished, failed, cancelled, or with nothing in it."""
    state, history = source.state, remember(source.events)
    rows = Rows(clean=source.clean, live=source.live, now=source.now)
    anchors = {name: f"task-{number}" for number, name in enumerate(state.tasks, start=1)}
    warned = warnings_of(state, rows)
    by_task = {name: [each for each in warned if name in each.tasks] for name in state.tasks}
    pages = Pages(
        state=state,
        history=history,
        rows=rows,
        patches=source.patches,
        receipts=source.receipts,
        anchors=anchors,
        room=Room(),
    )
    tasks = tuple(pages.page(record, by_task[record.id]) for record in state.tasks.values())
    return _Run(source=source, history=history, rows=rows, tasks=tasks).report(warned)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What is said of the run as a whole."""

    source: Source
    history: History
    rows: Rows
    tasks: tuple[TaskPage, ...]

    def report(self, warned: tuple[Warned, ...]) -> Report:
        state, history, rows = self.source.state, self.history, self.rows
        own = [each for each in history.questions if not each.decision.task]
        steps, tries = history.steps.get("", []), history.tries.get("", [])
        gates = history.gates.get("", [])
        findings = rows.findings(steps, "")
        every = (*(each for task in self.tasks for each in task.findings), *findings)
        return Report(
            run=rows.line(state.run),
            plan=rows.line(state.plan.plan),
            goal=rows.clean(state.plan.goal).strip(),
            mark=self._mark,
            said=tuple(rows.clean(text) for text in self._said()),
            made_at=self.source.now,
            started_at=state.started_at,
            facts=tuple(self._facts()),
            counts=self._counts(),
            sandbox_warning=self._unheld(),
            reviews_off=self._reviews_off(),
            criteria=self._criteria(),
            warnings=warned,
            tasks=self.tasks,
            graph=self._graph(),
            timeline=self._timeline(),
            attempts=rows.attempts(tries),
            gates=rows.gates(gates),
            final_gates=rows.gates(_final(gates)),
            baseline=rows.gates(_red_on_base(state, gates)),
            verdicts=rows.verdicts(steps, tries),
            findings=findings,
            parked=tuple(each for each in every if each.parked),
            open_findings=tuple(each for each in every if each.mark.word == "open"),
            questions=rows.questions(own),
            open_questions=rows.questions(self._open()),
            notes=tuple(rows.line(note) for note in history.notes.get("", [])),
            next_steps=tuple(self._next_steps()),
            receipt=self.source.receipts.get(""),
            has_receipts=bool(self.source.receipts),
        )

    @property
    def _word(self) -> str:
        return run_state(self.source.state, held=self.source.live)

    @property
    def _mark(self) -> Mark:
        return RUNS[self._word]

    def _said(self) -> Iterator[str]:
        """How the run stands, in whole sentences."""
        state = self.source.state
        landed = [record for record in state.tasks.values() if record.status is TaskStatus.INTEGRATED]
        missing = [record for record in state.tasks.values() if record.status is not TaskStatus.INTEGRATED]
        whole = count(len(state.tasks), "task")
        if not state.tasks:
            yield "The plan has no task."
        elif state.finished is not None and not missing:
            yield f"All of it is on the branch: {whole}."
        else:
            over = [record for record in missing if record.status in TERMINAL]
            names = ", ".join(f"{record.id} ({TASKS[record.status].word})" for record in over[:_MOST_NAMED])
            more = f" and {len(over) - _MOST_NAMED} more" if len(over) > _MOST_NAMED else ""
            yield f"{len(landed)} of {whole} on the branch." + (f" Not landed: {names}{more}." if over else "")
        if state.finished is not None and state.finished.detail:
            yield state.finished.detail
        if state.stopped is not None:
            yield f"No further task was started ({state.stopped.reason}): {state.stopped.detail}".rstrip(": ")
        if self._word == "waiting":
            yield f"It waits for {count(len(state.decisions), 'answer')}."
        if self._word in {"interrupted", "paused"}:
            yield "No process drives it; it goes on where it stands when it is resumed."
        if state.accepted is not None:
            yield f"{accepted_text(state.accepted, state.accepted.commit[:10])}."

    def _open(self) -> list[Asked]:
        heard = {each.id for each in open_decisions(self.source.state, held=self.source.live)}
        return [each for each in self.history.questions if each.decision.id in heard]

    def _facts(self) -> Iterator[Fact]:
        state, history, line = self.source.state, self.history, self.rows.line
        yield Fact(label="run", text=line(state.run))
        if state.options.plan_file:
            yield Fact(label="plan file", text=line(state.options.plan_file), code=True)
        yield Fact(label="base", text=state.base, code=True)
        head = state.head or state.base
        is_base = head == state.base
        yield Fact(label="head", text="the base: nothing landed" if is_base else head, code=not is_base)
        yield Fact(label="branch", text=line(state.branch), code=True)
        if state.options.target:
            yield Fact(label="target", text=line(state.options.target), code=True)
        yield Fact(label="started", text=instant(state.started_at))
        end = history.ended_at if state.finished is not None else None
        if end is not None:
            yield Fact(label="ended", text=instant(end))
        until = end if end is not None else self.source.now if self.source.live else history.last_at
        elapsed, at_work = until - state.started_at, duration(state.busy_s)
        yield Fact(label="duration", text=f"{duration(elapsed)}, {at_work} of it at work")
        yield Fact(label="used", text=self._used())
        yield Fact(label="agents", text=line(self._agents()))
        yield Fact(label="sandbox", text=line(self.source.sandbox or state.options.sandbox))
        yield Fact(label="reviews", text="on" if state.options.review else "off")
        versions = dict.fromkeys(process.version for process in history.processes)
        if versions:
            driven = f", driven by {len(history.processes)} processes in turn" if len(history.processes) > 1 else ""
            yield Fact(label="chargehand", text=line(", ".join(versions) + driven))

    def _used(self) -> str:
        tries = [tried for own in self.history.tries.values() for tried in own]
        known = total(tried.result.usage for tried in tries if tried.result is not None)
        return f"{known or 'nothing'}, {count(len(tries), 'attempt')}"

    def _agents(self) -> str:
        """Who worked, as what, and the models they said they spoke to."""
        found: dict[str, dict[str, None]] = {}
        for own in self.history.tries.values():
            for tried in own:
                models = found.setdefault(tried.effect.agent or self.source.state.options.agent, {})
                if tried.result is not None and tried.result.model:
                    models[tried.result.model] = None
        if not found:
            return f"{self.source.state.options.agent} (did not work yet)"
        return "; ".join(f"{name} ({', '.join(models)})" if models else name for name, models in found.items())

    def _unheld(self) -> str:
        if not self.source.unheld:
            return ""
        return "The agents could read and write whatever the user can."

    def _reviews_off(self) -> str:
        if self.source.state.options.review:
            return ""
        return "Reviews were off: gates and evidence alone decided what landed."

    def _counts(self) -> tuple[tuple[Mark, int], ...]:
        numbers: dict[TaskStatus, int] = {}
        for record in self.source.state.tasks.values():
            numbers[record.status] = numbers.get(record.status, 0) + 1
        return tuple((TASKS[status], numbers[status]) for status in _ORDER if status in numbers)

    def _criteria(self) -> tuple[Criterion, ...]:
        """Ticked is only what a verdict that counted says of exactly the tree that the branch holds now."""
        state = self.source.state
        judged = {
            each.attempt
            for each in self.history.steps.get("", [])
            if isinstance(each, ReviewPassed | ReviewFailed)
            and each.stage is Stage.HOLISTIC
            and each.tree == state.head_tree
        }
        said: dict[str, tuple[bool, str]] = {}
        for tried in self.history.tries.get("", []):
            review = tried.result.review if tried.result is not None else None
            if review is not None and review.verdict is not None and tried.effect.attempt in judged:
                said |= {_plain(each.criterion): (each.met, each.evidence) for each in review.verdict.criteria}
        return tuple(self._criterion(text, said.get(_plain(text))) for text in state.plan.success_criteria)

    def _criterion(self, text: str, said: tuple[bool, str] | None) -> Criterion:
        line = self.rows.line
        if said is None:
            mark = Mark(word="not judged by anybody", glyph="?", tone=Tone.ASK)
            return Criterion(text=line(text), mark=mark)
        word, glyph, tone = ("met", "✓", Tone.GOOD) if said[0] else ("not met", "✗", Tone.BAD)
        return Criterion(text=line(text), mark=Mark(word=word, glyph=glyph, tone=tone), evidence=line(said[1]))

    def _graph(self) -> GraphDrawing | None:
        state = self.source.state
        last = max(state.wave_of.values(), default=0) + 1  # tasks that the runtime added for the run come after all
        return draw_graph(
            [
                GraphTask(
                    id=task.id,
                    title=task.title,
                    needs=state.tasks[task.id].task.depends_on,
                    wave=state.wave_of.get(task.id, 0) or last,
                    mark=task.mark,
                    anchor=task.anchor,
                    tip=f"{task.id}: {task.mark.word}{f' ({task.reason})' if task.reason else ''}. {task.title}",
                )
                for task in self.tasks
            ]
        )

    def _timeline(self) -> Timeline | None:
        rows = {"": RowOf(label="the run itself", anchor="run", mark=None)}
        rows |= {t.id: RowOf(label=t.id, anchor=t.anchor, mark=t.mark, tip=t.title) for t in self.tasks}
        until = self.source.now if self.source.live else self.history.last_at
        return draw_timeline(self.history.spans, rows, until)

    def _next_steps(self) -> Iterator[tuple[str, str]]:
        state, word = self.source.state, self._word
        run = state.run
        if word == "finished" and state.accepted is None:
            yield "Land it on your branch", f"chargehand accept {run}"
            yield "or open a pull request", f"chargehand accept {run} --pr"
        if word == "waiting":
            yield "Answer what is asked", f"chargehand decisions {run}"
        if word in {"interrupted", "paused", "waiting"}:
            yield "Go on", f"chargehand resume {run}"
        if word == "failed" and state.accepted is None:
            yield "Take up again what did not make it", f"chargehand retry --all --run {run}"
        if self.source.receipts:
            yield "Check the receipts", f"chargehand receipt verify {run}"


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _final(gates: Sequence[Ran]) -> list[Ran]:
    """The last result of each gate on the tree that the run gates saw last."""
    last = next((each for each in reversed(gates) if each.point is GatePoint.RUN), None)
    if last is None:
        return []
    found = {each.result.gate: each for each in gates if each.point is GatePoint.RUN and each.commit == last.commit}
    return list(found.values())


def _red_on_base(state: RunState, gates: Sequence[Ran]) -> list[Ran]:
    """The gates that were red before anybody changed anything, and were not green since."""
    found = {each.result.gate: each for each in gates if each.point is None and each.result.gate in state.baseline_red}
    return list(found.values())
