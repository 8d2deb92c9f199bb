"""What `clean` may remove, and what it keeps with the reason (SPEC 7.5).

Nothing that only a workspace holds goes: it is rescued first, and where that fails it stays. A run that is held or not
over keeps all it may need. Refs go when nobody can want what they keep: merge candidates with the end of their run,
sealed attempts once they are landed and accepted, everything else after `rescue_days`. How old a ref is, only the
journal, the ref's own file and dates that we wrote tell: agents choose the dates of their commits.
"""

from __future__ import annotations

import contextlib
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.folders import remove_tree
from chargehand.adapters.git.incoming import sweep
from chargehand.adapters.lock import one_at_a_time
from chargehand.adapters.rescue import prefix_of
from chargehand.adapters.slots import Pool, Slot
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.errors import AdapterError, ChargehandError, UserError
from chargehand.domain.ids import REF_ROOT, integration_branch
from chargehand.domain.state import RunState
from chargehand.ports import Workspace
from chargehand.wiring.rooms import aside_of, idle_rooms, remove_rooms

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Cleaned", "clean"]

_DAY_S = 86_400.0
_KINDS = ("attempts", "candidates", "bases", "rescue", "accept")
_FIELDS = "--format=%(objectname) %(committerdate:unix) %(refname)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What went (or would go), as (kind, name), and what was kept, as (name, why)."""

    removed: tuple[tuple[str, str], ...]
    kept: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Ref:
    """A ref of ours; `at` is when its commit says that it was made."""

    oid: str
    at: float
    name: str

    @property
    def kind(self) -> str:
        return self.name.split("/")[2]

    @property
    def run(self) -> str:
        return self.name.split("/")[3]


