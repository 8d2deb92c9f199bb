"""What a developer of tasks.yaml may not do: PARALLEL ones neither build nor test, and what they write is looked at."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from chargehand.domain.errors import AdapterError
from chargehand.domain.events import AttemptFinished, TaskIntegrated
from tests.e2e.world import World
from tests.repos import Repo

TASKS = "prompts/SHOP-7/iteration_1/tasks.yaml"
ITERATION = """\
validation_policy: {baseline_scope: code_and_tests_only}
parallel_groups:
  A: [TASK-1, TASK-2]
tasks:
- id: TASK-1
  description: Prices
  files_to_modify: [src/price.py]
  test_files: [tests/test_price.py]
- id: TASK-2
  description: Taxes
  files_to_modify: [src/tax.rb]
- id: TASK-3
  description: Bills
  files_to_modify: [src/bill.py]
"""
COMMANDS = """\
[commands]
build = ["python3", "-m", "compileall", "-q", "src"]
test = ["python3", "-m", "unittest", "-q"]
"""

# A program that only tells what it ran (`opencode`), or that asks before it runs something (`claude`).
PROGRAM = """\
import json, os, pathlib, subprocess, sys
task = os.environ["CHARGEHAND_TASK"]
def tell(document):
    print(json.dumps(document), flush=True)
def runs(command):
    if KIND == "opencode":
        state = {"status": "completed", "input": {"command": command}, "output": "ok"}
        tell({"type": "tool_use", "part": {"type": "tool", "tool": "bash", "callID": command, "state": state}})
        return "told"
    hook = json.loads(sys.argv[sys.argv.index("--settings") + 1])["hooks"]["PreToolUse"][0]["hooks"][0]["command"]
    asked = {"session_id": "s", "cwd": os.getcwd(), "tool_name": "Bash", "tool_input": {"command": command}}
    got = subprocess.run(["sh", "-c", hook], input=json.dumps(asked), capture_output=True, text=True)
    return json.loads(got.stdout)["hookSpecificOutput"]["permissionDecision"]
for path, text in WORK[task].items():
    pathlib.Path(path).parent.mkdir(exist_ok=True)
    pathlib.Path(path).write_text(text)
said = [runs(command) for command in RUN]
if KIND == "claude":
    tell({"type": "result", "subtype": "success", "result": ""})
