"""The suites of agents: how a program is started, and how what it tells is read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.outcome import Role
from chargehand.ports import Agent, AgentEvent, AttemptSpec, EventReader, MeterAccess, Places, StreamAgent, StreamEnd

__all__ = ["AgentContract", "StreamAgentContract"]

_NOISE = (
    *(
        "",
        " ",
        "text",
        "null",
        "1",
        '"text"',
        "[]",
        "{}",
        "{",
        "[" * 50_000,
        '{"type": ' * 2_000,
        "\x00\x1b[31m",
        "\ud800",
    ),
    *('{"type": null}', '{"type": []}', '{"type": {"type": {}}}', '{"type": "error"}', '{"type": "result"}'),
)
_ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**400,
    1e308,
    "",
    "\ud800",
    [],
    [None],
    {},
    {"type": "text", "text": 3},
    [{"type": "text"}],
)


class AgentContract:
    """Fixtures: `agent`, one whose program is there; `missing_agent`, one whose program is not."""

    @pytest.fixture
    def agent(self) -> Agent:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def missing_agent(self) -> Agent:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def places(self, tmp_path: Path) -> Places:
        """Folders of an attempt, as a fleet makes them."""
        folders = {name: tmp_path / "attempt" / name for name in ("workspace", "home", "tmp", "scratch", "in", "out")}
        for folder in folders.values():
            folder.mkdir(parents=True)
        return Places(
            workspace=folders["workspace"],
            home=folders["home"],
            tmp=folders["tmp"],
            scratch=folders["scratch"],
            brief=folders["in"] / "brief.md",
            result=folders["out"] / "result.json",
            port_base=20_000,
        )

    @pytest.fixture
    def spec(self) -> AttemptSpec:
        """An attempt like any other."""
        return AttemptSpec(
            key="a/1/attempt",
            run="r",
            task="a",
            attempt=1,
            role=Role.IMPLEMENTER,
            base="b" * 40,
            title="Title",
            brief='# Do it\n\nText with é, 漢, `$HOME` and "quotes".\n',
            agent="x",
        )

    def test_has_a_name(self, agent: Agent) -> None:
        """Plans and settings call it by that."""
        assert agent.name

    def test_can_be_started(self, agent: Agent, spec: AttemptSpec, places: Places) -> None:
        """The program is absolute or found on PATH, never relative to the workspace; no argument is impossible."""
        argv = agent.launch(spec, places).argv
        assert argv
        assert not any("\0" in word for word in argv)
        assert Path(argv[0]).is_absolute() or "/" not in argv[0]
        assert shutil.which(argv[0])

    def test_is_told_the_brief(self, agent: Agent, spec: AttemptSpec, places: Places) -> None:
        """By its input, an argument, or the path of the file."""
        launch = agent.launch(spec, places)
        told = (launch.stdin, *(word.encode("utf-8", "surrogateescape") for word in launch.argv))
        assert any(spec.brief.encode() in part or str(places.brief).encode() in part for part in told)

    def test_takes_any_brief(self, agent: Agent, spec: AttemptSpec, places: Places) -> None:
        """Also one that is long, or that nothing can encode."""
        for brief in ("", "x" * 1_000_000, "half a pair: \ud800", "nul: \x00"):
            assert agent.launch(replace(spec, brief=brief), places).argv

    def test_asked_twice_says_the_same(self, agent: Agent, spec: AttemptSpec, places: Places) -> None:
        """A launch depends on the attempt only [I15]."""
        assert agent.launch(spec, places) == agent.launch(spec, places)

    def test_leaves_the_rest_to_the_runtime(self, agent: Agent, spec: AttemptSpec, places: Places) -> None:
        """Neither the workspace nor the result is touched, nor the variables of the contract set."""
        launch = agent.launch(spec, places)
        assert list(places.workspace.iterdir()) == []
        assert not places.result.exists()
        assert not [name for name in launch.env if name.startswith("CHARGEHAND_")]

    def test_says_what_is_missing(self, agent: Agent, missing_agent: Agent) -> None:
        """Nothing, or a sentence."""
        assert agent.missing() == ""
        assert missing_agent.missing().endswith(".")


class StreamAgentContract(AgentContract):
    """Fixtures: those of `AgentContract`, the agent being a `StreamAgent`; `streams`, a folder of recorded outputs of
    its program (`*.jsonl` or `*.txt`), `finished` among them being one that came to a good end.
    """

    @pytest.fixture
    def agent(self) -> StreamAgent:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def streams(self) -> Path:
        """To be given by the subclass."""
        raise NotImplementedError

    # -- launching

    def test_knows_only_the_token_of_a_meter(self, agent: StreamAgent, spec: AttemptSpec, places: Places) -> None:
        """The token is its key, in its environment and nowhere else; no other key is asked for."""
        access = MeterAccess(base_url="http://127.0.0.1:4321/t/made-up-token", token="made-up-key-of-a-meter")  # noqa: S106
        launch = agent.launch(spec, replace(places, meter=access))
        assert not launch.keys
        assert access.token in launch.env.values()
        assert not any(access.token in text for text in (*launch.argv, *launch.home.values()))
        told = " ".join((*launch.argv, *launch.env.values(), *launch.home.values()))
        assert "127.0.0.1:4321" in told
        assert "/made-up-token" in told

    def test_files_lie_below_home(self, agent: StreamAgent, spec: AttemptSpec, places: Places) -> None:
        """A driver names files by their path below HOME, and writes none itself."""
        for path in agent.launch(spec, places).home:
            assert not path.startswith("/")
            assert ".." not in path.split("/")
        assert list(places.home.iterdir()) == []

    def test_goes_on_with_a_session(self, agent: StreamAgent, spec: AttemptSpec, places: Places) -> None:
        """Where the program can."""
        if agent.capabilities.resume:
            launch = agent.launch(replace(spec, session="0b6f0a46-5e5a-4d5c-9f4e-2f2f0a3d7c11"), places)
            assert any("0b6f0a46-5e5a-4d5c-9f4e-2f2f0a3d7c11" in word for word in launch.argv)

    def test_bounds_what_it_can(self, agent: StreamAgent, spec: AttemptSpec, places: Places) -> None:
        """A bound that the program knows reaches it."""
        plain = agent.launch(spec, places)
        if agent.capabilities.turns:
            assert agent.launch(replace(spec, turns=7), places) != plain
        if agent.capabilities.usd:
            assert agent.launch(replace(spec, usd=1.5), places) != plain

    # -- reading

    def test_nothing_it_prints_is_an_error(self, agent: StreamAgent) -> None:
        """Empty output, noise, half a document, documents nested without end."""
        reader = agent.reader()
        for line in _NOISE:
            assert _told(reader, line) is not None
        assert isinstance(reader.conclude(None, 9), StreamEnd)

    def test_any_value_may_stand_anywhere(self, agent: StreamAgent, streams: Path) -> None:
        """Each value of each recorded line replaced by one of another kind; lines of one shape are one."""
        shapes: set[tuple[Any, ...]] = set()
        for stream in _recorded(streams):
            reader = agent.reader()
            for line in stream.read_text("utf-8").splitlines():
                for other in _variants(line, shapes):
                    assert _told(reader, other) is not None
            assert isinstance(reader.conclude(0, None), StreamEnd)

    def test_a_stream_may_end_anywhere(self, agent: StreamAgent, streams: Path) -> None:
        """The program may be killed at any moment."""
        for stream in _recorded(streams):
            lines = stream.read_text("utf-8").splitlines()
            for end in range(len(lines) + 1):
                reader = agent.reader()
                for line in (*lines[:end], *(part[: len(part) // 2] for part in lines[end : end + 1])):
                    _told(reader, line)
                assert isinstance(reader.conclude(None, 9), StreamEnd)

    def test_a_good_end_is_one(self, agent: StreamAgent, streams: Path, spec: AttemptSpec, places: Places) -> None:
        """The stream `finished` has a last message, a session where it can be gone on with, usage where it is told."""
        (stream,) = [path for path in _recorded(streams) if path.stem == "finished"]
        reader = agent.reader()
        events = [event for line in stream.read_text("utf-8").splitlines() for event in _told(reader, line)]
        end = reader.conclude(0, None)
        assert end.final_text
        assert end.exit_kind is None
        assert not end.failed
        can = agent.capabilities
        assert bool(end.session or agent.launch(spec, places).session) or not can.resume
        assert end.usage is not None or not can.tokens
        assert any(event.kind == "call" for event in events) or not can.calls


def _recorded(streams: Path) -> list[Path]:
    found = sorted(path for path in streams.iterdir() if path.suffix in {".jsonl", ".txt"})
    assert found
    return found


def _told(reader: EventReader, line: str) -> list[AgentEvent]:
    return list(reader.feed(line))


def _variants(line: str, shapes: set[tuple[Any, ...]]) -> Iterator[str]:
    """The line with each value of its document, as deep as three levels, replaced."""
    try:
        document = json.loads(line)
    except ValueError:
        yield line
        return
    paths = tuple(_paths(document, 3))
    shape = (str(document.get("type")) if isinstance(document, dict) else "", *paths)
    if shape in shapes:
        return
    shapes.add(shape)
    for path in paths:
        for odd in _ODD:
            yield json.dumps(_with(document, path, odd))


def _paths(value: Any, depth: int) -> Iterator[tuple[str | int, ...]]:
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys if depth else ():
        yield (key,)
        yield from ((key, *rest) for rest in _paths(value[key], depth - 1))


def _with(value: Any, path: tuple[str | int, ...], odd: Any) -> Any:
    if not path:
        return odd
    changed: Any = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = _with(value[path[0]], path[1:], odd)
    return changed
