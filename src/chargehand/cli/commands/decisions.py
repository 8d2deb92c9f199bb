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
    """List the open questions of RUN: what happened, since when it waits, what was tried, what each answer does."""
    from chargehand.cli.asked import facts_of
    from chargehand.cli.render.summary import decision_lines
    from chargehand.cli.render.units import ago, iso
    from chargehand.domain.view import open_decisions

    workshop = await call.open()
    name = workshop.service.newest(run)
    summary = workshop.service.look(name)
    state = summary.state
    facts = facts_of(state, workshop.service.events(name)) if state.decisions else {}
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
                "since": iso(facts[asked.id].since),
                "tried": list(facts[asked.id].tried),
            }
            for asked in open_decisions(state, held=summary.held)
        ]
        call.out.document({"run": name, "decisions": rows})
    elif state.decisions:
        now = workshop.clock.now()
        before = {
            name: [f"asked {ago(fact.since, now)}", *(f"tried: {text}" for text in fact.tried)]
            for name, fact in facts.items()
        }
        call.out.say(*decision_lines(state, call.pen, before=before, held=summary.held))
    else:
        call.out.note(f"Run {name} asks nothing.")
