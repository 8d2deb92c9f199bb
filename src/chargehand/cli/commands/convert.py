"""`chargehand convert`: a plan of another system in the native format (SPEC 2.3, 10.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command

if TYPE_CHECKING:
    from chargehand.domain.plan import Plan
    from chargehand.plans.loaded import LoadedPlan
    from chargehand.plans.native_form import Loss
    from chargehand.settings import Settings

__all__ = ["convert"]

_MOST = 20
_EXAMPLES = """
chargehand convert .nexus-cortexia/state.json --to native            print it
chargehand convert .konductor --to native --output plan.yaml         write it to a new file
"""


@command("convert", examples=_EXAMPLES)
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@click.option("--to", "target", type=click.Choice(["native"]), required=True, help="The format to write.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="A new file; default: standard output.")
async def convert(call: Call, plan: Path | None, target: str, output: Path | None) -> None:
    """Write PLAN in another format. What is done already is left out; what was inferred is a comment at the top.

    What the format cannot hold is told on stderr, one line for each kind.
    """
    from chargehand.cli.failing import PlanRefused
    from chargehand.cli.render.checked import problem_lines
    from chargehand.cli.surveying import read_claimed
    from chargehand.domain.errors import UserError
    from chargehand.plans.native_form import losses, native_form
    from chargehand.plans.writer import dump_native

    loaded = await read_claimed(call, plan)
    if loaded.plan is None:
        raise PlanRefused(loaded.problems)
    for text in loaded.told:
        call.out.note(text)
    for problem in loaded.problems:
        call.out.note(*problem_lines(problem, call.side_pen))
    try:
        written = dump_native(native_form(loaded.plan))
    except ValueError as error:
        text = f"{loaded.source} cannot be written as {target}: {error}."
        raise UserError(text, code="not_native", hint="Name agents and bounds of each task in the plan.") from None
    lost = (*losses(loaded.plan, _read_back(written, loaded)), *_rules(loaded.plan, await call.settings()))
    call.out.tell(*(_told(loss) for loss in lost))
    if output is None and not call.out.json:
        call.out.text(written)
        return
    if output is not None:
        _write(output, written)
    names = {"plan": loaded.plan.plan, "source": loaded.source, "format": target, "reader": loaded.reader}
    if call.out.json:
        rows = [{"field": loss.field, "text": loss.text, "tasks": list(loss.tasks)} for loss in lost]
        where = {"path": str(output) if output else None, "text": None if output else written}
        call.out.document({**names, **where, "lost": rows})
    else:
        call.out.say(f"{output}: plan {loaded.plan.plan}, {len(loaded.plan.tasks)} tasks, read as {loaded.reader}")


def _read_back(text: str, loaded: LoadedPlan) -> Plan:
    """The plan as whoever reads the file gets it."""
    from chargehand.domain.errors import UserError
    from chargehand.plans.native import parse_plan

    again = parse_plan(text, "plan.yaml")
    if again.plan is None:
        why = "; ".join(problem.message for problem in again.problems[:3])
        hint = "Change it in the plan of its system."
        raise UserError(f"{loaded.source} cannot be written as native: {why}", code="not_native", hint=hint)
    return again.plan


def _rules(plan: Plan, settings: Settings) -> Iterator[Loss]:
    """The rules of the plan's system, each with that of the house, and the gates that it makes of settings."""
    from chargehand.plans.native_form import Loss
    from chargehand.wiring.profiling import gates_of_settings, rules_of

    for name, text in (*rules_of(plan.profile), *gates_of_settings(plan, settings)):
        yield Loss(field=f"profile.{name}", text=text)


def _told(loss: Loss) -> str:
    more = len(loss.tasks) - _MOST
    names = ", ".join(loss.tasks[:_MOST]) + (f" and {more} more" if more > 0 else "")
    return f"Not kept: {loss.field}: {loss.text}" + (f" ({names})." if names else ".")


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
