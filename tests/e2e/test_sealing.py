"""What the runtime establishes about an attempt, with real git (SPEC 3.7, items 1 to 3)."""

from __future__ import annotations

import os
import time

import pytest

from chargehand.domain.outcome import Change, ChangeKind, ClaimCheck
from tests.e2e.gitworld import REF, Agent, World, kinds

A, M, D = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED


@pytest.fixture
def attempt(world: World):
    """An attempt on the base commit: the workspace, and the agent in it."""
    workspace = world.acquire()
    return workspace, Agent(workspace, dict(world.repo.environ))


# -- work exists


def test_nothing_done_is_the_base_itself(world: World, attempt):
    """I6: a claim of success without a change is seen as what it is."""
    workspace, _ = attempt
    sealed = world.seal(workspace, claim=None)
    assert (sealed.commit, sealed.tree) == (sealed.base, sealed.base_tree)
    assert (sealed.changes, sealed.agent_commits) == ((), 0)
    assert world.repo.head(REF) == sealed.base


def test_uncommitted_work_becomes_one_commit_of_ours(world: World, attempt):
    workspace, agent = attempt
    agent.write("src/app.py", "def run():\n    return 2\n")
    agent.write("src/new.py", "x = 1\n")
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"src/app.py": M, "src/new.py": A}
    assert world.repo.files(REF)["src/new.py"] == "x = 1\n".rstrip("\n")
    assert world.repo.git("log", "-1", "--format=%an <%ae>|%cn|%P|%s", REF) == (
        f"Uma User <uma@example.org>|Uma User|{workspace.commit}|Seal the attempt"
    )


def test_the_agents_commits_are_kept_and_nothing_is_added(world: World, attempt):
    workspace, agent = attempt
    agent.write("test_app.py", "assert False\n")
    agent.commit("red")
    agent.write("test_app.py", "assert True\n")
    last = agent.commit("green")
    sealed = world.seal(workspace)
    assert (sealed.commit, sealed.agent_commits, sealed.base_is_ancestor) == (last, 2, True)
    assert kinds(sealed) == {"test_app.py": A}
    assert world.repo.git("log", "--format=%s", f"{workspace.commit}..{REF}").split() == ["green", "red"]


def test_commits_staged_unstaged_and_untracked_work_are_one_result(world: World, attempt):
    workspace, agent = attempt
    agent.write("a.txt", "a\n")
    committed = agent.commit("a")
    agent.write("b.txt", "b\n")
    agent.git("add", "b.txt")
    agent.write("README.md", "Changed.\n")
    agent.write("c.txt", "c\n")
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"a.txt": A, "b.txt": A, "c.txt": A, "README.md": M}
    assert world.repo.git("rev-parse", f"{sealed.commit}^") == committed
    assert (sealed.agent_commits, sealed.tree) == (1, world.repo.git("rev-parse", f"{REF}^{{tree}}"))


def test_sealing_again_gives_the_same_tree(world: World, attempt):
    workspace, agent = attempt
    agent.write("a.txt", "a\n")
    agent.commit("a")
    agent.write("b.txt", "b\n")
    first = world.seal(workspace)
    again = world.seal(workspace)
    assert (first.tree, first.changes) == (again.tree, again.changes)
    agent.git("rm", "-q", "-f", "a.txt")
    (agent.path / "b.txt").unlink()
    assert world.seal(workspace).tree == first.base_tree


def test_a_repeated_seal_follows_files_that_went_away(world: World, attempt):
    workspace, agent = attempt
    agent.write("b.txt", "b\n")
    world.seal(workspace)
    (agent.path / "b.txt").unlink()
    assert world.seal(workspace).commit == workspace.commit


# -- claims


def test_claims_are_checked(world: World, attempt):
    """I6: a named commit must exist, be new, and be part of the result."""
    workspace, agent = attempt
    agent.write("a.txt", "a\n")
    first = agent.commit("a")
    agent.git("switch", "-q", "-c", "aside")
    agent.write("b.txt", "b\n")
    aside = agent.commit("b")
    agent.git("switch", "-q", "task")
    assert world.seal(workspace).claim is ClaimCheck.NONE
    assert world.seal(workspace, claim=first).claim is ClaimCheck.GOOD
    assert world.seal(workspace, claim=first[:8].upper()).claim is ClaimCheck.GOOD
    assert world.seal(workspace, claim=aside).claim is ClaimCheck.UNREACHABLE
    assert world.seal(workspace, claim=workspace.commit).claim is ClaimCheck.OLD
    assert world.seal(workspace, claim=workspace.commit[:10]).claim is ClaimCheck.OLD
    for nothing in ("f" * 40, "1234567", "abc", "HEAD", "--help", "task", "0" * 64):
        assert world.seal(workspace, claim=nothing).claim is ClaimCheck.MISSING, nothing


