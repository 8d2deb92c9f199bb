"""Where the runs of a repository live: a folder per run with journal, lock and files (SPEC 10.5)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.inbox import NudgingInbox
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.adapters.lock import RunLock
from chargehand.domain.errors import UserError
from chargehand.domain.events import Recorded
from chargehand.ports import Inbox, OpenRun

__all__ = ["FolderRunStore"]

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_JOURNAL = "journal.db"
_BIRTH = "run.json"


@dataclass(frozen=True, slots=True)
class FolderRunStore:
    """Implements `ports.RunStore` below one folder."""

    root: Path
    now: Callable[[], float] = time.time

    def create(self, run: str) -> OpenRun:
        """A new run, held by this process; `UserError` when the id is taken or not fit for a folder name."""
        if not _RUN_ID.fullmatch(run) or ".." in run or run.endswith((".lock", ".")):
            hint = "Use letters, digits, dots, dashes and underscores, beginning with a letter or digit."
            raise UserError(f"{run!r} cannot be the id of a run.", code="bad_run_id", hint=hint)
        folder = self.folder(run)
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            hint = f"Take it up with `chargehand resume {run}`, or choose another --run-id."
            raise UserError(f"Run {run} exists already.", code="run_exists", hint=hint) from None
        lock = RunLock.acquire(folder / "lock")
        SqliteJournal.create(folder / _JOURNAL, run=run).close()
        birth = {"run": run, "created_at": self.now()}
        (folder / _BIRTH).write_text(json.dumps(birth), encoding="utf-8")
        return self._held(run, lock)

    def open(self, run: str) -> OpenRun:
        """Take an existing run up; `RunLocked` when another process holds it, `UserError` when there is none."""
        self._journal_path(run)
        return self._held(run, RunLock.acquire(self.folder(run) / "lock"))

    def read(self, run: str) -> list[Recorded]:
        """All events of a run, without holding it."""
        with SqliteJournal.open(self._journal_path(run), readonly=True) as journal:
            return list(journal.read())

    def inbox(self, run: str) -> Inbox:
        """The inbox of a run, for a process that does not hold it."""
        return self._inbox(run, self._journal_path(run))

    def runs(self) -> list[str]:
        """The ids of all runs, oldest first. A folder whose creation was cut short is no run."""
        if not self.root.is_dir():
            return []
        born = [(self._born(folder), folder.name) for folder in self.root.iterdir() if folder.is_dir()]
        return [name for at, name in sorted(born) if at >= 0]

    def holder(self, run: str) -> str | None:
        """Who holds the run now, in words; None when nobody does."""
        found = RunLock.look(self.folder(run) / "lock")
        return found.text if found else None

    def folder(self, run: str) -> Path:
        """The folder of a run."""
        return self.root / run

    def _held(self, run: str, lock: RunLock) -> OpenRun:
        path = self.folder(run) / _JOURNAL
        journal, inbox = SqliteJournal.open(path), self._inbox(run, path)

        def release() -> None:
            inbox.close()
            journal.close()
            lock.release()

        return OpenRun(run=run, folder=self.folder(run), journal=journal, inbox=inbox, release=release)

    def _inbox(self, run: str, journal: Path) -> NudgingInbox:
        return NudgingInbox(journal, self.folder(run) / "nudge")

    def _journal_path(self, run: str) -> Path:
        path = self.folder(run) / _JOURNAL
        if not _RUN_ID.fullmatch(run) or not path.is_file():
            raise UserError(f"There is no run {run} here.", code="unknown_run", hint="See `chargehand runs`.")
        return path

    def _born(self, folder: Path) -> float:
        try:
            return float(json.loads((folder / _BIRTH).read_text(encoding="utf-8"))["created_at"])
        except (OSError, ValueError, KeyError, TypeError):
            return -1.0
