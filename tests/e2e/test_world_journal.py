"""Journals in a bad world: damaged, of another release, on a full or read-only disk, without descriptors (SPEC 8).

Whatever happened to the file: a clear error that names it, never a traceback; the other runs are not touched by it;
nothing that landed lands again [I4].
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.journal_sqlite import SqliteJournal
from tests.e2e.cliworld import CliWorld, Done, task
from tests.repos import Repo, hermetic_environment

PAGE = 4096


def state(cli: CliWorld) -> Path:
    return cli.repo.path / ".git" / "chargehand"


def journal(cli: CliWorld, run: str = "todo-1") -> Path:
    return state(cli) / "runs" / run / "journal.db"


def landings(cli: CliWorld, run: str = "todo-1") -> Counter[str]:
    """How often each task is on the branch."""
    listed = cli.repo.git(
        "log", "--first-parent", "--format=%(trailers:key=Chargehand-Task,valueonly)", f"chargehand/{run}"
    )
    return Counter(line for line in listed.splitlines() if line)


def clear(done: Done, *, codes: tuple[int, ...] = (2, 3)) -> str:
    """The error of a call that failed clearly: no traceback, no report of a crash. Its code; empty without one."""
    assert done.code in codes, (done.code, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert "Chargehand failed" not in done.stdout + done.stderr
    error = done.document.get("error") if done.stdout.startswith("{") else None
    if error is None:
        return ""
    assert error["code"] != "internal"
    assert error["message"].endswith(".")
    return str(error["code"])


# -- damage ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What happens to a journal; what `status` answers; a text of its message."""

    harm: Callable[[Path], None]
    code: str
    text: str


def patched(change: Callable[[bytearray], object]) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        data = bytearray(path.read_bytes())
        change(data)
        path.write_bytes(data)

    return harm


def flip_in_a_body(data: bytearray) -> None:
    at = data.index(b'"type":"CanaryFinished"')
    data[at + len(b'"type":"Canary')] ^= 0x20  # still JSON, still text


