"""Opening a long run: its journal is made once, by the engine on fakes, then opened in fresh processes.

python bench/opening.py FOLDER RUN       open a run by `Service.look` and print what it took, as JSON
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, cast

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.ours import Place
from chargehand.adapters.journal_sqlite import SqliteJournal
from chargehand.adapters.run_store import FolderRunStore
from chargehand.domain.events import DecisionAnswered, RunStarted
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.outcome import GateResult, GateStatus, ReportStatus
from chargehand.domain.plan import Command, Files, GateSpec, Plan, Task
from chargehand.domain.state import RunState
from chargehand.domain.words import TaskStatus
from chargehand.engine.dispatch import Ports
from chargehand.engine.service import Service
from chargehand.ports import AttemptSpec, OpenRun, Snapshots, Workspaces
from chargehand.testing.fakes import (
    FakeClock,
    FakeFleet,
    FakeGates,
    FakeIntegrator,
    FakeNotifier,
    attempt_result,
)

__all__ = ["Answered", "Looked", "Made", "a_long_run", "answer_at_once", "append_again", "look", "save_again"]

RUN = "bench"
AGENT = AgentDef(name="none", kind="command", command="true")
TESTS = GateSpec(id="tests", run=Command(argv=("python", "-m", "pytest", "-q")), junit=True)
TALK = "It reads the table, checks every row against the schema and says which one does not fit. "


@dataclass(slots=True)
class TimedSnapshots:
    """Snapshots that note what saving took."""

    inner: Snapshots
    took_s: list[float] = field(default_factory=list)

    def load(self) -> RunState | None:
        return self.inner.load()

    def save(self, state: RunState) -> None:
        began = time.perf_counter()
        self.inner.save(state)
        self.took_s.append(time.perf_counter() - began)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A run that is over: where it is, what making it took, and the seconds of each snapshot saved meanwhile."""

    runs: Path
    wall_s: float
    tasks: int
    events: int
    saves_s: tuple[float, ...]

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.runs / RUN

    @property
    def snapshot(self) -> Path:
        """The file that may be taken away."""
        return self.folder / "snapshot.json"


@contextmanager
def a_long_run(tasks: int, folder: str | None) -> Iterator[Made]:
    """A finished run of so many tasks; of every twenty, one needed a second attempt. Removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        yield asyncio.run(_make(tasks, place / "runs"))
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _make(tasks: int, runs: Path) -> Made:
    from bench.scheduling import plan_of_size

    plan = plan_of_size(tasks)
    plan = replace(plan, tasks=tuple(map(_told, plan.tasks)), gates=(TESTS,))
    store, clock = FolderRunStore(runs), FakeClock(step_s=0.001)
    red: dict[Hashable, Any] = {(f"t{n}", 1, "tests"): _red(n) for n in range(0, tasks, 20)}
    gates, fleet = FakeGates(red), FakeFleet({task.id: _attempt for task in plan.tasks})
    service = Service(store, _build(fleet, gates, clock), clock)
    began = time.perf_counter()
    held = service.start(_started(plan))
    timed = TimedSnapshots(held.snapshots)
    state = await service.drive(replace(held, snapshots=timed))
    wall_s = time.perf_counter() - began
    if state.finished is None or len(state.tasks) != tasks:
        raise SystemExit(f"The run of {tasks} tasks did not come to its end.")
    return Made(runs=runs, wall_s=wall_s, tasks=tasks, events=state.seq, saves_s=tuple(timed.took_s))


def _started(plan: Plan) -> RunStarted:
    options = RunOptions(agent=AGENT.name, agents=(AGENT,), jobs=8, review=False)
    return RunStarted(run=RUN, plan=plan, options=options, base="0" * 40, branch=f"chargehand/{RUN}")


def _build(fleet: FakeFleet, gates: FakeGates, clock: FakeClock) -> Any:
    integrator = FakeIntegrator()

    async def build(held: OpenRun, _: RunState) -> Ports:
        return Ports(
            journal=held.journal,
            inbox=held.inbox,
            fleet=fleet,
            gates=gates,
            integrator=integrator,
            workspaces=cast("Workspaces", None),  # asked only for context, and nobody asks
            notifier=FakeNotifier(),
            clock=clock,
        )

    return build


def _told(task: Task) -> Task:
    """A task as plans hold them: with a text, and with what will be accepted."""
    files = cast("Files", task.files)
    return replace(
        task,
        description=f"{task.title}: {TALK * 3}",
        approach=TALK,
        acceptance=("An unknown column is an error with a line.", "An empty table is none."),
        files=replace(files, test=(f"tests/test_{task.id}.py",)),
    )


def _attempt(spec: AttemptSpec) -> Any:
    result = attempt_result(
        spec,
        ReportStatus.DONE,
        changes=list(spec.declared),
        summary=TALK * 2,
        files_changed=spec.declared,
        tests_added=spec.declared[-1:],
        interfaces=(f"check_{spec.task}(rows: Sequence[Row]) -> list[Problem]",),
        validation="12 passed in 0.31 s",
    )
    return replace(result, output=TALK * 12, log=f"tasks/{spec.task}/{spec.attempt}/output.log")


def _red(number: int) -> GateResult:
    tail = "\n".join(f"E   assert rows[{line}] == expected[{line}], and it was not" for line in range(40))
    failing = (f"tests/test_t{number}.py::test_empty", f"tests/test_t{number}.py::test_unknown")
    return GateResult(gate="tests", tree="", status=GateStatus.FAIL, exit_code=1, tail=tail, failed_tests=failing)


# -- measuring ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Seconds, and seconds of CPU, of opening a run."""

    wall_s: float
    cpu_s: float


