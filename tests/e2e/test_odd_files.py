"""Pipes, folders, links and rubbish where files of a run belong: told, never waited for, and in nobody's way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chargehand.adapters.inbox import NudgingInbox
from chargehand.domain.errors import UserError
from tests.e2e.cliworld import CliWorld, Done, task
from tests.repos import Repo, hermetic_environment

INTERNAL = 3
BAD = "todo-2"


def _deep(path: Path) -> None:
    path.write_bytes(b"[" * 200_000)


THINGS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "rubbish": lambda path: path.write_bytes(b"\xff\xfe\0 rubbish"),
    "deep": _deep,
}
STOPPING = ("lock", "journal.db", "journal.db-wal", "journal.db-shm")
OTHERS = ("run.json", "snapshot.json", "snapshot.new", "driver.log", "notify.log")
COMMANDS = (("runs",), ("status", BAD), ("doctor",), ("clean", "--dry-run"), ("resume", BAD, "--unattended"))


class Runs:
    """Two runs that wait for an answer; the second is made odd."""

    def __init__(self, cli: CliWorld) -> None:
        self.cli = cli
        cli.script({"a": [{"report": {"status": "BLOCKED", "concerns": ["why?"]}}]})
        plan = cli.plan([task("a")])
        for _ in range(2):
            cli.run(plan, "--new", "--unattended")
        self.store = cli.repo.path / ".git" / "chargehand" / "runs"
        self.folder = self.store / BAD
        self.saved = cli.folder / "saved"
        shutil.copytree(self.folder, self.saved)
        assert self.folder.is_dir()

    def restore(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.saved, self.folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    place = tmp_path_factory.mktemp("odd")
    repo = Repo(path=place / "repo", environ=hermetic_environment(place / "home")).init()
    repo.write("README.md", "A project.\n")
    repo.commit("base")
    return Runs(CliWorld(repo, place / "world"))


def one_line(text: str) -> str:
    """Without the line breaks of a narrow terminal."""
    return " ".join(text.split())


def put(path: Path, make: Callable[[Path], object]) -> None:
    """An odd thing in the place of a file."""
    path.unlink(missing_ok=True)
    make(path)


def asked(runs: Runs) -> dict[str, Done]:
    """What the commands say: none hangs (each has a time limit) or fails for a reason of its own."""
    said = {words[0]: runs.cli.call(*words) for words in COMMANDS}
    assert {name: done.stderr for name, done in said.items() if done.code == INTERNAL} == {}
    assert said["runs"].code == 0
    assert "todo-1" in said["runs"].stdout
    return said


@pytest.mark.parametrize("thing", ["pipe", "folder", "dangling link"])
@pytest.mark.parametrize("name", STOPPING)
def test_a_run_without_its_files_is_told_and_hides_no_other(runs: Runs, name: str, thing: str) -> None:
    """The doctor names what is in the way, and nothing of the run is removed meanwhile."""
    runs.restore()
    put(runs.folder / name, THINGS[thing])
    said = asked(runs)
    assert f"run {BAD} cannot be read" in said["runs"].stderr
    assert f"{BAD}/{name} is" in one_line(said["doctor"].stdout)
    assert said["doctor"].code == 1
    assert [said[name].code for name in ("status", "resume")] == [2, 2]
    assert f"{BAD}/{name} is" in one_line(said["resume"].stderr)


@pytest.mark.parametrize("thing", THINGS)
def test_what_a_run_can_do_without_stops_nothing(runs: Runs, thing: str) -> None:
    """Notes, snapshots and logs that cannot be read are done without; the doctor names them all the same."""
    runs.restore()
    for name in OTHERS:
        put(runs.folder / name, THINGS[thing])
    said = asked(runs)
    assert BAD in said["runs"].stdout
    assert said["status"].code in (0, 1)
    assert said["resume"].code in (0, 1)
    named = [f"{BAD}/{name} is" in one_line(said["doctor"].stdout) for name in OTHERS]
    assert all(named) or thing in {"rubbish", "deep"}


@pytest.mark.parametrize("thing", ["rubbish", "deep"])
def test_a_lock_that_says_nothing_is_free(runs: Runs, thing: str) -> None:
    """The kernel's lock decides, not what the file says."""
    runs.restore()
    put(runs.folder / "lock", THINGS[thing])
    assert asked(runs)["resume"].code in (0, 1)


def test_a_folder_in_the_place_of_the_pipe_is_told(runs: Runs) -> None:
    """Without the pipe nobody could wake the run: then it is not driven."""
    runs.restore()
    put(runs.folder / "nudge", Path.mkdir)
    assert f"{BAD}/nudge is a folder" in one_line(asked(runs)["doctor"].stdout)
    inbox = NudgingInbox(runs.folder / "journal.db", runs.folder / "nudge")
    try:
        with pytest.raises(UserError, match="nudge is a folder"):
            inbox.listen(lambda: None)
    finally:
        inbox.close()


@pytest.mark.parametrize("thing", ["pipe", "folder", "dangling link"])
def test_an_odd_lock_of_starting_is_told(runs: Runs, thing: str) -> None:
    """Where nothing keeps two processes from starting at once, none starts; the doctor says what is to be done."""
    runs.restore()
    starting = runs.store / ".starting"
    put(starting, THINGS[thing])
    try:
        done = runs.cli.run(runs.cli.plan([task("a")]), "--unattended")
        assert done.code == 2
        assert ".starting is" in done.stderr
        assert ".starting is" in " ".join(runs.cli.call("doctor").stdout.split())
    finally:
        starting.rmdir() if thing == "folder" else starting.unlink()
