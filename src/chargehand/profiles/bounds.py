"""The bounds of every profile, in one place: what follows how often, who reviews, who commits, what may be red.

`policy` is what the runtime obeys. The other fields of `Bounds` say in words what a profile's reader, arrangement or
projection brings about; with the policy they are the rows of `docs/profiles/index.md`, which
`python tools/draw_profiles.py` writes.
"""

from __future__ import annotations

from dataclasses import dataclass

from chargehand.domain.policy import HOUSE, Commits, Policy
from chargehand.domain.review import Stage
from chargehand.domain.silencing import Silencing

__all__ = ["BOUNDS", "Bounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How runs of one system are bounded; each text is a cell of the comparison table.

    `order`: what runs before what. `phase`: what the breaker counts in. `reviews`, `holistic`, `retries`: what is
    worth saying of them beside the numbers of the policy. `scope`: what a change outside the declared files is.
    `commits`: who makes them. `accepts`: whether `--accept` may land by itself.
    """

    policy: Policy
    order: str
    phase: str
    reviews: str = ""
    holistic: str = ""
    retries: str = ""
    scope: str
    commits: str
    accepts: bool = True


BOUNDS: dict[str, Bounds] = {
    "house": Bounds(
        policy=HOUSE,
        order="dependencies; with `barrier: wave` waves",
        phase="a wave where waves are declared, else the run",
        scope="as the task says, `strict` unless it does; unscoped where no files are declared",
        commits="agent or runtime",
    ),
    "konductor": Bounds(
        policy=Policy(
            retries=0,
            contexts=2,
            breaker=3,
            review_fixes=2,
            holistic_fixes=3,
            final_baseline=False,
            breaker_spans_waves=True,
        ),
        order="waves of plans, at most `max_wave_parallelism` plans at once; the tasks of a plan in sequence",
        phase="the phase folder: one run each",
        retries="a crash is never tried again",
        scope="`review`",
        commits="agent or runtime; with `auto_commit = false` accept leaves the change staged",
    ),
    "dispatch": Bounds(
        policy=Policy(retries=1, breaker=None, stages=(), wave_fixes=3, run_fixes=3, final_baseline=True),
        order="waves; the tasks of a wave side by side",
        phase="off: the system has none",
        holistic="a check from end to end instead",
        retries="then somebody is asked",
        scope="by lease only: tasks that share a file take turns, and a change elsewhere is taken",
        commits="agent or runtime",
    ),
    "factory-line": Bounds(
        policy=Policy(retries=0, fits=2, breaker=None, stages=(), final_baseline=False, silencing=Silencing.FAILS),
        order="subtasks in sequence, then tests, then gates",
        phase="off: any failure halts the line",
        retries="a gate that could not judge is restored once, and again by another mitigation",
        scope="`review`: callers may have to follow",
        commits="agent or runtime, on the branch of the run; the user decides at `accept`",
        accepts=False,
    ),
    "task-executor": Bounds(
        policy=Policy(
            retries=1,
            breaker=None,
            stages=(Stage.SPEC,),
            review_fixes=0,
            review_retries=True,
            fresh_reviewers=0,
            commits=Commits.RUNTIME,
            final_baseline=False,
        ),
        order="each parallel group is a wave, each sequential task one of its own, in document order",
        phase="off",
        reviews="sequential tasks only, in one pass",
        holistic="another step of its pipeline",
        retries="two attempts a task, a rejected one included",
        scope="`strict`: code and test files",
        commits="the runtime only; a commit of the agent fails",
    ),
    "sendit": Bounds(
        policy=Policy(
            retries=1,
            breaker=None,
            stages=(),
            commits=Commits.AGENT,
            run_fixes=3,
            final_baseline=False,
            asks_blocked=True,
        ),
        order="in sequence; side by side only where marked independent and the files are disjoint",
        phase="off",
        retries="then somebody is asked",
        scope="`strict`",
        commits="the agent must; without a valid new commit a task has failed",
    ),
}
"""By the name of the profile, in the order of the table."""
