"""The local fleet keeps the contract of fleets, with the scripted agent in the best sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chargehand.adapters.fleet_local import LocalFleet
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import Role
from chargehand.ports import AttemptSpec, Fleet
from chargehand.testing.contracts.fleets import FleetContract, MakeSpec
from chargehand.testing.contracts.playing import Open
from tests.e2e.execution import Execution, available
from tests.repos import Repo

SCENARIOS = {
    "done": "[{write: {path: new.txt, text: new}}, {report: {status: DONE}}]",
    "crash": "[{exit: 3}]",
    "hang": "[{print: up}, {hang: silent}]",
    "pass": "{roles: {default: [{verdict: PASS}]}}",
    "fail": "{roles: {default: [{verdict: ['major README.md:1 Wrong.', 'minor README.md:99 Odd.']}]}}",
    "meddle": "{roles: {default: [{write: {path: README.md, text: mine}}, {verdict: PASS}]}}",
    "dumb": "{roles: {default: [{print: Hm.}]}}",
    "fit": "{roles: {default: [{restoration: {gate_id: tests, outcome: GREEN}}]}}",
}
ROLES = {"fit": Role.FITTER} | dict.fromkeys(("pass", "fail", "meddle", "dumb"), Role.QUALITY_REVIEWER)


class TestLocalFleet(FleetContract):
    @pytest.fixture
    def execution(self, repo: Repo, tmp_path: Path) -> Execution:
        return Execution(repo, tmp_path, available()[0])

    @pytest.fixture
    def open_fleet(self, execution: Execution, tmp_path: Path) -> Open[Fleet]:
        agents = []
        for name, steps in SCENARIOS.items():
            (tmp_path / f"{name}.yaml").write_text(f"tasks: {{'*': {steps}}}")
            agents.append(AgentDef(name=name, kind="scripted", command=f"{name}.yaml", cwd=str(tmp_path)))

        @asynccontextmanager
        async def opened() -> AsyncIterator[LocalFleet]:
            fleet = execution.fleet(*agents)
            yield fleet
            await fleet.close()

        return opened

    @pytest.fixture
    def make_spec(self, execution: Execution) -> MakeSpec:
        def make(behaviour: str, task: str) -> AttemptSpec:
            role = ROLES.get(behaviour, Role.IMPLEMENTER)
            if role is Role.IMPLEMENTER:
                return execution.spec(task, agent=behaviour)
            head = execution.repo.head()
            tree = execution.repo.git("rev-parse", "HEAD^{tree}")
            return execution.spec(task, agent=behaviour, role=role, commit=head, tree=tree, gate="tests")

        return make
