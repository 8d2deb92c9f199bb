"""Every place where snapshots are kept keeps the same contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.adapters.snapshots import FileSnapshots
from chargehand.ports import Journal
from chargehand.testing.contracts import SnapshotsContract
from chargehand.testing.fakes import FakeJournal, FakeSnapshots


class TestFakeSnapshots(SnapshotsContract):
    @pytest.fixture
    def journal(self) -> Journal:
        return FakeJournal()

    @pytest.fixture
    def snapshots(self, journal: Journal) -> FakeSnapshots:
        return FakeSnapshots()


class TestFileSnapshots(SnapshotsContract):
    @pytest.fixture
    def journal(self, tmp_path: Path) -> Iterator[Journal]:
        with SqliteJournal.create(tmp_path / "journal.db") as journal:
            yield journal

    @pytest.fixture
    def snapshots(self, journal: Journal, tmp_path: Path) -> FileSnapshots:
        assert isinstance(journal, SqliteJournal)
        return FileSnapshots(tmp_path / "snapshot.json", journal.chain_at)
