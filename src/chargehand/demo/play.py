"""The course of the demo: a run as a process of its own, killed in the middle, taken up again, looked at.

The run is started as a person would start it, and not through the one door to processes: that one makes sure that
nothing is left behind, which is what is to be seen here without any help.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chargehand.adapters.process import capture
from chargehand.demo.leftovers import Held
from chargehand.demo.stage import Stage, child_environment
from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import EffectIntended, MergeFinished, Recorded
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import Conflict
from chargehand.domain.state import RunState
from chargehand.domain.words import TaskStatus
from chargehand.wiring import Workshop, open_workshop

__all__ = ["RUN", "Demo", "Killed"]

RUN = "demo"
_LANDINGS = 3
_LATE = 5  # from here on any agent will do
_AT_WORK_S = 0.25
_PROCESSES = 2  # a launcher and what it launched, at least
_GONE_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """`landed` tasks were on the branch, `processes` ran below the run; `left` are those that outlived it."""

    landed: int
    processes: int
    left: tuple[int, ...]


class Demo:
    """Plays on a stage; `show` is told every line that the run prints."""

    def __init__(self, stage: Stage, environ: Mapping[str, str], show: Callable[[str], None]) -> None:
        self.stage = stage
        self._environ = dict(environ)
        self._show = show

    async def start(self, *, kill: bool) -> tuple[int, Killed | None]:
        """Run the plan; with `kill`, SIGKILL it once three tasks have landed while another is at work.

        Answers with the exit code of the run, and what was seen when it was killed (None when it was not).
        """
        process = await self._chargehand("run", "plan.yaml", "--yes", "--run-id", RUN, "--unattended")
        killed: Killed | None = None
        try:
            assert process.stderr is not None
            async for line in process.stderr:
                self._show(_text(line))
                if kill and killed is None:
                    killed = await self._kill_in_the_middle(process)
            return await process.wait(), killed
        finally:
            await _end(process)

    async def resume(self) -> int:
        """Take the run up again; its exit code."""
        process = await self._chargehand("resume", RUN)
        try:
            assert process.stderr is not None
            async for line in process.stderr:
                self._show(_text(line))
            return await process.wait()
        finally:
            await _end(process)

    async def look(self) -> tuple[RunState, list[Recorded]]:
        """The run as its journal tells it."""
        events = (await self._workshop()).service.events(RUN)
        return fold(events), events

    async def is_untouched(self) -> bool:
        """Whether checkout and branch of the project are as they were before the run."""
        git = self.stage.git
        head = await git.text("rev-parse", "HEAD", "refs/heads/main")
        return head.split() == [self.stage.base] * 2 and not await git.text("status", "--porcelain")

    async def tests(self, branch: str) -> tuple[bool, str]:
        """Run the project's tests on a branch, in a clone; whether they are green, and how they say it."""
        with tempfile.TemporaryDirectory(dir=self.stage.folder, prefix="tests-") as folder:
            await self.stage.git.run("clone", "--quiet", "--branch", branch, str(self.stage.project), folder)
            argv = (sys.executable, "-m", "unittest", "discover", "-s", "tests")
            env = {"PATH": self._environ.get("PATH", os.defpath), "PYTHONDONTWRITEBYTECODE": "1"}
            got = await capture(argv, cwd=Path(folder), env=env)
        said = got.stderr.decode("utf-8", "replace").strip().splitlines()
        ran = next((line for line in said if line.startswith("Ran ")), "")
        return got.code == 0, f"{ran}: {said[-1]}" if ran else "no tests were run"

    # -- behind the scenes

    async def _kill_in_the_middle(self, process: Process) -> Killed | None:
        """Kill at the first moment worth it; a line of the run says that something happened, its journal what."""
        try:
            state, events = await self.look()
        except (AdapterError, UserError):
            return None  # it is only just being created
        landed = sum(record.status is TaskStatus.INTEGRATED for record in state.tasks.values())
        if process.returncode is not None or not _is_the_moment(state, events, landed):
            return None
        held = Held.below(process.pid)
        try:
            if held.known and landed < _LATE and len(held) < _PROCESSES:
                return None
            process.kill()
            await process.wait()
            left = await held.ended(_GONE_WITHIN_S)
            return Killed(landed=landed, processes=len(held), left=tuple(left))
        finally:
            held.close()

    async def _workshop(self) -> Workshop:
        env = child_environment(self._environ)
        return await open_workshop(repo=self.stage.project, state_dir=None, sets=(), flags={}, env=env)

    async def _chargehand(self, *words: str) -> Process:
        argv = (sys.executable, "-m", "chargehand", *words)
        env = child_environment(self._environ)
        return await asyncio.create_subprocess_exec(
            *argv, cwd=self.stage.project, env=env, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
        )


def _is_the_moment(state: RunState, events: list[Recorded], landed: int) -> bool:
    """Three have landed, a conflict is behind us, and an agent has been at work for a while."""
    conflict = any(isinstance(r.event, MergeFinished) and isinstance(r.event.result, Conflict) for r in events)
    starts = {
        record.event.effect.key: record.at
        for record in events
        if isinstance(record.event, EffectIntended) and isinstance(record.event.effect, StartAttempt)
    }
    longest_s = max((events[-1].at - at for key, at in starts.items() if key in state.inflight), default=-1.0)
    enough_s = _AT_WORK_S if landed < _LATE else 0.0
    return conflict and landed >= _LANDINGS and longest_s >= enough_s


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip()


async def _end(process: Process) -> None:
    """When the demo itself is interrupted, its run stops cleanly."""
    if process.returncode is None:
        process.terminate()
        await process.wait()
