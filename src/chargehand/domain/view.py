"""The read model: what front ends show of a run, and why anything waits (SPEC 10.1, I12)."""

from __future__ import annotations

from typing import Any

from chargehand.domain.asking import lapsed
from chargehand.domain.events import RunAccepted
from chargehand.domain.hand_edits import as_of_now
from chargehand.domain.schedule import why_waiting
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.train import lacking
from chargehand.domain.words import Decision, RunVerdict, TaskStatus

__all__ = ["EXIT_CODES", "accepted_text", "document", "exit_code", "lapsed", "open_decisions", "run_state", "why"]

EXIT_CODES = {"finished": 0, "failed": 1, "cancelled": 1, "waiting": 4, "paused": 130, "interrupted": 130}
_DETAIL_CHARS = 2000


def run_state(state: RunState, *, held: bool) -> str:
    """running | waiting | paused | interrupted | finished | failed | cancelled; `held`: a process drives the run."""
    if state.finished is not None:
        return RunVerdict(state.finished.verdict).value
    if state.paused is not None and not (held and state.inflight):
        return "paused"
    if state.waits_for_people and not state.interrupted:
        return "waiting"
    return "running" if held else "interrupted"


def exit_code(state: RunState) -> int:
    """The exit code of `run` and `resume` when they end in this state."""
    return EXIT_CODES[run_state(state, held=False)]


def open_decisions(state: RunState, *, held: bool) -> list[Decision]:
    """The questions that an answer is heard to, as of now: none of a live attempt's where no process drives the run."""
    return [as_of_now(state, decision) for decision in state.decisions.values() if held or not decision.call]


def accepted_text(done: RunAccepted, commit: str) -> str:
    """Where the result is since it was accepted; `commit` as it is to be shown."""
    if done.is_staged:
        return f"{commit} lies staged in the checkout of {done.target}, and is not committed"
    return f"{done.target} holds it since {commit} ({done.how})"


def document(state: RunState, *, held: bool) -> dict[str, Any]:
    """The document that `run`, `resume` and `status` print with `--json`, word by word as SPEC 10.1."""
    counts: dict[str, int] = {}
    for record in state.tasks.values():
        counts[record.status.value] = counts.get(record.status.value, 0) + 1
    return {
        "run": state.run,
        "plan": state.plan.plan,
        "profile": state.plan.profile,
        "state": run_state(state, held=held),
        "base": state.base,
        "branch": state.branch,
        "head": state.head or state.base,
        "tasks": [_task(state, record) for record in state.tasks.values()],
        "counts": counts,
        "decisions": [
            {
                "id": decision.id,
                "task": decision.task,
                "kind": decision.kind.value,
                "question": decision.question,
                "command": decision.command or None,
                "choices": list(decision.choices),
            }
            for decision in open_decisions(state, held=held)
        ],
        "usage": {
            "tokens": state.tokens,
            "usd": None if state.uncosted else state.usd,
            "wall_s": round(state.busy_s, 3),
        },
        "baseline": [
            {"gate": gate, "failed_tests": None if r.failed_tests is None else list(r.failed_tests)}
            for gate, r in state.baseline_red.items()
        ],
        "warnings": [{"code": w.code, "task": w.task or None, "text": w.text} for w in state.warnings],
    }


def _task(state: RunState, record: TaskRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "title": record.task.title,
        "state": record.status.value,
        "reason": record.reason.value if record.reason else None,
        "detail": record.detail[:_DETAIL_CHARS],
        "wave": state.wave_of.get(record.id),
        "attempts": record.attempts,
        "commit": sealed_commit(record),
        "landed": record.landed,
        "blocked_on": record.blocked_on,
        "files_changed": list(record.files_changed),
    }


def sealed_commit(record: TaskRecord) -> str | None:
    """The commit that holds the task's last change, None when there is none."""
    sealed = record.sealed
    if record.commit is None and sealed is not None and sealed.commit != sealed.base:
        return sealed.commit
    return record.commit


_PROGRESS = {
    TaskStatus.RUNNING: "attempt {n} is running",
    TaskStatus.GATING: "the gates of attempt {n} are running",
    TaskStatus.REVIEWING: "attempt {n} is being reviewed",
    TaskStatus.INTEGRATING: "attempt {n} is being merged, gated as merged, and landed",
    TaskStatus.INTEGRATED: "its change is on the integration branch",
}


def why(state: RunState, task_id: str, now: float) -> str:
    """One sentence: what a task is doing, what it waits for, or how it ended."""
    record = state.tasks[task_id]
    if record.status is TaskStatus.WAITING:
        last = f" Last: {record.detail}" if record.detail else ""
        return f"It waits: {why_waiting(state, record, now)}.{last}"
    if record.status is TaskStatus.AWAITING_DECISION and record.decision in state.decisions:
        decision = state.decisions[record.decision]
        return f"It waits for your answer to {decision.id} ({' | '.join(decision.choices)}): {decision.question}"
    if record.status in _PROGRESS:
        if record.ending is not None:
            return f"It is {record.status.value}, and is being ended as {record.ending.by or 'somebody'} asked."
        waits = next((each.id for each in state.decisions.values() if each.call and each.task == task_id), "")
        if waits:
            return f"It is {record.status.value}: attempt {record.attempts} waits for your answer to {waits}."
        return f"It is {record.status.value}: {_progress(state, record)}."
    reason = record.reason.value if record.reason else "no reason recorded"
    return f"It is {record.status.value} ({reason}): {record.detail}"


def _progress(state: RunState, record: TaskRecord) -> str:
    if record.inflight is None and not record.is_over:
        if state.interrupted:
            return "the run was interrupted; `chargehand resume` goes on"
        if state.halted:
            return "the run is paused; `chargehand resume` goes on"
        if state.held is not None:
            return f"it goes on when decision {state.held} is answered"
        if missing := lacking(state, record):
            return f"it lands together with the rest of its group, and waits for {', '.join(missing)}"
        if state.queue and state.queue[0] != record.id:
            return f"it waits its turn to land, behind {state.queue[0]}"
    return _PROGRESS[record.status].format(n=record.attempts)