def noise(start: int, size: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        data[start : start + size] = random.Random(start).randbytes(size)

    return change


def future_event(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        seq, chain = connection.execute("SELECT seq, chain FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        resumed = {"pid": 1, "host": "h", "version": "9.8.7", "unattended": None}
        for kind, data in (("RunResumed", resumed), ("TaskBeamedUp", {"task": "a"})):
            seq, body = seq + 1, json.dumps({"type": kind, "v": 1, "data": data})
            chain = sha256(f"{chain}\n{seq}\n{1.5!r}\n{body}".encode()).hexdigest()
            connection.execute("INSERT INTO events VALUES (?, 1.5, ?, '', NULL, ?, ?)", (seq, kind, body, chain))


def future_schema(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")


def other_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE notes (text)")


FAULTS = {
    "a bit of a body": Fault(patched(flip_in_a_body), "journal_failed", "is not as it was written"),
    "the header": Fault(patched(noise(0, 16)), "journal_failed", "is damaged"),
    "the first page": Fault(patched(noise(0, PAGE)), "journal_failed", "is damaged"),
    "the root of the events": Fault(patched(noise(PAGE, PAGE)), "journal_failed", "is damaged"),
    "cut in half": Fault(lambda path: os.truncate(path, path.stat().st_size // 2), "journal_failed", "is damaged"),
    "zeros": Fault(
        patched(lambda data: data.__setitem__(slice(None), bytes(len(data)))), "journal_failed", "is damaged"
    ),
    "empty": Fault(lambda path: os.truncate(path, 0), "journal_failed", "it is empty"),
    "a schema of the future": Fault(future_schema, "newer_journal", "has schema 99"),
    "an event of the future": Fault(future_event, "newer_journal", "9.8.7 wrote to it last"),
    "somebody else's": Fault(other_database, "not_a_journal", "not a journal of Chargehand"),
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> CliWorld:
    """A repository with a run that has ended, and a newer one that waits for a person after its first landing."""
    folder = tmp_path_factory.mktemp("office")
    (folder / "home").mkdir()
    repo = Repo(path=folder / "project", environ=hermetic_environment(folder / "home")).init()
    repo.commit("base", readme="A project.\n")
    cli = CliWorld(repo, folder / "cli")
    assert cli.run(cli.plan([task("a")]), "--json").code == 0
    tasks = [task("a"), task("b", depends_on=["a"], needs_human=True)]
    assert cli.run(cli.plan(tasks), "--json").code == 4
    return cli


@contextmanager
def harmed(cli: CliWorld, fault: Fault, run: str) -> Iterator[Path]:
    """A run with a damaged journal and without a snapshot; afterwards it is as it was."""
    folder = journal(cli, run).parent
    kept = folder.with_name(".kept")
    shutil.copytree(folder, kept)
    for snapshot in folder.glob("snapshot*"):
        snapshot.unlink()
    try:
        fault.harm(folder / "journal.db")
        yield folder / "journal.db"
    finally:
        shutil.rmtree(folder)
        kept.rename(folder)


@pytest.mark.parametrize("name", FAULTS)
def test_a_damaged_journal_is_told_by_every_command(office: CliWorld, name: str):
    """I14: and nothing is written to it, whoever looks; the healthy run stays in sight."""
    fault = FAULTS[name]
    with harmed(office, fault, "todo-2") as path:
        before = path.read_bytes()
        for words in (["status"], ["log"], ["resume", "--unattended"]):
            done = office.call(*words, "--json")
            assert clear(done) == fault.code, (words, done.stdout)
            assert fault.text in done.document["error"]["message"], words
            assert str(path) in done.document["error"]["message"]
            assert path.read_bytes() == before, words
        assert done.code == (3 if fault.code == "journal_failed" else 2)
        listed = office.call("runs", "--json")
        assert listed.code == 0
        assert [(row["run"], row["state"]) for row in listed.document["runs"]] == [("todo-1", "finished")]
        assert [(row["run"], row["code"]) for row in listed.document["unreadable"]] == [("todo-2", fault.code)]
        assert "todo-2 cannot be read" in listed.stderr
    assert office.call("status", "--json").document["state"] == "waiting"


@pytest.mark.parametrize("name", ["a bit of a body", "the first page", "empty", "an event of the future"])
def test_the_doctor_names_the_run(office: CliWorld, name: str):
    """Looking changes nothing, as long as no repair is asked for."""
    with harmed(office, FAULTS[name], "todo-2") as path:
        before = path.read_bytes()
        found = office.call("doctor")
        assert found.code == 1
        assert "todo-2" in found.stdout
        assert "Traceback" not in found.stderr
        assert path.read_bytes() == before


def test_a_newer_journal_says_which_release_to_use(office: CliWorld):
    with harmed(office, FAULTS["an event of the future"], "todo-2"):
        error = office.call("status", "--json").document["error"]
        assert error["hint"] == "Use Chargehand 9.8.7 or a later one."


@pytest.mark.parametrize("page", [3, 4, 5])
def test_a_page_beside_the_events_does_no_harm_to_them(office: CliWorld, page: int):
    """The inbox, its indexes and the facts about the file: what they hold may be lost, no event is."""
    fault = Fault(patched(noise((page - 1) * PAGE, PAGE)), "", "")
    with harmed(office, fault, "todo-2"):
        assert office.call("status", "--json").document["counts"] == {"integrated": 1, "awaiting_decision": 1}
        clear(office.call("resume", "--json", "--no-wait"), codes=(2, 3, 4))
        clear(office.call("answer", "d1", "approve", "--json"), codes=(0, 2, 3))
        assert landings(office, "todo-2")["a"] == 1


def test_a_new_run_is_not_kept_from_starting(office: CliWorld):
    """A journal that cannot be read belongs to one run; others begin and end."""
    with harmed(office, FAULTS["zeros"], "todo-2"):
        done = office.run(office.plan([task("n")]), "--json", "--run-id", "new", "--unattended")
        assert done.code == 0, done.stderr


def test_clean_takes_nothing_of_a_run_that_cannot_be_read(office: CliWorld):
    """I2: it may still be repaired."""
    refs = office.repo.git("for-each-ref", "refs/chargehand", "--format=%(refname)")
    with harmed(office, FAULTS["the first page"], "todo-2") as path:
        before = path.read_bytes()
        done = office.call("clean", "--json")
        clear(done, codes=(0,))
        assert path.read_bytes() == before
        mine = [ref for ref in refs.splitlines() if "/todo-2/" in ref]
        assert mine
        assert set(mine) <= set(office.repo.git("for-each-ref", "refs/chargehand", "--format=%(refname)").splitlines())


# -- the write-ahead log --------------------------------------------------------------------------


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


@pytest.fixture
def killed(cli: CliWorld) -> CliWorld:
    """A run killed after its first landing: most of its journal is in the log alone."""
    plan = cli.plan([task("a"), task("b", depends_on=["a"])])
    cli.script({"b": [{"stay": True}]})
    with cli.started_run(plan, "--unattended") as process:
        cli.wait_until_written()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    cli.script({})
    assert journal(cli).with_name("journal.db-wal").stat().st_size > PAGE
    assert landings(cli) == {"a": 1}
    return cli


def test_a_log_that_was_removed_is_noticed(killed: CliWorld, tmp_path: Path):
    """I4: the journal that is left knows of no landing. With the log back, the run goes on."""
    folder = journal(killed).parent
    shutil.copytree(folder, tmp_path / "kept", ignore=shutil.ignore_patterns("nudge"))
    for end in ("-wal", "-shm"):
        journal(killed).with_name(f"journal.db{end}").unlink()
    for snapshot in folder.glob("snapshot*"):
        snapshot.unlink()
    head = killed.repo.head("chargehand/todo-1")
    for _ in range(2):
        done = killed.call("resume", "--json", "--unattended")
        assert clear(done) == "journal_failed"
        assert "has lost events" in done.document["error"]["message"]
        assert killed.repo.head("chargehand/todo-1") == head
    shutil.rmtree(folder)
    (tmp_path / "kept").rename(folder)
    assert killed.call("resume", "--json", "--unattended").code == 0
    assert landings(killed) == {"a": 1, "b": 1}


@pytest.mark.parametrize("part", [0, 10, 30, 60, 90])
def test_a_damaged_log_lands_nothing_twice(killed: CliWorld, part: int):
    """I4: SQLite takes a log up to the first frame that is not whole; what that loses, git still knows."""
    log = journal(killed).with_name("journal.db-wal")
    for snapshot in log.parent.glob("snapshot*"):
        snapshot.unlink()
    data = bytearray(log.read_bytes())
    data[len(data) * part // 100 + 4] ^= 0xFF
    log.write_bytes(data)
    done = killed.call("resume", "--json", "--unattended")
    clear(done, codes=(0, 1, 3))
    assert max(landings(killed).values()) == 1
    with SqliteJournal.open(journal(killed), readonly=True) as opened:
        assert opened.check() == []


# -- a full disk ----------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of that size at a folder; only the administrator can have one."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("Only the administrator can mount a small disk; the test with a limit for files runs everywhere.")
    mounted = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if mounted.returncode:
        pytest.skip(f"No small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], timeout=30, check=True)


def test_a_disk_that_fills_up_in_the_middle(cli: CliWorld):
    """I2, I4, I5: the run ends with the reason; with space again it goes on, and each task lands once."""
    before = cli.repo.files("main")
    with small_disk(state(cli), "2m"):
        ballast = state(cli) / "ballast"
        cli.script({"b": [{"write": {str(ballast): "x" * 3_000_000}}]})
        done = cli.run(cli.plan([task("a"), task("b", depends_on=["a"]), task("c", depends_on=["b"])]), "--json")
        assert clear(done) == "journal_failed"
        assert "No space is left for the journal" in done.document["error"]["message"]
        assert landings(cli) == {"a": 1}
        assert cli.call("status", "--json").document["counts"]["integrated"] == 1
        again = cli.call("resume", "--json")
        assert clear(again, codes=(2, 3))
        ballast.unlink()
        cli.script({})
        done = cli.call("resume", "--json")
        assert done.code == 0, (done.stdout, done.stderr)
        assert landings(cli) == {"a": 1, "b": 1, "c": 1}
        with SqliteJournal.open(journal(cli), readonly=True) as opened:
            assert opened.check() == []
    assert cli.repo.files("main") == before


def limited(cli: CliWorld, limit: str, *words: str | Path) -> Done:
    """A call under a limit of the shell, such as `-n 16`."""
    got = subprocess.run(
        ["sh", "-c", f'ulimit {limit} && exec "$@"', "sh", sys.executable, "-m", "chargehand", *map(str, words)],
        cwd=cli.repo.path,
        env=cli.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return Done(got.returncode, got.stdout, got.stderr)


@pytest.mark.parametrize("blocks", [64, 96, 128])  # of 512 bytes; with 64 not even a run can be made
def test_a_file_that_may_not_grow(cli: CliWorld, blocks: int):
    """I4, I5: the log reaches the limit of a file at one append or another; without a limit the run goes on."""
    plan = cli.plan([task("a"), task("b", depends_on=["a"])])
    done = limited(cli, f"-f {blocks}", "run", plan, "--agent-command", cli.agent, "--sandbox", "none", "--json")
    assert clear(done) == "journal_failed"
    assert str(state(cli)) in done.document["error"]["message"]
    if blocks == 64:
        assert [entry.name for entry in (state(cli) / "runs").iterdir() if entry.is_dir()] == []
        done = cli.run(plan, "--json")
    else:
        with SqliteJournal.open(journal(cli), readonly=True) as opened:
            assert opened.check() == []
        done = cli.call("resume", "--json")
    assert done.code == 0, (done.stdout, done.stderr)
    assert landings(cli) == {"a": 1, "b": 1}


# -- a folder that cannot be written --------------------------------------------------------------


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """For the administrator a file system that is read-only, for anybody else permissions."""
    if os.geteuid() == 0:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], timeout=30, check=True)
        try:
            yield
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], timeout=30, check=True)
        return
    modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")] if not path.is_symlink()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_read_only_state_folder(cli: CliWorld):
    """It can be looked at; what would write says so, and nothing is lost."""
    with small_disk(state(cli), "8m") if os.geteuid() == 0 else nullcontext():
        plan = cli.plan([task("a", needs_human=True)])
        assert cli.run(plan, "--json").code == 4
        with read_only(state(cli)):
            assert cli.call("status", "--json").document["state"] == "waiting"
            assert [row["run"] for row in cli.call("runs", "--json").document["runs"]] == ["todo-1"]
            assert cli.call("log").code == 0
            assert cli.call("decisions", "--json").document["decisions"][0]["id"] == "d1"
            for words in (["resume"], ["answer", "d1", "approve"]):
                clear(cli.call(*words, "--json"))
            clear(cli.run(plan, "--json", "--new"))
            assert cli.call("doctor").code == 1
        assert cli.call("approve", "d1").code == 0
        assert cli.call("resume", "--json").code == 0
        assert landings(cli) == {"a": 1}


# -- descriptors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [10, 14, 18, 22, 26, 32, 40, 64])
def test_few_descriptors(cli: CliWorld, count: int):
    """Either it works, or it says what it ran out of; with enough of them the run ends well."""
    plan = cli.plan([task("a"), task("b", depends_on=["a"])])
    done = limited(cli, f"-n {count}", "run", plan, "--agent-command", cli.agent, "--sandbox", "none", "--json")
    code = clear(done, codes=(0, 2, 3, 4))
    if code:
        assert "Too many open files" in done.document["error"]["message"] or "journal" in code, done.stdout
    if not journal(cli).exists():
        assert code
        return
    for decision in _open_questions(cli):
        assert cli.call("answer", decision["id"], "retry").code == 0
    done = cli.call("resume", "--json")
    assert done.code == 0, (done.stdout, done.stderr)
    assert landings(cli) == {"a": 1, "b": 1}


def _open_questions(cli: CliWorld) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cli.call("decisions", "--json").document["decisions"]
    return found
