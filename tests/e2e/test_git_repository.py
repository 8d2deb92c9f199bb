"""Every kind of repository a run may start from."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chargehand.adapters.accept import Accepted, accept
from chargehand.adapters.checkout_watch import CheckoutWatch
from chargehand.adapters.git import Repository
from chargehand.domain.errors import UserError
from chargehand.domain.outcome import Candidate, ChangeKind, Landed
from tests.e2e.gitworld import Agent, World, kinds
from tests.repos import Repo

RUN = "chargehand/run"


def whole_task(world: World) -> None:
    """One task from opening the branch to landing it, with a commit of the agent and uncommitted work on top."""
    base = world.run(world.repository.resolve("HEAD"))
    world.run(world.integrator.open(RUN, base))
    workspace = world.acquire(base)
    agent = Agent(workspace, dict(world.repo.environ))
    assert agent.git("status", "--porcelain") == ""
    agent.write("made.txt", "committed\n")
    made = agent.commit("made")
    agent.write("rest.txt", "not committed\n")
    sealed = world.seal(workspace, claim=made)
    assert kinds(sealed) == {"made.txt": ChangeKind.ADDED, "rest.txt": ChangeKind.ADDED}
    assert (sealed.claim, sealed.agent_commits) == ("good", 1)
    candidate = world.merge(base, sealed.commit)
    assert isinstance(candidate, Candidate)
    assert world.land(RUN, base, candidate.commit) == Landed(commit=candidate.commit)
    agent.write("more.txt", "m\n")
    assert world.rescue(workspace)
    world.release(workspace)
    checked = world.acquire(candidate.commit, branch="check")
    assert (checked.path / "rest.txt").read_text() == "not committed\n"
    world.release(checked)


def at(world: World, path: Path, tmp_path: Path) -> World:
    return World(Repo(path=path, environ=world.repo.environ), tmp_path / "pool-of-kind", world.runner)


def test_a_plain_repository(world: World):
    whole_task(world)
    world.repo.git("fsck", "--strict")
    assert world.repo.git("status", "--porcelain") == ""


def test_from_a_folder_inside(world: World, tmp_path):
    inside = at(world, world.repo.path / "src", tmp_path)
    assert inside.repository.root == world.repo.path
    whole_task(inside)


def test_a_bare_repository(world: World, repo, tmp_path):
    repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "bare.git"))
    bare = at(world, tmp_path / "bare.git", tmp_path)
    assert bare.repository.root is None
    whole_task(bare)
    snapshot = bare.run(CheckoutWatch(repository=bare.repository).snapshot())
    assert "refs/heads/main" in snapshot.checkout


def test_a_linked_worktree(world: World, repo, tmp_path):
    repo.git("worktree", "add", "-q", "-b", "feature", str(tmp_path / "linked"))
    linked = at(world, tmp_path / "linked", tmp_path)
    assert linked.repository.common_dir == repo.path / ".git"
    (tmp_path / "linked" / "README.md").write_text("dirty\n")
    whole_task(linked)
    snapshot = linked.run(CheckoutWatch(repository=linked.repository).snapshot())
    assert snapshot.checkout["HEAD"] == "feature"
    assert "README.md" in snapshot.checkout
    (tmp_path / "linked" / "README.md").write_text("A project.\n")
    accepted = linked.run(accept(linked.repository, RUN, "feature", message="x\n"))
    assert isinstance(accepted, Accepted)
    assert accepted.checkout == tmp_path / "linked"


def test_a_shallow_clone(world: World, repo, tmp_path):
    for n in range(3):
        repo.commit(f"c{n}", **{f"f{n}": "x\n"})
    repo.git("clone", "-q", "--depth=1", f"file://{repo.path}", str(tmp_path / "shallow"))
    shallow = at(world, tmp_path / "shallow", tmp_path)
    whole_task(shallow)
    workspace = shallow.acquire()
    assert Agent(workspace, dict(repo.environ)).git("log", "--format=%s") == "c2"


@pytest.fixture
def partial(world: World, repo, tmp_path) -> World:
    """A clone without the blobs, nothing checked out."""
    repo.write("deep/er/file.txt", "d\n")
    repo.commit("deep")
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    path = tmp_path / "partial"
    repo.git("clone", "-q", "--no-checkout", "--filter=tree:0", f"file://{repo.path}", str(path))
    return at(world, path, tmp_path)


def test_a_partial_clone_is_completed_once(partial: World):
    whole_task(partial)
    partial.repo.git("remote", "remove", "origin")
    assert (partial.acquire(branch="again").path / "deep" / "er" / "file.txt").exists()


def test_a_partial_clone_whose_origin_is_gone_is_refused(partial: World, repo, tmp_path):
    repo.path.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="partial clone") as refused:
        partial.acquire("HEAD")
    assert "online" in refused.value.hint


def test_a_repository_with_sha256_objects(tmp_path, git_environment):
    made = Repo(path=tmp_path / "sha256", environ=git_environment).init("--object-format=sha256")
    made.write("README.md", "A project.\n")
    made.commit("base")
    with asyncio.Runner() as runner:
        world = World(made, tmp_path / "pool", runner)
        whole_task(world)
        workspace = world.acquire()
        (workspace.path / "README.md").unlink()
        (workspace.path / "README.md").mkdir()
        assert kinds(world.seal(workspace)) == {"README.md": ChangeKind.DELETED}


def test_a_repository_that_borrows_objects(world: World, repo, tmp_path):
    repo.git("clone", "-q", "--shared", str(repo.path), str(tmp_path / "borrower"))
    borrower = at(world, tmp_path / "borrower", tmp_path)
    stores = borrower.repository.object_stores()
    assert stores == (tmp_path / "borrower" / ".git" / "objects", repo.path / ".git" / "objects")
    whole_task(borrower)


def test_a_repository_in_a_folder_with_an_odd_name(world: World, repo, tmp_path):
    odd = tmp_path / 'sp ace:co"lon'
    repo.git("clone", "-q", str(repo.path), str(odd))
    whole_task(World(Repo(path=odd, environ=repo.environ), tmp_path / "po ol:x", world.runner))


def test_a_detached_head(world: World, repo):
    repo.git("checkout", "-q", "--detach")
    whole_task(world)


def test_packed_refs_and_objects(world: World, repo):
    repo.git("pack-refs", "--all")
    repo.git("gc", "-q")
    whole_task(world)


def test_a_repository_without_a_commit_is_refused(tmp_path, git_environment, run):
    empty = Repo(path=tmp_path / "empty", environ=git_environment).init()
    with pytest.raises(UserError, match="no commit yet") as refused:
        run(Repository.discover(empty.path, git_environment))
    assert "git commit" in refused.value.hint


def test_an_unborn_branch_needs_a_base(world: World, repo):
    repo.git("checkout", "-q", "--orphan", "new")
    found = world.run(Repository.discover(repo.path, repo.environ))
    with pytest.raises(UserError, match="names no commit"):
        world.run(found.resolve("HEAD"))
    assert world.run(found.resolve("main")) == repo.head("main")


def test_what_is_no_repository_is_refused(tmp_path, git_environment, run):
    with pytest.raises(UserError, match="not in a usable git repository"):
        run(Repository.discover(tmp_path, git_environment))
    with pytest.raises(UserError, match="not a directory"):
        run(Repository.discover(tmp_path / "nowhere", git_environment))


def test_a_missing_or_old_git_is_refused(world: World, repo, tmp_path):
    with pytest.raises(UserError, match="could not be run"):
        world.run(Repository.discover(repo.path, {"PATH": str(tmp_path / "none")}))
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho git version 2.37.9\n")
    old.chmod(0o755)
    with pytest.raises(UserError, match=r"2\.38 or later") as refused:
        world.run(Repository.discover(repo.path, {"PATH": str(old.parent)}))
    assert refused.value.code == "git_too_old"


def test_names_of_commits(world: World, repo):
    first = repo.head()
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.commit("second", note="n\n")
    for rev in ("v1", first[:9], "HEAD~1", "main^", "refs/tags/v1"):
        assert world.run(world.repository.resolve(rev)) == first
    for rev in ("nope", "--all", "-n1", "HEAD:README.md", "HEAD^{tree}", ""):
        with pytest.raises(UserError, match="names no commit"):
            world.run(world.repository.resolve(rev))


def test_variables_of_a_surrounding_git_are_dropped(world: World, repo, tmp_path):
    """Started from a hook, git's own variables point elsewhere; ours must not follow them."""
    environ = {**repo.environ, "GIT_DIR": str(tmp_path), "GIT_INDEX_FILE": str(tmp_path / "i"), "GIT_WORK_TREE": "/"}
    found = world.run(Repository.discover(repo.path, environ))
    assert found.git_dir == repo.path / ".git"
    assert world.run(found.resolve("HEAD")) == repo.head()
