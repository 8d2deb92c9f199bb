"""Drivers of agent programs: what they start, and how what the real programs printed is read."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.agents import make_agent
from chargehand.adapters.agents.stream import count, flatten, items, mapping, summary, text, trouble_of
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import ExitKind, Role
from chargehand.ports import AgentEvent, AttemptSpec, EventKind, MeterAccess, Places, StreamAgent, StreamEnd
from chargehand.testing.contracts import StreamAgentContract

STREAMS = Path(__file__).parents[1] / "golden" / "streams"
RECORDED = {path.name.rpartition("-")[0]: path for path in STREAMS.iterdir()}
HELD = '{"status": "DONE", "summary": "made it"}'


def make(kind: str, **changes: Any) -> StreamAgent:
    """A driver whose program is the interpreter: it is never started here."""
    return make_agent(AgentDef(name="x", kind=kind, command=f"'{sys.executable}'", **changes))  # type: ignore[return-value]


def contract(kind: str) -> type[StreamAgentContract]:
    class Contract(StreamAgentContract):
        @pytest.fixture
        def agent(self) -> StreamAgent:
            return make(kind)

        @pytest.fixture
        def missing_agent(self) -> StreamAgent:
            return make_agent(AgentDef(name="x", kind=kind, command="no-such-program-anywhere"))  # type: ignore[return-value]

        @pytest.fixture
        def streams(self) -> Path:
            return RECORDED[kind]

    return Contract


class TestClaude(contract("claude")):  # type: ignore[misc]
    """Claude Code."""


class TestCodex(contract("codex")):  # type: ignore[misc]
    """Codex."""


class TestGemini(contract("gemini")):  # type: ignore[misc]
    """Gemini CLI."""


class TestOpenCode(contract("opencode")):  # type: ignore[misc]
    """OpenCode."""


class TestGoose(contract("goose")):  # type: ignore[misc]
    """Goose."""


class TestAider(contract("aider")):  # type: ignore[misc]
    """Aider."""


# -- recorded streams -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    end: StreamEnd
    events: list[AgentEvent]

    def of(self, kind: EventKind) -> list[AgentEvent]:
        return [event for event in self.events if event.kind is kind]


def read(kind: str, name: str, code: int | None = 0, signal: int | None = None) -> Read:
    (file,) = (path for path in RECORDED[kind].iterdir() if path.stem == name)
    reader = make(kind).reader()
    events = [event for line in file.read_text("utf-8").splitlines() for event in reader.feed(line)]
    return Read(end=reader.conclude(code, signal), events=events)


WITH_TOOLS = ["claude", "codex", "gemini", "goose", "opencode"]


@pytest.mark.parametrize("kind", WITH_TOOLS)
def test_a_session_is_read_whole(kind):
    """Text, two tool calls with their results, the report in the last message, the tokens of all three turns."""
    got = read(kind, "finished")
    assert HELD in got.end.final_text
    assert [event.text for event in got.of(EventKind.TEXT)] == ["I will write it.", got.end.final_text]
    first, second = got.of(EventKind.CALL)
    assert "git commit -qm hello" in first.text
    assert "ls no-such-file" in second.text
    results = got.of(EventKind.RESULT)
    assert [event.call for event in results] == [first.call, second.call]
    assert [event.failed for event in results] == [False, kind != "gemini"]  # which says nothing of exit codes
    assert "hello" in results[0].text
    assert "No such file" in results[1].text
    usage = got.end.usage
    assert usage is not None
    assert (usage.cached_tokens, usage.output_tokens) == (150, 60)
    assert usage.input_tokens == (480 if kind == "claude" else 450)


@pytest.mark.parametrize(
    ("kind", "name", "exit_kind"),
    [(kind, "401", ExitKind.ENV_MISSING) for kind in RECORDED]
    + [(kind, "429", ExitKind.RATE_LIMITED) for kind in ("claude", "codex", "gemini", "goose", "aider")]
    + [(kind, "quota", ExitKind.RATE_LIMITED) for kind in ("claude", "codex")]
    + [(kind, "500", ExitKind.PROVIDER_DOWN) for kind in ("claude", "codex", "gemini", "goose", "aider")]
    + [(kind, "half", ExitKind.PROVIDER_DOWN) for kind in ("claude", "codex")],
)
def test_what_a_provider_refuses_is_told(kind, name, exit_kind):
    """Each is a kind of ending of its own, with a sentence; none is counted against the task as a crash."""
    got = read(kind, name, 1)
    assert got.end.exit_kind is exit_kind
    assert got.end.failed
    assert got.end.detail.endswith(".")
    assert got.of(EventKind.ERROR)


@pytest.mark.parametrize("kind", WITH_TOOLS)
def test_a_session_that_is_gone_on_with_keeps_its_id(kind):
    """And its tokens: whether the second process tells of both is what `sums` says."""
    first, second = read(kind, "noreport"), read(kind, "resumed")
    assert first.end.session == second.end.session
    assert bool(first.end.session) == (kind != "goose")  # which was given its name
    assert first.end.final_text == "I think it is done."
    assert HELD in second.end.final_text
    one, two = first.end.usage, second.end.usage
    assert one is not None
    assert two is not None
    turns = len(second.of(EventKind.CALL)) + 1
    whole = two.output_tokens == one.output_tokens + 20 * turns
    assert whole == make(kind).capabilities.sums


def test_the_prose_of_aider_is_read():
    """It has no events: what it edited, what it used, and all it printed as its last message."""
    got = read("aider", "finished")
    assert '"status": "DONE"' in got.end.final_text
    assert got.end.model == "stub-model"
    assert [event.text for event in got.of(EventKind.RESULT)] == ["Applied edit to hello.txt"]
    assert got.end.usage is not None
    assert (got.end.usage.input_tokens, got.end.usage.output_tokens) == (1800, 37)


def test_limits_of_claude_are_budgets():
    """I10: turns and money are bounds, not crashes."""
    for name, said in (("turns", "maximum number of turns (3)"), ("usd", "maximum budget ($0.002)")):
        end = read("claude", name, 1).end
        assert end.exit_kind is ExitKind.OVER_BUDGET
        assert said in end.detail
    usage = read("claude", "usd", 1).end.usage
    assert usage is not None
    assert usage.usd == pytest.approx(0.00261)


@pytest.mark.parametrize("kind", ["gemini", "goose"])
def test_limits_of_turns_are_budgets(kind):
    """I10."""
    end = read(kind, "turns", 1).end
    assert end.exit_kind is ExitKind.OVER_BUDGET
    assert "limit of turns" in end.detail


def test_the_model_and_the_mode_of_claude_are_told():
    end = read("claude", "finished").end
    assert (end.model, end.mode) == ("claude-sonnet-4-5", "bypassPermissions")


def test_an_error_of_claude_that_is_nobodys_fault_is_a_failure():
    end = read("claude", "badjson", 1).end
    assert (end.exit_kind, end.failed) == (None, True)
    assert "JSON Parse error" in end.detail


def test_warnings_of_codex_are_no_failure():
    """`item.completed` of type `error` is also what it says of a model it does not know."""
    got = read("codex", "edit")
    assert not got.end.failed
    assert got.of(EventKind.ERROR) == []


# -- launches -------------------------------------------------------------------------------------

SPEC = AttemptSpec(
    key="k", run="r", task="t", attempt=1, role=Role.IMPLEMENTER, base="0" * 40, title="t", brief="do it\n", agent="x"
)
METER = MeterAccess(base_url="http://127.0.0.1:9/t/tok", token="made-up-token")


@pytest.fixture
def places(tmp_path) -> Places:
    return Places(**{name: tmp_path / name for name in ("workspace", "home", "tmp", "scratch", "brief", "result")})


def options(argv: tuple[str, ...]) -> dict[str, str]:
    """Each option with the word after it."""
    return {word: after for word, after in zip(argv, (*argv[1:], ""), strict=True) if word.startswith("-")}


def test_claude_is_started(places):
    spec = replace(SPEC, session="s-1", usd=2.5)
    launch = make("claude", model="big", turns=9, key="env:MINE", args=("--effort", "low")).launch(spec, places)
    given = options(launch.argv)
    assert (given["--model"], given["--resume"], given["--max-turns"], given["--max-budget-usd"]) == (
        *("big", "s-1", "9"),
        "2.5",
    )
    assert given["--setting-sources"] == ""
    assert "--strict-mcp-config" in given
    assert launch.argv[-2:] == ("--effort", "low")
    assert launch.mode == "bypassPermissions"
    assert make("claude", args=("--permission-mode", "plan")).launch(spec, places).mode == "plan", "the last one counts"
    assert launch.keys == {"ANTHROPIC_API_KEY": "MINE"}
    assert "ANTHROPIC_BASE_URL" not in launch.env
    assert launch.stdin == b"do it\n"
    metered = make("claude", key="env:MINE").launch(replace(SPEC, model="small", turns=3), replace(places, meter=METER))
    assert metered.env["ANTHROPIC_API_KEY"] == METER.token
    assert metered.env["ANTHROPIC_BASE_URL"] == METER.base_url
    assert options(metered.argv)["--model"] == "small"
    assert options(metered.argv)["--max-turns"] == "3"


def test_codex_is_started(places):
    """Nothing it reads of its HOME: what it has to know stands on its command line."""
    launch = make("codex", key="env:MINE", base_url="https://models.example").launch(SPEC, places)
    settings = {word for before, word in zip(launch.argv, launch.argv[1:], strict=False) if before == "-c"}
    assert "model_provider='chargehand'" in settings
    assert 'model_providers.chargehand.base_url="https://models.example/v1"' in settings
    assert 'model_providers.chargehand.env_key="CODEX_PROVIDER_KEY"' in settings
    assert launch.keys == {"CODEX_PROVIDER_KEY": "MINE"}
    assert launch.home == {}
    assert launch.argv[-1] == "-"
    resumed = make("codex").launch(replace(SPEC, session="s-1"), places)
    assert resumed.argv[-3:] == ("resume", "s-1", "-")
    assert not any("model_provider" in word for word in resumed.argv)
    assert make("codex", key="env:MINE").launch(SPEC, places).keys == {"CODEX_API_KEY": "MINE"}
    metered = make("codex", key="env:MINE").launch(SPEC, replace(places, meter=METER))
    assert "web_search='disabled'" in metered.argv, "every request would offer it, and the meter lets none through"
    assert "web_search='disabled'" not in launch.argv


def test_gemini_is_started(places):
    launch = make("gemini", key="env:MINE", base_url="https://models.example", model="m").launch(
        replace(SPEC, turns=4, session="s-1"), places
    )
    settings = json.loads(launch.home[".gemini/settings.json"])
    assert settings["model"] == {"maxSessionTurns": 4}
    assert settings["security"]["auth"]["selectedType"] == "gemini-api-key"
    assert settings["privacy"]["usageStatisticsEnabled"] is settings["telemetry"]["enabled"] is False
    assert launch.env["GOOGLE_GEMINI_BASE_URL"] == "https://models.example"
    given = options(launch.argv)
    assert (given["--model"], given["--resume"], given["--approval-mode"]) == ("m", "s-1", "yolo")
    alone = json.loads(make("gemini").launch(SPEC, places).home[".gemini/settings.json"])
    assert alone["security"]["auth"]["selectedType"] == "oauth-personal"


def test_opencode_is_started(places):
    launch = make("opencode", key="env:MINE", base_url="https://models.example", model="m").launch(SPEC, places)
    (config,) = (json.loads(text) for text in launch.home.values())
    provider = config["provider"]["chargehand"]
    assert provider["options"] == {"baseURL": "https://models.example/v1", "apiKey": "{env:OPENCODE_PROVIDER_KEY}"}
    assert list(provider["models"]) == ["m"]
    assert options(launch.argv)["--model"] == config["model"] == config["small_model"] == "chargehand/m"
    assert launch.keys == {"OPENCODE_PROVIDER_KEY": "MINE"}
    assert launch.env["OPENCODE_CONFIG"] == str(places.home / next(iter(launch.home)))
    assert launch.env["OPENCODE_DISABLE_PROJECT_CONFIG"] == "1"
    own = make("opencode", model="vendor/m", project_config=True).launch(SPEC, places)
    assert options(own.argv)["--model"] == "vendor/m"
    assert "OPENCODE_DISABLE_PROJECT_CONFIG" not in own.env
    assert "provider" not in json.loads(next(iter(own.home.values())))


def test_goose_is_started(places):
    launch = make("goose", model="m").launch(replace(SPEC, turns=5), replace(places, meter=METER))
    assert launch.env["OPENAI_HOST"] == "http://127.0.0.1:9"
    assert launch.env["OPENAI_BASE_PATH"] == "t/tok/v1/chat/completions"
    assert (launch.env["GOOSE_PROVIDER"], launch.env["GOOSE_MODEL"]) == ("openai", "m")
    assert options(launch.argv)["--name"] == launch.session == "r-t-1"
    assert options(launch.argv)["--max-turns"] == "5"
    resumed = make("goose", key="env:MINE").launch(replace(SPEC, session="r-t-1"), places)
    assert options(resumed.argv)["--resume"] == "--name"
    assert resumed.env["GOOSE_PROVIDER"] == "openai"


def test_aider_is_started(places):
    launch = make("aider", key="env:MINE", base_url="https://models.example", model="m").launch(SPEC, places)
    given = options(launch.argv)
    assert given["--message-file"] == str(places.brief)
    assert (given["--model"], given["--openai-api-base"]) == ("openai/m", "https://models.example/v1")
    assert launch.keys == {"OPENAI_API_KEY": "MINE"}
    assert options(make("aider", model="vendor/m").launch(SPEC, places).argv)["--model"] == "vendor/m"


def test_aider_is_given_the_files_of_the_task(places):
    """Those that are there: patterns and links are left to it."""
    places.workspace.mkdir()
    (places.workspace / "a.py").write_text("")
    (places.workspace / "doc.md").write_text("")
    (places.workspace / "link").symlink_to("a.py")
    spec = replace(SPEC, declared=("a.py", "new.py", "link", "**/*.py"), reads=("doc.md",))
    argv = make("aider").launch(spec, places).argv
    given = [pair for pair in pairwise(argv) if pair[0] in {"--file", "--read"}]
    assert given == [("--file", "a.py"), ("--read", "doc.md")]


@pytest.mark.parametrize(
    ("kind", "name"), [("gemini", ".gemini"), ("gemini", ".env"), ("aider", ".aider.conf.yml"), ("aider", ".env")]
)
def test_configuration_that_cannot_be_kept_out_is_refused(kind, name, places):
    """SPEC 7.4: also where it is a link that leads nowhere yet."""
    places.workspace.mkdir()
    (places.workspace / name).symlink_to("nowhere")
    with pytest.raises(UserError, match=f"The repository holds {name}") as caught:
        make(kind).launch(SPEC, places)
    assert "project_config = true" in caught.value.hint
    assert make(kind, project_config=True).launch(SPEC, places).argv


def test_a_missing_program_says_how_it_is_installed(monkeypatch, tmp_path):
    """Where the program is the usual one; where somebody named another, only that it is not there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    usual = make_agent(AgentDef(name="x", kind="claude"))
    assert usual.missing() == (
        "The program `claude` is not on PATH. `npm install -g @anthropic-ai/claude-code` installs it."
    )
    named = make_agent(AgentDef(name="x", kind="claude", command="my-claude"))
    assert named.missing() == "The program `my-claude` is not on PATH."


