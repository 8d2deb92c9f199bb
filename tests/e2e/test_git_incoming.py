"""A `git gc --prune=now` of the user's, at any moment, takes nothing that a seal, a rescue or a merge has made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.accept import Accepted, accept
from chargehand.adapters.git import Identity
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import Candidate
from tests.e2e.gitworld import REF, Agent, World, kinds
from tests.repos import Repo

Act = Callable[[World], Any]


@pytest.fixture
def collected(repo: Repo, tmp_path: Path, runner) -> Callable[[int], World]:
    """A world in which the user's `git gc --prune=now` runs before the n-th git process of ours, n from 1."""

    def make(number: int) -> World:
        counter, real = tmp_path / "counter", shutil.which("git")
        counter.write_text("0")
        folder = tmp_path / f"bin{number}"
        folder.mkdir()
        (folder / "git").write_text(
            f"#!/bin/sh\nn=$(($(cat {counter}) + 1))\necho $n > {counter}\n"
            f'[ $n -ne {number} ] || env -i PATH="$PATH" GIT_CONFIG_GLOBAL=/dev/null {real} -C "{repo.path}" '
            f'gc -q --prune=now\nexec {real} "$@"\n'
        )
        (folder / "git").chmod(0o755)
        plain = repo.environ
        repo.environ = {**plain, "PATH": f"{folder}:{plain['PATH']}"}
        try:
            world = World(repo, tmp_path / f"pool{number}", runner)
        finally:
            repo.environ = plain
        counter.write_text("0")
        return world

    return make


def counted(world: World, repo: Repo) -> int:
    """How many processes there have been."""
    return int((world.pool.parent / "counter").read_text())


def start_counting(world: World) -> None:
    (world.pool.parent / "counter").write_text("0")


def garbage(repo: Repo, *texts: str) -> None:
    """Objects in the repository that nothing holds, as an abandoned `git add` leaves them."""
    for text in texts:
        repo.git("hash-object", "-w", "--stdin", stdin=text.encode())


def whole(repo: Repo, *refs: str) -> None:
    """Everything is there, and stays."""
    repo.git("gc", "-q", "--prune=now")
    repo.git("fsck", "--strict", "--no-dangling")
    for ref in refs:
        repo.git("rev-list", "--objects", ref)
    assert not list((repo.path / ".git" / "objects" / "pack").glob("*.keep"))
    assert not list((repo.path / ".git" / "chargehand" / "incoming").iterdir())


def work(world: World, *, commits: bool = False):
    """An agent's work, some of which lies in the user's repository already, held by nothing."""
    workspace = world.acquire()
    agent = Agent(workspace, dict(world.repo.environ))
    agent.write("a.txt", "a\n")
    agent.write("deep/b.txt", "b\n")
    agent.git("switch", "-q", "-c", "aside")
    agent.write("aside.txt", "aside\n")
    agent.commit("aside")
    agent.git("switch", "-q", "task")
    agent.write("a.txt", "a\n")
    if commits:
        agent.commit("work")
    agent.write("c.txt", "c\n")
    garbage(world.repo, "a\n", "c\n", "b\n")
    return workspace


def at_every_step(collected: Callable[[int], World], repo: Repo, act: Callable[[World, int], None]) -> None:
    """Act in one world after another, until a gc after the last process would be the next."""
    number = 0
    while True:
        number += 1
        world = collected(number)
        act(world, number)
        if counted(world, repo) < number:
            break
    assert number > 3


@pytest.mark.parametrize("commits", [False, True])
def test_a_gc_at_any_step_of_a_seal(collected, repo: Repo, commits: bool):
    """I2: what is sealed, and what the agent left beside it, is whole."""

    def act(world: World, number: int) -> None:
        workspace = work(world, commits=commits)
        start_counting(world)
        sealed = world.seal(workspace, ref=f"{REF}{number}")
        assert {"a.txt", "c.txt"} <= set(kinds(sealed))
        assert repo.head(f"{REF}{number}") == sealed.commit
        whole(repo, sealed.commit)

    at_every_step(collected, repo, act)
    assert repo.files("refs/chargehand/rescue/run/task/1")["aside.txt"] == "aside"


