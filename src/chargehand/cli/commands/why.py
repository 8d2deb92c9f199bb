"""`chargehand why`: what a task waits for, or how it ended (SPEC I12)."""

from __future__ import annotations

from chargehand.cli.call import Call, command, run_option, task_argument

__all__ = ["why"]

_EXAMPLES = """
chargehand why api               in the newest run
chargehand why api --run todo-2  in another one
"""


@command("why", examples=_EXAMPLES)
@task_argument
@run_option
async def why(call: Call, task: str, run: str | None) -> None:
    """Say in a sentence what TASK is doing, what it waits for, or how it ended."""
    from chargehand.cli.looking import task_of
    from chargehand.cli.render.pen import wrap
    from chargehand.cli.render.summary import what_it_does
    from chargehand.domain.view import why as sentence

    workshop = await call.open()
    name = workshop.service.newest(run)
    summary = workshop.service.look(name)
    state, now = summary.state, workshop.clock.now()
    record = task_of(state, task)
    call.out.say(*wrap(what_it_does(state, record, call.pen, now, held=summary.held), call.out.width))
    if call.out.json:
        text = sentence(state, record.id, now)
        reason = record.reason.value if record.reason else None
        call.out.document({"run": name, "task": record.id, "state": record.status.value, "reason": reason, "why": text})
