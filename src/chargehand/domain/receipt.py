"""Receipts: the re-checkable proof of what landed, put together from the journal alone (SPEC 6).

A receipt is a projection. The same journal and the same files of test ids give the same bytes, however often the run
was interrupted: a receipt of a task tells what was known when the task was integrated, and that of a run what was known
at one event. Both name that event with the hash of the journal's chain there, so that a journal which was rewritten
later no longer fits what it once said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from chargehand.domain.effects import Land, RunGates, StartAttempt
from chargehand.domain.events import (
    AttemptFinished,
    DecisionAnswered,
    DecisionAsked,
    EffectIntended,
    EffectLost,
    Event,
    FixFinished,
    GatesFinished,
    LandFinished,
    MergeFinished,
    Recorded,
    RunReplanned,
    RunStarted,
    TaskFound,
    TaskIntegrated,
)
from chargehand.domain.evolve import evolve, fold
from chargehand.domain.moves import agent_of
from chargehand.domain.outcome import LOOKERS, AttemptResult, Change, Sealed, WholeChange
from chargehand.domain.plan import GatePoint
from chargehand.domain.receipt_gates import GateStory, TestsOf, gate_rows, is_verify, story_of
from chargehand.domain.receipt_rows import (
    answer_row,
    attempt_row,
    mended_row,
    parked_rows,
    review_rows,
    scope_part,
    silenced_rows,
    sum_usage,
    test_change_rows,
    usage_row,
)
from chargehand.domain.silencing import Silenced
from chargehand.domain.state import RunState
from chargehand.domain.test_changes import TestChange
from chargehand.domain.view import run_state
from chargehand.domain.whole_change import gone_on
from chargehand.domain.words import Decision, TaskStatus

__all__ = ["FORMAT", "Entry", "Receipt", "ReceiptBook", "canonical", "differences"]

FORMAT = "chargehand-receipt/1"

Row = dict[str, Any]


def canonical(body: Mapping[str, Any]) -> str:
    """The one text of a JSON value: sorted keys, no spaces, ASCII, and a line break at its end."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event with the hash of the chain at it; `plan_sha256` is that of the plan an event of a plan brings."""

    recorded: Recorded
    chain: str
    plan_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What is known of one landed task, or of a run (`task` is empty then).

    `commit` is the one it is noted on: what landed, or the head of the branch. `text` is what its file and its line in
    a note hold. `gates` are the jobs behind it, to be carried out again.
    """

    task: str
    commit: str
    text: str
    gates: tuple[GateStory, ...] = ()

    @property
    def body(self) -> Row:
        """The text as a JSON value."""
        found: Row = json.loads(self.text)
        return found

    @property
    def sha256(self) -> str:
        """The hash of the text."""
        return sha256(self.text.encode("ascii")).hexdigest()


@dataclass(slots=True)
class _Tale:
    """What the journal told of one task so far, or of what belongs to no task."""

    attempts: dict[str, Row] = field(default_factory=dict)
    answers: list[Row] = field(default_factory=list)
    gates: dict[GatePoint, GateStory] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)
    test_changes: dict[TestChange, None] = field(default_factory=dict)
    silenced: dict[Silenced, None] = field(default_factory=dict)
    mended: list[Row] = field(default_factory=list)
    merged: int = 0

    def take(self, sealed: Sealed, *, mended: bool = False) -> None:
        """What was sealed comes on top of what was; receipts of journals without `whole` stay as they were [I14]."""
        self.changes |= {change.path: change for change in sealed.changes}
        if sealed.whole is None:
            self.test_changes |= {} if mended else dict.fromkeys(sealed.test_changes)
            self.silenced |= dict.fromkeys(sealed.silenced)
            return
        before = WholeChange(test_changes=tuple(self.test_changes), silenced=tuple(self.silenced))
        whole = gone_on(before, sealed)
        self.test_changes, self.silenced = dict.fromkeys(whole.test_changes), dict.fromkeys(whole.silenced)


class ReceiptBook:
    """Takes the events of a journal in order, and has a receipt for every task that landed so far.

    `tests` reads a file of test ids by its path below the run's folder; None where it is gone.
    """

    def __init__(self, tests: TestsOf) -> None:
        self.tasks: dict[str, Receipt] = {}
        self.seq = 0
        self._tests = tests
        self._state: RunState | None = None
        self._last: Entry | None = None
        self._plan_sha256 = ""
        self._tales: dict[str, _Tale] = {}
        self._launched: dict[str, str] = {}
        self._jobs: dict[str, GateStory] = {}
        self._lands: dict[str, Land] = {}
        self._questions: dict[str, Decision] = {}

    @property
    def state(self) -> RunState:
        """The run after the last event."""
        assert self._state is not None
        return self._state

    def take(self, entry: Entry) -> None:
        """Go on by one event."""
        event = entry.recorded.event
        if isinstance(event, RunStarted | RunReplanned):
            self._plan_sha256 = entry.plan_sha256
        if self._state is None:
            self._state = fold([entry.recorded])
        else:
            self._listen(event, entry)
            evolve(self._state, event, entry.recorded.at)
            self._state.seq = entry.recorded.seq
        self._last, self.seq = entry, entry.recorded.seq

    def _tale(self, task: str) -> _Tale:
        return self._tales.setdefault(task, _Tale())

    def _listen(self, event: Event, entry: Entry) -> None:
        """Keep what the state forgets; the state is still that before the event."""
        match event:
            case EffectIntended(effect=StartAttempt() as effect):
                self._start(effect)
            case EffectIntended(effect=RunGates() as effect):
                self._jobs[effect.key] = story_of(self.state, effect)
            case EffectIntended(effect=Land() as effect):
                self._lands[effect.key] = effect
            case EffectLost(key=key):
                self._lose(key)
            case AttemptFinished():
                self._finish(event.task, event.key, event.result)
            case FixFinished(sealed=Sealed() as sealed):
                tale = self._tale(event.task)
                tale.take(sealed, mended=True)
                tale.mended.append(mended_row(event, sealed))
            case GatesFinished():
                story = self._jobs.pop(event.key)
                self._tale(event.task).gates[event.point] = story.with_results(event.results)
            case MergeFinished():
                self._tale(event.task).merged = event.attempt
            case DecisionAsked(decision=decision):
                self._questions[decision.id] = decision
            case DecisionAnswered():
                decision = self._questions[event.id]
                self._tale(decision.task).answers.append(answer_row(decision, event))
            case TaskIntegrated():
                self.tasks[event.task] = self._of_task(event, entry)
            case TaskFound(status=TaskStatus.INTEGRATED):
                self.tasks[event.task] = self._of_found(event, entry)
            case _:
                pass

    # -- attempts ---------------------------------------------------------------------------------

    def _start(self, effect: StartAttempt) -> None:
        tale = self._tale(effect.task)
        record = self.state.tasks[effect.task] if effect.task else None
        agent = effect.agent or (agent_of(self.state, record) if record is not None else "")
        tale.attempts[effect.key] = attempt_row(effect, agent)
        self._launched[effect.key] = effect.task
        if effect.role not in LOOKERS and record is not None and record.fix_base is None:
            tale.changes, tale.test_changes, tale.silenced, tale.mended = {}, {}, {}, []

    def _lose(self, key: str) -> None:
        self._jobs.pop(key, None)
        if key in self._launched:
            self._tale(self._launched[key]).attempts[key]["exit"] = {"kind": "lost", "code": None, "signal": None}

    def _finish(self, task: str, key: str, result: AttemptResult) -> None:
        tale = self._tale(task)
        tale.attempts[key] |= {
            "model": result.model,
            "exit": {"kind": result.exit.kind.value, "code": result.exit.code, "signal": result.exit.signal},
            "usage": usage_row(result.usage),
            "log": result.log,
        }
        if result.sealed is not None:
            tale.take(result.sealed)

    # -- receipts ---------------------------------------------------------------------------------

    def _head(self, kind: str, entry: Entry) -> Row:
        state = self.state
        return {
            "format": FORMAT,
            "kind": kind,
            "run": state.run,
            "plan": {"name": state.plan.plan, "profile": state.plan.profile, "sha256": self._plan_sha256},
            "branch": state.branch,
            "journal": {"seq": entry.recorded.seq, "hash": entry.chain},
        }

    def _of_task(self, event: TaskIntegrated, entry: Entry) -> Receipt:
        state, tale = self.state, self._tale(event.task)
        record = state.tasks[event.task]
        sealed, candidate = record.sealed, record.candidate
        assert sealed is not None
        assert candidate is not None
        assert isinstance(record.unjudged, LandFinished)
        land = self._lands[record.unjudged.key]
        stories = list(self._stories(record.id, sealed.commit, land))
        rows = [row for story in stories for row in gate_rows(state, story, self._tests)]
        changes = {path: tale.changes.get(path) for path in record.files_changed}
        body = self._head("task", entry) | {
            "task": {"id": record.id, "title": record.task.title},
            "attempt": tale.merged,
            "base": record.origin or sealed.base,
            "sealed": {"commit": sealed.commit, "tree": sealed.tree},
            "candidate": {"commit": candidate.commit, "tree": candidate.tree, "head": candidate.head},
            "landed": event.commit,
            "gates": [row for row in rows if not is_verify(row["id"])],
            "verify": [row for row in rows if is_verify(row["id"])],
            "scope": scope_part(record.task, state.plan, sealed, changes),
            "test_changes": test_change_rows(tale.test_changes),
            "reviews": review_rows(record.reviews),
            "parked": parked_rows(record.reviews),
            "approved": sorted(kind.value for kind in record.approved),
            **self._people_and_agents(tale),
        }
        if land.beside:  # no key otherwise, nor for the two below: receipts made before stay as they are [I14]
            body["together"] = [*land.beside, land.task]
        if tale.mended:
            body["mended"] = tale.mended
        if tale.silenced:
            body["silenced"] = silenced_rows(tale.silenced)
        return Receipt(task=event.task, commit=event.commit, text=canonical(body), gates=tuple(stories))

    def _stories(self, task: str, sealed: str, land: Land) -> Iterator[GateStory]:
        """The gates of what was sealed, and those of what landed, which may be another task's with this one in it."""
        own, merged = self._tale(task).gates, self._tale(land.task).gates
        if (story := own.get(GatePoint.TASK)) is not None and story.commit == sealed:
            yield story
        if (story := merged.get(GatePoint.INTEGRATE)) is not None and story.commit == land.commit:
            yield story.about(task, land.task)

    def _of_found(self, event: TaskFound, entry: Entry) -> Receipt:
        """A landing that a repair of the journal established from git: its evidence is lost."""
        record = self.state.tasks[event.task]
        body = self._head("task", entry) | {
            "task": {"id": event.task, "title": record.task.title},
            "landed": event.landed,
            "evidence": "lost with a damaged journal",
        }
        return Receipt(task=event.task, commit=event.landed or "", text=canonical(body))

    def _people_and_agents(self, tale: _Tale) -> Row:
        attempts = list(tale.attempts.values())
        return {
            "attempts": attempts,
            "decisions": tale.answers,
            "usage": sum_usage([row["usage"] for row in attempts]),
        }

    def of_run(self) -> Receipt:
        """The receipt of the run as it is after the last event."""
        state, tale, entry = self.state, self._tale(""), self._last
        assert entry is not None
        head = state.head or state.base
        story = tale.gates.get(GatePoint.RUN)
        stories = [story] if story is not None and story.commit == head else []
        whole = state.whole.reviews
        body = self._head("run", entry) | {
            "state": run_state(state, held=False),
            "detail": state.finished.detail if state.finished else "",
            "accepted": _accepted(state),
            "options": _options(state),
            "base": state.base,
            "head": {"commit": head, "tree": state.head_tree},
            "gates": [row for story in stories for row in gate_rows(state, story, self._tests)],
            "holistic": review_rows(whole),
            "parked": parked_rows(whole),
            "tasks": list(self._rows()),
            **self._people_and_agents(tale),
            "total": {"tokens": state.tokens, "usd": None if state.usd is None else round(state.usd, 6)},
        }
        return Receipt(task="", commit=head, text=canonical(body), gates=tuple(stories))

    def _rows(self) -> Iterator[Row]:
        for record in self.state.tasks.values():
            receipt = self.tasks.get(record.id)
            yield {
                "id": record.id,
                "state": record.status.value,
                "reason": record.reason.value if record.reason else None,
                "landed": record.landed,
                "sha256": receipt.sha256 if receipt else None,
            }


def _accepted(state: RunState) -> Row | None:
    done = state.accepted
    return None if done is None else {"target": done.target, "commit": done.commit, "how": done.how}


def _options(state: RunState) -> Row:
    """What a run was told besides its plan, as far as it bears on what landed; no command line, no path."""
    options = state.options
    return {
        "agent": options.agent,
        "agents": [{"name": each.name, "kind": each.kind, "model": each.model} for each in options.agents],
        "reviewer": options.reviewer,
        "review": options.review,
        "unattended": state.unattended,
        "sandbox": options.sandbox,
        "network": options.network,
        "only": list(options.only),
        "allow_red": list(state.plan.allow_red),
    }


def differences(ours: Any, theirs: Any, place: str = "") -> list[str]:
    """Where two JSON values differ, as paths such as `gates[0].status`; the first of each branch."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = sorted(ours.keys() | theirs.keys())
        below = (differences(ours.get(key), theirs.get(key), f"{place}.{key}" if place else key) for key in keys)
        return [path for paths in below for path in paths]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [path for index, (one, two) in pairs for path in differences(one, two, f"{place}[{index}]")]
    return [] if ours == theirs and type(ours) is type(theirs) else [place or "everything"]
