"""Lands a run's integration branch on the user's target: the one moment their branches and checkout change (I1).

Two steps, because a target that has moved gives a tree nobody has tested: `prepare` makes the commit and
touches nothing of the user's, the caller runs the run gates on it, and `finish` moves the branch by
compare-and-swap. Where the target is checked out, `finish` is a fast-forward by git itself, so local changes
that do not overlap stay, and those that do are the reason to refuse. Hooks of the user do not run.

Staged, the same change lies in the index and the files of the checkout, and no branch moves (`adapters.staging`).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from chargehand.adapters.git.command import QUIET, Git, user_environment
from chargehand.adapters.git.incoming import Incoming
from chargehand.adapters.git.raw import path_text
from chargehand.adapters.git.refs import read_small
from chargehand.adapters.git.repository import Repository
from chargehand.adapters.integrator import merge_trees
from chargehand.adapters.staging import stage, touching
from chargehand.domain.errors import UserError
from chargehand.domain.ids import REF_ROOT
from chargehand.domain.outcome import Conflict

__all__ = ["Accepted", "Prepared", "Refusal", "Refused", "accept", "finish", "prepare"]

GatesOf = Callable[["Prepared"], Awaitable[str]]

_UNDERWAY = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")


class Refusal(StrEnum):
    """Why nothing was landed."""

    CONFLICT = "conflict"  # target and result change the same lines
    GATES = "gates"  # the merge with a moved target is red, or nobody tested it
    MOVED = "moved"  # the target moved between the two steps
    BRANCH_MOVED = "branch_moved"  # the integration branch is not where the run left it
    LOCAL_CHANGES = "local_changes"  # the checkout has changes of its own in the same files
    BUSY = "busy"  # a merge or rebase of the user is under way
    NOT_CHECKED_OUT = "not_checked_out"  # there is no index and no work tree to leave the change in


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing changed. `paths` are the files concerned, `detail` says more."""

    reason: Refusal
    paths: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What would land: `commit` descends from `old`, where `target` stood.

    `moved`: the target has commits the run did not start from, so `tree` is to be tested first.
    `ref` keeps the commit until `finish`.
    """

    target: str
    old: str
    commit: str
    tree: str
    moved: bool
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The target now stands at `commit`; `checkout` is the work tree that was updated with it.

    `staged`: the target stays at `old`, and `commit` is what lies in the index and the files of `checkout`; there
    already, when that is not `changed`.
    """

    target: str
    old: str
    commit: str
    checkout: Path | None = None
    staged: bool = False
    changed: bool = True


async def accept(
    repository: Repository,
    branch: str,
    target: str,
    *,
    message: str,
    squash: bool = False,
    staged: bool = False,
    gates: GatesOf | None = None,
    expect: str | None = None,
) -> Accepted | Refused:
    """Both steps at once. `gates` tests a merge with a moved target and answers what is red, or nothing."""
    prepared = await prepare(repository, branch, target, message=message, squash=squash, expect=expect)
    if isinstance(prepared, Refused):
        return prepared
    if staged and prepared.tree == await repository.tree(prepared.old):
        return await _done(repository, replace(prepared, commit=prepared.old), None)  # it was committed since
    if prepared.moved and prepared.commit != prepared.old:
        red = "The target has moved, and nothing tested the merge." if gates is None else await gates(prepared)
        if red:
            return Refused(reason=Refusal.GATES, detail=red)
    return await finish(repository, prepared, staged=staged)


async def prepare(
    repository: Repository,
    branch: str,
    target: str,
    *,
    message: str,
    squash: bool = False,
    expect: str | None = None,
) -> Prepared | Refused:
    """Make the commit that would land on the branch `target`, or say why there is none.

    `expect` is the commit that was gated: a branch that stands anywhere else lands nothing [I3].
    UserError when one of the branches does not exist. Landing what is already there is no error: `commit` is `old`.
    """
    head = await _standing(repository, branch)
    if expect is not None and head != expect:
        detail = f"{branch} was moved by somebody else: it is at {head[:12]}, the run left it at {expect[:12]}."
        return Refused(reason=Refusal.BRANCH_MOVED, detail=detail)
    old = await _standing(repository, target)
    moved = not await _is_ancestor(repository, old, head)
    ref = f"{REF_ROOT}/accept/{target}"
    with repository.incoming() as incoming:
        if moved and await _is_ancestor(repository, head, old):
            commit, tree = old, await repository.tree(old)
        else:
            merged: str | Conflict = await repository.tree(head)
            if moved:
                git = incoming.over(repository.plumbing())
                merged = await merge_trees(git, old, head, labels=(target, branch))
            if isinstance(merged, Conflict):
                return Refused(reason=Refusal.CONFLICT, paths=merged.paths, detail=merged.detail)
            tree = merged
            commit = await _commit(repository, incoming, old, head, tree, message, moved=moved, squash=squash)
        await repository.set_ref(ref, commit, why="chargehand: prepared for accept")
    return Prepared(target=target, old=old, commit=commit, tree=tree, moved=moved, ref=ref)


