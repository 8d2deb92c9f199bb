"""What git prints, and what an agent may have written into a `.git`, read without running git."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chargehand.adapters.git.raw import Raw, parse_log, parse_raw, parse_status, path_text
from chargehand.adapters.git.refs import list_refs, read_head, read_ref, read_small
from chargehand.adapters.git.repository import Repository, parse_config
from chargehand.adapters.submodules import plain_address

A, B, C = "a" * 40, "b" * 40, "c" * 40
ZERO = "0" * 40


def test_raw_differences():
    data = f":000000 100644 {ZERO} {A} A\0new\nline\0:100644 000000 {A} {ZERO} D\0:odd\0".encode()
    assert parse_raw(data) == (
        Raw(old_mode="000000", new_mode="100644", old=ZERO, new=A, path=b"new\nline"),
        Raw(old_mode="100644", new_mode="000000", old=A, new=ZERO, path=b":odd"),
    )
    assert parse_raw(b"") == ()


def test_a_log_with_a_merge_and_odd_paths():
    text = (
        f">{A} {B} {C}\0\n:100644 100644 {B} {C} M\0>odd\0"
        f">{B} {B} {A} {C}\0\n::100644 100644 100755 {A} {B} {C} MM\0both\0"
        f">{C} {B} \0"
    )
    first, merge, root = parse_log(text.encode())
    assert (first.oid, first.tree, first.parents) == (A, B, (C,))
    assert [raw.path for raw in first.touched] == [b">odd"]
    assert merge.parents == (A, C)
    assert merge.touched == (Raw(old_mode="100644", new_mode="100755", old=A, new=C, path=b"both"),)
    assert (root.parents, root.touched) == ((), ())
    assert parse_log(b"") == ()


def test_status_with_every_kind_of_entry():
    lines = [
        f"1 .M N... 100644 100644 100644 {A} {A} with space",
        f"1 D. N... 100644 000000 000000 {A} {ZERO} staged",
        f"u UU N... 100644 100644 100644 100644 {A} {B} {C} both",
        "? untracked",
        "? nested/",
        "",
    ]
    found = parse_status("\0".join(lines).encode())
    assert found.tracked == (b"with space", b"both")
    assert (found.untracked, found.nested, found.staged) == ((b"untracked",), (b"nested",), True)
    assert not parse_status(b"? x\0").staged


def test_paths_as_text():
    assert path_text(b"plain/\xc3\xbc") == "plain/ü"
    assert path_text(b"caf\xe9") == "caf\\xe9"


def test_configuration():
    assert parse_config(b"a.b\n1\0a.b\n2\0flag.set\0multi.line\nx\ny\0") == {
        "a.b": "2",
        "flag.set": "true",
        "multi.line": "x\ny",
    }


# -- refs


@pytest.fixture
def git_dir(tmp_path: Path) -> Path:
    """A hand-made repository: a branch, a packed branch, a stash."""
    made = tmp_path / ".git"
    (made / "refs" / "heads" / "deep").mkdir(parents=True)
    (made / "HEAD").write_text("ref: refs/heads/deep/main\n")
    (made / "refs" / "heads" / "deep" / "main").write_text(f"{A}\n")
    (made / "packed-refs").write_text(f"# pack-refs\n{B} refs/heads/packed\n^{C}\n{C} refs/heads/deep/main\nrubbish\n")
    return made


def test_refs_are_read_loose_before_packed(git_dir: Path):
    head = read_head(git_dir)
    assert (head.commit, head.branch) == (A, "deep/main")
    assert list_refs(git_dir, "refs/heads") == {"refs/heads/deep/main": A, "refs/heads/packed": B}
    assert read_ref(git_dir, "refs/heads/packed") == B
    (git_dir / "refs" / "heads" / "deep" / "main").unlink()
    assert read_head(git_dir).commit == C


@pytest.mark.parametrize("name", ["refs/../HEAD", "HEAD", "/etc/passwd", "refs//x", "refs/a b", "refs/.", ""])
def test_names_that_lead_elsewhere_are_refused(git_dir: Path, name):
    assert read_ref(git_dir, name) is None


def test_links_are_not_followed_and_pipes_do_not_block(git_dir: Path, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text(f"{A}\n")
    heads = git_dir / "refs" / "heads"
    (heads / "file").symlink_to(tmp_path / "outside" / "x")
    (heads / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(heads / "pipe")
    (heads / "short").write_text("abc\n")
    for name in ("file", "folder/x", "pipe", "short", "deep"):
        assert read_ref(git_dir, f"refs/heads/{name}") is None, name
    assert read_small(git_dir, "packed-refs", 5) == b"# pac"
    assert read_small(git_dir / "missing", "x", 5) is None


# -- addresses of submodules


@pytest.mark.parametrize(
    ("origin", "address", "expected"),
    [
        ("", "https://host/lib.git", "https://host/lib.git"),
        ("", "https://me:token@host:8080/lib.git", "https://host:8080/lib.git"),
        ("", "ssh://git@host/lib.git", "ssh://git@host/lib.git"),
        ("https://host/group/app.git", "../lib.git", "https://host/group/lib.git"),
        ("https://me:token@host/group/app.git", "../../other/lib.git", "https://host/other/lib.git"),
        ("git@host:group/app.git", "../lib.git", "git@host:group/lib.git"),
        ("/srv/app", "../lib", "/srv/lib"),
    ],
)
def test_addresses_become_absolute_and_lose_their_secrets(tmp_path: Path, origin, address, expected):
    repository = Repository(
        root=tmp_path,
        git_dir=tmp_path,
        common_dir=tmp_path,
        objects=tmp_path,
        object_format="sha1",
        config={"remote.origin.url": origin} if origin else {},
        environ={},
    )
    assert plain_address(repository, address) == expected
