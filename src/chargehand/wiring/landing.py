"""`accept`: from a finished run to the user's own branch (SPEC 6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters import accept as accepting
from chargehand.domain.errors import UserError
from chargehand.domain.events import RunAccepted
from chargehand.domain.gating import judge_gates
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.domain.plan import GatePoint
from chargehand.domain.state import RunState
from chargehand.domain.view import open_decisions
from chargehand.domain.words import RunVerdict
from chargehand.engine.jobs import gates_on_commit
from chargehand.wiring.books import close_books
from chargehand.wiring.ports import gates_alone
from chargehand.wiring.profiling import projections
from chargehand.wiring.receipts import project

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Acceptance", "Landing", "accept", "chosen_target", "finished_state", "look_before"]

_UNTOLD = "accepted-untold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """What `accept` would do: `commits` that `target` does not have yet; `moved`: the gates run on the merge first.

    `staged`: their change is left in the index and the files of the checkout, and nothing is committed.
    """

    run: str
    branch: str
    target: str
    commits: int
    moved: bool
    files: tuple[str, ...]
    staged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What `accept` did. `how` is fast-forward, merge, squash, staged or nothing (it was there already).

    `closed` are the commands of the plan's system that were run after it, `left_open` why one was not.
    """

    run: str
    target: str
    before: str
    after: str
    how: str
    checkout: Path | None = None
    gates: tuple[GateResult, ...] = ()
    closed: tuple[str, ...] = ()
    left_open: str = ""

    @property
    def is_staged(self) -> bool:
        """Whether the change lies in the index and the files of `checkout`, and is committed nowhere."""
        return self.how == "staged"


async def look_before(shop: Workshop, run: str, target: str | None, *, squash: bool = False) -> Landing:
    """What `accept` would land, and where; `UserError` when the run cannot be accepted."""
    state = finished_state(shop, run)
    target = await chosen_target(shop, state, target)
    git = shop.repository.git()
    old, head = await _both(shop, state, target)
    commits = await git.text("rev-list", "--count", f"{old}..{head}")
    names = await git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, head)
    files = tuple(name.decode("utf-8", "replace") for name in names.stdout.split(b"\0") if name)
    base = await git.run("merge-base", "--is-ancestor", old, head, ok=(0, 1))
    return Landing(
        run=run,
        branch=state.branch,
        target=target,
        commits=int(commits),
        moved=base.code != 0,
        files=files,
        staged=state.plan.accept_staged and not squash,
    )


async def accept(shop: Workshop, run: str, target: str | None, *, squash: bool) -> Acceptance:
    """Land the integration branch on the target; `UserError` says why it was refused, and nothing changed.

    A plan may want the change left staged instead; `squash` commits it all the same.
    """
    state = finished_state(shop, run)
    target = await chosen_target(shop, state, target)
    untold = shop.store.folder(run) / _UNTOLD
    if held := await _held_already(shop, state, target):
        closed, left_open = await _tell(shop, run, untold)
        return replace(held, closed=closed, left_open=left_open)
    message = _message(state, target, squash=squash)
    tested: list[GateResult] = []

    async def gates(prepared: accepting.Prepared) -> str:
        tested.extend(await _test_merge(shop, state, prepared))
        due = [gate.id for gate in state.plan.gates_on(GatePoint.RUN)]
        verdict = judge_gates(tested, state.baseline_red, due, prepared.tree)
        red = [r.gate for r in (*verdict.red, *verdict.faults) if r.gate not in state.plan.allow_red]
        return f"red on the merge with {target}: {', '.join(red)}" if red else ""

    result = await accepting.accept(
        shop.repository,
        state.branch,
        target,
        message=message,
        squash=squash,
        staged=state.plan.accept_staged and not squash,
        gates=gates,
        expect=state.head,
    )
    if isinstance(result, accepting.Refused):
        raise _refusal(result, target)
    how = _how(state, result, squash=squash)
    event = await _fact(shop, state, result, how)
    if event is not None:
        untold.touch()
        shop.service.accepted(run, event)
    closed, left_open = await _tell(shop, run, untold)
    return Acceptance(
        run=run,
        target=target,
        before=result.old,
        after=result.old if result.staged else result.commit,
        how=how,
        checkout=result.checkout,
        gates=tuple(tested),
        closed=closed,
        left_open=left_open,
    )


async def _tell(shop: Workshop, run: str, untold: Path) -> tuple[tuple[str, ...], str]:
    """Show in the files of the plan's system, receipts and books what was accepted, and what `close_books` says of it.

    Once: those files may be about something else by the next time. A mark in the run's folder, made before the journal
    is told, says that it is still to be done; a process that was killed in between left it.
    """
    state = shop.service.look(run).state
    if state.accepted is None or not untold.exists():
        return (), ""
    for projection in projections(shop, state):
        projection.accepted(state, state.accepted.commit)
    await project(shop, run)
    books = await close_books(shop, state) if state.is_landed else ((), "")
    untold.unlink()
    return books


async def _held_already(shop: Workshop, state: RunState, target: str) -> Acceptance | None:
    """What to answer when the target holds what was accepted before, though it may not look it (a squash)."""
    before, now = state.accepted, await shop.repository.ref(f"refs/heads/{target}")
    if before is None or before.is_staged or before.target != target or now is None:
        return None
    got = await shop.repository.git().run("merge-base", "--is-ancestor", before.commit, now, ok=(0, 1, 128))
    if got.code != 0:
        return None
    return Acceptance(run=state.run, target=target, before=now, after=now, how="nothing")


