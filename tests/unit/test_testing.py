"""The tools for tests do what they say: faults at the chosen call, fakes by their tables, scenarios checked."""

import asyncio
from typing import Any

import pytest

from chargehand.domain.errors import AdapterError
from chargehand.domain.events import WarningRaised
from chargehand.domain.outcome import AttemptResult, Conflict, ExitKind, GateStatus, MergeResult, ReportStatus, Role
from chargehand.domain.plan import Command
from chargehand.ports import AttemptSpec, Check, GateJob, MergeJob, Notice, NoticeKind
from chargehand.testing.fakes import (
    FakeClock,
    FakeFleet,
    FakeGates,
    FakeIntegrator,
    FakeJournal,
    FakeNotifier,
    attempt_result,
    object_id,
)
from chargehand.testing.faults import Crash, Faults
from chargehand.testing.scripted.scenario import problems

EVENT = WarningRaised(code="c", text="t")


def spec(task: str = "a", attempt: int = 1, **more: Any) -> AttemptSpec:
    return AttemptSpec(
        key=f"{task}/{attempt}/attempt",
        run="r",
        task=task,
        attempt=attempt,
        role=Role.IMPLEMENTER,
        base="0" * 40,
        title=task,
        brief="",
        agent="x",
        **more,
    )


# -- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when", "stored"), [("before", 1), ("after", 2)])
def test_a_crash_at_the_second_append(when, stored):
    """The call takes effect or not, as chosen; the dead do nothing more."""
    journal = FakeJournal()
    faults = Faults(at=2, when=when)
    wrapped = faults.wrap(journal, "append")
    wrapped.append([EVENT], 1.0)
    for _ in range(3):
        with pytest.raises(Crash):
            wrapped.append([EVENT], 1.0)
    assert len(journal.records) == stored
    assert len(list(wrapped.read())) == stored
    assert faults.fired


def test_a_crash_is_no_exception():
    """Nothing that handles errors takes it for one."""
    assert not issubclass(Crash, Exception)


@pytest.mark.parametrize("when", ["before", "after"])
def test_faults_of_several_ports_share_one_count(when):
    async def play() -> None:
        faults = Faults(at=3, when=when)
        fleet, journal = faults.wrap(FakeFleet()), faults.wrap(FakeJournal())
        await fleet.submit(spec())
        journal.append([EVENT], 1.0)
        assert not faults.fired
        with pytest.raises(Crash):
            await fleet.wait("a/1/attempt")
        with pytest.raises(Crash):
            journal.append([EVENT], 1.0)
        assert faults.calls == ["FakeFleet.submit", "FakeJournal.append", "FakeFleet.wait"]
        assert fleet.live == []

    asyncio.run(play())


def test_who_was_under_way_dies_too():
    async def play() -> None:
        faults = Faults(at=3)
        held = FakeFleet(hold=True)
        fleet = faults.wrap(held)
        await fleet.submit(spec())
        waiting = asyncio.ensure_future(fleet.wait("a/1/attempt"))
        await asyncio.sleep(0)
        with pytest.raises(Crash):
            await fleet.cancel("a/1/attempt")
        held.finish("a/1/attempt")
        with pytest.raises(Crash):
            await waiting

    asyncio.run(play())


def test_an_error_of_a_port_is_over_when_it_is_over():
    clock = Faults(at=1, error=lambda: AdapterError("clock", "stopped")).wrap(FakeClock(5.0))
    with pytest.raises(AdapterError, match="stopped"):
        clock.now()
    assert clock.now() == 5.0


def test_a_fault_may_do_something_instead_of_raising():
    """As a signal that kills the process, or a task that is cancelled from outside."""
    done: list[str] = []
    faults = Faults(at=2, error=lambda: done.append("now"))
    clock = faults.wrap(FakeClock(5.0))
    assert [clock.now() for _ in range(3)] == [5.0] * 3
    assert (done, faults.dead) == (["now"], False)


def test_only_some_calls_count_and_all_die():
    """The second append kills the process, and with it every port."""
    faults = Faults(at=2, of="append")
    clock, journal = faults.wrap(FakeClock(5.0)), faults.wrap(FakeJournal())
    journal.append([EVENT], clock.now())
    with pytest.raises(Crash):
        journal.append([EVENT], clock.now())
    with pytest.raises(Crash):
        clock.now()
    assert faults.calls == ["FakeJournal.append"] * 2