def test_a_gc_at_any_step_of_a_rescue(collected, repo: Repo):
    """I2: what is rescued is whole."""

    def act(world: World, number: int) -> None:
        workspace = work(world)
        start_counting(world)
        ref = world.rescue(workspace, f"refs/chargehand/rescue/run/{number}")
        assert ref is not None
        whole(repo, ref)
        assert {"a.txt", "c.txt"} <= set(repo.files(ref))

    at_every_step(collected, repo, act)


def test_a_gc_at_any_step_of_a_merge_and_a_landing(collected, repo: Repo):
    """I3: a candidate stays as it was tested."""
    base = repo.head()
    ours, theirs = repo.commit("ours", ours="o\n"), ""
    repo.git("switch", "-q", "-c", "side", base)
    theirs = repo.commit("theirs", theirs="t\n")
    repo.git("switch", "-q", "main")
    repo.git("branch", "run", ours)

    def act(world: World, number: int) -> None:
        start_counting(world)
        ref = f"refs/chargehand/candidates/run/task/{number}"
        candidate = world.merge(ours, theirs, ref)
        assert isinstance(candidate, Candidate)
        world.land("run", ours, candidate.commit)
        whole(repo, ref, "run")
        assert set(repo.files("run")) == {"README.md", "src/app.py", "ours.txt", "theirs.txt"}
        repo.git("update-ref", "refs/heads/run", ours)

    at_every_step(collected, repo, act)


@pytest.mark.parametrize("squash", [False, True])
def test_a_gc_at_any_step_of_accept(collected, repo: Repo, squash: bool):
    """I3: what was tested for the target lands."""
    base = repo.head()
    repo.git("switch", "-q", "-c", "run")
    repo.commit("run", run="r\n")
    repo.git("switch", "-q", "main")
    ours = repo.commit("ours", ours="o\n")
    repo.git("switch", "-q", "--detach", base)

    async def green(_: object) -> str:
        return ""

    def act(world: World, _: int) -> None:
        start_counting(world)
        done = world.run(accept(world.repository, "run", "main", message="Land\n", squash=squash, gates=green))
        assert isinstance(done, Accepted)
        assert repo.head("main") == done.commit
        whole(repo, "main")
        repo.git("update-ref", "refs/heads/main", ours)

    at_every_step(collected, repo, act)


# -- between two processes


def test_what_was_handed_over_stays_before_its_ref_is_there(world: World, repo: Repo):
    tree = repo.git("rev-parse", "HEAD^{tree}")
    with world.repository.incoming() as incoming:
        git = incoming.over(world.repository.plumbing())
        commit = incoming.commit(tree, (repo.head(),), world.repository.identity, "made\n")
        world.run(incoming.hand_over(git, [commit], [repo.head()]))
        repo.git("gc", "-q", "--prune=now")
        repo.git("repack", "-q", "-a", "-d")
        repo.git("update-ref", "refs/heads/made", commit)
    whole(repo, "made")
    assert repo.git("log", "-1", "--format=%an <%ae>|%cn|%B", "made") == "Uma User <uma@example.org>|Uma User|made\n"


