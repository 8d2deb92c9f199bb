"""Notes: many at once, beside others who write, and nothing else of the repository is touched (I1)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from chargehand.adapters.git import Repository
from chargehand.adapters.git.notes import NOTES, edit_notes, read_notes
from chargehand.domain.errors import AdapterError
from tests.repos import Repo


@pytest.fixture
def repository(repo: Repo, runner: asyncio.Runner) -> Repository:
    repo.commit("first")
    return runner.run(Repository.discover(repo.path, repo.environ))


def standing(repo: Repo) -> tuple[str, ...]:
    """Everything of a repository that is the user's."""
    refs = repo.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags", "refs/remotes")
    return (refs, repo.git("ls-files", "-s", "-t"), repo.git("status", "--porcelain"), repo.git("symbolic-ref", "HEAD"))


def test_a_note_is_one_that_git_shows(repo: Repo, repository: Repository, runner: asyncio.Runner) -> None:
    """I1: only the ref of the notes is new."""
    one, two = repo.commit("one"), repo.commit("two")
    before = standing(repo)
    count = runner.run(edit_notes(repository, [one, two], lambda commit, _: f"about {commit[:7]}\n", why="test"))
    assert count == 2
    assert repo.git("notes", "--ref=chargehand", "show", one) == f"about {one[:7]}"
    assert runner.run(read_notes(repository)) == {one: f"about {one[:7]}\n", two: f"about {two[:7]}\n"}
    assert runner.run(read_notes(repository, [two])) == {two: f"about {two[:7]}\n"}
    assert standing(repo) == before
    assert repo.git("log", "--format=%s %an", NOTES) == "test Uma User"


def test_what_is_so_already_is_not_written(repo: Repo, repository: Repository, runner: asyncio.Runner) -> None:
    one = repo.commit("one")
    assert runner.run(edit_notes(repository, [one], lambda _, old: old or "x\n", why="test")) == 1
    tip = repo.head(NOTES)
    assert runner.run(edit_notes(repository, [one], lambda _, old: old or "y\n", why="test")) == 0
    assert repo.head(NOTES) == tip


def test_a_note_of_nothing_goes(repo: Repo, repository: Repository, runner: asyncio.Runner) -> None:
    one, two = repo.commit("one"), repo.commit("two")
    runner.run(edit_notes(repository, [one, two], lambda commit, _: "x\n", why="test"))
    assert runner.run(edit_notes(repository, [one], lambda _, old: "", why="test")) == 1
    assert runner.run(read_notes(repository)) == {two: "x\n"}


def test_notes_of_others_stay(repo: Repo, repository: Repository, runner: asyncio.Runner) -> None:
    one, two = repo.commit("one"), repo.commit("two")
    repo.git("notes", "--ref=chargehand", "add", "-m", "by hand", two)
    runner.run(edit_notes(repository, [one], lambda _, old: "x\n", why="test"))
    assert runner.run(read_notes(repository)) == {one: "x\n", two: "by hand\n"}


def test_thousands_are_one_commit_that_git_still_reads(
    repo: Repo, repository: Repository, runner: asyncio.Runner
) -> None:
    """Git keeps many notes in folders of folders; who adds one more finds the old ones."""
    stream = b"".join(
        b"commit refs/heads/many\nmark :%d\ncommitter U <u@e> %d +0000\ndata 1\nx\n%b"
        % (n, 1_700_000_000 + n, b"from :%d\n" % (n - 1) if n > 1 else b"")
        for n in range(1, 601)
    )
    repo.git("fast-import", "--quiet", stdin=stream)
    commits = repo.git("rev-list", "many").splitlines()
    assert runner.run(edit_notes(repository, commits, lambda commit, _: f"{commit}\n", why="test")) == 600
    assert repo.git("rev-list", "--count", NOTES) == "1"
    last = repo.commit("last")
    runner.run(edit_notes(repository, [last], lambda commit, _: f"{commit}\n", why="test"))
    assert len(repo.git("notes", "--ref=chargehand", "list").splitlines()) == 601
    assert repo.git("notes", "--ref=chargehand", "show", commits[300]) == commits[300]


