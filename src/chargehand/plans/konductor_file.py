"""One plan file of Konductor: TOML between two lines `+++`, then Markdown with `### Task N: title` and four bullets.

What Konductor would take for a default is an error here: broken frontmatter, a plan without a number or a wave. Code in
an action may hold lines that look like headings or bullets; they are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chargehand.domain.problem import Problem, Severity, nearest
from chargehand.plans.bounds import plain, too_long, too_many, too_wide
from chargehand.plans.markdown import Bullet, Section, bullets, sections, swallowed
from chargehand.plans.toml_text import parse_toml

__all__ = ["FIELDS", "PlanFile", "PlanStep", "parse_toml", "read_plan_file", "split_frontmatter"]

FIELDS = ("files", "action", "verify", "done")
_FENCE = re.compile(r"\+\+\+[ \t]*")
_TASK = re.compile(r"(?i)task[ \t]+(?P<number>\d{1,6})[ \t]*(?:[:.–—-][ \t]*(?P<title>.*))?")
_LABEL = re.compile(
    r"(?s)\*{0,2}(?P<name>[A-Za-z][A-Za-z _-]{0,30}?)[ \t]*(?::\*{1,2}|\*{1,2}:|:)(?:[ \t]+|\n|\Z)(?P<text>.*)"
)
_LOST = re.compile(rf"(?i)#{{1,6}}[ \t]+task[ \t]+\d|[-*+][ \t]+\*{{0,2}}(?:{'|'.join(FIELDS)})\*{{0,2}}:")
_KEYS: Mapping[str, str] = {
    "phase": "text",
    "plan": "a number",
    "wave": "a number",
    "title": "text",
    "depends_on": "a list of plan numbers",
    "type": "text",
    "autonomous": "true or false",
    "requirements": "a list of texts",
    "files_modified": "a list of texts",
    "must_haves": "a table",
}
_MUST_HAVES = ("truths", "artifacts", "key_links")
_TYPES = ("execute", "tdd")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """A task of a plan file; each text is the source as it stands, `lines` where its fields begin."""

    number: int
    title: str
    line: int
    texts: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A plan file. `values` is its frontmatter, `lines` where its keys stand, `others` sections nobody asks for."""

    values: Mapping[str, Any]
    lines: Mapping[str, int]
    steps: tuple[PlanStep, ...] = ()
    goal: str = ""
    design: str = ""
    others: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    tasks_line: int = 1

    @property
    def number(self) -> int:
        """The number of the plan in its phase."""
        return int(self.values["plan"])


def split_frontmatter(text: str) -> tuple[str, str, int] | None:
    """(frontmatter, rest, line of the rest), or None where the text does not begin with `+++`; unclosed: no rest."""
    lines = text.removeprefix("\ufeff").split("\n")
    if not _FENCE.fullmatch(lines[0].rstrip("\r")):
        return None
    end = next((n for n, line in enumerate(lines) if n and _FENCE.fullmatch(line.rstrip("\r"))), None)
    if end is None:
        return "\n".join(lines[1:]), "", 0
    return "\n".join(lines[1:end]), "\n".join(lines[end + 1 :]), end + 2


def read_plan_file(text: str) -> tuple[PlanFile | None, list[Problem]]:
    """The plan of a text and what is wrong with it; problems have lines, the caller names the file."""
    if (refused := too_long(text)) is not None:
        return None, [refused]
    text = plain(text)
    parts = split_frontmatter(text)
    if parts is None:
        hint = "It begins with a line '+++', its keys, and '+++' again."
        return None, [Problem(code="no_frontmatter", message="The plan has no frontmatter.", hint=hint, line=1)]
    front, body, first = parts
    if not first:
        hint = "Close it with a line '+++'."
        return None, [Problem(code="no_frontmatter", message="The frontmatter does not end.", hint=hint, line=1)]
    values, broken = parse_toml(front, 2)
    if broken is not None:
        return None, [broken]
    lines = {key: _line_of(front, key) for key in values}
    problems = list(_check_values(values, lines))
    whole = sections(body)
    steps, found = _read_body(body, first, whole)
    unknown = [*(key for key in values if key not in _KEYS)]
    must = values.get("must_haves")
    unknown += [f"must_haves.{key}" for key in must if key not in _MUST_HAVES] if isinstance(must, dict) else []
    known = {key: value for key, value in values.items() if key in _KEYS}
    plan = PlanFile(values=known, lines=lines, unknown=tuple(unknown), steps=steps, **_texts(body, first, whole))
    return plan, [*problems, *found]


