"""A `PLAN.md` of sendit: a title, where it comes from, and tasks `### Task N: title` with a few labelled fields.

Nothing but a task may stand as a heading below `## Tasks`. Labels count only where they begin a line, also one right
below a list; in code and quotations they are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile

from chargehand.domain.problem import Problem
from chargehand.plans.bounds import plain, too_long, too_many, too_wide
from chargehand.plans.markdown import Section, bullets, code_lines, sections, swallowed

__all__ = ["KNOWN", "PlanFile", "PlanStep", "is_plan", "read_plan_file"]

KNOWN = ("spec ref", "files", "action", "verify", "parallel")
_TITLE = re.compile(r"(?i)plan[ \t]*:[ \t]*(?P<title>.+)")
_FROM = re.compile(r"(?im)^ {0,3}>[ \t]*from[ \t]*:[ \t]*(?P<path>[^\n]*)$")
_TASK = re.compile(r"(?i)task[ \t]+(?P<number>\d{1,6})(?:[ \t]*(?P<mark>\[p\]))?[ \t]*(?:[:.–—-][ \t]*(?P<title>.*))?")
_LABEL = re.compile(r" {0,3}\*\*(?P<name>[A-Za-z][A-Za-z _-]{0,30}?)[ \t]*(?::\*\*|\*\*[ \t]*:)[ \t]*(?P<text>.*)")
_LOST = re.compile(rf"(?i)#{{1,6}}[ \t]+task[ \t]+\d|\*\*(?:{'|'.join(KNOWN)})(?::\*\*|\*\*[ \t]*:)")
_LOOKS_LIKE_PLAN = re.compile(r"(?im)^ {0,3}#[ \t]+plan[ \t]*:")
_LOOKS_LIKE_TASKS = re.compile(r"(?im)^ {0,3}##[ \t]+tasks[ \t]*$")
_LOOK_CHARS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """A task: `texts` are its fields by their lower-case names, `lines` where they begin, `notes` what has no label."""

    number: int
    title: str
    line: int
    marked: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A plan; `origin` is the spec it names, empty without one, `others` are sections that nobody asks for."""

    title: str
    steps: tuple[PlanStep, ...] = ()
    origin: str = ""
    origin_line: int = 1
    objective: str = ""
    context: str = ""
    criteria: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()


def is_plan(text: str) -> bool:
    """Whether it is a plan of sendit by its beginning, even when the rest is broken."""
    head = text[:_LOOK_CHARS].replace("\r\n", "\n")
    if _LOOKS_LIKE_PLAN.search(head) is None:
        return False
    return _FROM.search(head) is not None or _LOOKS_LIKE_TASKS.search(head) is not None


def read_plan_file(text: str) -> tuple[PlanFile, list[Problem]]:
    """What a text says, and what is wrong with it; problems have lines, and no file."""
    if (refused := too_long(text)) is not None:
        return PlanFile(title=""), [refused]
    text = plain(text)
    found = sections(text)
    problems = list(_lost(text))
    title = next((_TITLE.fullmatch(s.title.strip()) for s in found if s.level == 1), None)
    if title is None:
        problems.append(_wrong("missing", "The plan has no title '# Plan: …'.", 1, "Begin the file with it."))
    heads = [s for s in found if s.level == 2 and s.title.strip().lower() == "tasks"]
    if not heads:
        problems.append(_wrong("missing", "The plan has no section '## Tasks'.", 1, "Put the tasks below one."))
    for again in heads[1:]:
        text_ = f"The section '## Tasks' stands twice, first in line {heads[0].line}."
        problems.append(_wrong("duplicate_key", text_, again.line, "Leave one."))
    steps, wrong = _steps(found, heads[:1])
    origin = _FROM.search(text)
    named = {s.title.strip().lower(): s for s in reversed(found) if s.level == 2}
    lines = text.split("\n")
    plan = PlanFile(
        title=title["title"].strip() if title else "",
        steps=tuple(steps),
        origin=origin["path"].strip("`'\" \t") if origin else "",
        origin_line=text.count("\n", 0, origin.start("path")) + 1 if origin else 1,
        objective=_whole(named.get("objective"), lines),
        context=_whole(named.get("context"), lines),
        criteria=tuple(_criteria(named.get("success criteria"), lines)),
        others=tuple(_others(found, lines)),
    )
    return plan, [*problems, *wrong]


def _wrong(code: str, message: str, line: int, hint: str = "") -> Problem:
    return Problem(code=code, message=message, line=line, hint=hint)


def _lost(text: str) -> Iterator[Problem]:
    """Tasks and fields that nobody would carry out, because of what is open above them."""
    for lost in swallowed(text, _LOST):
        message = f"A task or a field of one stands in {lost.what} that begins in line {lost.since}."
        hint = "End that before it, or take the line out; what stands in closed code is text."
        yield _wrong("swallowed", message, lost.line, hint)


def _whole(section: Section | None, lines: Sequence[str]) -> str:
    """A section with all that is below it, as it stands."""
    if section is None:
        return ""
    return "\n".join(lines[section.first - 1 : section.end - 1]).strip()