def test_a_claimed_commit_that_changes_nothing_is_empty(world: World, attempt):
    """I6: beside it lies the work, uncommitted; that commit does not hold it."""
    workspace, agent = attempt
    agent.git("commit", "-q", "--allow-empty", "-m", "done")
    empty = agent.git("rev-parse", "HEAD")
    agent.write("a.txt", "a\n")
    assert world.seal(workspace, claim=empty).claim is ClaimCheck.EMPTY
    assert world.seal(workspace, claim=agent.commit("a")).claim is ClaimCheck.GOOD


def test_a_claimed_tree_or_blob_is_no_commit(world: World, attempt):
    workspace, agent = attempt
    agent.write("a.txt", "a\n")
    agent.commit("a")
    assert world.seal(workspace, claim=agent.git("rev-parse", "HEAD^{tree}")).claim is ClaimCheck.MISSING


def test_a_claim_of_the_base_with_nothing_done_is_old(world: World, attempt):
    workspace, _ = attempt
    assert world.seal(workspace, claim=workspace.commit).claim is ClaimCheck.OLD


def test_a_commit_of_another_attempt_is_not_the_agents(world: World, attempt):
    workspace, agent = attempt
    other = world.acquire(branch="other")
    Agent(other, agent.environ).write("o.txt", "o\n")
    foreign = world.seal(other, ref=f"{REF}0").commit
    agent.write("a.txt", "a\n")
    assert world.seal(workspace, claim=foreign).claim is ClaimCheck.UNREACHABLE


# -- every kind of change


def test_each_kind_of_change_is_named(world: World, repo):
    repo.write("gone.txt", "x\n" * 9)
    repo.write("tool.sh", "#!/bin/sh\n")
    repo.commit("more")
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    agent.git("mv", "gone.txt", "moved.txt")
    (agent.path / "tool.sh").chmod(0o755)
    (agent.path / "README.md").unlink()
    (agent.path / "README.md").symlink_to("src/app.py")
    (agent.path / "inside").symlink_to("src/../src/app.py")
    (agent.path / "src" / "up").symlink_to("../README.md")
    (agent.path / "out").symlink_to("../../secret")
    (agent.path / "absolute").symlink_to("/etc/passwd")
    (agent.path / "meta").symlink_to(".git/config")
    out = ChangeKind.SYMLINK_OUT
    assert kinds(world.seal(workspace)) == {
        "gone.txt": D,
        "moved.txt": A,
        "tool.sh": ChangeKind.MODE,
        "README.md": M,
        "inside": A,
        "src/up": A,
        "out": out,
        "absolute": out,
        "meta": out,
    }
    assert "100755" in repo.git("ls-tree", REF, "tool.sh")


def test_a_link_that_now_points_out_is_seen(world: World, repo):
    (repo.path / "link").symlink_to("README.md")
    repo.commit("link")
    workspace = world.acquire()
    (workspace.path / "link").unlink()
    (workspace.path / "link").symlink_to("/")
    assert kinds(world.seal(workspace)) == {"link": ChangeKind.SYMLINK_OUT}


def test_files_and_folders_change_places(world: World, attempt):
    workspace, agent = attempt
    (agent.path / "README.md").unlink()
    agent.write("README.md/part.txt", "p\n")
    (agent.path / "src" / "app.py").unlink()
    (agent.path / "src").rmdir()
    agent.write("src", "now a file\n")
    assert kinds(world.seal(workspace)) == {"README.md": D, "README.md/part.txt": A, "src/app.py": D, "src": A}


