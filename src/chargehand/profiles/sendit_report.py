"""What an executor of sendit says of its task: the result object at the end of its last message, read as a report.

The object stands in the last block of code that is fenced with ``` or ~~~ and tagged `json` or not at all, or makes up
the end of the message. It is an agent's word: every value is checked, and what is not in the form is no report.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chargehand.ports import Left

__all__ = ["ResultReport", "read_result"]

_OPEN = re.compile(r" {0,3}(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)")
_STATUSES = ("done", "failed", "blocked", "KICKBACK")
_SIGNALS = ("scope_creep", "missing_context", "needs_research", "too_many_tasks", "needs_split", "spec_incomplete")
_TEXTS = ("task", "commit", "notes", "reason", "details", "recommendation")
_MOST_ENDS = 50
_CHARS = 2_000
_MOST = 200


class _Wrong(ValueError):
    """What is wrong with an object, as a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultReport:
    """Implements `ports.OwnReport`: only the message counts."""

    def paths(self, task: str) -> tuple[str, ...]:
        """None."""
        del task
        return ()

    def read(self, left: Left) -> Mapping[str, object] | str | None:
        """The report that the result object is."""
        return read_result(left.said)


def read_result(said: str) -> dict[str, object] | str | None:
    """The result object of a message as one of `chargehand-report/1`; what is wrong with it; None: there is none."""
    data = _last_object(said)
    if data is None:
        return None
    try:
        return _report(data)
    except _Wrong as wrong:
        return f"the result object: {wrong}"


def _report(data: Mapping[str, Any]) -> dict[str, object]:
    status = data.get("status")
    if status not in _STATUSES:
        raise _Wrong(f"`status` must be one of {', '.join(_STATUSES)}; found {_shown(status)}.")
    words = {name: _text(data, name) for name in _TEXTS}
    if status == "KICKBACK":
        return {"status": "KICKBACK", "summary": words["reason"], "kickback": _kickback(data, words)}
    if not words["task"]:
        raise _Wrong("`task` is missing.")
    verification = data.get("verification")
    if verification not in (None, "passed", "failed"):
        raise _Wrong(f"`verification` must be passed or failed; found {_shown(verification)}.")
    report: dict[str, object] = {"summary": words["notes"], "files_changed": _files(data)}
    if verification is not None:
        report["validation"] = f"verification {verification}"
    if words["commit"]:
        report["commit"] = words["commit"]
    if status == "blocked":
        return report | {"status": "BLOCKED", "blocker": words["notes"] or "It says blocked, and not why."}
    failed = status == "failed" or verification == "failed"
    if failed and not words["notes"]:
        report["summary"] = "The verification failed." if verification == "failed" else "It says failed, and not why."
    return report | {"status": "FAILED" if failed else "DONE"}


def _kickback(data: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, object]:
    signal = data.get("signal")
    if signal not in _SIGNALS:
        raise _Wrong(f"`signal` must be one of {', '.join(_SIGNALS)}; found {_shown(signal)}.")
    split = data.get("suggested_split")
    return {
        "signal": signal,
        "details": ". ".join(filter(None, (words["reason"].rstrip("."), words["details"])))[:_CHARS],
        "recommendation": words["recommendation"],
        "suggested_split": "" if split is None else split[:_CHARS] if isinstance(split, str) else _as_json(split),
    }


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value)[:_CHARS]
    except RecursionError:
        raise _Wrong("`suggested_split` is nested too deeply.") from None


def _files(data: Mapping[str, Any]) -> list[str]:
    files = data.get("files_changed")
    if files is None:
        return []
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise _Wrong(f"`files_changed` must be a list of paths; found {_shown(files)}.")
    return [file[:_CHARS] for file in files[:_MOST]]


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if name == "task" and type(value) is int:
        return str(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _Wrong(f"`{name}` must be text; found {_shown(value)}.")
    return value.strip()[:_CHARS]


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


# -- where it stands ------------------------------------------------------------------------------


def _last_object(said: str) -> dict[str, Any] | None:
    """The last object with a `status` in a block of the message, or at its end; None where there is none."""
    lines = said.rstrip().split("\n")
    found = [data for block in _blocks(lines) if (data := _object(block)) is not None]
    at_end = next((data for text in _ends(lines) if (data := _object(text)) is not None), None)
    return at_end or (found[-1] if found else None)


def _blocks(lines: list[str]) -> list[str]:
    """The blocks of code that are closed, and tagged as JSON or not at all."""
    blocks: list[str] = []
    start, mark, wanted = 0, "", False
    for number, line in enumerate(lines):
        fence = _OPEN.fullmatch(line.rstrip())
        if fence is None:
            continue
        if not mark:
            start, mark, wanted = number + 1, fence["mark"], fence["info"].strip().lower() in {"", "json"}
        elif not fence["info"].strip() and fence["mark"].startswith(mark):
            blocks += ["\n".join(lines[start:number])] if wanted else []
            mark = ""
    return blocks


def _ends(lines: list[str]) -> list[str]:
    """What the message may end with: the text from each of its last lines that open an object."""
    starts = [number for number, line in enumerate(lines) if line.startswith("{")][-_MOST_ENDS:]
    return ["\n".join(lines[start:]) for start in reversed(starts)] if lines[-1].endswith("}") else []


def _object(text: str) -> dict[str, Any] | None:
    """An object with a status, strictly; None for everything else."""
    refuse: Callable[[str], Any] = _refuse
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) and "status" in data else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("a key stands twice")
    return data


def _refuse(name: str) -> Any:
    raise ValueError(name)
