"""Every evidence rule through whole runs: what an agent claims counts for nothing, what is there decides [I6]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import DONE, World, write
from tests.repos import Repo

TASK: dict[str, Any] = {"id": "a", "title": "A", "files": {"create": ["new.txt"], "modify": ["README.md"]}}
GOOD = [write("new.txt"), DONE]


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    return World(repo=repo, folder=tmp_path)


def bad_then_good(*bad: dict[str, Any]) -> dict[str, Any]:
    """The first attempt leaves this, the second is right."""
    return {"a": {"attempts": {1: list(bad), 2: GOOD}}}


def test_a_good_attempt_lands(world: World):
    before = world.checkout()
    document = world.play([TASK], {"a": GOOD})
    assert world.outcome() == ("integrated", "integrated")
    assert document["state"] == "finished"
    assert world.landed("new.txt") == "text"
    assert world.task()["files_changed"] == ["new.txt"]
    assert world.task()["landed"] == world.repo.head(document["branch"])
    assert world.checkout() == before  # I1


STRAYS: dict[str, list[dict[str, Any]]] = {
    "new file": [write("stray.txt")],
    "edit": [write("src/app.py", "changed\n")],
    "rename": [{"rename": {"path": "src/app.py", "to": "new2.txt"}}],
    "delete": [{"delete": "src/app.py"}],
    "mode": [{"chmod": {"path": "src/app.py", "mode": "755"}}],
    "symlink out": [{"symlink": {"path": "link", "target": "/etc/passwd"}}],
    "nested repository": [{"mkdir": "sub"}, {"git": ["init", "-q", "sub"]}],
    "committed": [write("stray.txt"), {"commit": "work"}],
    "committed and removed": [write("stray.txt"), {"commit": "work"}, {"delete": "stray.txt"}, {"commit": "hide"}],
    "hidden by exclude": [write(".git/info/exclude", "stray.txt\n"), write("stray.txt")],
    "hidden by the index": [
        write("src/app.py", "changed\n"),
        {"git": ["update-index", "--skip-worktree", "src/app.py"]},
    ],
}


@pytest.mark.parametrize("what", STRAYS)
def test_a_stray_change_fails_the_attempt_and_the_retry_lands(world: World, what: str):
    world.play([TASK], bad_then_good(write("new.txt"), *STRAYS[what], DONE))
    assert world.outcome() == ("integrated", "integrated")
    assert world.task()["attempts"] == 2
    assert world.landed("stray.txt") is None
    assert world.landed("src/app.py") == "def run():\n    return 1"
    assert world.task()["files_changed"] == ["new.txt"]


def test_a_stray_is_named_with_what_was_allowed_and_modified(world: World):
    world.play([TASK], {"a": [write("new.txt"), write("stray.txt"), DONE]})
    assert world.outcome() == ("failed", "out_of_scope")
    assert "stray.txt" in world.task()["detail"]
    assert world.task()["commit"] is not None  # I2: what was done is kept
    assert world.repo.git("cat-file", "-e", world.task()["commit"]) == ""


@pytest.mark.parametrize(
    ("claim", "said"),
    [("0" * 40, "does not exist"), ("{{base}}", "already there"), ("nonsense", "does not exist")],
)
def test_a_false_commit_is_refused(world: World, claim: str, said: str):
    steps = [write("new.txt"), {"report": {"status": "DONE", "commit": claim}}]
    world.play([TASK], {"a": steps})
    assert world.outcome() == ("failed", "bad_commit")
    assert said in world.task()["detail"]


def test_a_commit_outside_the_result_is_refused(world: World):
    steps = [
        write("new.txt"),
        {"git": ["checkout", "-q", "-b", "side"]},
        {"commit": "aside"},
        {"git": ["update-ref", "refs/heads/kept", "HEAD"]},
        {"git": ["reset", "-q", "--hard", "HEAD~1"]},
        write("new.txt", "other\n"),
        {"report": {"status": "DONE", "commit": "kept"}},
    ]
    world.play([TASK], {"a": steps})
    assert world.outcome() == ("failed", "bad_commit")


def test_a_true_commit_counts_and_is_kept_as_the_agent_made_it(world: World):
    steps = [
        write("new.txt", "red\n"),
        {"commit": "red"},
        write("new.txt", "green\n"),
        {"commit": "green"},
        {"report": {"status": "DONE", "commit": "{{head}}"}},
    ]
    world.play([TASK], {"a": steps})
    assert world.outcome() == ("integrated", "integrated")
    subjects = world.repo.git("log", "--format=%s", f"{world.document['base']}..{world.task()['commit']}").splitlines()
    assert subjects == ["green", "red"]


def test_done_without_a_change_is_not_done(world: World):
    world.play([TASK], {"a": [{"lie": {}}]})
    assert world.outcome() == ("failed", "no_change")
    assert world.task()["attempts"] == 2
    assert world.task()["landed"] is None


def test_an_unchanged_tree_may_be_success(world: World):
    world.play([{**TASK, "allow_empty": True}], {"a": [{"lie": {}}]})
    assert world.outcome() == ("integrated", "integrated")


def test_a_declared_file_must_be_there(world: World):
    world.play([TASK], {"a": [write("README.md", "more\n"), DONE]})
    assert world.outcome() == ("failed", "missing_file")


def test_an_unfinished_place_fails_where_nobody_reviews(world: World):
    world.play([TASK], {"a": [write("new.txt", "TODO: the rest\n"), DONE]})
    assert world.outcome() == ("failed", "placeholder")


def test_an_unfinished_place_that_the_task_speaks_of_is_fine(world: World):
    world.play([{**TASK, "description": "Leave a TODO for the rest."}], {"a": [write("new.txt", "TODO: x\n"), DONE]})
    assert world.outcome() == ("integrated", "integrated")


def test_history_that_was_rewritten_is_refused(world: World):
    steps = [write("new.txt"), {"git": ["checkout", "-q", "--orphan", "fresh"]}, {"commit": "all new"}, DONE]
    world.play([TASK], {"a": steps})
    assert world.outcome() == ("failed", "base_lost")


def test_scope_review_asks_since_there_is_no_reviewer(world: World):
    world.play([{**TASK, "scope": "review"}], {"a": [*GOOD[:1], write("stray.txt"), DONE]}, unattended=False)
    assert world.outcome() == ("awaiting_decision", "review_needed")
    assert world.document["state"] == "waiting"


def test_an_unscoped_task_may_change_anything(world: World):
    world.play([{"id": "a", "title": "A"}], {"a": [write("x/y.txt"), {"delete": "README.md"}, DONE]})
    assert world.outcome() == ("integrated", "integrated")
    assert sorted(world.task()["files_changed"]) == ["README.md", "x/y.txt"]


def test_the_allowlist_and_lock_files_are_in_scope(world: World):
    task = {**TASK, "files": {"create": ["new.txt"], "modify": ["package.json"]}}
    steps = [*GOOD[:1], write("CHANGES.md"), write("package.json", "{}\n"), write("package-lock.json", "{}\n"), DONE]
    world.play([task], {"a": steps}, allowlist=["CHANGES.md"])
    assert world.outcome() == ("integrated", "integrated")


def test_a_declared_file_is_sealed_even_when_ignored(world: World):
    world.repo.write(".gitignore", "*.gen\nbuild/\n")
    world.repo.commit("ignore")
    task = {"id": "a", "title": "A", "files": {"create": ["out.gen", "build/**"]}}
    world.play([task], {"a": [write("out.gen"), write("build/x.o"), write("other.gen"), DONE]})
    assert world.outcome() == ("integrated", "integrated")
    assert world.landed("out.gen") == "text"
    assert world.landed("build/x.o") == "text"
    assert world.landed("other.gen") is None


def test_tool_droppings_are_neither_sealed_nor_counted(world: World):
    steps = [*GOOD[:1], write("__pycache__/a.pyc"), write("node_modules/x/y.js"), write(".pytest_cache/v"), DONE]
    world.play([TASK], {"a": steps})
    assert world.outcome() == ("integrated", "integrated")
    assert sorted(world.repo.files(world.document["branch"])) == ["README.md", "new.txt", "src/app.py"]


AWKWARD = [
    "with space.txt",
    "ünï/cödé ✓.txt",
    "-dash.txt",
    "--help",
    "new\nline.txt",
    "tab\tand\"quote'.txt",
    "a\\b.txt",
]


def test_awkward_names_survive(world: World):
    world.play([{"id": "a", "title": "A"}], {"a": [*(write(name, name + "\n") for name in AWKWARD), DONE]})
    assert world.outcome() == ("integrated", "integrated")
    files = world.repo.files(world.document["branch"])
    assert {name: files[name] for name in AWKWARD} == dict(zip(AWKWARD, AWKWARD, strict=True))


def test_line_ends_and_executable_bits_stay_exact(world: World):
    steps = [
        write("crlf.txt", "a\r\nb\r\n"),
        write("tool.sh", "#!/bin/sh\n"),
        {"chmod": {"path": "tool.sh", "mode": "755"}},
    ]
    world.play([{"id": "a", "title": "A"}], {"a": [*steps, DONE]})
    assert world.repo.files(world.document["branch"])["crlf.txt"] == "a\r\nb\r"
    assert world.repo.git("ls-tree", world.document["branch"], "tool.sh").startswith("100755")


def test_what_is_planted_in_the_workspace_never_runs(world: World, tmp_path: Path):
    """I8: filters, monitors and hooks an agent wrote are never executed by the runtime."""
    mark = tmp_path / "ran"
    trap = f"touch '{mark}'; cat"
    steps = [
        {"git": ["config", "filter.trap.clean", trap]},
        {"git": ["config", "filter.trap.smudge", trap]},
        {"git": ["config", "core.fsmonitor", f"touch '{mark}'"]},
        {"git": ["config", "core.hooksPath", "hooks"]},
        {"git": ["config", "diff.trap.textconv", trap]},
        write(".git/info/attributes", "* filter=trap diff=trap merge=trap\n"),
        write(".git/hooks/reference-transaction", f"#!/bin/sh\ntouch '{mark}'\n"),
        {"chmod": {"path": ".git/hooks/reference-transaction", "mode": "755"}},
        write(".gitattributes", "* filter=trap diff=trap merge=trap\n"),
        write("new.txt"),
        DONE,
    ]
    world.play(
        [{"id": "a", "title": "A"}, {"id": "b", "title": "B", "depends_on": ["a"]}],
        {"a": steps, "b": [write("b.txt"), DONE]},
    )
    assert world.outcome("b") == ("integrated", "integrated")
    assert not mark.exists()
