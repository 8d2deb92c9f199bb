"""Pooled checkouts: clean, exclusive, recycled, and apart from the user's repository (ARCHITECTURE 3.2)."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chargehand.adapters.rescues import list_rescues
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import Candidate
from chargehand.ports import Workspace
from tests.e2e.gitworld import REF, Agent, World, kinds

HOLD = """
import asyncio, os, sys
from pathlib import Path
from chargehand.adapters.git import Repository
from chargehand.adapters.workspaces import GitWorkspaces

async def main():
    repository = await Repository.discover(Path(sys.argv[1]), dict(os.environ))
    workspaces = GitWorkspaces(repository, Path(sys.argv[2]))
    base = await repository.resolve("HEAD")
    held = await asyncio.gather(*(workspaces.acquire(base, branch=f"b{n}") for n in range(3)))
    print(*sorted(workspace.slot for workspace in held), flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""


def listing(workspace) -> set[str]:
    root = workspace.path
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if ".git" not in path.relative_to(root).parts}


def test_a_workspace_is_a_clean_repository_of_its_own(world: World, repo):
    repo.git("tag", "-a", "v1", "-m", "one")
    workspace = world.acquire(branch="chargehand/run/model")
    agent = Agent(workspace, {**repo.environ})
    assert agent.git("status", "--porcelain", "--branch") == "## chargehand/run/model"
    assert agent.git("rev-parse", "HEAD") == workspace.commit == repo.head()
    assert agent.git("describe", "--tags") == "v1"
    assert agent.git("config", "user.name") == "Uma User"
    assert agent.git("remote") == ""
    assert listing(workspace) == {"README.md", "src", "src/app.py"}
    agent.git("fsck", "--strict")


def test_an_agents_git_cannot_reach_the_users_refs(world: World, repo):
    """I1: nothing an agent does with git shows in the user's repository before it is sealed."""
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    before = repo.git("for-each-ref"), repo.git("status", "--porcelain")
    agent.write("a.txt", "a\n")
    agent.commit("a")
    agent.git("tag", "mine")
    agent.git("branch", "-f", "main", "HEAD")
    agent.git("gc", "-q", "--prune=now")
    agent.git("stash", "list")
    assert (repo.git("for-each-ref"), repo.git("status", "--porcelain")) == before


def test_an_identity_is_made_up_where_there_is_none(world: World, repo, tmp_path):
    repo.git("config", "--unset", "user.email")
    fresh = World(repo, tmp_path / "pool2", world.runner)
    assert fresh.workspaces.identity.environment()["GIT_AUTHOR_EMAIL"] == "chargehand@localhost"
    assert Agent(fresh.acquire(), dict(repo.environ)).git("config", "user.name") == "Chargehand"


def test_two_attempts_never_share_a_slot(world: World):
    held = [world.acquire(branch=f"b{n}") for n in range(3)]
    assert sorted(workspace.slot for workspace in held) == ["s1", "s2", "s3"]
    world.release(held[1])
    assert world.acquire(branch="again").slot == "s2"


def test_concurrent_acquires_get_different_slots(world: World):
    base = world.repo.head()

    async def many() -> list[Workspace]:
        return await asyncio.gather(*(world.workspaces.acquire(base, branch=f"b{n}") for n in range(6)))

    assert len({workspace.path for workspace in world.run(many())}) == 6


def test_two_processes_get_different_slots(world: World, repo):
    start = [sys.executable, "-c", HOLD, str(repo.path), str(world.pool)]
    others = [
        subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(repo.environ))
        for _ in range(2)
    ]
    try:
        taken = [slot for other in others if other.stdout for slot in other.stdout.readline().split()]
        mine = world.acquire().slot
        assert len({*taken, mine}) == 7
    finally:
        for other in others:
            other.communicate("\n")


def test_releasing_twice_is_harmless(world: World):
    workspace = world.acquire()
    world.release(workspace)
    world.release(workspace)
    taken = world.acquire(branch="other")
    assert taken.slot == workspace.slot


def test_a_slot_in_use_by_another_process_cannot_be_sealed(world: World, repo):
    workspace = world.acquire()
    other = World(repo, world.pool, world.runner)
    with pytest.raises(AdapterError, match="in use by another process"):
        other.seal(workspace)


