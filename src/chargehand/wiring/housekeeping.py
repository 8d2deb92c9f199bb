"""What `clean` may remove, and what it keeps with the reason (SPEC 7.5)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.folders import remove_tree
from chargehand.adapters.rescues import forget_rescues
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.errors import AdapterError, ChargehandError
from chargehand.domain.ids import REF_ROOT, integration_branch

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Cleaned", "clean"]

_RUN_REF = re.compile(rf"{REF_ROOT}/(?:candidates)/(?P<run>[^/]+)/")
_DAY_S = 86_400.0
KEPT = "kept"
"""The folder of a pool where slots stand that could not be rescued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What went (or would go), as (kind, name), and what was kept, as (name, why)."""

    removed: tuple[tuple[str, str], ...]
    kept: tuple[tuple[str, str], ...]


async def clean(shop: Workshop, *, dry_run: bool) -> Cleaned:
    """Remove workspaces nobody holds, private folders, merge candidates and old rescues.

    Journals, attempt refs, integration branches and workspaces of unfinished runs stay: somebody may want them.
    """
    held = {run: who for run in shop.store.runs() if (who := shop.store.holder(run))}
    if held:
        busy = [(run, f"it is held by {who}") for run, who in held.items()]
        return Cleaned(removed=(), kept=(*busy, ("everything else", "a run is being driven here")))
    removed = await _candidates(shop, dry_run=dry_run)
    if not dry_run:
        before = time.time() - shop.settings.rescue_days * _DAY_S
        removed += [("rescue", name) for name in await forget_rescues(shop.repository, before=before)]
    unfinished = _unfinished(shop)
    kept = [(run, "it is not finished: its workspaces stay") for run in unfinished]
    if not unfinished:
        lost = [] if dry_run else await _rescue_left(shop)
        kept += [(str(path), "it could not be rescued, and nothing else holds what is in it") for path in lost]
        removed += [] if lost else _folders(shop, dry_run=dry_run)
    kept += [(integration_branch(run), "branches are yours to delete") for run in shop.store.runs()]
    return Cleaned(removed=tuple(removed), kept=tuple(kept))


async def _rescue_left(shop: Workshop) -> list[Path]:
    """Rescue workspaces that were never given back; answers those where even that failed [I2]."""
    workspaces = GitWorkspaces(shop.repository, shop.places.agents)
    failed = []
    for left in workspaces.abandoned():
        message = f"What was left in workspace {left.slot} on {left.branch}\n"
        try:
            await workspaces.rescue(left, f"{REF_ROOT}/rescue/abandoned/{left.slot}", message)
            await workspaces.release(left)
        except AdapterError:
            failed.append(left.path)
    aside = shop.places.agents / KEPT
    return failed + (sorted(aside.iterdir()) if aside.is_dir() else [])


def _unfinished(shop: Workshop) -> list[str]:
    found = []
    for run in shop.store.runs():
        try:
            if shop.service.look(run).state.finished is None:
                found.append(run)
        except ChargehandError:
            found.append(run)  # a journal that cannot be read may still be repaired: nothing of it goes
    return found


async def _candidates(shop: Workshop, *, dry_run: bool) -> list[tuple[str, str]]:
    """Merge candidates of finished runs: landed ones are in the branch, others lost their gates."""
    listed = await shop.repository.git().text("for-each-ref", "--format=%(refname)", f"{REF_ROOT}/candidates/")
    unfinished = set(_unfinished(shop))
    gone = [ref for ref in listed.splitlines() if (m := _RUN_REF.match(ref)) and m["run"] not in unfinished]
    if gone and not dry_run:
        lines = "".join(f"delete {ref}\n" for ref in gone)
        await shop.repository.git().run("update-ref", "--stdin", stdin=lines.encode())
    return [("ref", ref) for ref in gone]


def _folders(shop: Workshop, *, dry_run: bool) -> list[tuple[str, str]]:
    places = shop.places
    gone = [path for path in (places.agents, places.gates, places.private, places.cache) if path.exists()]
    for path in gone if not dry_run else ():
        remove_tree(_aside(path))
    return [("folder", str(path)) for path in gone]


def _aside(path: Path) -> Path:
    """Out of the way first: what is half removed must not look like a pool."""
    aside = path.with_name(f"{path.name}.gone")
    if aside.exists():
        remove_tree(aside)
    path.rename(aside)
    return aside
