"""What processes that are gone noted about the packs they kept: only notes of ours are believed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chargehand.adapters.git.incoming import is_illegible, sweep
from chargehand.adapters.git.packs import Registry

PACK = "pack-" + "a1" * 20
OTHER = "pack-" + "b2" * 20

ODD: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: path.write_bytes(b"pack-\xff\n"),
    "a path": lambda path: path.write_text("../../../keepme/\n"),
    "a path cut short": lambda path: path.write_text(f"{PACK}\n../../../keepme/"),
    "a long one": lambda path: path.write_text("a" * (2 * 1024 * 1024)),
    "a pipe": os.mkfifo,
    "a folder": lambda path: path.mkdir(),
    "a link": lambda path: path.symlink_to("nowhere"),
}


class Objects:
    """A store of objects in a work tree, and the folder of one that is gone."""

    def __init__(self, tmp_path: Path) -> None:
        self.tree = tmp_path / "tree"
        self.objects = self.tree / ".git" / "objects"
        self.home = self.tree / ".git" / "chargehand" / "incoming"
        self.folder = self.home / "0123456789abcdef"
        self.folder.mkdir(parents=True)
        (self.objects / "pack").mkdir(parents=True)
        (self.tree / "keepme").mkdir()
        (self.tree / "keepme" / ".keep").write_text("")
        self.note = self.folder / "keeps"

    def keep(self, name: str, text: str = "chargehand\n") -> Path:
        path = self.objects / "pack" / f"{name}.keep"
        path.write_text(text)
        return path

    def sweep(self) -> None:
        sweep(self.home, self.objects)


@pytest.fixture
def place(tmp_path: Path) -> Objects:
    return Objects(tmp_path)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_note_gives_nothing_up_and_removes_nothing(place: Objects, odd: Callable[[Path], object]) -> None:
    """[I1] Nothing of the user's goes, and the sweep neither fails nor waits."""
    kept = place.keep(PACK)
    odd(place.note)
    place.sweep()
    assert (place.tree / "keepme" / ".keep").exists()
    assert kept.exists()
    assert place.folder.is_dir()
    assert is_illegible(place.folder)


def test_a_note_of_ours_gives_up_what_it_names(place: Objects) -> None:
    """Also where the process ended in the middle of a line, or before it had written into the `.keep`."""
    gone = [place.keep(PACK), place.keep(OTHER, "")]
    place.note.write_text(f"{PACK}\n{OTHER}\npack-12")
    assert not is_illegible(place.folder)
    place.sweep()
    assert [path.exists() for path in gone] == [False, False]
    assert not place.folder.exists()


def test_a_keep_of_the_users_stays_whoever_names_it(place: Objects) -> None:
    """[I1] A pack that the user keeps is told from ours by what its `.keep` says."""
    theirs = [place.keep(PACK, "fetch-pack 12 on host\n"), place.keep(OTHER, "")]
    (place.objects / "pack" / f"{OTHER}.pack").touch()
    place.note.write_text(f"{PACK}\n{OTHER}\n")
    place.sweep()
    assert [path.exists() for path in theirs] == [True, True]


def test_the_list_of_packs_names_nothing_beyond_their_folder(place: Objects) -> None:
    """[I1] Packs that were combined are removed by name: no name leads out of the folder."""
    for number in range(40):
        (place.tree / f"mine{number}.pack").write_text("mine")
    listed = place.home.parent / "packs"
    listed.write_bytes(b"".join(b"0 ../../../mine%d\n" % number for number in range(40)) + b"9" * 5000 + b" x\n\xff\n")
    assert Registry(listed, place.objects / "pack").due() is None


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
def test_an_odd_list_of_packs_holds_nobody_up(place: Objects, make: Callable[[Path], object]) -> None:
    """It is an error like that of a full disk, which nobody minds."""
    listed = place.home.parent / "packs"
    make(listed)
    registry = Registry(listed, place.objects / "pack")
    assert registry.due() is None
    with pytest.raises(OSError, match="packs"):
        registry.add([PACK])
