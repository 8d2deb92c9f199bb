"""What is shown of every program. A case raises `Failed`, or answers with a few words for the table."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

from tests.agents.danger import danger
from tests.agents.ground import Failed, Ground
from tests.agents.install import Program
from tests.agents.reviews import review, void
from tests.agents.systems import dispatch, konductor

__all__ = ["CASES", "PAIRS", "together"]

DONE: Mapping[str, Any] = {"report": {"status": "DONE", "summary": "It is done."}}


def create(ground: Ground) -> str:
    """Makes a file and commits it; the report stands in its last message."""
    text = ground.program.kind == "aider"  # which writes what its model says, and leaves the commit to the runtime
    make = {"write": {"path": "hello.txt", "text": "hello\n"}}
    run = {"run": "echo hello > hello.txt && git add hello.txt && git commit -qm 'Say hello'"}
    with ground.model(make if text else run, DONE) as server:
        ground.run_plan(server, files={"create": ["hello.txt"]})
    ground.expect_landed("hello.txt", "hello\n")
    if not text and "Say hello" not in ground.repo.git("log", "--format=%s", ground.document["branch"]):
        raise Failed("its own commit is not on the branch")
    if not ground.document["usage"]["tokens"]:
        raise Failed("nobody counted its tokens")
    return "by the runtime" if text else ""


def edit(ground: Ground) -> str:
    """Writes and changes a file with the tools of its own."""
    write = {"write": {"path": "notes.txt", "text": "one\ntwo\n"}}
    change = {"edit": {"path": "notes.txt", "old": "two", "new": "three"}}
    steps = [write, change, DONE]
    if ground.program.kind == "aider":  # it first takes the file into its conversation, and wants the edit again
        steps = [{"edit": {"path": "README.md", "old": "A project.", "new": "one\nthree"}}, DONE] * 2
    with ground.model(*steps) as server:
        ground.run_plan(server)
    ground.expect_landed("README.md" if ground.program.kind == "aider" else "notes.txt", "one\nthree\n")
    return ""


def session(ground: Ground) -> str:
    """Says nothing of a report, is asked for it in the same session, and gives it."""
    write = {"write": {"path": "hello.txt", "text": "hello\n"}}
    with ground.model(write, {"say": "I think that this is all."}, DONE) as server:
        ground.run_plan(server)
    ground.expect_landed("hello.txt", "hello\n")
    codes = [warning["code"] for warning in ground.document["warnings"]]
    asked = any("asked for its report once more" in warning["text"] for warning in ground.document["warnings"])
    if ground.program.kind == "aider":
        ground.expect("no_report" in codes, True, "that it was judged by evidence alone")
        return "has none"
    ground.expect((asked, "no_report" in codes), (True, False), "that it was asked and answered")
    return ""


def budget(ground: Ground) -> str:
    """Never comes to an end, and is stopped by its budget of tokens."""
    endless: list[Mapping[str, Any]] = [{"run": "true", "times": "forever"}]
    if ground.program.kind == "aider":  # an edit that does not fit is asked for again
        endless = [{"edit": {"path": "README.md", "old": f"no {n}", "new": "x"}} for n in range(6)]
    with ground.model(*endless, usage={"input": 1000, "output": 10}) as server:
        ground.run_plan(server, limits={"tokens": 2500, "wall": "2m"})
        asked = sum(1 for seen in server.seen if seen.play >= 0)
    ground.expect((ground.task.get("state"), ground.task.get("reason")), ("failed", "budget"), "the end of the task")
    if not 2 <= asked <= 4:
        raise Failed(f"its model was asked {asked} times")
    return ""


def stall(ground: Ground) -> str:
    """Waits for a model that never answers, and is ended after its silence budget."""
    with ground.model({"silence": "forever", "times": "forever"}) as server:
        ground.run_plan(server, limits={"idle": "8s", "wall": "3m"})
    ground.expect((ground.task.get("state"), ground.task.get("reason")), ("failed", "stall"), "the end of the task")
    ground.expect_nothing_left()
    return ""


def rate_limit(ground: Ground) -> str:
    """Is refused with 429 and a time to wait, and the task goes on after it."""
    refused = {"error": {"status": 429, "message": "Rate limit reached.", "retry_after_s": 2}, "times": "forever"}
    with ground.model(refused) as server:
        ground.write_plan(server)
        process = ground.start_run()
        # some ask again until they are answered, others give up and are started again after the wait
        ground.until(lambda: len(server.seen) > 12 or ground.events("circuit_opened"), "it asks again, or gives up")
        port = int(server.url.rpartition(":")[2])
    with ground.model({"write": {"path": "hello.txt", "text": "hello\n"}}, DONE, port=port):
        ground.finish(process)
    ground.expect_landed("hello.txt", "hello\n")
    waits = len(ground.events("circuit_opened"))
    return f"waited {waits}×" if waits else "by itself"


def killed(ground: Ground) -> str:
    """Chargehand is interrupted in the middle of a tool call, and nothing of it is left."""
    with ground.model(_hanging(ground)) as server:
        ground.write_plan(server)
        process = ground.start_run()
        _until_it_works(ground, lambda: len(server.seen))
        os.kill(process.pid, signal.SIGTERM)
        ground.finish(process)
    ground.expect(ground.code, 130, "the exit code")
    ground.expect_nothing_left()
    return ""


def resumed(ground: Ground) -> str:
    """Chargehand is killed with SIGKILL in the middle of an attempt; nothing is left, and `resume` finishes the run."""
    with ground.model(_hanging(ground)) as server:
        ground.write_plan(server)
        process = ground.start_run()
        _until_it_works(ground, lambda: len(server.seen))
        process.kill()
        process.communicate()
        ground.expect_nothing_left()
        port = int(server.url.rpartition(":")[2])
    with ground.model({"write": {"path": "hello.txt", "text": "hello\n"}}, DONE, port=port):
        ground.finish(ground.start("resume"))
    ground.expect_landed("hello.txt", "hello\n")
    return ""


def together(ground: Ground, other: Program) -> str:
    """Two programs in one plan: each implements every second task, two at a time, to landed code."""
    names = ["one", "two", "three", "four"]
    kinds = [ground.program.kind, other.kind] * 2
    tasks = [
        {"id": name, "title": f"Write {name}.txt", "agent": kind, "files": {"create": [f"{name}.txt"]}}
        for name, kind in zip(names, kinds, strict=True)
    ]
    tasks.append({"id": "last", "title": "Write last.txt", "depends_on": names})
    plays = [
        {"when": f"# Task {name}", "steps": [{"run": f"echo {name} > {name}.txt"}, DONE]} for name in [*names, "last"]
    ]
    with ground.model(plays=plays) as server:
        ground.write(server, tasks, other)
        ground.finish(ground.start_run("--jobs", "2"))
        spoken = {seen.dialect for seen in server.seen if seen.play >= 0}
    ground.expect(ground.code, 0, "the exit code")
    for name in [*names, "last"]:
        ground.expect(ground.landed(f"{name}.txt"), name, f"{name}.txt")
    ground.expect(len(spoken), 2, "the number of interfaces that were spoken")
    return ""


def _hanging(ground: Ground) -> Mapping[str, Any]:
    """A tool call that takes an hour, with a child that leaves the process group; without tools, a silent model."""
    if ground.program.kind == "aider":
        return {"silence": "forever", "times": "forever"}
    program = f"import os, time; os.fork() or os.setsid(); time.sleep({ground.number})"
    return {"run": f'python3 -c "{program}"'}


def _until_it_works(ground: Ground, asked: Callable[[], int]) -> None:
    if ground.program.kind == "aider":
        ground.until(asked, "its model is asked")
    else:
        ground.until(lambda: len(ground.sleepers()) >= 2, "its tool runs")


CASES: Mapping[str, Callable[[Ground], str]] = {
    "create": create,
    "edit": edit,
    "session": session,
    "budget": budget,
    "stall": stall,
    "rate limit": rate_limit,
    "kill": killed,
    "resume": resumed,
    "danger": danger,
    "void": void,
    "dispatch": dispatch,
    "konductor": konductor,
}

PAIRS: Mapping[str, Callable[[Ground, Program], str]] = {"together": together, "review": review}
"""What is shown of two programs."""
