"""A real repository in which real coordinators are killed, and everything that must hold of it afterwards."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chargehand.adapters.confined import mark_of
from chargehand.adapters.process.marks import marked
from chargehand.adapters.process.tree import snapshot
from chargehand.domain.events import Recorded, TaskIntegrated
from chargehand.domain.evolve import evolve, fold
from tests.e2e.world import World
from tests.repos import Repo, hermetic_environment
from tests.reviews import ReviewWatch

__all__ = ["RUN", "Ended", "Ground", "ground"]

ROOT = Path(__file__).resolve().parents[2]
RUN = "r"
PATIENCE_S = 100.0
_REFS = re.compile(
    rf"refs/heads/(?:main|chargehand/{RUN})|refs/chargehand/bases/{RUN}|refs/notes/chargehand"
    rf"|refs/chargehand/(?:attempts|candidates|rescue)/{RUN}/[^/]+/[0-9]+(?:-fix-[0-9]+)?"
)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A process that has ended; a negative `code` is a signal."""

    code: int
    out: str
    err: str


@dataclass
class Ground:
    """`folder` holds everything, `project` is the repository; `before` is the checkout as it was."""

    folder: Path
    project: Path
    environ: Mapping[str, str]
    before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def world(self) -> World:
        """The repository, to be looked at."""
        return World(Repo(path=self.project, environ=self.environ), self.folder)

    @property
    def runs(self) -> Path:
        """Where the runs are."""
        return self.project / ".git" / "chargehand" / "runs"

    @property
    def run_folder(self) -> Path:
        """The folder of the run."""
        return self.runs / RUN

    def git(self, *words: str) -> str:
        """What git says."""
        return self.world.repo.git(*words)

    # -- processes ----------------------------------------------------------------------------

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A Python program in the repository, in a session of its own, so that its group can be killed."""
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.project,
            env={**self.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, *words: str) -> Ended:
        """The same, to its end."""
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err += f"\nIt did not end within {PATIENCE_S:.0f} s."
        return Ended(code=process.returncode, out=out, err=err)

    def chargehand(self, *words: str) -> Ended:
        """The real command line."""
        return self.call("-m", "chargehand", *words)

    def marked(self) -> list[int]:
        """The processes that carry the mark of the run."""
        return [stat.pid for stat in marked(mark_of(self.run_folder), snapshot(), [os.getpid()])]

    # -- what must hold -----------------------------------------------------------------------

    def tree(self) -> dict[str, str]:
        """The final tree. Lists of changes are compared as sets: two that conflict may land in either order."""
        files = self.world.repo.files(f"chargehand/{RUN}")
        if "CHANGES.md" in files:
            files["CHANGES.md"] = "\n".join(sorted(files["CHANGES.md"].splitlines()))
        return files

    def landed(self) -> list[str]:
        """The tasks on the first-parent line of the branch, oldest first."""
        words = ("log", "--first-parent", "--reverse", "--format=%(trailers:key=Chargehand-Task,valueonly,separator=)")
        return self.git(*words, f"main..chargehand/{RUN}").splitlines()

    def problems(self, tasks: Sequence[str], tree: Mapping[str, str] | None) -> list[str]:
        """Everything that is not as it must be once the run is over; `tree` is that of an undisturbed run."""
        status = self.chargehand("status", RUN, "--json")
        document = json.loads(status.out)
        states = {task["id"]: task["state"] for task in document.get("tasks", ())}
        return [
            *_unless(document.get("state") == "finished", f"the run is {document.get('state')}: {status.out[:2000]}"),
            *_unless(set(states.values()) == {"integrated"}, f"not everything is integrated: {states}"),
            *_unless(Counter(self.landed()) == Counter(tasks), f"I4: landed: {self.landed()}"),
            *_unless(tree is None or self.tree() == tree, "the final tree is another one"),
            *_unless(self.world.checkout() == dict(self.before), "I1: the user's checkout, index or HEAD changed"),
            *self._receipts(),
            *self._reviews(),
            *self._refs(),
            *self._processes(),
            *self._pools(),
            *self._locks(),
        ]

    def _receipts(self) -> Iterator[str]:
        """Journal, files and notes say the same of every landing, once each."""
        done = self.chargehand("receipt", "verify", RUN, "--no-run", "--json")
        yield from _unless(done.code == 0, f"the receipts do not hold: {done.out[:2000]}{done.err[-500:]}")
        commits = self.git("rev-list", "--first-parent", f"main..chargehand/{RUN}").splitlines()
        lines = [line for each in commits for line in self.git("notes", "--ref=chargehand", "show", each).splitlines()]
        kinds = Counter(json.loads(line)["kind"] for line in lines)
        yield from _unless(kinds == {"task": len(commits), "run": 1}, f"notes of {len(commits)} landings: {kinds}")

    def _reviews(self) -> Iterator[str]:
        """I7, I10: whatever was cut off, what the journal tells of reviews is what an undisturbed run may tell."""
        first, *rest = self._journal()
        watch, state = ReviewWatch(), fold([first])
        for recorded in rest:
            try:
                if isinstance(recorded.event, TaskIntegrated):
                    watch.lands(state.tasks[recorded.event.task])
                watch.follow(recorded.event, state)
            except (AssertionError, KeyError) as error:
                yield f"I7: reviews at event {recorded.seq} ({type(recorded.event).__name__}): {error!r}"
                return
            evolve(state, recorded.event, recorded.at)

    def _journal(self) -> list[Recorded]:
        async def read() -> list[Recorded]:
            shop = await self.world.shop(())
            return list(shop.service.events(RUN))

        return asyncio.run(read())

    def _refs(self) -> Iterator[str]:
        for ref in self.world.refs():
            yield from _unless(bool(_REFS.fullmatch(ref)), f"a ref no document names: {ref}")
        fsck = subprocess.run(
            ["git", "fsck", "--full", "--strict", "--no-dangling"],
            cwd=self.project,
            env=dict(self.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        yield from _unless(fsck.returncode == 0, f"git fsck: {fsck.stdout}{fsck.stderr}")

    def _processes(self) -> Iterator[str]:
        """I11: by the product's own marks, and by anything that names this folder."""
        for pid in self.marked():
            yield f"I11: process {pid} carries the mark of the run"
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid() and self._is_ours(entry):
                yield f"I11: process {entry.name} is left: {_command(entry)}"

    def _is_ours(self, entry: Path) -> bool:
        mark = os.fsencode(self.folder)
        try:
            return mark in (entry / "environ").read_bytes() or mark in (entry / "cmdline").read_bytes()
        except OSError:
            return False

    def _pools(self) -> Iterator[str]:
        (outside,) = (self.folder / "state" / "chargehand").iterdir()
        for slot in [*outside.glob("agents/s*"), *outside.glob("gates/s*")]:
            note = json.loads((slot / "note.json").read_bytes()) if (slot / "note.json").is_file() else {}
            held = note.get("held") and slot.parent.name == "agents"  # nothing in those of gates is to be kept
            yield from _unless(not held, f"workspace {slot} says it is held")
            yield from _unless(_is_free(slot / "lock"), f"workspace {slot} is held")
        for room in outside.glob("private/*/*"):
            yield f"a private folder is left: {room}"

    def _locks(self) -> Iterator[str]:
        yield from _unless(_is_free(self.run_folder / "lock"), "the run is held")
        for lock in (self.project / ".git").rglob("*.lock"):
            yield f"a lock is left: {lock}"


def _unless(holds: bool, problem: str) -> list[str]:
    return [] if holds else [problem]


def _command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return "?"


def _is_free(lock: Path) -> bool:
    file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


@contextmanager
def ground(template: Mapping[str, str], *, keep: Sequence[object] = ()) -> Iterator[Ground]:
    """A repository with these files, in a new folder with a short name (sockets need one).

    Removed afterwards, unless something is in `keep` by then.
    """
    folder = Path(tempfile.mkdtemp(prefix="kill-"))
    try:
        home = folder / "home"
        home.mkdir()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environ = {**hermetic_environment(home), "PATH": path, "XDG_STATE_HOME": str(folder / "state")}
        repo = Repo(path=folder / "p", environ=environ).init()
        for name, text in template.items():
            repo.write(name, text)
        repo.commit("base")
        made = Ground(folder=folder, project=repo.path, environ=environ)
        made.before = made.world.checkout()
        yield made
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
