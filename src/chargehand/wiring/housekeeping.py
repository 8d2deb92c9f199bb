"""What `clean` may remove, and what it keeps with the reason (SPEC 7.5).

Nothing that only a workspace holds goes: it is rescued first, and where that fails it stays. A run that is held or not
over keeps all it may need. Refs go when nobody can want what they keep: merge candidates with the end of their run,
sealed attempts once they are landed and accepted, everything else after `rescue_days`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.folders import remove_tree
from chargehand.adapters.git.incoming import sweep
from chargehand.adapters.rescue import prefix_of
from chargehand.adapters.slots import Pool, Slot
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.errors import AdapterError, ChargehandError
from chargehand.domain.ids import REF_ROOT, integration_branch
from chargehand.domain.state import RunState
from chargehand.ports import Workspace
from chargehand.wiring.places import private_name

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
    """A ref of ours; `rest` is what follows its kind and run."""

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
    """One `clean` under way. `busy` says of runs why nothing of theirs goes, `over` how the others ended."""

    shop: Workshop
    dry_run: bool
    now: float
    busy: dict[str, str] = field(default_factory=dict)
    over: dict[str, RunState] = field(default_factory=dict)
    removed: list[tuple[str, str]] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)

    def look_at_runs(self) -> None:
        """Which runs are over. A journal that cannot be read may still be repaired: nothing of its run goes."""
        for run in self.shop.store.runs():
            holder = self.shop.store.holder(run)
            if holder:
                self.busy[run] = f"it is held by {holder}"
                continue
            try:
                state = self.shop.service.look(run).state
            except ChargehandError as error:
                self.busy[run] = f"its journal cannot be read: {error}"
                continue
            if state.finished is None:
                self.busy[run] = f"it is not over: `chargehand resume {run}` goes on with it"
            else:
                self.over[run] = state
        self.kept += sorted(self.busy.items())

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
        if run in self.busy or self.dry_run:
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
        if run in self.busy:
            return f"work of run {run} may be in it"
        return "" if self.dry_run else "it could not be rescued, and nothing else holds what is in it"

    def _rest(self, pool: Pool) -> None:
        """What else lies in a pool: the bin always goes, what could not be rescued never does."""
        kept = pool.folder / Pool.KEPT
        for path in sorted(kept.iterdir()) if kept.is_dir() else ():
            self.kept.append(
                (str(path), "it could not be rescued when its slot was needed: yours to look at and delete")
            )
        gone = [pool.folder / Pool.BIN, *([] if self.busy else [pool.folder / "setup"])]
        self._folders(path for path in gone if path.is_dir() and any(path.iterdir()))
        for folder in () if self.dry_run else (pool.folder / Pool.BIN, pool.folder):
            with contextlib.suppress(OSError):  # something is in it, or it is not there
                folder.rmdir()

    def private(self) -> None:
        """Remove the private folders of runs that are over, and, when all are, what package managers fetched."""
        places, store = self.shop.places, self.shop.store
        needed = {private_name(store.folder(run)) for run in self.busy}
        rooms = sorted(places.private.iterdir()) if places.private.is_dir() else []
        self._folders(room for room in rooms if room.name not in needed)
        if not self.busy and places.cache.is_dir():
            self._folders([places.cache])

    def _folders(self, paths: Iterable[Path]) -> None:
        for path in list(paths):
            try:
                if not self.dry_run:
                    remove_tree(_aside(path))
            except (AdapterError, OSError) as error:
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
        await self._delete(gone)
        self.kept += [(_counted(kind, count), why) for (kind, why), count in sorted(reasons.items())]

    def _wanted(self, ref: _Ref, landed: frozenset[str]) -> str:
        """Why a ref has to stay, or nothing."""
        if ref.run in self.busy and ref.kind != "accept":
            return f"run {ref.run} is not over"
        state = self.over.get(ref.run)
        if state is not None and ref.kind in ("candidates", "bases"):
            return ""
        if state is not None and ref.kind == "attempts":
            if state.accepted is None:
                return f"run {ref.run} is not accepted yet"
            if ref.name in landed:
                return ""
        days = self.shop.settings.rescue_days
        if days == 0 and ref.kind != "accept":
            return "they are kept for ever (`rescue_days` is 0)"
        return f"they are kept for {days} days" if ref.at >= self.now - (days or 1) * _DAY_S else ""

    async def _landed(self, runs: Iterable[str]) -> frozenset[str]:
        """The attempts of accepted runs that are part of what was accepted."""
        git, found = self.shop.repository.git(), set()
        for run in runs:
            state = self.over.get(run)
            if state is not None and state.accepted is not None and state.head is not None:
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


def _aside(path: Path) -> Path:
    """Out of the way first: what is half removed must not look like something that is used."""
    aside = path.with_name(f"{path.name}.gone")
    if aside.exists():
        remove_tree(aside)
    path.rename(aside)
    return aside
