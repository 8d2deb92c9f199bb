"""The pool of workspaces: left taken by a dead holder, deleted, unreadable, or set aside (SPEC 7.5)."""

from __future__ import annotations

import json
import os
from collections.abc import Container
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.git.refs import is_plain_directory, read_small
from chargehand.adapters.slots import Pool, read_note
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.ids import REF_ROOT, integration_branch, rescue_prefix
from chargehand.ports import Workspace
from chargehand.wiring.doctor.case import is_free
from chargehand.wiring.doctor.finding import Finding, Repair, listed
from chargehand.wiring.places import user_state_folder

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["look_at_workspaces"]

_AREA = "workspaces"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """A workspace that somebody left taken: whose it was, as far as its branch tells."""

    workspace: Workspace
    run: str
    task: str


async def look_at_workspaces(shop: Workshop, over: Container[str]) -> list[Finding]:
    """What is wrong in the pool of agents; gates leave nothing there that anybody needs. `over` are runs that ended."""
    pool = shop.places.agents
    found = _moved_here(shop)
    if not pool.is_dir():
        return found
    left = [_left(shop, workspace) for workspace in GitWorkspaces(shop.repository, pool).abandoned()]
    found += [_deleted(shop, each, over) for each in left if not each.workspace.path.is_dir()]
    found += [
        _abandoned(shop, pool, each) for each in left if each.workspace.path.is_dir() and not _is_run_s(each, over)
    ]
    found += _unreadable(shop)
    return found + _set_aside(shop)


def _left(shop: Workshop, workspace: Workspace) -> _Left:
    """The longest known run that its branch begins with: ids of runs and tasks may hold the same characters."""
    for run in shop.store.runs():
        begin = f"{integration_branch(run)}/"
        if workspace.branch.startswith(begin):
            return _Left(workspace=workspace, run=run, task=workspace.branch.removeprefix(begin))
    return _Left(workspace=workspace, run="", task="")


def _is_run_s(left: _Left, over: Container[str]) -> bool:
    """Whether `resume` looks after it: then nothing is to be done here."""
    return bool(left.run) and left.run not in over


# -- left taken -----------------------------------------------------------------------------------


def _abandoned(shop: Workshop, pool: Path, left: _Left) -> Finding:
    whose = f"task {left.task} of run {left.run}" if left.run else f"{left.workspace.branch}, a run that is not here"
    text = f"{left.workspace.path} was never given back by {whose}; it may hold work that nothing else has"
    repair = Repair(
        text=f"rescue what workspace {left.workspace.slot} holds, then give it back",
        act=lambda: _rescue(shop, pool, left),
    )
    hint = "`chargehand doctor --repair` rescues it; `chargehand rescue list` then shows it."
    return Finding(area=_AREA, name=f"workspace {left.workspace.slot}", ok=None, text=text, hint=hint, repair=repair)


async def _rescue(shop: Workshop, pool: Path, left: _Left) -> str:
    workspaces = GitWorkspaces(shop.repository, pool)
    slot = left.workspace.slot
    prefix = rescue_prefix(left.run, left.task) if left.run else f"{REF_ROOT}/rescue/abandoned/{slot}"
    message = f"What was left in workspace {slot} on {left.workspace.branch}\n"
    ref = await workspaces.rescue(left.workspace, prefix, message)
    await workspaces.release(left.workspace)
    if ref is None:
        return f"Workspace {slot} held nothing new; it is free again."
    return f"What workspace {slot} held is kept: `chargehand rescue show {ref.removeprefix(f'{REF_ROOT}/rescue/')}`."


def _deleted(shop: Workshop, left: _Left, over: Container[str]) -> Finding:
    about = f"task {left.task} of run {left.run}" if left.run else left.workspace.branch
    text = f"{left.workspace.path} was deleted while {about} had it: what was not sealed there is lost"
    repair = Repair(
        text=f"note that workspace {left.workspace.slot} is empty", act=lambda: _forget(shop, left.workspace)
    )
    hint = f"`chargehand resume {left.run}` does the task again." if _is_run_s(left, over) else ""
    return Finding(area=_AREA, name=f"workspace {left.workspace.slot}", ok=None, text=text, hint=hint, repair=repair)


async def _forget(shop: Workshop, workspace: Workspace) -> str:
    if workspace.path.is_dir():
        raise UserError(f"{workspace.path} is there again.")
    await GitWorkspaces(shop.repository, shop.places.agents).release(workspace)
    return f"Workspace {workspace.slot} is free."


