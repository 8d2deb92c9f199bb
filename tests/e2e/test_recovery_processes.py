"""After a crash nothing of the run is alive any more, whoever was killed and however it had detached [I11]."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.confined import mark_of
from chargehand.adapters.folders import PrivateFolders
from chargehand.adapters.process import end_leftovers, leftovers
from chargehand.adapters.process.marks import HELPER_VARIABLE, mark_number
from chargehand.adapters.process.tree import descendants, snapshot, stat_of
from chargehand.ports import Recovered
from tests.e2e.execution import Execution, available, check, setup
from tests.e2e.processes import DETACHED, alive, nap, until_alive, wait_gone
from tests.repos import Repo

Kill = Callable[[int], None]


@pytest.fixture(params=available())
def execution(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> Execution:
    return Execution(repo, tmp_path, request.param)


def _coordinator_alone(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _with_its_launchers(pid: int) -> None:
    """At once: none of them sees the other die."""
    children = [stat.pid for stat in snapshot().values() if stat.parent == pid]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for doomed in (pid, *children):
            with suppress(ProcessLookupError):
                os.kill(doomed, number)


def _with_all_but_the_detached(pid: int) -> None:
    """The whole tree as it stands, and what lost its parent by then: only what detached for good is left."""
    tree = [stat.pid for stat in descendants(pid, snapshot())]
    for doomed in (pid, *tree):
        with suppress(ProcessLookupError):
            os.kill(doomed, signal.SIGSTOP)
    for doomed in (pid, *tree[: len(tree) // 2]):
        with suppress(ProcessLookupError):
            os.kill(doomed, signal.SIGKILL)


KILLS = {
    "coordinator": _coordinator_alone,
    "launchers": _with_its_launchers,
    "half the tree": _with_all_but_the_detached,
}


def crash(work: Callable[[], Any], word: str, kill: Kill, least: int) -> list[int]:
    """Let another process do the work, and kill it once all sleepers are there; answers what was alive then."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(work())
        finally:
            os._exit(1)
    try:
        return until_alive(word, least)
    finally:
        kill(child)
        os.waitpid(child, 0)


def recover(execution: Execution) -> Recovered:
    async def take_up() -> Recovered:
        return await execution.fleet().recover(execution.name, ())

    return asyncio.run(take_up())


def detaching(word: str) -> str:
    return "\n".join(how.replace("{nap}", word) for how in DETACHED.values())


@pytest.mark.parametrize("kill", KILLS)
def test_of_an_attempt(execution: Execution, tmp_path: Path, kill: str):
    """I11: what cleaned its environment, left its session and lost its parents is found, too."""
    word = nap(tmp_path)
    script = tmp_path / "agent.sh"
    script.write_text(f"echo x > work\n{detaching(word)}\nsleep {word}\n")
    agent = execution.agent(f"os.execvp('sh', ['sh', {str(script)!r}])")

    async def work() -> None:
        fleet = execution.fleet(agent, confined=execution.confined(readable=(tmp_path,)))
        spec = execution.spec()
        await fleet.submit(spec)
        await fleet.wait(spec.key)

    crash(work, word, KILLS[kill], len(DETACHED) + 1)
    told = recover(execution).told
    assert alive(word) == []
    assert told[-1].endswith(f"kept in refs/chargehand/rescue/{execution.name}/t/1.")
    assert execution.left_behind() == []


@pytest.mark.parametrize("kill", KILLS)
def test_of_a_setup(execution: Execution, tmp_path: Path, kill: str):
    """I11."""
    word = nap(tmp_path)
    agent = execution.agent("report()")

    async def work() -> None:
        fleet = execution.fleet(agent)
        spec = execution.spec(setup=setup(f"{detaching(word)}\nsleep {word}"))
        await fleet.submit(spec)
        await fleet.wait(spec.key)

    crash(work, word, KILLS[kill], len(DETACHED) + 1)
    recover(execution)
    assert alive(word) == []


@pytest.mark.parametrize("kill", KILLS)
def test_of_a_gate(execution: Execution, tmp_path: Path, kill: str):
    """I11."""
    word = nap(tmp_path)

    async def work() -> None:
        shared = PrivateFolders(execution.state / "x", execution.short)  # as in a run
        await execution.gates(folders=shared).run(execution.job(check(f"{detaching(word)}\nsleep {word}")))

    crash(work, word, KILLS[kill], len(DETACHED) + 1)
    recover(execution)
    assert alive(word) == []
    assert execution.left_behind() == []


# -- marks and helpers -------------------------------------------------------------------------------


def test_the_mark_is_no_limit_of_anything(execution: Execution, tmp_path: Path):
    """It stands where the kernel looks at nothing, the hard limit is as it was, and files can be locked."""
    result = execution.attempt(
        """
        import fcntl, resource
        file = open("locked", "w")
        fcntl.lockf(file, fcntl.LOCK_EX); fcntl.flock(file, fcntl.LOCK_EX)
        resource.setrlimit(10, resource.getrlimit(10))
        report(summary=json.dumps(resource.getrlimit(10)))
        """
    )
    assert result.report is not None
    number = mark_number(f"{mark_of(execution.folder)}/t/1/attempt")
    assert result.report.summary == f"[{number}, -1]"


def test_marks_of_other_runs_and_of_nobody_differ():
    marks = [mark_number(f"{run}/{key}") for run in "ab" for key in ("x/1/attempt", "y/1/attempt", "")]
    assert len({*marks, mark_number("a"), mark_number("b")}) == 8
    assert all(1 << 61 <= mark < 1 << 62 for mark in marks)
    assert len({mark >> 30 for mark in marks}) == 2


def helper(master: str, word: str) -> int:
    """A helper of somebody, whose parent is not here."""
    told_from_within = f"echo $$; exec sleep {word} >/dev/null 2>&1"
    argv = ["sh", "-c", f"setsid sh -c '{told_from_within}' {word} &"]  # found by the word from the start
    environment = {"PATH": os.environ["PATH"], HELPER_VARIABLE: master}
    return int(subprocess.run(argv, env=environment, capture_output=True, check=True).stdout)


def test_helpers_of_a_dead_master_come_to_their_end_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A git that still writes must not race a rescue; one that does not end is ended."""
    monkeypatch.setattr(leftovers, "PATIENCE_S", 0.3)
    master = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stat = stat_of(master.pid)
    assert stat is not None
    word = nap(tmp_path)
    name = f"{master.pid}-{stat.started}"
    pid = helper(name, word)
    quick = helper(name, "0.1")
    try:
        end_leftovers("")
        assert alive(word) == [pid]
        master.kill()
        master.communicate()
        quick = helper(name, "0.1")
        end_leftovers("")
        assert wait_gone([pid, quick], 2.0)
    finally:
        master.kill()
        master.communicate()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
