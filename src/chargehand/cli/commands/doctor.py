"""`chargehand doctor`: explains a broken world, and repairs what it can (SPEC 8)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command

if TYPE_CHECKING:
    from chargehand.domain.errors import UserError
    from chargehand.wiring import Workshop
    from chargehand.wiring.doctor import Finding, Mended, Subject

__all__ = ["doctor"]

_EXAMPLES = """
chargehand doctor                  this machine, agents, every run, what is left over
chargehand doctor todo-1           one run: what it waits for, its branch, its programs
chargehand doctor plan.yaml        also the programs of a plan, as the sandbox shows them
chargehand doctor --agent claude   have an agent answer, in the sandbox and through the meter as in a run
chargehand doctor --repair         repair what can be; asks before anything is removed
chargehand doctor --repair --yes   the same without being asked
chargehand doctor --notify         also send a test message by every channel that is set
"""
_MOST_ROUNDS = 4
_NO_GIT = frozenset({"git_missing", "git_too_old", "no_commit"})


@command("doctor", examples=_EXAMPLES)
@click.argument("subject", required=False, metavar="[RUN|PLAN]")
@click.option("--agent", metavar="NAME", help="Only have this agent answer once; costs a few tokens.")
@click.option("--repair", is_flag=True, help="Repair what can be repaired.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask. Needed where there is no terminal.")
@click.option("--notify", is_flag=True, help="Send a test message by every channel that is set.")
async def doctor(call: Call, subject: str | None, agent: str | None, repair: bool, yes: bool, notify: bool) -> int:
    """Find out what is wrong here, what it means, and what to do about it.

    Exit code 0 when nothing is wrong (any more), 1 when something is.
    """
    from chargehand.domain.errors import UserError

    if agent is not None:
        return await _try(call, agent)
    try:
        workshop = await call.open()
    except UserError as error:
        if error.code not in _NO_GIT:
            raise
        return _conclude(call, [_no_git(error)])
    wanted = _subject(workshop, subject)
    findings = await workshop.examine(wanted)
    if notify:
        findings += await workshop.try_notifications()
    if repair:
        return await _repair(call, workshop, wanted, findings, yes=yes)
    return _conclude(call, findings)


async def _try(call: Call, agent: str) -> int:
    from chargehand.cli.render.trial import trial_document, trial_lines
    from chargehand.wiring.trying import try_agent

    settings = await call.settings()
    call.out.note(f"{agent} is asked to answer once.")
    trial = await try_agent(settings, os.environ, Path.cwd(), agent)
    call.out.say(*trial_lines(trial, call.pen))
    if call.out.json:
        call.out.document(trial_document(trial))
    return 0 if trial.ok else 1


def _conclude(call: Call, findings: list[Finding]) -> int:
    from chargehand.cli.render.diagnosis import diagnosis_document, diagnosis_lines, verdict_line

    call.out.say(*diagnosis_lines(findings, call.pen), "", verdict_line(findings, call.pen))
    if call.out.json:
        call.out.document(diagnosis_document(findings, [], call.pen))
    return _code(findings)


def _code(findings: list[Finding]) -> int:
    return 0 if all(finding.ok is not False for finding in findings) else 1


def _no_git(error: UserError) -> Finding:
    from chargehand.wiring.doctor import Finding

    return Finding(area="this machine", name="git", ok=False, text=error.message, hint=error.hint)


def _subject(workshop: Workshop, subject: str | None) -> Subject:
    """A run of that name, else the plan in that file."""
    from chargehand.cli.failing import PlanRefused
    from chargehand.domain.errors import UserError
    from chargehand.wiring.doctor import Subject

    if subject is None:
        return Subject()
    if subject in workshop.store.runs():
        return Subject(run=subject)
    if not Path(subject).exists():
        hint = "See `chargehand runs`; a plan is given by its path."
        raise UserError(f"{subject} is neither a run nor a file.", code="unknown_run", hint=hint)
    loaded = workshop.load_plan(Path(subject))
    if loaded.plan is None:
        raise PlanRefused(loaded.problems)
    return Subject(plan=loaded.plan)


async def _repair(call: Call, workshop: Workshop, wanted: Subject, findings: list[Finding], *, yes: bool) -> int:
    """Repair, look again, and repair what shows only then; says what was found, what was done, and what is left."""
    from chargehand.cli.render.diagnosis import diagnosis_document, diagnosis_lines, mended_lines, verdict_line

    out, pen = call.out, call.pen
    _refuse_without_a_yes(call, findings, yes=yes)
    out.say(*diagnosis_lines(findings, pen), "")
    mended: list[Mended] = []
    for _ in range(_MOST_ROUNDS):
        tried = {each.finding.key for each in mended}
        due = [finding for finding in findings if finding.repair is not None and finding.key not in tried]
        if not due:
            break
        for finding in due:
            mended.append(await _mend(call, finding, yes=yes))
            out.say(*mended_lines(mended[-1:], pen))
        findings = await workshop.examine(wanted)
    left = [finding for finding in findings if finding.ok is False]
    out.say(*(["", *diagnosis_lines(left, pen)] if mended and left else []))
    out.say(*([""] if mended else ["There is nothing that could be repaired."]), verdict_line(left, pen))
    if out.json:
        out.document(diagnosis_document(findings, mended, pen))
    return _code(findings)


def _refuse_without_a_yes(call: Call, findings: list[Finding], *, yes: bool) -> None:
    """Silence never approves: nothing is begun where something would be removed and nobody can be asked (I9)."""
    from chargehand.cli.driving import may_ask
    from chargehand.domain.errors import UserError

    asks = [finding.repair.text for finding in findings if finding.repair is not None and finding.repair.removes]
    if asks and not yes and not may_ask(call):
        text = f"Repairing would {asks[0]}; that needs a yes, and there is no terminal to ask on."
        raise UserError(text, code="needs_yes", hint="Add --yes.")


async def _mend(call: Call, finding: Finding, *, yes: bool) -> Mended:
    from chargehand.cli.driving import may_ask
    from chargehand.wiring.doctor import Mended, mend

    repair = finding.repair
    assert repair is not None
    if repair.removes and not yes:
        question = f"{repair.text[:1].upper()}{repair.text[1:]}?"
        if not may_ask(call) or not click.confirm(question, default=False, err=True):
            return Mended(finding=finding, done=False, text="It was left as it is: nobody said yes.")
    return await mend(finding)
