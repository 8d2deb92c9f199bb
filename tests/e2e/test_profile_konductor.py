"""A phase of Konductor carried out in place: what its other commands find afterwards, field by field (SPEC 11)."""

from __future__ import annotations

import asyncio
import json
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import EffectIntended, TaskIntegrated
from chargehand.plans.detect import read_plan
from chargehand.wiring.landing import accept
from tests.e2e.cliworld import CliWorld
from tests.e2e.world import World
from tests.repos import Repo

FIXTURE = Path(__file__).parent.parent / "fixtures" / "konductor"
PHASE = ".konductor/phases/01-auth-system"
DONE = {"report": {"status": "DONE"}}

WORK: dict[str, list[dict[str, Any]]] = {
    "001-task-2": [
        {"write": {"path": "src/user.py", "text": "class User: ...\n"}},
        {"write": {"path": "tests/test_user.py", "text": "def test_user():\n    assert True\n"}},
        {
            "report": {
                "status": "DONE_WITH_CONCERNS",
                "summary": "Users are there.\n## Status: BLOCKED",
                "concerns": [{"kind": "info", "text": "names may repeat"}],
                "deviations": ["(rule 2) an empty name is refused"],
                "decisions": ["a frozen dataclass"],
                "tests_added": ["tests/test_user.py"],
            }
        },
    ],
    "002-task-2": [{"write": {"path": "docs/settings.md", "text": "Minutes.\n"}}, DONE],
    "002-task-3": [{"write": {"path": "CHANGELOG.md", "text": "- minutes\n"}}, DONE],
    "003-task-1": [{"write": {"path": "src/login.py", "text": "compare = 1\n"}}, DONE],
    "003-task-2": [{"write": {"path": "src/session.py", "text": "cookie = 1\n"}}, DONE],
    "004-task-1": [{"write": {"path": "src/page.py", "text": "escape = 1\n"}}, DONE],
    "004-task-2": [{"write": {"path": "src/page.py", "text": "escape = 1\nlogout = 1\n"}}, DONE],
    "005-task-1": [{"write": {"path": "VERSION", "text": "1.0\n"}}, DONE],
    "005-task-2": [{"write": {"path": "docs/release.md", "text": "Out.\n"}}, DONE],
}


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    shutil.copytree(FIXTURE, repo.path, dirs_exist_ok=True)
    release = repo.path / PHASE / "plans" / "005-release.md"
    release.write_text(release.read_text().replace("autonomous = false", "autonomous = true"))
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "a library")
    folder = tmp_path / "world"
    folder.mkdir()
    return World(repo, folder)


def carry_out(
    world: World, path: str = ".konductor", *, unattended: bool = True, observe: Any = None, **steps: Any
) -> Mapping[str, Any]:
    """Carry a phase out with the scripted agent, `steps` instead of `WORK` (`_` stands for `-`)."""
    scenario = {**WORK, **{name.strip("_").replace("_", "-"): value for name, value in steps.items()}}
    script = world.folder / "scenario.json"
    script.write_text(json.dumps({"scenario": 1, "tasks": scenario}), encoding="utf-8")

    async def run() -> Mapping[str, Any]:
        shop = await world.shop(["agents.script.kind=scripted", f"agents.script.command={script}"])
        loaded = shop.load_plan(world.repo.path / path)
        assert loaded.plan is not None, loaded.problems
        files = [Path(file) for file in loaded.files]
        event = await shop.new_run(loaded.plan, plan_file=Path(loaded.source), files=files)
        world.run = event.run
        return await world._drive(shop, shop.service.start(event), observe, unattended=unattended)

    return asyncio.run(run())


def take_in(world: World) -> None:
    async def land() -> None:
        await accept(await world.shop(()), world.run, None, squash=False)

    asyncio.run(land())


def artifact(world: World, name: str) -> str:
    return (world.repo.path / name).read_text(encoding="utf-8")


def summary(world: World, task: str) -> str:
    return artifact(world, f"{PHASE}/plans/{task}-summary.md")


def toml(world: World, name: str) -> dict[str, Any]:
    return tomllib.loads(artifact(world, f".konductor/{name}"))


