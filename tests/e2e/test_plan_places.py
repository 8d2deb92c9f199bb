"""Plans of other systems, named from anywhere and accepted in another work tree: their files are beside the plan."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from chargehand.adapters.git import Repository
from chargehand.wiring.plan_places import named_from_root
from tests.e2e.cliworld import CliWorld
from tests.repos import Repo

PLAN = """\
# Plan: Login

## Tasks

### Task 1: Notes

**Files**: NOTES.md
**Action**: Write them.
**Verify**: `test -s NOTES.md`
**Done**: they are there
"""
AGENT = """\
import json, os, subprocess
from pathlib import Path
Path("NOTES.md").write_text("read me")
subprocess.run(["git", "add", "-A"], check=True)
subprocess.run(["git", "commit", "-q", "-m", "notes"], check=True)
head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
Path(os.environ["CHARGEHAND_RESULT"]).write_text(json.dumps({"status": "DONE", "commit": head}))
"""


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    repo.write("src/a.py", "a = 1\n")
    repo.write("specs/auth/login/PLAN.md", PLAN)
    repo.commit("a plan")
    (tmp_path / "agent.py").write_text(AGENT)
    return CliWorld(repo, tmp_path / "world")


def run(cli: CliWorld, plan: str, cwd: Path) -> str:
    """Carry the plan out, named from a folder; what was written beside it."""
    agent = f"{sys.executable} {cli.folder.parent / 'agent.py'}"
    done = cli.call("run", plan, "--yes", "--unattended", "--sandbox", "none", "--agent-command", agent, cwd=cwd)
    assert done.code == 0, done.stderr
    return (cli.repo.path / "specs/auth/login/PROGRESS.md").read_text()


def test_a_plan_named_from_a_folder_below_has_its_files_beside_it(cli: CliWorld):
    progress = run(cli, "../specs/auth/login", cli.repo.path / "src")
    assert "| 1 |" in progress
    assert "done" in progress


def test_a_plan_of_another_system_outside_the_repository_is_refused(cli: CliWorld, tmp_path: Path):
    """Before anything is made: nobody could keep the files of its system."""
    outside = tmp_path / "specs" / "x"
    outside.mkdir(parents=True)
    (outside / "PLAN.md").write_text(PLAN)
    done = cli.call("run", outside, "--yes", "--agent-command", "true")
    assert done.code == 2
    assert "lies outside of the repository" in done.stderr
    assert not cli.call("runs", "--json").document["runs"]


def test_an_accept_in_another_work_tree_writes_where_the_run_began(cli: CliWorld, tmp_path: Path):
    run(cli, "specs/auth/login", cli.repo.path)
    other = tmp_path / "other"
    cli.repo.git("worktree", "add", "-q", "-b", "other", str(other))
    done = cli.call("accept", "--yes", "--target", "other", cwd=other)
    assert done.code == 0, done.stderr
    assert not (other / "specs/auth/login/PROGRESS.md").exists()
    assert "postflight" in (cli.repo.path / "specs/auth/login/PROGRESS.md").read_text()


def test_a_project_below_the_root_is_told(cli: CliWorld):
    below = cli.repo.path / "pkg/app/specs/x"
    below.mkdir(parents=True)
    (below / "PLAN.md").write_text(PLAN)
    checked = cli.call("check", "specs/x", "--json", cwd=cli.repo.path / "pkg/app")
    assert [each["code"] for each in checked.document["warnings"]].count("below_root") == 1


def test_only_work_trees_of_the_repository_are_its_own(repo: Repo, tmp_path: Path):
    other, linked = tmp_path / "copy", tmp_path / "linked"
    repo.git("clone", "-q", str(repo.path), str(other))
    repo.git("worktree", "add", "-q", "--detach", str(linked))
    found = asyncio.run(Repository.discover(linked, repo.environ))
    assert found.is_work_tree(repo.path)
    assert found.is_work_tree(linked)
    assert not found.is_work_tree(other)
    assert not found.is_work_tree(tmp_path)


def test_a_link_to_a_folder_of_plans_is_followed_into_the_work_tree_only(tmp_path: Path):
    root = tmp_path / "repo"
    (root / "docs/specs").mkdir(parents=True)
    (root / "specs").symlink_to("docs/specs")
    (tmp_path / "way").symlink_to(root)
    assert named_from_root(root, root / "specs") == "specs"
    assert named_from_root(root, tmp_path / "way" / "docs") == "docs"
    assert named_from_root(root, tmp_path / "elsewhere") == str(tmp_path / "elsewhere")
    assert named_from_root(None, tmp_path / "x" / ".." / "y") == str(tmp_path / "y")
