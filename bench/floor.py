"""The floor: the least that the same work can cost, with nothing of Chargehand in it.

What is left in is what any honest coordinator has to do for a task: a recycled checkout of its own, an agent process
and gates in bubblewrap, the change fetched and named, the gate once more where the merge made another tree, a merge
without a work tree, a compare-and-swap, and two durable commits (intent, outcome) for each of those steps.
What is left out is everything else: plans, decisions, evidence, scopes, secrets, budgets, watching, briefs, resume.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.work import AGENT, PYTEST, Item, environment, git, levels, make_repository

__all__ = ["Floor", "main"]

CREATE = "CREATE TABLE event (seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT"


class Journal:
    """Two commits a step, as durable as SQLite makes them."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute(CREATE)
        self.commits = 0

    def note(self, **body: object) -> None:
        self.connection.execute("INSERT INTO event (body) VALUES (?)", (json.dumps(body),))
        self.commits += 1


class Floor:
    """One run of `items` on `repository`, `slots` at a time."""

    def __init__(
        self,
        repository: Path,
        place: Path,
        items: tuple[Item, ...],
        *,
        sleep_s: float,
        gate: bool,
        sandbox: bool = True,
        train_s: float | None = None,
    ) -> None:
        self.repository, self.place, self.items = repository, place, items
        self.sleep_s, self.gate, self.sandbox, self.train_s = sleep_s, gate, sandbox, train_s
        self.env = environment(place)
        self.processes = 0
        self.journal = Journal(place / "journal.db")
        self.landing = asyncio.Lock()
        self.agents_s: dict[str, float] = {}
        self.tasks_s: list[float] = []
        self.free: asyncio.Queue[tuple[Path, Path]] = asyncio.Queue()
        self.done: dict[str, asyncio.Event] = {item.id: asyncio.Event() for item in items}
        self.head = self.tip = git(repository, "rev-parse", "HEAD", env=self.env)
        self.last = asyncio.Event()
        self.last.set()
        self.agent = place / "agent.sh"
        self.agent.write_text(AGENT)
        self.agent.chmod(0o755)

    async def run(self, slots: int) -> None:
        """Everything, in order of the graph."""
        await self.git(self.repository, "update-ref", "refs/heads/floor", self.head)
        for number in range(slots):
            self.free.put_nowait((self.place / f"w{number}", self.place / f"g{number}"))
        await asyncio.gather(*(self.task(item) for item in self.items))

    async def task(self, item: Item) -> None:
        for other in item.after:
            await self.done[other].wait()
        work, check = await self.free.get()
        began = time.perf_counter()
        sealed, tree = await self.attempt(item, work)
        if self.train_s is not None:
            await self.ride(item, check, sealed)
        else:
            await self.judge(item, check, sealed)
            async with self.landing:
                await self.land(item, check, sealed, tree)
        self.tasks_s.append(time.perf_counter() - began - self.agents_s[item.id])
        self.free.put_nowait((work, check))
        self.done[item.id].set()

    async def attempt(self, item: Item, work: Path) -> tuple[str, str]:
        """Agent process in a recycled checkout; the change named and in the repository."""
        self.journal.note(step="attempt", task=item.id)
        await self.check_out(work, self.head)
        result = self.place / f"{item.id}.json"
        env = {"CHARGEHAND_TASK": item.id, "CHARGEHAND_RESULT": str(result)}
        began = time.perf_counter()
        await self.confined(work, self.place, (str(self.agent), str(self.sleep_s)), env)
        self.agents_s[item.id] = time.perf_counter() - began
        ref = f"refs/floor/{item.id}"
        await self.git(self.repository, "fetch", "-q", "--no-tags", str(work), f"HEAD:{ref}")
        named = await self.git(self.repository, "rev-parse", ref, f"{ref}^{{tree}}")
        await self.git(self.repository, "diff-tree", "-r", "-z", "--raw", self.head, ref)
        sealed, tree = named.split()
        self.journal.note(step="attempt", task=item.id, report=result.read_text(), commit=sealed)
        return sealed, tree

    async def judge(self, item: Item, check: Path, commit: str) -> None:
        """The gate on one commit, in a recycled checkout."""
        if not self.gate:
            return
        self.journal.note(step="gate", task=item.id)
        await self.check_out(check, commit)
        await self.confined(check, check, (*PYTEST, f"tests/test_{item.id}.py"), {})
        self.journal.note(step="gate", task=item.id, passed=True)

    async def ride(self, item: Item, check: Path, sealed: str) -> None:
        """A train: merge onto the one before, the gate meanwhile, and land behind it."""
        async with self.landing:
            commit, _ = await self.merge(item, self.tip, sealed)
            self.tip, before, landed = commit, self.last, asyncio.Event()
            self.last = landed
        self.journal.note(step="gate", task=item.id)
        await self.check_out(check, commit)
        await self.confined(check, check, ("sleep", str(self.train_s)), {})
        self.journal.note(step="gate", task=item.id, passed=True)
        await before.wait()
        await self.move(item, commit)
        landed.set()

    async def land(self, item: Item, check: Path, sealed: str, tree: str) -> None:
        """Merge without a work tree, the gate again on another tree, compare and swap."""
        commit, merged = await self.merge(item, self.head, sealed)
        if merged != tree:
            await self.judge(item, check, commit)
        await self.move(item, commit)

    async def merge(self, item: Item, head: str, sealed: str) -> tuple[str, str]:
        """The merge commit and its tree."""
        self.journal.note(step="merge", task=item.id)
        merged = await self.git(self.repository, "merge-tree", "--write-tree", head, sealed)
        parents = ("-p", head, "-p", sealed)
        commit = await self.git(self.repository, "commit-tree", merged, *parents, "-m", item.id)
        self.journal.note(step="merge", task=item.id, commit=commit)
        return commit, merged

    async def move(self, item: Item, commit: str) -> None:
        """Compare and swap."""
        self.journal.note(step="land", task=item.id)
        await self.git(self.repository, "update-ref", "refs/heads/floor", commit, self.head)
        self.head = commit
        self.journal.note(step="land", task=item.id, head=commit)

    # -- doors

    async def check_out(self, work: Path, commit: str) -> None:
        """A clone that shares the objects, made once and then recycled."""
        if not work.exists():
            await self.git(self.place, "clone", "-q", "--shared", "--no-checkout", str(self.repository), str(work))
        await self.git(work, "reset", "-q", "--hard", commit)
        await self.git(work, "clean", "-ffdxq")

    async def git(self, where: Path, *args: str) -> str:
        self.processes += 1
        return await self.start("git", *args, cwd=where, env=self.env)

    async def confined(self, work: Path, writable: Path, argv: tuple[str, ...], env: dict[str, str]) -> None:
        if self.sandbox:
            place = str(writable)
            binds = ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--bind", place, place)
            argv = ("bwrap", *binds, "--unshare-pid", "--die-with-parent", "--chdir", str(work), "--", *argv)
        await self.start(*argv, cwd=work, env={**self.env, **env})

    async def start(self, *argv: str, cwd: Path, env: dict[str, str]) -> str:
        pipe = asyncio.subprocess.PIPE
        null = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*argv, cwd=cwd, env=env, stdin=null, stdout=pipe, stderr=pipe)
        out, err = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}: {err.decode()[-2000:]}")
        return out.decode().strip()


