"""Repositories and disks in a bad world: a clear error or a question, nothing lost, and a run that ends well once the
world is mended, with each task landed once (SPEC 8; I2, I3, I4)."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.errors import AdapterError, ChargehandError
from tests.e2e.world import DONE, World, write
from tests.repos import Repo

NEEDS_ROOT = "NOT TESTED: only the administrator can mount a small or read-only disk"
NAMES = ("a", "b", "c")


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    folder = tmp_path / "world"
    folder.mkdir()
    return World(repo, folder)


def tasks(names: tuple[str, ...] = NAMES, **keys: Any) -> list[dict[str, Any]]:
    """Tasks that need nothing of each other, with a gate on each result."""
    return [
        {
            "id": name,
            "title": name,
            "files": {"create": [f"{name}.txt"]},
            "verify": [["test", "-s", f"{name}.txt"]],
            **keys,
        }
        for name in names
    ]


def scenario(names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    """Half of the agents commit what they made."""
    commits = {name: [{"commit": name}] if number % 2 else [] for number, name in enumerate(names)}
    return {name: [write(f"{name}.txt", f"{name}\n"), *commits[name], DONE] for name in names}


def landings(world: World) -> Counter[str]:
    """How often each task is on the branch."""
    key = "--format=%(trailers:key=Chargehand-Task,valueonly)"
    listed = world.repo.git("log", "--first-parent", key, str(world.document["branch"]))
    return Counter(line for line in listed.splitlines() if line)


def all_landed_once(world: World, names: tuple[str, ...] = NAMES) -> None:
    """The run ended well."""
    assert world.document["state"] == "finished", world.document
    assert landings(world) == dict.fromkeys(names, 1)
    assert {name: world.landed(f"{name}.txt") for name in names} == {name: name for name in names}
    world.repo.git("fsck", "--strict", "--no-dangling")


def mend(world: World, rounds: int = 6) -> None:
    """What a person does once the world is well again: answer whatever is asked with another try, and resume."""
    for _ in range(rounds):
        for decision in world.document["decisions"]:
            assert "retry" in decision["choices"], decision
            asyncio.run(_answer(world, decision["id"]))
        world.resume()
        if world.document["state"] == "finished":
            return


async def _answer(world: World, decision: str) -> None:
    shop = await world.shop(())
    shop.service.answer(world.run, decision, "retry", "uma")


def once(name: str, act: Callable[[Any], object]) -> Callable[[Any, Any, Any], None]:
    """An observer that acts when an event of that name is first recorded."""
    seen: list[str] = []

    def observe(recorded: Any, state: Any, _: Any) -> None:
        if type(recorded.event).__name__ == name and not seen:
            seen.append(name)
            act(state)

    return observe


# -- the user's own git ---------------------------------------------------------------------------


@contextmanager
def looping(repo: Repo, *words: str) -> Iterator[list[int]]:
    """A git command of the user's over and over beside the run; afterwards its exit codes."""
    log, stop = repo.path.parent / "loop.log", repo.path.parent / "stop"
    script = f"while [ ! -e {stop} ]; do git {' '.join(words)} 2>>{log}.err; echo $? >>{log}; done"
    codes: list[int] = []
    log.write_text("")
    with subprocess.Popen(["sh", "-c", script], cwd=repo.path, env=dict(repo.environ)) as process:
        try:
            yield codes
        finally:
            stop.touch()
            process.wait(60)
            codes += [int(line) for line in log.read_text().split()]


def test_git_gc_beside_a_run_from_start_to_end(world: World):
    """I2, I4: nothing that was sealed, merged or landed is taken, however often the user collects garbage."""
    names = tuple("abcdefghijkl")
    world.repo.git("hash-object", "-w", "--stdin", stdin=b"a\n")
    with looping(world.repo, "gc", "-q", "--prune=now") as codes:
        world.play(tasks(names), scenario(names), sets=["jobs=3"])
    assert codes.count(0) >= 3
    world.repo.git("gc", "-q", "--prune=now")
    all_landed_once(world, names)
    assert not list((world.repo.path / ".git" / "objects" / "pack").glob("*.keep"))
    assert not list((world.repo.path / ".git" / "chargehand" / "incoming").iterdir())


