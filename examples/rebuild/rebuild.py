"""Take a published pure-Python package apart and have it written again, module by module.

    python examples/rebuild/rebuild.py sqlparse==0.5.3

The source distribution is fetched and unpacked; its import graph becomes a plan with a task a module; a repository
with everything but the modules is the base; `chargehand run` carries the plan out with a command agent that writes
each module. At the end the tree of the integration branch is compared with the original's, byte for byte and mode
for mode, and the package's own tests are run on it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from examples.rebuild.compare import differences
from examples.rebuild.derive import Rebuild, derive, find_package, plan_of
from examples.rebuild.sdist import fetch, unpack

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
RUN = "rebuild"
_PERSON = {"NAME": "Rebuild", "EMAIL": "rebuild@localhost"}
_IDENTITY = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _PERSON.items()}
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


def say(text: str) -> None:
    print(text, flush=True)


def call(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, ok: Sequence[int] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Run a program that must end with one of `ok`."""
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode not in ok:
        raise SystemExit(f"{shlex.join(argv)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
    return done


def git(where: Path, *args: str) -> str:
    """Git without anybody's configuration."""
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **_IDENTITY}
    return call(["git", "-c", "core.autocrlf=false", *args], cwd=where, env=env).stdout.strip()


# -- before ---------------------------------------------------------------------------------------


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


def copy_without(original: Path, target: Path, left_out: set[str]) -> None:
    """Copy a folder, permissions and links included, but for some files."""
    for path in sorted(original.rglob("*")):
        name = path.relative_to(original).as_posix()
        if path.is_dir() and not path.is_symlink():
            (target / name).mkdir(parents=True, exist_ok=True)
        elif name not in left_out:
            shutil.copy2(path, target / name, follow_symlinks=False)


def make_repository(original: Path, folder: Path, rebuild: Rebuild) -> Path:
    """A repository with one commit: everything but the modules."""
    repository = folder / "repository"
    repository.mkdir()
    copy_without(original, repository, {path for files in rebuild.tasks.values() for path in files})
    git(repository, "init", "-q", "--template=", "-b", "main")
    git(repository, "add", "--all", "--force")
    git(repository, "commit", "-q", "-m", f"{rebuild.package.name} without its modules")
    return repository


# -- the run --------------------------------------------------------------------------------------


def write_plan(
    rebuild: Rebuild, folder: Path, install: Sequence[str], deselect: tuple[str, ...], *, tests: bool
) -> None:
    """plan.json and tasks.json."""
    python = ".venv/bin/python"
    make = f"python3 -m venv .venv && {shlex.join([python, *install])}"
    setup: dict[str, Any] = {"run": make, "key": ["PKG-INFO"], "keep": [".venv"]}
    plan = plan_of(rebuild, python=python, setup=setup, deselect=deselect, gate=tests)
    (folder / "plan.json").write_text(json.dumps(plan, indent=1))
    (folder / "tasks.json").write_text(json.dumps(rebuild.tasks, indent=1))


def run(folder: Path, original: Path, repository: Path, jobs: int) -> dict[str, Any]:
    """`chargehand run`; its document."""
    agent = [sys.executable, str(HERE / "agent.py"), str(original), str(folder / "tasks.json")]
    words = ["--repo", str(repository), "--run-id", RUN, "--jobs", str(jobs), "--unattended", "--json", "--yes"]
    reading = json.dumps([str(original), str(folder / "tasks.json"), str(folder / "wheels")])
    places = ["--state-dir", str(folder / "state"), "--set", f"sandbox.read={reading}"]
    argv = [sys.executable, "-m", "chargehand", "run", str(folder / "plan.json"), *words, *places]
    env = {**os.environ, **_IDENTITY}
    done = call([*argv, "--agent-command", shlex.join(agent)], cwd=folder, env=env, ok=range(256))
    (folder / "run.log").write_text(done.stderr)
    (folder / "run.json").write_text(done.stdout)
    found: dict[str, Any] = json.loads(done.stdout)
    if "error" in found:
        raise SystemExit(f"chargehand run: {found['error']['message']}")
    return found


