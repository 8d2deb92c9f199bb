"""The scripted model server, asked over HTTP as agents ask: every dialect, streamed and not."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chargehand.dialects import Dialect
from chargehand.domain.errors import AdapterError
from chargehand.testing.model import ModelServer, Scenario, serving
from tests.talking import SPEECHES, Speech, ask, every_dialect, no_proxies, scenario, streamed_or_not

pytestmark = pytest.mark.usefixtures("no_proxies")
__all__ = ["no_proxies"]

ROOT = Path(__file__).parents[2]


@every_dialect
@streamed_or_not
def test_a_text_comes_whole(run: Any, speech: Speech, streams: bool) -> None:
    text = "Grüße — “quoted”\n\tand a second line.\n" * 7

    async def play() -> None:
        async with ModelServer(scenario({"say": text})) as server:
            answer = await ask(server.url, speech, streams=streams)
        assert (answer.status, answer.text, answer.calls) == (200, text, [])

    run(play())


@every_dialect
@streamed_or_not
def test_files_and_commands_go_to_the_tools_that_are_offered(run: Any, speech: Speech, streams: bool) -> None:
    async def play() -> None:
        plan = scenario({"together": [{"write": {"path": "a.txt", "text": "one\n"}}, {"run": "ls -l"}]})
        async with ModelServer(plan) as server:
            prompt = "Working directory: /srv/tree\nDo it."
            answer = await ask(server.url, speech, streams=streams, prompt=prompt)
            assert server.wrong == []
        (writer, written), (runner, ran) = answer.calls
        assert json.loads(written) == {"file_path": "/srv/tree/a.txt", "content": "one\n"}
        assert json.loads(ran) == {"command": "ls -l"}
        assert writer.lower().startswith("write")
        assert runner in {"Bash", "shell", "bash", "run_shell_command"}

    run(play())


def _answered(speech: Speech, prompt: str, turns: list[tuple[str, str]], texts: list[str]) -> dict[str, Any]:
    """The request after so many tool calls, each (name, result), and after so many texts."""
    body = speech.body(True, prompt, True)
    for number, (name, result) in enumerate(turns):
        match speech.dialect:
            case Dialect.ANTHROPIC:
                call: dict[str, Any] = {"type": "tool_use", "id": f"c{number}", "name": name, "input": {}}
                back: dict[str, Any] = {
                    "type": "tool_result",
                    "tool_use_id": f"c{number}",
                    "content": [{"type": "text", "text": result}],
                }
                body["messages"] += [
                    {"role": "assistant", "content": [call]},
                    {"role": "user", "content": [back]},
                ]
            case Dialect.RESPONSES:
                body["input"] += [
                    {"type": "reasoning", "summary": []},
                    {"type": "function_call", "call_id": f"c{number}", "name": name, "arguments": "{}"},
                    {"type": "function_call_output", "call_id": f"c{number}", "output": result},
                ]
            case Dialect.CHAT:
                call = {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": "{}"}}
                body["messages"] += [
                    {"role": "assistant", "content": None, "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": f"c{number}", "content": result},
                ]
            case Dialect.GEMINI:
                back = {"functionResponse": {"name": name, "response": {"output": result}}}
                body["contents"] += [
                    {"role": "model", "parts": [{"functionCall": {"name": name, "args": {}}}]},
                    {"role": "user", "parts": [back]},
                ]
    for text in texts:
        match speech.dialect:
            case Dialect.RESPONSES:
                content = [{"type": "output_text", "text": text}]
                body["input"] += [
                    {"type": "message", "role": "assistant", "content": content},
                    {"type": "message", "role": "user", "content": "Go on."},
                ]
            case Dialect.GEMINI:
                body["contents"] += [
                    {"role": "model", "parts": [{"text": text}]},
                    {"role": "user", "parts": [{"text": "Go on."}]},
                ]
            case _:
                body["messages"] += [{"role": "assistant", "content": text}, {"role": "user", "content": "Go on."}]
    return body


@every_dialect
def test_the_step_is_told_by_the_conversation(run: Any, speech: Speech) -> None:
    async def play() -> None:
        plan = scenario({"run": "one"}, {"run": "two"}, {"say": "First part."}, {"run": "three"}, {"say": "All done."})
        told = [("x", "refused by the user"), ("x", "fine")]
        async with ModelServer(plan) as server:

            async def after(turns: int, texts: list[str]) -> tuple[str, list[str]]:
                body = _answered(speech, "Do it.", (told * 2)[:turns], texts)
                answer = await ask(server.url, speech, body=body)
                return answer.text, [json.loads(arguments)["command"] for _, arguments in answer.calls]

            assert await after(0, []) == ("", ["one"])
            assert await after(1, []) == ("", ["two"]), "a denied call is a turn like any other"
            assert await after(2, []) == ("First part.", [])
            assert await after(2, ["First part."]) == ("", ["three"]), "a resumed session goes on"
            assert await after(3, ["First part."]) == ("All done.", [])
            assert await after(1, []) == ("", ["two"]), "nothing is remembered"
            assert server.seen[1].results[0].count("refused by the user") == 1

    run(play())


def test_calls_of_one_answer_are_one_turn_however_they_come_back(run: Any) -> None:
    """Some agents send each call back with its own result, as if the model had been asked in between."""

    async def play() -> None:
        plan = scenario({"together": [{"run": "one"}, {"run": "two"}]}, {"run": "three"}, {"say": "Done."})
        speech = SPEECHES[Dialect.CHAT]
        body = speech.body(True, "Go.", True)
        async with ModelServer(plan) as server:
            for wanted in (2, 1):
                raw = (await ask(server.url, speech, body=body)).raw
                ids = list(dict.fromkeys(re.findall(r"call_[0-9a-f]{16}_\d", raw.decode())))
                assert len(ids) == wanted
                for one in ids:
                    call = {"id": one, "type": "function", "function": {"name": "bash", "arguments": "{}"}}
                    body["messages"] += [
                        {"role": "assistant", "content": None, "tool_calls": [call]},
                        {"role": "tool", "tool_call_id": one, "content": "ok"},
                    ]
            assert (await ask(server.url, speech, body=body)).text == "Done."

    run(play())


@every_dialect
def test_an_endless_loop_never_ends(run: Any, speech: Speech) -> None:
    async def play() -> None:
        async with ModelServer(scenario({"run": "true", "times": "forever"}, {"say": "Never."})) as server:
            for turns in (0, 7, 60):
                answer = await ask(server.url, speech, body=_answered(speech, "Do it.", [("x", "")] * turns, []))
                assert [name for name, _ in answer.calls] != []

    run(play())


@every_dialect
def test_errors_come_so_often_and_say_when_to_come_back(run: Any, speech: Speech) -> None:
    async def play() -> None:
        error = {"status": 429, "retry_after_s": 7, "message": "Slow down."}
        async with ModelServer(scenario({"error": error, "times": 2}, {"error": 500}, {"say": "Now."})) as server:
            answers = [await ask(server.url, speech) for _ in range(5)]
            other = await ask(server.url, speech, prompt="Something else.")
        assert [answer.status for answer in answers] == [429, 429, 500, 200, 200]
        assert other.status == 429, "each conversation has its own"
        assert "Slow down." in answers[0].raw.decode()
        if speech.dialect is Dialect.GEMINI:
            assert answers[0].document["error"]["details"][0]["retryDelay"] == "7s"
        else:
            assert answers[0].headers["Retry-After"] == "7"

    run(play())


@every_dialect
@streamed_or_not
def test_half_an_answer(run: Any, speech: Speech, streams: bool) -> None:
    async def play() -> None:
        async with ModelServer(scenario({"say": "A text of some length. " * 9, "cut": 3})) as server:
            with pytest.raises(aiohttp.ClientError):
                await ask(server.url, speech, streams=streams)
            assert (await ask(server.url, speech, streams=streams)).text == "A text of some length. " * 9

    run(play())


@every_dialect
def test_what_is_no_answer(run: Any, speech: Speech) -> None:
    async def play() -> None:
        plan = scenario({"garbage": "body"}, {"garbage": "stream"}, {"garbage": "arguments"})
        async with ModelServer(plan) as server:
            with pytest.raises(json.JSONDecodeError):
                await ask(server.url, speech)
            with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
                await ask(server.url, speech)
            ((_, arguments),) = (await ask(server.url, speech)).calls
        if speech.dialect is Dialect.GEMINI:
            assert json.loads(arguments) == {"command": 5}
        else:
            with pytest.raises(json.JSONDecodeError):
                json.loads(arguments)

    run(play())


@every_dialect
def test_silence_and_slowness(run: Any, speech: Speech) -> None:
    async def play() -> None:
        plan = scenario({"silence": 0.05}, {"silence": "forever"}, {"say": "one two three", "pause_s": 0.02})
        async with ModelServer(plan) as server:
            with pytest.raises(aiohttp.ClientError):
                await ask(server.url, speech)
            hanging = asyncio.ensure_future(ask(server.url, speech))
            await server.requests(2)
            assert not hanging.done()
            began = asyncio.get_running_loop().time()
            answer = await ask(server.url, speech)
            assert asyncio.get_running_loop().time() - began >= 0.02 * (answer.events - 1)
        with pytest.raises(aiohttp.ClientError):  # the server went away, and did not wait for the hanging one
            await hanging

    run(play())


@every_dialect
def test_a_lot_of_text(run: Any, speech: Speech) -> None:
    async def play() -> None:
        async with ModelServer(scenario({"flood": 3_000_000})) as server:
            assert len((await ask(server.url, speech)).text) == 3_000_000

    run(play())


@every_dialect
def test_requests_aside_get_constants(run: Any, speech: Speech) -> None:
    """A title, a summary, or a small question whose answer has a schema: none of them takes a step."""

    async def play() -> None:
        schema = {
            "type": "object",
            "properties": {"speaker": {"type": "string", "enum": ["user", "model"]}, "score": {"type": "integer"}},
            "required": ["speaker", "score"],
        }
        forms: dict[Dialect, dict[str, Any]] = {
            Dialect.ANTHROPIC: {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
            Dialect.RESPONSES: {"text": {"format": {"type": "json_schema", "schema": schema}}},
            Dialect.CHAT: {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}},
            Dialect.GEMINI: {"generationConfig": {"responseJsonSchema": schema}},
        }
        plan = Scenario.of({"side": "A title", "plays": [{"steps": [{"run": "one"}]}]})
        async with ModelServer(plan) as server:
            assert (await ask(server.url, speech, tools=False)).text == "A title"
            bound = {**speech.body(True, "Who is next?", False), **forms[speech.dialect]}
            assert json.loads((await ask(server.url, speech, body=bound)).text) == {"speaker": "user", "score": 0}
            assert len((await ask(server.url, speech)).calls) == 1

    run(play())


def test_counts_and_lists(run: Any) -> None:
    async def play() -> None:
        plan = Scenario.of({"models": ["one", "two"], "plays": [{"steps": [{"say": "x"}]}]})
        async with ModelServer(plan) as server, aiohttp.ClientSession() as session:

            async def said(method: str, path: str) -> Any:
                async with session.request(method, server.url + path, json={} if method == "POST" else None) as answer:
                    return await answer.json()

            assert [one["id"] for one in (await said("GET", "/v1/models"))["data"]] == ["one", "two"]
            assert [one["name"] for one in (await said("GET", "/v1beta/models"))["models"]] == [
                "models/one",
                "models/two",
            ]
            assert (await said("POST", "/v1/messages/count_tokens"))["input_tokens"] >= 0
            assert (await said("POST", "/v1beta/models/one:countTokens"))["totalTokens"] >= 0
            assert "error" in await said("POST", "/v1/batches")
            assert len(await said("GET", "/-/seen")) == 5

    run(play())


def test_plays_are_chosen_by_prompt_and_by_address(run: Any) -> None:
    async def play() -> None:
        plan = Scenario.of(
            {
                "plays": [
                    {"when": ["alpha", "red"], "steps": [{"say": "1"}]},
                    {"when": "alpha", "steps": [{"say": "2"}]},
                    {"name": "third", "when": "never said", "steps": [{"say": "3"}]},
                ]
            }
        )
        speech = SPEECHES[Dialect.CHAT]
        async with ModelServer(plan) as server:
            assert (await ask(server.url, speech, prompt="alpha is red")).text == "1"
            assert (await ask(server.url, speech, prompt="alpha is blue")).text == "2"
            assert (await ask(f"{server.url}/s/third", speech, prompt="alpha is red")).text == "3"
            assert server.wrong == []
            assert "no play" in (await ask(server.url, speech, prompt="beta")).text
            assert len(server.wrong) == 1

    run(play())


def test_tools_of_many_agents(run: Any) -> None:
    """Names and schemas differ; every one gets a call it can carry out."""
    text = {"type": "string"}

    def schema(*names: str, **kinds: Any) -> dict[str, Any]:
        properties = {name: kinds.get(name, text) for name in names}
        return {"type": "object", "properties": properties, "required": list(names)}

    offers: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({"bash": schema("command", "description")}, "bash", {"command": "ls", "description": "scripted"}),
        (
            {"shell": schema("command", command={"type": "array", "items": text})},
            "shell",
            {"command": ["bash", "-lc", "ls"]},
        ),
        ({"exec_command": schema("cmd"), "write_stdin": schema("session_id")}, "exec_command", {"cmd": "ls"}),
        ({"developer__shell": schema("command")}, "developer__shell", {"command": "ls"}),
        ({"run_commands": schema("commands", commands={"type": "array"})}, "run_commands", {"commands": ["ls"]}),
        (
            {"Bash": schema("command", "timeout", timeout={"type": "number", "minimum": 3})},
            "Bash",
            {"command": "ls", "timeout": 3},
        ),
    ]
    files: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({"write": schema("filePath", "content")}, "write", {"filePath": "a.txt", "content": "hi\n"}),
        ({"create": schema("path", "file_text")}, "create", {"path": "a.txt", "file_text": "hi\n"}),
        (
            {
                "developer__text_editor": schema(
                    "command", "path", "file_text", command={"enum": ["view", "write", "str_replace"]}
                )
            },
            "developer__text_editor",
            {"command": "write", "path": "a.txt", "file_text": "hi\n"},
        ),
        (
            {"bash": schema("command")},
            "bash",
            {"command": "mkdir -p . && cat > a.txt <<'END_OF_FILE'\nhi\nEND_OF_FILE"},
        ),
    ]

    async def play() -> None:
        plan = Scenario.of(
            {
                "plays": [
                    {"when": "run", "steps": [{"run": "ls"}]},
                    {"when": "file", "steps": [{"write": {"path": "a.txt", "text": "hi\n"}}]},
                ]
            }
        )
        async with ModelServer(plan) as server:
            for prompt, table in (("run", offers), ("file", files)):
                for tools, name, wanted in table:
                    offered = [
                        {"type": "function", "function": {"name": one, "parameters": form}}
                        for one, form in tools.items()
                    ]
                    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "tools": offered}
                    answer = await ask(server.url, SPEECHES[Dialect.CHAT], streams=False, body=body)
                    assert [(called, json.loads(given)) for called, given in answer.calls] == [(name, wanted)]
            assert server.wrong == []
            body["tools"] = [{"type": "function", "function": {"name": "web_search", "parameters": {}}}]
            assert "no tool that runs commands" in (await ask(server.url, SPEECHES[Dialect.CHAT], body=body)).text
            assert len(server.wrong) == 1

    run(play())


@pytest.mark.parametrize(
    ("told", "folder"),
    [
        ("Working directory: /srv/tree", "/srv/tree/"),
        (" - Primary working directory: /srv/my tree\n - more", "/srv/my tree/"),
        ("I'm currently working in the directory: /srv/tree.", "/srv/tree/"),
        ("<environment_context>\n  <cwd>/srv/tree</cwd>\n", "/srv/tree/"),
        ("Your current directory is: `/srv/tree`", "/srv/tree/"),
        ("the working directory</description>", ""),
        ("Stay in the working directory, use /tmp for the rest", ""),
        ("your working directory: see above", ""),
    ],
)
def test_paths_are_made_absolute_only_where_an_agent_says_its_folder(run: Any, told: str, folder: str) -> None:
    """A guess would have an agent write anywhere."""

    async def play() -> None:
        async with ModelServer(scenario({"write": {"path": "a.txt", "text": ""}})) as server:
            ((_, given),) = (await ask(server.url, SPEECHES[Dialect.ANTHROPIC], prompt=told)).calls
        assert json.loads(given)["file_path"] == f"{folder}a.txt"

    run(play())


def test_the_patch_tool_of_responses(run: Any) -> None:
    async def play() -> None:
        plan = scenario(
            {"write": {"path": "a/b.txt", "text": "hi\nyou\n"}}, {"edit": {"path": "a/b.txt", "old": "hi", "new": "ho"}}
        )
        speech = SPEECHES[Dialect.RESPONSES]
        body = {**speech.body(True, "Go.", False), "tools": [{"type": "custom", "name": "apply_patch"}]}
        async with ModelServer(plan) as server:
            assert (await ask(server.url, speech, body=body)).calls == [
                ("apply_patch", "*** Begin Patch\n*** Add File: a/b.txt\n+hi\n+you\n*** End Patch\n")
            ]
            body["input"] += [
                {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": ""},
                {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
            ]
            assert (await ask(server.url, speech, body=body)).calls == [
                ("apply_patch", "*** Begin Patch\n*** Update File: a/b.txt\n@@\n-hi\n+ho\n*** End Patch\n")
            ]

    run(play())


def test_edits_and_calls_by_name(run: Any) -> None:
    """An edit goes to the agent's own tool, or to its shell; a call is passed on as it is."""
    edit = {"edit": {"path": "a b.txt", "old": "it's", "new": "it is"}}

    async def play(tools: list[dict[str, Any]]) -> list[tuple[str, Any]]:
        plan = scenario({"together": [edit, {"call": {"tool": "odd", "input": {"x": [1]}}}]})
        speech = SPEECHES[Dialect.ANTHROPIC]
        async with ModelServer(plan) as server:
            answer = await ask(server.url, speech, body={**speech.body(True, "Go.", False), "tools": tools})
            assert server.wrong == []
        return [(name, json.loads(given)) for name, given in answer.calls]

    text = {"type": "string"}
    form = {"properties": {"path": text, "old_str": text, "new_str": text}, "required": ["path", "old_str", "new_str"]}
    assert run(play([{"name": "Edit", "input_schema": form}])) == [
        ("Edit", {"path": "a b.txt", "old_str": "it's", "new_str": "it is"}),
        ("odd", {"x": [1]}),
    ]
    shell = {"properties": {"command": text}, "required": ["command"]}
    (name, given), _ = run(play([{"name": "Bash", "input_schema": shell}]))
    assert name == "Bash"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a b.txt"
        file.write_text("so it's, and it's")
        assert run(_sh(given["command"], folder)) == 0
        assert file.read_text() == "so it is, and it's"
        file.write_text("nothing of it")
        assert run(_sh(given["command"], folder)) != 0


