"""Things that lie where files of ours belong: pipes, folders, links, and notes that nobody of us wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.folders import what_it_is
from chargehand.adapters.git.incoming import is_illegible
from chargehand.wiring.doctor.finding import Finding, listed, many

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["STOPPING", "look_at_files", "look_at_state"]

STOPPING = ("journal.db", "journal.db-wal", "journal.db-shm", "journal.db-journal", "lock")
"""Without these as files nothing of a run can be read."""

_OTHERS = ("run.json", "snapshot.json", "snapshot.new", "driver.log", "notify.log")
_PIPE = "nudge"
_AREA = "leftovers"


def look_at_files(shop: Workshop, run: str) -> list[Finding]:
    """What lies in the folder of a run in the place of files; the first finding tells whether it can be read."""
    folder = shop.store.folder(run)
    stopping = [folder / name for name in STOPPING if not (folder / name).is_file() and what_it_is(folder / name)]
    others = [folder / name for name in _OTHERS if what_it_is(folder / name)]
    others += [folder / _PIPE] if (folder / _PIPE).is_dir() else []
    # a link to a file can be read as a journal, and is no lock
    stopping += [folder / "lock"] if (folder / "lock").is_symlink() and (folder / "lock").is_file() else []
    return [_odd(f"run {run}", path, stops=path in stopping or path.name == _PIPE) for path in (*stopping, *others)]


def _odd(area: str, path: Path, *, stops: bool) -> Finding:
    so = "the run can neither be read nor resumed" if path.name in STOPPING else "it is not read"
    so = "the run cannot be resumed" if path.name == _PIPE else so
    text = f"{path} is {what_it_is(path)}, which Chargehand did not make; while it is there {so}"
    hint = f"Move it away: `mv {path} {path}.odd`, then `chargehand doctor` again."
    return Finding(area=area, name="files", ok=False if stops else None, text=text, hint=hint)


def look_at_state(shop: Workshop) -> list[Finding]:
    """The same for what all runs share; notes about packs that are not believed, so that the packs stay."""
    found = []
    starting = shop.places.runs / ".starting"
    if what_it_is(starting):
        text = f"{starting} is {what_it_is(starting)}; while it is there no run can be started"
        found.append(Finding(area=_AREA, name="files", ok=False, text=text, hint=f"Move it away: `mv {starting} DIR`."))
    home = shop.repository.common_dir / "chargehand" / "incoming"
    odd = [path for path in sorted(home.iterdir()) if path.is_dir() and is_illegible(path)] if home.is_dir() else []
    if odd:
        text = f"{many(len(odd), 'note')} about packs that keep objects of runs cannot be read: {listed(odd)}"
        hint = "Nothing is lost; the packs stay. Remove the folder once no run needs it, and `.keep` files as you like."
        found.append(Finding(area=_AREA, name="kept packs", ok=None, text=text, hint=hint))
    return found
