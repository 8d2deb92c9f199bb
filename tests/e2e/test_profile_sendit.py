"""A feature of sendit carried out in place: its `PROGRESS.md` field by field, and false commits refused (SPEC 11)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import UserError
from chargehand.domain.events import EffectIntended, TaskIntegrated
from chargehand.plans.detect import read_plan
from chargehand.wiring.landing import accept
from tests.e2e.cliworld import CliWorld
from tests.e2e.world import World
from tests.repos import Repo

FIXTURE = Path(__file__).parent.parent / "fixtures" / "sendit"
LOGIN = "specs/auth/login"
COMMITTED = {"report": {"status": "DONE", "commit": "{{head}}"}}


def made(*files: tuple[str, str]) -> list[dict[str, Any]]:
    """An executor that does as it is told: files, a commit, and its hash."""
    return [*({"write": {"path": path, "text": text}} for path, text in files), {"commit": "work"}, COMMITTED]


USER = "class User:\n    def __init__(self, name):\n        self.name = name\n"
TEST = "def test_it():\n    import session\n\n    assert session.kept\n"
HASHING = "def hashed(text):\n    turned = text[::-1]\n    return turned\n"
WORK: dict[str, Any] = {
    "task-1": made(("src/hashing.py", HASHING)),  # only where the commit of its row is not there
    "task-2": made(("src/user.py", USER)),
    "task-3": made(("src/check.py", "check = 1\n"), ("README.md", "# Shop\nIt checks.\n")),
    "task-4": made(("src/limit.py", "LIMIT = 10\n")),
    "task-5": made(("src/limit.py", "LIMIT = 10\nLEFT = 3\n")),
    "task-6": made(("src/session.py", "kept = 1\n"), ("tests/test_session.py", TEST)),
    "task-7": made(("docs/login.md", "Log in.\n"), ("CHANGELOG.md", "- login\n")),
    "task-8": made(("NOTE.md", "Read docs/login.md.\n")),
}
LEFT = tuple(WORK)[1:]
"""The tasks that the fixture leaves open."""


@pytest.fixture
def world(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    path = f"{Path(sys.executable).parent}:{repo.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    shutil.copytree(FIXTURE, repo.path, dirs_exist_ok=True)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "a shop")
    name_commit(repo, repo.git("rev-parse", "--short=7", "HEAD"))
    folder = tmp_path / "world"
    folder.mkdir()
    return World(Repo(repo.path, {**repo.environ, "PATH": path}), folder)


def name_commit(repo: Repo, commit: str, before: str = "0a1b2c3") -> None:
    """Let the row of what is done already name a commit."""
    file = repo.path / LOGIN / "PROGRESS.md"
    file.write_text(file.read_text("utf-8").replace(f"done | {before}", f"done | {commit}"), "utf-8")


def carry_out(
    world: World,
    path: str = "specs",
    *,
    unattended: bool = True,
    observe: Any = None,
    sets: tuple[str, ...] = (),
    **steps: Any,
) -> Mapping[str, Any]:
    """Carry a feature out with the scripted agent, `steps` instead of `WORK` (`_` stands for `-`)."""
    scenario = {**WORK, **{name.replace("_", "-"): value for name, value in steps.items()}}
    script = world.folder / "scenario.json"
    script.write_text(json.dumps({"scenario": 1, "tasks": scenario}), encoding="utf-8")

    async def run() -> Mapping[str, Any]:
        shop = await world.shop(["agents.script.kind=scripted", f"agents.script.command={script}", *sets])
        loaded = await shop.load_plan_at(world.repo.path / path, "HEAD")
        assert loaded.plan is not None, loaded.problems
        files = [Path(file) for file in loaded.files]
        event = await shop.new_run(loaded.plan, plan_file=Path(loaded.source), files=files)
        world.run = event.run
        return await world._drive(shop, shop.service.start(event), observe, unattended=unattended)

    return asyncio.run(run())


def take_in(world: World, *, squash: bool = False) -> str:
    async def land() -> str:
        return (await accept(await world.shop(()), world.run, None, squash=squash)).after

    return asyncio.run(land())


def progress(world: World, folder: str = LOGIN) -> str:
    return (world.repo.path / folder / "PROGRESS.md").read_text(encoding="utf-8")


def table(world: World, folder: str = LOGIN) -> dict[int, tuple[str, str]]:
    """(status, commit) by number of the rows."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in progress(world, folder).splitlines()]
    return {int(cells[0]): (cells[2], cells[3]) for cells in rows if len(cells) == 4 and cells[0].isdigit()}


