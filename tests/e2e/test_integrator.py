"""Merging without a work tree, and landing by compare-and-swap (SPEC 6)."""

from __future__ import annotations

import asyncio

import pytest

from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import Candidate, Conflict, HeadMoved, Landed
from chargehand.ports import LandJob
from tests.e2e.gitworld import REF, World

RUN = "chargehand/run"
CANDIDATE = "refs/chargehand/candidates/run/task/1"


def attempt(world: World, base: str, files: dict[str, str | None], ref: str = REF) -> str:
    """What an attempt on `base` that writes (or, with None, removes) these files is sealed as."""
    workspace = world.acquire(base)
    for name, text in files.items():
        file = workspace.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
    sealed = world.seal(workspace, ref=ref)
    world.release(workspace)
    return sealed.commit


def test_the_branch_is_opened_once(world: World, repo):
    base = repo.head()
    assert world.run(world.integrator.head(RUN)) is None
    assert world.run(world.integrator.open(RUN, base)).head == base
    later = repo.commit("later")
    assert world.run(world.integrator.open(RUN, later)).head == base
    assert world.run(world.integrator.head(RUN)) == base


def test_each_landing_is_one_merge_commit(world: World, repo):
    """I3: the branch stands at exactly the commit that was tested."""
    base = repo.head()
    world.run(world.integrator.open(RUN, base))
    commit = attempt(world, base, {"a.txt": "a\n"})
    candidate = world.merge(base, commit)
    assert isinstance(candidate, Candidate)
    assert candidate.tree == repo.git("rev-parse", f"{commit}^{{tree}}")
    assert repo.git("log", "-1", "--format=%P|%an|%s", candidate.commit) == f"{base} {commit}|Uma User|Merge"
    assert repo.head(CANDIDATE) == candidate.commit
    assert repo.head(RUN) == base
    assert world.land(RUN, base, candidate.commit) == Landed(commit=candidate.commit)
    assert world.land(RUN, base, candidate.commit) == Landed(commit=candidate.commit)
    assert repo.head(RUN) == candidate.commit


def test_the_same_job_gives_the_same_tree(world: World, repo):
    base = repo.head()
    first, second = attempt(world, base, {"a.txt": "a\n"}), attempt(world, base, {"b.txt": "b\n"}, f"{REF}0")
    one, two = world.merge(first, second), world.merge(first, second)
    assert isinstance(one, Candidate)
    assert isinstance(two, Candidate)
    assert one.tree == two.tree
    assert set(repo.files(one.commit)) == {"README.md", "a.txt", "b.txt", "src/app.py"}


def test_a_branch_that_somebody_moved_is_told(world: World, repo):
    base = repo.head()
    world.run(world.integrator.open(RUN, base))
    candidate = world.merge(base, attempt(world, base, {"a.txt": "a\n"}))
    assert isinstance(candidate, Candidate)
    theirs = repo.commit("theirs")
    repo.git("update-ref", f"refs/heads/{RUN}", theirs)
    assert world.land(RUN, base, candidate.commit) == HeadMoved(actual=theirs)
    assert repo.head(RUN) == theirs
    repo.git("update-ref", "-d", f"refs/heads/{RUN}")
    assert world.land(RUN, base, candidate.commit) == HeadMoved(actual=None)


def test_of_two_landings_at_once_one_wins(world: World, repo):
    """I3, I4."""
    base = repo.head()
    world.run(world.integrator.open(RUN, base))
    made = [attempt(world, base, {f"{name}.txt": name}, f"{REF}{name}") for name in "12"]
    candidates = [world.merge(base, commit, f"{CANDIDATE}{n}") for n, commit in enumerate(made)]

    async def both() -> list[object]:
        jobs = [LandJob(branch=RUN, expect=base, commit=c.commit, ref="x") for c in candidates]  # type: ignore[union-attr]
        return await asyncio.gather(*(world.integrator.land(job) for job in jobs))

    results = world.run(both())
    assert sorted(type(result).__name__ for result in results) == ["HeadMoved", "Landed"]


def test_a_conflict_shows_both_sides(world: World, repo):
    base = repo.head()
    ours = attempt(world, base, {"README.md": "ours\n", "src/app.py": "def run():\n    return 'ours'\n", "-x y": "1\n"})
    theirs = attempt(world, base, {"README.md": "theirs\n", "src/app.py": None, "-x y": "2\n"}, f"{REF}0")
    before = repo.git("for-each-ref")
    conflict = world.merge(ours, theirs)
    assert isinstance(conflict, Conflict)
    assert (conflict.head, set(conflict.paths)) == (ours, {"README.md", "src/app.py", "-x y"})
    assert "<<<<<<<" in conflict.detail
    for text in ("ours", "theirs", "src/app.py deleted in", "--- README.md"):
        assert text in conflict.detail
    assert repo.git("for-each-ref") == before


def test_a_conflicts_detail_is_capped(world: World, repo):
    base = repo.head()
    ours = attempt(world, base, {"README.md": "ours\n" * 5000})
    theirs = attempt(world, base, {"README.md": "theirs\n" * 5000}, f"{REF}0")
    conflict = world.merge(ours, theirs)
    assert isinstance(conflict, Conflict)
    assert len(conflict.detail) <= 6000
    for text in ("<<<<<<< the integration branch", "\nours\n", "=======", "\ntheirs\n", ">>>>>>> this change"):
        assert text in conflict.detail