# -- what they share ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "status", "kind"),
    [
        ("Authentication failed for http://x. Status: 401 Unauthorized. Response: invalid x-api-key", 0, "env_missing"),
        ("Please run /login", 0, "env_missing"),
        ("whatever", 403, "env_missing"),
        ("exceeded retry limit, last status: 429 Too Many Requests", 0, "rate_limited"),
        ("Rate limit exceeded: Rate limit reached.", 0, "rate_limited"),
        ("You have hit your usage limit.", 0, "rate_limited"),
        ("Your credit balance is too low", 400, "rate_limited"),
        ("x", 529, "provider_down"),
        ("API Error: 500 Internal server error", 0, "provider_down"),
        ("stream disconnected before completion", 0, "provider_down"),
        ("connect ECONNREFUSED 127.0.0.1:1", 0, "provider_down"),
        ("model `x` does not exist", 404, None),
        ("The tests failed in 500 places", 0, None),
        ("", 0, None),
    ],
)
def test_complaints_are_told_apart(said, status, kind):
    found = trouble_of(said, status, 1000.0)
    assert found.kind == kind
    assert found.detail.endswith(".")


def test_a_stated_reset_is_read():
    found = trouble_of("Rate limit reached for gpt. Please try again in 1m30s.", 429, 1000.0)
    assert found.retry_at == 1090.0


