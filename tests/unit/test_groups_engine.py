"""Groups on the engine: one movement of the branch, whatever ends the process and whenever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chargehand.domain.events import EffectIntended, TaskIntegrated
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.domain.plan import Command, GatePoint, GateSpec
from chargehand.domain.words import RunVerdict
from chargehand.ports import GateJob, LandJob
from chargehand.testing.fakes import FakeFleet, FakeGates, FakeIntegrator, attempt_result
from chargehand.testing.faults import Crash, Faults
from tests.engines import World, steady
from tests.play import BASE, a_plan, a_task

NAMES = ("a", "b", "c", "d")
TESTS = GateSpec(id="tests", run=Command(argv=("tests",)), on=frozenset({GatePoint.INTEGRATE}))


class Branch(FakeIntegrator):
    """Remembers where the branch was moved."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: list[list[str]] = []

    def tasks(self, commit: str) -> list[str]:
        """The tasks in a commit, oldest first."""
        found = []
        while commit in self.parents:
            found.append(self.messages[commit].split(":")[0])
            commit = self.parents[commit][0]
        return found[::-1]

    async def land(self, job: LandJob) -> Any:
        before = self.branches[job.branch]
        result = await super().land(job)
        if self.branches[job.branch] != before:
            self.moves.append([name for name in self.tasks(job.commit) if name not in self.tasks(before)])
        return result


class Judge(FakeGates):
    """The gates are red where the first attempt of b is in the tree."""

    def __init__(self, branch: Branch) -> None:
        super().__init__()
        self.branch = branch

    def _judge(self, job: GateJob, name: str, check: Any) -> GateResult:
        messages, commit = [], job.commit
        while commit in self.branch.parents:
            messages.append(self.branch.messages[commit])
            commit = self.branch.parents[commit][0]
        red = any("Chargehand-Task: b\nChargehand-Attempt: 1\n" in text for text in messages)
        status = GateStatus.FAIL if red else GateStatus.PASS
        return GateResult(gate=name, tree=job.tree, status=status, exit_code=int(red))


def world(**options: Any) -> World:
    branch = Branch()
    plan = a_plan(*(a_task(name, group="g") for name in NAMES), gates=[TESTS])
    fleet = FakeFleet(dict.fromkeys(NAMES, steady) | {("b", 2): steady_again})
    return World(plan, options={"review": False, **options}, integrator=branch, gates=Judge(branch), fleet=fleet)


def steady_again(spec: Any) -> Any:
    """Another change than the first time."""
    return attempt_result(spec, content=f"{spec.task} again")


def branch_of(made: World) -> Branch:
    """Its branch, which remembers."""
    assert isinstance(made.integrator, Branch)
    return made.integrator


def checked(made: World) -> None:
    """I3, I4: what is left of the group lands as one, then the culprit; each task once."""
    branch = branch_of(made)
    assert branch.moves == [["a", "c", "d"], ["b"]]
    assert [event.task for event in made.events(TaskIntegrated)] == ["a", "c", "d", "b"]
    assert branch.tasks(made.head) == ["a", "c", "d", "b"]


def test_a_red_group_is_bisected_and_lands_with_one_movement_besides_the_culprit():
    """I3: runs of the gates: all four, the halves, those that are left, and the second attempt."""
    made = world(jobs=4)
    state = asyncio.run(made.drive())
    assert state.finished.verdict is RunVerdict.FINISHED
    checked(made)
    branch = branch_of(made)
    assert [branch.tasks(job.commit) for job in made.gates.jobs if job.task] == [
        ["a", "b", "c", "d"],
        ["a", "b"],
        ["a"],
        ["a", "c", "d"],
        ["a", "c", "d", "b"],
    ]
    second = next(spec for spec in made.fleet.submitted if spec.attempt == 2)
    assert branch.tasks(second.base) == ["a", "c", "d"]
    assert "It is red as merged with a; without this task they are green." in second.brief


def test_with_one_slot_it_is_the_same():
    made = world(jobs=1)
    assert asyncio.run(made.drive()).finished.verdict is RunVerdict.FINISHED
    checked(made)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_call_it_ends_the_same(when: Any):
    """I4, I5: each call of gates and branch is the last of a process, then another one goes on."""
    counting = Faults()
    made = world(jobs=4)
    asyncio.run(made.drive(made.ports(counting, "gates", "integrator")))
    total = len(counting.calls)
    assert total >= 15
    for k in range(1, total + 1):
        made = world(jobs=4)
        with pytest.raises(Crash):
            asyncio.run(made.drive(made.ports(Faults(at=k, when=when), "gates", "integrator")))
        state = asyncio.run(made.drive())
        assert state.finished.verdict is RunVerdict.FINISHED, k
        checked(made)


def test_killed_between_the_landing_and_its_record_all_of_it_has_landed():
    """I4: the branch tells of the whole group."""
    faults = Faults(when="after")
    made = world(jobs=4)

    def watch(recorded: Any, state: Any) -> None:
        if isinstance(recorded.event, EffectIntended) and type(recorded.event.effect).__name__ == "Land":
            faults.at = faults.at or len(faults.calls) + 1

    with pytest.raises(Crash):
        asyncio.run(made.drive(made.ports(faults, "integrator"), observe=watch))
    assert made.head != BASE
    assert made.events(TaskIntegrated) == []
    asyncio.run(made.drive())
    checked(made)
