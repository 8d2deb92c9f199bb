"""Work cannot be lost: rescued from any state, listed, shown, brought back (I2, SPEC 7.5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from chargehand.adapters.rescues import (
    find_rescue,
    list_rescues,
    restore_to_branch,
    restore_to_folder,
    show_rescue,
)
from chargehand.domain.errors import UserError
from tests.e2e.gitworld import Agent, World

PREFIX = "refs/chargehand/rescue/run/task"


@pytest.fixture
def attempt(world: World):
    """An attempt on the base commit: the workspace, and the agent in it."""
    workspace = world.acquire()
    return workspace, Agent(workspace, dict(world.repo.environ))


def test_nothing_to_rescue(world: World, attempt):
    workspace, agent = attempt
    agent.write("src/__pycache__/x.pyc", "x")
    assert world.rescue(workspace) is None
    assert world.repo.git("for-each-ref", "refs/chargehand") == ""


def test_everything_not_ignored_is_kept_under_the_next_free_ref(world: World, attempt):
    workspace, agent = attempt
    agent.write(".gitignore", "*.log\n")
    agent.write("a.log", "ignored\n")
    agent.write("a.txt", "a\n")
    agent.write("README.md", "changed\n")
    (agent.path / "src" / "app.py").unlink()
    assert world.rescue(workspace) == f"{PREFIX}/1"
    assert world.repo.files(f"{PREFIX}/1") == {".gitignore": "*.log", "a.txt": "a", "README.md": "changed"}
    assert world.rescue(workspace) == f"{PREFIX}/2"
    world.repo.git("update-ref", f"{PREFIX}/9", f"{PREFIX}/1")
    assert world.rescue(workspace) == f"{PREFIX}/10"


def test_commits_of_the_agent_come_along(world: World, attempt):
    workspace, agent = attempt
    agent.write("a.txt", "a\n")
    head = agent.commit("a")
    assert world.rescue(workspace) == f"{PREFIX}/1"
    assert world.repo.git("log", "-1", "--format=%P", f"{PREFIX}/1") == head


def test_other_branches_and_the_stash_come_along(world: World, attempt):
    workspace, agent = attempt
    agent.git("switch", "-q", "-c", "aside")
    agent.write("aside.txt", "a\n")
    aside = agent.commit("aside")
    agent.git("switch", "-q", "task")
    agent.write("README.md", "stashed\n")
    agent.git("stash", "-q")
    ref = world.rescue(workspace)
    parents = world.repo.git("log", "-1", "--format=%P", str(ref)).split()
    assert parents[0] == workspace.commit
    assert aside in parents
    assert any(world.repo.files(parent).get("README.md") == "stashed" for parent in parents)


def test_files_of_a_nested_repository_are_kept(world: World, attempt):
    workspace, agent = attempt
    agent.git("init", "-q", "nested")
    agent.write("nested/deep/file.txt", "precious\n")
    agent.write("nested/node_modules/x.js", "not\n")
    ref = world.rescue(workspace)
    assert world.repo.files(str(ref))["nested/deep/file.txt"] == "precious"
    assert "nested/node_modules/x.js" not in world.repo.files(str(ref))


def test_a_rewritten_history_is_kept_whole(world: World, repo):
    repo.commit("second", note="n\n")
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    agent.write("work.txt", "w\n")
    agent.git("add", "-A")
    agent.git("commit", "-q", "--amend", "-m", "rewritten")
    head = agent.git("rev-parse", "HEAD")
    ref = world.rescue(workspace)
    assert world.repo.files(str(ref))["work.txt"] == "w"
    assert head in repo.git("log", "-1", "--format=%P", str(ref)).split()


def test_what_a_dead_process_left_is_found_and_rescued_before_reuse(world: World, attempt, tmp_path):
    """I2: a slot is never recycled over unsealed work, even when nobody asks."""
    workspace, agent = attempt
    agent.write("precious.txt", "p\n")
    held = world.workspaces._held.pop(workspace.slot)
    held.give_back()  # as the kernel does for a process that died
    other = type(world)(world.repo, world.pool, world.runner)
    assert other.workspaces.abandoned() == [workspace]
    again = other.acquire(branch="next")
    assert again.path == workspace.path
    assert not (again.path / "precious.txt").exists()
    assert world.repo.files("refs/chargehand/rescue/abandoned/s1/1")["precious.txt"] == "p"
    assert other.workspaces.abandoned() == []


def test_what_another_run_left_is_kept_as_its_own(world: World, attempt):
    """I2: `rescue list RUN` shows it, and it stays as long as that run is not over."""
    workspace = world.acquire(branch="chargehand/run-7/a.b")
    (workspace.path / "precious.txt").write_text("p\n")
    world.workspaces._held.pop(workspace.slot).give_back()
    again = type(world)(world.repo, world.pool, world.runner).acquire(branch="chargehand/other/task")
    assert again.slot == workspace.slot
    assert world.repo.files("refs/chargehand/rescue/run-7/a.b/1")["precious.txt"] == "p"


def test_an_abandoned_workspace_can_be_rescued_by_name_and_released(world: World, attempt):
    workspace, agent = attempt
    agent.write("precious.txt", "p\n")
    world.workspaces._held.pop(workspace.slot).give_back()
    other = type(world)(world.repo, world.pool, world.runner)
    assert other.rescue(workspace) == f"{PREFIX}/1"
    other.release(workspace)
    assert other.workspaces.abandoned() == []
    other.acquire()
    assert world.repo.git("for-each-ref", "refs/chargehand/rescue/abandoned") == ""


# -- list, show, restore


@pytest.fixture
def rescued(world: World, attempt) -> str:
    """The name of one rescue."""
    workspace, agent = attempt
    agent.write("a.txt", "line one\n")
    agent.write("tool", "#!/bin/sh\n").chmod(0o755)
    agent.write(".gitattributes", "* filter=evil\n")
    world.rescue(workspace)
    return "run/task/1"


def test_rescues_are_listed_and_shown(world: World, rescued):
    found = world.run(list_rescues(world.repository))
    assert [(one.name, one.run, one.task, one.message) for one in found] == [(rescued, "run", "task", "Left behind")]
    assert found[0].at > 1_600_000_000
    assert world.run(list_rescues(world.repository, "run")) == found
    assert world.run(list_rescues(world.repository, "other")) == []
    assert "+line one" in world.run(show_rescue(world.repository, rescued))
    with pytest.raises(UserError, match="no rescue 'nope'"):
        world.run(show_rescue(world.repository, "nope"))


def test_a_rescue_becomes_a_branch(world: World, rescued):
    commit = world.run(restore_to_branch(world.repository, rescued, "saved"))
    assert world.repo.head("saved") == commit
    with pytest.raises(UserError, match="exists already"):
        world.run(restore_to_branch(world.repository, rescued, "saved"))
    for bad in ("-x", "a..b", "a b", ""):
        with pytest.raises(UserError, match="no name for a branch"):
            world.run(restore_to_branch(world.repository, rescued, bad))


def test_a_rescue_becomes_a_folder(world: World, rescued, tmp_path: Path):
    world.repo.git("config", "filter.evil.smudge", f"touch {tmp_path}/ran; cat")
    index = (world.repo.path / ".git" / "index").read_bytes()
    folder = world.run(restore_to_folder(world.repository, rescued, tmp_path / "out" / "there"))
    assert (folder / "a.txt").read_text() == "line one\n"
    assert (folder / "tool").stat().st_mode & 0o111
    assert not (tmp_path / "ran").exists()
    assert not (folder / ".git").exists()
    assert (world.repo.path / ".git" / "index").read_bytes() == index
    with pytest.raises(UserError, match="not an empty folder"):
        world.run(restore_to_folder(world.repository, rescued, folder))


def test_a_rescue_is_found_by_its_end_or_its_commit(world: World, rescued, attempt):
    workspace, agent = attempt
    (one,) = world.run(list_rescues(world.repository))
    for name in ("run/task/1", "task/1", "1", "/task/1/", one.ref, one.commit, one.commit[:7]):
        assert world.run(find_rescue(world.repository, name)) == one
    for name in ("", "/", "ask/1", "run", one.commit[:6], "../run/task/1", "task 1", "tâche/1"):
        with pytest.raises(UserError, match="There is no rescue"):
            world.run(find_rescue(world.repository, name))
    agent.write("b.txt", "b\n")
    world.rescue(workspace, "refs/chargehand/rescue/other/task")
    with pytest.raises(UserError, match="'task/1' means 2 rescues") as several:
        world.run(find_rescue(world.repository, "task/1"))
    assert several.value.code == "ambiguous_rescue"
    assert "other/task/1" in several.value.hint
    assert "run/task/1" in several.value.hint
    assert world.run(find_rescue(world.repository, "run/task/1")) == one


def test_a_branch_for_which_there_is_no_place(world: World, rescued):
    world.repo.git("branch", "saved")
    with pytest.raises(UserError, match="The branch 'saved/more' cannot be made") as refused:
        world.run(restore_to_branch(world.repository, rescued, "saved/more"))
    assert refused.value.code == "bad_branch"


def test_a_folder_that_cannot_be_made(world: World, rescued, tmp_path: Path):
    (tmp_path / "file").write_text("x\n")
    with pytest.raises(UserError, match=r"cannot be made: Not a directory\."):
        world.run(restore_to_folder(world.repository, rescued, tmp_path / "file" / "in"))
    with pytest.raises(UserError, match="not an empty folder"):
        world.run(restore_to_folder(world.repository, rescued, tmp_path / "file"))
    folder = world.run(restore_to_folder(world.repository, rescued, tmp_path / "with space ü"))
    assert (folder / "a.txt").exists()