def test_values_of_any_shape():
    assert text({"a": {"b": "x"}}, "a", "b") == "x"
    assert text({"a": 3}, "a") == text([], "a") == text({"a": "x"}, "a", "b") == ""
    assert count({"n": 3.7}, "n") == 3
    assert [count({"n": odd}, "n") for odd in (True, -1, "3", None, 1e300, float("nan"))] == [0] * 6
    assert items({"l": [1]}, "l") == [1]
    assert items({"l": {}}, "l") == []
    assert mapping({"m": {"x": 1}}, "m") == {"x": 1}
    assert flatten([{"type": "text", "text": "a"}, 3, {"text": "b"}]) == "a\nb"
    assert flatten("a") == "a"


def test_a_tool_call_in_a_few_words():
    assert summary({"description": "why", "command": "ls -l"}) == "ls -l"
    assert summary({"command": ["bash", "-lc", "ls"]}) == "bash -lc ls"
    assert summary({"file_path": "a.py", "content": "x" * 9_000}) == "a.py"
    assert summary({"odd": [1]}) == '{"odd": [1]}'
    assert summary(None) == summary({}) == summary("") == ""
    assert len(summary({"command": "x" * 9_000})) == 400


# -- the driver that the documentation shows ------------------------------------------------------


def test_the_driver_shown_is_one(places):
    """docs/how-to/add-an-agent.md: its example starts, reads, and tells a refused login from a crash."""
    text_ = (Path(__file__).parents[2] / "docs/how-to/add-an-agent.md").read_text("utf-8")
    (shown,) = re.findall(r"<!-- a test runs this example -->\n```python\n(.*?)```", text_, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(shown, "add-an-agent.md", "exec"), names)
    agent = names["MineAgent"](AgentDef(name="x", kind="mine", key="env:MINE", base_url="https://models.example"))
    launch = agent.launch(replace(SPEC, session="s-1"), places)
    assert launch.argv == ("mine", "run", "--json", "--no-update", "--session", "s-1")
    assert launch.env == {"MINE_URL": "https://models.example/v1"}
    assert launch.keys == {"MINE_API_KEY": "MINE"}
    reader = agent.reader()
    lines = ['{"type": "begin", "session": "s"}', '{"type": "call", "tool": "sh", "input": {"command": "ls"}}']
    lines += ['{"type": "say", "text": "Done."}', '{"type": "end", "tokens": {"in": 3, "out": 4}}']
    kinds = [event.kind for line in lines for event in reader.feed(line)]
    assert kinds == [EventKind.STARTED, EventKind.CALL, EventKind.TEXT]
    end = reader.conclude(0, None)
    assert (end.session, end.final_text, end.usage and end.usage.tokens) == ("s", "Done.", 7)
    reader = agent.reader()
    list(reader.feed('{"type": "failed", "message": "no", "status": 401}'))
    assert reader.conclude(0, None).exit_kind is ExitKind.ENV_MISSING