report = {"status": "DONE", "summary": " ".join(said)}
pathlib.Path(os.environ["CHARGEHAND_RESULT"]).write_text(json.dumps(report))
"""
WORK = {
    "TASK-1": {"src/price.py": "PRICE = 1\n", "tests/test_price.py": "", "docs/price.md": "# Prices\n"},
    "TASK-2": {"src/tax.rb": "TAX = 19\n"},
    "TASK-3": {"src/bill.py": "BILL = 1\n"},
}


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    for path, text in {TASKS: ITERATION, "chargehand.toml": COMMANDS, "src/__init__.py": ""}.items():
        file = repo.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "a shop")
    folder = tmp_path / "world"
    folder.mkdir()
    return World(repo, folder)


def carry_out(
    world: World, kind: str, *run: str, work: Mapping[str, Mapping[str, str]] = WORK, observe: Any = None
) -> Mapping[str, Any]:
    """Carry the iteration out with a program that runs these commands in every task."""
    script = world.folder / "program.py"
    script.write_text(f"KIND, RUN, WORK = {kind!r}, {run!r}, {work!r}\n{PROGRAM}")

    async def carry() -> Mapping[str, Any]:
        shop = await world.shop(sets(world, kind))
        loaded = shop.load_plan(None)
        assert loaded.plan is not None, loaded.problems
        event = await shop.new_run(loaded.plan, plan_file=Path(loaded.source), review=False)
        world.run = event.run
        return await world._drive(shop, shop.service.start(event), observe, unattended=True)

    return asyncio.run(carry())


def sets(world: World, kind: str) -> list[str]:
    command = shlex.join([sys.executable, "-I", "-S", str(world.folder / "program.py")])
    return [f"agents.it.kind={kind}", f"agents.it.command={command}", "agents.it.meter=false"]


def entry(world: World, name: str) -> Mapping[str, Any]:
    tasks = yaml.safe_load((world.repo.path / TASKS).read_text())["tasks"]
    found: Mapping[str, Any] = next(each for each in tasks if each["id"] == name)
    return found


def violations(world: World) -> list[tuple[str, str, str]]:
    lines = (world.repo.path / "prompts/SHOP-7/log.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return sorted(
        (each["task_id"], each["role_violation"], each["message"]) for each in found if "role_violation" in each
    )


def test_a_build_that_no_hook_could_stop_is_a_warning_and_a_line_in_the_log(world: World):
    """PARALLEL developers only: it is recorded with what was run, and the change is judged by its evidence [I6]."""
    document = carry_out(world, "opencode", "python3 -m py_compile src/x.py", "cd tests && python -m unittest")
    said = "ran what this task leaves to the runtime: `cd tests && python -m unittest`."
    assert violations(world) == [(name, "developer", f"The agent of attempt 1 {said}") for name in ("TASK-1", "TASK-2")]
    warned = [(each["task"], each["code"]) for each in document["warnings"] if each["code"] == "role_violation"]
    assert sorted(warned) == [("TASK-1", "role_violation"), ("TASK-2", "role_violation")]
    assert {entry(world, name)["status"] for name in WORK} == {"ACCEPTED"}
    assert [entry(world, name)["attempts"] for name in WORK] == [1, 1, 1]
    details = [entry(world, name)["validation_details"].splitlines()[0] for name in WORK]
    assert details[:2] == [
        "syntax: pass (skipped docs/price.md: no checker for it)",
        "syntax: skipped (src/tax.rb: no checker for it)",
    ], "by language; what is skipped is recorded"


def test_a_hook_denies_what_a_parallel_developer_may_not_run(world: World):
    """Nobody is asked; a SEQUENTIAL developer builds and tests, and each may look at the syntax of a file."""
    run = ("python -m unittest -v", "python3 -m compileall -q src", "python3 -m py_compile src/x.py")
    document = carry_out(world, "claude", *run)
    assert document["decisions"] == []
    said = {task["id"]: task["detail"] for task in document["tasks"]}
    assert said == {"TASK-1": "deny deny allow", "TASK-2": "deny deny allow", "TASK-3": "allow allow allow"}
    assert violations(world) == []


@pytest.mark.system
def test_what_is_no_code_file_may_change_and_lands(world: World):
    """Under `code_and_tests_only`: documentation, and what lies below prompts; a code file nobody listed is ERROR."""
    work = {
        **WORK,
        "TASK-2": {
            "src/tax.rb": "TAX = 19\n",
            "prompts/SHOP-7/tmp/notes.txt": "n\n",
            "prompts/SHOP-7/notes.yaml": "n: 1\n",
        },
        "TASK-3": {"src/bill.py": "BILL = 1\n", "src/stray.py": "X = 1\n"},
    }
    document = carry_out(world, "opencode", work=work)
    landed = world.repo.files(document["branch"])
    assert {"docs/price.md", "prompts/SHOP-7/tmp/notes.txt", "prompts/SHOP-7/notes.yaml"} <= landed.keys()
    assert entry(world, "TASK-1")["files_modified"] == ["docs/price.md", "src/price.py", "tests/test_price.py"]
    assert entry(world, "TASK-3")["status"] == "ERROR"
    assert "unauthorised: src/stray.py (added)" in entry(world, "TASK-3")["validation_details"]
    assert violations(world)[0][:2] == ("TASK-3", "developer")


@pytest.mark.parametrize("name", [TASKS, "prompts/SHOP-7/log.jsonl"])
def test_an_error_of_the_file_system_stops_the_run(world: World, name: str):
    """It is reported, nothing else starts and nothing is repaired; put right, the run goes on where it was."""
    file = world.repo.path / name
    kept = file.with_name("kept")

    def lose(recorded: Any, _state: Any, _engine: Any) -> None:
        if isinstance(recorded.event, AttemptFinished) and not file.is_dir():
            if file.exists():
                file.rename(kept)
            file.mkdir()

    with pytest.raises(AdapterError, match=r"cannot be read: .* Put that right, then resume\."):
        carry_out(world, "opencode", observe=lose)
    assert file.is_dir()
    assert not any(isinstance(event, TaskIntegrated) for event in world.events())
    file.rmdir()
    if kept.exists():
        kept.rename(file)
    assert world.resume(unattended=True)["state"] == "finished"
    assert {entry(world, name)["status"] for name in WORK} == {"ACCEPTED"}
