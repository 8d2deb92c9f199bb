"""Journals that cannot be read any more, and how much of a run can be brought back (SPEC 8).

The first events that the chain vouches for come back letter by letter. What was lost behind them is told by a snapshot
that is ahead of them, and by git, which knows what landed. The rest of the run is done again.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.folders import open_regular
from chargehand.adapters.journal_sqlite import SqliteInbox, SqliteJournal
from chargehand.adapters.rescue import keep_under
from chargehand.adapters.salvage import Salvaged, newest_kept, rebuild, salvage, take_place
from chargehand.adapters.snapshots import FileSnapshots
from chargehand.domain.errors import AdapterError, ChargehandError, UserError
from chargehand.domain.events import AttemptFinished, HistoryLost, Recorded, RunStarted
from chargehand.domain.evolve import fold
from chargehand.domain.ids import integration_branch, rescue_prefix
from chargehand.domain.state import RunState
from chargehand.wiring.doctor.case import holding
from chargehand.wiring.doctor.evidence import Evidence, gather, landings_of
from chargehand.wiring.doctor.finding import Finding, Repair, listed, many, words_of
from chargehand.wiring.doctor.rebuilding import Rebuilt, events_beyond, first_event

if TYPE_CHECKING:
    from chargehand.adapters.git import Repository
    from chargehand.wiring.workshop import Workshop

__all__ = ["look_at_journal"]

_JOURNAL = "journal.db"
_SNAPSHOT = "snapshot.json"
_NOTHING = Salvaged(events=(), broken_at=1, detail="There is no journal any more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remains:
    """What there is of a run whose journal is damaged. `source` is the file, or a copy put aside that proves more."""

    run: str
    path: Path
    source: Path
    salvaged: Salvaged
    snapshot: RunState | None

    @property
    def area(self) -> str:
        """Where its findings stand."""
        return f"run {self.run}"

    def begin(self) -> tuple[list[Recorded], bool]:
        """The first events of a new journal, and whether they are those of the old one."""
        if self.salvaged.events:
            return list(self.salvaged.events), True
        assert self.snapshot is not None
        first: RunStarted = first_event(self.snapshot)
        return [Recorded(seq=1, at=self.snapshot.started_at, event=first)], False


async def look_at_journal(shop: Workshop, run: str) -> list[Finding]:
    """Whether the journal of a run is whole and can be understood; empty when it is."""
    path = shop.store.folder(run) / _JOURNAL
    try:
        if await asyncio.to_thread(_is_whole, path) and not await asyncio.to_thread(_is_outdone, path):
            shop.service.look(run)
            return []
        remains = await asyncio.to_thread(_remains, run, path)
    except ChargehandError as error:  # of a newer release, of somebody else, or whole and yet not to be understood
        hint = error.hint if isinstance(error, UserError) else "Keep a copy of its folder, and report this."
        return [Finding(area=f"run {run}", name="journal", ok=False, text=words_of(error), hint=hint)]
    if remains.salvaged.events or remains.snapshot is not None:
        return [_damaged(shop, remains)]
    return [await _hopeless(shop, remains)]


def _is_whole(path: Path) -> bool:
    """Whether the file is sound; UserError where it is of a newer release."""
    try:
        with SqliteJournal.open(path, readonly=True) as journal:
            return not journal.check() and journal.latest() > 0
    except UserError as error:
        if error.code == "newer_journal":
            raise
    except AdapterError:
        pass
    return False


def _is_outdone(path: Path) -> bool:
    """Whether a copy put aside by a repair proves more of the same history than a sound file has."""
    kept = _kept(path)
    if kept is None:
        return False
    with SqliteJournal.open(path, readonly=True) as journal:
        held = journal.latest()
        return held < len(kept[1].events) and tuple(journal.read()) == kept[1].events[:held]


def _kept(path: Path) -> tuple[Path, Salvaged] | None:
    """The copy that was put aside last, and what it proves; None where there is none that could be read."""
    source = newest_kept(path)
    try:
        return None if source is None else (source, salvage(source))
    except ChargehandError:
        return None


def _remains(run: str, path: Path) -> _Remains:
    salvaged, source = salvage(path) if path.is_file() else _NOTHING, path
    kept = _kept(path)
    held = len(salvaged.events)
    if kept is not None and len(kept[1].events) > held and kept[1].events[:held] == salvaged.events:
        source, salvaged = kept
    snapshot = _snapshot(path.parent / _SNAPSHOT, run)
    if snapshot is not None and snapshot.seq <= len(salvaged.events):
        snapshot = None
    return _Remains(run=run, path=path, source=source, salvaged=salvaged, snapshot=snapshot)


def _snapshot(path: Path, run: str) -> RunState | None:
    """A snapshot that its own checksum vouches for; its place in a damaged chain cannot be looked up."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            chain = str(json.loads(file.readline(4096))["chain"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    state = FileSnapshots(path, lambda _: chain).load()
    return state if state is not None and state.run == run else None


# -- what can be repaired -------------------------------------------------------------------------


def _damaged(shop: Workshop, remains: _Remains) -> Finding:
    text = f"its journal is damaged. {remains.salvaged.detail}"
    if remains.source != remains.path:
        text = f"its journal has lost events that {remains.source.name} still holds. {remains.salvaged.detail}"
    if remains.snapshot is not None:
        text += f" A snapshot tells of what was true after event {remains.snapshot.seq}."
    text += " What landed is on the branch, whatever the journal says."
    hint = (
        "`chargehand doctor --repair` keeps the damaged file and puts a sound one in its place; "
        f"then `chargehand resume {remains.run}`."
    )
    repair = Repair(
        text=f"rebuild the journal of {remains.run} from what is left; the damaged one is kept beside it",
        act=lambda: _rebuild(shop, remains.run, remains.path),
        removes=True,
    )
    return Finding(area=remains.area, name="journal", ok=False, text=text, hint=hint, repair=repair)


