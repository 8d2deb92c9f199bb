"""`chargehand run`: carry a plan out (SPEC 3, 10.1)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from chargehand.cli.call import Call, command
from chargehand.cli.spreading import OnlyCommand

__all__ = ["run"]

_EXAMPLES = """
chargehand run plan.yaml
chargehand run plan.yaml --agent claude --jobs 6
chargehand run plan.yaml --agent-command ./my-agent.sh --no-review
chargehand run plan.yaml --only api ui       those tasks and what they need
chargehand run plan.yaml --dry-run           what `check` prints
chargehand run plan.yaml --unattended --json --accept
chargehand run plan.yaml --detach            in the background; closing the terminal does not end it
"""

# flag of `run` → key in the table of settings
_KEYS = {
    "profile": "profile",
    "agent": "agent",
    "reviewer": "reviewer",
    "agent_command": "agent_command",
    "reviewer_command": "reviewer_command",
    "jobs": "jobs",
    "barrier": "barrier",
    "weight": "defaults.weight",
    "unattended": "unattended",
    "accept": "accept",
    "sandbox": "sandbox.kind",
}


@command("run", examples=_EXAMPLES, cls=OnlyCommand)
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@click.option("--base", metavar="REF", help="The commit to start from; default: HEAD.")
@click.option(
    "--profile",
    metavar="P",
    help="Run as the system of that profile does (house, konductor, …); default: the plan's own.",
)
@click.option("--agent", metavar="NAME", help="The agent of tasks that name none.")
@click.option("--agent-command", metavar="CMD", help="Run CMD as the agent of all tasks, whatever the plan names.")
@click.option("--reviewer", metavar="NAME", help="Another agent for the reviews; default: a fresh process of the same.")
@click.option(
    "--reviewer-command", metavar="CMD", help="Run CMD for the reviews; see the agent contract in the documentation."
)
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), help="How many attempts run at once.")
@click.option("--barrier", type=click.Choice(["none", "wave"]), help="What holds tasks back besides dependencies.")
@click.option("--weight", type=click.Choice(["light", "full"]), help="How much context tasks get.")
@click.option("--no-review", is_flag=True, help="Ask for no reviews.")
@click.option("--unattended", is_flag=True, default=None, help="Nobody is there: a question gets its safe default.")
@click.option("--accept", is_flag=True, default=None, help="Land on the target when everything is green.")
@click.option("--sandbox", type=click.Choice(["auto", "bwrap", "landlock", "none"]), help="What holds the agents.")
@click.option("--only", multiple=True, metavar="TASK...", help="Only these tasks and what they depend on.")
@click.option("--dry-run", is_flag=True, help="Print what `check` prints, and start nothing.")
@click.option("--no-wait", is_flag=True, help="Exit (4) instead of waiting when only decisions are left.")
@click.option("--detach", is_flag=True, help="Go on in the background once the run is created; it waits for answers.")
@click.option("--run-id", metavar="ID", help="The name of the run; default: the plan's name and a number.")
@click.option("--new", is_flag=True, help="Start although another run of this plan is not finished.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before a plan is started that was not named.")
def run(call: Call, plan: Path | None, **flags: Any) -> int:
    """Carry PLAN out: drive agents through its tasks and land what passes on a branch of its own.

    Your checkout and branches stay as they are until `chargehand accept`. Ctrl-C stops cleanly, and
    `chargehand resume` goes on from any stop, also after a crash. Without PLAN the one plan at the known places is
    taken.
    """
    from chargehand.cli.detaching import Detachment, in_background
    from chargehand.cli.setting_out import set_out

    settings: dict[str, object] = {key: flags[name] for name, key in _KEYS.items() if flags[name] is not None}
    if flags["no_review"]:
        settings["features.code_review"] = False

    def carry_out(detachment: Detachment | None = None) -> int:
        setting_out = set_out(
            replace(call, flags=settings),
            plan,
            base=flags["base"],
            only=tuple(word for text in flags["only"] for word in text.split(",") if word),
            dry_run=flags["dry_run"],
            no_wait=flags["no_wait"],
            run_id=flags["run_id"],
            new=flags["new"],
            yes=flags["yes"],
            detachment=detachment,
        )
        return asyncio.run(setting_out)

    return in_background(carry_out) if flags["detach"] else carry_out()
