"""What the body of a Python function, or of a module, does that matters to tests."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from chargehand.adapters.integrity.outline import TRIVIAL, Check, Mark
from chargehand.adapters.integrity.python_checks import checks_of_call, checks_of_expression, dotted

__all__ = ["SKIPS", "Body", "Names", "length_of"]

SKIPS = frozenset(
    {"skip", "skipif", "skipIf", "skipUnless", "xfail", "expectedFailure", "skipTest", "importorskip", "SkipTest"}
)
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_LEAVES = ast.Return | ast.Raise | ast.Continue | ast.Break
_SWALLOWS = frozenset({"AssertionError", "Exception", "BaseException", ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the names of a module stand for: imports by alias, lengths of literals, aliases of skip markers."""

    imports: Mapping[str, str] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)
    own: tuple[str, ...] = ()

    def full(self, name: str) -> str:
        """A dotted name with what was imported under its first part put in; the module's own name is left out."""
        for own in self.own:
            name = name.removeprefix(f"{own}.")
        root, dot, rest = name.partition(".")
        return f"{self.imports[root]}{dot}{rest}" if root in self.imports else name

    def is_imported(self, name: str) -> bool:
        """Whether the first part of a dotted name came in from a module that is not of the language."""
        root = name.partition(".")[0]
        return root in self.imports and self.imports[root].partition(".")[0] not in sys.stdlib_module_names


