"""`chargehand config`: each setting and where it came from (SPEC 10.2)."""

from __future__ import annotations

import click

from chargehand.cli.call import Call, command

__all__ = ["config"]

_EXAMPLES = """
chargehand config                     what is in force, and from where
chargehand config caps                only settings that begin with `caps`
CHARGEHAND_JOBS=2 chargehand config   the environment goes before files
"""


@command("config", examples=_EXAMPLES)
@click.argument("prefix", required=False, default="")
async def config(call: Call, prefix: str) -> None:
    """Show each setting and where it came from; with PREFIX only some.

    Later sources win: built in, user file, project file, environment, --set, flags.
    """
    from chargehand.cli.render.pen import Cell, table

    workshop = await call.open()
    settings = workshop.settings
    rows = [row for row in settings.explain() if row[0].startswith(prefix)]
    if call.out.json:
        found = [{"key": key, "value": shown, "source": source} for key, shown, source in rows]
        warnings = [{"code": w.code, "task": None, "text": w.message} for w in settings.warnings]
        call.out.document({"settings": found, "warnings": warnings})
        return
    cells = [(key, shown, Cell(text=source, style="quiet")) for key, shown, source in rows]
    call.out.say(*table(cells, call.pen, indent=0))
    for warning in settings.warnings:
        call.out.tell(f"warning: {warning.message}")
