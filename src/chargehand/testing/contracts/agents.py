"""The suite of agents: how a program is started."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.domain.outcome import Role
from chargehand.ports import Agent, AttemptSpec, Places

__all__ = ["AgentContract"]


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
