from __future__ import annotations

from pathlib import Path

import pytest

from chargehand.adapters.run_store import FolderRunStore
from chargehand.domain.errors import RunLocked, UserError
from chargehand.domain.events import WarningRaised

WARNING = WarningRaised(code="x", text="y")


@pytest.fixture
def store(tmp_path: Path) -> FolderRunStore:
    times = iter(range(100))
    return FolderRunStore(tmp_path / "runs", now=lambda: float(next(times)))


def test_a_new_run_is_held_and_keeps_its_events(store: FolderRunStore):
    held = store.create("demo-1")
    held.journal.append([WARNING], 1.0)
    assert store.holder("demo-1") is not None
    held.release()
    assert store.holder("demo-1") is None
    assert [r.event for r in store.read("demo-1")] == [WARNING]


def test_a_held_run_is_refused_and_a_released_one_taken_up(store: FolderRunStore):
    held = store.create("demo-1")
    with pytest.raises(RunLocked):
        store.open("demo-1")
    held.release()
    store.open("demo-1").release()


def test_runs_are_listed_in_the_order_of_their_creation(store: FolderRunStore):
    for run in ("b", "a", "c"):
        store.create(run).release()
    (store.root / "half").mkdir()
    assert store.runs() == ["b", "a", "c"]


@pytest.mark.parametrize("run", ["", "..", "a/b", "-x", "a..b", "x.lock", "é", "a" * 200])
def test_an_id_that_is_no_folder_name_is_refused(store: FolderRunStore, run: str):
    with pytest.raises(UserError, match="cannot be the id"):
        store.create(run)


def test_a_taken_id_names_resume(store: FolderRunStore):
    store.create("x").release()
    with pytest.raises(UserError) as caught:
        store.create("x")
    assert "resume x" in caught.value.hint


def test_an_unknown_run_is_a_clear_error(store: FolderRunStore):
    for look in (store.open, store.read, store.inbox):
        with pytest.raises(UserError, match="There is no run nope"):
            look("nope")
    assert store.runs() == []
