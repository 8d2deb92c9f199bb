"""The integration branch and the commits a run stands on: moved, deleted, checked out, gone."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from chargehand.adapters.git.command import GitFailed
from chargehand.adapters.git.refs import ref_safe
from chargehand.domain.effects import Land
from chargehand.domain.errors import UserError
from chargehand.domain.events import HistoryLost
from chargehand.domain.evolve import fold
from chargehand.domain.ids import REF_ROOT
from chargehand.domain.words import DecisionKind, TaskStatus
from chargehand.wiring.doctor.case import Case, SealedRef, holding
from chargehand.wiring.doctor.evidence import Evidence, gather
from chargehand.wiring.doctor.finding import Finding, Repair, listed, many
from chargehand.wiring.doctor.rebuilding import events_beyond

if TYPE_CHECKING:
    from chargehand.adapters.git import Repository

__all__ = ["look_at_branch", "look_at_work", "missing_commits"]

_SHORT = 10
_LOOKS = 3


async def missing_commits(repository: Repository, commits: Iterable[str]) -> set[str]:
    """Those that the repository does not have (any more)."""
    asked = list(dict.fromkeys(commits))
    feed = "".join(f"{commit}^{{commit}}\n" for commit in asked).encode()
    got = await repository.git().run("cat-file", "--batch-check=%(objectname)", stdin=feed)
    answers = got.stdout.decode("ascii", "replace").splitlines()
    return {commit for commit, answer in zip(asked, answers, strict=True) if answer.endswith(" missing")}


# -- the branch -----------------------------------------------------------------------------------


async def look_at_branch(case: Case) -> list[Finding]:
    """Whether the branch is where the journal says, and nobody works on it."""
    repository, state = case.shop.repository, case.state
    gone = await missing_commits(repository, [state.base, case.head])
    found = [_no_base(case)] if state.base in gone and not case.is_over else []
    if state.is_landed:
        return found  # it is on a branch of the user's: this one may be moved and deleted
    tip = await _tip(case)
    if tip is None and state.opened:
        found.append(_deleted(case, is_lost=case.head in gone))
    elif tip is not None and case.head in gone:
        found.append(_no_head(case, tip))
    elif tip is not None and not await _is_expected(case, tip):
        found.append(await _behind(case) or await _moved(case, tip))
    return found if case.is_over else found + await _checked_out(case)


async def _tip(case: Case) -> str | None:
    return await case.shop.repository.ref(f"refs/heads/{case.state.branch}")


async def _is_expected(case: Case, tip: str) -> bool:
    """Whether the branch stands where the run left it, or where it was just about to land.

    While the run is driven its branch moves between two looks: the journal is asked again.
    """
    for _ in range(_LOOKS if case.holder else 1):
        landing = {effect.commit for effect in case.state.inflight.values() if isinstance(effect, Land)}
        if tip in {case.head, *landing}:
            return True
        case = replace(case, state=case.shop.service.look(case.run).state)
        tip = await _tip(case) or tip
    return case.holder is not None and tip == case.head


def _no_base(case: Case) -> Finding:
    base = case.state.base
    text = f"the commit {base[:_SHORT]} it started from is not in this repository any more: no workspace can be made"
    hint = f"Fetch it from where it is: `git fetch REMOTE {base}` (a shallow clone: `git fetch --unshallow`)."
    return Finding(area=case.area, name="base", ok=False, text=text, hint=hint)


def _no_head(case: Case, tip: str) -> Finding:
    text = (
        f"the commit {case.head[:_SHORT]} that the journal has as its newest is gone; the branch is at {tip[:_SHORT]}"
    )
    hint = f"Fetch it from another copy of the repository: `git fetch COPY {case.head}`."
    return Finding(area=case.area, name="branch", ok=False, text=text, hint=hint)


def _deleted(case: Case, *, is_lost: bool) -> Finding:
    branch, head = case.state.branch, case.head
    landed = sum(1 for record in case.state.tasks.values() if record.landed)
    text = f"the branch {branch} was deleted; it stood at {head[:_SHORT]} with {many(landed, 'landed task')}"
    if is_lost:
        text += ", and that commit is gone too: what landed is lost here"
        hint = f"Fetch it from another copy of the repository: `git fetch COPY {head}:refs/heads/{branch}`."
        return Finding(area=case.area, name="branch", ok=False, text=text, hint=hint)
    if case.is_over:  # meant, perhaps: nobody waits for it any more
        hint = f"`git branch {branch} {head[:_SHORT]}` makes it again."
        return Finding(area=case.area, name="branch", ok=None, text=text, hint=hint)
    repair = Repair(text=f"make the branch {branch} again at {head[:_SHORT]}", act=lambda: _make_again(case))
    hint = "`chargehand doctor --repair` makes it again: all its commits are still there."
    return Finding(area=case.area, name="branch", ok=False, text=text, hint=hint, repair=repair)


async def _make_again(case: Case) -> str:
    repository, branch = case.shop.repository, case.state.branch
    with holding(case.shop, case.run):
        head = replace(case, state=case.shop.service.look(case.run).state).head
        made = await repository.set_ref(
            f"refs/heads/{branch}", head, repository.zero, why="chargehand doctor: deleted branch"
        )
    if not made:
        raise UserError(f"{branch} is there again: somebody else made it.")
    return f"{branch} is at {head[:_SHORT]} again."


async def _behind(case: Case) -> Finding | None:
    """The branch has landings of this very run that the journal does not know; what others did is told after that."""
    landings = (await _evidence(case)).landings
    unknown = [landing.task for landing in landings if not _is_integrated(case, landing.task)]
    if not unknown:
        return None
    text = (
        f"{case.state.branch} holds {many(len(unknown), 'landing')} of this run that the journal does not know "
        f"({listed(unknown)}): the journal is older than the branch, from a backup perhaps"
    )
    hint = f"`chargehand doctor --repair` records them; then `chargehand resume {case.run}`."
    repair = Repair(text=f"record {many(len(unknown), 'landing')} in the journal", act=lambda: _record(case))
    return Finding(area=case.area, name="branch", ok=False, text=text, hint=hint, repair=repair)


def _is_integrated(case: Case, task: str) -> bool:
    record = case.state.tasks.get(task)
    return record is not None and record.status is TaskStatus.INTEGRATED


async def _evidence(case: Case) -> Evidence:
    return await gather(case.shop.repository, case.run, list(case.state.tasks), case.state.base)


async def _record(case: Case) -> str:
    held = case.shop.store.open(case.run)
    try:
        state = fold(held.journal.read())
        rebuilt = events_beyond(state, None, await _evidence(case), case.shop.clock.now())
        if rebuilt.events:
            rebuilt.tell(HistoryLost(detail="The journal is older than its branch."))
            held.journal.append(rebuilt.events, rebuilt.at)
    finally:
        held.release()
    return f"The journal knows now that {listed(rebuilt.from_git)} landed; `chargehand resume {case.run}` goes on."


async def _moved(case: Case, tip: str) -> Finding:
    """Whose state is right is for people to say: only told, with the commands for either way."""
    branch, head = case.state.branch, case.head
    asked = [d.id for d in case.state.decisions.values() if d.kind is DecisionKind.BRANCH_MOVED]
    text = f"{branch} is at {tip[:_SHORT]}, but the run left it at {head[:_SHORT]}: {await _difference(case, tip)}"
    back = f"`git update-ref refs/heads/{branch} {head[:_SHORT]} {tip[:_SHORT]}` puts it back"
    if case.is_over:
        hint = f"If that was not meant: {back}."
        return Finding(area=case.area, name="branch", ok=None, text=text, hint=hint)
    question = f"question {asked[0]}" if asked else f"what `chargehand resume {case.run}` asks"
    hint = f"{back}; to go on from where it is now, answer {question} with retry."
    return Finding(area=case.area, name="branch", ok=False, text=text, hint=hint)


async def _difference(case: Case, tip: str) -> str:
    try:
        words = ("rev-list", "--left-right", "--count", f"{case.head}...{tip}")
        behind, ahead = map(int, (await case.shop.repository.git().text(*words)).split())
    except (GitFailed, ValueError):
        return "how they differ cannot be told"
    parts = [f"{many(ahead, 'commit')} of others on top"] if ahead else []
    parts += [f"{many(behind, 'commit')} of the run gone from it"] if behind else []
    return " and ".join(parts)


async def _checked_out(case: Case) -> list[Finding]:
    listing = await case.shop.repository.git().text("worktree", "list", "--porcelain")
    place, found = "", []
    for line in listing.splitlines():
        if line.startswith("worktree "):
            place = line.removeprefix("worktree ")
        elif line == f"branch refs/heads/{case.state.branch}":
            text = f"{case.state.branch} is checked out in {place}: files there stay behind when the branch moves"
            hint = f"Leave it there: `git -C {shlex.quote(place)} switch --detach`."
            found.append(Finding(area=case.area, name="checkout", ok=None, text=text, hint=hint))
    return found


# -- sealed work ----------------------------------------------------------------------------------


async def look_at_work(case: Case) -> list[Finding]:
    """Whether what attempts sealed is still there, and held by a ref (I2)."""
    if case.state.is_landed or not case.sealed:
        return []
    repository = case.shop.repository
    listed_refs = await repository.git().text(
        "for-each-ref", "--format=%(refname) %(objectname)", f"{REF_ROOT}/attempts/{case.run}/"
    )
    kept = dict(line.split(" ", 1) for line in listed_refs.splitlines())
    gone = await missing_commits(repository, [work.sealed.commit for work in case.sealed])
    found = []
    lost = [work for work in case.sealed if work.sealed.commit in gone]
    needed = [work for work in lost if _is_needed(case, work)]
    if needed:
        found.append(_lost(case, needed))
    if len(lost) > len(needed):
        found.append(_old_lost(case, [work for work in lost if work not in needed]))
    loose = [w for w in case.sealed if w.sealed.commit not in gone and ref_safe(w.ref) not in kept]
    if loose:
        found.append(_loose(case, loose))
    return found


def _is_needed(case: Case, work: SealedRef) -> bool:
    """Whether the run still builds on it: a task that is not over, or work nobody took over."""
    record = case.state.tasks[work.task]
    if record.status is TaskStatus.INTEGRATED:
        return False
    return work.sealed.commit in {record.commit, record.sealed.commit if record.sealed else None, record.fix_base}


def _wrong_unless_over(case: Case) -> bool | None:
    return None if case.is_over else False


def _names(works: Iterable[SealedRef]) -> str:
    return listed([f"attempt {work.attempt} of {work.task} ({work.sealed.commit[:_SHORT]})" for work in works])


def _lost(case: Case, works: list[SealedRef]) -> Finding:
    text = f"sealed work is gone from this repository: {_names(works)}"
    first = works[0]
    hint = (
        f"Another copy may have it: `git fetch COPY {first.sealed.commit}`. Without it the task has to be done again: "
        "answer what the run asks about it with retry."
    )
    return Finding(area=case.area, name="sealed work", ok=_wrong_unless_over(case), text=text, hint=hint)


def _old_lost(case: Case, works: list[SealedRef]) -> Finding:
    text = f"sealed work that nothing builds on any more is gone: {_names(works)}"
    return Finding(area=case.area, name="older work", ok=None, text=text)


def _loose(case: Case, works: list[SealedRef]) -> Finding:
    text = f"refs that keep sealed work were deleted; `git gc` may remove it: {_names(works)}"
    repair = Repair(
        text=f"make {many(len(works), 'ref')} again that keep sealed work", act=lambda: _keep_again(case, works)
    )
    hint = "`chargehand doctor --repair` makes them again."
    return Finding(area=case.area, name="refs", ok=_wrong_unless_over(case), text=text, hint=hint, repair=repair)


async def _keep_again(case: Case, works: list[SealedRef]) -> str:
    repository = case.shop.repository
    made = 0
    for work in works:
        made += await repository.set_ref(work.ref, work.sealed.commit, repository.zero, why="chargehand doctor")
    return f"{many(made, 'ref')} made again."