def artifacts(world: World) -> dict[str, str]:
    """All files below `.konductor`, by path."""
    root = world.repo.path / ".konductor"
    return {str(file.relative_to(root)): file.read_text() for file in sorted(root.rglob("*")) if file.is_file()}


# -- a whole phase --------------------------------------------------------------------------------


def test_a_phase_from_its_plans_to_executed(world: World):
    """All of it lands in order; before accept an entry names the branch, after it the phase is executed."""
    before = artifacts(world)
    document = carry_out(world)
    assert document["state"] == "finished"
    assert (document["profile"], document["plan"]) == ("konductor", "01-auth-system")
    assert {task["id"] for task in document["tasks"]} == set(WORK)
    landed = next(task["landed"] for task in document["tasks"] if task["id"] == "001-task-2")
    pending = f"Not accepted yet: branch {document['branch']}, commit {landed}."
    told = summary(world, "001-task-2")
    assert told.splitlines()[2] == "## Status: DONE_WITH_CONCERNS"
    assert told.rstrip().splitlines()[-1] == pending
    state = toml(world, "state.toml")
    assert state["current"] == {"phase": "01-auth-system", "step": "executing", "status": "idle", "plan": "", "wave": 3}
    take_in(world)
    assert toml(world, "state.toml")["current"]["step"] == "executed"
    assert toml(world, "state.toml")["progress"] == {
        "phases_total": 2,
        "phases_complete": 0,
        "current_phase_plans": 5,
        "current_phase_plans_complete": 5,
    }
    assert not any("Not accepted yet" in text or "not accepted" in text for text in artifacts(world).values())
    same = [name for name, text in artifacts(world).items() if before.get(name) == text]
    plans = "phases/01-auth-system/plans"
    assert f"{plans}/001-user-model.md" in same, "plans are never written"
    assert f"{plans}/001-task-1-summary.md" in same, "nor what was done before"
    assert "config.toml" in same
    told_again = [problem.message for problem in read_plan(None, world.repo.path).problems if problem.is_error]
    assert told_again == ["All tasks of the phase are done."]


def test_a_summary_has_the_sections_that_konductor_reads(world: World):
    """FORMATS 1.7; DONE_WITH_CONCERNS is complete once accepted, and text of an agent says no status."""
    carry_out(world)
    take_in(world)
    assert summary(world, "001-task-2") == (
        "# Plan 001 - Task 2 Summary\n\n## Status: DONE\n\n"
        "## Files Created\n- src/user.py\n- tests/test_user.py\n\n## Files Modified\nNone\n\n"
        "## Tests Added\n- tests/test_user.py\n\n### Test Results\n    $ grep -q class src/user.py\n\n"
        "## Deviations from Plan\n1. (rule 2) an empty name is refused\n\n## Decisions Made\n- a frozen dataclass\n\n"
        "## Verification\n- [x] syntax\n- [x] verify-1: grep -q class src/user.py\n\n"
        "## Notes\n    Users are there.\n    ## Status: BLOCKED\n\n## Concerns\n- (info) names may repeat\n\n"
        "## Review Status: passed\n"
    )


def test_results_and_state_are_those_of_konductor(world: World):
    """Field by field; a summary of a task that its plan does not have counts for nothing."""
    (world.repo.path / PHASE / "plans" / "002-task-9-summary.md").write_text("## Status: DONE\n")
    carry_out(world)
    take_in(world)
    result = toml(world, ".results/execute-01-auth-system-plan-002.toml")
    assert result.pop("timestamp").endswith("Z")
    assert result == {
        "step": "execute",
        "phase": "01-auth-system",
        "plan": 2,
        "wave": 1,
        "status": "ok",
        "tasks_total": 3,
        "tasks_completed": 3,
    }
    names = sorted(path.name for path in (world.repo.path / ".konductor" / ".results").iterdir())
    plans = [f"execute-01-auth-system-plan-00{n}.toml" for n in range(1, 6)]
    assert names == [*plans, "plan-01-auth-system.toml"]
    text = artifact(world, ".konductor/state.toml")
    assert "# written by konductor; edited by hand once" in text
    assert '[team]\nlead = "Ida"\n' in text
    state = tomllib.loads(text)
    assert state["blockers"] == tomllib.loads(artifact_of_fixture("state.toml"))["blockers"]
    assert state["metrics"]["total_agent_sessions"] > 7
    review = artifact(world, f"{PHASE}/plans/003-task-1-spec-review.md")
    assert review.startswith("# Spec Review: Plan 003 - Task 1\n\n## Verdict: PASS\n\n## Rounds\n- 1: PASS by script")
    assert artifact(world, f"{PHASE}/code-review.md").startswith(
        "# Code Review: Phase 01-auth-system\n\n## Verdict: PASS"
    )


