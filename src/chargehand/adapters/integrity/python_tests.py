"""Reads a file of Python tests: pytest and unittest (SPEC 3.7, item 4). Nothing of it is executed."""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from chargehand.adapters.integrity.outline import Case, Mark, Outline
from chargehand.adapters.integrity.python_bodies import SKIPS, Body, Names, length_of
from chargehand.adapters.integrity.python_checks import dotted

__all__ = ["exits_at_import", "python_outline"]

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_CHOOSING = frozenset(
    {
        *("pytest_ignore_collect", "pytest_collection_modifyitems", "pytest_collect_file", "pytest_collect_directory"),
        *("pytest_pycollect_makeitem", "pytest_pycollect_makemodule", "pytest_collection", "pytest_runtestloop"),
        *("pytest_runtest_protocol", "pytest_pyfunc_call", "pytest_runtest_call", "pytest_itemcollected", "load_tests"),
    }
)
_RESULTS = frozenset({"outcome", "wasxfail", "exitstatus", "shouldstop", "shouldfail"})
_IGNORES = frozenset({"collect_ignore", "collect_ignore_glob"})


def python_outline(path: str, text: str) -> Outline | None:
    """What a file of tests says; None when it does not parse."""
    tree = _parse(text)
    if tree is None:
        return None
    return _Reader(path, tree).outline()


def exits_at_import(path: str, text: str) -> tuple[Mark, ...]:
    """Where importing a module ends the interpreter with success."""
    tree = _parse(text)
    if tree is None:
        return ()
    return tuple(Body(_names(path, tree), is_module=True).take(tree.body).exits)


def _parse(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _names(path: str, tree: ast.Module) -> Names:
    parts = PurePosixPath(path).with_suffix("").parts
    imports: dict[str, str] = {}
    lengths: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                imports[name.asname or name.name.partition(".")[0]] = (
                    name.name if name.asname else name.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) - node.level] if node.level else ()
            start = ".".join((*above, *([node.module] if node.module else ())))
            imports |= {name.asname or name.name: f"{start}.{name.name}" for name in node.names}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            length = length_of(statement.value, lengths)
            if length is not None:
                lengths[statement.targets[0].id] = length
    own = tuple(".".join(parts[start:]) for start in range(len(parts)))
    return Names(imports=imports, lengths=lengths, own=own)


