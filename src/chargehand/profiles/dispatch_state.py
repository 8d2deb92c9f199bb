"""How a run stands in the words of Nexus Cortexia: completed, failed, blocked, and what each task left to others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chargehand.domain.hand_edits import is_by_hand
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import DecisionKind, TaskStatus
from chargehand.profiles.dispatch_text import lines, listed, set_members, set_value

__all__ = ["Standing", "standing_of", "updated"]

_LONGEST = 2_000
_OURS = re.compile(r"\A(?=(?:Not accepted yet|Accepted):)")
_FAILURES = frozenset(
    {DecisionKind.ESCALATION, DecisionKind.CONTEXT, DecisionKind.SPLIT, DecisionKind.BLOCKED, DecisionKind.KICKBACK}
)
_ENDED = frozenset({TaskStatus.FAILED, TaskStatus.BLOCKED})
_IDLE = frozenset({TaskStatus.WAITING, TaskStatus.SKIPPED, TaskStatus.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a run says about its tasks. `idle` are those it says nothing of: neither begun nor ended.

    `by_hand` are those of them that somebody wrote down as completed, and that was taken.
    """

    tasks: frozenset[str]
    done: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)
    idle: frozenset[str] = frozenset()
    by_hand: frozenset[str] = frozenset()
    wave: int = 0


def standing_of(state: RunState) -> Standing:
    """How the tasks of a run stand. What waits for a person's word on a failure has failed, as its brief would say."""
    records = state.tasks.values()
    by_hand = frozenset(record.id for record in records if is_by_hand(state, record))
    failed = {record.id: failure for record in records if (failure := _failure(record, state)) is not None}
    return Standing(
        tasks=frozenset(state.tasks),
        done={record.id: _output(record, state) for record in records if record.status is TaskStatus.INTEGRATED},
        failed=failed,
        blocked=dict(_blocked(state, failed)),
        idle=frozenset(record.id for record in records if record.status in _IDLE and record.id not in failed),
        by_hand=by_hand,
        wave=_wave(state),
    )


def _failure(record: TaskRecord, state: RunState) -> tuple[str, int] | None:
    """(reason, retries) of a task that failed for itself."""
    decision = state.decisions.get(record.decision or "")
    if record.status is TaskStatus.AWAITING_DECISION and decision is not None and decision.kind in _FAILURES:
        return lines([decision.question])[:_LONGEST], record.retried
    ended = record.status in _ENDED and record.blocked_on is None
    skipped = record.status is TaskStatus.SKIPPED and record.attempts > 0 and not is_by_hand(state, record)
    if ended or skipped:
        return lines([record.detail or str(record.reason)])[:_LONGEST], record.retried
    return None


