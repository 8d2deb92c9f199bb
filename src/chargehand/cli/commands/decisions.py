"""`chargehand decisions`: the questions that wait for people (SPEC 9)."""

from __future__ import annotations

from chargehand.cli.call import Call, command, run_argument

__all__ = ["decisions"]

_EXAMPLES = """
chargehand decisions              what the newest run asks
chargehand answer d1 retry        answer one of them
"""


@command("decisions", examples=_EXAMPLES)
@run_argument
async def decisions(call: Call, run: str | None) -> None:
    """List the open questions of RUN: what happened, what each answer does, how to answer."""
    from chargehand.cli.render.summary import decision_lines

    workshop = await call.open()
    name = workshop.service.newest(run)
    state = workshop.service.look(name).state
    if call.out.json:
        rows = [
            {
                "id": asked.id,
                "task": asked.task or None,
                "kind": asked.kind.value,
                "reason": asked.reason.value,
                "question": asked.question,
                "command": asked.command or None,
                "choices": list(asked.choices),
                "effects": list(asked.effects),
                "default": asked.default,
            }
            for asked in state.decisions.values()
        ]
        call.out.document({"run": name, "decisions": rows})
    elif state.decisions:
        call.out.say(*decision_lines(state, call.pen))
    else:
        call.out.note(f"Run {name} asks nothing.")
