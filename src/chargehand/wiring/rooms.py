"""The private folders of runs (HOME, scratch): which nobody can need any more, and how those are removed."""

from __future__ import annotations

import secrets
from collections.abc import Container, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.folders import PrivateFolders, remove_tree
from chargehand.adapters.lock import RunLock, one_at_a_time
from chargehand.domain.errors import AdapterError, ChargehandError
from chargehand.wiring.places import private_name

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["aside_of", "idle_rooms", "remove_rooms"]

_GONE = ".gone"


def idle_rooms(shop: Workshop, over: Container[str]) -> list[Path]:
    """The folders that are of no run, or of one that is `over`. A run is there when its folder is, readable or not."""
    private = shop.places.private
    if not private.is_dir():
        return []
    needed = {name for name, run in _runs(shop).items() if run not in over}
    return [room for room in sorted(private.iterdir()) if room.name not in needed]


def remove_rooms(shop: Workshop, rooms: Iterable[Path], over: Container[str]) -> dict[Path, str]:
    """Remove idle rooms; of those that stay, why.

    A room goes out of the way while no run can start and nobody can take its run up, so a run that begins or is resumed
    meanwhile keeps its own, or makes a new one. What is half removed is found and removed the next time.
    """
    stays: dict[Path, str] = {}
    gone: dict[Path, Path] = {}
    with one_at_a_time(shop.places.runs / ".starting"):
        runs = _runs(shop)
        for room in rooms:
            try:
                gone[room] = _set_aside(shop, room, runs.get(room.name), over)
            except (ChargehandError, OSError) as error:
                stays[room] = f"it could not be removed: {error}"
    for room, aside in gone.items():
        try:
            _remove(aside)
        except (AdapterError, OSError) as error:
            stays[room] = f"it could not be removed: {error}"
    return stays


def aside_of(path: Path) -> Path:
    """Where a folder goes before it is removed: what is half removed must not look like something that is used."""
    return path.with_name(f"{path.name}-{secrets.token_hex(4)}{_GONE}")


def _remove(room: Path) -> None:
    """Remove a room, and first the TMPDIRs elsewhere that only links in it lead to."""
    if room.is_dir() and not room.is_symlink():
        PrivateFolders(room).clear()
    remove_tree(room)


def _runs(shop: Workshop) -> dict[str, str]:
    """The runs by the names of their rooms."""
    return {private_name(shop.store.folder(run)): run for run in shop.store.folders()}


def _set_aside(shop: Workshop, room: Path, run: str | None, over: Container[str]) -> Path:
    if room.name.endswith(_GONE):
        return room
    aside = aside_of(room)
    with nullcontext() if run is None else RunLock.acquire(shop.store.folder(run) / "lock"):
        if run is not None and (run not in over or shop.service.look(run).state.finished is None):
            raise AdapterError("folders", f"run {run} goes on.")
        room.rename(aside)
    return aside
