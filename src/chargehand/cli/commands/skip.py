"""`chargehand skip`: leave tasks out (SPEC 9, 10.1)."""

from __future__ import annotations

import click

from chargehand.cli.call import Call, command, run_option, task_arguments

__all__ = ["skip"]

_EXAMPLES = """
chargehand skip docs           leave it out
chargehand skip docs api --yes without being asked
chargehand retry docs          take it up after all
"""


@command("skip", examples=_EXAMPLES)
@task_arguments
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@run_option
async def skip(call: Call, tasks: tuple[str, ...], yes: bool, run: str | None) -> int:
    """Leave TASK out of the run. Tasks that depend on it are blocked; work that was begun is kept.

    In plans that state no order, which `check` calls inferred, the tasks after it go on.

    On a terminal it asks first. `chargehand retry` takes a skipped task up again.
    """
    from chargehand.cli.driving import may_ask
    from chargehand.cli.looking import task_of
    from chargehand.cli.requesting import new_request, print_sent, send_all
    from chargehand.cli.terminal import confirm
    from chargehand.domain.commands import RequestKind, obey
    from chargehand.domain.left_out import blocked_by

    if not tasks:
        raise click.UsageError("Name the tasks to be left out.")
    workshop = await call.open()
    name = workshop.service.newest(run)
    wanted = list(dict.fromkeys(tasks))
    requests = [new_request(RequestKind.SKIP, task=task) for task in wanted]
    state = workshop.service.look(name).state
    for request in requests:
        task_of(state, request.task)
        obey(state, request)
    behind = blocked_by(state, wanted)
    if behind:
        call.out.tell(f"blocked by that: {', '.join(behind)}")
    listed = ", ".join(wanted)
    if not yes and may_ask(call) and not confirm(f"Skip {listed} of run {name}?"):
        call.out.tell("Nothing was skipped.")
        return 1
    sent = await send_all(workshop, name, requests)
    verb = "is" if len(wanted) == 1 else "are"
    print_sent(call, sent, *([f"{listed} {verb} left out."] if all(one.taken for one in sent) else []))
    return 0
