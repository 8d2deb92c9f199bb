"""What an assertion of Python demands."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from chargehand.adapters.integrity.outline import EXACT, LOOSE, PARTIAL, TRIVIAL, Check

__all__ = ["checks_of_call", "checks_of_expression", "dotted", "number"]

_TOLERANCES = frozenset(
    {"rel", "abs", "rel_tol", "abs_tol", "rtol", "atol", "delta", "places", "decimal", "significant"}
)
_CLOSE = frozenset({"approx", "isclose", "allclose"})
_RAISES = frozenset(
    {"raises", "warns", "assertRaises", "assertWarns", "assertRaisesRegex", "assertWarnsRegex", "assertLogs"}
)
_ANY_ERROR = frozenset({"Exception", "BaseException", "Warning", "UserWarning"})
_BY_NAME = {
    **dict.fromkeys(("assertIsNotNone", "assertIsInstance", "assert_called", "assertTrue", "assertNotEqual"), LOOSE),
    **dict.fromkeys(("assertIsNot", "assert_not_equal"), LOOSE),
    **dict.fromkeys(
        ("assertIn", "assertNotIn", "assertGreater", "assertGreaterEqual", "assertLess", "assertLessEqual"), PARTIAL
    ),
    **dict.fromkeys(("assertRegex", "assert_called_once", "assert_any_call", "assertNotIsInstance"), PARTIAL),
}
_PREFIXES = ("assert", "check_", "verify_", "expect_", "should_")


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of names; calls in it are left out; an empty string for anything else."""
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Name):
            return ".".join([node.id, *reversed(parts)])
        else:
            return ".".join(["", *reversed(parts)]) if parts else ""


def number(node: ast.AST) -> float | None:
    """The value of a numeric literal, its sign included."""
    sign = 1.0
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -sign if isinstance(node.op, ast.USub) else sign
        node = node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        try:
            return sign * float(node.value)
        except OverflowError:
            return None
    return None


def checks_of_expression(node: ast.expr) -> Iterator[Check]:
    """What `assert <node>` demands: each part of a conjunction counts."""
    while isinstance(node, ast.Await | ast.NamedExpr):
        node = node.value
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for part in node.values:
            yield from checks_of_expression(part)
        return
    yield _check(node)


def _check(node: ast.expr) -> Check:
    text = ast.unparse(node)
    if _is_trivial(node):
        return Check(subject=text, text=text, line=node.lineno, strength=TRIVIAL)
    if isinstance(node, ast.BoolOp):
        parts = [_check(part) for part in node.values]
        least = max(LOOSE, min(part.strength for part in parts) - 1)
        return Check(subject=parts[0].subject, text=text, line=node.lineno, strength=least)
    if isinstance(node, ast.Compare):
        return _compared(node, text)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Check(subject=ast.unparse(node.operand), text=text, line=node.lineno)
    if isinstance(node, ast.Call):
        return _called(node, text)
    return Check(subject=text, text=text, line=node.lineno, strength=LOOSE)


def _called(node: ast.Call, text: str) -> Check:
    name = dotted(node.func).rpartition(".")[2]
    subject = ast.unparse(node.args[0]) if node.args else text
    if name in _CLOSE:
        return Check(subject=subject, text=text, line=node.lineno, tolerances=_tolerances(node))
    if name == "len":
        return Check(subject=text, text=text, line=node.lineno, strength=LOOSE)
    if name in {"isinstance", "hasattr", "callable", "bool"}:
        return Check(subject=subject, text=text, line=node.lineno, strength=LOOSE)
    return Check(subject=text, text=text, line=node.lineno, strength=PARTIAL)


