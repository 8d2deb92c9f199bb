"""The gates of a receipt: what was run exactly, what it came to, and which tests it ran."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from chargehand.domain.effects import RunGates
from chargehand.domain.gating import OVERLAY, RED_FIRST, due_checks
from chargehand.domain.outcome import GateResult
from chargehand.domain.plan import Command, EnvSpec, GatePoint, SetupSpec
from chargehand.domain.restoring import command_of, fit_name
from chargehand.domain.state import GateFit, RunState

__all__ = ["MOST_IDS", "GateStory", "RanCheck", "TestsOf", "gate_rows", "is_verify", "story_of"]

MOST_IDS = 2000
"""A longer list of test ids stands in a receipt by its number and its hash."""

TestsOf = Callable[[str], Sequence[str] | None]
"""The ids in a file of test ids, sorted, by its path below the run's folder; None where it is gone."""

Row = dict[str, Any]


def is_verify(check: str) -> bool:
    """Whether this is the id of a task's own command, also of one that was gated beside another."""
    return check.rpartition("/")[2].startswith("verify-")


@dataclass(frozen=True, slots=True, kw_only=True)
class RanCheck:
    """A check as it was run: the command of the plan, or as a fitter proposed; `env` is what was added for it."""

    id: str
    run: Command
    wall_s: float
    idle_s: float | None = None
    junit: bool = False
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateStory:
    """One job of gates: what it was asked, and what came of it. `overlay` and `red_first` are as in a job."""

    point: GatePoint
    commit: str
    tree: str
    base: str
    checks: tuple[RanCheck, ...]
    results: tuple[GateResult, ...] = ()
    setup: SetupSpec | None = None
    env: EnvSpec = EnvSpec()
    syntax: bool = False
    overlay: bool = False
    red_first: bool = False
    tests: tuple[str, ...] = ()

    def with_results(self, results: tuple[GateResult, ...]) -> GateStory:
        """The same after its end."""
        return replace(self, results=results)

    def about(self, task: str, whole: str) -> GateStory:
        """The same without commands of other tasks: the job was that of `whole`, and `task` landed with it."""
        others = {
            each.id for each in self.checks if is_verify(each.id) and (each.id.rpartition("/")[0] or whole) != task
        }
        return replace(
            self,
            checks=tuple(check for check in self.checks if check.id not in others),
            results=tuple(result for result in self.results if result.gate not in others),
        )


def story_of(state: RunState, effect: RunGates) -> GateStory:
    """What a job is asked that is intended in this state."""
    task = state.tasks[effect.task].task if effect.task else None
    others = [state.tasks[name].task for name in effect.beside]
    due = due_checks(state.plan, effect.point, task if effect.verify else None, others)
    return GateStory(
        point=effect.point,
        commit=effect.commit,
        tree=effect.tree,
        base=effect.base,
        checks=tuple(_checks(state, effect.task, due)),
        setup=state.plan.setup,
        env=state.plan.env,
        syntax=effect.syntax,
        overlay=OVERLAY in due,
        red_first=RED_FIRST in due,
        tests=task.files.test if task is not None and task.files is not None else (),
    )


def _checks(state: RunState, task: str, due: Sequence[str]) -> Iterator[RanCheck]:
    gates = {gate.id: gate for gate in state.plan.gates}
    for name in due:
        command = command_of(state, task, name)
        if command is None:  # the runtime's own
            continue
        gate = gates.get(name)
        fit = state.fits.get(fit_name(state, task, name), GateFit()).fit
        yield RanCheck(
            id=name,
            run=Command(argv=fit.argv) if fit.argv else command,
            wall_s=fit.wall_s or (gate.wall_s if gate else None) or state.options.caps.gate_wall_s,
            idle_s=fit.idle_s or (gate.idle_s if gate else None),
            junit=gate.junit if gate else False,
            env=fit.env,
        )


def gate_rows(state: RunState, story: GateStory, tests: TestsOf) -> Iterator[Row]:
    """What a receipt says of each result; `state` is that before the tests of this tree became those of the head."""
    asked = {check.id: check for check in story.checks}
    for result in story.results:
        check = asked.get(result.gate)
        if check is None and result.gate == "setup" and story.setup is not None:
            check = RanCheck(id="setup", run=story.setup.run, wall_s=state.options.caps.setup_wall_s)
        yield _row(story, result, check) | {"tests": _tests(result, state.tests, tests)}


def _row(story: GateStory, result: GateResult, check: RanCheck | None) -> Row:
    return {
        "id": result.gate,
        "point": story.point.value,
        "commit": story.commit,
        "tree": result.tree,
        "argv": list(check.run.argv) if check else None,
        "shell": check.run.shell if check else False,
        "env": dict(check.env) if check else {},
        "limits": {"wall_s": check.wall_s, "idle_s": check.idle_s} if check else None,
        "status": result.status.value,
        "fault": result.fault.value if result.fault else None,
        "exit": result.exit_code,
        "detail": result.detail,
        "wall_s": round(result.wall_s, 3),
        "output_sha256": result.output_sha256,
        "environment": result.environment,
        "cached": result.cached or None,
        "flaky": list(result.flaky),
        "failed": None if result.failed_tests is None else list(result.failed_tests),
        "vanished": list(result.vanished),
    }


def _tests(result: GateResult, landed: Mapping[str, str], tests: TestsOf) -> Row | None:
    """The tests that ran, and those of the tree before; None for a gate without test ids."""
    if not result.tests:
        return None
    before_file = landed.get(result.gate, "")
    after, before = tests(result.tests), tests(before_file) if before_file else None
    row = {"before": _list(before_file, before), "after": _list(result.tests, after)}
    if before is None or after is None:
        return row | {"added": None, "gone": None}
    added, gone = sorted(set(after) - set(before)), sorted(set(before) - set(after))
    return row | {"added": added[:MOST_IDS], "gone": gone[:MOST_IDS]}


def _list(file: str, ids: Sequence[str] | None) -> Row | None:
    """How many ids a file has, which, and their hash; the ids only where they are not too many."""
    if not file:
        return None
    if ids is None:
        return {"file": file, "count": None, "sha256": None, "ids": None}
    digest = sha256("".join(f"{name}\n" for name in ids).encode("utf-8", "surrogatepass")).hexdigest()
    shown = list(ids) if len(ids) <= MOST_IDS else None
    return {"file": file, "count": len(ids), "sha256": digest, "ids": shown}
