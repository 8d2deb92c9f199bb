"""SIGKILL at any point: what the journal acknowledged is there, whole and in order [I5]."""

import signal
import subprocess
import sys

import pytest

from chargehand.adapters.journal_sqlite import SqliteInbox, SqliteJournal

WRITE = """
import sys
from pathlib import Path
from chargehand.adapters.journal_sqlite import SqliteInbox, SqliteJournal
from chargehand.domain.events import WarningRaised
from chargehand.domain.commands import Request, RequestKind

path = Path(sys.argv[1])
journal, inbox = SqliteJournal.open(path), SqliteInbox.open(path)
while True:
    stored = journal.append([WarningRaised(code="c", text="x" * 3000)] * 3, at=1.0)
    inbox.put(Request(id=str(stored[-1].seq), kind=RequestKind.RETRY))
    print(stored[-1].seq, flush=True)
"""


@pytest.mark.parametrize("after", [1, 7, 40])
def test_what_was_acknowledged_survives(tmp_path, after):
    path = tmp_path / "journal.db"
    SqliteJournal.create(path).close()
    told: set[int] = set()
    for _ in range(2):  # the second writer begins on what the first one left
        writer = subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for _ in range(after):
            told.add(int(writer.stdout.readline()))
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        told |= {int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")}
        with SqliteJournal.open(path, readonly=True) as reader:
            stored = reader.latest()
            assert max(told) <= stored <= max(told) + 3
            assert stored % 3 == 0
            assert [record.seq for record in reader.read()] == list(range(1, stored + 1))
            assert reader.check() == []
        with SqliteInbox.open(path) as inbox:
            requests = [int(request.id) for request in inbox.pending()]
        assert requests == sorted(requests)
        assert told <= set(requests)
