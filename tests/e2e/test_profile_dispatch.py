"""A graph of Nexus Cortexia carried out in place: what its other commands find afterwards, field by field (SPEC 11)."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import AttemptFinished, EffectIntended, GatesFinished, TaskIntegrated, WaveEnded
from chargehand.plans.detect import read_plan
from chargehand.wiring.landing import accept
from tests.e2e.cliworld import CliWorld
from tests.e2e.world import World
from tests.repos import Repo

FIXTURE = Path(__file__).parent.parent / "fixtures" / "dispatch"
STATE = ".nexus-cortexia/state.json"
DONE = {"report": {"status": "DONE"}}


def makes(path: str, text: str = "value = 1\n", **report: Any) -> list[dict[str, Any]]:
    """The steps of a task that writes a file and is done."""
    return [{"write": {"path": path, "text": text}}, {"report": {"status": "DONE", **report}}]


WORK: dict[str, list[dict[str, Any]]] = {
    "task-3.1": makes("src/todo/model.py", summary="A frozen\ndataclass.", interfaces=["Todo(title: str)"]),
    "task-3.2": makes("src/todo/store.py", interfaces=["Store.add(todo: Todo) -> int"]),
    "task-4": makes("src/todo/errors.py"),
    "task-5": makes("docs/errors.md", "Sorry.\n"),
    "task-6": makes("src/todo/list.py"),
    "task-7": makes("src/todo/add.py"),
    "task-8": makes("src/todo/metrics.py"),
    "task-9": makes("src/todo/page.py"),
    "task-10": makes("docs/run.md", "Start it.\n"),
    "task-11": makes("docs/news.md", "Handlers.\n"),
}
FAILS = [{"report": {"status": "FAILED", "summary": "the counter is gone"}}]


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    """The state is ignored by git, as the system itself sees to."""
    shutil.copytree(FIXTURE, repo.path, dirs_exist_ok=True)
    (repo.path / ".gitignore").write_text(".nexus-cortexia/\n")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "a library")
    folder = tmp_path / "world"
    folder.mkdir()
    return World(repo, folder)


def carry_out(
    world: World,
    *,
    unattended: bool = True,
    observe: Any = None,
    sets: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
    **steps: Any,
) -> Mapping[str, Any]:
    """Carry the graph out with the scripted agent, `steps` instead of `WORK` (`task_3` for `task-3`)."""
    scenario = {**WORK, **{re.sub("_", ".", name.replace("_", "-", 1)): each for name, each in steps.items()}}
    script = world.folder / "scenario.json"
    script.write_text(json.dumps({"scenario": 1, "tasks": scenario}), encoding="utf-8")

    async def run() -> Mapping[str, Any]:
        shop = await world.shop(["agents.script.kind=scripted", f"agents.script.command={script}", *sets])
        loaded = shop.load_plan(None)
        assert loaded.plan is not None, loaded.problems
        files = [Path(file) for file in loaded.files]
        event = await shop.new_run(loaded.plan, plan_file=Path(loaded.source), files=files, only=only)
        world.run = event.run
        return await world._drive(shop, shop.service.start(event), observe, unattended=unattended)

    return asyncio.run(run())


def take_in(world: World, *, squash: bool = False) -> None:
    async def land() -> None:
        await accept(await world.shop(()), world.run, None, squash=squash)

    asyncio.run(land())


def text_of(world: World) -> str:
    return (world.repo.path / STATE).read_text(encoding="utf-8")


def state_of(world: World) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text_of(world))
    return value


def states(document: Mapping[str, Any]) -> dict[str, str]:
    return {task["id"]: task["state"] for task in document["tasks"]}


def brief(world: World, task: str) -> str:
    """What the first attempt of a task was told."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((world.repo.path / ".git").rglob("brief.md"))]
    return next(text for text in texts if text.startswith(f"# Task {task}\n"))


# -- a whole graph --------------------------------------------------------------------------------


