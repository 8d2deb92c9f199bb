"""A yes that was given ahead is for the command in its folder, as the question showed it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chargehand.adapters.guarded import Guarded
from chargehand.adapters.guarding.calls import read_call
from chargehand.adapters.held_calls import HeldCalls
from chargehand.adapters.output import Redactor
from chargehand.domain.events import CommandAsked, Event
from chargehand.domain.outcome import Role
from chargehand.ports import AgentEvent, AttemptSpec, EventKind
from tests.unit.test_guard_cases import PLACE

R = "rm -rf victim"


def decided(
    tmp_path: Path, ruled: tuple[tuple[str, bool], ...], *folders: str
) -> tuple[list[bool], list[str], Guarded]:
    """The answers to the command in each of the folders, and what was asked; nobody answers."""
    asked: list[Event] = []
    held = HeldCalls(wait_s=0.01)
    held.listen(asked.append)
    spec = AttemptSpec(
        key="k",
        run="r",
        task="a",
        attempt=1,
        role=Role.IMPLEMENTER,
        base="b",
        title="t",
        brief="",
        agent="x",
        ruled=ruled,
    )
    guarded = Guarded(held, spec, form="claude", folder=tmp_path, redactor=Redactor)
    guarded._place = PLACE

    async def script() -> list[bool]:
        calls = [read_call("claude", {"tool_name": "Bash", "tool_input": {"command": R}, "cwd": at}) for at in folders]
        return [(await guarded._decide(call)).allow for call in calls]

    answers = asyncio.run(script())
    return answers, [event.command for event in asked if isinstance(event, CommandAsked)], guarded


def test_a_yes_is_for_one_folder(tmp_path: Path) -> None:
    """I9: an answer counts for one question, and where the command runs is part of it."""
    answers, asked, _ = decided(
        tmp_path, ((f"cd src && {R}", True),), "/ws/repo", "/srv", "/ws/repo/src", "/ws/repo/src"
    )
    assert answers == [False, False, True, False]
    assert asked == [R, f"cd /srv && {R}", f"cd src && {R}"]


def test_a_yes_for_the_workspace_is_for_nothing_else(tmp_path: Path) -> None:
    """I9: the folder that is not shown is the workspace itself, and only that."""
    answers, asked, _ = decided(tmp_path, ((R, True),), "/outside", "/ws/repo/src", "/ws/repo")
    assert answers == [False, False, True]
    assert asked == [f"cd /outside && {R}", f"cd src && {R}"]


def test_a_no_is_for_one_folder_as_well(tmp_path: Path) -> None:
    """A no elsewhere is asked about again."""
    answers, asked, _ = decided(tmp_path, ((R, False),), "/ws/repo", "/ws/repo/src")
    assert answers == [False, False]
    assert asked == [f"cd src && {R}"]


def test_a_program_tells_of_its_command_without_the_folder(tmp_path: Path) -> None:
    """What was approved in a folder is found in what the program tells, which does not name the folder."""
    answers, _, guarded = decided(tmp_path, ((f"cd src && {R}", True),), "/ws/repo/src")
    assert answers == [True]
    assert f": cd src && {R}" in guarded.in_vain[0]
    guarded.heard(AgentEvent(kind=EventKind.CALL, text=f"Bash: {R}"))
    assert guarded.in_vain == ()
