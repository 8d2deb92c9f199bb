"""`chargehand demo`, as a person would start it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chargehand.demo.leftovers import Held

TASKS = {"ledger", "csvfile", "money", "search", "report", "labels", "cli", "readme"}


def hermetic(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def chargehand(*words: str, home: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "chargehand", *words]
    return subprocess.run(argv, cwd=cwd, env=hermetic(home), capture_output=True, text=True, check=False, timeout=110)


def git(where: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", *args], cwd=where, env=hermetic(where), capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], subprocess.CompletedProcess[str]]:
    """The demo, killed in the middle and resumed: played once, looked at from several sides."""
    home = tmp_path_factory.mktemp("home")
    done = chargehand("demo", "--dir", str(home / "a demo"), "--json", home=home, cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout), done


def test_everything_lands_although_it_was_killed(played: Any) -> None:
    document, done = played
    assert (document["state"], document["exit_code"]) == ("finished", 0)
    assert (document["landed"], document["tasks"]) == (8, 8)
    assert document["killed"]["landed"] >= 3
    assert done.stderr.count("run demo") == 2


def test_nothing_outlives_the_killed_run(played: Any) -> None:
    """I11: the whole tree below a run that got SIGKILL ends with it."""
    killed = played[0]["killed"]
    assert killed["processes"] >= 1
    assert killed["left_running"] == []


def test_it_shows_what_it_promises(played: Any) -> None:
    told = {(incident["kind"], incident["task"]) for incident in played[0]["incidents"]}
    assert told >= {("lie", "search"), ("red_gate", "money"), ("stray", "labels")}
    assert told & {("conflict", "ledger"), ("conflict", "csvfile")}
    assert "killed" in {kind for kind, _ in told}
    assert not {kind for kind, _ in told} & {"other"}


def test_each_task_lands_once(played: Any) -> None:
    """I4: one landing a task on the branch's first-parent line, across the kill."""
    project = Path(played[0]["project"])
    log = git(project, "log", "--first-parent", "--format=%(trailers:key=Chargehand-Task,valueonly)", "chargehand/demo")
    assert sorted(log.split()) == sorted(TASKS)


def test_the_checkout_is_untouched(played: Any) -> None:
    """I1: no branch but the run's own has moved, and the work tree and index are as they were."""
    project = Path(played[0]["project"])
    assert played[0]["checkout_untouched"]
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "log", "--format=%s", "main") == "A stockroom that knows one item"


def test_the_tests_of_the_result_are_green(played: Any, tmp_path: Path) -> None:
    assert played[0]["tests"]["green"]
    git(tmp_path, "clone", "-q", "--branch", "chargehand/demo", played[0]["project"], "clone")
    argv = [sys.executable, "-m", "unittest", "discover", "-s", "tests"]
    done = subprocess.run(argv, cwd=tmp_path / "clone", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Ran 22 tests" in done.stderr


def test_what_to_type_next_works(played: Any, tmp_path: Path) -> None:
    document = played[0]
    assert document["next"][0] == f"cd {shlex.quote(document['project'])}"
    shutil.copytree(document["dir"], tmp_path / "copy", symlinks=True)
    project = tmp_path / "copy" / "project"
    for step in document["next"][1:]:
        argv = [*shlex.split(step), *(["--yes"] if step.endswith(" accept") else [])]
        done = subprocess.run(
            argv, cwd=project, env=hermetic(tmp_path), capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, (step, done.stdout, done.stderr)
    assert git(project, "rev-parse", "main") == document["head"]
    assert "stock.csv sell nails" in (project / "README.md").read_text()


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = chargehand("demo", "--dir", str(tmp_path), "--json", home=tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "folder_taken"
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.skipif(not Held.known, reason="NOT TESTED: this system has no pidfds.")
def test_a_process_that_lives_on_is_told() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        held = Held.below(os.getpid())
        try:
            assert asyncio.run(held.ended(0.0)).count(process.pid) == 1
            process.kill()
            assert process.pid not in asyncio.run(held.ended(10.0))
        finally:
            held.close()
