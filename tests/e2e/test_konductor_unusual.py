"""A phase of Konductor that wants no commits, and one whose plans are held up (SPEC 11)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.accept import accept as land_alone
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import RunAccepted
from chargehand.plans.konductor_done import Standing, read_summary
from chargehand.plans.loaded import LoadedPlan
from chargehand.wiring.landing import Acceptance, accept
from tests.e2e.cliworld import CliWorld
from tests.e2e.test_profile_konductor import PHASE, artifact, carry_out, summary, toml, world
from tests.e2e.world import World

__all__ = ["world"]

ONE = f"{PHASE}/plans/001-user-model.md"
CHANGE = "A  src/user.py\nA  tests/test_user.py"


@pytest.fixture
def staging(world: World) -> World:
    """A project without commits of tools, where the run of one plan has come to its end."""
    config = world.repo.path / ".konductor" / "config.toml"
    config.write_text(config.read_text().replace("auto_commit = true", "auto_commit = false"))
    world.repo.git("rm", "-r", "-q", "--cached", ".konductor")
    world.repo.write(".gitignore", ".konductor/\n")
    world.repo.commit("plans are nobody's business")
    assert carry_out(world, ONE)["state"] == "finished"
    return world


def take_in(world: World, *, squash: bool = False) -> Acceptance:
    async def land() -> Acceptance:
        return await accept(await world.shop(()), world.run, None, squash=squash)

    return asyncio.run(land())


def claimed(world: World) -> LoadedPlan:
    """The plan as `check` and `run` have it, held against the commit that is checked out."""

    async def load() -> LoadedPlan:
        return await (await world.shop(())).read_plan_at(world.repo.path / ONE, "HEAD")

    return asyncio.run(load())


def accepted(world: World) -> list[tuple[str, str]]:
    events = [each for each in world.events() if isinstance(each, RunAccepted)]
    return [(event.how, event.commit) for event in events]


def status(world: World) -> str:
    return world.repo.git("status", "--porcelain", "--no-renames")


def test_without_auto_commit_the_change_is_left_staged(staging: World):
    """I1: no branch of the user's moves; journal, receipt and artifacts say that nothing is committed."""
    repo = staging.repo
    main, head = repo.head("main"), repo.head(staging.document["branch"])
    done = take_in(staging)
    assert (done.how, done.before, done.after, done.checkout) == ("staged", main, main, repo.path)
    assert repo.head("main") == main
    assert status(staging) == CHANGE
    assert accepted(staging) == [("staged", head)]
    told = summary(staging, "001-task-2")
    last = f"Staged in the checkout of main, and not committed: branch {staging.document['branch']}, commit {head}"
    assert told.rstrip().splitlines()[-1] == f"{last} keeps it."
    known, _ = read_summary(told)
    assert known is not None
    assert (known.status, known.review, known.commit, known.is_staged) == ("DONE", "passed", head, True)
    assert known.standing(reviews=True) is Standing.PENDING
    assert claimed(staging).staged == {"001-task-2": head}
    result = artifact(staging, ".konductor/.results/execute-01-auth-system-plan-001.toml")
    assert result.startswith("# staged in the checkout of main, not committed: branch chargehand/")


def test_what_was_staged_is_done_once_it_was_committed(staging: World):
    """I6: thrown away it is to be done again; committed under whatever name, and changed after that, it is done."""
    take_in(staging)
    staging.repo.git("stash", "-q")
    thrown = claimed(staging)
    assert (thrown.counts["done"], thrown.counts["pending"]) == (1, 1)
    assert thrown.plan is not None
    assert [task.id for task in thrown.plan.tasks] == ["001-task-2"]
    assert "staged in the checkout of main, which the base does not have; it is done again." in "".join(thrown.told)
    staging.repo.git("stash", "pop", "-q", "--index")
    staging.repo.commit("users, by me")
    staging.repo.write("src/user.py", "class Member:\n    pass\n")
    staging.repo.commit("and better")
    done = claimed(staging)
    assert (done.counts["done"], "pending" in done.counts) == (2, False)
    assert [problem.code for problem in done.problems if problem.is_error] == ["nothing_left"]


@pytest.mark.system
def test_an_accept_after_the_commit_makes_it_known(staging: World):
    """What was staged is committed by its owner: then it has landed, and the artifacts say no more than that."""
    take_in(staging)
    assert take_in(staging).how == "nothing"
    mine = staging.repo.commit("users")
    assert take_in(staging).how == "nothing"
    assert [how for how, _ in accepted(staging)] == ["staged", "squash"]
    assert accepted(staging)[-1][1] == mine
    assert "not committed" not in summary(staging, "001-task-2")
    assert take_in(staging).how == "nothing"
    assert len(accepted(staging)) == 2


def test_what_was_merged_by_hand_is_known_after_an_accept(staging: World):
    staging.repo.commit("mine", more="m\n")
    staging.repo.git("merge", "-q", "--no-ff", "-m", "by hand", staging.document["branch"])
    assert take_in(staging).how == "nothing"
    assert accepted(staging) == [("merge", staging.repo.head("main"))]


def test_squash_commits_all_the_same(staging: World):
    assert take_in(staging, squash=True).how == "squash"
    assert status(staging) == ""
    assert "Staged" not in summary(staging, "001-task-2")


def test_a_change_in_the_way_refuses(staging: World):
    staging.repo.write("src/user.py", "mine\n")
    with pytest.raises(UserError, match="local changes in files that would change") as caught:
        take_in(staging)
    assert caught.value.code == "overlapping_changes"
    staging.repo.git("switch", "-q", "-c", "elsewhere")
    with pytest.raises(UserError, match="is not checked out"):
        take_in(staging)
    assert accepted(staging) == []


