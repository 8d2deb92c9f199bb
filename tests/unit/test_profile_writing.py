"""How projections write: whole files, below the root, and nothing through links."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chargehand.domain.errors import AdapterError
from chargehand.profiles.writing import write_atomically


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path: Path):
    file = tmp_path / "a" / "b" / "c.md"
    write_atomically(file, "one\n", tmp_path)
    file.chmod(0o640)
    write_atomically(file, "two é\n", tmp_path)
    assert file.read_text(encoding="utf-8") == "two é\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in file.parent.iterdir()] == ["c.md"]


def test_a_file_that_says_the_same_is_left_alone(tmp_path: Path):
    file = tmp_path / "c.md"
    write_atomically(file, "one\n", tmp_path)
    before = file.stat()
    write_atomically(file, "one\n", tmp_path)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_killed_writers_left_aside_goes_and_that_of_live_ones_stays(tmp_path: Path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = [f".chargehand-c.md.{dead.pid}.tmp", f".chargehand-c.md.{10**30}.tmp"]
    kept = [
        f".chargehand-c.md.{os.getppid()}.tmp",
        f".chargehand-d.md.{dead.pid}.tmp",
        f".chargehand-c.md.c.md.{dead.pid}.tmp",
        ".chargehand-c.md.x.tmp",
    ]
    for name in (*left, *kept):
        (tmp_path / name).write_text("cut off")
    write_atomically(tmp_path / "c.md", "one\n", tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {"c.md", *kept}


def test_a_link_at_the_end_is_replaced_and_its_target_untouched(tmp_path: Path):
    """I1: nothing outside the artifact's own path is written."""
    outside = tmp_path / "outside.md"
    outside.write_text("mine")
    root = tmp_path / "root"
    root.mkdir()
    (root / "c.md").symlink_to(outside)
    write_atomically(root / "c.md", "text", root)
    assert outside.read_text() == "mine"
    assert (root / "c.md").read_text() == "text"
    assert not (root / "c.md").is_symlink()


def test_a_link_on_the_way_is_refused(tmp_path: Path):
    """I1: a folder that is a link leads out of the work tree."""
    (tmp_path / "outside").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "docs").symlink_to(tmp_path / "outside")
    with pytest.raises(AdapterError, match=r"docs/c\.md cannot be written: .*chargehand resume"):
        write_atomically(root / "docs" / "c.md", "text", root)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("path", ["../out.md", ".git/config", "."])
def test_only_paths_below_the_root_are_written(path: str, tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(AdapterError, match="does not lie below"):
        write_atomically(root / path, "text", root)


def test_a_pipe_is_replaced_and_never_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "c.md")
    write_atomically(tmp_path / "c.md", "text", tmp_path)
    assert (tmp_path / "c.md").read_text() == "text"


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "c.md").mkdir()
    with pytest.raises(AdapterError, match="cannot be written"):
        write_atomically(tmp_path / "c.md", "text", tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["c.md"]