def test_a_graph_from_its_state_to_completed(world: World):
    """Every field of the state as the system's own commands expect it; nothing else of the file changes."""
    before = text_of(world)
    document = carry_out(world)
    assert document["state"] == "finished", document
    assert (document["profile"], set(states(document))) == ("dispatch", set(WORK))
    state = state_of(world)
    old = json.loads(before)
    landed = {task["id"]: task["landed"] for task in document["tasks"]}
    assert state["completed_tasks"][:2] == ["task-1", "task-2"]
    assert sorted(state["completed_tasks"]) == sorted(task["id"] for task in old["task_graph"]["tasks"])
    assert (state["failed_tasks"], state["blocked_tasks"], state["current_wave"]) == ([], [], 4)
    outputs = state["compressed_outputs"]
    where = f"Not accepted yet: branch {document['branch']}, commit {landed['task-3.1']}."
    files = "Files: src/todo/model.py"
    assert outputs["task-3.1"] == f"A frozen dataclass.\nInterfaces: Todo(title: str)\n{files}\n{where}"
    assert outputs["task-1"] == old["compressed_outputs"]["task-1"]
    assert "task-2" not in outputs
    changed = {key for key in state if state[key] != old.get(key)}
    assert changed == {
        *("updated_at", "completed_tasks", "current_wave", "compressed_outputs", "failed_tasks", "blocked_tasks")
    }
    kept = [line for line in before.splitlines() if line in text_of(world).splitlines()]
    assert len(before.splitlines()) - len(kept) == 6, "one line for each of them"
    assert "caf\\u00e9 \\u2014 please keep" in text_of(world)


@pytest.mark.parametrize("squash", [False, True])
def test_what_was_accepted_names_the_branch_it_is_on(world: World, squash: bool):
    document = carry_out(world)
    take_in(world, squash=squash)
    landed = {task["id"]: task["landed"] for task in document["tasks"]}
    commit = world.repo.git("rev-parse", "main").strip() if squash else landed["task-6"]
    assert (
        state_of(world)["compressed_outputs"]["task-6"].splitlines()[-1] == f"Accepted: branch main, commit {commit}."
    )
    assert "Not accepted yet" not in text_of(world)
    assert read_plan(None, world.repo.path).problems[-1].message == "All tasks are completed."


def test_what_nobody_accepted_is_done_again(world: World):
    """The state says completed, and the base does not have it."""
    carry_out(world, task_8=FAILS)
    loaded = read_plan(None, world.repo.path)
    assert loaded.counts["pending"] == 7
    assert loaded.plan is not None
    assert len(loaded.plan.tasks) == 10


# -- order ----------------------------------------------------------------------------------------


def test_a_wave_ends_before_the_next_begins_and_shared_files_take_turns(world: World):
    """Tasks of a wave side by side within the slots; those that share a file one after the other."""
    live: set[str] = set()
    most: list[int] = []
    started: list[int] = []

    def watch(recorded: Any, state: Any, _engine: Any) -> None:
        event = recorded.event
        if isinstance(event, EffectIntended) and isinstance(event.effect, StartAttempt):
            task = event.effect.task
            assert not {"task-4", "task-5"} <= {*live, task}
            live.add(task)
            started.append(state.wave_of[task])
            most.append(len(live))
        if isinstance(event, AttemptFinished):
            live.discard(event.task)

    def shared(recorded: Any, state: Any, engine: Any) -> None:
        watch(recorded, state, engine)
        if isinstance(recorded.event, WaveEnded):
            assert not live

    document = carry_out(world, observe=shared, sets=("jobs=2",))
    assert document["state"] == "finished"
    assert max(most) == 2, "batches respect the slots"
    assert started == sorted(started)