def task(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return next(each for each in document["tasks"] if each["id"] == name)


# -- a whole feature ------------------------------------------------------------------------------


def test_a_feature_from_its_plan_to_postflight(world: World):
    """FORMATS 5.2: every row done with the commit that landed; what people wrote stays as it is."""
    before, first = progress(world), table(world)[1]
    document = carry_out(world)
    assert (document["state"], document["profile"], document["plan"]) == ("finished", "sendit", "auth-login")
    landed = {int(each["id"][5:]): each["landed"][:12] for each in document["tasks"]}
    assert table(world) == {1: first, **{number: ("done", sha) for number, sha in landed.items()}}
    text = progress(world)
    assert text.splitlines()[:7] == [
        "# Progress: Login",
        "",
        "**Started**: 2026-02-01T10:00:00Z",
        "**Weight**: full",
        "**Current step**: execute",
        "**Owner**: Ida",
        "",
    ]
    assert f"- Not accepted yet: tasks 2, 3, 4, 5, 6, 7, 8; branch {document['branch']}\n" in text
    assert text.endswith(
        "## Execution\n\n**Execution**: complete\n**Tasks completed**: 8/8\n"
        f"**Commits**: {', '.join(landed.values())}\n**Test results**: all-pass\n"
    )
    take_in(world)
    text = progress(world)
    assert "**Current step**: postflight" in text
    assert "Not accepted" not in text
    kept = [line for line in before.splitlines() if not line.startswith(("| 2 ", "**Current step"))]
    assert [line for line in text.splitlines() if line in kept and line] == [line for line in kept if line]
    for commit in landed.values():
        world.repo.git("merge-base", "--is-ancestor", commit, "main")
    (problem,) = [each for each in read_plan(world.repo.path / LOGIN, world.repo.path).problems if each.is_error]
    assert problem.code == "nothing_left"


def test_after_a_squash_every_row_names_that_commit(world: World):
    carry_out(world)
    commit = take_in(world, squash=True)
    assert {sha for number, (_, sha) in table(world).items() if number > 1} == {commit[:12]}


def test_progress_is_there_before_the_first_task_and_after_each_one(world: World):
    """Each row is written before a task that waits for it begins."""
    (world.repo.path / LOGIN / "PROGRESS.md").unlink()
    seen: list[tuple[str, dict[int, tuple[str, str]]]] = []

    def watch(recorded: Any, state: Any, _engine: Any) -> None:
        event = recorded.event
        if isinstance(event, EffectIntended) and isinstance(event.effect, StartAttempt):
            seen.append((event.effect.task, table(world)))
            for needed in state.tasks[event.effect.task].task.depends_on:
                landed = state.tasks[needed].landed
                assert table(world)[int(needed[5:])] == ("done", landed[:12])

    hashing = "def hashed(text: str) -> str:\n    return ''.join(reversed(text))\n"
    carry_out(world, LOGIN, observe=watch, task_1=made(("src/hashing.py", hashing)))
    assert seen[0] == ("task-1", dict.fromkeys(range(1, 9), ("pending", "—")))
    assert progress(world).startswith("# Progress: Login\n\n**Started**: 2")
    assert f"- Relevant specs: {LOGIN}/SPEC.md" in progress(world)


def test_tasks_are_one_after_the_other_unless_marked_and_disjoint(world: World):
    live: set[str] = set()
    together: set[frozenset[str]] = set()

    def watch(recorded: Any, _state: Any, _engine: Any) -> None:
        event = recorded.event
        if isinstance(event, EffectIntended) and isinstance(event.effect, StartAttempt):
            live.add(event.effect.task)
            together.add(frozenset(live))
        elif isinstance(event, TaskIntegrated):
            live.discard(event.task)

    carry_out(world, observe=watch)
    assert {pair for pair in together if len(pair) > 1} == {frozenset({"task-3", "task-4"})}


# -- false commits --------------------------------------------------------------------------------

WRITES = {"write": {"path": "src/user.py", "text": USER}}
LIES: dict[str, list[dict[str, Any]]] = {
    "names none": [WRITES, {"commit": "work"}, {"report": {"status": "DONE"}}],
    "never committed": [WRITES, {"report": {"status": "DONE", "commit": "0a1b2c3d4e5f"}}],
    "the base": [WRITES, {"report": {"status": "DONE", "commit": "{{base}}"}}],
    "another branch": [
        {"git": ["switch", "-q", "-c", "aside"]},
        WRITES,
        {"commit": "aside"},
        COMMITTED,
        {"git": ["switch", "-q", "-"]},
        WRITES,
        {"commit": "here"},
    ],
    "empty": [{"commit": {"message": "done", "empty": True}}, WRITES, COMMITTED],
    "no hash": [WRITES, {"commit": "work"}, {"report": {"status": "DONE", "commit": "HEAD"}}],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_false_commit_is_refused_and_retried_once(world: World, lie: str):
    """I6: it exists, is new, is on the branch and holds the work, or the task has failed; nothing of it lands."""
    document = carry_out(world, task_2=LIES[lie])
    assert document["state"] == "failed"
    found = task(document, "task-2")
    assert (found["state"], found["reason"], found["attempts"], found["landed"]) == ("failed", "bad_commit", 2, None)
    assert task(document, "task-3")["blocked_on"] == "task-2"
    assert table(world)[2] == ("failed", "—")
    assert table(world)[3] == ("pending", "—")
    assert "- task-2: failed (bad_commit): " in progress(world)
    assert "**Execution**: failed\n**Tasks completed**: 1/8\n**Commits**: none\n" in progress(world)


def test_the_retry_says_that_a_commit_is_wanted(world: World):
    again = [{"read_brief_check": "commit it, and report its hash under `commit`"}, *WORK["task-2"]]
    document = carry_out(world, task_2={"attempts": {1: LIES["names none"], "default": again}})
    assert document["state"] == "finished"
    assert task(document, "task-2")["attempts"] == 2


# -- briefs ---------------------------------------------------------------------------------------


def test_full_weight_is_told_spec_plan_and_tests(world: World):
    texts = [
        f"- `{LOGIN}/SPEC.md`: the spec",
        f"- `{LOGIN}/PLAN.md`: the plan",
        "- `tests/test_user.py`",
        f"1. Hash passwords (commit {table(world)[1][1]})",
        "Committing is not optional here.",
    ]
    steps = [*({"read_brief_check": text} for text in texts), *WORK["task-2"]]
    assert carry_out(world, task_2=steps)["state"] == "finished"


def test_a_kickback_may_bring_the_rest_to_full_weight(world: World):
    """Scope creep under light weight: who says `full` brings spec, plan and tests back into the briefs."""
    creep = [{"report": {"status": "KICKBACK", "kickback": {"signal": "scope_creep", "details": "Nine files."}}}]
    told = [{"read_brief_check": f"- `{LOGIN}/SPEC.md`: the spec"}, *WORK["task-2"]]
    steps = {"attempts": {1: creep, "default": told}}
    document = carry_out(world, sets=("defaults.weight=light",), unattended=False, task_2=steps)
    (asked,) = document["decisions"]
    assert asked["choices"][0] == "full"
    cli = CliWorld(world.repo, world.folder / "cli")
    state = {"XDG_STATE_HOME": world.environ["XDG_STATE_HOME"]}
    assert cli.call("answer", asked["id"], "full", env=state).code == 0
    assert world.resume(unattended=True)["state"] == "finished"
    assert "**Weight**: full" in progress(world)


def test_light_weight_is_told_the_task_and_its_files(world: World):
    """Neither spec, nor plan, nor tests; the task's own verify stays."""
    told = [{"if": {"brief": text}, "then": [{"exit": 9}]} for text in ("SPEC.md", "PLAN.md", "tests/test_hashing.py")]
    document = carry_out(world, sets=("defaults.weight=light",), task_2=[*told, *WORK["task-2"]])
    assert document["state"] == "finished"
    assert "**Weight**: light" in progress(world)
    document = carry_out(world, "specs/reports", task_1=LIES["names none"])
    assert document["state"] == "failed"


def test_a_spec_that_is_not_ready_stops_full_weight_only(world: World):
    spec = world.repo.path / LOGIN / "SPEC.md"
    spec.write_text(spec.read_text().replace("## Dependencies", "- [ ] Which hash?\n\n## Dependencies"))
    with pytest.raises(UserError, match=r"The spec is not ready: .*SPEC\.md:33: it is open: Which hash\?"):
        carry_out(world)
    assert carry_out(world, sets=("defaults.weight=light",))["state"] == "finished"


# -- what does not go well ------------------------------------------------------------------------


def test_a_kickback_stops_at_once(world: World):
    """The question holds the run; unattended nothing later starts; the row says failed, and why."""
    kicked = [{"report": {"status": "KICKBACK", "kickback": {"signal": "scope_creep", "details": "Nine files."}}}]
    document = carry_out(world, task_3=kicked, unattended=False)
    assert [(each["task"], each["kind"]) for each in document["decisions"]] == [("task-3", "kickback")]
    assert table(world)[3] == ("failed", "—")
    assert "- task-3: awaiting_decision (kickback): " in progress(world)
    assert "Nine files." in progress(world)
    document = world.resume(unattended=True)
    assert document["state"] == "failed"
    assert task(document, "task-5")["attempts"] == 0
    assert table(world)[5] == ("pending", "—")


def test_research_is_done_once_and_written_down(world: World):
    kicked = [{"report": {"status": "KICKBACK", "kickback": {"signal": "needs_research", "details": "Which hash?"}}}]
    found = [{"report": {"status": "DONE", "summary": "Argon.\n## Status\nAll is well."}}]
    document = carry_out(world, task_3={"roles": {"implementer": kicked, "researcher": found}})
    assert document["state"] == "failed"
    text = (world.repo.path / LOGIN / "RESEARCH.md").read_text()
    head = f"# Research: Login\n\n> From: {LOGIN}/SPEC.md\n"
    assert text == f"{head}\n## Found for task-3\n\n> Argon.\n> ## Status\n> All is well.\n"


def test_a_red_suite_is_fixed_three_times_and_then_it_has_failed(world: World):
    """No runner hides another one's red: what is red at the end is failed, also where it was red before."""
    broken = "def test_never():\n    assert False\n"
    world.repo.write("tests/test_never.py", broken)
    world.repo.git("add", "-A")
    world.repo.git("commit", "-q", "-m", "red")
    fixes: dict[str, Any] = {f"fix_{number}": made((f"F{number}.md", "tried\n")) for number in range(1, 5)}
    document = carry_out(world, **fixes)
    assert document["state"] == "failed"
    assert [each["id"] for each in document["tasks"] if each["id"].startswith("fix-")] == ["fix-1", "fix-2", "fix-3"]
    assert "**Execution**: failed\n**Tasks completed**: 8/8\n" in progress(world)
    assert "**Test results**: 1 failures\n" in progress(world)


# -- resume ---------------------------------------------------------------------------------------


def stop_after(number: int) -> Any:
    """An observer that ends the run after so many landings."""
    seen: list[str] = []

    def watch(recorded: Any, _state: Any, engine: Any) -> None:
        if isinstance(recorded.event, TaskIntegrated):
            seen.append(recorded.event.task)
            if len(seen) == number:
                engine.interrupt("test", now=True)

    return watch


@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_resume_writes_what_was_lost_or_changed(world: World, number: int):
    """I4: the journal wins over the file, what is not ours stays, and nothing lands twice."""
    carry_out(world, observe=stop_after(number))
    path, first = world.repo.path / LOGIN / "PROGRESS.md", table(world)[1][1]
    if number == 3:
        path.unlink()
    else:
        path.write_text(path.read_text().replace("| done |", "| failed |").replace("Ida", "Otto"))
    document = world.resume(unattended=True)
    assert document["state"] == "finished"
    rows = table(world)
    assert rows[1] == ("failed" if number != 3 else "done", first)
    assert {number: sha for number, (_, sha) in rows.items() if number > 1} == {
        int(each["id"][5:]): each["landed"][:12] for each in document["tasks"]
    }
    assert ("**Owner**: Otto" in progress(world)) is (number != 3)
    subjects = world.repo.git("log", "--first-parent", "--format=%s", f"main..{document['branch']}").splitlines()
    assert sorted(line.split(":")[0] for line in subjects) == sorted(LEFT)


def test_a_killed_run_goes_on(world: World, tmp_path: Path):
    """I4, I11: the process is killed in the middle of a task; what landed has its row, and lands once."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    script, reached = tmp_path / "scenario.json", tmp_path / "reached"
    os.mkfifo(reached)
    hangs = [{"write": {"path": "src/limit.py", "text": "half\n"}}, {"stray": str(reached)}, {"hang": "silent"}]
    script.write_text(json.dumps({"scenario": 1, "tasks": {**WORK, "task-5": hangs}}))
    given = ("--set", "agents.script.kind=scripted", "--set", f"agents.script.command={script}", "--sandbox", "none")
    with cli.start("run", *given, "--unattended", "--yes", "--run-id", "k") as process:
        reached.read_bytes()
        assert [table(world)[number][0] for number in (2, 3, 4, 5)] == ["done", "done", "done", "pending"]
        process.kill()
        process.wait()
    script.write_text(json.dumps({"scenario": 1, "tasks": WORK}))
    done = cli.call("resume", "k", "--unattended", "--json")
    assert done.code == 0, done.stderr
    assert {number: sha for number, (_, sha) in table(world).items() if number > 1} == {
        int(each["id"][5:]): each["landed"][:12] for each in done.document["tasks"]
    }
    subjects = world.repo.git("log", "--first-parent", "--format=%s", f"main..{done.document['branch']}").splitlines()
    assert sorted(line.split(":")[0] for line in subjects) == sorted(LEFT)


def test_a_new_run_begins_where_the_last_was_accepted(world: World):
    blocked = [{"report": {"status": "BLOCKED", "blocker": "No key."}}]
    carry_out(world, task_5=blocked)
    unaccepted = read_plan(world.repo.path / LOGIN, world.repo.path).plan
    assert unaccepted is not None
    assert [each.id for each in unaccepted.tasks] == list(LEFT), "what nobody accepted is not done"
    take_in(world)
    left = read_plan(world.repo.path / LOGIN, world.repo.path).plan
    assert left is not None
    assert [each.id for each in left.tasks] == ["task-5", "task-6", "task-7", "task-8"]
    document = carry_out(world)
    assert document["state"] == "finished"
    assert {status for status, _ in table(world).values()} == {"done"}
    assert "**Tasks completed**: 8/8" in progress(world)


@pytest.mark.parametrize("where", ["nowhere", "on another branch", "the name of a branch"])
def test_a_row_whose_commit_is_not_in_the_base_is_done_again(world: World, tmp_path: Path, where: str):
    """I6: what a row says is a claim; a hash that git does not have there is no work, and `check` and `run` say so."""
    first, why = table(world)[1][1], "no single commit has that hash"
    commit = "0a1b2c3"
    if where == "on another branch":
        world.repo.git("commit", "-q", "--allow-empty", "-m", "elsewhere")
        commit, why = world.repo.git("rev-parse", "HEAD"), "the base does not have that commit"
        world.repo.git("reset", "-q", "--soft", "HEAD~1")
    elif where == "the name of a branch":
        world.repo.git("branch", commit)
    name_commit(world.repo, commit, first)
    checked = CliWorld(world.repo, tmp_path / "cli").call("check", LOGIN, "--json").document
    assert (checked["counts"]["done"], checked["counts"]["open"]) == (0, 8)
    (told,) = [each["text"] for each in checked["warnings"] if each["code"] == "commit_not_there"]
    assert told == f"Task 1 is said to be done as {commit}, and {why}: it is done again."
    document = carry_out(world, LOGIN)
    assert document["state"] == "finished"
    assert table(world)[1] == ("done", task(document, "task-1")["landed"][:12])


def test_what_somebody_merged_by_hand_is_done(world: World, tmp_path: Path):
    """Nobody accepted it, and the base has its commit all the same."""
    file = world.repo.path / LOGIN / "PROGRESS.md"
    file.write_text(file.read_text() + "\n## Notes\n\n- Not accepted yet: tasks 1; branch chargehand/login-1\n")
    cli = CliWorld(world.repo, tmp_path / "cli")
    assert cli.call("check", LOGIN, "--json").document["counts"]["done"] == 1
    name_commit(world.repo, "0a1b2c3", table(world)[1][1])
    assert cli.call("check", LOGIN, "--json").document["counts"]["done"] == 0


# -- the command line -----------------------------------------------------------------------------


def test_run_needs_no_argument(world: World, tmp_path: Path):
    """`run` in the project finds the feature; an agent that never commits gets nowhere."""
    cli = CliWorld(world.repo, tmp_path / "cli")
    checked = cli.call("check", "--json")
    assert checked.code == 0, checked.stderr
    assert (checked.document["profile"], checked.document["plan"]) == ("sendit", "auth-login")
    assert checked.document["counts"]["plan_tasks"] == 8
    assert checked.document["inferred"] == [f"task-{number}" for number in range(3, 9)]
    cli.script({"task-2": [{"write": {"src/user.py": USER}}]})
    done = cli.call("run", "--agent-command", cli.agent, "--sandbox", "none", "--unattended", "--json", "--run-id", "s")
    assert done.code == 1, done.stderr
    assert done.document["profile"] == "sendit"
    assert task(done.document, "task-2")["reason"] == "bad_commit"


def test_a_run_that_ends_at_its_canary_leaves_the_rows_alone(world: World) -> None:
    """Nothing ran: what earlier runs wrote stays, and why it stopped stands there once; the next run takes it out."""
    name_commit(world.repo, "0a1b2c3", table(world)[1][1])
    before = table(world)
    assert {status for status, _ in before.values()} == {"done", "failed"}
    gone = 'commands.test=["no-such-runner-at-all", "-q"]'
    carry_out(world, LOGIN, sets=(gone,))
    assert table(world) == before
    assert progress(world).count("- Stopped before anything began: ") == 1
    assert "- task-" not in progress(world)
    carry_out(world, LOGIN)
    assert "no-such-runner-at-all" not in progress(world)
    assert {status for status, _ in table(world).values()} == {"done"}
