"""Snapshots in a file: whatever is wrong with it, there is none, and the journal is folded."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chargehand.adapters import snapshots as module
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.adapters.run_store import FolderRunStore
from chargehand.adapters.snapshots import FileSnapshots, version
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import Event, WarningRaised
from chargehand.domain.evolve import fold
from chargehand.domain.state import RunState
from tests.play import Play, a_plan, a_task


def a_history(*tasks: str) -> list[Event]:
    play = Play(a_plan(*map(a_task, tasks)))
    play.begin()
    play.through(*tasks)
    return [recorded.event for recorded in play.journal]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    with SqliteJournal.create(tmp_path / "journal.db") as journal:
        journal.append(a_history("a", "b"), at=7.0)
        yield journal


@pytest.fixture
def state(journal: SqliteJournal) -> RunState:
    return fold(journal.read())


@pytest.fixture
def snapshots(tmp_path: Path, journal: SqliteJournal) -> FileSnapshots:
    return FileSnapshots(tmp_path / "snapshot.json", journal.chain_at)


# -- which one counts -----------------------------------------------------------------------------


def test_it_counts_for_the_history_it_was_folded_from(tmp_path: Path, snapshots: FileSnapshots, state: RunState):
    """I14: beside another journal, even one as long, it is none."""
    snapshots.save(state)
    for number, at in enumerate((7.0, 8.0)):
        with SqliteJournal.create(tmp_path / f"other-{number}.db") as other:
            other.append(a_history("a", "b"), at=at)
            loaded = FileSnapshots(snapshots.path, other.chain_at).load()
            assert loaded == (state if at == 7.0 else None)


def test_it_does_not_count_for_a_journal_that_lost_its_end(tmp_path: Path, snapshots: FileSnapshots, state: RunState):
    snapshots.save(state)
    with SqliteJournal.create(tmp_path / "shorter.db") as shorter:
        shorter.append(a_history("a", "b")[:-1], at=7.0)
        assert FileSnapshots(snapshots.path, shorter.chain_at).load() is None


def test_a_state_of_no_event_of_the_journal_is_not_kept(snapshots: FileSnapshots, state: RunState):
    state.seq += 1
    snapshots.save(state)
    assert not snapshots.path.exists()


def test_it_counts_for_the_code_that_folded_it(
    snapshots: FileSnapshots, state: RunState, monkeypatch: pytest.MonkeyPatch
):
    """I14: another release folds the journal itself."""
    snapshots.save(state)
    with monkeypatch.context() as patch:
        patch.setattr(module, "version", lambda: "another")
        assert snapshots.load() is None
    assert snapshots.load() == state


def test_the_version_is_the_same_in_every_process():
    """No order that depends on the process is part of it."""
    text = "from chargehand.adapters.snapshots import version; print(version())"
    said = {
        subprocess.run(
            [sys.executable, "-c", text],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }
    assert said == {version()}


# -- damage ---------------------------------------------------------------------------------------


def test_a_damaged_file_is_none(snapshots: FileSnapshots, state: RunState):
    """Cut anywhere, or with any byte changed, it is not read."""
    snapshots.save(state)
    whole = snapshots.path.read_bytes()
    head = whole.index(b"\n") + 1
    for length in (*range(head + 20), *range(head, len(whole), 97)):
        snapshots.path.write_bytes(whole[:length])
        assert snapshots.load() is None
    for at in (*range(head), *range(head, len(whole), 97)):
        flipped = bytearray(whole)
        flipped[at] ^= 1
        snapshots.path.write_bytes(flipped)
        assert snapshots.load() is None
    snapshots.path.write_bytes(whole)
    assert snapshots.load() == state


def _with(path: Path, **changes: object) -> bytes:
    head, body = path.read_bytes().split(b"\n", 1)
    return json.dumps({**json.loads(head), **changes}).encode() + b"\n" + body


def test_a_file_that_only_looks_right_is_none(snapshots: FileSnapshots, state: RunState):
    snapshots.save(state)
    changes: list[dict[str, object]] = [
        {"seq": state.seq - 1},
        {"seq": None},
        {"seq": [1]},
        {"chain": None},
        {"sha256": ""},
        {"version": 1},
    ]
    others = [_with(snapshots.path, **change) for change in changes]
    empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # of `{}`
    hollow = _with(snapshots.path, sha256=empty).split(b"\n")[0] + b"\n{}"
    for other in (*others, hollow, b"[" * 100_000, b"[]\n[]", b"\xff\xfe", b"", b"1\n"):
        snapshots.path.write_bytes(other)
        assert snapshots.load() is None


def test_a_state_of_another_event_than_the_head_says_is_none(snapshots: FileSnapshots, state: RunState):
    snapshots.save(state)
    chain = snapshots.chain_at(state.seq - 1)
    snapshots.path.write_bytes(_with(snapshots.path, seq=state.seq - 1, chain=chain))
    assert snapshots.load() is None


def test_no_file_and_a_folder_in_its_place_are_none(snapshots: FileSnapshots, state: RunState):
    assert snapshots.load() is None
    snapshots.path.mkdir()
    assert snapshots.load() is None
    snapshots.save(state)
    assert snapshots.load() is None
    assert not snapshots.path.with_suffix(".new").exists()


def test_a_journal_that_cannot_be_read_is_told_by_who_reads_it(snapshots: FileSnapshots, state: RunState):
    snapshots.save(state)

    def damaged(_: int) -> str | None:
        raise AdapterError("journal", "It is damaged.")

    beside = FileSnapshots(snapshots.path, damaged)
    assert beside.load() is None
    beside.save(state)
    assert snapshots.load() == state


# -- saving ---------------------------------------------------------------------------------------


def test_a_save_that_is_killed_leaves_the_one_before(
    snapshots: FileSnapshots, journal: SqliteJournal, state: RunState, monkeypatch: pytest.MonkeyPatch
):
    """Between writing and renaming, nothing that was written is read; the next save takes its place."""
    snapshots.save(state)
    before = fold(journal.read())

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    fold(journal.append([WarningRaised(code="x", text="y")], at=8.0), onto=state)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            snapshots.save(state)
    assert snapshots.load() == before
    snapshots.save(state)
    assert snapshots.load() == state
    assert {path.name for path in snapshots.path.parent.iterdir() if "snapshot" in path.name} == {"snapshot.json"}


def test_what_stands_in_the_way_of_saving_is_no_error(snapshots: FileSnapshots, state: RunState, tmp_path: Path):
    snapshots.path.with_suffix(".new").mkdir()
    snapshots.save(state)
    assert snapshots.load() is None
    FileSnapshots(tmp_path / "gone" / "snapshot.json", snapshots.chain_at).save(state)
    assert not (tmp_path / "gone").exists()


def test_a_state_that_cannot_be_written_is_no_error(snapshots: FileSnapshots, state: RunState):
    """A snapshot never fails a run."""
    snapshots.save(state)
    kept = snapshots.path.read_bytes()
    state.run = object()  # type: ignore[assignment]
    snapshots.save(state)
    assert snapshots.path.read_bytes() == kept


def test_it_is_for_its_owner_only(snapshots: FileSnapshots, state: RunState):
    snapshots.save(state)
    assert snapshots.path.stat().st_mode & 0o777 == 0o600


def test_the_collector_is_left_as_it_was(snapshots: FileSnapshots, state: RunState):
    snapshots.save(state)
    gc.disable()
    try:
        snapshots.load()
        assert not gc.isenabled()
    finally:
        gc.enable()
    snapshots.load()
    assert gc.isenabled()


# -- in the store ---------------------------------------------------------------------------------


def test_the_holder_saves_and_everybody_loads(tmp_path: Path):
    store = FolderRunStore(tmp_path / "runs")
    held = store.create("x", a_history("a"), 1.0)
    assert store.snapshots("x").load() is None
    state = fold(held.journal.read())
    held.snapshots.save(state)
    assert store.snapshots("x").load() == held.snapshots.load() == state
    assert store.read("x", state.seq) == []
    assert [record.seq for record in store.read("x", state.seq - 2)] == [state.seq - 1, state.seq]
    held.release()
    assert store.snapshots("x").load() == state
