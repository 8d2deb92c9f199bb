"""`chargehand retry`: take tasks up again that did not make it (SPEC 9, 10.1)."""

from __future__ import annotations

import click

from chargehand.cli.call import Call, command, run_option, task_arguments

__all__ = ["retry"]

_EXAMPLES = """
chargehand retry api                        with fresh bounds, and its last failure in the brief
chargehand retry api ui --note 'use HTTP/2'
chargehand retry --all                      all that failed, was blocked or was cancelled
"""


@command("retry", examples=_EXAMPLES)
@task_arguments
@click.option("--all", "everything", is_flag=True, help="Every task that failed, was blocked or was cancelled.")
@click.option("--note", metavar="TEXT", default="", help="What else the agent is to be told; it stands in the brief.")
@run_option
async def retry(call: Call, tasks: tuple[str, ...], everything: bool, note: str, run: str | None) -> None:
    """Take TASK up again: one that failed, was blocked, skipped or cancelled, waits for you, or waits for its time.

    What was blocked on it waits again, too. A run that has ended goes on; what is integrated stays.
    """
    from chargehand.cli.requesting import new_request, print_sent, send_all
    from chargehand.domain.commands import RequestKind

    if bool(tasks) == everything:
        raise click.UsageError("Name tasks, or give --all.")
    workshop = await call.open()
    name = workshop.service.newest(run)
    wanted = dict.fromkeys(tasks or [""])
    sent = await send_all(workshop, name, [new_request(RequestKind.RETRY, task=task, note=note) for task in wanted])
    what = "What did not make it is" if everything else f"{', '.join(wanted)} {'is' if len(wanted) == 1 else 'are'}"
    print_sent(call, sent, *([f"{what} taken up again."] if all(one.taken for one in sent) else []))
