"""Receipts of whole runs: written after what they show, checked against journal, files, notes and git (SPEC 6)."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.journal_sqlite import link
from chargehand.domain.errors import UserError
from chargehand.domain.events import TaskIntegrated
from chargehand.wiring import Workshop
from chargehand.wiring.receipts import Written, open_shelf, write_receipts
from chargehand.wiring.verifying import Verified, verify
from tests.e2e.world import DONE, World, write
from tests.repos import Repo, hermetic_environment

NOTES = "refs/notes/chargehand"


class Place:
    """A world with a run of two tasks, and the three places that tell of it."""

    def __init__(self, repo: Repo, folder: Path, sandbox: str = "none") -> None:
        self.world = World(repo=repo, folder=folder, sandbox=sandbox)
        self.repo = repo
        self.flag = folder / "flag"
        self.flag.write_text("there\n")

    def play(self, **options: Any) -> Place:
        tasks = [
            {
                "id": name,
                "title": name.upper(),
                "files": {"create": [f"{name}.txt"]},
                "verify": [["test", "-s", f"{name}.txt"]],
            }
            for name in ("a", "b")
        ]
        plan: dict[str, Any] = {"gates": [{"id": "flag", "run": ["test", "-e", str(self.flag)]}]}
        scenario = {name: [write(f"{name}.txt"), DONE] for name in ("a", "b")}
        self.world.play(tasks, scenario, **{"features": {"code_review": False}, **plan, **options})
        return self

    @property
    def folder(self) -> Path:
        return self.repo.path / ".git" / "chargehand" / "runs" / self.world.run

    @property
    def files(self) -> Path:
        return self.folder / "receipts"

    @property
    def head(self) -> str:
        return self.repo.head(f"chargehand/{self.world.run}")

    def landed(self, task: str) -> str:
        found: str = self.world.task(task)["landed"]
        return found

    def note(self, commit: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.repo.git("notes", "--ref=chargehand", "show", commit).splitlines()]

    def noted(self) -> set[str]:
        listed = self.repo.git("notes", "--ref=chargehand", "list").splitlines() if NOTES in self.world.refs() else []
        return {line.split(" ")[1] for line in listed}

    def rewrite(self, commit: str, change: Callable[[str], str]) -> None:
        """Somebody changes a note by hand."""
        text = self.repo.git("notes", "--ref=chargehand", "show", commit) + "\n"
        self.repo.git("notes", "--ref=chargehand", "add", "-f", "-F", "-", commit, stdin=change(text).encode())

    def in_shop(self, call: Callable[[Workshop], Coroutine[Any, Any, Any]]) -> Any:
        async def go() -> Any:
            return await call(await self.world.shop(()))

        return asyncio.run(go())

    def verify(self, *tasks: str, gates: bool = False) -> Verified:
        done: Verified = self.in_shop(lambda shop: verify(shop, self.world.run, tasks=tasks, gates=gates))
        return done

    def write(self) -> Written:
        done: Written = self.in_shop(lambda shop: write_receipts(shop, self.world.run))
        return done

    def edit(self, *, seq: int, change: Callable[[str], str], relink: str) -> None:
        """Somebody edits an event; `relink`: computes no hash anew, that of the `row`, or `all` from there on."""
        with closing(sqlite3.connect(self.folder / "journal.db")) as connection, connection:
            connection.execute("DROP TRIGGER events_are_never_edited")
            rows = connection.execute("SELECT seq, at, body, chain FROM events ORDER BY seq").fetchall()
            chain = rows[seq - 2][3] if seq > 1 else ""
            for number, at, body, _ in rows[seq - 1 :]:
                text = change(body) if number == seq else body
                assert number != seq or text != body
                chain = link(chain, number, at, text)
                values = (text, chain) if relink != "none" else (text, rows[number - 1][3])
                connection.execute("UPDATE events SET body = ?, chain = ? WHERE seq = ?", (*values, number))
                if relink != "all":
                    break

    def find(self, kind: str) -> int:
        """The number of the first event of a kind."""
        with closing(sqlite3.connect(self.folder / "journal.db")) as connection:
            found: int = connection.execute("SELECT min(seq) FROM events WHERE type = ?", (kind,)).fetchone()[0]
        return found


@pytest.fixture
def place(repo: Repo, tmp_path: Path) -> Place:
    return Place(repo, tmp_path)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run that was driven to its end once, for all who only look at it or change a copy."""
    folder = tmp_path_factory.mktemp("played")
    home = folder / "home"
    home.mkdir()
    repo = Repo(path=folder / "project", environ=hermetic_environment(home)).init()
    repo.write("README.md", "A project.\n")
    repo.commit("base")
    return Place(repo, folder).play()


