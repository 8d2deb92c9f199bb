"""The suites of the ports over git: workspaces and integration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from chargehand.domain.ids import attempt_ref, candidate_ref, rescue_prefix
from chargehand.domain.outcome import Candidate, Change, ChangeKind, ClaimCheck, Conflict, HeadMoved, Landed
from chargehand.ports import Integrator, LandJob, MergeJob, SealJob, Workspace, Workspaces
from chargehand.testing.contracts.playing import Open, play

__all__ = ["History", "IntegratorContract", "WorkspacesContract"]


class History(Protocol):
    """What the suites of git ports need to make and look at commits; a subclass gives one as the fixture `history`.

    `base` is a commit that holds `a.txt` with the text "one\\n" and nothing else.
    """

    base: str

    def commit(self, parent: str, path: str, text: str) -> str:
        """A commit on `parent` that writes one file; nothing points to it yet but what keeps it alive."""
        ...

    def parents(self, commit: str) -> list[str]:
        """The parents of a commit, first one first."""
        ...

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        ...

    def move(self, branch: str, commit: str) -> None:
        """What somebody else may do to a branch."""
        ...

    def resolve(self, ref: str) -> str | None:
        """Where a full ref stands."""
        ...


class IntegratorContract:
    """Fixtures: `open_integrator` (see `Open`) and `history`.

    Merging changes of the same file must conflict for the task `conflict`.
    """

    BRANCH = "chargehand/r"

    @pytest.fixture
    def open_integrator(self) -> Open[Integrator]:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def history(self) -> History:
        """To be given by the subclass."""
        raise NotImplementedError

    def _job(self, head: str, commit: str, task: str = "a") -> MergeJob:
        message = f"Merge {task}\n\nChargehand-Run: r\nChargehand-Task: {task}\nChargehand-Attempt: 1\n"
        return MergeJob(head=head, commit=commit, ref=candidate_ref("r", task, 1), message=message)

    def _land(self, expect: str, commit: str, task: str = "a") -> LandJob:
        return LandJob(branch=self.BRANCH, expect=expect, commit=commit, ref=candidate_ref("r", task, 1))

    def test_opening(self, open_integrator: Open[Integrator], history: History) -> None:
        """The branch is made once; opening again tells where it stands."""

        async def script(integrator: Integrator) -> None:
            assert await integrator.head(self.BRANCH) is None
            assert (await integrator.open(self.BRANCH, history.base)).head == history.base
            assert await integrator.head(self.BRANCH) == history.base
            other = history.commit(history.base, "b.txt", "b\n")
            assert (await integrator.open(self.BRANCH, other)).head == history.base

        play(open_integrator, script)

    def test_a_landing(self, open_integrator: Open[Integrator], history: History) -> None:
        """Always a merge commit, first parent the head, also where a fast-forward would do; landed by swap [I3]."""

        async def script(integrator: Integrator) -> None:
            head = (await integrator.open(self.BRANCH, history.base)).head
            commit = history.commit(head, "b.txt", "b\n")
            merged = await integrator.merge(self._job(head, commit))
            assert isinstance(merged, Candidate)
            assert merged.head == head
            assert history.parents(merged.commit) == [head, commit]
            assert await integrator.head(self.BRANCH) == head
            assert await integrator.land(self._land(head, merged.commit)) == Landed(commit=merged.commit)
            assert await integrator.head(self.BRANCH) == merged.commit

        play(open_integrator, script)

    def test_what_is_on_the_branch(self, open_integrator: Open[Integrator], history: History) -> None:
        """Only the first-parent line counts, however far below the head; a branch that is not there has nothing."""

        async def script(integrator: Integrator) -> None:
            assert not await integrator.contains(self.BRANCH, history.base)
            head = (await integrator.open(self.BRANCH, history.base)).head
            commit = history.commit(head, "b.txt", "b\n")
            merged = await integrator.merge(self._job(head, commit))
            assert isinstance(merged, Candidate)
            assert not await integrator.contains(self.BRANCH, merged.commit)
            await integrator.land(self._land(head, merged.commit))
            again = await integrator.merge(self._job(merged.commit, history.commit(head, "c.txt", "c\n"), "c"))
            assert isinstance(again, Candidate)
            await integrator.land(self._land(merged.commit, again.commit, "c"))
            wanted = [history.base, merged.commit, again.commit]
            assert [await integrator.contains(self.BRANCH, one) for one in wanted] == [True] * 3
            assert not await integrator.contains(self.BRANCH, commit)
            assert not await integrator.contains(self.BRANCH, "0" * 39 + "1")

        play(open_integrator, script)

    def test_both_sides_are_in_the_merge(self, open_integrator: Open[Integrator], history: History) -> None:
        """Two tasks from one base land one after the other; the tree depends on both."""

        async def script(integrator: Integrator) -> None:
            base = (await integrator.open(self.BRANCH, history.base)).head
            first = await integrator.merge(self._job(base, history.commit(base, "b.txt", "b\n"), "b"))
            assert isinstance(first, Candidate)
            await integrator.land(self._land(base, first.commit, "b"))
            commit = history.commit(base, "c.txt", "c\n")
            second = await integrator.merge(self._job(first.commit, commit, "c"))
            alone = await integrator.merge(self._job(base, commit, "c"))
            assert isinstance(second, Candidate)
            assert isinstance(alone, Candidate)
            assert len({first.tree, second.tree, alone.tree}) == 3

        play(open_integrator, script)

    def test_doing_it_twice(self, open_integrator: Open[Integrator], history: History) -> None:
        """The same merge gives the same tree; landing again is landing once [I4]."""

        async def script(integrator: Integrator) -> None:
            head = (await integrator.open(self.BRANCH, history.base)).head
            job = self._job(head, history.commit(head, "b.txt", "b\n"))
            once, twice = await integrator.merge(job), await integrator.merge(job)
            assert isinstance(once, Candidate)
            assert isinstance(twice, Candidate)
            assert once.tree == twice.tree
            land = self._land(head, twice.commit)
            assert await integrator.land(land) == await integrator.land(land) == Landed(commit=twice.commit)
            assert await integrator.head(self.BRANCH) == twice.commit

        play(open_integrator, script)

    def test_a_branch_that_moved(self, open_integrator: Open[Integrator], history: History) -> None:
        """Whoever moved it: nothing is overwritten, and where it stands is told [I3]."""

        async def script(integrator: Integrator) -> None:
            head = (await integrator.open(self.BRANCH, history.base)).head
            merged = await integrator.merge(self._job(head, history.commit(head, "b.txt", "b\n")))
            assert isinstance(merged, Candidate)
            foreign = history.commit(head, "x.txt", "x\n")
            history.move(self.BRANCH, foreign)
            assert await integrator.land(self._land(head, merged.commit)) == HeadMoved(actual=foreign)
            assert await integrator.head(self.BRANCH) == foreign

        play(open_integrator, script)

    def test_a_branch_that_is_gone(self, open_integrator: Open[Integrator], history: History) -> None:
        """It is not made again behind anybody's back."""

        async def script(integrator: Integrator) -> None:
            merged = await integrator.merge(self._job(history.base, history.commit(history.base, "b.txt", "b\n")))
            assert isinstance(merged, Candidate)
            assert await integrator.land(self._land(history.base, merged.commit)) == HeadMoved(actual=None)
            assert await integrator.head(self.BRANCH) is None

        play(open_integrator, script)

    def test_a_conflict(self, open_integrator: Open[Integrator], history: History) -> None:
        """It names the paths and moves nothing."""

        async def script(integrator: Integrator) -> None:
            await integrator.open(self.BRANCH, history.base)
            ours = history.commit(history.base, "a.txt", "ours\n")
            theirs = history.commit(history.base, "a.txt", "theirs\n")
            merged = await integrator.merge(self._job(ours, theirs, "conflict"))
            assert isinstance(merged, Conflict)
            assert (merged.head, merged.paths) == (ours, ("a.txt",))
            assert merged.detail
            assert await integrator.head(self.BRANCH) == history.base

        play(open_integrator, script)