def artifact_of_fixture(name: str) -> str:
    return (FIXTURE / ".konductor" / name).read_text(encoding="utf-8")


def test_order_is_waves_of_plans_and_tasks_in_sequence(world: World):
    """Never more plans at once than `max_wave_parallelism`, never two tasks of one plan, no wave before its time."""
    live: list[str] = []
    most: list[int] = []
    waves: list[int] = []

    def watch(recorded: Any, state: Any, _engine: Any) -> None:
        event = recorded.event
        if isinstance(event, EffectIntended) and isinstance(event.effect, StartAttempt) and event.effect.task:
            live.append(event.effect.task)
            waves.append(state.wave_of[event.effect.task])
        elif isinstance(event, TaskIntegrated):
            live[:] = [task for task in live if task != event.task]
        plans = [task[:3] for task in set(live)]
        assert len(plans) == len(set(plans))
        most.append(len(plans))

    carry_out(world, observe=watch)
    assert max(most) == 2
    assert waves == sorted(waves)


def test_a_fresh_executor_is_told_the_plan_the_task_and_what_came_before(world: World):
    """The plan's path and number, the summaries of earlier tasks, its rules; and the plan, which git does not know."""
    path = f"{PHASE}/plans/002-settings.md"
    world.repo.git("rm", "-r", "-q", "--cached", ".konductor")
    world.repo.git("commit", "-q", "-m", "plans are nobody's business")
    steps = [
        {"read_brief_check": f"Task 3 of the plan {path}."},
        {"read_brief_check": "## Status: DONE_WITH_CONCERNS"},
        {"read_brief_check": "002-task-2: Say it in the documentation"},
        {"read_brief_check": "stop and report BLOCKED, and so when in doubt"},
        {"if": {"exists": path}, "then": [], "else": [{"exit": 9}]},
        *WORK["002-task-3"],
    ]
    document = carry_out(world, _002_task_3=steps)
    assert document["state"] == "finished"


# -- what does not go well ------------------------------------------------------------------------


def test_three_blocked_in_a_phase_stop_it(world: World):
    """The breaker counts over the waves of a phase; each is a row, and a summary says why."""
    blocked = [{"report": {"status": "BLOCKED", "blocker": "Nobody decided on the cookie."}}]
    document = carry_out(world, _003_task_1=blocked, _004_task_1=blocked, _002_task_2=blocked)
    assert document["state"] == "failed"
    states = {task["id"]: task["state"] for task in document["tasks"]}
    assert states["002-task-2"] == states["003-task-1"] == "blocked"
    assert states["005-task-1"] in {"blocked", "cancelled"}
    state = toml(world, "state.toml")
    rows = [row for row in state["blockers"] if not row["resolved"]]
    assert [row["reason"].split(":")[0] for row in rows] == ["002-task-2", "003-task-1"]
    assert all(row["phase"] == "01-auth-system" and row["step"] == "executing" for row in rows)
    assert (state["current"]["step"], state["current"]["status"]) == ("executing", "blocked")
    told = summary(world, "003-task-1")
    assert "## Status: BLOCKED\n" in told
    assert "## Blocker\n    Nobody decided on the cookie." in told
    result = toml(world, ".results/execute-01-auth-system-plan-003.toml")
    assert (result["status"], result["tasks_completed"]) == ("error", 0)


def test_a_crash_is_never_tried_again(world: World):
    """It gives a BLOCKED summary with the reason and an error; the rest of the wave goes on."""
    document = carry_out(world, _003_task_1=[{"exit": 3}])
    task = {each["id"]: each for each in document["tasks"]}
    assert (task["003-task-1"]["state"], task["003-task-1"]["attempts"]) == ("failed", 1)
    assert task["004-task-2"]["state"] == "integrated"
    assert "## Status: BLOCKED" in summary(world, "003-task-1")
    assert toml(world, ".results/execute-01-auth-system-plan-003.toml")["status"] == "error"
    assert toml(world, ".results/execute-01-auth-system-plan-004.toml")["status"] == "ok"