@pytest.fixture
def ran(played: Place, tmp_path: Path) -> Place:
    """A copy of it."""
    shutil.copytree(played.repo.path, tmp_path / "project", symlinks=True)
    made = Place(Repo(path=tmp_path / "project", environ=played.repo.environ), tmp_path)
    made.flag = played.flag
    made.world.run, made.world.document = played.world.run, played.world.document
    return made


def codes(done: Verified) -> set[str]:
    return {problem.code.value for each in done.receipts for problem in each.problems} | {
        problem.code.value for problem in done.journal
    }


def told(done: Verified, task: str = "") -> str:
    return " ".join(problem.text for each in done.receipts if each.task == task for problem in each.problems)


# -- written --------------------------------------------------------------------------------------


def test_a_finished_run_has_a_file_and_a_note_for_everything_that_landed(place: Place) -> None:
    """I1: notes have a ref of their own; checkout, index and branches stay."""
    before = place.world.checkout()
    place.play()
    assert sorted(file.name for file in place.files.iterdir()) == ["a.json", "b.json", "run.json"]
    assert place.noted() == {place.landed("a"), place.landed("b")}
    assert place.world.checkout() == before
    first = next(task for task in ("a", "b") if place.landed(task) != place.head)
    (line,) = place.note(place.landed(first))
    assert line == json.loads((place.files / f"{first}.json").read_text())
    assert [each["kind"] for each in place.note(place.head)] == ["task", "run"]
    assert place.note(place.head)[1] == json.loads((place.files / "run.json").read_text())
    assert place.repo.git("rev-list", "--count", NOTES) == "1"


def test_everything_holds_and_the_gates_say_so_again(place: Place) -> None:
    done = place.play().verify(gates=True)
    assert done.holds
    assert [each.task for each in done.receipts][-1] == ""
    rows = [(again.gate, again.point, again.now) for each in done.receipts if each.task == "a" for again in each.again]
    assert ("verify-1", "task", "pass") in rows
    assert ("flag", "integrate", "pass") in rows
    assert done.written == Written()


def test_they_are_written_once(ran: Place) -> None:
    """A projection: whatever is there stays, word by word."""
    before = {file.name: file.read_bytes() for file in ran.files.iterdir()}
    tip = ran.repo.head(NOTES)
    ran.world.resume()
    assert ran.write() == Written()
    assert {file.name: file.read_bytes() for file in ran.files.iterdir()} == before
    assert ran.repo.head(NOTES) == tip


def test_a_process_that_dies_before_them_leaves_them_to_the_next(place: Place) -> None:
    """I4: between landing and note; who goes on writes each of them once."""

    class Died(Exception):
        pass

    def die(recorded: Any, state: Any, engine: Any) -> None:
        if isinstance(recorded.event, TaskIntegrated):
            raise Died

    with pytest.raises(Died):
        place.play(observe=die)
    assert not place.files.exists()
    assert place.noted() == set()
    place.world.resume()
    assert place.noted() == {place.landed("a"), place.landed("b")}
    assert place.repo.git("rev-list", "--count", NOTES) == "1"
    assert place.verify().holds


@pytest.mark.parametrize("cut", ["notes", "run file", "all files"])
def test_what_a_killed_process_had_not_written_yet_is_made_by_a_look(ran: Place, cut: str) -> None:
    """The run's own file comes last: without it nobody can say that the others were ever there."""
    (ran.files / "run.json").unlink()
    if cut == "notes":
        ran.repo.git("update-ref", "-d", NOTES)
    if cut == "all files":
        shutil.rmtree(ran.files)
    done = ran.verify()
    assert done.holds
    assert "" in done.written.files
    assert ran.noted() == {ran.landed("a"), ran.landed("b")}
    assert sorted(file.name for file in ran.files.iterdir()) == ["a.json", "b.json", "run.json"]


