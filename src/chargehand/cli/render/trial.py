"""What came of having an agent answer, as lines and as a document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from chargehand.cli.render.pen import Pen, block, hang
from chargehand.cli.render.units import amount
from chargehand.wiring.trying import Trial

__all__ = ["trial_document", "trial_lines"]


def trial_lines(trial: Trial, pen: Pen) -> list[str]:
    """For people: whether it answers, what did, and what that took; or what is wrong and what to do."""
    word, style = ("ok", "good") if trial.ok else ("bad", "bad")
    about = " ".join(filter(None, (trial.kind, trial.version)))
    text = "it answers." if trial.ok else trial.problem
    lines = hang(f"{pen.draw(word, style)} {pen.draw(trial.agent, 'strong')} ({about}): ", text, pen)
    lines += [pen.draw(line, "quiet") for line in block(trial.hint, pen)] if trial.hint else []
    lines += block(f"model: {trial.model}", pen) if trial.model and trial.ok else []
    used = amount(trial.tokens, trial.usd)
    if used and trial.tokens:
        lines += block(f"used: {used}, {'counted by the meter' if trial.metered else 'as it tells itself'}", pen)
    lines += [f"    took: {trial.wall_s:.1f} s"] if trial.wall_s else []
    for warning in trial.warnings:
        lines += block(f"warning: {warning}", pen)
    return lines


def trial_document(trial: Trial) -> dict[str, Any]:
    """The document of `doctor --agent`; what nobody tells is null."""
    empty = {"version", "model", "problem", "hint"}
    return {name: value or None if name in empty else value for name, value in asdict(trial).items()}
