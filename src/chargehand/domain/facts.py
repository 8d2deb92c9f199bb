"""What is settled about a change without a model, in sentences: handed to those who look at it (SPEC 4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from chargehand.domain import scope
from chargehand.domain.evidence import stray_changes
from chargehand.domain.outcome import GateResult, GateStatus, Sealed
from chargehand.domain.plan import GatePoint
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import TaskStatus

__all__ = ["facts_of_run", "facts_of_task"]

_MOST = 40


def facts_of_task(state: RunState, record: TaskRecord) -> tuple[str, ...]:
    """Files, scope, tests, gates and verify commands of the sealed change of a task."""
    sealed = record.sealed
    assert sealed is not None
    files = (*_files(record, sealed), *_stray(state, record, sealed), *_left_out(sealed))
    return (*files, *_findings(sealed), *_checks(record))


def _files(record: TaskRecord, sealed: Sealed) -> Iterator[str]:
    yield f"Changed since the task began: {', '.join(record.files_changed) or 'nothing'}."
    files = record.task.files
    if files is None:
        return
    touched = set(record.files_changed)
    for kind, patterns in (("create", files.create), ("modify", files.modify), ("test", files.test)):
        for pattern in patterns:
            if not any(scope.matches([pattern], path) for path in touched):
                exists = "exists" if pattern.rstrip("/") in sealed.present else "is not there, or not literal"
                yield f"Listed under {kind} and not touched: {pattern} ({exists})."


def _stray(state: RunState, record: TaskRecord, sealed: Sealed) -> Iterator[str]:
    stray = stray_changes(record.task, state.plan, replace(sealed, changes=sealed.told.changes))
    if stray:
        yield "Changed outside the declared files: " + ", ".join(change.path for change in stray) + "."


def _left_out(sealed: Sealed) -> Iterator[str]:
    if left_out := sealed.told.left_out:
        paths = ", ".join(left_out[:_MOST])
        yield f"Left out of the change, since only the runtime writes them: {paths}."


def _findings(sealed: Sealed) -> Iterator[str]:
    told = sealed.told
    if told.placeholders:
        yield "Looks unfinished: " + "; ".join(told.placeholders[:_MOST]) + "."
    for change in told.test_changes[:_MOST]:
        yield f"Touches existing tests: {change.path}: {change.kind} ({change.detail})."
    for each in told.silenced[:_MOST]:
        yield f"Silences a check: {each}."


def _checks(record: TaskRecord) -> Iterator[str]:
    for result in record.checked:
        yield f"{_name(result)}: {_came_to(result)}."
    ran = {result.gate for result in record.checked}
    for number, command in enumerate(record.task.verify, start=1):
        if f"verify-{number}" not in ran:
            yield f"The verify command `{command.text}` has no result for this tree yet."


def _name(result: GateResult) -> str:
    return f"{result.gate} (`{result.command}`)" if result.command else result.gate


def _came_to(result: GateResult) -> str:
    said = f", {result.detail}" if result.detail else ""
    flaky = f"; flaky: {', '.join(result.flaky[:5])}" if result.flaky else ""
    if result.status is GateStatus.PASS:
        return f"passed{said}{flaky}"
    code = f" with exit code {result.exit_code}" if result.exit_code is not None else ""
    return f"{result.status}{code}{said}{flaky}"


def facts_of_run(state: RunState) -> tuple[str, ...]:
    """What landed, what did not and why, and what the gates of the run say of the final tree."""
    lines = []
    for record in state.tasks.values():
        if record.status is TaskStatus.INTEGRATED:
            offered = record.report.interfaces if record.report else ()
            offers = f"; offers {'; '.join(offered)}" if offered else ""
            lines.append(f"{record.id} ({record.task.title}) landed as {str(record.landed)[:12]}{offers}.")
        else:
            lines.append(f"{record.id} ({record.task.title}) is missing: {record.status} ({record.detail[:200]}).")
    closing = state.closing
    if closing is not None and closing.point is GatePoint.RUN:
        lines += [f"{result.gate}: {_came_to(result)} on the final tree." for result in closing.results]
    return tuple(lines)
