"""What can be saved of a damaged journal, and a sound one in its place (SPEC 8, 10.1 `doctor`).

The chain vouches for events: whatever a damaged file yields, by SQLite or page by page, counts only where it links to
the event before it. So the longest whole history comes out, and nothing that did not happen.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Self

from chargehand import __version__
from chargehand.adapters import sqlite_pages
from chargehand.adapters.codec import EVENTS
from chargehand.adapters.journal_sqlite import REQUESTS, SqliteInbox, SqliteJournal, link
from chargehand.adapters.sqlite_file import newer, peek, queries, told, writer
from chargehand.domain.errors import AdapterError, ChargehandError, UserError
from chargehand.domain.events import Recorded
from chargehand.ports import Request

__all__ = ["Salvaged", "newest_kept", "rebuild", "salvage", "take_place"]

_BESIDE = ("-wal", "-shm")
_SHOWN = 3

Event = tuple[float, str, str]
"""Time, body and chain of an event as the file has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """The longest history that the chain vouches for.

    `broken_at` is the number of the first event that is lost, or may be; None when none is. `detail` says what was
    found, in sentences for a person; `is_sound`: the file itself is as it should be too, nothing needs to be rebuilt.
    `requests` are those not settled, oldest first, as far as they could be read; `beyond` counts the events that are
    there after the break: nothing vouches for them.
    """

    events: tuple[Recorded, ...]
    broken_at: int | None
    detail: str
    is_sound: bool = False
    requests: tuple[Request, ...] = ()
    beyond: int = 0


def salvage(path: Path) -> Salvaged:
    """Read what can be read of a journal, be it damaged in any way; the file is copied, and never written to.

    UserError when there is none (`no_journal`), or when an event is whole but of a newer release (`newer_journal`).
    AdapterError when the file cannot be copied.
    """
    found = _read(path)
    events = tuple(_recorded(path, number, row) for number, row in enumerate(found.history, start=1))
    return Salvaged(
        events=events,
        broken_at=found.broken_at,
        detail=_told(found),
        is_sound=found.broken_at is None and not found.problems,
        requests=found.requests,
        beyond=found.beyond,
    )


def rebuild(path: Path, events: Sequence[Recorded]) -> Path:
    """Put a sound journal with `events` (the first ones of `salvage`) in the place of a damaged one, as a whole.

    Bodies, times and chain are letter by letter those of before, pending requests come along where they can be read.
    The damaged files stay as `journal.db.damaged-<time>`, with -wal and -shm; answers with that path. The caller
    holds the run. AdapterError when there is nothing to build from, or the folder cannot be written.
    """
    found = _read(path)
    if not events or len(events) > len(found.history):
        raise AdapterError("journal", f"The journal {path} cannot be rebuilt: {_told(found)}")
    try:
        with tempfile.TemporaryDirectory(prefix=".rebuilt-", dir=path.parent) as folder:
            return take_place(_build(Path(folder) / path.name, found, len(events)), path)
    except OSError as error:
        raise AdapterError("journal", f"The journal {path} cannot be rebuilt: {error.strerror}.") from error


def take_place(made: Path, path: Path) -> Path:
    """Put the closed journal `made`, of the same file system, in the place of a damaged one; answers where that is.

    Whenever this is cut short, there is the damaged journal with its log, or the new one. SQLite plays any log that is
    whole into the file beside it, whosever it was. So the switch is the log: one that holds every page of the new file
    takes the place of the old log, and what is under it counts no more. OSError where the folder cannot be written.
    """
    log = _as_log(made)
    kept = _set_aside(path)
    index, beside = (path.with_name(f"{path.name}{end}") for end in ("-shm", "-wal"))
    index.unlink(missing_ok=True)  # of the old log; SQLite makes it anew
    log.replace(beside)
    _sync(path.parent)
    made.replace(path)
    _sync(path.parent)
    beside.unlink(missing_ok=True)
    index.unlink(missing_ok=True)
    _sync(path.parent)
    return kept


def newest_kept(path: Path) -> Path | None:
    """The damaged journal that was put aside last; None when none ever was."""
    kept = [file for file in path.parent.glob(f"{path.name}.damaged-*") if not file.name.endswith(_BESIDE)]
    return max(kept, key=lambda file: (file.stat().st_mtime_ns, file.name), default=None)


