"""The SQLite file behind a run's journal and inbox: opening, schema, named queries, errors.

WAL with synchronous=FULL: what a committed transaction wrote survives the loss of power, and readers never wait
for the writer. Connections are in autocommit mode; `transaction()` is the only way to write more than one row.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from chargehand.adapters.folders import odd_file
from chargehand.domain.errors import AdapterError, UserError

__all__ = [
    "DAMAGED",
    "VERSION",
    "connect",
    "create",
    "migrations",
    "newer",
    "peek",
    "queries",
    "refuse_odd",
    "statements",
    "told",
    "transaction",
    "writer",
]

VERSION = 1
"""Schema version this release writes: the number of the newest migration."""

DAMAGED = "The journal {path} is damaged; `chargehand doctor` says what can be read"
APPLICATION_ID = 1128812612
BUSY_S = 30.0
HERE = Path(__file__).parent


@cache
def queries() -> dict[str, str]:
    """The texts of queries.sql by name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (HERE / "queries.sql").read_text("utf-8").splitlines():
        if line.startswith("-- name:"):
            name = line.removeprefix("-- name:").strip()
            found[name] = []
        elif name and line:
            found[name].append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def migrations() -> list[tuple[int, Path]]:
    """(version it leads to, file), ascending; the files are named NNNN_what.sql."""
    return sorted((int(path.name[:4]), path) for path in (HERE / "migrations").glob("*.sql"))


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one; a trigger with its body is one."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns what SQLite raises into AdapterError with a sentence for a human."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        busy = code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        raise AdapterError("journal", f"{_sentence(code, path)} ({error}).", retryable=busy) from error


def _sentence(code: int | None, path: Path) -> str:
    primary = None if code is None else code & 0xFF
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DAMAGED.format(path=path)
    if primary == sqlite3.SQLITE_FULL:
        return f"No space is left for the journal {path}; free some and resume"
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"The journal {path} has been busy for {BUSY_S:g} s"
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return f"Another process has written events into the journal {path}; resume the run"
    if primary == sqlite3.SQLITE_CANTOPEN:
        return f"The journal {path} cannot be opened"
    return f"The journal {path} cannot be used"


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT; any exception rolls back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def create(path: Path) -> sqlite3.Connection:
    """A new file, readable by its owner only; UserError when there is one already."""
    if os.path.lexists(path):
        raise UserError(f"The journal {path} exists already.", code="journal_exists")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise AdapterError("journal", f"The journal {path} cannot be created: {error.strerror}.") from error
    return connect(path, fresh=True)


def connect(path: Path, *, readonly: bool = False, fresh: bool = False) -> sqlite3.Connection:
    """An existing journal, brought to this release's schema unless `readonly`; the caller closes it.

    Only a `fresh` file may be without a schema: a journal comes into its place as a whole, so one that holds nothing
    has lost everything.
    """
    refuse_odd(path)
    if not path.is_file():
        raise UserError(f"There is no journal at {path}.", code="no_journal")
    with told(path):
        try:
            return _connect(path, "mode=ro" if readonly else "mode=rw", readonly=readonly, fresh=fresh)
        except sqlite3.OperationalError as error:
            if not (readonly and error.sqlite_errorcode == sqlite3.SQLITE_CANTOPEN and _is_settled(path)):
                raise
            # a reader of WAL files makes an index beside them: where nobody may write, it has to do without
            return _connect(path, "mode=ro&immutable=1", readonly=True, fresh=False)


def refuse_odd(path: Path) -> None:
    """UserError (`odd_file`) where something else lies in the place of a journal or a file beside it.

    SQLite would wait for a pipe for ever.
    """
    for end in ("", "-wal", "-shm", "-journal"):
        file = path.with_name(path.name + end)
        refusal = None if file.is_file() else odd_file(file)
        if refusal is not None:
            raise refusal


def _is_settled(path: Path) -> bool:
    """Whether everything is in the file itself, and nobody here could change it."""
    log = path.with_name(f"{path.name}-wal")
    return not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)


def _connect(path: Path, how: str, *, readonly: bool, fresh: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}", uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        if not fresh and not _version(connection, path):
            raise AdapterError("journal", f"{DAMAGED.format(path=path)}: it is empty.")
        _prepare(connection, path, readonly=readonly)
    except BaseException:
        connection.close()
        raise
    return connection


def peek(path: Path) -> sqlite3.Connection:
    """Any file as a database, unchecked; the caller works on a copy, and expects errors from every call."""
    with told(path):
        return sqlite3.connect(path, isolation_level=None)


def _prepare(connection: sqlite3.Connection, path: Path, *, readonly: bool) -> None:
    version = _version(connection, path)
    if readonly:
        if version < VERSION:
            raise UserError(
                f"The journal {path} has the older schema {version} and is opened for reading only.",
                code="old_journal",
                hint="`chargehand resume` brings it up to date.",
            )
        return
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise AdapterError("journal", f"The file system of {path} does not carry SQLite's WAL (it answered {mode}).")
    connection.execute("PRAGMA synchronous = FULL")
    if version < VERSION:
        _migrate(connection, path)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version; 0 for an empty file; UserError for other people's files and newer journals."""
    (identity,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (objects,) = connection.execute(queries()["count_objects"]).fetchone()
    if identity != APPLICATION_ID and (objects or version):
        raise UserError(f"{path} is a database, but not a journal of Chargehand.", code="not_a_journal")
    if version > VERSION:
        text = f"The journal {path} has schema {version}; this Chargehand knows {VERSION}."
        raise newer(text, writer(connection))
    return int(version)


def newer(what: str, wrote: str | None) -> UserError:
    """The refusal of what a newer release wrote; `wrote` is that release, where it is known."""
    said = f": {wrote} wrote to it last" if wrote else ""
    hint = f"Use Chargehand {wrote} or a later one." if wrote else "Use the release that wrote it, or a later one."
    return UserError(f"{what} It was written by a newer Chargehand{said}.", code="newer_journal", hint=hint)


def writer(connection: sqlite3.Connection) -> str | None:
    """The release that took the run up last, else the one that made the file; None where neither can be read."""
    try:
        row = connection.execute(queries()["last_taken_up"]).fetchone()
        if row is not None:
            return str(json.loads(row[0])["data"]["version"])
        row = connection.execute(queries()["get_meta"], {"name": "version"}).fetchone()
    except (sqlite3.DatabaseError, ValueError, TypeError, LookupError):  # a newer schema may keep that elsewhere
        return None
    return str(row[0]) if row else None


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Take the steps that are missing, all in one transaction; another process may have been quicker."""
    with transaction(connection):
        version = _version(connection, path)
        scripts = [file for target, file in migrations() if target > version] if version else [HERE / "schema.sql"]
        for script in scripts:
            for statement in statements(script.read_text("utf-8")):
                connection.execute(statement)
