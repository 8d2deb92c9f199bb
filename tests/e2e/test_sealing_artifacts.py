"""What an agent does to files that only the coordinator writes is no part of its change (SPEC 10.5, 11)."""

from __future__ import annotations

import os
import shutil

import pytest

from chargehand.domain.outcome import ChangeKind, ClaimCheck, Sealed
from tests.e2e.gitworld import REF, Agent, World, kinds

A, M, D = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED
TASKS = "prompts/SHOP-7/iteration_1/tasks.yaml"
STATE = ".state/state.toml"
SUMMARY = ".state/phases/01/plans/001-task-1-summary.md"
ARTIFACTS = ("prompts/**/tasks.yaml", "prompts/**/log.jsonl", STATE, "**/plans/*-task-*-summary.md")
OLD = "tasks: []\n"


@pytest.fixture
def attempt(world: World):
    """An attempt on a commit that has artifacts; the workspace, and the agent in it."""
    for path in (TASKS, STATE):
        file = world.repo.path / path
        file.parent.mkdir(parents=True)
        file.write_text(OLD)
    world.repo.git("add", "-A")
    world.repo.git("commit", "-q", "-m", "artifacts")
    workspace = world.acquire()
    return workspace, Agent(workspace, dict(world.repo.environ))


def seal(world: World, workspace, **asked) -> Sealed:
    return world.seal(workspace, artifacts=ARTIFACTS, **asked)


def test_they_stay_as_the_base_has_them(world: World, attempt):
    """New, changed and deleted ones, uncommitted: the rest is sealed, and what was left out is told."""
    workspace, agent = attempt
    agent.write(TASKS, "mine\n")
    agent.write(SUMMARY, "## Status: DONE\n")
    (agent.path / STATE).unlink()
    agent.write("src/new.py", "x = 1\n")
    sealed = seal(world, workspace)
    assert kinds(sealed) == {"src/new.py": A}
    assert sealed.left_out == (SUMMARY, STATE, TASKS)
    files = world.repo.files(REF)
    assert (files[TASKS], files[STATE], SUMMARY in files) == (OLD.strip(), OLD.strip(), False)


def test_committed_ones_are_taken_back(world: World, attempt):
    """The agent's commits are kept; one of ours on top puts the artifacts back, and its hash is still believed."""
    workspace, agent = attempt
    agent.write("src/new.py", "x = 1\n")
    agent.write(SUMMARY, "## Status: DONE\n")
    agent.git("rm", "-q", TASKS)
    made = agent.commit("work and words")
    sealed = seal(world, workspace, claim=made)
    assert kinds(sealed) == {"src/new.py": A}
    assert (sealed.agent_commits, sealed.claim, sealed.left_out) == (1, ClaimCheck.GOOD, (SUMMARY, TASKS))
    assert world.repo.git("rev-parse", f"{sealed.commit}^") == made
    files = world.repo.files(REF)
    assert files[TASKS] == OLD.strip()
    assert SUMMARY not in files


def test_staged_ones_are_left_too(world: World, attempt):
    workspace, agent = attempt
    agent.write(".gitignore", "*.md\n")
    agent.write(SUMMARY, "DONE\n")
    agent.git("add", "-f", SUMMARY)
    sealed = seal(world, workspace)
    assert kinds(sealed) == {".gitignore": A}
    assert sealed.left_out == (SUMMARY,)


@pytest.mark.parametrize("committed", [False, True])
def test_nothing_else_is_no_change(world: World, attempt, committed: bool):
    """I6: a change of artifacts alone is none, and a commit of them is no commit of work."""
    workspace, agent = attempt
    agent.write(TASKS, "mine\n")
    agent.write(SUMMARY, "DONE\n")
    made = agent.commit() if committed else None
    sealed = seal(world, workspace, claim=made)
    assert (sealed.tree, sealed.changes) == (sealed.base_tree, ())
    assert sealed.claim is (ClaimCheck.EMPTY if committed else ClaimCheck.NONE)
    assert sealed.left_out == (SUMMARY, TASKS)


def test_a_declared_one_is_left_out_as_well(world: World, attempt):
    """It is never part of a task's scope, whatever a plan declares and git ignores."""
    workspace, agent = attempt
    agent.write(".git/info/exclude", ".state/phases/\n")
    agent.write(".gitignore", ".state/phases/\n")
    agent.write(SUMMARY, "DONE\n")
    sealed = seal(world, workspace, declared=[SUMMARY, ".gitignore"])
    assert kinds(sealed) == {".gitignore": A}
    assert sealed.left_out == (SUMMARY,)