@dataclass(slots=True)
class _Cleaning:
    """One `clean` under way. `busy` says of runs why nothing of theirs goes, `over` how the others ended.

    `empty` are folders beside those of runs in which no run is.
    """

    shop: Workshop
    dry_run: bool
    now: float
    busy: dict[str, str] = field(default_factory=dict)
    over: dict[str, RunState] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    removed: list[tuple[str, str]] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)

    def look_at_runs(self) -> None:
        """Which runs are over. A journal that cannot be read may still be repaired: nothing of its run goes."""
        listed = self.shop.store.runs()
        for run in listed:
            try:
                holder = self.shop.store.holder(run)
                if holder:
                    self.busy[run] = f"it is held by {holder}"
                    continue
                state = self.shop.service.look(run).state
            except ChargehandError as error:
                what = "it" if isinstance(error, UserError) and error.code == "odd_file" else "its journal"
                self.busy[run] = f"{what} cannot be read: {error}"
                continue
            if state.finished is None:
                self.busy[run] = f"it is not over: `chargehand resume {run}` goes on with it"
            else:
                self.over[run] = state
        for run in set(self.shop.store.folders()) - set(listed):
            if self._is_free(run):
                self.empty.add(run)
            else:
                self.busy[run] = "it is held"
        self.kept += sorted(self.busy.items())

    def _is_busy(self, run: str) -> bool:
        """Whether nothing of a run goes: also of one that began after we looked."""
        if run in self.busy:
            return True
        return bool(run) and run not in self.over and run not in self.empty and self.shop.store.folder(run).is_dir()

    def _is_free(self, run: str) -> bool:
        try:
            return self.shop.store.holder(run) is None
        except ChargehandError:
            return False

    def _stands_still(self) -> bool:
        """Whether still no run is under way. Only `one_at_a_time` keeps it so."""
        quiet = self.over.keys() | self.empty
        return not self.busy and all(run in quiet and self._is_free(run) for run in self.shop.store.folders())

    # -- workspaces

    async def workspaces(self) -> None:
        """Remove the slots of both pools that nobody holds and no run will look for."""
        places = self.shop.places
        precious = GitWorkspaces(self.shop.repository, places.agents)
        for left in precious.abandoned():
            await self._left(precious, left)
        for folder in (places.agents, places.gates):
            pool = Pool.at(folder)
            for name in pool.names():
                self._slot(pool, name, precious=folder == places.agents)
            self._rest(pool)

    async def _left(self, workspaces: GitWorkspaces, left: Workspace) -> None:
        """Rescue what nobody gave back, unless its run does that better [I2]."""
        run = left.branch.removeprefix(integration_branch("")).partition("/")[0]
        if self._is_busy(run) or self.dry_run:
            return
        message = f"What was left in workspace {left.slot} on {left.branch}\n"
        try:
            ref = await workspaces.rescue(left, prefix_of(left.branch, left.slot), message)
            await workspaces.release(left)
        except AdapterError as error:
            self.kept.append((str(left.path), f"it could not be rescued: {error.message}"))
            return
        finally:
            workspaces.let_go(left)
        if ref is not None:
            self.kept.append((ref.removeprefix(f"{REF_ROOT}/rescue/"), f"rescued from {left.path}"))

    def _slot(self, pool: Pool, name: str, *, precious: bool) -> None:
        slot = pool.take_named(name)
        if slot is None:
            self.kept.append((str(pool.folder / name), "a process works in it"))
            return
        try:
            why = self._needed(slot) if precious else ""
            if not why and self.busy:
                why = "a run that is not over may use it again"
            if why:
                self.kept.append((str(slot.home), why))
                return
            self.removed.append(("workspace", str(slot.home)))
            if not self.dry_run:
                pool.remove(slot)
        finally:
            slot.give_back()

    def _needed(self, slot: Slot) -> str:
        """Why the workspace of an agent has to stay, or nothing."""
        note = slot.note()
        if slot.is_illegible:
            return "its note cannot be read, so nobody knows what is in it"
        if note is None or not note.held:
            return ""
        run = note.branch.removeprefix(integration_branch("")).partition("/")[0]
        if self._is_busy(run):
            return f"work of run {run} may be in it"
        return "" if self.dry_run else "it could not be rescued, and nothing else holds what is in it"

    def _rest(self, pool: Pool) -> None:
        """What else lies in a pool: the bin always goes, what could not be rescued never does."""
        kept = pool.folder / Pool.KEPT
        for path in sorted(kept.iterdir()) if kept.is_dir() else ():
            self.kept.append(
                (str(path), "it could not be rescued when its slot was needed: yours to look at and delete")
            )
        self._folder(pool.folder / Pool.BIN)
        if not self.busy:
            self._folder(pool.folder / "setup", shared=True)
        for folder in () if self.dry_run else (pool.folder / Pool.BIN, pool.folder):
            with contextlib.suppress(OSError):  # something is in it, or it is not there
                folder.rmdir()

    def private(self) -> None:
        """Remove the private folders of runs that are over, and, when all are, what package managers fetched."""
        rooms = idle_rooms(self.shop, self.over)
        try:
            stays = {} if self.dry_run or not rooms else remove_rooms(self.shop, rooms, self.over)
        except ChargehandError as error:
            stays = dict.fromkeys(rooms, f"it could not be removed: {error}")
        self.removed += [("folder", str(room)) for room in rooms if room not in stays]
        self.kept += [(str(room), why) for room, why in stays.items()]
        if not self.busy:
            self._folder(self.shop.places.cache, shared=True)

    def _folder(self, path: Path, *, shared: bool = False) -> None:
        """Remove a folder with something in it; one that runs share only while none is under way."""
        if not path.is_dir() or not any(path.iterdir()):
            return
        try:
            if not self.dry_run:
                aside = aside_of(path)
                with one_at_a_time(self.shop.places.runs / ".starting") if shared else contextlib.nullcontext():
                    if shared and not self._stands_still():
                        self.kept.append((str(path), "a run began meanwhile"))
                        return
                    path.rename(aside)
                remove_tree(aside)
        except (ChargehandError, OSError) as error:
            self.kept.append((str(path), f"it could not be removed: {error}"))
        else:
            self.removed.append(("folder", str(path)))

    # -- refs

    async def refs(self) -> None:
        """Remove the refs that keep what nobody can want any more."""
        git = self.shop.repository.git()
        listed = (await git.run("for-each-ref", _FIELDS, *(f"{REF_ROOT}/{kind}/" for kind in _KINDS))).stdout
        lines = [line.split(" ", 2) for line in listed.decode("utf-8", "surrogateescape").splitlines()]
        refs = [_Ref(oid, float(at or 0), name) for oid, at, name in lines]
        landed = await self._landed({ref.run for ref in refs if ref.kind == "attempts"})
        reasons: Counter[tuple[str, str]] = Counter()
        gone = []
        for ref in refs:
            why = self._wanted(ref, landed)
            if why:
                reasons[ref.kind, why] += 1
            else:
                gone.append(ref)
        held = {run for run in {ref.run for ref in gone} & self.over.keys() if not self._is_free(run)}
        await self._delete([ref for ref in gone if ref.kind == "accept" or ref.run not in held])
        self.kept += [(_counted(kind, count), why) for (kind, why), count in sorted(reasons.items())]

    def _wanted(self, ref: _Ref, landed: frozenset[str]) -> str:
        """Why a ref has to stay, or nothing."""
        if ref.run in self.busy and ref.kind != "accept":
            return f"run {ref.run} is not over"
        state = self.over.get(ref.run)
        if state is not None and ref.kind in ("candidates", "bases"):
            return ""
        if state is not None and ref.kind == "attempts":
            if not state.is_landed:
                what = "committed" if state.accepted else "accepted"
                return f"run {ref.run} is not {what} yet"
            if ref.name in landed:
                return ""
        days = self.shop.settings.rescue_days
        if days == 0 and ref.kind != "accept":
            return "they are kept for ever (`rescue_days` is 0)"
        at = self._age(ref)
        if at is None:
            return "nothing that can be trusted tells how old they are"
        return f"they are kept for {days} days" if at >= self.now - (days or 1) * _DAY_S else ""

    def _age(self, ref: _Ref) -> float | None:
        """Since when nobody wants what a ref keeps, at the earliest; None where nothing tells that no agent chose.

        Its file was written when the ref was; a packed one was there when all refs were packed last. What its commit
        says counts for rescues, which are commits of our own, and only to keep them longer.
        """
        common = self.shop.repository.common_dir
        state = None if ref.kind == "accept" else self.over.get(ref.run)
        known = [_written_at(common / ref.name), None if state is None else state.last_at]
        if known == [None, None]:
            known = [_written_at(common / "packed-refs")]
        told = [at for at in known if at is not None]
        if told and ref.kind == "rescue":
            told.append(ref.at)
        return max(told, default=None)

    async def _landed(self, runs: Iterable[str]) -> frozenset[str]:
        """The attempts of accepted runs that are part of what was accepted."""
        git, found = self.shop.repository.git(), set()
        for run in runs:
            state = self.over.get(run)
            if state is not None and state.is_landed and state.head is not None:
                pattern = f"{REF_ROOT}/attempts/{run}/"
                got = await git.run(
                    "for-each-ref", "--format=%(refname)", f"--merged={state.head}", pattern, ok=(0, 128, 129)
                )
                found.update(got.stdout.decode("utf-8", "surrogateescape").splitlines())
        return frozenset(found)

    async def _delete(self, refs: Sequence[_Ref]) -> None:
        """Delete refs that still stand where they stood."""
        feed = "".join(f"delete {ref.name} {ref.oid}\n" for ref in refs)
        if feed and not self.dry_run:
            try:
                await self.shop.repository.git().run(
                    "update-ref", "--stdin", stdin=feed.encode("utf-8", "surrogateescape")
                )
            except AdapterError as error:
                self.kept.append((_counted("refs", len(refs)), f"they could not be deleted: {error.message}"))
                return
        root = f"{REF_ROOT}/rescue/"
        self.removed += [
            ("rescue", ref.name.removeprefix(root)) if ref.kind == "rescue" else ("ref", ref.name) for ref in refs
        ]

    async def branches(self) -> None:
        """Say which integration branches are there: they are the user's."""
        prefix = integration_branch("")
        got = await self.shop.repository.git().run("for-each-ref", "--format=%(refname)", f"refs/heads/{prefix}")
        names = got.stdout.decode("utf-8", "replace").splitlines()
        self.kept += [(name.removeprefix("refs/heads/"), "branches are yours to delete") for name in names]


async def clean(shop: Workshop, *, dry_run: bool) -> Cleaned:
    """Remove idle workspaces, private folders, and refs that keep nothing anybody wants.

    Journals, integration branches, unlanded work, and what runs that are held or not over may need, stay.
    """
    cleaning = _Cleaning(shop, dry_run, shop.clock.now())
    cleaning.look_at_runs()
    await cleaning.workspaces()
    cleaning.private()
    await cleaning.refs()
    await cleaning.branches()
    if not dry_run:
        state = shop.repository.common_dir / "chargehand"
        sweep(state / "incoming", shop.repository.objects)
    return Cleaned(removed=tuple(cleaning.removed), kept=tuple(cleaning.kept))


def _counted(kind: str, count: int) -> str:
    words = {"rescue": "rescues", "attempts": "sealed attempts", "candidates": "merge candidates"}
    return f"{count} {words.get(kind, kind)}"


def _written_at(path: Path) -> float | None:
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return found.st_mtime if stat.S_ISREG(found.st_mode) else None
