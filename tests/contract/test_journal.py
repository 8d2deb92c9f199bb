"""Every journal and inbox keeps the same contract."""

import pytest

from chargehand.adapters.inbox import NudgingInbox
from chargehand.adapters.journal_memory import MemoryInbox, MemoryJournal
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.testing.contracts import InboxContract, JournalContract
from chargehand.testing.fakes import FakeInbox, FakeJournal


class TestFakeJournal(JournalContract):
    @pytest.fixture
    def make_journal(self):
        return FakeJournal


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def make_journal(self):
        return MemoryJournal


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def make_journal(self, tmp_path):
        return lambda: SqliteJournal.create(tmp_path / "run" / "journal.db")


class TestFakeInbox(InboxContract):
    @pytest.fixture
    def make_inbox(self):
        return FakeInbox


class TestMemoryInbox(InboxContract):
    @pytest.fixture
    def make_inbox(self):
        return MemoryInbox


class TestNudgingInbox(InboxContract):
    @pytest.fixture
    def make_inbox(self, tmp_path):
        SqliteJournal.create(tmp_path / "journal.db").close()
        return lambda: NudgingInbox(tmp_path / "journal.db", tmp_path / "nudge")
