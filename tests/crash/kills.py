"""SIGKILL at random times, again and again, of a real coordinator: `python -m tests.crash.kills`.

Its agents are restless, or (`--plan judged`) it has reviewers, fixers, fitters and `fix` commands at work.

Each scenario is a repository of its own and a seed: it starts the real `chargehand run`, kills it a few times in a row
at random moments (the process alone, or its whole process group), each time takes the run up with the real
`chargehand resume`, lets the last one finish, and looks at everything that must hold then. Under every sandbox this
machine has; one it lacks is said. A failure keeps its folder and prints the command that plays its seed again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from chargehand.adapters.sandbox import choose
from chargehand.domain.errors import UserError
from tests.crash.ground import RUN, Ground, ground
from tests.crash.plans import JUDGED_TASKS, RESTLESS_TASKS, judged, restless

__all__ = ["Scenario", "Told", "play"]

PLANS = {"restless": (restless, RESTLESS_TASKS), "judged": (judged, JUDGED_TASKS)}
"""Projects, and the tasks that land in each."""

KINDS = ("bwrap", "landlock", "none")
KILLS = 4
WITHIN = 0.75
"""The part of an undisturbed run in which processes are killed: later ones would mostly have ended already."""
PATIENCE_S = 100.0


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`kills` deaths in a row at moments up to `within_s` after a start, drawn from `seed`."""

    kind: str
    seed: int
    kills: int
    within_s: float
    plan: str = "restless"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What was done, how often a process was killed before it had ended, and what did not hold.

    `outlived` counts the processes of the run that were still there right after a kill: those that resuming has to end.
    `rescued` are the refs that keep what interrupted attempts had done.
    """

    scenario: Scenario
    done: Sequence[str]
    killed: int
    outlived: int
    rescued: int
    problems: Sequence[str]
    folder: str = ""


def play(scenario: Scenario, tree: Mapping[str, str]) -> Told:
    """Kill, resume, kill, …, finish, and look."""
    keep: list[bool] = []
    project, tasks = PLANS[scenario.plan]
    with ground(project(), keep=keep) as place:
        draw = random.Random(scenario.seed)
        done: list[str] = []
        killed = outlived = 0
        for _ in range(scenario.kills):
            after_s, group = draw.uniform(0.0, scenario.within_s), draw.random() < 0.5
            hit = _kill(place, scenario.kind, after_s, group=group)
            killed += hit
            outlived += len(place.marked())
            done.append(f"{'group' if group else 'process'} {after_s:.3f} s{'' if hit else ' (had ended)'}")
        last = place.chargehand(*_words(place, scenario.kind))
        problems = place.problems(tasks, tree)
        if last.code != 0:
            problems.insert(0, f"the last process ended with {last.code}: {last.err[-3000:]}")
        keep += [True] * bool(problems)
        return Told(
            scenario=scenario,
            done=done,
            killed=killed,
            outlived=outlived,
            rescued=sum("/rescue/" in ref for ref in place.world.refs()),
            problems=problems,
            folder=str(place.folder),
        )


def _words(place: Ground, kind: str) -> Sequence[str]:
    """`resume` where there is a run: a kill may have come before it was created."""
    if place.run_folder.is_dir():
        return ("resume", RUN, "--no-wait")
    return ("run", "plan.yaml", "--yes", "--run-id", RUN, "--unattended", "--sandbox", kind, "--no-wait")


def _kill(place: Ground, kind: str, after_s: float, *, group: bool) -> bool:
    """Start it and kill it so many seconds later; whether it was still there to be killed."""
    process = place.start("-m", "chargehand", *_words(place, kind))
    try:
        process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        _drain(process)
        return process.returncode == -signal.SIGKILL
    return False


def _drain(process: subprocess.Popen[str]) -> None:
    """Wait for it; its pipes are of no more interest, and what it left behind may hold them open."""
    process.wait(PATIENCE_S)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def undisturbed(kind: str, plan: str) -> tuple[Mapping[str, str], float]:
    """The tree of a run that nobody kills, and how long it takes."""
    project, tasks = PLANS[plan]
    with ground(project()) as place:
        began = time.monotonic()
        done = place.chargehand(*_words(place, kind))
        wall_s = time.monotonic() - began
        problems = place.problems(tasks, None)
        assert done.code == 0, done.err
        assert not problems, problems
        return place.tree(), wall_s


def available() -> list[str]:
    """The sandboxes that work here; one that does not is said loudly."""
    found = []
    for kind in KINDS:
        try:
            asyncio.run(choose(kind))
        except UserError as error:
            print(f"*** NOT TESTED: kills under the sandbox {kind}. {error.message}", flush=True)
        else:
            found.append(kind)
    return found


def _sweep(kind: str, plan: str, seeds: Sequence[int], kills: int, jobs: int) -> int:
    """All scenarios of a sandbox; how many failed."""
    began = time.monotonic()
    tree, wall_s = undisturbed(kind, plan)
    scenarios = [Scenario(kind=kind, seed=seed, kills=kills, within_s=wall_s * WITHIN, plan=plan) for seed in seeds]
    print(f"kills under {kind}: an undisturbed run takes {wall_s:.1f} s", flush=True)
    killed = outlived = rescued = failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        for told in pool.map(partial(play, tree=tree), scenarios):
            killed += told.killed
            outlived += told.outlived
            rescued += told.rescued
            failed += bool(told.problems)
            mark = "FAILED" if told.problems else "good"
            print(f"{mark} {kind} seed {told.scenario.seed}: killed {', '.join(told.done)}", flush=True)
            for problem in told.problems:
                print(f"    {problem}", flush=True)
            if told.problems:
                print(
                    f"    kept: {told.folder}; again: python -m tests.crash.kills --kind {kind} --plan {plan}", end=""
                )
                print(f" --seed {told.scenario.seed} --kills {kills} --scenarios 1", flush=True)
    took_s = time.monotonic() - began
    print(f"kills under {kind}: {killed} coordinators killed in {len(seeds)} runs, outlived by {outlived} processes")
    print(f"kills under {kind}: {rescued} states rescued, {failed} runs failed, {took_s:.0f} s", flush=True)
    return failed


def main() -> int:
    """Go through the sandboxes; 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, action="append", help="a sandbox; default: all that work here")
    parser.add_argument("--plan", choices=PLANS, default="restless")
    parser.add_argument("--seed", type=int, default=1, help="of the first scenario; the others count on from it")
    parser.add_argument("--scenarios", type=int, default=18, help="runs per sandbox")
    parser.add_argument("--kills", type=int, default=KILLS, help="kills in a row, before a run may finish")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.scenarios)
    failed = sum(_sweep(kind, given.plan, seeds, given.kills, given.jobs) for kind in given.kind or available())
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
