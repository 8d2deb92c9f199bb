"""`chargehand rescue`: work that was kept from being lost (SPEC 7.5)."""

from __future__ import annotations

from pathlib import Path

import click

from chargehand.cli.call import Call, command, run_argument

__all__ = ["rescue"]

_EXAMPLES = """
chargehand rescue list                        what was kept, oldest first
chargehand rescue show todo-1/api/1           its message and patch; `api/1` or its commit will do
chargehand rescue restore todo-1/api/1        onto a new branch
chargehand rescue restore todo-1/api/1 --to D into a new folder
"""


@click.group("rescue", invoke_without_command=True, epilog="\b\nExamples:" + _EXAMPLES.rstrip().replace("\n", "\n  "))
@click.option("--json", "_as_json", is_flag=True, hidden=True, expose_value=False)
@click.pass_context
def rescue(ctx: click.Context) -> None:
    """Find work that was kept from being lost: what an interrupted or failed attempt left in its workspace."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@command("list", examples=_EXAMPLES)
@run_argument
async def listing(call: Call, run: str | None) -> None:
    """List what was rescued, of RUN or of all runs, oldest first."""
    from chargehand.cli.render.pen import Cell, table
    from chargehand.cli.render.units import ago, iso, short

    workshop = await call.open()
    found = await workshop.rescues(run)
    if call.out.json:
        rows = [
            {
                "name": kept.name,
                "ref": kept.ref,
                "run": kept.run,
                "task": kept.task,
                "commit": kept.commit,
                "at": iso(kept.at),
                "message": kept.message,
            }
            for kept in found
        ]
        call.out.document({"rescues": rows})
        return
    now = workshop.clock.now()
    pen = call.pen
    cells = [(k.name, short(k.commit), ago(k.at, now), Cell(text=k.message, style="quiet")) for k in found]
    call.out.say(*table(cells, pen, indent=0))
    if not found:
        call.out.note("Nothing was rescued.")


@command("show", examples=_EXAMPLES)
@click.argument("name")
async def showing(call: Call, name: str) -> None:
    """Show what the rescue NAME holds: its message, a summary, and the patch."""
    workshop = await call.open()
    text = await workshop.rescue_show(name)
    if call.out.json:
        call.out.document({"name": name, "text": text})
    else:
        call.out.text(text)


@command("restore", examples=_EXAMPLES)
@click.argument("name")
@click.option("--branch", metavar="B", help="The new branch; default: rescued/NAME.")
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR", help="Write the files into a new folder instead.")
async def restoring(call: Call, name: str, branch: str | None, to: Path | None) -> None:
    """Put the rescue NAME onto a new branch, or with --to into a new folder; your checkout stays as it is.

    Nothing that exists is overwritten: neither a branch, nor a folder with anything in it.
    """
    if branch is not None and to is not None:
        raise click.UsageError("Give --branch or --to, not both.")
    workshop = await call.open()
    where = await workshop.rescue_restore(name, branch=branch, to=to)
    made = None if to is not None else branch or f"rescued/{name}"
    if call.out.json:
        call.out.document({"name": name, "branch": made, "folder": where if to else None})
    else:
        call.out.say(f"{name} is in {where}." if to else f"{name} is on branch {made} ({where[:10]}).")


rescue.add_command(listing)
rescue.add_command(showing)
rescue.add_command(restoring)
