"""How states look: a word, one character that stands for it where there is no room, and a tone."""

from __future__ import annotations

from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.domain.words import TaskStatus
from chargehand.report.findings import Standing
from chargehand.report.model import Mark, Tone

__all__ = ["FINDINGS", "RUNS", "TASKS", "mark_of_gate"]


def _mark(word: str, glyph: str, tone: Tone) -> Mark:
    return Mark(word=word, glyph=glyph, tone=tone)


TASKS = {
    TaskStatus.WAITING: _mark("waiting", "·", Tone.QUIET),
    TaskStatus.RUNNING: _mark("running", "▸", Tone.LIVE),
    TaskStatus.GATING: _mark("gating", "▸", Tone.LIVE),
    TaskStatus.REVIEWING: _mark("reviewing", "▸", Tone.LIVE),
    TaskStatus.INTEGRATING: _mark("integrating", "▸", Tone.LIVE),
    TaskStatus.AWAITING_DECISION: _mark("awaiting a decision", "?", Tone.ASK),
    TaskStatus.INTEGRATED: _mark("integrated", "✓", Tone.GOOD),
    TaskStatus.FAILED: _mark("failed", "✗", Tone.BAD),
    TaskStatus.BLOCKED: _mark("blocked", "!", Tone.BAD),
    TaskStatus.SKIPPED: _mark("skipped", "–", Tone.QUIET),
    TaskStatus.CANCELLED: _mark("cancelled", "×", Tone.QUIET),
}

RUNS = {
    "running": _mark("running", "▸", Tone.LIVE),
    "waiting": _mark("waiting for answers", "?", Tone.ASK),
    "paused": _mark("paused", "‖", Tone.ASK),
    "interrupted": _mark("interrupted", "‖", Tone.ASK),
    "finished": _mark("finished", "✓", Tone.GOOD),
    "failed": _mark("failed", "✗", Tone.BAD),
    "cancelled": _mark("cancelled", "×", Tone.QUIET),
}

FINDINGS = {
    Standing.OPEN: _mark("open", "✗", Tone.BAD),
    Standing.RESOLVED: _mark("resolved", "✓", Tone.GOOD),
    Standing.PARKED: _mark("parked", "–", Tone.ASK),
    Standing.LATE: _mark("raised too late", "–", Tone.ASK),
    Standing.LEFT: _mark("left behind with an earlier change", "·", Tone.QUIET),
}

_GATES = {
    GateStatus.PASS: _mark("pass", "✓", Tone.GOOD),
    GateStatus.FAIL: _mark("fail", "✗", Tone.BAD),
    GateStatus.FAULT: _mark("could not judge", "!", Tone.BAD),
    GateStatus.SKIPPED: _mark("skipped", "–", Tone.QUIET),
}
_FLAKY = _mark("pass, flaky", "~", Tone.ASK)
_AS_ON_BASE = _mark("red as on the base", "·", Tone.ASK)


def mark_of_gate(result: GateResult, *, as_on_base: bool = False) -> Mark:
    """What a gate says; `as_on_base`: it was red the same way before anybody changed anything."""
    if as_on_base and result.status is GateStatus.FAIL:
        return _AS_ON_BASE
    if result.flaky and result.status is GateStatus.PASS:
        return _FLAKY
    return _GATES[result.status]