def test_files_are_a_lease_and_no_scope(world: World):
    """A change elsewhere is part of the work: it lands, also where nobody is asked."""
    elsewhere = [{"write": {"path": "docs/other.md", "text": "Also.\n"}}, *makes("docs/errors.md", "Sorry.\n")]
    document = carry_out(world, task_5=elsewhere)
    assert states(document)["task-5"] == "integrated"
    changed = next(each for each in document["tasks"] if each["id"] == "task-5")["files_changed"]
    assert "docs/other.md" in changed


def test_one_at_a_time_is_the_loop_of_a_single_agent(world: World):
    most: list[int] = []

    def watch(_recorded: Any, state: Any, _engine: Any) -> None:
        most.append(len(state.live))

    assert carry_out(world, observe=watch, sets=("jobs=1",))["state"] == "finished"
    assert max(most) == 1


def test_some_tasks_with_what_they_need(world: World):
    """One task and its unfinished prerequisites; of the others nothing is said."""
    carry_out(world, only=("task-6",))
    state = state_of(world)
    assert sorted(state["completed_tasks"]) == ["task-1", "task-2", "task-3.1", "task-3.2", "task-6"]
    assert [each["task_id"] for each in state["failed_tasks"]] == ["task-8"], "as it was"
    assert state["blocked_tasks"] == [{"task_id": "task-9", "blocked_on": "task-8"}]


# -- the brief ------------------------------------------------------------------------------------


def test_an_agent_is_told_its_task_and_nothing_else(world: World):
    """Task, acceptance, approach, outputs of direct dependencies, requirements; not the graph, not the aim.

    Nor is the state with all of it in the workspace.
    """
    absent = {"if": {"exists": ".nexus-cortexia/state.json"}, "then": [{"exit": 3}]}
    document = carry_out(world, task_6=[absent, *WORK["task-6"]], task_10=[absent, *WORK["task-10"]])
    assert document["state"] == "finished", [task["detail"] for task in document["tasks"]]
    told = brief(world, "task-6")
    titles = [line[3:] for line in told.splitlines() if line.startswith("## ")]
    assert titles == ["Your role", "Task", "Files", "How work is done here", "What it builds on", "Report"]
    for text in ("task-6: List handler", "GET of all todos.", "- answers 200", "Store.add(todo: Todo) -> int"):
        assert text in told
    assert "summary: A frozen" in told, "what a direct dependency left"
    for text in ("café", "Metrics", "Release notes", "task-7", "task-8", "task-4", "Package src/todo", "import os"):
        assert text not in told
    model = brief(world, "task-3.1")
    assert "A frozen dataclass; the check in __post_init__." in model
    assert "Package src/todo, version in __init__.py; café" in model, "the output of a task that was done before"
    assert "One dictionary of counters" not in model, "approaches of others"
    errors = brief(world, "task-4")
    assert "Read:\n- src/todo/__init__.py\n- src/todo/settings.py" in errors, "what lies beside its files"
    assert "the counter never grew (retries: 1)" in brief(world, "task-8")


# -- what does not go well ------------------------------------------------------------------------


def test_one_attempt_one_retry_then_a_person(world: World):
    """It stands in failed_tasks with its one retry while the question is open; what depends on it is blocked on it."""
    fails = [{"write": {"path": "src/todo/store.py", "text": "x = {{attempt}}\n"}}, *FAILS]
    document = carry_out(world, task_3_2=fails, unattended=False)
    assert document["state"] == "waiting"
    assert [(each["task"], each["kind"]) for each in document["decisions"]] == [("task-3.2", "escalation")]
    state = state_of(world)
    entry = next(each for each in state["failed_tasks"] if each["task_id"] == "task-3.2")
    assert entry["retry_count"] == 1
    assert "the counter is gone" in entry["reason"]
    blocked = {each["task_id"]: each["blocked_on"] for each in state["blocked_tasks"]}
    assert blocked == dict.fromkeys(("task-6", "task-7", "task-10", "task-11"), "task-3.2")
    task = next(each for each in document["tasks"] if each["id"] == "task-3.2")
    assert task["attempts"] == 2
    document = world.resume(unattended=True)
    ended = states(document)
    assert (ended["task-3.2"], ended["task-6"], ended["task-10"]) == ("failed", "blocked", "blocked")
    assert ended["task-9"] == "integrated", "the next wave starts those that are not blocked"
    state = state_of(world)
    blocked = {each["task_id"]: each["blocked_on"] for each in state["blocked_tasks"]}
    assert blocked == dict.fromkeys(("task-6", "task-7", "task-10", "task-11"), "task-3.2")
    assert [each["task_id"] for each in state["failed_tasks"]] == ["task-3.2"], "task-8 has succeeded"
    assert read_plan(None, world.repo.path).problems == ()


