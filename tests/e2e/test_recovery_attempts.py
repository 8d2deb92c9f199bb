"""What becomes of attempts whose coordinator died: judged, started, or rescued and done again (SPEC 8)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters import fleet_recovery
from chargehand.adapters.attempt_note import attempt_folder
from chargehand.adapters.confined import mark_of
from chargehand.adapters.folders import PrivateFolders
from chargehand.adapters.process import Ended
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.errors import AdapterError
from chargehand.domain.ids import attempt_ref
from chargehand.domain.outcome import AttemptResult, ExitKind, ReportStatus
from chargehand.ports import AttemptSpec, Recovered, Workspace
from tests.e2e.execution import Execution, available, setup
from tests.repos import Repo

KEY = "t/1/attempt"
WORK = "pathlib.Path('work').write_text('done')\nreport(summary='all of it', deviations=['none'])"
HANG = "print('up', flush=True)\ntime.sleep(600)"


@pytest.fixture
def best(repo: Repo, tmp_path: Path) -> Execution:
    return Execution(repo, tmp_path, available()[0])


class Dying(GitWorkspaces):
    """The process is killed at one call: before or after it."""

    def __init__(self, *args: Any, at: str, after: bool = False) -> None:
        super().__init__(*args)
        self.at = at
        self.after = after

    def die(self, name: str, *, after: bool) -> None:
        if (name, after) == (self.at, self.after):
            os.kill(os.getpid(), signal.SIGKILL)

    async def acquire(self, *args: Any, **keys: Any) -> Workspace:
        self.die("acquire", after=False)
        workspace = await super().acquire(*args, **keys)
        self.die("acquire", after=True)
        return workspace

    async def seal(self, *args: Any) -> Any:
        self.die("seal", after=False)
        sealed = await super().seal(*args)
        self.die("seal", after=True)
        return sealed

    async def release(self, workspace: Workspace) -> None:
        self.die("release", after=False)
        await super().release(workspace)
        self.die("release", after=True)


def in_a_process(work: Callable[[], Any]) -> None:
    """Let another process do it, until it dies or is done."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(work())
            os._exit(0)
        finally:
            os._exit(1)
    os.waitpid(child, 0)


def crash(best: Execution, body: str, *, at: str, after: bool = False, **spec: Any) -> AttemptSpec:
    """One attempt in a process that is killed at a call of its workspaces, or when it has the result."""
    agent, asked = best.agent(body), best.spec(**spec)

    async def work() -> None:
        fleet = best.fleet(agent, workspaces=Dying(best.repository, best.state / "pool", at=at, after=after))
        await fleet.submit(asked)
        await fleet.wait(asked.key)
        os.kill(os.getpid(), signal.SIGKILL)

    in_a_process(work)
    return asked


def recover(best: Execution, *keys: str) -> Recovered:
    async def take_up() -> Recovered:
        return await best.fleet().recover(best.name, keys)

    return asyncio.run(take_up())


def rescues(best: Execution) -> list[str]:
    return best.repo.git("for-each-ref", "--format=%(refname)", "refs/chargehand/rescue/").splitlines()


JUDGED = "Task t, attempt 1 had ended and was sealed, but not judged: it is judged now, and not run again."


@pytest.mark.parametrize(("at", "after"), [("release", False), ("release", True), ("nothing", False)])
def test_sealed_but_unjudged_is_judged(best: Execution, at: str, after: bool):
    """I4: an attempt that had come to its end is not paid for twice, and its workspace is free again."""
    crash(best, WORK, at=at, after=after)
    found = recover(best, KEY)
    assert (tuple(found.results), found.told) == ((KEY,), (JUDGED,))
    result = found.results[KEY]
    assert (result.exit.kind, result.exit.code) == (ExitKind.EXITED, 0)
    assert result.report is not None
    assert (result.report.status, result.report.summary) == (ReportStatus.DONE, "all of it")
    assert result.sealed is not None
    assert result.sealed.commit == best.repo.head(attempt_ref(best.name, "t", 1))
    assert [change.path for change in result.sealed.changes] == ["work"]
    assert result.usage.wall_s > 0
    assert rescues(best) == []
    assert best.left_behind() == []
    assert asyncio.run(_abandoned(best)) == []
    assert recover(best, KEY).results == found.results
    assert recover(best) == Recovered()


async def _abandoned(best: Execution) -> list[Workspace]:
    return GitWorkspaces(best.repository, best.state / "pool").abandoned()


def test_the_result_is_the_one_that_was_waited_for(best: Execution):
    waited = best.attempt("print('said'); pathlib.Path('work').write_text('x'); report(); sys.exit(3)")
    assert recover(best, KEY).results == {KEY: waited}


def test_an_attempt_without_a_report_has_a_result_too(best: Execution):
    """Evidence decides [I6]: what an agent left without a word is judged as it stands."""
    waited = best.attempt("pathlib.Path('work').write_text('x'); sys.exit(3)")
    assert waited.report is None
    assert recover(best, KEY).results == {KEY: waited}


