"""Whole runs for tests: a real repository, the scripted agent, the real adapters; only the command line is left out."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chargehand.domain import view
from chargehand.domain.events import Event
from chargehand.domain.state import RunState
from chargehand.engine.loop import Engine
from chargehand.wiring import Workshop, open_workshop
from tests.repos import Repo

__all__ = ["DONE", "World", "write"]

DONE: dict[str, Any] = {"report": {"status": "DONE"}}


def write(path: str, text: str = "text\n") -> dict[str, Any]:
    """A step that writes a file."""
    return {"write": {"path": path, "text": text}}


@dataclass
class World:
    """A repository and where everything of a test lies; `sandbox` is what its runs get."""

    repo: Repo
    folder: Path
    sandbox: str = "none"
    run: str = ""
    state: RunState | None = None
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """What Chargehand is started with."""
        return {**self.repo.environ, "XDG_STATE_HOME": str(self.folder / "state")}

    def play(
        self,
        tasks: Sequence[Mapping[str, Any]],
        scenario: Mapping[str, Any],
        *,
        sets: Sequence[str] = (),
        observe: Callable[[Any, RunState, Engine], None] | None = None,
        unattended: bool = True,
        base: str | None = None,
        **plan: Any,
    ) -> Mapping[str, Any]:
        """Run a plan of these tasks with a scripted agent; the document that `run --json` would print.

        Nobody reviews unless `features` says so: what reviews do has tests of its own.
        """
        plan.setdefault("features", {"code_review": False})
        text = {"chargehand": 1, "plan": "test", "tasks": list(tasks), **plan}
        plan_file = self.folder / "plan.json"
        plan_file.write_text(json.dumps(text), encoding="utf-8")
        script = self.folder / "scenario.json"
        script.write_text(json.dumps({"scenario": 1, "tasks": dict(scenario)}), encoding="utf-8")
        given = ["agents.script.kind=scripted", f"agents.script.command={script}", *sets]
        return asyncio.run(self._play(plan_file, given, observe, unattended, base))

    def play_command(self, tasks: Sequence[Mapping[str, Any]], command: str, **plan: Any) -> Mapping[str, Any]:
        """Run a plan with a `command` agent; nobody reviews unless `features` says so."""
        plan.setdefault("features", {"code_review": False})
        text = {"chargehand": 1, "plan": "test", "tasks": list(tasks), **plan}
        plan_file = self.folder / "plan.json"
        plan_file.write_text(json.dumps(text), encoding="utf-8")
        return asyncio.run(self._play(plan_file, [f"agent_command={command}"], None, unattended=True, base=None))

    async def _play(
        self,
        plan_file: Path,
        sets: Sequence[str],
        observe: Callable[[Any, RunState, Engine], None] | None,
        unattended: bool,
        base: str | None,
    ) -> Mapping[str, Any]:
        shop = await self.shop(sets)
        loaded = shop.load_plan(plan_file)
        assert loaded.plan is not None, loaded.problems
        event = await shop.new_run(loaded.plan, plan_file=plan_file, base=base)
        self.run = event.run
        return await self._drive(shop, shop.service.start(event), observe, unattended=unattended)

    def resume(
        self, observe: Callable[[Any, RunState, Engine], None] | None = None, *, unattended: bool | None = None
    ) -> Mapping[str, Any]:
        """Take the run up again, as a new process would."""

        async def take_up() -> Mapping[str, Any]:
            shop = await self.shop(())
            return await self._drive(shop, shop.service.take_up(self.run), observe, unattended=unattended)

        return asyncio.run(take_up())

    async def _drive(
        self,
        shop: Workshop,
        held: Any,
        observe: Callable[[Any, RunState, Engine], None] | None,
        *,
        unattended: bool | None,
    ) -> Mapping[str, Any]:
        engines: list[Engine] = []
        self.state = await shop.service.drive(
            held,
            observe=(lambda recorded, state: observe(recorded, state, engines[0])) if observe else None,
            on_engine=engines.append,
            unattended=unattended,
        )
        self.document = view.document(self.state, held=False)
        return self.document

    async def shop(self, sets: Sequence[str]) -> Workshop:
        """The workshop of the repository."""
        return await open_workshop(
            repo=self.repo.path,
            state_dir=None,
            sets=[f"sandbox.kind={self.sandbox}", *sets],
            flags={},
            env=self.environ,
        )

    # -- looking ----------------------------------------------------------------------------------

    def task(self, name: str = "a") -> Mapping[str, Any]:
        """A task of the document."""
        return next(task for task in self.document["tasks"] if task["id"] == name)

    def outcome(self, name: str = "a") -> tuple[str, str]:
        """State and reason of a task."""
        return self.task(name)["state"], self.task(name)["reason"]

    def landed(self, path: str) -> str | None:
        """The content of a file on the integration branch."""
        return self.repo.files(self.document["branch"]).get(path)

    def events(self) -> list[Event]:
        """The journal."""

        async def read() -> list[Event]:
            shop = await self.shop(())
            return [recorded.event for recorded in shop.service.events(self.run)]

        return asyncio.run(read())

    def refs(self) -> dict[str, str]:
        """All refs of the repository."""
        lines = self.repo.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ") for line in lines)

    def checkout(self) -> dict[str, tuple[int, str]]:
        """Every file of the user's checkout outside `.git`, with mode and content, and the index."""
        found: dict[str, tuple[int, str]] = {}
        for folder, names, files in os.walk(self.repo.path):
            names[:] = [name for name in names if name != ".git"]
            for name in files:
                file = Path(folder) / name
                text = str(file.readlink()) if file.is_symlink() else file.read_bytes().hex()
                found[str(file.relative_to(self.repo.path))] = (file.lstat().st_mode, text)
        found["index"] = (0, self.repo.git("ls-files", "-s", "-t"))
        found["HEAD"] = (0, self.repo.git("rev-parse", "--symbolic-full-name", "HEAD") + self.repo.head())
        return found