def test_recycling_leaves_exactly_the_commit(world: World, repo):
    first = repo.head()
    repo.git("rm", "-q", "README.md")
    repo.write("src/deep/er/file.txt", "x\n")
    repo.write(".gitignore", "*.o\n")
    second = repo.commit("second")
    workspace = world.acquire(second)
    agent = Agent(workspace, dict(repo.environ))
    for path in ("src/app.py", "src/x.o", "src/deep/er/y.o", "new/x", "-odd", "ünï"):
        agent.write(path, "changed\n")
    (agent.path / "src" / "deep" / "er" / "file.txt").unlink()
    agent.git("update-index", "--skip-worktree", "src/app.py")
    world.release(workspace)
    back = world.acquire(first)
    assert (back.path, listing(back)) == (workspace.path, {"README.md", "src", "src/app.py"})
    assert (back.path / "src" / "app.py").read_text() == "def run():\n    return 1\n"
    assert world.seal(back).changes == ()


def test_what_setup_keeps_survives_and_is_not_sealed(world: World):
    workspace = world.acquire(keep=[".cache-of-setup", "vendor/*.lock"])
    agent = Agent(workspace, dict(world.repo.environ))
    agent.write(".cache-of-setup/bin/tool", "t")
    agent.write("vendor/a.lock", "l")
    agent.write("vendor/b.txt", "b")
    assert list(kinds(world.seal(workspace))) == ["vendor/b.txt"]
    world.release(workspace)
    again = world.acquire(keep=[".cache-of-setup", "vendor/*.lock"], branch="next")
    assert {".cache-of-setup/bin/tool", "vendor/a.lock"} < listing(again)
    assert "vendor/b.txt" not in listing(again)
    world.release(again)
    assert ".cache-of-setup" not in listing(world.acquire(branch="last"))


@pytest.mark.parametrize("ruin", ["work", "git", "index", "both", "file", "link", "lock"])
def test_a_ruined_slot_is_made_anew(world: World, tmp_path: Path, ruin):
    workspace = world.acquire()
    world.release(workspace)
    home = workspace.path.parent
    if ruin in ("work", "both", "file", "link"):
        shutil.rmtree(workspace.path)
    if ruin in ("git", "both"):
        shutil.rmtree(home / "git")
    if ruin == "index":
        (home / "git" / "index").write_bytes(os.urandom(2000))
    if ruin == "file":
        workspace.path.write_text("a file\n")
    if ruin == "link":
        (tmp_path / "victim").mkdir()
        (tmp_path / "victim" / "keep.txt").write_text("k")
        workspace.path.symlink_to(tmp_path / "victim")
    if ruin == "lock":
        (home / "git" / "index.lock").write_text("")
    again = world.acquire(branch="next")
    assert listing(again) == {"README.md", "src", "src/app.py"}
    assert Agent(again, dict(world.repo.environ)).git("status", "--porcelain") == ""
    assert ruin != "link" or (tmp_path / "victim" / "keep.txt").exists()


def test_a_commit_that_does_not_exist_is_an_error_and_costs_no_slot(world: World):
    with pytest.raises(AdapterError):
        world.acquire("f" * 40)
    assert world.acquire().slot == "s1"


def test_a_workspace_that_is_gone_cannot_be_sealed(world: World):
    workspace = world.acquire()
    shutil.rmtree(workspace.path)
    with pytest.raises(AdapterError, match="is gone"):
        world.seal(workspace)
    world.release(workspace)
    assert listing(world.acquire(branch="next")) == {"README.md", "src", "src/app.py"}


def test_the_users_excludes_apply_and_stay_out_of_sight_of_the_agent(world: World, repo, tmp_path):
    repo.write(".git/info/exclude", "*.mine\n")
    ignore = tmp_path / "global-ignore"
    ignore.write_text("*.swp")
    repo.git("config", "core.excludesFile", str(ignore))
    fresh = World(repo, tmp_path / "pool2", world.runner)
    workspace = fresh.acquire()
    for name in ("a.mine", "b.swp", "c.txt"):
        (workspace.path / name).write_text("x")
    assert list(kinds(fresh.seal(workspace))) == ["c.txt"]
    assert Agent(workspace, dict(repo.environ)).git("status", "--porcelain") == "?? c.txt"


def test_a_gc_between_attempts_does_no_harm(world: World, repo):
    workspace = world.acquire()
    (workspace.path / "a.txt").write_text("a\n")
    world.seal(workspace)
    world.release(workspace)
    repo.git("update-ref", "-d", REF)
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    again = world.acquire(branch="next")
    (again.path / "b.txt").write_text("b\n")
    assert list(kinds(world.seal(again))) == ["b.txt"]
    repo.git("fsck", "--strict")