class _Reader:
    def __init__(self, path: str, tree: ast.Module) -> None:
        self._tree = tree
        self._names = _names(path, tree)
        self._is_conftest = PurePosixPath(path).name == "conftest.py"
        self._aliases: dict[str, str] = {}
        self._cases: dict[str, Case] = {}
        self._helpers: dict[str, Case] = {}
        self._marks: list[Mark] = []
        self._hooks: list[Mark] = []
        self._rewrites: list[Mark] = []
        self._mocks: list[Mark] = []
        self._exits: list[Mark] = []

    def outline(self) -> Outline:
        body = Body(self._names, is_module=True).take(self._tree.body)
        self._block(self._tree.body, "", collected=True, under=())
        modules = {name.name for node in ast.walk(self._tree) if isinstance(node, ast.Import) for name in node.names}
        froms = {name.rpartition(".")[0] for name in self._names.imports.values()}
        modules |= {*self._names.imports.values(), *froms} - {""}
        used = set(body.used).union(*(case.names for case in self._cases.values()))
        return Outline(
            cases=self._cases,
            helpers=self._helpers,
            marks=(*self._marks, *body.marks),
            mocks=(*self._mocks, *body.mocks),
            exits=(*self._exits, *body.exits),
            hooks=tuple(self._hooks),
            rewrites=tuple(self._rewrites),
            modules=frozenset(modules),
            names=frozenset(used),
        )

    def _block(self, body: Iterable[ast.stmt], prefix: str, *, collected: bool, under: tuple[Mark, ...]) -> None:
        for node in body:
            if isinstance(node, _Function):
                self._function(node, prefix, collected=collected, under=under)
            elif isinstance(node, ast.ClassDef):
                self._class(node, prefix, collected=collected, under=under)
            elif isinstance(node, ast.If):
                self._if(node, prefix, collected=collected, under=under)
            elif isinstance(node, ast.Try):
                for part in (node.body, *(handler.body for handler in node.handlers), node.orelse, node.finalbody):
                    self._block(part, prefix, collected=collected, under=under)
            elif isinstance(node, ast.With):
                self._block(node.body, prefix, collected=collected, under=under)
            else:
                self._setting(node, prefix)

    def _if(self, node: ast.If, prefix: str, *, collected: bool, under: tuple[Mark, ...]) -> None:
        condition = ast.unparse(node.test)
        for part, said in ((node.body, condition), (node.orelse, f"not ({condition})")):
            if isinstance(node.test, ast.Constant):
                if bool(node.test.value) is (part is node.body):
                    self._block(part, prefix, collected=collected, under=under)
            elif "__name__" not in condition:
                mark = Mark(text=f"under the condition {said}", line=node.lineno)
                self._block(part, prefix, collected=collected, under=(*under, mark))

    def _setting(self, node: ast.stmt, prefix: str) -> None:
        """Assignments that mean something to a runner."""
        value: ast.expr | None
        if isinstance(node, ast.Delete):
            for name in node.targets:
                self._cases.pop(f"{prefix}{dotted(name)}", None)
        if isinstance(node, ast.Assign):
            targets, value = [dotted(target) for target in node.targets], node.value
        elif isinstance(node, ast.AugAssign | ast.AnnAssign) and node.value is not None:
            targets, value = [dotted(node.target)], node.value
        else:
            targets, value = self._called_on(node)
        if value is None:
            return
        skips = list(self._skips([value]))
        for target in targets:
            last = target.rpartition(".")[2]
            self._cases.pop(f"{prefix}{target}", None)
            if last == "pytestmark":
                self._marks += skips if not prefix else []
            elif last in _IGNORES:
                items = [
                    part for part in ast.walk(value) if isinstance(part, ast.Constant) and isinstance(part.value, str)
                ]
                self._hooks += [Mark(text=f"{last} {item.value!s}", line=item.lineno) for item in items]
                if not items and not (isinstance(value, ast.List | ast.Tuple) and not value.elts):
                    self._hooks.append(Mark(text=f"{last} {ast.unparse(value)}", line=node.lineno))
            elif last == "__test__" and not prefix and isinstance(value, ast.Constant) and not value.value:
                self._hooks.append(Mark(text=f"{target} = False", line=node.lineno))
            elif skips and "." not in target:
                self._aliases[target] = skips[0].text

    def _called_on(self, node: ast.stmt) -> tuple[list[str], ast.expr | None]:
        """`collect_ignore.append(…)` and its like."""
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Attribute)
        ):
            return [dotted(node.value.func.value)], node.value.args[0] if node.value.args else None
        return [], None

    def _class(self, node: ast.ClassDef, prefix: str, *, collected: bool, under: tuple[Mark, ...]) -> None:
        bases = [dotted(base).rpartition(".")[2] for base in node.bases]
        unittest = any(base.endswith(("TestCase", "Test", "Tests", "TestBase")) for base in bases)
        settings = {
            dotted(target): each.value for each in node.body if isinstance(each, ast.Assign) for target in each.targets
        }
        made = any(isinstance(each, _Function) and each.name == "__init__" for each in node.body)
        off = isinstance(settings.get("__test__"), ast.Constant) and not settings["__test__"].value  # type: ignore[attr-defined]
        inside = collected and not off and (unittest or (node.name.startswith("Test") and not made))
        name = f"{prefix}{node.name}."
        marks = [*self._skips(node.decorator_list)]
        if "pytestmark" in settings:
            marks += self._skips([settings["pytestmark"]])
        under = (*under, *(Mark(text=f"{node.name}: {mark.text}", line=mark.line) for mark in marks))
        self._block(node.body, name, collected=inside, under=under)

    def _function(self, node: _Function, prefix: str, *, collected: bool, under: tuple[Mark, ...]) -> None:
        body = Body(self._names).take(node.body)
        decorators = Body(self._names)
        decorators.take(ast.Expr(value=each, lineno=each.lineno) for each in node.decorator_list)
        rows, many = self._rows(node.decorator_list)
        test = collected and node.name.startswith("test")
        marks = [*self._skips(node.decorator_list), *body.marks, *under]
        case = Case(
            name=f"{prefix}{node.name}",
            line=node.lineno,
            checks=tuple(body.checks),
            marks=tuple(marks),
            mocks=(*body.mocks, *decorators.mocks),
            rows=rows,
            many=many,
            calls=tuple(body.calls),
            names=frozenset(body.used),
            params=frozenset(each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)),
            everywhere=_is_everywhere(node),
            digest=hashlib.sha256(
                ast.dump(ast.Module(body=node.body, type_ignores=[])).encode(errors="replace")
            ).hexdigest(),
        )
        if not prefix and self._names.is_imported(node.name):
            self._mocks.append(Mark(text=self._names.imports[node.name], line=node.lineno))
        is_hook = node.name.startswith("pytest_") or node.name == "load_tests"
        if test or is_hook or _is_fixture(node):
            self._exits += body.exits
        else:
            self._exits += [mark for mark in body.exits if mark.text.startswith(("os._exit", "pytest.exit"))]
        if is_hook:
            self._hook(node, case)
        (self._cases if test else self._helpers)[case.name] = case

    def _hook(self, node: _Function, case: Case) -> None:
        if node.name in _CHOOSING:
            self._hooks.append(Mark(text=f"{node.name}\0{case.digest}", line=node.lineno))
        for part in ast.walk(node):
            targets = part.targets if isinstance(part, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr in _RESULTS:
                    self._rewrites.append(Mark(text=f"{node.name} sets {target.attr}", line=target.lineno))

    def _skips(self, nodes: Iterable[ast.expr]) -> Iterator[Mark]:
        """The skip markers in decorators and their like, with their condition, without their reason."""
        for node in nodes:
            for part in ast.walk(node):
                if not isinstance(part, ast.Name | ast.Attribute):
                    continue
                name = dotted(part)
                last = name.rpartition(".")[2]
                if last in SKIPS and name != "pytest.skip":
                    yield Mark(text=f"{last}{_condition(node, part)}", line=part.lineno)
                elif isinstance(part, ast.Name) and name in self._aliases:
                    yield Mark(text=self._aliases[name], line=part.lineno)

    def _rows(self, decorators: Iterable[ast.expr]) -> tuple[int, bool]:
        rows, many = 1, False
        for node in decorators:
            if not isinstance(node, ast.Call):
                continue
            last = dotted(node.func).rpartition(".")[2]
            length: int | None = 1
            if last == "parametrize":
                given = {key.arg: key.value for key in node.keywords}
                values = node.args[1] if len(node.args) > 1 else given.get("argvalues")
                length = length_of(values, self._names.lengths)
            elif last in {"expand", "parameterized"} and node.args:
                length = length_of(node.args[0], self._names.lengths)
            elif last in {"given", "data", "file_data", "unpack"}:
                length = len(node.args) if last == "data" else None
            rows, many = rows * (1 if length is None else length), many or length is None
        return rows, many


def _condition(root: ast.expr, marker: ast.expr) -> str:
    """The condition of `skipif(…)`, where the marker is one."""
    for node in ast.walk(root):
        if (
            isinstance(node, ast.Call)
            and node.func is marker
            and dotted(marker).endswith(("skipif", "If", "Unless", "xfail"))
        ):
            conditions = [ast.unparse(arg) for arg in node.args[:1]]
            conditions += [ast.unparse(key.value) for key in node.keywords if key.arg == "condition"]
            return f" ({conditions[0]})" if conditions else ""
    return ""


def _is_fixture(node: _Function) -> bool:
    return any(dotted(each).rpartition(".")[2] in {"fixture", "yield_fixture"} for each in node.decorator_list)


def _is_everywhere(node: _Function) -> bool:
    if node.name in {
        "setUp",
        "setUpClass",
        "setUpModule",
        "setup_method",
        "setup_module",
        "setup_class",
        "setup_function",
    }:
        return True
    return any(
        isinstance(each, ast.Call) and any(key.arg == "autouse" for key in each.keywords)
        for each in node.decorator_list
    )
