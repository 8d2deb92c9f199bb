"""Clocks, notifiers and agents keep their contracts."""

import json
import sys

import pytest

from chargehand.adapters.agents import make_agent
from chargehand.domain.options import AgentDef
from chargehand.testing.contracts import AgentContract, ClockContract, NotifierContract
from chargehand.testing.fakes import FakeClock, FakeNotifier


class TestFakeClock(ClockContract):
    @pytest.fixture
    def clock(self):
        return FakeClock()


class TestFakeNotifier(NotifierContract):
    @pytest.fixture
    def notifier(self):
        return FakeNotifier()


class TestCommandAgent(AgentContract):
    @pytest.fixture
    def agent(self):
        return make_agent(AgentDef(name="x", kind="command", command=f"'{sys.executable}' -c 'pass' \"a b\""))

    @pytest.fixture
    def missing_agent(self):
        return make_agent(AgentDef(name="x", kind="command", command="no-such-program-anywhere --flag"))


class TestScriptedAgent(AgentContract):
    @pytest.fixture
    def agent(self, tmp_path):
        (tmp_path / "scenario.json").write_text(json.dumps({"tasks": {"a": [{"report": {"status": "DONE"}}]}}))
        return make_agent(AgentDef(name="x", kind="scripted", command="scenario.json", cwd=str(tmp_path)))

    @pytest.fixture
    def missing_agent(self, tmp_path):
        return make_agent(AgentDef(name="x", kind="scripted", command="none.yaml", cwd=str(tmp_path)))