# -- frontmatter ----------------------------------------------------------------------------------


def _line_of(front: str, key: str) -> int:
    found = re.search(rf"""(?m)^[ \t]*\[?[ \t]*["']?{re.escape(key)}["']?[ \t]*[\]=.]""", front)
    return 2 + front.count("\n", 0, found.start() + len(found[0]) - len(found[0].lstrip())) if found else 1


def _check_values(values: Mapping[str, Any], lines: Mapping[str, int]) -> Iterator[Problem]:
    for key in ("plan", "wave"):
        if key not in values:
            hint = f"Add '{key} = 1'; nothing is taken for a default."
            yield Problem(code="missing_key", message=f"The key '{key}' is missing.", hint=hint, line=1)
    for key, value in values.items():
        if key in _KEYS and not _fits(key, value):
            message = f"{key}: Expected {_KEYS[key]}, found {_shown(value)}."
            yield Problem(code="wrong_type", message=message, line=lines[key])
        elif key not in _KEYS:
            message = f"The key '{key}' is unknown; it is left alone."
            hint, line = nearest(key, _KEYS), lines[key]
            yield Problem(code="unknown_key", message=message, severity=Severity.WARNING, hint=hint, line=line)
    kind = values.get("type", "execute")
    if isinstance(kind, str) and kind not in _TYPES:
        message = f"type: Expected one of {', '.join(_TYPES)}; found '{kind}'."
        yield Problem(code="bad_value", message=message, hint=nearest(kind, _TYPES), line=lines["type"])


def _fits(key: str, value: Any) -> bool:
    if key in {"plan", "wave"}:
        return type(value) is int and 1 <= value <= 9999
    if key in {"phase", "title", "type"}:
        return isinstance(value, str)
    if key == "autonomous":
        return isinstance(value, bool)
    if key == "must_haves":
        return isinstance(value, dict) and all(_texts_only(value.get(name, [])) for name in _MUST_HAVES)
    if key == "depends_on":
        return isinstance(value, list) and all(type(each) is int for each in value)
    return _texts_only(value)


