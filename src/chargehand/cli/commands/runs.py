"""`chargehand runs`: the runs of this repository, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chargehand.cli.call import Call, command

if TYPE_CHECKING:
    from chargehand.engine.service import UnreadableRun

__all__ = ["runs"]

_EXAMPLES = """
chargehand runs          all runs, the newest last
chargehand runs --json   {"runs": [{"run", "plan", "state", "started_at"}]}
"""


@command("runs", examples=_EXAMPLES)
async def runs(call: Call) -> None:
    """List the runs of this repository, oldest first."""
    from chargehand.cli.render.lines import STYLES
    from chargehand.cli.render.pen import Cell, table
    from chargehand.cli.render.units import ago, iso
    from chargehand.domain.view import run_state
    from chargehand.domain.words import TaskStatus
    from chargehand.engine.service import UnreadableRun

    workshop = await call.open()
    now = workshop.clock.now()
    rows, documents, unreadable = [], [], []
    for summary in workshop.service.runs():
        if isinstance(summary, UnreadableRun):
            unreadable.append(_unreadable(call, summary))
            continue
        state, word = summary.state, run_state(summary.state, held=summary.held)
        landed = sum(1 for record in state.tasks.values() if record.status is TaskStatus.INTEGRATED)
        documents.append(
            {"run": summary.run, "plan": state.plan.plan, "state": word, "started_at": iso(state.started_at)}
        )
        progress = f"{landed} of {len(state.tasks)} integrated"
        if state.accepted:
            progress += f", {'staged' if state.accepted.is_staged else 'accepted'} on {state.accepted.target}"
        rows.append(
            (
                summary.run,
                Cell(text=word, style=STYLES.get(word, "live")),
                progress,
                f"plan {state.plan.plan}",
                Cell(text=ago(state.started_at, now), style="quiet"),
            )
        )
    if call.out.json:
        call.out.document({"runs": documents} | ({"unreadable": unreadable} if unreadable else {}))
    elif rows:
        call.out.say(*table(rows, call.pen, indent=0))
    elif not unreadable:
        call.out.note("This repository has no runs. Start one with `chargehand run PLAN`.")


def _unreadable(call: Call, summary: UnreadableRun) -> dict[str, str | None]:
    """Name a run that cannot be read, and why; the row of it in the document."""
    problem = summary.problem
    message = getattr(problem, "message", str(problem))
    code = getattr(problem, "code", "journal_failed")
    hint = getattr(problem, "hint", "") or None
    call.out.tell(f"run {summary.run} cannot be read: {message}")
    if hint:
        call.out.tell(f"  {hint}")
    return {"run": summary.run, "code": code, "message": message, "hint": hint}