def test_counting_without_failing():
    faults = Faults()
    notifier = faults.wrap(FakeNotifier())
    notice = Notice(run="r", kind=NoticeKind.TEST, title="a")
    notifier.notify(notice)
    assert notifier.sent == [notice]
    assert (faults.calls, faults.fired) == (["FakeNotifier.notify"], False)


# -- fakes ----------------------------------------------------------------------------------------


def test_a_fleet_by_its_table():
    async def end(fleet: FakeFleet, task: str, attempt: int) -> AttemptResult:
        await fleet.submit(spec(task, attempt))
        return await fleet.wait(f"{task}/{attempt}/attempt")

    async def play() -> None:
        fleet = FakeFleet(
            {
                ("a", 1): lambda asked: attempt_result(asked, ReportStatus.FAILED, summary="no"),
                "b": lambda asked: attempt_result(asked, None, changes=[], exit_kind=ExitKind.STALL),
                "c/1/attempt": AdapterError("fleet", "broken"),
            }
        )
        first, second = await end(fleet, "a", 1), await end(fleet, "a", 2)
        assert first.report is not None
        assert (first.report.status, first.report.summary) == (ReportStatus.FAILED, "no")
        assert second.report is not None
        assert second.report.status is ReportStatus.DONE
        stalled = await end(fleet, "b", 1)
        assert (stalled.report, stalled.exit.kind) == (None, ExitKind.STALL)
        with pytest.raises(AdapterError, match="broken"):
            await end(fleet, "c", 1)
        with pytest.raises(AdapterError, match="no attempt"):
            await fleet.wait("d/1/attempt")

    asyncio.run(play())


def test_results_are_a_function_of_the_attempt():
    """Same attempt, same ids [I15]; same content on the same base, same tree."""
    assert attempt_result(spec()) == attempt_result(spec())
    first, second = (attempt_result(spec(attempt=number)).sealed for number in (1, 2))
    assert first is not None
    assert second is not None
    assert first.tree != second.tree
    same, again = (attempt_result(spec(attempt=number), content="x").sealed for number in (1, 2))
    assert same is not None
    assert again is not None
    assert same.tree == again.tree
    declared = attempt_result(spec(declared=("src/*.py", "b.py", "a.py"))).sealed
    assert declared is not None
    assert [change.path for change in declared.changes] == ["a.py", "b.py"]
    assert declared.present == ("a.py", "b.py")


def test_gates_by_their_table():
    checks = tuple(Check(id=name, run=Command(argv=(name,)), wall_s=1.0) for name in ("lint", "tests"))
    job = GateJob(key="a/2/gates", run="r", task="a", attempt=2, commit="c", tree="t", base="b", checks=checks)

    async def statuses(table: Any) -> Any:
        return [result.status for result in await FakeGates(table).run(job)]

    async def play() -> None:
        good, red = GateStatus.PASS, GateStatus.FAIL
        assert await statuses({}) == [good, good]
        assert await statuses({"tests": red}) == [good, red]
        assert await statuses({"tests": red, ("a", "tests"): good}) == [good, good]
        assert await statuses({("a", "tests"): good, ("a", 2, "tests"): red}) == [good, red]
        assert await statuses({("a", 1, "tests"): red}) == [good, good]
        assert await statuses({("a/2/gates", "lint"): red}) == [red, good]
        with pytest.raises(AdapterError):
            await statuses({"lint": AdapterError("gates", "broken")})

    asyncio.run(play())


def test_the_integrators_history():
    async def play() -> None:
        integrator = FakeIntegrator({("b", 1): ["x"]})
        base = object_id("base")
        await integrator.open("main", base)

        async def merge(task: str, attempt: int) -> MergeResult:
            ref = f"refs/chargehand/candidates/r/{task}/{attempt}"
            return await integrator.merge(MergeJob(head=base, commit=object_id(task), ref=ref, message=task))

        assert isinstance(await merge("b", 1), Conflict)
        candidate = await merge("b", 2)
        assert not isinstance(candidate, Conflict)
        integrator.move("main", candidate.commit)
        assert integrator.history("main") == [candidate.commit, base]
        integrator.move("main", None)
        assert await integrator.head("main") is None

    asyncio.run(play())


