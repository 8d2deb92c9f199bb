"""The rebuild example: its import graph, its plan, and all of it on a made-up package, without any network."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from examples.rebuild.compare import differences
from examples.rebuild.derive import derive, find_package, plan_of
from examples.rebuild.graph import closure, find_imports, group_modules, module_name, with_packages
from examples.rebuild.sdist import unpack

UNFINISHED = "# TO" + "DO: dim it\n"
FILES = {
    "PKG-INFO": "Name: lantern\nVersion: 1.0\nRequires-Dist: wick>=2\nRequires-Dist: soot; extra == 'dirt'\n\nText\n",
    "setup.py": "raise SystemExit('nobody should run me')\n",
    "README.md": "A lantern.\n",
    "docs/conf.py": "import lantern\n",
    "lantern/__init__.py": "from lantern.light import shine\n",
    "lantern/light.py": "from . import wax\nfrom .oil import burn\n\n\ndef shine():\n    return burn() + wax.melt()\n",
    "lantern/oil.py": f"{UNFINISHED}def burn():\n    return 1\n",
    "lantern/flicker.py": "def flicker():\n    from lantern.smoke import rise\n\n    return rise\n",
    "lantern/smoke.py": "import lantern.flicker\n\nrise = lantern.flicker.flicker\n",
    "lantern/wax.py": "def melt():\n    return 2\n",
    "lantern/ring/__init__.py": "",
    "lantern/ring/a.py": "from lantern.ring import b\n",
    "lantern/ring/b.py": "from lantern.ring import a\n",
    "lantern/picture.txt": "( )\n",
    "lantern/tests/test_inside.py": "def test_inside():\n    assert True\n",
    "tests/test_wax.py": "from lantern.wax import melt\n\n\ndef test_melts():\n    assert melt() == 2\n",
    "tests/test_all.py": "import lantern\n\n\ndef test_is_there():\n    assert lantern.shine\n",
    "tests/test_red.py": "def test_red():\n    assert False\n",
}


@pytest.fixture
def lantern(tmp_path: Path) -> Path:
    folder = tmp_path / "lantern-1.0"
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "lantern" / "wax.py").chmod(0o755)
    (folder / "lantern" / "shape.txt").symlink_to("picture.txt")
    return folder


def imports(source: str, module: str = "p.a.m", *, package: bool = False, lazy: bool = False) -> set[str]:
    known = {"p", "p.a", "p.a.m", "p.a.n", "p.b", "p.b.c"}
    return set(find_imports(source, module, is_package=package, known=known, lazy=lazy))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import p.b.c", {"p.b.c"}),
        ("import p.b.c.name_in_it, os", {"p.b.c"}),
        ("from p.b import c, other", {"p.b.c", "p.b"}),
        ("from p import *", {"p"}),
        ("from . import n", {"p.a.n"}),
        ("from .n import x", {"p.a.n"}),
        ("from ..b import c", {"p.b.c"}),
        ("from .... import far", set()),
        ("from os import path", set()),
        ("import p.a.m", set()),
        ("def f():\n    import p.b", set()),
        ("import typing\nif typing.TYPE_CHECKING:\n    import p.b\nelse:\n    import p.a.n", {"p.a.n"}),
        ("try:\n    import p.b\nexcept ImportError:\n    import p.a.n", {"p.b", "p.a.n"}),
        ("this is no Python", set()),
    ],
)
def test_imports_are_found(source: str, found: set[str]) -> None:
    assert imports(source) == found


def test_imports_in_functions_count_where_they_are_asked_for() -> None:
    assert imports("def f():\n    import p.b", lazy=True) == {"p.b"}


def test_a_package_is_where_its_dots_begin() -> None:
    assert imports("from .n import x", "p.a", package=True) == {"p.a.n"}


def test_names_of_modules() -> None:
    assert module_name("src/p/a/m.py", "src/") == "p.a.m"
    assert module_name("p/a/__init__.py") == "p.a"


def test_a_group_comes_after_what_it_imports() -> None:
    graph = {"a": frozenset({"b"}), "b": frozenset({"c", "d"}), "c": frozenset({"b"}), "d": frozenset[str]()}
    grouping = group_modules(graph)
    assert grouping.groups == (("d",), ("b", "c"), ("a",))
    assert grouping.cycles == (("b", "c"),)
    assert grouping.cut == ()


def test_a_large_tangle_is_cut_and_told() -> None:
    ring = {f"m{n}": frozenset({f"m{(n + 1) % 12}", "m0"} - {f"m{n}"}) for n in range(12)}
    grouping = group_modules(ring, most=4)
    assert sorted(name for group in grouping.groups for name in group) == sorted(ring)
    assert max(map(len, grouping.groups)) <= 4
    assert grouping.cut == (("m0", "m1"),)


def test_a_module_waits_for_its_packages_unless_they_wait_for_it() -> None:
    graph = {"p": frozenset({"p.a"}), "p.a": frozenset[str](), "p.b": frozenset[str]()}
    assert with_packages(graph) == {"p": {"p.a"}, "p.a": set(), "p.b": {"p"}}


def test_what_is_needed_includes_the_packages_around() -> None:
    graph = {"p": frozenset({"p.x"}), "p.x": frozenset[str](), "p.q": frozenset[str](), "p.q.r": frozenset[str]()}
    assert closure(["p.q.r"], graph) == {"p", "p.x", "p.q", "p.q.r"}


def test_a_plan_is_derived(lantern: Path) -> None:
    package = find_package(lantern, "lantern")
    assert package.requires == ("wick>=2",)
    assert set(package.files) == {
        "lantern",
        *(f"lantern.{name}" for name in ("flicker", "light", "oil", "smoke", "wax", "ring", "ring.a", "ring.b")),
    }
    rebuild = derive(lantern, package)
    assert rebuild.grouping.cycles == (("lantern.ring.a", "lantern.ring.b"),)
    assert rebuild.after["light"] == ("oil", "wax")
    assert rebuild.after["package"] == ("light",)
    assert rebuild.after["smoke"] == ("flicker", "package")
    assert rebuild.after["flicker"] == ("package",), "an import in a function does not hold a module back"
    assert rebuild.tests == {"package": ("lantern/tests/test_inside.py", "tests/test_all.py", "tests/test_wax.py")}
    plan = plan_of(rebuild, python="python", setup=None, deselect=(), gate=True)
    assert [task["id"] for task in plan["tasks"]] == list(rebuild.tasks)
    assert all("placeholders" in task["mandates"][0] for task in plan["tasks"])


def test_differences_are_named(lantern: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["cp", "-a", str(lantern), str(other)], check=True)
    assert differences(lantern, other) == []
    (other / "README.md").write_text("A lamp.\n")
    (other / "lantern" / "wax.py").chmod(0o644)
    (other / "lantern" / "oil.py").unlink()
    (other / "more.txt").write_text("")
    assert differences(lantern, other) == [
        "lantern/oil.py is missing.",
        "more.txt is not in the original.",
        "README.md differs.",
        "lantern/wax.py is a file, a program in the original.",
    ]


@pytest.mark.parametrize("name", ["evil-1.0/../../escaped", "/tmp/escaped-by-name"])
def test_an_archive_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    evil = tmp_path / "evil-1.0.tar.gz"
    with tarfile.open(evil, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(ValueError, match="leaves the folder"):
        unpack(evil, tmp_path / "place")
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("links", [{"evil-1.0/out": "/etc"}, {"evil-1.0/out": "../.."}, {"evil-1.0/a": "b/../../.."}])
def test_an_archive_with_a_link_that_leaves_its_folder_is_refused(tmp_path: Path, links: dict[str, str]) -> None:
    _refused(tmp_path, links, "leaves the folder")


def test_links_that_lead_out_together_are_refused(tmp_path: Path) -> None:
    """Each of them stays inside as far as its own letters say."""
    _refused(tmp_path, {"p/q/r/up": "../..", "p/q/r/up/z": "../.."}, "up/z leaves the folder")


def test_a_device_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path, {"evil-1.0/pipe": ""}, "neither a file nor a folder")


def _refused(tmp_path: Path, links: dict[str, str], why: str) -> None:
    evil = tmp_path / "evil-1.0.tar.gz"
    with tarfile.open(evil, "w:gz") as archive:
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = (tarfile.SYMTYPE, target) if target else (tarfile.FIFOTYPE, "")
            archive.addfile(link)
    with pytest.raises(ValueError, match=why):
        unpack(evil, tmp_path / "place")


def test_a_package_is_rebuilt(lantern: Path, tmp_path: Path) -> None:
    """All of it with real processes: identical tree, its own tests as green as before."""
    archive = tmp_path / "lantern-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(lantern, arcname="lantern-1.0")
    script = Path(__file__).parents[2] / "examples" / "rebuild" / "rebuild.py"
    home = tmp_path / "home"
    home.mkdir()
    argv = [sys.executable, str(script), str(archive), "--dir", str(tmp_path / "work"), "--python", sys.executable]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "its own tests: 3 pass here, 1 fail and are left out" in done.stdout
    assert "one task, for they import each other: lantern.ring.a, lantern.ring.b" in done.stdout
    assert "tree: identical to the original" in done.stdout
    assert "tests: 3 pass, 0 fail" in done.stdout
    log = subprocess.run(
        ["git", "log", "--first-parent", "--format=%s", "chargehand/rebuild"],
        cwd=tmp_path / "work" / "repository",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert len(log.splitlines()) == 9
