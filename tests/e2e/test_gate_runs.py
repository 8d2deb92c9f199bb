"""Whole runs: what a second one need not pay for again, flakes, red first, fixes; as journal and audit tell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.events import CanaryFinished, GatesFinished
from chargehand.domain.outcome import GateResult
from tests.e2e.world import DONE, World, write
from tests.repos import Repo

NO_REVIEW = {"code_review": False, "holistic": False}


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    return World(repo=repo, folder=tmp_path)


def approved(command: object) -> str:
    """The yes for a command that writes outside of its checkout."""
    return f"commands.approved={json.dumps([command])}"


def results(world: World) -> list[GateResult]:
    kinds = (CanaryFinished, GatesFinished)
    return [result for event in world.events() if isinstance(event, kinds) for result in event.results]


def audit(world: World) -> list[dict[str, Any]]:
    (file,) = world.repo.path.glob(f".git/chargehand/runs/{world.run}/gates.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_second_identical_run_pays_for_no_gate(world: World) -> None:
    """By tree, command and environment; both runs say which of them paid, and the audit is complete."""
    times = world.folder / "times"
    tests: dict[str, Any] = {"id": "tests", "run": 'echo x >> "$TIMES"', "on": ["task", "integrate", "run"]}
    tasks = [{"id": name, "title": name, "files": {"create": [f"{name}.txt"]}} for name in "ab"]
    plan: dict[str, Any] = {"gates": [tests], "features": NO_REVIEW, "env": {"set": {"TIMES": str(times)}}}
    scenario = {name: [write(f"{name}.txt"), DONE] for name in "ab"}
    paid = []
    for _ in range(2):
        before = len(times.read_text()) if times.exists() else 0
        document = world.play(tasks, scenario, sets=["jobs=1", approved(tests["run"])], **plan)
        assert document["state"] == "finished"
        paid.append((len(times.read_text()) - before) // 2)
        told = [result for result in results(world) if result.gate == "tests"]
        assert len(told) == len([line for line in audit(world) if line["gate_id"] == "tests"])
    assert paid[0] < len(told)  # the run gates judge what the last candidate was
    assert paid[1] == 0
    assert all(result.cached for result in told)


def test_without_the_cache_every_gate_is_paid_for(world: World) -> None:
    tests = {"id": "tests", "run": "true", "on": ["task", "integrate", "run"]}
    for _ in range(2):
        world.play(
            [{"id": "a", "title": "A"}],
            {"a": [write("a.txt"), DONE]},
            sets=["gate_cache=false"],
            gates=[tests],
            features=NO_REVIEW,
        )
        assert {line["cached"] for line in audit(world)} == {""}


def test_a_flake_lands_and_is_told(world: World) -> None:
    mark = world.folder / "mark"
    run = f"test ! -e a.txt || test -e '{mark}' || {{ : > '{mark}'; exit 1; }}"
    world.play(
        [{"id": "a", "title": "A"}],
        {"a": [write("a.txt"), DONE]},
        sets=[approved(run)],
        gates=[{"id": "tests", "run": run, "on": ["task"]}],
        features=NO_REVIEW,
    )
    assert world.outcome() == ("integrated", "integrated")
    assert world.task()["attempts"] == 1
    assert [result.flaky for result in results(world) if result.flaky] == [("tests",)]


def test_what_a_formatter_mends_lands(world: World) -> None:
    """Without another attempt: the gate's own command is run on the files of the change first."""
    lint = {"id": "lint", "run": "! grep -n ' $' *.txt", "fix": "sed -i 's/ *$//' *.txt", "on": ["task"]}
    world.play([{"id": "a", "title": "A"}], {"a": [write("a.txt", "text  \n"), DONE]}, gates=[lint], features=NO_REVIEW)
    assert world.outcome() == ("integrated", "integrated")
    assert world.task()["attempts"] == 1
    assert world.landed("a.txt") == "text"


@pytest.mark.parametrize(("body", "outcome"), [("grep new a.txt", "integrated"), ("true", "failed")])
def test_tests_that_never_failed_prove_nothing(world: World, body: str, outcome: str) -> None:
    """Where nobody reviews, a failure (SPEC 3.7, item 4)."""
    task = {
        "id": "a",
        "title": "A",
        "type": "tdd",
        "files": {"create": ["a.txt"], "test": ["test_a.sh"]},
        "verify": ["sh test_a.sh"],
    }
    world.play([task], {"a": [write("a.txt", "new\n"), write("test_a.sh", f"{body}\n"), DONE]}, features=NO_REVIEW)
    assert world.outcome()[0] == outcome
    assert "red-first" in {line["gate_id"] for line in audit(world)}
