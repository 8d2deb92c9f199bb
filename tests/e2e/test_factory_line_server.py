"""The session chain against the real sequential-thinking server, installed from the package index (FORMATS 9)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chargehand.plans.detect import read_plan
from chargehand.plans.factory_session import prep_gate, read_session
from tests.e2e import sequential_thinking
from tests.e2e.test_profile_factory_line import LINKS, PREP, carry_out, link, world
from tests.e2e.world import World

__all__ = ["world"]

_SERVER = "mcp-sequential-thinking==0.7.0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own with the server; without an index to install it from, the tests are skipped."""
    folder = tmp_path_factory.mktemp("server") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=60, capture_output=True)
    words = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", _SERVER]
    try:
        got = subprocess.run(words, check=False, timeout=90, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        pytest.skip(f"NOT PROVED HERE: {_SERVER} could not be installed within 90 s.")
    if got.returncode != 0:
        pytest.skip(f"NOT PROVED HERE: {_SERVER} could not be installed: {got.stderr.strip()[-300:]}")
    return folder / "bin"


def ask(server: Path, storage: Path, *words: str | Path) -> list[dict[str, Any]]:
    """What the server answers to imports of these files, one after the other."""
    script = Path(sequential_thinking.__file__)
    got = subprocess.run(
        [server / "python", script, server / "mcp-sequential-thinking", storage, *words],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    found: list[dict[str, Any]] = json.loads(got.stdout)
    return found


def test_the_server_imports_every_link(world: World, server: Path, tmp_path: Path):
    """Every link of the chain through its own tools, and its summary has all thoughts up to there."""
    carry_out(world)
    answers = ask(server, tmp_path / "storage", *(link(world, name) for name in LINKS))
    assert [each["import"]["failed"] for each in answers] == [False] * len(LINKS), answers
    counted = [json.loads(each["summary"]["text"])["total_recorded"] for each in answers]
    assert counted == [11 + 2 * number for number in range(1, len(LINKS) + 1)]
    last = json.loads(answers[-1]["summary"]["text"])["content"]["stage_content"]
    ends = next(each for each in last if each["stage"] == "Conclusion")
    assert any("subtask-2: One class, no callers yet." in each for each in ends["excerpts"])


def test_a_link_that_repeats_numbers_is_refused_by_both(world: World, server: Path, tmp_path: Path):
    """The text of the system says 1 and 2 again: its own server refuses that, and so does our reader."""
    session = json.loads((world.repo.path / PREP).read_text())
    session["thoughts"].append({**session["thoughts"][0], "id": "7b1c7e0e-7f5b-4c7c-9d51-1f0c7f3a2b10"})
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(session))
    assert ask(server, tmp_path / "storage", bad)[0]["import"]["failed"]
    assert read_session(bad.read_text())[0] is None


def test_a_prep_session_of_the_server_is_our_input(world: World, server: Path, tmp_path: Path):
    """Recorded and exported by the server, it passes the gate, and the line starts from it."""
    ask(server, tmp_path / "storage", "--prepare", "prep.json")
    shutil.copy(tmp_path / "storage" / "exports" / "prep.json", world.repo.path / PREP)
    session, problems, _ = read_session((world.repo.path / PREP).read_text())
    assert problems == []
    assert session is not None
    assert all(holds for _, holds, _ in prep_gate(session))
    assert read_plan(None, world.repo.path).plan is not None
    assert carry_out(world)["state"] == "finished"
    assert not ask(server, tmp_path / "again", link(world, "tests"))[0]["import"]["failed"]
