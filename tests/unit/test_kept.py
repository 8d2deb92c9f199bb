"""Kept folders: found, looked over, repaired, and searched for what knows where it lies."""

import os
from pathlib import Path

import pytest

from chargehand.adapters.kept import anchored, found_roots, mentions, note_down, repair


def fill(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_patterns_are_anchored_at_the_root():
    assert anchored([".venv", "/a/", "packages/*/node_modules", "../x", "", "/", ".git"]) == (
        "/.venv",
        "/a",
        "/packages/*/node_modules",
    )


def test_roots_are_what_exists_none_inside_another_none_through_a_link(tmp_path):
    outside = tmp_path / "outside"
    (outside / "node_modules").mkdir(parents=True)
    root = tmp_path / "w"
    fill(root, venv__x="", p__a__node_modules__x="", p__b__node_modules__x="", p__b__node_modules__d__e="", file="")
    (root / "p" / "link").symlink_to(outside)
    (root / "dangling").symlink_to("nowhere")
    patterns = ["venv", "missing", "p/*/node_modules", "p/b/node_modules/d", "dangling", "link/node_modules"]
    assert found_roots(root, patterns) == ["dangling", "p/a/node_modules", "p/b/node_modules", "venv"]


def test_what_was_added_is_removed_and_nothing_else(tmp_path):
    fill(tmp_path, k__a="1", k__d__b="2", other="3")
    (tmp_path / "k" / "link").symlink_to("a")
    (tmp_path / "k" / "empty").mkdir()
    table = note_down(tmp_path, ["k"])
    fill(tmp_path, k__new="x", k__d__cache__deep__y="x")
    (tmp_path / "k" / "out").symlink_to(tmp_path / "other")
    assert repair(tmp_path, ["k"], table)
    assert note_down(tmp_path, ["k"]) == table
    assert (tmp_path / "other").read_text() == "3"


def test_setting_the_times_back_hides_no_change(tmp_path):
    """A gate cannot change what is judged later: kept folders are watched by what no program can set back [I7]."""
    fill(tmp_path, k__a="good")
    table = note_down(tmp_path, ["k"])
    path = tmp_path / "k" / "a"
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of the file system has steps
        path.write_text("evil")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not repair(tmp_path, ["k"], table)


@pytest.mark.parametrize("damage", ["remove", "replace", "mode", "folder", "root", "link"])
def test_every_damage_is_seen(tmp_path, damage):
    fill(tmp_path, k__a="1", k__d__b="2")
    table = note_down(tmp_path, ["k"])
    target = tmp_path / "k" / "a"
    if damage == "remove":
        target.unlink()
    elif damage == "replace":
        fill(tmp_path, k__tmp="1")
        (tmp_path / "k" / "tmp").rename(target)
    elif damage == "mode":
        target.chmod(0o755)
    elif damage == "folder":
        (tmp_path / "k" / "d" / "b").unlink()
        (tmp_path / "k" / "d").rmdir()
        (tmp_path / "k" / "d").symlink_to("/")
    elif damage == "root":
        (tmp_path / "k").rename(tmp_path / "gone")
    else:
        target.unlink()
        target.symlink_to("d/b")
    assert not repair(tmp_path, ["k"], table)


PLACE = Path("/state/chärge hand/pool/s1")


@pytest.mark.parametrize(
    "content",
    [
        b"home = /state/ch\xc3\xa4rge hand/pool/s1/work",
        b'{"url": "file:///state/ch%C3%A4rge%20hand/pool/s1/work"}',
        b'{"dir": "/state/ch\\u00e4rge hand/pool/s1"}',
        b'{"dir": "\\/state\\/ch\\u00e4rge hand\\/pool\\/s1"}',
        b"cd /state/ch\xc3\xa4rge\\ hand/pool/s1",
        "x /state/chärge hand/pool/s1 y".encode("utf-16-le"),
        b"\0" * ((1 << 20) - 8) + b"/state/ch\xc3\xa4rge hand/pool/s1",
    ],
)
def test_a_file_that_knows_its_place_is_found(tmp_path, content):
    fill(tmp_path, k__good="text")
    (tmp_path / "k" / "deep").mkdir()
    (tmp_path / "k" / "deep" / "file").write_bytes(content)
    assert mentions(tmp_path, note_down(tmp_path, ["k"]), [PLACE]) == "k/deep/file"


def test_links_that_lead_out_know_their_place(tmp_path):
    fill(tmp_path, k__good="text", k__d__x="")
    for name, target in (("in", "good"), ("up", "../src"), ("system", "/usr/bin/python3")):
        (tmp_path / "k" / name).symlink_to(target)
    (tmp_path / "link").symlink_to("k/good")
    roots = ["k", "link"]
    assert mentions(tmp_path, note_down(tmp_path, roots), [PLACE]) == ""
    (tmp_path / "k" / "d" / "out").symlink_to("../../../elsewhere")
    assert mentions(tmp_path, note_down(tmp_path, roots), [PLACE]) == "k/d/out"
    (tmp_path / "k" / "d" / "out").unlink()
    (tmp_path / "k" / "abs").symlink_to(PLACE / "work" / "src")
    assert mentions(tmp_path, note_down(tmp_path, roots), [PLACE]) == "k/abs"
    (tmp_path / "k" / "abs").unlink()
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("../elsewhere")
    assert mentions(tmp_path, note_down(tmp_path, roots), [PLACE]) == "link"


def test_what_cannot_be_looked_into_counts_as_knowing(tmp_path):
    fill(tmp_path, k__a="")
    os.mkfifo(tmp_path / "k" / "pipe")
    table = note_down(tmp_path, ["k"])
    assert mentions(tmp_path, table, [PLACE]) == "k/pipe"
    (tmp_path / "k" / "pipe").unlink()
    assert mentions(tmp_path, table, [PLACE]) == "k/pipe"
    fill(tmp_path, k__b="")
    (tmp_path / "k" / "b").rename(tmp_path / "k" / "x.egg")
    assert mentions(tmp_path, note_down(tmp_path, ["k"]), [PLACE]) == "k/x.egg"


def test_a_file_where_a_kept_folder_was_is_a_change(tmp_path):
    """A commit may have one: what was kept is no longer there, which is no error of the machine."""
    (tmp_path / "a" / "lib").mkdir(parents=True)
    (tmp_path / "a" / "lib" / "x").write_text("made")
    table = note_down(tmp_path, ["a/lib"])
    (tmp_path / "a" / "lib" / "x").unlink()
    (tmp_path / "a" / "lib").rmdir()
    (tmp_path / "a").rmdir()
    (tmp_path / "a").write_text("a file")
    assert not repair(tmp_path, ["a/lib"], table)
    assert note_down(tmp_path, ["a/lib"]) == {}
