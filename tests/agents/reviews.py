"""Real programs as reviewers: one writes and another one judges; one that changes what it judges is not believed."""

from __future__ import annotations

from typing import Any

from tests.agents.ground import Failed, Ground
from tests.agents.install import Program

__all__ = ["review", "void"]

REVIEWED = {"code_review": True, "holistic": True}
VERIFY = ["python3", "-B", "-c", "import greet; assert greet.greet('Ann') == 'Hello, Ann!'"]


def review(ground: Ground, other: Program) -> str:
    """One program writes, another one reviews: a finding with evidence, a fix, a second round, landed [I7]."""
    tasks: list[dict[str, Any]] = [
        {
            "id": "greet",
            "title": "Greet",
            "acceptance": ["greet() greets whoever is named"],
            "files": {"create": ["greet.py"]},
            "verify": [VERIFY],
        },
        {"id": "part", "title": "Part", "files": {"create": ["part.py"], "test": ["test_part.py"]}},
    ]
    with ground.scenario("review") as server:
        ground.write(server, tasks, other, features=REVIEWED, defaults={"reviewer": other.kind})
        ground.finish(ground.start_run("--jobs", "2"))
    ground.expect(ground.code, 0, "the exit code")
    ground.expect({task["state"] for task in ground.document["tasks"]}, {"integrated"}, "the states of the tasks")
    _expect_who(ground, other)
    _expect_course(ground, "greet", ["spec PASS", "quality FAIL", "spec carried", "quality PASS"])
    _expect_course(ground, "part", ["spec PASS", "quality FAIL", "spec PASS", "quality PASS"])
    _expect_frozen(ground)
    landed = ground.landed("greet.py") or ""
    ground.expect('if name else "Hello!"' in landed, True, "the fix in what landed")
    ground.expect(ground.landed("README.md"), "A project.", "what no task was about")
    mended = len(ground.events("review_failed"))
    ground.finish(ground.start("receipt", "verify"))  # the gates once more, and whether all that is told still holds
    ground.expect(ground.code, 0, "the exit code of `receipt verify`")
    return f"{mended} findings mended"


def void(ground: Ground) -> str:
    """A reviewer writes into its copy: it is void, a fresh one is asked, and nothing of it lands [I7]."""
    with ground.scenario("void") as server:
        files = {"create": ["hello.txt"]}
        ground.write(server, [{"id": "t", "title": "Say hello", "files": files}], features=REVIEWED)
        ground.finish(ground.start_run())
    ground.expect_landed("hello.txt", "hello\n")
    ground.expect(ground.landed("new.txt"), None, "what a reviewer made")
    voided = [(event["why"], _changed(event["detail"])) for event in ground.events("review_voided")]
    ground.expect(len(ground.events("review_failed")), 0, "the number of verdicts that counted against it")
    if ground.program.kind == "aider":  # it has no edits when it only looks, and no other way to write
        ground.expect((voided, ground.task["attempts"]), ([], 3), "the void verdicts, and the attempts")
        return "cannot write"
    ground.expect(voided, [("violated", "modified hello.txt"), ("violated", "created new.txt")], "the void verdicts")
    ground.expect(ground.task["attempts"], 5, "the number of attempts")
    return "void 2×"


def _changed(detail: str) -> str:
    return detail.rpartition("(")[2].partition(")")[0]


def _expect_who(ground: Ground, other: Program) -> None:
    """Every attempt was made by the program that was to make it, and says which model it had."""
    models = {program.kind: program.model for program in (ground.program, other)}
    found = set()
    for event in ground.events("attempt_finished"):
        effect = ground.effect(event["key"])
        kind = other.kind if effect["role"].endswith("-reviewer") else ground.program.kind
        ground.expect(effect["agent"], kind, f"who was {effect['role']}")
        ground.expect(event["result"]["model"], models[kind], f"the model of the {effect['role']}")
        found.add(effect["role"])
    wanted = {"implementer", "spec-reviewer", "quality-reviewer", "holistic-reviewer", "fixer"}
    ground.expect(found, wanted, "the roles")


def _expect_course(ground: Ground, task: str, wanted: list[str]) -> None:
    """These verdicts in this order, each about the tree that was sealed then; the last ones about what was merged."""
    course, trees = [], []
    for event in ground.events("review_passed", "review_failed"):
        if event.get("task") == task:
            said = "FAIL" if event["type"] == "review_failed" else "carried" if event.get("carried") else "PASS"
            course.append(f"{event['stage']} {said}")
            trees.append(event["tree"])
    ground.expect(course, wanted, f"the course of the reviews of {task}")
    sealed = [
        event["result"]["sealed"]
        for event in ground.events("attempt_finished")
        if event.get("task") == task and event["result"].get("sealed")
    ]
    ground.expect(len(sealed), 2, f"the number of changes of {task}")
    ground.expect(trees, [sealed[0]["tree"]] * 2 + [sealed[1]["tree"]] * 2, f"the trees of the verdicts on {task}")
    for commit, tree in ((one["commit"], one["tree"]) for one in sealed):
        ground.expect(ground.repo.git("rev-parse", f"{commit}^{{tree}}"), tree, f"the tree of {commit[:12]}")
    merged = ground.events("task_integrated")
    landed = next(event["commit"] for event in merged if event["task"] == task)
    ground.expect(ground.repo.git("rev-parse", f"{landed}^2"), sealed[1]["commit"], f"what was merged of {task}")


def _expect_frozen(ground: Ground) -> None:
    """The finding of round 1, where it is, what its evidence came to; and what came too late holds nothing up."""
    failed = next(event for event in ground.events("review_failed") if event["task"] == "greet")
    [finding] = failed["open"]
    place = (finding["id"], finding["severity"], finding["file"], finding["line"])
    ground.expect(place, ("q1", "major", "greet.py", 2), "the frozen finding")
    [probe] = failed["probes"]
    ground.expect((probe["finding"], probe["exit_code"]), ("q1", 1), "the evidence")
    passed = [event for event in ground.events("review_passed") if event["task"] == "greet"]
    if len(passed) != 3:
        raise Failed(f"{len(passed)} reviews of greet passed, not 3")
    parked = {
        (each["finding"]["id"], each["ruling"]) for event in (failed, *passed) for each in event.get("parked") or ()
    }
    ground.expect(parked, {("q2", "minor"), ("q9", "late")}, "the findings that are parked")
