"""`accept --pr`: one branch is pushed, and a pull request opened with the report as its text (SPEC 6)."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.forge import Forge as Forging
from chargehand.adapters.git.repository import Repository
from chargehand.domain.errors import UserError
from tests.e2e.cliworld import CliWorld, Done, task
from tests.e2e.screens import screen
from tests.repos import Repo, hermetic_environment

BRANCH = "chargehand/todo-1"
URL = "https://forge.example/uma/todo/pull/7"

_GH = """\
#!{python}
# A stand-in for GitHub CLI: notes how it was called, and answers from a file.
import json, os, pathlib, sys, time
here = pathlib.Path({folder!r})
words = sys.argv[1:]
call = {{"argv": words, "cwd": os.getcwd(), "stdin": sys.stdin.read(), "env": dict(os.environ)}}
with (here / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(call) + "\\n")
answer = json.loads((here / "answers.json").read_text()).get(" ".join(words[:2]), {{}})
sys.stdout.write(answer.get("out", ""))
sys.stderr.write(answer.get("err", ""))
sys.exit(answer.get("code", 0))
"""


@dataclass
class Forge:
    """A bare repository to push to, and a `gh` that records its calls."""

    cli: CliWorld
    folder: Path
    remote: Repo

    def answers(self, **answers: Any) -> None:
        """What `gh pr list` and the like come to."""
        told = {f"pr {name}": answer for name, answer in answers.items()}
        (self.folder / "answers.json").write_text(json.dumps(told))

    def calls(self) -> list[dict[str, Any]]:
        """How gh was called so far."""
        file = self.folder / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def accept(self, *words: str, **env: str) -> Done:
        """`accept --pr` with that gh on PATH."""
        path = f"{self.folder / 'bin'}:{self.cli.environ['PATH']}"
        return self.cli.call("accept", "--pr", *words, env={"PATH": path, **env})

    def refs(self) -> dict[str, str]:
        """Everything the remote has."""
        lines = self.remote.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ") for line in lines)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A repository with a finished run; each test gets a copy."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "home").mkdir()
    made = Repo(path=folder / "project", environ=hermetic_environment(folder / "home")).init()
    made.commit("base", readme="A project.\n")
    cli = CliWorld(made, folder / "cli")
    done = cli.run(cli.plan([task("a"), task("b")], goal="Todos, @everyone."))
    assert done.code == 0, done.stderr
    return made


@pytest.fixture
def forge(finished: Repo, tmp_path: Path) -> Forge:
    folder = tmp_path / "forge"
    (folder / "bin").mkdir(parents=True)
    gh = folder / "bin" / "gh"
    gh.write_text(_GH.format(python=sys.executable, folder=str(folder)))
    gh.chmod(0o755)
    repo = Repo(path=tmp_path / "project", environ=finished.environ)
    shutil.copytree(finished.path, repo.path, symlinks=True)
    remote = Repo(path=folder / "remote.git", environ=repo.environ)
    remote.path.mkdir()
    remote.git("init", "-q", "--bare", "-b", "main")
    repo.git("remote", "add", "origin", str(remote.path))
    repo.git("push", "-q", "origin", "main")
    repo.git("branch", "private")
    repo.git("tag", "-a", "-m", "mine", "v1")
    repo.git("config", "push.followTags", "true")
    made = Forge(CliWorld(repo, tmp_path / "cli"), folder, remote)
    made.answers(list={"out": "[]"}, create={"out": f"{URL}\n"})
    return made


def test_the_branch_is_pushed_alone_and_a_pull_request_opened(forge: Forge) -> None:
    """I1: no branch of the user's, and nothing of the checkout, changes."""
    repo = forge.cli.repo
    before = repo.git("for-each-ref"), repo.git("status", "--porcelain")
    done = forge.accept("--yes", "--json")
    assert done.code == 0, done.stderr
    head = repo.head(BRANCH)
    assert done.document == {
        "run": "todo-1",
        "target": "main",
        "branch": BRANCH,
        "remote": "origin",
        "commit": head,
        "url": URL,
        "created": True,
        "warnings": [],
    }
    assert forge.refs() == {"refs/heads/main": repo.head("main"), f"refs/heads/{BRANCH}": head}
    listed, created = forge.calls()
    assert listed["argv"][:2] == ["pr", "list"]
    assert created["argv"] == [
        *("pr", "create", "--head", BRANCH, "--base", "main"),
        *("--title", "todo: Todos, @everyone.", "--body-file", "-"),
    ]
    assert "| `a` The a | ✓ integrated | 1 file, +1 −0 |" in created["stdin"]
    assert "@everyone" not in created["stdin"]
    assert created["cwd"] == str(repo.path)
    assert created["env"]["GH_PROMPT_DISABLED"] == created["env"]["GH_NO_UPDATE_NOTIFIER"] == "1"
    after = repo.git("for-each-ref")
    changed = set(after.splitlines()) - set(before[0].splitlines())
    assert all("refs/remotes/origin/" in line for line in changed)
    assert repo.git("status", "--porcelain") == before[1]