def test_refs_are_packed_all_the_time(world: World):
    """I3: where a ref is kept does not matter."""

    def pack(*_: Any) -> None:
        world.repo.git("pack-refs", "--all", "--prune")

    world.play(tasks(), scenario(), observe=pack)
    all_landed_once(world)


def test_the_base_is_moved_away_and_collected(world: World):
    """I1, I2: the run goes on from where it began."""

    def rewrite(_: Any) -> None:
        world.repo.git("checkout", "-q", "--orphan", "anew")
        world.repo.commit("another history", new="n\n")
        world.repo.git("branch", "-q", "-M", "anew", "main")
        world.repo.git("reflog", "expire", "--expire=now", "--all")
        world.repo.git("gc", "-q", "--prune=now")

    world.play(tasks(), scenario(), observe=once("BranchOpened", rewrite))
    all_landed_once(world)


def test_the_branch_is_checked_out_elsewhere(world: World, tmp_path: Path):
    """I3: only the ref moves; the user's other work tree is theirs."""
    tree = tmp_path / "looking"

    def look(state: Any) -> None:
        world.repo.git("worktree", "add", "-q", str(tree), state.branch)

    world.play(tasks(), scenario(), observe=once("BranchOpened", look))
    all_landed_once(world)
    assert sorted(path.name for path in tree.iterdir() if path.suffix == ".txt") == []
    world.repo.git("worktree", "remove", "--force", str(tree))


@pytest.mark.parametrize("collect", [False, True])
def test_the_branch_is_deleted(world: World, collect: bool):
    """I3: a question; put back where it was, the run ends well, and what had landed is still there."""
    heads: list[str] = []

    def delete(state: Any) -> None:
        heads.append(state.head)
        world.repo.git("update-ref", "-d", f"refs/heads/{state.branch}")
        if collect:
            world.repo.git("reflog", "expire", "--expire=now", "--all")
            world.repo.git("gc", "-q", "--prune=now")

    world.play(
        tasks(depends_on=[]), scenario(), observe=once("LandFinished", delete), unattended=False, sets=["jobs=1"]
    )
    assert {task["reason"] for task in world.document["tasks"]} >= {"branch_moved"}
    (decision,) = world.document["decisions"]
    assert decision["kind"] == "branch_moved"
    world.repo.git("update-ref", f"refs/heads/{world.document['branch']}", heads[0])
    mend(world)
    all_landed_once(world)


# -- workspaces -----------------------------------------------------------------------------------


def test_a_workspace_deleted_under_the_agent(world: World):
    """I2, I6: it is told, and the next attempt has a new one."""
    command = "sh -c 'if [ $CHARGEHAND_ATTEMPT = 1 ]; then rm -rf \"$PWD\"; else echo a > a.txt; fi'"
    world.play_command(tasks(("a",)), command)
    told = [getattr(event, "result", None) for event in world.events()]
    problems = [problem for result in told if (problem := getattr(result, "seal_problem", ""))]
    assert len(problems) == 1
    assert problems[0].endswith(" is gone.")
    all_landed_once(world, ("a",))


def test_work_that_cannot_be_sealed_is_rescued(world: World):
    """I2: of a task that fails because of it, every attempt is there to be brought back."""
    steps = [write("a.txt", "a\n"), write(".gitattributes", "*.txt working-tree-encoding=nonsense\n"), DONE]
    world.play(tasks(("a",)), {"a": steps})
    assert world.outcome() == ("failed", "seal_failed")
    assert "nonsense" in world.task()["detail"]
    rescued = [ref for ref in world.refs() if ref.startswith(f"refs/chargehand/rescue/{world.run}/a/")]
    assert len(rescued) == world.task()["attempts"]
    assert all(world.repo.files(ref)["a.txt"] == "a" for ref in rescued)


