"""One effect → one port call → one outcome event."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chargehand.domain.errors import AdapterError
from chargehand.domain.events import AttemptFinished
from chargehand.domain.outcome import AttemptResult, Blocker, BlockerKind, Report, ReportStatus
from chargehand.domain.plan import Files
from chargehand.domain.words import DecisionKind
from chargehand.engine import dispatch
from chargehand.engine.dispatch import context_names
from chargehand.testing.fakes import FakeFleet, attempt_result
from tests.engines import FakeReader, World
from tests.play import a_plan, a_task

NEEDS = ReportStatus.NEEDS_CONTEXT


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (None, ()),
        (Report(status=ReportStatus.DONE, missing_context=("a.py",)), ()),
        (Report(status=ReportStatus.BLOCKED, blocker=Blocker(text="see a.py")), ()),
        (Report(status=NEEDS), ("docs/r.md",)),
        (Report(status=NEEDS, missing_context=("What is in src/a.py?",)), ("src/a.py", "docs/r.md")),
        (Report(status=NEEDS, missing_context=("Makefile and go.mod", "go.mod")), ("go.mod", "docs/r.md")),
        (
            Report(status=NEEDS, missing_context=(".github/workflows/ci.yml",)),
            (".github/workflows/ci.yml", "docs/r.md"),
        ),
        (
            Report(status=ReportStatus.BLOCKED, blocker=Blocker(text="no db/schema.sql", kind=BlockerKind.CONTEXT)),
            ("db/schema.sql", "docs/r.md"),
        ),
    ],
)
def test_what_a_report_asks_for_by_name(report, expected):
    """3.8, row NEEDS_CONTEXT: the files it names, and those the task names."""
    assert context_names(report, ("docs/r.md",)) == expected


def asks(spec: Any) -> Any:
    return attempt_result(spec, NEEDS, missing_context=("src/a.py",), changes=[])


def test_context_comes_from_the_base_of_the_attempt():
    world = World(
        a_plan(a_task("a", files=Files(modify=("x.txt",), read=("docs/r.md",)))),
        fleet=FakeFleet({("a", 1): asks}),
        reader=FakeReader({"src/a.py": "x = 1", "docs/r.md": "read me", "other": "no"}),
    )
    asyncio.run(world.drive())
    first = world.events(AttemptFinished)[0]
    assert first.result.context == (("src/a.py", "x = 1"), ("docs/r.md", "read me"))
    assert "x = 1" in world.fleet.submitted[1].brief


def test_context_that_cannot_be_read_does_not_spoil_what_was_done():
    """The attempt was carried out: its result stands, with a warning."""
    reader = FakeReader()
    reader.error = AdapterError("workspaces", "no such object")
    world = World(a_plan(a_task("a")), fleet=FakeFleet({("a", 1): asks}), reader=reader)
    state = asyncio.run(world.drive())
    (decision,) = state.decisions.values()
    assert decision.kind is DecisionKind.CONTEXT
    assert "no such object" in state.warnings[0].text
    assert world.events(AttemptFinished)[0].result.sealed


def test_checks_that_do_not_exist_need_no_checkout():
    """A plan without gates and setup never asks for one."""
    world = World(a_plan(a_task("a")))
    asyncio.run(world.drive())
    assert world.gates.jobs == []


def test_attempts_are_given_by_value():
    world = World(a_plan(a_task("a")))
    asyncio.run(world.drive())
    (spec,) = world.fleet.submitted
    assert (spec.run, spec.task, spec.agent, spec.base) == ("r", "a", "agent", world.started().base)


def test_a_port_that_meets_a_lock_is_called_again(monkeypatch):
    """A lock or a `gc` between two commands passes; what cannot pass is raised at once."""
    monkeypatch.setattr(dispatch, "PAUSES_S", (0.0, 0.0))
    world = World(a_plan(a_task("a")))
    merge, calls = world.integrator.merge, []

    async def locked(job: Any) -> Any:
        calls.append(job)
        if len(calls) < 3:
            raise AdapterError("git", "cannot lock ref", retryable=True)
        return await merge(job)

    monkeypatch.setattr(world.integrator, "merge", locked)
    state = asyncio.run(world.drive())
    assert state.tasks["a"].landed is not None
    assert len(calls) == 3


def test_a_port_that_stays_locked_ends_the_run(monkeypatch):
    monkeypatch.setattr(dispatch, "PAUSES_S", (0.0, 0.0))
    world = World(a_plan(a_task("a")))

    async def locked(job: Any) -> Any:
        raise AdapterError("git", "cannot lock ref", retryable=True)

    monkeypatch.setattr(world.integrator, "merge", locked)
    with pytest.raises(AdapterError, match="cannot lock"):
        asyncio.run(world.drive())


def test_an_attempt_that_nobody_can_wait_for_is_ended():
    """I11: the fleet cannot tell how it goes; it must not run on beside the next one."""
    broken = AdapterError("fleet", "the connection is gone")

    class Deaf(FakeFleet):
        async def wait(self, key: str) -> AttemptResult:
            self.hold = False
            if len(self.submitted) == 1 and not self.cancelled:
                raise broken
            return await super().wait(key)

    fleet = Deaf(hold=True)
    world = World(a_plan(a_task("a")), fleet=fleet, options={"unattended": True})
    state = asyncio.run(world.drive())
    assert fleet.cancelled == ["a/1/attempt"]
    assert fleet.live == []
    assert "the connection is gone" in state.tasks["a"].detail


def test_a_new_branch_that_holds_landings_is_a_journal_that_lost_events():
    """I4: what a lost part of the journal knew to have landed does not land again."""
    world = World(a_plan(a_task("a")))
    asyncio.run(world.drive())
    landed = world.head
    del world.journal.records[1:]
    for _ in range(2):  # trying again changes nothing
        with pytest.raises(AdapterError, match="has lost events"):
            asyncio.run(world.drive())
        assert world.head == landed


def test_a_branch_made_just_before_the_death_is_the_new_one():
    world = World(a_plan(a_task("a")))
    world.integrator.branches["chargehand/r"] = world.started().base
    state = asyncio.run(world.drive())
    assert state.tasks["a"].landed
