"""Nothing an agent plants hides a change, runs in our hands, or stops a seal (SPEC 3.7.1, I8)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from chargehand.domain.outcome import Candidate, ChangeKind, ClaimCheck
from tests.e2e.gitworld import REF, Agent, World, kinds

A, M, D = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED


@pytest.fixture
def attempt(world: World):
    """An attempt on the base commit: the workspace, and the agent in it."""
    workspace = world.acquire()
    return workspace, Agent(workspace, dict(world.repo.environ))


# -- hiding


def test_flags_in_the_agents_index_hide_nothing(world: World, attempt):
    workspace, agent = attempt
    agent.git("update-index", "--assume-unchanged", "README.md")
    agent.git("update-index", "--skip-worktree", "src/app.py")
    agent.write("README.md", "hidden\n")
    agent.write("src/app.py", "hidden\n")
    assert kinds(world.seal(workspace)) == {"README.md": M, "src/app.py": M}


def test_an_exclude_file_of_the_agent_hides_nothing(world: World, attempt):
    workspace, agent = attempt
    agent.write(".git/info/exclude", "*\n")
    agent.git("config", "core.excludesFile", str(agent.write(".git/more", "*\n")))
    agent.write("stray.txt", "s\n")
    assert kinds(world.seal(workspace)) == {"stray.txt": A}


def test_forged_times_hide_nothing(world: World, repo, tmp_path):
    """Not even where the user's own settings would look at times and sizes only."""
    repo.git("config", "core.trustctime", "false")
    repo.git("config", "core.checkStat", "minimal")
    world = World(repo, tmp_path / "pool2", world.runner)
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    before = (agent.path / "README.md").stat()
    agent.write("README.md", "B project.\n")
    os.utime(agent.path / "README.md", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert kinds(world.seal(workspace)) == {"README.md": M}


def test_a_staged_ignored_file_is_part_of_the_result(world: World, repo):
    repo.write(".gitignore", "*.log\n")
    repo.commit("ignore")
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    agent.write("kept.log", "k\n")
    agent.write("not.log", "n\n")
    agent.git("add", "-f", "kept.log")
    assert kinds(world.seal(workspace)) == {"kept.log": A}


def test_a_committed_ignored_file_is_part_of_the_result(world: World, repo):
    repo.write(".gitignore", "*.log\n")
    repo.commit("ignore")
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    agent.write("kept.log", "k\n")
    agent.git("add", "-f", "kept.log")
    head = agent.commit("forced")
    sealed = world.seal(workspace)
    assert (kinds(sealed), sealed.commit) == ({"kept.log": A}, head)


def test_replace_refs_and_grafts_of_the_agent_are_not_believed(world: World, attempt):
    workspace, agent = attempt
    agent.write("stray.txt", "s\n")
    head = agent.commit("stray")
    agent.git("replace", head, workspace.commit)
    assert kinds(world.seal(workspace)) == {"stray.txt": A}


# -- nested repositories


def test_nested_repositories_are_reported_never_added(world: World, attempt):
    workspace, agent = attempt
    for name in ("with", "without", "deep/er", "src"):
        (agent.path / name).mkdir(parents=True, exist_ok=True)
        agent.git("init", "-q", cwd=agent.path / name)
    agent.write("with/file.txt", "x\n")
    agent.git("add", "-A", cwd=agent.path / "with")
    agent.git("commit", "-q", "-m", "inside", cwd=agent.path / "with")
    agent.write("without/file.txt", "x\n")
    sealed = world.seal(workspace)
    assert kinds(sealed) == dict.fromkeys(("with", "without", "deep/er", "src"), ChangeKind.NESTED_REPOSITORY)
    assert sealed.tree == sealed.base_tree


def test_a_committed_nested_repository_is_taken_out_again(world: World, attempt):
    workspace, agent = attempt
    agent.git("init", "-q", "nested")
    agent.git("commit", "-q", "--allow-empty", "-m", "inside", cwd=agent.path / "nested")
    agent.write("work.txt", "w\n")
    agent.git("add", "-A")
    agent.git("commit", "-q", "-m", "all")
    assert kinds(world.seal(workspace)) == {"nested": ChangeKind.NESTED_REPOSITORY, "work.txt": A}
    assert "160000" not in world.repo.git("ls-tree", "-r", REF)


def test_nothing_planted_outlives_the_slot(world: World, attempt):
    workspace, agent = attempt
    agent.git("init", "-q", "src")
    agent.git("init", "-q", "nested")
    agent.write("nested/deeper/file", "x")
    (agent.path / "broken" / ".git").mkdir(parents=True)
    agent.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch /planted\n").chmod(0o755)
    agent.git("config", "alias.st", "!touch planted")
    world.release(workspace)
    again = world.acquire(branch="next")
    assert again.path == workspace.path
    everything = {path.relative_to(again.path).as_posix() for path in again.path.rglob("*") if ".git" not in path.parts}
    assert everything == {"README.md", "src", "src/app.py"}
    assert not (again.path / "src" / ".git").exists()
    assert list((again.path / ".git" / "hooks").iterdir()) == []
    assert "alias" not in (again.path / ".git" / "config").read_text()


# -- states of .git


def _gone(git_dir: Path) -> None:
    shutil.rmtree(git_dir)


def _a_file(git_dir: Path) -> None:
    shutil.rmtree(git_dir)
    git_dir.write_text("gitdir: /etc\n")


def _a_link(git_dir: Path) -> None:
    git_dir.rename(git_dir.parent.parent / "moved")
    git_dir.symlink_to(git_dir.parent.parent / "moved")


def _a_pipe(git_dir: Path) -> None:
    (git_dir / "HEAD").unlink()
    os.mkfifo(git_dir / "HEAD")


def _garbage(git_dir: Path) -> None:
    (git_dir / "HEAD").write_bytes(os.urandom(5000))


def _nothing_there(git_dir: Path) -> None:
    (git_dir / "HEAD").write_text("f" * 40 + "\n")


def _no_branch(git_dir: Path) -> None:
    (git_dir / "HEAD").write_text("ref: refs/heads/never\n")


def _a_way_out(git_dir: Path) -> None:
    (git_dir / "HEAD").write_text("ref: refs/../../../../../etc/passwd\n")


def _a_loop(git_dir: Path) -> None:
    (git_dir / "HEAD").write_text("ref: refs/heads/a\n")
    (git_dir / "refs" / "heads" / "a").write_text("ref: refs/heads/b\n")
    (git_dir / "refs" / "heads" / "b").write_text("ref: refs/heads/a\n")


def _no_objects(git_dir: Path) -> None:
    shutil.rmtree(git_dir / "objects")


def _a_folder(git_dir: Path) -> None:
    (git_dir / "HEAD").unlink()
    (git_dir / "HEAD").mkdir()


BROKEN = [
    _gone,
    _a_file,
    _a_link,
    _a_pipe,
    _garbage,
    _nothing_there,
    _no_branch,
    _a_way_out,
    _a_loop,
    _no_objects,
    _a_folder,
]


@pytest.mark.parametrize("ruin", BROKEN, ids=lambda ruin: ruin.__name__)
def test_a_ruined_git_directory_loses_no_file(world: World, attempt, ruin):
    """I2: whatever became of `.git`, the files are sealed on the base, rescued, and the slot is usable again."""
    workspace, agent = attempt
    agent.write("a.txt", "committed\n")
    agent.commit("a")
    agent.write("b.txt", "not committed\n")
    ruin(agent.path / ".git")
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"a.txt": A, "b.txt": A}
    assert (sealed.agent_commits, sealed.base_is_ancestor) == (0, True)
    assert world.repo.git("rev-parse", f"{REF}^") == workspace.commit
    rescued = world.rescue(workspace)
    assert rescued is not None
    assert world.repo.files(rescued) == world.repo.files(REF)
    world.release(workspace)
    again = world.acquire()
    assert Agent(again, agent.environ).git("status", "--porcelain") == ""


