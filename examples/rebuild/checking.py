"""The package's own tests: what they need, how they come out, and which can be run before all modules are there."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from examples.rebuild.derive import Rebuild

__all__ = ["Tests", "alone", "call", "copy_without", "make_python", "make_wheels", "run_tests"]

_NO_TESTS = 5  # pytest's exit code when it found none


@dataclass(frozen=True, kw_only=True)
class Tests:
    """How the original's own tests come out: `passed` of them, and those that fail before anybody did anything."""

    passed: int
    failing: tuple[str, ...]

    @property
    def deselect(self) -> tuple[str, ...]:
        """Arguments that leave the failing ones out."""
        return tuple(word for test in self.failing for word in ("--deselect", test))


def call(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, ok: Sequence[int] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Run a program that must end with one of `ok`."""
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode not in ok:
        raise SystemExit(f"{shlex.join(argv)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done


def copy_without(original: Path, target: Path, left_out: set[str]) -> None:
    """Copy a folder, permissions and links included, but for some files."""
    for path in sorted(original.rglob("*")):
        name = path.relative_to(original).as_posix()
        if path.is_dir() and not path.is_symlink():
            (target / name).mkdir(parents=True, exist_ok=True)
        elif name not in left_out:
            shutil.copy2(path, target / name, follow_symlinks=False)


def make_wheels(requires: Sequence[str], folder: Path) -> list[str]:
    """Download what the tests need, once; answers with the command that installs it without any network."""
    wheels = folder / "wheels"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    call([*pip, "wheel", "--wheel-dir", str(wheels), "pytest", *requires], cwd=folder)
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index", "--find-links", str(wheels)]
    return [*install, "pytest", *requires]


def make_python(folder: Path, install: Sequence[str]) -> Path:
    """A virtual environment of our own, to see how the original's tests come out."""
    call([sys.executable, "-m", "venv", "venv"], cwd=folder)
    python = folder / "venv" / "bin" / "python"
    call([str(python), *install], cwd=folder)
    return python


def run_tests(python: Path, where: Path, rebuild: Rebuild, deselect: Sequence[str] = ()) -> Tests:
    """The package's own tests in a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "junit.xml"
        words = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "junit_family=xunit1", f"--junit-xml={file}"]
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(where / rebuild.package.root)}
        call([str(python), "-m", "pytest", *words, *deselect], cwd=where, env=env, ok=(0, 1, _NO_TESTS))
        cases = list(ET.parse(file).getroot().iter("testcase"))
    failing = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    names = tuple(_node(case) for case in failing)
    return Tests(passed=len(cases) - len(failing), failing=names)


def _node(case: ET.Element) -> str:
    """The id by which pytest deselects a test."""
    file, name = case.get("file", ""), case.get("name", "")
    inside = case.get("classname", "").removeprefix(file.removesuffix(".py").replace("/", ".")).strip(".")
    return "::".join(filter(None, [file, *inside.split("."), name]))


def alone(rebuild: Rebuild, original: Path, python: Path, folder: Path) -> tuple[dict[str, tuple[str, ...]], int]:
    """The test files of each task that pass where only it and what it waits for exist; how many did not."""
    kept: dict[str, tuple[str, ...]] = {}
    dropped = 0
    missing = {path for files in rebuild.tasks.values() for path in files}
    for task, paths in rebuild.tests.items():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            there = {path for name in rebuild.behind(task) for path in rebuild.tasks[name]}
            copy_without(original, Path(place), missing - there)
            env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(Path(place) / rebuild.package.root)}
            words = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts="]
            green = tuple(
                path for path in paths if not call([*words, path], cwd=Path(place), env=env, ok=range(256)).returncode
            )
        dropped += len(paths) - len(green)
        if green:
            kept[task] = green
    return kept, dropped