def test_what_a_killed_process_handed_over_is_let_go_by_the_next(world: World, repo: Repo):
    """A `.keep` file is not left for ever; a folder of somebody alive is left alone."""
    script = (
        "import asyncio, os, sys\nfrom pathlib import Path\nfrom chargehand.adapters.git import Repository\n"
        "async def main():\n"
        "    repository = await Repository.discover(Path(sys.argv[1]))\n"
        "    incoming = repository.incoming().__enter__()\n"
        "    head = await repository.resolve('HEAD')\n"
        "    commit = incoming.commit(await repository.tree(head), (head,), repository.identity, 'lost')\n"
        "    await incoming.hand_over(incoming.over(repository.plumbing()), [commit], [head])\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    source = str(Path(sys.modules["chargehand"].__path__[0]).parent)
    environ = {**repo.environ, "PYTHONPATH": source}
    done = subprocess.run([sys.executable, "-c", script, str(repo.path)], env=environ, check=False, timeout=60)
    assert done.returncode == -9
    packs, home = repo.path / ".git" / "objects" / "pack", repo.path / ".git" / "chargehand" / "incoming"
    assert len(list(packs.glob("*.keep"))) == 1
    assert len(list(home.iterdir())) == 1
    with world.repository.incoming():
        assert not list(packs.glob("*.keep"))
        assert len(list(home.iterdir())) == 1
        with world.repository.incoming():
            assert len(list(home.iterdir())) == 2
    whole(repo)


def test_many_small_packs_become_one(world: World, repo: Repo):
    """However many results come in, git has few packs to look into."""
    packs, tree = repo.path / ".git" / "objects" / "pack", repo.git("rev-parse", "HEAD^{tree}")

    def come_in(number: int) -> None:
        with world.repository.incoming() as incoming:
            git = incoming.over(world.repository.plumbing())
            commit = incoming.commit(tree, (repo.head(),), world.repository.identity, f"{number}\n")
            world.run(incoming.hand_over(git, [commit], [repo.head()]))
            repo.git("update-ref", f"refs/heads/made/{number}", commit)

    repo.commit("the user's own")
    repo.git("repack", "-q", "-d")
    own = set(packs.glob("*.pack"))
    for number in range(40):
        come_in(number)
    assert own < set(packs.glob("*.pack"))
    assert len(list(packs.glob("*.pack"))) <= 1 + 1 + 8
    assert len(list(packs.glob("*.idx"))) == len(list(packs.glob("*.pack")))
    repo.git("fsck", "--strict")
    whole(repo, *(f"made/{number}" for number in range(40)))
    for number in range(40, 80):  # after the user's gc took them all
        come_in(number)
    assert len(list(packs.glob("*.pack"))) <= 1 + 1 + 8
    whole(repo, *(f"made/{number}" for number in range(80)))


def test_a_store_on_another_file_system_gets_copies(world: World, repo: Repo, monkeypatch):
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.parent.parent.parent.name == "incoming" and "objects" in target.parts:
            raise OSError(18, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    workspace = world.acquire()
    (workspace.path / "a.txt").write_text("a\n")
    sealed = world.seal(workspace)
    whole(repo, sealed.commit)
    assert not list((repo.path / ".git" / "objects" / "pack").glob("*.new"))


def test_a_store_that_cannot_be_written_is_a_clear_error(world: World, repo: Repo):
    workspace = world.acquire()
    (workspace.path / "a.txt").write_text("a\n")
    home = repo.path / ".git" / "chargehand" / "incoming"
    shutil.rmtree(home, ignore_errors=True)
    home.write_text("in the way\n")
    with pytest.raises(AdapterError, match=r"incoming cannot be written to: .*\.") as failed:
        world.seal(workspace)
    assert failed.value.retryable
    home.unlink()
    assert kinds(world.seal(workspace)) == kinds(world.seal(workspace))


@pytest.mark.parametrize(
    ("name", "email", "line"),
    [
        ("Uma User", "uma@example.org", b"Uma User <uma@example.org>"),
        (" .<Uma>\nUser, ", "<uma@example.org>", b"UmaUser <uma@example.org>"),
        ("...", "", b"Chargehand <>"),
        (os.fsdecode(b"J\xf6rg"), "j@x", b"J\xf6rg <j@x>"),
    ],
)
def test_an_identity_is_written_as_git_writes_it(name: str, email: str, line: bytes):
    written = Identity(name=name, email=email).line(1_700_000_000.9)
    assert written.startswith(line + b" 1700000000 ")
    assert len(written.rsplit(b" ", 1)[1]) == 5