def test_a_detached_head_is_followed(world: World, attempt):
    workspace, agent = attempt
    agent.git("checkout", "-q", "--detach")
    agent.write("a.txt", "a\n")
    head = agent.commit("a")
    assert world.seal(workspace).commit == head


def test_packed_refs_and_packed_objects_are_followed(world: World, attempt):
    workspace, agent = attempt
    agent.write("a.txt", "a\n" * 500)
    head = agent.commit("a")
    agent.git("pack-refs", "--all", "--prune")
    agent.git("repack", "-q", "-a", "-d", "-l")
    assert world.seal(workspace).commit == head
    shutil.rmtree(agent.path)
    world.repo.git("fsck", "--strict", "--connectivity-only")


# -- rewritten history


def _amend(agent: Agent) -> None:
    agent.git("commit", "-q", "--amend", "-m", "rewritten")


def _orphan(agent: Agent) -> None:
    agent.git("checkout", "-q", "--orphan", "new")
    agent.git("commit", "-q", "-m", "orphan")


def _back(agent: Agent) -> None:
    agent.git("reset", "-q", "--soft", "HEAD~1")


@pytest.mark.parametrize("rewrite", [_amend, _orphan, _back], ids=lambda rewrite: rewrite.__name__)
def test_a_base_that_is_no_ancestor_is_said(world: World, repo, rewrite):
    repo.commit("second", note="n\n")
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    agent.write("work.txt", "w\n")
    rewrite(agent)
    sealed = world.seal(workspace)
    assert sealed.base_is_ancestor is False
    assert kinds(sealed).get("work.txt") is A
    assert repo.git("rev-parse", f"{REF}^") == workspace.commit
    kept = repo.git("for-each-ref", "--format=%(parent)", "refs/chargehand/rescue/run/task").split()
    assert kept[-1:] == ([] if rewrite is _back else [agent.git("rev-parse", "HEAD")])


