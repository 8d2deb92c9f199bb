"""`fix` commands: what they make of the files of a change, sealed; whatever else they do is gone (SPEC 5)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.gate_cache import GateCache
from chargehand.domain.outcome import ChangeKind, Sealed
from chargehand.ports import Check, FixJob
from tests.e2e.execution import Execution, available, check, setup
from tests.repos import Repo

REF = "refs/chargehand/attempts/r/t/2"


@dataclass
class Lab(Execution):
    def fix(
        self, *commands: str | Check, paths: tuple[str, ...] = ("src/app.py", "new.txt"), **more: Any
    ) -> Sealed | None:
        parts = {"cache": more.pop("gate_cache")} if "gate_cache" in more else {}
        made = [check(each, id=f"fix-{n}") if isinstance(each, str) else each for n, each in enumerate(commands)]
        job = FixJob(
            key="t/2/fix",
            run=self.name,
            task="t",
            attempt=2,
            commit=more.pop("commit", self.repo.head()),
            base=self.repo.head("HEAD~1"),
            commands=tuple(made),
            paths=paths,
            ref=REF,
            message="Mended by fix\n",
            **more,
        )
        return asyncio.run(self.gates(**parts).fix(job))


@pytest.fixture(params=available()[:1])
def lab(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> Lab:
    repo.write("new.txt", "a   \n")
    repo.commit("the change")
    return Lab(repo, tmp_path, request.param)


MEND = "sed -i 's/ *$//' new.txt"


def test_what_is_mended_is_sealed_on_top_of_the_change(lab):
    head = lab.repo.head()
    sealed = lab.fix(MEND)
    assert sealed is not None
    assert (sealed.base, lab.repo.head(REF)) == (head, sealed.commit)
    assert lab.repo.git("rev-list", "--parents", "-1", sealed.commit).split()[1:] == [head]
    assert [(change.path, change.kind) for change in sealed.changes] == [("new.txt", ChangeKind.MODIFIED)]
    assert lab.repo.files(sealed.commit) == {**lab.repo.files(head), "new.txt": "a"}
    assert sealed.tree == lab.repo.git("rev-parse", f"{sealed.commit}^{{tree}}")
    assert sealed.base_tree == lab.repo.git("rev-parse", f"{head}^{{tree}}")
    assert lab.repo.git("log", "-1", "--format=%an %s", sealed.commit) == "Uma User Mended by fix"
    assert sealed.present == ("src/app.py", "new.txt")


@pytest.mark.parametrize("command", ["true", "cat new.txt", "echo x > stray; echo y >> README.md", "touch new.txt"])
def test_nothing_of_the_change_differs(lab, command):
    assert lab.fix(command) is None
    assert lab.repo.git("for-each-ref", REF) == ""


def test_only_the_files_of_the_change_are_taken(lab):
    """New files, other files, a commit and a branch of its own: gone with the checkout."""
    spoil = (
        "echo x > stray; rm README.md; echo x >> src/app.py; git add -A;"
        " git -c user.name=x -c user.email=x@x commit -q -m own; git branch own; git config core.fsmonitor /bin/false;"
        " echo '*.txt filter=x' > .git/info/attributes; echo '*.txt -text' > .gitattributes"
    )
    sealed = lab.fix(f"{MEND}; {spoil}", paths=("new.txt",))
    assert sealed is not None
    assert lab.repo.files(sealed.commit) == {**lab.repo.files("HEAD"), "new.txt": "a"}
    assert sealed.agent_commits == 0
    refs = lab.repo.git("for-each-ref", "--format=%(refname)").splitlines()
    assert refs == [REF, "refs/heads/main"]


def test_all_commands_run_in_order(lab):
    """One that fails may have mended something; a program that is not there mends nothing."""
    sealed = lab.fix("echo 1 > new.txt; exit 1", check(("no-such-formatter",), id="b"), "echo 2 >> new.txt")
    assert sealed is not None
    assert lab.repo.files(sealed.commit)["new.txt"] == "1\n2"


def test_half_a_result_is_none(lab):
    """[I10] A command that is ended in the middle may have left anything."""
    assert lab.fix(check("echo half > new.txt; sleep 60", id="slow", wall_s=0.5)) is None
    assert lab.repo.git("for-each-ref", REF) == ""


@pytest.mark.parametrize(
    ("command", "content"),
    [
        ("rm new.txt", None),
        ("chmod +x new.txt", ("100755", "a   ")),
        ("ln -sf README.md new.txt", ("120000", "README.md")),
        ("rm new.txt; mkdir new.txt; echo x > new.txt/x", ("100644", "a   ")),
        ("rm new.txt; mkfifo new.txt", ("100644", "a   ")),
        ("printf '\\377\\000' > new.txt", ("100644", "\udcff\x00")),
    ],
    ids=["deleted", "executable", "link", "folder", "pipe", "bytes"],
)
def test_whatever_a_file_becomes(lab, command, content):
    """What cannot be taken stays as it was; nothing is waited for."""
    sealed = lab.fix(command)
    rev = sealed.commit if sealed else "HEAD"
    listed = lab.repo.git("ls-tree", rev, "new.txt")
    if content is None:
        assert listed == ""
    else:
        assert (listed.split()[0], lab.repo.git("cat-file", "blob", f"{rev}:new.txt")) == content


def test_a_link_on_the_way_leads_nowhere(lab, tmp_path):
    """[I8] A folder that becomes a link would have files elsewhere read, and written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "app.py").write_text("secret\n")
    sealed = lab.fix(f"rm -r src; ln -s '{outside}' src; {MEND}")
    assert sealed is not None
    assert lab.repo.files(sealed.commit)["src/app.py"] == lab.repo.files("HEAD")["src/app.py"]
    assert (outside / "app.py").read_text() == "secret\n"