@pytest.mark.parametrize(("at", "after"), [("seal", False), ("seal", True)])
def test_not_sealed_to_the_end_is_rescued_and_done_again(best: Execution, at: str, after: bool):
    """I2: what was done is kept; nothing is judged that is not known as a whole."""
    crash(best, WORK, at=at, after=after)
    found = recover(best, KEY)
    ref = f"refs/chargehand/rescue/{best.name}/t/1"
    told = f"Task t, attempt 1 was cut short: what it had done is kept in {ref}, and it is done again."
    assert (dict(found.results), found.told) == ({}, (told,))
    assert best.repo.files(ref)["work"] == "done"
    assert best.left_behind() == []
    assert recover(best) == Recovered()


# -- the world has the last word ---------------------------------------------------------------------


def _edit(**changes: Any) -> Callable[[Execution], None]:
    def edit(best: Execution) -> None:
        path = _note(best)
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def _note(best: Execution) -> Path:
    return best.folder / attempt_folder(KEY) / "attempt.json"


def _ref(*args: str) -> Callable[[Execution], None]:
    def change(best: Execution) -> None:
        best.repo.git("update-ref", *[arg.replace("REF", attempt_ref(best.name, "t", 1)) for arg in args])

    return change


def _no_objects(best: Execution) -> None:
    """The ref is there, what it points to is lost: a disk that was not written to the end."""
    commit = best.repo.head(attempt_ref(best.name, "t", 1))
    objects = best.repo.path / ".git" / "objects"
    for file in (*(objects / "pack").glob("*"), objects / commit[:2] / commit[2:]):
        file.unlink(missing_ok=True)
    assert best.repo.git("cat-file", "-t", commit, ok=(128,)) == ""


def _torn(best: Execution) -> None:
    path = _note(best)
    path.write_bytes(path.read_bytes()[:-100])


def _newer(best: Execution) -> None:
    event = json.loads(json.loads(_note(best).read_text())["event"]) | {"v": 99}
    _edit(event=json.dumps(event))(best)


def _of_another_attempt(best: Execution) -> None:
    event = json.loads(json.loads(_note(best).read_text())["event"])
    event["data"]["key"] = "t/1/attempt-2"
    _edit(event=json.dumps(event))(best)


def _no_file(best: Execution) -> None:
    _note(best).unlink()
    _note(best).mkdir()


