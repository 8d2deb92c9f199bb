"""From the sources of a package to an order in which its modules can be written. Pure: texts in, values out."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

__all__ = ["MOST_IN_A_GROUP", "Grouping", "closure", "find_imports", "group_modules", "module_name", "with_packages"]

MOST_IN_A_GROUP = 8
"""Modules that import each other are one task; more of them than this are taken apart."""

Graph = Mapping[str, frozenset[str]]


def module_name(path: str, root: str = "") -> str:
    """The name a file is imported by; `root` is the folder that stands on the import path, as `src/`."""
    inside = path.removeprefix(root).removesuffix(".py").removesuffix("/__init__")
    return inside.replace("/", ".")


def find_imports(source: str, module: str, *, is_package: bool, known: Iterable[str], lazy: bool) -> frozenset[str]:
    """The modules among `known` that a source names in its imports.

    `lazy` takes those in functions and under `TYPE_CHECKING` too, which importing the module does not run.
    A source that does not parse imports nothing: it is copied, not understood.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    known = frozenset(known)
    package = module.split(".") if is_package else module.split(".")[:-1]
    found: set[str] = set()
    for node in _imports(tree, lazy=lazy):
        if isinstance(node, ast.Import):
            found |= {_nearest(alias.name, known) for alias in node.names}
            continue
        base = _base(node, package)
        for alias in node.names:
            name = f"{base}.{alias.name}"
            found.add(name if name in known else _nearest(base, known))
    return frozenset(found - {"", module})


def _base(node: ast.ImportFrom, package: list[str]) -> str:
    """The module a `from` import names, with its leading dots resolved."""
    above = package[: len(package) + 1 - node.level] if 0 < node.level <= len(package) else []
    return ".".join([*above, *filter(None, [node.module])])


def _imports(node: ast.AST, *, lazy: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not lazy:
            continue
        elif isinstance(child, ast.If) and not lazy and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield from _imports(ast.Module(body=[other], type_ignores=[]), lazy=lazy)
        else:
            yield from _imports(child, lazy=lazy)


def _nearest(name: str, known: frozenset[str]) -> str:
    """The known module a dotted name stands for: itself, or the longest known part of it."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def closure(start: Iterable[str], graph: Graph) -> frozenset[str]:
    """Everything that can be reached from `start`, itself included; packages around a module belong to it."""
    todo, seen = list(start), set[str]()
    while todo:
        name = todo.pop()
        if name in seen or name not in graph:
            continue
        seen.add(name)
        todo += graph[name]
        parts = name.split(".")
        todo += [".".join(parts[:count]) for count in range(1, len(parts))]
    return frozenset(seen)


def with_packages(graph: Graph) -> dict[str, frozenset[str]]:
    """The graph with each module after the packages around it, except those that import the module themselves."""
    edges = {name: set(targets) for name, targets in graph.items()}
    for name in sorted(graph):
        parts = name.split(".")
        for count in range(1, len(parts)):
            parent = ".".join(parts[:count])
            if parent in edges and name not in _reached(parent, edges):
                edges[name].add(parent)
    return {name: frozenset(targets) for name, targets in edges.items()}


def _reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    todo, seen = [start], set[str]()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += edges[name]
    return seen


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """`groups` are in an order in which they can be written; `cut` are the imports that had to be disregarded."""

    groups: tuple[tuple[str, ...], ...]
    cut: tuple[tuple[str, str], ...] = ()

    @property
    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """The groups of modules that import each other."""
        return tuple(group for group in self.groups if len(group) > 1)


def group_modules(graph: Graph, most: int = MOST_IN_A_GROUP) -> Grouping:
    """Modules that import each other become one group; where that is more than `most`, some imports are cut.

    Cut are the imports that lead back to the module of the tangle that most others of it import.
    """
    edges = {name: set(targets) & graph.keys() for name, targets in graph.items()}
    cut: list[tuple[str, str]] = []
    while True:
        components = _components(edges)
        large = next((component for component in components if len(component) > most), None)
        if large is None:
            return Grouping(groups=tuple(components), cut=tuple(cut))
        inside = set(large)
        wanted = {name: sum(name in edges[other] for other in large) for name in large}
        first = max(sorted(large), key=lambda name: (wanted[name], -len(edges[name] & inside)))
        for target in sorted(edges[first] & inside):
            edges[first].discard(target)
            cut.append((first, target))


def _components(edges: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """Strongly connected components, each after those it points to (Tarjan, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on_stack: dict[str, None] = {}
    found: list[tuple[str, ...]] = []
    for root in sorted(edges):
        work = [(root, iter(sorted(edges[root])))] if root not in index else []
        while work:
            name, targets = work[-1]
            if name not in index:
                index[name] = low[name] = len(index)
                on_stack[name] = None
            step = next(targets, None)
            if step is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    found.append(_take(on_stack, name))
            elif step not in index:
                work.append((step, iter(sorted(edges[step]))))
            elif step in on_stack:
                low[name] = min(low[name], index[step])
    return found


def _take(on_stack: dict[str, None], name: str) -> tuple[str, ...]:
    members = list(on_stack)
    members = members[members.index(name) :]
    for member in members:
        del on_stack[member]
    return tuple(sorted(members))
