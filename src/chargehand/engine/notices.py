"""What people are told when a run asks them something, and when it comes to rest (SPEC 9)."""

from __future__ import annotations

from collections import Counter

from chargehand.domain.hand_edits import as_of_now
from chargehand.domain.state import RunState
from chargehand.domain.view import run_state
from chargehand.domain.words import Decision
from chargehand.ports import Notice, NoticeKind

__all__ = ["asked", "ended"]


def asked(state: RunState, decision: Decision) -> Notice:
    """A question: what happened, the exact command concerned, what each answer does, how to answer."""
    about = f" about task {decision.task}" if decision.task else ""
    lines = [as_of_now(state, decision).question]
    if decision.command:
        lines.append(f"The command: {decision.command}")
    lines += [f"- {effect}" for effect in decision.effects or decision.choices]
    lines.append(f"Answer with: chargehand answer {decision.id} CHOICE --run {state.run}")
    return Notice(
        run=state.run,
        kind=NoticeKind.DECISION,
        title=f"{state.run} asks {decision.id}{about}",
        text="\n".join(lines),
        task=decision.task,
        decision=decision.id,
        choices=decision.choices,
        command=decision.command,
    )


def ended(state: RunState) -> Notice:
    """A run that nobody drives any more: how it ended, or what it waits for."""
    kind = NoticeKind(run_state(state, held=False))
    counts = Counter(record.status.value for record in state.tasks.values())
    lines = ["Tasks: " + ", ".join(f"{number} {status}" for status, number in counts.items()) + "."]
    if state.finished is not None and state.finished.detail:
        lines.append(state.finished.detail)
    if state.decisions:
        lines.append(f"Open questions: {', '.join(state.decisions)}. See: chargehand decisions {state.run}")
    return Notice(run=state.run, kind=kind, title=f"{state.run} is {kind}", text="\n".join(lines))
