"""Attempts whose agent reaches its model through the meter: real sockets, a scripted model, a small agent program."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.meter import Meter, PriceTable, Recorder, Upstream
from chargehand.adapters.metering import Metered
from chargehand.dialects import Dialect
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import AttemptResult, ExitKind
from chargehand.ports import MeterAccess
from chargehand.testing.fakes import attempt_result
from chargehand.testing.model import ModelServer, Scenario
from tests.e2e.execution import OUTER, Execution
from tests.e2e.world import World
from tests.talking import SPEECHES, ask, no_proxies

__all__ = ["no_proxies"]

KEY = "made-up-real-key-0123456789"
MODEL = "claude-sonnet-4-5"

# Asks its model until that says something without a report, or refuses, and prints what Claude Code would.
_PROGRAM = """\
import json, os, pathlib, sys, time, urllib.error, urllib.request
brief = sys.stdin.read()
messages = [{"role": "user", "content": brief}]
tools = [{"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}]
def tell(**doc): print(json.dumps(doc), flush=True)
tell(type="system", subtype="init", session_id="s-1", model=sys.argv[sys.argv.index("--model") + 1])
def ask():
    body = {"model": sys.argv[sys.argv.index("--model") + 1], "max_tokens": 9, "messages": messages, "tools": tools}
    head = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "content-type": "application/json"}
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    return json.load(urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), head)))
while True:
    try:
        answer = ask()
    except urllib.error.HTTPError as error:
        if "stubborn" in sys.argv:
            time.sleep(600)
        tell(type="result", subtype="success", is_error=True, api_error_status=error.code, result="API Error", usage={})
        sys.exit(1)
    messages.append({"role": "assistant", "content": answer["content"]})
    tell(type="assistant", parent_tool_use_id=None, message=answer)
    calls = [part for part in answer["content"] if part["type"] == "tool_use"]
    if not calls:
        tell(type="result", subtype="success", is_error=False, result=answer["content"][-1]["text"], session_id="s-1")
        break
    results = []
    for call in calls:
        os.system(call["input"]["command"])
        results.append({"type": "tool_result", "tool_use_id": call["id"], "content": "done"})
    messages.append({"role": "user", "content": results})
