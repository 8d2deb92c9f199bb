"""Submodules in a workspace: what the user has is there, what an agent did to them is seen (ARCHITECTURE 3.2)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import Candidate, ChangeKind
from tests.e2e.gitworld import REF, Agent, World, kinds
from tests.repos import Repo

FILE = ("-c", "protocol.file.allow=always")


@pytest.fixture
def library(tmp_path: Path, git_environment) -> Repo:
    """A library with a submodule of its own."""
    inner = Repo(path=tmp_path / "inner", environ=git_environment).init()
    inner.write("inner.txt", "i\n")
    inner.commit("inner")
    made = Repo(path=tmp_path / "library", environ=git_environment).init()
    made.write("lib.py", "LIB = 1\n")
    made.git(*FILE, "submodule", "add", "-q", str(inner.path), "in ner")
    made.commit("library")
    return made


@pytest.fixture
def world(repo: Repo, library: Repo, tmp_path: Path, runner):
    """The repository with the library at `vendor/lib`, filled as the user has it."""
    repo.git(*FILE, "submodule", "add", "-q", "--name", "the/library", str(library.path), "vendor/lib")
    repo.git(*FILE, "submodule", "update", "-q", "--init", "--recursive")
    repo.commit("with a submodule")
    return World(repo, tmp_path / "pool", runner)


def link(repo: Repo, rev: str) -> str:
    return repo.git("rev-parse", f"{rev}:vendor/lib")


def test_submodules_are_filled_from_what_the_user_has(world: World, library: Repo):
    shutil.rmtree(library.path)
    workspace = world.acquire()
    agent = Agent(workspace, dict(world.repo.environ))
    assert (workspace.path / "vendor/lib/lib.py").read_text() == "LIB = 1\n"
    assert (workspace.path / "vendor/lib/in ner/inner.txt").read_text() == "i\n"
    assert agent.git("status", "--porcelain") == ""
    assert agent.git("submodule", "status", "--recursive").split()[0] == link(world.repo, "HEAD")
    assert agent.git("log", "--format=%s", cwd=workspace.path / "vendor/lib") == "library"
    assert world.seal(workspace).changes == ()
    stores = world.repository.object_stores()
    assert [store.relative_to(world.repo.path / ".git").as_posix() for store in stores] == [
        "objects",
        "modules/the/library/objects",
        "modules/the/library/modules/in ner/objects",
        "chargehand/modules",
    ]


def test_uncommitted_work_in_a_submodule_is_sealed(world: World):
    """I2: it is committed in the submodule's own repository, and the result points there."""
    workspace = world.acquire()
    Agent(workspace, dict(world.repo.environ)).write("vendor/lib/lib.py", "LIB = 2\n")
    Agent(workspace, dict(world.repo.environ)).write("vendor/lib/in ner/new.txt", "n\n")
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"vendor/lib": ChangeKind.SUBMODULE}
    module = Repo(path=world.repo.path / "vendor/lib", environ=world.repo.environ)
    commit = link(world.repo, REF)
    assert module.git("show", f"{commit}:lib.py") == "LIB = 2"
    assert module.head(REF) == commit
    deeper = Repo(path=module.path / "in ner", environ=world.repo.environ)
    assert deeper.files(module.git("rev-parse", f"{commit}:in ner"))["new.txt"] == "n"


def test_a_commit_in_a_submodule_and_its_use_are_kept(world: World):
    workspace = world.acquire()
    agent = Agent(workspace, dict(world.repo.environ))
    agent.write("vendor/lib/lib.py", "LIB = 3\n")
    agent.git("commit", "-q", "-a", "-m", "three", cwd=workspace.path / "vendor/lib")
    inner = agent.git("rev-parse", "HEAD", cwd=workspace.path / "vendor/lib")
    outer = agent.commit("use it")
    sealed = world.seal(workspace)
    assert (sealed.commit, kinds(sealed)) == (outer, {"vendor/lib": ChangeKind.SUBMODULE})
    assert link(world.repo, REF) == inner
    assert Repo(path=world.repo.path / "vendor/lib", environ=world.repo.environ).head(REF) == inner


def test_the_result_can_be_checked_out_again(world: World):
    workspace = world.acquire()
    (workspace.path / "vendor/lib/lib.py").write_text("LIB = 4\n")
    base = workspace.commit
    sealed = world.seal(workspace)
    candidate = world.merge(base, sealed.commit)
    assert isinstance(candidate, Candidate)
    world.release(workspace)
    again = world.acquire(candidate.commit)
    assert (again.path / "vendor/lib/lib.py").read_text() == "LIB = 4\n"
    world.release(again)
    back = world.acquire(base)
    assert (back.path / "vendor/lib/lib.py").read_text() == "LIB = 1\n"
    assert world.seal(back).changes == ()


def test_a_removed_submodule_is_seen(world: World):
    workspace = world.acquire()
    Agent(workspace, dict(world.repo.environ)).git("rm", "-q", "-f", "vendor/lib")
    assert kinds(world.seal(workspace)) == {
        ".gitmodules": ChangeKind.MODIFIED,
        "vendor/lib": ChangeKind.SUBMODULE,
    }
    world.release(workspace)
    assert (world.acquire().path / "vendor/lib/in ner/inner.txt").exists()


