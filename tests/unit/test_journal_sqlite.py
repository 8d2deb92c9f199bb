"""The journal's file: schema, versions, other people's files, damage, several processes at once."""

import multiprocessing
import os
import re
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from chargehand import __version__
from chargehand.adapters import sqlite_file
from chargehand.adapters.journal_sqlite import SqliteInbox, SqliteJournal
from chargehand.domain.commands import RequestKind
from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import EffectIntended, RunResumed, TaskAdded, WarningRaised
from chargehand.domain.outcome import Role
from chargehand.domain.plan import GatePoint, Task
from chargehand.ports import Request


def warning(number: int) -> WarningRaised:
    return WarningRaised(code="c", text=f"number {number}")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path):
    with SqliteJournal.create(path, run="r1") as journal:
        yield journal


def raw(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None))


# -- schema ---------------------------------------------------------------------------------------


def shape(path: Path) -> tuple[object, ...]:
    with raw(path) as connection:
        objects = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        ).fetchall()
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "application_id")]
    return [(kind, name, table, re.sub(r"\s+", " ", sql or "")) for kind, name, table, sql in objects], pragmas


def test_a_fresh_schema_is_the_migrated_one(journal, path, tmp_path):
    """schema.sql says what the migrations lead to [I14]."""
    migrated = tmp_path / "migrated.db"
    with raw(migrated) as connection:
        for target, file in sqlite_file.migrations():
            connection.executescript(file.read_text("utf-8"))
            assert connection.execute("PRAGMA user_version").fetchone() == (target,)
    assert shape(migrated) == shape(path)


def test_migrations_are_named_and_numbered():
    files = sorted((Path(sqlite_file.__file__).parent / "migrations").iterdir())
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", file.name) for file in files)
    assert [target for target, _ in sqlite_file.migrations()] == list(range(1, sqlite_file.VERSION + 1))


def test_queries_are_found_by_name():
    queries = sqlite_file.queries()
    assert "INSERT INTO events" in queries["append_event"]
    assert all(text.rstrip().endswith(";") and "-- name" not in text for text in queries.values())


@pytest.mark.parametrize("readonly", [False, True])
def test_an_empty_file_has_lost_everything(path, readonly):
    """A journal comes into its place as a whole: nothing is made of what is left of it, and nothing written."""
    path.touch()
    with pytest.raises(AdapterError, match=r"is damaged.* it is empty"):
        SqliteJournal.open(path, readonly=readonly)
    assert path.stat().st_size == 0


def test_creating_twice_is_refused(journal, path):
    with pytest.raises(UserError, match="exists already"):
        SqliteJournal.create(path)


def test_only_the_owner_may_read_it(journal, path):
    journal.append([warning(1)], at=1.0)
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0


