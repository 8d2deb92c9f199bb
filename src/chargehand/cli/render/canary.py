"""What the canary found on the untouched base: which gates were red there, and what stopped the run (SPEC 3.1)."""

from __future__ import annotations

from pathlib import Path

from chargehand.cli.render.pen import Pen, block, hang
from chargehand.cli.render.units import count
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.domain.state import RunState
from chargehand.domain.words import StopReason

__all__ = ["base_lines", "stop_lines"]

_TAIL_LINES = 10


def base_lines(state: RunState, pen: Pen, folder: Path) -> list[str]:
    """What each gate that is red on the base means, and what it printed; `folder` is the run's.

    Of gates that could not judge `stop_lines` tells: they end the run.
    """
    lines: list[str] = []
    for result in state.canary or ():
        if result.status is GateStatus.FAIL and not _is_broken(result):
            lines += hang(f"{pen.draw(result.gate, 'ask')} ", _meaning(result, state), pen)
            lines += _output(result, pen, folder)
    return lines


def stop_lines(state: RunState, pen: Pen, folder: Path | None) -> list[str]:
    """What was printed by setup and gates that could not do their work on the base, of a run that stopped for it."""
    if state.stopped is None or state.stopped.reason is not StopReason.CANARY:
        return []
    lines: list[str] = []
    for result in state.canary or ():
        if _is_broken(result):
            lines += hang(f"{pen.draw(result.gate, 'bad')}: ", f"its output on the base ({result.command})", pen)
            lines += _output(result, pen, folder)
    return [*lines, ""] if lines else []


def _is_broken(result: GateResult) -> bool:
    return result.status is GateStatus.FAULT or (result.gate == "setup" and result.status is GateStatus.FAIL)


def _meaning(result: GateResult, state: RunState) -> str:
    allowed = result.gate in state.plan.allow_red
    if result.failed_tests:
        end = "" if allowed else "; it is asked again at the end, where only new failures fail the run"
        tests = count(len(result.failed_tests), "test")
        return f"is red on the untouched base ({tests}): only what fails newly holds a task up{end}"
    end = " (`allow_red` names it)" if allowed else ""
    rest = "" if allowed else "; red at the end it fails the run unless `allow_red` names it"
    return f"is red on the untouched base{end}: it holds no task up until it is first green{rest}"


def _output(result: GateResult, pen: Pen, folder: Path | None) -> list[str]:
    lines: list[str] = []
    for line in result.tail.splitlines()[-_TAIL_LINES:]:
        lines += block(f"| {line}", pen, indent=4)
    if result.log:
        lines.append(f"    log: {folder / result.log if folder else result.log}")
    return lines
