"""A rescue succeeds whatever an agent did to its workspace; what it cannot keep, it names (I2, SPEC 7.5)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chargehand.adapters import left_out
from chargehand.adapters.rescues import restore_to_folder
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.errors import AdapterError
from tests.e2e.gitworld import Agent, World, kinds
from tests.repos import Repo

PREFIX = "refs/chargehand/rescue/run/task"


@pytest.fixture
def attempt(world: World):
    """An attempt on the base commit: the workspace, and the agent in it."""
    workspace = world.acquire()
    return workspace, Agent(workspace, dict(world.repo.environ))


def message(world: World, ref: str) -> str:
    return world.repo.git("log", "-1", "--format=%B", ref)


@pytest.mark.parametrize(
    "attributes",
    [
        "* working-tree-encoding=nonsense\n",
        "*.txt working-tree-encoding=UTF-16\n",
        "* -working-tree-encoding\n",
        "* working-tree-encoding\n",
        "* text eol=crlf filter=evil diff=evil merge=evil\n",
        "* filter=lfs\n",
    ],
)
def test_attributes_that_git_stumbles_over(world: World, attempt, attributes: str, tmp_path: Path):
    """I2: files are kept byte for byte, and the slot is as good as new afterwards."""
    workspace, agent = attempt
    agent.write(".gitattributes", attributes)
    agent.write("a.txt", b"odd\xff\xfe bytes\n")
    agent.write("README.md", b"changed\xff\n")
    ref = world.rescue(workspace)
    assert ref == f"{PREFIX}/1"
    folder = world.run(restore_to_folder(world.repository, "run/task/1", tmp_path / "back"))
    assert (folder / "a.txt").read_bytes() == b"odd\xff\xfe bytes\n"
    assert (folder / "README.md").read_bytes() == b"changed\xff\n"
    assert (folder / ".gitattributes").read_text() == attributes
    world.release(workspace)
    again = world.acquire()
    assert (again.path / "README.md").read_text() == "A project.\n"
    assert not (again.path / "a.txt").exists()
    assert kinds(world.seal(again)) == {}


def test_a_seal_that_attributes_break_says_so_and_the_work_is_rescued(world: World, attempt):
    """I2."""
    workspace, agent = attempt
    agent.write(".gitattributes", "* working-tree-encoding=nonsense\n")
    agent.write("a.txt", "precious\n")
    with pytest.raises(AdapterError, match="nonsense"):
        world.seal(workspace)
    ref = world.rescue(workspace)
    assert world.repo.files(str(ref))["a.txt"] == "precious"


def test_line_ends_are_kept_as_they_are_where_attributes_break(world: World, attempt):
    workspace, agent = attempt
    world.repo.git("config", "core.autocrlf", "true")
    other = type(world)(world.repo, world.pool.with_name("pool2"), world.runner)
    workspace = other.acquire()
    agent = Agent(workspace, dict(world.repo.environ))
    agent.write(".gitattributes", "a.txt working-tree-encoding=nonsense\n")
    agent.write("a.txt", b"one\r\ntwo\n")
    ref = other.rescue(workspace)
    kept = subprocess.run(
        ["git", "cat-file", "blob", f"{ref}:a.txt"], cwd=world.repo.path, capture_output=True, check=True
    )
    assert kept.stdout == b"one\r\ntwo\n"


def test_pipes_large_files_and_odd_names_are_named_and_the_rest_is_kept(world: World, attempt, monkeypatch):
    """I2."""
    monkeypatch.setattr(left_out, "MOST_BYTES", 1000)
    workspace, agent = attempt
    os.mkfifo(agent.path / "pipe")
    (agent.path / "README.md").unlink()
    os.mkfifo(agent.path / "README.md")
    agent.write("large.bin", b"x" * 1001)
    agent.write("git~1", "short name\n")
    for number in range(20):
        agent.write(f"kept/{number}.txt", f"{number}\n")
    ref = str(world.rescue(workspace))
    assert {f"kept/{number}.txt" for number in range(20)} < set(world.repo.files(ref))
    assert "large.bin" not in world.repo.files(ref)
    text = message(world, ref)
    assert text.startswith("Left behind\n\nNot kept:\n")
    for line in (
        "- README.md: no file",
        "- pipe: no file",
        "- large.bin: it is larger than 1024 MiB",
        "- git~1: git refuses its name",
    ):
        assert line in text


@pytest.fixture
def surprising(attempt, monkeypatch):
    """Files among others whose names git refuses, and nobody knew."""
    monkeypatch.setattr(left_out, "_REFUSED", re.compile(b"(?!)"))
    workspace, agent = attempt
    for number in range(8):
        agent.write(f"{number}/git~1", "x\n")
        agent.write(f"{number}/good.txt", "x\n")
    return workspace


def test_what_git_refuses_is_found_and_named(world: World, surprising):
    """I2."""
    ref = str(world.rescue(surprising))
    assert {f"{number}/good.txt" for number in range(8)} < set(world.repo.files(ref))
    for number in range(8):
        assert f"- {number}/git~1: git could not take it" in message(world, ref)


def test_a_workspace_in_which_git_refuses_too_much_stays(world: World, surprising, monkeypatch):
    """I2: looking for it is bounded, and nothing is given up."""
    monkeypatch.setattr("chargehand.adapters.rescue._TRIES", 3)
    with pytest.raises(AdapterError, match=r"git refuses too many files of .*, which stays as it is"):
        world.rescue(surprising)
    assert (surprising.path / "7" / "good.txt").read_text() == "x\n"


def test_only_a_file_that_cannot_be_kept_is_still_told(world: World, attempt, monkeypatch):
    monkeypatch.setattr(left_out, "MOST_BYTES", 1000)
    workspace, agent = attempt
    os.mkfifo(agent.path / "pipe")
    assert world.rescue(workspace) is None
    agent.write("large.bin", b"x" * 1001)
    assert "- large.bin: " in message(world, str(world.rescue(workspace)))


def test_a_name_that_git_refuses_is_no_evidence(world: World, attempt):
    """I6: a seal does not pass over what it cannot take."""
    workspace, agent = attempt
    agent.write("a/git~1", "x\n")
    with pytest.raises(AdapterError, match=r"git refuses the names of 1 files: a/git~1\. Rename them\."):
        world.seal(workspace)


@pytest.fixture
def bottomless(attempt):
    """A file so deep that no path reaches it."""
    workspace, agent = attempt
    here = os.open(agent.path, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=here)
        there = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(os.open("deep.txt", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    agent.write("a.txt", "a\n")
    return workspace


def test_what_git_cannot_look_into_is_no_evidence(world: World, bottomless):
    """I6: a seal does not pass over what it cannot see."""
    with pytest.raises(AdapterError, match=r"git cannot look into folders of the workspace \(ddd.*must be shorter"):
        world.seal(bottomless)


def test_what_git_cannot_look_into_is_named_and_the_rest_kept(world: World, bottomless):
    """I2."""
    ref = str(world.rescue(bottomless))
    assert world.repo.files(ref)["a.txt"] == "a"
    assert "bytes): its path is too long" in message(world, ref)
    world.release(bottomless)
    assert [entry.name for entry in world.acquire().path.iterdir() if entry.name.startswith("d")] == []


def test_a_repository_inside_is_kept_as_files(world: World, attempt):
    """I2: whatever it is a repository of, and whether git could open it."""
    workspace, agent = attempt
    agent.git("init", "-q", "inside")
    agent.write("inside/a.txt", "a\n")
    agent.git("add", "-A", cwd=agent.path / "inside")
    agent.git("commit", "-q", "-m", "inside", cwd=agent.path / "inside")
    agent.write("inside/b.txt", "b\n")
    agent.write("inside/linked/.git", "gitdir: /nowhere\n")
    agent.write("inside/linked/c.txt", "c\n")
    agent.git("init", "-q", "empty")
    agent.git("init", "-q", "src/planted")
    agent.write("src/planted/d.txt", "d\n")
    files = world.repo.files(str(world.rescue(workspace)))
    wanted = {"inside/a.txt": "a", "inside/b.txt": "b", "inside/linked/c.txt": "c", "src/planted/d.txt": "d"}
    assert wanted.items() <= files.items()
    assert not any("/.git" in path for path in files)


def test_declared_files_are_kept_although_git_ignores_them(world: World):
    """I2: also by a process that knows nothing of the task."""
    world.repo.write(".gitignore", "dist/\n*.log\n")
    base = world.repo.commit("ignore")
    workspace = world.run(world.workspaces.acquire(base, branch="task", declared=["dist/**", "build.log"]))
    agent = Agent(workspace, dict(world.repo.environ))
    for name in ("dist/out.bin", "build.log", "other.log"):
        agent.write(name, f"{name}\n")
    world.workspaces._held.pop(workspace.slot).give_back()  # as the kernel does for a process that died
    other = type(world)(world.repo, world.pool, world.runner)
    files = world.repo.files(str(other.rescue(workspace)))
    assert {"dist/out.bin", "build.log"} < set(files)
    assert "other.log" not in files


def test_a_slot_whose_note_cannot_be_read_is_set_aside(world: World, attempt):
    """I2: nobody knows what is in it, so nobody overwrites it."""
    workspace, agent = attempt
    agent.write("precious.txt", "p\n")
    world.workspaces._held.pop(workspace.slot).give_back()
    (workspace.path.parent / "note.json").write_text("")
    other = type(world)(world.repo, world.pool, world.runner)
    again = other.acquire()
    assert not (again.path / "precious.txt").exists()
    (kept,) = (world.pool / "kept").iterdir()
    assert (kept / workspace.path.name / "precious.txt").read_text() == "p\n"


def test_an_attempt_does_not_start_where_the_disk_is_nearly_full(repo: Repo, tmp_path: Path, world: World):
    """The numbers and the next step are told; a gate goes on with what there is."""
    free = shutil.disk_usage(tmp_path).free
    spare = free + (1 << 30)
    workspaces = GitWorkspaces(world.repository, tmp_path / "other", spare_bytes=spare)
    base = world.run(world.repository.resolve("HEAD"))
    with pytest.raises(AdapterError) as refused:
        world.run(workspaces.acquire(base, branch="task"))
    text = refused.value.message
    assert f"{tmp_path / 'other'} has " in text
    assert f" MiB left, and an attempt needs {-(-(spare + 44) // 2**20)} MiB to start: make room (`chargehand" in text
    gates = GitWorkspaces(world.repository, tmp_path / "gates", spare_bytes=spare, precious=False)
    world.run(gates.release(world.run(gates.acquire(base, branch="gate"))))


_AS_SOMEBODY = """
import asyncio, sys
from pathlib import Path
from chargehand.adapters.git import Repository
from chargehand.adapters.workspaces import GitWorkspaces

