from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from chargehand.adapters.lock import RunLock
from chargehand.adapters.run_store import FolderRunStore
from chargehand.domain.commands import RequestKind
from chargehand.domain.errors import AdapterError, ChargehandError, RunLocked, UserError
from chargehand.domain.events import WarningRaised
from chargehand.ports import Request

WARNING = WarningRaised(code="x", text="y")


@pytest.fixture
def store(tmp_path: Path) -> FolderRunStore:
    return FolderRunStore(tmp_path / "runs")


def test_a_new_run_is_held_and_keeps_its_events(store: FolderRunStore):
    held = store.create("demo-1", [WARNING], 1.0)
    assert store.holder("demo-1") is not None
    held.release()
    assert store.holder("demo-1") is None
    assert [r.event for r in store.read("demo-1")] == [WARNING]


def test_a_held_run_is_refused_and_a_released_one_taken_up(store: FolderRunStore):
    held = store.create("demo-1", [WARNING], 1.0)
    with pytest.raises(RunLocked):
        store.open("demo-1")
    held.release()
    store.open("demo-1").release()


def test_runs_are_listed_in_the_order_of_their_creation(store: FolderRunStore):
    for at, run in enumerate(("b", "a", "c")):
        store.create(run, [WARNING], float(at)).release()
    (store.root / "half").mkdir()
    assert store.runs() == ["b", "a", "c"]


@pytest.mark.parametrize("run", ["", "..", "a/b", "-x", "a..b", "x.lock", "é", "a" * 200])
def test_an_id_that_is_no_folder_name_is_refused(store: FolderRunStore, run: str):
    with pytest.raises(UserError, match="cannot be the id"):
        store.create(run, [WARNING], 1.0)


def test_a_taken_id_names_resume(store: FolderRunStore):
    store.create("x", [WARNING], 1.0).release()
    with pytest.raises(UserError) as caught:
        store.create("x", [WARNING], 1.0)
    assert "resume x" in caught.value.hint


def test_an_unknown_run_is_a_clear_error(store: FolderRunStore):
    for look in (store.open, store.read, store.inbox):
        with pytest.raises(UserError, match="There is no run nope"):
            look("nope")
    assert store.runs() == []


def test_a_request_wakes_the_holder_and_survives_without_one(store: FolderRunStore):
    """I9: an answer left while nobody holds the run is found at the next start."""
    store.create("x", [WARNING], 1.0).release()
    outside = store.inbox("x")
    outside.put(Request(id="1", kind=RequestKind.ANSWER, decision="d1", choice="retry"))

    async def hold() -> list[str]:
        held, woken = store.open("x"), asyncio.Event()
        held.inbox.listen(woken.set)
        before = [request.id for request in held.inbox.pending()]
        outside.put(Request(id="2", kind=RequestKind.ANSWER, decision="d2", choice="skip"))
        await asyncio.wait_for(woken.wait(), 5)
        after = [request.id for request in held.inbox.pending()]
        held.release()
        return [*before, "|", *after]

    assert asyncio.run(hold()) == ["1", "|", "1", "2"]
    outside.close()


def test_a_creation_that_is_cut_short_leaves_nothing_in_the_way(store: FolderRunStore, monkeypatch: pytest.MonkeyPatch):
    """I4: killed before the run is whole, there is no run; the same id can be taken."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            store.create("x", [WARNING], 1.0)
    assert store.runs() == []
    store.create("x", [WARNING], 1.0).release()
    assert store.runs() == ["x"]


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot hold a run"):
        FolderRunStore(tmp_path / "file" / "runs").create("x", [WARNING], 1.0)


def test_a_run_whose_note_of_birth_is_gone_is_found_by_its_journal(store: FolderRunStore):
    """The journal is the truth: what lies beside it can be deleted (SPEC 8)."""
    for at, run in enumerate(("b", "a")):
        store.create(run, [WARNING], float(at)).release()
        (store.folder(run) / "run.json").unlink()
    assert store.runs() == ["b", "a"]
    (store.folder("a") / "journal.db").write_bytes(b"\0" * 100)
    assert store.runs() == ["b", "a"]


@pytest.mark.parametrize(
    "at", ["NaN", "-1", "1e400", "-1e400", "9" * 400, "9" * 5000, "[" * 200_000, "null", '"x"', '{"a": 1}', ""]
)
def test_nothing_in_the_note_of_birth_hides_a_run(store: FolderRunStore, at: str):
    """A run that is not listed can neither be taken up nor is it spared by those who remove what is nobody's [I2]."""
    for born, run in enumerate(("c", "b", "a")):
        store.create(run, [WARNING], float(born)).release()
    (store.folder("b") / "run.json").write_text(f'{{"created_at": {at}}}')
    assert store.runs() == ["c", "b", "a"]
    (store.folder("b") / "journal.db").write_bytes(b"no journal")
    assert sorted(store.runs()) == ["a", "b", "c"]
    (store.folder("b") / "journal.db").unlink()
    assert sorted(store.runs()) == ["a", "b", "c"]


def test_a_holder_says_that_it_is_alive_and_notices_when_the_run_was_taken_away(store: FolderRunStore):
    held = store.create("x", [WARNING], 1.0)
    held.beat()
    (store.folder("x") / "lock").unlink()
    with pytest.raises(AdapterError, match="removed or replaced"):
        held.beat()
    held.release()
    held.beat()


def test_a_journal_that_cannot_be_opened_does_not_keep_the_lock(store: FolderRunStore):
    store.create("x", [WARNING], 1.0).release()
    (store.folder("x") / "journal.db").write_bytes(b"no journal")
    for _ in range(2):
        with pytest.raises(ChargehandError) as caught:
            store.open("x")
        assert not isinstance(caught.value, RunLocked)
    assert store.holder("x") is None


def test_a_holder_on_another_machine_is_forgotten_only_on_request(store: FolderRunStore):
    store.create("x", [WARNING], 1.0).release()
    holder = {"pid": 7, "started": 9, "host": "far.example", "since": 0.0, "heartbeat": 0.0, "boot": "b"}
    (store.folder("x") / "lock").write_text(json.dumps(holder))
    with pytest.raises(RunLocked, match="seems dead"):
        store.open("x")
    assert store.holder("x") == "process 7 on far.example since 1970-01-01 00:00:00 UTC"
    RunLock.forget(store.folder("x") / "lock")
    assert store.holder("x") is None
    store.open("x").release()