def test_those_who_write_at_once_lose_nothing(repo: Repo, repository: Repository, runner: asyncio.Runner) -> None:
    """Compare-and-swap: each adds its line to the same note and to one of its own."""
    shared, *own = [repo.commit(str(n)) for n in range(7)]

    async def write(number: int) -> int:
        return await edit_notes(
            repository, [shared, own[number]], lambda _, old: f"{old}line {number}\n", why=f"writer {number}"
        )

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(write(number) for number in range(len(own))))

    assert runner.run(all_of_them()) == [2] * len(own)
    notes = runner.run(read_notes(repository))
    assert sorted(notes[shared].splitlines()) == [f"line {n}" for n in range(len(own))]
    assert [notes[commit] for commit in own] == [f"line {n}\n" for n in range(len(own))]


def test_a_collection_of_garbage_takes_none(repo: Repo, repository: Repository, runner: asyncio.Runner) -> None:
    one = repo.commit("one")
    runner.run(edit_notes(repository, [one], lambda _, old: "x\n", why="test"))
    repo.git("gc", "-q", "--prune=now")
    assert runner.run(read_notes(repository)) == {one: "x\n"}
    assert repo.git("fsck", "--full", "--strict") == ""
    assert [path for path in (repo.path / ".git" / "chargehand" / "git" / "refs").rglob("*") if path.is_file()] == []


def test_nothing_of_a_note_is_taken_for_a_command(repo: Repo, repository: Repository, runner: asyncio.Runner) -> None:
    """What stands in a note is data, whatever it looks like."""
    one = repo.commit("one")
    text = json.dumps({"text": "\ncommit refs/heads/main\nreset refs/heads/main\ndone"}) + "\nreset refs/heads/main\n"
    before = standing(repo)
    runner.run(edit_notes(repository, [one], lambda _, old: text, why="a\nreset refs/heads/main\n"))
    assert runner.run(read_notes(repository)) == {one: text}
    assert standing(repo) == before


def test_a_note_on_nothing_is_refused_as_a_whole(repo: Repo, repository: Repository, runner: asyncio.Runner) -> None:
    one = repo.commit("one")
    with pytest.raises(AdapterError, match="fast-import"):
        runner.run(edit_notes(repository, [one, "1" * 40], lambda _, old: "x\n", why="test"))
    assert runner.run(read_notes(repository)) == {}


def test_repositories_with_longer_names(
    tmp_path: Path, git_environment: dict[str, str], runner: asyncio.Runner
) -> None:
    repo = Repo(path=tmp_path / "long", environ=git_environment).init("--object-format=sha256")
    one = repo.commit("one")
    repository = runner.run(Repository.discover(repo.path, repo.environ))
    assert runner.run(edit_notes(repository, [one], lambda _, old: f"{old}x\n", why="test")) == 1
    assert runner.run(edit_notes(repository, [one], lambda _, old: f"{old}y\n", why="test")) == 1
    assert repo.git("notes", "--ref=chargehand", "show", one) == "x\ny"


def test_a_linked_work_tree_shares_them(repo: Repo, repository: Repository, runner: asyncio.Runner) -> None:
    repo.git("worktree", "add", "-q", "-b", "side", str(repo.path.parent / "side"))
    one = repo.commit("one")
    side = runner.run(Repository.discover(repo.path.parent / "side", repo.environ))
    runner.run(edit_notes(side, [one], lambda _, old: "x\n", why="test"))
    assert runner.run(read_notes(repository)) == {one: "x\n"}


def test_a_lock_that_stays_is_told(
    repo: Repo, repository: Repository, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another git holds the ref: tried again for a while, then said, and nothing is half written."""
    monkeypatch.setattr("chargehand.adapters.git.notes._ROUNDS", 2)
    one = repo.commit("one")
    lock = repo.path / ".git" / "refs" / "notes" / "chargehand.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(AdapterError, match=r"the lock .*chargehand\.lock is in the way"):
        runner.run(edit_notes(repository, [one], lambda _, old: "x\n", why="test"))
    lock.unlink()
    assert runner.run(edit_notes(repository, [one], lambda _, old: "x\n", why="test")) == 1