def once(options: argparse.Namespace) -> dict[str, float]:
    """One run in a fresh place; what it took."""
    place = Path(tempfile.mkdtemp(prefix="floor-", dir=options.dir))
    try:
        repository = place / "repository"
        make_repository(repository, options.files, environment(place))
        widths = tuple(int(width) for width in options.levels.split(","))
        items = levels(widths)
        sandbox = not options.no_sandbox
        how = {"sleep_s": options.sleep, "gate": not options.no_gate, "train_s": options.train}
        floor = Floor(repository, place, items, **how, sandbox=sandbox)
        began = time.perf_counter()
        asyncio.run(floor.run(options.jobs))
        wall_s = time.perf_counter() - began
        landed = git(repository, "rev-list", "--count", "--merges", "floor", env=floor.env)
        if int(landed) != len(items):
            raise RuntimeError(f"{landed} of {len(items)} tasks landed.")
        usage = resource.getrusage(resource.RUSAGE_SELF)
        tasks = len(items)
        return {
            "wall_s": round(wall_s, 3),
            "tasks": tasks,
            "task_ms": round(median(floor.tasks_s) * 1000, 1),
            "git_a_task": round(floor.processes / tasks, 2),
            "commits_a_task": round(floor.journal.commits / tasks, 2),
            "rss_mb": round(usage.ru_maxrss / 1024, 1),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        }
    finally:
        shutil.rmtree(place, ignore_errors=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="bench/floor.py", description=__doc__.splitlines()[0])
    made.add_argument("--sleep", type=float, default=0.0, help="seconds an agent works (default 0)")
    made.add_argument("--jobs", type=int, default=4, help="slots (default 4)")
    made.add_argument("--files", type=int, default=200, help="files of the repository (default 200)")
    made.add_argument("--levels", default="8,8,4", help="tasks a level (default 8,8,4)")
    made.add_argument("--train", type=float, help="gate candidates built on each other, for so many seconds each")
    made.add_argument("--no-gate", action="store_true", help="leave the gate out")
    made.add_argument("--no-sandbox", action="store_true", help="leave bubblewrap out")
    made.add_argument("--dir", default=None, help="where to work (default: the temporary folder)")
    return made


def main() -> None:
    print(json.dumps(once(parser().parse_args())))


if __name__ == "__main__":
    main()