def _criteria(section: Section | None, lines: Sequence[str]) -> Iterator[str]:
    for bullet in bullets(_whole(section, lines)):
        if bullet.depth == 0 and bullet.text.strip():
            yield " ".join(bullet.text.split())


def _others(found: tuple[Section, ...], lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    known = {"objective", "context", "tasks", "success criteria"}
    for section in found:
        if section.level == 2 and section.title.strip().lower() not in known and not _TASK.fullmatch(section.title):
            yield section.title.strip(), _whole(section, lines)


# -- tasks ----------------------------------------------------------------------------------------


def _steps(found: tuple[Section, ...], heads: list[Section]) -> tuple[list[PlanStep], list[Problem]]:
    steps: dict[int, PlanStep] = {}
    problems: list[Problem] = []
    listed = [s.line for s in found if s.level == 3 and heads and heads[0].line < s.line < heads[0].end]
    if (refused := too_many(listed)) is not None:
        return [], [refused]
    for number, section in enumerate(found):
        named = _TASK.fullmatch(section.title.strip())
        inside = bool(heads) and heads[0].line < section.line < heads[0].end
        if section.level == 3 and inside and named is not None:
            below = list(_below(found, number))
            step, wrong = _step(section, named, below)
            first = steps.setdefault(step.number, step)
            problems += wrong
            if first is not step:
                text = f"Task {step.number} stands twice, first in line {first.line}."
                problems.append(_wrong("duplicate_id", text, step.line, "Number it anew."))
        elif section.level == 3 and inside:
            text = f"The heading '{section.title}' below '## Tasks' is no task."
            problems.append(_wrong("not_a_task", text, section.line, "Write '### Task N: title', or move it."))
        elif named is not None:
            text = f"The heading '{section.title}' looks like a task and does not stand as one."
            hint = "Tasks are '### Task N: title' below '## Tasks'."
            problems.append(_wrong("not_a_task", text, section.line, hint))
    if heads and not steps and not problems:
        problems.append(_wrong("no_task", "The plan has no task.", heads[0].line, "Add '### Task 1: title'."))
    return [steps[number] for number in steps], problems


def _below(found: Sequence[Section], number: int) -> Iterator[Section]:
    end = found[number].end
    return takewhile(lambda other: other.line < end, islice(found, number + 1, None))


def _step(section: Section, named: re.Match[str], below: list[Section]) -> tuple[PlanStep, list[Problem]]:
    body = "\n".join((section.body, *(f"{'#' * other.level} {other.title}\n{other.body}" for other in below)))
    texts, lines, notes, problems = _fields(body, section.first, f"Task {int(named['number'])}")
    title = (named["title"] or "").strip()
    step = PlanStep(
        number=int(named["number"]),
        title=title,
        line=section.line,
        marked=named["mark"] is not None or _said_yes(texts.get("parallel", "")),
        texts=texts,
        lines=lines,
        notes=notes,
    )
    problems += _check(step)
    return step, problems


def _said_yes(text: str) -> bool:
    return text.strip().lower().rstrip(".") == "yes"


def _check(step: PlanStep) -> Iterator[Problem]:
    if not step.title:
        yield _wrong("missing", f"Task {step.number} has no title.", step.line, "Write '### Task N: title'.")
    if not step.texts.get("action", "").strip():
        yield _wrong(
            "missing", f"Task {step.number} has no action.", step.line, "Say what is to be done: '**Action**: …'."
        )
    said = step.texts.get("parallel", "no").strip().lower().rstrip(".")
    if said not in {"yes", "no"}:
        text = f"Task {step.number}: '**Parallel**' is yes or no, found '{said[:60]}'."
        yield _wrong(
            "bad_value", text, step.lines["parallel"], "Leave it out for a task that waits for those before it."
        )


def _fields(body: str, first: int, name: str) -> tuple[dict[str, str], dict[str, int], str, list[Problem]]:
    """(texts, lines, what stands before the first label, problems) of a task's body."""
    code, found = code_lines(body), body.split("\n")
    texts: dict[str, list[str]] = {}
    lines: dict[str, int] = {}
    notes: list[str] = []
    problems: list[Problem] = []
    into = notes
    for number, line in enumerate(found, start=1):
        label = None if number in code else _LABEL.fullmatch(line.rstrip())
        if label is None:
            into.append(line)
            continue
        key = " ".join(label["name"].lower().split())
        if key in texts:
            text = f"{name} has '{label['name']}' twice."
            problems.append(_wrong("duplicate_key", text, first + number - 1, "Leave one."))
        into = texts.setdefault(key, [])
        lines.setdefault(key, first + number - 1)
        into.append(label["text"])
    whole = {key: "\n".join(parts).strip() for key, parts in texts.items()}
    for key, text in whole.items():
        if (refused := too_wide(name, key, text, lines[key])) is not None:
            problems.append(refused)
            whole[key] = ""
    return whole, lines, "\n".join(notes).strip(), problems