def test_the_note_of_the_run_goes_with_its_head(place: Place) -> None:
    """A run that waits has receipts of what landed so far; that of the run moves on when it does."""
    tasks: list[dict[str, Any]] = [
        {"id": "a", "title": "A"},
        {"id": "b", "title": "B", "depends_on": ["a"], "needs_human": True},
    ]
    scenario = {name: [write(f"{name}.txt"), DONE] for name in ("a", "b")}
    place.world.play(tasks, scenario, unattended=False, features={"code_review": False})
    assert [each["kind"] for each in place.note(place.landed("a"))] == ["task", "run"]
    assert place.note(place.landed("a"))[1]["state"] == "waiting"

    async def approve(shop: Workshop) -> None:
        (decision,) = shop.service.look(place.world.run).state.decisions
        shop.service.answer(place.world.run, decision, "approve", "uma")

    place.in_shop(approve)
    assert place.verify().holds  # the answer is newer than the receipt of the run, which is of its time
    place.world.resume()
    assert [each["kind"] for each in place.note(place.landed("a"))] == ["task"]
    assert [each["kind"] for each in place.note(place.landed("b"))] == ["task", "run"]
    (answer,) = place.note(place.landed("b"))[0]["decisions"]
    assert (answer["choice"], answer["by"]) == ("approve", "uma")
    assert place.verify().holds


def test_a_run_of_which_nothing_landed_has_no_note(place: Place) -> None:
    """I1: the base is the user's commit; nothing is noted on it."""
    place.world.play([{"id": "a", "title": "A"}], {"a": [DONE]}, features={"code_review": False})
    assert place.world.outcome("a")[0] == "failed"
    assert place.noted() == set()
    assert json.loads((place.files / "run.json").read_text())["tasks"][0]["sha256"] is None
    assert place.verify(gates=True).holds


def test_runs_that_end_at_once_note_what_is_theirs(repo: Repo, tmp_path: Path) -> None:
    """Two runs of one repository: neither loses a note of the other."""
    one = Place(repo, tmp_path).play()
    two = Place(repo, tmp_path).play()
    assert one.world.run != two.world.run
    repo.git("update-ref", "-d", NOTES)

    async def both(shop: Workshop) -> None:
        for file in (one.files, two.files):
            (file / "run.json").unlink()
        await asyncio.gather(write_receipts(shop, one.world.run), write_receipts(shop, two.world.run))

    one.in_shop(both)
    assert len(one.noted()) == 4
    assert one.verify().holds
    assert two.verify().holds


# -- accepted, cleaned ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fast-forward", "merge", "squash"])
def test_an_accepted_run_is_noted_where_it_landed(place: Place, how: str) -> None:
    place.play()
    if how == "merge":
        place.repo.commit("elsewhere", other="x")
    place.in_shop(lambda shop: shop.accept(place.world.run, None, squash=how == "squash"))
    landed = place.repo.head("main")
    run = next(each for each in place.note(landed) if each["kind"] == "run")
    assert run["accepted"] == {"target": "main", "commit": landed, "how": how}
    assert run["state"] == "finished"
    place.in_shop(lambda shop: shop.clean(dry_run=False))
    shutil.rmtree(place.world.folder / "state", ignore_errors=True)
    done = place.verify(gates=True)
    assert done.holds, [problem for each in done.receipts for problem in each.problems]
    if how != "squash":
        place.repo.git("branch", "-D", f"chargehand/{place.world.run}")
        assert place.verify().holds


def test_notes_outlive_what_is_cleaned(place: Place) -> None:
    place.play()
    place.in_shop(lambda shop: shop.accept(place.world.run, None, squash=False))
    place.in_shop(lambda shop: shop.clean(dry_run=False))
    place.repo.git("gc", "-q", "--prune=now")
    assert place.noted() == {place.landed("a"), place.landed("b")}
    assert place.verify().holds


# -- tampering ------------------------------------------------------------------------------------


