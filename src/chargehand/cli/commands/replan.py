"""`chargehand replan`: give a run that has begun another plan (SPEC 3.2, 10.1)."""

from __future__ import annotations

from pathlib import Path

import click

from chargehand.cli.call import Call, command, run_option

__all__ = ["replan"]

_EXAMPLES = """
chargehand replan plan.yaml --dry-run   what it would change
chargehand replan plan.yaml             asks, then takes it
chargehand resume                       go on with it
"""


@command("replan", examples=_EXAMPLES)
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask. Needed where there is no terminal.")
@run_option
async def replan(call: Call, plan: Path, dry_run: bool, yes: bool, run: str | None) -> int:
    """Put PLAN, the edited plan of the run, in the place of the one it has: with edited, split, new or fewer tasks.

    What is integrated stays, unchanged tasks go on where they are, changed ones begin anew, missing ones are skipped.
    A task that is under way and changed is refused: pause the run or cancel the task first.
    """
    from chargehand.cli.replanning import put_plan

    return await put_plan(call, plan, run, dry_run=dry_run, yes=yes)
