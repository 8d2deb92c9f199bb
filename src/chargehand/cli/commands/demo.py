"""`chargehand demo`: a run that goes wrong in every common way, and lands all the same (SPEC 10.1)."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command
from chargehand.cli.output import Output, may_colour
from chargehand.cli.render.pen import Pen, wrap
from chargehand.cli.render.units import count, short

if TYPE_CHECKING:
    from chargehand.demo import Killed, Result, Stage

__all__ = ["demo"]

_EXAMPLES = """
chargehand demo                    in a temporary folder, which is kept
chargehand demo --dir /tmp/try     in a folder of your choice
chargehand demo --no-kill          let the run go through in one piece
"""

_FAILED = 1
_WIDTH = 88
_TITLES = {
    "red_gate": "a gate was red",
    "lie": "claimed to be done",
    "stray": "strayed",
    "conflict": "conflicted",
    "review": "was found wanting by its reviewer",
    "killed": "was killed at work",
    "other": "failed",
}


@command("demo", examples=_EXAMPLES)
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="A new folder for it; default: a temporary one.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Keep the folder, to look around in it.")
@click.option("--no-kill", is_flag=True, help="Do not kill the run in the middle.")
async def demo(call: Call, folder: Path | None, keep: bool, no_kill: bool) -> int:
    """Carry out a plan for a small project with agents that ask no model and need no login.

    A gate is red, an agent claims work it did not do, one changes what is none of its business, two tasks conflict,
    and the run is killed with SIGKILL in the middle and resumed. Everything lands, tested. No network is used.
    """
    from chargehand.demo import Demo, Result, incidents_of, set_stage

    out = call.out
    pen = Pen(colour=may_colour(out.stderr))
    stage = await set_stage(folder, os.environ)
    try:
        played = Demo(stage, os.environ, lambda line: out.note(f"  {line}".rstrip()))
        _introduce(out, pen, stage)
        code, killed = await played.start(kill=not no_kill)
        if killed is not None:
            _tell_killed(out, pen, killed)
            code = await played.resume()
        state, events = await played.look()
        green, said = await played.tests(state.branch)
        result = Result(
            stage=stage,
            run=state.run,
            branch=state.branch,
            head=state.head or state.base,
            state=state.finished.verdict.value if state.finished else "interrupted",
            code=code or (0 if green else _FAILED),
            tasks=len(state.tasks),
            landed=sum(record.landed is not None for record in state.tasks.values()),
            killed=killed,
            incidents=tuple(incidents_of(events)),
            tests=said,
            tests_green=green,
            untouched=await played.is_untouched(),
        )
    finally:
        if not keep:
            rmtree(stage.folder, ignore_errors=True)
    if out.json:
        out.document(result.document())
    else:
        out.say(*_summary(result, Pen(colour=out.colour), keep=keep))
    return result.code


def _introduce(out: Output, pen: Pen, stage: Stage) -> None:
    out.note(
        pen.draw("The demo", "strong") + f" takes place in {stage.folder}",
        "A small package with its own tests, a plan of 8 tasks (project/plan.yaml), and an agent that plays a",
        "script (project/agent.yaml) instead of asking a model. The run:",
        "",
    )


def _tell_killed(out: Output, pen: Pen, killed: Killed) -> None:
    processes = f" with {count(killed.processes, 'process', 'processes')} below it" if killed.processes else ""
    left = f"still running: {killed.left}" if killed.left else "all of them have ended" if processes else ""
    out.note(
        "",
        pen.draw("Killed", "bad") + f" with SIGKILL after {count(killed.landed, 'landing')},{processes}: {left}.",
        "Nobody could clean up. The run is resumed:",
        "",
    )


def _summary(result: Result, pen: Pen, *, keep: bool) -> list[str]:
    lines = ["", pen.draw("What went wrong, and what became of it", "strong")]
    for incident in result.incidents:
        lines.append(f"  {pen.draw(incident.task, 'strong')} {_TITLES[incident.kind.value]}")
        lines += [f"    {line}" for line in wrap(f"{incident.what} {incident.followed}", _WIDTH)]
    word = "good" if result.code == 0 else "bad"
    landed = f"{result.landed} of {result.tasks} tasks landed on {result.branch} ({short(result.head)})"
    lines += ["", pen.draw("Result", "strong"), f"  {pen.draw(landed, word)}, each in one merge commit."]
    lines += [f"  The project's tests there: {result.tests}."]
    if result.untouched:
        lines += ["  Your checkout, its branch and its index are as they were: only `accept` changes them."]
    if keep:
        lines += ["", pen.draw("Next", "strong"), *(f"  {step}" for step in result.next_steps)]
        lines += ["", f"Everything is in {result.stage.folder}; remove it when you have seen enough."]
    return lines
