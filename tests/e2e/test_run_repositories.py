"""Whole runs on every kind of repository (SPEC 3.1, ARCHITECTURE: workspaces)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.errors import UserError
from tests.e2e.world import DONE, World, write
from tests.repos import Repo

TASK: dict[str, Any] = {
    "id": "a",
    "title": "A",
    "files": {"create": ["a.txt"]},
    "verify": [["test", "-f", "README.md"]],
}
GOOD = {"a": [write("a.txt"), DONE]}


def lands(world: World) -> None:
    world.play([TASK], GOOD)
    assert world.outcome() == ("integrated", "integrated"), world.task()
    assert world.landed("a.txt") == "text"


def other(repo: Repo, path: Path) -> Repo:
    return Repo(path=path, environ=repo.environ)


def test_a_bare_repository(repo: Repo, tmp_path: Path):
    repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    bare = other(repo, tmp_path / "bare.git")
    lands(World(repo=bare, folder=tmp_path))


def test_a_shallow_clone(repo: Repo, tmp_path: Path):
    repo.commit("second", second="2\n")
    repo.git("clone", "-q", "--depth=1", f"file://{repo.path}", str(tmp_path / "shallow"))
    lands(World(repo=other(repo, tmp_path / "shallow"), folder=tmp_path))


def test_an_empty_repository_is_refused_with_the_next_step(repo: Repo, tmp_path: Path):
    empty = other(repo, tmp_path / "empty").init()
    with pytest.raises(UserError) as caught:
        World(repo=empty, folder=tmp_path).play([TASK], GOOD)
    assert "no commit" in caught.value.message
    assert caught.value.hint


def test_a_folder_that_is_no_repository_is_refused(repo: Repo, tmp_path: Path):
    plain = other(repo, tmp_path / "plain")
    plain.path.mkdir()
    with pytest.raises(UserError, match="repository"):
        World(repo=plain, folder=tmp_path).play([TASK], GOOD)


def test_a_linked_worktree(repo: Repo, tmp_path: Path):
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    world = World(repo=other(repo, tmp_path / "linked"), folder=tmp_path)
    lands(world)
    assert repo.git("rev-parse", "--verify", world.document["branch"])


def test_a_submodule(repo: Repo, tmp_path: Path):
    library = other(repo, tmp_path / "library").init()
    library.write("lib.txt", "lib\n")
    library.commit("lib")
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.path), "lib")
    repo.commit("with submodule")
    task = {**TASK, "verify": [["grep", "-q", "lib", "lib/lib.txt"]]}
    world = World(repo=repo, folder=tmp_path)
    world.play([task], {"a": [{"if": {"exists": "lib/lib.txt"}, "then": [write("a.txt")]}, DONE]})
    assert world.outcome() == ("integrated", "integrated"), world.task()


def test_a_dirty_checkout_on_a_detached_head(repo: Repo, tmp_path: Path):
    repo.git("checkout", "-q", "--detach")
    repo.write("README.md", "dirty\n")
    repo.write("untracked.txt", "mine\n")
    world = World(repo=repo, folder=tmp_path)
    before = world.checkout()
    lands(world)
    assert world.checkout() == before
    assert world.landed("README.md") == "A project."


def test_names_with_spaces_and_unicode_all_the_way(repo: Repo, tmp_path: Path):
    there = tmp_path / "ein Ort mit Ümlaut ✓"
    repo.path.rename(there)
    folder = tmp_path / "state of things ü"
    folder.mkdir()
    lands(World(repo=other(repo, there), folder=folder))


def test_a_repository_with_sha256(repo: Repo, tmp_path: Path):
    new = other(repo, tmp_path / "sha256").init("--object-format=sha256")
    new.write("README.md", "x\n")
    new.commit("base")
    lands(World(repo=new, folder=tmp_path))


def test_another_base_than_head(repo: Repo, tmp_path: Path):
    first = repo.head()
    repo.commit("later", later="x\n")
    world = World(repo=repo, folder=tmp_path)
    world.play([TASK], GOOD, base=first)
    assert world.document["base"] == first
    assert world.landed("later.txt") is None


def test_a_plan_in_the_work_tree_is_shown_and_never_sealed(repo: Repo, tmp_path: Path):
    """SPEC 3.1: a plan file that the base does not hold lies read-only in the workspace."""
    world = World(repo=repo, folder=repo.path)
    scenario = {"a": [{"if": {"exists": "plan.json"}, "then": [write("a.txt")]}, DONE]}
    world.play([TASK], scenario)
    assert world.outcome() == ("integrated", "integrated"), world.task()
    assert world.landed("plan.json") is None


@pytest.mark.parametrize("tracked", [False, True])
def test_an_agent_that_commits_everything_does_not_commit_the_plan(repo: Repo, tmp_path: Path, tracked: bool):
    """SPEC 3.1: copies of plan files are no part of the work, however thoroughly an agent commits."""
    if tracked:
        repo.write("plan.json", "{}\n")
        repo.commit("an older plan")
    world = World(repo=repo, folder=repo.path)
    world.play([TASK], {"a": [write("a.txt"), {"commit": "everything"}, DONE]})
    assert world.outcome() == ("integrated", "integrated"), world.task()
    assert world.landed("plan.json") == ("{}" if tracked else None)
    assert world.task()["files_changed"] == ["a.txt"]