def test_done_again_the_open_one_gets_the_text_of_now(forge: Forge) -> None:
    assert forge.accept("--yes").code == 0
    forge.answers(list={"out": json.dumps([{"url": URL}])}, edit={})
    again = forge.accept("--yes")
    assert again.code == 0, again.stderr
    assert "was open already" in again.stdout
    assert again.stdout.splitlines()[-1] == URL
    assert [call["argv"][1] for call in forge.calls()] == ["list", "create", "list", "edit"]
    assert forge.calls()[-1]["argv"][2] == URL


def test_silence_pushes_nothing(forge: Forge) -> None:
    """I9."""
    refused = forge.accept("--json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "needs_yes")
    assert list(forge.refs()) == ["refs/heads/main"]
    assert forge.calls() == []


def test_without_gh_nothing_is_pushed_and_the_next_step_is_named(forge: Forge) -> None:
    done = forge.cli.call("accept", "--pr", "--yes", "--json", env={"PATH": "/usr/bin:/bin"})
    error = done.document["error"]
    assert (done.code, error["code"]) == (2, "no_gh")
    assert f"git push origin {BRANCH}" in error["hint"]
    assert list(forge.refs()) == ["refs/heads/main"]


def test_without_a_remote_or_with_too_many_it_is_said(forge: Forge) -> None:
    repo = forge.cli.repo
    repo.git("remote", "rename", "origin", "one")
    assert forge.accept("--yes", "--json").document["remote"] == "one"
    repo.git("remote", "add", "two", "https://uma:hunter2hunter2@forge.example/x.git")
    several = forge.accept("--yes", "--json").document["error"]
    assert (several["code"], several["message"]) == ("no_remote", "There are several remotes: one, two.")
    repo.git("config", "remote.pushDefault", "one")
    assert forge.accept("--yes", "--json").document["remote"] == "one"
    repo.git("remote", "remove", "one")
    repo.git("remote", "remove", "two")
    assert forge.accept("--yes", "--json").document["error"]["code"] == "no_remote"


def test_a_remote_branch_with_work_of_others_is_not_overwritten(forge: Forge) -> None:
    """I2: never by force."""
    repo = forge.cli.repo
    repo.git("checkout", "-q", "private")
    theirs = repo.commit("theirs", other="x")
    repo.git("push", "-q", "origin", f"{theirs}:refs/heads/{BRANCH}")
    done = forge.accept("--yes", "--json", "--target", "main")
    error = done.document["error"]
    assert (done.code, error["code"]) == (2, "push_failed")
    assert "rejected" in error["message"]
    assert forge.refs()[f"refs/heads/{BRANCH}"] == theirs
    assert forge.calls() == []


def test_a_gh_that_fails_is_told_with_what_it_said(forge: Forge) -> None:
    forge.answers(list={"code": 4, "err": "To get started with GitHub CLI, please run:  gh auth login\n"})
    done = forge.accept("--yes", "--json")
    error = done.document["error"]
    assert (done.code, error["code"]) == (2, "gh_failed")
    assert "gh auth login" in error["message"]
    assert "The branch was pushed" in error["hint"]
    forge.answers(list={"out": "not json"})
    assert "no list of pull requests" in forge.accept("--yes", "--json").document["error"]["message"]


def test_hooks_of_the_repository_do_not_run(forge: Forge) -> None:
    """I8."""
    hook = forge.cli.repo.path / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {forge.folder / 'hooked'}\nexit 1\n")
    hook.chmod(0o755)
    assert forge.accept("--yes").code == 0
    assert not (forge.folder / "hooked").exists()


def test_variables_that_mean_another_repository_do_not_count(forge: Forge) -> None:
    done = forge.accept("--yes", "--repo", str(forge.cli.repo.path), GIT_NAMESPACE="other", GIT_TERMINAL_PROMPT="1")
    assert done.code == 0, done.stderr
    assert f"refs/heads/{BRANCH}" in forge.refs()
    assert "GIT_NAMESPACE" not in forge.calls()[0]["env"]
    assert forge.calls()[0]["env"]["GIT_TERMINAL_PROMPT"] == "0"


def test_a_moved_branch_and_a_run_that_goes_on_are_refused(forge: Forge) -> None:
    repo = forge.cli.repo
    moved = repo.git("commit-tree", "-p", repo.head(BRANCH), "-m", "x", f"{BRANCH}^{{tree}}")
    repo.git("update-ref", f"refs/heads/{BRANCH}", moved)
    assert forge.accept("--yes", "--json").document["error"]["code"] == "branch_moved"
    assert forge.accept("--squash", "--json").document["error"]["code"] == "bad_option"
    assert list(forge.refs()) == ["refs/heads/main"]


def test_on_a_terminal_it_asks_and_enter_is_no(forge: Forge) -> None:
    """I9."""
    path = f"{forge.folder / 'bin'}:{forge.cli.environ['PATH']}"
    with screen(forge.cli, "accept", "--pr", columns=300, PATH=path) as shown:
        shown.wait_for("[y/N]: ")
        shown.press("\n")
        assert shown.end() == 1
    assert f"Push {BRANCH} (4 commits) to origin" in shown.text
    assert "open a pull request against main?" in shown.text
    assert "Nothing was pushed." in shown.text
    assert list(forge.refs()) == ["refs/heads/main"]
    with screen(forge.cli, "accept", "--pr", PATH=path) as shown:
        shown.wait_for("[y/N]: ")
        shown.press("y\n")
        assert shown.end() == 0
    assert f"refs/heads/{BRANCH}" in forge.refs()


def test_a_gh_that_hangs_has_a_deadline(forge: Forge, run: Callable[..., Any]) -> None:
    """I10, and nothing of it is left (I11)."""
    gh = forge.folder / "bin" / "gh"
    gh.write_text(f"#!/bin/sh\necho $$ > {forge.folder}/pid\nexec sleep 600\n")

    async def ask() -> None:
        repository = await Repository.discover(forge.cli.repo.path, forge.cli.environ)
        found = Forging(repository=repository, remote="origin", program=str(gh), ask_s=0.5)
        await found.open(branch=BRANCH, target="main", title="t", body="b")

    with pytest.raises(UserError, match="did not come to an end"):
        run(ask())
    assert not Path(f"/proc/{(forge.folder / 'pid').read_text().strip()}").exists()


def test_the_password_of_a_remote_is_not_shown(forge: Forge) -> None:
    """SPEC 7.3."""
    forge.cli.repo.git("remote", "set-url", "origin", "https://uma:hunter2hunter2@localhost:1/x.git")
    path = f"{forge.folder / 'bin'}:{forge.cli.environ['PATH']}"
    with screen(forge.cli, "accept", "--pr", columns=300, PATH=path) as shown:
        shown.wait_for("[y/N]: ")
        shown.press("y\n")
        assert shown.end() == 2
    assert "https://localhost:1/x.git" in shown.text
    assert "hunter2" not in shown.text