async def _sh(command: str, folder: str) -> int:
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command, cwd=folder, stderr=asyncio.subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin"}
    )
    return await asyncio.wait_for(process.wait(), 30)


def test_a_port_that_is_taken(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("plays: []")
    with serving(scenario({"say": "x"})) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(AdapterError, match="cannot listen"), serving(scenario({"say": "y"}), port=port):
            pass

        async def play() -> None:
            process = await _started(str(file), "--port", str(port))
            out, err = await asyncio.wait_for(process.communicate(), 30)
            assert (process.returncode, out) == (2, b"")
            assert f"cannot listen on port {port}" in err.decode()

        run(play())


def test_an_agent_that_takes_edits_as_text_gets_them_all_at_once(run: Any) -> None:
    async def play() -> None:
        plan = scenario(
            {"error": 503},
            {"write": {"path": "a.py", "text": "x = 1\n"}},
            {"run": "left out"},
            {"edit": {"path": "b.py", "old": "one", "new": "two"}},
            {"say": "Done."},
            {"say": "And more."},
        )
        system = {"role": "system", "content": "Describe each change with a SEARCH/REPLACE block."}
        messages: list[dict[str, str]] = [system, {"role": "user", "content": "Go."}]
        async with ModelServer(plan) as server:
            speech = SPEECHES[Dialect.CHAT]
            body = {"model": "m", "stream": True, "messages": messages}
            assert (await ask(server.url, speech, body=body)).status == 503
            answer = await ask(server.url, speech, body=body)
            blocks = re.findall(
                r"(\S+)\n```\n<<<<<<< SEARCH\n(.*?)=======\n(.*?)>>>>>>> REPLACE", answer.text, re.DOTALL
            )
            assert blocks == [("a.py", "", "x = 1\n"), ("b.py", "one\n", "two\n")]
            assert answer.text.endswith("Done.")
            messages += [{"role": "assistant", "content": answer.text}, {"role": "user", "content": "Go on."}]
            assert (await ask(server.url, speech, body=body)).text == "And more."

    run(play())


def test_only_one_key_is_taken(run: Any) -> None:
    async def play() -> None:
        async with ModelServer(scenario({"say": "x"}), key="right") as server:
            for speech in SPEECHES.values():
                assert (await ask(server.url, speech, token="wrong")).status == 401
                assert (await ask(server.url, speech, token="right")).status == 200

    run(play())


def test_a_server_in_a_thread() -> None:
    speech = SPEECHES[Dialect.ANTHROPIC]
    with serving(scenario({"report": {"status": "DONE"}})) as server:
        answer = asyncio.run(ask(server.url, speech))
        assert answer.text == '```chargehand-report\n{\n "status": "DONE"\n}\n```'
        assert [seen.model for seen in server.seen] == ["claude-opus-4-5"]
    with pytest.raises(aiohttp.ClientConnectorError):
        asyncio.run(ask(server.url, speech))


async def _started(*words: str) -> asyncio.subprocess.Process:
    argv = [sys.executable, "-m", "chargehand.testing.model", *words]
    pipe = asyncio.subprocess.PIPE
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"}
    return await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe, env=environment)