def test_a_folder_replaced_by_a_link_is_a_deletion_and_a_link(world: World, attempt, tmp_path):
    workspace, agent = attempt
    (agent.path / "src").rename(tmp_path / "elsewhere")
    (agent.path / "src").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "app.py").write_text("changed outside\n")
    assert kinds(world.seal(workspace)) == {"src/app.py": D, "src": ChangeKind.SYMLINK_OUT}


def test_special_files_are_not_sealed_and_do_not_block(world: World, attempt):
    workspace, agent = attempt
    os.mkfifo(agent.path / "pipe")
    (agent.path / "README.md").unlink()
    os.mkfifo(agent.path / "README.md")
    assert kinds(world.seal(workspace)) == {"README.md": D}


STRANGE = [
    "sp ace.txt",
    "-rf",
    "--help",
    "ünï/cödé.txt",
    "new\nline.txt",
    "tab\t.txt",
    'quo"te',
    "back\\slash",
    ":colon",
    "#hash",
    "a" * 200,
    "*star",
    "[x]",
]


def test_strange_names_stay_exact(world: World, attempt):
    workspace, agent = attempt
    for name in STRANGE:
        agent.write(name, name)
    sealed = world.seal(workspace, declared=["-rf", "sp ace.txt", "nothing.txt"])
    assert kinds(sealed) == dict.fromkeys(STRANGE, A)
    assert sealed.present == ("-rf", "sp ace.txt")
    assert world.repo.files(REF) | {name: name for name in STRANGE} == world.repo.files(REF)


def test_bytes_that_are_no_utf8_become_text(world: World, attempt):
    """A name that is not UTF-8 is shown with `\\xNN`; it matches no declared path."""
    workspace, agent = attempt
    (agent.path / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    change = world.seal(workspace).changes[0]
    assert change == Change(path="caf\\xe9.txt", kind=A)
    assert change.path.encode("utf-8")
    assert world.repo.git("ls-tree", "-z", "--name-only", REF).split("\0")[1] == os.fsdecode(b"caf\xe9.txt")


def test_line_ends_and_bytes_stay_exact(world: World, attempt):
    workspace, agent = attempt
    agent.write("crlf.txt", b"one\r\ntwo\r\n")
    agent.write("binary.bin", bytes(range(256)))
    agent.write("README.md", b"A project.\r\n")
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"crlf.txt": A, "binary.bin": A, "README.md": M}
    blob = world.run(world.repository.git().run("cat-file", "blob", f"{REF}:binary.bin")).stdout
    assert blob == bytes(range(256))
    blob = world.run(world.repository.git().run("cat-file", "blob", f"{REF}:crlf.txt")).stdout
    assert blob == b"one\r\ntwo\r\n"


def test_the_users_line_end_rules_apply(world: World, repo, tmp_path):
    repo.git("config", "core.autocrlf", "yes")
    second = type(world)(repo, tmp_path / "pool2", world.runner)
    workspace = second.acquire()
    assert (workspace.path / "README.md").read_bytes() == b"A project.\r\n"
    assert second.seal(workspace).changes == ()
    (workspace.path / "new.txt").write_bytes(b"a\r\nb\r\n")
    second.seal(workspace)
    assert second.run(second.repository.git().run("cat-file", "blob", f"{REF}:new.txt")).stdout == b"a\nb\n"


# -- what counts and what does not


def test_ignored_files_count_only_when_declared(world: World, repo):
    repo.write(".gitignore", "*.log\nbuild/\n*.o\n")
    repo.commit("ignore")
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    for path in ("a.log", "b.log", "build/deep/x", "build/y", "sub/c.log", "src/app.o", "build/__pycache__/z"):
        agent.write(path, path)
    assert world.seal(workspace).changes == ()
    assert world.seal(workspace, declared=["src/**", "sub/", "**/*.py", "src/"]).changes == ()
    assert kinds(world.seal(workspace, declared=["a.log"])) == {"a.log": A}
    assert set(kinds(world.seal(workspace, declared=["build/"]))) == {"build/deep/x", "build/y"}
    assert set(kinds(world.seal(workspace, declared=["build/**", "sub/*.log"]))) >= {"build/y", "sub/c.log"}
    assert "b.log" in kinds(world.seal(workspace, declared=["*.log"]))


