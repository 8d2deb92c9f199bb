"""What stands beside a plan of sendit: how far it was brought (`PROGRESS.md`), and whether its spec is ready.

A row counts as done only with the commit it came to. What a run left on a branch that nobody accepted is not done: it
is not in the base.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from chargehand.domain.plan import Weight
from chargehand.domain.problem import Problem, Severity, nearest
from chargehand.plans.bounds import plain, too_long
from chargehand.plans.markdown import bullets, code_spans, rows, sections

__all__ = ["STEPS", "Progress", "Row", "Spec", "read_progress", "read_spec"]

STEPS = ("assess", "preflight", "spec-engagement", "write-tests", "plan", "execute", "postflight")
_STATUSES = ("pending", "done", "failed")
_STATES = ("DRAFT", "ACTIVE", "IMPLEMENTED", "DEPRECATED")
_WEIGHT = re.compile(r"(?im)^\*\*weight\*\*[ \t]*:(?P<said>.*)$")
_STEP = re.compile(r"(?im)^\*\*current step\*\*[ \t]*:(?P<said>.*)$")
_HASH = re.compile(r"[0-9a-f]{7,64}")
_PENDING = re.compile(r"(?m)^- Not accepted yet: tasks? (?P<tasks>\d{1,6}(?:, \d{1,6})*); branch (?P<branch>\S+)")
_HEAD = ("#", "task", "status", "commit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the table; `commit` is empty where there is none."""

    number: int
    title: str
    status: str
    commit: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A `PROGRESS.md`; `unaccepted` are the tasks that are done on a branch nobody accepted, with its name."""

    weight: Weight | None = None
    step: str = ""
    rows: tuple[Row, ...] = ()
    unaccepted: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A `SPEC.md`: `missing` says with lines what keeps it from being ready, `tests` are its test files."""

    status: str = ""
    missing: tuple[tuple[int, str], ...] = ()
    tests: tuple[str, ...] = ()


# -- progress -------------------------------------------------------------------------------------


def read_progress(text: str) -> tuple[Progress, list[Problem]]:
    """What a text says of the tasks; every status that is unknown is an error."""
    if (refused := too_long(text)) is not None:
        return Progress(), [refused]
    text = plain(text)
    problems: list[Problem] = []
    weight = _said(text, _WEIGHT, tuple(Weight), "weight", problems)
    step = _said(text, _STEP, STEPS, "step", problems)
    found: dict[int, Row] = {}
    section = next((s for s in sections(text) if s.level == 2 and s.title.strip().lower() == "tasks"), None)
    table = list(rows(section.body, section.first)) if section is not None else []
    if section is None:
        problems.append(_wrong("missing", "The progress has no section '## Tasks'.", 1))
    elif not table or tuple(cell.lower() for cell in table[0].cells) != _HEAD:
        message = "The section '## Tasks' has no table '| # | Task | Status | Commit |'."
        problems.append(_wrong("missing", message, table[0].line if table else section.line))
    else:
        for cells in table[1:]:
            row = _row(cells.cells, cells.line, problems)
            if row is not None and row.number in found:
                message = f"Task {row.number} has two rows, the first in line {found[row.number].line}."
                problems.append(_wrong("duplicate_id", message, row.line, "Leave one."))
            elif row is not None:
                found[row.number] = row
    waiting = {
        int(number): match["branch"] for match in _PENDING.finditer(text) for number in match["tasks"].split(", ")
    }
    return Progress(
        weight=Weight(weight) if weight else None, step=step, rows=tuple(found.values()), unaccepted=waiting
    ), problems


def _said(text: str, where: re.Pattern[str], known: tuple[str, ...], name: str, problems: list[Problem]) -> str:
    """One of the words that are known, or nothing and a problem."""
    match = where.search(text)
    if match is None:
        return ""
    said = match["said"].strip("`* \t").lower()
    if said in known:
        return said
    line = text.count("\n", 0, match.start()) + 1
    message = f"The {name} '{said[:60]}' is unknown."
    problems.append(_wrong("unknown_status", message, line, nearest(said, known) or f"There are: {', '.join(known)}."))
    return ""


