"""The five systems, killed with SIGKILL at random moments and taken up again: their files are those of a quiet run.

`CHARGEHAND_KILL_ROUNDS` is how often each system is tried (default: once), `CHARGEHAND_KILL_SEED` repeats what a
failure printed. Every round starts the real command line, kills it a few times in a row, the process alone or its whole
group, lets the last process end, kills an accept, accepts again, and looks at everything.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.crash.ground import RUN, Ground, ground
from tests.e2e import test_profile_dispatch as dispatch
from tests.e2e import test_profile_factory_line as factory_line
from tests.e2e import test_profile_konductor as konductor
from tests.e2e import test_profile_sendit as sendit
from tests.e2e import test_profile_task_executor as task_executor

FIXTURES = Path(__file__).parent.parent / "fixtures"
ROUNDS = int(os.environ.get("CHARGEHAND_KILL_ROUNDS", "1"))
KILLS = 3
WITHIN = 0.75
"""The part of a quiet run in which processes are killed: later ones would mostly have ended already."""
PATIENCE_S = 100.0
_ELSEWHERE = ("I1:", "I7:")
"""Artifacts lie in the checkout, and each system has reviews of its own: what holds of these is told by other tests."""

_OTHER_EACH_TIME = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)?"), "TIME"),
    (re.compile(r"(?<![0-9a-f])(?=[a-f]*[0-9])[0-9a-f]{7,64}(?![0-9a-f])"), "HASH"),
    (re.compile(r"(\"?(?:attempts?|total_agent_sessions)\"?\s*[:=]\s*)\d+"), r"\1N"),
    (re.compile(r"(\"run_signature\": \"[^\"/]+/)\d+"), r"\1N"),
    (re.compile(r"(\"elapsed_seconds\": )[0-9.]+"), r"\1N"),
)

Files = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class System:
    """A fixture project: where its artifacts lie, what its agents do, and what else is in it."""

    name: str
    work: Mapping[str, Any]
    artifacts: str
    plan: tuple[str, ...] = ()
    mend: Callable[[dict[str, str]], None] = lambda files: None

    @property
    def template(self) -> dict[str, str]:
        """The files of the project."""
        folder = FIXTURES / self.name
        found = {str(file.relative_to(folder)): file.read_text("utf-8") for file in folder.rglob("*") if file.is_file()}
        self.mend(found)
        return found


def _let_it_release(files: dict[str, str]) -> None:
    name = f"{konductor.PHASE}/plans/005-release.md"
    files[name] = files[name].replace("autonomous = false", "autonomous = true")


def _ignore_the_state(files: dict[str, str]) -> None:
    files[".gitignore"] = ".nexus-cortexia/\n"


SYSTEMS = {
    system.name: system
    for system in (
        System(name="konductor", work=konductor.WORK, artifacts=".konductor/", mend=_let_it_release),
        System(name="dispatch", work=dispatch.WORK, artifacts=".nexus-cortexia/", mend=_ignore_the_state),
        System(name="factory_line", work=factory_line.WORK, artifacts=".kilocode/"),
        System(name="sendit", work=sendit.WORK, artifacts="specs/", plan=("specs",)),
        System(name="task_executor", work=task_executor.WORK, artifacts="prompts/"),
    )
}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run left: artifacts before `accept` and after it, as far as they are the same each time; and its tree."""

    pending: Files
    accepted: Files
    tree: Files
    wall_s: float


def words(place: Ground, system: System) -> tuple[str, ...]:
    """`resume` where there is a run: a kill may have come before it was created."""
    if place.run_folder.is_dir():
        return ("resume", RUN, "--no-wait")
    script = place.folder / "scenario.json"
    script.write_text(json.dumps({"scenario": 1, "tasks": dict(system.work)}), "utf-8")
    sets = ("--set", "agents.script.kind=scripted", "--set", f"agents.script.command={script}")
    return ("run", *system.plan, "--yes", "--run-id", RUN, "--unattended", "--sandbox", "none", "--no-wait", *sets)


def kill(place: Ground, call: tuple[str, ...], after_s: float, *, group: bool) -> bool:
    """Start it and kill it so many seconds later; whether it was still there to be killed."""
    process = place.start("-m", "chargehand", *call)
    try:
        process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        return process.returncode == -signal.SIGKILL
    return False