def test_a_wide_scope_takes_no_droppings_along(world: World, attempt):
    workspace, agent = attempt
    agent.write("src/__pycache__/app.pyc", "x")
    agent.write("node_modules/a/b.js", "x")
    agent.write("node_modules/c/d.js", "x")
    assert world.seal(workspace, declared=["**", "src/**", "src/"]).changes == ()
    assert kinds(world.seal(workspace, declared=["src/**", "node_modules/a/**"])) == {"node_modules/a/b.js": A}


def test_names_with_brackets_are_declared_as_they_are(world: World, repo):
    repo.write(".gitignore", "*.gen.tsx\n")
    repo.commit("ignore")
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    agent.write("app/[id]/page.gen.tsx", "x")
    agent.write("star*.gen.tsx", "x")
    declared = ["app/[id]/page.gen.tsx", "star\\*.gen.tsx"]
    sealed = world.seal(workspace, declared=declared)
    assert set(kinds(sealed)) == {"app/[id]/page.gen.tsx", "star*.gen.tsx"}
    assert sealed.present == ("star\\*.gen.tsx",)


def test_a_file_the_agent_hides_with_gitignore_is_sealed_when_declared(world: World, attempt):
    workspace, agent = attempt
    agent.write(".gitignore", "hidden.py\n")
    agent.write("hidden.py", "x = 1\n")
    sealed = world.seal(workspace, declared=["hidden.py"])
    assert kinds(sealed) == {".gitignore": A, "hidden.py": A}
    assert sealed.present == ("hidden.py",)


def test_droppings_are_neither_sealed_nor_counted(world: World, attempt):
    workspace, agent = attempt
    for path in ("src/__pycache__/app.pyc", ".pytest_cache/v", "node_modules/x/index.js", ".venv/bin/python"):
        agent.write(path, "x")
    agent.write("src/real.py", "x = 1\n")
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"src/real.py": A}
    agent.git("add", "-f", "-A")
    agent.git("commit", "-q", "-m", "everything")
    committed = world.seal(workspace)
    assert (kinds(committed), committed.tree) == ({"src/real.py": A}, sealed.tree)


def test_declared_droppings_and_tracked_ones_stay(world: World, repo):
    repo.write("node_modules/kept.js", "1\n")
    repo.git("add", "-f", "-A")
    repo.git("commit", "-q", "-m", "vendored")
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    agent.write("node_modules/kept.js", "2\n")
    agent.write("node_modules/other.js", "3\n")
    agent.write("node_modules/wanted.js", "4\n")
    expected = {"node_modules/kept.js": M, "node_modules/wanted.js": A}
    assert kinds(world.seal(workspace, declared=["node_modules/wanted.js"])) == expected


def test_copies_of_plan_files_are_never_sealed(world: World, attempt):
    workspace, agent = attempt
    agent.write("plan.yaml", "newer\n")
    agent.write("README.md", "the spec, newer than the commit\n")
    inputs = ["plan.yaml", "README.md"]
    assert world.seal(workspace, inputs=inputs, declared=inputs).changes == ()
    agent.write("work.txt", "w\n")
    agent.commit("all of it")
    sealed = world.seal(workspace, inputs=inputs)
    assert kinds(sealed) == {"work.txt": A}
    assert world.repo.files(REF)["README.md"] == "A project."
    assert "plan.yaml" not in world.repo.files(REF)


def test_present_tells_which_declared_files_exist(world: World, attempt):
    workspace, agent = attempt
    agent.write("made.py", "x = 1\n")
    (agent.path / "empty").mkdir()
    (agent.path / "link").symlink_to("src")
    declared = ["made.py", "missing.py", "src", "empty", "src/app.py", "link/app.py", "src/*.py", "../x", ".git/HEAD"]
    assert world.seal(workspace, declared=declared).present == ("made.py", "src", "src/app.py")
    assert world.seal(workspace, declared=["src/", "empty/"]).present == ("src",)


# -- the objects


def test_a_gc_in_the_middle_does_no_harm(world: World, attempt):
    """I2: what an index remembers and a `gc --prune=now` took away is written again."""
    workspace, agent = attempt
    agent.write("a.txt", "a\n")
    first = world.seal(workspace)
    world.repo.git("update-ref", "-d", REF)
    world.repo.git("reflog", "expire", "--expire=now", "--all")
    world.repo.git("gc", "-q", "--prune=now")
    again = world.seal(workspace)
    assert again.tree == first.tree
    world.repo.git("fsck", "--strict")


