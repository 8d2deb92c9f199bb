"""Where a real program is driven: a repository, a scripted model, and `chargehand` as a person calls it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from chargehand.testing.model import ModelServer, Scenario, serving
from tests.agents.install import Program
from tests.repos import Repo, hermetic_environment

__all__ = ["Failed", "Fence", "Ground", "ground"]

RUN_S = 240
SOON_S = 90
KEY = "made-up-key-for-a-scripted-model"
UNREVIEWED = {"code_review": False, "holistic": False}
SCENARIOS = Path(__file__).parent / "scenarios"


class Failed(Exception):
    """What was expected and did not happen, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """What holds the program: a kind of sandbox, and its network."""

    sandbox: str = "auto"
    network: str = "open"

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments for the network."""
        return ("--set", f"sandbox.network={self.network}")


class Ground:
    """One case of one program. `number` is a duration in seconds that nothing else on this machine sleeps for."""

    def __init__(self, program: Program, folder: Path, fence: Fence) -> None:
        self.program = program
        self.fence = fence
        self.folder = folder
        home = folder / "home"
        home.mkdir()
        environ = hermetic_environment(home)
        self.repo = Repo(path=folder / "project", environ=environ).init()
        self.repo.write("README.md", "A project.\n")
        self.repo.commit("base")
        self.environ = {**environ, "XDG_STATE_HOME": str(folder / "state"), "PROVIDER_KEY": KEY}
        self.config = folder / "config" / "chargehand"  # the user's: a project's file names no keys and no providers
        self.config.mkdir(parents=True)
        self.environ["XDG_CONFIG_HOME"] = str(self.config.parent)
        self.environ |= {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "PYTHONWARNINGS": "error"}
        self.number = f"{3600 + os.getpid() % 1000}.{time.time_ns() % 1_000_000:06}"
        self.document: dict[str, Any] = {}
        self.code: int | None = None
        self.stderr = ""

    # -- the model

    @contextmanager
    def scenario(self, name: str) -> Iterator[ModelServer]:
        """A model that says what a file beside this one says, else as `model`."""
        document = yaml.safe_load((SCENARIOS / f"{name}.yaml").read_text("utf-8"))
        with self.model(**{name: value for name, value in document.items() if name != "model"}) as server:
            yield server

    @contextmanager
    def model(self, *steps: Mapping[str, Any], port: int = 0, **scenario: Any) -> Iterator[ModelServer]:
        """A model that says this to every conversation; at its end the scenario must not have asked in vain.

        `scenario` may have `plays` for several conversations.
        """
        document = {"model": 1, "plays": [{"steps": list(steps)}], "models": [self.program.model], **scenario}
        with serving(Scenario.of(document), port=port, key=KEY) as server:
            yield server
            if server.wrong:
                raise Failed(f"the scripted model could not play: {server.wrong[0]}")

    # -- chargehand

    def write_plan(self, server: ModelServer, **task: Any) -> None:
        """A plan of one task, and the settings for the program."""
        self.write(server, [{"id": "t", "title": "Make it", "description": "Do what has to be done.", **task}])

    def write(self, server: ModelServer, tasks: Sequence[Mapping[str, Any]], *others: Program, **plan: Any) -> None:
        """A plan of these tasks; the agents are called by their kinds, the ground's own serves tasks that name none.

        `plan` is what else stands in it; nothing is reviewed unless its `features` say so.
        """
        plan = {"chargehand": 1, "plan": "case", "features": UNREVIEWED, **plan, "tasks": list(tasks)}
        (self.folder / "plan.json").write_text(json.dumps(plan), "utf-8")
        lines = [f"agent = '{self.program.kind}'"]
        for program in (self.program, *others):
            settings = {"kind": program.kind, "command": f"'{program.path}'", "model": program.model}
            settings |= {"key": "env:PROVIDER_KEY", "base_url": server.url}
            lines += [
                f"[agents.{program.kind}]",
                *(f"{name} = {json.dumps(value)}" for name, value in settings.items()),
            ]
        (self.config / "config.toml").write_text("\n".join(lines) + "\n", "utf-8")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `chargehand`, in a session of its own."""
        argv = [sys.executable, "-m", "chargehand", *words, "--json"]
        return subprocess.Popen(
            argv,
            cwd=self.repo.path,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run_plan(self, server: ModelServer, **task: Any) -> None:
        """A run from its start to its end."""
        self.write_plan(server, **task)
        self.finish(self.start_run())

    def start_run(self, *words: str) -> subprocess.Popen[str]:
        """Start the run of the plan."""
        return self.start(
            "run",
            str(self.folder / "plan.json"),
            "--unattended",
            "--sandbox",
            self.fence.sandbox,
            *self.fence.words,
            *words,
        )

    def finish(self, process: subprocess.Popen[str]) -> None:
        """Wait for the end, and take what was printed."""
        try:
            out, self.stderr = process.communicate(timeout=RUN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, self.stderr = process.communicate()
            raise Failed(f"chargehand did not end within {RUN_S} s") from None
        self.code = process.returncode
        try:
            self.document = json.loads(out)
        except ValueError:
            raise Failed(f"chargehand printed no document (exit code {self.code}): {self.stderr[-300:]}") from None

    # -- looking

    @property
    def task(self) -> dict[str, Any]:
        """The task of the plan."""
        found: dict[str, Any] = next(iter(self.document.get("tasks") or [{}]))
        return found

    def landed(self, path: str) -> str | None:
        """The content of a file on the integration branch, without white space around it."""
        return self.repo.files(self.document["branch"]).get(path)

    def expect(self, found: object, wanted: object, what: str) -> None:
        """`Failed` unless they are equal."""
        if found != wanted:
            detail = self.task.get("detail") or self.document.get("error") or self.stderr[-300:]
            raise Failed(f"{what} is {found!r} instead of {wanted!r} ({' '.join(str(detail).split())[:400]})")

    def expect_landed(self, path: str, text: str) -> None:
        """The run is finished, and the file is on the branch."""
        self.expect(self.task.get("state"), "integrated", "the state of the task")
        self.expect(self.code, 0, "the exit code")
        self.expect(self.landed(path), text.strip(), path)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The events of these types, as `log` names them, in the journal of the run."""
        done = self.start("log")
        out, _ = done.communicate(timeout=SOON_S)
        if done.returncode != 0:
            return []  # there is no run yet
        return [event for event in map(json.loads, out.splitlines()) if event["type"] in kinds]

    def effect(self, key: str) -> dict[str, Any]:
        """What the run intended to do under a key."""
        found = (event["effect"] for event in self.events("effect_intended"))
        return next(effect for effect in found if effect["key"] == key)

    # -- processes

    def sleepers(self) -> list[int]:
        """The processes that sleep for our number."""
        return _matching(self.number)

    def left(self) -> list[int]:
        """The processes that belong to the workspace or the program of this case."""
        return [pid for pid in _matching(str(self.folder)) if pid != os.getpid()]

    def until(self, ready: Callable[[], object], what: str) -> None:
        """Wait for something that nobody tells of."""
        deadline = time.monotonic() + SOON_S
        while not ready():
            if time.monotonic() > deadline:
                raise Failed(f"{what} within {SOON_S} s: that did not happen")
            time.sleep(0.2)

    def expect_nothing_left(self) -> None:
        """No process that the attempt started is alive [I11]."""
        deadline = time.monotonic() + 5
        while (found := [*self.sleepers(), *self.left()]) and time.monotonic() < deadline:
            time.sleep(0.1)
        if found:
            raise Failed(f"{len(found)} processes are left")


def _matching(text: str) -> list[int]:
    """The processes with `text` in their command line or their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if text.encode() in told:
                found.append(int(entry.name))
    return found


@contextmanager
def ground(program: Program, fence: Fence) -> Iterator[Ground]:
    """A ground of its own, removed afterwards; whatever still runs there is ended."""
    folder = Path(tempfile.mkdtemp(prefix="chargehand-agents-"))
    made = Ground(program, folder, fence)
    try:
        yield made
    finally:
        for pid in {*made.sleepers(), *made.left()}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        shutil.rmtree(folder, ignore_errors=True)