@pytest.mark.parametrize("relink", ["none", "row", "all"])
def test_an_edited_event_is_found(ran: Place, relink: str) -> None:
    """I14: whether its hash was left, computed anew, or all that follow it with it."""
    seq = ran.find("GatesFinished")
    ran.edit(seq=seq, change=lambda body: body.replace('"exit_code":0', '"exit_code":7', 1), relink=relink)
    done = ran.verify(gates=True)
    assert not done.holds
    assert "journal_tampered" in codes(done)
    assert not done.ran
    (problem,) = done.journal
    expected = {"none": f"from event {seq} on", "row": f"from event {seq + 1} on", "all": "was written anew"}
    assert expected[relink] in problem.text
    if relink == "all":
        assert {"receipt_changed", "note_changed"} <= codes(done)
        assert "journal.hash" in " ".join(told(done, task) for task in ("a", "b"))
    assert done.written == Written()


def test_a_journal_that_was_cut_is_found(ran: Place) -> None:
    """The chain of the rest is whole; the receipts know of more."""
    with closing(sqlite3.connect(ran.folder / "journal.db")) as connection, connection:
        connection.execute("DROP TRIGGER events_are_never_removed")
        connection.execute("DELETE FROM events WHERE seq >= ?", (ran.find("TaskIntegrated"),))
    done = ran.verify()
    assert {"journal_tampered", "note_unknown"} <= codes(done)
    assert "ends at event" in done.journal[0].text


def test_an_event_that_cannot_have_happened_is_told(ran: Place) -> None:
    seq = ran.find("TaskIntegrated")
    ran.edit(seq=seq, change=lambda body: body.replace('"task":"', '"task":"no-'), relink="all")
    done = ran.verify()
    assert f"Event {seq} cannot have followed" in done.journal[0].text


@pytest.mark.parametrize("file", ["a.json", "run.json"])
def test_an_edited_file_is_found(ran: Place, file: str) -> None:
    text = (ran.files / file).read_text()
    (ran.files / file).write_text(text.replace('"status":"pass"', '"status":"fail"', 1))
    done = ran.verify()
    assert codes(done) == {"receipt_changed"}
    assert "status" in told(done, "a" if file == "a.json" else "")
    assert not ran.write().files  # what is left of a truth is not written over


@pytest.mark.parametrize("text", ["", "no json\n", "[]\n", '{"journal":{"seq":"x"}}\n'])
def test_a_file_of_anything_is_found(ran: Place, text: str) -> None:
    (ran.files / "a.json").write_text(text)
    (ran.files / "run.json").write_text(text)
    done = ran.verify()
    assert codes(done) == {"receipt_changed"}


def test_a_link_in_the_place_of_a_file_is_found(ran: Place) -> None:
    (ran.files / "a.json").rename(ran.world.folder / "copy.json")
    (ran.files / "a.json").symlink_to(ran.world.folder / "copy.json")
    assert codes(ran.verify()) == {"receipt_changed"}


def test_a_file_that_was_removed_is_found(ran: Place) -> None:
    (ran.files / "a.json").unlink()
    assert codes(ran.verify()) == {"receipt_missing"}


def test_an_edited_note_is_found(ran: Place) -> None:
    ran.rewrite(ran.landed("a"), lambda text: text.replace('"choice"', '"x"').replace('"pass"', '"fail"', 1))
    done = ran.verify()
    assert codes(done) == {"note_changed"}
    assert "says something else" in told(done, "a")


def test_a_note_that_was_removed_is_found(ran: Place) -> None:
    ran.repo.git("notes", "--ref=chargehand", "remove", ran.landed("a"))
    assert "note_missing" in codes(ran.verify())
    ran.repo.git("update-ref", "-d", NOTES)
    done = ran.verify()
    assert codes(done) == {"note_missing"}
    assert done.written == Written()


def test_a_second_line_about_the_same_task_is_found(ran: Place) -> None:
    ran.rewrite(ran.landed("a"), lambda text: text + text.splitlines()[0].replace("pass", "fail") + "\n")
    assert codes(ran.verify()) == {"note_changed"}


def test_words_of_others_in_a_note_stay_and_harm_nothing(ran: Place) -> None:
    ran.rewrite(ran.landed("a"), lambda text: "seen by uma\n" + text)
    assert ran.verify().holds
    assert "seen by uma" in ran.repo.git("notes", "--ref=chargehand", "show", ran.landed("a"))


# -- git ------------------------------------------------------------------------------------------


