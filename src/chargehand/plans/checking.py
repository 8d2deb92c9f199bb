"""From a loaded plan to what `check` says: the problems of the file and of the plan together, and their JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chargehand.domain.check import Survey, World, survey
from chargehand.domain.problem import Path, Problem
from chargehand.plans.document import no_collector
from chargehand.plans.loaded import LoadedPlan, Stated

__all__ = ["check_loaded", "survey_document"]

_HARMLESS = frozenset({"unknown_key", "duplicate_key"})


def check_loaded(loaded: LoadedPlan, world: World | None = None) -> Survey:
    """Check what was read; every problem has its file and, where the format has them, line and column.

    A plan that could not be read in full is checked as far as it goes: what follows only from the missing parts is
    left out, and so are warnings, unless nothing but unknown keys is wrong.
    """
    subject = loaded.plan or loaded.draft
    if subject is None:
        return Survey(problems=loaded.problems)
    with no_collector():
        found = survey(subject, world)
    errors = [problem for problem in loaded.problems if problem.is_error]
    problems: Iterable[Problem] = found.problems
    if errors:
        broken = {_whole(problem.path) for problem in errors}
        warn = all(problem.code in _HARMLESS for problem in errors)
        problems = [p for p in problems if (warn or p.is_error) and not _within(p.path, broken)]
        if any(problem.code == "nothing_left" for problem in errors):  # said better than by the rules of our own format
            problems = [problem for problem in problems if problem.code != "no_task"]
    ours = [problem for problem in problems if not _is_elsewhere(problem.path, loaded.stated)]
    others = [problem for problem in problems if _is_elsewhere(problem.path, loaded.stated)]
    return replace(found, problems=(*loaded.problems, *loaded.placed(ours), *others))


def _is_elsewhere(path: Path, stated: Stated) -> bool:
    """Whether what is at the path came from the settings: it has no place in the plan's file."""
    if path[:1] == ("gates",) and len(path) > 1 and isinstance(path[1], int):
        return path[1] >= stated.gates
    return path[:1] in {("setup",), ("env",)} and path[0] not in stated.keys


def _whole(path: Path) -> Path:
    """A task without an id is broken as a whole."""
    return path[:2] if len(path) == 3 and path[0] == "tasks" and path[2] == "id" else path


def _within(path: Path, broken: set[Path]) -> bool:
    return any(path[:end] in broken for end in range(1, len(path) + 1))


def survey_document(loaded: LoadedPlan, found: Survey) -> dict[str, Any]:
    """The document of `check --json` (SPEC 10.1); what is not known is null."""
    plan = loaded.plan or loaded.draft
    counts = {
        "tasks": len(plan.tasks) if plan else 0,
        "dependencies": sum(len(task.depends_on) for task in plan.tasks) if plan else 0,
        "gates": len(plan.gates) if plan else 0,
        "waves": len(found.waves),
        **loaded.counts,
    }
    return {
        "plan": plan.plan if plan else None,
        "profile": plan.profile if plan else None,
        "source": loaded.source,
        "counts": counts,
        "waves": [list(wave) for wave in found.waves],
        "critical_path": list(found.critical_path),
        "width": found.width,
        "serialised": [{"tasks": list(turn.tasks), "because": turn.because} for turn in found.serialised],
        "inferred": list(plan.inferred) if plan else [],
        "errors": [_error(problem) for problem in found.problems if problem.is_error],
        "warnings": [_warning(problem) for problem in found.problems if not problem.is_error],
    }


def _error(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "message": problem.message,
        "file": problem.file,
        "line": problem.line,
        "hint": problem.hint or None,
    }


def _warning(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "task": problem.task or None,
        "text": problem.message,
        "command": problem.command or None,
    }
