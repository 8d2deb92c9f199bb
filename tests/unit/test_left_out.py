"""What a rescue cannot keep is found beforehand, and named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from chargehand.adapters import left_out
from chargehand.adapters.left_out import LeftOut, Why, files_in, look_over, sort_out, told


def test_the_smallest_files_come_first_where_there_is_little_room(tmp_path: Path):
    for name, size in (("big", 900), ("small", 10), ("middle", 100), ("empty", 0)):
        (tmp_path / name).write_bytes(b"x" * size)
    left = LeftOut()
    paths = [b"big", b"gone", b"small", b"empty", b"middle"]
    assert sort_out(os.fsencode(tmp_path), paths, left, room=120) == [b"gone", b"small", b"empty", b"middle"]
    assert left.paths == {Why.ROOM: [b"big"]}
    assert left.lacks_room == 1
    assert sort_out(os.fsencode(tmp_path), paths, LeftOut(), room=1010) == paths


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (b"a/" * 2100 + b"x", Why.DEEP),
        (b"a/.GIT/x", Why.NAME),
        (b"git~1", Why.NAME),
        (b".git. ", Why.NAME),
        (b".git::$INDEX_ALLOCATION/x", Why.NAME),
        (b"large", Why.LARGE),
        (b"folder/" + b"n" * 300, Why.UNREADABLE),
    ],
)
def test_what_git_would_fail_on(tmp_path: Path, monkeypatch, path: bytes, why: Why):
    (tmp_path / "large").write_bytes(b"xx")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(left_out, "MOST_BYTES", 1)
    left = LeftOut()
    assert sort_out(os.fsencode(tmp_path), [path], left, room=10) == []
    assert left.paths == {why: [path]}
    assert left.holds_work


@pytest.mark.parametrize("path", [b".gitignore", b".github/x", b"git~10", b"a.git", b"gone/x", b"link", b"large/x"])
def test_what_git_takes(tmp_path: Path, path: bytes):
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "large").write_bytes(b"x")
    assert sort_out(os.fsencode(tmp_path), [path], LeftOut(), room=0) == [path]


def test_what_no_listing_shows_is_found(tmp_path: Path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "pipe")
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git" / "pipe")
    (tmp_path / "node_modules").mkdir()
    os.mkfifo(tmp_path / "node_modules" / "pipe")
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"/proc/self/fd/{here}/sock")
    finally:
        os.close(here)
    (tmp_path / "link").symlink_to("a")
    left = LeftOut()
    look_over(os.fsencode(tmp_path), left)
    assert {why: sorted(paths) for why, paths in left.paths.items()} == {Why.SPECIAL: [b"a/pipe", b"sock"]}
    assert not left.holds_work


def test_a_folder_that_cannot_be_entered_is_named(tmp_path: Path):
    left = LeftOut()
    look_over(os.fsencode(tmp_path / ("n" * 300)), left)
    look_over(os.fsencode(tmp_path / "gone"), left)
    assert left.paths == {Why.DEEP: [b""], Why.UNREADABLE: [b""]}


def test_the_files_of_a_repository_inside(tmp_path: Path):
    for name in ("in/.git/HEAD", "in/deep/a.txt", "in/node_modules/x", "in/sub/.git"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "in" / "link").symlink_to("deep")
    os.mkfifo(tmp_path / "in" / "pipe")
    assert list(files_in(os.fsencode(tmp_path), b"in")) == [b"in/link", b"in/deep/a.txt"]


def test_the_message_keeps_its_subject_and_its_trailers():
    left = LeftOut()
    assert told("Subject\n\nChargehand-Run: r\n", left) == "Subject\n\nChargehand-Run: r\n"
    for number in range(52):
        left.add(Why.SPECIAL, b"p%02d" % number)
    left.add(Why.LARGE, b"a\nb" + b"x" * 300 + b"\xff")
    text = told("Subject\n\nChargehand-Run: r\n", left)
    lines = text.splitlines()
    assert lines[:3] == ["Subject", "", "Not kept:"]
    assert "- and 2 more: no file" in lines
    assert any(line.startswith("- a\\nbxxx") and "… (304 bytes): it is larger than" in line for line in lines)
    assert lines[-2:] == ["", "Chargehand-Run: r"]
    assert told("Left behind\n", left).startswith("Left behind\n\nNot kept:\n")
