"""A real program in a project of another system: what that system's own commands read afterwards."""

from __future__ import annotations

import json
from typing import Any

from tests.agents.ground import Ground

__all__ = ["dispatch"]

AIM = "A greeter that a stranger can start"


def _task(number: int, title: str, wave: int, needs: list[str], **more: Any) -> dict[str, Any]:
    fixed = {"id": f"task-{number}", "title": title, "acceptance": [f"part-{number}.txt is there"]}
    return {**fixed, "complexity": "simple", "depends_on": needs, "wave": wave, **more}


def dispatch(ground: Ground) -> str:
    """Two waves of a Nexus graph: the brief of the second knows the first, and the state says where all of it is."""
    interfaces = {"consumes": ["greet(name: str) -> str"]}
    tasks = [
        _task(1, "Scaffold", 1, []),
        _task(2, "Greet", 1, [], verify=["`test -s part-2.txt`"]),
        _task(3, "Say it", 2, ["task-2"], interfaces=interfaces),
    ]
    state = {"version": "1.0.0", "project_aim": AIM, "task_graph": {"tasks": tasks}, "completed_tasks": ["task-1"]}
    state |= {"compressed_outputs": {"task-1": "Nothing but a folder."}, "kept": "by its owner"}
    ground.repo.write(".gitignore", ".nexus-cortexia/\n")
    ground.repo.commit("ignore the state")
    file = ground.repo.write(".nexus-cortexia/state.json", json.dumps(state, indent=2))
    offers = {"status": "DONE", "summary": "It greets.", "interfaces": ["greet(name: str) -> str"]}
    plays = [
        {"when": ["# Task task-2"], "steps": [_made(2), {"report": offers}]},
        {"when": ["# Task task-3", "offers: greet(name: str)"], "steps": [_made(3), {"report": {"status": "DONE"}}]},
    ]
    with ground.model(plays=plays) as server:
        ground.write(server, [])
        words = ("run", "--unattended", "--sandbox", ground.fence.sandbox, *ground.fence.words)
        ground.finish(ground.start(*words))
    ground.expect(ground.code, 0, "the exit code")
    ground.expect(ground.document["profile"], "dispatch", "the profile")
    ground.expect(ground.landed("part-3.txt"), "part 3", "part-3.txt")
    found = json.loads(file.read_text("utf-8"))
    ground.expect(found["completed_tasks"], ["task-1", "task-2", "task-3"], "what is completed")
    ground.expect((found["current_wave"], found["kept"]), (2, "by its owner"), "the wave, and the key of another")
    landed = ground.task["landed"]
    where = f"Not accepted yet: branch {ground.document['branch']}, commit {landed}."
    said = f"It greets.\nInterfaces: greet(name: str) -> str\nFiles: part-2.txt\n{where}"
    ground.expect(found["compressed_outputs"]["task-2"], said, "the output of task-2")
    return "two waves"


def _made(number: int) -> dict[str, Any]:
    return {"write": {"path": f"part-{number}.txt", "text": f"part {number}\n"}}