# -- notes that cannot be read, and what was set aside --------------------------------------------


def _unreadable(shop: Workshop) -> list[Finding]:
    """Slots whose note says nothing although there are files: the next attempt would overwrite them."""
    found = []
    for home in sorted(shop.places.agents.glob("s[0-9]*")):
        work, note = _work_in(home), home / "note.json"
        if work is None or not note.exists() or _is_note(note):
            continue
        text = f"the note in {home} cannot be read: whose files lie there is not known"
        repair = Repair(text=f"set the files of workspace {home.name} aside", act=partial(_put_aside, work))
        hint = "`chargehand doctor --repair` moves them to a folder that nothing deletes."
        name = f"workspace {home.name}"
        found.append(Finding(area=_AREA, name=name, ok=False, text=text, hint=hint, repair=repair))
    return found


def _work_in(home: Path) -> Path | None:
    """The folder of files in a slot, whatever the repository was called when it was made."""
    return next((git.parent for git in home.glob("*/.git") if git.parent.name != "git"), None)


def _is_note(file: Path) -> bool:
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and {"commit", "branch", "held", "index"} <= data.keys()


async def _put_aside(work: Path) -> str:
    pool = Pool(work.parent.parent, work.name)
    slot = pool.take_named(work.parent.name)
    if slot is None:
        raise AdapterError("workspaces", f"Workspace {work.parent.name} is in use.")
    try:
        return f"The files are in {pool.set_aside(slot)}."
    finally:
        slot.give_back()


def _set_aside(shop: Workshop) -> list[Finding]:
    folder = shop.places.agents / "kept"
    kept = sorted(folder.iterdir()) if folder.is_dir() else []
    if not kept:
        return []
    text = f"files that could not be rescued were set aside, and nothing deletes them: {listed(kept)}"
    hint = "Take from there what you need, then delete it."
    return [Finding(area=_AREA, name="kept", ok=None, text=text, hint=hint)]


# -- a repository that was moved ------------------------------------------------------------------


def _moved_here(shop: Workshop) -> list[Finding]:
    """Workspaces that runs of this repository left when it was at another path: their folder is named after that."""
    runs = [run for run in shop.store.runs() if is_free(shop, run)]
    if shop.state != shop.repository.common_dir / "chargehand" or not runs:
        return []
    found = []
    for home in sorted(user_state_folder(shop.environ).glob("*/agents/s[0-9]*")):
        work, note = _work_in(home), read_note(home)
        if work is None or note is None or not note.held or home.parent == shop.places.agents:
            continue
        workspace = Workspace(path=work, slot=home.name, commit=note.commit, branch=note.branch)
        left = _left(shop, workspace)
        if left.run and _borrows_from_nowhere(work):
            found.append(_left_elsewhere(shop, left))
    return found


def _borrows_from_nowhere(work: Path) -> bool:
    """Whether the objects it borrows are gone: the repository it was made from is not there any more."""
    told = read_small(work / ".git" / "objects", "info/alternates", 65_536)
    return told is not None and not any(Path(os.fsdecode(line)).exists() for line in told.splitlines())


def _left_elsewhere(shop: Workshop, left: _Left) -> Finding:
    path = left.workspace.path
    text = (
        f"the repository was moved while task {left.task} of run {left.run} was at work in {path}: "
        "resume will not look there"
    )
    repair = Repair(text=f"rescue what task {left.task} left there", act=lambda: _rescue_elsewhere(shop, left))
    hint = "`chargehand doctor --repair` rescues it; do that before you resume."
    return Finding(area=_AREA, name=f"left by {left.task}", ok=False, text=text, hint=hint, repair=repair)


async def _rescue_elsewhere(shop: Workshop, left: _Left) -> str:
    """Make it a workspace of the repository as it is called and placed now, then rescue it as any other."""
    pool = left.workspace.path.parent.parent
    named = next(w.path for w in GitWorkspaces(shop.repository, pool).abandoned() if w.slot == left.workspace.slot)
    if left.workspace.path != named:
        left.workspace.path.rename(named)
    objects = named / ".git" / "objects"
    if all(is_plain_directory(folder) for folder in (objects.parent, objects, objects / "info")):
        (objects / "info" / "alternates").unlink(missing_ok=True)  # the commits it made are found without
    return await _rescue(shop, pool, replace(left, workspace=replace(left.workspace, path=named)))
