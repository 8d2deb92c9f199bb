"""`chargehand receipt`: the proof of what landed, shown, listed and checked again (SPEC 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command, optional_task, run_argument, run_option, task_option, yes_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from chargehand.wiring import Workshop

__all__ = ["receipt"]

_VERIFY = """
chargehand receipt verify                    does everything that the newest run proved still hold?
chargehand receipt verify todo-1 --no-run    journal, files, notes and commits only; no gate is run
chargehand receipt verify --task api         one task
"""
_SHOW = """
chargehand receipt show                      what is known of the newest run
chargehand receipt show api                  what is known of a task that landed
chargehand receipt show api --json           all of it
"""
_LIST = """
chargehand receipt list                      every receipt of the newest run, and where it lies
"""
_EXAMPLES = (_VERIFY + _SHOW + _LIST).replace("\n\n", "\n")


@click.group("receipt", invoke_without_command=True, epilog="\b\nExamples:" + _EXAMPLES.rstrip().replace("\n", "\n  "))
@click.option("--json", "_as_json", is_flag=True, hidden=True, expose_value=False)
@click.pass_context
def receipt(ctx: click.Context) -> None:
    """Show and check the proof of what landed: commits, gates, tests, verdicts, people, agents and what they used."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@command("verify", examples=_VERIFY)
@run_argument
@task_option("Check only what is known of this task.")
@click.option("--no-run", is_flag=True, help="Run no gate.")
@yes_option
async def verifying(call: Call, run: str | None, task: str | None, no_run: bool, yes: bool) -> int:
    """Check that what RUN proved still holds: journal, files and notes agree, its commits are there, its gates pass.

    The gates run again on the recorded trees, in the sandbox, without a model and without the cache; where the plan has
    commands that the run asked about, so does this. Exit code 0 when everything holds, 1 when something does not.
    """
    from chargehand.cli.render.receipts import verified_document, verified_lines, written_line
    from chargehand.wiring.verifying import verify

    workshop = await call.open()
    name = workshop.service.newest(run)
    tell: Callable[[str], None] | None = call.out.note if _is_watched(call) else None
    gates = not no_run and (yes or _may_run(call, workshop, name))
    done = await verify(workshop, name, tasks=[task] if task else (), gates=gates, tell=tell)
    if call.out.json:
        call.out.document(verified_document(done))
    else:
        if line := written_line(done.written):
            call.out.note(line)
        call.out.say(*verified_lines(done, call.pen))
    return 0 if done.holds else 1


def _may_run(call: Call, workshop: Workshop, run: str) -> bool:
    """Whether the gates may run: a yes of then was for that run, and is none for today [I9]."""
    from chargehand.cli.driving import may_ask
    from chargehand.cli.terminal import confirm
    from chargehand.domain.errors import ChargehandError, UserError

    try:
        questioned = workshop.service.look(run).state.questioned
    except ChargehandError:  # what is wrong with the journal is told with everything else, and no gate runs
        return True
    asked = list(dict.fromkeys(each.command for commands in questioned.values() for each in commands))
    if not asked:
        return True
    if not may_ask(call):
        text = f"Run {run} asked before it ran `{asked[0]}`, and there is no terminal to ask on."
        raise UserError(text, code="needs_yes", hint="Add --yes, or --no-run.")
    call.out.tell(*(f"  {each}" for each in asked))
    return confirm("Run this again, with the other gates?")


def _is_watched(call: Call) -> bool:
    """Progress is for a terminal."""
    from chargehand.cli.output import is_terminal

    return is_terminal(call.out.stderr) and not call.out.quiet


@command("show", examples=_SHOW)
@optional_task
@run_option
async def showing(call: Call, task: str | None, run: str | None) -> None:
    """Show the receipt of TASK, or without TASK that of the run; --json prints all of it."""
    from chargehand.cli.render.receipts import receipt_lines

    workshop = await call.open()
    name = workshop.service.newest(run)
    body = await _body(workshop, name, task or "")
    if call.out.json:
        call.out.document(body)
    else:
        call.out.say(*receipt_lines(body, call.pen))
    await _keep(call, workshop, name)


async def _body(workshop: Workshop, run: str, task: str) -> dict[str, object]:
    from chargehand.cli.looking import task_of
    from chargehand.domain.errors import AdapterError, UserError
    from chargehand.wiring.receipts import open_shelf

    shelf = await open_shelf(workshop, run)
    found = next((each for each in shelf.receipts if each.task == task), None)
    if found is not None and (task or shelf.reading.broken_at is None):
        return found.body
    if shelf.reading.broken_at is not None:
        raise AdapterError("journal", shelf.reading.problem)
    record = task_of(workshop.service.look(run).state, task)
    text = f"Task {task} has no receipt: it is {record.status.value}, and did not land."
    raise UserError(text, code="no_receipt", hint=f"See `chargehand why {task}`.")


async def _keep(call: Call, workshop: Workshop, run: str) -> None:
    """Make the files and notes that are missing, unless the process that drives the run will."""
    from chargehand.domain.errors import ChargehandError
    from chargehand.wiring.receipts import write_receipts

    if workshop.store.holder(run) is not None:
        return
    try:
        await write_receipts(workshop, run)
    except ChargehandError as error:
        call.out.note(f"The receipts could not be written: {error}")


@command("list", examples=_LIST)
@run_argument
async def listing(call: Call, run: str | None) -> None:
    """List the receipts of RUN: of every task that landed, and that of the run itself."""
    from chargehand.cli.render.receipts import list_document, list_lines
    from chargehand.wiring.receipts import open_shelf

    workshop = await call.open()
    shelf = await open_shelf(workshop, workshop.service.newest(run))
    if call.out.json:
        call.out.document(list_document(shelf))
    else:
        call.out.say(*list_lines(shelf, call.pen))


receipt.add_command(verifying)
receipt.add_command(showing)
receipt.add_command(listing)
