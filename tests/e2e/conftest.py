"""Fixtures of the tests that use real git and real processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gitworld import World
from tests.repos import Repo


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for everything a test awaits."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def world(repo: Repo, tmp_path: Path, runner: asyncio.Runner) -> World:
    """The repository of `repo` with a pool beside it."""
    return World(repo, tmp_path / "pool", runner)


ALWAYS = ("from_its", "run_needs_no_argument")
"""Of the whole runs of other systems, those that belong to every check; `make systems` has all of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name.startswith("test_profile_") and not any(word in item.name for word in ALWAYS):
            item.add_marker(pytest.mark.system)
