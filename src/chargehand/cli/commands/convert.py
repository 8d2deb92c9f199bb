"""`chargehand convert`: a plan of another system in the native format (SPEC 2.3, 10.1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command

if TYPE_CHECKING:
    from chargehand.domain.plan import Plan

__all__ = ["convert"]

_EXAMPLES = """
chargehand convert .nexus-cortexia/state.json --to native            print it
chargehand convert .konductor --to native --output plan.yaml         write it to a new file
"""


@command("convert", examples=_EXAMPLES)
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Choice(["native"]), required=True, help="The format to write.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="A new file; default: standard output.")
async def convert(call: Call, plan: Path | None, target: str, output: Path | None) -> None:
    """Write PLAN in another format. What is done already is left out; what was inferred is a comment at the top."""
    from chargehand.cli.failing import PlanRefused
    from chargehand.domain.errors import UserError
    from chargehand.plans.detect import read_plan
    from chargehand.plans.writer import dump_native

    loaded = read_plan(plan, call.repo or Path.cwd())
    if loaded.plan is None:
        raise PlanRefused(loaded.problems)
    for text in loaded.told:
        call.out.note(text)
    try:
        written = dump_native(_plain(loaded.plan))
    except ValueError as error:
        text = f"{loaded.source} cannot be written as {target}: {error}."
        raise UserError(text, code="not_native", hint="Name agents and bounds of each task in the plan.") from None
    if output is None and not call.out.json:
        call.out.text(written)
        return
    if output is not None:
        _write(output, written)
    names = {"plan": loaded.plan.plan, "source": loaded.source, "format": target, "reader": loaded.reader}
    if call.out.json:
        call.out.document({**names, "path": str(output) if output else None, "text": None if output else written})
    else:
        call.out.say(f"{output}: plan {loaded.plan.plan}, {len(loaded.plan.tasks)} tasks, read as {loaded.reader}")


def _plain(plan: Plan) -> Plan:
    """The plan without what only its own system has: summaries and specs go into the description of their task.

    Where tasks of one wave follow each other, as the native format does not have it, waves are left to be derived.
    """
    from dataclasses import replace

    waves = {task.id: task.wave or 0 for task in plan.tasks}
    shared = any(waves[task.id] <= waves.get(need, -1) for task in plan.tasks for need in task.depends_on)
    tasks = []
    for task in plan.tasks:
        more = "".join(f"\n\n{title}:\n{text}" for title, text in task.background)
        wave = None if shared else task.wave
        tasks.append(replace(task, description=f"{task.description}{more}".strip(), background=(), wave=wave))
    return replace(plan, tasks=tuple(tasks), profile="house")


def _write(output: Path, text: str) -> None:
    from chargehand.domain.errors import UserError

    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        hint = "Name a file that is not there yet."
        raise UserError(f"{output} exists already.", code="file_exists", hint=hint) from None
    except OSError as error:
        text = f"{output} cannot be written: {error.strerror}."
        raise UserError(text, code="not_written", hint="Choose another place.") from None
