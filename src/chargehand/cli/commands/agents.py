"""`chargehand agents`: the agents that are defined, and whether they can run here."""

from __future__ import annotations

from chargehand.cli.call import Call, command

__all__ = ["agents"]

_EXAMPLES = """
chargehand agents   the agents of chargehand.toml
"""
_HOW = """\
No agent is defined. An agent is any program that reads its brief from standard input, works in the current
folder, and writes {"status": "DONE"} to the file named by CHARGEHAND_RESULT. Define one in chargehand.toml:

  [agents.claude]
  command = "claude -p --permission-mode acceptEdits"

or give one to a single run: chargehand run PLAN --agent-command 'claude -p --permission-mode acceptEdits'"""


@command("agents", examples=_EXAMPLES)
async def agents(call: Call) -> None:
    """List the agents of the settings, whether each can run here, and what is missing where it cannot."""
    from chargehand.cli.render.pen import Cell, table
    from chargehand.wiring.doctor import why_not

    settings = await call.settings()
    default = settings.agent
    found = [(agent, why_not(agent)) for agent in settings.agents]
    if call.out.json:
        rows = [
            {
                "name": agent.name,
                "kind": agent.kind,
                "command": agent.command,
                "model": agent.model,
                "jobs": agent.jobs,
                "default": agent.name == default,
                "runnable": not problem,
                "problem": problem or None,
            }
            for agent, problem in found
        ]
        call.out.document({"agents": rows})
        return
    cells = [
        (
            Cell(text="no" if problem else "ok", style="bad" if problem else "good"),
            agent.name + (" (default)" if agent.name == default else ""),
            agent.kind,
            problem or agent.command,
        )
        for agent, problem in found
    ]
    call.out.say(*table(cells, call.pen, indent=0))
    if not found:
        call.out.note(_HOW)