def test_a_merge_of_the_agent_is_kept(world: World, attempt):
    workspace, agent = attempt
    agent.git("checkout", "-q", "-b", "side")
    agent.write("side.txt", "s\n")
    agent.commit("side")
    agent.git("checkout", "-q", "task")
    agent.write("main.txt", "m\n")
    agent.commit("main")
    agent.git("merge", "-q", "--no-edit", "side")
    sealed = world.seal(workspace, claim=agent.git("rev-parse", "side"))
    assert (sealed.agent_commits, sealed.claim) == (3, ClaimCheck.GOOD)
    assert kinds(sealed) == {"side.txt": A, "main.txt": A}


def test_a_merge_in_progress_is_sealed_as_it_stands(world: World, attempt):
    workspace, agent = attempt
    agent.git("checkout", "-q", "-b", "side")
    agent.write("README.md", "side\n")
    agent.commit("side")
    agent.git("checkout", "-q", "task")
    agent.write("README.md", "main\n")
    head = agent.commit("main")
    with pytest.raises(AssertionError):
        agent.git("merge", "-q", "side")
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"README.md": M}
    assert world.repo.git("rev-parse", f"{REF}^") == head
    assert "<<<<<<<" in world.repo.files(REF)["README.md"]


# -- an object store that lies


def test_objects_are_never_read_from_elsewhere(world: World, attempt, tmp_path, repo):
    """I8: an agent cannot have us copy objects out of a repository it names."""
    workspace, agent = attempt
    secret = type(repo)(path=tmp_path / "secret", environ=repo.environ).init()
    oid = secret.commit("secret", secret="s")
    agent.write(".git/objects/info/alternates", f"{repo.path}/.git/objects\n{secret.path}/.git/objects\n")
    agent.git("update-ref", "--no-deref", "HEAD", oid)
    sealed = world.seal(workspace, claim=oid)
    assert (sealed.changes, sealed.claim) == ((), ClaimCheck.MISSING)
    (agent.path / ".git/objects/info/alternates").write_text(f"{repo.path}/.git/objects\n")
    shutil.rmtree(agent.path / ".git/objects" / oid[:2], ignore_errors=True)
    (agent.path / ".git/objects" / oid[:2]).symlink_to(secret.path / ".git/objects" / oid[:2])
    assert world.seal(workspace, claim=oid).claim is ClaimCheck.MISSING
    assert subprocess.run(
        ["git", "cat-file", "-e", oid], cwd=repo.path, env=dict(repo.environ), check=False, capture_output=True
    ).returncode


def test_a_forged_object_does_not_get_in(world: World, attempt):
    """A loose object under a false name: its commit is refused, the files are sealed on the base."""
    workspace, agent = attempt
    agent.write("a.txt", "honest\n")
    agent.commit("a")
    real = agent.git("rev-parse", "HEAD:a.txt")
    agent.write("b.txt", "forged\n")
    other = agent.git("hash-object", "-w", "b.txt")
    store = agent.path / ".git" / "objects"
    target = store / real[:2] / real[2:]
    target.chmod(0o644)
    shutil.copyfile(store / other[:2] / other[2:], target)
    (agent.path / "b.txt").unlink()
    sealed = world.seal(workspace)
    assert world.repo.files(REF)["a.txt"] == "honest"
    assert sealed.changes
    world.repo.git("fsck", "--strict")


