"""Private folders: removal that a hostile user cannot prevent, and safe writing."""

import asyncio
import os
from pathlib import Path

import pytest

from chargehand.adapters.folders import PrivateFolders, read_regular, remove_tree, safe_name, write_below
from chargehand.domain.errors import AdapterError


def test_a_room_goes_with_everything_in_it(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    folders = PrivateFolders(tmp_path / "rooms")
    room = folders.make()
    locked = room.home / "locked" / "in"
    locked.mkdir(parents=True)
    (locked / "file").write_text("x")
    (room.home / "link").symlink_to(outside)
    os.mkfifo(room.tmp / "pipe")
    (room.scratch / "name\nwith\udcff").touch()
    locked.parent.chmod(0)
    asyncio.run(folders.remove(room))
    assert list((tmp_path / "rooms").iterdir()) == []
    assert (outside / "kept").exists()


def deep(root: Path, depth: int) -> None:
    folder = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 20, dir_fd=folder)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)


def test_a_tree_deeper_than_any_path_is_removed(tmp_path):
    target = tmp_path / "t"
    target.mkdir()
    deep(target, 3000)
    remove_tree(target)
    assert list(tmp_path.iterdir()) == []


def test_taking_apart_opens_locked_folders_and_spares_what_links_point_to(tmp_path):
    from chargehand.adapters.folders import _take_apart

    (tmp_path / "kept").mkdir()
    target = tmp_path / "t"
    (target / "a" / "b").mkdir(parents=True)
    (target / "a" / "link").symlink_to(tmp_path / "kept")
    (target / "a" / "b").chmod(0)
    target.chmod(0)
    _take_apart(target)
    _take_apart(target)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


def test_removing_what_is_not_there_or_no_folder(tmp_path):
    remove_tree(tmp_path / "missing")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    remove_tree(tmp_path / "file" / "below")
    remove_tree(tmp_path / "file")
    remove_tree(tmp_path / "link")
    assert list(tmp_path.iterdir()) == []


def test_sweeping_leaves_an_empty_folder(tmp_path):
    folders = PrivateFolders(tmp_path / "rooms")
    asyncio.run(folders.sweep())
    folders.make()
    folders.make()
    asyncio.run(folders.sweep())
    assert list((tmp_path / "rooms").iterdir()) == []


def test_a_temporary_folder_has_a_path_that_sockets_fit_in(tmp_path):
    short = tmp_path / "s"
    short.mkdir()
    folders = PrivateFolders(tmp_path / ("long" * 20), short)
    room, other = folders.make(), folders.make()
    assert room.tmp.parent == short
    assert room.tmp.stat().st_mode & 0o777 == 0o700
    (room.tmp / "left").mkdir(mode=0)
    (other.root / "tmp").unlink()
    (other.root / "tmp").symlink_to(tmp_path)  # not ours: never removed
    assert asyncio.run(folders.remove(room)) == ""
    assert asyncio.run(folders.remove(other)) == ""
    assert list(short.iterdir()) == [other.tmp]
    folders.make()
    other.tmp.rmdir()
    asyncio.run(folders.sweep())
    assert list(short.iterdir()) == []
    assert list((tmp_path / ("long" * 20)).iterdir()) == []
    assert PrivateFolders(tmp_path / ("long" * 20), tmp_path / "missing").make().tmp.name == "tmp"
    assert PrivateFolders(Path("/tmp") / tmp_path.name, short).make().tmp.parent.parent == Path("/tmp") / tmp_path.name
    remove_tree(Path("/tmp") / tmp_path.name)


def test_a_room_that_cannot_be_made_is_an_error_with_its_place(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AdapterError, match="Cannot make a private folder in"):
        PrivateFolders(tmp_path / "file").make()


def test_inputs_are_written_read_only_over_what_is_there(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "plan.md").symlink_to("/etc/passwd")
    write_below(tmp_path, "docs/plan.md", "text ü\n")
    write_below(tmp_path, "./new/deep/spec.md", "spec")
    assert (tmp_path / "docs" / "plan.md").read_text() == "text ü\n"
    assert (tmp_path / "new" / "deep" / "spec.md").stat().st_mode & 0o777 == 0o444
    assert not (tmp_path / "docs" / "plan.md").is_symlink()


@pytest.mark.parametrize(
    "path", ["/etc/x", "../x", "a/../../x", ".git/hooks/x", ".GIT/x", "", ".", "a\0b", "out/x", "file/x"]
)
def test_inputs_never_leave_the_workspace(tmp_path, path):
    """The runtime writes only where it was told to: a link in the repository cannot lead it elsewhere [I8]."""
    root = tmp_path / "w"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "file").touch()
    with pytest.raises(AdapterError, match="into the workspace"):
        write_below(root, path, "x")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["w"]


def test_reading_regular_files_only(tmp_path):
    (tmp_path / "f").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("f")
    os.mkfifo(tmp_path / "pipe")
    assert read_regular(tmp_path / "f", 5) == b"12345"
    assert read_regular(tmp_path / "f", 4) is None
    for name in ("link", "pipe", "none", "nul\0"):
        assert read_regular(tmp_path / name, 9) is None
    assert read_regular(tmp_path, 9) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("t1/2/gate", "t1_2_gate"),
        ("..", "_"),
        (".hidden", "hidden"),
        ("ü x", "__x"),
        ("", "_"),
        ("a" * 300, "a" * 200),
    ],
)
def test_safe_names(text, name):
    assert safe_name(text) == name
