"""Whole runs of the engine on the shipped fakes, with those who look, those who mend, and gates that cannot judge."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chargehand.domain.errors import AdapterError
from chargehand.domain.events import FixFinished, GateMitigated, ReviewFailed, ReviewPassed, ReviewVoided, TaskAdded
from chargehand.domain.outcome import ExitKind, FaultKind, GateResult, GateStatus, Role
from chargehand.domain.plan import Command, GatePoint
from chargehand.domain.review import Stage
from chargehand.domain.words import Reason, RunVerdict, TaskStatus
from chargehand.testing.fakes import FakeFleet, FakeGates, look_result
from tests.engines import World, until
from tests.looks import a_finding, fails, fitted, no_verdict
from tests.play import a_gate, a_plan, a_task, ended


def world(*tasks: Any, gates: Any = (), fleet: Any = None, gating: FakeGates | None = None, **options: Any) -> World:
    """A run with reviews on."""
    return World(
        a_plan(*(tasks or (a_task("a"),)), gates=gates),
        {"review": True, "unattended": True, **options},
        fleet=fleet if isinstance(fleet, FakeFleet) else FakeFleet(fleet),
        gates=gating or FakeGates(),
    )


def roles(run: World) -> list[tuple[str, Role]]:
    """Who was started, in order."""
    return [(spec.task, spec.role) for spec in run.fleet.submitted]


def ran(run: World) -> Any:
    return asyncio.run(run.engine().run())


def test_a_change_is_looked_at_twice_and_the_run_once():
    run = world()
    state = ran(run)
    assert state.finished.verdict is RunVerdict.FINISHED
    assert roles(run) == [
        ("a", Role.IMPLEMENTER),
        ("a", Role.SPEC_REVIEWER),
        ("a", Role.QUALITY_REVIEWER),
        ("run", Role.HOLISTIC_REVIEWER),
    ]
    author, spec, quality, whole = run.fleet.submitted
    assert [each.attempt for each in (author, spec, quality, whole)] == [1, 2, 3, 1]
    assert spec.commit == quality.commit == state.tasks["a"].sealed.commit
    assert spec.tree == state.tasks["a"].sealed.tree
    assert (whole.commit, whole.tree) == (run.head, run.head_tree)
    assert (spec.ruled, spec.previous, author.commit) == ((), None, "")


def test_a_fixer_gets_the_findings_and_the_next_reviewer_what_changed():
    """What a fleet is asked for, by value."""
    run = world(fleet={("a", 2): look_result_failing})
    state = ran(run)
    assert state.finished.verdict is RunVerdict.FINISHED
    fixer, again = run.fleet.submitted[2:4]
    assert (fixer.role, again.role) == (Role.FIXER, Role.SPEC_REVIEWER)
    assert "It is wrong." in fixer.brief
    assert fixer.base == run.fleet.submitted[1].commit == again.since
    assert len(run.events(ReviewFailed)) == 1


def look_result_failing(spec: Any) -> Any:
    return look_result(spec, passed=False)


def test_a_reviewer_that_is_never_content_blocks_its_task():
    run = world(fleet={("a", Role.SPEC_REVIEWER): look_result_failing})
    state = ran(run)
    assert state.finished.verdict is RunVerdict.FAILED
    assert (state.tasks["a"].status, state.tasks["a"].reason) == (TaskStatus.BLOCKED, Reason.REVIEW_UNRESOLVED)
    assert [role for _, role in roles(run)].count(Role.SPEC_REVIEWER) == 3
    assert [role for _, role in roles(run)].count(Role.FIXER) == 2


def test_a_reviewer_that_is_lost_is_started_again():
    run = world(fleet={("a", 2): ended(ExitKind.LOST), "a/2/attempt-3": look_result})
    state = ran(run)
    assert state.finished.verdict is RunVerdict.FINISHED
    assert [event.why for event in run.events(ReviewVoided)] == ["lost"]


def test_a_world_that_cannot_carry_a_look_out_is_a_question():
    run = world(fleet={("a", Role.QUALITY_REVIEWER): AdapterError("fleet", "no sandbox")}, unattended=False)
    state = ran(run)
    (asked,) = state.decisions.values()
    assert (asked.reason, "no sandbox" in asked.question) == (Reason.REVIEW_VOID, True)


def test_what_the_whole_run_lacks_is_mended_by_a_task():
    run = world(fleet={("run", 1): fails(a_finding(file="a.txt"))})
    state = ran(run)
    assert state.finished.verdict is RunVerdict.FINISHED
    assert run.landed() == ["a", "fix-1"]
    assert [event.holistic for event in run.events(TaskAdded)] == [True]
    assert ("fix-1", Role.SPEC_REVIEWER) in roles(run)
    assert roles(run)[-1] == ("run", Role.HOLISTIC_REVIEWER)
    assert run.fleet.submitted[-1].since


def test_unattended_a_run_nobody_is_content_with_has_failed():
    run = world(fleet={("run", Role.HOLISTIC_REVIEWER): no_verdict()})
    assert ran(run).finished.verdict is RunVerdict.FAILED


@pytest.mark.parametrize("point", [GatePoint.TASK, GatePoint.INTEGRATE])
@pytest.mark.parametrize("mends", [True, False])
def test_a_red_gate_mends_itself(point, mends):
    """The command runs on the files of the change only, once."""
    gate = a_gate("lint", point, fix=Command(argv=("lint", "--fix")))
    key = "a/1/gates" if point is GatePoint.TASK else "a/1/integrate"
    outcomes: Any = {(key, "lint"): GateStatus.FAIL}
    fixes: Any = {"fix-lint": ["a.txt", "other.txt"] if mends else AdapterError("gates", "no checkout")}
    run = world(gates=[gate], gating=FakeGates(outcomes, fixes=fixes), review=False)
    state = ran(run)
    (done,) = run.events(FixFinished)
    (job,) = run.gates.fixed
    assert (job.paths, [command.id for command in job.commands]) == (("a.txt",), ["fix-lint"])
    assert job.ref.startswith("refs/chargehand/attempts/r/a/1")
    assert (done.sealed is not None) is mends
    assert state.finished.verdict is RunVerdict.FINISHED
    assert [role for _, role in roles(run)] == [Role.IMPLEMENTER] * (1 if mends else 2)


def test_a_gate_that_could_not_judge_is_fitted():
    stuck = GateResult(gate="tests", tree="", status=GateStatus.FAULT, fault=FaultKind.ENV_MISSING)
    gating = FakeGates({("a/1/gates", "tests"): stuck})
    answer = fitted("tests", env=(("SLOW_TIMEOUT", "1"),))
    run = world(gates=[a_gate("tests", GatePoint.TASK)], gating=gating, fleet={("a", Role.FITTER): answer})
    state = ran(run)
    assert state.finished.verdict is RunVerdict.FINISHED
    assert [event.by for event in run.events(GateMitigated)] == ["fitted"]
    assert [job.checks[0].env for job in run.gates.jobs if job.task] == [(), (("SLOW_TIMEOUT", "1"),)]
    fitter = run.fleet.submitted[1]
    assert (fitter.role, fitter.gate, fitter.commit) == (Role.FITTER, "tests", state.tasks["a"].sealed.commit)


def test_never_more_processes_than_slots():
    """I10: authors, reviewers and the rest share them."""
    tasks = [a_task(name) for name in "abcde"]
    run = world(*tasks, jobs=2, fleet=FakeFleet(hold=True))

    async def drive() -> int:
        most = 0
        task = asyncio.create_task(run.engine().run())
        while not task.done():
            live = run.fleet.live
            most = max(most, len(live))
            if live:
                run.fleet.finish(live[-1])
            await asyncio.sleep(0)
        finished = task.result().finished
        assert finished is not None
        assert finished.verdict is RunVerdict.FINISHED
        return most

    assert asyncio.run(drive()) == 2
    assert sorted(run.landed()) == list("abcde")


def test_an_interrupt_ends_a_look_and_a_resume_makes_it_again():
    """I4, I11: it is no attempt; the change is as it was."""
    run = world(fleet=FakeFleet(hold=True))

    async def drive() -> None:
        engine = run.engine()
        task = asyncio.create_task(engine.run())
        await until(lambda: run.fleet.live)
        run.fleet.finish("a/1/attempt")
        await until(lambda: run.fleet.live)
        engine.interrupt("me")
        await task
        run.fleet.hold = False
        state = await run.drive()
        assert state.finished.verdict is RunVerdict.FINISHED

    asyncio.run(drive())
    assert run.fleet.cancelled == ["a/2/attempt"]
    assert [spec.key for spec in run.fleet.submitted][1:3] == ["a/2/attempt", "a/2/attempt-3"]
    assert run.landed() == ["a"]


def test_every_verdict_is_about_what_landed():
    """I7."""
    run = world(*(a_task(name) for name in "abc"), jobs=3)
    state = ran(run)
    for name in "abc":
        tree = state.tasks[name].sealed.tree
        stages = [event.stage for event in run.events(ReviewPassed) if event.task == name and event.tree == tree]
        assert stages == [Stage.SPEC, Stage.QUALITY]
