"""The texts of Station Kit: the todo list, the prep gate's report and the completion report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from chargehand.domain.hand_edits import is_by_hand
from chargehand.domain.outcome import ChangeKind, GateStatus
from chargehand.domain.plan import Plan
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.test_changes import is_test
from chargehand.domain.words import RunVerdict, TaskStatus

__all__ = ["completion_text", "gate_report", "todo_rows", "todo_text"]

_MARKS = {TaskStatus.WAITING: " ", TaskStatus.INTEGRATED: "x"}
_OVER = frozenset({TaskStatus.FAILED, TaskStatus.BLOCKED, TaskStatus.SKIPPED, TaskStatus.CANCELLED})


def gate_report(task_id: str, session: str, plan: Plan, failures: Sequence[str]) -> str:
    """The report of the prep gate: PASS where nothing failed."""
    approach = next((task.approach for task in plan.tasks if task.approach), "")
    report: dict[str, Any] = {
        "task_id": task_id,
        "session": session,
        "session_validity": "FAIL" if failures else "PASS",
        "failures": list(failures),
        "approach": approach,
        "success_criteria": list(plan.success_criteria),
        "risks": [{"risk": each.risk, "mitigation": each.mitigation} for each in plan.risks],
        "runtime_model_reported": "none",
        "runtime_mode_reported": "orchestrator",
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


# -- the todo list --------------------------------------------------------------------------------


def todo_text(state: RunState, subtasks: Sequence[tuple[int, str]], *, accepted: bool) -> str:
    """The list of the line; `subtasks` are (id, description) as the packet has them, those done before included."""
    lines = [line for _, line in todo_rows(state, subtasks, accepted=accepted)]
    landed = [record for record in state.tasks.values() if record.status is TaskStatus.INTEGRATED]
    if landed and not accepted:
        lines += ["", f"Not accepted yet: branch {state.branch}, commit {state.head or landed[-1].landed}."]
    return "\n".join(lines) + "\n"


def todo_rows(state: RunState, subtasks: Sequence[tuple[int, str]], *, accepted: bool) -> Iterator[tuple[str, str]]:
    """(task, line) of the list; the task is empty where the line itself is not carried out by one."""
    yield "", "[x] Runtime Model Report (record runtime model/mode)"
    yield "", "[x] Pre-Execution Gate: Load and verify prep session"
    for number, text in subtasks:
        task = f"subtask-{number}"
        yield task, f"[{_mark(state, task)}] Subtask {number}: {_line(text)}"
    last = max((number for number, _ in subtasks), default=0)
    yield "tests", f"[{_mark(state, 'tests')}] Subtask {last + 1}: Add/update tests"
    yield "gates", f"[{_gates_mark(state)}] Subtask {last + 2}: Run quality gates"
    ended = " " if not _is_green(state) else "x" if accepted else "-"
    yield "", f"[{ended}] Complete: Update beads and present results"


def _mark(state: RunState, task: str) -> str:
    record = state.tasks.get(task)
    if record is None:
        return "x"  # done before this run
    if is_by_hand(state, record):
        return "x"  # somebody ticked it, and that was taken
    return " " if record.status in _OVER else _MARKS.get(record.status, "-")


def _gates_mark(state: RunState) -> str:
    """Ticked when every gate was green on the final tree, not when an agent said so."""
    if state.finished is not None:
        return "x" if _is_green(state) else " "
    record = state.tasks.get("gates")
    return "-" if record is not None and _mark(state, "gates") != " " else " "


def _is_green(state: RunState) -> bool:
    return state.finished is not None and state.finished.verdict is RunVerdict.FINISHED


# -- completion -----------------------------------------------------------------------------------


def completion_text(
    task_id: str,
    state: RunState,
    exports: Sequence[tuple[str, str]],
    attestations: Iterable[Mapping[str, Any]],
    *,
    accepted: bool,
    beads: bool,
) -> str:
    """The final report; its title says whether the task is complete."""
    title = "Complete" if _is_green(state) else "Halted"
    parts = [
        f"# Task Execution {title}: {task_id}",
        _section("Implementation Summary", (_summary(each) for each in _subtasks(state))),
        _section("Test Summary", _tests(state)),
        _section("Quality Gates", _gates(state)),
        _section("Files Modified", _files(state)),
        _section("Session Exports", (f"{name}: `{path}`" for name, path in exports)),
        _section("Success Criteria Met", _criteria(state), marked=True),
        _section("Runtime Reports", (_attested(each) for each in attestations)),
        _next_steps(task_id, state, accepted=accepted, beads=beads),
    ]
    if not accepted and state.head not in {None, state.base}:
        parts.append(f"Not accepted yet: branch {state.branch}, commit {state.head}.")
    return "\n\n".join(parts) + "\n"


def _section(title: str, items: Iterable[str], *, marked: bool = False) -> str:
    lines = [f"- {item}" for item in items]
    return "\n".join((f"## {title}", *(lines or ["None" if not marked else "- none stated"])))


def _subtasks(state: RunState) -> list[TaskRecord]:
    return [record for record in state.tasks.values() if record.id not in {"tests", "gates"}]


def _summary(record: TaskRecord) -> str:
    name = record.id.replace("subtask-", "Subtask ")
    if record.status is TaskStatus.INTEGRATED:
        said = record.report.summary if record.report is not None and record.report.summary else record.task.title
        return f"{name}: {_line(said)}"
    return f"{name}: {record.status} ({_line(record.detail) or record.reason or 'not started'})"


def _tests(state: RunState) -> Iterator[str]:
    kinds = [
        change.kind
        for record in state.tasks.values()
        if record.status is TaskStatus.INTEGRATED and record.sealed is not None
        for change in record.sealed.told.changes
        if is_test(change.path)
    ]
    yield f"Tests added: {kinds.count(ChangeKind.ADDED)}"
    yield f"Tests modified: {kinds.count(ChangeKind.MODIFIED)}"
    yield f"All tests passing: {'YES' if _is_green(state) else 'NO'}"


def _gates(state: RunState) -> Iterator[str]:
    closing = state.closing.results if state.closing is not None else ()
    results = {each.gate: each.status for each in closing}
    for gate in state.plan.gates:
        status = results.get(gate.id)
        word = "not run" if status is None else "PASS" if status is GateStatus.PASS else status.value.upper()
        yield f"{gate.id}: {word}"


def _files(state: RunState) -> Iterator[str]:
    by_file: dict[str, list[str]] = {}
    for record in state.tasks.values():
        for file in record.files_changed if record.status is TaskStatus.INTEGRATED else ():
            by_file.setdefault(file, []).append(record.id)
    yield from (f"`{file}` - {', '.join(tasks)}" for file, tasks in sorted(by_file.items()))


def _criteria(state: RunState) -> Iterator[str]:
    mark = "x" if _is_green(state) else " "
    yield from (f"[{mark}] {_line(each)}" for each in state.plan.success_criteria)


def _attested(each: Mapping[str, Any]) -> str:
    who = each.get("subtask", "")
    attempt = f", attempt {each['attempt']}" if "attempt" in each else ""
    return f"{who}{attempt}: {each.get('runtime_model_reported')}, {each.get('runtime_mode_reported')}"


def _next_steps(task_id: str, state: RunState, *, accepted: bool, beads: bool) -> str:
    steps = []
    if not accepted:
        steps.append("Review the changes")
        steps.append(f"Land them: `chargehand accept {state.run}`")
    if beads:
        steps.append(f"Update beads: `bd close {task_id}`, then `bd sync` (accept does it where bd is on PATH)")
    steps.append("Push if approved: `git push`")
    return "\n".join(("## Next Steps", *(f"{number}. {step}" for number, step in enumerate(steps, start=1))))


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
