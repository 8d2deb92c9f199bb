"""`chargehand config`: each setting and where it came from (SPEC 10.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command

if TYPE_CHECKING:
    from chargehand.settings import Settings

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

    settings = await call.settings()
    rows = [row for row in settings.explain() if row[0].startswith(prefix)]
    unset = [] if rows else _known(prefix, settings)
    if call.out.json:
        found = [{"key": key, "value": shown, "source": source} for key, shown, source in rows]
        warnings = [{"code": w.code, "task": None, "text": w.message} for w in settings.warnings]
        call.out.document({"settings": found, "warnings": warnings})
        return
    cells = [(key, shown, Cell(text=source, style="quiet")) for key, shown, source in rows]
    call.out.say(*table(cells, call.pen, indent=0))
    call.out.note(*(f"{key} is not set." for key in unset))
    for warning in settings.warnings:
        call.out.tell(f"warning: {warning.message}")


def _known(prefix: str, settings: Settings) -> list[str]:
    """The keys there are that begin so; `UserError` with the nearest where there are none."""
    from chargehand.domain.errors import UserError
    from chargehand.domain.problem import nearest
    from chargehand.settings import OPTIONS

    known = [option.key for option in OPTIONS]
    found = [key for key in known if key.startswith(prefix)]
    if not found:
        hint = nearest(prefix, [*known, *settings.values]) or "`chargehand config` shows the keys there are."
        raise UserError(f"The setting {prefix!r} is unknown.", code="unknown_key", hint=hint)
    return found
