"""Fixtures of the tests that use real git and real processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gitworld import World
from tests.repos import Repo


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> Iterator[World]:
    """The repository of `repo` with a pool beside it."""
    with asyncio.Runner() as runner:
        yield World(repo, tmp_path / "pool", runner)