def test_reading_and_patching(world: World, repo, tmp_path):
    base = repo.head()
    repo.write("new\nline.txt", "odd\n")
    repo.write("big.txt", "0123456789" * 1000)
    repo.write("binary.bin", b"\0\1")
    repo.write("latin.txt", b"caf\xe9\n")
    head = repo.commit("more")
    paths = [
        "new\nline.txt",
        "src",
        "src/app.py",
        "binary.bin",
        "nope",
        "no\npe",
        "big.txt",
        "latin.txt",
        "-x",
        "",
        "./README.md",
        "../x",
        "/etc",
    ]
    texts = world.run(world.workspaces.read(head, paths, 100))
    assert texts == {
        "new\nline.txt": "odd\n",
        "src/app.py": "def run():\n    return 1\n",
        "big.txt": ("0123456789" * 10),
        "latin.txt": "caf\ufffd\n",
    }
    assert world.run(world.workspaces.read(base, ["big.txt"], 100)) == {}
    world.run(world.workspaces.patch(base, head, tmp_path / "patch", 100_000))
    text = (tmp_path / "patch").read_text("utf-8", "replace")
    assert "diff --git a/big.txt b/big.txt" in text
    assert "Binary files" in text
    world.run(world.workspaces.patch(base, head, tmp_path / "patch", 120))
    assert (tmp_path / "patch").stat().st_size <= 120


def test_a_huge_difference_is_summarised(world: World, repo, tmp_path):
    base = repo.head()
    repo.write("huge.txt", ("x" * 99 + "\n") * 200_000)
    head = repo.commit("huge")
    world.run(world.workspaces.patch(base, head, tmp_path / "patch", 1000))
    text = (tmp_path / "patch").read_text()
    assert "too large" in text
    assert "huge.txt" in text


def test_a_bottomless_folder_is_removed(world: World):
    workspace = world.acquire()
    here = os.open(workspace.path, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("deep", dir_fd=here)
        there = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)
    (workspace.path / "a.txt").write_text("a\n")
    assert world.repo.files(str(world.rescue(workspace)))["a.txt"] == "a"
    world.release(workspace)
    assert listing(world.acquire(branch="next")) == {"README.md", "src", "src/app.py"}
    assert not any((world.pool / "trash").rglob("deep"))


def test_what_cannot_be_rescued_is_set_aside(world: World, repo):
    """I2: a slot with work in it is never overwritten, even when its rescue fails."""
    workspace = world.acquire()
    (workspace.path / "precious.txt").write_text("p\n")
    world.workspaces._held.pop(workspace.slot).give_back()
    shutil.rmtree(workspace.path.parent / "git")
    again = World(repo, world.pool, world.runner).acquire(branch="next")
    assert again.slot == workspace.slot
    assert [path.read_text() for path in (world.pool / "kept").rglob("precious.txt")] == ["p\n"]


def test_what_a_gate_left_is_not_rescued(world: World, repo, tmp_path):
    gates = GitWorkspaces(world.repository, tmp_path / "gates", precious=False)
    base = repo.head()
    workspace = world.run(gates.acquire(base, branch="gate"))
    (workspace.path / "output.txt").write_text("o\n")
    gates._held.pop(workspace.slot).give_back()
    again = GitWorkspaces(world.repository, tmp_path / "gates", precious=False)
    assert not (world.run(again.acquire(base, branch="gate")).path / "output.txt").exists()
    assert repo.git("for-each-ref", "refs/chargehand") == ""


@pytest.mark.parametrize("task", ["a..b", "x.lock", "...", "ends.", "v1.2"])
def test_any_id_of_a_task_makes_a_ref(world: World, repo, task):
    workspace = world.acquire(branch=f"chargehand/run/{task}")
    agent = Agent(workspace, dict(repo.environ))
    agent.write("a.txt", "a\n")
    head = agent.commit("a")
    ref = f"refs/chargehand/attempts/run/{task}/1"
    assert world.seal(workspace, ref=ref).commit == head
    assert world.run(world.repository.ref(ref)) == head
    assert world.rescue(workspace, f"refs/chargehand/rescue/run/{task}")
    candidate = world.merge(workspace.commit, head, f"refs/chargehand/candidates/run/{task}/1")
    assert isinstance(candidate, Candidate)
    assert world.run(world.repository.ref(f"refs/chargehand/candidates/run/{task}/1")) == candidate.commit
    assert len(world.run(list_rescues(world.repository, "run"))) == 1
