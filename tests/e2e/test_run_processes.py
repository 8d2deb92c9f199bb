"""Agents that hang, chatter, flood, daemonise and die, through whole runs (SPEC 3.5, 5, 7.1)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import UserError
from tests.e2e.world import DONE, World, write
from tests.repos import Repo

TASK: dict[str, Any] = {"id": "a", "title": "A", "files": {"create": ["a.txt"]}}
GOOD = [write("a.txt"), DONE]


@pytest.fixture(params=["bwrap", "landlock", "none"])
def world(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> World:
    """One world per kind of sandbox that works here."""
    import asyncio

    made = World(repo=repo, folder=tmp_path, sandbox=request.param)
    try:
        asyncio.run(_probe(made))
    except UserError as error:
        pytest.skip(f"{request.param}: {error.message}")
    return made


async def _probe(world: World) -> None:
    await (await world.shop(())).sandbox(world.sandbox)


def alive(pid_file: Path) -> bool:
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def test_a_plain_run_lands_under_every_sandbox(world: World):
    before = world.checkout()
    world.play([{**TASK, "verify": [["grep", "-q", "text", "a.txt"]]}], {"a": GOOD})
    assert world.outcome() == ("integrated", "integrated")
    assert world.checkout() == before  # I1


def test_a_silent_hang_ends_and_is_retried(world: World):
    """I10: the silence budget."""
    scenario = {"a": {"attempts": {1: [write("a.txt"), {"hang": "silent"}], 2: GOOD}}}
    world.play([{**TASK, "limits": {"idle": "1s"}}], scenario)
    assert world.outcome() == ("integrated", "integrated")
    assert world.task()["attempts"] == 2


def test_chatter_for_ever_ends_at_the_wall(world: World):
    """I10: the wall budget."""
    world.play([{**TASK, "limits": {"wall": "1s", "idle": "5m"}}], {"a": [write("a.txt"), {"hang": "chatter"}]})
    assert world.outcome() == ("failed", "timeout")
    assert world.task()["attempts"] == 2


def test_a_hang_after_the_report_costs_only_the_grace(world: World):
    started = time.monotonic()
    world.play(
        [TASK], {"a": [*GOOD, {"hang": {"how": "silent", "ignore_signals": True}}]}, sets=["caps.report_grace=1s"]
    )
    assert world.outcome() == ("integrated", "integrated")
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("how", ["plain", "setsid", "double_fork"])
def test_nothing_outlives_its_attempt(world: World, how: str):
    """I11."""
    spawn = {"spawn": {"how": how, "seconds": 600, "pid": "{{cwd}}/pid.txt"}}
    task = {**TASK, "files": {"create": ["a.txt", "pid.txt"]}}
    world.play([task], {"a": [spawn, {"wait": 0.2}, *GOOD]})
    assert world.outcome() == ("integrated", "integrated")
    pid = world.folder / "pid"
    pid.write_text(str(world.landed("pid.txt")))
    if world.sandbox != "bwrap":  # in a pid namespace the number means nothing outside
        assert not alive(pid)
    assert not _marked(world.folder)


def _marked(folder: Path) -> list[int]:
    """Processes of a run whose private folders lie below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"CHARGEHAND_RESULT={folder}".encode() in environment:
                found.append(int(entry.name))
    return found


def test_a_flood_is_capped(world: World):
    scenario = {"a": [{"flood": 50_000_000}, *GOOD]}
    world.play([TASK], scenario, sets=["caps.output_bytes=1000000"])
    assert world.outcome() == ("integrated", "integrated")
    log = world.repo.path / ".git/chargehand/runs" / world.run / "attempts/a/1/stdout.log"
    assert log.stat().st_size < 1_100_000


def test_the_users_checkout_and_home_are_out_of_reach(world: World, tmp_path: Path):
    """I1, I8: where there is a sandbox an agent cannot write outside."""
    if world.sandbox == "none":
        pytest.skip("nothing holds an agent without a sandbox")
    target = world.repo.path / "stolen.txt"
    secret = Path(world.repo.environ["HOME"]) / "secret"
    secret.write_text("x")
    steps = [{"stray": str(target)}, {"stray": str(secret)}, {"stray": str(world.repo.path / ".git/hooks/post-commit")}]
    world.play([TASK], {"a": [*steps, *GOOD]})
    assert world.outcome() == ("integrated", "integrated")
    assert not target.exists()
    assert secret.read_text() == "x"
    assert not (world.repo.path / ".git/hooks/post-commit").exists()


def test_without_a_sandbox_what_changed_in_the_checkout_is_told(world: World):
    if world.sandbox != "none":
        pytest.skip("a sandbox holds the agent")
    world.play([TASK], {"a": [{"stray": str(world.repo.path / "stray.txt")}, *GOOD]})
    assert world.outcome() == ("integrated", "integrated")
    (told,) = [w for w in world.document["warnings"] if w["code"] == "checkout_changed"]
    assert "stray.txt" in told["text"]


def test_without_a_sandbox_a_planted_hook_stops_the_run(world: World):
    if world.sandbox != "none":
        pytest.skip("a sandbox holds the agent")
    hook = str(world.repo.path / ".git/hooks/post-checkout")
    world.play([TASK], {"a": [{"stray": hook}, *GOOD]}, unattended=False)
    assert world.outcome() == ("awaiting_decision", "config_changed")


def test_an_interrupt_ends_cleanly_and_resumes(world: World):
    """I2, I4, I11: Ctrl-C once: nothing runs on, nothing is lost, and resume finishes."""
    tasks = [TASK, {"id": "b", "title": "B", "files": {"create": ["b.txt"]}, "depends_on": ["a"]}]
    hang: dict[str, Any] = {"a": GOOD, "b": {"attempts": {1: [write("b.txt", "half\n"), {"wait": 30}, DONE]}}}

    def stop(recorded: Any, state: Any, engine: Any) -> None:
        effect = getattr(recorded.event, "effect", None)
        if isinstance(effect, StartAttempt) and effect.task == "b":
            engine.interrupt("test")

    world.play(tasks, hang, observe=stop)
    assert world.document["state"] == "interrupted"
    assert world.outcome("a") == ("integrated", "integrated")
    assert world.outcome("b")[0] == "waiting"
    assert world.task("b")["attempts"] == 0
    scenario = world.folder / "scenario.json"
    scenario.write_text('{"scenario": 1, "tasks": {"b": [{"write": {"path": "b.txt", "text": "b\\n"}}, {"lie": {}}]}}')
    world.resume()
    assert world.outcome("b") == ("integrated", "integrated")
    assert world.task("b")["attempts"] == 1
    assert world.landed("b.txt") == "b"
