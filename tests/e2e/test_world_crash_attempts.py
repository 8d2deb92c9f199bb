"""A coordinator that dies around the end of an attempt: nothing is paid for or lands twice (SPEC 8)."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters import attempt
from chargehand.adapters.attempt_note import AttemptNote, Stage, write_note
from chargehand.domain.events import AttemptFinished, EffectLost, TaskIntegrated
from tests.e2e.world import World
from tests.repos import Repo

TASK = {"id": "a", "title": "A", "files": {"create": ["a.txt"]}, "verify": [["grep", "-q", "text", "a.txt"]]}


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    folder = tmp_path / "world"
    folder.mkdir()
    return World(repo, folder)


def launches(world: World) -> int:
    """How often the agent was started."""
    return len((world.folder / "launches").read_text().splitlines())


def die_at(world: World, stage: Stage, *, before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Play the run in a process that is killed when an attempt notes down that it has come so far."""

    def note(folder: Path, made: AttemptNote) -> None:
        if made.stage is stage and before:
            os.kill(os.getpid(), signal.SIGKILL)
        write_note(folder, made)
        if made.stage is stage:
            os.kill(os.getpid(), signal.SIGKILL)

    script = world.folder / "agent.sh"
    count = world.folder / "launches"
    count.touch()
    script.write_text(
        f"echo x >> '{count}'\necho text > a.txt\n" + 'echo \'{"status": "DONE"}\' > "$CHARGEHAND_RESULT"\n'
    )
    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(attempt, "write_note", note)
            world.play_command([TASK], f"sh '{script}'", features={"code_review": False})
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (world.run,) = (folder.name for folder in (world.repo.path / ".git/chargehand/runs").iterdir())


def test_killed_when_the_result_was_on_the_disk(world: World, monkeypatch: pytest.MonkeyPatch):
    """I4: the attempt is judged as it stands; no agent is started again."""
    die_at(world, Stage.ENDED, before=False, monkeypatch=monkeypatch)
    world.resume()
    assert world.outcome() == ("integrated", "integrated")
    assert (launches(world), world.task()["attempts"]) == (1, 1)
    events = world.events()
    assert sum(isinstance(event, AttemptFinished) for event in events) == 1
    assert sum(isinstance(event, TaskIntegrated) for event in events) == 1
    assert not any(isinstance(event, EffectLost) for event in events)
    assert not any(ref.startswith("refs/chargehand/rescue/") for ref in world.refs())


@pytest.mark.parametrize(("stage", "before", "starts"), [(Stage.ENDED, True, 2), (Stage.RUNNING, True, 1)])
def test_killed_before_that(world: World, monkeypatch: pytest.MonkeyPatch, stage: Stage, before: bool, starts: int):
    """I2, I4: it is done again, and what the first had done is kept."""
    die_at(world, stage, before=before, monkeypatch=monkeypatch)
    world.resume()
    assert world.outcome() == ("integrated", "integrated")
    assert (launches(world), world.task()["attempts"]) == (starts, 1)
    events = world.events()
    assert sum(isinstance(event, EffectLost) for event in events) == 1
    assert sum(isinstance(event, TaskIntegrated) for event in events) == 1
    rescued = [ref for ref in world.refs() if ref.startswith("refs/chargehand/rescue/")]
    assert len(rescued) == starts - 1
    assert all(world.repo.files(ref)["a.txt"] == "text" for ref in rescued)


def test_killed_twice(world: World, monkeypatch: pytest.MonkeyPatch):
    """I4: a second death while the result is being taken over changes nothing."""
    die_at(world, Stage.ENDED, before=False, monkeypatch=monkeypatch)

    def die(recorded: Any, _state: Any, _engine: Any) -> None:
        if isinstance(recorded.event, AttemptFinished):
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            world.resume(observe=die)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    world.resume()
    assert world.outcome() == ("integrated", "integrated")
    assert (launches(world), world.task()["attempts"]) == (1, 1)
    assert sum(isinstance(event, AttemptFinished) for event in world.events()) == 1
