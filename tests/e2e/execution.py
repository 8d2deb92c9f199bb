"""A fleet and gates over a real repository, for tests that run real programs in real sandboxes."""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from chargehand.adapters.agents import make_agent
from chargehand.adapters.checkout_watch import CheckoutWatch
from chargehand.adapters.confined import Confined
from chargehand.adapters.environment import Environment, Identity, Ports
from chargehand.adapters.fleet_local import FleetParts, LocalFleet
from chargehand.adapters.folders import PrivateFolders
from chargehand.adapters.gates import CommandGates, GateParts
from chargehand.adapters.git import Repository
from chargehand.adapters.sandbox import SandboxChoice, choose
from chargehand.adapters.setup import Setup
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import AttemptResult, GateResult, Role
from chargehand.domain.plan import Command, EnvSpec, SetupSpec
from chargehand.ports import AttemptSpec, Check, GateJob
from tests.repos import Repo

PORTS = 22_000
KINDS = ("bwrap", "landlock", "none")


def available() -> list[str]:
    """The sandboxes that work on this machine."""
    return [kind for kind in KINDS if isinstance(try_to_choose(kind), SandboxChoice)]


def try_to_choose(kind: str) -> SandboxChoice | str:
    try:
        return asyncio.run(choose(kind))
    except UserError as error:
        return error.message


OUTER = {
    "PATH": os.environ["PATH"],
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "HOME": "/nonexistent/real-home",
    "SECRET_OF_THE_USER": "do-not-pass-this",
    "API_TOKEN": "tok-abcdef-123456",
}


