"""What goes out of reach and comes back, as rules and as mounts, without starting anything."""

import os
from pathlib import Path

import pytest

from chargehand.adapters.sandbox.bwrap import Bubblewrap
from chargehand.adapters.sandbox.confine import layout_for
from chargehand.adapters.sandbox.layout import Access, Layout
from chargehand.adapters.sandbox.places import trail
from chargehand.adapters.sandbox.toolchains import search_path, shebang
from chargehand.adapters.sandbox.values import Confinement

TMP = Path("/tmp")


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def confinement(tmp_path: Path, **fields: object) -> Confinement:
    workspace = tmp_path / "home" / "state" / "ws"
    workspace.mkdir(parents=True, exist_ok=True)
    return Confinement(workspace=workspace, env={"PATH": "/usr/bin:/bin"}, **fields)  # type: ignore[arg-type]


def layout_with(**rules: Access) -> Layout:
    layout = Layout()
    for name, access in rules.items():
        layout.add(Path("/" + name.replace("_", "/")), access)
    return layout


def test_the_deepest_rule_decides():
    layout = layout_with(a=Access.NONE, a_b=Access.READ, a_b_c=Access.WRITE, a_b_c_d=Access.NONE)
    told = [layout.access(Path(path)) for path in ("/", "/a", "/a/x", "/a/b/x", "/a/b/c/x", "/a/b/c/d/x", "/ab")]
    expected = [Access.READ, Access.NONE, Access.NONE, Access.READ, Access.WRITE, Access.NONE, Access.READ]
    assert told == expected


def test_shallow_rules_come_before_deep_ones():
    layout = layout_with(a_b_c=Access.READ, z=Access.NONE, a_b=Access.NONE)
    assert [str(entry.path) for entry in layout.entries()] == ["/z", "/a/b", "/a/b/c"]


def test_of_two_rules_for_one_path_reading_only_wins():
    layout = layout_with(a=Access.READ)
    layout.add(Path("/a"), Access.WRITE)
    layout.add(Path("/a"), Access.NONE)
    assert layout.access(Path("/a")) is Access.READ


@pytest.mark.parametrize("link", ["link", "up", "absolute"])
def test_a_trail_tells_the_real_path_and_the_links_on_the_way(tmp_path, link):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "up").symlink_to("real/../link")
    (tmp_path / "absolute").symlink_to(tmp_path / "up")
    way = trail(tmp_path / link / "new" / "file")
    assert way.real == (tmp_path / link / "new" / "file").resolve()
    assert way.links[0] == tmp_path / link


def test_a_trail_in_a_circle_ends(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert len(trail(tmp_path / "a").links) > 10


def test_a_broken_link_is_not_seen_when_it_leads_out_of_reach(tmp_path):
    layout = Layout()
    layout.add(tmp_path / "hidden", Access.NONE)
    (tmp_path / "link").symlink_to(tmp_path / "hidden" / "x")
    assert not layout.sees(tmp_path / "link")
    assert layout.sees(tmp_path)


def test_home_and_shared_folders_are_covered_before_the_workspace_comes_back(tmp_path, home):
    words = Bubblewrap(program="/usr/bin/bwrap").wrap(("sh",), confinement(tmp_path))
    workspace = str(tmp_path / "home" / "state" / "ws")
    mounted = [(words[at], words[at + 1]) for at in range(len(words)) if words[at] in {"--tmpfs", "--bind"}]
    assert mounted.index(("--tmpfs", "/tmp")) < mounted.index(("--bind", workspace))
    assert words[-2:] == ("--", "sh")
    assert "--unshare-net" not in words


def test_a_closed_network_is_a_namespace_and_needs_no_scope(tmp_path, home):
    sandbox = Bubblewrap(program="/usr/bin/bwrap", scopes=True)
    assert "--scope=abstract" in sandbox.wrap(("sh",), confinement(tmp_path))
    closed = sandbox.wrap(("sh",), confinement(tmp_path, network="none"))
    assert "--unshare-net" in closed
    assert "--scope=abstract" not in closed


def test_an_old_bubblewrap_is_given_only_options_that_it_knows(tmp_path, home):
    words = Bubblewrap(program="b", has_size=False, has_perms=False).wrap(("sh",), confinement(tmp_path))
    assert not {"--size", "--perms"} & set(words)
    assert {"--size", "--perms"} <= set(Bubblewrap(program="b").wrap(("sh",), confinement(tmp_path)))


def test_what_is_covered_anyway_is_not_mounted_twice(tmp_path, home):
    layout = layout_for(("sh",), confinement(tmp_path, hidden=(home / "project",), readable=(home / "state",)))
    (home / "project").mkdir()
    sources = [entry.path for entry in layout.entries()]
    assert sources == sorted(set(sources), key=lambda path: (len(path.parts), sources.index(path)))
    words = Bubblewrap(program="b").wrap(("sh",), confinement(tmp_path, hidden=(home / "project",)))
    assert str(home / "project") not in words


def test_a_home_that_is_the_root_is_covered_by_its_hidden_entries_only(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/")
    layout = layout_for(("sh",), confinement(tmp_path))
    assert Path("/") not in layout.rules
    assert layout.access(Path("/usr/bin")) is Access.READ
    dotted = [path for path in Path("/").glob(".*") if path.is_dir() and not path.is_symlink()]
    assert all(layout.access(path) is Access.NONE for path in dotted)


def test_relative_and_empty_folders_of_path_belong_to_the_workspace():
    folders = search_path({"PATH": "/usr/bin::node_modules/.bin"}, Path("/ws"))
    assert folders == [Path("/usr/bin"), Path("/ws/."), Path("/ws/node_modules/.bin")]
    assert search_path({}, Path("/ws"))[-1] == Path("/bin")


@pytest.mark.parametrize(
    ("text", "interpreter"),
    [
        (b"#!/bin/sh\n", "/bin/sh"),
        (b"#! /usr/bin/env python3\n", "/usr/bin/env"),
        (b"#!\n", ""),
        (b"\x7fELF", ""),
        (b"", ""),
        (b"#!/\xff\n", "/\udcff"),
    ],
)
def test_the_first_line_names_the_interpreter(tmp_path, text, interpreter):
    (tmp_path / "script").write_bytes(text)
    assert shebang(tmp_path / "script") == interpreter
    assert shebang(tmp_path / "missing") == ""


def test_looking_changes_nothing(tmp_path, home):
    before = sorted(os.walk(tmp_path))
    confined = confinement(tmp_path)
    layout_for(("sh",), confined)
    (tmp_path / "home" / "state" / "ws").rmdir()
    (tmp_path / "home" / "state").rmdir()
    assert sorted(os.walk(tmp_path)) == before
    assert TMP in layout_with(tmp=Access.NONE).rules
