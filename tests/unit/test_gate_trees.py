"""Whether a tree asks where the change began: the same answer, however much of it is looked through."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chargehand.adapters.gating import fingerprint
from chargehand.adapters.gating.fingerprint import TreeFacts
from chargehand.adapters.git import Repository
from tests.repos import Repo, hermetic_environment

ASKS = "git diff $CHARGEHAND_BASE\n"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    home = tmp_path / "home"
    home.mkdir()
    made = Repo(path=tmp_path / "project", environ=hermetic_environment(home)).init()
    made.write("ci.sh", "true\n")
    made.write("src/a.py", "A = 1\n")
    made.commit("base")
    return made


def tree(repo: Repo) -> str:
    repo.git("add", "-A")
    return repo.git("write-tree")


def answers(repo: Repo, *trees: str) -> list[bool]:
    """What is said of each, with the one before it as the tree before."""

    async def ask() -> list[bool]:
        facts = TreeFacts(repository=await Repository.discover(repo.path, repo.environ))
        pairs = zip(trees, ("", *trees), strict=False)
        return [await facts.mentions_base(tree, before) for tree, before in pairs]

    return asyncio.run(ask())


@pytest.mark.parametrize("path", ["ci.sh", "new.sh", "deep/:(glob)*.sh", "sp ace [x]?.sh", "\u00fcber\n.sh"])
def test_what_changed_is_looked_through(repo: Repo, path: str) -> None:
    base = tree(repo)
    repo.write(path, ASKS)
    asking = tree(repo)
    repo.write(path, "true\n")
    assert answers(repo, base, asking, tree(repo)) == [False, True, False]


def test_what_is_gone_asks_nothing(repo: Repo) -> None:
    base = tree(repo)
    (repo.path / "ci.sh").unlink()
    assert answers(repo, base, base, tree(repo)) == [False, False, False]


def test_what_stays_is_not_forgotten(repo: Repo) -> None:
    repo.write("ci.sh", ASKS)
    asking = tree(repo)
    repo.write("src/a.py", "A = 2\n")
    assert answers(repo, asking, tree(repo)) == [True, True]


def test_a_large_change_is_looked_through_as_a_whole(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "_MOST_PLACES", 1)
    base = tree(repo)
    repo.write("src/a.py", "A = 2\n")
    repo.write("z.sh", ASKS)
    assert answers(repo, base, tree(repo)) == [False, True]