def length_of(node: ast.expr | None, lengths: Mapping[str, int]) -> int | None:
    """How many items a literal has; None when that cannot be told."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return None if any(isinstance(item, ast.Starred) for item in node.elts) else len(node.elts)
    if isinstance(node, ast.Dict):
        return len(node.keys)
    if isinstance(node, ast.Name):
        return lengths.get(node.id)
    if (
        isinstance(node, ast.Call)
        and dotted(node.func) in {"enumerate", "list", "tuple", "sorted", "zip"}
        and node.args
    ):
        return length_of(node.args[0], lengths)
    if isinstance(node, ast.Call) and dotted(node.func).endswith((".items", ".values", ".keys")):
        return length_of(node.func.value, lengths) if isinstance(node.func, ast.Attribute) else None
    if isinstance(node, ast.Call) and dotted(node.func) == "range" and len(node.args) == 1:
        end = node.args[0]
        return end.value if isinstance(end, ast.Constant) and isinstance(end.value, int) else None
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """Under what a statement stands."""

    conditional: bool = False
    swallowed: bool = False
    nested: bool = False
    exit_expected: bool = False
    times: int = 1
    many: bool = False


@dataclass(slots=True)
class Body:
    """Collects from statements. `is_module`: they run when the file is imported."""

    names: Names
    is_module: bool = False
    checks: list[Check] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    mocks: list[Mark] = field(default_factory=list)
    exits: list[Mark] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def take(self, statements: Iterable[ast.stmt]) -> Body:
        """Take in statements; what stands behind a `return` counts for nothing."""
        self._block(statements, _Around())
        if "fork" in self.calls:
            self.exits.clear()  # of the child
        return self

    def _block(self, statements: Iterable[ast.stmt], around: _Around) -> None:
        for statement in statements:
            self._statement(statement, around)
            if isinstance(statement, _LEAVES):
                return
            if isinstance(statement, ast.If) and isinstance(statement.body[-1], _LEAVES):
                if isinstance(statement.test, ast.Constant) and statement.test.value:
                    return
                if isinstance(statement.body[-1], ast.Return):
                    around = replace(around, conditional=True)

    def _statement(self, node: ast.stmt, around: _Around) -> None:
        if isinstance(node, ast.Assert):
            self._add(checks_of_expression(node.test), around)
            self._expressions([node.test], around)
        elif isinstance(node, ast.If):
            self._if(node, around)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            self._loop(node, around)
        elif isinstance(node, ast.With | ast.AsyncWith):
            self._with(node, around)
        elif isinstance(node, ast.Try | ast.TryStar):
            self._try(node, around)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                self._block(case.body, replace(around, conditional=True))
        elif isinstance(node, _FUNCTIONS):
            self._expressions(node.decorator_list, around)
            if not self.is_module:
                self._block(node.body, replace(around, nested=True))
        elif isinstance(node, ast.ClassDef):
            if not self.is_module:
                self._block(node.body, replace(around, nested=True))
        else:
            self._simple(node, around)

    def _simple(self, node: ast.stmt, around: _Around) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                self._assigned(target)
        if isinstance(node, ast.Raise) and node.exc is not None:
            self._raised(node.exc, around)
        value = node.value if isinstance(node, ast.Expr) else None
        while isinstance(value, ast.Await):
            value = value.value
        if isinstance(value, ast.Call):
            self._add(checks_of_call(value), around)
        self._expressions([node], around)

    def _raised(self, node: ast.expr, around: _Around) -> None:
        last = dotted(node).rpartition(".")[2]
        if last == "AssertionError":
            self._add(
                [Check(subject="raise", text="raise", line=node.lineno, strength=2)], replace(around, conditional=False)
            )
        if last == "SystemExit" and not isinstance(node, ast.Call):
            self._exit("SystemExit", node, around)

    def _if(self, node: ast.If, around: _Around) -> None:
        if self.is_module and isinstance(node.test, ast.Compare) and dotted(node.test.left) == "__name__":
            return
        self._expressions([node.test], around)
        constant = isinstance(node.test, ast.Constant)
        inner = replace(around, conditional=True)
        if not (constant and not node.test.value):  # type: ignore[attr-defined]
            self._block(node.body, around if constant else inner)
        if not (constant and node.test.value):  # type: ignore[attr-defined]
            self._block(node.orelse, around if constant else inner)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, around: _Around) -> None:
        head = node.test if isinstance(node, ast.While) else node.iter
        self._expressions([head], around)
        if isinstance(head, ast.Constant) and not head.value:
            return
        length = None if isinstance(node, ast.While) else length_of(head, self.names.lengths)
        if length == 0:
            return
        inner = replace(around, times=around.times * (length or 1), many=around.many or length is None)
        self._block(node.body, inner)
        self._block(node.orelse, around)

    def _with(self, node: ast.With | ast.AsyncWith, around: _Around) -> None:
        inner = around
        for item in node.items:
            call = item.context_expr
            self._expressions([call], around)
            if not isinstance(call, ast.Call):
                continue
            self._add(checks_of_call(call), around)
            kinds = {dotted(part).rpartition(".")[2] for arg in call.args for part in ast.walk(arg)}
            last = dotted(call.func).rpartition(".")[2]
            if last == "suppress" and kinds & _SWALLOWS - {""}:
                inner = replace(inner, swallowed=True)
            if last in {"raises", "assertRaises", "assertRaisesRegex"} and "SystemExit" in kinds:
                inner = replace(inner, exit_expected=True)
        self._block(node.body, inner)

    def _try(self, node: ast.Try | ast.TryStar, around: _Around) -> None:
        inner = replace(around, swallowed=around.swallowed or any(map(_swallows, node.handlers)))
        self._block(node.body, inner)
        for handler in node.handlers:
            self._block(handler.body, replace(around, conditional=True))
        self._block(node.orelse, around)
        self._block(node.finalbody, around)

    # -- what is found

    def _add(self, checks: Iterable[Check], around: _Around) -> None:
        for check in checks:
            text = f"if: {check.text}" if around.conditional else check.text
            self.checks.append(
                replace(
                    check,
                    text=f"never: {text}" if around.swallowed else text,
                    strength=TRIVIAL if around.swallowed else check.strength,
                    conditional=around.conditional,
                    times=check.times * around.times,
                    many=around.many,
                )
            )

    def _assigned(self, target: ast.expr) -> None:
        name = dotted(target)
        if isinstance(target, ast.Subscript) and dotted(target.value) == "sys.modules":
            self._mock_text(target.slice, target)
        elif isinstance(target, ast.Attribute) and self.names.is_imported(name):
            self.mocks.append(Mark(text=self.names.full(name), line=target.lineno))
        elif isinstance(target, ast.Name) and self.is_module and self.names.is_imported(target.id):
            self.mocks.append(Mark(text=self.names.imports[target.id], line=target.lineno))

    def _expressions(self, nodes: Iterable[ast.AST], around: _Around) -> None:
        for node in _walk(nodes):
            if isinstance(node, ast.Call):
                self._call(node, around)
            if isinstance(node, ast.Name | ast.Attribute):
                name = dotted(node)
                if self.names.is_imported(name):
                    self.used.add(self.names.full(name))

    def _call(self, node: ast.Call, around: _Around) -> None:
        name = dotted(node.func)
        first, _, last = name.partition(".")[0], "", name.rpartition(".")[2]
        self.calls.append(last)
        if isinstance(node.func, ast.Attribute):
            self.used.add(f".{last}")
        if name in {f"pytest.{last}", f"self.{last}", f"cls.{last}"} and last in SKIPS:
            self.marks.append(Mark(text=last, line=node.lineno))
        elif first in {"skip", "xfail", "importorskip"} and self.names.imports.get(first, "").startswith("pytest."):
            self.marks.append(Mark(text=first, line=node.lineno))
        elif last == "SkipTest":
            self.marks.append(Mark(text=last, line=node.lineno))
        elif name in {"sys.exit", "exit", "quit", "os._exit", "pytest.exit", "SystemExit"}:
            self._exit(name, node, around)
        self._mock(node, name, last)

    def _exit(self, name: str, node: ast.expr, around: _Around) -> None:
        if around.exit_expected or not _is_success(name, node):
            return
        if name in {"os._exit", "pytest.exit"} or not around.nested:
            self.exits.append(Mark(text=f"{name}(0)" if name != "pytest.exit" else "pytest.exit", line=node.lineno))

    def _mock(self, node: ast.Call, name: str, last: str) -> None:
        args = node.args
        if last == "patch" and args:
            self._mock_text(args[0], node)
        elif (last == "object" and name.endswith("patch.object")) or last in {"setattr", "spy", "stub"}:
            if len(args) > 1 and isinstance(args[1], ast.Constant) and dotted(args[0]):
                target = self.names.full(f"{dotted(args[0])}.{args[1].value!s}")
                self.mocks.append(Mark(text=target, line=node.lineno))
            elif args:
                self._mock_text(args[0], node)
        elif name.endswith(("patch.dict", "setitem")) and args and _names_modules(args[0]):
            keys = args[1].keys if len(args) > 1 and isinstance(args[1], ast.Dict) else args[1:2]
            for key in keys:
                self._mock_text(key, node)

    def _mock_text(self, node: ast.expr | None, place: ast.expr) -> None:
        if isinstance(node, ast.JoinedStr):
            tail = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            node = ast.Constant(value=f"{self.names.own[0]}{tail}") if self.names.own else None
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.mocks.append(Mark(text=self.names.full(node.value), line=place.lineno))


def _names_modules(node: ast.expr) -> bool:
    return dotted(node) == "sys.modules" or (isinstance(node, ast.Constant) and node.value == "sys.modules")


def _walk(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    pending = list(nodes)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _FUNCTIONS | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))


def _swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a failing assertion ends here, and nobody hears of it."""
    kinds = {""} if handler.type is None else {dotted(part).rpartition(".")[2] for part in _types(handler.type)}
    if not kinds & _SWALLOWS:
        return False
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise | ast.Assert):
            return False
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2].startswith(("fail", "assert")):
            return False
    return True


def _types(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _is_success(name: str, node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return True
    if name == "pytest.exit":
        codes = [key.value for key in node.keywords if key.arg == "returncode"]
        return all(isinstance(code, ast.Constant) and code.value in (0, None) for code in codes)
    if not node.args:
        return not node.keywords
    code = node.args[0]
    return isinstance(code, ast.Constant) and (code.value is None or code.value == 0)
