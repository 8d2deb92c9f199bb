"""How many git processes a task costs: each one is a few milliseconds on every machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.outcome import Candidate
from tests.e2e.gitworld import Agent, World
from tests.repos import Repo


@pytest.fixture
def counted(repo: Repo, tmp_path: Path, runner) -> tuple[World, Path]:
    """A world whose git writes a line for each process of ours, once warm."""
    log = tmp_path / "log"
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho "$*" >> {log}\nexec {shutil.which("git")} "$@"\n')
    wrapper.chmod(0o755)
    plain = dict(repo.environ)
    repo.environ = {**plain, "PATH": f"{wrapper.parent}:{plain['PATH']}"}
    world = World(repo, tmp_path / "pool", runner)
    repo.environ = plain
    world.release(world.acquire())
    return world, log


def spent(log: Path, act: Callable[[], Any]) -> tuple[Any, int]:
    log.unlink(missing_ok=True)
    result = act()
    return result, len(log.read_text().splitlines()) if log.exists() else 0


@pytest.mark.parametrize("commits", [False, True])
def test_a_task_costs_at_most_fifteen_processes(counted, repo: Repo, commits: bool):
    world, log = counted
    base = repo.head()
    world.run(world.integrator.open("chargehand/run", base))
    workspace, recycle = spent(log, lambda: world.acquire(base))
    agent = Agent(workspace, dict(repo.environ))
    agent.write("src/new.py", "x = 1\n")
    agent.write("README.md", "changed\n")
    if commits:
        agent.commit("work")
    declared = ["src/new.py", "README.md"]
    sealed, seal = spent(log, lambda: world.seal(workspace, declared=declared))
    _, given = spent(log, lambda: world.release(workspace))
    candidate, merge = spent(log, lambda: world.merge(base, sealed.commit))
    assert isinstance(candidate, Candidate)
    _, gate = spent(log, lambda: world.acquire(candidate.commit, branch="gate"))
    _, land = spent(log, lambda: world.land("chargehand/run", base, candidate.commit))
    assert (recycle, given, merge, gate, land) == (2, 0, 2, 2, 1)
    assert seal == (4 if commits else 5)
    # A task that is judged twice takes one more checkout, and its gates ask once what it changed.
    assert recycle + seal + merge + 2 * gate + land + 1 <= 15


def test_an_attempt_without_work_is_cheap(counted, repo: Repo):
    world, log = counted
    workspace = world.acquire()
    sealed, seal = spent(log, lambda: world.seal(workspace))
    assert sealed.commit == workspace.commit
    assert seal <= 3


def test_a_look_at_the_whole_change_costs_one_process(counted, repo: Repo):
    """However much there is to be read of it, it is read with what is read of the attempt itself."""
    repo.write("tests/test_a.py", "def test_a():\n    assert f() == 1\n")
    repo.commit("a test")
    world, log = counted
    workspace = world.acquire()
    Agent(workspace, dict(repo.environ)).write("tests/test_a.py", "def test_a():\n    f()\n")
    Agent(workspace, dict(repo.environ)).write("src/app.py", "import os  # noqa: F401  TODO\n")
    first = world.seal(workspace)
    costs: list[int] = []
    for origin in ("", "", first.base):  # the first is dearer: layouts and trees are remembered
        workspace = world.acquire(first.commit, branch=f"fix-{len(costs)}")
        ref = f"refs/chargehand/attempts/run/fix/{len(costs)}"
        Agent(workspace, dict(repo.environ)).write("tests/test_a.py", "def test_a():\n    f()\n    # more\n")
        Agent(workspace, dict(repo.environ)).write("src/app.py", "import os  # noqa: F401  TODO\ny = 1\n")
        sealed, spent_on_it = spent(log, partial(world.seal, workspace, ref=ref, origin=origin))
        costs.append(spent_on_it)
        world.release(workspace)
    assert costs[2] == costs[1] + 1
    assert sealed.whole is not None
    assert (sealed.silenced, sealed.whole.silenced) == ((), first.silenced)
    assert {each.kind for each in sealed.whole.test_changes} > {each.kind for each in sealed.test_changes}