def _row(cells: tuple[str, ...], line: int, problems: list[Problem]) -> Row | None:
    number, title, status, commit = (*cells, "", "", "", "")[:4]
    if not re.fullmatch(r"\d{1,6}", number):
        problems.append(_wrong("bad_value", f"A row begins with the number of a task, found '{number[:60]}'.", line))
        return None
    said = status.strip("`* ").lower()
    if said not in _STATUSES:
        hint = nearest(said, _STATUSES) or f"There are: {', '.join(_STATUSES)}."
        problems.append(_wrong("unknown_status", f"The status '{said[:60]}' is unknown.", line, hint))
        return None
    made = commit.strip("`* ").lower()
    return Row(number=int(number), title=title, status=said, commit=made if _HASH.fullmatch(made) else "", line=line)


def _wrong(code: str, message: str, line: int, hint: str = "") -> Problem:
    return Problem(code=code, message=message, line=line, hint=hint)


# -- spec -----------------------------------------------------------------------------------------


def read_spec(text: str) -> tuple[Spec, list[Problem]]:
    """What a text says, and whether work on it may begin."""
    if (refused := too_long(text)) is not None:
        return Spec(), [refused]
    text = plain(text)
    lines = text.split("\n")
    wholes = {
        section.title.strip().lower(): (section.line, "\n".join(lines[section.first - 1 : section.end - 1]))
        for section in reversed(sections(text))
        if section.level == 2
    }
    problems: list[Problem] = []
    line, body = wholes.get("status", (1, ""))
    status = next((word for each in _uncommented(body).split("\n") if (word := each.strip(" `*_"))), "")
    if status and status.upper() not in _STATES:
        hint = nearest(status.upper(), _STATES) or f"There are: {', '.join(_STATES)}."
        problem = _wrong("unknown_status", f"The status '{status[:60]}' of the spec is unknown.", line, hint)
        problems.append(problem)
    if "test files" in wholes:
        line, body = wholes["test files"]
        problems += _unread_tests(body, line)
    return Spec(
        status=status.upper(), missing=tuple(_missing(wholes, status.upper())), tests=tuple(_tests(wholes))
    ), problems


def _uncommented(text: str) -> str:
    """A text without its comments; one that does not end is text."""
    parts, at = [], 0
    while (begin := text.find("<!--", at)) >= 0 and (end := text.find("-->", begin + 4)) >= 0:
        parts.append(text[at:begin])
        at = end + 3
    return "".join((*parts, text[at:]))


def _missing(wholes: dict[str, tuple[int, str]], status: str) -> Iterator[tuple[int, str]]:
    """The ready gate: nothing open, criteria and requirements there, and active."""
    if status != "ACTIVE":
        yield wholes.get("status", (1, ""))[0], f"its status is {status or 'not stated'}, not ACTIVE"
    for name in ("requirements", "acceptance criteria"):
        line, body = wholes.get(name, (1, ""))
        if not any(bullet.text.strip() for bullet in bullets(body)):
            yield line, f"it has no {name}"
    line, body = wholes.get("open", (1, ""))
    items = [" ".join(bullet.text.split()) for bullet in bullets(body) if bullet.depth == 0]
    left = " ".join(_uncommented(body).split())
    if left and left.strip("-*. ").lower() not in {"none", "nothing", "n/a"}:
        yield line, f"it is open: {'; '.join(items)[:300] or left[:300]}"


def _tests(wholes: dict[str, tuple[int, str]]) -> Iterator[str]:
    for bullet in bullets(wholes.get("test files", (1, ""))[1]):
        yield from code_spans(bullet.text)[:1]


def _unread_tests(body: str, line: int) -> Iterator[Problem]:
    """A line that names no file by a code span is told: it would be lost."""
    for bullet in bullets(body, line + 1):
        if not code_spans(bullet.text):
            message = f"No file in code quotes stands in '{bullet.text[:60]}'; it is left alone."
            yield Problem(code="unread", message=message, severity=Severity.WARNING, line=bullet.line)