async def finish(repository: Repository, prepared: Prepared, *, staged: bool = False) -> Accepted | Refused:
    """Move the target, and the checkout that is on it, if it still stands where it stood; `staged`: the checkout alone.

    What was begun before and cut short is gone on with: what is as it is to be is never in the way.
    """
    if await repository.ref(f"refs/heads/{prepared.target}") != prepared.old:
        return Refused(reason=Refusal.MOVED, detail=f"{prepared.target} has moved meanwhile.")
    if prepared.commit == prepared.old:
        return await _done(repository, prepared, None)
    busy = _under_way(repository, prepared.target)
    if busy:
        return Refused(reason=Refusal.BUSY, detail=busy)
    checkouts = await _checkouts(repository, prepared.target)
    if len(checkouts) > 1:
        return Refused(reason=Refusal.BUSY, detail=f"{prepared.target} is checked out in {len(checkouts)} places.")
    if staged:
        return await _leave_staged(repository, checkouts, prepared)
    if checkouts:
        refused = await _fast_forward(repository, checkouts[0], prepared)
        return refused or await _done(repository, prepared, checkouts[0])
    ref = f"refs/heads/{prepared.target}"
    if not await repository.set_ref(ref, prepared.commit, prepared.old, why="chargehand: accept"):
        return Refused(reason=Refusal.MOVED, detail=f"{prepared.target} has moved meanwhile.")
    return await _done(repository, prepared, None)


async def _leave_staged(repository: Repository, checkouts: Sequence[Path], prepared: Prepared) -> Accepted | Refused:
    if not checkouts:
        detail = f"{prepared.target} is not checked out: there is nowhere to leave the change staged."
        return Refused(reason=Refusal.NOT_CHECKED_OUT, detail=detail)
    checkout = checkouts[0]
    git = Git(cwd=checkout, env=user_environment(repository.environ), options=QUIET)
    found = await stage(git, repository.plumbing(), prepared.old, prepared.commit)
    if found.in_the_way:
        detail = f"{checkout} has local changes in files that would change: commit, stash or move them."
        return Refused(reason=Refusal.LOCAL_CHANGES, paths=found.in_the_way, detail=found.said or detail)
    done = await _done(repository, prepared, checkout)
    return replace(done, staged=True, changed=found.changed)


async def _done(repository: Repository, prepared: Prepared, checkout: Path | None) -> Accepted:
    await repository.git().run("update-ref", "-d", prepared.ref)
    return Accepted(target=prepared.target, old=prepared.old, commit=prepared.commit, checkout=checkout)


# -- preparing


async def _standing(repository: Repository, branch: str) -> str:
    oid = await repository.ref(f"refs/heads/{branch}")
    if oid is None:
        hint = "Name an existing branch: `git branch --list` shows them."
        raise UserError(f"There is no branch {branch!r}.", code="unknown_branch", hint=hint)
    return oid


async def _is_ancestor(repository: Repository, older: str, newer: str) -> bool:
    got = await repository.git().run("merge-base", "--is-ancestor", older, newer, ok=(0, 1))
    return got.code == 0


async def _commit(
    repository: Repository,
    incoming: Incoming,
    old: str,
    head: str,
    tree: str,
    message: str,
    *,
    moved: bool,
    squash: bool,
) -> str:
    if not moved and not squash:
        return head
    if squash and tree == await repository.tree(old):
        return old
    commit = incoming.commit(tree, (old,) if squash else (old, head), repository.identity, message)
    await incoming.hand_over(incoming.over(repository.plumbing()), [commit], [old, head])
    repository.remember_tree(commit, tree)
    return commit


# -- the checkout


async def _checkouts(repository: Repository, target: str) -> list[Path]:
    """The work trees that are on the branch and exist."""
    got = await repository.git().run("worktree", "list", "--porcelain", "-z")
    found = []
    for block in got.stdout.split(b"\0\0"):
        lines = block.strip(b"\0").split(b"\0")
        if b"branch refs/heads/" + target.encode() in lines:
            path = Path(os.fsdecode(lines[0].removeprefix(b"worktree ")))
            if path.is_dir():
                found.append(path)
    return found


async def _fast_forward(repository: Repository, checkout: Path, prepared: Prepared) -> Refused | None:
    git = Git(cwd=checkout, env=user_environment(repository.environ), options=QUIET)
    overlap = await touching(git, repository.plumbing(), prepared.old, prepared.commit)
    if overlap:
        detail = f"{checkout} has local changes in files that would change: commit, stash or move them."
        return Refused(reason=Refusal.LOCAL_CHANGES, paths=tuple(sorted(map(path_text, overlap))), detail=detail)
    flags = ("--ff-only", "--quiet", "--no-stat", "--no-autostash", "--no-overwrite-ignore", "--no-verify-signatures")
    got = await git.run("merge", *flags, prepared.commit, ok=(0, 1, 2, 128))
    if got.code == 0 and await repository.ref(f"refs/heads/{prepared.target}") == prepared.commit:
        return None
    said = got.stderr.decode("utf-8", "replace").strip()
    return Refused(reason=Refusal.LOCAL_CHANGES, paths=_named(said), detail=said[-2000:])


def _named(said: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in said.splitlines() if line.startswith("\t"))


def _under_way(repository: Repository, target: str) -> str:
    """What the user is in the middle of, on this branch."""
    common = repository.common_dir
    places = [common, *sorted((common / "worktrees").glob("*"))]
    for place in places:
        for folder in ("rebase-merge", "rebase-apply"):
            name = (read_small(place, f"{folder}/head-name", 4096) or b"").decode("utf-8", "replace").strip()
            if name == f"refs/heads/{target}":
                return f"{target} is being rebased: finish or abort that first."
        head = (read_small(place, "HEAD", 4096) or b"").decode("utf-8", "replace").strip()
        if head == f"ref: refs/heads/{target}" and any((place / sign).exists() for sign in _UNDERWAY):
            return f"A merge, rebase, revert or cherry-pick is under way on {target}: finish or abort it first."
    return ""
