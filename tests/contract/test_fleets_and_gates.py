"""Fleets and gates keep their contracts."""

from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chargehand.domain.outcome import (
    AgentExit,
    ExitKind,
    FaultKind,
    GateResult,
    GateStatus,
    Role,
)
from chargehand.domain.review import Review, Severity
from chargehand.ports import AttemptSpec
from chargehand.testing.contracts import FleetContract, GatesContract
from chargehand.testing.fakes import FakeFleet, FakeGates, attempt_result, look_result, object_id, tree_of


def crashed(spec):
    result = attempt_result(spec, None, changes=[])
    return type(result)(
        exit=AgentExit(kind=ExitKind.EXITED, code=3), report_problem=result.report_problem, sealed=result.sealed
    )


def failed(spec):
    """As `look_result`, with a finding beside it that is nowhere."""
    result = look_result(spec, passed=False)
    assert result.review is not None
    verdict = result.review.verdict
    assert verdict is not None
    nowhere = replace(verdict.findings[0], id="f2", severity=Severity.MINOR, line=99)
    verdict = replace(verdict, findings=(*verdict.findings, nowhere))
    return replace(result, review=replace(result.review, verdict=verdict))


LOOKS: dict[str, Any] = {
    "pass": look_result,
    "fail": failed,
    "meddle": partial(look_result, violations=["modified a.txt"]),
    "dumb": lambda spec: replace(look_result(spec), review=Review(problem="The agent wrote no verdict.")),
    "fit": look_result,
}


class TestFakeFleet(FleetContract):
    @pytest.fixture
    def make_spec(self):
        def make(behaviour, task):
            return AttemptSpec(
                key=f"{task}/1/attempt",
                run="r",
                task=task,
                attempt=1,
                role=Role.FITTER
                if behaviour == "fit"
                else Role.SPEC_REVIEWER
                if behaviour in LOOKS
                else Role.IMPLEMENTER,
                gate="tests",
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
                if spec.agent in LOOKS:
                    self.outcomes[spec.task, spec.role] = LOOKS[spec.agent]
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
                    "flake": GateResult(gate="", tree="", status=GateStatus.PASS, flaky=("flake",)),
                },
                hold={"hang"},
                fixes={"mend": ["new.txt"], "stray": ["stray.txt"]},
                caches=True,
            )

        return opened