def test_a_merge_that_the_repository_wants_as_a_union_is_one(world: World, repo):
    repo.write(".gitattributes", "CHANGES merge=union\nREADME.md merge=evil\n")
    repo.write("CHANGES", "# Changes\n")
    base = repo.commit("attributes")
    ours = attempt(world, base, {"CHANGES": "# Changes\n- ours\n"})
    theirs = attempt(world, base, {"CHANGES": "# Changes\n- theirs\n"}, f"{REF}0")
    candidate = world.merge(ours, theirs)
    assert isinstance(candidate, Candidate)
    assert repo.files(candidate.commit)["CHANGES"].split("\n") == ["# Changes", "- ours", "- theirs"]
    still = world.merge(
        attempt(world, base, {"README.md": "ours\n"}, f"{REF}1"),
        attempt(world, base, {"README.md": "theirs\n"}, f"{REF}2"),
    )
    assert isinstance(still, Conflict)
    assert still.paths == ("README.md",)


def test_files_and_folders_that_collide_are_a_conflict(world: World, repo):
    base = repo.head()
    ours = attempt(world, base, {"thing": "file\n"})
    theirs = attempt(world, base, {"thing/inside.txt": "folder\n"}, f"{REF}0")
    conflict = world.merge(ours, theirs)
    assert isinstance(conflict, Conflict)
    assert any(path.startswith("thing") for path in conflict.paths)


def test_a_rename_on_one_side_follows_changes_of_the_other(world: World, repo):
    base = repo.commit("long", long="line\n" * 50)
    ours = attempt(world, base, {"long.txt": None, "renamed.txt": "line\n" * 50})
    theirs = attempt(world, base, {"long.txt": "line\n" * 50 + "more\n"}, f"{REF}0")
    candidate = world.merge(ours, theirs)
    assert isinstance(candidate, Candidate)
    assert repo.files(candidate.commit)["renamed.txt"].endswith("more")


def test_a_checked_out_branch_moves_without_its_checkout(world: World, repo, tmp_path):
    """I1: landing touches no work tree, not even one the user has on the branch."""
    base = repo.head()
    world.run(world.integrator.open(RUN, base))
    repo.git("worktree", "add", "-q", str(tmp_path / "looking"), RUN)
    candidate = world.merge(base, attempt(world, base, {"a.txt": "a\n"}))
    assert isinstance(candidate, Candidate)
    assert world.land(RUN, base, candidate.commit) == Landed(commit=candidate.commit)
    assert not (tmp_path / "looking" / "a.txt").exists()


def test_a_stale_lock_is_an_error_that_may_be_tried_again(world: World, repo):
    base = repo.head()
    world.run(world.integrator.open(RUN, base))
    candidate = world.merge(base, attempt(world, base, {"a.txt": "a\n"}))
    assert isinstance(candidate, Candidate)
    (repo.path / ".git" / "refs" / "heads" / "chargehand" / "run.lock").write_text("")
    with pytest.raises(AdapterError, match="lock") as refused:
        world.land(RUN, base, candidate.commit)
    assert refused.value.retryable
    assert repo.head(RUN) == base


def landed_after(world: World, repo, number: int, head: str) -> str:
    """Land one more task; the new head."""
    repo.git("switch", "-q", "--detach", head)
    theirs = repo.commit(f"work {number}", **{f"f{number}": "x\n"})
    ref = f"refs/chargehand/candidates/run/t{number}/1"
    candidate = world.merge(head, theirs, ref)
    assert isinstance(candidate, Candidate)
    job = LandJob(branch="run", expect=head, commit=candidate.commit, ref=ref)
    assert world.run(world.integrator.land(job)) == Landed(commit=candidate.commit)
    return candidate.commit


def test_a_candidate_loses_its_ref_when_the_next_one_has_landed(world: World, repo):
    """I2: the newest holds all before it, should somebody move the branch away."""
    head = repo.head()
    world.run(world.integrator.open("run", head))
    for number in range(4):
        head = landed_after(world, repo, number, head)
        if number == 1:
            repo.git("pack-refs", "--all", "--prune")  # what is packed is left to `clean`
    kept = repo.git("for-each-ref", "--format=%(refname)", "refs/chargehand/candidates").splitlines()
    assert kept == [f"refs/chargehand/candidates/run/t{number}/1" for number in (1, 3)]
    assert repo.head(kept[-1]) == repo.head("run") == head
    assert not (repo.path / ".git" / "refs/chargehand/candidates/run/t2").exists()
    repo.git("update-ref", "-d", "refs/heads/run")
    repo.git("gc", "-q", "--prune=now")
    assert repo.git("rev-list", "--count", "--first-parent", head) == "5"


def test_a_ref_that_somebody_moved_or_holds_is_not_deleted(world: World, repo):
    head, name = repo.head(), "refs/chargehand/candidates/run/task/1"
    other = repo.commit("other")
    repo.git("update-ref", name, other)
    assert not world.repository.drop_ref(name, head)
    lock = repo.path / ".git" / f"{name}.lock"
    lock.touch()
    assert not world.repository.drop_ref(name, other)
    lock.unlink()
    assert not world.repository.drop_ref("refs/heads/main", other)
    assert repo.head(name) == repo.head("main") == other
    assert world.repository.drop_ref(name, other)
    assert not world.repository.drop_ref(name, other)
    repo.git("rev-parse", "--verify", "-q", name, ok=(1,))
