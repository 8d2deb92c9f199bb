"""Landing on the user's branch: the only thing that changes their checkout (SPEC 6, 10.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from chargehand.adapters.accept import Accepted, Prepared, Refusal, Refused, accept, finish, prepare
from chargehand.domain.errors import UserError
from chargehand.domain.outcome import Candidate
from tests.e2e.gitworld import World
from tests.repos import Repo

RUN = "chargehand/run"


@pytest.fixture
def ready(world: World) -> World:
    """A finished run: `chargehand/run` has one merge with a new file, a changed one and a deleted one."""
    repo = world.repo
    repo.write("old.txt", "o\n")
    repo.write("other.txt", "other\n")
    base = repo.commit("more")
    world.run(world.integrator.open(RUN, base))
    workspace = world.acquire(base)
    (workspace.path / "src" / "app.py").write_text("def run():\n    return 2\n")
    (workspace.path / "new").mkdir()
    (workspace.path / "new" / "file.txt").write_text("new\n")
    (workspace.path / "old.txt").unlink()
    merged = world.merge(base, world.seal(workspace).commit)
    assert isinstance(merged, Candidate)
    world.land(RUN, base, merged.commit)
    world.release(workspace)
    return world


def go(world: World, **options) -> Accepted | Refused:
    return world.run(accept(world.repository, RUN, "main", message="Accept the run\n", **options))


def state(repo: Repo) -> tuple[str, str, str]:
    return repo.git("for-each-ref", "refs/heads"), repo.git("status", "--porcelain", "-uall"), repo.git("diff", "HEAD")


def test_a_clean_checkout_is_fast_forwarded(ready: World):
    repo = ready.repo
    done = go(ready)
    assert done == Accepted(target="main", old=repo.head("HEAD@{1}"), commit=repo.head(RUN), checkout=repo.path)
    assert repo.git("status", "--porcelain") == ""
    assert (repo.path / "new" / "file.txt").read_text() == "new\n"
    assert not (repo.path / "old.txt").exists()
    assert repo.git("for-each-ref", "refs/chargehand/accept") == ""


def test_accepting_twice_is_harmless(ready: World):
    assert isinstance(go(ready), Accepted)
    again = go(ready)
    assert isinstance(again, Accepted)
    assert again.commit == again.old == ready.repo.head(RUN)


def test_a_branch_that_is_not_checked_out_moves_alone(ready: World):
    repo = ready.repo
    repo.git("switch", "-q", "-c", "elsewhere")
    done = go(ready)
    assert isinstance(done, Accepted)
    assert done.checkout is None
    assert repo.head("main") == repo.head(RUN)
    assert repo.head("elsewhere") == done.old
    assert repo.git("status", "--porcelain") == ""


def test_squash_makes_one_commit(ready: World):
    repo = ready.repo
    done = go(ready, squash=True)
    assert isinstance(done, Accepted)
    assert repo.git("log", "--format=%s", f"{done.old}..main") == "Accept the run"
    assert repo.git("diff", "main", RUN) == ""
    again = go(ready, squash=True, gates=_green)
    assert isinstance(again, Accepted)
    assert again.commit == done.commit


async def _green(prepared: Prepared) -> str:
    return ""


def test_a_moved_target_is_merged_and_tested_first(ready: World):
    repo = ready.repo
    repo.write("mine.txt", "m\n")
    mine = repo.commit("mine")
    seen: list[Prepared] = []

    async def gates(prepared: Prepared) -> str:
        seen.append(prepared)
        assert repo.head("main") == mine
        return "" if len(seen) > 1 else "tests are red"

    assert go(ready, gates=gates) == Refused(reason=Refusal.GATES, detail="tests are red")
    assert repo.head("main") == mine
    done = go(ready, gates=gates)
    assert isinstance(done, Accepted)
    assert seen[1].moved
    assert repo.git("rev-parse", "main^{tree}") == seen[1].tree
    assert repo.git("log", "-1", "--format=%P", "main") == f"{mine} {repo.head(RUN)}"
    assert (repo.path / "mine.txt").exists()
    assert (repo.path / "new" / "file.txt").exists()


def test_a_moved_target_without_gates_is_refused(ready: World):
    ready.repo.commit("mine", mine="m\n")
    refused = go(ready)
    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.GATES


def test_a_moved_target_can_be_squashed_onto(ready: World):
    mine = ready.repo.commit("mine", mine="m\n")
    assert isinstance(go(ready, gates=_green, squash=True), Accepted)
    assert ready.repo.git("log", "-1", "--format=%P", "main") == mine


def test_a_conflict_with_the_target_changes_nothing(ready: World):
    repo = ready.repo
    repo.write("src/app.py", "def run():\n    return 3\n")
    repo.commit("mine")
    before = state(repo)
    refused = go(ready, gates=_green)
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.paths) == (Refusal.CONFLICT, ("src/app.py",))
    assert "return 2" in refused.detail
    assert "return 3" in refused.detail
    assert state(repo) == before


def test_a_target_that_moves_between_the_steps_is_refused(ready: World):
    repo = ready.repo
    prepared = ready.run(prepare(ready.repository, RUN, "main", message="x\n"))
    assert isinstance(prepared, Prepared)
    mine = repo.commit("mine", mine="m\n")
    refused = ready.run(finish(ready.repository, prepared))
    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.MOVED
    assert repo.head("main") == mine


def test_local_changes_elsewhere_are_kept(ready: World):
    """I1, I2: staged, unstaged and untracked work of the user that is not concerned stays as it is."""
    repo = ready.repo
    repo.write("README.md", "staged\n")
    repo.git("add", "README.md")
    repo.write("README.md", "and more\n")
    repo.write("other.txt", "unstaged\n")
    repo.write("untracked.txt", "mine\n")
    repo.write("new/beside.txt", "mine\n")
    before = repo.git("status", "--porcelain", "-uall")
    assert isinstance(go(ready), Accepted)
    assert repo.git("status", "--porcelain", "-uall") == before
    assert (repo.path / "README.md").read_text() == "and more\n"
    assert repo.git("show", ":README.md") == "staged"


def _unstaged(repo: Repo) -> str:
    repo.write("src/app.py", "mine\n")
    return "src/app.py"


def _staged(repo: Repo) -> str:
    repo.write("src/app.py", "mine\n")
    repo.git("add", "-A")
    return "src/app.py"


def _deleted(repo: Repo) -> str:
    (repo.path / "src" / "app.py").unlink()
    return "src/app.py"


def _change_of_a_deleted(repo: Repo) -> str:
    repo.write("old.txt", "mine\n")
    return "old.txt"


def _untracked(repo: Repo) -> str:
    repo.write("new/file.txt", "mine\n")
    return "new/file.txt"


def _ignored(repo: Repo) -> str:
    (repo.path / ".git" / "info" / "exclude").write_text("file.txt\n")
    repo.write("new/file.txt", "mine\n")
    return "new/file.txt"


def _ignored_folder(repo: Repo) -> str:
    (repo.path / ".git" / "info" / "exclude").write_text("new/\n")
    repo.write("new/file.txt", "mine\n")
    return "new/"


def _file_for_a_folder(repo: Repo) -> str:
    repo.write("new", "mine\n")
    return "new"


OVERLAPS = [
    _unstaged,
    _staged,
    _deleted,
    _change_of_a_deleted,
    _untracked,
    _ignored,
    _ignored_folder,
    _file_for_a_folder,
]


@pytest.mark.parametrize("overlap", OVERLAPS, ids=lambda overlap: overlap.__name__)
@pytest.mark.parametrize("moved", [False, True])
def test_overlapping_local_changes_refuse_and_nothing_changes(ready: World, overlap, moved):
    repo = ready.repo
    if moved:
        repo.commit("mine", mine="m\n")
    path = overlap(repo)
    before = state(repo)
    refused = go(ready, gates=_green)
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.paths) == (Refusal.LOCAL_CHANGES, (path,))
    assert state(repo) == before


def test_a_target_checked_out_in_another_work_tree_is_updated_there(ready: World, tmp_path: Path):
    repo = ready.repo
    repo.git("switch", "-q", "-c", "elsewhere")
    repo.git("worktree", "add", "-q", str(tmp_path / "second"), "main")
    done = go(ready)
    assert isinstance(done, Accepted)
    assert done.checkout == tmp_path / "second"
    assert (tmp_path / "second" / "new" / "file.txt").exists()
    assert not (repo.path / "new").exists()
    assert repo.git("status", "--porcelain", cwd=tmp_path / "second") == ""


def test_a_work_tree_that_was_deleted_does_not_hold_the_branch(ready: World, tmp_path: Path):
    repo = ready.repo
    repo.git("switch", "-q", "-c", "elsewhere")
    repo.git("worktree", "add", "-q", str(tmp_path / "second"), "main")
    (tmp_path / "second").rename(tmp_path / "gone")
    done = go(ready)
    assert isinstance(done, Accepted)
    assert done.checkout is None


def test_a_bare_repository_is_accepted_into(ready: World, tmp_path: Path, git_environment):
    bare = tmp_path / "bare.git"
    ready.repo.git("clone", "-q", "--bare", str(ready.repo.path), str(bare))
    second = World(Repo(path=bare, environ=git_environment), tmp_path / "pool3", ready.runner)
    done = go(second)
    assert isinstance(done, Accepted)
    assert second.repo.head("main") == second.repo.head(RUN)


def test_a_merge_of_the_user_under_way_refuses(ready: World):
    repo = ready.repo
    repo.git("switch", "-q", "-c", "side")
    repo.write("README.md", "side\n")
    repo.commit("side")
    repo.git("switch", "-q", "main")
    repo.write("README.md", "main\n")
    repo.commit("main")
    repo.git("merge", "-q", "side", ok=(1,))
    before = state(repo)
    refused = go(ready, gates=_green)
    assert isinstance(refused, Refused)
    assert refused.reason is Refusal.BUSY
    assert state(repo) == before


def test_a_rebase_of_the_target_refuses(ready: World):
    repo = ready.repo
    repo.git("branch", "upstream")
    repo.write("README.md", "main\n")
    repo.commit("main")
    repo.git("switch", "-q", "upstream")
    repo.write("README.md", "upstream\n")
    repo.commit("upstream")
    repo.git("switch", "-q", "main")
    repo.git("rebase", "-q", "upstream", ok=(1,))
    assert go(ready, gates=_green).reason is Refusal.BUSY  # type: ignore[union-attr]


def test_hooks_of_the_user_do_not_run(ready: World, tmp_path: Path):
    sentinel = tmp_path / "ran"
    for name in ("post-merge", "pre-merge-commit", "reference-transaction", "post-checkout", "post-index-change"):
        ready.repo.write(f".git/hooks/{name}", f"#!/bin/sh\ntouch {sentinel}\n", mode=0o755)
    assert isinstance(go(ready), Accepted)
    assert not sentinel.exists()


def test_unknown_branches_are_a_mistake_of_the_user(ready: World):
    with pytest.raises(UserError, match="no branch 'nowhere'"):
        ready.run(accept(ready.repository, RUN, "nowhere", message="x"))
    with pytest.raises(UserError, match="no branch 'missing'"):
        ready.run(accept(ready.repository, "missing", "main", message="x"))
