"""`chargehand accept`: land a run on your branch (SPEC 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command, run_argument

if TYPE_CHECKING:
    from chargehand.domain.state import RunState
    from chargehand.wiring import Workshop
    from chargehand.wiring.landing import Acceptance, Landing

__all__ = ["accept"]

_EXAMPLES = """
chargehand accept                      the newest run, on the branch it was started from
chargehand accept todo-2 --squash      as one commit
chargehand accept --target main --yes  without being asked
chargehand accept --pr                 push its branch and open a pull request with gh
"""
_SHOWN_FILES = 12
_SHOWN_TASKS = 12


@command("accept", examples=_EXAMPLES)
@run_argument
@click.option("--target", metavar="BRANCH", help="Where to land; default: the branch the run was started from.")
@click.option("--squash", is_flag=True, help="Land one commit instead of the branch's history.")
@click.option("--pr", is_flag=True, help="Open a pull request with gh instead; none of your branches changes.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask. Needed where there is no terminal.")
async def accept(call: Call, run: str | None, target: str | None, squash: bool, pr: bool, yes: bool) -> int:
    """Land RUN on your branch: a fast-forward when it can be, else a merge on which the run's gates pass first.

    The branch that is checked out is updated as `git merge` would, and refused where local changes overlap. Where the
    plan's system wants no commit the change is left staged there instead, and --squash commits it all the same.

    With --pr the run's branch is pushed, and nothing else, and a pull request against the target is opened with the
    report as its text; one that is open already gets the text of now.
    """
    if pr and squash:
        from chargehand.domain.errors import UserError

        text = "--squash is about landing here; how a pull request is merged is said where it is merged."
        raise UserError(text, code="bad_option", hint="Leave out one of --pr and --squash.")
    workshop = await call.open()
    name = workshop.service.newest(run)
    if pr:
        return await _propose(call, workshop, name, target, yes=yes)
    landing = await workshop.accept_plan(name, target, squash=squash)
    state = workshop.service.look(name).state
    failed = _failed(state) if landing.commits else ""
    if failed:
        call.out.tell(failed)
    if landing.commits and not yes and not _ask(call, landing):
        call.out.tell("Nothing was landed.")
        return 1
    if landing.moved and landing.commits:
        call.out.note(f"{landing.target} has moved since: the run gates run on the merge first.")
    done = await workshop.accept(name, target, squash=squash)
    if call.out.json:
        call.out.document(_document(done, failed))
    else:
        call.out.say(*_lines(done, state))
    return 0


async def _propose(call: Call, workshop: Workshop, run: str, target: str | None, *, yes: bool) -> int:
    from chargehand.cli.render.units import count
    from chargehand.wiring.pull_request import look_before_pull_request, open_pull_request

    proposal = await look_before_pull_request(workshop, run, target)
    failed = _failed(workshop.service.look(run).state)
    if failed:
        call.out.tell(failed)
    where = f"{proposal.remote} ({proposal.url})" if proposal.url else proposal.remote
    question = (
        f"Push {proposal.branch} ({count(proposal.commits, 'commit')}) to {where} "
        f"and open a pull request against {proposal.target}?"
    )
    if not yes:
        _refuse_unasked(call, f"Pushing run {run} to {proposal.remote}")
        if not _confirm(question):
            call.out.tell("Nothing was pushed.")
            return 1
    done = await open_pull_request(workshop, proposal)
    if call.out.json:
        warnings = [{"code": "run_failed", "task": None, "text": failed}] if failed else []
        told = {"run": run, "target": done.target, "branch": done.branch, "remote": done.remote, "commit": done.commit}
        call.out.document({**told, "url": done.url, "created": done.created, "warnings": warnings})
        return 0
    what = "opened" if done.created else "was open already; its text is that of now"
    call.out.say(f"{done.branch} is on {done.remote}. The pull request against {done.target} {what}.", done.url)
    return 0


def _refuse_unasked(call: Call, what: str) -> None:
    """Silence never approves: without a terminal to ask on, only --yes does [I9]."""
    from chargehand.cli.driving import may_ask
    from chargehand.domain.errors import UserError

    if not may_ask(call):
        raise UserError(f"{what} needs a yes, and there is no terminal to ask on.", code="needs_yes", hint="Add --yes.")


def _confirm(question: str) -> bool:
    from chargehand.cli.terminal import confirm

    return confirm(question)


def _failed(state: RunState) -> str:
    """What is missing in a run that did not come to a good end; empty when nothing is."""
    from chargehand.domain.words import RunVerdict, TaskStatus

    end = state.finished
    if end is None or end.verdict is RunVerdict.FINISHED:
        return ""
    if state.stopped is None:  # the end itself tells which tasks are missing, and which gates are red
        return f"run {state.run} has {end.verdict}: {end.detail}"
    kept = {TaskStatus.INTEGRATED, TaskStatus.SKIPPED}
    missing = [record.id for record in state.tasks.values() if record.status not in kept]
    more = f", and {len(missing) - _SHOWN_TASKS} more" if len(missing) > _SHOWN_TASKS else ""
    named = ", ".join(missing[:_SHOWN_TASKS]) + more
    lost = f"{len(missing)} of {len(state.tasks)} tasks are not integrated: {named}"
    return f"run {state.run} has {end.verdict}: {lost}. {end.detail}".rstrip()


def _ask(call: Call, landing: Landing) -> bool:
    from chargehand.cli.render.units import count

    _refuse_unasked(call, f"Landing run {landing.run} on {landing.target}")
    shown = list(landing.files[:_SHOWN_FILES])
    more = len(landing.files) - len(shown)
    call.out.tell(*(f"  {path}" for path in shown), *([f"  and {more} more"] if more else []))
    what = f"{count(landing.commits, 'commit')} of run {landing.run}"
    if landing.staged:
        return _confirm(f"Leave the change of {what} staged on {landing.target}, without a commit?")
    return _confirm(f"Land {what} on {landing.target}?")


def _lines(done: Acceptance, state: RunState) -> list[str]:
    from chargehand.cli.render.lines import RED_AS_ON_BASE, is_as_on_base
    from chargehand.cli.render.units import short

    if done.is_staged:
        lines = [f"The change lies staged in {done.checkout}, on {done.target}; nothing was committed."]
    elif done.how == "nothing" and done.checkout:
        return [f"The change lies staged in {done.checkout} already, on {done.target}."]
    elif done.how == "nothing":
        return [f"{done.target} holds everything of run {done.run} already ({short(done.after)})."]
    else:
        lines = [f"{done.target} is at {short(done.after)} now ({done.how}; it was at {short(done.before)})."]
    told = [
        f"{r.gate} {RED_AS_ON_BASE if is_as_on_base(r, state.baseline_red) else r.status.value}" for r in done.gates
    ]
    lines += [f"gates on the merge: {', '.join(told)}."] if told else []
    lines += [f"{done.checkout} was updated."] if done.checkout and not done.is_staged else []
    lines += [f"ran `{command}`." for command in done.closed]
    lines += [done.left_open] if done.left_open else []
    return lines


def _document(done: Acceptance, failed: str) -> dict[str, object]:
    return {
        "run": done.run,
        "target": done.target,
        "before": done.before,
        "after": done.after,
        "how": done.how,
        "checkout": str(done.checkout) if done.checkout else None,
        "gates": [{"gate": result.gate, "status": result.status.value} for result in done.gates],
        "warnings": [
            {"code": code, "task": None, "text": text}
            for code, text in (("run_failed", failed), ("books_open", done.left_open))
            if text
        ],
    }