def test_the_program_and_the_scenario_of_its_page(run: Any, tmp_path: Path) -> None:
    """What docs/how-to/scripted-model.md shows is played, and the program ends when it is told to."""
    page = (ROOT / "docs/how-to/scripted-model.md").read_text()
    (example,) = re.findall(r"<!-- a test plays this example -->\n```yaml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "scenario.yaml"
    file.write_text(example)

    async def play() -> None:
        process = await _started(str(file), "--port", "0")
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        speech = SPEECHES[Dialect.ANTHROPIC]
        prompt = "Build the Todo model."
        assert (await ask(url, speech, prompt=prompt)).status == 429
        ((name, given),) = (await ask(url, speech, prompt=prompt)).calls
        assert (name, json.loads(given)["file_path"]) == ("Write", "src/todo.py")
        body = _answered(speech, prompt, [("Write", "ok"), ("Bash", "ok")], [])
        answer = await ask(url, speech, streams=False, body={**body, "stream": False})
        assert "chargehand-report" in answer.text
        assert answer.document["usage"]["cache_read_input_tokens"] == 1000
        assert answer.document["usage"]["input_tokens"] == 200
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.communicate(), 30) == (b"", b"")
        assert process.returncode == 0

    run(play())


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("plays: [{steps: [{say: a, run: b}]}]", "exactly one of"),
        ("plays: [{steps: [{shout: a}]}]", "plays.0.steps.0.shout"),
        ("plays: [{steps: [{error: 200}]}]", "greater than or equal to 400"),
        ("plays: [{steps: [{together: [{say: a}]}]}]", "tool calls only"),
        ("- a list", "must be a mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_scenario_is_named(run: Any, tmp_path: Path, document: str, said: str) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(document)

    async def play() -> None:
        process = await _started(str(file), "--check")
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert (process.returncode, out) == (2, b"")
        assert said in err.decode()
        assert err.decode().endswith(".\n")

    run(play())