# -- reading --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """What a file yields: the history, where it breaks off, and what else there is."""

    history: list[Event] = field(default_factory=list)
    broken_at: int | None = None
    is_end_known: bool = True
    beyond: int = 0
    problems: tuple[str, ...] = ()
    requests: tuple[Request, ...] = ()
    meta: dict[str, str] = field(default_factory=dict)


def _read(path: Path) -> _Found:
    if not path.is_file():
        raise UserError(f"There is no journal at {path}.", code="no_journal")
    try:
        with tempfile.TemporaryDirectory(prefix="chargehand-salvage-") as folder:
            return _look(_copy(path, Path(folder)))
    except OSError as error:
        raise AdapterError("journal", f"The journal {path} cannot be copied: {error.strerror}.") from error


def _copy(path: Path, folder: Path) -> Path:
    """File and log; not the index of the log: SQLite makes that anew."""
    for name in (path.name, f"{path.name}-wal"):
        if path.with_name(name).is_file():
            shutil.copyfile(path.with_name(name), folder / name)
    return folder / path.name


def _look(copy: Path) -> _Found:
    pages = sqlite_pages.read_pages(copy)
    rows = list(sqlite_pages.rows(pages))
    seen = _events_among(rows)
    found = _Found()
    with _Asking(copy) as ask:
        newest = ask("last_event")
        last = max([*seen, *(int(row[0]) for row in newest)], default=0)
        chain = ""
        for seq in range(1, last + 1):
            row = _whole(seq, chain, seen.get(seq, ())) or _whole(seq, chain, _asked(ask, seq))
            if row is None:
                break
            found.history.append(row)
            chain = row[2]
        found.is_end_known = bool(newest) and not sqlite_pages.is_cut_short(pages)
        found.problems = _problems(copy, ask)
        found.requests = _requests(ask, rows)
        found.meta = {str(name): str(value) for name, value in ask("all_meta")}
    held = len(found.history)
    found.beyond = sum(1 for seq in seen if seq > held)
    if held < last or not found.is_end_known:
        found.broken_at = held + 1
    return found


class _Asking:
    """Answers named queries, with what came before the error where SQLite gives up."""

    def __init__(self, copy: Path) -> None:
        self._copy = copy
        self._connection = peek(copy)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def writer(self) -> str | None:
        """The release that wrote last."""
        return writer(self._connection)

    def __call__(self, name: str, **values: object) -> list[tuple[Any, ...]]:
        answered: list[tuple[Any, ...]] = []
        with suppress(AdapterError), told(self._copy):
            for row in self._connection.execute(queries()[name], values):
                answered.append(row)  # noqa: PERF402  what came before an error counts
        return answered