def unfinished(document: Mapping[str, Any]) -> list[str]:
    """One line for every task that did not land."""
    return [
        f"{task['id']}: {task['state']} ({task['reason']}): {task['detail'][:300]}"
        for task in document["tasks"]
        if task["state"] != "integrated"
    ]


# -- all of it ------------------------------------------------------------------------------------


def rebuild_package(requirement: str, folder: Path, jobs: int) -> int:
    """Everything; 0 when the tree is identical and the tests are as green as the original's."""
    name = requirement.partition("==")[0].strip()
    fetched = fetch(requirement, folder / "sdist")
    original = unpack(fetched.file, folder / "original")
    say(f"{name} {fetched.version}: {fetched.file.name}, sha256 {fetched.sha256[:16]}")
    package = find_package(original, name)
    rebuild = derive(original, package)
    edges = sum(map(len, rebuild.after.values()))
    say(f"  {len(package.files)} modules, {len(rebuild.tasks)} tasks, {edges} dependencies")
    for cycle in rebuild.grouping.cycles:
        say(f"  one task, for they import each other: {', '.join(cycle)}")
    for module, target in rebuild.grouping.cut:
        say(f"  disregarded, to break a tangle: {module} imports {target}")
    install = make_wheels(package.requires, folder)
    python = make_python(folder, install)
    before = run_tests(python, original, rebuild)
    say(f"  its own tests: {before.passed} pass here, {len(before.failing)} fail and are left out")
    green, dropped = alone(rebuild, original, python, folder)
    rebuild = replace(rebuild, tests=green)
    said = f"; {dropped} need more" if dropped else ""
    say(f"  {sum(map(len, green.values()))} test files pass as soon as their task is done{said}")
    repository = make_repository(original, folder, rebuild)
    write_plan(rebuild, folder, install, before.deselect, tests=before.passed > 0)
    began = time.monotonic()
    document = run(folder, original, repository, jobs)
    took_s = time.monotonic() - began
    landed = sum(task["landed"] is not None for task in document["tasks"])
    say(f"  run: {document['state']}, {landed} of {len(rebuild.tasks)} tasks landed in {took_s:.0f} s")
    for line in unfinished(document):
        say(f"    {line}")
    return judge(folder, original, document, rebuild, python, before)


def judge(
    folder: Path, original: Path, document: Mapping[str, Any], rebuild: Rebuild, python: Path, before: Tests
) -> int:
    """Compare what is on the branch with the original; 0 when there is no difference and nothing new fails."""
    result = folder / "result"
    git(folder, "clone", "-q", "--branch", document["branch"], str(folder / "repository"), str(result))
    found = differences(original, result)
    for line in found[:20]:
        say(f"    {line}")
    files = len(git(result, "ls-files").splitlines())
    say(f"  tree: {'identical to the original' if not found else f'{len(found)} differences'}, {files} files")
    after = run_tests(python, result, rebuild, before.deselect)
    say(f"  tests: {after.passed} pass, {len(after.failing)} fail")
    say(f"  everything is in {folder}; the branch is {document['branch']} in {folder / 'repository'}")
    same = not found and not after.failing and after.passed >= before.passed
    return 0 if same and document["state"] == "finished" else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="rebuild.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", help="NAME or NAME==VERSION")
    parser.add_argument("--dir", type=Path, help="a new folder to work in (default: a temporary one, which is kept)")
    parser.add_argument("--jobs", type=int, default=4, help="tasks at a time (default 4)")
    options = parser.parse_args()
    folder = options.dir.resolve() if options.dir else Path(tempfile.mkdtemp(prefix="rebuild-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty.")
    try:
        return rebuild_package(options.package, folder, options.jobs)
    except (LookupError, ValueError, OSError) as error:
        say(f"rebuild.py: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
