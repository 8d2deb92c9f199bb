"""From an edited plan file to a run that goes on with it (SPEC 3.2)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.cli.call import Call
from chargehand.cli.render.checked import problem_lines
from chargehand.cli.render.pen import Pen, hang
from chargehand.cli.requesting import agree, new_request, print_sent, send
from chargehand.cli.setting_out import SAID_LATER, checked
from chargehand.cli.surveying import Surveyed, survey_plan
from chargehand.domain.commands import RequestKind
from chargehand.domain.errors import UserError
from chargehand.domain.replan import Replan, compare
from chargehand.domain.view import document
from chargehand.wiring.questioning import agreed, questioned

if TYPE_CHECKING:
    from chargehand.domain.plan import Plan
    from chargehand.domain.state import RunState

__all__ = ["put_plan", "settled"]

_LABEL = 10


async def put_plan(call: Call, path: Path, run: str | None, *, dry_run: bool, yes: bool) -> int:
    """Read, check, compare, ask, leave the request; answers with the exit code."""
    workshop = await call.open()
    name = workshop.service.newest(run)
    call.session.run = name
    state = workshop.service.look(name).state
    surveyed = await _survey(call, path, state)
    plan = settled(checked(surveyed), state)
    for problem in surveyed.warnings:
        if problem.code not in SAID_LATER:  # the run has its agents
            call.out.note(*problem_lines(problem, call.side_pen))
    found = compare(state, plan)
    if dry_run or found.changes_nothing:
        _print(call, state, found, held=workshop.store.holder(name) is not None)
        return 0
    if not call.out.json:
        call.out.say(*change_lines(found, state, call.pen))
    refusal = f"Giving run {name} another plan needs a yes, and there is no terminal to ask on."
    if not agree(call, f"Go on with that plan in run {name}?", yes=yes, refusal=refusal):
        call.out.tell("Nothing was changed.")
        return 1
    asked = questioned(found.plan, agreed(workshop.settings))
    sent = await send(workshop, name, new_request(RequestKind.REPLAN, plan=plan, questioned=asked))
    said = [f"Run {name} has the new plan."] if sent.taken else []
    print_sent(call, [sent], *said, more={"changes": change_document(found)})
    return 0


async def _survey(call: Call, path: Path, state: RunState) -> Surveyed:
    """The plan checked on the base of the run; what flags of `run` had said for the old plan holds unless it says so.

    Otherwise a run that was started with `--barrier wave` could only take plans that say the same.
    """
    stated = (await call.open()).load_plan(path).stated.keys
    old = state.plan
    before: dict[str, object] = {
        "profile": old.profile,
        "barrier": old.barrier.value,
        "defaults.weight": old.defaults.weight.value,
    }
    flags = {key: value for key, value in before.items() if key not in stated}
    return await survey_plan(await replace(call, flags=flags).open(), path, state.base)


def settled(plan: Plan, state: RunState) -> Plan:
    """The plan with the agents of the run, which were settled when it was started; `UserError` for any other."""
    options = state.options
    known = {agent.name for agent in options.agents}
    if [(agent.name, agent.kind) for agent in options.agents] == [("command", "command")]:  # it serves every task
        return replace(plan, tasks=tuple(replace(task, agent=None) for task in plan.tasks))
    for task in plan.tasks:
        if task.agent is not None and task.agent not in known:
            text = f"Task {task.id} wants agent {task.agent}, which run {state.run} was not started with."
            raise UserError(text, code="unknown_agent", hint=f"It has: {', '.join(sorted(known))}.")
    return plan


def _print(call: Call, state: RunState, found: Replan, *, held: bool) -> None:
    if call.out.json:
        row = {"kind": RequestKind.REPLAN.value, "task": None, "taken": False}
        call.out.document(document(state, held=held) | {"request": row, "changes": change_document(found)})
    else:
        call.out.say(*change_lines(found, state, call.pen))


def change_document(found: Replan) -> dict[str, object]:
    """What a new plan changes, by task id."""
    return {
        "added": list(found.added),
        "changed": list(found.changed),
        "removed": list(found.removed),
        "kept": list(found.kept),
        "canary": found.canary,
    }


def change_lines(found: Replan, state: RunState, pen: Pen) -> list[str]:
    """The same for people."""
    if found.changes_nothing:
        return [f"That plan changes nothing in run {state.run}."]
    rows = (
        ("added", found.added, ""),
        ("changed", found.changed, ": they begin anew"),
        ("removed", found.removed, ": they are skipped"),
        ("kept", found.kept, ": integrated, though the new plan does not name them"),
    )
    lines = []
    for label, tasks, meaning in rows:
        if tasks:
            lines += hang(f"  {label.ljust(_LABEL)}", ", ".join(tasks) + meaning, pen, indent=_LABEL + 2)
    if found.canary:
        text = "setup, gates or environment changed: all gates are tried on the base again"
        lines += hang(f"  {'gates'.ljust(_LABEL)}", text, pen, indent=_LABEL + 2)
    same = len(found.plan.tasks) - len(found.added) - len(found.changed) - len(found.kept)
    return [*lines, f"  {'unchanged'.ljust(_LABEL)}{same}"]
