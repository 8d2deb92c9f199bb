"""`chargehand clean`: remove what finished runs left behind, and only what is safe (SPEC 7.5)."""

from __future__ import annotations

import click

from chargehand.cli.call import Call, command

__all__ = ["clean"]

_EXAMPLES = """
chargehand clean --dry-run   what would go, and what stays
chargehand clean             remove it
"""


@command("clean", examples=_EXAMPLES)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
async def clean(call: Call, dry_run: bool) -> None:
    """Remove idle workspaces, private folders, refs of landed work, and what was rescued longer than `rescue_days` ago.

    Journals, branches, unlanded attempts, and whatever an unfinished run needs stay; it says what, and why.
    """
    from chargehand.cli.render.pen import table

    workshop = await call.open()
    done = await workshop.clean(dry_run=dry_run)
    if call.out.json:
        removed = [{"kind": kind, "name": name} for kind, name in done.removed]
        kept = [{"name": name, "why": why} for name, why in done.kept]
        call.out.document({"dry_run": dry_run, "removed": removed, "kept": kept})
        return
    pen = call.pen
    word = "would go" if dry_run else "removed"
    if not done.removed:
        call.out.say("Nothing is to be removed.")
    call.out.say(*table([(word, kind, name) for kind, name in done.removed], pen, indent=0))
    call.out.say(*table([("kept", name, why) for name, why in done.kept], pen, indent=0))