class WorkspacesContract:
    """Fixtures: `open_workspaces` (see `Open`) and `history`."""

    @pytest.fixture
    def open_workspaces(self) -> Open[Workspaces]:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def history(self) -> History:
        """To be given by the subclass."""
        raise NotImplementedError

    def _job(self, workspace: Workspace, *, attempt: int = 1, claim: str | None = None) -> SealJob:
        return SealJob(
            workspace=workspace,
            ref=attempt_ref("r", "a", attempt),
            message="What is left\n",
            declared=("new.txt",),
            claim=claim,
        )

    def test_a_checkout(self, open_workspaces: Open[Workspaces], history: History) -> None:
        """It holds the commit's files and stands on the commit; two are two."""

        async def script(workspaces: Workspaces) -> None:
            one = await workspaces.acquire(history.base, branch="task")
            two = await workspaces.acquire(history.base, branch="task")
            assert one.path != two.path
            assert (one.commit, one.branch) == (history.base, "task")
            assert _files(one) == _files(two) == {"a.txt": "one\n"}

        play(open_workspaces, script)

    def test_a_used_checkout_comes_back_clean(self, open_workspaces: Open[Workspaces], history: History) -> None:
        """Nothing of the one before is left, except what is to be kept."""

        async def script(workspaces: Workspaces) -> None:
            first = await workspaces.acquire(history.base, branch="task", keep=["cache"])
            _write(first, "a.txt", "changed\n")
            _write(first, "left.txt", "left\n")
            _write(first, "cache/x", "kept\n")
            await workspaces.release(first)
            other = history.commit(history.base, "b.txt", "b\n")
            second = await workspaces.acquire(other, branch="other", keep=["cache"])
            files = _files(second)
            files.pop("cache/x", None)
            assert files == {"a.txt": "one\n", "b.txt": "b\n"}

        play(open_workspaces, script)

    def test_sealing_nothing(self, open_workspaces: Open[Workspaces], history: History) -> None:
        """An unchanged checkout seals as its base: no commit is made up."""

        async def script(workspaces: Workspaces) -> None:
            workspace = await workspaces.acquire(history.base, branch="task")
            sealed = await workspaces.seal(self._job(workspace))
            assert (sealed.commit, sealed.base, sealed.changes) == (history.base, history.base, ())
            assert sealed.tree == sealed.base_tree == history.tree(history.base)

        play(open_workspaces, script)

    def test_sealing_a_change(self, open_workspaces: Open[Workspaces], history: History) -> None:
        """Everything in it is under the ref: changed, new and deleted files; sealing again gives the same tree [I2]."""

        async def script(workspaces: Workspaces) -> None:
            workspace = await workspaces.acquire(history.commit(history.base, "gone.txt", "gone\n"), branch="task")
            _write(workspace, "a.txt", "two\n")
            _write(workspace, "new.txt", "new\n")
            (workspace.path / "gone.txt").unlink()
            sealed = await workspaces.seal(self._job(workspace))
            assert set(sealed.changes) == {
                Change(path="a.txt", kind=ChangeKind.MODIFIED),
                Change(path="new.txt", kind=ChangeKind.ADDED),
                Change(path="gone.txt", kind=ChangeKind.DELETED),
            }
            assert sealed.present == ("new.txt",)
            assert sealed.base_is_ancestor
            assert sealed.agent_commits == 0
            assert history.resolve(attempt_ref("r", "a", 1)) == sealed.commit
            assert history.parents(sealed.commit) == [workspace.commit]
            assert history.tree(sealed.commit) == sealed.tree
            assert (await workspaces.seal(self._job(workspace, attempt=2))).tree == sealed.tree

        play(open_workspaces, script)

    def test_sealing_what_only_the_coordinator_writes(
        self, open_workspaces: Open[Workspaces], history: History
    ) -> None:
        """Artifacts stay as the base has them, whatever was done to them; a change of nothing else is none [I6]."""

        async def script(workspaces: Workspaces) -> None:
            base = history.commit(history.commit(history.base, "kept.log", "old\n"), "gone.log", "old\n")
            workspace = await workspaces.acquire(base, branch="task")
            job = replace(self._job(workspace), artifacts=("*.log",))
            _write(workspace, "kept.log", "mine\n")
            _write(workspace, "new.log", "mine\n")
            (workspace.path / "gone.log").unlink()
            sealed = await workspaces.seal(job)
            assert (sealed.tree, sealed.changes) == (sealed.base_tree, ())
            assert sealed.left_out == ("gone.log", "kept.log", "new.log")
            _write(workspace, "new.txt", "new\n")
            again = await workspaces.seal(replace(job, ref=attempt_ref("r", "a", 2)))
            assert again.changes == (Change(path="new.txt", kind=ChangeKind.ADDED),)
            assert again.left_out == sealed.left_out

        play(open_workspaces, script)

    def test_a_claimed_commit(self, open_workspaces: Open[Workspaces], history: History) -> None:
        """A report may name any commit: one that is not there, or was there before, is told apart [I6]."""

        async def script(workspaces: Workspaces) -> None:
            workspace = await workspaces.acquire(history.base, branch="task")
            _write(workspace, "new.txt", "new\n")
            claims = [None, "f" * 40, "--help", "no such thing", history.base]
            sealed = [await workspaces.seal(self._job(workspace, attempt=n, claim=c)) for n, c in enumerate(claims, 1)]
            assert [one.claim for one in sealed] == [
                ClaimCheck.NONE,
                ClaimCheck.MISSING,
                ClaimCheck.MISSING,
                ClaimCheck.MISSING,
                ClaimCheck.OLD,
            ]

        play(open_workspaces, script)

    def test_rescue(self, open_workspaces: Open[Workspaces], history: History) -> None:
        """What differs from the commit is kept under the next free number; nothing is kept of nothing [I2]."""

        async def script(workspaces: Workspaces) -> None:
            prefix = rescue_prefix("r", "a")
            workspace = await workspaces.acquire(history.base, branch="task")
            assert await workspaces.rescue(workspace, prefix, "Rescued\n") is None
            _write(workspace, "new.txt", "new\n")
            refs = [await workspaces.rescue(workspace, prefix, "Rescued\n") for _ in range(2)]
            assert refs[0] == f"{prefix}/1"
            kept = history.resolve(f"{prefix}/1")
            assert kept
            assert history.tree(kept) != history.tree(history.base)
            assert _files(workspace) == {"a.txt": "one\n", "new.txt": "new\n"}

        play(open_workspaces, script)

    def test_a_patch(self, open_workspaces: Open[Workspaces], history: History, tmp_path: Path) -> None:
        """The difference of two commits, not more than was asked for."""

        async def script(workspaces: Workspaces) -> None:
            target = tmp_path / "previous.patch"
            other = history.commit(history.base, "b.txt", "line\n" * 1000)
            await workspaces.patch(history.base, other, target, 1_000_000)
            whole = target.read_text("utf-8")
            assert "b.txt" in whole
            assert "+line" in whole
            await workspaces.patch(history.base, other, target, 500)
            assert 0 < len(target.read_bytes()) < len(whole)

        play(open_workspaces, script)

    def test_reading_files(self, open_workspaces: Open[Workspaces], history: History) -> None:
        """Those that exist, each cut; a name that is not there is left out."""

        async def script(workspaces: Workspaces) -> None:
            commit = history.commit(history.base, "long.txt", "x" * 100)
            names = ["a.txt", "long.txt", "none.txt"]
            assert await workspaces.read(commit, names, 10) == {"a.txt": "one\n", "long.txt": "x" * 10}
            assert await workspaces.read(commit, [], 10) == {}

        play(open_workspaces, script)

    @pytest.mark.parametrize(
        "name", ["../a.txt", "./a.txt", "/etc/passwd", "--help", "", ".", "a.txt/", "a\nb", ":a.txt"]
    )
    def test_reading_odd_names(self, open_workspaces: Open[Workspaces], history: History, name: str) -> None:
        """Agents name files in their reports: whatever they call them, others are read all the same."""

        async def script(workspaces: Workspaces) -> None:
            found = await workspaces.read(history.base, [name, "a.txt"], 10)
            assert found.pop("a.txt") == "one\n"
            assert not set(found) - {name}

        play(open_workspaces, script)


def _files(workspace: Workspace) -> dict[str, str]:
    found = [path for path in workspace.path.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {str(path.relative_to(workspace.path)): path.read_text("utf-8") for path in found}


def _write(workspace: Workspace, path: str, text: str) -> None:
    file = workspace.path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