def look(made: Made) -> Looked:
    """What `Service.look` takes in a fresh process, which has to find out everything for the first time."""
    argv = [sys.executable, str(Path(__file__)), str(made.runs), RUN]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise SystemExit(f"Opening ended with {done.returncode}:\n{done.stderr[-4000:]}")
    said: dict[str, float] = json.loads(done.stdout)
    if said["seq"] != made.events:
        raise SystemExit(f"It was opened at event {said['seq']:.0f}, not at {made.events}.")
    return Looked(wall_s=said["wall_s"], cpu_s=said["cpu_s"])


def save_again(made: Made) -> tuple[float, float]:
    """Seconds that saving the state takes, and the megabytes of it."""
    store = FolderRunStore(made.runs)
    state = Service(store, _build(FakeFleet(), FakeGates(), FakeClock()), FakeClock()).look(RUN).state
    held = store.open(RUN)
    try:
        began = time.perf_counter()
        held.snapshots.save(state)
        return time.perf_counter() - began, made.snapshot.stat().st_size / 1e6
    finally:
        held.release()


def append_again(made: Made, most: int, folder: str | None) -> tuple[float, float]:
    """Seconds of an append, and how many a task needs: the run's own, once more, on a disk."""
    with SqliteJournal.open(made.folder / "journal.db", readonly=True) as journal:
        batches = [[record.event for record in group] for _, group in groupby(journal.read(), lambda record: record.at)]
    some = batches[1 : most + 1]  # the first holds the plan
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        with SqliteJournal.create(place / "journal.db") as journal:
            began = time.perf_counter()
            for batch in some:
                journal.append(batch, 0.0)
            return (time.perf_counter() - began) / len(some), len(batches) / made.tasks
    finally:
        shutil.rmtree(place, ignore_errors=True)


# -- answers --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Answered:
    """How many answers are in the journal; seconds until all processes were done, and until the run was over."""

    recorded: int
    processes_s: float
    ending_s: float


def answer_at_once(place: Place, count: int, *, driven: bool) -> Answered:
    """A run waits for `count` answers; as many `chargehand answer` start at once, and the run goes on to its end.

    `driven`: somebody drives it all the while; else it is taken up after the last of them.
    """
    return asyncio.run(_answer_at_once(place, count, driven))


async def _answer_at_once(place: Place, count: int, driven: bool) -> Answered:
    tasks = tuple(Task(id=f"t{n}", title=f"Task {n}", needs_human=True) for n in range(count))
    state_dir = place.folder / ("driven" if driven else "left")
    store = FolderRunStore(state_dir / "runs")
    service = Service(store, _build(FakeFleet(), FakeGates(), FakeClock(step_s=0.001)), FakeClock())
    waiting = await service.drive(service.start(_started(Plan(plan="bench", tasks=tasks))))
    if len(waiting.decisions) != count:
        raise SystemExit(f"The run asks {len(waiting.decisions)} questions, not {count}.")
    where = ("--repo", str(place.repository), "--state-dir", str(state_dir))
    began = time.perf_counter()
    driving = asyncio.create_task(service.drive(service.take_up(RUN), wait_for_people=True)) if driven else None
    await asyncio.gather(*(_answer(decision, where, place.env) for decision in waiting.decisions))
    answered = time.perf_counter()
    driving = driving or asyncio.create_task(service.drive(service.take_up(RUN)))
    async with asyncio.timeout(300):
        state = await driving
    ended = time.perf_counter()
    if any(record.status is not TaskStatus.INTEGRATED for record in state.tasks.values()):
        raise SystemExit(f"The run did not come to its end; its questions: {list(state.decisions)}.")
    events = (record.event for record in service.events(RUN))
    recorded = [event.id for event in events if isinstance(event, DecisionAnswered)]
    return Answered(recorded=len(set(recorded)), processes_s=answered - began, ending_s=ended - answered)


async def _answer(decision: str, where: tuple[str, ...], env: dict[str, str]) -> None:
    """One process that answers one question."""
    words = (sys.executable, "-m", "chargehand", "answer", decision, "approve", *where)
    null, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, env=env, stdin=null, stdout=null, stderr=pipe)
    _, err = await process.communicate()
    if process.returncode:
        raise SystemExit(f"`chargehand answer` ended with {process.returncode}:\n{err.decode()[-4000:]}")


def main() -> None:
    runs, run = sys.argv[1:]
    service = Service(FolderRunStore(Path(runs)), _build(FakeFleet(), FakeGates(), FakeClock()), FakeClock())
    began, used_s = time.perf_counter(), time.process_time()
    state = service.look(run).state
    took_s, used_s = time.perf_counter() - began, time.process_time() - used_s
    print(json.dumps({"wall_s": took_s, "cpu_s": used_s, "seq": state.seq}))


if __name__ == "__main__":
    main()
