"""The events of reviews, and of gates that could not judge; `domain.events` has all others."""

from __future__ import annotations

from dataclasses import dataclass

from chargehand.domain.line import Fit, Mitigation
from chargehand.domain.review import Criterion, Finding, Parked, Probe, Stage, VoidWhy

__all__ = ["GateMitigated", "ReviewFailed", "ReviewPassed", "ReviewVoided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateMitigated:
    """A gate that could not judge is run again: as it is, with more time, or as a fitter proposed. No transition.

    `signature` is the identity of a fitter's mitigation: a second one must be another.
    """

    task: str
    gate: str
    by: Mitigation
    detail: str
    fit: Fit = Fit()
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPassed:
    """A stage passed for exactly this tree; with `done` all of them: reviewing | awaiting_decision -> integrating.

    `carried`: the verdict for the tree before stands, since the fix stayed within the findings. `by` is the person who
    took the change as it is: there is no verdict then. `task` is empty for a look at the whole run, whose `tree` is
    that of the branch.
    """

    task: str
    attempt: int
    stage: Stage
    tree: str
    commit: str
    agent: str = ""
    model: str = ""
    parked: tuple[Parked, ...] = ()
    probes: tuple[Probe, ...] = ()
    carried: bool = False
    done: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFailed:
    """A stage failed for this tree: `open` and `unmet` are what is to be mended. No transition; what follows says."""

    task: str
    attempt: int
    stage: Stage
    tree: str
    commit: str
    agent: str = ""
    model: str = ""
    open: tuple[Finding, ...] = ()
    unmet: tuple[Criterion, ...] = ()
    parked: tuple[Parked, ...] = ()
    probes: tuple[Probe, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewVoided:
    """A look at a change came to nothing, and another one is due. No transition; `detail` is told to the next one."""

    task: str
    attempt: int
    why: VoidWhy
    detail: str = ""
