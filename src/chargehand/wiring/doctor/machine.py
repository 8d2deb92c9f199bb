"""What every run needs of this machine: git, a sandbox, a place for journals, room on the disks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.git.command import MIB
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.domain.errors import ChargehandError, UserError
from chargehand.wiring.doctor.finding import Finding, words_of

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["look_at_machine", "room_finding"]

_AREA = "this machine"
_LEAST_BYTES = 64 * MIB
_FEW_BYTES = 2048 * MIB
_LEAST_FILES = 1_000
_FEW_FILES = 20_000


async def look_at_machine(shop: Workshop) -> list[Finding]:
    """Git, the sandboxes, the state folder, disks."""
    return [await _git(shop), *await _sandboxes(shop), _state(shop), *_rooms(shop)]


async def _git(shop: Workshop) -> Finding:
    version = await shop.repository.git().text("--version")
    return Finding(area=_AREA, name="git", ok=True, text=f"{version}; {shop.repository.common_dir}")


async def _sandboxes(shop: Workshop) -> list[Finding]:
    """Both kinds; one that does not work is wrong only where the settings ask for exactly that one."""
    wanted = shop.settings.sandbox.kind
    found, works = [], []
    for kind in ("bwrap", "landlock"):
        try:
            choice = await shop.sandbox(kind)
        except UserError as error:
            ok = False if kind == wanted else None
            found.append(Finding(area=_AREA, name=f"sandbox {kind}", ok=ok, text=error.message, hint=error.hint))
            continue
        works.append(kind)
        found.append(Finding(area=_AREA, name=f"sandbox {kind}", ok=True, text=choice.announcement))
    if wanted == "none" or (wanted == "auto" and not works):
        text = "agents run outside any sandbox: nothing holds them but their manners"
        hint = "Give --sandbox auto." if works else "Install bubblewrap (bwrap)."
        found.append(Finding(area=_AREA, name="sandbox none", ok=None, text=text, hint=hint))
    return found


def _state(shop: Workshop) -> Finding:
    """Whether a journal can be written where the journals are."""
    try:
        shop.state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="doctor-", dir=shop.state) as folder:
            SqliteJournal.create(Path(folder) / "journal.db").close()
    except (ChargehandError, OSError) as error:
        hint = "Make the folder writable, or put the state elsewhere with --state-dir DIR."
        text = f"no run can be recorded in {shop.state}: {words_of(error)}"
        return Finding(area=_AREA, name="journal", ok=False, text=text, hint=hint)
    return Finding(area=_AREA, name="journal", ok=True, text=f"journals lie in {shop.places.runs}")


def _rooms(shop: Workshop) -> list[Finding]:
    """Each file system once that state, workspaces or objects lie on."""
    wanted = {"state": shop.state, "workspaces": shop.places.agents, "repository": shop.repository.objects}
    disks: dict[int, dict[str, Path]] = {}
    for name, place in wanted.items():
        there = place
        while not there.exists():
            there = there.parent
        disks.setdefault(there.stat().st_dev, {})[name] = there
    found = []
    for uses in disks.values():
        name = "disk" if len(disks) == 1 else f"disk of {next(iter(uses))}"
        told = os.statvfs(next(iter(uses.values())))
        files = told.f_favail if told.f_files else None
        found.append(room_finding(name, uses, told.f_bavail * told.f_frsize, files))
    return found


def room_finding(name: str, uses: Mapping[str, Path], free_bytes: int, free_files: int | None) -> Finding:
    """Whether a file system has room; `free_files` is None where it does not count them."""
    kinds = " and ".join(filter(None, (", ".join(list(uses)[:-1]), list(uses)[-1])))
    amount = f"{free_bytes / 1024**3:.1f} GiB" if free_bytes >= 1024**3 else f"{free_bytes // MIB} MiB"
    files = "" if free_files is None or free_files >= _FEW_FILES else f" and {free_files:,} files (inodes)"
    text = f"{amount}{files} free for {kinds}"
    if free_bytes < _LEAST_BYTES or (free_files is not None and free_files < _LEAST_FILES):
        text += f" ({next(iter(uses.values()))}): nothing can be recorded, sealed or rescued there"
        hint = "Make room; `chargehand clean` removes idle workspaces. A run that stopped goes on with `resume`."
        return Finding(area=_AREA, name=name, ok=False, text=text, hint=hint)
    if free_bytes < _FEW_BYTES or files:
        hint = "`chargehand clean` removes idle workspaces."
        return Finding(area=_AREA, name=name, ok=None, text=text, hint=hint)
    return Finding(area=_AREA, name=name, ok=True, text=text)
