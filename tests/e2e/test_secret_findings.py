"""A change that adds a secret is caught, wherever in it that is; what was there before is no fault of it (SPEC 7.3)."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from chargehand.adapters.secret_findings import KNOWN, SecretWatch
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.secrecy import Vault
from tests.e2e.gitworld import REF, Agent, World
from tests.repos import Repo

CANARY = "canary-41c0ffee-9d"
TOKEN = "glpat-" + "Qz7" * 7
OTHER = "glpat-" + "Wk3" * 7


class Place:
    """A workspace whose seal is watched."""

    def __init__(self, world: World, *allow: str) -> None:
        self.world = world
        self.vault = Vault([CANARY])
        watch = SecretWatch(vault=self.vault, allow=allow)
        pool = world.pool / ("allowing" if allow else "strict")
        world.workspaces = GitWorkspaces(world.repository, pool, watch=watch)
        self.workspace = world.acquire()
        self.agent = Agent(self.workspace, dict(world.repo.environ))

    def found(self) -> tuple[str, ...]:
        return self.world.seal(self.workspace).secrets


@pytest.fixture
def place(world: World) -> Place:
    world.repo.write("old.cfg", f"token = {OTHER}\nkeep = {CANARY[::-1]}\n")
    world.repo.commit("a secret of the past")
    return Place(world)


def test_the_place_and_the_kind_are_told_and_the_value_is_learned(place: Place):
    place.agent.write("src/app.py", f"def run():\n    return 1\n\n\nTOKEN = '{TOKEN}'\n")
    assert place.found() == ("src/app.py:5: GitLab Token",)
    assert place.vault.text(f"it printed {TOKEN}") == "it printed [redacted]"


@pytest.mark.parametrize(
    "data",
    [
        CANARY.encode(),
        base64.b64encode(b"me:" + CANARY.encode()),
        CANARY.encode().hex().encode(),
        b"\x00\x01" + CANARY.encode() + b"\x00",
        b"x" * (2 << 20) + CANARY.encode(),
    ],
    ids=["plain", "base64", "hex", "binary", "far down"],
)
def test_a_known_value_is_found_in_any_form_and_nothing_excuses_it(world: World, data):
    place = Place(world, "**")
    place.agent.write("package-lock.json", b"{}\n" + data + b" # pragma: allowlist secret\n")
    assert place.found() == (f"package-lock.json:2: {KNOWN}",)


def test_names_links_and_staged_work_are_looked_at_too(place: Place):
    place.agent.write(f"notes/{CANARY}.txt", "nothing\n")
    (place.agent.path / "link").symlink_to(f"notes/{CANARY}.txt")
    place.agent.git("add", "-A")
    assert place.found() == (f"link:1: {KNOWN}", f"notes/[redacted].txt: {KNOWN}, in a name")


def test_what_a_commit_on_the_way_held_would_land_with_it(place: Place):
    place.agent.write("a.txt", f"key: {TOKEN}\n")
    first = place.agent.commit("oops")
    place.agent.write("a.txt", "key: from the environment\n")
    place.agent.commit("without it")
    assert place.found() == (f"commit {first[:12]}: a.txt:1: GitLab Token",)
    assert place.world.seal(place.workspace).placeholders == ()


def test_so_would_a_message(place: Place):
    place.agent.write("a.txt", "fine\n")
    last = place.agent.commit(f"work\n\nSigned with {CANARY}\n")
    (finding,) = place.found()
    assert finding.startswith(f"commit {last[:12]}: its message:")
    assert finding.endswith(KNOWN)
    assert CANARY not in finding


def test_what_the_base_holds_is_no_fault_of_the_change(place: Place):
    """Lines that are moved, files that are copied, and lines beside a secret that was always there."""
    place.agent.write("old.cfg", f"# more\ntoken = {OTHER}\n")
    place.agent.write("moved.cfg", f"token: {OTHER}\n")
    assert place.found() == ()


def test_an_old_secret_excuses_no_new_one_beside_it(place: Place):
    place.agent.write("old.cfg", f"token = {OTHER}\ntoken = {TOKEN}\n")
    assert place.found() == ("old.cfg:2: GitLab Token",)


@pytest.mark.parametrize(
    ("allow", "found"),
    [((), ("tests/data/keys.txt:1: GitLab Token",)), (("tests/data/**",), ())],
    ids=["strict", "allow"],
)
def test_formats_are_excused_by_a_mark_by_a_setting_and_in_lock_files(world: World, allow, found):
    place = Place(world, *allow)
    place.agent.write("tests/data/keys.txt", f"{TOKEN}\n")
    place.agent.write("marked.py", f"KEY = '{TOKEN}'  # pragma: allowlist secret\n")
    place.agent.write("poetry.lock", f"{TOKEN}\n")
    assert place.found() == found


def test_a_change_without_secrets_is_sealed_as_ever(place: Place):
    place.agent.write("a.py", "import os\n\nTOKEN = os.environ['TOKEN']  # sk- eyJ\n")
    place.agent.commit("clean")
    sealed = place.world.seal(place.workspace)
    assert sealed.secrets == ()
    assert place.world.repo.head(REF) == sealed.commit


def test_a_rewritten_history_is_refused_anyway_and_its_result_still_searched(place: Place):
    place.agent.git("checkout", "-q", "--orphan", "elsewhere")
    place.agent.write("a.txt", f"{TOKEN}\n")
    place.agent.commit("no base")
    sealed = place.world.seal(place.workspace)
    assert not sealed.base_is_ancestor
    assert sealed.secrets == ("a.txt:1: GitLab Token",)


def test_a_secret_inside_a_submodule_is_one_of_the_change(repo: Repo, world: World, tmp_path: Path, git_environment):
    library = Repo(path=tmp_path / "library", environ=git_environment).init()
    library.write("lib.py", "LIB = 1\n")
    library.commit("library")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.path), "lib")
    repo.commit("with a submodule")
    place = Place(World(repo, tmp_path / "other", world.runner))
    place.agent.write("lib/lib.py", f"LIB = '{TOKEN}'\n")
    assert place.found() == ("lib/lib.py:1: GitLab Token",)
