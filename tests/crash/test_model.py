"""The model world keeps the contract of the real integrator: what is proved on it says something about git."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import pytest

from chargehand.testing.contracts import History, IntegratorContract
from chargehand.testing.fakes import object_id
from tests.crash.model import Director, ModelIntegrator, World


class AtOnce(Director):
    """Nobody waits for a turn."""

    async def turn(self, name: str) -> None:
        """Come out at once."""


class Free(World):
    """Effects need no intent here."""

    def must_be_intended(self, matches: Any) -> None:
        """There is no journal."""


class ModelHistory(History):
    """Commits of the model."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.base = object_id("a base")
        world.trees[self.base], world.parents[self.base] = {"a.txt": "one\n"}, ()

    def commit(self, parent: str, path: str, text: str) -> str:
        return self.world.store({**self.world.trees[parent], path: text}, parent, about=path)

    def parents(self, commit: str) -> list[str]:
        return list(self.world.parents[commit])

    def tree(self, commit: str) -> str:
        return self.world.tree_id(commit)

    def move(self, branch: str, commit: str) -> None:
        self.world.refs[branch] = commit

    def resolve(self, ref: str) -> str | None:
        return self.world.refs.get(ref.removeprefix("refs/heads/"))


class TestModelIntegrator(IntegratorContract):
    @pytest.fixture(params=[True, False], ids=["eager", "lazy"])
    def world(self, request):
        return Free(acts={}, director=AtOnce(), eager=request.param)

    @pytest.fixture
    def history(self, world):
        return ModelHistory(world)

    @pytest.fixture
    def open_integrator(self, world):
        @asynccontextmanager
        async def opened():
            yield ModelIntegrator(world)

        return opened
