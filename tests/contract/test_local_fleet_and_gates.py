"""The fleet and the gates of this machine keep their contracts: real git, real processes."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chargehand.adapters.agents import make_agent
from chargehand.adapters.attempt import FleetParts
from chargehand.adapters.confined import Confined
from chargehand.adapters.environment import Environment, Identity, Ports
from chargehand.adapters.fleet_local import LocalFleet
from chargehand.adapters.folders import PrivateFolders
from chargehand.adapters.gate_cache import GateCache
from chargehand.adapters.gates import CommandGates, GateParts
from chargehand.adapters.git import Repository
from chargehand.adapters.sandbox import choose
from chargehand.adapters.setup import Setup
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.ids import attempt_ref
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import Role
from chargehand.ports import AttemptSpec
from chargehand.testing.contracts import FleetContract, GatesContract
from tests.contract.histories import RepoHistory

SCENARIO = {
    "tasks": {
        "done": [{"write": {"path": "new.txt", "text": "{{attempt}}"}}, {"report": {"status": "DONE"}}],
        "crash": [{"exit": 3}],
        "hang": [{"hang": "silent"}],
        "pass": {"roles": {"default": [{"verdict": "PASS"}]}},
        "fail": {"roles": {"default": [{"verdict": ["major a.txt:1 Wrong.", "minor a.txt:99 Odd."]}]}},
        "meddle": {"roles": {"default": [{"write": {"path": "a.txt", "text": "mine"}}, {"verdict": "PASS"}]}},
        "dumb": {"roles": {"default": [{"print": "Hm."}]}},
        "fit": {"roles": {"default": [{"restoration": {"outcome": "GREEN"}}]}},
    }
}
ROLES = {"fit": Role.FITTER} | dict.fromkeys(("pass", "fail", "meddle", "dumb"), Role.SPEC_REVIEWER)


@pytest.fixture
def history(repo):
    return RepoHistory(repo)


async def common(repo, root: Path):
    """What a fleet and gates are made of alike."""
    repository = await Repository.discover(repo.path, repo.environ)
    confined = Confined(sandbox=(await choose("none")).sandbox)
    return repository, {
        "workspaces": GitWorkspaces(repository, root / "pool"),
        "confined": confined,
        "environment": Environment(outer=repo.environ, identity=Identity()),
        "folders": PrivateFolders(root / "rooms"),
        "ports": Ports(first=21_000, blocks=20),
        "setup": Setup(confined=confined, state=root / "setup"),
        "folder": root / "run",
    }


class TestLocalFleet(FleetContract):
    @pytest.fixture
    def make_spec(self, history):
        """Agents each of which plays one entry of the scenario whatever the task is."""

        def make(behaviour, task):
            return AttemptSpec(
                key=f"{task}/1/attempt",
                run="r",
                task=task,
                attempt=1,
                role=ROLES.get(behaviour, Role.IMPLEMENTER),
                base=history.base,
                commit=history.base,
                tree=history.tree(history.base),
                gate="tests",
                title=task,
                brief="Do it.",
                agent=behaviour,
                ref=attempt_ref("r", task, 1),
                wall_s=60.0,
                idle_s=None,
            )

        return make

    @pytest.fixture
    def open_fleet(self, repo, tmp_path):
        agents = {}
        for behaviour, steps in SCENARIO["tasks"].items():
            path = tmp_path / f"{behaviour}.json"
            path.write_text(json.dumps({"tasks": {"*": steps}}))
            agents[behaviour] = make_agent(AgentDef(name=behaviour, kind="scripted", command=str(path)))

        @asynccontextmanager
        async def opened():
            _, parts = await common(repo, tmp_path)
            fleet = LocalFleet(FleetParts(**parts, agents=agents))
            try:
                yield fleet
            finally:
                await fleet.close()

        return opened


class TestCommandGates(GatesContract):
    @pytest.fixture
    def commit(self, history):
        commit = history.commit(history.base, "new.txt", "x\n")
        return commit, history.tree(commit), history.base

    @pytest.fixture
    def open_gates(self, repo, tmp_path):
        @asynccontextmanager
        async def opened():
            repository, parts = await common(repo, tmp_path)
            yield CommandGates(GateParts(**parts, repository=repository, cache=GateCache(tmp_path / "cache")))

        return opened
