"""The hook as agents' programs start it: real processes, with and without a sandbox, against the real socket."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.guarding.calls import Question, Ruling, ToolCall, rule
from chargehand.adapters.guarding.configs import hook_argv
from chargehand.adapters.guarding.place import Place as GuardPlace
from chargehand.adapters.guarding.server import HookServer
from chargehand.adapters.process import run as run_process
from chargehand.domain.errors import AdapterError
from tests.e2e.processes import KINDS, Place, sandbox_of

DENY = {"claude", "codex"}


def claude_call(command: str) -> dict[str, Any]:
    return {"session_id": "s", "cwd": "/ws", "tool_name": "Bash", "tool_input": {"command": command}}


async def hook(socket: Path, form: str, call: bytes, within: str = "") -> tuple[int, str]:
    argv = list(hook_argv(sys.executable, form, socket))
    if within:
        argv[argv.index("--within") + 1] = within
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={}
    )
    out, _ = await asyncio.wait_for(process.communicate(call), 30)
    return process.returncode or 0, out.decode()


def denied(form: str, out: str) -> str:
    """The reason of a denial in the form of the program; fails when it is none."""
    told = json.loads(out)
    if form in DENY:
        assert told["hookSpecificOutput"]["hookEventName"] == "PreToolUse"
        assert told["hookSpecificOutput"]["permissionDecision"] == "deny"
        return str(told["hookSpecificOutput"]["permissionDecisionReason"])
    assert told.get("decision", told.get("allow")) in {"deny", False}
    return str(told["reason"])


async def never(_call: ToolCall) -> Ruling:
    raise AssertionError("nobody should be asked")


@pytest.mark.parametrize("form", ["claude", "codex", "gemini", "json"])
def test_a_yes_and_a_no_in_the_form_of_each_program(form: str, tmp_path: Path, run) -> None:
    seen: list[ToolCall] = []

    async def decide(call: ToolCall) -> Ruling:
        seen.append(call)
        return Ruling(allow=call.command == "ls", reason="Because “é”.")

    async def story() -> list[str]:
        server = HookServer(tmp_path / "hook", decide)
        await server.start()
        told = [
            await hook(tmp_path / "hook", form, json.dumps(claude_call(text)).encode()) for text in ("ls", "rm -rf /x")
        ]
        await server.stop()
        assert not (tmp_path / "hook").exists()
        assert [code for code, _ in told] == [0, 0]
        return [out for _, out in told]

    yes, no = run(story())
    assert denied(form, no) == "Because “é”."
    expected: dict[str, Any] = {"gemini": {"decision": "allow"}, "json": {"allow": True, "reason": "Because “é”."}}
    if form == "codex":
        assert yes == ""
    elif form == "claude":
        assert json.loads(yes)["hookSpecificOutput"]["permissionDecision"] == "allow"
    else:
        assert json.loads(yes) == expected[form]
    assert [(call.agent, call.command, call.session) for call in seen] == [(form, "ls", "s"), (form, "rm -rf /x", "s")]


@pytest.mark.parametrize("form", ["claude", "codex", "gemini", "json"])
def test_nobody_there_is_a_no(form: str, tmp_path: Path, run) -> None:
    """I9: silence never approves."""
    code, out = run(hook(tmp_path / "hook", form, json.dumps(claude_call("ls")).encode()))
    assert code == 0
    assert denied(form, out)


@pytest.mark.parametrize("call", [b"", b"{", b"\xff\xfe", b'{"tool_name": "\xff"}', b"x" * (4 * 1024 * 1024 + 1)])
def test_what_is_no_call_is_a_no_and_nobody_is_asked(call: bytes, tmp_path: Path, run) -> None:
    async def story() -> str:
        server = HookServer(tmp_path / "hook", never)
        await server.start()
        _, out = await hook(tmp_path / "hook", "claude", call)
        await server.stop()
        return out

    assert denied("claude", run(story()))


def test_a_person_is_waited_for_and_others_are_not_held_up(tmp_path: Path, run) -> None:
    """I9: an answer counts for one question; other calls are answered meanwhile."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def decide(call: ToolCall) -> Ruling:
        if call.command == "slow":
            asked.set()
            await answered.wait()
        return Ruling(allow=True, reason=str(call.command))

    async def story() -> None:
        server = HookServer(tmp_path / "hook", decide)
        await server.start()
        slow = asyncio.create_task(hook(tmp_path / "hook", "json", json.dumps(claude_call("slow")).encode()))
        await asked.wait()
        _, quick = await hook(tmp_path / "hook", "json", json.dumps(claude_call("quick")).encode())
        assert json.loads(quick)["reason"] == "quick"
        assert not slow.done()
        answered.set()
        _, out = await slow
        assert json.loads(out) == {"allow": True, "reason": "slow"}
        await server.stop()

    run(story())


