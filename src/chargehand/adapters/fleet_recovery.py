"""What a local fleet does when a run is taken up again (SPEC 8): end, adopt, rescue, and say so.

The order matters: nothing is looked at before the last process that could change it is gone [I11], and nothing is given
back before what lies in it is kept [I2]. A result that was noted down is believed only when the world agrees; in all
other cases the attempt is done again, which is always safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from chargehand.adapters.attempt import FleetParts
from chargehand.adapters.attempt_note import AttemptNote, Stage, read_note, result_of
from chargehand.adapters.confined import mark_of
from chargehand.adapters.process import end_leftovers
from chargehand.domain.errors import AdapterError
from chargehand.domain.ids import integration_branch, rescue_prefix
from chargehand.domain.outcome import AttemptResult
from chargehand.ports import Recovered, Workspace

__all__ = ["take_over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """What became of a workspace that was left: `ref` keeps what was in it, `problem` says why it had to stay."""

    ref: str | None = None
    problem: str = ""


async def take_over(
    parts: FleetParts, run: str, keys: Collection[str], known: Mapping[str, AttemptResult], *, sweep: bool
) -> Recovered:
    """End what a dead holder left of a run, and tell what became of the attempts `keys`.

    `known` are results this very process has; `sweep`: nothing of the run is alive here, so private folders may go.
    """
    ended = await asyncio.to_thread(end_leftovers, mark_of(parts.folder))
    told = _of_processes(ended.killed, ended.left)
    if not ended.left:
        await parts.workspaces.unlock(run)
    notes = {key: note for key in keys if (note := read_note(parts.folder, key)) is not None and note.run == run}
    results = dict(known) | {
        key: result for key, note in notes.items() if key not in known and (result := await _sealed(parts, note))
    }
    judged = {note.slot for key, note in notes.items() if key in results}
    left: dict[str, list[_Left]] = {}
    for workspace in await asyncio.to_thread(parts.workspaces.abandoned):
        owner, _, task = workspace.branch.rpartition("/")
        if owner == integration_branch(run):
            found = await _cleared(parts, workspace, run, task, sealed=workspace.slot in judged, keep=bool(ended.left))
            left.setdefault(task, []).append(found)
    for key in keys:
        there = left.pop(key.partition("/")[0], ())
        told += _of_attempt(key, notes.get(key), there, judged=key in results)
    told += [line for task, there in left.items() for line in _of_workspaces(_who(task), there)]
    if sweep and not ended.left:
        told += await _swept(parts)
    return Recovered(results=results, told=tuple(told))


async def _sealed(parts: FleetParts, note: AttemptNote) -> AttemptResult | None:
    """The result of an attempt that ended unseen, if the repository has what it speaks of."""
    result = result_of(note)
    if note.looks:
        return result
    if result is None or result.sealed is None:
        return None
    try:
        is_there = await parts.workspaces.holds(note.ref, result.sealed.commit, result.sealed.tree)
    except AdapterError:
        return None
    return result if is_there else None


async def _cleared(parts: FleetParts, workspace: Workspace, run: str, task: str, *, sealed: bool, keep: bool) -> _Left:
    """Keep what is in a workspace, unless it is sealed, and give it back (`keep`: not even then)."""
    message = f"{task}: what an interrupted attempt left\n\nChargehand-Run: {run}\nChargehand-Task: {task}\n"
    ref = None
    try:
        if not sealed:
            ref = await parts.workspaces.rescue(workspace, rescue_prefix(run, task.rstrip(".")), message)
        if not keep:
            await parts.workspaces.release(workspace)
    except (AdapterError, OSError) as error:
        why = error.message if isinstance(error, AdapterError) else str(error)
        return _Left(ref=ref, problem=f"Its workspace {workspace.path} could not be given back and stays: {why}")
    return _Left(ref=ref)


async def _swept(parts: FleetParts) -> list[str]:
    """Remove private folders; one that cannot be removed is in nobody's way, each attempt gets new ones."""
    try:
        await parts.folders.sweep()
    except (AdapterError, OSError) as error:
        why = error.message if isinstance(error, AdapterError) else str(error)
        return [f"A private folder of an earlier attempt stays: {why}"]
    return []


# -- in words --------------------------------------------------------------------------------------


def _of_processes(killed: Sequence[int], left: Sequence[int]) -> list[str]:
    told = []
    if killed:
        what = "1 process" if len(killed) == 1 else f"{len(killed)} processes"
        told.append(f"Ended {what} of the run that had outlived the last holder.")
    if left:
        pids = ", ".join(map(str, left))
        told.append(f"Could not end these processes of the run: {pids}. Its old workspaces stay until they are gone.")
    return told


def _who(owner: str) -> str:
    """Whose an attempt was, by the first part of its key: only that of a look at the whole run ends with a dot."""
    return "The run as a whole" if owner.endswith(".") else f"Task {owner}"


def _of_attempt(key: str, note: AttemptNote | None, left: Sequence[_Left], *, judged: bool) -> list[str]:
    task, _, rest = key.partition("/")
    name = f"{_who(task)}, attempt {rest.partition('/')[0]}"
    problems = [found.problem for found in left if found.problem]
    refs = " and ".join(found.ref for found in left if found.ref)
    if judged and note is not None and note.looks:
        text = "had ended, and its answer is there: it counts, and is not asked for again."
    elif judged:
        text = "had ended and was sealed, but not judged: it is judged now, and not run again."
    elif refs:
        text = f"was cut short: what it had done is kept in {refs}, and it is done again."
    elif problems:
        text = "was cut short: it is done again."
    elif note is None:
        text = "was never started: it is started now."
    elif note.stage is Stage.PREPARING:
        text = "was being prepared and had no agent yet: it is started again."
    elif left:
        text = "was cut short before it had changed anything: it is done again."
    elif note.stage is Stage.ENDED and note.looks:
        text = "had ended without an answer that counts: it is done again."
    elif note.stage is Stage.ENDED:
        text = f"had ended, but its result does not count (see {note.ref}): it is done again."
    else:
        text = "was cut short, and its workspace is no longer there: it is done again."
    return [f"{name} {text}", *(f"{name}: {problem}" for problem in problems)]


def _of_workspaces(name: str, left: Sequence[_Left]) -> list[str]:
    """Workspaces of no attempt in question: nothing is said of one that held nothing."""
    told = [f"{name}: what it left is kept in {found.ref}." for found in left if found.ref]
    return told + [f"{name}: {found.problem}" for found in left if found.problem]