def test_context_is_given_twice_and_then_it_is_blocked(world: World):
    wanted = {1: "README.md", 2: "src/settings.py", "default": "src/hashing.py"}
    needs = {
        "attempts": {
            number: [{"report": {"status": "NEEDS_CONTEXT", "missing_context": [path]}}]
            for number, path in wanted.items()
        }
    }
    document = carry_out(world, _003_task_1=needs)
    task = next(each for each in document["tasks"] if each["id"] == "003-task-1")
    assert (task["state"], task["reason"], task["attempts"]) == ("blocked", "needs_context", 3)
    assert "## Status: BLOCKED" in summary(world, "003-task-1")


def test_an_unresolved_review_needs_manual_intervention(world: World):
    """Two fixes, and the task is not complete: not for us, and not for Konductor."""
    steps = {
        "roles": {
            "implementer": WORK["003-task-2"],
            "fixer": [
                {"write": {"path": "src/session.py", "text": "cookie = {{attempt}}\n"}},
                DONE,
            ],
            "spec-reviewer": [{"verdict": ["major src/session.py:1 No cookie is kept."]}],
        }
    }
    document = carry_out(world, _003_task_2=steps)
    task = next(each for each in document["tasks"] if each["id"] == "003-task-2")
    assert (task["state"], task["reason"]) == ("blocked", "review_unresolved")
    told = summary(world, "003-task-2")
    assert "## Review Status: needs manual intervention" in told
    review = artifact(world, f"{PHASE}/plans/003-task-2-spec-review.md")
    assert "## Verdict: FAIL" in review
    assert review.count("FAIL by script") == 3
    assert "- [major] src/session.py:1: No cookie is kept." in review
    again = read_plan(None, world.repo.path).plan
    assert again is not None
    assert "003-task-2" in [each.id for each in again.tasks]


def test_a_no_to_a_plan_that_is_not_autonomous_blocks_it(world: World):
    """It asks once, before the first task of the plan."""
    shutil.copy(FIXTURE / PHASE / "plans" / "005-release.md", world.repo.path / PHASE / "plans")
    document = carry_out(world, unattended=False)
    assert document["state"] == "waiting"
    assert [(each["task"], each["kind"]) for each in document["decisions"]] == [("005-task-1", "start")]
    document = world.resume(unattended=True)
    task = {each["id"]: each for each in document["tasks"]}
    assert (task["005-task-1"]["state"], task["005-task-2"]["blocked_on"]) == ("blocked", "005-task-1")


def test_without_reviews_done_is_complete(world: World):
    (world.repo.path / ".konductor" / "config.toml").write_text("[features]\ncode_review = false\n")
    document = carry_out(world)
    assert document["state"] == "finished"
    take_in(world)
    told = summary(world, "003-task-1")
    assert "## Review Status: passed\n\nNo reviewer looked at it" in told
    assert not (world.repo.path / PHASE / "plans" / "003-task-1-spec-review.md").exists()
    assert not (world.repo.path / PHASE / "code-review.md").exists()


# -- resume ---------------------------------------------------------------------------------------


def stop_after(number: int) -> Any:
    """An observer that ends the process of the run, as far as it can tell, after so many landings."""
    seen: list[str] = []

    def watch(recorded: Any, _state: Any, engine: Any) -> None:
        if isinstance(recorded.event, TaskIntegrated):
            seen.append(recorded.event.task)
            if len(seen) == number:
                engine.interrupt("test", now=True)

    return watch


