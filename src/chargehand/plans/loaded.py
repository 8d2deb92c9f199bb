"""What every reader answers: a plan, what was wrong with its file, and where things stand in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from chargehand.domain.plan import Plan
from chargehand.domain.problem import Path, Problem
from chargehand.plans.document import Place

__all__ = ["LoadedPlan", "Locate", "Stated", "nowhere"]

Locate = Callable[[Path], Place | None]
"""Where the entry at a path begins, or the nearest one around it."""


def nowhere(_path: Path, /) -> Place | None:
    """The `Locate` of a plan that was not read from text."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a plan said itself, so that settings fill in only the rest.

    `keys` are dotted keys of the plan (`barrier`, `features.holistic`, `defaults.weight`, …). `tasks` has for each
    key of a task that `defaults` could give (agent, reviewer, model, weight, mode, limits.wall, …) the ids of the
    tasks that state it themselves. `gates` is the number of its own gates; those of the settings come after them.
    """

    keys: frozenset[str] = frozenset()
    tasks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    gates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlan:
    """The result of reading a plan file.

    `plan` is None when there are errors. `draft` is then what could be understood, for `check` to find the other
    problems at once; it must not be run. `source` names the file as it was given. `counts` adds what the reader
    counted in a source of another system, so that nothing vanishes; `told` are sentences about what was taken for
    what, and what was left alone. `files` are all files it was read from, where that is more than `source`.

    `landed` has for each task that the source says is done the commit it names for it, `pending` for each that it says
    was done on a branch nobody accepted: claims, also of plans that were passed over because they are done. `staged`
    has the same for tasks whose change was staged for somebody to commit: under a name of its own, or not at all.
    `redo` reads the same anew when somebody has looked: some of the first are not there, each with the reason as the
    end of a sentence, and some of the others are. What it was told before holds on, and it claims nothing that was
    refuted.
    """

    source: str
    plan: Plan | None = None
    draft: Plan | None = None
    problems: tuple[Problem, ...] = ()
    stated: Stated = Stated()
    reader: str = "native"
    counts: Mapping[str, int] = field(default_factory=dict)
    locate: Locate = nowhere
    told: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    landed: Mapping[str, str] = field(default_factory=dict)
    pending: Mapping[str, str] = field(default_factory=dict)
    staged: Mapping[str, str] = field(default_factory=dict)
    redo: Callable[[Mapping[str, str], Collection[str]], LoadedPlan] | None = None

    def placed(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """The problems with file, line and column filled in from their paths, in the order of the file."""
        placed = [self._place(problem) for problem in problems]
        return tuple(sorted(placed, key=lambda problem: (problem.line or 0, problem.column or 0)))

    def _place(self, problem: Problem) -> Problem:
        if problem.line is not None:
            return replace(problem, file=problem.file or self.source)
        place = self.locate(problem.path)
        if place is None:
            return replace(problem, file=self.source)
        return replace(problem, file=place.file or self.source, line=place.line, column=place.column)
