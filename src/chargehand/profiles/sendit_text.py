"""sendit's `PROGRESS.md` and `RESEARCH.md`: single lines are changed, everything else stays as people wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

__all__ = ["Entry", "Standing", "Summary", "progress_text", "research_text", "rows_of"]

_FENCE = re.compile(r" {0,3}(?P<mark>`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(?P<marks>#{1,6})[ \t]+(?P<title>.*?)[ \t#]*")
_HEAD = re.compile(r"(?i)[ \t]*\|?[ \t]*#[ \t]*\|[ \t]*task[ \t]*\|[ \t]*status[ \t]*\|[ \t]*commit[ \t]*\|?[ \t]*")
_PIPE = re.compile(r"(?<!\\)\|")
_OURS = re.compile(r"- (?:Not accepted yet: |Stopped before anything began: |task-\d+: |fix-\d+: )")
_NO_COMMIT = "—"
_EMPTY = frozenset({"", "-", "–", "—"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row: status is one of pending, done, failed; `commit` is empty where there is none."""

    number: int
    title: str
    status: str
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What an execution came to, as its workflow ends: complete, partial or failed."""

    execution: str
    done: int
    total: int
    commits: Sequence[str] = ()
    results: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a feature stands; `notes` are lines of ours in the section of that name."""

    feature: str
    weight: str
    step: str
    reason: str
    specs: str
    entries: Sequence[Entry]
    notes: Sequence[str] = ()
    summary: Summary | None = None
    finished_before: Mapping[int, tuple[str, str]] = field(default_factory=dict)


def progress_text(before: str, standing: Standing, started_at: float) -> str:
    """The text that says how a feature stands; the same text where it says so already."""
    is_windows = "\r\n" in before and before.count("\r\n") == before.count("\n")
    lines = before.replace("\r\n", "\n").split("\n") if before.strip() else _fresh(standing, started_at)
    lines = _labelled(lines, "Weight", standing.weight)
    lines = _labelled(lines, "Current step", standing.step)
    lines = _with_rows(lines, standing)
    lines = _with_notes(lines, standing.notes)
    lines = _with_section(lines, "Execution", _summary(standing.summary))
    text = "\n".join(lines).rstrip("\n") + "\n"
    return text.replace("\n", "\r\n") if is_windows else text


def _fresh(standing: Standing, at: float) -> list[str]:
    now = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    head = [f"# Progress: {standing.feature}", "", f"**Started**: {now}"]
    head += [f"**Weight**: {standing.weight}", f"**Current step**: {standing.step}", "", "## Assessment", ""]
    head += [f"- Weight: {standing.weight}", f"- Reason: {standing.reason}", f"- Relevant specs: {standing.specs}"]
    return [*head, "", "## Tasks", ""]


# -- places ---------------------------------------------------------------------------------------


def _plain(lines: Sequence[str]) -> list[bool]:
    """For each line whether it stands outside of fenced code."""
    found: list[bool] = []
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if fence:
            found.append(False)
            closes = mark is not None and mark["mark"][0] == fence[0] and len(mark["mark"]) >= len(fence)
            fence = "" if closes and not line[mark.end() if mark else 0 :].strip() else fence
        else:
            found.append(mark is None)
            fence = mark["mark"] if mark is not None else ""
    return found


def _section(lines: Sequence[str], title: str) -> tuple[int, int] | None:
    """Where the section begins (its heading) and ends (the next heading of its level or above)."""
    plain, begin = _plain(lines), None
    for number, line in enumerate(lines):
        head = _HEADING.fullmatch(line) if plain[number] else None
        if head is None:
            continue
        if begin is not None and len(head["marks"]) <= 2:
            return begin, number
        if begin is None and len(head["marks"]) == 2 and head["title"].strip().lower() == title.lower():
            begin = number
    return (begin, len(lines)) if begin is not None else None


def _labelled(lines: list[str], label: str, value: str) -> list[str]:
    """The lines with `**label**: value` in its place, which is below the title where there was none."""
    where = re.compile(rf"(?i)(?P<label>\*\*{label}\*\*[ \t]*:[ \t]*)(?P<said>.*?)[ \t]*")
    for number, (line, is_plain) in enumerate(zip(lines, _plain(lines), strict=True)):
        match = where.fullmatch(line) if is_plain else None
        if match is not None:
            same = match["said"].strip("`* ").lower() == value
            return lines if same else [*lines[:number], f"{match['label']}{value}", *lines[number + 1 :]]
    return [*lines[:1], "", f"**{label}**: {value}", *lines[1:]]


# -- rows -----------------------------------------------------------------------------------------


