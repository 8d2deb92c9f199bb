"""Large files of git LFS, without its program: content in workspaces, pointers in commits (ARCHITECTURE 3.2)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import ChangeKind
from tests.e2e.gitworld import REF, Agent, World, kinds
from tests.repos import Repo

A, M, D = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED


def pointer(content: bytes) -> str:
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"


def stored(repo: Repo, content: bytes) -> Path:
    oid = hashlib.sha256(content).hexdigest()
    return repo.path / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid


def store(repo: Repo, content: bytes) -> None:
    file = stored(repo, content)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


@pytest.fixture
def world(repo: Repo, tmp_path: Path, runner):
    """A repository whose `*.bin` are kept by LFS: two of them, one executable."""
    repo.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    repo.write("art/one.bin", pointer(b"one" * 1000))
    repo.write("two.bin", pointer(b"two\r\n\0" * 10), mode=0o755)
    repo.write("empty.bin", "")
    repo.commit("large files")
    store(repo, b"one" * 1000)
    store(repo, b"two\r\n\0" * 10)
    return World(repo, tmp_path / "pool", runner)


def test_content_is_checked_out_and_nobody_calls_it_changed(world: World):
    workspace = world.acquire()
    assert (workspace.path / "art/one.bin").read_bytes() == b"one" * 1000
    assert (workspace.path / "two.bin").read_bytes() == b"two\r\n\0" * 10
    assert (workspace.path / "two.bin").stat().st_mode & 0o111
    assert Agent(workspace, dict(world.repo.environ)).git("status", "--porcelain") == ""
    sealed = world.seal(workspace)
    assert (sealed.changes, sealed.commit) == ((), workspace.commit)
    assert world.rescue(workspace) is None


def test_an_agent_cannot_write_through_to_the_users_content(world: World):
    """I1: the workspace has copies, never hard links."""
    workspace = world.acquire()
    with (workspace.path / "art/one.bin").open("r+b") as file:
        file.write(b"XXX")
    assert stored(world.repo, b"one" * 1000).read_bytes() == b"one" * 1000


def test_changed_content_becomes_a_pointer_and_is_stored(world: World):
    workspace = world.acquire()
    agent = Agent(workspace, dict(world.repo.environ))
    agent.write("art/one.bin", b"changed" * 50)
    agent.write("new.bin", b"new" * 50)
    (agent.path / "two.bin").unlink()
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"art/one.bin": M, "new.bin": A, "two.bin": D}
    assert world.repo.files(REF)["art/one.bin"] == pointer(b"changed" * 50).rstrip("\n")
    assert world.repo.files(REF)["new.bin"] == pointer(b"new" * 50).rstrip("\n")
    assert stored(world.repo, b"new" * 50).read_bytes() == b"new" * 50
    world.release(workspace)
    again = world.acquire(sealed.commit)
    assert (again.path / "new.bin").read_bytes() == b"new" * 50
    assert (again.path / "art/one.bin").read_bytes() == b"changed" * 50
    assert world.seal(again).changes == ()


def test_content_that_an_agent_committed_becomes_a_pointer(world: World):
    workspace = world.acquire()
    agent = Agent(workspace, dict(world.repo.environ))
    agent.write("new.bin", b"new" * 50)
    agent.write("code.py", "x = 1\n")
    agent.git("update-index", "--no-assume-unchanged", "art/one.bin")
    agent.write("art/one.bin", b"changed" * 50)
    agent.commit("raw content")
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"art/one.bin": M, "new.bin": A, "code.py": A}
    assert world.repo.files(REF)["new.bin"] == pointer(b"new" * 50).rstrip("\n")
    assert world.repo.files(REF)["art/one.bin"] == pointer(b"changed" * 50).rstrip("\n")


def test_a_touched_file_and_a_pointer_written_by_hand_are_no_trouble(world: World):
    workspace = world.acquire()
    agent = Agent(workspace, dict(world.repo.environ))
    agent.write("art/one.bin", b"one" * 1000)
    assert world.seal(workspace).changes == ()
    agent.write("art/one.bin", pointer(b"elsewhere"))
    assert kinds(world.seal(workspace)) == {"art/one.bin": M}
    assert world.repo.files(REF)["art/one.bin"] == pointer(b"elsewhere").rstrip("\n")


def test_a_rescue_keeps_large_files(world: World):
    workspace = world.acquire()
    Agent(workspace, dict(world.repo.environ)).write("art/one.bin", b"precious")
    ref = world.rescue(workspace)
    assert ref is not None
    assert world.repo.files(ref)["art/one.bin"] == pointer(b"precious").rstrip("\n")
    assert stored(world.repo, b"precious").read_bytes() == b"precious"


def test_missing_content_is_a_clear_error(world: World):
    stored(world.repo, b"one" * 1000).unlink()
    with pytest.raises(AdapterError, match=r"content of art/one\.bin is not in .*git lfs fetch"):
        world.acquire()


def test_recycling_keeps_content_right(world: World):
    first = world.acquire()
    agent = Agent(first, dict(world.repo.environ))
    agent.write("art/one.bin", b"scribble")
    agent.write("README.md", "x\n")
    world.release(first)
    again = world.acquire(branch="next")
    assert (again.path / "art/one.bin").read_bytes() == b"one" * 1000
    assert world.seal(again).changes == ()


def test_without_lfs_storage_pointers_stay_pointers(repo: Repo, tmp_path: Path, runner):
    repo.write(".gitattributes", "*.bin filter=lfs\n")
    repo.write("one.bin", pointer(b"one"))
    repo.commit("pointers only")
    world = World(repo, tmp_path / "pool", runner)
    workspace = world.acquire()
    assert (workspace.path / "one.bin").read_text() == pointer(b"one")
    assert world.seal(workspace).changes == ()
