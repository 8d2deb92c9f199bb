"""The parts of the doctor that need no world: rebuilding a run's history, and judging room on a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.codec import EVENTS
from chargehand.cli.render.diagnosis import diagnosis_document, diagnosis_lines, verdict_line
from chargehand.cli.render.pen import Pen
from chargehand.domain.events import Event, Recorded, RunAccepted, RunReplanned, TaskAdded
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import GateStatus
from chargehand.domain.plan import Barrier, Command, Files, GatePoint, GateSpec, Plan, Task
from chargehand.domain.state import RunState
from chargehand.domain.words import RunVerdict, TaskStatus
from chargehand.testing.fakes import FakeFleet, FakeGates, FakeIntegrator, FakeJournal, attempt_result
from chargehand.wiring.doctor.evidence import Evidence, FoundLanding
from chargehand.wiring.doctor.finding import Finding, Mended, Repair, mend
from chargehand.wiring.doctor.machine import room_finding
from chargehand.wiring.doctor.rebuilding import events_beyond, first_event
from tests.engines import World, steady


def piece(name: str, *needs: str, **keys: Any) -> Task:
    files = Files(create=(f"{name}.txt",))
    return Task(id=name, title=name.upper(), files=files, depends_on=needs, **keys)


TESTS = GateSpec(id="tests", run=Command(argv=("true",)), on=frozenset({GatePoint.INTEGRATE, GatePoint.RUN}))


def plain() -> World:
    """A diamond; b comes again because its gate was red, c because it did not fit."""
    plan = Plan(plan="p", tasks=(piece("a"), piece("b", "a"), piece("c", "a"), piece("d", "b", "c")), gates=(TESTS,))
    return World(
        plan,
        options={"unattended": True},
        fleet=FakeFleet(dict.fromkeys("abcd", attempt_result)),
        gates=FakeGates({("b", 1, "tests"): GateStatus.FAIL}),
        integrator=FakeIntegrator({("c", 1): ("a.txt",)}),
    )


def in_waves() -> World:
    """Two waves, and a run gate that is red at first: the runtime adds a task of its own."""
    plan = Plan(
        plan="p",
        tasks=(piece("a", wave=1), piece("b", wave=1), piece("c", "a", wave=2)),
        gates=(GateSpec(id="all", run=Command(argv=("true",)), on=frozenset({GatePoint.RUN})),),
        barrier=Barrier.WAVE,
    )
    return World(
        plan,
        options={"unattended": True},
        fleet=FakeFleet(dict.fromkeys(("a", "b", "c", "fix-1"), attempt_result)),
        gates=FakeGates({("run-3/0/gates", "all"): GateStatus.FAIL}),
    )


def evidence_of(world: World) -> Evidence:
    """What git would tell of a world."""
    integrator = world.integrator
    if "chargehand/r" not in integrator.branches:
        return Evidence(landings=(), launches={})
    landings = []
    for commit in reversed(integrator.history("chargehand/r")[:-1]):
        lines = dict(line.split(": ", 1) for line in integrator.messages[commit].splitlines() if line.startswith("Ch"))
        landings.append(
            FoundLanding(
                task=lines["Chargehand-Task"],
                attempt=int(lines["Chargehand-Attempt"]),
                commit=commit,
                tree=integrator.trees[commit],
                sealed=integrator.parents[commit][1],
            )
        )
    launches: dict[str, dict[int, str]] = {}
    for spec in world.fleet.submitted:
        launches.setdefault(spec.task, {})[int(spec.ref.rpartition("/")[2])] = spec.ref
    return Evidence(landings=tuple(landings), launches=launches, base_tree="the tree of the base")


def after(world: World, saved: list[Recorded], snapshot: RunState | None = None) -> tuple[World, list[Event]]:
    """The world as a repair leaves it: the first events and what git and a snapshot tell beyond."""
    rebuilt = events_beyond(fold(saved), snapshot, evidence_of(world), 5000.0)
    journal = FakeJournal()
    for recorded in saved:
        journal.append([recorded.event], recorded.at)
    if rebuilt.events:
        journal.append(rebuilt.events, rebuilt.at)
    fleet = FakeFleet(world.fleet.outcomes)
    made = World(
        world.plan, journal=journal, fleet=fleet, gates=world.gates, integrator=world.integrator, clock=world.clock
    )
    return made, rebuilt.events


@pytest.mark.parametrize("make", [plain, in_waves])
def test_a_history_cut_anywhere_is_finished_without_landing_twice(make: Callable[[], World]):
    """I4 and I2: for every event a journal may break off at, the run ends as before, and no ref is used again."""
    world = make()
    whole = asyncio.run(world.drive())
    assert whole.finished is not None
    assert whole.finished.verdict is RunVerdict.FINISHED
    landed, head, events = world.landed(), world.head, list(world.journal.records)
    refs = {spec.ref for spec in world.fleet.submitted}
    own = [recorded.event.task.id for recorded in events if isinstance(recorded.event, TaskAdded)]
    assert own == (["fix-1"] if make is in_waves else [])
    assert len(refs) == len(world.fleet.submitted) > len(world.plan.tasks)
    for count in range(1, len(events)):
        again, told = after(world, events[:count])
        assert all(EVENTS.decode(EVENTS.encode(event)) == event for event in told)
        state = asyncio.run(again.drive())
        assert state.finished is not None, count
        assert state.finished.verdict is RunVerdict.FINISHED, count
        assert again.landed()[: len(landed)] == landed, count
        assert again.head == head or own, count
        assert {name: r.status for name, r in state.tasks.items() if name not in own} == {
            task.id: TaskStatus.INTEGRATED for task in world.plan.tasks
        }
        assert not refs & {spec.ref for spec in again.fleet.submitted if spec.task not in own}, count


@pytest.mark.parametrize("make", [plain, in_waves])
def test_a_snapshot_stands_in_for_all_that_is_lost_before_it(make: Callable[[], World]):
    """From nothing but a snapshot of any moment, the run ends with the same tasks on the branch, once each."""
    world = make()
    asyncio.run(world.drive())
    events = list(world.journal.records)
    for count in range(2, len(events) + 1):
        snapshot = fold(events[:count])
        first = Recorded(seq=1, at=snapshot.started_at, event=first_event(snapshot))
        assert first.event == events[0].event
        for saved in ([first], events[: count // 2 + 1]):
            again, _ = after(world, saved, fold(events[:count]))
            state = asyncio.run(again.drive())
            assert state.finished is not None
            assert state.finished.verdict is RunVerdict.FINISHED
            names = [name for name in again.landed() if not name.startswith("fix-")]
            assert sorted(names) == sorted(task.id for task in world.plan.tasks), count


def test_the_end_of_a_run_and_where_it_was_accepted_come_from_the_snapshot():
    world = plain()
    asyncio.run(world.drive())
    accepted = RunAccepted(target="main", commit=world.head, how="merge")
    world.journal.append([accepted], 4000.0)
    events = list(world.journal.records)
    again, told = after(world, events[:3], fold(events))
    state = fold(list(again.journal.read()))
    assert state.accepted == accepted
    assert state.finished is not None
    assert not state.inflight
    assert told[-1] == accepted


def test_a_plan_that_was_replaced_in_the_lost_part_comes_from_the_snapshot():
    world = plain()
    wider = replace(world.plan, tasks=(*world.plan.tasks, piece("e", "d")))
    world.journal.append([RunReplanned(plan=wider, by="uma")], 1.0)
    snapshot = fold(world.journal.records)
    again, _ = after(world, world.journal.records[:1], snapshot)
    state = asyncio.run(again.drive())
    assert state.finished is not None
    assert again.landed()[-1] == "e"


def test_a_task_that_no_plan_names_any_more_is_told():
    world = plain()
    asyncio.run(world.drive())
    stray = FoundLanding(task="fix-9", attempt=1, commit="c", tree="t", sealed="s")
    state = fold(world.journal.records[:1])
    rebuilt = events_beyond(state, None, Evidence(landings=(stray,), launches={}), 1.0)
    assert rebuilt.unknown == ["fix-9"]
    assert state.head == "c"


def test_nothing_is_added_where_nothing_is_known():
    world = World(plain().plan, fleet=FakeFleet({"a": steady}))
    state = fold(world.journal.records)
    assert events_beyond(state, None, Evidence(landings=(), launches={}), 1.0).events == []


# -- the rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "files", "ok"),
    [
        (100 << 30, None, True),
        (100 << 30, 1_000_000, True),
        (100 << 30, 5_000, None),
        (100 << 30, 10, False),
        (1 << 30, None, None),
        (10 << 20, None, False),
    ],
)
def test_room_on_a_disk(free: int, files: int | None, ok: bool | None):
    found = room_finding("disk", {"state": Path("/s"), "workspaces": Path("/s")}, free, files)
    assert found.ok is ok
    assert "state and workspaces" in found.text
    assert bool(found.hint) is (ok is not True)


def test_findings_fit_a_terminal_and_their_commands_find_the_place_again():
    pen = Pen(width=80, where=" --repo /there")
    long = "a text that goes on " * 20
    findings = [
        Finding(area="this machine", name="git", ok=True, text=long),
        Finding(area="this machine", name="disk", ok=True, text=long),
        Finding(area="run x", name="branch", ok=False, text=long, hint="`chargehand resume x` goes on."),
    ]
    lines = diagnosis_lines(findings, pen)
    assert max(map(len, lines)) <= 80
    assert lines[:3] == ["this machine", "  ok    git, disk", ""]
    assert "        `chargehand resume x --repo /there` goes on." in lines
    assert verdict_line(findings, pen) == "1 thing is wrong."


@pytest.mark.parametrize(
    ("ok", "words"),
    [
        ((None,), "Nothing is wrong. 1 leftover can be cleared up: chargehand doctor --repair"),
        ((None, None), "Nothing is wrong. 2 leftovers can be cleared up: chargehand doctor --repair"),
        ((False,), "1 thing is wrong. It can be repaired: chargehand doctor --repair"),
        ((False, None), "1 thing is wrong. 2 findings can be repaired: chargehand doctor --repair"),
    ],
)
def test_the_verdict_calls_nothing_wrong_repairable(ok: tuple[bool | None, ...], words: str):
    async def nothing() -> str:
        return ""

    repair = Repair(text="mend it", act=nothing)
    findings = [Finding(area="x", name="n", ok=each, text="t", repair=repair) for each in ok]
    assert verdict_line(findings, Pen()) == words


def test_a_document_says_what_was_repaired():
    async def nothing() -> str:
        return ""

    repair = Repair(text="mend it", act=nothing, removes=True)
    first, second = (Finding(area="a", name=n, ok=False, text=n, hint="", repair=repair) for n in "xy")
    mended = [Mended(finding=first, done=True, text="Done."), Mended(finding=second, done=False, text="No.")]
    document = diagnosis_document([second], mended, Pen())
    assert document["ok"] is False
    rows = {row["name"]: (row["ok"], row["repair"]["state"], row["repair"]["result"]) for row in document["findings"]}
    assert rows == {"x": (True, "done", "Done."), "y": (False, "not_done", "No.")}


def test_a_repair_that_fails_is_told():
    async def fails() -> str:
        raise OSError(28, "No space left on device")

    finding = Finding(area="x", name="y", ok=False, text="z", repair=Repair(text="do it", act=fails))
    mended = asyncio.run(mend(finding))
    assert mended == Mended(finding=finding, done=False, text="[Errno 28] No space left on device.")
