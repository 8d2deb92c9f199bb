"""The pool of workspaces on disk: numbered slots, each held by at most one process at a time.

A slot is a folder with a lock file, the runtime's git directory (`git`) and the workspace beside it. The
kernel gives a lock up when its holder dies; the note in the slot then still says what was in it, so that the
next one to take it can rescue first (I2).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.git.owned import write_atomically
from chargehand.adapters.git.refs import is_plain_directory

__all__ = ["Note", "Pool", "Slot", "file_identity", "open_up", "remove_tree"]

_NAME = re.compile(r"s[1-9][0-9]{0,5}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is in a slot: `held` from acquire to release; `index` identifies the index the agent was given.

    `declared` are the patterns of ignored files that count.
    """

    commit: str
    branch: str
    held: bool
    index: str = ""
    declared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A slot this process holds, until `give_back`."""

    name: str
    home: Path
    work: Path
    lock: int

    @property
    def git_dir(self) -> Path:
        """The runtime's git directory of this slot."""
        return self.home / "git"

    def note(self) -> Note | None:
        """What the last holder wrote down."""
        return read_note(self.home)

    @property
    def is_illegible(self) -> bool:
        """Whether there is a note that cannot be read: nobody knows what is in the slot."""
        return self.note() is None and os.path.lexists(self.home / "note.json")

    def write_note(self, note: Note) -> None:
        """Say what is in the slot; survives this process."""
        data = {
            "commit": note.commit,
            "branch": note.branch,
            "held": note.held,
            "index": note.index,
            "declared": note.declared,
        }
        write_atomically(self.home / "note.json", json.dumps(data).encode())

    def give_back(self) -> None:
        """Let others have the slot."""
        with contextlib.suppress(OSError):
            os.close(self.lock)


def file_identity(path: Path) -> str:
    """Changes whenever a file is written or replaced; empty where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return ""
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"


def read_note(home: Path) -> Note | None:
    """The note in a slot's folder, or None."""
    try:
        data = json.loads((home / "note.json").read_bytes())
        return Note(
            commit=str(data["commit"]),
            branch=str(data["branch"]),
            held=bool(data["held"]),
            index=str(data["index"]),
            declared=tuple(str(pattern) for pattern in data.get("declared", ())),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Pool:
    """Slots in one folder; `work_name` is the name of the workspace folder in each."""

    KEPT = "kept"
    """The folder of what could not be rescued: nothing deletes it."""
    BIN = "trash"
    """The folder of what is being deleted."""

    def __init__(self, folder: Path, work_name: str) -> None:
        self.folder = folder
        self._work_name = work_name

    @classmethod
    def at(cls, folder: Path) -> Pool:
        """The pool in a folder, whatever its workspaces are called: to look it over, not to work in it."""
        return cls(folder, "work")

    def take(self, commit: str = "") -> Slot:
        """The first free slot that holds `commit`, else the first free one, or a new one. Never waits."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in self.names():
            note = read_note(self.folder / name)
            near = note is not None and note.commit == commit
            slot = self.take_named(name) if near else None
            if slot is not None:
                return slot
        number = 0
        while True:
            number += 1
            slot = self.take_named(f"s{number}")
            if slot is not None:
                return slot

    def take_named(self, name: str) -> Slot | None:
        """This slot, made when it is not there; None when somebody holds it."""
        home = self.folder / name
        while True:
            home.mkdir(parents=True, exist_ok=True)
            try:
                fd = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:  # removed in between
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                return None
            if file_identity(home / "lock").partition("-")[0] == str(os.fstat(fd).st_ino):
                return Slot(name=name, home=home, work=home / self._work_name, lock=fd)
            os.close(fd)  # removed with the slot before the lock was there

    def names(self) -> list[str]:
        """The slots there are, in order."""
        try:
            found = [entry.name for entry in os.scandir(self.folder) if _NAME.match(entry.name)]
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda name: int(name[1:]))

    def set_aside(self, slot: Slot) -> Path:
        """Move everything in a slot to a folder that nothing deletes: it could not be rescued."""
        kept = self.folder / self.KEPT
        kept.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=kept, prefix=f"{slot.name}-"))
        for part in (slot.work, slot.git_dir, slot.home / "note.json"):
            if os.path.lexists(part):
                part.rename(aside / part.name)
        return aside

    def remove(self, slot: Slot) -> None:
        """Delete a slot this process holds, with everything in it."""
        aside = self.discard(slot.home)
        if aside is not None:
            remove_tree(aside)

    def discard(self, path: Path) -> Path | None:
        """Move a folder (or whatever stands there) out of the way at once; to be deleted later."""
        if not os.path.lexists(path):
            return None
        bin_ = self.folder / self.BIN
        bin_.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=bin_))
        path.rename(aside / "x")
        return aside


def open_up(root: Path) -> None:
    """Give ourselves access to everything below `root` again; follows no link."""
    pending = [root] if is_plain_directory(root) else []
    while pending:
        folder = pending.pop()
        _allow(folder, stat.S_IRWXU)
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                elif not entry.is_symlink():
                    _allow(Path(entry.path), stat.S_IRUSR | stat.S_IWUSR)


def _allow(path: Path, bits: int) -> None:
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        if mode & bits != bits and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            path.chmod(stat.S_IMODE(mode) | bits)


def remove_tree(path: Path) -> None:
    """Delete whatever stands at `path`, unreadable and bottomless folders included; follows no link."""
    if not is_plain_directory(path):
        path.unlink(missing_ok=True)
        return
    with contextlib.suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        _flatten(path)


def _flatten(root: Path) -> None:
    """Delete a folder by moving each folder in it beside it: neither depth nor length of a path matters."""
    pending, number = [root], 0
    while pending:
        folder = pending.pop()
        _allow(folder, stat.S_IRWXU)
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                number += 1
                beside = root.with_name(f"{root.name}.{number}")
                _allow(Path(entry.path), stat.S_IRWXU)
                Path(entry.path).rename(beside)
                pending.append(beside)
            else:
                Path(entry.path).unlink()
        folder.rmdir()