async def main(root):
    repository = await Repository.discover(root / "project")
    workspaces = GitWorkspaces(repository, root / "pool", spare_bytes=0)
    base = await repository.resolve("HEAD")
    workspace = await workspaces.acquire(base, branch="task")
    (workspace.path / "a.txt").write_text("a\\n")
    print(workspace.path, flush=True)
    sys.stdin.readline()
    print(await workspaces.rescue(workspace, "refs/chargehand/rescue/run/task", "Left behind\\n"))

asyncio.run(main(Path(sys.argv[1])))
"""


_WEAK = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", "--inh-caps", "-all")


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None,
    reason="NOT TESTED: files of somebody else need root to be made, and setpriv to be out of reach",
)
def test_files_of_somebody_else_are_named_and_the_rest_is_kept(repo: Repo, tmp_path: Path):
    """I2: what cannot even be opened does not keep the rest from being kept."""
    source = Path(sys.modules["chargehand"].__path__[0]).parent
    with subprocess.Popen(
        [*_WEAK, sys.executable, "-c", _AS_SOMEBODY, str(tmp_path)],
        env={**repo.environ, "PYTHONPATH": str(source)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        workspace = Path(process.stdout.readline().strip())
        (workspace / "locked.txt").write_text("l\n")
        (workspace / "locked").mkdir()
        for path in (workspace / "locked.txt", workspace / "locked"):
            path.chmod(0)
            os.chown(path, 65534, 65534)
        process.stdin.write("\n")
        process.stdin.close()
        ref = process.stdout.readline().strip()
    assert process.returncode == 0
    assert repo.files(ref)["a.txt"] == "a"
    text = repo.git("log", "-1", "--format=%B", ref)
    assert "- locked.txt: it cannot be read" in text
    assert "- locked: it cannot be read" in text
