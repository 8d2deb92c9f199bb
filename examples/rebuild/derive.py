"""From an unpacked source distribution to a plan: a task a module, in the order of the import graph."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from examples.rebuild.graph import Grouping, closure, find_imports, group_modules, module_name, with_packages

__all__ = ["Package", "Rebuild", "derive", "find_package", "plan_of"]

_NO_PACKAGE = frozenset({"bench", "benchmark", "benchmarks", "build", "doc", "docs", "example", "examples", "tools"})
_TESTS = frozenset({"test", "tests", "testing"})
_TEST_FILE = re.compile(r"(test_\w+|\w+_test)\.py")


@dataclass(frozen=True, kw_only=True)
class Package:
    """What is to be rebuilt. `files` maps module names to paths; `root` is "" or the folder on the import path."""

    name: str
    root: str
    files: dict[str, str]
    requires: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rebuild:
    """`tasks` maps task ids to the files they write; `after` to the tasks they wait for; `tests` to test files."""

    package: Package
    grouping: Grouping
    tasks: dict[str, tuple[str, ...]]
    after: dict[str, tuple[str, ...]]
    tests: dict[str, tuple[str, ...]]

    def behind(self, task: str) -> set[str]:
        """The task, and all it waits for."""
        return _behind(task, self.after)


def find_package(folder: Path, name: str) -> Package:
    """The modules of the distribution `name` unpacked in `folder`; ValueError where there are none."""
    wanted = re.sub(r"[-_.]+", "_", name).lower()
    for root in ("src/", ""):
        tops = [
            top
            for top in sorted((folder / root).glob("*"))
            if ((top / "__init__.py").is_file() or top.suffix == ".py")
            and top.stem not in _NO_PACKAGE | _TESTS | {"setup", "conftest"}
        ]
        if tops:
            break
    else:
        raise ValueError(f"{name}: no Python package was found at the top of the distribution or in src/.")
    best = next((top for top in tops if top.stem.lower() == wanted), None)
    files = {}
    for top in [best] if best else tops:
        for file in [top] if top.is_file() else sorted(top.rglob("*.py")):
            path = file.relative_to(folder).as_posix()
            if not _TESTS & set(path.split("/")[:-1]):
                files[module_name(path, root)] = path
    return Package(name=name, root=root, files=files, requires=_requires(folder))


def _requires(folder: Path) -> tuple[str, ...]:
    """What the distribution needs to run: its `Requires-Dist` lines without those of extras."""
    lines = (folder / "PKG-INFO").read_text("utf-8", "replace").split("\n\n", 1)[0].splitlines()
    found = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("requires-dist:")]
    return tuple(line for line in found if not re.search(r";.*\bextra\b", line))


def derive(folder: Path, package: Package) -> Rebuild:
    """Tasks, their order and the tests that can be run after each."""
    graph = with_packages(_graph(folder, package.files))
    grouping = group_modules(graph)
    owner: dict[str, str] = {}
    tasks: dict[str, tuple[str, ...]] = {}
    for group in grouping.groups:
        task = _task_id(group, package, tasks)
        tasks[task] = tuple(package.files[name] for name in group)
        owner |= dict.fromkeys(group, task)
    dropped = set(grouping.cut)
    after = {
        task: tuple(sorted({owner[t] for name in group for t in graph[name] if (name, t) not in dropped} - {task}))
        for task, group in zip(tasks, grouping.groups, strict=True)
    }
    tests = _tests(folder, package, owner, after)
    return Rebuild(package=package, grouping=grouping, tasks=tasks, after=after, tests=tests)


def _graph(folder: Path, files: Mapping[str, str], *, lazy: bool = False) -> dict[str, frozenset[str]]:
    return {
        name: find_imports(
            (folder / path).read_text("utf-8", "replace"),
            name,
            is_package=path.endswith("/__init__.py"),
            known=files,
            lazy=lazy,
        )
        for name, path in files.items()
    }


def _task_id(group: tuple[str, ...], package: Package, taken: Iterable[str]) -> str:
    """The shortest name of the group without the package's own: `engine.grouping`, `package` for the package itself."""
    shortest = min(group, key=lambda name: (name.count("."), name))
    tops = {name.partition(".")[0] for name in package.files}
    inside = shortest.partition(".")[2] if len(tops) == 1 else shortest
    name = re.sub(r"[^A-Za-z0-9._-]", "-", inside or "package").strip("._-")[:60] or "module"
    count, found = 1, name
    while found in taken:
        count += 1
        found = f"{name}-{count}"
    return found


def _tests(
    folder: Path, package: Package, owner: dict[str, str], after: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The test files that can be run as soon as a task is there; `after` grows by what its own test needs besides."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")} - set(package.files.values())
    helpers = {module_name(path): path for path in files}
    graph = _graph(folder, {**package.files, **helpers}, lazy=True)
    own = {files.rpartition(".")[2]: task for files, task in reversed(owner.items())}
    found: dict[str, tuple[str, ...]] = {}
    for name, path in sorted(helpers.items()):
        stem = _TEST_FILE.fullmatch(path.rpartition("/")[2])
        if not stem:
            continue
        folders = path.split("/")[:-1]
        conftests = {".".join([*folders[:count], "conftest"]) for count in range(len(folders) + 1)}
        needs = {owner[module] for module in closure({name, *conftests}, graph) if module in owner}
        task = next((task for task in sorted(needs) if needs <= _behind(task, after)), None)
        mine = own.get(stem[1].removeprefix("test_").removesuffix("_test"))
        if task is None and mine in needs and not any(mine in _behind(other, after) for other in needs - {mine}):
            task = mine
            after[task] = tuple(sorted({*after[task], *needs} - {task}))
        if task is not None:
            found[task] = (*found.get(task, ()), path)
    return found


def _behind(task: str, after: Mapping[str, tuple[str, ...]]) -> set[str]:
    todo, seen = [task], set[str]()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += after[name]
    return seen


def plan_of(
    rebuild: Rebuild, *, python: str, setup: dict[str, Any] | None, deselect: tuple[str, ...], gate: bool
) -> dict[str, Any]:
    """The plan file. `python` runs the tests; `deselect` are arguments for pytest; `gate`: there are tests to run."""
    pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts="]
    package = rebuild.package
    tasks = []
    for task, files in rebuild.tasks.items():
        verify = [["python3", "-m", "py_compile", *files]]
        verify += [[*pytest, path, *deselect] for path in rebuild.tests.get(task, ())]
        tasks.append(
            {
                "id": task,
                "title": f"Write {files[0]}" + (f" and {len(files) - 1} more" if len(files) > 1 else ""),
                "description": "Write the files of this task as they are in the original.",
                "depends_on": list(rebuild.after[task]),
                "files": {"create": list(files)},
                "verify": verify,
                "mandates": ["Keep the original's text word for word, placeholders included."],
            }
        )
    tests = {"id": "tests", "run": [*pytest, *deselect], "on": ["run"], "wall": "10m"}
    return {
        "chargehand": 1,
        "plan": f"rebuild-{re.sub(r'[^a-z0-9]+', '-', package.name.lower())}"[:63],
        "goal": f"The modules of {package.name} are written again, file by file, in the order of their imports.",
        "features": {"code_review": False, "holistic": False},
        "env": {"set": {"PYTHONDONTWRITEBYTECODE": "1", **({"PYTHONPATH": package.root} if package.root else {})}},
        **({"setup": setup} if setup else {}),
        "gates": [tests] if gate else [],
        "tasks": tasks,
    }
