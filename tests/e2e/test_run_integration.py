"""Landing: one by one, tested as merged, conflicts redone, waves and the end of a run (SPEC 3.3, 6)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.errors import UserError
from chargehand.domain.events import AttemptAccepted, GatesPassed, RunAccepted
from tests.e2e.world import DONE, World, write
from tests.repos import Repo


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    return World(repo=repo, folder=tmp_path)


def line(text: str) -> dict[str, Any]:
    return {"write": {"path": "shared.txt", "text": text}}


def meet(name: str, other: str) -> list[dict[str, Any]]:
    """Two attempts that see each other: both started before either is done."""
    return [{"wait": 0.3}] if name < other else []


def test_two_tasks_on_one_line_conflict_and_the_second_is_redone(world: World):
    world.repo.write("shared.txt", "0\n")
    world.repo.commit("shared")
    tasks: list[dict[str, Any]] = [{"id": "a", "title": "A"}, {"id": "b", "title": "B"}]
    redo = [{"read_brief_check": "shared.txt"}, {"append": {"path": "shared.txt", "text": "b\n"}}, DONE]
    scenario = {
        "a": [line("a\n"), DONE],
        "b": {"attempts": {1: [{"wait": 1}, line("b\n"), DONE], "default": redo}},
    }
    world.play(tasks, scenario, sets=["jobs=2"])
    assert world.outcome("a") == world.outcome("b") == ("integrated", "integrated")
    assert world.task("b")["attempts"] == 2
    assert world.landed("shared.txt") == "a\nb"


@pytest.mark.parametrize(
    ("first", "second"), [("shared.txt", "shared.txt"), ("shared.*", "s*.txt"), ("**/shared.txt", "shared.txt")]
)
def test_overlapping_leases_run_one_after_the_other(world: World, first: str, second: str):
    world.repo.write("shared.txt", "0\n")
    world.repo.commit("shared")
    tasks: list[dict[str, Any]] = [
        {"id": "a", "title": "A", "files": {"modify": [first]}},
        {"id": "b", "title": "B", "files": {"modify": [second]}},
    ]
    add = [{"append": {"path": "shared.txt", "text": "{{task}}\n"}}, DONE]
    world.play(tasks, {"a": add, "b": add}, sets=["jobs=2"])
    assert world.task("a")["attempts"] == world.task("b")["attempts"] == 1
    assert world.landed("shared.txt") == "0\na\nb"


def test_the_fourth_conflict_asks(world: World):
    """I10: three redos, then somebody is asked."""
    world.repo.write("shared.txt", "0\n")
    world.repo.commit("shared")
    quick = [{"id": f"q{n}", "title": "Q", "depends_on": [f"q{n - 1}"] if n else []} for n in range(8)]
    slow = {"id": "slow", "title": "S"}
    scenario: dict[str, Any] = {f"q{n}": [line(f"{n}\n"), DONE] for n in range(8)}
    scenario["slow"] = [{"wait": 0.7}, line("slow {{attempt}}\n"), DONE]
    world.play([*quick, slow], scenario, sets=["jobs=2"])
    conflicts = world.task("slow")["attempts"]
    assert world.outcome("slow") == ("failed", "conflict") or conflicts <= 4
    assert conflicts <= 4


def test_every_landing_is_one_merge_commit_with_trailers(world: World):
    tasks: list[dict[str, Any]] = [{"id": "a", "title": "First thing"}, {"id": "b", "title": "B", "depends_on": ["a"]}]
    document = world.play(tasks, {"a": [write("a.txt"), DONE], "b": [write("b.txt"), DONE]})
    log = world.repo.git("log", "--first-parent", "--format=%H %P", f"{document['base']}..{document['branch']}")
    commits = [entry.split() for entry in log.splitlines()]
    assert [len(commit) for commit in commits] == [3, 3]
    assert [commit[0] for commit in reversed(commits)] == [world.task("a")["landed"], world.task("b")["landed"]]
    message = world.repo.git("show", "-s", "--format=%B", world.task("a")["landed"])
    for trailer in (f"Chargehand-Run: {world.run}", "Chargehand-Task: a", "Chargehand-Attempt: 1"):
        assert trailer in message
    assert message.startswith("a: First thing")


def test_dependants_fork_from_the_integrated_head(world: World):
    scenario = {
        "a": [write("a.txt", "from a\n"), DONE],
        "b": [{"if": {"exists": "a.txt"}, "then": [write("b.txt")]}, DONE],
    }
    world.play([{"id": "a", "title": "A"}, {"id": "b", "title": "B", "depends_on": ["a"]}], scenario)
    assert world.landed("b.txt") == "text"


def test_a_wave_ends_with_its_gates_and_a_fix_task(world: World):
    tasks: list[dict[str, Any]] = [
        {"id": "a", "title": "A", "files": {"create": ["a.txt"]}},
        {"id": "b", "title": "B", "files": {"create": ["b.txt"]}, "depends_on": ["a"]},
    ]
    gate = {"id": "fixed", "run": ["sh", "-c", "! test -f a.txt || test -f fixed.txt"], "on": ["wave"]}
    scenario = {
        "a": [write("a.txt"), DONE],
        "b": [{"if": {"exists": "fixed.txt"}, "then": [write("b.txt")]}, DONE],
        "fix-1": [{"read_brief_check": "fixed"}, write("fixed.txt"), DONE],
    }
    world.play(tasks, scenario, gates=[gate], barrier="wave")
    assert [task["id"] for task in world.document["tasks"]] == ["a", "b", "fix-1"]
    assert {task["state"] for task in world.document["tasks"]} == {"integrated"}


def test_a_red_run_gate_gets_at_most_three_fix_tasks(world: World):
    """I10."""
    gate = {"id": "late", "run": ["sh", "-c", "! test -f a.txt"], "on": ["run"]}
    scenario: dict[str, Any] = {"a": [write("a.txt"), DONE]}
    scenario |= {f"fix-{n}": [write(f"try{n}.txt"), DONE] for n in range(1, 6)}
    world.play([{"id": "a", "title": "A"}], scenario, gates=[gate])
    assert [task["id"] for task in world.document["tasks"]] == ["a", "fix-1", "fix-2", "fix-3"]
    assert world.document["state"] == "failed"


def test_a_run_gate_may_be_allowed_to_be_red(world: World):
    gate = {"id": "late", "run": ["false"], "on": ["run"]}
    world.play([{"id": "a", "title": "A"}], {"a": [write("a.txt"), DONE]}, gates=[gate], allow_red=["late"])
    assert world.document["state"] == "finished"


def test_new_failures_count_and_old_ones_do_not(world: World):
    """Test ids from JUnit XML: what was red on the base stays excused, whatever else happens."""
    script = (
        "import sys,os,pathlib\n"
        "bad=[n for n in ('old','new') if pathlib.Path(n+'.red').exists()]\n"
        'case=lambda n: f\'<testcase classname="t" name="{n}">{"<failure/>" if n in bad else ""}</testcase>\'\n'
        "cases=case('old')+case('new')\n"
        "pathlib.Path(sys.argv[1]).write_text(f'<testsuite name=\"s\">{cases}</testsuite>')\n"
        "sys.exit(bool(bad))\n"
    )
    world.repo.write("check.py", script)
    world.repo.write("old.red", "")
    world.repo.commit("tests")
    gate = {"id": "tests", "run": ["python3", "check.py", "$CHARGEHAND_JUNIT"], "junit": True}
    tasks: list[dict[str, Any]] = [{"id": "a", "title": "A"}, {"id": "b", "title": "B", "depends_on": ["a"]}]
    world.play(tasks, {"a": [write("a.txt"), DONE], "b": [write("new.red", ""), DONE]}, gates=[gate])
    assert world.document["baseline"] == [{"gate": "tests", "failed_tests": ["t::old"]}]
    assert world.outcome("a") == ("integrated", "integrated")
    assert world.outcome("b") == ("failed", "gate_red")


def test_somebody_elses_commit_on_the_branch_is_asked_about(world: World):
    """I3: the branch never moves over what somebody else put there."""

    def meddle(recorded: Any, state: Any, engine: Any) -> None:
        if type(recorded.event).__name__ == "AttemptAccepted":
            other = world.repo.git("commit-tree", "-m", "meddled", "-p", state.base, f"{state.base}^{{tree}}")
            world.repo.git("update-ref", f"refs/heads/{state.branch}", other)

    world.play([{"id": "a", "title": "A"}], {"a": [write("a.txt"), DONE]}, observe=meddle, unattended=False)
    assert world.outcome() == ("awaiting_decision", "branch_moved")
    assert world.repo.git("show", "-s", "--format=%s", world.document["branch"]) == "meddled"


def test_the_users_checkout_may_change_all_the_time(world: World):
    """I1, and no failure: the user works on while a run goes on."""
    numbers = iter(range(10_000))

    def edit(recorded: Any, state: Any, engine: Any) -> None:
        world.repo.write("README.md", f"edit {next(numbers)}\n")
        world.repo.write(f"mine{next(numbers)}.txt", "mine\n")
        if next(numbers) % 4 == 0:
            world.repo.commit("mine")

    tasks: list[dict[str, Any]] = [{"id": name, "title": name, "files": {"create": [f"{name}.out"]}} for name in "abcd"]
    world.play(tasks, {name: [write(f"{name}.out"), DONE] for name in "abcd"}, observe=edit)
    assert world.document["state"] == "finished"
    assert world.landed("README.md") == "A project."


def test_accept_lands_nothing_that_the_run_did_not_gate(world: World):
    """I3: a commit that somebody put on the integration branch after the run is refused, whatever else happens."""
    document = world.play([{"id": "a", "title": "A"}], {"a": [write("a.txt"), DONE]})
    head, main = document["head"], world.repo.head("main")
    evil = world.repo.git("commit-tree", "-m", "evil", "-p", head, f"{head}^{{tree}}")
    world.repo.git("update-ref", f"refs/heads/{document['branch']}", evil)

    async def land() -> None:
        shop = await world.shop(())
        await shop.accept(world.run, "main", squash=False)

    with pytest.raises(UserError, match="moved by somebody else"):
        asyncio.run(land())
    assert world.repo.head("main") == main


def test_a_branch_in_the_way_is_told_before_anything_starts(world: World):
    world.repo.git("branch", "chargehand")
    with pytest.raises(UserError, match="exists already"):
        world.play([{"id": "a", "title": "A"}], {"a": [write("a.txt"), DONE]})
    assert not (world.repo.path / ".git" / "chargehand" / "runs").exists()


def test_a_gc_in_mid_run_costs_nothing(world: World):
    """I2: only what refs keep is relied on."""
    accepted: list[str] = []

    def collect(recorded: Any, state: Any, engine: Any) -> None:
        if isinstance(recorded.event, AttemptAccepted | GatesPassed) and recorded.event.task not in accepted:
            accepted.append(recorded.event.task)
            world.repo.git("gc", "-q", "--prune=now")

    tasks = [{"id": name, "title": name, "files": {"create": [f"{name}.out"]}} for name in "abcd"]
    scenario = {name: [write(f"{name}.out"), {"commit": "work"}, DONE] for name in "abcd"}
    world.play(tasks, scenario, observe=collect, sets=["jobs=1"])
    assert world.document["state"] == "finished", [task["detail"] for task in world.document["tasks"]]
    assert len(accepted) == 4
    assert {task["attempts"] for task in world.document["tasks"]} == {1}


@pytest.mark.parametrize("squash", [False, True])
def test_what_was_accepted_is_known(world: World, squash: bool):
    """I4: a second accept lands nothing again, also after a squash, which does not look like it."""
    world.play([{"id": "a", "title": "A"}], {"a": [write("a.txt"), DONE]})

    async def land(*, squash: bool) -> str:
        shop = await world.shop(())
        return (await shop.accept(world.run, "main", squash=squash)).how

    assert asyncio.run(land(squash=squash)) == ("squash" if squash else "fast-forward")
    landed = world.repo.head("main")
    assert asyncio.run(land(squash=False)) == "nothing"
    assert world.repo.head("main") == landed
    accepted = [event for event in world.events() if isinstance(event, RunAccepted)]
    assert [(event.target, event.commit) for event in accepted] == [("main", landed)]