def test_the_patience_of_the_program_ends_with_a_no(tmp_path: Path, run) -> None:
    """I9: the hook denies before the program would go on by itself; the question is withdrawn."""
    withdrawn = asyncio.Event()

    async def decide(_call: ToolCall) -> Ruling:
        try:
            await asyncio.get_running_loop().create_future()
            return Ruling(allow=True)
        finally:
            withdrawn.set()

    async def story() -> None:
        server = HookServer(tmp_path / "hook", decide)
        await server.start()
        _, out = await hook(tmp_path / "hook", "claude", json.dumps(claude_call("ls")).encode(), within="0.2")
        assert denied("claude", out)
        await asyncio.wait_for(withdrawn.wait(), 10)
        await server.stop()

    run(story())


def test_whoever_waits_when_the_run_stops_is_denied(tmp_path: Path, run) -> None:
    asked = asyncio.Event()

    async def decide(_call: ToolCall) -> Ruling:
        asked.set()
        await asyncio.get_running_loop().create_future()
        return Ruling(allow=True)

    async def story() -> None:
        server = HookServer(tmp_path / "hook", decide)
        await server.start()
        waiting = asyncio.create_task(hook(tmp_path / "hook", "gemini", json.dumps(claude_call("ls")).encode()))
        await asked.wait()
        await server.stop()
        await server.stop()
        _, out = await waiting
        assert denied("gemini", out)

    run(story())


def test_a_decider_that_breaks_denies(tmp_path: Path, run) -> None:
    async def story() -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
        server = HookServer(tmp_path / "hook", never)
        await server.start()
        _, out = await hook(tmp_path / "hook", "claude", json.dumps(claude_call("ls")).encode())
        assert denied("claude", out)
        await server.stop()
        assert isinstance(told[0]["exception"], AssertionError)

    run(story())


def test_a_folder_that_is_missing_is_said_so(tmp_path: Path, run) -> None:
    with pytest.raises(AdapterError, match="No socket can be made"):
        run(HookServer(tmp_path / "nowhere" / "hook", never).start())


def test_the_socket_is_for_its_user_only(tmp_path: Path, run) -> None:
    async def story() -> None:
        server = HookServer(tmp_path / "hook", never)
        await server.start()
        assert (tmp_path / "hook").stat().st_mode & 0o777 == 0o600
        assert [entry.name for entry in tmp_path.iterdir()] == ["hook"]
        await server.stop()

    run(story())


@pytest.mark.parametrize("kind", KINDS)
def test_the_hook_reaches_the_coordinator_out_of_every_sandbox(kind: str, tmp_path: Path, run) -> None:
    """The path is longer than a name of a socket may be; the network is closed; the folder is read-only inside."""
    sandbox = sandbox_of(kind)
    parent = Path(__file__).resolve().parents[2] / ".pytest_cache"
    parent.mkdir(exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="hook é " + "x" * 90, dir=parent))
    private = base / "private"
    private.mkdir()
    victim = base / "victim"
    victim.mkdir()
    place = Place(folder=base, sandbox=sandbox, readable=(private, Path(hook_argv("", "", private)[3])), network="none")
    workspace = str(place.workspace)
    asked: list[str] = []

    async def decide(call: ToolCall) -> Ruling:
        here = GuardPlace(cwd=workspace, inside=(workspace,), sandboxed=kind != "none")
        told = rule(call, here)
        if isinstance(told, Question):
            asked.append(told.command)
            return Ruling(allow=False, reason="No.")
        return told

    async def story() -> list[str]:
        server = HookServer(private / "hook", decide)
        await server.start()
        outs = []
        for command in ("pytest -q", f"find {json.dumps(str(victim))} -delete"):
            call = json.dumps(claude_call(command) | {"cwd": workspace}).encode()
            spec = place.spec(hook_argv(sys.executable, "json", private / "hook"), stdin=call)
            await run_process(spec)
            outs.append(place.out.read_text())
        await server.stop()
        return outs

    try:
        yes, no = run(story())
    finally:
        shutil.rmtree(base)
    assert json.loads(yes)["allow"] is True, yes
    assert json.loads(no) == {"allow": False, "reason": "No."}
    assert len(asked) == 1
    assert os.sep in asked[0]