def artifacts(place: Ground, system: System) -> dict[str, str]:
    """The files of the system: times, hashes and numbers of attempts are other ones each time."""
    found = {}
    for file in sorted((place.project / system.artifacts).rglob("*")):
        if file.is_file():
            text = file.read_text("utf-8")
            text = _settled(_document(text) if file.suffix == ".json" else text)
            found[_settled(str(file.relative_to(place.project)))] = _lines(text) if file.suffix == ".jsonl" else text
    return found


def _lines(text: str) -> str:
    """A log: what was cut off is done and told again, and what nothing orders comes as it comes."""
    return "\n".join(sorted(set(text.splitlines())))


def _document(text: str) -> str:
    """A JSON document whose lists of names, and keys, are in the order in which things came to be."""

    def settled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: settled(value[key]) for key in sorted(value)}
        if isinstance(value, list):
            return sorted(value) if all(isinstance(each, str) for each in value) else [settled(each) for each in value]
        return value

    return json.dumps(settled(json.loads(text)), indent=1, ensure_ascii=False)


def _settled(text: str) -> str:
    for pattern, word in _OTHER_EACH_TIME:
        text = pattern.sub(word, text)
    return text


def finish(place: Ground, system: System, draw: random.Random | None = None) -> tuple[Result, list[str]]:
    """Let a process end, look at what is there, accept, and look again; and what does not hold.

    With `draw` an accept is killed at a random moment, though not the git that it started, and the next one goes on.
    """
    began = time.monotonic()
    last = place.chargehand(*words(place, system))
    wall_s = time.monotonic() - began
    wrong = [f"the last process ended with {last.code}: {last.err[-3000:]}"] if last.code else []
    wrong += [each for each in place.problems(list(system.work), None) if not each.startswith(_ELSEWHERE)]
    pending, tree = artifacts(place, system), place.tree()
    if draw is not None:
        kill(place, ("accept", RUN, "--yes"), draw.uniform(0.3, 1.5), group=False)
    done = place.chargehand("accept", RUN, "--yes")
    wrong += [f"accept: {done.err}"] if done.code else []
    return Result(pending=pending, accepted=artifacts(place, system), tree=tree, wall_s=wall_s), wrong


@cache
def quiet(name: str) -> Result:
    """A run that nobody kills."""
    system = SYSTEMS[name]
    with ground(system.template) as place:
        result, wrong = finish(place, system)
        assert not wrong, wrong
        return result


def differing(one: Files, other: Files) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@pytest.mark.system
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(1, ROUNDS + 1))
@pytest.mark.parametrize("name", SYSTEMS)
def test_whatever_is_killed_the_files_are_those_of_a_quiet_run(name: str, number: int):
    """I4, I11: nothing lands twice, no process is left, git's store is whole, and every artifact says the same."""
    system, wanted = SYSTEMS[name], quiet(name)
    seed = os.environ.get("CHARGEHAND_KILL_SEED") or f"{time.time_ns():x}-{number}"
    print(f"CHARGEHAND_KILL_SEED={seed}")
    draw = random.Random(f"{name} {seed}")
    keep: list[bool] = []
    with ground(system.template, keep=keep) as place:
        told = []
        for _ in range(KILLS):
            after_s, group = draw.uniform(0.0, wanted.wall_s * WITHIN), draw.random() < 0.5
            hit = kill(place, words(place, system), after_s, group=group)
            told.append(f"{'group' if group else 'process'} after {after_s:.3f} s{'' if hit else ' (had ended)'}")
        print("killed", ", ".join(told))
        keep.append(True)
        found, wrong = finish(place, system, draw)
        for when in ("pending", "accepted", "tree"):
            one, other = getattr(wanted, when), getattr(found, when)
            wrong += [f"{when} {file}:\n{one.get(file)}\n--- not\n{other.get(file)}" for file in differing(one, other)]
        assert not wrong, "\n".join([f"seed {seed}: killed {', '.join(told)}; kept: {place.folder}", *wrong])
        keep.clear()
