"""What an assertion of JavaScript or TypeScript demands, and small helpers on its syntax tree."""

from __future__ import annotations

import re

from tree_sitter import Node

from chargehand.adapters.integrity.outline import EXACT, LOOSE, PARTIAL, TRIVIAL, Check

__all__ = ["arguments", "chain", "check_of", "line_of", "literal_number", "text_of"]

_SPACE = re.compile(rb"\s+")
_LOOSE = frozenset(
    {
        *(
            "toBeTruthy",
            "toBeDefined",
            "toBeInstanceOf",
            "toHaveBeenCalled",
            "toBeCalled",
            "toHaveReturned",
            "toHaveProperty",
        ),
        *(
            "toBeTypeOf",
            "ok",
            "exist",
            "exists",
            "a",
            "an",
            "instanceOf",
            "isDefined",
            "isOk",
            "notEqual",
            "notStrictEqual",
        ),
        *("toBeVisible", "toBeInTheDocument", "isNotNull", "isFunction", "isObject"),
    }
)
_PARTIAL = frozenset(
    {
        *("toContain", "toContainEqual", "toMatch", "toMatchObject", "toBeGreaterThan", "toBeGreaterThanOrEqual"),
        *(
            "toBeLessThan",
            "toBeLessThanOrEqual",
            "toMatchSnapshot",
            "include",
            "includes",
            "match",
            "above",
            "below",
            "least",
        ),
        *("most", "toHaveBeenCalledTimes", "partialDeepStrictEqual", "isAbove", "isBelow"),
    }
)
_ERRORS = frozenset({"toThrow", "toThrowError", "throws", "rejects", "throw"})
_BELOW = frozenset({"toBeLessThan", "toBeLessThanOrEqual", "below", "most", "isBelow"})
_ABOVE = frozenset({"toBeGreaterThan", "toBeGreaterThanOrEqual", "above", "least", "isAbove"})
_LITERALS = frozenset({"true", "false", "number", "string", "null", "undefined"})
_WRAPPERS = frozenset({"await_expression", "parenthesized_expression", "non_null_expression", "as_expression"})


def text_of(node: Node | None) -> str:
    """The text of a node with its white space made one."""
    data = node.text if node is not None and node.text is not None else b""
    return _SPACE.sub(b" ", data).decode("utf-8", "replace")


def line_of(node: Node) -> int:
    """The line it begins in, from 1."""
    return node.start_point[0] + 1


def unwrapped(node: Node | None) -> Node | None:
    """The expression below `await`, parentheses and casts."""
    while node is not None and node.type in _WRAPPERS and node.named_children:
        node = node.named_children[0]
    return node


def chain(node: Node | None) -> tuple[list[str], Node | None]:
    """The names of `a.b(…).c`, and the innermost call in it, if there is one."""
    names: list[str] = []
    innermost: Node | None = None
    node = unwrapped(node)
    while node is not None:
        if node.type == "member_expression":
            names.append(text_of(node.child_by_field_name("property")))
            node = unwrapped(node.child_by_field_name("object"))
        elif node.type == "call_expression":
            innermost = node
            node = unwrapped(node.child_by_field_name("function"))
        elif node.type in {"identifier", "this", "super", "import"}:
            return [text_of(node), *reversed(names)], innermost
        else:
            return [*reversed(names)] and ["", *reversed(names)], innermost
    return ["", *reversed(names)], innermost


def arguments(node: Node | None) -> list[Node]:
    """The arguments of a call; a template behind a function is its only one."""
    given = node.child_by_field_name("arguments") if node is not None else None
    if given is None:
        return []
    return (
        [given]
        if given.type == "template_string"
        else [each for each in given.named_children if each.type != "comment"]
    )


def literal_number(node: Node | None) -> float | None:
    """The value of a numeric literal."""
    try:
        return float(text_of(node).replace("_", ""))
    except ValueError:
        return None


def check_of(call: Node, names: list[str], innermost: Node | None) -> Check | None:
    """What a call demands, None where it is no assertion. `names` and `innermost` are of its chain."""
    if names[0] == "expect" and innermost is not None:
        return _expected(call, names, innermost)
    if names[0] == "assert" or names[:2] == ["t", "assert"] or names[-1:] == ["assert"]:
        return _asserted(call, names)
    if "should" in names[1:]:
        return Check(subject=names[0], text=text_of(call), line=line_of(call))
    return None


