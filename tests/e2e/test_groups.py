"""Tasks of a group land as one: real git, real gates, the scripted agent (SPEC 6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.effects import Land
from chargehand.domain.events import (
    EffectIntended,
    GatesFinished,
    LandFinished,
    MergeFinished,
    TaskEnded,
    TaskIntegrated,
)
from chargehand.domain.plan import GatePoint
from chargehand.wiring.verifying import verify
from tests.e2e.world import DONE, World, write
from tests.repos import Repo

NAMES = ("a", "b", "c", "d")


class Groups(World):
    """Four tasks of one group; the gate `tests` is red where `red`, a shell condition, holds in the tree."""

    def carry_out(self, red: str, observe: Any = None, **steps: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Run it with nobody there; a task writes a file of its own unless `steps` say otherwise."""
        text = {
            "chargehand": 1,
            "plan": "group",
            "features": {"code_review": False, "holistic": False},
            "gates": [{"id": "tests", "run": f"if {red}; then echo broken; exit 1; fi", "on": ["integrate"]}],
            "tasks": [{"id": name, "title": name, "files": {"create": [f"{name}.txt"]}} for name in NAMES],
        }
        scenario = {name: steps.get(name, [write(f"{name}.txt", f"{name}\n"), DONE]) for name in NAMES}
        plan_file = self.folder / "plan.json"
        plan_file.write_text(json.dumps(text), encoding="utf-8")
        script = self.folder / "scenario.json"
        script.write_text(json.dumps({"scenario": 1, "tasks": scenario}), encoding="utf-8")

        async def run() -> Mapping[str, Any]:
            shop = await self.shop(["agents.script.kind=scripted", f"agents.script.command={script}", "jobs=2"])
            plan = shop.load_plan(plan_file).plan
            assert plan is not None
            plan = replace(plan, tasks=tuple(replace(task, group="g") for task in plan.tasks))
            event = await shop.new_run(plan, plan_file=plan_file)
            self.run = event.run
            return await self._drive(shop, shop.service.start(event), observe, unattended=True)

        return asyncio.run(run())

    def gated(self) -> int:
        """How often the gate ran on something merged."""
        found = [event for event in self.events() if isinstance(event, GatesFinished)]
        return sum(event.point is GatePoint.INTEGRATE for event in found)

    def landings(self) -> list[str]:
        """What landed with each movement of the branch."""
        events = self.events()
        landed = {event.key for event in events if isinstance(event, LandFinished)}
        lands = {e.effect.key: e.effect for e in events if isinstance(e, EffectIntended) and isinstance(e.effect, Land)}
        return ["".join((*lands[key].beside, lands[key].task)) for key in lands if key in landed]

    def moves(self) -> int:
        """How often git saw the branch move, after it was made."""
        return len(self.repo.git("reflog", "show", f"refs/heads/{self.document['branch']}").splitlines()) - 1

    def line(self) -> list[str]:
        """The tasks on the branch, oldest first."""
        said = self.repo.git("log", "--first-parent", "--reverse", "--format=%s", f"main..{self.document['branch']}")
        return [subject.split(":")[0] for subject in said.splitlines()]

    def receipts_hold(self) -> bool:
        async def look() -> bool:
            shop = await self.shop(())
            done = await verify(shop, self.run)
            problems = [problem.text for each in done.receipts for problem in each.problems]
            assert problems == []
            return done.holds and {each.task for each in done.receipts} == {"", *self.line()}

        return asyncio.run(look())


@pytest.fixture
def groups(repo: Repo, tmp_path: Path) -> Groups:
    folder = tmp_path / "world"
    folder.mkdir()
    return Groups(repo, folder)


BROKEN = [write("b.txt", "BROKEN\n"), DONE]


def test_a_green_group_lands_with_one_movement_and_one_run_of_its_gate(groups: Groups):
    """I3; and what its receipts say of it holds when it is looked at again."""
    document = groups.carry_out("grep -q BROKEN *.txt")
    assert document["state"] == "finished"
    assert (groups.gated(), groups.landings(), groups.moves()) == (1, ["abcd"], 1)
    assert groups.line() == [*NAMES]
    landed = {task["id"]: task["landed"] for task in document["tasks"]}
    assert landed["d"] == groups.repo.git("rev-parse", document["branch"]).strip()
    assert len(set(landed.values())) == 4
    assert groups.receipts_hold()


def test_one_culprit_of_four_is_found_and_the_others_land_at_once(groups: Groups):
    """I10: four runs of the gate for the group, one for the second attempt, which begins on what landed."""
    again = {"attempts": {1: BROKEN, "default": [write("b.txt", "mended\n"), DONE]}}
    document = groups.carry_out("grep -q BROKEN *.txt", b=again)  # type: ignore[arg-type]
    assert document["state"] == "finished"
    assert groups.landings() == ["acd", "b"]
    assert groups.moves() == 2
    assert groups.gated() == 5
    assert groups.task("b")["attempts"] == 2
    assert groups.receipts_hold()


def test_a_culprit_that_stays_red_is_failed_and_nobody_else(groups: Groups):
    document = groups.carry_out("grep -q BROKEN *.txt", b=BROKEN)
    assert document["state"] == "failed"
    assert groups.outcome("b") == ("failed", "gate_red")
    assert (groups.landings(), groups.line()) == (["acd"], ["a", "c", "d"])
    ended = next(event for event in groups.events() if isinstance(event, TaskEnded))
    assert "tests" in ended.detail


def test_two_that_are_red_only_together_end(groups: Groups):
    """The one that comes later in the plan goes back; on what landed it is red again, and fails."""
    document = groups.carry_out("test -e b.txt -a -e c.txt")
    assert groups.landings() == ["abd"]
    assert groups.gated() <= 6
    assert groups.outcome("c")[0] == "failed"
    assert document["state"] == "failed"
    assert groups.receipts_hold()


@pytest.mark.parametrize("kind", [MergeFinished, GatesFinished, EffectIntended, TaskIntegrated])
def test_killed_in_the_midst_it_lands_once_and_as_one(groups: Groups, kind: type[Any]):
    """I4: ended while it is built, searched, landed or told; the resume ends as a run that was not."""
    stops = 0

    def watch(recorded: Any, _state: Any, engine: Any) -> None:
        nonlocal stops
        event = recorded.event
        due = isinstance(event, kind) and (kind is not EffectIntended or isinstance(event.effect, Land))
        if due and stops < 2:
            stops += 1
            engine.interrupt("test", now=True)

    again = {"attempts": {1: BROKEN, "default": [write("b.txt", "mended\n"), DONE]}}
    groups.carry_out("grep -q BROKEN *.txt", observe=watch, b=again)  # type: ignore[arg-type]
    for _ in range(3):
        document = groups.resume(watch, unattended=True)
        if document["state"] == "finished":
            break
    assert document["state"] == "finished"
    assert stops == 2
    assert (groups.landings(), groups.moves()) == (["acd", "b"], 2)
    assert groups.line() == ["a", "c", "d", "b"]
    assert groups.receipts_hold()