def _is_trivial(node: ast.expr) -> bool:
    """Whether it is true whatever the code does."""
    if isinstance(node, ast.Constant):
        return bool(node.value)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return bool(node.elts)
    if isinstance(node, ast.JoinedStr | ast.Lambda):
        return True
    if isinstance(node, ast.BoolOp):
        return isinstance(node.op, ast.Or) and any(_is_trivial(part) for part in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return isinstance(node.operand, ast.Constant) and not node.operand.value
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _is_trivial_comparison(node.left, node.ops[0], node.comparators[0])
    if isinstance(node, ast.Call) and dotted(node.func) == "isinstance" and len(node.args) == 2:
        return dotted(node.args[1]) == "object"
    return False


def _is_trivial_comparison(left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool:
    if isinstance(op, ast.Eq | ast.Is | ast.LtE | ast.GtE):
        called = any(isinstance(node, ast.Call | ast.Await) for node in ast.walk(left))
        return not called and ast.dump(left) == ast.dump(right)
    constants = isinstance(left, ast.Constant) and isinstance(right, ast.Constant)
    bottom = isinstance(op, ast.GtE) and number(right) == 0 and dotted(left) == "len" and isinstance(left, ast.Call)
    return bottom or (constants and isinstance(op, ast.NotEq | ast.IsNot))


def _compared(node: ast.Compare, text: str) -> Check:
    left, right, op = node.left, node.comparators[0], node.ops[0]
    if all(isinstance(each, ast.Eq | ast.Is) for each in node.ops[1:]) and len(node.ops) > 1:
        return Check(subject=ast.unparse(left), text=text, line=node.lineno)
    if len(node.ops) > 1:
        above = number(left) if isinstance(op, ast.Lt | ast.LtE) else None
        below = number(node.comparators[1]) if isinstance(node.ops[1], ast.Lt | ast.LtE) else None
        subject = ast.unparse(right)
        return Check(subject=subject, text=text, line=node.lineno, strength=PARTIAL, above=above, below=below)
    if isinstance(left, ast.Constant) or (isinstance(left, ast.Call) and dotted(left.func).endswith("approx")):
        left, right, op = right, left, _turned(op)
    subject = ast.unparse(left)
    if isinstance(op, ast.Eq | ast.Is) and ast.dump(left) == ast.dump(right):
        return Check(subject=subject, text=text, line=node.lineno, strength=PARTIAL)
    if isinstance(op, ast.Eq | ast.Is):
        near = _tolerances(right) if isinstance(right, ast.Call) else {}
        return Check(subject=subject, text=text, line=node.lineno, tolerances=near)
    if isinstance(op, ast.IsNot | ast.NotEq):
        return Check(subject=subject, text=text, line=node.lineno, strength=LOOSE)
    if isinstance(op, ast.In) and isinstance(right, ast.Tuple | ast.List | ast.Set):
        options = frozenset(ast.unparse(each) for each in right.elts)
        return Check(subject=subject, text=text, line=node.lineno, strength=PARTIAL, options=options)
    below = number(right) if isinstance(op, ast.Lt | ast.LtE) else None
    above = number(right) if isinstance(op, ast.Gt | ast.GtE) else None
    return Check(subject=subject, text=text, line=node.lineno, strength=PARTIAL, below=below, above=above)


_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}


def _turned(op: ast.cmpop) -> ast.cmpop:
    kind = _TURNED.get(type(op))
    return kind() if kind else ast.NotIn() if isinstance(op, ast.In) else op


def checks_of_call(node: ast.Call) -> Iterator[Check]:
    """What a call demands that is an assertion by its name; nothing for other calls."""
    name = dotted(node.func)
    last = name.rpartition(".")[2]
    if last in _RAISES:
        yield _raising(node)
    elif last in {"assertTrue", "assertFalse", "assert_"} and node.args:
        inner = node.args[0]
        yield from checks_of_expression(
            ast.UnaryOp(op=ast.Not(), operand=inner, lineno=node.lineno) if last == "assertFalse" else inner
        )
    elif last.startswith("assert"):
        yield _asserting(node, last)
    elif last == "fail" and name != last:
        yield Check(subject="fail", text="fail", line=node.lineno, strength=PARTIAL)
    elif last.startswith(_PREFIXES) and name == last:
        yield Check(subject=last, text=ast.unparse(node), line=node.lineno, strength=PARTIAL)
    elif name.split(".")[0] == "expect" and "." in name:
        yield _expecting(node, last)


def _raising(node: ast.Call) -> Check:
    kinds = {dotted(part).rpartition(".")[2] for part in _flat(node.args[:1])}
    matched = any(key.arg in {"match", "check"} for key in node.keywords) or dotted(node.func).endswith("Regex")
    strength = LOOSE if kinds & _ANY_ERROR and not matched else EXACT if matched else PARTIAL
    options = frozenset(kinds)
    return Check(subject="raises", text=ast.unparse(node), line=node.lineno, strength=strength, options=options)


def _flat(nodes: list[ast.expr]) -> Iterator[ast.expr]:
    for node in nodes:
        if isinstance(node, ast.Tuple):
            yield from node.elts
        else:
            yield node


def _asserting(node: ast.Call, last: str) -> Check:
    text = ast.unparse(node)
    of_mock = last.startswith(
        ("assert_called", "assert_any_call", "assert_not_called", "assert_has_calls", "assert_awaited")
    )
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    subject = ast.unparse(receiver if of_mock or not node.args else node.args[0])
    strength = _BY_NAME.get(last, EXACT)
    if last in {"assertEqual", "assertIs", "assertEquals"} and len(node.args) >= 2:
        first, second = node.args[:2]
        if isinstance(first, ast.Constant):
            subject = ast.unparse(second)
        if _is_trivial_comparison(first, ast.Eq(), second):
            strength = TRIVIAL
    bound = number(node.args[1]) if len(node.args) > 1 else None
    return Check(
        subject=subject,
        text=text,
        line=node.lineno,
        strength=strength,
        below=bound if last.startswith("assertLess") else None,
        above=bound if last.startswith("assertGreater") else None,
        tolerances=_tolerances(node),
    )


def _expecting(node: ast.Call, last: str) -> Check:
    root: ast.AST = node
    while isinstance(root, ast.Call | ast.Attribute):
        if isinstance(root, ast.Call) and isinstance(root.func, ast.Name):
            break
        root = root.func if isinstance(root, ast.Call) else root.value
    subject = ast.unparse(root)
    loose = last in {"to_be_visible", "to_be_attached", "to_be_truthy"}
    return Check(subject=subject, text=ast.unparse(node), line=node.lineno, strength=LOOSE if loose else EXACT)


def _tolerances(node: ast.Call) -> dict[str, float]:
    found = {}
    for key in node.keywords:
        if key.arg in _TOLERANCES:
            value = number(key.value)
            if value is not None:
                found[key.arg] = value
    name = dotted(node.func).rpartition(".")[2]
    if name in {"assertAlmostEqual", "assertNotAlmostEqual"} and len(node.args) > 2:
        found.setdefault("places", number(node.args[2]) or 0.0)
    if name == "approx" and len(node.args) > 1:
        found.setdefault("rel", number(node.args[1]) or 0.0)
    return found