def test_an_older_journal_opens_in_a_newer_release(journal, path, tmp_path, monkeypatch):
    """A release with one more migration brings the file up to date once, keeping every event [I14]."""
    stored = journal.append([warning(1), warning(2)], at=1.0)
    journal.close()
    newer = tmp_path / "newer"
    (newer / "migrations").mkdir(parents=True)
    (newer / "migrations" / "0001_journal.sql").write_text("this must not run again;")
    (newer / "migrations" / "0002_notes.sql").write_text(
        "CREATE TABLE notes (text TEXT NOT NULL);\n-- the version comes last\nPRAGMA user_version = 2;\n"
    )
    monkeypatch.setattr(sqlite_file, "HERE", newer)
    monkeypatch.setattr(sqlite_file, "VERSION", 2)
    with pytest.raises(UserError, match="older schema 1"):
        SqliteJournal.open(path, readonly=True)
    for _ in range(2):
        with SqliteJournal.open(path) as again:
            assert list(again.read()) == stored
    with raw(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (0,)


def test_a_migration_that_fails_leaves_the_file_as_it_was(journal, path, tmp_path, monkeypatch):
    journal.close()
    before = shape(path)
    newer = tmp_path / "newer"
    (newer / "migrations").mkdir(parents=True)
    (newer / "migrations" / "0002_bad.sql").write_text(
        "CREATE TABLE notes (text);\nPRAGMA user_version = 2;\nCREATE TABLE events (again);\n"
    )
    monkeypatch.setattr(sqlite_file, "HERE", newer)
    monkeypatch.setattr(sqlite_file, "VERSION", 2)
    with pytest.raises(AdapterError, match="already exists"):
        SqliteJournal.open(path)
    assert shape(path) == before


# -- other files ----------------------------------------------------------------------------------


def test_no_file(path):
    with pytest.raises(UserError, match="no journal at"):
        SqliteJournal.open(path)
    assert not path.exists()


@pytest.mark.parametrize("script", ["CREATE TABLE t (x);", "PRAGMA user_version = 1;"])
def test_somebody_elses_database(path, script):
    with raw(path) as connection:
        connection.executescript(script)
    with pytest.raises(UserError, match="not a journal of Chargehand"):
        SqliteJournal.open(path)


def test_a_file_that_is_no_database(path):
    path.write_bytes(b"plain text, and quite a lot of it " * 100)
    with pytest.raises(AdapterError, match="damaged"):
        SqliteJournal.open(path)


@pytest.mark.parametrize("readonly", [False, True])
def test_a_future_schema_is_refused(journal, path, readonly):
    journal.close()
    with raw(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="written by a newer Chargehand") as caught:
        SqliteJournal.open(path, readonly=readonly)
    assert caught.value.code == "newer_journal"


FUTURE = {
    "a type": '{"type":"TaskBeamedUp","v":1,"data":{}}',
    "a version": '{"type":"WarningRaised","v":99,"data":{"code":"c","text":"t","task":""}}',
    "a field": '{"type":"WarningRaised","v":1,"data":{"code":"c","text":"t","task":"","colour":"red"}}',
    "a word": '{"type":"TaskEnded","v":1,"data":{"task":"a","status":"beamed_up","reason":"human"}}',
}


@pytest.mark.parametrize("body", FUTURE.values(), ids=FUTURE)
@pytest.mark.parametrize("version", ["9.8.7", None])
def test_an_event_of_the_future_is_told(journal, path, body, version):
    """I14: what is whole and still not understood was written by another release: which, and what to do."""
    resumed = [RunResumed(pid=1, host="h", version=version)] if version else []
    journal.append([warning(1), *resumed], at=1.0)
    seq = journal.latest() + 1
    with raw(path) as connection:
        (chain,) = connection.execute("SELECT chain FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        link = sha256(f"{chain}\n{seq}\n{1.0!r}\n{body}".encode()).hexdigest()
        connection.execute("INSERT INTO events VALUES (?, 1.0, 'T', '', NULL, ?, ?)", (seq, body, link))
    with pytest.raises(UserError, match="written by a newer Chargehand") as caught:
        list(journal.read())
    assert caught.value.code == "newer_journal"
    assert f"Event {seq} " in caught.value.message
    assert f"Use Chargehand {version or __version__} or a later one." == caught.value.hint


def test_who_wrote_a_schema_of_the_future_is_told_where_it_can_be(journal, path):
    journal.append([warning(1), RunResumed(pid=1, host="h", version="9.8.7")], at=1.0)
    with raw(path) as connection:
        connection.execute("PRAGMA user_version = 99")
        with pytest.raises(UserError, match=r"has schema 99.* 9\.8\.7 wrote to it last"):
            SqliteJournal.open(path)
        connection.execute("ALTER TABLE events RENAME TO facts")
        with pytest.raises(UserError, match="newer Chargehand") as caught:
            SqliteJournal.open(path)
    assert caught.value.hint == "Use the release that wrote it, or a later one."


@pytest.mark.parametrize(
    "edit",
    [
        "body = replace(body, 'number 2', 'number 9')",
        "body = CAST(body AS BLOB)",
        "body = CAST(x'ff' || body AS TEXT)",
        "at = at + 1",
        "at = 'noon'",
        "chain = ''",
    ],
)
def test_what_is_not_as_it_was_written_is_not_read(journal, path, edit):
    """I14: a body that a flipped bit made another fact is no fact; those before it are."""
    stored = journal.append([warning(number) for number in range(1, 4)], at=1.0)
    with raw(path) as connection:
        connection.executescript(f"DROP TRIGGER events_are_never_edited; UPDATE events SET {edit} WHERE seq = 2;")
    got = []
    with pytest.raises(AdapterError, match=r"damaged.*event 2 is not as it was written|Could not decode"):
        got.extend(journal.read())
    assert got in ([], stored[:1])  # a page of them is fetched at once
    assert journal.check()


def test_reading_on_is_checked_too(journal, path):
    stored = journal.append([warning(number) for number in range(1, 6)], at=1.0)
    assert list(journal.read(3)) == stored[3:]
    with raw(path) as connection:
        connection.executescript("DROP TRIGGER events_are_never_edited; UPDATE events SET at = 2 WHERE seq = 5;")
    with pytest.raises(AdapterError, match="event 5 is not as it was written"):
        list(journal.read(3))


# -- reading --------------------------------------------------------------------------------------


def test_reopened_it_goes_on(journal, path):
    """What was committed is there for the next process, and the numbers go on [I5]."""
    journal.append([warning(1), warning(2)], at=1.5)
    journal.close()
    with SqliteJournal.open(path) as again:
        assert again.meta("run") == "r1"
        assert again.meta("colour") is None
        assert [record.seq for record in again.append([warning(3)], at=2.5)] == [3]
        assert [record.event for record in again.read()] == [warning(1), warning(2), warning(3)]
        assert again.verify_chain() is None
        assert again.check() == []


def test_the_tail(journal):
    assert journal.latest() == 0
    assert journal.tail(5) == []
    stored = journal.append([warning(number) for number in range(30)], at=1.0)
    assert journal.latest() == 30
    assert journal.tail(5) == stored[-5:]
    assert journal.tail(500) == stored


def test_a_reader_beside_the_writer(journal, path):
    journal.append([warning(1)], at=1.0)
    with SqliteJournal.open(path, readonly=True) as reader:
        assert reader.latest() == 1
        journal.append([warning(2)], at=2.0)
        assert reader.latest() == 2
        with pytest.raises(AdapterError):
            reader.append([warning(3)], at=3.0)


def test_columns_for_reading_by_hand(journal, path):
    effect = StartAttempt(key="a/2/x", task="a", attempt=2, role=Role.IMPLEMENTER, base="0" * 40)
    added = TaskAdded(task=Task(id="fix-1", title="t"), point=GatePoint.RUN, wave=1)
    journal.append([EffectIntended(effect=effect), added, warning(1)], at=1.0)
    with raw(path) as connection:
        rows = connection.execute("SELECT type, task, attempt FROM events ORDER BY seq").fetchall()
    assert rows == [("EffectIntended", "a", 2), ("TaskAdded", "fix-1", None), ("WarningRaised", "", None)]


# -- writing --------------------------------------------------------------------------------------


def test_a_second_writer_is_caught(journal, path):
    """Two writers never interleave: the slower one is told, and nothing of it is stored."""
    journal.append([warning(1)], at=1.0)
    with SqliteJournal.open(path) as other:
        other.append([warning(2)], at=1.0)
        with pytest.raises(AdapterError, match="Another process has written"):
            journal.append([warning(3), warning(4)], at=1.0)
        assert [record.event for record in other.read()] == [warning(1), warning(2)]
        assert other.verify_chain() is None


def test_all_or_nothing(journal, path, tmp_path):
    """An append that fails in the middle leaves nothing behind, and the journal usable [I5]."""
    journal.append([warning(1)], at=1.0)
    with raw(path) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON events WHEN new.seq = 4 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        with pytest.raises(AdapterError):
            journal.append([warning(2), warning(3), warning(4)], at=1.0)
        assert journal.latest() == 1
        connection.execute("DROP TRIGGER full")
    assert [record.seq for record in journal.append([warning(2), warning(3), warning(4)], at=1.0)] == [2, 3, 4]
    assert journal.verify_chain() is None


def test_events_are_never_edited(journal, path):
    """Not even by hand [I14]."""
    journal.append([warning(1)], at=1.0)
    with raw(path) as connection:
        for script in ("UPDATE events SET at = 2", "DELETE FROM events"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                connection.execute(script)


@pytest.mark.parametrize(
    ("script", "number"),
    [
        ("UPDATE events SET body = replace(body, 'number 2', 'number 9') WHERE seq = 2", 2),
        ("UPDATE events SET at = at + 1 WHERE seq = 3", 3),
        ("UPDATE events SET chain = (SELECT chain FROM events WHERE seq = 1) WHERE seq = 4", 4),
        ("DELETE FROM events WHERE seq = 2", 2),
        ("DELETE FROM events WHERE seq = 1", 1),
    ],
)
def test_tampering_shows(journal, path, script, number):
    """The chain names the first event that is not as it was written [I14]."""
    journal.append([warning(number) for number in range(1, 6)], at=1.0)
    with raw(path) as connection:
        connection.executescript("DROP TRIGGER events_are_never_edited; DROP TRIGGER events_are_never_removed;")
        connection.execute(script)
    assert journal.verify_chain() == number
    assert journal.check() == [f"Event {number} is missing or not as it was written."]


def test_a_missing_event_is_not_read_over(journal, path):
    journal.append([warning(number) for number in range(1, 6)], at=1.0)
    with raw(path) as connection:
        connection.executescript("DROP TRIGGER events_are_never_removed; DELETE FROM events WHERE seq = 3;")
    with pytest.raises(AdapterError, match="event 3 is missing"):
        list(journal.read())


def test_a_damaged_page_is_told(journal, path):
    """Damage is an AdapterError or a named problem, never a traceback of SQLite."""
    journal.append([warning(number) for number in range(2000)], at=1.0)
    journal.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(65536))
    with SqliteJournal.open(path) as again:
        assert again.check()
        with pytest.raises(AdapterError, match=r"damaged|missing"):
            list(again.read())


# -- the inbox ------------------------------------------------------------------------------------


def put_many(path: Path, name: str, count: int) -> None:
    with SqliteInbox.open(path) as inbox:
        for number in range(count):
            inbox.put(Request(id=f"{name}{number}", kind=RequestKind.RETRY, by=name))


def test_several_processes_put_while_the_writer_appends(journal, path):
    """No request is lost or doubled, no append fails, whoever else writes."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=put_many, args=(path, name, 20)) for name in "ab"]
    for writer in writers:
        writer.start()
    for number in range(40):
        journal.append([warning(number)], at=1.0)
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
        writer.close()
    with SqliteInbox.open(path) as inbox:
        ids = [request.id for request in inbox.pending()]
    assert sorted(ids) == sorted(f"{name}{number}" for name in "ab" for number in range(20))
    assert [name for name in ids if name[0] == "a"] == [f"a{number}" for number in range(20)]
    assert journal.latest() == 40
    assert journal.verify_chain() is None


ODD = {
    "no JSON": "not json",
    "no text": b"\xff\x00",
    "unknown kind": '{"type":"Request","v":1,"data":{"id":"odd","kind":"dance"}}',
    "unknown type": '{"type":"Wish","v":1,"data":{"id":"odd","kind":"retry"}}',
    "unknown version": '{"type":"Request","v":9,"data":{"id":"odd","kind":"retry"}}',
    "half a character": '{"type":"Request","v":1,"data":{"id":"odd","kind":"retry","task":"\\ud800"}}',
    "half a name": '{"type":"\\ud800","v":1,"data":{}}',
    "a number without end": '{"type":"Request","v":1,"data":{"id":"odd","kind":"replan","plan":'
    '{"plan":"p","tasks":[{"id":"a","title":"A","budget":{"wall_s":1' + "0" * 400 + "}}]}}}",
    "another name": '{"type":"Request","v":1,"data":{"id":"other","kind":"retry"}}',
    "its own words": '{"type":"Request","v":1,"data":{"id":"odd","kind":"retry","unreadable":"x"}}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("what", ODD)
def test_a_request_that_cannot_be_read_keeps_no_other_from_being_taken(journal, path, what):
    """I9: whoever wrote it, the others are taken; it is told, settled, and stays in the table."""
    with SqliteInbox.open(path) as inbox:
        inbox.put(Request(id="before", kind=RequestKind.RETRY))
        inbox._connection.execute("INSERT INTO inbox (id, at, body) VALUES ('odd', 1.0, ?)", (ODD[what],))
        inbox.put(Request(id="after", kind=RequestKind.RETRY))
        before, odd, after = inbox.pending()
        assert (before.id, odd.id, after.id) == ("before", "odd", "after")
        assert (bool(before.unreadable), bool(odd.unreadable), bool(after.unreadable)) == (False, True, False)
        assert odd.unreadable.encode().startswith(b"number 2: ")
        assert len(odd.unreadable) < 400
        inbox.settle(odd.id)
        assert [request.id for request in inbox.pending()] == ["before", "after"]
        assert inbox._connection.execute("SELECT count(*) FROM inbox").fetchone() == (3,)


# -- the world ------------------------------------------------------------------------------------


def test_a_full_disk_is_told_and_nothing_is_half_stored(journal, monkeypatch):
    """The append fails as a whole, with the reason; with space again the journal goes on (SPEC 8)."""
    journal.append([warning(1)], at=1.0)
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(AdapterError, match="No space is left for the journal") as caught:
        journal.append([warning(number) for number in range(2, 500)], at=2.0)
    assert not caught.value.retryable
    assert [record.event for record in journal.read()] == [warning(1)]
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    assert [record.seq for record in journal.append([warning(2)], at=3.0)] == [2]
    assert journal.verify_chain() is None


def test_somebody_who_does_not_let_go(path, monkeypatch):
    """A process that keeps the file busy is waited for, not for ever; trying again is right then."""
    monkeypatch.setattr(sqlite_file, "BUSY_S", 0.05)
    with SqliteJournal.create(path) as journal, raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AdapterError, match="has been busy") as caught:
            journal.append([warning(1)], at=1.0)
        assert caught.value.retryable
        other.execute("ROLLBACK")
        assert [record.seq for record in journal.append([warning(1)], at=1.0)] == [1]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AdapterError, match="cannot be created"):
        SqliteJournal.create(tmp_path / "file" / "journal.db")
