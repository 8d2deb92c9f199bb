"""From a plan file to a run that is under way (SPEC 3.1)."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.cli.call import Call
from chargehand.cli.carrying import carry
from chargehand.cli.driving import may_ask
from chargehand.cli.failing import PlanRefused
from chargehand.cli.preview import again_lines, preview_lines, taken_lines
from chargehand.cli.render.checked import problem_lines
from chargehand.cli.render.pen import hang
from chargehand.cli.render.units import count
from chargehand.cli.surveying import Surveyed, print_check, survey_plan
from chargehand.cli.terminal import confirm
from chargehand.domain.errors import UserError
from chargehand.wiring.profiling import refuse
from chargehand.wiring.starting import refuse_second_run
from chargehand.wiring.unaccepted import Unaccepted, unaccepted

if TYPE_CHECKING:
    from chargehand.cli.detaching import Detachment
    from chargehand.domain.events import RunStarted
    from chargehand.domain.options import RunOptions
    from chargehand.domain.plan import Plan
    from chargehand.settings import Settings
    from chargehand.wiring import Workshop

__all__ = ["SAID_LATER", "checked", "set_out"]

SAID_LATER = frozenset({"unknown_agent", "no_agent", "profile_unavailable"})
"""Codes of warnings that are errors of their own where a run is started."""

_SHOWN_WARNINGS = 5
_REVIEWERS = ("reviewer", "reviewer_command")


async def set_out(
    call: Call,
    path: Path | None,
    *,
    base: str | None,
    only: tuple[str, ...],
    dry_run: bool,
    no_wait: bool,
    run_id: str | None,
    new: bool,
    yes: bool,
    detachment: Detachment | None = None,
) -> int:
    """Read, check, ask where somebody is there to be asked, start, drive; answers with the exit code.

    With a `detachment` the terminal is left once the run is held.
    """
    workshop = await call.open()
    surveyed = await survey_plan(workshop, path, base)
    if dry_run:
        return print_check(call, surveyed, path)
    if surveyed.errors and surveyed.loaded.draft is not None:
        refuse(workshop, surveyed.loaded.draft, Path(surveyed.loaded.source), surveyed.errors)
    plan = checked(surveyed)
    unreadable: list[str] = []
    if not new:
        refuse_second_run(workshop.service, workshop.store, plan)
        unreadable = _unreadable(workshop)
    loaded = surveyed.loaded
    files = [Path(file) for file in loaded.files]
    event = await workshop.new_run(
        plan, base=base, run_id=run_id, only=only, plan_file=Path(loaded.source), files=files
    )
    _check_commands(event.options)
    await workshop.sandbox(event.options.sandbox)  # one that does not work is a mistake to be told before anything is
    asks = path is None and not yes and may_ask(call)
    staged = await _staged(call, workshop, event.base)
    again = await unaccepted(workshop, event)
    call.out.note(*staged if asks else ())
    if asks and not _ask(call, surveyed, event, again):
        call.out.tell("Nothing was started.")
        return 1
    held = await workshop.start(event, any_id=run_id is None, alone=not new)
    try:
        call.out.tell(f"run {held.run}")  # the first line of stderr, whatever else there is to say
        if path is None and not asks:
            call.out.note(*taken_lines(surveyed.loaded, plan.profile, call.side_pen))
        call.out.note(*staged if not asks else ())
        _warn_of_settings(call, workshop.settings)
        _warn_of_runs(call, unreadable)
        if not asks:
            _warn_of_what_follows(call, surveyed, event, again)
    except BaseException:
        held.release()
        raise
    return await carry(call, workshop, held, no_wait=no_wait, detachment=detachment)


def checked(surveyed: Surveyed) -> Plan:
    """The plan when nothing is wrong with it; `PlanRefused` with every error."""
    plan = surveyed.loaded.plan
    if surveyed.errors or plan is None:
        raise PlanRefused(surveyed.errors)
    from chargehand.profiles import profile_of

    profile_of(plan.profile)
    return plan


def _check_commands(options: RunOptions) -> None:
    """A command line that cannot be split is told before there is a run."""
    for agent in options.agents:
        try:
            shlex.split(agent.command)
        except ValueError as error:
            text = f"The command of agent {agent.name} cannot be split into words: {agent.command}: {error}."
            raise UserError(text, code="bad_command", hint="It is split as a shell would.") from None


def _ask(call: Call, surveyed: Surveyed, event: RunStarted, again: Unaccepted | None) -> bool:
    """Nobody says yes to what was not shown: the tasks, who works on them, where it goes, and what is to be minded."""
    plan = event.plan
    call.out.tell(*taken_lines(surveyed.loaded, plan.profile, call.side_pen), *preview_lines(event, call.side_pen))
    _warn_of_what_follows(call, surveyed, event, again)
    return confirm(f"Start {surveyed.loaded.source}: plan {plan.plan}, {count(len(plan.tasks), 'task')}?")


def _warn_of_what_follows(call: Call, surveyed: Surveyed, event: RunStarted, again: Unaccepted | None) -> None:
    _warn(call, surveyed, reviews=event.options.review)
    if again is not None:
        call.out.note(*again_lines(again, call.side_pen))


def _unreadable(workshop: Workshop) -> list[str]:
    """The runs of which nobody can say whether they are unfinished runs of the same plan."""
    from chargehand.engine.service import UnreadableRun

    return [each.run for each in workshop.service.runs() if isinstance(each, UnreadableRun)]


def _warn_of_runs(call: Call, unreadable: list[str]) -> None:
    if unreadable:
        pen = call.side_pen
        one = len(unreadable) == 1
        text = (
            f"{'run' if one else 'runs'} {', '.join(unreadable)} could not be read, and may be "
            f"{'an unfinished run' if one else 'unfinished runs'} of this plan: `{pen.step('doctor')}` tells why."
        )
        call.out.note(*hang(f"{pen.draw('warning', 'ask')}: ", text, pen))


async def _staged(call: Call, workshop: Workshop, base: str) -> list[str]:
    """A warning for each accepted change that lies staged in the checkout, and that the run would be without."""
    from chargehand.wiring.staging import staged_apart

    pen, lines = call.side_pen, []
    for each in await staged_apart(workshop, base):
        text = (
            f"the change of run {each.run} lies staged in your checkout, and is not committed: this run begins at "
            f"{base[:10]}, without it ({count(len(each.paths), 'path')}). To build on it, stop this run, `git commit`, "
            "and start again."
        )
        lines += hang(f"{pen.draw('warning', 'ask')}: ", text, pen)
    return lines


def _warn_of_settings(call: Call, settings: Settings) -> None:
    pen = call.side_pen
    for problem in settings.warnings:
        call.out.note(*problem_lines(problem, pen))


def _warn(call: Call, surveyed: Surveyed, *, reviews: bool) -> None:
    """What `check` would warn of, without its hints, and not more than fits above the header."""
    pen = call.side_pen
    warnings = [problem for problem in surveyed.warnings if problem.code not in SAID_LATER]
    for problem in warnings[:_SHOWN_WARNINGS]:
        call.out.note(*problem_lines(replace(problem, hint=""), pen))
    if not reviews and any(call.flags.get(key) for key in _REVIEWERS):
        call.out.note(
            f"{pen.draw('warning', 'ask')}: no reviews are wanted, so the reviewer that was given is not used."
        )
    if len(warnings) > _SHOWN_WARNINGS:
        rest = count(len(warnings) - _SHOWN_WARNINGS, "more warning")
        call.out.note(f"{rest}: " + pen.step(f"check {shlex.quote(surveyed.loaded.source)}"))