@pytest.mark.parametrize("event", ["AttemptFinished", "GatesFinished", "MergeFinished", "LandFinished"])
def test_all_workspaces_deleted_between_two_steps(world: World, event: str):
    """I4: they are made again."""

    def delete(_: Any) -> None:
        (state,) = (world.folder / "state" / "chargehand").iterdir()
        shutil.rmtree(state)

    world.play(tasks(), scenario(), observe=once(event, delete), sets=["jobs=1"], unattended=False)
    mend(world, rounds=2)
    all_landed_once(world)


# -- disks ----------------------------------------------------------------------------------------


def mounted(*words: str) -> None:
    """Mount, or skip loudly."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip(NEEDS_ROOT)
    done = subprocess.run(["mount", *words], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        pytest.skip(f"{NEEDS_ROOT}: {done.stderr.strip()}")


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], timeout=30, check=True)


@pytest.fixture
def small(tmp_path: Path, git_environment: dict[str, str]) -> Iterator[World]:
    """A world whose repository lies on a disk of 24 MiB; journals, workspaces and logs lie elsewhere."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted("-t", "tmpfs", "-o", "size=24m,mode=700", "none", str(disk))
    try:
        repo = Repo(path=disk / "project", environ=git_environment).init()
        repo.write("README.md", "A project.\n")
        repo.commit("base")
        folder = tmp_path / "world"
        folder.mkdir()
        yield World(repo, folder)
    finally:
        unmount(disk)


def fill(folder: Path) -> None:
    """Use up every byte of a disk."""
    fd = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for size in (1 << 16, 1 << 12):
            with suppress(OSError):
                while os.write(fd, b"\0" * size) == size:
                    pass
    finally:
        os.close(fd)


def empty(folder: Path) -> None:
    for filler in folder.glob("filler*"):
        filler.unlink()


def on_a_disk_of_its_own(world: World) -> list[str]:
    """Settings that keep everything but the repository elsewhere."""
    return [f"state_dir={world.folder / 'elsewhere'}", "spare_bytes=0", "jobs=1"]


@pytest.mark.parametrize("event", ["EffectIntended", "AttemptFinished", "AttemptAccepted", "MergeFinished"])
def test_a_disk_full_of_something_else(small: World, event: str):
    """I2, I4: sealing, merging and landing fail clearly; with space again each task lands once."""
    world, disk = small, small.repo.path.parent
    number = iter(range(100))

    def full(recorded: Any, state: Any, _: Any) -> None:
        kind = type(recorded.event).__name__
        if kind == event and (kind != "EffectIntended" or next(number) == 2):
            fill(disk)

    elsewhere = on_a_disk_of_its_own(world)
    world_shop = world.shop

    async def shop(sets: Any) -> Any:
        return await world_shop([*elsewhere, *sets])

    world.shop = shop  # type: ignore[method-assign]
    try:
        world.play(tasks(), scenario(), observe=full, unattended=False)
        told = str(world.document["tasks"])
    except AdapterError as error:  # a merge or a landing has nobody to ask: the run ends here, to be resumed
        told = error.message
    assert list(disk.glob("filler*"))
    assert "No space left on device" in told or "couldn't write" in told
    empty(disk)
    world.resume()
    mend(world)
    all_landed_once(world)


def test_no_room_for_all_of_a_rescue_keeps_what_fits_and_the_workspace(small: World):
    """I2."""
    world, disk = small, small.repo.path.parent
    sets = on_a_disk_of_its_own(world)

    async def go() -> tuple[str, Path]:
        shop = await world.shop(sets)
        workspaces = GitWorkspaces(shop.repository, shop.places.agents, spare_bytes=0)
        workspace = await workspaces.acquire(world.repo.head(), branch="task")
        (workspace.path / "small.txt").write_text("small\n")
        (workspace.path / "large.bin").write_bytes(os.urandom(30 << 20))
        with pytest.raises(AdapterError) as failed:
            await workspaces.rescue(workspace, "refs/chargehand/rescue/run/a", "Left behind\n")
        fill(disk)
        with pytest.raises(AdapterError):
            await workspaces.rescue(workspace, "refs/chargehand/rescue/run/b", "Left behind\n")
        empty(disk)
        return failed.value.message, workspace.path

    message, path = asyncio.run(go())
    assert "There was no room for 1 files of " in message
    assert message.endswith("the rest is kept in refs/chargehand/rescue/run/a/1. Make room.")
    assert world.repo.files("refs/chargehand/rescue/run/a/1")["small.txt"] == "small"
    assert "- large.bin: the disk has no room for it" in world.repo.git(
        "log", "-1", "--format=%B", "refs/chargehand/rescue/run/a/1"
    )
    assert (path / "large.bin").stat().st_size == 30 << 20
    world.repo.git("fsck", "--strict", "--no-dangling")