# -- scenarios ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ([], "must be a mapping with `tasks`"),
        ({"tasks": []}, "must be a mapping with `tasks`"),
        ({"tasks": {}, "colour": 1}, "unknown key `colour`"),
        ({"tasks": {}, "scenario": 2}, "`scenario` must be 1"),
        ({"tasks": {"a": "x"}}, "tasks.a: a list of steps expected"),
        ({"tasks": {"a": {"attempts": {}, "roles": {}}}}, "tasks.a: a list of steps expected"),
        ({"tasks": {"a": {"attempts": []}}}, "tasks.a.attempts: a mapping expected"),
        ({"tasks": {"a": {"attempts": {"first": []}}}}, "`first` is neither a number nor `default`"),
        ({"tasks": {"a": {"roles": {"fixer": {"attempts": {"1": [3]}}}}}}, "tasks.a.roles.fixer.attempts.1[0]: a step"),
        ({"tasks": {"a": [{"write": {}, "delete": "x"}]}}, "tasks.a[0]: a step is a mapping with one key"),
        ({"tasks": {"a": [{"wirte": {}}]}}, "unknown step `wirte`"),
        ({"tasks": {"a": [{"write": "x"}]}}, "`write` needs path, text"),
        ({"tasks": {"a": [{"write": {"path": "x"}}]}}, "`write` needs `text`"),
        ({"tasks": {"a": [{"write": {"path": "x", "text": "", "mode": 1}}]}}, "`write` knows no `mode`"),
        ({"tasks": {"a": [{"write": {"path": "/x", "text": ""}}]}}, "others need `stray`"),
        ({"tasks": {"a": [{"delete": "a/../../x"}]}}, "others need `stray`"),
        ({"tasks": {"a": [{"delete": ""}]}}, "`delete.path` must be a path"),
        ({"tasks": {"a": [{"wait": -1}]}}, "`wait.seconds` must be a number"),
        ({"tasks": {"a": [{"wait": True}]}}, "`wait.seconds` must be a number"),
        ({"tasks": {"a": [{"exit": "1"}]}}, "`exit.code` must be a whole number"),
        ({"tasks": {"a": [{"crash": "SIGNONE"}]}}, "`crash.sig` must be a signal"),
        ({"tasks": {"a": [{"chmod": {"path": "x", "mode": "u+x"}}]}}, "`chmod.mode` must be a mode"),
        ({"tasks": {"a": [{"git": []}]}}, "`git.args` must be a list of arguments"),
        ({"tasks": {"a": [{"hang": "loudly"}]}}, "`hang.how` must be one of silent, chatter"),
        ({"tasks": {"a": [{"spawn": {"how": "plain", "pid": 3}}]}}, "`spawn.pid` must be a path"),
        ({"tasks": {"a": [{"report": "DONE"}]}}, "`report.data` must be a mapping"),
        ({"tasks": {"a": [{"verdict": "MAYBE"}]}}, "`verdict.data` must be PASS, FAIL, a list"),
        ({"tasks": {"a": [{"read_brief_check": [1]}]}}, "must be a text or a list of texts"),
        ({"tasks": {"a": [{"commit": {"message": "m", "empty": 1}}]}}, "`commit.empty` must be true or false"),
        ({"tasks": {"a": [{"if": {}}]}}, "`if` needs a mapping"),
        ({"tasks": {"a": [{"if": {"moon": 1}}]}}, "`if.moon` must be one of previous, exists, brief"),
        ({"tasks": {"a": [{"if": {"previous": 1}}]}}, "`if.previous` must be true or false"),
        ({"tasks": {"a": [{"if": {"previous": True}, "than": []}]}}, "not `than`"),
        ({"tasks": {"a": [{"if": {"previous": True}, "then": {}}]}}, "tasks.a[0].then: a list"),
        ({"tasks": {"a": [{"if": {"previous": True}, "else": [{"x": 1}]}]}}, "tasks.a[0].else[0]: unknown step `x`"),
    ],
)
def test_what_is_wrong_with_a_scenario(scenario, said):
    found = problems(scenario)
    assert any(said in problem for problem in found), found