def test_a_branch_that_was_moved_back_is_found(ran: Place) -> None:
    ran.repo.git("update-ref", f"refs/heads/chargehand/{ran.world.run}", "main")
    assert codes(ran.verify()) == {"off_branch"}
    ran.repo.git("branch", "-D", f"chargehand/{ran.world.run}")
    assert codes(ran.verify()) == {"branch_gone"}


def test_commits_that_are_gone_are_told(ran: Place) -> None:
    for ref in ran.world.refs():
        if "chargehand" in ref:
            ran.repo.git("update-ref", "-d", ref)
    ran.repo.git("reflog", "expire", "--expire=now", "--all")
    ran.repo.git("gc", "-q", "--prune=now")
    done = ran.verify(gates=True)
    assert {"commit_gone", "branch_gone"} <= codes(done)
    assert not any(each.again for each in done.receipts)


def test_commits_of_others_on_the_branch_are_no_harm(ran: Place) -> None:
    """What landed is still on its first-parent line."""
    ran.repo.git("switch", "-q", f"chargehand/{ran.world.run}")
    ran.repo.commit("by hand", more="x")
    assert ran.verify().holds


# -- gates ----------------------------------------------------------------------------------------


def test_a_gate_that_is_red_now_is_told_for_everything_that_relied_on_it(place: Place) -> None:
    place.play()
    place.flag.unlink()
    done = place.verify(gates=True)
    assert codes(done) == {"gate_red"}
    assert all("flag" in told(done, task) for task in ("a", "b", ""))
    assert "was pass, and is fail now" in told(done, "a")
    assert codes(place.verify(gates=False)) == set()


def test_only_the_tasks_that_are_asked_for(ran: Place) -> None:
    (ran.files / "b.json").unlink()
    assert ran.verify("a", gates=True).holds
    assert [each.task for each in ran.verify("b").receipts] == ["b"]
    assert not ran.verify("b").holds
    with pytest.raises(UserError, match="no receipt"):
        ran.verify("c")


def test_a_gate_that_cannot_judge_any_more_is_told(place: Place) -> None:
    """I7: silence is no pass."""
    program = place.world.folder / "judge"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    place.play(gates=[{"id": "judge", "run": [str(program)]}])
    assert place.verify(gates=True).holds
    program.unlink()
    done = place.verify(gates=True)
    assert codes(done) == {"gate_fault"}
    assert "is fault now" in told(done, "a")


JUNIT = """\
import os, pathlib
names = pathlib.Path(__file__).with_name("names").read_text().split()
cases = "".join(f'<testcase classname="t" name="{name}"/>' for name in names)
pathlib.Path(os.environ["CHARGEHAND_JUNIT"]).write_text(f"<testsuite name='s'>{cases}</testsuite>")
"""


def test_tests_that_do_not_run_any_more_are_named(place: Place) -> None:
    folder = place.world.folder / "judge"
    folder.mkdir()
    (folder / "run.py").write_text(JUNIT)
    (folder / "names").write_text("one two")
    place.play(gates=[{"id": "tests", "run": ["python3", str(folder / "run.py")], "junit": True}])
    row = next(row for row in json.loads((place.files / "a.json").read_text())["gates"] if row["id"] == "tests")
    assert row["tests"]["after"]["count"] == 2
    assert len(row["tests"]["after"]["ids"]) == 2
    assert place.verify(gates=True).holds
    (folder / "names").write_text("two three")
    done = place.verify(gates=True)
    assert codes(done) == {"tests_vanished"}
    assert "one" in told(done, "a")
    assert "three" not in told(done, "a")
    shutil.rmtree(place.folder / "gates")  # where the files of ids were: the receipts list them as well
    (folder / "names").write_text("one two")
    assert place.verify(gates=True).holds


# -- somebody else --------------------------------------------------------------------------------


def test_while_a_process_drives_the_run_a_look_writes_nothing(ran: Place) -> None:
    shutil.rmtree(ran.files)

    async def look(shop: Workshop) -> Verified:
        held = shop.service.take_up(ran.world.run)
        try:
            return await verify(shop, ran.world.run, gates=False)
        finally:
            held.release()

    done: Verified = ran.in_shop(look)
    assert done.holds
    assert done.written == Written()
    assert not ran.files.exists()


