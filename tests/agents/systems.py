"""A real program in a project of another system: what that system's own commands read afterwards."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from tests.agents.ground import Ground

__all__ = ["dispatch", "konductor"]

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


# -- konductor ------------------------------------------------------------------------------------

_PLAN = """\
+++
phase = "01-greeter"
plan = {number}
wave = {number}
title = "{title}"
depends_on = {needs}
type = "execute"
autonomous = true
+++
## Goal
{title}.

## Tasks
"""
_TASK = """\
### Task {step}: Write part {part}
- **files:** `part-{part}.txt` (new)
- **action:** Write part {part}.
- **verify:** `test -s part-{part}.txt`
- **done:** part {part} is there
"""
_SUMMARY = "# Plan 001 - Task 1 Summary\n\n## Status: DONE\n\n## Notes\nParts are words.\n\n## Review Status: passed\n"


def _phase(ground: Ground) -> None:
    """A phase of two plans; the first task of the first one was done before."""
    home = ".konductor"
    ground.repo.write(".gitignore", f"{home}/\n")
    ground.repo.commit("ignore the plans")
    plans = f"{home}/phases/01-greeter/plans"
    ground.repo.write(f"{home}/config.toml", "[execution]\nmax_wave_parallelism = 2\n")
    ground.repo.write(f"{home}/state.toml", '[current]\nphase = "01-greeter"\nstep = "planned"\n')
    one = _PLAN.format(number=1, title="Greet", needs=[]) + _TASK.format(step=1, part=1) + _TASK.format(step=2, part=2)
    two = _PLAN.format(number=2, title="Say it", needs=[1]) + _TASK.format(step=1, part=3)
    ground.repo.write(f"{plans}/001-greet.md", one)
    ground.repo.write(f"{plans}/002-say-it.md", two)
    ground.repo.write(f"{plans}/001-task-1-summary.md", _SUMMARY)


def _plays() -> list[dict[str, Any]]:
    """Who says what: the second task is sent back once, for want of a file beside it."""
    passed = {"verdict": {"verdict": "PASS"}}
    finding = {"id": "q1", "severity": "major", "file": "part-2.txt", "line": 1, "claim": "Nothing stands beside it."}
    again = {"verdict": "PASS", "findings": [{"id": "q1", "status": "resolved"}]}
    concern = {"status": "DONE_WITH_CONCERNS", "concerns": [{"kind": "info", "text": "words may repeat"}]}
    beside = {"write": {"path": "beside.txt", "text": "beside\n"}}
    report = {"report": {"status": "DONE", "summary": "It is said."}}
    own = ["# Task 001-task-2", "001-greet.md"]
    return [
        {"when": ["You are the implementer", *own, "Parts are words."], "steps": [_made(2), {"report": concern}]},
        {"when": ["You are the spec reviewer", *own], "steps": [passed]},
        {"when": ["You are the quality reviewer", *own, "Frozen findings"], "steps": [{"verdict": again}]},
        {
            "when": ["You are the quality reviewer", *own],
            "steps": [{"verdict": {"verdict": "FAIL", "findings": [finding]}}],
        },
        {"when": ["You are the fixer", *own, "Nothing stands beside it"], "steps": [beside, report]},
        {"when": ["You are the implementer", "# Task 002-task-1"], "steps": [_made(3), report]},
        {"when": ["reviewer", "# Task 002-task-1"], "steps": [passed]},
        {"when": "You look at a whole run", "steps": [passed]},
    ]


def konductor(ground: Ground) -> str:
    """Two plans of a phase, in waves: written, reviewed in two stages, mended, reviewed as a whole, and accepted."""
    _phase(ground)
    with ground.model(plays=_plays()) as server:
        ground.write(server, [])
        words = ("run", "--unattended", "--sandbox", ground.fence.sandbox, *ground.fence.words)
        ground.finish(ground.start(*words))
    ground.expect(ground.code, 0, "the exit code")
    ground.expect(ground.document["profile"], "konductor", "the profile")
    states = {task["id"]: task["state"] for task in ground.document["tasks"]}
    ground.expect(states, {"001-task-2": "integrated", "002-task-1": "integrated"}, "the states of the tasks")
    ground.expect((ground.landed("part-3.txt"), ground.landed("beside.txt")), ("part 3", "beside"), "what landed")
    roles = {ground.effect(event["key"])["role"] for event in ground.events("attempt_finished")}
    wanted = {"implementer", "spec-reviewer", "quality-reviewer", "fixer", "holistic-reviewer"}
    ground.expect(roles, wanted, "the roles")
    branch, commit = ground.document["branch"], ground.task["landed"]
    home = ground.repo.path / ".konductor"
    phase = home / "phases" / "01-greeter"
    summary = (phase / "plans" / "001-task-2-summary.md").read_text("utf-8").splitlines()
    ground.expect("## Review Status: passed" in summary, True, "the review in the summary")
    ground.expect(summary[-1], f"Not accepted yet: branch {branch}, commit {commit}.", "where the summary says it is")
    quality = (phase / "plans" / "001-task-2-quality-review.md").read_text("utf-8").splitlines()
    rounds = [line.split(" by ")[0] for line in quality if line.startswith("- ")]
    ground.expect((quality[2], rounds), ("## Verdict: PASS", ["- 1: FAIL", "- 2: PASS"]), "the quality review")
    whole = (phase / "code-review.md").read_text("utf-8").splitlines()
    ground.expect(whole[2], "## Verdict: PASS", "the review of the phase")
    ground.finish(ground.start("accept", "--yes"))
    ground.expect(ground.code, 0, "the exit code of `accept`")
    current = tomllib.loads((home / "state.toml").read_text("utf-8"))["current"]
    ground.expect((current["step"], current["wave"]), ("executed", 2), "the step and the wave of the phase")
    results = [tomllib.loads(file.read_text("utf-8")) for file in sorted((home / ".results").glob("execute-*.toml"))]
    found = [(each["plan"], each["status"], each["tasks_completed"], each["tasks_total"]) for each in results]
    ground.expect(found, [(1, "ok", 2, 2), (2, "ok", 1, 1)], "the results of the plans")
    return "two plans, a fix round"
