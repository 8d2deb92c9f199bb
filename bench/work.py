"""The work that is measured: a repository, a graph of tasks, an agent that writes, commits and reports.

The shape is the same for the floor and for Chargehand: small `.py` files with 20 tests beside them; 20 tasks in
three levels (8, 8, 4); the agent sleeps, writes `src/gen/tNN.py`, appends to `tests/test_tNN.py` and commits; the
gate is `python -m pytest -q -p no:cacheprovider tests/test_tNN.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["AGENT", "IDENTITY", "PYTEST", "Item", "environment", "git", "levels", "make_repository", "plan_of"]

IDENTITY = {
    "GIT_AUTHOR_NAME": "Bench",
    "GIT_AUTHOR_EMAIL": "bench@localhost",
    "GIT_COMMITTER_NAME": "Bench",
    "GIT_COMMITTER_EMAIL": "bench@localhost",
}
QUICK_PYTEST = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
PYTEST = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")

AGENT = """#!/bin/sh
# The agent of the benchmark. $1: seconds to work.
set -e
cat >/dev/null
n=${CHARGEHAND_TASK#t}
sleep "$1"
mkdir -p src/gen
echo "VALUE = $((1$n - 100))" > "src/gen/t$n.py"
printf '\\n\\ndef test_made_t%s():\\n    assert 1 + 1 == 2\\n' "$n" >> "tests/test_t$n.py"
git add -A
git commit -q -m "t$n"
[ -z "$CHARGEHAND_RESULT" ] || echo '{"status": "DONE"}' > "$CHARGEHAND_RESULT"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One task: its id (`t00` …) and the ids it waits for."""

    id: str
    after: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, list[str]]:
        """What it declares to write."""
        return {"create": [f"src/gen/{self.id}.py"], "test": [f"tests/test_{self.id}.py"]}


def levels(widths: tuple[int, ...] = (8, 8, 4)) -> tuple[Item, ...]:
    """A graph in levels; a task waits for those of the level before that stand above it."""
    items: list[Item] = []
    above: list[str] = []
    for width in widths:
        level = [f"t{len(items) + place:02d}" for place in range(width)]
        for place, name in enumerate(level):
            first, last = place * len(above) // width, (place + 1) * len(above) // width
            items.append(Item(id=name, after=tuple(above[first : max(last, first + 1)]) if above else ()))
        above = level
    return tuple(items)


def environment(home: Path) -> dict[str, str]:
    """The environment of every git and agent here: nobody's configuration, this interpreter first."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)  # another checkout, perhaps
    where = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, paths))} if paths != [""] else {}
    return {
        **where,
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "HOME": os.fspath(home),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        **QUICK_PYTEST,
        **IDENTITY,
    }


def git(where: Path, *args: str, env: dict[str, str]) -> str:
    """One git command that must work; its output."""
    done = subprocess.run(["git", *args], cwd=where, env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def make_repository(where: Path, files: int, env: dict[str, str], *, tests: int = 20) -> str:
    """A repository of `files` small modules and `tests` tests, in one commit; answers with the commit."""
    for number in range(files - tests):
        folder = where / "src" / f"p{number // 100:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"m{number % 100:02d}.py").write_text(f"NUMBER = {number}\n\n\ndef get():\n    return NUMBER\n")
    (where / "tests").mkdir(parents=True, exist_ok=True)
    for number in range(tests):
        text = f"def test_t{number:02d}():\n    assert {number} + 1 == {number + 1}\n"
        (where / "tests" / f"test_t{number:02d}.py").write_text(text)
    git(where, "init", "-q", "-b", "main", env=env)
    git(where, "config", "gc.auto", "0", env=env)
    git(where, "add", "-A", env=env)
    git(where, "commit", "-q", "-m", "base", env=env)
    return git(where, "rev-parse", "HEAD", env=env)


def plan_of(items: tuple[Item, ...], *, gate: bool) -> str:
    """The same graph as a plan file (JSON)."""
    tasks = [
        {
            "id": item.id,
            "title": f"Write {item.id}",
            "depends_on": list(item.after),
            "files": item.files,
            "acceptance": ["the module exists"],
            "verify": [[*PYTEST, f"tests/test_{item.id}.py"]] if gate else [],
        }
        for item in items
    ]
    features = {"code_review": False, "holistic": False}
    plan = {"chargehand": 1, "plan": "bench", "features": features, "env": {"set": QUICK_PYTEST}, "tasks": tasks}
    return json.dumps(plan, indent=1)
