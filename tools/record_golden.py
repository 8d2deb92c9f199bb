"""Record journals of real runs of this release, for the tests of every release after it [I14].

    python tools/record_golden.py                        into tests/golden/<version of this release>
    python tools/record_golden.py --only waves,breaker   some of the runs: for working on the scenarios

Each run of `golden_scenarios` is played with the command line, real git and the scripted agent, in a mount namespace of
its own (bubblewrap) in which the project is /srv/project and the host is called `workshop`: a journal tells nothing
of the machine it was recorded on, and its chain is that of the run. Of each run stays `journal.jsonl` (meta, then a
line per event: the body letter by letter, with number, time and chain) and `status.json`; of some the file itself,
`journal.db`. `values.jsonl` holds an event of every type with every word each field may have.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HERE = Path("/srv")
HOST = "workshop"
_DEADLINE_S = 120.0
_PAGE = 4096
_LEAKS = re.compile(rb"/work\b|/home/(?!uma)|/root\b|/tmp/|/Users/")


class Stage:
    """One run: a fresh project at /srv/project, calls of the command line in it, and what a person does beside."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.project = HERE / "project"
        self.run_id = ""
        self.printed = ""
        self.asked: list[str] = []
        self.plan_file = HERE / "plan.json"
        for folder in ("project", "state", "marks", "home"):
            shutil.rmtree(HERE / folder, ignore_errors=True)
            (HERE / folder).mkdir()
        self.environ = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(HERE / "home"),
            "XDG_STATE_HOME": str(HERE / "state"),
            "USER": "uma",
            "LC_ALL": "C.UTF-8",
            "TMPDIR": str(HERE / "marks"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "PYTHONPATH": os.environ["PYTHONPATH"],
        }
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Uma User")
        self.git("config", "user.email", "uma@example.org")
        self.write("src/app.py", "def run():\n    return 1\n")
        self.write("README.md", "A project.\n")
        self.write("AGENTS.md", "Keep functions short.\n")
        self.commit("base")

    # -- the project ------------------------------------------------------------------------------

    def git(self, *words: str) -> str:
        """Run git in the project."""
        got = subprocess.run(
            ["git", *words], cwd=self.project, env=self.environ, capture_output=True, text=True, check=True, timeout=30
        )
        return got.stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        file = self.project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def commit(self, message: str) -> None:
        """Commit everything in the project."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    # -- calls ------------------------------------------------------------------------------------

    def run(self, tasks: Sequence[Mapping[str, Any]], script: Mapping[str, Any], *words: str, **plan: Any) -> int:
        """`chargehand run` to its end or standstill; the exit code."""
        return self.call(*self._run_words(tasks, script, words, plan))

    def _run_words(
        self,
        tasks: Sequence[Mapping[str, Any]],
        script: Mapping[str, Any],
        words: Sequence[str],
        plan: Mapping[str, Any],
    ) -> list[str]:
        text = {"chargehand": 1, "plan": self.name, "tasks": list(tasks), **plan}
        self.plan_file.write_text(json.dumps(text, indent=1), encoding="utf-8")
        (HERE / "scenario.json").write_text(json.dumps({"scenario": 1, "tasks": dict(script)}), encoding="utf-8")
        self.run_id = f"{self.name}-1"
        agent = ["--set", "agents.script.kind=scripted", "--set", f"agents.script.command={HERE / 'scenario.json'}"]
        return ["run", str(self.plan_file), *agent, "--agent", "script", "--sandbox", "none", "--json", *words]

    def call(self, *words: str, ok: Sequence[int] = (0, 1, 4)) -> int:
        """One call of the command line; anything but an expected exit code ends the recording."""
        got = subprocess.run(
            [sys.executable, "-m", "chargehand", *words],
            cwd=self.project,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
        if got.returncode not in ok:
            raise SystemExit(f"{self.name}: {' '.join(words)} ended with {got.returncode}:\n{got.stdout}{got.stderr}")
        self.printed = got.stdout
        return got.returncode

    @contextmanager
    def going(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A call that goes on beside; it is ended with the block."""
        process = subprocess.Popen(
            [sys.executable, "-m", "chargehand", *words],
            cwd=self.project,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def run_until(
        self,
        mark: str,
        end: signal.Signals,
        tasks: Sequence[Mapping[str, Any]],
        script: Mapping[str, Any],
        *words: str,
        **plan: Any,
    ) -> None:
        """`chargehand run`, ended by a signal when the agent has left a mark."""
        with self.going(*self._run_words(tasks, script, words, plan)) as process:
            self._end(process, mark, end)

    def resume_until(self, mark: str, end: signal.Signals) -> None:
        """`chargehand resume`, ended by a signal when the agent has left a mark."""
        with self.going("resume", self.run_id, "--json") as process:
            self._end(process, mark, end)

    def _end(self, process: subprocess.Popen[bytes], mark: str, end: signal.Signals) -> None:
        until = time.monotonic() + _DEADLINE_S
        while not (HERE / "marks" / mark).exists():
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{self.name}: the run ended before there was a mark {mark}.")
            time.sleep(0.02)
        process.send_signal(end)
        process.wait(_DEADLINE_S)

    def resume(self, *words: str) -> int:
        """`chargehand resume`."""
        return self.call("resume", self.run_id, "--json", *words)

    def answer(self, about: str, choice: str, note: str = "") -> None:
        """Answer the open question about a task, or of a kind."""
        self.call("decisions", "--json")
        asked = json.loads(self.printed)["decisions"]
        found = [d["id"] for d in asked if about in (d["task"], d["kind"])]
        if not found:
            raise SystemExit(f"{self.name}: nothing is asked about {about}: {asked}")
        self.call("answer", found[0], choice, *(["--note", note] if note else []))

    def ask(self, kind: str, **fields: str) -> None:
        """What a person asks of the run beside its questions: pause, cancel, retry, skip."""
        asyncio.run(self._ask({"id": f"{kind}-{len(self.asked)}", "kind": kind, "by": "uma", **fields}))

    def replan(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Give the run another plan."""
        text = {"chargehand": 1, "plan": self.name, "tasks": list(tasks)}
        self.plan_file.write_text(json.dumps(text, indent=1), encoding="utf-8")
        asyncio.run(self._ask({"id": f"replan-{len(self.asked)}", "kind": "replan", "by": "uma"}, self.plan_file))

    async def _ask(self, fields: dict[str, str], plan: Path | None = None) -> None:
        from chargehand.adapters.codec import from_data
        from chargehand.ports import Request
        from chargehand.wiring import open_workshop

        shop = await open_workshop(repo=self.project, state_dir=None, sets=(), flags={}, env=self.environ)
        request = from_data(Request, fields)
        if plan is not None:
            request = replace(request, plan=shop.load_plan(plan).plan)
        shop.service.request(self.run_id, request)
        self.asked.append(request.id)

    def wipe(self, event: int) -> None:
        """Damage the journal: the page on which an event ends is zeroed."""
        with closing(sqlite3.connect(self.journal)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (chain,) = connection.execute("SELECT chain FROM events WHERE seq = ?", (event,)).fetchone()
        data = self.journal.read_bytes()
        start = data.index(chain.encode()) // _PAGE * _PAGE
        self.journal.write_bytes(data[:start] + bytes(_PAGE) + data[start + _PAGE :])
        for snapshot in self.journal.parent.glob("snapshot*"):
            snapshot.unlink()

    @property
    def journal(self) -> Path:
        """The journal of the run."""
        return self.project / ".git" / "chargehand" / "runs" / self.run_id / "journal.db"

    def document(self) -> dict[str, Any]:
        """What `status --json` prints."""
        self.call("status", self.run_id, "--json")
        found: dict[str, Any] = json.loads(self.printed)
        return found

    # -- what stays -------------------------------------------------------------------------------

    def keep(self, target: Path, *, database: bool) -> None:
        """Export the journal of the run; refused where it tells of this machine."""
        status = json.dumps(self.document(), indent=1)
        export(self.journal, target, status, database=database)


def export(journal: Path, target: Path, status: str, *, database: bool) -> None:
    """Write journal.jsonl, status.json and, with `database`, journal.db to `target`."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    (target / "status.json").write_text(status + "\n", encoding="utf-8")
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        meta = dict(connection.execute("SELECT name, value FROM meta ORDER BY name"))
        rows = connection.execute("SELECT seq, at, chain, body FROM events ORDER BY seq").fetchall()
    lines = [json.dumps({"schema": schema, "meta": meta})]
    lines += [f'{{"seq":{seq},"at":{at!r},"chain":"{chain}","body":{body}}}' for seq, at, chain, body in rows]
    (target / "journal.jsonl").write_text("\n".join(lines) + "\n", encoding="ascii")
    if database:
        shutil.copyfile(journal, target / "journal.db")
    for file in target.iterdir():
        if leak := _LEAKS.search(file.read_bytes()):
            raise SystemExit(f"{file} tells of this machine: {leak[0].decode()}. Change the scenario.")
    sys.stdout.write(f"{target.name}: {len(rows)} events, {sum(f.stat().st_size for f in target.iterdir())} bytes\n")


# -- the way in -----------------------------------------------------------------------------------


def record(out: Path, only: Sequence[str]) -> None:
    """Play and keep the runs; inside the namespace."""
    from golden_scenarios import DATABASES, SCENARIOS
    from golden_values import keep_values, keep_waits

    scenes: dict[str, Callable[[Stage], None]] = SCENARIOS
    for name, play in scenes.items():
        if not only or name in only:
            stage = Stage(name)
            play(stage)
            stage.keep(out / name, database=name in DATABASES)
    if not only or "waits" in only:
        keep_waits(out / "waits", HERE / "state" / "waits.db")
    if not only or "values" in only:
        keep_values(out / "values.jsonl")


def main() -> int:
    """Parse the words, and go into the namespace."""
    parser = argparse.ArgumentParser(description="Record journals of real runs of this release.")
    parser.add_argument("--src", type=Path, default=ROOT / "src", help="the code that is to play (default: this tree)")
    parser.add_argument("--out", type=Path, help="default: tests/golden/<version>")
    parser.add_argument("--only", default="", help="names of runs, separated by commas")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        record(given.out, [name for name in given.only.split(",") if name])
        return 0
    if shutil.which("bwrap") is None:
        sys.stderr.write("bubblewrap is needed: it gives the runs neutral paths, pids and host name.\n")
        return 2
    source = given.src.resolve()
    version = re.search(r'__version__ = "(.+)"', (source / "chargehand" / "__init__.py").read_text("utf-8"))
    assert version is not None
    out = (given.out or ROOT / "tests" / "golden" / version[1]).resolve()
    if out.exists() and any(out.iterdir()) and not given.only:
        sys.stderr.write(f"{out} holds journals already, and those are never recorded anew: choose another --out.\n")
        return 2
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="golden-") as scratch:
        (Path(scratch) / "src").mkdir()
        argv = ["bwrap", "--dev-bind", "/", "/", "--bind", scratch, str(HERE), "--bind", str(out), str(out)]
        argv += ["--proc", "/proc", "--unshare-pid", "--unshare-uts", "--hostname", HOST, "--die-with-parent"]
        argv += ["--ro-bind", str(source), str(HERE / "src"), "--setenv", "PYTHONPATH", str(HERE / "src")]
        argv += [sys.executable, str(Path(__file__).resolve())]
        return subprocess.run([*argv, "--inside", "--out", str(out), "--only", given.only], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
