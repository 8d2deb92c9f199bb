"""Reading what a reviewer says of a change: the verdict of SPEC 4, a claim about one tree.

How it is read from files that the agent controls stands in `answers`. Reviewers are models: where it is plain what is
meant, another spelling of it is taken; where it is not, one sentence says what was expected.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from chargehand.adapters.answers import (
    Malformed,
    Object,
    a_text,
    any_text,
    listed,
    one_of,
    read_object,
    shown,
    to_json,
)
from chargehand.domain.review import Criterion, Finding, Severity, Verdict

__all__ = ["MOST_ITEMS", "NO_VERDICT", "VERDICT_TAG", "read_verdict"]

VERDICT_TAG = "chargehand-verdict"
NO_VERDICT = "The agent wrote no verdict."
MOST_ITEMS = 200
"""How many findings, and how many criteria, a verdict may hold."""

_KNOWN = ("verdict", "criteria", "findings", "summary")
_CRITERION = frozenset({"criterion", "met", "evidence"})
_FINDING = frozenset(
    {"id", "severity", "file", "line", "claim", "clause", "evidence_command", "status", "resolved"},
)
_YES = frozenset({"met", "yes", "true", "pass", "passed"})
_NO = frozenset({"not met", "no", "false", "fail", "failed", "unmet"})
_RESOLVED = frozenset({"resolved", "fixed", "closed"})
_OPEN = frozenset({"not resolved", "unresolved", "open", "still open"})
_LINES = re.compile(r"L?(\d{1,9})(?:(?::\d{1,9})?\s*[-\u2013]\s*L?\d{1,9}(?::\d{1,9})?|:\d{1,9})?\Z")
_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d{1,9}(?:-\d{1,9}|:\d{1,9})?)\Z", re.DOTALL)


def read_verdict(result: Path, output: Path | None = None) -> Verdict | str:
    """The verdict in `result`, else in the end of the file `output`; else why there is none.

    Whether it holds together is not asked here: a later round may speak of what was found before.
    """
    found = read_object(result, output, VERDICT_TAG, "verdict")
    if isinstance(found, str):
        return found
    try:
        return _verdict(found)
    except Malformed as problem:
        return f"The verdict is malformed: {problem}"


def _verdict(data: Object) -> Verdict:
    if "verdict" not in data and "status" in data:
        raise Malformed("it is a report; a reviewer answers with `verdict`, which is PASS or FAIL.")
    if "verdict" not in data:
        raise Malformed("`verdict` is missing; it is PASS or FAIL.")
    passed = _passed(data["verdict"])
    extra: Object = {key: value for key, value in data.items() if key not in _KNOWN}
    for key, known in (("criteria", _CRITERION), ("findings", _FINDING)):
        if any(isinstance(item, dict) and item.keys() - known for item in listed(data, key)):
            extra[key] = data[key]
    criteria = tuple(_criterion(item, f"criteria[{index}]") for index, item in enumerate(_items(data, "criteria")))
    findings = _named(_finding(item, f"findings[{index}]") for index, item in enumerate(_items(data, "findings")))
    return Verdict(
        passed=passed, criteria=criteria, findings=findings, summary=any_text(data, "summary"), extra=to_json(extra)
    )


def _passed(value: Any) -> bool:
    word = value.strip().upper() if isinstance(value, str) else ""
    if word not in ("PASS", "FAIL"):
        raise Malformed(f"`verdict` must be PASS or FAIL; found {shown(value)}.")
    return word == "PASS"


def _items(data: Mapping[str, Any], key: str) -> list[Any]:
    found = data.get(key)
    if found is not None and not isinstance(found, list):
        raise Malformed(f"`{key}` must be a list of objects; found {shown(found)}.")
    if found is not None and len(found) > MOST_ITEMS:
        raise Malformed(f"`{key}` holds {len(found)} items; at most {MOST_ITEMS} are read: name what matters most.")
    return found or []


# -- criteria -------------------------------------------------------------------------------------


def _criterion(value: Any, path: str) -> Criterion:
    if not isinstance(value, dict):
        raise Malformed(f"`{path}` must be an object with `criterion` and `met`; found {shown(value)}.")
    text = a_text(value, "criterion", f"{path}.").strip()
    if not text:
        raise Malformed(f"`{path}.criterion` is missing; it is the text of the acceptance criterion.")
    if "met" not in value:
        raise Malformed(f"`{path}.met` is missing; it is true or false.")
    met = _choice(value["met"], _YES, _NO)
    if met is None:
        raise Malformed(f"`{path}.met` must be true or false; found {shown(value['met'])}.")
    return Criterion(criterion=text, met=met, evidence=any_text(value, "evidence"))


def _choice(value: Any, yes: Collection[str], no: Collection[str]) -> bool | None:
    """What a word means; None for another one."""
    if isinstance(value, bool):
        return value
    word = re.sub(r"[\s_-]+", " ", value).strip().lower() if isinstance(value, str) else ""
    return True if word in yes else False if word in no else None


# -- findings -------------------------------------------------------------------------------------


def _finding(value: Any, path: str) -> Finding:
    """A finding; its id may be empty. One that only answers a frozen one needs no more than `id` and `status`."""
    if not isinstance(value, dict):
        raise Malformed(f"`{path}` must be an object with `severity` and `claim`; found {shown(value)}.")
    resolved = _resolved(value, path)
    claim = a_text(value, "claim", f"{path}.").strip()
    if not claim and resolved is None:
        raise Malformed(f"`{path}.claim` is missing; it says what is wrong.")
    file, line = _place(value, path)
    return Finding(
        id=_id(value, path),
        severity=_severity(value, path, known=resolved is not None),
        claim=claim,
        file=file,
        line=line,
        clause=any_text(value, "clause"),
        evidence_command=_command(value, path),
        resolved=resolved,
    )


def _id(value: Mapping[str, Any], path: str) -> str:
    found = value.get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)[:100]
    return " ".join(a_text(value, "id", f"{path}.").split())[:100]


def _severity(value: Mapping[str, Any], path: str, *, known: bool) -> Severity:
    found = value.get("severity")
    if found is None and known:  # the frozen finding has it
        return Severity.MAJOR
    if found is None:
        raise Malformed(f"`{path}.severity` is missing; it is one of {one_of(Severity)}.")
    word = found.strip().lower() if isinstance(found, str) else ""
    if word not in Severity.__members__.values():
        raise Malformed(f"`{path}.severity` must be one of {one_of(Severity)}; found {shown(found)}.")
    return Severity(word)


def _place(value: Mapping[str, Any], path: str) -> tuple[str, int | None]:
    file, line = a_text(value, "file", f"{path}.").strip(), value.get("line")
    if line is None and (found := _PLACE.match(file)) is not None:
        file, line = found["file"], found["line"]
    return file, _line(line, path)


def _line(value: Any, path: str) -> int | None:
    """The first line that is meant; 0 and less are no line."""
    if value is None or value == "":
        return None
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and (found := _LINES.match(value.strip())):
        number = int(found[1])
    if number is None or number > 10**9:
        raise Malformed(f"`{path}.line` must be a whole number, counted from 1; found {shown(value)}.")
    return number if number > 0 else None


def _command(value: Mapping[str, Any], path: str) -> str:
    found = value.get("evidence_command")
    if isinstance(found, list) and all(isinstance(word, str) for word in found):
        return shlex.join(found)
    if found is not None and not isinstance(found, str):
        raise Malformed(f"`{path}.evidence_command` must be a text or a list of texts; found {shown(found)}.")
    return (found or "").strip()


def _resolved(value: Mapping[str, Any], path: str) -> bool | None:
    """What is said of a frozen finding; None when nothing is."""
    for key, yes in (("status", _RESOLVED), ("resolved", _RESOLVED | _YES)):
        found = value.get(key)
        if found is None or found == "":
            continue
        said = _choice(found, yes, _OPEN if key == "status" else _OPEN | _NO)
        if said is None or (key == "status" and isinstance(found, bool)):
            words = "`resolved` or `not resolved`" if key == "status" else "true or false"
            raise Malformed(f"`{path}.{key}` must be {words}; found {shown(found)}.")
        return said
    return None


def _named(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each with an id of its own: later rounds speak of it by that name."""
    found = list(findings)
    taken = {finding.id for finding in found if finding.id}
    seen: set[str] = set()
    named = []
    for number, finding in enumerate(found, 1):
        name = finding.id
        if not name or name in seen:
            name = _free(name or f"f{number}", taken)
        taken.add(name)
        seen.add(name)
        named.append(finding if name == finding.id else replace(finding, id=name))
    return tuple(named)


def _free(name: str, taken: Collection[str]) -> str:
    """The name, with a number behind it when it is taken."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}-{number}", number + 1
    return candidate
