"""The files that `init` writes, and what it finds out about a project for them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["find_commands", "sample_plan", "sample_settings"]

Argv = tuple[str, ...]

_SETTINGS = """\
# Settings of Chargehand for this repository. `chargehand config` shows what is in force, and from where.
# Everything here can also be given as --set key=value, or as CHARGEHAND_… in the environment.

# jobs = 4                         # attempts at once
# agent = "claude"                 # agent of tasks that name none

# An agent with a key is yours, not the repository's: this goes into ~/.config/chargehand/config.toml. Then
# `chargehand doctor --agent claude` has it answer once.
#     agent = "claude"
#     [agents.claude]
#     kind = "claude"                # or codex, gemini, opencode, goose, aider
#     key = "env:ANTHROPIC_API_KEY"  # the variable that holds it; the program itself never sees it

# Any other program can be one, too: it reads its brief from standard input, works in the current folder, and writes
# {{"status": "DONE"}} to the file named by CHARGEHAND_RESULT. One that knows no verdicts needs another reviewer, or
# runs with --no-review. `chargehand agents` tells whether it can run.
# [agents.mine]
# command = "./my-agent.sh"
# jobs = 2

# [env]
# pass = ["ANTHROPIC_API_KEY"]     # names of variables that agents and gates get, never their values

# Gates for every plan; a plan's own gate of the same id goes before.
{gates}
# [sandbox]                        # here it can only be made narrower; what opens it stands in your own settings file
# kind = "bwrap"                   # instead of auto, which takes the first that works
# network = "meter"                # meter (their model, nothing else) | none; instead of open

# [caps]
# attempt_wall = "30m"
# run_wall = "12h"
# task_usd = 25
"""

_PLAN = """\
# A plan of Chargehand. `chargehand check plan.yaml` finds what is wrong with it, `chargehand schema` prints its
# JSON Schema, `chargehand run plan.yaml` carries it out.
chargehand: 1
plan: {slug}
goal: >-
  One paragraph: what is true when the plan is done.

{gates}
tasks:
  - id: first
    title: One line that says what to build
    description: >-
      Everything an agent needs to know about this task. It sees this, the files below, and what the tasks it
      depends on have made; nothing else of the plan.
    files:
      create: [NOTES.md]           # paths it may make; each must exist at the end
      modify: []                   # paths it may change
      test: []                     # tests it may add or change
    acceptance:
      - NOTES.md says what the project is for
    verify:
      - [test, -s, NOTES.md]

  - id: second
    title: A task that builds on the first
    depends_on: [first]
    description: >-
      Tasks that do not depend on each other and share no files run at the same time.
    files:
      modify: [NOTES.md]
    acceptance:
      - NOTES.md names the maintainers
    verify:
      - [grep, -q, aintain, NOTES.md]
"""


def find_commands(root: Path) -> Mapping[str, Argv]:
    """`tests`, and `lint` where it is sure: the commands that the files of the project speak for."""
    found: dict[str, Argv] = {}
    for looks_like, argv in _TESTS:
        if looks_like(root):
            found["tests"] = _at_hand(argv)
            break
    if "[tool.ruff" in _text(root / "pyproject.toml") or (root / "ruff.toml").is_file():
        found["lint"] = ("ruff", "check", ".")
    return found


def _at_hand(argv: Argv) -> Argv:
    """Debian and its kin have a python3 and no python."""
    if argv[0] == "python" and not shutil.which("python") and shutil.which("python3"):
        return ("python3", *argv[1:])
    return argv


def sample_settings(commands: Mapping[str, Argv]) -> str:
    """chargehand.toml; found commands as comments, because the sample plan has them."""
    rows = [f'# [[gates]]\n# id = "{name}"\n# run = {json.dumps(argv)}\n' for name, argv in commands.items()]
    rows = [f"{row.rstrip()}\n" for row in rows] or ['# [[gates]]\n# id = "tests"\n# run = ["make", "test"]\n']
    return _SETTINGS.format(gates="\n".join(rows))


def sample_plan(root: Path, commands: Mapping[str, Argv]) -> str:
    """plan.yaml; it passes `check` as it is."""
    slug = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-")[:50].strip("-") or "project"
    rows = [f"  - {{id: {name}, run: {_flow(argv)}, on: [integrate, run]}}" for name, argv in commands.items()]
    if rows:
        gates = "\n".join(("# Run on every change as merged, and on the whole at the end.", "gates:", *rows, ""))
    else:
        gates = "# gates:\n#   - {id: tests, run: [make, test], on: [integrate, run]}\n"
    return _PLAN.format(slug=f"{slug}-plan", gates=gates)


def _flow(argv: Argv) -> str:
    return f"[{', '.join(json.dumps(word) if re.search(r'[^A-Za-z0-9_./-]', word) else word for word in argv)}]"


# -- what a project looks like --------------------------------------------------------------------


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:200_000]
    except OSError:
        return ""


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda root: any((root / name).is_file() for name in names)


def _make_test(root: Path) -> bool:
    return re.search(r"^test\s*:", _text(root / "Makefile"), re.MULTILINE) is not None


def _npm_test(root: Path) -> bool:
    try:
        scripts = json.loads(_text(root / "package.json") or "{}").get("scripts", {})
        return "no test specified" not in scripts.get("test", "no test specified")
    except (ValueError, AttributeError, TypeError):
        return False


def _pytest(root: Path) -> bool:
    named = any("pytest" in _text(root / name) for name in ("pyproject.toml", "setup.cfg", "tox.ini"))
    tests = any((root / folder).is_dir() and any((root / folder).glob("**/test_*.py")) for folder in ("tests", "test"))
    return named or (root / "pytest.ini").is_file() or tests


_TESTS: tuple[tuple[Callable[[Path], bool], Argv], ...] = (
    (_make_test, ("make", "test")),
    (_pytest, ("python", "-m", "pytest", "-q")),
    (_npm_test, ("npm", "test")),
    (_has("Cargo.toml"), ("cargo", "test", "--quiet")),
    (_has("go.mod"), ("go", "test", "./...")),
    (_has("gradlew"), ("./gradlew", "test")),
    (_has("pom.xml"), ("mvn", "-q", "test")),
    (_has("mix.exs"), ("mix", "test")),
)