@pytest.mark.parametrize("staged", [True, False])
def test_a_process_killed_before_it_could_record_is_made_good(staging: World, staged: bool):
    """I5: git is done and the journal does not know: the next accept tells it, and does nothing twice."""

    async def killed() -> None:
        shop = await staging.shop(())
        branch = staging.document["branch"]
        await land_alone(shop.repository, branch, "main", message="m\n", staged=staged)

    asyncio.run(killed())
    before, index = staging.repo.head("main"), status(staging)
    assert accepted(staging) == []
    assert "Not accepted yet" in summary(staging, "001-task-2")
    assert take_in(staging).how == "nothing"
    head = staging.repo.head(staging.document["branch"])
    assert accepted(staging) == [("staged" if staged else "fast-forward", head)]
    assert "Not accepted yet" not in summary(staging, "001-task-2")
    assert (staging.repo.head("main"), status(staging)) == (before, index)


def test_files_that_could_not_be_written_are_written_by_the_next_accept(staging: World):
    """Git and the journal are done, the files are not; and once they are, they are left to whoever goes on."""
    told = staging.repo.path / PHASE / "plans" / "001-task-2-summary.md"
    result = ".konductor/.results/execute-01-auth-system-plan-001.toml"
    told.unlink()
    (told / "in the way").mkdir(parents=True)
    with pytest.raises(AdapterError, match=r"001-task-2-summary\.md"):
        take_in(staging)
    assert [how for how, _ in accepted(staging)] == ["staged"]
    assert artifact(staging, result).startswith("# not accepted yet")
    (told / "in the way").rmdir()
    told.rmdir()
    assert take_in(staging).how == "nothing"
    assert "Staged in the checkout of main" in summary(staging, "001-task-2")
    assert artifact(staging, result).startswith("# staged in the checkout of main")
    told.write_text("of the next one\n")
    assert take_in(staging).how == "nothing"
    assert told.read_text() == "of the next one\n"
    assert len(accepted(staging)) == 1


@pytest.mark.system
def test_the_command_line_says_what_is_true(staging: World, tmp_path: Path):
    cli = CliWorld(staging.repo, tmp_path / "cli")
    cli.environ["XDG_STATE_HOME"] = str(staging.folder)
    done = cli.call("accept", staging.run, "--yes")
    assert done.code == 0, done.stderr
    assert done.stdout == f"The change lies staged in {staging.repo.path}, on main; nothing was committed.\n"
    again = cli.call("accept", staging.run, "--yes", "--json")
    assert (again.document["how"], again.document["checkout"]) == ("nothing", str(staging.repo.path))
    assert "lies staged in the checkout of main, and is not committed" in cli.call("status", staging.run).stdout
    verified = cli.call("receipt", "verify", staging.run)
    assert verified.code == 0, verified.stdout
    cli.call("clean", "--yes")
    assert "refs/chargehand/attempts/" in staging.repo.git("for-each-ref"), "nothing but them and a branch keeps it"


def set_out(cli: CliWorld) -> str:
    """What a run says that begins now; its agent gives up at once."""
    plan = cli.plan([{"id": "other", "title": "Other"}])
    done = cli.call("run", plan, "--agent-command", "false", "--new", "--unattended")
    assert done.stderr.startswith("run "), done.stderr
    return " ".join(done.stderr.split())


def test_a_run_that_begins_without_what_is_staged_says_so(staging: World, tmp_path: Path):
    """I1: only told, as the next step is the owner's; no more once it is committed, nor of what is no run's change."""
    warning = f"the change of run {staging.run} lies staged in your checkout, and is not committed: this run begins at"
    base, cli = staging.repo.head("main"), CliWorld(staging.repo, tmp_path / "cli")
    cli.environ["XDG_STATE_HOME"] = str(staging.folder)
    take_in(staging)
    said = set_out(cli)
    assert f"{warning} {base[:10]}, without it (2 paths). To build on it, stop this run, `git commit`" in said
    assert status(staging) == CHANGE
    staging.repo.git("commit", "-q", "-m", "mine")
    staging.repo.write("other.txt", "staged by its owner")
    staging.repo.git("add", "other.txt")
    assert "lies staged" not in set_out(cli)


# -- plans that are held up -----------------------------------------------------------------------


@pytest.mark.system
def test_a_blocked_task_holds_its_plan_and_no_other(world: World):
    """Later tasks of the plan wait for it, also over waves what depends on the plan; the other plans go on."""
    blocked: list[dict[str, Any]] = [{"report": {"status": "BLOCKED", "blocker": "Which units?"}}]
    document = carry_out(world, _002_task_2=blocked)
    task = {each["id"]: each for each in document["tasks"]}
    assert (task["002-task-2"]["state"], task["002-task-2"]["blocked_on"]) == ("blocked", None)
    held = {name for name, each in task.items() if each["blocked_on"] == "002-task-2"}
    assert held == {"002-task-3", "004-task-1", "004-task-2", "005-task-1", "005-task-2"}
    going = {name for name, each in task.items() if each["state"] == "integrated"}
    assert going == {"001-task-2", "003-task-1", "003-task-2"}
    assert [row["reason"].split(":")[0] for row in toml(world, "state.toml")["blockers"] if not row["resolved"]] == [
        "002-task-2"
    ]
    results = {n: toml(world, f".results/execute-01-auth-system-plan-00{n}.toml")["status"] for n in (1, 2)}
    assert results == {1: "ok", 2: "error"}
    assert not (world.repo.path / PHASE / "plans" / "002-task-3-summary.md").exists(), "it has no word for waiting"
