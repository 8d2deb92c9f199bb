"""Lines of `log.jsonl`, and the final message of an attempt: what the pipeline's other steps read (SPEC 11)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chargehand.domain.events import WarningRaised
from chargehand.domain.state import TaskRecord

__all__ = ["final_message", "iso", "log_line", "missing", "violations"]

_BEYOND = {"role_violation": "developer", "review_violation": "reviewer"}
"""Whose violation a warning of this code is."""


def iso(at: float) -> str:
    """A time as the system writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def final_message(record: TaskRecord, attempt: int, status: str, files: int, file: Path) -> tuple[str, ...]:
    """The final message of an attempt, field by field; `file` is that of the tasks, relative to the work tree."""
    return (
        f"task-executor completed for {record.id} (attempt {attempt})",
        f"Status: {status}",
        f"Mode: {record.task.mode.value.upper()}",
        f"Files modified: {files}",
        f"Tasks file updated: {file}",
    )


def log_line(
    event: str, task: str, message: str, at: float, *, iteration: int | None, violation: str = "", failed: bool = True
) -> dict[str, Any]:
    """One line; `violation` says whose it was. What is validated, and waits for its group, has not failed."""
    bad = failed and "Status: SYNTAX_VALID" not in message
    line: dict[str, Any] = {
        "timestamp": iso(at),
        "level": "CRITICAL_VIOLATION" if violation else "ERROR" if bad else "INFO",
        "agent": "Orchestrator",
        "event": event,
        "iteration": iteration,
        "task_id": task,
        "parallel_group": None,
        "message": message,
    }
    return {**line, "role_violation": violation} if violation else line


def violations(warnings: Iterable[WarningRaised], at: float, iteration: int | None) -> Iterator[dict[str, Any]]:
    """What somebody did beyond its role, and nothing could stop."""
    for warning in warnings:
        if warning.code in _BEYOND and warning.task:
            whose = _BEYOND[warning.code]
            yield log_line("role_violation", warning.task, warning.text, at, iteration=iteration, violation=whose)


def missing(text: str, lines: Iterable[dict[str, Any]]) -> list[str]:
    """The lines that a log does not have yet, as text; the time alone makes none of them new."""
    there = {_told(line) for line in text.splitlines()}
    return [json.dumps(line, ensure_ascii=False) for line in lines if (line["task_id"], line["message"]) not in there]


def _told(line: str) -> tuple[object, object]:
    try:
        found = json.loads(line)
    except ValueError:
        return None, None
    return (found.get("task_id"), found.get("message")) if isinstance(found, dict) else (None, None)