async def _rebuild(shop: Workshop, run: str, path: Path) -> str:
    """Salvage anew under the lock, bring the state to what snapshot and git tell, and write it down as one journal."""
    with holding(shop, run):
        remains = await asyncio.to_thread(_remains, run, path)
        begun, is_old = remains.begin()
        state = fold(begun)
        evidence = await gather(shop.repository, run, _tasks_of(state, remains.snapshot), state.base)
        rebuilt = events_beyond(state, remains.snapshot, evidence, time.time())
        rebuilt.tell(HistoryLost(detail="The journal was damaged."))
        kept = await asyncio.to_thread(_write, remains, begun, rebuilt, is_old=is_old)
        rescued = await _keep_unknown(shop.repository, run, evidence, begun, state.base)
    return _told(run, len(begun) if is_old else 0, rebuilt, rescued, kept)


def _tasks_of(state: RunState, snapshot: RunState | None) -> list[str]:
    return list(dict.fromkeys([*state.tasks, *(snapshot.tasks if snapshot else ())]))


def _write(remains: _Remains, begun: Sequence[Recorded], rebuilt: Rebuilt, *, is_old: bool) -> Path:
    """Put a sound journal in the place of the damaged one, as a whole; answers where the damaged one is kept.

    It is finished before anything is replaced: a journal that knew less than git would be taken for whole.
    """
    path = remains.path
    with tempfile.TemporaryDirectory(prefix=".repair-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        if is_old:
            _rebuild_from(remains, made, begun)
        else:
            with SqliteJournal.create(made, run=remains.run) as journal:
                journal.append([recorded.event for recorded in begun], begun[0].at)
        if rebuilt.events:
            with SqliteJournal.open(made) as journal:
                journal.append(rebuilt.events, rebuilt.at)
        return take_place(made, path)


def _rebuild_from(remains: _Remains, made: Path, begun: Sequence[Recorded]) -> None:
    """The old journal anew; what people asked for since it was put aside comes along."""
    for end in ("", "-wal"):
        source = remains.source.with_name(remains.source.name + end)
        if source.exists():
            shutil.copyfile(source, made.with_name(made.name + end))
    rebuild(made, begun)
    if remains.source != remains.path and remains.path.is_file():
        with SqliteInbox.open(made) as inbox:
            for request in salvage(remains.path).requests:
                inbox.put(request)


async def _keep_unknown(
    repository: Repository, run: str, evidence: Evidence, begun: Sequence[Recorded], base: str
) -> list[str]:
    """Sealed work that the journal knows nothing of any more becomes a rescue: there it is found (I2)."""
    known = {
        base,
        *(landing.sealed for landing in evidence.landings),
        *(landing.commit for landing in evidence.landings),
    }
    for recorded in begun:
        if isinstance(recorded.event, AttemptFinished) and recorded.event.result.sealed is not None:
            known.add(recorded.event.result.sealed.commit)
    kept = []
    for task, launches in evidence.launches.items():
        for _, commit in sorted(launches.items()):
            if commit not in known:
                await keep_under(repository, rescue_prefix(run, task), commit, once=True)
                kept.append(task)
    return kept


def _told(run: str, saved: int, rebuilt: Rebuilt, rescued: Sequence[str], kept: Path) -> str:
    parts = [f"{many(saved, 'event')} saved"]
    parts += [f"the snapshot tells of {listed(rebuilt.from_snapshot)}"] if rebuilt.from_snapshot else []
    parts += [f"the branch tells that {listed(rebuilt.from_git)} landed"] if rebuilt.from_git else []
    parts += [f"{listed(rebuilt.unknown)} landed, too, and stands in no plan that is left"] if rebuilt.unknown else []
    parts += [f"sealed work of {listed(list(dict.fromkeys(rescued)))} became rescues"] if rescued else []
    where = f" The damaged file is {kept}." if kept.exists() else ""
    return f"{'; '.join(parts)}.{where} Go on with `chargehand resume {run}`."


# -- what cannot ----------------------------------------------------------------------------------


async def _hopeless(shop: Workshop, remains: _Remains) -> Finding:
    """No event and no snapshot: the plan itself is lost with the journal, and only git still knows anything."""
    branch = integration_branch(remains.run)
    landed = await landings_of(shop.repository, remains.run)
    lost = f"its journal is lost, and there is no snapshot to rebuild it from. {remains.salvaged.detail}"
    if landed:
        tasks = listed(list(dict.fromkeys(landing.task for landing in landed)))
        text = f"{lost} The branch {branch} holds {many(len(landed), 'landed task')}: {tasks}"
        hint = f"Start again without those tasks: `chargehand run PLAN --base {branch}`."
    else:
        text = f"{lost} Nothing of it landed"
        hint = "Start again: `chargehand run PLAN`."
    repair = Repair(
        text=f"put the folder of run {remains.run} aside; its branch and refs stay",
        act=lambda: _put_folder_aside(shop, remains.run),
        removes=True,
    )
    return Finding(area=remains.area, name="journal", ok=False, text=text, hint=hint, repair=repair)


async def _put_folder_aside(shop: Workshop, run: str) -> str:
    folder = shop.store.folder(run)
    with holding(shop, run):
        if _remains(run, folder / _JOURNAL).salvaged.events:
            raise AdapterError("journal", f"The journal of {run} can be read after all.")
        aside = folder.with_name(f".lost-{run}-{int(time.time())}")
        folder.rename(aside)
    return f"It is in {aside} now, and in nobody's way."