def test_unsafe_paths_are_no_paths(lab):
    sealed = lab.fix(MEND, paths=("../x", "/etc/passwd", ".git/config", "", "new.txt"))
    assert sealed is not None
    assert [change.path for change in sealed.changes] == ["new.txt"]


def test_what_setup_changes_is_not_taken(lab):
    spec = setup("echo setup > src/app.py")
    sealed = lab.fix(MEND, setup=spec)
    assert sealed is not None
    assert [change.path for change in sealed.changes] == ["new.txt"]
    assert lab.fix(MEND, setup=setup("exit 1")) is None


def test_line_ends_are_those_of_the_repository(lab):
    """Files are sealed as everything is: by the attributes of the commit."""
    lab.repo.write(".gitattributes", "*.txt text eol=crlf\n")
    lab.repo.write("new.txt", "a   \r\n")
    lab.repo.commit("attributes")
    sealed = lab.fix("sed -i 's/ *\\r$/\\r/' new.txt")
    assert sealed is not None
    assert lab.repo.git("cat-file", "blob", f"{sealed.commit}:new.txt") == "a"


def test_a_fix_poisons_no_cache(lab, tmp_path):
    """The tree it makes is one that no gate has seen."""
    cache = GateCache(tmp_path / "cache")
    sealed = lab.fix(MEND, gate_cache=cache)
    assert sealed is not None
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    (result,) = lab.judge(lab.job(check("true"), commit=sealed.commit), cache=cache)
    assert not result.cached


def test_cancelling_ends_it(lab):
    """[I11]"""

    async def play() -> None:
        gates = lab.gates()
        job = FixJob(
            key="t/2/fix",
            run=lab.name,
            task="t",
            attempt=2,
            commit=lab.repo.head(),
            base=lab.repo.head(),
            commands=(check("echo started; sleep 4243"),),
            paths=("new.txt",),
            ref=REF,
            message="m\n",
        )
        running = asyncio.ensure_future(gates.fix(job))
        async with asyncio.timeout(20):
            while not any("started" in line for _, line in lab.lines):  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.05)
        await gates.cancel(job.key)
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(play())
    assert lab.left_behind() == []


def test_placeholders_and_links_out_are_told(lab):
    sealed = lab.fix("echo '# TODO: finish this' >> src/app.py; ln -sf /etc/passwd new.txt")
    assert sealed is not None
    assert any("src/app.py" in each for each in sealed.placeholders)
    assert ("new.txt", ChangeKind.SYMLINK_OUT) in [(change.path, change.kind) for change in sealed.changes]
