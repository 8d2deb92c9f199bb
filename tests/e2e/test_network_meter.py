"""Agents whose sandbox has no network but the meter: real sandboxes, a scripted model, a small agent program."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.meter import Meter, PriceTable, Upstream
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import AttemptResult, ExitKind
from chargehand.testing.model import ModelServer, Scenario
from tests.e2e.execution import OUTER, Execution, available
from tests.e2e.test_metering import KEY, MODEL, WORK, program
from tests.e2e.world import World

needs_bwrap = pytest.mark.skipif("bwrap" not in available(), reason="bubblewrap does not work on this machine")

# What the agent is made to run: from inside, it asks the model server itself, and says what came of it.
DIRECT = """\
import socket
try:
    socket.create_connection(("127.0.0.1", PORT), timeout=5).close()
    print("reached")
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def each(repo: Any, tmp_path: Path) -> Execution:
    proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "example.org"}
    return Execution(repo=repo, root=tmp_path, kind="bwrap", outer={**OUTER, **proxies, "REAL_KEY": KEY})


def attempt(each: Execution, agent: AgentDef, *steps: Mapping[str, Any], **spec: Any) -> tuple[AttemptResult, Meter]:
    """One attempt in a sandbox without a network, at a model that says this; `PORT` in a command is the model's."""

    async def play() -> tuple[AttemptResult, Meter]:
        given = {"plays": [{"steps": list(steps)}], "usage": {"input": 1000, "output": 50}}
        async with ModelServer(Scenario.of(given), key=KEY) as server:
            body = DIRECT.replace("PORT", server.url.rpartition(":")[2].strip("/"))
            (each.root / "direct.py").write_text(body)
            meter = Meter({"fake": Upstream(base_url=server.url, key=KEY)}, PriceTable.packaged())
            await meter.start()
            confined = replace(
                each.confined(), network="none", readable=(*each.confined().readable, each.root / "direct.py")
            )
            fleet = each.fleet(agent, meter=meter, metered={"fake"}, relays=True, confined=confined)
            asked = each.spec(**spec)
            await fleet.submit(asked)
            try:
                return await fleet.wait(asked.key), meter
            finally:
                await fleet.close()

    return asyncio.run(play())


@needs_bwrap
def test_the_meter_is_all_that_it_reaches(each: Execution) -> None:
    """I8: it works and reports, with a proxy in its environment; a connection of its own goes nowhere."""
    ask = {"run": f"{shlex.quote(sys.executable)} -I -S {shlex.quote(str(each.root / 'direct.py'))} > direct.txt"}
    result, _ = attempt(each, program(each.root), ask, *WORK)
    assert result.report is not None, result
    assert result.exit.kind in {ExitKind.EXITED, ExitKind.REPORTED}
    assert result.sealed is not None
    assert each.repo.git("show", f"{result.sealed.commit}:direct.txt") == "ConnectionRefusedError"
    assert each.repo.git("show", f"{result.sealed.commit}:hello.txt") == "hello"
    assert result.usage.tokens == 3 * 1050
    assert each.left_behind() == []


@needs_bwrap
def test_it_is_ended_with_everything_it_started(each: Execution) -> None:
    """I11: what stands before the program ends with it, also when it is ended for its silence."""
    result, _ = attempt(each, program(each.root), {"run": "sleep 600"}, *WORK, wall_s=4.0)
    assert result.exit.kind is ExitKind.TIMEOUT
    assert each.left_behind() == []


@needs_bwrap
def test_a_program_that_cannot_be_started_is_named(each: Execution) -> None:
    """As without the relay: the attempt says which program cannot be started, not what stands before it."""
    script = each.root / "tool"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    result, _ = attempt(each, replace(program(each.root), command=str(script)), *WORK)
    assert result.exit.kind is ExitKind.ENV_MISSING
    assert f"The program {script} could not be executed: its interpreter" in result.exit.detail


def play_run(world: World, *sets: str, key: bool = True) -> None:
    """A run of one task whose agent is the program above."""
    agent = program(world.folder)

    async def play() -> None:
        given = {"plays": [{"steps": list(WORK)}], "usage": {"input": 1000, "output": 50}}
        async with ModelServer(Scenario.of(given), key=KEY) as server:
            own = ["agent=fake", "agents.fake.kind=claude", f"agents.fake.command={agent.command}"]
            own += [f"agents.fake.base_url={server.url}", f"agents.fake.model={MODEL}", "sandbox.network=meter"]
            own += ["agents.fake.key=env:REAL_KEY"] if key else []
            plan = world.folder / "plan.json"
            gate = {"id": "closed", "run": GATE, "on": ["integrate"]}
            tasks = [{"id": "a", "title": "Say hello"}]
            plan.write_text(
                json.dumps(
                    {
                        "chargehand": 1,
                        "plan": "test",
                        "features": {"code_review": False},
                        "tasks": tasks,
                        "gates": [gate],
                    }
                )
            )
            await world._play(plan, [*own, *sets], None, unattended=True, base=None)

    asyncio.run(play())


# Passes where the loopback interface is a new one, over which nothing has gone yet.
GATE = ["grep", "-Eq", "^ *lo: +0 ", "/proc/net/dev"]


def a_world(repo: Any, tmp_path: Path, sandbox: str) -> World:
    repo.environ["REAL_KEY"] = KEY
    world = World(repo=repo, folder=tmp_path / "world", sandbox=sandbox)
    world.folder.mkdir()
    return world


@needs_bwrap
def test_a_whole_run(repo: Any, tmp_path: Path) -> None:
    """As the settings have it: the agent works, what it wrote is judged by gates without any network."""
    world = a_world(repo, tmp_path, "bwrap")
    play_run(world, f'sandbox.read=["{world.folder}"]')
    assert world.outcome() == ("integrated", "integrated"), world.state and world.state.finished
    assert world.landed("hello.txt") == "hello"
    assert world.document["usage"]["tokens"] == 2100


@pytest.mark.parametrize(
    ("sandbox", "sets", "key", "why"),
    [
        ("none", (), True, "no sandbox holds them"),
        ("landlock", (), True, "Landlock closes the loopback interface"),
        ("bwrap", ("agents.fake.meter=false",), True, "`meter = false` is set for it"),
        ("bwrap", (), False, "it has no `key`, and a login"),
        ("bwrap", ("agents.fake.key=env:NOT_SET",), True, "the variable NOT_SET, which holds its key, is not set"),
        ("bwrap", ("agent_command=true",), True, "agent command would reach nothing: how a program of kind `command`"),
        (
            "bwrap",
            ("agents.fake.fallback=other", "agents.other.kind=command", "agents.other.command=true"),
            True,
            "agent other would reach nothing",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(
    repo: Any, tmp_path: Path, sandbox: str, sets: tuple[str, ...], key: bool, why: str
) -> None:
    if sandbox not in available():
        pytest.skip(f"{sandbox} does not work on this machine")
    world = a_world(repo, tmp_path, sandbox)
    with pytest.raises(UserError, match=r"sandbox\.network is `meter`") as refused:
        play_run(world, *sets, key=key)
    assert why in refused.value.message
    assert refused.value.hint
    assert world.run == "", "no run was made"
    assert not [ref for ref in world.refs() if "chargehand" in ref]
