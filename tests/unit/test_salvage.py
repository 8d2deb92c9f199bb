"""Damaged journals: what can be saved is saved, exactly that, and a sound journal takes the place of the old one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chargehand.adapters.codec import from_data
from chargehand.adapters.journal_sqlite import SqliteInbox, SqliteJournal
from chargehand.adapters.salvage import rebuild, salvage
from chargehand.adapters.sqlite_pages import read_pages, rows
from chargehand.domain.errors import AdapterError, ChargehandError, UserError
from chargehand.domain.events import Recorded, RunResumed, WarningRaised
from chargehand.domain.plan import Plan, Task
from chargehand.ports import Request
from tests import goldens

PAGE = 4096
LINES = [line for name in ("endings", "evidence") for line in goldens.lines(goldens.GOLDEN / "0.1.0" / name)]
ASKED = [
    from_data(Request, {"id": f"q{number}", "kind": "answer", "decision": "d1", "choice": "retry", "by": "uma"})
    for number in range(3)
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """243 real events, one of them on several pages, and requests of which one is settled."""
    path = tmp_path_factory.mktemp("sound") / "journal.db"
    with SqliteJournal.create(path, run="endings-1") as journal:
        journal.restore((line.at, line.body) for line in LINES)
    with SqliteInbox.open(path) as inbox:
        for request in ASKED:
            inbox.put(request)
        inbox.settle("q1")
    return path


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return Path(shutil.copyfile(sound, tmp_path / "run" / "journal.db"))


def told(path: Path) -> list[Recorded]:
    with SqliteJournal.open(path, readonly=True) as journal:
        return list(journal.read())


def first_on(path: Path) -> dict[int, int]:
    """Page → the first event of which a part lies on it, found by looking for its text."""
    data = path.read_bytes()
    found: dict[int, int] = {}
    with closing(sqlite3.connect(path)) as connection:
        stored = connection.execute("SELECT seq, body, chain FROM events ORDER BY seq").fetchall()
    pieces: list[tuple[int, bytes]] = []
    for seq, body, chain in stored:
        texts = [body[at : at + 60] for at in range(0, len(body), 60)] if len(body) > 3500 else []
        own = [text for text in texts if sum(text in other for _, other, _ in stored) == 1]
        pieces += [(seq, text.encode()) for text in (chain, *own)]
    for number in range(len(data) // PAGE):
        page = data[number * PAGE : (number + 1) * PAGE]
        there = [seq for seq, piece in pieces if piece in page]
        if there:
            found[number + 1] = min(there)
    return found


def pages_of(path: Path) -> Iterator[int]:
    return iter(range(1, path.stat().st_size // PAGE + 1))


def spoil(path: Path, page: int, how: str, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    start = (page - 1) * PAGE
    if how == "noise":
        data[start : start + PAGE] = chance.randbytes(PAGE)
    elif how == "zeros":
        data[start : start + PAGE] = bytes(PAGE)
    else:
        data[start + chance.randrange(PAGE)] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


# -- whole files ----------------------------------------------------------------------------------


def test_nothing_is_lost_of_a_sound_one(path: Path):
    found = salvage(path)
    assert list(found.events) == told(path)
    assert len(found.events) == len(LINES) > 200
    assert (found.broken_at, found.is_sound, found.beyond) == (None, True, 0)
    assert found.detail == f"All {len(LINES)} events are as they were written."
    assert list(found.requests) == [ASKED[0], ASKED[2]]


def test_looking_changes_nothing(path: Path):
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.parent.iterdir()}
    salvage(path)
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.parent.iterdir()} == before


def test_the_pages_say_what_sqlite_says(path: Path):
    """Also of long rows, which are spread over pages."""
    with closing(sqlite3.connect(path)) as connection:
        stored = connection.execute("SELECT * FROM events ORDER BY seq").fetchall()
    found = sorted((seq, columns) for seq, columns in rows(read_pages(path)) if len(columns) == 7)
    assert [(seq, *columns[1:]) for seq, columns in found] == stored


def test_numbers_and_texts_of_every_size(tmp_path: Path):
    values = [0, 1, -1, 127, 128, -40_000, 2**23, 2**31, -(2**40), 2**62, 1.5, None, "", "é" * 3000, b"\x00" * 9000]
    path = tmp_path / "any.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a, b)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(value, 7) for value in values])
        connection.execute("INSERT INTO t (rowid, a, b) VALUES (-5, 'below', 7)")
    found = {rowid: columns[0] for rowid, columns in rows(read_pages(path)) if columns[1:] == (7,)}
    assert found == {**dict(enumerate(values, start=1)), -5: "below"}


# -- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["noise", "zeros"])
def test_any_page_may_be_lost(sound: Path, path: Path, how: str):
    """I2: all events before the first one on that page come out, none after it, and never an exception."""
    everything, first, chance = told(sound), first_on(sound), random.Random(7)
    assert len(set(first.values())) > 25
    for page in pages_of(sound):
        shutil.copyfile(sound, path)
        spoil(path, page, how, chance)
        found = salvage(path)
        expected = everything[: first.get(page, len(everything) + 1) - 1]
        assert list(found.events) == expected, page
        assert not found.is_sound, page
        assert found.broken_at in (
            {None, len(expected) + 1} if len(expected) == len(everything) else {len(expected) + 1}
        )
        assert found.detail.endswith("."), page


@pytest.mark.parametrize("seed", range(3))
def test_any_byte_may_flip(sound: Path, path: Path, seed: int):
    """What comes out is a part of what happened, from the start, whichever bit of whichever page was turned."""
    everything, first, chance = told(sound), first_on(sound), random.Random(seed)
    for page in pages_of(sound):
        shutil.copyfile(sound, path)
        spoil(path, page, "flip", chance)
        found = salvage(path)
        assert list(found.events) == everything[: len(found.events)], page
        assert len(found.events) >= first.get(page, len(everything) + 1) - 1, page


@pytest.mark.parametrize("size", [0, 1, 99, 100, PAGE, PAGE + 1, 5 * PAGE, 100_000])
def test_a_truncated_file(sound: Path, path: Path, size: int):
    everything = told(sound)
    os.truncate(path, size)
    found = salvage(path)
    assert list(found.events) == everything[: len(found.events)]
    assert found.broken_at == len(found.events) + 1
    assert (size < 100_000) or found.events


@pytest.mark.parametrize("content", [bytes(50_000), b"plain text " * 5000, random.Random(1).randbytes(70_000)])
def test_a_file_of_something_else(path: Path, content: bytes):
    path.write_bytes(content)
    found = salvage(path)
    assert (found.events, found.broken_at, found.is_sound) == ((), 1, False)
    assert found.detail.startswith("No event can be read.")
    with pytest.raises(AdapterError, match="cannot be rebuilt: No event can be read"):
        rebuild(path, found.events)
    assert path.read_bytes() == content


def test_several_pages_and_the_header_at_once(sound: Path, path: Path):
    everything, first, chance = told(sound), first_on(sound), random.Random(3)
    late = [page for page, seq in first.items() if seq > 150]
    for page in (1, 2, *late):
        spoil(path, page, "noise", chance)
    found = salvage(path)
    assert list(found.events) == everything[: min(first[page] for page in late) - 1]


# -- the log --------------------------------------------------------------------------------------


@pytest.fixture
def logged(path: Path, tmp_path: Path) -> Path:
    """A journal whose last five events are in the write-ahead log only, as a killed process leaves it."""
    left = tmp_path / "left" / "journal.db"
    left.parent.mkdir()
    with SqliteJournal.open(path) as journal:
        journal._connection.execute("PRAGMA wal_autocheckpoint = 0")
        for number in range(5):
            journal.append([WarningRaised(code="c", text=f"late {number}")], at=float(number))
        for end in ("", "-wal", "-shm"):
            shutil.copyfile(f"{path}{end}", f"{left}{end}")
    return left


def test_what_is_only_in_the_log_counts(logged: Path):
    """I5: also when SQLite itself can open nothing any more."""
    assert len(salvage(logged).events) == len(LINES) + 5
    spoil(logged, 1, "noise", random.Random(1))
    found = salvage(logged)
    assert len(found.events) == len(LINES) + 5
    assert found.events[-1].event == WarningRaised(code="c", text="late 4")


def test_a_damaged_log_costs_no_more_than_what_is_in_it(logged: Path):
    log = logged.with_name("journal.db-wal")
    data = bytearray(log.read_bytes())
    for at in range(0, len(data), 797):
        shutil.copyfile(log, f"{log}.kept")
        log.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        found = salvage(logged)
        assert len(found.events) >= len(LINES) - 20  # the last page of before is in the log too, newer
        assert [r.seq for r in found.events] == list(range(1, len(found.events) + 1))
        Path(f"{log}.kept").replace(log)


def test_what_was_not_committed_did_not_happen(logged: Path):
    """The last frame of each transaction says so; without it, the transaction is not there."""
    log = logged.with_name("journal.db-wal")
    os.truncate(log, log.stat().st_size - 10)
    for noise in (False, True):
        if noise:
            spoil(logged, 1, "noise", random.Random(1))
        assert len(salvage(logged).events) == len(LINES) + 4


# -- a sound one in its place ---------------------------------------------------------------------


def test_the_rebuilt_one_goes_on(sound: Path, path: Path):
    """I14: bodies, times and chain are those of before; I9: what people asked for is not lost."""
    with closing(sqlite3.connect(sound)) as connection:
        stored = connection.execute("SELECT * FROM events ORDER BY seq").fetchall()
    page = next(page for page, seq in first_on(path).items() if seq > 100)
    spoil(path, page, "noise", random.Random(5))
    damaged = path.read_bytes()
    found = salvage(path)
    kept = rebuild(path, found.events)
    assert kept.read_bytes() == damaged
    assert kept.name.startswith("journal.db.damaged-")
    assert sorted(file.name for file in path.parent.iterdir()) == sorted(["journal.db", kept.name])
    assert path.stat().st_mode & 0o777 == 0o600
    with SqliteJournal.open(path) as journal:
        assert journal.check() == []
        assert journal.meta("run") == "endings-1"
        seq = len(found.events)
        assert [r.seq for r in journal.append([WarningRaised(code="c", text="on")], at=1.0)] == [seq + 1]
        assert journal.check() == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM events ORDER BY seq").fetchall()[:-1] == stored[:seq]
    with SqliteInbox.open(path) as inbox:
        assert inbox.pending() == [ASKED[0], ASKED[2]]
    assert salvage(path).is_sound


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_lost_header_costs_nothing(path: Path, page: int):
    spoil(path, page, "zeros", random.Random(5))
    found = salvage(path)
    if page < 3:
        assert len(found.events) == len(LINES)
    if found.events:
        rebuild(path, found.events)
        assert salvage(path).is_sound
        with SqliteJournal.open(path, readonly=True) as journal:
            assert journal.meta("run") == "endings-1"


def test_the_log_is_set_aside_too(logged: Path):
    """It belongs to the damaged file: beside the new one, SQLite would play it into that."""
    spoil(logged, 2, "noise", random.Random(5))
    log = logged.with_name("journal.db-wal").read_bytes()
    kept = rebuild(logged, salvage(logged).events)
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == log
    assert not logged.with_name("journal.db-wal").exists()
    assert len(told(logged)) == len(LINES) + 5


def test_fewer_events_may_be_asked_for_and_no_more(path: Path):
    found = salvage(path)
    kept = rebuild(path, found.events[:10])
    assert told(path) == list(found.events[:10])
    with pytest.raises(AdapterError, match="cannot be rebuilt"):
        rebuild(path, found.events)
    assert told(kept) == list(found.events)


def test_two_rebuilds_keep_both(path: Path):
    events = salvage(path).events
    names = {rebuild(path, events[:count]).name for count in (30, 20, 10)}
    assert len(names) == 3
    assert told(path) == list(events[:10])


def killed(path: Path, step: int) -> bool:
    """Rebuild in a process that is killed before its `step`-th change to the folder; False where it had finished."""
    steps = iter(range(1, step + 1))

    def counted(event: str, args: tuple[object, ...]) -> None:
        changes = event in {"os.rename", "os.remove", "os.chmod", "shutil.copyfile", "sqlite3.connect", "os.mkdir"}
        if changes and str(path.parent) in " ".join(map(str, args)) and next(steps, step) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        try:
            events = salvage(path).events
            sys.addaudithook(counted)
            rebuild(path, events)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_at_any_step_it_is_the_damaged_one_or_the_new_one(logged: Path):
    """I14: no file is ever taken for whole that knows fewer events than were proved before."""
    spoil(logged, 2, "noise", random.Random(5))
    events = salvage(logged).events
    with closing(sqlite3.connect(f"file:{logged}?mode=ro", uri=True)):
        before = {file.name: file.read_bytes() for file in logged.parent.iterdir()}
    step, seen = 1, set()
    while killed(logged, step):
        found = salvage(logged)
        assert found.events == events, f"step {step}"
        seen.add(found.is_sound)
        rebuild(logged, found.events)
        assert told(logged) == list(events)
        for file in logged.parent.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        for name, data in before.items():
            logged.with_name(name).write_bytes(data)
        step += 1
    assert seen == {False, True}
    assert step > 10
    assert told(logged) == list(events)


@pytest.mark.parametrize("what", ["noise", "other pages", "short"])
def test_what_is_under_the_new_log_counts_no_more(path: Path, what: str):
    """The switch of a rebuild: a log with every page makes a journal of any file that is not empty."""
    log = path.with_name("journal.db-wal")
    assert next(step for step in range(1, 100) if killed(path, step) and log.exists())
    other = bytearray(path.read_bytes())
    other[16:18] = (8192).to_bytes(2, "big")
    path.write_bytes({"noise": random.Random(5).randbytes(999_999), "other pages": bytes(other), "short": b"xx"}[what])
    with SqliteJournal.open(path) as journal:
        assert journal.latest() == len(LINES)
        assert journal.check() == []


# -- not damage -----------------------------------------------------------------------------------


def test_no_journal(tmp_path: Path):
    with pytest.raises(UserError, match="no journal at"):
        salvage(tmp_path / "journal.db")


def test_a_newer_release_is_no_damage(path: Path):
    """I14: what another release wrote is never cut off."""
    with SqliteJournal.open(path) as journal:
        journal.append([RunResumed(pid=1, host="h", version="99.0")], at=1.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="has schema 99") as caught:
        salvage(path)
    assert caught.value.code == "newer_journal"
    with pytest.raises(UserError):
        rebuild(path, told_raw(path))


def told_raw(path: Path) -> list[Recorded]:
    return [Recorded(seq=1, at=1.0, event=WarningRaised(code="c", text="t"))]


def test_an_event_of_a_newer_release_is_no_damage(path: Path, tmp_path: Path):
    newer = tmp_path / "newer.db"
    shutil.copyfile(path, newer)
    with SqliteJournal.open(newer) as journal:
        seq = journal.latest() + 1
        before = journal.chain_at(seq - 1)
        assert before is not None
        body = '{"type":"TaskBeamedUp","v":1,"data":{}}'
        line = goldens.Line(seq, 1.5, "", body)
        values = (seq, 1.5, body, line.link(before))
        journal._connection.execute("INSERT INTO events VALUES (?, ?, 'T', '', NULL, ?, ?)", values)
    with pytest.raises(UserError, match=f"Event {seq} .*is whole") as caught:
        salvage(newer)
    assert caught.value.code == "newer_journal"


def test_a_turned_bit_of_the_schema_is_damage(path: Path):
    """The header says a newer schema, but this release wrote last."""
    data = bytearray(path.read_bytes())
    data[60] ^= 0x40
    path.write_bytes(data)
    found = salvage(path)
    assert len(found.events) == len(LINES)
    assert not found.is_sound
    rebuild(path, found.events)
    assert salvage(path).is_sound


def test_a_folder_that_cannot_be_written(path: Path, monkeypatch: pytest.MonkeyPatch):
    """The damaged journal stays where it is, whole or not, until the new one is there."""
    events, before = salvage(path).events, path.read_bytes()
    path.with_name("journal.db-wal").mkdir()
    with pytest.raises(ChargehandError, match="cannot be rebuilt"):
        rebuild(path, events)
    assert path.read_bytes() == before


def test_a_long_plan_comes_out_whole(tmp_path: Path):
    """One row on thousands of pages."""
    from chargehand.domain.events import RunStarted
    from chargehand.domain.options import RunOptions

    tasks = tuple(Task(id=f"t{number}", title="T" * 50, description="d" * 2000) for number in range(500))
    started = RunStarted(
        run="r", plan=Plan(plan="p", tasks=tasks), options=RunOptions(agent="a", agents=()), base="b" * 40, branch="r"
    )
    path = tmp_path / "journal.db"
    with SqliteJournal.create(path, run="r") as journal:
        journal.append([started, WarningRaised(code="c", text="t")], at=1.0)
    spoil(path, 1, "noise", random.Random(1))
    assert [r.event for r in salvage(path).events] == [started, WarningRaised(code="c", text="t")]