def test_a_new_run_takes_up_what_failed_and_clears_what_succeeds(world: World):
    carry_out(world, task_8=FAILS)
    take_in(world)
    state = state_of(world)
    assert [each["task_id"] for each in state["failed_tasks"]] == ["task-8"]
    assert {each["task_id"]: each["blocked_on"] for each in state["blocked_tasks"]} == {
        "task-9": "task-8",
        "task-10": "task-8",
    }
    plan = read_plan(None, world.repo.path).plan
    assert plan is not None
    assert [task.id for task in plan.tasks] == ["task-8", "task-9", "task-10"]
    assert carry_out(world)["state"] == "finished"
    state = state_of(world)
    assert (state["failed_tasks"], state["blocked_tasks"], len(state["completed_tasks"])) == ([], [], 12)


def test_a_worse_retry_is_dropped_for_the_first_state(world: World):
    """The first change met all but the last check; the second not even the one it met before. The first is kept."""
    steps = {"attempts": {"1": makes("src/todo/add.py"), "2": makes("src/todo/more.py")}}
    state = state_of(world)
    for task in state["task_graph"]["tasks"]:
        if task["id"] == "task-7":
            task["verify"] = ["`test -s src/todo/add.py`", "`test -s never.txt`"]
    (world.repo.path / STATE).write_text(json.dumps(state, indent=2, ensure_ascii=False))
    document = carry_out(world, task_7=steps)
    assert states(document)["task-7"] == "failed"
    entry = next(each for each in state_of(world)["failed_tasks"] if each["task_id"] == "task-7")
    assert entry["retry_count"] == 1
    assert "This was worse than an attempt before; that one is kept as" in entry["reason"]
    kept = entry["reason"].split("kept as ")[1].split(".")[0]
    assert "src/todo/add.py" in world.repo.files(kept)


def test_a_dangerous_step_waits_for_a_yes_to_exactly_that_command(world: World):
    """I9: the command and the reason are shown; a no, or nobody to ask, blocks the task and what depends on it."""
    state = state_of(world)
    for task in state["task_graph"]["tasks"]:
        if task["id"] in {"task-7", "task-9"}:
            task["verify"] = [f"`rm -rf build/{task['id']}`"]
    (world.repo.path / STATE).write_text(json.dumps(state))
    document = carry_out(world, unattended=False)
    asked = {each["task"]: each for each in document["decisions"]}
    assert {name: (each["kind"], each["command"]) for name, each in asked.items()} == {
        "task-7": ("command", "rm -rf build/task-7"),
        "task-9": ("command", "rm -rf build/task-9"),
    }
    assert "It deletes a folder with everything in it" in asked["task-7"]["question"], "why it is asked"
    assert state_of(world)["failed_tasks"] == [], "a question about a command is no failure"
    document = world.resume(unattended=True)
    assert states(document)["task-7"] == states(document)["task-10"] == "blocked"
    failed = {each["task_id"]: each["reason"] for each in state_of(world)["failed_tasks"]}
    assert set(failed) == {"task-7", "task-9"}
    assert failed["task-7"].startswith("Refused because nobody is asked: ")
    assert failed["task-7"].endswith("The command: rm -rf build/task-7")


