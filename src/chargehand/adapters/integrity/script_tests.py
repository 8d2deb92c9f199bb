"""Reads a file of JavaScript or TypeScript tests: jest, vitest, node, mocha, Playwright (SPEC 3.7, item 4)."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import PurePosixPath

from tree_sitter import Language, Node, Parser

from chargehand.adapters.integrity.outline import TRIVIAL, Case, Check, Mark, Outline
from chargehand.adapters.integrity.script_checks import arguments, chain, check_of, line_of, literal_number, text_of

__all__ = ["SCRIPTS", "script_exits_at_import", "script_outline", "script_tree"]

SCRIPTS = frozenset({".js", ".jsx", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx"})

_TESTS = frozenset({"it", "test", "specify", "xit", "xtest", "fit", "ftest", "bench"})
_SUITES = frozenset({"describe", "suite", "context", "xdescribe", "fdescribe", "xcontext"})
_SKIPS = frozenset({"skip", "only", "todo", "failing", "fails", "fixme", "skipIf", "runIf", "fail"})
_BY_NAME = {"xit": "skip", "xtest": "skip", "xdescribe": "skip", "xcontext": "skip", "fit": "only", "fdescribe": "only"}
_FUNCTIONS = frozenset(
    {"arrow_function", "function_expression", "function_declaration", "function", "method_definition"}
)
_EXITS = frozenset({"process.exit", "Deno.exit", "process.reallyExit"})
_MODULE_MOCKS = frozenset({"mock", "doMock", "setMock", "module", "unstable_mockModule"})
_MAX_NODES = 400_000
_PARSING_S = 10.0
_CHUNK_BYTES = 4096


@cache
def _parser(kind: str) -> Parser:
    import tree_sitter_javascript
    import tree_sitter_typescript

    languages = {
        "js": tree_sitter_javascript.language,
        "ts": tree_sitter_typescript.language_typescript,
        "tsx": tree_sitter_typescript.language_tsx,
    }
    return Parser(Language(languages[kind]()))


def script_tree(path: str, text: str) -> Node:
    """The syntax tree of a script, in the dialect that its name tells; errors are nodes in it.

    TimeoutError where that takes longer than 10 s: getting over many errors takes time that grows with their square.
    """
    suffix = PurePosixPath(path).suffix
    kind = "tsx" if suffix == ".tsx" else "ts" if suffix in {".ts", ".mts", ".cts"} else "js"
    data = text.encode("utf-8", "replace")
    until = time.monotonic() + _PARSING_S
    in_time = True

    def read(offset: int, _place: object) -> bytes:
        nonlocal in_time
        in_time = time.monotonic() < until
        return data[offset : offset + _CHUNK_BYTES] if in_time else b""

    tree = _parser(kind).parse(read)
    if not in_time:
        raise TimeoutError(f"{path} takes longer than {_PARSING_S:.0f} s to parse.")
    return tree.root_node


def script_outline(path: str, text: str) -> Outline | None:
    """What a file of tests says; None when it does not parse."""
    root = script_tree(path, text)
    return None if root.has_error else _Reader().read(root)


def script_exits_at_import(path: str, text: str) -> tuple[Mark, ...]:
    """Where importing a module ends the process with success."""
    root = script_tree(path, text)
    reader = _Reader()
    reader.read(root)
    return tuple(reader.at_import)


@dataclass(slots=True)
class _Building:
    """A test, or a function that tests may call, while it is read."""

    name: str
    node: Node
    rows: int = 1
    many: bool = False
    checks: list[Check] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    mocks: list[Mark] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def done(self, body: Node) -> Case:
        return Case(
            name=self.name,
            line=line_of(self.node),
            checks=tuple(self.checks),
            marks=tuple(self.marks),
            mocks=tuple(self.mocks),
            rows=self.rows,
            many=self.many,
            calls=tuple(self.calls),
            names=frozenset(self.names),
            digest=hashlib.sha256(text_of(body).encode()).hexdigest(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    prefix: str = ""
    under: tuple[Mark, ...] = ()
    inside: _Building | None = None
    in_function: bool = False
    conditional: bool = False
    swallowed: bool = False
    times: int = 1
    many: bool = False


class _Reader:
    def __init__(self) -> None:
        self._tests: list[tuple[_Building, Node]] = []
        self._helpers: list[tuple[_Building, Node]] = []
        self._mocks: list[Mark] = []
        self._exits: list[Mark] = []
        self._modules: set[str] = set()
        self._names: set[str] = set()
        self._stack: list[tuple[Node, _Around]] = []
        self.at_import: list[Mark] = []

    def read(self, root: Node) -> Outline:
        """Go through the tree in the order of the text."""
        self._stack = [(root, _Around())]
        for _ in range(_MAX_NODES):
            if not self._stack:
                break
            node, around = self._stack.pop()
            self._visit(node, around)
        return Outline(
            cases=_numbered(self._tests),
            helpers=_numbered(self._helpers),
            mocks=tuple(self._mocks),
            exits=tuple(self._exits),
            modules=frozenset(self._modules),
            names=frozenset(self._names),
        )

    def _push(self, nodes: list[Node], around: _Around) -> None:
        self._stack.extend((node, around) for node in reversed(nodes))

    def _visit(self, node: Node, around: _Around) -> None:
        kind = node.type
        if kind == "call_expression":
            self._call(node, around)
        elif kind in {"statement_block", "program"}:
            self._stack.extend(reversed(list(_reachable(node, around))))
        elif kind == "if_statement":
            self._if(node, around)
        elif kind == "try_statement":
            self._try(node, around)
        elif kind in {"for_in_statement", "for_statement", "while_statement"}:
            self._loop(node, around)
        elif kind == "import_statement":
            source = node.child_by_field_name("source")
            self._modules.add(text_of(source).strip("'\""))
        elif kind in _FUNCTIONS:
            self._function(node, around, name=text_of(node.child_by_field_name("name")))
        elif kind == "variable_declarator" and _is_function(node.child_by_field_name("value")):
            value = node.child_by_field_name("value")
            assert value is not None
            self._function(value, around, name=text_of(node.child_by_field_name("name")))
        elif kind == "assignment_expression":
            self._assigned(node, around)
            self._push(node.named_children, around)
        else:
            self._push(node.named_children, around)

    def _function(self, node: Node, around: _Around, *, name: str) -> None:
        inner = replace(around, in_function=True)
        if around.inside is None and name:
            helper = _Building(name, node)
            self._helpers.append((helper, node))
            inner = replace(inner, inside=helper)
        self._push(node.named_children, inner)

    def _if(self, node: Node, around: _Around) -> None:
        condition = text_of(node.child_by_field_name("condition"))
        if condition != "(false)":
            then = node.child_by_field_name("consequence")
            self._push([then] if then else [], around if condition == "(true)" else replace(around, conditional=True))
        otherwise = node.child_by_field_name("alternative")
        self._push([otherwise] if otherwise else [], replace(around, conditional=True))

    def _try(self, node: Node, around: _Around) -> None:
        handler = node.child_by_field_name("handler")
        words = text_of(handler)
        loud = any(word in words for word in ("throw", "expect", "assert", "fail", "done(", "reject"))
        body = node.child_by_field_name("body")
        rest = [each for each in (handler, node.child_by_field_name("finalizer")) if each is not None]
        self._push(rest, replace(around, conditional=True))
        swallowed = around.swallowed or (handler is not None and not loud)
        self._push([body] if body else [], replace(around, swallowed=swallowed))

    def _loop(self, node: Node, around: _Around) -> None:
        length = _length(node.child_by_field_name("right"))
        inner = replace(around, times=around.times * (length or 1), many=around.many or length is None)
        self._push(node.named_children, inner)

    # -- calls

    def _call(self, node: Node, around: _Around) -> None:
        names, innermost = chain(node)
        if names and names[0] in _TESTS | _SUITES and self._definition(node, names, around):
            return
        check = check_of(node, names, innermost) if names else None
        if check is not None:
            self._add(check, around)
            given = [each for call in _calls_in(node) for each in arguments(call)]
            self._push(given, around)
            return
        self._plain(node, names, around)
        length = None
        function = node.child_by_field_name("function")
        if names[-1:] in (["forEach"], ["map"], ["each"]) and function is not None:
            length = _length(function.child_by_field_name("object"))
            inner = replace(around, times=around.times * (length or 1), many=around.many or length is None)
            self._push(node.named_children, inner)
        else:
            self._push(node.named_children, around)

    def _definition(self, node: Node, names: list[str], around: _Around) -> bool:
        """A test or a suite; whether the call is one."""
        given = arguments(node)
        function = next((each for each in given if each.type in _FUNCTIONS), None)
        if function is None and names[-1] in {"skip", "fixme", "fail"} and around.inside is not None:
            around.inside.marks.append(Mark(text=f"{names[0]}.{names[-1]} in its body", line=line_of(node)))
            return True
        named = bool(given) and given[0].type in {"string", "template_string"}
        if not given or (function is None and "todo" not in names and not named):
            return False
        title = text_of(given[0]).strip("'\"`") if given[0].type not in _FUNCTIONS else ""
        marks = [Mark(text=f".{name}", line=line_of(node)) for name in names[1:] if name in _SKIPS]
        marks += [Mark(text=f".{_BY_NAME[names[0]]}", line=line_of(node))] if names[0] in _BY_NAME else []
        marks += [mark for each in given[1:] for mark in _options(each)]
        if names[0] in _SUITES:
            name = f"{around.prefix}{title} > "
            marks = [Mark(text=f"{title}: {mark.text}", line=mark.line) for mark in marks]
            inner = replace(around, prefix=name, under=(*around.under, *marks))
            self._push([function] if function else [], inner)
            return True
        rows = _rows(node)
        test = _Building(
            f"{around.prefix}{title}",
            node,
            rows=rows or 1,
            many=rows is None or around.many,
            marks=[*marks, *around.under],
        )
        self._tests.append((test, function or node))
        inner = _Around(prefix=f"{around.prefix}{title} > ", inside=test, in_function=True, under=around.under)
        self._push(function.named_children if function else [], inner)
        return True

    def _add(self, check: Check, around: _Around) -> None:
        if around.inside is None:
            return
        text = f"if: {check.text}" if around.conditional else check.text
        around.inside.checks.append(
            replace(
                check,
                text=f"never: {text}" if around.swallowed else text,
                strength=TRIVIAL if around.swallowed else check.strength,
                conditional=around.conditional,
                times=around.times,
                many=around.many,
            )
        )

    def _plain(self, node: Node, names: list[str], around: _Around) -> None:
        whole, given = ".".join(names), arguments(node)
        self._names.add(whole)
        if around.inside is not None:
            around.inside.calls.append(names[-1] if names else "")
            around.inside.names.add(whole)
            if whole in {"t.skip", "this.skip", "ctx.skip", "t.todo", "pending", "context.skip"}:
                around.inside.marks.append(Mark(text=f"{whole} in its body", line=line_of(node)))
        if whole == "require" and given:
            self._modules.add(text_of(given[0]).strip("'\"`"))
        if whole in _EXITS and (not given or literal_number(given[0]) == 0):
            self._exit(f"{whole}(0)", node, around)
        self._mock(node, names, given, around)

    def _mock(self, node: Node, names: list[str], given: list[Node], around: _Around) -> None:
        if names[0] in {"jest", "vi", "vitest", "mock", "td", "proxyquire"} and names[-1] in _MODULE_MOCKS and given:
            self._mocks.append(Mark(text=text_of(given[0]).strip("'\"`"), line=line_of(node)))
            return
        at = next((number for number, name in enumerate(names) if name in {"spyOn", "method", "stub", "replace"}), 0)
        owner = names[0] in {"jest", "vi", "mock", "sinon", "t"}
        if owner and at and (names[at] != "spyOn" or any(name.startswith("mock") for name in names[at + 1 :])):
            _, innermost = chain(node)
            target = arguments(innermost)
            if len(target) > 1:
                text = f"{text_of(target[0])}.{text_of(target[1]).strip(chr(39) + chr(34))}"
                (around.inside.mocks if around.inside else self._mocks).append(Mark(text=text, line=line_of(node)))

    def _assigned(self, node: Node, around: _Around) -> None:
        names, _ = chain(node.child_by_field_name("left"))
        if names == ["process", "exitCode"] and literal_number(node.child_by_field_name("right")) == 0:
            self._exit("process.exitCode = 0", node, around)

    def _exit(self, text: str, node: Node, around: _Around) -> None:
        mark = Mark(text=text, line=line_of(node))
        self._exits.append(mark)
        if not around.in_function and not around.conditional:
            self.at_import.append(mark)


def _numbered(found: list[tuple[_Building, Node]]) -> dict[str, Case]:
    cases: dict[str, Case] = {}
    seen: Counter[str] = Counter()
    for building, body in found:
        seen[building.name] += 1
        number = seen[building.name]
        name = building.name if number == 1 else f"{building.name} #{number}"
        cases[name] = replace(building.done(body), name=name)
    return cases


def _is_function(node: Node | None) -> bool:
    return node is not None and node.type in _FUNCTIONS


def _reachable(node: Node, around: _Around) -> Iterator[tuple[Node, _Around]]:
    """The statements of a block up to its end; those behind `if (…) return` under a condition."""
    for child in node.named_children:
        yield child, around
        if child.type in {"return_statement", "throw_statement"}:
            return
        then = child.child_by_field_name("consequence") if child.type == "if_statement" else None
        if then is not None:
            last = then.named_children[-1:] if then.type == "statement_block" else [then]
            if last and last[0].type == "return_statement":
                around = replace(around, conditional=True)


def _calls_in(node: Node) -> Iterator[Node]:
    """The calls of a chain, outermost first."""
    current: Node | None = node
    while current is not None:
        if current.type == "call_expression":
            yield current
            current = current.child_by_field_name("function")
        elif current.type == "member_expression":
            current = current.child_by_field_name("object")
        else:
            current = (
                current.named_children[0] if current.type == "await_expression" and current.named_children else None
            )


def _options(node: Node) -> Iterator[Mark]:
    """`{skip: true}` and its like behind the name of a test."""
    if node.type != "object":
        return
    for pair in node.named_children:
        key = text_of(pair.child_by_field_name("key")) if pair.type == "pair" else ""
        if key in _SKIPS and text_of(pair.child_by_field_name("value")) != "false":
            yield Mark(text=f".{key}", line=line_of(pair))


def _rows(node: Node) -> int | None:
    """How many sets of parameters `each` gives; 1 without it, None when that cannot be told."""
    function = node.child_by_field_name("function")
    if function is None or function.type != "call_expression":
        return 1
    tables = arguments(function)
    if not tables:
        return None
    if tables[0].type == "template_string":
        return max(
            1,
            sum("|" in line or "${" in line for line in (tables[0].text or b"").decode(errors="replace").splitlines())
            - 1,
        )
    return _length(tables[0])


def _length(node: Node | None) -> int | None:
    if node is None or node.type != "array" or any(each.type == "spread_element" for each in node.named_children):
        return None
    return sum(each.type != "comment" for each in node.named_children)