def test_only_patterns_of_the_system_are_left_out(world: World, attempt):
    """A name that merely looks like one is code: it counts, and so does a link or a folder in the place of a parent."""
    workspace, agent = attempt
    agent.write("src/tasks.yaml", "code\n")
    agent.write("prompts/SHOP-7/iteration_1/tasks.yaml.py", "code\n")
    agent.write("prompts/TASKS.YAML", "code\n")
    (agent.path / "prompts" / "link").symlink_to("../src")
    sealed = seal(world, workspace)
    assert kinds(sealed) == {
        "src/tasks.yaml": A,
        "prompts/SHOP-7/iteration_1/tasks.yaml.py": A,
        "prompts/TASKS.YAML": A,
        "prompts/link": A,
    }
    assert sealed.left_out == ()


def test_a_parent_that_became_a_file_is_a_change(world: World, attempt):
    """Both cannot be in one tree: what was taken away with the folder is told as deleted, and lands nowhere unseen."""
    workspace, agent = attempt
    shutil.rmtree(agent.path / ".state")
    agent.write(".state", "now a file\n")
    sealed = seal(world, workspace)
    assert kinds(sealed) == {".state": A, STATE: D}


def test_a_parent_that_became_a_link_is_a_change(world: World, attempt):
    """Nothing is read or put back through a link out of the workspace."""
    workspace, agent = attempt
    shutil.rmtree(agent.path / ".state")
    (agent.path / ".state").symlink_to("/etc")
    sealed = seal(world, workspace)
    assert kinds(sealed) == {".state": ChangeKind.SYMLINK_OUT, STATE: D}


def test_odd_things_in_the_place_of_one_are_left_out(world: World, attempt):
    """A folder of code, a link out, a pipe: none of it gets into the tree."""
    workspace, agent = attempt
    (agent.path / STATE).unlink()
    agent.write(f"{STATE}/code.py", "x = 1\n")
    (agent.path / TASKS).unlink()
    (agent.path / TASKS).symlink_to("/etc/passwd")
    os.mkfifo(agent.path / "prompts" / "log.jsonl")
    agent.write("src/new.py", "x = 1\n")
    sealed = seal(world, workspace)
    assert kinds(sealed) == {"src/new.py": A}
    files = world.repo.files(REF)
    assert (files[STATE], files[TASKS]) == (OLD.strip(), OLD.strip())


def test_a_repository_in_the_place_of_one_is_a_violation(world: World, attempt):
    workspace, agent = attempt
    agent.git("init", "-q", "prompts/SHOP-7/iteration_2/tasks.yaml")
    agent.write("prompts/SHOP-7/iteration_2/tasks.yaml/code.py", "x = 1\n")
    sealed = seal(world, workspace)
    assert ChangeKind.NESTED_REPOSITORY in kinds(sealed).values()


def test_what_a_commit_had_for_a_while_is_no_change(world: World, attempt):
    """A summary that was committed, and removed with the next commit, leaves no trace among the changes."""
    workspace, agent = attempt
    agent.write(SUMMARY, "DONE\n")
    agent.write("src/new.py", "x = 1\n")
    agent.commit("with words")
    agent.git("rm", "-q", SUMMARY)
    last = agent.commit("without")
    sealed = seal(world, workspace)
    assert (sealed.commit, kinds(sealed)) == (last, {"src/new.py": A})


def test_sealing_again_gives_the_same(world: World, attempt):
    """I4: a holder that is killed right after sealing seals again, to the same tree and the same words."""
    workspace, agent = attempt
    agent.write(TASKS, "mine\n")
    agent.write(SUMMARY, "DONE\n")
    agent.write("src/new.py", "x = 1\n")
    agent.commit()
    agent.write(STATE, "later\n")
    agent.write("src/more.py", "y = 1\n")
    first, second = (seal(world, workspace, ref=f"{REF}{n}") for n in (1, 2))
    assert (first.tree, first.changes, first.left_out) == (second.tree, second.changes, second.left_out)
    assert kinds(first) == {"src/new.py": A, "src/more.py": A}


def test_a_copy_of_ours_is_left_out_without_a_word(world: World, attempt):
    workspace, agent = attempt
    agent.write(TASKS, "as we laid it there\n")
    sealed = seal(world, workspace, inputs=[TASKS])
    assert (sealed.changes, sealed.left_out) == ((), ())


def test_names_are_told_up_to_a_bound(world: World, attempt):
    workspace, agent = attempt
    for number in range(250):
        agent.write(f"prompts/{number}/log.jsonl", "{}\n")
    sealed = seal(world, workspace)
    assert (sealed.changes, len(sealed.left_out)) == ((), 200)
