"""What would change with a program: packages beside interpreters, versions behind shims, toolchains behind proxies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chargehand.adapters.gating.fingerprint import _program, _words
from chargehand.domain.plan import Command


def put(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def touched(path: Path) -> None:
    """Made a little younger, whatever the clock of the file system can tell apart."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


def venv(root: Path) -> tuple[Path, Path]:
    (root / "venv/lib/python3.11/site-packages").mkdir(parents=True)
    return put(root / "venv/bin/tool"), root / "venv/lib/python3.11/site-packages"


def pyenv(root: Path) -> tuple[Path, Path]:
    packages = root / "pyenv/versions/3.11.7/lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    return put(root / "pyenv/shims/tool"), packages


def asdf(root: Path) -> tuple[Path, Path]:
    (root / "asdf/installs/nodejs/20").mkdir(parents=True)
    return put(root / "asdf/shims/tool"), root / "asdf/installs/nodejs/20"


def rustup(root: Path) -> tuple[Path, Path]:
    (root / ".rustup/toolchains/stable").mkdir(parents=True)
    return put(root / ".cargo/bin/tool"), root / ".rustup/toolchains/stable"


def node(root: Path) -> tuple[Path, Path]:
    (root / "node/lib/node_modules").mkdir(parents=True)
    return put(root / "node/bin/tool"), root / "node/lib/node_modules"


def linked(root: Path) -> tuple[Path, Path]:
    real = put(root / "real/tool-1")
    (root / "links").mkdir()
    (root / "links/tool").symlink_to(real)
    return root / "links/tool", real


@pytest.mark.parametrize("layout", [venv, pyenv, asdf, rustup, node, linked])
def test_what_is_installed_behind_a_program_counts(tmp_path: Path, layout: Callable[[Path], tuple[Path, Path]]) -> None:
    program, behind = layout(tmp_path)
    path = str(program.parent)
    before = _program("tool", path, {})
    assert before[0].startswith(f"program tool {program} ")
    assert _program("tool", path, {}) == before
    assert _program(str(program), "", {})[1:] == before[1:]
    touched(behind)
    assert _program("tool", path, {}) != before


@pytest.mark.parametrize("word", ["", "--flag", "no-such-thing", "./relative/tool", "a\0b", "x" * 5000])
def test_words_that_are_no_programs(tmp_path: Path, word: str) -> None:
    assert _program(word, str(tmp_path), {}) == []


def test_a_loop_of_links_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert len(_program(str(tmp_path / "a"), "", {})) == 1


@pytest.mark.parametrize(
    ("command", "programs"),
    [
        (Command(argv=("npx", "jest")), {"npx", "jest"}),
        (Command(argv=("cd x && A=1 pytest -q; (make)|tee log",), shell=True), {"cd", "pytest", "make", "tee"}),
        (Command(argv=("sh", "-c", "ruff check 'a b' && mypy")), {"sh", "ruff", "mypy"}),
        (Command(argv=("echo 'open; ls",), shell=True), {"ls"}),
    ],
)
def test_programs_are_found_inside_of_commands(command: Command, programs: set[str]) -> None:
    assert programs <= set(_words(command))
