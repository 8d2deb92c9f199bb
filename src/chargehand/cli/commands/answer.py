"""`chargehand answer`, `approve`, `deny` and `reject`: answer a question of a run (SPEC 9)."""

from __future__ import annotations

import click

from chargehand.cli.call import Call, choice_argument, command, decision_argument, run_option

__all__ = ["answer", "approve", "deny", "reject"]

_EXAMPLES = """
chargehand decisions           what is asked, and what each answer does
chargehand answer d1 retry     answer it
chargehand answer d1 retry --note 'the port is 8081 now'
chargehand approve d2          the same as `answer d2 approve`
chargehand deny d3             an agent's command: it is told no, and goes on
"""


@command("answer", examples=_EXAMPLES)
@decision_argument
@choice_argument
@click.option("--note", metavar="TEXT", default="", help="What else the agent is to be told, with retry for example.")
@run_option
async def answer(call: Call, decision: str, choice: str, note: str, run: str | None) -> None:
    """Answer the question ID with CHOICE; TEXT of --note stands in the next brief of the task.

    A process that drives the run takes the answer at once; without one it is recorded for `chargehand resume`.
    """
    await _answer(call, decision, choice, run, note)


@command("approve", examples=_EXAMPLES)
@decision_argument
@run_option
async def approve(call: Call, decision: str, run: str | None) -> None:
    """Answer the question ID with approve."""
    await _answer(call, decision, "approve", run)


@command("deny", examples=_EXAMPLES)
@decision_argument
@run_option
async def deny(call: Call, decision: str, run: str | None) -> None:
    """Answer the question ID, which is about a command of an agent, with deny."""
    await _answer(call, decision, "deny", run)


@command("reject", examples=_EXAMPLES)
@decision_argument
@run_option
async def reject(call: Call, decision: str, run: str | None) -> None:
    """Answer the question ID with reject."""
    await _answer(call, decision, "reject", run)


async def _answer(call: Call, decision: str, choice: str, run: str | None, note: str = "") -> None:
    from chargehand.cli.requesting import named, new_request, next_lines, send
    from chargehand.domain.commands import RequestKind
    from chargehand.domain.errors import UserError
    from chargehand.domain.hand_edits import not_taken
    from chargehand.domain.view import lapsed

    workshop = await call.open()
    name = workshop.service.newest(run)
    request = new_request(RequestKind.ANSWER, decision=decision, choice=choice, note=note)
    before = workshop.service.look(name).state
    sent = await send(workshop, name, request)
    held = sent.holder is not None
    asked = sent.state.decisions.get(decision)
    if asked is not None and asked.call and not (sent.taken or held):  # it died before it heard this
        raise UserError(lapsed(sent.state, asked), code="call_gone", hint=f"Go on with `chargehand resume {name}`.")
    if call.out.json:
        row = {"run": name, "decision": decision, "choice": choice, "by": request.by, "held": held, "taken": sent.taken}
        call.out.document(row)
        return
    goes_on = f"; {named(sent.holder, start=False)} goes on with run {name}" if sent.taken and sent.holder else ""
    if (edited := before.decisions.get(decision)) is not None and sent.taken:
        for line in not_taken(before, edited, choice):
            call.out.tell(line)
    call.out.say(f"{decision} is answered with {choice}{goes_on}.", *next_lines(call, sent))