def _texts_only(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


# -- body -----------------------------------------------------------------------------------------


def _texts(body: str, first: int, whole: Sequence[Section]) -> dict[str, Any]:
    """The sections beside the tasks: each level-2 section as a whole."""
    lines = body.split("\n")
    found: dict[str, Any] = {"others": ()}
    others = []
    for section in whole:
        if section.level > 2 or (section.level == 0 and not section.body.strip()):
            continue
        upto = section.end if section.level == 2 else section.first + section.body.count("\n") + 1
        text = "\n".join(lines[section.first - 1 : upto - 1]).strip()
        name = section.title.strip().lower()
        if section.level == 2 and name == "tasks":
            found["tasks_line"] = first + section.line - 1
        elif section.level == 2 and name in {"goal", "design"} and name not in found:
            found[name] = text
        elif text:
            others.append((section.title.strip() or "Beginning", text))
    return {**found, "others": tuple(others)}


def _read_body(body: str, first: int, everything: Sequence[Section]) -> tuple[tuple[PlanStep, ...], list[Problem]]:
    problems = list(_lost(body, first))
    found = [section for section in everything if section.level]
    tasks = [section for section in found if section.level == 2 and section.title.strip().lower() == "tasks"]
    if len(tasks) != 1:
        said = "has no section '## Tasks'" if not tasks else "has more than one section '## Tasks'"
        line = first + tasks[1].line - 1 if tasks else first
        hint = "Its tasks are '### Task 1: title' and so on below it."
        return (), [*problems, Problem(code="no_task", message=f"The plan {said}.", hint=hint, line=line)]
    whole = tasks[0]
    listed = [first + each.line - 1 for each in found if each.level == 3 and whole.line < each.line < whole.end]
    if (refused := too_many(listed)) is not None:
        return (), [*problems, refused]
    lines = body.split("\n")
    steps: dict[int, PlanStep] = {}
    for section in found:
        head = _TASK.fullmatch(section.title.strip())
        inside = whole.line < section.line < whole.end
        if section.level != 3 or not inside:
            if head and not (inside and section.level > 3):
                problems.append(_misplaced(section, first))
            continue
        if head is None:
            message = f"The heading '{section.title.strip()}' below '## Tasks' is no task."
            hint = "Call it '### Task N: title', or give it another level."
            problems.append(Problem(code="unknown_heading", message=message, hint=hint, line=first + section.line - 1))
            continue
        text = "\n".join(lines[section.first - 1 : section.end - 1])
        step, wrong = _step(head, text, first + section.line - 1, first + section.first - 1)
        problems += wrong
        if step.number in steps:
            message = f"Task {step.number} stands twice, first in line {steps[step.number].line}."
            problems.append(Problem(code="duplicate_id", message=message, hint="Number it anew.", line=step.line))
        steps.setdefault(step.number, step)
    if not steps and not problems:
        hint = "Its tasks are '### Task 1: title' and so on."
        problems.append(
            Problem(code="no_task", message="The plan has no task.", hint=hint, line=first + whole.line - 1)
        )
    ordered = sorted(steps.values(), key=lambda step: step.number)
    if ordered != list(steps.values()):
        message = "The tasks do not stand in the order of their numbers; the numbers count."
        line = next(iter(steps.values())).line
        problems.append(Problem(code="task_order", message=message, severity=Severity.WARNING, line=line))
    return tuple(ordered), problems


def _lost(body: str, first: int) -> Iterator[Problem]:
    """Tasks and fields that nobody would carry out, because of what is open above them."""
    for lost in swallowed(body, _LOST):
        message = f"A task or a field of one stands in {lost.what} that begins in line {first + lost.since - 1}."
        hint = "End that before it, or take the line out; what stands in closed code is text."
        yield Problem(code="swallowed", message=message, hint=hint, line=first + lost.line - 1)


def _misplaced(section: Section, first: int) -> Problem:
    message = f"The heading '{section.title.strip()}' looks like a task and does not stand as one."
    hint = "Tasks are headings of level 3 below '## Tasks'."
    return Problem(code="unknown_heading", message=message, hint=hint, line=first + section.line - 1)


def _step(head: re.Match[str], text: str, line: int, first: int) -> tuple[PlanStep, list[Problem]]:
    """A task from the text below its heading; a field reaches to the next one, whatever is written between."""
    lines = text.split("\n")
    starts = [(each, found) for each in bullets(text, first) if each.depth == 0 and (found := _field(each))]
    number, problems = int(head["number"]), []
    texts: dict[str, str] = {}
    places: dict[str, int] = {}
    for place, (bullet, (name, said)) in enumerate(starts):
        end = starts[place + 1][0].line if place + 1 < len(starts) else first + len(lines)
        rest = "\n".join(lines[bullet.line - first + 1 : end - first])
        if name in texts:
            message = f"Task {number} has '{name}' twice."
            problems.append(Problem(code="duplicate_key", message=message, hint="Join them.", line=bullet.line))
            continue
        texts[name], places[name] = _dedented(said, rest), bullet.line
        if (refused := too_wide(f"Task {number}", name, texts[name], bullet.line)) is not None:
            problems.append(refused)
            texts[name] = ""
    before = lines[: starts[0][0].line - first] if starts else lines
    if not texts.get("action"):
        message = f"Task {number} has no action."
        hint = "Add '- **action:** what is to be done'."
        problems.append(Problem(code="missing_key", message=message, hint=hint, line=line))
    title = (head["title"] or "").strip()
    if not title:
        hint = f"Write '### Task {number}: title'."
        problems.append(Problem(code="missing_key", message=f"Task {number} has no title.", hint=hint, line=line))
    notes = "\n".join(before).strip()
    step = PlanStep(number=number, title=title, line=line, texts=texts, lines=places, notes=notes)
    return step, problems


def _field(bullet: Bullet) -> tuple[str, str] | None:
    """(name, text of the line) of a bullet that is a field of a task."""
    label = _LABEL.fullmatch(bullet.text.split("\n", 1)[0])
    if label is None:
        return None
    name = label["name"].strip().lower()
    is_bold = bullet.text.startswith("**")
    return (name, label["text"]) if name in FIELDS or is_bold else None


def _dedented(said: str, rest: str) -> str:
    """The text of a field: what stands on its line, and what follows without the indentation of the list."""
    lines = rest.rstrip().split("\n")
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    cut = min(indents, default=0)
    return "\n".join((said, *(line[cut:] for line in lines))).strip()