def test_an_unfinished_result_is_no_result(world: World):
    """Placeholders are looked for in what was made."""
    mark = "TO" + "DO"
    steps = makes("src/todo/list.py", f"# {mark}: list them\nvalue = {{{{attempt}}}}\n")
    document = carry_out(world, task_6=steps)
    task = next(each for each in document["tasks"] if each["id"] == "task-6")
    assert (task["state"], task["reason"]) == ("failed", "placeholder")


def test_interfaces_that_do_not_match_are_mended_after_their_wave(world: World):
    """What a task reports is held against what a later one was told to expect; the fix is a task of its own."""
    other = makes("src/todo/store.py", interfaces=["Store.add(title: str) -> None"])
    fix = makes("src/todo/store.py", "value = 2\n", interfaces=["Store.add(todo: Todo) -> int"])
    document = carry_out(world, task_3_2=other, fix_1=fix)
    assert states(document)["fix-1"] == "integrated"
    assert document["state"] == "finished"
    assert "fix-1" not in text_of(world), "the graph is not ours to extend"


def test_the_project_s_build_and_tests_are_gates(world: World):
    """`[commands]`: a build that is red after a task fails it; the tests run after waves and at the end."""
    sets = ('commands.test=["test", "!", "-e", "docs/news.md"]',)
    document = carry_out(world, sets=sets)
    assert states(document)["task-11"] == "failed"
    assert states(document)["task-10"] == "integrated"
    points = {each.point.value for each in world.events() if isinstance(each, GatesFinished)}
    assert {"integrate", "wave"} <= points


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


@pytest.mark.parametrize("number", [1, 5, 9])
def test_a_resume_brings_the_lists_back(world: World, number: int):
    """I4: lists that were lost or changed meanwhile are written anew; other keys keep what a person wrote there."""
    carry_out(world, observe=stop_after(number))
    state = state_of(world)
    assert len(state["completed_tasks"]) >= 2 + number, "a landing that was under way still counts"
    state |= {"completed_tasks": ["task-1", "task-2", "task-10"], "failed_tasks": [], "compressed_outputs": {}}
    state["owner"] = {"name": "Otto"}
    (world.repo.path / STATE).write_text(json.dumps(state))
    document = world.resume(unattended=True)
    assert set(states(document).values()) == {"integrated"}
    state = state_of(world)
    assert len(state["completed_tasks"]) == len(set(state["completed_tasks"])) == 12
    assert set(state["compressed_outputs"]) == set(WORK)
    assert state["owner"] == {"name": "Otto"}
    subjects = world.repo.git("log", "--first-parent", "--format=%s", f"main..{document['branch']}").splitlines()
    assert sorted(line.split(":")[0] for line in subjects) == sorted(WORK)


