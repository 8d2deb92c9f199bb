"""`check` of a plan whose task is to write what only the runtime writes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld
from tests.repos import Repo

FIXTURE = Path(__file__).parents[1] / "fixtures" / "dispatch"
STATE = ".nexus-cortexia/state.json"


@pytest.mark.parametrize("in_git", [True, False])
def test_check_warns_of_a_file_that_only_the_runtime_writes(repo: Repo, tmp_path: Path, in_git: bool) -> None:
    """At its place in the file, and also where there is no repository yet; nothing is refused for it."""
    project = repo.path if in_git else tmp_path / "bare"
    shutil.copytree(FIXTURE, project, dirs_exist_ok=True)
    file = project / STATE
    state = json.loads(file.read_text())
    task = next(each for each in state["task_graph"]["tasks"] if each["id"] not in state["completed_tasks"])
    task["files"] = [STATE, "src/x.py"]
    file.write_text(json.dumps(state, indent=2))
    done = CliWorld(repo, tmp_path / "cli").call("check", "--json", cwd=project)
    (warning,) = [each for each in done.document["warnings"] if each["code"] == "kept_file"]
    assert (warning["task"], STATE in warning["text"], done.document["errors"]) == (task["id"], True, [])