@pytest.mark.parametrize("number", [1, 4, 7])
def test_a_resume_brings_every_file_back(world: World, number: int):
    """I4: files that were lost or changed meanwhile are written anew; the journal wins, and nothing lands twice."""
    carry_out(world, observe=stop_after(number))
    plans = world.repo.path / PHASE / "plans"
    for file in (*plans.glob("00[2-5]-task-*-review.md"), plans / "001-task-2-summary.md"):
        file.unlink(missing_ok=True)
    state = world.repo.path / ".konductor" / "state.toml"
    state.write_text(state.read_text().replace('"executing"', '"complete"').replace('"Ida"', '"Otto"'))
    document = world.resume(unattended=True)
    assert {task["state"] for task in document["tasks"]} == {"integrated"}
    assert toml(world, "state.toml")["current"]["step"] == "executing"
    assert toml(world, "state.toml")["team"]["lead"] == "Otto", "what is not ours stays as it is"
    assert "## Status: DONE_WITH_CONCERNS" in summary(world, "001-task-2")
    subjects = world.repo.git("log", "--first-parent", "--format=%s", f"main..{document['branch']}").splitlines()
    landed = sorted(line.split(":")[0] for line in subjects)
    assert landed == sorted(WORK)


def test_a_kill_in_the_middle_loses_nothing(world: World, tmp_path: Path):
    """I4: SIGKILL while a task is at work; the resume ends with the artifacts of a run that was not killed."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    work = {
        task: [{"write": {step["write"]["path"]: step["write"]["text"] for step in steps if "write" in step}}]
        for task, steps in WORK.items()
    }
    cli.script({**work, "003-task-1": [{**work["003-task-1"][0], "stay": True}]})
    words = ("run", "--agent-command", cli.agent, "--sandbox", "none", "--no-review", "--unattended", "--run-id", "k")
    with cli.start(*words) as process:
        cli.wait_until_written()
        process.kill()
    assert toml(world, "state.toml")["current"]["status"] == "busy"
    cli.script(work)
    done = cli.call("resume", "k", "--json")
    assert done.code == 0, done.stderr
    assert cli.call("accept", "k", "--yes").code == 0
    assert toml(world, "state.toml")["current"]["step"] == "executed"
    results = world.repo.path / ".konductor" / ".results"
    assert [tomllib.loads(file.read_text())["status"] for file in sorted(results.glob("execute-*"))] == ["ok"] * 5
    left = [problem.message for problem in read_plan(None, world.repo.path).problems if problem.is_error]
    assert left == ["All tasks of the phase are done."]


def test_a_new_run_takes_up_where_the_last_was_accepted(world: World):
    """What was done with concerns is complete, what was blocked is taken up again."""
    blocked = [{"report": {"status": "BLOCKED", "blocker": "no cookie"}}]
    carry_out(world, _003_task_1=blocked)
    take_in(world)
    plan = read_plan(None, world.repo.path).plan
    assert plan is not None
    assert [task.id for task in plan.tasks] == ["003-task-1", "003-task-2", "005-task-1", "005-task-2"]
    document = carry_out(world, unattended=True)
    landed = {task["id"]: task["state"] for task in document["tasks"]}
    assert landed["003-task-2"] == "integrated"
    rows = {row["reason"].split(":")[0]: row["resolved"] for row in toml(world, "state.toml")["blockers"]}
    assert rows["003-task-1"] is True


# -- the command line -----------------------------------------------------------------------------


def test_run_needs_no_argument(world: World, tmp_path: Path):
    """`run` in the project says what it found, and takes the profile its reader names."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    checked = cli.call("check", "--json")
    assert checked.code == 0, checked.stderr
    assert checked.document["profile"] == "konductor"
    assert checked.document["counts"]["plan_tasks"] == 11
    assert checked.document["inferred"] == ["002-task-3", "003-task-2", "004-task-2", "005-task-2"]
    steps: dict[str, Sequence[Mapping[str, Any]]] = {
        task: [{"write": {step["write"]["path"]: step["write"]["text"] for step in steps if "write" in step}}]
        for task, steps in WORK.items()
    }
    cli.script(steps)
    done = cli.call(
        *("run", "--agent-command", cli.agent, "--sandbox", "none", "--no-review", "--unattended", "--json"),
        *("--run-id", "k"),
    )
    assert done.code == 0, done.stderr
    assert "taking" in done.stderr
    assert ".konductor" in done.stderr
    states = {task["id"]: task["state"] for task in done.document["tasks"]}
    assert set(states.values()) == {"integrated"}
    assert "## Status: DONE" in summary(world, "004-task-2")
