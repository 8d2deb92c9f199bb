"""How many git processes a task costs: each one is a few milliseconds on every machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
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
