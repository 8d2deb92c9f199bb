"""`chargehand agents`: the agents that are defined, and whether they can run here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from chargehand.cli.call import Call, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chargehand.wiring.installed import Installed

__all__ = ["agents"]

_EXAMPLES = """
chargehand agents                the agents of the settings, and what else could be one
chargehand doctor --agent claude   have one of them answer
"""
_HOW = """\
No agent is defined. An agent is any program that reads its brief from standard input, works in the current
folder, and writes {"status": "DONE"} to the file named by CHARGEHAND_RESULT. Define one in your own settings file,
~/.config/chargehand/config.toml:

  [agents.claude]
  kind = "claude"
  key = "env:ANTHROPIC_API_KEY"

or give any program to a single run: chargehand run PLAN --agent-command 'my-agent --option'"""


@command("agents", examples=_EXAMPLES)
async def agents(call: Call) -> None:
    """List the agents of the settings: version, login as far as it shows, what each can do, what is missing.

    Programs that could be agents, and none is of their kind, come after them. Nothing is asked of any provider.
    """
    from chargehand.wiring.installed import look_at, offered

    settings = await call.settings()
    found = await look_at(settings.agents, os.environ, replays=settings.meter.replay is not None)
    others = offered(settings.agents)
    if call.out.json:
        rows = [_row(each, is_default=each.agent.name == settings.agent) for each in found]
        programs = [
            {"kind": kind, "found": not problem, "problem": problem or None, "install": install}
            for kind, problem, install in others
        ]
        call.out.document({"agents": rows, "programs": programs})
        return
    call.out.say(*_lines(call, found, settings.agent))
    if not found:
        call.out.note(_HOW)
    call.out.say(*_others(call, others))


def _row(each: Installed, *, is_default: bool) -> dict[str, Any]:
    agent = each.agent
    return {
        "name": agent.name,
        "kind": agent.kind,
        "command": agent.command,
        "model": agent.model,
        "jobs": agent.jobs,
        "default": is_default,
        "runnable": not each.problem,
        "problem": each.problem or None,
        "version": each.version or None,
        "login": each.login or None,
        "has_login": each.has_login,
        "can": list(each.can),
        "install": each.install or None,
    }


def _lines(call: Call, found: Sequence[Installed], default: str | None) -> list[str]:
    from chargehand.cli.render.pen import Cell, block, table

    cells = [
        (
            Cell(text="no" if each.problem else "ok", style="bad" if each.problem else "good"),
            each.agent.name + (" (default)" if each.agent.name == default else ""),
            each.agent.kind,
            each.problem or " ".join(filter(None, (each.version, each.agent.model, each.agent.command))),
        )
        for each in found
    ]
    lines = []
    for line, each in zip(table(cells, call.pen, indent=0), found, strict=True):
        lines.append(line)
        if each.login and not each.problem:
            shown = block(each.login, call.pen, indent=4)
            lines += [call.pen.draw(text, "ask") for text in shown] if each.has_login is False else shown
        if each.can and not each.problem:
            lines += [call.pen.draw(text, "quiet") for text in block(", ".join(each.can), call.pen, indent=4)]
    return lines


def _others(call: Call, others: Sequence[tuple[str, str, str]]) -> list[str]:
    from chargehand.cli.render.pen import table

    rows = [(kind, f"install with `{install}`" if problem else "is installed") for kind, problem, install in others]
    return ["", "kinds of programs that no agent is of:", *table(rows, call.pen)] if rows else []
