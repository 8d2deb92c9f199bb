"""What is answered without starting git is what git would have answered, or git is asked after all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chargehand.adapters.git import Repository
from chargehand.adapters.git.index_tree import tree_of_index
from chargehand.adapters.git.layout import Layout, Layouts, layout_of, planted
from chargehand.adapters.git.loose_refs import can_write, write_loose
from chargehand.adapters.git.raw import Raw
from chargehand.domain.outcome import Candidate, ChangeKind
from tests.e2e.gitworld import Agent, World, kinds
from tests.repos import Repo

ZERO = "0" * 40
REF = "refs/chargehand/attempts/run/task/1"


@pytest.fixture
def world(repo: Repo, tmp_path: Path, runner) -> World:
    return World(repo, tmp_path / "pool", runner)


def raw(path: bytes, *, old: str = "000000", new: str = "100644") -> Raw:
    return Raw(old_mode=old, new_mode=new, old=ZERO, new=ZERO, path=path)


# -- refs


def test_a_ref_written_here_is_one_that_git_reads_and_may_pack(repo: Repo, runner):
    repository = runner.run(Repository.discover(repo.path, repo.environ))
    first, second = repo.head(), repo.commit("more", a="1")
    assert runner.run(repository.set_ref(REF, first))
    repo.git("pack-refs", "--all")
    assert runner.run(repository.set_ref(REF, second))
    assert repo.git("rev-parse", REF) == second
    assert repo.git("fsck", "--strict") == ""
    assert not list(Path(repo.path, ".git", "refs").rglob("*.lock"))


def test_where_somebody_holds_the_lock_git_says_so(repo: Repo, runner):
    repository = runner.run(Repository.discover(repo.path, repo.environ))
    runner.run(repository.set_ref(REF, repo.head()))
    lock = repository.common_dir / f"{REF}.lock"
    lock.touch()
    with pytest.raises(Exception, match=r"lock .* is in the way") as caught:
        runner.run(repository.set_ref(REF, repo.head()))
    assert getattr(caught.value, "retryable", False)
    assert lock.exists()


def test_a_link_planted_among_the_refs_is_not_written_through(repo: Repo, tmp_path: Path):
    """I1: an agent without a sandbox may have put it there."""
    common = repo.path / ".git"
    (tmp_path / "elsewhere").mkdir()
    (common / "refs/chargehand").mkdir(parents=True)
    (common / "refs/chargehand/attempts").symlink_to(tmp_path / "elsewhere")
    assert not write_loose(common, REF, repo.head())
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("planted_there", ["symbolic", "pipe", "folder"])
def test_what_is_no_plain_ref_is_left_to_git(repo: Repo, planted_there: str):
    common = repo.path / ".git"
    (common / REF).parent.mkdir(parents=True)
    if planted_there == "symbolic":
        (common / REF).write_text("ref: refs/heads/main\n")
    elif planted_there == "pipe":
        os.mkfifo(common / REF)
    else:
        (common / REF).mkdir()
    before = repo.head()
    assert not write_loose(common, REF, ZERO)
    assert repo.head() == before


def test_branches_and_unusual_stores_are_left_to_git():
    assert can_write(REF, {})
    assert not can_write("refs/heads/chargehand/run", {})
    assert not can_write("refs/chargehand/rescue/run/task/1", {})
    for key, value in (
        ("extensions.refstorage", "reftable"),
        ("core.logallrefupdates", "always"),
        ("core.sharedrepository", "group"),
    ):
        assert not can_write(REF, {key: value})


# -- the tree of an index


def test_the_index_of_an_agent_says_what_it_committed(world: World, repo: Repo):
    agent = Agent(world.acquire(), dict(repo.environ))
    agent.write("src/new.py", "x = 1\n")
    agent.commit()
    assert tree_of_index(agent.path / ".git", ZERO) == agent.git("rev-parse", "HEAD^{tree}")
    agent.write("src/other.py", "x = 2\n")
    agent.git("add", "-A")
    assert tree_of_index(agent.path / ".git", ZERO) is None


def test_an_index_that_does_not_fit_is_no_answer(world: World, repo: Repo):
    agent = Agent(world.acquire(), dict(repo.environ))
    agent.commit()
    index = agent.path / ".git" / "index"
    whole = index.read_bytes()
    for cut in (0, 10, 40, len(whole) - 60, len(whole) - 20, len(whole) - 1):
        index.write_bytes(whole[:cut])
        assert tree_of_index(index.parent, ZERO) is None
    for at in range(len(whole) - 52, len(whole) - 20):
        index.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        assert tree_of_index(index.parent, ZERO) is None
    index.unlink()
    os.mkfifo(index)
    assert tree_of_index(index.parent, ZERO) is None


# -- layouts


def test_what_is_told_from_the_difference_is_what_git_lists(world: World, repo: Repo):
    """The folders of a sealed commit and of a candidate are those git names, and no folder is missing."""
    base = repo.head()
    workspace = world.acquire(base)
    Agent(workspace, dict(repo.environ)).write("deep/er/still/new.py", "x = 1\n")
    sealed = world.seal(workspace, declared=["deep/er/still/new.py"])
    candidate = world.merge(base, sealed.commit)
    assert isinstance(candidate, Candidate)
    for commit in (sealed.commit, candidate.commit):
        told = world.repository.layouts.get(commit)
        listed = world.run(layout_of(world.repository.plumbing(), commit))
        assert told is not None
        assert told.folders >= listed.folders >= {b"deep", b"deep/er", b"deep/er/still"}


def test_a_repository_planted_in_a_folder_that_was_only_told_is_removed(world: World, repo: Repo):
    workspace = world.acquire()
    Agent(workspace, dict(repo.environ)).write("fresh/a.py", "x = 1\n")
    sealed = world.seal(workspace, declared=["fresh/a.py"])
    world.release(workspace)
    again = world.acquire(sealed.commit)
    (again.path / "fresh" / ".git").mkdir()
    found = world.seal(again, ref="refs/chargehand/attempts/run/task/2")
    assert kinds(found)["fresh"] is ChangeKind.NESTED_REPOSITORY
    world.release(again)
    third = world.acquire(sealed.commit)
    assert not (third.path / "fresh" / ".git").exists()


def test_a_folder_that_became_a_link_leads_nowhere(world: World, repo: Repo, tmp_path: Path):
    """I1: what is known of the folders before must not make us touch what the link points to."""
    theirs = tmp_path / "theirs"
    (theirs / ".git").mkdir(parents=True)
    repo.write("pkg/a.py", "x = 1\n")
    workspace = world.acquire(repo.commit("pkg"))
    (workspace.path / "pkg" / "a.py").unlink()
    (workspace.path / "pkg").rmdir()
    (workspace.path / "pkg").symlink_to(theirs)
    sealed = world.seal(workspace)
    world.release(workspace)
    after = world.acquire(sealed.commit)
    assert (after.path / "pkg").is_symlink()
    assert (theirs / ".git").is_dir()
    assert planted(os.fsencode(after.path), [b"pkg"]) == ()


def test_submodules_are_always_asked_for():
    plain = Layout(folders=frozenset({b"a"}), links={})
    linked = Layout(folders=frozenset(), links={b"sub": ZERO})
    assert plain.after([raw(b"a/b.py")]) is plain
    assert plain.after([raw(b"sub", new="160000")]) is None
    assert linked.after([raw(b"a/b.py")]) is None
    assert plain.merged(linked) is None
    assert linked.merged(plain) is None


def test_only_the_layouts_used_last_are_kept():
    layouts, plain = Layouts(), Layout(folders=frozenset(), links={})
    layouts.add("base", plain)
    for number in range(100):
        layouts.add(str(number), plain)
        assert layouts.get("base") is plain
    assert layouts.get("1") is None


# -- slots


def test_the_slot_that_stands_there_already_is_taken_first(world: World, repo: Repo):
    old, new = repo.head(), repo.commit("more", a="1")
    first, second = world.acquire(old), world.acquire(new)
    world.release(first)
    world.release(second)
    assert world.acquire(new).slot == second.slot
    assert world.acquire(new).slot == first.slot
