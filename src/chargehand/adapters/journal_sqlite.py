"""The journal of a run in one SQLite file, and the inbox beside it in the same file.

One process writes events: the holder of the run's lock. Any process may put requests, and any may read while the
writer writes. A second writer of events is caught by the sequence number, which both would use.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from chargehand import __version__
from chargehand.adapters.codec import EVENTS, Codec, to_data
from chargehand.adapters.sqlite_file import DAMAGED, connect, create, newer, queries, told, transaction, writer
from chargehand.domain.commands import RequestKind
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import EffectIntended, Event, Recorded
from chargehand.ports import Request

__all__ = ["SqliteInbox", "SqliteJournal", "link"]

PAGE = 1000
_TOLD = 300
REQUESTS: Codec[Request] = Codec(Request, {})


class _File:
    """A connection that closes once and takes turns between threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._turn = Lock()

    def close(self) -> None:
        """Give the file up; harmless when repeated."""
        with self._turn, told(self.path):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, name: str, /, **values: object) -> list[tuple[Any, ...]]:
        with self._turn, told(self.path):
            return self._connection.execute(queries()[name], values).fetchall()


class SqliteJournal(_File):
    """Implements `ports.Journal`. After an AdapterError of `append` only reading tells what was stored."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, scrub: Callable[[Event], Event] | None = None
    ) -> None:
        super().__init__(path, connection)
        self._scrub = scrub
        self._last: tuple[int, str] | None = None

    @classmethod
    def create(cls, path: Path, **meta: str) -> Self:
        """A new journal; UserError (`journal_exists`) where there is one.

        `meta` is kept beside the events, with the `version` of this release.
        """
        journal = cls(path, create(path))
        with journal._turn, told(path), transaction(journal._connection):
            for name, value in {**meta, "version": __version__}.items():
                journal._connection.execute(queries()["put_meta"], {"name": name, "value": value})
        return journal

    @classmethod
    def open(cls, path: Path, *, readonly: bool = False, scrub: Callable[[Event], Event] | None = None) -> Self:
        """An existing journal; UserError (`no_journal`, `newer_journal`, `not_a_journal`), AdapterError if damaged.

        `scrub` is what every event is put through before it is stored: what `append` answers is what it made of them.

        `readonly` is for looking on while another process writes: it takes no lock and changes nothing.
        """
        return cls(path, connect(path, readonly=readonly), scrub)

    def meta(self, name: str) -> str | None:
        """A fact that was given to `create`."""
        rows = self._rows("get_meta", name=name)
        return str(rows[0][0]) if rows else None

    def restore(self, rows: Iterable[tuple[float, str]]) -> None:
        """Store (time, body) of events letter by letter as they were written, in one transaction."""
        with self._turn, told(self.path):
            seq, chain = self._last or self._read_last()
            self._last = None
            with transaction(self._connection):
                for at, body in rows:
                    seq, chain = seq + 1, link(chain, seq + 1, at, body)
                    row = {"seq": seq, "at": at, "body": body, "chain": chain, **_columns(EVENTS.decode(body))}
                    self._connection.execute(queries()["append_event"], row)
            self._last = (seq, chain)

    def append(self, events: Sequence[Event], at: float) -> list[Recorded]:
        """Store all events or none, durably, in one transaction."""
        if self._scrub is not None:
            events = [self._scrub(event) for event in events]
        bodies = [EVENTS.encode(event) for event in events]
        with self._turn, told(self.path):
            seq, chain = self._last or self._read_last()
            self._last = None
            rows = []
            for event, body in zip(events, bodies, strict=True):
                seq, chain = seq + 1, link(chain, seq + 1, at, body)
                rows.append({"seq": seq, "at": at, "body": body, "chain": chain, **_columns(event)})
            with transaction(self._connection):
                self._connection.executemany(queries()["append_event"], rows)
            self._last = (seq, chain)
        first = seq - len(rows) + 1
        return [Recorded(seq=first + index, at=at, event=event) for index, event in enumerate(events)]

    def _read_last(self) -> tuple[int, str]:
        row = self._connection.execute(queries()["last_event"]).fetchone()
        return (row[0], row[1]) if row else (0, "")

    def read(self, after: int = 0) -> Iterator[Recorded]:
        """Yield the events after that number, in order, also those stored while reading.

        AdapterError for one that is missing or not as it was written, UserError (`newer_journal`) for one that is
        as it was written and still cannot be understood.
        """
        return (recorded for recorded, _, _ in self.read_linked(after))

    def read_linked(self, after: int = 0) -> Iterator[tuple[Recorded, str, str]]:
        """The same, each with its body letter by letter and with the chain at it."""
        chain = (self.chain_at(after) or "") if after else ""
        while rows := self._rows("read_chain", after=after, count=PAGE):
            for row in rows:
                after += 1
                chain = self._linked(row, after, chain)
                yield Recorded(seq=after, at=row[1], event=self._decoded(after, row[2])), row[2], chain

    def _linked(self, row: tuple[Any, ...], expected: int, chain: str) -> str:
        """The chain at a row, once it is known to be the one that was written there."""
        seq, at, body, written = row
        if seq != expected:
            raise AdapterError("journal", f"{DAMAGED.format(path=self.path)}: event {expected} is missing.")
        if type(at) is not float or type(body) is not str or written != link(chain, seq, at, body):
            raise AdapterError("journal", f"{DAMAGED.format(path=self.path)}: event {seq} is not as it was written.")
        return str(written)

    def _decoded(self, seq: int, body: str) -> Event:
        try:
            return EVENTS.decode(body)
        except (AdapterError, UserError) as error:  # the chain says that it is whole: others wrote it so
            text = f"Event {seq} of {self.path} cannot be read by Chargehand {__version__}. {error.message}"
            raise newer(text, self.written_by()) from error

    def written_by(self) -> str | None:
        """The newest release that wrote to this journal, as far as it can be told; None where it says nothing."""
        return writer(self._connection)

    def chain_at(self, seq: int) -> str | None:
        """The hash chain at an event, which stands for all events up to it; None when there is no such event."""
        rows = self._rows("chain_at", seq=seq)
        return str(rows[0][0]) if rows else None

    def latest(self) -> int:
        """The number of the newest event; 0 when there is none."""
        with self._turn, told(self.path):
            return self._read_last()[0]

    def tail(self, count: int) -> list[Recorded]:
        """The newest `count` events, in order."""
        return list(self.read(max(0, self.latest() - count)))

    def verify_chain(self) -> int | None:
        """The number of the first event that is missing or not as it was written; None when all is well."""
        after, chain = 0, ""
        while rows := self._rows("read_chain", after=after, count=PAGE):
            for row in rows:
                after += 1
                try:
                    chain = self._linked(row, after, chain)
                except AdapterError:
                    return after
        return None

    def check(self) -> list[str]:
        """What is wrong with the file, in sentences; empty when nothing is. Reads all of it."""
        try:
            problems = [str(row[0]) for row in self._rows("check_file") if row[0] != "ok"]
            broken = self.verify_chain()
        except AdapterError as error:
            return [error.message]
        if broken is not None:
            problems.append(f"Event {broken} is missing or not as it was written.")
        return problems


class SqliteInbox(_File):
    """The stored half of an inbox, in the journal's file; any number of processes may hold one."""

    @classmethod
    def open(cls, path: Path, *, readonly: bool = False) -> Self:
        """The inbox of an existing journal; errors as for `SqliteJournal.open`."""
        return cls(path, connect(path, readonly=readonly))

    def put(self, request: Request) -> None:
        """Store a request durably; one with a known id, settled or not, changes nothing."""
        self._rows("put_request", id=request.id, body=REQUESTS.encode(request))

    def pending(self) -> list[Request]:
        """The requests not yet settled, oldest first; what cannot be read stands among them as `unreadable`."""
        return [_request(*row) for row in self._rows("waiting_rows")]

    def settle(self, request_id: str) -> None:
        """Forget a request whose events are in the journal; unknown and settled ids are harmless."""
        self._rows("settle_request", id=request_id)


