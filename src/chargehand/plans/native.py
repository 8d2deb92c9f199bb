"""The native plan format: text in, `Plan` out, every problem with its place (SPEC 2.1)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from chargehand.domain.problem import Problem
from chargehand.plans.convert import plan_of, stated_of
from chargehand.plans.document import MAX_BYTES, Document, no_collector
from chargehand.plans.faults import mend, problem_of
from chargehand.plans.json_text import parse_json
from chargehand.plans.loaded import LoadedPlan, Stated
from chargehand.plans.models import PlanModel
from chargehand.plans.yaml_text import parse_yaml

__all__ = ["load_plan", "parse_plan", "read_lossy", "read_text"]

_ROUNDS = 5
_LOOK_CHARS = 65_536


# -- files ----------------------------------------------------------------------------------------


def load_plan(path: str | FilePath) -> LoadedPlan:
    """Read a native plan file; whatever is wrong with it, down to a missing file, is in `problems`."""
    source = str(path)
    text, problem = read_text(FilePath(path))
    if problem is not None:
        return LoadedPlan(source=source, problems=(replace(problem, file=source),))
    return parse_plan(text, source)


def read_text(path: FilePath) -> tuple[str, Problem | None]:
    """The text of a file, or why there is none: missing, a folder, unreadable, too large, empty, not UTF-8."""

    def no(code: str, message: str, hint: str = "") -> tuple[str, Problem]:
        return "", Problem(code=code, message=message, hint=hint)

    try:
        if path.is_dir():
            return no("unreadable", f"{path} is a folder, not a plan file.", "Name the file in it.")
        if not path.exists():
            return no("unreadable", f"{path} does not exist.", "Check the path; it counts from the current folder.")
        if not path.is_file():
            return no("unreadable", f"{path} is not a regular file.")
        if path.stat().st_size > MAX_BYTES:
            return no("too_large", f"{path} is larger than {MAX_BYTES // 1024**2} MiB.", "Split the plan.")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        return no("unreadable", f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"{path} is not UTF-8 text: byte {error.start + 1} cannot be decoded."
        return "", Problem(code="not_utf8", message=message, hint="Save the file as UTF-8.", line=line)
    if not text.strip():
        return no("empty", f"{path} is empty.", "A plan begins with 'chargehand: 1'.")
    return text, None


def read_lossy(path: FilePath) -> str:
    """What can be read of the beginning of a file that is no text, to tell whose it is; empty where nothing can."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return file.read(_LOOK_CHARS)
    except (OSError, ValueError):
        return ""


# -- text -----------------------------------------------------------------------------------------


def parse_plan(text: str, source: str) -> LoadedPlan:
    """Read a native plan from text; `source` names it in problems, and says JSON when it ends in `.json`."""
    with no_collector():
        document = _document(text, source)
        return _from_document(document, source)


def _document(text: str, source: str) -> Document:
    if source.lower().endswith(".json"):
        return parse_json(text)
    if text.lstrip().startswith("{"):
        document = parse_json(text)
        if not document.problems:
            return document
    return parse_yaml(text)


def _from_document(document: Document, source: str) -> LoadedPlan:
    problems = list(document.problems)
    model: PlanModel | None = None
    if isinstance(document.data, dict):
        model, found = _validate(document.data)
        problems += found
    elif not problems:
        message = "A plan is a mapping that begins with 'chargehand: 1'."
        problems.append(Problem(code="wrong_type", message=message, hint="See 'chargehand schema'."))
    draft = plan_of(model) if model is not None else None
    loaded = LoadedPlan(source=source, locate=document.place)
    return replace(
        loaded,
        plan=None if problems else draft,
        draft=draft,
        problems=loaded.placed(problems),
        stated=stated_of(model) if model is not None else Stated(),
    )


def _validate(data: dict[str, Any]) -> tuple[PlanModel | None, list[Problem]]:
    """The model, and all problems; with problems, the model of what is left when the wrong parts are taken out."""
    problems: list[Problem] = []
    for _ in range(_ROUNDS):
        try:
            return PlanModel.model_validate(data), problems
        except ValidationError as error:
            details = error.errors(include_url=False)
            problems = problems or [problem_of(detail, PlanModel) for detail in details]
            mend(data, details)
    return None, problems
