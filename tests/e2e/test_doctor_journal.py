"""Damaged journals: what can be saved is saved, `resume` finishes the run; what cannot be saved is said."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from chargehand.adapters.salvage import salvage
from chargehand.domain.evolve import fold
from chargehand.wiring import open_workshop
from tests.e2e.cliworld import CliWorld, Done, task
from tests.repos import Repo

TASKS = ["a", "b", "c", "d", "e"]
PAGE = 4096


class Broken:
    """A run that was killed while task d was at work; a, b and c have landed."""

    def __init__(self, cli: CliWorld) -> None:
        self.cli = cli
        # enough in each event that a few of them fill a page
        behind = [task(n, depends_on=[before], description=n * 1500) for before, n in pairwise(TASKS)]
        self.tasks = [task(TASKS[0]), *behind]
        cli.script({"d": [{"write": {"d.txt": "half a d\n"}, "stay": True}, {}]})
        with cli.started_run(cli.plan(self.tasks)) as process:
            cli.wait_until_written()
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        cli.script({})
        self.folder = cli.repo.path / ".git" / "chargehand" / "runs" / "todo-1"
        self.journal = self.folder / "journal.db"

    def into_one_file(self) -> None:
        """Everything in the file, nothing in its log."""
        connection = sqlite3.connect(self.journal)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def page_of(self, event: int) -> int:
        """The number of the page on which an event ends."""
        connection = sqlite3.connect(self.journal)
        (chain,) = connection.execute("SELECT chain FROM events WHERE seq = ?", (event,)).fetchone()
        connection.close()
        return self.journal.read_bytes().index(chain.encode()) // PAGE

    def events(self) -> int:
        connection = sqlite3.connect(self.journal)
        (count,) = connection.execute("SELECT max(seq) FROM events").fetchone()
        connection.close()
        return int(count)

    def wipe(self, page: int) -> None:
        with self.journal.open("r+b") as file:
            file.seek(page * PAGE)
            file.write(b"\0" * PAGE)

    def would_keep(self, event: int) -> bool:
        """Whether anything could be saved if the page of that event were wiped: the first event is not on it."""
        page, text = self.page_of(event), self.journal.read_bytes()
        self.wipe(page)
        kept = salvage(self.journal).events
        self.journal.write_bytes(text)
        return bool(kept)

    def snapshot(self) -> None:
        """Save the state of now, as a long run does."""

        async def save() -> None:
            shop = await open_workshop(repo=self.cli.repo.path, state_dir=None, sets=(), flags={}, env=self.cli.environ)
            held = shop.service.take_up("todo-1")
            held.snapshots.save(fold(held.journal.read()))
            held.release()

        asyncio.run(save())

    def look(self) -> Done:
        return self.cli.call("doctor", "--json")

    def told(self) -> dict[str, object]:
        """The finding about the journal."""
        (row,) = [row for row in self.look().document["findings"] if row["name"] == "journal" and row["ok"] is False]
        return dict(row)

    def repair(self) -> None:
        there = list(self.folder.glob("journal.db*"))
        done = self.cli.call("doctor", "--repair", "--yes", "--json")
        assert done.code == 0, done.stdout
        assert not there or list(self.folder.glob("journal.db.damaged-*"))

    def finishes(self) -> None:
        """I4: the run goes on to its end, and no task is on the branch twice."""
        before = self.landed()
        done = self.cli.call("resume", "--json")
        assert done.code == 0, done.stdout + done.stderr
        assert done.document["state"] == "finished"
        assert self.landed()[: len(before)] == before
        assert [line.partition(":")[0] for line in self.landed()] == TASKS
        assert set(self.cli.repo.files("chargehand/todo-1")) >= {f"{name}.txt" for name in TASKS}
        assert self.look().document["ok"] is True

    def landed(self) -> list[str]:
        return self.cli.repo.git(
            "log", "--reverse", "--first-parent", "--format=%s", "main..chargehand/todo-1"
        ).splitlines()


@pytest.fixture
def broken(repo: Repo, tmp_path: Path) -> Broken:
    made = Broken(CliWorld(repo, tmp_path / "world"))
    assert len(made.landed()) == 3
    return made


def test_a_sound_journal_is_left_alone(broken: Broken):
    assert not [row for row in broken.look().document["findings"] if row["ok"] is False]
    text = broken.journal.read_bytes()
    assert broken.cli.call("doctor", "--repair", "--yes").code == 0
    assert broken.journal.read_bytes() == text


@pytest.mark.parametrize("where", ["early", "middle", "last"])
def test_a_wiped_page_costs_what_was_on_it(broken: Broken, where: str):
    broken.into_one_file()
    count = broken.events()
    early = next(event for event in range(2, count) if broken.would_keep(event))
    broken.wipe(broken.page_of({"early": early, "middle": count // 2, "last": count}[where]))
    assert "damaged" in str(broken.told()["text"])
    assert broken.cli.call("resume", "--json").code != 0
    broken.repair()
    broken.finishes()


def test_what_a_repair_put_aside_counts_where_it_proves_more(broken: Broken):
    """I14: a journal that lost its log looks sound; the copy beside it tells what was proved before."""
    broken.into_one_file()
    count = broken.events()
    broken.journal.with_name("journal.db.damaged-1").write_bytes(broken.journal.read_bytes())
    with closing(sqlite3.connect(broken.journal)) as connection:
        connection.execute("DROP TRIGGER events_are_never_removed")
        connection.execute("DELETE FROM events WHERE seq > 1")
        connection.commit()
    assert broken.events() == 1
    assert "journal.db.damaged-1 still holds" in str(broken.told()["text"])
    broken.repair()
    assert broken.events() >= count
    broken.finishes()


def test_requests_that_cannot_be_read_are_told_and_set_aside(broken: Broken):
    """I9: they keep nobody from going on; the doctor names them, the run has a warning for each."""
    bodies = ["not json", '{"type":"Request","v":1,"data":{"id":"odd1","kind":"replan","plan":null}}']
    with closing(sqlite3.connect(broken.journal)) as connection:
        for number, body in enumerate(bodies):
            connection.execute("INSERT INTO inbox (id, at, body) VALUES (?, 1.0, ?)", (f"odd{number}", body))
        connection.commit()
    (row,) = [row for row in broken.look().document["findings"] if row["name"] == "inbox"]
    assert row["ok"] is False
    assert "1 request in its inbox cannot be read: number 1" in row["text"]
    broken.finishes()
    with closing(sqlite3.connect(broken.journal)) as connection:
        (left,) = connection.execute("SELECT count(*) FROM inbox WHERE settled_at IS NULL").fetchone()
        told = "\n".join(row[0] for row in connection.execute("SELECT body FROM events WHERE type = 'WarningRaised'"))
    assert left == 0
    assert "request_unreadable" in told
    assert "request_refused" in told


def test_a_flipped_byte_is_found_by_the_chain(broken: Broken):
    broken.into_one_file()
    connection = sqlite3.connect(broken.journal)
    (chain,) = connection.execute("SELECT chain FROM events WHERE seq = ?", (broken.events() // 2,)).fetchone()
    connection.close()
    data = bytearray(broken.journal.read_bytes())
    data[data.index(chain.encode()) - 5] ^= 1  # the end of the body stands before it
    broken.journal.write_bytes(data)
    assert "damaged" in str(broken.told()["text"])
    broken.repair()
    broken.finishes()


@pytest.mark.parametrize("how", ["zeroed", "deleted", "deleted but for its log", "first page"])
def test_a_snapshot_brings_a_lost_journal_back(broken: Broken, how: str):
    broken.snapshot()
    if how != "deleted but for its log":
        broken.into_one_file()
    if how == "zeroed":
        broken.journal.write_bytes(b"\0" * broken.journal.stat().st_size)
    elif how == "deleted":
        for file in broken.folder.glob("journal.db*"):
            file.unlink()
    elif how == "first page":
        broken.wipe(broken.page_of(1))
    else:
        broken.journal.unlink()
    assert "snapshot" in str(broken.told()["text"])
    broken.repair()
    broken.finishes()


def test_landings_after_a_snapshot_are_found_on_the_branch(broken: Broken):
    """I4: what landed later than anything that is left tells is not landed again."""
    broken.snapshot()
    kept = (broken.folder / "snapshot.json").read_bytes()
    assert broken.cli.call("resume", "--json").document["state"] == "finished"
    head = broken.cli.repo.head("chargehand/todo-1")
    for file in broken.folder.glob("journal.db*"):
        file.unlink()
    (broken.folder / "snapshot.json").write_bytes(kept)
    broken.repair()
    broken.finishes()
    assert broken.cli.repo.head("chargehand/todo-1") == head


def test_a_journal_from_a_backup_learns_what_landed_since(broken: Broken):
    """I4: a journal that is older than the branch does not make its tasks land twice."""
    broken.into_one_file()
    backup = broken.journal.read_bytes()
    assert broken.cli.call("resume", "--json").document["state"] == "finished"
    for file in broken.folder.glob("journal.db*"):
        file.unlink()
    broken.journal.write_bytes(backup)
    (row,) = [row for row in broken.look().document["findings"] if row["ok"] is False]
    assert "2 landings of this run that the journal does not know (d, e)" in row["text"]
    assert broken.cli.call("doctor", "--repair", "--json").code == 0
    broken.finishes()


def test_landings_that_are_not_known_come_before_commits_of_others(broken: Broken):
    """I4: also where somebody committed on top of them."""
    broken.into_one_file()
    backup = broken.journal.read_bytes()
    assert broken.cli.call("resume", "--json").document["state"] == "finished"
    for file in broken.folder.glob("journal.db*"):
        file.unlink()
    broken.journal.write_bytes(backup)
    repo, head = broken.cli.repo, broken.cli.repo.head("chargehand/todo-1")
    mine = repo.git("commit-tree", f"{head}^{{tree}}", "-p", head, "-m", "mine")
    repo.git("update-ref", "refs/heads/chargehand/todo-1", mine)
    done = broken.cli.call("doctor", "--repair", "--json")
    told = {row["text"]: row for row in done.document["findings"] if row["name"] == "branch"}
    assert done.code == 1
    (left,) = [text for text in told if "1 commit of others on top" in text]
    repo.git(*told[left]["hint"].split("`")[1].split()[1:])
    assert repo.head("chargehand/todo-1") == head
    broken.finishes()


def lose(broken: Broken, how: str) -> None:
    """Nothing of the journal is left."""
    if how == "zeroed":
        broken.into_one_file()
        broken.journal.write_bytes(b"\0" * broken.journal.stat().st_size)
    else:
        for file in broken.folder.glob("journal.db*"):
            file.unlink()


@pytest.mark.parametrize("words", ["status", "status todo-1", "runs", "log", "resume"])
def test_who_looks_for_a_lost_journal_is_sent_to_the_repair(broken: Broken, words: str):
    """Not in a circle: the run is there, only its journal is not."""
    lose(broken, "deleted")
    done = broken.cli.call(*words.split())
    assert "`chargehand doctor --repair`" in done.stderr
    assert "`chargehand runs`" not in done.stderr
    assert "There is no run" not in done.stderr


@pytest.mark.parametrize("how", ["zeroed", "deleted"])
def test_the_first_state_and_the_branch_are_enough(broken: Broken, how: str):
    """I4: a small run keeps only the state it began with; what landed since is read from the branch."""
    lose(broken, how)
    broken.told()
    assert broken.cli.call("doctor", "--repair", "--yes", "--json").code == 0
    broken.finishes()


@pytest.mark.parametrize("how", ["zeroed", "deleted"])
def test_what_cannot_be_saved_is_said(broken: Broken, how: str):
    lose(broken, how)
    (broken.folder / "snapshot.json").unlink()
    row = broken.told()
    assert "chargehand/todo-1 holds 3 landed tasks: a, b, c" in str(row["text"])
    assert "`chargehand run PLAN --base chargehand/todo-1`" in str(row["hint"])
    done = broken.cli.call("doctor", "--repair", "--yes", "--json")
    assert done.code == 0, done.stdout
    assert broken.cli.call("runs", "--json").document["runs"] == []
    (kept,) = broken.cli.call("rescue", "list", "--json").document["rescues"]
    assert "half a d" in broken.cli.call("rescue", "show", kept["name"]).stdout
    rest = [task("d"), task("e", depends_on=["d"])]
    again = broken.cli.run(broken.cli.plan(rest), "--base", "chargehand/todo-1", "--quiet", "--json")
    assert again.document["state"] == "finished"
    assert set(broken.cli.repo.files(again.document["branch"])) >= {f"{name}.txt" for name in TASKS}


def test_work_that_was_sealed_in_the_lost_part_becomes_a_rescue(repo: Repo, tmp_path: Path):
    """I2: what no event tells of any more is still found."""
    cli = CliWorld(repo, tmp_path / "world")
    cli.script({"a": [{"write": {"a.txt": "", "stray.txt": "of the first try\n"}}]})
    assert cli.run(cli.plan([task("a")]), "--quiet", "--no-wait").code == 4
    folder = repo.path / ".git" / "chargehand" / "runs" / "todo-1"
    connection = sqlite3.connect(folder / "journal.db")
    (seq,) = connection.execute("SELECT min(seq) FROM events WHERE type = 'AttemptFinished'").fetchone()
    connection.execute("DROP TRIGGER events_are_never_removed")
    connection.execute("DELETE FROM events WHERE seq = ?", (seq,))
    connection.commit()
    connection.close()
    assert cli.call("doctor", "--repair", "--yes").code == 0
    names = [row["name"] for row in cli.call("rescue", "list", "--json").document["rescues"]]
    assert any("stray" in cli.call("rescue", "show", name).stdout for name in names)
    cli.script({})
    assert cli.call("resume", "--json").document["state"] == "finished"