DOUBTS: dict[str, Callable[[Execution], None]] = {
    "no ref": _ref("-d", "REF"),
    "a moved ref": _ref("REF", "HEAD"),
    "no objects": _no_objects,
    "another launch": _edit(key="t/1/attempt-2"),
    "another run": _edit(run="other"),
    "another base": _edit(base="0" * 40),
    "not at its end": _edit(stage="running"),
    "unknown fields": _edit(more=1),
    "torn": _torn,
    "of a newer release": _newer,
    "of another attempt": _of_another_attempt,
    "gone": lambda best: _note(best).unlink(),
    "no file": _no_file,
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_result_the_world_does_not_bear_out_is_not_there(best: Execution, doubt: str):
    """Its workspace is rescued, and it is done again [I2]."""
    crash(best, WORK, at="release")
    DOUBTS[doubt](best)
    found = recover(best, KEY)
    assert dict(found.results) == {}
    assert found.told == (
        f"Task t, attempt 1 was cut short: what it had done is kept in {rescues(best)[0]}, and it is done again.",
    )
    assert best.repo.files(rescues(best)[0])["work"] == "done"


def test_only_the_launch_that_was_asked_for_counts(best: Execution):
    """An attempt that is started again under the same number is another one."""
    crash(best, WORK, at="nothing")
    assert dict(recover(best, "t/1/attempt-2").results) == {}
    again = best.attempt(
        WORK.replace("done", "again"), best.spec(key="t/1/attempt-2", ref=attempt_ref(best.name, "t", 2))
    )
    assert dict(recover(best, KEY, "t/1/attempt-2").results) == {"t/1/attempt-2": again}


def test_a_cancelled_attempt_has_no_result(best: Execution):
    agent = best.agent("pathlib.Path('work').write_text('x')\n" + HANG)

    async def work() -> AttemptResult:
        up = asyncio.Event()
        fleet = best.fleet(agent, on_output=lambda _key, _line: up.set())
        await fleet.submit(best.spec())
        await up.wait()
        await fleet.cancel(KEY, now=True)
        return await fleet.wait(KEY)

    assert asyncio.run(work()).sealed is not None
    found = recover(best, KEY)
    assert dict(found.results) == {}
    ref = attempt_ref(best.name, "t", 1)
    assert found.told == (f"Task t, attempt 1 had ended, but its result does not count (see {ref}): it is done again.",)


def test_a_result_that_cannot_be_written_down_is_a_result_all_the_same(best: Execution):
    """After a crash it is merely done again."""
    (best.folder / attempt_folder(KEY) / f".attempt.json.{os.getpid()}").mkdir(parents=True)  # where it is begun
    result = best.attempt(WORK, best.spec())
    assert result.sealed is not None
    assert dict(recover(best, KEY).results) == {}


# -- in words ----------------------------------------------------------------------------------------


def test_never_started(best: Execution):
    crash(best, WORK, at="acquire")
    assert recover(best, KEY).told == ("Task t, attempt 1 was never started: it is started now.",)
    assert recover(best, "other/3/attempt-2").told == ("Task other, attempt 3 was never started: it is started now.",)


def test_killed_before_anything_was_noted_down(best: Execution):
    """Its workspace held nothing: nothing is rescued, and it is free again."""
    crash(best, WORK, at="acquire", after=True)
    assert recover(best, KEY).told == ("Task t, attempt 1 was never started: it is started now.",)
    assert rescues(best) == []
    assert asyncio.run(_abandoned(best)) == []


@pytest.mark.parametrize(
    ("body", "setting", "expected"),
    [
        (HANG, {}, ["was cut short before it had changed anything: it is done again."]),
        (
            WORK,
            {"setup": setup("echo up; sleep 600")},
            ["was being prepared and had no agent yet: it is started again."],
        ),
    ],
)
def test_where_it_was_is_said(best: Execution, body: str, setting: Any, expected: list[str]):
    agent = best.agent(body)

    async def work() -> None:
        up = asyncio.Event()
        fleet = best.fleet(agent, on_output=lambda _key, _line: up.set())
        await fleet.submit(best.spec(**setting))
        await up.wait()
        os.kill(os.getpid(), signal.SIGKILL)

    in_a_process(work)
    told = [line for line in recover(best, KEY).told if not line.startswith("Ended ")]
    assert told == [f"Task t, attempt 1 {line}" for line in expected]
    assert rescues(best) == []


def test_a_workspace_that_is_gone_is_said(best: Execution):
    crash(best, WORK, at="seal")
    for slot in (best.state / "pool").glob("s*"):
        slot.rename(best.root / slot.name)
    told = "Task t, attempt 1 was cut short, and its workspace is no longer there: it is done again."
    assert recover(best, KEY).told == (told,)


def test_a_workspace_that_cannot_be_rescued_stays_and_is_named(best: Execution):
    """I2: what cannot be kept is not given back."""
    crash(best, WORK, at="seal")
    (folder,) = (best.state / "pool" / "s1").glob("project")
    folder.rename(best.root / "aside")
    first, second = recover(best, KEY).told
    assert first == "Task t, attempt 1 was cut short: it is done again."
    assert second.startswith(f"Task t, attempt 1: Its workspace {folder} could not be given back and stays: ")
    (best.root / "aside").rename(folder)
    assert "is kept in" in recover(best, KEY).told[0]


def test_while_a_process_cannot_be_ended_its_workspace_is_given_to_nobody(
    best: Execution, monkeypatch: pytest.MonkeyPatch
):
    """It might still write there; what there is is rescued, and private folders stay, too."""
    crash(best, WORK, at="seal")
    monkeypatch.setattr(fleet_recovery, "end_leftovers", lambda _marker: Ended(killed=(5,), left=(7, 8)))
    told = recover(best, KEY).told
    assert told[:2] == (
        "Ended 1 process of the run that had outlived the last holder.",
        "Could not end these processes of the run: 7, 8. Its old workspaces stay until they are gone.",
    )
    assert "is kept in" in told[2]
    assert best.left_behind() != []
    assert best.attempt(WORK, best.spec("u")).sealed is not None
    assert sorted(slot.name for slot in (best.state / "pool").glob("s*")) == ["s1", "s2"]


def test_a_private_folder_that_cannot_be_removed_holds_nobody_up(best: Execution):
    """It is said, and the run goes on: each attempt gets new folders."""
    crash(best, WORK, at="release")

    class Stuck(PrivateFolders):
        async def sweep(self) -> None:
            raise AdapterError("folders", "Cannot remove it.")

    async def take_up() -> Recovered:
        return await best.fleet(folders=Stuck(best.state / "x", best.short)).recover(best.name, [KEY])

    found = asyncio.run(take_up())
    assert found.told == (JUDGED, "A private folder of an earlier attempt stays: Cannot remove it.")
    assert KEY in found.results


def test_other_runs_are_left_alone(best: Execution):
    """Workspaces, folders and processes of another run of the same repository."""
    other = Execution(best.repo, best.root / "other", best.kind)
    other.state = best.state
    agent = other.agent("print('up', flush=True)\ntime.sleep(600)")

    async def play() -> ExitKind:
        up = asyncio.Event()
        folders = PrivateFolders(best.state / "z", best.short)
        fleet = other.fleet(agent, folders=folders, on_output=lambda _key, _line: up.set())
        await fleet.submit(other.spec())
        await up.wait()
        assert await best.fleet().recover(best.name, ()) == Recovered()
        await fleet.cancel(KEY)
        return (await fleet.wait(KEY)).exit.kind

    assert mark_of(best.folder) != mark_of(other.folder)
    assert asyncio.run(play()) is ExitKind.CANCELLED