"""

_PLAN = {
    "chargehand": 1,
    "plan": "test",
    "features": {"code_review": False},
    "tasks": [{"id": "a", "title": "Say hello"}],
}
WORK: tuple[Mapping[str, Any], ...] = ({"run": "echo hello > hello.txt"}, {"report": {"status": "DONE"}})


@pytest.fixture
def each(repo, tmp_path) -> Execution:
    return Execution(repo=repo, root=tmp_path, outer={**OUTER, "REAL_KEY": KEY})


def program(folder: Path, *args: str) -> AgentDef:
    script = folder / "program.py"
    script.write_text(_PROGRAM)
    command = shlex.join([sys.executable, "-I", "-S", str(script)])
    return AgentDef(name="fake", kind="claude", command=command, key="env:REAL_KEY", model=MODEL, args=args)


def attempt(
    each: Execution,
    *steps: Mapping[str, Any],
    args: tuple[str, ...] = (),
    usage: Mapping[str, int] | None = None,
    **spec,
) -> tuple[AttemptResult, ModelServer]:
    """One attempt through a meter, at a model that says this."""

    async def play() -> tuple[AttemptResult, ModelServer]:
        given = {"plays": [{"steps": list(steps)}], "usage": usage or {"input": 1000, "cached": 400, "output": 50}}
        async with ModelServer(Scenario.of(given), key=KEY) as server:
            meter = Meter({"fake": Upstream(base_url=server.url, key=KEY)}, PriceTable.packaged())
            await meter.start()
            fleet = each.fleet(program(each.root, *args), meter=meter, metered={"fake"})
            asked = each.spec(**spec)
            await fleet.submit(asked)
            try:
                return await fleet.wait(asked.key), server
            finally:
                await fleet.close()

    return asyncio.run(play())


def test_what_passed_the_meter_is_what_was_used(each):
    """The program tells of no tokens here; the real key went to the provider, and is in no file of ours."""
    result, server = attempt(each, *WORK)
    assert result.report is not None
    assert result.usage.tokens == 2 * 1050
    assert result.usage.usd == pytest.approx(2 * (600 * 3 + 400 * 0.3 + 50 * 15) / 1e6)
    assert result.model == MODEL
    assert {seen.headers["x-api-key"] for seen in server.seen} == {KEY}
    kept = [path for path in each.folder.rglob("*") if path.is_file()]
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []
    assert [path for path in kept if b"chm-" in path.read_bytes()] == []


def test_a_budget_is_held_in_mid_attempt(each):
    """I10: the request after it was used up is refused, and the attempt ends as over its budget."""
    result, server = attempt(each, {"run": "true", "times": "forever"}, tokens=2000)
    assert result.exit.kind is ExitKind.OVER_BUDGET
    assert len(server.seen) == 2
    assert result.usage.tokens == 2100


def test_a_time_to_wait_is_read_where_the_program_tells_none(each):
    """The program says 429 and no more; the header said when."""
    before = time.time()
    result, _ = attempt(each, {"error": {"status": 429, "retry_after_s": 60}, "times": "forever"})
    assert result.exit.kind is ExitKind.RATE_LIMITED
    assert result.exit.retry_at is not None
    assert before + 60 <= result.exit.retry_at <= time.time() + 60


def test_a_program_that_would_sit_and_wait_is_ended(each):
    """The provider said: in an hour. The runtime waits better than a process does."""
    refused = {"error": {"status": 429, "message": "Come back later.", "retry_after_s": 3600}, "times": "forever"}
    result, _ = attempt(each, refused, args=("stubborn",))
    assert result.exit.kind is ExitKind.RATE_LIMITED
    assert result.exit.retry_at is not None
    assert result.exit.retry_at > time.time() + 3000
    assert "Come back later" in result.exit.detail
    assert result.usage.wall_s < 30


def test_another_model_than_the_one_asked_for_is_told(each):
    result, _ = attempt(each, {**WORK[0], "model": "claude-haiku-4-5"}, {**WORK[1], "model": "claude-haiku-4-5"})
    assert any("claude-haiku-4-5 answered" in warning for warning in result.warnings)
    result, _ = attempt(each, *({**step, "model": f"{MODEL}-20250929"} for step in WORK))
    assert result.warnings == ()


def test_a_whole_run_goes_through_the_meter(repo, tmp_path):
    """As the settings have it: the key is named, never written; the journal knows tokens and money."""
    repo.environ["REAL_KEY"] = KEY
    world = World(repo=repo, folder=tmp_path / "world")
    world.folder.mkdir()
    agent = program(world.folder)

    async def play() -> None:
        given = {"plays": [{"steps": list(WORK)}], "usage": {"input": 1000, "output": 50}}
        async with ModelServer(Scenario.of(given), key=KEY) as server:
            sets = ["agent=fake", "agents.fake.kind=claude", f"agents.fake.command={agent.command}"]
            sets += ["agents.fake.key=env:REAL_KEY", f"agents.fake.base_url={server.url}", f"agents.fake.model={MODEL}"]
            plan = world.folder / "plan.json"
            plan.write_text(json.dumps(_PLAN))
            await world._play(plan, sets, None, unattended=True, base=None)

    asyncio.run(play())
    assert world.outcome() == ("integrated", "integrated")
    assert world.landed("hello.txt") == "hello"
    assert world.document["usage"]["tokens"] == 2100
    assert world.document["usage"]["usd"] == pytest.approx(2 * (1000 * 3 + 50 * 15) / 1e6)
    assert KEY not in json.dumps([str(event) for event in world.events()])


def test_a_run_is_recorded_and_played_back(repo, tmp_path):
    """Without the key, and at a provider that is gone: what was recorded answers, in other workspaces as well."""
    tape, prices = tmp_path / "tape.jsonl", tmp_path / "prices.json"
    prices.write_text(json.dumps({"models": {MODEL: {"input": 1000, "output": 0}}}))
    repo.environ["REAL_KEY"] = KEY
    repo.environ["OTHER_TOKEN"] = "another-secret-of-the-environment"
    steps: list[Mapping[str, Any]] = [{"run": "echo another-secret-of-the-environment > /dev/null"}, *WORK]

    async def play(name: str, *sets: str) -> World:
        world = World(repo=repo, folder=tmp_path / name)
        world.folder.mkdir()
        agent = program(tmp_path)
        async with ModelServer(Scenario.of({"plays": [{"steps": steps}], "usage": {"input": 1000}}), key=KEY) as server:
            url = server.url if name == "first" else "http://127.0.0.1:1"
            own = ["agent=fake", "agents.fake.kind=claude", f"agents.fake.command={agent.command}"]
            own += ["agents.fake.key=env:REAL_KEY", f"agents.fake.base_url={url}", f"agents.fake.model={MODEL}"]
            plan = world.folder / "plan.json"
            plan.write_text(json.dumps(_PLAN))
            await world._play(plan, [*own, f"meter.prices={prices}", *sets], None, unattended=True, base=None)
        return world

    first = asyncio.run(play("first", f"meter.record={tape}"))
    assert first.outcome() == ("integrated", "integrated")
    assert first.document["usage"]["usd"] == pytest.approx(3.0)
    recorded = tape.read_text()
    assert len(recorded.splitlines()) == 3
    assert KEY not in recorded
    assert "chm-" not in recorded
    assert "another-secret" not in recorded
    assert str(tmp_path) not in recorded
    del repo.environ["REAL_KEY"]
    second = asyncio.run(play("second", f"meter.replay={tape}"))
    assert second.outcome() == ("integrated", "integrated"), second.document
    assert second.landed("hello.txt") == "hello"
    assert tape.read_text() == recorded


def test_a_cassette_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be written: No such file or directory"):
        Recorder(tmp_path / "none" / "tape")


def test_the_address_of_an_attempt_is_printed_nowhere():
    """It holds the token."""
    access = MeterAccess(base_url="http://127.0.0.1:1/t/chm-secret", token="chm-secret")
    assert "chm-secret" not in repr(access)


# -- what nobody told, and what nobody knows the price of -----------------------------------------


def corrected(
    each: Execution, *limits: Mapping[str, Any], model: str = MODEL, told: bool = True
) -> list[AttemptResult]:
    """Attempts of one run, one with each of these limits, that ask a model once; it tells its usage, or none."""

    async def play() -> list[AttemptResult]:
        step = {"say": "Some words of an answer.", "model": model, "times": "forever"}
        given = {"plays": [{"sides": True, "steps": [step]}], "usage": {"input": 1000, "output": 50}}
        async with ModelServer(Scenario.of(given), key=KEY) as server:
            upstream = Upstream(base_url=server.url, key=KEY, asks_usage=told)
            meter = Meter({"fake": upstream}, PriceTable.packaged())
            await meter.start()
            results = []
            for number, limit in enumerate(limits):
                asked = replace(each.spec(**limit), key=f"a/{number}", agent="fake")
                attempt = Metered(meter, asked)
                await ask(attempt.access.base_url, SPEECHES[Dialect.CHAT], token=attempt.access.token)
                results.append(attempt.corrected(attempt_result(asked)))
            await meter.stop()
            return results

    return asyncio.run(play())


def test_usage_that_nobody_told_is_marked_as_a_guess(each, no_proxies):
    """I10: it counts, in tokens and in money, and the attempt says how much of it is guessed."""
    (result,) = corrected(each, {}, model="gpt-5.5", told=False)
    assert result.usage.tokens == result.usage.estimated
    assert (result.usage.estimated or 0) > 50
    assert result.usage.usd is not None
    assert result.usage.usd == result.usage.held_usd
    assert (result.usage.held_usd or 0) > 0
    assert result.warnings == ()
    (result,) = corrected(each, {}, model="gpt-5.5")
    assert (result.usage.tokens, result.usage.estimated) == (1050, 0)


def test_a_model_without_a_price_is_told_of_once(each, no_proxies):
    """I10: its money is unknown, and held at the dearest price; where no money is bounded the note is short."""
    limit = {"usd": 5.0}
    bounded = corrected(each, limit, limit, limit, model="unheard-of")
    notes = [[text for text in result.warnings if "cost" in text] for result in bounded]
    assert [len(texts) for texts in notes] == [1, 0, 0]
    assert "count it as the dearest model they know" in notes[0][0]
    assert [result.usage.usd for result in bounded] == [None] * 3
    assert all((result.usage.held_usd or 0.0) > 0.01 for result in bounded)
    free = corrected(each, {"usd": None}, {"usd": None}, model="unheard-of")
    notes = [[text for text in result.warnings if "cost" in text] for result in free]
    assert notes == [["The cost of unheard-of is unknown."], []]
