"""Chargehand as a user starts it: one process, looked at from outside and through its journal."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.work import AGENT, Item, environment, make_repository, plan_of

__all__ = ["Course", "Place", "Taken", "a_place", "course_of", "cpu_s", "histogram", "rss_mb", "take", "tree_of"]

RUN = "bench"
PR_SET_CHILD_SUBREAPER = 36
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(kw_only=True)
class Place:
    """A repository, an agent and the environment to run Chargehand in."""

    folder: Path
    repository: Path
    agent: Path
    env: dict[str, str] = field(default_factory=dict)

    def argv(self, items: tuple[Item, ...], *, sleep_s: float, gate: bool, jobs: int, run: str = RUN) -> list[str]:
        """The command that runs `items`; writes the plan."""
        agent = shlex.join([str(self.agent), str(sleep_s)])
        return self.command(plan_of(items, gate=gate), run, "--agent-command", agent, "--jobs", str(jobs))

    def command(self, plan: str, run: str, *words: str) -> list[str]:
        """The command that carries out a plan as a run of that name; writes the plan."""
        file = self.folder / "plan.json"
        file.write_text(plan)
        where = ["--repo", str(self.repository), "--state-dir", str(self.folder / "state"), "--run-id", run]
        flags = ["--unattended", "--json", "--quiet", *words]
        return [sys.executable, "-m", "chargehand", "run", str(file), *where, *flags]

    def script(self, name: str, text: str) -> Path:
        """A program of this text."""
        made = self.folder / name
        made.write_text(text)
        made.chmod(0o755)
        return made

    def count_git(self) -> Path:
        """Put a `git` in front of the real one that notes each start; answers with the file of notes.

        What runs in a sandbox cannot write there, so the agents' own commands are not counted.
        """
        real, folder, notes = shutil.which("git"), self.folder / "shim", self.folder / "git.log"
        folder.mkdir()
        shim = folder / "git"
        shim.write_text(f'#!/bin/sh\n{{ echo "$*" >> "{notes}"; }} 2>/dev/null\nexec {real} "$@"\n')
        shim.chmod(0o755)
        self.env["PATH"] = f"{folder}:{self.env['PATH']}"
        return notes


@contextlib.contextmanager
def a_place(folder: str | None, files: int) -> Iterator[Place]:
    """A fresh repository of `files` files in a folder of its own, removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=folder))
    try:
        env = environment(place)
        make_repository(place / "repository", files, env)
        made = Place(folder=place, repository=place / "repository", agent=place / "agent.sh", env=env)
        made.script("agent.sh", AGENT)
        yield made
    finally:
        shutil.rmtree(place, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a run says of itself: seconds from its first to its last event, and per task from start to landing."""

    wall_s: float
    tasks_s: tuple[float, ...]
    agents_s: tuple[float, ...]
    steps_s: dict[str, tuple[float, ...]]
    events: int


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a process took: seconds, CPU seconds of its own, and of everything it started."""

    wall_s: float
    cpu_s: float
    all_cpu_s: float
    out: str


def take(argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Taken:
    """Run a command to its end and measure it; one that fails ends the benchmark.

    Sandboxes leave processes behind that nobody waits for: they become children of ours, so that none is missed.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.perf_counter()
        process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wall_s, own_s = time.perf_counter() - began, cpu_s(process.pid)
        process.returncode, all_s = _reap(process.pid)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            said = (out.read() + err.read())[-4000:]
            raise SystemExit(f"{shlex.join(argv)} ended with {process.returncode}:\n{said}")
        return Taken(wall_s=wall_s, cpu_s=own_s, all_cpu_s=all_s, out=out.read())


def _reap(pid: int) -> tuple[int, float]:
    """Wait for every child there is; the exit code of `pid`, and the CPU seconds of all."""
    code, total_s = 0, 0.0
    with contextlib.suppress(ChildProcessError):
        while True:
            ended, status, usage = os.wait4(-1, 0)
            total_s += usage.ru_utime + usage.ru_stime
            if ended == pid:
                code = os.waitstatus_to_exitcode(status)
    return code, total_s


def course_of(state: Path, run: str = RUN) -> Course:
    """The course of a run in a state folder."""
    from chargehand.adapters.journal_sqlite import SqliteJournal
    from chargehand.domain.effects import StartAttempt
    from chargehand.domain.events import AttemptFinished, EffectIntended, TaskIntegrated

    with SqliteJournal.open(state / "runs" / run / "journal.db", readonly=True) as journal:
        events = list(journal.read())
    began: dict[str, float] = {}
    started: dict[str, tuple[str, float]] = {}
    tasks: list[float] = []
    agents: list[float] = []
    steps: dict[str, list[float]] = {}
    for record in events:
        event = record.event
        if isinstance(event, EffectIntended):
            started[event.effect.key] = (type(event.effect).__name__, record.at)
            if isinstance(event.effect, StartAttempt):
                began.setdefault(event.effect.task, record.at)
        elif (key := getattr(event, "key", None)) in started:
            name, at = started.pop(key)
            steps.setdefault(name, []).append(record.at - at)
            if isinstance(event, AttemptFinished):
                agents.append(event.result.usage.wall_s)
        if isinstance(event, TaskIntegrated):
            tasks.append(record.at - began[event.task])
    return Course(
        wall_s=events[-1].at - events[0].at,
        tasks_s=tuple(tasks),
        agents_s=tuple(agents),
        steps_s={name: tuple(taken) for name, taken in steps.items()},
        events=len(events),
    )


# -- looking at a process from outside


def tree_of(pid: int) -> dict[int, str]:
    """A process and everything below it, with what each is called."""
    found: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            found[int(entry.name)] = (int(rest.split()[1]), line or name)
    tree, todo = {pid: found[pid][1]}, [pid]
    while todo:
        parent = todo.pop()
        for child, (above, line) in found.items():
            if above == parent and child not in tree:
                tree[child] = line
                todo.append(child)
    return tree


def cpu_s(pid: int) -> float:
    """Seconds of CPU a process has used, its children not counted."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def histogram(notes: Path) -> Counter[str]:
    """How often each git command was started, from the notes of `Place.count_git`."""
    counts: Counter[str] = Counter()
    for line in notes.read_text().splitlines():
        words, skip = line.split(), False
        for word in words:
            if skip or word.startswith("-"):
                skip = word in {"-c", "-C", "--git-dir", "--work-tree"} and not skip
                continue
            counts[word] += 1
            break
    return counts
