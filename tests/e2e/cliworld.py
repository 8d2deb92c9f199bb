"""The command line as a person uses it: real processes in a temporary repository, and a small program as agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.repos import Repo

__all__ = ["CliWorld", "Done", "read_until", "task"]

# What it does in an attempt stands in script.json beside it: {task: [step, …]}, the last step for all later attempts.
_AGENT = """\
import json, os, pathlib, signal, sys, time
brief = sys.stdin.read()
here = pathlib.Path(__file__).parent
task, attempt = os.environ["CHARGEHAND_TASK"], int(os.environ["CHARGEHAND_ATTEMPT"])
steps = json.loads((here / "script.json").read_text()).get(task, [{}])
step = steps[min(attempt, len(steps)) - 1]
if step.get("deaf"):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
print(step.get("say", f"working on {task}"), flush=True)
if step.get("wait"):
    (here / "go").open().close()  # a pipe: until the test opens it, too
if step.get("hang"):
    time.sleep(600)
for path, text in step.get("write", {f"{task}.txt": f"{task}\\n"}).items():
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(text)
if step.get("stay"):
    (here / "written").open("w").close()  # a pipe the test reads
    time.sleep(600)
report = step.get("report", {"status": "DONE"})
if report:
    pathlib.Path(os.environ["CHARGEHAND_RESULT"]).write_text(json.dumps(report))
sys.exit(step.get("exit", 0))
"""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document on stdout."""
        value: dict[str, Any] = json.loads(self.stdout)
        return value

    @property
    def lines(self) -> list[dict[str, Any]]:
        """One document a line."""
        return [json.loads(line) for line in self.stdout.splitlines()]


class CliWorld:
    """A repository, a folder for everything else, and calls of `chargehand` in it."""

    def __init__(self, repo: Repo, folder: Path) -> None:
        self.repo = repo
        self.folder = folder
        (folder / "agent").mkdir(parents=True)
        (folder / "agent" / "agent.py").write_text(_AGENT)
        os.mkfifo(folder / "agent" / "written")
        os.mkfifo(folder / "agent" / "go")
        self.script({})
        self.environ = {**repo.environ, "XDG_STATE_HOME": str(folder / "state"), "USER": "uma", "TERM": "xterm"}

    @property
    def agent(self) -> str:
        """The command line of the agent."""
        return f"{sys.executable} {self.folder / 'agent' / 'agent.py'}"

    def script(self, steps: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """What the agent does, by task."""
        (self.folder / "agent" / "script.json").write_text(json.dumps(steps))

    def wait_until_written(self) -> None:
        """Return when an agent whose step says `stay` has written its files."""
        (self.folder / "agent" / "written").read_bytes()

    def go_on(self) -> None:
        """Let an agent whose step says `wait` go on; returns when it does."""
        (self.folder / "agent" / "go").open("w").close()

    def plan(self, tasks: Sequence[Mapping[str, Any]], *, path: Path | None = None, **keys: Any) -> Path:
        """Write a plan, outside the repository unless `path` says otherwise; nobody reviews unless `features` says."""
        keys.setdefault("features", {"code_review": False})
        file = path or self.folder / "plan.json"
        file.write_text(json.dumps({"chargehand": 1, "plan": "todo", "tasks": list(tasks), **keys}, indent=1))
        return file

    def call(self, *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
        """Run one command to its end; no terminal anywhere."""
        got = subprocess.run(
            [sys.executable, "-m", "chargehand", *map(str, words)],
            cwd=cwd or self.repo.path,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        return Done(got.returncode, got.stdout, got.stderr)

    def run(self, plan: Path, *words: str | Path) -> Done:
        """`run` with the agent, outside any sandbox: what holds agents has tests of its own."""
        return self.call("run", plan, "--agent-command", self.agent, "--sandbox", "none", *words)

    @contextmanager
    def start(self, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
        """A command that goes on beside the test; it is killed when the test ends before it does."""
        process = subprocess.Popen(
            [sys.executable, "-m", "chargehand", *map(str, words)],
            cwd=self.repo.path,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.communicate()

    @contextmanager
    def started_run(self, plan: Path, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
        """The same for `run`."""
        with self.start("run", plan, "--agent-command", self.agent, "--sandbox", "none", *words) as process:
            yield process


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Lines of stderr up to the one that holds `text`; fails when stderr ends before."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"{text!r} never came; stderr was:\n{''.join(lines)}")


def task(name: str, **keys: Any) -> dict[str, Any]:
    """A task that makes one file of its name."""
    return {
        "id": name,
        "title": f"The {name}",
        "files": {"create": [f"{name}.txt"]},
        "verify": [["test", "-s", f"{name}.txt"]],
        **keys,
    }
