"""`chargehand resume`: go on with a run, with the flags it was started with (SPEC 8)."""

from __future__ import annotations

import asyncio

import click

from chargehand.cli.call import Call, command, run_argument

__all__ = ["resume"]

_EXAMPLES = """
chargehand resume                the newest run
chargehand resume todo-api-2     another one
chargehand resume --unattended   every open question gets its safe default
chargehand resume --detach       in the background; closing the terminal does not end it
"""


@command("resume", examples=_EXAMPLES)
@run_argument
@click.option("--unattended", is_flag=True, default=None, help="From here on, questions get their safe default.")
@click.option("--no-wait", is_flag=True, help="Exit (4) instead of waiting when only decisions are left.")
@click.option("--detach", is_flag=True, help="Go on in the background once the run is held; it waits for answers.")
def resume(call: Call, run: str | None, unattended: bool | None, no_wait: bool, detach: bool) -> int:
    """Go on with a run that was interrupted, paused, killed, or waits for answers.

    It says first what it will do. Everything else is as the run was started: plan, agents, caps. A run that has ended
    is only shown.
    """
    from chargehand.cli.carrying import carry_on
    from chargehand.cli.detaching import Detachment, in_background

    def go_on(detachment: Detachment | None = None) -> int:
        return asyncio.run(carry_on(call, run, unattended=unattended, no_wait=no_wait, detachment=detachment))

    return in_background(go_on) if detach else go_on()
