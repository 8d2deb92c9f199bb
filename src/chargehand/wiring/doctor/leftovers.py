"""What dead runs left behind: processes, private folders, half-made runs, temporary folders, refs, locks of git."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Container, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.confined import mark_of
from chargehand.adapters.folders import remove_tree
from chargehand.adapters.lock import RunLock
from chargehand.adapters.process import end_leftovers
from chargehand.adapters.process.marks import marked
from chargehand.adapters.process.spec import MARKER_VARIABLE
from chargehand.adapters.process.tree import PROC, Stat, snapshot
from chargehand.domain.errors import AdapterError, ChargehandError
from chargehand.domain.ids import REF_ROOT
from chargehand.wiring.doctor.case import holding, is_free
from chargehand.wiring.doctor.finding import Finding, Repair, ages, listed, many
from chargehand.wiring.doctor.gits import at_work
from chargehand.wiring.rooms import idle_rooms, remove_rooms

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["look_at_leftovers", "look_at_processes"]

_AREA = "leftovers"
_OLD_S = 600.0
_OLD_LOCK_S = 60.0
_REPAIR = "`chargehand doctor --repair` removes that."
_VARIABLE = f"{MARKER_VARIABLE}=".encode()
_RUN_OF_REF = re.compile(rf"{REF_ROOT}/(?:attempts|candidates|rescue)/(?P<run>[^/]+)/")


async def look_at_leftovers(shop: Workshop, over: Container[str]) -> list[Finding]:
    """Everything below the places of this repository that nobody will look at again; `over` are runs that ended."""
    driven = not all(is_free(shop, run) for run in shop.store.runs())
    return [
        *_half_made(shop),
        *_rooms(shop, over),
        *([] if driven else _temporary(shop)),
        *_git_locks(shop, driven=driven),
        *await _refs(shop, over),
    ]


# -- processes ------------------------------------------------------------------------------------


def look_at_processes(shop: Workshop, runs: Iterable[str]) -> list[Finding]:
    """Processes of runs that nobody drives (I11): found by their marks, by pid and start time."""
    free = [run for run in runs if is_free(shop, run)]
    processes = {pid: stat for pid, stat in snapshot().items() if _may_be_marked(pid)} if free else {}
    found = []
    for run in free if processes else ():
        stats = marked(mark_of(shop.store.folder(run)), processes, [os.getpid()])
        found += [_processes(shop, run, stats)] if stats else []
    return found


def _may_be_marked(pid: int) -> bool:
    """Sorts out nearly all processes of a machine, so that a thousand runs can be asked about the rest."""
    try:
        limits = (PROC / str(pid) / "limits").read_bytes()
        return (
            b"Max file locks            unlimited" not in limits
            or _VARIABLE in (PROC / str(pid) / "environ").read_bytes()
        )
    except OSError:
        return False


def _processes(shop: Workshop, run: str, stats: Sequence[Stat]) -> Finding:
    names = listed([f"{stat.pid} ({stat.name})" for stat in stats])
    text = f"nobody drives the run, but processes of it are alive: {names}"
    repair = Repair(text=f"end {many(len(stats), 'process')} of run {run}", act=lambda: _end(shop, run), removes=True)
    hint = "`chargehand doctor --repair` ends them; so does `chargehand resume`."
    return Finding(area=f"run {run}", name="processes", ok=False, text=text, hint=hint, repair=repair)


async def _end(shop: Workshop, run: str) -> str:
    with holding(shop, run):
        ended = await asyncio.to_thread(end_leftovers, mark_of(shop.store.folder(run)))
    if ended.left:
        raise AdapterError("process", f"These belong to somebody else, or hang: {listed(list(map(str, ended.left)))}.")
    return f"{many(len(ended.killed), 'process')} ended."


# -- folders --------------------------------------------------------------------------------------


def _half_made(shop: Workshop) -> list[Finding]:
    """Runs whose creation was cut short: nothing of them ever began."""
    now = time.time()
    half = [path for path, age in ages(shop.places.runs, ".new-*", now) if age > _OLD_LOCK_S and not _is_held(path)]
    if not half:
        return []
    text = f"{many(len(half), 'run')} never quite created (the program was killed): nothing of that began"
    repair = Repair(text=f"remove {many(len(half), 'half-made run')}", act=partial(_remove, half), removes=True)
    return [Finding(area=_AREA, name="half-made runs", ok=None, text=text, hint=_REPAIR, repair=repair)]


def _is_held(folder: Path) -> bool:
    try:
        return RunLock.look(folder / "lock") is not None
    except ChargehandError:
        return False


def _rooms(shop: Workshop, over: Container[str]) -> list[Finding]:
    """HOME and scratch folders of attempts that are over; those of a run that goes on are its own business."""
    left = [folder for folder in idle_rooms(shop, over) if folder.is_dir() and any(folder.iterdir())]
    count = sum(len(list(folder.iterdir())) for folder in left)
    if not count:
        return []
    text = f"{many(count, 'private folder')} (HOME, scratch) of attempts that are long over in {shop.places.private}"
    repair = Repair(text=f"remove {many(count, 'private folder')}", act=partial(_sweep, shop, left, over), removes=True)
    return [Finding(area=_AREA, name="private folders", ok=None, text=text, hint=_REPAIR, repair=repair)]


async def _sweep(shop: Workshop, folders: Sequence[Path], over: Container[str]) -> str:
    stays = await asyncio.to_thread(remove_rooms, shop, folders, over)
    if stays:
        raise AdapterError("folders", "; ".join(f"{folder}: {why}" for folder, why in stays.items()))
    return "They are gone."


def _temporary(shop: Workshop) -> list[Finding]:
    """Temporary folders of our own that were not removed, because the program was killed meanwhile."""
    now, places = time.time(), shop.places
    patterns = [
        (shop.state, "doctor-*"),
        (shop.repository.common_dir / "chargehand" / "git", "attributes-*"),
        (shop.repository.common_dir / "chargehand" / "git", "tmp*"),
        (places.agents.parent, "*.gone*"),
        *((places.runs, f"*/.{name}-*") for name in ("repair", "rebuilt")),
        *((pool, "trash/*") for pool in (places.agents, places.gates)),
        *((pool, f"s*/{name}-*") for pool in (places.agents, places.gates) for name in ("pack", "pointers")),
    ]
    old = [path for folder, pattern in patterns for path, age in ages(folder, pattern, now) if age > _OLD_S]
    if not old:
        return []
    text = f"{many(len(old), 'temporary folder')} of ours left behind: {listed(old)}"
    repair = Repair(text=f"remove {many(len(old), 'temporary folder')}", act=partial(_remove, old), removes=True)
    return [Finding(area=_AREA, name="temporary folders", ok=None, text=text, hint=_REPAIR, repair=repair)]


async def _remove(paths: Sequence[Path]) -> str:
    for path in paths:
        if not _is_held(path):
            await asyncio.to_thread(remove_tree, path)
    return f"{many(len(paths), 'thing')} removed."


# -- git ------------------------------------------------------------------------------------------


def _git_locks(shop: Workshop, *, driven: bool) -> list[Finding]:
    """Lock files of a git that was killed: as long as they lie there, the refs beside them cannot move.

    A young one may be of a git that is at work; while a run is `driven` it surely is, and not worth a word.
    """
    now, common = time.time(), shop.repository.common_dir
    places = [(common, "packed-refs.lock")]
    places += [(common / "refs" / part, "**/*.lock") for part in ("chargehand", "heads/chargehand")]
    found = [each for folder, pattern in places for each in ages(folder, pattern, now)]
    old = [path for path, age in found if age > _OLD_LOCK_S]
    if not old:
        return [] if driven else _young_locks([path for path, _ in found])
    if working := at_work(common.resolve(), old):
        names = listed([f"{stat.pid} ({stat.name})" for stat in working])
        text = f"{many(len(old), 'lock')} of git may be of one that is at work here ({names}): {listed(old)}"
        hint = "Ask again when it has ended."
        return [Finding(area=_AREA, name="git locks", ok=None, text=text, hint=hint)]
    text = f"a git that was killed left its locks; nothing can land while they are there: {listed(old)}"
    repair = Repair(
        text=f"remove {many(len(old), 'lock file')} of git", act=partial(_remove_locks, common, old), removes=True
    )
    hint = "`chargehand doctor --repair` removes them, when no other git is at work here."
    return [Finding(area=_AREA, name="git locks", ok=False, text=text, hint=hint, repair=repair)]


def _young_locks(paths: Sequence[Path]) -> list[Finding]:
    if not paths:
        return []
    text = f"a git is at work here, or was killed just now; nothing can land meanwhile: {listed(paths)}"
    hint = f"Ask again in {_OLD_LOCK_S:.0f} s: then `chargehand doctor --repair` removes what is still there."
    return [Finding(area=_AREA, name="git locks", ok=None, text=text, hint=hint)]


async def _remove_locks(common: Path, paths: Sequence[Path]) -> str:
    for path in paths:
        if working := at_work(common.resolve(), [path]):
            raise AdapterError("git", f"Process {working[0].pid} ({working[0].name}) is at work here; {path} stays.")
        still = [age for _, age in ages(path.parent, path.name, time.time())]
        if still and still[0] > _OLD_LOCK_S:  # another git may have made a new one meanwhile
            path.unlink(missing_ok=True)
    return f"{many(len(paths), 'thing')} removed."


async def _refs(shop: Workshop, over: Container[str]) -> list[Finding]:
    """Refs of runs that are not here any more: they keep work, so nobody but their owner removes them."""
    git = shop.repository.git()
    refs = (await git.text("for-each-ref", "--format=%(refname)", f"{REF_ROOT}/")).splitlines()
    known = {*shop.store.runs(), "abandoned"}
    strange: dict[str, int] = {}
    for ref in refs:
        match = _RUN_OF_REF.match(ref)
        if match and match["run"] not in known:
            strange[match["run"]] = strange.get(match["run"], 0) + 1
    found = [_strange_refs(strange)] if strange else []
    idle = [
        ref for ref in refs if ref.startswith(tuple(f"{REF_ROOT}/candidates/{run}/" for run in known if run in over))
    ]
    if idle:
        text = f"{many(len(idle), 'merge candidate')} of ended runs kept by refs that nobody needs"
        hint = "`chargehand clean` removes them."
        found.append(Finding(area=_AREA, name="refs", ok=None, text=text, hint=hint))
    return found


def _strange_refs(strange: dict[str, int]) -> Finding:
    run = next(iter(strange))
    text = f"{many(sum(strange.values()), 'ref')} with work of runs that are not here any more: {listed(list(strange))}"
    hint = f"See `git for-each-ref '{REF_ROOT}/*/{run}/'`; `git update-ref -d REF` gives one up for good."
    return Finding(area=_AREA, name="refs of other runs", ok=None, text=text, hint=hint)