def test_a_disk_full_of_logs(world: World, tmp_path: Path):
    """I2, I4: an attempt whose log cannot be written fails clearly."""
    if os.geteuid() != 0:
        pytest.skip(NEEDS_ROOT)
    places: list[Path] = []

    def little(state: Any) -> None:
        folder = world.repo.path / ".git" / "chargehand" / "runs" / state.run / "attempts"
        folder.mkdir()
        mounted("-t", "tmpfs", "-o", "size=64k,mode=700", "none", str(folder))
        places.append(folder)
        fill(folder)

    try:
        world.play(
            tasks(),
            scenario(),
            observe=once("BranchOpened", little),
            unattended=False,
            sets=["jobs=1", "spare_bytes=0"],
        )
        assert world.document["state"] == "waiting"
        assert "No space left" in str(world.document)
        assert landings(world) == {}
    finally:
        for place in places:
            unmount(place)
    mend(world)
    all_landed_once(world)


def test_a_repository_that_cannot_be_written_to(world: World):
    """Nothing begins, wherever the state lies."""
    where = str(world.repo.path)
    mounted("--bind", where, where)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", where], timeout=30, check=True)
        for sets in ([], on_a_disk_of_its_own(world)):
            with pytest.raises(ChargehandError, match=r"/project/.* Read-only file system\."):
                world.play(tasks(), scenario(), sets=sets)
    finally:
        unmount(world.repo.path)
    assert world.refs().keys() == {"refs/heads/main"}


def test_objects_that_are_out_of_reach_for_a_while(world: World):
    """I2, I4: a network disk that went away and came back."""
    objects = world.repo.path / ".git" / "objects"
    away = objects.with_name("away")
    timers: list[Timer] = []

    def hide(_: Any) -> None:
        objects.rename(away)
        timers.append(Timer(1.0, lambda: away.rename(objects)))
        timers[0].start()

    try:
        world.play(tasks(), scenario(), observe=once("AttemptAccepted", hide), unattended=False, sets=["jobs=1"])
    finally:
        for timer in timers:
            timer.join()
    mend(world)
    all_landed_once(world)


# -- leftovers ------------------------------------------------------------------------------------


def test_a_thousand_leftovers_do_not_slow_a_run_down(world: World):
    """Slots, notes, refs, folders of attempts: looked through in bounded, linear time."""

    def timed() -> float:
        begun = time.monotonic()
        world.play(tasks(), scenario(), sets=["jobs=1"])
        all_landed_once(world)
        return time.monotonic() - begun

    timed()
    alone = timed()
    head = world.repo.head()
    refs = (f"refs/chargehand/{kind}/gone/t{n}/1" for n in range(500) for kind in ("attempts", "candidates", "rescue"))
    world.repo.git("update-ref", "--stdin", stdin="".join(f"create {ref} {head}\n" for ref in refs).encode())
    (agents,) = (world.folder / "state" / "chargehand").glob("*/agents")
    (incoming,) = world.repo.path.glob(".git/chargehand/incoming")
    (run,) = world.repo.path.glob(f".git/chargehand/runs/{world.run}")
    for number in range(10, 1010):
        home = agents / f"s{number}"
        (home / "project").mkdir(parents=True)
        (home / "git").mkdir()
        note = f'{{"commit": "{head}", "branch": "chargehand/gone/t", "held": true, "index": ""}}'
        (home / "note.json").write_text(note)
        (incoming / f"{number:016x}").mkdir()
        (run / "attempts" / f"t{number}" / "1").mkdir(parents=True)
    assert timed() < 3 * alone + 10
    assert not list(incoming.iterdir())
