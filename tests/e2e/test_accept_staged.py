"""A change that `accept` leaves staged: in the index and the files of the checkout, and on no branch (SPEC 6)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chargehand.adapters.accept import Accepted, Prepared, Refusal, Refused, accept
from tests.e2e.gitworld import World
from tests.e2e.test_accept import RUN, ready
from tests.repos import Repo

__all__ = ["ready"]

WHOLE = "A  new/file.txt\nD  old.txt\nM  src/app.py"
"""The change, as `git status` shows it when all of it is staged and the files are as they are staged."""


async def _green(_prepared: Prepared) -> str:
    return ""


def go(world: World, **options) -> Accepted | Refused:
    options.setdefault("gates", _green)
    return world.run(accept(world.repository, RUN, "main", message="Accept the run\n", staged=True, **options))


def status(repo: Repo) -> str:
    return repo.git("status", "--porcelain", "--no-renames", "-uall")


def test_the_whole_change_is_staged_and_no_branch_moves(ready: World):
    """I1: of branches nothing changes."""
    repo = ready.repo
    before = repo.git("for-each-ref")
    done = go(ready)
    assert done == Accepted(
        target="main", old=repo.head("main"), commit=repo.head(RUN), checkout=repo.path, staged=True
    )
    assert repo.git("for-each-ref") == before
    assert status(repo) == WHOLE
    assert repo.git("write-tree") == repo.git("rev-parse", f"{RUN}^{{tree}}")
    assert repo.git("diff", RUN) == ""


def test_twice_changes_nothing(ready: World):
    go(ready)
    index = (ready.repo.path / ".git" / "index").read_bytes()
    again = go(ready)
    assert isinstance(again, Accepted)
    assert (again.staged, again.changed) == (True, False)
    assert (ready.repo.path / ".git" / "index").read_bytes() == index


def test_what_was_committed_since_is_there_already(ready: World):
    go(ready)
    mine = ready.repo.commit("mine", more="m\n")
    done = go(ready)
    assert done == Accepted(target="main", old=mine, commit=mine)
    assert status(ready.repo) == ""


def test_what_was_thrown_away_is_staged_again(ready: World):
    go(ready)
    ready.repo.git("reset", "-q", "--hard")
    done = go(ready)
    assert isinstance(done, Accepted)
    assert done.changed
    assert status(ready.repo) == WHOLE


def test_local_changes_elsewhere_stay(ready: World):
    repo = ready.repo
    repo.write("README.md", "mine\n")
    repo.write("other.txt", "staged\n")
    repo.git("add", "other.txt")
    repo.write("note.txt", "new\n")
    assert isinstance(go(ready), Accepted)
    assert set(status(repo).splitlines()) == {*WHOLE.splitlines(), "M  other.txt", "?? note.txt", " M README.md"}


def _edit(repo: Repo) -> str:
    repo.write("src/app.py", "mine\n")
    return "src/app.py"


def _stage(repo: Repo) -> str:
    repo.write("src/app.py", "mine\n")
    repo.git("add", "src/app.py")
    return "src/app.py"


def _stage_and_make_as_it_is_to_be(repo: Repo) -> str:
    _stage(repo)
    repo.write("src/app.py", "def run():\n    return 2\n")
    return "src/app.py"


def _untracked(repo: Repo) -> str:
    repo.write("new/file.txt", "mine\n")
    return "new/file.txt"


def _file_for_folder(repo: Repo) -> str:
    repo.write("new", "mine\n")
    return "new"


def _gone_from_the_index_alone(repo: Repo) -> str:
    repo.git("rm", "-q", "--cached", "old.txt")
    return "old.txt"


@pytest.mark.parametrize(
    "own",
    [_edit, _stage, _stage_and_make_as_it_is_to_be, _untracked, _file_for_folder, _gone_from_the_index_alone],
)
def test_local_changes_in_the_way_refuse_and_nothing_changes(ready: World, own: Callable[[Repo], str]):
    repo = ready.repo
    path = own(repo)
    before = status(repo), repo.git("diff"), repo.git("for-each-ref", "refs/heads"), repo.git("write-tree")
    refused = go(ready)
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.paths) == (Refusal.LOCAL_CHANGES, (path,))
    assert before == (status(repo), repo.git("diff"), repo.git("for-each-ref", "refs/heads"), repo.git("write-tree"))


def test_a_branch_that_is_not_checked_out_has_no_index(ready: World):
    ready.repo.git("switch", "-q", "-c", "elsewhere")
    refused = go(ready)
    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.NOT_CHECKED_OUT


def test_a_moved_target_is_merged_with_and_tested_first(ready: World):
    repo = ready.repo
    mine = repo.commit("mine", mine="m\n")
    seen: list[Prepared] = []

    async def gates(prepared: Prepared) -> str:
        seen.append(prepared)
        return "" if len(seen) > 1 else "tests are red"

    assert go(ready, gates=gates) == Refused(reason=Refusal.GATES, detail="tests are red")
    assert status(repo) == ""
    assert isinstance(go(ready, gates=gates), Accepted)
    assert repo.head("main") == mine
    assert repo.git("write-tree") == seen[1].tree
    assert status(repo) == WHOLE


# -- killed in between ----------------------------------------------------------------------------


def _changed(path: Path) -> None:
    (path / "src" / "app.py").write_text("def run():\n    return 2\n")


def _removed(path: Path) -> None:
    (path / "old.txt").unlink()


def _added(path: Path) -> None:
    (path / "new").mkdir()
    (path / "new" / "file.txt").write_text("new\n")


_STEPS = (_removed, _changed, _added)


@pytest.mark.parametrize("steps", range(1, len(_STEPS) + 1))
def test_files_without_their_index_are_gone_on_with(ready: World, steps: int):
    """I4: git writes the files one by one, and the index last; killed anywhere between, the next accept ends it."""
    repo = ready.repo
    for step in _STEPS[:steps]:
        step(repo.path)
    done = go(ready)
    assert isinstance(done, Accepted)
    assert done.changed
    assert status(repo) == WHOLE


def test_entries_without_the_rest_are_gone_on_with(ready: World):
    """The entries of files that were ahead are brought on first: killed right after that, too."""
    repo = ready.repo
    _changed(repo.path)
    _removed(repo.path)
    repo.git("add", "src/app.py", "old.txt")
    assert isinstance(go(ready), Accepted)
    assert status(repo) == WHOLE
