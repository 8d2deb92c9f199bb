"""What `check` says, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from chargehand.cli.render.pen import Pen, block, hang
from chargehand.cli.render.units import count
from chargehand.domain.check import Survey
from chargehand.domain.problem import Problem
from chargehand.plans.loaded import LoadedPlan

__all__ = ["check_lines", "placed", "problem_lines"]

_MOST_WAVES = 30
_MOST_TURNS = 15
_MOST_IDS = 12
_MOST_TOLD = 60
_MOST_ALIKE = 3


def check_lines(loaded: LoadedPlan, found: Survey, pen: Pen) -> list[str]:
    """The shape of the plan, then every problem, errors last: nearest to the prompt."""
    plan = loaded.plan or loaded.draft
    lines = []
    if plan is not None:
        lines += [f"plan {pen.draw(plan.plan, 'strong')} ({loaded.source}, {loaded.reader})"]
        lines += _shape(found, pen, len(plan.tasks))
    lines += _read(loaded, plan.inferred if plan is not None else (), pen)
    warnings = [problem for problem in found.problems if not problem.is_error]
    errors = [problem for problem in found.problems if problem.is_error]
    lines += _warnings(warnings, pen)
    for problem in errors:
        lines += problem_lines(problem, pen)
    verdict = count(len(errors), "error") if errors else "no errors"
    said = pen.draw(verdict, "bad" if errors else "good")
    return [*lines, f"{said}, {count(len(warnings), 'warning')}"]


def _warnings(warnings: Sequence[Problem], pen: Pen) -> list[str]:
    """A remark that holds for many tasks is told for the first of them, and the others are named."""
    alike: dict[tuple[str, str], list[Problem]] = {}
    for problem in warnings:
        said = problem.message.replace(problem.task, "", 1) if problem.task else problem.message
        alike.setdefault((problem.code, said), []).append(problem)
    lines = []
    for same in alike.values():
        shown = same if len(same) <= _MOST_ALIKE + 1 else same[:_MOST_ALIKE]
        for problem in shown:
            lines += problem_lines(problem, pen)
        if others := same[len(shown) :]:
            tasks = _few(list(dict.fromkeys(each.task for each in others)), ", ")
            lines += hang(
                f"{pen.draw('warning', 'ask')}: ", f"The same of {count(len(others), 'more task')}: {tasks}.", pen
            )
    return lines


def problem_lines(problem: Problem, pen: Pen) -> list[str]:
    """`error: file:line: message`, and the hint below it."""
    word, style = ("error", "bad") if problem.is_error else ("warning", "ask")
    lines = hang(f"{pen.draw(word, style)}: ", placed(problem.message, problem.file, problem.line), pen)
    return [*lines, *(pen.draw(line, "quiet") for line in block(problem.hint, pen))]


def placed(message: str, file: str | None, line: int | None) -> str:
    """A message behind its place, unless it begins with that itself."""
    if line and not (file and message.startswith(PurePath(file).name)):
        return f"{file}:{line}: {message}"
    return f"{file}: {message}" if file and not message.startswith((file, PurePath(file).name)) else message


def _read(loaded: LoadedPlan, inferred: Sequence[str], pen: Pen) -> list[str]:
    """What a reader of another system counted, inferred, took for what, and left alone."""
    counts = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in loaded.counts.items())
    lines = hang("  read: ", counts, pen) if counts else []
    lines += _named("  inferred, not stated, the order of: ", inferred, pen) if inferred else []
    for text in loaded.told[:_MOST_TOLD]:
        lines += hang("  - ", text, pen)
    more = len(loaded.told) - _MOST_TOLD
    return [*lines, *([f"  … and {more} more remarks"] if more > 0 else [])]


def _shape(found: Survey, pen: Pen, tasks: int) -> Iterable[str]:
    if not found.waves:
        return []
    at_most = "" if found.width_exact else "at least "
    lines = [f"  {count(tasks, 'task')} in {count(len(found.waves), 'wave')}, {at_most}{found.width} at once"]
    for number, wave in enumerate(found.waves[:_MOST_WAVES], start=1):
        lines += _named(f"  wave {number}: ", wave, pen)
    if len(found.waves) > _MOST_WAVES:
        lines.append(f"  … and {len(found.waves) - _MOST_WAVES} more waves")
    lines += _named("  critical path: ", found.critical_path, pen, joint=" → ")
    for turn in found.serialised[:_MOST_TURNS]:
        how = "take turns" if turn.all_pairs else "take turns in part"
        lines += hang(f"  {how}: ", f"{_few(turn.tasks, ', ')}: they {turn.because}", pen)
    if len(found.serialised) > _MOST_TURNS:
        lines.append(f"  … and {len(found.serialised) - _MOST_TURNS} more groups take turns (--json has them)")
    return lines


def _named(head: str, ids: Sequence[str], pen: Pen, *, joint: str = ", ") -> list[str]:
    return hang(head, _few(ids, joint), pen)


def _few(ids: Sequence[str], joint: str) -> str:
    more = f"{joint}… ({len(ids)} in all)" if len(ids) > _MOST_IDS else ""
    return joint.join(ids[:_MOST_IDS]) + more
