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
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from examples.rebuild.checking import Tests, alone, call, copy_without, make_python, make_wheels, run_tests
from examples.rebuild.compare import differences
from examples.rebuild.derive import Rebuild, derive, find_package, plan_of
from examples.rebuild.sdist import Fetched, fetch, local, unpack

__all__ = ["main"]

HERE = Path(__file__).resolve().parent
RUN = "rebuild"
_PERSON = {"NAME": "Rebuild", "EMAIL": "rebuild@localhost"}
_IDENTITY = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _PERSON.items()}


@dataclass(frozen=True, kw_only=True)
class Tools:
    """`python` has what the tests need; `install` are its arguments to get that in another environment."""

    python: Path
    install: tuple[str, ...] = ()


def say(text: str) -> None:
    print(text, flush=True)


def git(where: Path, *args: str) -> str:
    """Git without anybody's configuration."""
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **_IDENTITY}
    return call(["git", "-c", "core.autocrlf=false", *args], cwd=where, env=env).stdout.strip()


# -- before ---------------------------------------------------------------------------------------


def make_tools(requires: Sequence[str], folder: Path) -> Tools:
    """Fetch what the tests need, once, and install it in an environment of our own."""
    install = make_wheels(requires, folder)
    return Tools(python=make_python(folder, install), install=tuple(install))


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


def write_plan(rebuild: Rebuild, folder: Path, tools: Tools, before: Tests) -> None:
    """plan.json and tasks.json."""
    setup: dict[str, Any] | None = None
    python = str(tools.python)
    if tools.install:
        python = ".venv/bin/python"
        make = f"python3 -m venv .venv && {shlex.join([python, *tools.install])}"
        setup = {"run": make, "key": ["PKG-INFO"], "keep": [".venv"]}
    plan = plan_of(rebuild, python=python, setup=setup, deselect=before.deselect, gate=before.passed > 0)
    (folder / "plan.json").write_text(json.dumps(plan, indent=1))
    (folder / "tasks.json").write_text(json.dumps(rebuild.tasks, indent=1))


def run(folder: Path, original: Path, repository: Path, jobs: int) -> dict[str, Any]:
    """`chargehand run`; its document."""
    agent = [sys.executable, str(HERE / "agent.py"), str(original), str(folder / "tasks.json")]
    words = ["--repo", str(repository), "--run-id", RUN, "--jobs", str(jobs), "--unattended", "--json", "--yes"]
    needed = (original, folder / "tasks.json", folder / "wheels")
    reading = json.dumps([str(path) for path in needed if path.exists()])
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


def rebuild_package(fetched: Fetched, folder: Path, jobs: int, python: Path | None) -> int:
    """Everything; 0 when the tree is identical and the tests are as green as the original's."""
    original = unpack(fetched.file, folder / "original")
    say(f"{fetched.name} {fetched.version}: {fetched.file.name}, sha256 {fetched.sha256[:16]}")
    package = find_package(original, fetched.name)
    rebuild = derive(original, package)
    tell_plan(rebuild)
    tools = Tools(python=python) if python else make_tools(package.requires, folder)
    before = run_tests(tools.python, original, rebuild)
    say(f"  its own tests: {before.passed} pass here, {len(before.failing)} fail and are left out")
    green, dropped = alone(rebuild, original, tools.python, folder)
    rebuild = replace(rebuild, tests=green)
    said = f"; {dropped} need more" if dropped else ""
    say(f"  {sum(map(len, green.values()))} test files pass as soon as their task is done{said}")
    repository = make_repository(original, folder, rebuild)
    write_plan(rebuild, folder, tools, before)
    began = time.monotonic()
    document = run(folder, original, repository, jobs)
    took_s = time.monotonic() - began
    landed = sum(task["landed"] is not None for task in document["tasks"])
    say(f"  run: {document['state']}, {landed} of {len(rebuild.tasks)} tasks landed in {took_s:.0f} s")
    for line in unfinished(document):
        say(f"    {line}")
    return judge(folder, original, document, rebuild, tools.python, before)


def tell_plan(rebuild: Rebuild) -> None:
    """What the import graph came to, cycles and cuts included."""
    edges = sum(map(len, rebuild.after.values()))
    say(f"  {len(rebuild.package.files)} modules, {len(rebuild.tasks)} tasks, {edges} dependencies")
    for cycle in rebuild.grouping.cycles:
        say(f"  one task, for they import each other: {', '.join(cycle)}")
    for module, target in rebuild.grouping.cut:
        say(f"  disregarded, to break a tangle: {module} imports {target}")


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
    parser.add_argument("package", help="NAME, NAME==VERSION, or the path of a source distribution (.tar.gz)")
    parser.add_argument("--dir", type=Path, help="a new folder to work in (default: a temporary one, which is kept)")
    parser.add_argument("--jobs", type=int, default=4, help="tasks at a time (default 4)")
    parser.add_argument("--python", type=Path, help="has pytest and what the tests need; default: it is made")
    options = parser.parse_args()
    folder = options.dir.resolve() if options.dir else Path(tempfile.mkdtemp(prefix="rebuild-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty.")
    try:
        found = local if options.package.endswith(".tar.gz") else fetch
        fetched = found(options.package, folder / "sdist")
        return rebuild_package(fetched, folder, options.jobs, options.python and options.python.absolute())
    except (LookupError, ValueError, OSError) as error:
        say(f"rebuild.py: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
