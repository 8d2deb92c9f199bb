"""What the demo ended with, as a value and as a document."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from chargehand.demo.play import Killed
from chargehand.demo.stage import Stage
from chargehand.demo.story import Incident, IncidentKind

__all__ = ["Result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`code` is the exit code of the run, 1 when the tests on its branch are red; `untouched`: I1 held."""

    stage: Stage
    run: str
    branch: str
    head: str
    state: str
    code: int
    tasks: int
    landed: int
    killed: Killed | None
    incidents: tuple[Incident, ...]
    tests: str
    tests_green: bool
    untouched: bool

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What to type next, in this order."""
        red = next((incident.task for incident in self.incidents if incident.kind is IncidentKind.RED_GATE), "")
        show = (f"show {red} --brief",) if red else ()
        name = _program()
        return (f"cd {quote(str(self.stage.project))}", *(f"{name} {words}" for words in ("status", *show, "accept")))

    def document(self) -> dict[str, Any]:
        """The document of `demo --json`."""
        killed = self.killed
        return {
            "dir": str(self.stage.folder),
            "project": str(self.stage.project),
            "run": self.run,
            "branch": self.branch,
            "head": self.head,
            "state": self.state,
            "exit_code": self.code,
            "tasks": self.tasks,
            "landed": self.landed,
            "killed": None
            if killed is None
            else {"landed": killed.landed, "processes": killed.processes, "left_running": list(killed.left)},
            "incidents": [
                {"kind": i.kind.value, "task": i.task, "what": i.what, "followed": i.followed} for i in self.incidents
            ],
            "tests": {"green": self.tests_green, "last_line": self.tests},
            "checkout_untouched": self.untouched,
            "next": list(self.next_steps),
        }


def _program() -> str:
    """What to type for `chargehand`: where the one that plays is not the one on PATH, its full path."""
    own = Path(sys.executable).parent / "chargehand"
    there = shutil.which("chargehand")
    if there is not None and (not own.exists() or Path(there).resolve() == own.resolve()):
        return "chargehand"
    return quote(str(own)) if own.exists() else f"{quote(sys.executable)} -m chargehand"
