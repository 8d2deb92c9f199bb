"""The report of SPEC 3.6: what an agent says came of its attempt, a claim.

How it is read from files that the agent controls stands in `answers`. Where there is none, a report in the form of the
plan's own system counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from chargehand.adapters.answers import (
    Malformed,
    Object,
    a_text,
    any_text,
    choice,
    listed,
    one_of,
    read_object,
    shown,
    tame,
    texts,
    to_json,
)
from chargehand.domain.outcome import (
    Blocker,
    BlockerKind,
    Concern,
    ConcernKind,
    Kickback,
    KickbackSignal,
    Report,
    ReportStatus,
)
from chargehand.ports import Left, OwnReport

__all__ = ["NO_REPORT", "REPORT_TAG", "read_own", "read_report"]

REPORT_TAG = "chargehand-report"
NO_REPORT = "The agent wrote no report."

E = TypeVar("E", bound=StrEnum)


def read_report(result: Path, output: Path | None = None) -> Report | str:
    """The report in `result`, else in the end of the file `output`; else why there is none."""
    found = read_object(result, output, REPORT_TAG)
    if isinstance(found, str):
        return found
    try:
        return _report(found)
    except Malformed as problem:
        return f"The report is malformed: {problem}"


def read_own(own: OwnReport, left: Left) -> Report | str:
    """The report in the form of another system; else why there is none."""
    try:
        found = own.read(left)
        if found is None:
            return NO_REPORT
        if isinstance(found, str):
            raise Malformed(found)
        return _report(tame(found))
    except Malformed as problem:
        return f"{NO_REPORT} What it left in its system's own form is malformed: {problem}"


# -- the report -----------------------------------------------------------------------------------


def _report(data: Object) -> Report:
    known = Report.__dataclass_fields__.keys() - {"extra"}
    extra = {key: value for key, value in data.items() if key not in known}
    for key, inner in (("concerns", {"kind", "text"}), ("blocker", {"kind", "text"}), ("kickback", _KICKBACK)):
        if _says_more(data.get(key), inner):
            extra[key] = data[key]
    if "status" not in data:
        raise Malformed(f"`status` is missing; it is one of {one_of(ReportStatus)}.")
    return Report(
        status=choice(ReportStatus, data["status"], "status"),
        summary=a_text(data, "summary"),
        files_changed=texts(data, "files_changed"),
        tests_added=texts(data, "tests_added"),
        tests_modified=texts(data, "tests_modified"),
        coverage=any_text(data, "coverage"),
        validation=any_text(data, "validation"),
        commit=a_text(data, "commit").strip() or None,
        interfaces=texts(data, "interfaces", loose=True),
        decisions=texts(data, "decisions", loose=True),
        deviations=texts(data, "deviations", loose=True),
        concerns=tuple(_concern(item, f"concerns[{index}]") for index, item in enumerate(listed(data, "concerns"))),
        missing_context=texts(data, "missing_context", loose=True),
        blocker=_blocker(data.get("blocker")),
        kickback=_kickback(data.get("kickback")),
        extra=to_json(extra),
    )


_KICKBACK = {"signal", "details", "recommendation", "suggested_split"}


def _says_more(value: Any, known: set[str]) -> bool:
    """Whether an object (or one in a list) has keys besides the known ones: those are kept, too."""
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, dict) and item.keys() - known for item in items)


def _kind(kind: type[E], value: Mapping[str, Any], path: str, default: E) -> E:
    return default if value.get("kind") is None else choice(kind, value["kind"], f"{path}.kind")


def _concern(value: Any, path: str) -> Concern:
    if isinstance(value, str):
        return Concern(text=value)
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise Malformed(f"`{path}` must be a text, or an object with `kind` and `text`; found {shown(value)}.")
    kinds = [kind for kind in ConcernKind if kind is not ConcernKind.UNSTATED]
    if value.get("kind") not in (None, *kinds):
        words = ", ".join(kinds)
        raise Malformed(f"`{path}.kind` must be one of {words}; found {shown(value['kind'])}.")
    return Concern(text=value["text"], kind=_kind(ConcernKind, value, path, ConcernKind.UNSTATED))


def _blocker(value: Any) -> Blocker | None:
    if value is None:
        return None
    if isinstance(value, str):
        return Blocker(text=value)
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise Malformed(f"`blocker` must be a text, or an object with `kind` and `text`; found {shown(value)}.")
    return Blocker(text=value["text"], kind=_kind(BlockerKind, value, "blocker", BlockerKind.EXTERNAL))


def _kickback(value: Any) -> Kickback | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Malformed(f"`kickback` must be an object with `signal`; found {shown(value)}.")
    return Kickback(
        signal=choice(KickbackSignal, value.get("signal"), "kickback.signal"),
        details=a_text(value, "details", "kickback."),
        recommendation=a_text(value, "recommendation", "kickback."),
        suggested_split=any_text(value, "suggested_split"),
    )