def test_an_index_of_garbage_is_no_trouble(world: World, attempt):
    workspace, agent = attempt
    agent.write("a.txt", "a\n")
    agent.commit("a")
    agent.write("b.txt", "b\n")
    (agent.path / ".git" / "index").write_bytes(b"DIRC" + os.urandom(200))
    assert kinds(world.seal(workspace)) == {"a.txt": A, "b.txt": A}
    (agent.path / ".git" / "index").unlink()
    (agent.path / ".git" / "index").symlink_to("/dev/zero")
    assert kinds(world.seal(workspace)) == {"a.txt": A, "b.txt": A}


def test_commits_come_in_as_a_pack(world: World, attempt):
    workspace, agent = attempt
    for n in range(3):
        agent.write("big.bin", os.urandom(3000))
        head = agent.commit(f"c{n}")
    for _ in range(2):
        assert world.seal(workspace).commit == head
    shutil.rmtree(agent.path)
    world.repo.git("fsck", "--strict")
    assert list((world.repo.path / ".git" / "objects" / "pack").glob("*.idx"))
    assert not list((world.repo.path / ".git" / "objects" / "pack").glob("tmp_*"))


def test_a_tree_that_contains_dot_git_does_not_get_in(world: World, attempt):
    workspace, agent = attempt
    blob = agent.git("hash-object", "-w", "--stdin")
    entry = f"100644 blob {blob}\t.git\n"
    made = subprocess.run(
        ["git", "mktree"], cwd=agent.path, env=agent.environ, input=entry, text=True, capture_output=True, check=True
    ).stdout.strip()
    evil = agent.git("commit-tree", made, "-p", "HEAD", "-m", "evil")
    agent.git("update-ref", "HEAD", evil)
    agent.write("work.txt", "w\n")
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"work.txt": A}
    assert world.repo.git("rev-parse", f"{REF}^") == workspace.commit


# -- nothing runs


def _plant(agent: Agent, git_dir: Path, sentinel: Path) -> None:
    """Every setting through which git runs a program, in a repository's own configuration."""
    touch = f"touch {sentinel}; cat"
    hook = f"#!/bin/sh\ntouch {sentinel}\n"
    settings = {
        "filter.evil.clean": touch,
        "filter.evil.smudge": touch,
        "filter.evil.process": touch,
        "filter.evil.required": "true",
        "diff.evil.textconv": touch,
        "diff.evil.command": touch,
        "diff.external": touch,
        "merge.evil.driver": touch,
        "core.fsmonitor": str(agent.write(".git/monitor", hook)),
        "core.hooksPath": str(git_dir / "hooks"),
        "core.pager": touch,
        "core.editor": touch,
        "core.sshCommand": touch,
        "core.alternateRefsCommand": touch,
        "gpg.program": touch,
        "commit.gpgSign": "true",
        "log.showSignature": "true",
        "credential.helper": f"!{touch}",
        "uploadpack.packObjectsHook": touch,
    }
    (agent.path / ".git" / "monitor").chmod(0o755)
    for key, value in settings.items():
        subprocess.run(["git", "config", "--file", str(git_dir / "config"), key, value], env=agent.environ, check=True)
    hooks = git_dir / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in (
        "pre-commit",
        "post-checkout",
        "reference-transaction",
        "post-index-change",
        "post-rewrite",
        "post-merge",
    ):
        (hooks / name).write_text(hook)
        (hooks / name).chmod(0o755)


def test_nothing_planted_is_ever_run(world: World, repo, attempt, tmp_path):
    """I8: filters, hooks, fsmonitor, textconv, external diff and merge drivers, during every operation."""
    workspace, agent = attempt
    sentinel = tmp_path / "ran"
    agent.write("a.txt", "a\n")
    agent.git("add", "-A")
    agent.git("commit", "-q", "-m", "a")
    agent.write(".gitattributes", "* filter=evil diff=evil merge=evil\n")
    agent.write("b.txt", "b\n")
    agent.write("README.md", "ours\n")
    agent.git("init", "-q", "nested")
    _plant(agent, agent.path / ".git", sentinel)
    _plant(agent, agent.path / "nested" / ".git", sentinel)
    sealed = world.seal(workspace, declared=["*.py"], claim="1234567")
    world.run(world.workspaces.patch(sealed.base, sealed.commit, tmp_path / "patch", 10_000))
    world.run(world.workspaces.read(sealed.commit, ["b.txt"], 100))
    assert world.rescue(workspace)
    theirs = world.acquire()
    Agent(theirs, agent.environ).write("README.md", "theirs\n")
    Agent(theirs, agent.environ).write(".gitattributes", "* merge=evil diff=evil\n")
    other = world.seal(theirs, ref=f"{REF}0")
    assert isinstance(world.merge(sealed.commit, workspace.commit), Candidate)
    assert not isinstance(world.merge(sealed.commit, other.commit), Candidate)
    world.release(workspace)
    world.acquire(sealed.commit)
    assert not sentinel.exists()