def _with_rows(lines: list[str], standing: Standing) -> list[str]:
    where = _section(lines, "Tasks")
    if where is None:
        lines = [*_trimmed(lines), "", "## Tasks", ""]
        where = (len(lines) - 2, len(lines))
    head = next((n for n in range(where[0] + 1, where[1]) if _HEAD.fullmatch(lines[n])), None)
    if head is None:
        table = ["| # | Task | Status | Commit |", "|---|------|--------|--------|"]
        rest = [line for line in lines[where[0] + 1 : where[1]] if line.strip()]
        lines = [*lines[: where[0] + 1], "", *table, *([""] if rest else []), *rest, *_gap(lines[where[1] :])]
        head = where[0] + 2
    end = next((n for n in range(head + 2, len(lines)) if "|" not in lines[n]), len(lines))
    known = {entry.number: entry for entry in standing.entries}
    body = [_changed(line, known) for line in lines[head + 2 : end]]
    there = {number for line in body if (number := _number(line)) is not None}
    for number, (title, commit) in standing.finished_before.items():
        if number not in there:
            known[number] = Entry(number=number, title=title, status="done", commit=commit)
    for entry in sorted(known.values(), key=lambda each: each.number):
        if entry.number not in there:
            at = next((n for n, line in enumerate(body) if (_number(line) or 0) > entry.number), len(body))
            body.insert(at, _row(entry.number, _cell(entry.title), entry))
    return [*lines[: head + 2], *body, *lines[end:]]


def rows_of(text: str) -> dict[int, tuple[str, str]]:
    """(status, commit) by number of the rows of a progress; the commit is empty where there is none."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    begin, end = _section(lines, "Tasks") or (0, 0)
    head = next((n for n in range(begin, end) if _HEAD.fullmatch(lines[n])), end)
    found: dict[int, tuple[str, str]] = {}
    for line in lines[head + 2 : end]:
        number = _number(line) if "|" in line else None
        if number is not None:
            _, status, commit = (*_cells(line)[1:], "", "", "")[:3]
            said = commit.strip("`* ")
            found.setdefault(number, (status.strip("`* ").lower(), "" if said in _EMPTY else said))
    return found


def _gap(rest: Sequence[str]) -> list[str]:
    return ["", *rest] if rest and rest[0].strip() else [*rest]


def _trimmed(lines: Sequence[str]) -> list[str]:
    """The lines without the empty ones at their end."""
    end = next((n for n in range(len(lines), 0, -1) if lines[n - 1].strip()), 0)
    return list(lines[:end])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _PIPE.split(line.strip().removeprefix("|"))]


def _number(line: str) -> int | None:
    cell = _cells(line)[0]
    return int(cell) if re.fullmatch(r"[0-9]{1,6}", cell) else None


def _changed(line: str, known: Mapping[int, Entry]) -> str:
    """A row brought up to date; as it stands where it says so already, or where it is not ours."""
    number = _number(line)
    entry = known.get(number) if number is not None else None
    if number is None or entry is None:
        return line
    title, status, commit = (*_cells(line)[1:], "", "", "")[:3]
    before = "" if commit.strip("`* ") in _EMPTY else commit.strip("`* ")
    same = (status.strip("`* ").lower(), before) == (entry.status, entry.commit)
    return line if same else _row(number, title or _cell(entry.title), entry)


def _row(number: int, title: str, entry: Entry) -> str:
    return f"| {number} | {title} | {entry.status} | {entry.commit or _NO_COMMIT} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")


# -- notes and summary ----------------------------------------------------------------------------


def _with_notes(lines: list[str], notes: Sequence[str]) -> list[str]:
    """Our lines of the notes, after those of people."""
    where = _section(lines, "Notes")
    others = [line for line in lines[where[0] + 1 : where[1]] if not _OURS.match(line)] if where else []
    kept = _trimmed(others)
    while kept and not kept[0].strip():
        kept.pop(0)
    between = [""] if kept and notes and not kept[-1].startswith("- ") else []
    return _with_section(lines, "Notes", [*kept, *between, *(f"- {note}" for note in notes)])


def _with_section(lines: list[str], title: str, body: Sequence[str]) -> list[str]:
    """The lines with a section that says this and nothing else; without it where there is nothing to say."""
    where = _section(lines, title)
    if where is None and not body:
        return lines
    if where is None:
        return [*_trimmed(lines), "", f"## {title}", "", *body]
    before, after = lines[: where[0]], lines[where[1] :]
    if not body:
        return [*_trimmed(before), *([""] if after else []), *after]
    return [*before, f"## {title}", "", *body, *([""] if after else []), *after]


def _summary(summary: Summary | None) -> list[str]:
    if summary is None:
        return []
    return [
        f"**Execution**: {summary.execution}",
        f"**Tasks completed**: {summary.done}/{summary.total}",
        f"**Commits**: {', '.join(summary.commits) or 'none'}",
        f"**Test results**: {summary.results or 'not run'}",
    ]


def research_text(before: str, feature: str, specs: str, found: Mapping[str, str]) -> str:
    """A `RESEARCH.md` with what researchers found for each task, as quotations: no line of it is a heading."""
    head = [f"# Research: {feature}", "", f"> From: {specs}"]
    lines = before.replace("\r\n", "\n").split("\n") if before.strip() else head
    for task, text in found.items():
        body = [f"> {line}".rstrip() for line in text.strip().splitlines()]
        lines = _with_section(lines, f"Found for {task}", body)
    return "\n".join(lines).rstrip("\n") + "\n"
