"""`chargehand doctor`: what would not work here, and why."""

from __future__ import annotations

from pathlib import Path

import click

from chargehand.cli.call import Call, command

__all__ = ["doctor"]

_EXAMPLES = """
chargehand doctor             git, sandboxes, state folder, disk, agents, unfinished runs
chargehand doctor plan.yaml   also the programs of a plan, as the sandbox shows them
"""
_WORDS = {True: ("ok", "good"), False: ("bad", "bad"), None: ("note", "ask")}


@command("doctor", examples=_EXAMPLES)
@click.argument("plan", required=False, type=click.Path(path_type=Path))
async def doctor(call: Call, plan: Path | None) -> int:
    """Look at everything a run needs; exit code 1 when something would make it fail."""
    from chargehand.cli.failing import PlanRefused
    from chargehand.cli.render.pen import wrap

    workshop = await call.open()
    loaded = workshop.load_plan(plan) if plan is not None else None
    if loaded is not None and loaded.plan is None:
        raise PlanRefused(loaded.problems)
    findings = await workshop.examine(loaded.plan if loaded else None)
    well = all(finding.ok is not False for finding in findings)
    if call.out.json:
        rows = [{"name": f.name, "ok": f.ok, "text": f.text, "hint": f.hint or None} for f in findings]
        call.out.document({"ok": well, "findings": rows})
        return 0 if well else 1
    pen = call.pen
    widest = max(len(finding.name) for finding in findings)
    for finding in findings:
        word, style = _WORDS[finding.ok]
        text = wrap(finding.text, None if pen.width is None else max(20, pen.width - widest - 8))
        indent = " " * (widest + 8)
        call.out.say(f"{pen.draw(word.ljust(5), style)} {finding.name.ljust(widest)}  {text[0]}")
        call.out.say(*(indent + line for line in text[1:]))
        if finding.hint:
            call.out.say(indent + pen.draw(finding.hint, "quiet"))
    return 0 if well else 1
