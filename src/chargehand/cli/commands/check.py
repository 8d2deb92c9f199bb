"""`chargehand check`: all problems of a plan at once, before a token is spent (SPEC 2.2)."""

from __future__ import annotations

from pathlib import Path

import click

from chargehand.cli.call import NO_REPOSITORY, Call, command

__all__ = ["check"]

_EXAMPLES = """
chargehand check plan.yaml          waves, critical path, and every problem
chargehand check                    the one plan at the known places
chargehand check plan.yaml --json   exit code 2 when there are errors
"""


@command("check", examples=_EXAMPLES)
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@click.option("--base", metavar="REF", help="The commit a run would start from; default: HEAD.")
async def check(call: Call, plan: Path | None, base: str | None) -> int:
    """Check PLAN: errors (exit code 2), warnings, waves, critical path, and what has to take turns."""
    from chargehand.cli.surveying import print_check, survey_alone, survey_plan
    from chargehand.domain.errors import UserError

    try:
        workshop = await call.open()
    except UserError as error:
        if error.code not in NO_REPOSITORY or call.repo is not None:
            raise
        return print_check(call, survey_alone(call, plan, error), plan)
    return print_check(call, await survey_plan(workshop, plan, base), plan)