def test_sealing_leaves_the_users_checkout_alone(world: World, repo, attempt):
    """I1: work tree, index and branches of the user do not change."""
    workspace, agent = attempt
    repo.write("README.md", "Locally changed.\n")
    repo.write("untracked.txt", "mine\n")
    before = repo.git("for-each-ref", "refs/heads"), repo.git("status", "--porcelain")
    index = (repo.path / ".git" / "index").read_bytes()
    agent.write("a.txt", "a\n")
    agent.commit("a")
    world.seal(workspace)
    world.release(workspace)
    world.acquire()
    assert (repo.path / ".git" / "index").read_bytes() == index
    assert (repo.git("for-each-ref", "refs/heads"), repo.git("status", "--porcelain")) == before


def test_what_was_committed_and_then_taken_back_is_history(world: World, attempt):
    workspace, agent = attempt
    agent.write("stray.txt", "s\n")
    agent.write("README.md", "for a moment\n")
    agent.write("work.txt", "w\n")
    agent.commit("oops")
    agent.git("rm", "-q", "stray.txt")
    agent.write("README.md", "A project.\n")
    agent.commit("tidy")
    assert kinds(world.seal(workspace)) == {
        "work.txt": A,
        "stray.txt": ChangeKind.HISTORY,
        "README.md": ChangeKind.HISTORY,
    }


def test_history_is_seen_even_when_nothing_is_left_of_it(world: World, attempt):
    workspace, agent = attempt
    agent.write("stray.txt", "s\n")
    agent.commit("oops")
    agent.git("rm", "-q", "stray.txt")
    last = agent.commit("tidy")
    sealed = world.seal(workspace)
    assert kinds(sealed) == {"stray.txt": ChangeKind.HISTORY}
    assert (sealed.commit, sealed.tree) == (last, sealed.base_tree)


def test_added_lines_that_look_unfinished_are_told(world: World, repo):
    mark = "todo".upper()
    repo.write("old.py", f"# {mark}: from long ago\n")
    repo.commit("old")
    workspace = world.acquire()
    agent = Agent(workspace, dict(repo.environ))
    agent.write("old.py", f"# {mark}: from long ago\nx = 1\n\ndef f():\n    pass\n")
    agent.write("sub/new.py", f"y = 2  # {mark} later\n")
    agent.write("binary.bin", b"\0# " + mark.encode())
    (agent.path / "link.py").symlink_to("sub/new.py")
    expected = ("old.py:4: def f():", f"sub/new.py:1: y = 2  # {mark} later")
    assert world.seal(workspace).placeholders == expected
    agent.commit("all")
    assert world.seal(workspace).placeholders == expected


def test_branches_and_a_stash_beside_the_result_are_kept(world: World, attempt):
    """I2: they are not part of the result, and still not lost; their age is not for the agent to say."""
    workspace, agent = attempt
    agent.git("switch", "-q", "-c", "aside")
    agent.write("aside.txt", "a\n")
    agent.environ.update(GIT_COMMITTER_DATE="2001-01-01T00:00:00Z", GIT_AUTHOR_DATE="2001-01-01T00:00:00Z")
    aside = agent.commit("aside")
    agent.git("switch", "-q", "task")
    agent.write("README.md", "stashed\n")
    agent.git("stash", "-q")
    agent.write("work.txt", "w\n")
    agent.commit("work")
    for _ in range(2):
        assert kinds(world.seal(workspace)) == {"work.txt": A}
        fields = "--format=%(parent) %(committerdate:unix)"
        kept = world.repo.git("for-each-ref", fields, "refs/chargehand/rescue/run/task").splitlines()
        assert len(kept) == 2
        assert any(aside in line for line in kept)
        assert all(int(line.split()[-1]) > time.time() - 3600 for line in kept)


def test_no_rescue_is_made_where_nothing_is_beside_the_result(world: World, attempt):
    workspace, agent = attempt
    agent.git("branch", "same")
    agent.write("work.txt", "w\n")
    agent.commit("work")
    agent.git("branch", "old", "HEAD~1")
    agent.git("branch", "also")
    agent.git("checkout", "-q", "--detach")
    world.seal(workspace)
    assert world.repo.git("for-each-ref", "refs/chargehand/rescue") == ""
