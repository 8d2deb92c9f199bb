"""Fleets and gates keep their contracts."""

from contextlib import asynccontextmanager

import pytest

from chargehand.domain.outcome import (
    AgentExit,
    ExitKind,
    FaultKind,
    GateResult,
    GateStatus,
    Role,
)
from chargehand.ports import AttemptSpec
from chargehand.testing.contracts import FleetContract, GatesContract
from chargehand.testing.fakes import FakeFleet, FakeGates, attempt_result, object_id, tree_of


def crashed(spec):
    result = attempt_result(spec, None, changes=[])
    return type(result)(
        exit=AgentExit(kind=ExitKind.EXITED, code=3), report_problem=result.report_problem, sealed=result.sealed
    )


class TestFakeFleet(FleetContract):
    @pytest.fixture
    def make_spec(self):
        def make(behaviour, task):
            return AttemptSpec(
                key=f"{task}/1/attempt",
                run="r",
                task=task,
                attempt=1,
                role=Role.IMPLEMENTER,
                base=object_id("base"),
                title=task,
                brief="Do it.",
                agent=behaviour,
            )

        return make

    @pytest.fixture
    def open_fleet(self):
        class ByBehaviour(FakeFleet):
            """What an attempt does stands where its agent does."""

            async def submit(self, spec):
                self.hold = spec.agent == "hang"
                if spec.agent == "crash":
                    self.outcomes[spec.task] = crashed
                await super().submit(spec)

        @asynccontextmanager
        async def opened():
            yield ByBehaviour()

        return opened


class TestFakeGates(GatesContract):
    @pytest.fixture
    def commit(self):
        return object_id("commit"), tree_of("commit"), object_id("base")

    @pytest.fixture
    def open_gates(self):
        def fault(kind: FaultKind) -> GateResult:
            return GateResult(gate="", tree="", status=GateStatus.FAULT, fault=kind)

        @asynccontextmanager
        async def opened():
            yield FakeGates(
                {
                    "fail": GateStatus.FAIL,
                    "shell": GateResult(gate="", tree="", status=GateStatus.FAIL, exit_code=7),
                    "timeout": fault(FaultKind.TIMEOUT),
                    "missing": fault(FaultKind.ENV_MISSING),
                },
                hold={"hang"},
            )

        return opened