def test_rescue_reaches_into_submodules(world: World):
    workspace = world.acquire()
    (workspace.path / "vendor/lib/precious.txt").write_text("p\n")
    ref = world.rescue(workspace)
    assert ref is not None
    module = Repo(path=world.repo.path / "vendor/lib", environ=world.repo.environ)
    assert module.git("show", f"{link(world.repo, ref)}:precious.txt") == "p"


def test_a_submodule_that_cannot_be_rescued_does_not_keep_the_rest_from_it(world: World):
    """I2: what could be kept is kept, and the error says that the workspace has to stay."""
    workspace = world.acquire()
    (workspace.path / "vendor/lib/precious.txt").write_text("p\n")
    (workspace.path / "outer.txt").write_text("o\n")
    (folder,) = (workspace.path.parent / "git" / "modules").iterdir()
    shutil.rmtree(folder)
    with pytest.raises(AdapterError):
        world.rescue(workspace)
    assert world.repo.git("show", "refs/chargehand/rescue/run/task/1:outer.txt") == "o"
    assert (workspace.path / "vendor/lib/precious.txt").exists()


def test_nothing_planted_in_a_submodule_runs(world: World, tmp_path: Path):
    """I8."""
    sentinel = tmp_path / "ran"
    workspace = world.acquire()
    agent = Agent(workspace, dict(world.repo.environ))
    inside = workspace.path / "vendor/lib"
    for key in ("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "core.fsmonitor", "diff.external"):
        agent.git("config", key, f"touch {sentinel}; cat", cwd=inside)
    hook = agent.write("vendor/lib/.git/hooks/post-checkout", f"#!/bin/sh\ntouch {sentinel}\n")
    hook.chmod(0o755)
    agent.write("vendor/lib/.gitattributes", "* filter=evil diff=evil\n")
    agent.write("vendor/lib/lib.py", "LIB = 5\n")
    agent.write("vendor/lib/new.py", "x\n")
    world.seal(workspace)
    world.rescue(workspace)
    world.release(workspace)
    world.acquire()
    assert not sentinel.exists()


@pytest.mark.parametrize("ruin", ["gone", "file", "garbage"])
def test_a_ruined_submodule_loses_no_file(world: World, ruin):
    workspace = world.acquire()
    git_dir = workspace.path / "vendor/lib/.git"
    (workspace.path / "vendor/lib/lib.py").write_text("LIB = 6\n")
    if ruin == "garbage":
        (git_dir / "HEAD").write_text("nonsense")
    else:
        shutil.rmtree(git_dir)
    if ruin == "file":
        git_dir.write_text("gitdir: /etc\n")
    assert kinds(world.seal(workspace)) == {"vendor/lib": ChangeKind.SUBMODULE}
    world.release(workspace)
    again = world.acquire()
    assert Agent(again, dict(world.repo.environ)).git("status", "--porcelain") == ""


def test_a_submodule_the_user_has_not_filled_is_empty(world: World, tmp_path: Path):
    clone = tmp_path / "clone"
    world.repo.git("clone", "-q", str(world.repo.path), str(clone))
    second = World(Repo(path=clone, environ=world.repo.environ), tmp_path / "pool2", world.runner)
    workspace = second.acquire()
    assert list((workspace.path / "vendor/lib").iterdir()) == []
    (workspace.path / "vendor/lib/planted.txt").write_text("x\n")
    assert second.seal(workspace).changes == ()
    second.release(workspace)
    assert list((second.acquire().path / "vendor/lib").iterdir()) == []


def test_a_registered_submodule_is_fetched_once(world: World, library: Repo, tmp_path: Path):
    clone = tmp_path / "clone"
    world.repo.git("clone", "-q", str(world.repo.path), str(clone))
    world.repo.git("submodule", "init", "-q", cwd=clone)
    second = World(Repo(path=clone, environ=world.repo.environ), tmp_path / "pool2", world.runner)
    workspace = second.acquire()
    assert (workspace.path / "vendor/lib/lib.py").exists()
    second.release(workspace)
    library.path.rename(tmp_path / "offline")
    assert (second.acquire().path / "vendor/lib/lib.py").exists()


def test_a_registered_submodule_that_cannot_be_had_is_an_error(world: World, library: Repo, tmp_path: Path):
    clone = tmp_path / "clone"
    world.repo.git("clone", "-q", str(world.repo.path), str(clone))
    world.repo.git("submodule", "init", "-q", cwd=clone)
    world.repo.git("config", "submodule.the/library.url", "https://me:token@127.0.0.1:9/lib.git", cwd=clone)
    second = World(Repo(path=clone, environ=world.repo.environ), tmp_path / "pool2", world.runner)
    with pytest.raises(AdapterError, match="cannot be fetched") as refused:
        second.acquire()
    assert "token" not in str(refused.value)


def test_a_bare_repository_fetches_what_its_own_head_names(world: World, tmp_path: Path):
    """An address in `.gitmodules` of another commit may be an agent's, and is not used."""
    bare = tmp_path / "bare.git"
    world.repo.git("clone", "-q", "--bare", str(world.repo.path), str(bare))
    second = World(Repo(path=bare, environ=world.repo.environ), tmp_path / "pool2", world.runner)
    workspace = second.acquire()
    assert (workspace.path / "vendor/lib/lib.py").exists()
    text = (workspace.path / ".gitmodules").read_text().replace("library", "elsewhere")
    (workspace.path / ".gitmodules").write_text(text)
    sealed = second.seal(workspace)
    second.release(workspace)
    assert list((second.acquire(sealed.commit).path / "vendor/lib").iterdir()) == []