@dataclass
class Execution:
    """Everything a run has on disk below `root`; the state folder has a space and an umlaut in its name."""

    repo: Repo
    root: Path
    kind: str = "none"
    outer: Mapping[str, str] = field(default_factory=lambda: OUTER)
    lines: list[tuple[str, str]] = field(default_factory=list)
    scripts: int = 0
    name: str = field(default_factory=lambda: f"r{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.state = self.root / "stäte dir"
        self.folder = self.state / "runs" / self.name
        self.folder.mkdir(parents=True)
        self.repository = asyncio.run(Repository.discover(self.repo.path, self.repo.environ))
        self.sandbox = asyncio.run(choose(self.kind)).sandbox
        self.short = Path("/var/tmp") / f"cht-{os.getpid()}-{self.name}"
        self.short.mkdir()
        atexit.register(shutil.rmtree, self.short, ignore_errors=True)
        self.ports = Ports(first=PORTS, blocks=100, start=os.getpid())

    # -- what is built

    def confined(self, **changes) -> Confined:
        hidden = (self.repo.path, self.repository.common_dir)
        made = Confined(sandbox=self.sandbox, hidden=hidden, readable=self.repository.object_stores())
        return replace(made, **changes)

    def environment(self, name: str) -> Environment:
        who = self.repository.identity
        return Environment(
            outer=self.outer, identity=Identity(name=who.name, email=who.email), cache=self.state / "cache" / name
        )

    def fleet(self, *agents: AgentDef, **changes) -> LocalFleet:
        environment = self.environment("agents")
        confined = self.confined()
        confined = replace(confined, writable=environment.cache)
        parts = FleetParts(
            workspaces=GitWorkspaces(self.repository, self.state / "pool"),
            confined=confined,
            agents={agent.name: make_agent(agent) for agent in agents},
            environment=environment,
            folders=PrivateFolders(self.state / "x", self.short),
            ports=self.ports,
            setup=Setup(confined=confined, state=self.state / "setup" / "agents", peers=(self.gates_setup,)),
            folder=self.folder,
            grace_s=0.5,
            on_output=lambda key, line: self.lines.append((key, line)),
            watch=CheckoutWatch(repository=self.repository) if self.kind == "none" else None,
        )
        return LocalFleet(replace(parts, **changes))

    @property
    def gates_setup(self) -> Path:
        return self.state / "setup" / "gates"

    def gates(self, **changes) -> CommandGates:
        environment = self.environment("gates")
        confined = replace(self.confined(), writable=environment.cache)
        parts = GateParts(
            workspaces=GitWorkspaces(self.repository, self.state / "gates"),
            confined=confined,
            environment=environment,
            folders=PrivateFolders(self.state / "y", self.short),
            ports=self.ports,
            setup=Setup(confined=confined, state=self.gates_setup),
            repository=self.repository,
            folder=self.folder,
            on_output=lambda key, line: self.lines.append((key, line)),
        )
        return CommandGates(replace(parts, **changes))

    # -- what is asked

    def agent(self, body: str, name: str = "fake") -> AgentDef:
        """An agent that is a Python program; `result` is the path of its report, `json` and `os` are imported."""
        self.scripts += 1
        script = self.root / f"agent {self.scripts}" / "agent.py"
        script.parent.mkdir()
        head = "import json, os, pathlib, sys, time\nresult = pathlib.Path(os.environ['CHARGEHAND_RESULT'])\n"
        tail = "\n\ndef report(**more):\n    result.write_text(json.dumps({'status': 'DONE', **more}))\n\n"
        script.write_text(head + tail + textwrap.dedent(body))
        command = shlex.join([sys.executable, "-I", "-S", str(script)])
        return AgentDef(name=name, kind="command", command=command, cwd=str(self.root))

    def spec(self, task: str = "t", **changes) -> AttemptSpec:
        made = AttemptSpec(
            key=f"{task}/1/attempt",
            run=self.name,
            task=task,
            attempt=1,
            role=Role.IMPLEMENTER,
            base=self.repo.head(),
            title="A title\nof two lines",
            brief="# Brief ü\n",
            agent="fake",
            wall_s=60.0,
            idle_s=None,
        )
        return replace(made, **changes)

    def attempt(self, agent: AgentDef | str, spec: AttemptSpec | None = None, **parts) -> AttemptResult:
        """One attempt from submit to result."""
        definition = self.agent(agent) if isinstance(agent, str) else agent
        asked = spec or self.spec()

        async def play() -> AttemptResult:
            fleet = self.fleet(definition, **parts)
            await fleet.submit(asked)
            try:
                return await fleet.wait(asked.key)
            finally:
                await fleet.close()

        return asyncio.run(play())

    def job(self, *checks: Check, commit: str | None = None, base: str | None = None, **changes) -> GateJob:
        head = commit or self.repo.head()
        made = GateJob(
            key="t/1/gates",
            run=self.name,
            task="t",
            attempt=1,
            commit=head,
            tree=self.repo.git("rev-parse", f"{head}^{{tree}}"),
            base=base or head,
            checks=checks,
        )
        return replace(made, **changes)

    def judge(self, job: GateJob, **parts) -> tuple[GateResult, ...]:
        """One job from checkout to results."""
        return asyncio.run(self.gates(**parts).run(job))

    def left_behind(self) -> list[str]:
        """What private folders are left."""
        return [str(path) for place in (self.state / "x", self.state / "y", self.short) for path in place.glob("*")]


def check(run: str | tuple[str, ...], **changes) -> Check:
    """A check named `c`: a text is for the shell, a tuple an argv."""
    command = Command(argv=(run,), shell=True) if isinstance(run, str) else Command(argv=run)
    return replace(Check(id="c", run=command, wall_s=60.0), **changes)


def setup(run: str, *, key: tuple[str, ...] = (), keep: tuple[str, ...] = ()) -> SetupSpec:
    """A setup that is a shell command."""
    return SetupSpec(run=Command(argv=(run,), shell=True), key=key, keep=keep)


MakeExecution = Callable[..., Execution]
__all__ = [
    "KINDS",
    "OUTER",
    "PORTS",
    "EnvSpec",
    "Execution",
    "MakeExecution",
    "available",
    "check",
    "setup",
    "try_to_choose",
]