@pytest.mark.parametrize(("task", "wave", "before"), [("task-3.1", 2, 0), ("task-7", 3, 5), ("task-11", 4, 8)])
def test_a_run_that_was_killed_goes_on(world: World, tmp_path: Path, task: str, wave: int, before: int):
    """I4: SIGKILL in the middle of an attempt; the state is whole, and nothing is done or listed twice."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    work = {name: [{"write": {steps[0]["write"]["path"]: "value = 1\n"}}] for name, steps in WORK.items()}
    cli.script({**work, task: [{**work[task][0], "stay": True}]})
    with cli.started_run(Path(STATE), "--unattended", "--run-id", "k", "--jobs", "1") as process:
        cli.wait_until_written()
        process.kill()
        process.wait()
    state = state_of(world)
    assert state["current_wave"] == wave
    assert len(state["completed_tasks"]) >= 2 + before
    assert task not in state["completed_tasks"]
    assert set(state["completed_tasks"]) - {"task-1", "task-2"} == set(state["compressed_outputs"]) - {"task-1"}
    cli.script(work)
    done = cli.call("resume", "k", "--json")
    assert done.code == 0, done.stderr
    state = state_of(world)
    assert len(state["completed_tasks"]) == len(set(state["completed_tasks"])) == 12
    subjects = world.repo.git("log", "--first-parent", "--format=%s", f"main..{done.document['branch']}").splitlines()
    assert sorted(line.split(":")[0] for line in subjects) == sorted(WORK)


def test_a_state_that_was_broken_meanwhile_is_told(world: World):
    """Nothing is written over it: it is put back, and the run goes on."""
    carry_out(world, observe=stop_after(2))
    good = text_of(world)
    (world.repo.path / STATE).write_text(good[:-20])
    with pytest.raises(Exception, match=r"state\.json cannot be brought up to date.*resume"):
        world.resume(unattended=True)
    assert text_of(world) == good[:-20]
    (world.repo.path / STATE).write_text(good)
    assert world.resume(unattended=True)["state"] == "finished"


# -- the command line -----------------------------------------------------------------------------


@pytest.mark.system
def test_a_state_that_is_broken_while_the_run_goes_on_is_nobody_else_s_doing(world: World, tmp_path: Path):
    """The exit code is that of a plan that cannot be read, and the run goes on once the file is put back."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    work = {task: [{"write": {steps[0]["write"]["path"]: steps[0]["write"]["text"]}}] for task, steps in WORK.items()}
    file = world.repo.path / STATE
    good = file.read_text()
    first = next(iter(work))
    cli.script({**work, first: [{"write": {**work[first][0]["write"], str(file): good[:-20]}}]})
    words = ("run", STATE, "--agent-command", cli.agent, "--sandbox", "none", "--unattended", "--run-id", "k")
    done = cli.call(*words, "--jobs", "1", "--json")
    error = done.document["error"]
    assert (done.code, error["code"]) == (2, "projection_failed"), done.stderr
    assert "state.json cannot be" in error["message"]
    assert "chargehand resume k" in error["hint"]
    assert file.read_text() == good[:-20]
    file.write_text(good)
    cli.script(work)
    resumed = cli.call("resume", "k", "--json")
    assert resumed.code == 0, resumed.stderr


def test_run_needs_no_argument(world: World, tmp_path: Path):
    """`run` in the project says what it found, and takes the profile its reader names."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    checked = cli.call("check", "--json")
    assert checked.code == 0, checked.stderr
    assert checked.document["profile"] == "dispatch"
    counts = checked.document["counts"]
    assert (counts["plan_tasks"], counts["tasks"], counts["done"], counts["failed"]) == (12, 10, 2, 1)
    assert checked.document["inferred"] == []
    cli.script(
        {task: [{"write": {steps[0]["write"]["path"]: steps[0]["write"]["text"]}}] for task, steps in WORK.items()}
    )
    done = cli.call("run", "--agent-command", cli.agent, "--sandbox", "none", "--unattended", "--json", "--run-id", "n")
    assert done.code == 0, done.stderr
    assert ".nexus-cortexia" in done.stderr
    assert "spec and quality" not in done.stderr, "nobody reviews here"
    assert set(states(done.document).values()) == {"integrated"}
    assert len(state_of(world)["completed_tasks"]) == 12


def test_a_task_without_a_scope_does_not_change_what_judges_it(world: World):
    """I6: the settings of the project are in no task's scope here, and none may write another test command."""
    settings = world.repo.path / "chargehand.toml"
    settings.write_text('[commands]\ntest = ["test", "-f", "README.md"]\n')
    world.repo.git("add", "-A")
    world.repo.git("commit", "-q", "-m", "commands")
    bent = [{"write": {"path": "chargehand.toml", "text": '[commands]\ntest = ["true"]\n'}}, DONE]
    document = carry_out(world, only=("task-3.1",), task_3_1=bent)
    row = next(each for each in document["tasks"] if each["id"] == "task-3.1")
    assert (row["state"], row["reason"]) == ("failed", "tests_bent"), row
    assert "chargehand.toml:2 loosened commands.test: does nothing: true" in row["detail"]