def test_receipts_that_cannot_be_written_fail_no_run(ran: Place) -> None:
    said: list[str] = []
    shutil.rmtree(ran.files)
    ran.files.write_text("in the way")

    async def resume(shop: Workshop) -> None:
        await shop.service.drive(shop.service.take_up(ran.world.run), tell=said.append)

    ran.in_shop(resume)
    assert "could not be written" in said[0]


def test_the_shelf_knows_where_everything_lies(ran: Place) -> None:
    shelf = ran.in_shop(lambda shop: open_shelf(shop, ran.world.run))
    assert {receipt.task for receipt in shelf.receipts} == {"a", "b", ""}
    assert set(shelf.wanted(shelf.receipts)) == {ran.landed("a"), ran.landed("b")}


def test_gates_run_again_in_the_sandbox_of_the_run(repo: Repo, tmp_path: Path) -> None:
    """7.1: what is checked is as untrusted as it was; a gate reaches nothing outside."""
    place = Place(repo, tmp_path, sandbox="auto")
    probe = ["python3", "-c", f"import pathlib, sys; sys.exit(pathlib.Path({str(place.flag)!r}).exists())"]
    if place.in_shop(lambda shop: shop.sandbox("auto")).sandbox.kind == "none":
        pytest.skip("nothing holds a gate without a sandbox")
    place.play(gates=[{"id": "alone", "run": probe}])
    done = place.verify(gates=True)
    assert done.holds
    assert [(again.then, again.now) for each in done.receipts for again in each.again if again.gate == "alone"] == [
        ("pass", "pass")
    ] * 3


def test_tests_that_were_red_first_are_so_again(place: Place) -> None:
    """3.7.4: laid over the base they fail there; also where a gate of the same tree was run for somebody else."""
    code = "import a\nassert a.ONE == 1\n"
    task = {
        "id": "a",
        "title": "A",
        "type": "tdd",
        "files": {"create": ["a.py"], "test": ["test_a.py"]},
        "verify": [["python3", "-B", "test_a.py"]],
    }
    scenario = {"a": [write("a.py", "ONE = 1\n"), write("test_a.py", code), DONE]}
    gates = [{"id": "flag", "run": ["test", "-e", str(place.flag)], "on": ["task", "integrate", "run"]}]
    place.world.play([task], scenario, gates=gates, features={"code_review": False})
    assert place.world.outcome("a")[0] == "integrated", place.world.task("a")
    done = place.verify(gates=True)
    assert done.holds, told(done, "a")
    rows = {(again.gate, again.point): (again.then, again.now) for again in done.receipts[0].again}
    assert rows["red-first", "task"] == rows["flag", "integrate"] == ("pass", "pass")


def test_after_a_repair_the_old_notes_are_what_is_left(ran: Place) -> None:
    """The rebuilt journal knows only that the tasks landed; what files and notes say of how is not written over."""
    before = {commit: ran.note(commit) for commit in ran.noted()}
    for file in ran.folder.glob("journal.db*"):
        file.unlink()
    repaired = subprocess.run(
        [sys.executable, "-m", "chargehand", "doctor", ran.world.run, "--repair", "--yes"],
        cwd=ran.repo.path,
        env=ran.world.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=90,
        check=False,
    )
    either = (b"that a, b landed", b"that b, a landed")  # two that nothing orders land as they come
    assert any(text in repaired.stdout for text in either), (repaired.stdout, repaired.stderr)
    done = ran.verify()
    assert {"no_evidence", "journal_tampered", "note_changed", "receipt_changed"} <= codes(done)
    assert "lost with a damaged journal" in told(done, "a")
    assert ran.write() == Written()
    assert {commit: ran.note(commit) for commit in ran.noted()} == before


def test_ids_that_were_edited_are_found(place: Place) -> None:
    """They stand in a file of the gate; receipts hold what it said."""
    folder = place.world.folder / "judge"
    folder.mkdir()
    (folder / "run.py").write_text(JUNIT)
    (folder / "names").write_text("one two")
    place.play(gates=[{"id": "tests", "run": ["python3", str(folder / "run.py")], "junit": True}])
    row = next(row for row in json.loads((place.files / "a.json").read_text())["gates"] if row["id"] == "tests")
    file = place.folder / row["tests"]["after"]["file"]
    file.write_text(file.read_text().replace("two", "three"))
    done = place.verify()
    assert {"receipt_changed", "note_changed"} <= codes(done)
    assert ".tests." in told(done, "a")
