"""Line health: the contracts of a gate that could not judge, and what may be done about it (SPEC 5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Fit", "LineFault", "Mitigation", "Restoration", "RestorationOutcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFault:
    """Why a gate could not judge: all that a fitter is told (`last_output_lines`: at most 50; `stop_reason` is one of
    `outcome.FaultKind`)."""

    gate_id: str
    invocation: str
    elapsed_seconds: float
    last_output_lines: tuple[str, ...]
    stop_reason: str
    repro_hints: tuple[str, ...] = ()


class RestorationOutcome(StrEnum):
    """What a fitter claims: go on, ask the operator, or cannot be fitted (secrets or interaction are needed)."""

    GREEN = "GREEN"
    YELLOW = "YELLOW"
    RED = "RED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a gate is run instead of as the plan says: budgets, invocation and environment, nothing else.

    None and empty mean: as in the plan. `argv` is a whole command line.
    """

    wall_s: float | None = None
    idle_s: float | None = None
    argv: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """What a fitter answers: a claim; the run of the gate decides."""

    gate_id: str
    outcome: RestorationOutcome = RestorationOutcome.GREEN
    mitigation_applied: tuple[str, ...] = ()
    fit: Fit = Fit()
    notes: str = ""
    confidence: str = ""


class Mitigation(StrEnum):
    """What was done about a fault; the first two need no model and do not count."""

    RAISED = "raised"
    RERUN = "rerun"
    FITTED = "fitted"
