"""What every adapter of a port must keep, as test classes to inherit from.

A plug-in's test module subclasses the suite of its port and gives the fixture that makes the adapter:

    class TestMyJournal(JournalContract):
        @pytest.fixture
        def make_journal(self, tmp_path):
            return lambda: MyJournal(tmp_path)

Each suite says in its docstring which fixtures it needs. Suites of asynchronous ports run their own event loop, so no
pytest plug-in is needed. The package needs pytest, which only developers have.
"""

from chargehand.testing.contracts.agents import AgentContract, StreamAgentContract
from chargehand.testing.contracts.facts import (
    ClockContract,
    InboxContract,
    JournalContract,
    NotifierContract,
    SnapshotsContract,
)
from chargehand.testing.contracts.fleets import FleetContract
from chargehand.testing.contracts.gates import CHECKS, GatesContract
from chargehand.testing.contracts.git import History, IntegratorContract, WorkspacesContract
from chargehand.testing.contracts.playing import Open

__all__ = [
    "CHECKS",
    "AgentContract",
    "ClockContract",
    "FleetContract",
    "GatesContract",
    "History",
    "InboxContract",
    "IntegratorContract",
    "JournalContract",
    "NotifierContract",
    "Open",
    "SnapshotsContract",
    "StreamAgentContract",
    "WorkspacesContract",
]