def _request(number: int, name: str, body: object) -> Request:
    """A stored request. Any process may have written it, so no row keeps the others from being read."""
    try:
        request = REQUESTS.decode(body if isinstance(body, str) else "")
        json.dumps(to_data(request), ensure_ascii=False).encode()  # half a character could be stored nowhere
        problem = "" if request.id == name and not request.unreadable else "it is stored under another name."
    except (AdapterError, UserError) as error:
        problem = error.message
    except (ValueError, RecursionError) as error:
        problem = f"it holds what is no text ({type(error).__name__})."
    if not problem:
        return request
    said = problem[:_TOLD].encode("utf-8", "backslashreplace").decode()
    return Request(id=name, kind=RequestKind.ANSWER, unreadable=f"number {number}: {said}")


def link(chain: str, seq: int, at: float, body: str) -> str:
    """The hash that an event is stored with: over that of the event before it, and all it says."""
    return sha256(f"{chain}\n{seq}\n{float(at)!r}\n{body}".encode()).hexdigest()


def _columns(event: Event) -> dict[str, object]:
    about = event.effect if isinstance(event, EffectIntended) else event
    task, attempt = getattr(about, "task", ""), getattr(about, "attempt", None)
    return {"type": type(event).__name__, "task": getattr(task, "id", task), "attempt": attempt}
