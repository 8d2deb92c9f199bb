"""What is durable, and what people hear: journal, inbox, snapshots, runs, clock, notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from chargehand.domain.commands import Request
from chargehand.domain.events import Event, Recorded
from chargehand.domain.state import RunState
from chargehand.domain.words import HandEdit

__all__ = [
    "Clock",
    "Inbox",
    "Journal",
    "Notice",
    "NoticeKind",
    "Notifier",
    "OpenRun",
    "Projection",
    "Request",
    "RunStore",
    "Snapshots",
]


class Journal(Protocol):
    """The append-only ordered store of events of one run; one writer."""

    def append(self, events: Sequence[Event], at: float) -> list[Recorded]:
        """Store all events or none, durably, in one transaction; sequence numbers start at 1, no gaps."""
        ...

    def read(self, after: int = 0) -> Iterator[Recorded]:
        """Yield the events with a sequence number greater than `after`, in order."""
        ...

    def close(self) -> None:
        """Give the store up; harmless when repeated."""
        ...


class Inbox(Protocol):
    """Where any process leaves a request; only the holder of the run takes them."""

    def put(self, request: Request) -> None:
        """Store a request durably."""
        ...

    def pending(self) -> list[Request]:
        """The requests not yet settled, oldest first."""
        ...

    def settle(self, request_id: str) -> None:
        """Forget a request whose events are in the journal."""
        ...

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the running event loop whenever a request may have come in, until `close`."""
        ...

    def close(self) -> None:
        """Stop listening and give the store up; harmless when repeated."""
        ...


class Snapshots(Protocol):
    """Where the state of a run is kept beside its journal, so that opening it need not fold all of it (SPEC 8).

    Disposable: a missing, damaged or foreign snapshot is no error, only slower.
    """

    def load(self) -> RunState | None:
        """The newest state that belongs to this journal and that this version understands, at its `seq`; or None."""
        ...

    def save(self, state: RunState) -> None:
        """Keep the state of now; a failure to do so is no error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run this process holds: journal, inbox, snapshots, and the folder for its files.

    `beat` says that the holder is alive, AdapterError when the lock was taken away; `release` gives the run up.
    """

    run: str
    folder: Path
    journal: Journal
    inbox: Inbox
    snapshots: Snapshots
    beat: Callable[[], None]
    release: Callable[[], None]


class RunStore(Protocol):
    """Where the runs of one repository live."""

    def create(self, run: str, first: Sequence[Event], at: float) -> OpenRun:
        """A new run with its first events, held by this process: there as a whole, or not at all.

        `UserError` when the id is taken (code `run_exists`) or not fit for a folder name.
        """
        ...

    def open(self, run: str) -> OpenRun:
        """Take an existing run up; `RunLocked` when another process holds it, `UserError` when there is none."""
        ...

    def read(self, run: str, after: int = 0, most: int | None = None) -> list[Recorded]:
        """The events of a run with a sequence number greater than `after`, in order, without holding it.

        At most the first `most` of them.
        """
        ...

    def snapshots(self, run: str) -> Snapshots:
        """The snapshots of a run, for a process that does not hold it: to load, not to save."""
        ...

    def inbox(self, run: str) -> Inbox:
        """The inbox of a run, for a process that does not hold it."""
        ...

    def runs(self) -> list[str]:
        """The ids of all runs, oldest first."""
        ...

    def holder(self, run: str) -> str | None:
        """Who holds the run now, in words; None when nobody does."""
        ...

    def folder(self, run: str) -> Path:
        """The folder of a run."""
        ...


class Clock(Protocol):
    """Wall-clock time in seconds since the epoch."""

    def now(self) -> float:
        """The current time."""
        ...


class NoticeKind(StrEnum):
    """What people are told about: a question, a run that waits for nothing but answers, or how a run ended."""

    DECISION = "decision"
    WAITING = "waiting"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to people: `title` is a line, `text` says in plain words what happened and what to do.

    `task`, `decision`, `choices` and `command` (the exact command that is asked about) are those of a question. All
    of it may hold untrusted text; the adapter makes it fit to show.
    """

    run: str
    kind: NoticeKind
    title: str
    text: str = ""
    task: str = ""
    decision: str = ""
    choices: tuple[str, ...] = ()
    command: str = ""


class Projection(Protocol):
    """Files that show a run to another system: made from events, never read back to decide anything (SPEC 11).

    Each method leaves every file whole; AdapterError when one cannot be written. A file that somebody edited by hand,
    so that it says something else of a task than the run, is left alone until the run's question about it is answered.
    """

    def begin(self, state: RunState) -> None:
        """Write everything anew from the state: before the first task starts, and when a run is taken up."""
        ...

    def take(self, recorded: Recorded, state: RunState) -> None:
        """Follow one event; `state` is the run after it."""
        ...

    def accepted(self, state: RunState, commit: str) -> None:
        """The result has landed on the user's branch as `commit`: what is final only then."""
        ...

    def edits(self) -> tuple[HandEdit, ...]:
        """The files found edited by hand since the last call, each of which says something else than the run."""
        return ()


class Notifier(Protocol):
    """Tells people that something wants their attention; never fails the run."""

    def notify(self, notice: Notice) -> None:
        """Send one message from within the running event loop; answers at once, what takes time goes on behind it."""
        ...

    async def close(self) -> None:
        """Let what is under way go out, within a few seconds; harmless when repeated."""
        ...
