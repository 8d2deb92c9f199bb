"""What gates are run with: a module that python does not have is told before a run ends at its canary."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from chargehand.domain.plan import Command, Files, GateSpec, Plan, SetupSpec, Task
from chargehand.domain.problem import Problem
from chargehand.wiring.runners import missing_runners

HERE = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"}


def looked_for(plan: Plan, environ: Mapping[str, str], root: Path, source: str) -> list[Problem]:
    return asyncio.run(missing_runners(plan, environ, root, source))


def gate(name: str, *words: str) -> GateSpec:
    return GateSpec(id=name, run=Command(argv=words))


def plan(*words: str) -> Plan:
    return Plan(
        plan="p", tasks=(Task(id="a", title="A", verify=(Command(argv=words),)),), gates=(gate("suite", *words),)
    )


def test_a_module_that_is_not_there_is_told_once() -> None:
    (told,) = looked_for(plan("python3", "-m", "no_such_module_at_all", "-q"), HERE, Path("/nonexistent"), "plan.yaml")
    assert told.message == "Gate suite cannot be run here: python3 has no module 'no_such_module_at_all'."
    assert (told.is_error, told.code, told.file) == (False, "missing_program", "plan.yaml")


def test_what_is_there_or_may_come_or_is_nobodys_to_look_for_is_not() -> None:
    assert looked_for(plan("python3", "-m", "json"), HERE, Path("/nonexistent"), "") == []
    broken = plan("python3", "-m", "no_such_module_at_all")
    setup = SetupSpec(run=Command(argv=("make", "deps")))
    assert looked_for(replace(broken, setup=setup), HERE, Path("/nonexistent"), "") == []
    assert looked_for(broken, {"PATH": "/nonexistent"}, Path("/nonexistent"), "") == []
    assert looked_for(plan("npm", "-m", "no_such_module_at_all"), HERE, Path("/nonexistent"), "") == []
    assert looked_for(plan("python3", "-m", "x;y"), HERE, Path("/nonexistent"), "") == []


def test_what_is_the_projects_own_is_there_and_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "own_module.py").write_text("import os; os.mkdir('ran')")
    assert looked_for(plan("python3", "-m", "own_module"), HERE, tmp_path, "") == []
    (tmp_path / "package").mkdir()
    assert looked_for(plan("python3", "-m", "package"), HERE, tmp_path, "") == []
    later = plan("python3", "-m", "made_later")
    assert len(looked_for(later, HERE, tmp_path, "")) == 1
    task = replace(later.tasks[0], files=Files(create=("made_later/__main__.py",)))
    assert looked_for(replace(later, tasks=(task,)), HERE, tmp_path, "") == []
    assert not (tmp_path / "ran").exists()


def test_a_python_of_the_project_is_not_asked(tmp_path: Path) -> None:
    """A plan that is only checked runs nothing of its repository."""
    own = tmp_path / "python3"
    own.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    own.chmod(0o755)
    assert looked_for(plan(str(own), "-m", "no_such_module_at_all"), HERE, tmp_path, "") == []
    assert not (tmp_path / "ran").exists()