def _blocked(state: RunState, failed: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """(task, root): those that ended for a failure of another, and those that would have to wait for its end."""
    for record in state.tasks.values():
        if record.status is TaskStatus.BLOCKED and record.blocked_on is not None:
            yield record.id, record.blocked_on
    for root in failed:
        todo, seen = [root], {root}
        while todo:
            for name in state.dependents.get(todo.pop(), ()):
                if name not in seen:
                    seen.add(name)
                    todo.append(name)
                    if state.tasks[name].status is TaskStatus.WAITING:
                        yield name, root


def _wave(state: RunState) -> int:
    """The wave under way; at the end the last one."""
    waves = {name: wave for name, wave in state.wave_of.items() if name in state.tasks}
    planned = [waves[task.id] for task in state.plan.tasks if task.id in waves]
    left = [waves[record.id] for record in state.tasks.values() if not record.is_over and record.id in waves]
    wave = state.wave if state.wave is not None else min(left, default=max(planned, default=0))
    return max(min(wave, max(planned, default=0)), 0)


def _output(record: TaskRecord, state: RunState) -> str:
    """What a landed task leaves to those that build on it; the last line names where it is."""
    report = record.report
    offered = (report.interfaces if report else ()) or record.task.interfaces.produces
    said = _OURS.sub("Said: ", lines([report.summary if report else ""]))[:_LONGEST]
    text = lines(
        [
            said,
            f"Interfaces: {'; '.join(offered)}" if offered else "",
            f"Files: {', '.join(record.files_changed)}" if record.files_changed else "",
        ]
    )
    return f"{text}\n{_where(record, state)}".lstrip("\n")


def _where(record: TaskRecord, state: RunState) -> str:
    accepted = state.accepted
    if accepted is None:
        return f"Not accepted yet: branch {state.branch}, commit {record.landed}."
    commit = accepted.commit if accepted.how == "squash" else record.landed
    return f"Accepted: branch {accepted.target}, commit {commit}."


# -- the file -------------------------------------------------------------------------------------


def updated(text: str, standing: Standing, at: float) -> str:
    """The text of a state with a run's standing in it; the same text when it says all of that already.

    ValueError when it is not JSON any more, or not with the task graph that was read.
    """
    data = json.loads(text.lstrip("\ufeff"))
    known = _known(data)
    after = set_value(text, ("completed_tasks",), _completed(text, standing, known))
    outputs = {name: output for name, output in standing.done.items() if name in known}
    after = set_members(after, "compressed_outputs", outputs)
    failed = _failed(text, standing, known)
    blocked = _blocked_list(text, standing, known, {_of(each, "task_id") for each in failed})
    for key, value in (("failed_tasks", failed), ("blocked_tasks", blocked)):
        if value or key in data:
            after = set_value(after, (key,), value)
    if standing.wave:
        after = set_value(after, ("current_wave",), standing.wave)
    if after == text:
        return text
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return set_value(after, ("updated_at",), stamp)


def _known(data: Any) -> frozenset[str]:
    graph = data.get("task_graph") if isinstance(data, dict) else None
    tasks = graph.get("tasks") if isinstance(graph, dict) else None
    if not isinstance(tasks, list):
        raise ValueError("its task graph is gone")
    return frozenset(str(task["id"]) for task in tasks if isinstance(task, dict) and "id" in task)


def _completed(text: str, standing: Standing, known: frozenset[str]) -> list[Any]:
    """What was done before stays; of the run's own tasks only those that landed are in it."""
    before = listed(text, "completed_tasks")
    stays = {*standing.done, *standing.by_hand}
    kept = [name for name in before if str(name) not in standing.tasks or str(name) in stays]
    return kept + [name for name in standing.done if name in known and name not in kept]


def _failed(text: str, standing: Standing, known: frozenset[str]) -> list[Any]:
    """An entry stays until its task succeeds, is blocked, or fails anew."""
    before = [(_of(each, "task_id"), each) for each in listed(text, "failed_tasks")]
    kept = [
        _failed_entry(name, each, standing)
        for name, each in before
        if name in standing.failed
        or not any(name in said for said in (standing.done, standing.blocked, standing.by_hand))
    ]
    there = {name for name, _ in before}
    fresh = [name for name in standing.failed if name in known and name not in there]
    return kept + [_failed_entry(name, {"task_id": name}, standing) for name in fresh]


def _failed_entry(name: str, entry: Any, standing: Standing) -> Any:
    if name not in standing.failed:
        return entry
    reason, retries = standing.failed[name]
    return {**entry, "reason": reason, "retry_count": retries}


def _blocked_list(text: str, standing: Standing, known: frozenset[str], failed: set[str]) -> list[Any]:
    """An entry stays while its task has not begun and what it is blocked on is still a failure."""
    before = [(_of(each, "task_id"), each) for each in listed(text, "blocked_tasks")]
    kept = []
    for name, each in before:
        if name in standing.blocked:
            kept.append({**each, "blocked_on": standing.blocked[name]})
        elif name not in standing.tasks or (name in standing.idle and _of(each, "blocked_on") in failed):
            kept.append(each)
    there = {name for name, _ in before}
    fresh = [name for name in standing.blocked if name in known and name not in there]
    return kept + [{"task_id": name, "blocked_on": standing.blocked[name]} for name in fresh]


def _of(entry: Any, key: str) -> str:
    """The name an entry has at a key; empty for whatever has none: it is of no task, and stays."""
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, str) else ""
