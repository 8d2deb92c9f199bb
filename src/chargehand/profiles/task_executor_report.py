"""What an agent of task-executor says of its task: the task's own entry in `tasks.yaml`, else its final message.

Only what the entry says otherwise than before the agent started is its word. Entries of other tasks are not read: of
those, nobody who works on this one has anything to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chargehand.domain.errors import AdapterError
from chargehand.ports import Left
from chargehand.profiles.task_executor_text import DEPTH, entries, is_deep

__all__ = ["EntryReport"]

_STATUSES = {
    "DONE": "DONE",
    "SYNTAX_VALID": "DONE",
    "ACCEPTED": "DONE",
    "SYNTAX_ERROR": "FAILED",
    "REJECTED": "FAILED",
    "ERROR": "FAILED",
}
_NOT_OVER = frozenset({"PENDING", "ACTIVE"})
_MESSAGE = re.compile(r"(?m)^[ \t]*task-executor completed for (?P<task>\S{1,200}) \(attempt \d{1,9}\)[ \t]*$")
_SAID = re.compile(r"\n(?:[ \t]*\n)?[ \t]*Status: (?P<status>[A-Z_]{1,40})[ \t]*(?:\n|\Z)")
_CHARS = 2_000
_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryReport:
    """Implements `ports.OwnReport`: `file` is the `tasks.yaml`, relative to the work tree."""

    file: str

    def paths(self, task: str) -> tuple[str, ...]:
        """The file with all tasks."""
        del task
        return (self.file,)

    def read(self, left: Left) -> Mapping[str, object] | str | None:
        """The report that the entry is, or the message where the entry says nothing new."""
        if self.file in left.unread:
            return f"tasks.yaml: {left.unread[self.file]}."
        found = _from_entry(left, self.file) if self.file in left.files else None
        return _from_message(left) if found is None else found


def _from_entry(left: Left, file: str) -> dict[str, object] | str | None:
    entry = _entry(left.files[file], left.task)
    if isinstance(entry, str):
        return f"tasks.yaml: {entry}"
    before = _entry(left.before.get(file, b""), left.task)
    before = {} if isinstance(before, str) else before
    status = entry.get("status", "")
    if not isinstance(status, str):
        return f"tasks.yaml: the status of {left.task} must be a word."
    if status == before.get("status", "") or status in _NOT_OVER:
        return None
    if status not in _STATUSES:
        return f"tasks.yaml: the status of {left.task} is {status[:60]!r}; there are {', '.join(_STATUSES)}."
    new = {key: value for key, value in entry.items() if _is_plain(value) and value != before.get(key)}
    report: dict[str, object] = {"status": _STATUSES[status]}
    details, reason = _text(new.get("validation_details")), _text(new.get("rejection_reason"))
    if report["status"] == "FAILED":
        report["summary"] = reason or details or f"Its entry says {status}, and not why."
    if details:
        report["validation"] = details
    files = new.get("files_modified")
    if isinstance(files, list):
        report["files_changed"] = [item[:_CHARS] for item in files[:_MOST] if isinstance(item, str)]
    return report


def _entry(data: bytes, task: str) -> dict[str, Any] | str:
    """The entry of a task; a text says why there is none."""
    try:
        text = data.decode("utf-8-sig")
        if is_deep(text):
            return f"it is nested more than {DEPTH} levels deep."
        found = entries(text)
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 (byte {error.start})."
    except AdapterError:
        return "it is no YAML with a list `tasks`."
    return found.get(task) or f"it has no entry {task} any more."


def _is_plain(value: object) -> bool:
    """Whether it is text or a list of texts: anything else may be larger than the file, by its aliases."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _text(value: object) -> str:
    return value.strip()[:_CHARS] if isinstance(value, str) else ""


def _from_message(left: Left) -> dict[str, object] | str | None:
    """What the last final message of this task in the text says."""
    ends = [named.end() for named in _MESSAGE.finditer(left.said) if named["task"] == left.task]
    if not ends:
        return None
    said = _SAID.match(left.said, ends[-1])
    if said is None:
        return "the final message: it has no line `Status: …` after its first one."
    status = said["status"]
    if status in _NOT_OVER:
        return None
    if status not in _STATUSES:
        return f"the final message: its status is {status!r}; there are {', '.join(_STATUSES)}."
    report: dict[str, object] = {"status": _STATUSES[status]}
    if report["status"] == "FAILED":
        report["summary"] = f"Its final message says {status}."
    return report