def finished_state(shop: Workshop, run: str) -> RunState:
    """The state of a run that is over and has something to land; `UserError` where it is not so."""
    summary = shop.service.look(run)
    state = summary.state
    if state.finished is None:
        who = shop.store.holder(run)
        asked = ", ".join(decision.id for decision in open_decisions(state, held=False))
        answer = f"It asks {asked}: see `chargehand decisions {run}`, and answer. Then finish" if asked else "Finish"
        hint = f"It is held by {who}." if who else f"{answer} it with `chargehand resume {run}`."
        raise UserError(f"Run {run} is not finished.", code="run_not_finished", hint=hint)
    if state.head is None or state.head == state.base:
        raise UserError(
            f"Nothing of run {run} was integrated.", code="nothing_to_accept", hint=f"See `chargehand status {run}`."
        )
    return state


async def chosen_target(shop: Workshop, state: RunState, target: str | None) -> str:
    """The branch that is meant: the one named, else that of the run, else the one that is checked out."""
    chosen = target or state.options.target or await shop.current_branch()
    if not chosen:
        raise UserError(
            "HEAD is detached: there is no branch to land on.", code="no_target", hint="Name one with --target BRANCH."
        )
    return chosen


async def _both(shop: Workshop, state: RunState, target: str) -> tuple[str, str]:
    old = await shop.repository.ref(f"refs/heads/{target}")
    head = await shop.repository.ref(f"refs/heads/{state.branch}")
    for branch, commit in ((target, old), (state.branch, head)):
        if commit is None:
            hint = "`git branch --list` shows the branches there are."
            raise UserError(f"There is no branch {branch!r}.", code="unknown_branch", hint=hint)
    assert old is not None
    assert head is not None
    if head != state.head:
        raise UserError(
            f"{state.branch} is not where the run left it: it was moved by somebody else.",
            code="branch_moved",
            hint=f"`git log {state.head}..{state.branch}` shows what was added; move it back to {state.head}.",
        )
    return old, head


async def _test_merge(shop: Workshop, state: RunState, prepared: accepting.Prepared) -> tuple[GateResult, ...]:
    checks = state.plan.gates_on(GatePoint.RUN)
    if not checks:
        return ()
    async with gates_alone(shop, state) as runner:
        job = gates_on_commit(state, GatePoint.RUN, prepared.commit, prepared.tree, key=f"accept/0/{state.run}")
        results = await runner.run(job)
    return tuple(result for result in results if result.status is not GateStatus.SKIPPED)


def _message(state: RunState, target: str, *, squash: bool) -> str:
    failed = state.finished is not None and state.finished.verdict is not RunVerdict.FINISHED
    landed = [f"- {r.id}: {r.task.title}" for r in state.tasks.values() if r.landed]
    title = f"{state.plan.plan}: {len(landed)} of {len(state.tasks)} tasks" if failed else state.plan.plan
    verb = "Land" if squash else "Merge"
    goal = f"{state.plan.goal.strip()}\n\n" if state.plan.goal.strip() else ""
    body = "\n".join(landed)
    return f"{verb} {title} into {target}\n\n{goal}{body}\n\nChargehand-Run: {state.run}\n"


def _how(state: RunState, result: accepting.Accepted, *, squash: bool) -> str:
    if result.staged:
        return "staged" if result.changed else "nothing"
    if result.commit == result.old:
        return "nothing"
    if result.commit == state.head:
        return "fast-forward"
    return "squash" if squash else "merge"


async def _fact(shop: Workshop, state: RunState, result: accepting.Accepted, how: str) -> RunAccepted | None:
    """What the journal has to tell; nothing where it does. A process killed after git was done has told nothing yet."""
    target, head, before = result.target, state.head or state.base, state.accepted
    if result.staged:
        event = RunAccepted(target=target, commit=head, how="staged")
        return event if result.changed or before != event else None
    if how != "nothing":
        return RunAccepted(target=target, commit=result.commit, how=how)
    if before is not None and not before.is_staged:
        return None
    holds = await shop.repository.git().run("merge-base", "--is-ancestor", head, result.old, ok=(0, 1))
    way = "squash" if holds.code else "fast-forward" if result.old == head else "merge"
    return RunAccepted(target=target, commit=result.old, how=way)


_HINTS = {
    accepting.Refusal.CONFLICT: "Merge the branch by hand, or start a new run on the new target.",
    accepting.Refusal.GATES: "Start a new run from the target, or mend the merge by hand.",
    accepting.Refusal.MOVED: "Try again.",
    accepting.Refusal.BRANCH_MOVED: "Look at what was added, and move the branch back.",
    accepting.Refusal.LOCAL_CHANGES: "Commit, stash or move these changes, then accept again.",
    accepting.Refusal.NOT_CHECKED_OUT: "Check it out, or commit with `chargehand accept --squash`.",
    accepting.Refusal.BUSY: "Finish that first, then accept again.",
}
_CODES = {accepting.Refusal.GATES: "gates_red", accepting.Refusal.LOCAL_CHANGES: "overlapping_changes"}


def _refusal(refused: accepting.Refused, target: str) -> UserError:
    paths = f" Files: {', '.join(refused.paths[:10])}." if refused.paths else ""
    detail = refused.detail.strip().splitlines()[0] if refused.detail.strip() else refused.reason.value
    code = _CODES.get(refused.reason, refused.reason.value)
    text = f"Nothing was landed on {target}: {detail.rstrip('.')}.{paths}"
    return UserError(text, code=code, hint=_HINTS[refused.reason])
