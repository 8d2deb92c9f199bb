"""Where the runs of a repository live: a folder per run with journal, lock and files (SPEC 10.5)."""

from __future__ import annotations

import errno
import json
import math
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from chargehand.adapters.folders import read_regular
from chargehand.adapters.inbox import NudgingInbox
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.adapters.lock import RunLock
from chargehand.adapters.scrubbing import scrubbed, scrubber
from chargehand.adapters.snapshots import FileSnapshots
from chargehand.adapters.sqlite_file import refuse_odd
from chargehand.domain.errors import AdapterError, ChargehandError, UserError
from chargehand.domain.events import Event, Recorded
from chargehand.domain.secrecy import Vault
from chargehand.ports import Inbox, OpenRun

__all__ = ["FolderRunStore"]

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_JOURNAL = "journal.db"
_BIRTH = "run.json"
_SNAPSHOT = "snapshot.json"
_ASIDE = ".new-"
_NOTE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class FolderRunStore:
    """Implements `ports.RunStore` below one folder; no secret of `vault` is stored."""

    root: Path
    vault: Vault = field(default_factory=Vault)

    def create(self, run: str, first: Sequence[Event], at: float) -> OpenRun:
        """A new run with its first events, held by this process; made aside and moved into place at once [I4]."""
        if not _RUN_ID.fullmatch(run) or ".." in run or run.endswith((".lock", ".")):
            hint = "Use letters, digits, dots, dashes and underscores, beginning with a letter or digit."
            raise UserError(f"{run!r} cannot be the id of a run.", code="bad_run_id", hint=hint)
        aside = self._make_aside(run, first, at)
        lock = RunLock.acquire(aside / "lock")
        try:
            aside.rename(self.folder(run))
        except OSError as error:
            lock.release()
            shutil.rmtree(aside, ignore_errors=True)
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
                raise _unwritable(self.root, error) from error
            hint = f"Take it up with `chargehand resume {run}`, or choose another --run-id."
            raise UserError(f"Run {run} exists already.", code="run_exists", hint=hint) from None
        lock.path = self.folder(run) / "lock"
        return self._held(run, lock)

    def _make_aside(self, run: str, first: Sequence[Event], at: float) -> Path:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=self.root))
        except OSError as error:
            raise _unwritable(self.root, error) from error
        try:
            with SqliteJournal.create(aside / _JOURNAL, run=run) as journal:
                journal.append([scrubbed(event, self.vault) for event in first], at)
            (aside / _BIRTH).write_text(json.dumps({"run": run, "created_at": at}), encoding="utf-8")
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise _unwritable(self.root, error) from error
        except BaseException:  # a full disk above all: what was begun would only fill it further
            shutil.rmtree(aside, ignore_errors=True)
            raise
        return aside

    def open(self, run: str) -> OpenRun:
        """Take an existing run up; `RunLocked` when another process holds it, `UserError` when there is none."""
        self._journal_path(run)
        return self._held(run, RunLock.acquire(self.folder(run) / "lock"))

    def read(self, run: str, after: int = 0, most: int | None = None) -> list[Recorded]:
        """The events of a run after that number, in order, at most so many, without holding it."""
        with SqliteJournal.open(self._journal_path(run), readonly=True) as journal:
            return list(islice(journal.read(after), most))

    def snapshots(self, run: str) -> FileSnapshots:
        """The snapshots of a run, for a process that does not hold it: to load, not to save."""
        path = self._journal_path(run)

        def chain_at(seq: int) -> str | None:
            with SqliteJournal.open(path, readonly=True) as journal:
                return journal.chain_at(seq)

        return FileSnapshots(self.folder(run) / _SNAPSHOT, chain_at)

    def inbox(self, run: str) -> Inbox:
        """The inbox of a run, for a process that does not hold it."""
        return self._inbox(run, self._journal_path(run))

    def runs(self) -> list[str]:
        """The ids of all runs, oldest first. A folder whose creation was cut short is no run."""
        born = [(self._born(self.folder(name)), name) for name in self.folders() if _RUN_ID.fullmatch(name)]
        return [name for at, name in sorted(born) if at >= 0]

    def folders(self) -> list[str]:
        """The names of all folders that a run may be in, sorted, whether or not anything in them can be read.

        Who removes what belongs to runs goes by these: nothing that lies in a folder takes its run off this list.
        """
        if not self.root.is_dir():
            return []
        found = (folder.name for folder in self.root.iterdir() if folder.is_dir())
        return sorted(name for name in found if not name.startswith("."))

    def holder(self, run: str) -> str | None:
        """Who holds the run now, in words; None when nobody does."""
        found = RunLock.look(self.folder(run) / "lock")
        return found.text if found else None

    def folder(self, run: str) -> Path:
        """The folder of a run."""
        return self.root / run

    def _held(self, run: str, lock: RunLock) -> OpenRun:
        path = self.folder(run) / _JOURNAL
        try:
            journal = SqliteJournal.open(path, scrub=scrubber(self.vault))
        except BaseException:
            lock.release()
            raise
        inbox = self._inbox(run, path)

        def release() -> None:
            inbox.close()
            journal.close()
            lock.release()

        return OpenRun(
            run=run,
            folder=self.folder(run),
            journal=journal,
            inbox=inbox,
            snapshots=FileSnapshots(self.folder(run) / _SNAPSHOT, journal.chain_at),
            beat=lock.beat,
            release=release,
        )

    def _inbox(self, run: str, journal: Path) -> NudgingInbox:
        return NudgingInbox(journal, self.folder(run) / "nudge", scrub=self.vault.text)

    def _journal_path(self, run: str) -> Path:
        path = self.folder(run) / _JOURNAL
        if not _RUN_ID.fullmatch(run) or not path.is_file():
            raise self._missing(run)
        return path

    def _missing(self, run: str) -> ChargehandError:
        """Why there is no journal: no such run, or one that has lost it."""
        if run in self.runs():
            refuse_odd(self.folder(run) / _JOURNAL)
            text = f"The journal of run {run} is gone; `chargehand doctor --repair` rebuilds it from what is left."
            return AdapterError("journal", text)
        return UserError(f"There is no run {run} here.", code="unknown_run", hint="See `chargehand runs`.")

    def _born(self, folder: Path) -> float:
        """When the run was created: as its note says, else as its journal does; negative where there is neither."""
        noted = _noted_at(folder / _BIRTH)
        return _first_at(folder) if noted is None else noted


def _noted_at(note: Path) -> float | None:
    """What the note of birth says; None unless that is a time."""
    data = read_regular(note, _NOTE_BYTES)
    try:
        at = float(json.loads(data or b"")["created_at"])
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return None
    return at if 0 <= at < math.inf else None


def _first_at(folder: Path) -> float:
    """When the first event happened; of a journal that cannot be read, when it was last written."""
    journal = folder / _JOURNAL
    try:
        with SqliteJournal.open(journal, readonly=True) as opened:
            at = next((recorded.at for recorded in opened.read()), -1.0)
    except (ChargehandError, OSError):
        at = -1.0
    return at if 0 <= at < math.inf else max(map(_written_at, (journal, folder / _BIRTH)))


def _written_at(path: Path) -> float:
    try:
        return max(0.0, path.stat(follow_symlinks=False).st_mtime)
    except OSError:
        return -1.0


def _unwritable(root: Path, error: OSError) -> UserError:
    hint = "Make the folder writable, or put the state elsewhere with --state-dir DIR."
    return UserError(f"{root} cannot hold a run: {error.strerror}.", code="state_unwritable", hint=hint)