def _expected(call: Node, names: list[str], innermost: Node) -> Check:
    subjects = arguments(innermost)
    subject = text_of(subjects[0]) if subjects else ""
    given = arguments(call) if call.id != innermost.id else []
    text, line = text_of(call), line_of(call)
    if names[1:2] in (["assertions"], ["hasAssertions"]):
        return Check(subject="expect.assertions", text=text, line=line, strength=TRIVIAL)
    matcher = names[-1]
    if matcher in {"unreachable", "fail"}:
        return Check(subject=matcher, text=text, line=line, strength=PARTIAL)
    if len(names) == 1 or _says_nothing(subjects, given):
        return Check(subject=subject, text=text, line=line, strength=TRIVIAL)
    return Check(
        subject=subject,
        text=text,
        line=line,
        strength=_strength(matcher, given, negated="not" in names),
        below=literal_number(given[0]) if given and matcher in _BELOW else None,
        above=literal_number(given[0]) if given and matcher in _ABOVE else None,
        tolerances=_tolerances(matcher, given),
    )


def _says_nothing(subjects: list[Node], given: list[Node]) -> bool:
    """`expect(true).toBe(true)`, `expect(x).toBe(x)`."""
    if not subjects:
        return False
    same = bool(given) and text_of(subjects[0]) == text_of(given[0])
    called = any(part in text_of(subjects[0]) for part in ("(", "`"))
    return (same and not called) or subjects[0].type in _LITERALS - {"undefined"}


def _strength(matcher: str, given: list[Node], *, negated: bool) -> int:
    if matcher in _ERRORS:
        return EXACT if given else PARTIAL
    if given and text_of(given[0]).startswith(("expect.anything", "expect.any(")):
        return LOOSE
    found = LOOSE if matcher in _LOOSE else PARTIAL if matcher in _PARTIAL else EXACT
    return min(found, LOOSE) if negated and found == EXACT and given else found


def _tolerances(matcher: str, given: list[Node]) -> dict[str, float]:
    value = literal_number(given[1]) if len(given) > 1 else None
    if value is None:
        return {}
    if matcher == "toBeCloseTo":
        return {"digits": value}
    return {"delta": value} if matcher in {"closeTo", "approximately"} else {}


def _asserted(call: Node, names: list[str]) -> Check:
    given, matcher = arguments(call), names[-1]
    text, line = text_of(call), line_of(call)
    subject = text_of(given[0]) if given else matcher
    if matcher == "fail":
        return Check(subject=matcher, text=text, line=line, strength=PARTIAL)
    if matcher in {"assert", "ok"}:
        trivial = bool(given) and given[0].type in {"true", "number", "string", "array", "object"}
        compared = given[0] if given and given[0].type == "binary_expression" else None
        if compared is not None:
            return _compared(compared, text, line)
        return Check(subject=subject, text=text, line=line, strength=TRIVIAL if trivial else LOOSE)
    if len(given) > 1 and _says_nothing(given[:1], given[1:2]):
        return Check(subject=subject, text=text, line=line, strength=TRIVIAL)
    found = LOOSE if matcher in _LOOSE or matcher.startswith("not") else PARTIAL if matcher in _PARTIAL else EXACT
    if matcher in _ERRORS:
        found = EXACT if len(given) > 1 else PARTIAL
    delta = literal_number(given[2]) if len(given) > 2 and matcher in {"closeTo", "approximately"} else None
    return Check(
        subject=subject, text=text, line=line, strength=found, tolerances={} if delta is None else {"delta": delta}
    )


def _compared(node: Node, text: str, line: int) -> Check:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    operator = text_of(node.child_by_field_name("operator"))
    subject, bound = text_of(left), literal_number(right)
    if operator == "||" and right is not None and right.type == "true":
        return Check(subject=subject, text=text, line=line, strength=TRIVIAL)
    strength = EXACT if operator in {"==", "==="} else PARTIAL if operator[:1] in "<>" else LOOSE
    return Check(
        subject=subject,
        text=text,
        line=line,
        strength=TRIVIAL
        if operator in {"==", "==="} and subject == text_of(right) and "(" not in subject
        else strength,
        below=bound if operator.startswith("<") else None,
        above=bound if operator.startswith(">") else None,
    )