def test_the_users_own_hooks_and_drivers_do_not_run_either(world: World, repo, attempt, tmp_path):
    sentinel = tmp_path / "ran"
    planter = Agent(world.acquire(), dict(repo.environ))
    _plant(planter, repo.path / ".git", sentinel)
    workspace, agent = attempt
    agent.write(".gitattributes", "* filter=evil diff=evil merge=evil\n")
    agent.write("README.md", "ours\n")
    sealed = world.seal(workspace)
    fresh = type(world)(repo, tmp_path / "pool2", world.runner)
    theirs = fresh.acquire()
    (theirs.path / "README.md").write_text("theirs\n")
    other = fresh.seal(theirs, ref=f"{REF}0")
    fresh.merge(sealed.commit, other.commit)
    fresh.land("landed", "0" * 40, sealed.commit)
    assert fresh.rescue(theirs)
    assert not sentinel.exists()


def test_a_program_called_git_in_the_workspace_is_not_run(world: World, repo, tmp_path):
    """I8: not even where the user's PATH names the current folder."""
    sentinel = tmp_path / "ran"
    repo.environ = {**repo.environ, "PATH": f".:bin::{repo.environ['PATH']}"}
    careless = type(world)(repo, tmp_path / "pool2", world.runner)
    workspace = careless.acquire()
    for name in ("git", "bin/git"):
        file = workspace.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\ntouch {sentinel}\n")
        file.chmod(0o755)
    assert set(kinds(careless.seal(workspace))) == {"git", "bin/git"}
    careless.rescue(workspace)
    assert not sentinel.exists()


@pytest.mark.parametrize("name", [".gitignore", "src/.gitattributes", "new/.gitignore"])
def test_a_pipe_where_git_wants_a_file_does_not_block(world: World, attempt, monkeypatch, name):
    monkeypatch.setattr("chargehand.adapters.git.work._PATIENCE_S", 1.0)
    workspace, agent = attempt
    agent.write("src/app.py", "changed\n")
    agent.write("new/file.txt", "n\n")
    os.mkfifo(agent.path / name)
    assert kinds(world.seal(workspace)) == {"src/app.py": M, "new/file.txt": A}
    agent.write("src/app.py", "changed again\n")
    os.mkfifo(agent.path / name)
    world.release(workspace)
    assert world.seal(world.acquire()).changes == ()


# -- access


@pytest.fixture
def humble(world: World, tmp_path, monkeypatch) -> World:
    """A world whose git may not read what file modes forbid, even when the tests run as root."""
    if os.geteuid() == 0:
        real = shutil.which("git")
        assert shutil.which("setpriv"), "root needs setpriv for this test"
        wrapper = tmp_path / "bin" / "git"
        wrapper.parent.mkdir()
        drop = "setpriv --bounding-set=-dac_override,-dac_read_search"
        wrapper.write_text(f'#!/bin/sh\nexec {drop} {real} "$@"\n')
        wrapper.chmod(0o755)
        world.repo.environ = {**world.repo.environ, "PATH": f"{wrapper.parent}:{world.repo.environ['PATH']}"}
    return type(world)(world.repo, tmp_path / "humble", world.runner)


def test_an_unreadable_file_is_opened_up(humble: World):
    workspace = humble.acquire()
    agent = Agent(workspace, dict(humble.repo.environ))
    agent.write("locked.txt", "y\n").chmod(0)
    assert kinds(humble.seal(workspace)) == {"locked.txt": A}


def test_unreadable_folders_are_opened_up(humble: World):
    workspace = humble.acquire()
    agent = Agent(workspace, dict(humble.repo.environ))
    agent.write("closed/deep/file.txt", "x\n")
    agent.write("locked.txt", "y\n").chmod(0)
    (agent.path / "closed" / "deep").chmod(0)
    (agent.path / "closed").chmod(0)
    assert kinds(humble.seal(workspace)) == {"closed/deep/file.txt": A, "locked.txt": A}
    (agent.path / "closed").chmod(0)
    assert humble.rescue(workspace)
    agent.write("other/file.txt", "x\n")
    (agent.path / "other").chmod(0)
    (agent.path / "src").chmod(0o500)
    humble.release(workspace)
    again = humble.acquire(branch="next")
    assert sorted(path.name for path in again.path.iterdir()) == [".git", "README.md", "src"]
    assert humble.seal(again).changes == ()
