"""Fixtures that more than one test module needs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.repos import Repo, hermetic_environment

# What CI says can be said again; anywhere else chance goes on looking.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture
def git_environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which git knows nothing of this machine."""
    home = tmp_path / "home"
    home.mkdir()
    return hermetic_environment(home)


@pytest.fixture
def repo(tmp_path: Path, git_environment: dict[str, str]) -> Repo:
    """A repository with one commit on `main`: two files, one in a folder."""
    made = Repo(path=tmp_path / "project", environ=git_environment).init()
    made.write("src/app.py", "def run():\n    return 1\n")
    made.write("README.md", "A project.\n")
    made.commit("base")
    return made


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Runs a coroutine to its end; one event loop per test."""
    with asyncio.Runner() as runner:
        yield runner.run