def _events_among(rows: list[sqlite_pages.Row]) -> dict[int, list[tuple[Any, ...]]]:
    """Rows that may be events, as (time, body, chain), by number."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    for seq, columns in rows:
        if len(columns) == 7 and columns[0] is None and isinstance(columns[6], str) and seq > 0:
            found.setdefault(seq, []).append((columns[1], columns[5], columns[6]))
    return found


def _asked(ask: _Asking, seq: int) -> list[tuple[Any, ...]]:
    return [(at, body, chain) for number, at, body, chain in ask("read_chain", after=seq - 1, count=1) if number == seq]


def _whole(seq: int, before: str, rows: Sequence[tuple[Any, ...]]) -> Event | None:
    """The one of some rows that the chain vouches for. A time without fraction is stored as a whole number."""
    for at, body, chain in rows:
        if isinstance(at, int | float) and isinstance(body, str):
            with suppress(UnicodeEncodeError, OverflowError):
                if link(before, seq, float(at), body) == chain:
                    return float(at), body, chain
    return None


def _problems(copy: Path, ask: _Asking) -> tuple[str, ...]:
    """What SQLite has to say about the file itself; silence of it is a problem too."""
    said = tuple(str(row[0]) for row in ask("check_file"))
    try:
        SqliteJournal.open(copy, readonly=True).close()
    except UserError as error:
        if error.code == "newer_journal" and _is_later(ask.writer()):
            raise
        said = (*said, error.message.replace(str(copy), copy.name))
    except AdapterError as error:
        said = (*said, error.message.replace(str(copy), copy.name))
    return tuple(text for text in said if text != "ok") if said else ("SQLite cannot read it",)


def _is_later(version: str | None) -> bool:
    """Whether a release is later than this one: then its schema is no damage."""
    numbers = [[int(part) for part in re.findall(r"\d+", text)] for text in (version or "", __version__)]
    return numbers[0] > numbers[1]


def _requests(ask: _Asking, rows: list[sqlite_pages.Row]) -> tuple[Request, ...]:
    """Those not settled, from SQLite, else from the pages: columns number, id, at, body, settled_at."""
    bodies = {str(row[0]): None for row in ask("pending_requests")}
    for _, columns in sorted(rows, key=lambda row: row[0]):
        if len(columns) == 5 and columns[0] is None and columns[4] is None and isinstance(columns[3], str):
            bodies.setdefault(columns[3])
    found: list[Request] = []
    for body in bodies:
        with suppress(ChargehandError):
            found.append(REQUESTS.decode(body))
    return tuple(found)


def _recorded(path: Path, seq: int, row: Event) -> Recorded:
    try:
        return Recorded(seq=seq, at=row[0], event=EVENTS.decode(row[1]))
    except (AdapterError, UserError) as error:
        raise newer(f"Event {seq} of {path} is whole, but cannot be understood. {error.message}", None) from error


def _told(found: _Found) -> str:
    held = len(found.history)
    if found.broken_at is None:
        text = f"All {held} events are as they were written."
    elif not held:
        text = "No event can be read."
    elif not found.is_end_known and not found.beyond:
        text = f"Events 1 to {held} are as they were written; whether there were more cannot be told."
    else:
        text = f"Events 1 to {held} are as they were written; event {found.broken_at} is lost or damaged."
    if found.beyond:
        text += f" Of those after it {found.beyond} can be seen, but nothing vouches for them."
    if found.problems:
        more = f" and {len(found.problems) - _SHOWN} more" if len(found.problems) > _SHOWN else ""
        text += f" The file: {'; '.join(text.rstrip('.') for text in found.problems[:_SHOWN])}{more}."
    return text


# -- building -------------------------------------------------------------------------------------


def _build(made: Path, found: _Found, length: int) -> Path:
    """A journal of the first events, closed."""
    with SqliteJournal.create(made, **_meta(found.meta, found.history[0])) as journal:
        journal.restore((at, body) for at, body, _ in found.history[:length])
    with SqliteInbox.open(made) as inbox:
        for request in found.requests:
            inbox.put(request)
    return made


def _meta(meta: Mapping[str, str], first: Event) -> dict[str, str]:
    run = getattr(EVENTS.decode(first[1]), "run", "")
    return {"run": str(run), **meta}


def _as_log(made: Path) -> Path:
    """A log that holds every page of a journal; both are on the disk then."""
    log = made.with_name(f"{made.name}.log")
    with told(made), closing(peek(made)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("VACUUM")
        shutil.copyfile(made.with_name(f"{made.name}-wal"), log)
    for path in (log, made):
        path.chmod(0o600)
        _sync(path)
    return log


def _set_aside(path: Path) -> Path:
    """Copy the damaged files, on the disk, under a name of their own; the file itself last: with it the copy is whole.

    Copies and no links: whoever opens the journal next would write into those.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    kept = next(name for name in _names(path, stamp) if not any(name.parent.glob(f"{name.name}*")))
    for end in (*_BESIDE, ""):
        source, target = path.with_name(path.name + end), kept.with_name(kept.name + end)
        if source.exists():
            shutil.copyfile(source, target)
            target.chmod(0o600)
            _sync(target)
    _sync(path.parent)
    return kept


def _names(path: Path, stamp: str) -> Iterator[Path]:
    yield path.with_name(f"{path.name}.damaged-{stamp}")
    for number in count(2):
        yield path.with_name(f"{path.name}.damaged-{stamp}-{number}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
