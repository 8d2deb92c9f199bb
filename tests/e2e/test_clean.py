"""`clean` removes what nobody can want any more, and says what it keeps and why (SPEC 7.5)."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.slots import Note, Pool
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.events import WarningRaised
from chargehand.wiring.doctor.leftovers import look_at_leftovers
from chargehand.wiring.housekeeping import Cleaned, clean
from chargehand.wiring.places import private_name
from chargehand.wiring.rooms import idle_rooms, remove_rooms
from chargehand.wiring.workshop import Workshop
from tests.e2e.world import DONE, World, write
from tests.repos import Repo

DAY_S = 86_400.0


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    folder = tmp_path / "world"
    folder.mkdir()
    return World(repo, folder)


class Later:
    """A clock that is ahead by some days."""

    def __init__(self, days: float) -> None:
        self._days = days

    def now(self) -> float:
        return time.time() + self._days * DAY_S


def tidy(world: World, *, dry_run: bool = False, days: float = 0, sets: tuple[str, ...] = ()) -> Cleaned:
    async def call() -> Cleaned:
        shop = await world.shop(sets)
        shop.clock = Later(days)  # type: ignore[assignment]
        return await clean(shop, dry_run=dry_run)

    return asyncio.run(call())


def accept(world: World) -> None:
    async def call() -> None:
        shop = await world.shop(())
        await shop.accept(world.run, None, squash=False)

    asyncio.run(call())


def finish(world: World) -> None:
    """A run in which `a` lands and `b` does not."""
    tasks: list[dict[str, Any]] = [{"id": "a", "title": "A"}, {"id": "b", "title": "B", "verify": [["false"]]}]
    world.play(tasks, {"a": [write("a.txt"), DONE], "b": [write("b.txt"), DONE]})
    assert [world.outcome("a")[0], world.outcome("b")[0]] == ["integrated", "failed"]


def wait(world: World) -> None:
    """A run that waits for a human."""
    task = {"id": "a", "title": "A", "needs_human": True}
    world.play([task], {"a": [write("a.txt"), DONE]}, unattended=False)
    assert world.document["state"] == "waiting"


def kinds(world: World) -> set[str]:
    return {ref.split("/")[2] for ref in world.refs() if ref.startswith("refs/chargehand/")}


def pool(world: World, kind: str = "agents") -> Path:
    (folder,) = (world.folder / "state" / "chargehand").glob(f"*/{kind}")
    return folder


async def _abandon(world: World, branch: str) -> Path:
    shop = await world.shop(())
    workspaces = GitWorkspaces(shop.repository, shop.places.agents)
    workspace = await workspaces.acquire(world.repo.head(), branch=branch)
    (workspace.path / "precious.txt").write_text("p\n")
    workspaces.let_go(workspace)  # as the kernel does for a process that died
    return workspace.path


def abandon(world: World, branch: str = "chargehand/gone/task") -> Path:
    """A workspace with work in it, whose holder died."""
    return asyncio.run(_abandon(world, branch))


def test_a_run_that_is_over_keeps_what_was_not_accepted(world: World):
    """I2."""
    finish(world)
    assert kinds(world) == {"attempts", "bases", "candidates"}
    would = tidy(world, dry_run=True)
    assert kinds(world) == {"attempts", "bases", "candidates"}
    assert pool(world).exists()
    done = tidy(world)
    assert done == would
    assert kinds(world) == {"attempts"}
    attempts = sum(ref.startswith("refs/chargehand/attempts/") for ref in world.refs())
    assert (f"{attempts} sealed attempts", f"run {world.run} is not accepted yet") in done.kept
    assert (f"chargehand/{world.run}", "branches are yours to delete") in done.kept
    assert {kind for kind, _ in done.removed} == {"workspace", "folder", "ref"}
    assert not list((world.folder / "state" / "chargehand").glob("*/agents"))
    assert tidy(world).removed == ()
    assert tidy(world, days=400).removed == ()


def test_of_an_accepted_run_what_did_not_land_stays_a_while(world: World):
    """I2."""
    finish(world)
    accept(world)
    done = tidy(world)
    left = [ref for ref in world.refs() if ref.startswith("refs/chargehand/")]
    assert left
    assert all(ref.startswith(f"refs/chargehand/attempts/{world.run}/b/") for ref in left)
    assert (f"{len(left)} sealed attempts", "they are kept for 30 days") in done.kept
    assert ("ref", f"refs/chargehand/attempts/{world.run}/a/1") in done.removed
    assert tidy(world, days=31, sets=("rescue_days=0",)).removed == ()
    assert len(tidy(world, days=29).removed) == 0
    assert {name for kind, name in tidy(world, days=31).removed if kind == "ref"} == set(left)
    world.repo.git("fsck", "--strict")


def test_rescues_are_kept_for_their_days(world: World):
    """I2: and for as long as their run is not over."""
    wait(world)
    tree = world.repo.head()
    for name in (f"{world.run}/a/1", "gone/a/1", "abandoned/s1/1"):
        commit = world.repo.git("commit-tree", f"{tree}^{{tree}}", "-p", tree, "-m", name)
        world.repo.git("update-ref", f"refs/chargehand/rescue/{name}", commit)
    done = tidy(world)
    assert done.removed == ()
    assert ("2 rescues", "they are kept for 30 days") in done.kept
    assert ("1 rescues", f"run {world.run} is not over") in done.kept
    assert ("3 rescues", "they are kept for ever (`rescue_days` is 0)") not in done.kept
    forever = tidy(world, days=1000, sets=("rescue_days=0",))
    assert ("2 rescues", "they are kept for ever (`rescue_days` is 0)") in forever.kept
    gone = tidy(world, days=31)
    assert gone.removed == (("rescue", "abandoned/s1/1"), ("rescue", "gone/a/1"))
    assert [ref for ref in world.refs() if "/rescue/" in ref] == [f"refs/chargehand/rescue/{world.run}/a/1"]


@pytest.mark.parametrize("packed", [False, True])
def test_no_date_of_an_agent_makes_its_work_old(world: World, packed: bool):
    """I2: whoever makes a commit chooses its dates."""
    finish(world)
    accept(world)
    head = world.repo.head()
    who = "Agent <agent@example.org> 978307200 +0000"
    text = (
        f"tree {world.repo.git('rev-parse', f'{head}^{{tree}}')}\nparent {head}\nauthor {who}\ncommitter {who}\n\nold\n"
    )
    forged = world.repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode())
    names = {f"refs/chargehand/{name}" for name in (f"attempts/{world.run}/b/9", f"rescue/{world.run}/b/9")}
    names |= {f"refs/chargehand/{name}" for name in ("attempts/gone/b/9", "rescue/gone/b/9", "candidates/gone/b/9")}
    for name in names:
        world.repo.git("update-ref", name, forged)
    if packed:
        world.repo.git("pack-refs", "--all")
    for days in (0, 29):
        tidy(world, days=days)
        assert names <= set(world.refs())
    tidy(world, days=31)
    assert not names & set(world.refs())


def test_of_refs_in_no_files_nothing_tells_the_age(world: World):
    """I2: then they stay."""
    finish(world)
    world.repo.git("update-ref", "refs/chargehand/attempts/gone/b/1", world.repo.head())
    world.repo.git("pack-refs", "--all")
    real = world.repo.path / ".git" / "packed-refs"
    real.rename(real.with_name("elsewhere"))
    real.symlink_to("elsewhere")
    assert ("1 sealed attempts", "nothing that can be trusted tells how old they are") in tidy(world, days=99).kept


@pytest.mark.parametrize("note", ['{"created_at": NaN}', "[" * 200_000, None])
def test_a_run_that_is_held_keeps_its_rooms_whatever_lies_in_its_folder(world: World, note: str | None):
    """I2: its agents live in them."""
    wait(world)

    async def beside() -> None:
        shop = await world.shop(())
        held = shop.service.take_up(world.run)
        try:
            folder = shop.store.folder(world.run)
            home = room(shop, world.run)
            if note is None:
                (folder / "run.json").unlink()
                (folder / "journal.db").rename(folder / "away")
            else:
                (folder / "run.json").write_text(note)
            await clean(shop, dry_run=False)
            for finding in await look_at_leftovers(shop, ()):
                assert finding.name != "private folders"
            assert home.is_dir()
            if note is None:
                (folder / "away").rename(folder / "journal.db")
        finally:
            held.release()

    asyncio.run(beside())


def test_a_run_that_begins_or_is_taken_up_meanwhile_keeps_its_rooms(world: World):
    """I2: between the look at the runs and the removal."""
    finish(world)
    over = world.run

    async def beside() -> None:
        shop = await world.shop(())
        home, unborn = room(shop, over), room(shop, "unborn")
        idle = idle_rooms(shop, {over})
        assert {home.parent.parent, unborn.parent.parent} <= set(idle)
        held = shop.service.take_up(over)
        begun = shop.store.create("unborn", [WarningRaised(code="x", text="y")], 1.0)
        try:
            stays = remove_rooms(shop, idle, {over})
        finally:
            held.release()
            begun.release()
        assert set(stays) == {home.parent.parent, unborn.parent.parent}
        assert home.is_dir()
        assert unborn.is_dir()
        assert set(remove_rooms(shop, idle, {over})) == {unborn.parent.parent}
        assert not home.exists()

    asyncio.run(beside())


def test_a_temporary_folder_elsewhere_goes_with_the_room_that_leads_to_it(world: World):
    finish(world)
    elsewhere = [Path(tempfile.mkdtemp(prefix="ch-", dir="/var/tmp")) for _ in range(2)]
    try:

        async def rooms() -> None:
            shop = await world.shop(())
            for name, target in zip((world.run, "gone"), elsewhere, strict=True):
                (room(shop, name).parent / "tmp").symlink_to(target)
                (target / "file").write_text("x")
            half = shop.places.private / private_name(shop.store.folder("gone"))
            half.rename(half.with_name(f"{half.name}.gone"))

        asyncio.run(rooms())
        tidy(world)
        assert not [path for path in elsewhere if path.exists()]
        assert not list((world.folder / "state" / "chargehand").glob("*/private/*"))
    finally:
        for path in elsewhere:
            shutil.rmtree(path, ignore_errors=True)


def room(shop: Workshop, run: str) -> Path:
    """A HOME as attempts of a run have it."""
    home = shop.places.private / private_name(shop.store.folder(run)) / "a" / "home"
    home.mkdir(parents=True)
    return home


def test_a_run_that_is_not_over_keeps_everything(world: World):
    """I2."""
    wait(world)
    path = abandon(world, f"chargehand/{world.run}/a")
    before = world.refs()
    done = tidy(world)
    assert done.removed == ()
    assert world.refs() == before
    assert (path / "precious.txt").exists()
    why = dict(done.kept)
    assert why[world.run] == f"it is not over: `chargehand resume {world.run}` goes on with it"
    assert why[str(path.parent)] == f"work of run {world.run} may be in it"


def test_a_run_that_is_held_is_not_touched(world: World):
    """I2: what is over beside it goes all the same."""
    finish(world)
    over = world.run
    wait(world)
    assert world.run != over

    async def beside() -> Cleaned:
        shop = await world.shop(())
        held = shop.service.take_up(world.run)
        try:
            return await clean(shop, dry_run=False)
        finally:
            held.release()

    done = asyncio.run(beside())
    assert dict(done.kept)[world.run].startswith("it is held by ")
    assert all(f"/{over}/" in f"{name}/" for kind, name in done.removed if kind == "ref")
    assert any(kind == "ref" for kind, _ in done.removed)
    assert not any(kind == "workspace" for kind, _ in done.removed)
    assert pool(world).exists()


def test_a_journal_that_cannot_be_read_keeps_its_run(world: World):
    finish(world)
    (journal,) = world.repo.path.glob(".git/chargehand/runs/*/journal.db")
    for file in journal.parent.glob("journal.db*"):
        file.write_bytes(b"no database, but of some length\n" * 200)
    done = tidy(world)
    assert dict(done.kept)[world.run].startswith("its journal cannot be read: ")
    assert done.removed == ()


def test_work_that_nobody_gave_back_is_rescued_first(world: World):
    """I2."""
    finish(world)
    path = abandon(world)
    would = tidy(world, dry_run=True)
    assert ("workspace", str(path.parent)) in would.removed
    assert (path / "precious.txt").exists()
    done = tidy(world)
    assert ("workspace", str(path.parent)) in done.removed
    assert not path.exists()
    assert ("gone/task/1", f"rescued from {path}") in done.kept
    assert world.repo.files("refs/chargehand/rescue/gone/task/1")["precious.txt"] == "p"


def test_work_that_cannot_be_rescued_stays(world: World):
    """I2."""
    finish(world)
    path = abandon(world)
    shutil.rmtree(path.parent / "git")
    for _ in range(2):
        done = tidy(world)
        assert (path / "precious.txt").read_text() == "p\n"
        why = dict(done.kept)
        assert why[str(path)].startswith("it could not be rescued: ")
        assert why[str(path.parent)] == "it could not be rescued, and nothing else holds what is in it"


def test_what_was_set_aside_and_what_nobody_can_read_stays(world: World):
    """I2."""
    finish(world)
    path = abandon(world)
    (path.parent / "note.json").write_text("{")
    aside = pool(world) / "kept" / "s9-x"
    aside.mkdir(parents=True)
    why = dict(tidy(world).kept)
    assert why[str(path.parent)] == "its note cannot be read, so nobody knows what is in it"
    assert why[str(aside)].startswith("it could not be rescued when its slot was needed")
    assert (path / "precious.txt").exists()
    assert aside.is_dir()


def test_a_slot_that_a_process_works_in_stays(world: World):
    finish(world)
    agents = Pool.at(pool(world))
    (name, *_) = agents.names()
    slot = agents.take_named(name)
    assert slot is not None
    try:
        done = tidy(world)
    finally:
        slot.give_back()
    assert dict(done.kept)[str(slot.home)] == "a process works in it"
    assert slot.home.exists()
    assert ("workspace", str(slot.home)) in tidy(world).removed


def test_who_waited_for_a_slot_that_was_removed_gets_a_new_one(tmp_path: Path):
    """Two processes never hold one slot, though its lock file went in between."""
    pool = Pool(tmp_path / "pool", "work")
    one = pool.take()
    one.write_note(Note(commit="c", branch="b", held=True))
    pool.remove(one)
    two = pool.take()
    one.give_back()
    assert two.name == one.name
    assert two.note() is None
    assert Pool(tmp_path / "pool", "work").take_named(two.name) is None


def test_leftovers_of_accepts_and_of_the_trash_go(world: World):
    finish(world)
    world.repo.git("update-ref", "refs/chargehand/accept/main", "HEAD")
    (pool(world) / "trash" / "x" / "y").mkdir(parents=True)
    assert "refs/chargehand/accept/main" not in [name for _, name in tidy(world).removed]
    assert ("ref", "refs/chargehand/accept/main") in tidy(world, days=31).removed
    assert not list((world.folder / "state" / "chargehand").glob("*/agents"))


def test_a_thousand_leftovers_are_cleaned_in_bounded_time(world: World):
    """Linear: a thousand refs, slots, private folders and runs that are only names."""
    finish(world)
    head = world.repo.head()
    feed = "".join(
        f"create refs/chargehand/{kind}/gone/t{n}/1 {head}\n" for n in range(500) for kind in ("rescue", "candidates")
    )
    world.repo.git("update-ref", "--stdin", stdin=feed.encode())
    agents, base = pool(world), world.repo.head()
    private = agents.parent / "private"
    for number in range(10, 1010):
        home = agents / f"s{number}"
        (home / "project").mkdir(parents=True)
        (home / "note.json").write_text(f'{{"commit": "{base}", "branch": "x", "held": false, "index": ""}}')
        (private / f"{number:08x}" / "home").mkdir(parents=True)
    begun = time.monotonic()
    done = tidy(world, days=40)
    spent: Any = time.monotonic() - begun
    count = {kind: sum(1 for k, _ in done.removed if k == kind) for kind in ("rescue", "workspace", "folder", "ref")}
    assert count["rescue"] == 500
    assert count["ref"] >= 500
    assert count["workspace"] >= 1000
    assert count["folder"] >= 1000
    assert spent < 20
    assert tidy(world, days=40).removed == ()
