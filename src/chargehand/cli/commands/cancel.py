"""`chargehand cancel`: end a task, or give a run up (SPEC 9, 10.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chargehand.cli.call import Call, command, optional_task, run_option, yes_option

if TYPE_CHECKING:
    from chargehand.cli.requesting import Sent
    from chargehand.domain.state import RunState
    from chargehand.wiring import Workshop

__all__ = ["cancel"]

_EXAMPLES = """
chargehand cancel api             end this task; what depends on it is blocked
chargehand cancel                 give the newest run up; asks first
chargehand cancel --run todo-2 --yes
"""


@command("cancel", examples=_EXAMPLES)
@optional_task
@yes_option
@run_option
async def cancel(call: Call, task: str | None, yes: bool, run: str | None) -> int:
    """End TASK, or without one give the whole run up: live attempts are ended, open tasks cancelled.

    What has landed stays on the run's branch, what attempts left is kept. A run that nobody drives is taken up for
    that, and starts nothing. The exit code is 0 when the cancel itself worked.
    """
    workshop = await call.open()
    name = workshop.service.newest(run)
    if task is not None:
        return await _cancel_task(call, workshop, name, task)
    return await _cancel_run(call, workshop, name, yes=yes)


async def _cancel_task(call: Call, workshop: Workshop, run: str, task: str) -> int:
    from chargehand.cli.looking import task_of
    from chargehand.cli.requesting import new_request, print_sent, send
    from chargehand.domain.commands import RequestKind
    from chargehand.domain.errors import UserError

    state = workshop.service.look(run).state
    if task not in state.tasks and task in workshop.store.runs():
        step = call.pen.step(f"cancel --run {task}")
        raise UserError(f"{task} is a run, no task of run {run}.", code="unknown_task", hint=f"Give it up: `{step}`.")
    task_of(state, task)
    sent = await send(workshop, run, new_request(RequestKind.CANCEL, task=task))
    print_sent(call, [sent], *([_task_said(sent)] if sent.taken else []))
    return 0


def _task_said(sent: Sent) -> str:
    record = sent.state.tasks[sent.request.task]
    if record.inflight is not None:
        return f"{record.id} is being ended; its work is kept."
    kept = " Its work is kept." if record.attempts else ""
    return f"{record.id} is cancelled.{kept}"


async def _cancel_run(call: Call, workshop: Workshop, run: str, *, yes: bool) -> int:
    from chargehand.cli.requesting import agree, named, new_request, print_sent, send
    from chargehand.domain.commands import RequestKind, obey

    request = new_request(RequestKind.CANCEL)
    state = workshop.service.look(run).state
    if state.cancelled is None or state.finished is not None:
        obey(state, request)
        refusal = f"Giving run {run} up needs a yes, and there is no terminal to ask on."
        if not agree(call, _question(state), yes=yes, refusal=refusal):
            call.out.tell("Nothing was cancelled.")
            return 1
    sent = await send(workshop, run, request)
    if sent.holder is None:
        return await _end(call, workshop, sent)
    if sent.taken:
        print_sent(
            call, [sent], f"Run {run} is given up: {named(sent.holder)} ends what is under way, and then itself."
        )
    else:
        print_sent(call, [sent])
    return 0


def _question(state: RunState) -> str:
    from chargehand.cli.render.units import count

    live = f", {len(state.live)} of them under way" if state.live else ""
    return f"Give run {state.run} up? {count(state.open_tasks, 'open task')}{live}; what has landed stays."


async def _end(call: Call, workshop: Workshop, sent: Sent) -> int:
    """Take a run up that nobody drives, to end it: nothing is started, leftovers are ended, work is kept."""
    from dataclasses import replace

    from chargehand.cli.driving import Driver
    from chargehand.cli.endings import conclude
    from chargehand.cli.requesting import print_sent
    from chargehand.domain.errors import RunLocked

    run = sent.state.run
    call.session.run = run
    try:
        held = workshop.service.take_up(run)
    except RunLocked as locked:  # somebody was quicker, and takes the request
        print_sent(call, [replace(sent, holder=locked.holder)])
        return 0
    try:
        end = await Driver(call, workshop, run, asks=False, waits=False).drive(held, list(held.journal.read()))
    finally:
        held.release()
    if call.out.json:
        print_sent(call, [replace(sent, taken=True, state=end)])
    else:
        conclude(call, end, folder=workshop.store.folder(run))
    return 0 if end.cancelled is not None and end.finished is not None else 130
