"""Whether commits that somebody names are part of a base."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from chargehand.adapters.git import Repository
from chargehand.adapters.git.ancestry import taken_over, why_absent
from tests.repos import Repo

NO_COMMIT, ELSEWHERE = "no single commit has that hash", "the base does not have that commit"


def absent(repo: Repo, base: str, names: Iterable[str], *, is_shallow: bool = False) -> dict[str, str]:
    async def look() -> dict[str, str]:
        repository = await Repository.discover(repo.path, repo.environ)
        return await why_absent(repository.plumbing(), base, names, is_shallow=is_shallow)

    return asyncio.run(look())


@pytest.fixture
def history(repo: Repo) -> dict[str, str]:
    """first <- main, and first <- side."""
    names = {"first": repo.commit("first", a="1")}
    repo.git("checkout", "-q", "-b", "side")
    names["side"] = repo.commit("side", b="2")
    repo.git("checkout", "-q", "main")
    names["main"] = repo.commit("second", c="3")
    return names


def test_what_the_base_has_is_there(repo: Repo, history: dict[str, str]):
    """Full and abbreviated; the base is part of its own history."""
    names = [history["first"], history["main"], history["first"][:7], history["main"][:12]]
    assert absent(repo, history["main"], names) == {}
    assert absent(repo, history["main"], []) == {}


def test_what_is_elsewhere_or_nowhere_is_told(repo: Repo, history: dict[str, str]):
    names = [history["side"], history["side"][:7], "0" * 40, "0123456", history["first"]]
    assert absent(repo, history["main"], names) == {
        history["side"]: ELSEWHERE,
        history["side"][:7]: ELSEWHERE,
        "0" * 40: NO_COMMIT,
        "0123456": NO_COMMIT,
    }
    assert absent(repo, history["main"], ["0123456"]) == {"0123456": NO_COMMIT}


def test_a_tree_is_no_commit_and_a_branch_no_hash(repo: Repo, history: dict[str, str]):
    tree = repo.git("rev-parse", "main^{tree}")
    repo.git("branch", "abcdef0")
    assert absent(repo, history["main"], [tree, "abcdef0"]) == {tree: NO_COMMIT, "abcdef0": NO_COMMIT}


def test_a_hash_that_two_commits_share_is_none(repo: Repo, history: dict[str, str]):
    """The shortest that git takes is four digits: some hundred commits share one."""
    parent, heads = history["main"], set[str]()
    while parent[:4] not in heads:
        assert len(heads) < 5000
        heads.add(parent[:4])
        parent = repo.git("commit-tree", "-p", parent, "-m", str(len(heads)), "main^{tree}")
    repo.git("reset", "-q", "--hard", parent)
    shared = parent[:4]
    assert absent(repo, parent, [shared]) == {shared: NO_COMMIT}


def test_of_a_shallow_repository_nothing_is_said(repo: Repo, history: dict[str, str], tmp_path: Path):
    """It does not have what came before; what it has is told all the same."""
    repo.git("clone", "-q", "--depth=1", "--no-single-branch", f"file://{repo.path}", str(tmp_path / "shallow"))
    shallow = Repo(tmp_path / "shallow", repo.environ)
    names = [history["first"], history["main"], history["side"]]
    assert absent(shallow, history["main"], names, is_shallow=True) == {history["side"]: ELSEWHERE}


# -- changes --------------------------------------------------------------------------------------


def is_there(repo: Repo, name: str) -> bool:
    async def look() -> frozenset[str]:
        repository = await Repository.discover(repo.path, repo.environ)
        return await taken_over(repository.plumbing(), repo.head("main"), [name, name])

    found = asyncio.run(look())
    assert found <= {name}
    return bool(found)


def test_a_change_is_there_in_whatever_commits(repo: Repo):
    """Path by path, and then changed, or merged into other lines; half of it, or none of it, is not there."""
    lines = [f"{number}\n" for number in range(30)]
    repo.commit("first", a="".join(lines), gone="1")
    repo.git("checkout", "-q", "-b", "side")
    (repo.path / "gone.txt").unlink()
    side = repo.commit("side", a="".join(["new\n", *lines]), b="2")
    repo.git("checkout", "-q", "main")
    assert not is_there(repo, side)
    repo.commit("half of it", b="2")
    assert not is_there(repo, side)
    (repo.path / "gone.txt").unlink()
    repo.commit("another line, too", a="".join(["new\n", *lines, "own\n"]))
    assert is_there(repo, side)
    repo.commit("changed again", b="3")
    assert not is_there(repo, side)
    repo.commit("as it was", a="".join(["new\n", *lines]))
    assert is_there(repo, side)
    assert is_there(repo, repo.head("main"))
    assert not is_there(repo, "0" * 40)
