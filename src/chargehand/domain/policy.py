"""The bounds of SPEC 3.8 as values. A profile is another set of these values, never other code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chargehand.domain.review import Stage
from chargehand.domain.silencing import Silencing

__all__ = ["HOUSE", "Commits", "Policy"]


class Commits(StrEnum):
    """Who makes the commits of a change."""

    EITHER = "either"
    AGENT = "agent"  # a done report without a valid new commit fails
    RUNTIME = "runtime"  # a commit of the agent fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How often each outcome may be answered by another attempt before somebody is asked.

    `review_fixes` count per stage; with `review_retries` a review that is not content after them, or whose reviewer
    spoiled it, is a failure that one of the `retries` answers. `fresh_reviewers` are asked in place of one that changed
    what it judges. `fits` are asked for per gate and fault, the second only with another mitigation.
    `breaker` is the number of blocked tasks in a phase that stops the run (None: off); a phase is a wave where waves
    are declared, unless it spans all of them. Waits after a rate limit without a stated reset double from `backoff_s`
    up to `backoff_max_s`.

    `stages` are the reviews of a task, in order; with none, nothing is reviewed and the run as a whole is not looked
    at. `final_baseline`: a gate of the run that was red on the base is excused as far as it is no worse. `silencing`:
    what follows where a change silences lint, types, formatting or coverage instead of passing them.
    `asks_blocked`: a task that its agent cannot go on with is asked about; else it is blocked without a word.
    """

    retries: int = 1
    contexts: int = 2
    blocked_contexts: int = 1
    conflicts: int = 3
    concern_fixes: int = 1
    wave_fixes: int = 3
    run_fixes: int = 3
    review_fixes: int = 2
    review_retries: bool = False
    fresh_reviewers: int = 1
    holistic_fixes: int = 3
    fits: int = 2
    researches: int = 1
    breaker: int | None = 3
    breaker_spans_waves: bool = False
    backoff_s: float = 30.0
    backoff_max_s: float = 900.0
    stages: tuple[Stage, ...] = (Stage.SPEC, Stage.QUALITY)
    commits: Commits = Commits.EITHER
    final_baseline: bool = True
    silencing: Silencing = Silencing.TOLD
    asks_blocked: bool = False


HOUSE = Policy()
