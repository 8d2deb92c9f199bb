"""The words of a shell text, expanded as far as that can be told: every value each of them may have.

What cannot be told is `UNKNOWN` in the word. Tree-sitter gives the nodes; white space between the parts of a string
belongs to no node, and is taken from the text of the string itself.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import translate

from tree_sitter import Node

from chargehand.adapters.guarding.place import REMOTE, UNKNOWN
from chargehand.adapters.guarding.scope import MOST_VALUES, Out, Scope, some

__all__ = ["Words", "braces", "escapes", "masked", "text_of"]

_ANSI = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_ANSI_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
_ESCAPED = re.compile(r"\\(\n|.)", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r'\\([$`"\\\n])')
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_HIDDEN = re.compile(r"(?<!\\)(?:`|\$\()")
_NUMBERS = frozenset("?#$-")


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a word; `splits`: an unquoted expansion, which may become several words."""

    text: str
    splits: bool = False
    quoted: bool = False


_Way = tuple[_Part, ...]


_FIRST_MASK = 0xC0
_MASK = re.compile("[\u00c0-\u00ff]{1,4}")


def masked(text: str) -> bytes:
    """`text` as the grammar may be given it: every sign beyond ASCII is written as four of Latin-1.

    Its scanner looks signs up in a table of 256, and a text with others ends the whole process. To a shell all of them
    are plain parts of a word, and that is what they stay. `text_of` turns them back.
    """
    plain = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[^\x00-\x7f]", lambda match: _written(ord(match[0])), plain).encode("utf-8")


def _written(code: int) -> str:
    return "".join(chr(_FIRST_MASK + (code >> shift & 63)) for shift in (18, 12, 6, 0))


def _unmasked(data: bytes) -> str:
    return _MASK.sub(lambda match: _meant(match[0]), data.decode("utf-8", "replace"))


def _meant(signs: str) -> str:
    code = 0
    for sign in signs:
        code = code << 6 | (ord(sign) - _FIRST_MASK)
    whole = len(signs) == 4 and 0x80 <= code < 0x110000 and not 0xD800 <= code < 0xE000
    return chr(code) if whole else UNKNOWN


def text_of(node: Node) -> str:
    """The source of a node of a masked text."""
    return _unmasked(node.text or b"")


class Words:
    """Expands words. `run` follows a substituted command and tells what it prints.

    `secret` is told of variables that look like secrets, `feed` gives a process substitution its path, `strange` is
    told of words in which a shell sees more than the grammar, `evaluate` of arithmetic, and of what is expanded again;
    `assign` sets a variable.
    """

    def __init__(
        self,
        run: Callable[[Node, Scope], Out],
        secret: Callable[[str], None],
        feed: Callable[[Node, Scope], str],
        strange: Callable[[str], None],
        evaluate: Callable[[str, Scope, bool], None],
        assign: Callable[[str, tuple[str, ...], Scope], None],
    ) -> None:
        self._run = run
        self._secret = secret
        self._feed = feed
        self._strange = strange
        self._evaluate = evaluate
        self._assign = assign

    def command(self, nodes: Iterable[Node], scope: Scope) -> list[list[str]]:
        """Every list of words that the nodes of a command may become."""
        ways = [self.fields(node, scope) for node in nodes]
        many = 1
        for at, way in enumerate(ways):
            many *= len(way)
            if many > MOST_VALUES:
                many //= len(way)
                ways[at] = [[UNKNOWN]]
        return [list(itertools.chain.from_iterable(way)) for way in itertools.product(*ways)]

    def fields(self, node: Node, scope: Scope) -> list[list[str]]:
        """Every list of words that one node may become."""
        whole = self._whole_list(node, scope)
        if whole is not None:
            return [list(whole)]
        found = [_split(way) for way in self._ways(node, scope)]
        return [list(way) for way in dict.fromkeys(tuple(way) for way in found)]

    def values(self, node: Node, scope: Scope) -> tuple[str, ...]:
        """Every text the node may become where words are not split: assignments, redirections, here-documents."""
        return some(["".join(part.text for part in way) for way in self._ways(node, scope)])

    def body(self, node: Node, scope: Scope, *, literal: bool) -> str:
        """The text of a here-document; `literal`: its delimiter was quoted."""
        if literal:
            return text_of(node)
        values = some(["".join(part.text for part in way) for way in self._quoted(node, scope, 0, 0)])
        return values[0] if len(values) == 1 else UNKNOWN

    def _whole_list(self, node: Node, scope: Scope) -> tuple[str, ...] | None:
        r"""The words of `"$@"` or `"${list[@]}"`, which stay apart although they are quoted."""
        text = text_of(node)
        if text.strip('"') in {"$@", "$*", "${@}", "${*}"}:
            return scope.positional if scope.positional is not None else (UNKNOWN,)
        named = re.fullmatch(r'"?\$\{(\w+)\[[@*]\]\}"?', text)
        return scope.arrays.get(named[1], (UNKNOWN,)) if named else None

    def _ways(self, node: Node, scope: Scope) -> list[_Way]:
        kind = node.type
        if kind in {"command_name", "concatenation", "array"}:
            return self._joined(self._ways(child, scope) for child in node.children)
        if kind == "raw_string":
            return [(_Part(text_of(node)[1:-1], quoted=True),)]
        if kind == "ansi_c_string":
            return [(_Part(escapes(text_of(node)[2:-1]), quoted=True),)]
        if kind in {"string", "translated_string"}:
            inner = node if kind == "string" else next((c for c in node.children if c.type == "string"), node)
            return self._quoted(inner, scope, 1, 1)
        if kind in {"simple_expansion", "expansion", "command_substitution", "arithmetic_expansion"}:
            return [(_Part(_at_ifs(value, scope), splits=True),) for value in self._expansion(node, scope)]
        if kind == "process_substitution":
            return [(_Part(self._feed(node, scope)),)]
        if node.named_child_count and kind not in {"brace_expression", "extglob_pattern"}:
            self._inside(node, scope)
            return [(_Part(UNKNOWN),)]
        self._check(node)
        return [(_Part(_ESCAPED.sub(_unescaped, text_of(node))),)]

    def _quoted(self, node: Node, scope: Scope, head: int, tail: int) -> list[_Way]:
        """The parts of a double-quoted text: `head` and `tail` are the lengths of its quotes."""
        data = node.text or b""
        at, end = head, len(data) - tail
        ways: list[list[_Way]] = []
        for child in node.named_children:
            if child.type in {"string_content", "heredoc_content"}:
                continue
            start = child.start_byte - node.start_byte
            ways += [_plain(data[at:start])]
            ways += [[(_Part(value, quoted=True),) for value in self._expansion(child, scope)]]
            at = child.end_byte - node.start_byte
        return self._joined([*ways, _plain(data[at:end])])

    def _expansion(self, node: Node, scope: Scope) -> tuple[str, ...]:
        if node.type == "command_substitution":
            out = self._run(node, scope)
            if out.text is None:
                return (UNKNOWN + REMOTE if out.remote else UNKNOWN,)
            return some([out.text.rstrip("\n")])
        if node.type == "arithmetic_expansion":
            self._inside(node, scope)
            self._evaluate(text_of(node), scope, False)
            return ("1",)
        if node.type == "simple_expansion":
            return self.variable(text_of(node)[1:], scope)
        if node.type == "expansion":
            return self._braced(node, scope)
        self._inside(node, scope)
        return (UNKNOWN,)

    def variable(self, name: str, scope: Scope) -> tuple[str, ...]:
        """Every value a variable may have."""
        if f"&{name}" in scope.variables:
            targets = scope.variables[f"&{name}"]
            return some([value for one in targets if one != name for value in scope.variables.get(one, (UNKNOWN,))])
        if name in scope.variables:
            return scope.variables[name]
        if name in _NUMBERS or name == "!":
            return ("%child" if name == "!" else "0",)
        if name in {"@", "*"}:
            return (UNKNOWN,) if scope.positional is None else some([" ".join(scope.positional)])
        if name.isdigit():
            given = scope.positional
            at = int(name) - 1
            return (UNKNOWN,) if given is None or at < 0 or len(name) > 3 else (given[at] if at < len(given) else "",)
        if name == "PWD":
            return scope.cwds
        self._secret(name)
        return (UNKNOWN,)

    def _braced(self, node: Node, scope: Scope) -> tuple[str, ...]:
        self._inside(node, scope)
        indirect = re.fullmatch(r"\$\{!(\w+)\}", text_of(node))
        if indirect is not None:
            return self._indirect(self.variable(indirect[1], scope), scope)
        named = re.match(r"\$\{!(\w+)", text_of(node))
        for value in self.variable(named[1], scope) if named is not None else ():
            self._secret(value)
        match = re.fullmatch(r"\$\{(\w+|[@*#?!$-])(\[[^]]*\])?(.*)\}", text_of(node), re.DOTALL)
        if match is None:
            self._evaluate(text_of(node), scope, False)
            return (UNKNOWN,)
        name, index, rest = match[1], match[2], match[3]
        if index or re.match(r":[^-=+?]", rest):
            self._evaluate(f"a{index or ''}{rest}", scope, False)
        if rest == "@P":
            for value in self.variable(name, scope):
                self._evaluate(value, scope, True)
            return (UNKNOWN,)
        if rest and name not in scope.variables and not re.match(r":?\+", rest):
            self._secret(name)
        if index:
            return _indexed(scope.arrays.get(name), index[1:-1]) if not rest else (UNKNOWN,)
        if not rest:
            return self.variable(name, scope)
        operator = re.match(r":?[-=+]", rest)
        if operator is None:
            known = scope.variables.get(name)
            return (UNKNOWN,) if known is None else some([_trimmed(value, rest) for value in known])
        default = self._default(node, scope, rest[operator.end() :])
        if rest[operator.end() - 1] == "+":
            return some(["", *default])
        held = scope.variables.get(name)
        if held is None:
            found = default
        else:
            found = some([*(value for value in held if value or ":" not in operator[0]), *default])
        if operator[0].endswith("="):
            self._assign(name, found, scope)
        return found

    def _indirect(self, names: tuple[str, ...], scope: Scope) -> tuple[str, ...]:
        """`${!x}`: the value of what `x` names, whose subscript is evaluated."""
        found: list[str] = []
        for name in names:
            self._evaluate(name, scope, False)
            listed = re.fullmatch(r"(\w+)\[(\d+)\]", name)
            if listed is not None:
                found += _indexed(scope.arrays.get(listed[1]), listed[2])
            else:
                found += self.variable(name, scope) if re.fullmatch(r"\w+", name) else (UNKNOWN,)
        return some(found)

    def _default(self, node: Node, scope: Scope, text: str) -> tuple[str, ...]:
        """The value behind `:-`: the named children behind the variable, or nothing."""
        parts = node.named_children[1:]
        if not parts:
            return ("",) if not text else (text,)
        joined = "".join(text_of(part) for part in parts)
        if joined != text:
            return (UNKNOWN,)
        return some(["".join(p.text for p in way) for way in self._joined([self._ways(p, scope) for p in parts])])

    def _inside(self, node: Node, scope: Scope) -> None:
        """Follow the commands substituted anywhere below a node whose value is of no interest."""
        waiting = list(node.named_children)
        while waiting:
            child = waiting.pop()
            if child.type == "command_substitution":
                self._run(child, scope)
            elif child.type == "process_substitution":
                self._feed(child, scope)
            else:
                self._check(child)
                waiting += child.named_children

    inside = _inside

    def _check(self, node: Node) -> None:
        """A command in a plain word: the grammar has not seen it."""
        if node.type in {"word", "regex", "number", "extglob_pattern"} and _HIDDEN.search(text_of(node)):
            self._strange(text_of(node))

    def _joined(self, parts: Iterable[list[_Way]]) -> list[_Way]:
        joined: list[_Way] = [()]
        for ways in parts:
            if len(joined) * len(ways) > MOST_VALUES:
                ways = [(_Part(UNKNOWN, splits=ways[0][0].splits if ways[0] else False),)]  # noqa: PLW2901
            joined = [(*one, *other) for one in joined for other in ways]
        return joined


def _at_ifs(value: str, scope: Scope) -> str:
    """`value` with the separators of `IFS` made spaces, where the text has changed them."""
    for separator in set("".join(scope.variables.get("IFS", ()))) - {UNKNOWN, " "}:
        value = value.replace(separator, " ")
    return value


def _plain(data: bytes) -> list[_Way]:
    text = _unmasked(data)
    return [(_Part(_ESCAPED_IN_QUOTES.sub(_unescaped, text), quoted=True),)]


def _unescaped(match: re.Match[str]) -> str:
    return "" if match[1] == "\n" else match[1]


def escapes(text: str) -> str:
    """`text` with the escapes of `$'…'` and `echo -e` filled in."""

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "xuU" and len(code) > 1:
            number = int(code[1:], 16)
        elif code[0] in "01234567":
            number = int(code, 8)
        elif code[0] == "c":
            return UNKNOWN
        else:
            return _ANSI_LETTERS.get(code, code)
        return chr(number) if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else UNKNOWN

    return _ANSI.sub(one, text)


def _trimmed(value: str, operation: str) -> str:
    """`${x%pattern}` and its three relatives; what else may stand there makes the value unknown."""
    match = re.fullmatch(r"(##?|%%?)([^$`'\"\\]+)", operation)
    if not value or match is None or UNKNOWN in value + operation or len(value) > 500:
        return UNKNOWN if value else ""
    pattern = re.compile(translate(match[2]))
    cuts = range(len(value) + 1) if match[1] in {"#", "%%"} else range(len(value), -1, -1)
    for cut in cuts:
        taken, left = (value[:cut], value[cut:]) if match[1][0] == "#" else (value[cut:], value[:cut])
        if pattern.match(taken):
            return left
    return value


def _indexed(values: tuple[str, ...] | None, index: str) -> tuple[str, ...]:
    if values is None:
        return (UNKNOWN,)
    if index in {"@", "*"}:
        return (" ".join(values),)
    if index.isdigit() and len(index) < 4 and UNKNOWN not in "".join(values):
        return (values[int(index)] if int(index) < len(values) else "",)
    return (UNKNOWN,)


def _split(way: _Way) -> list[str]:
    """Split the unquoted expansions of a word at white space, and fill in its braces."""
    words: list[str] = []
    current: str | None = None
    braced = False
    for part in way:
        if not part.splits:
            current = (current or "") + part.text
            braced = braced or (not part.quoted and "{" in part.text)
            continue
        pieces = part.text.split()
        if not pieces:
            if part.text and current is not None:
                words, current = [*words, current], None
            continue
        if part.text[0].isspace() and current is not None:
            words, current = [*words, current], None
        pieces[0] = (current or "") + pieces[0]
        words, current = [*words, *pieces[:-1]], pieces[-1]
        if part.text[-1].isspace():
            words, current = [*words, current], None
    if current is not None:
        words.append(current)
    return [filled for word in words for filled in braces(word)] if braced else words


def braces(word: str) -> list[str]:
    """`a{b,c}` as `ab ac`; a word with too many alternatives is unknown."""
    words = [word]
    for _ in range(6):
        if not any(_BRACES.search(one) for one in words):
            return words
        words = [filled for one in words for filled in _one_brace(one)]
        if len(words) > 64:
            break
    return [UNKNOWN]


def _one_brace(word: str) -> list[str]:
    match = _BRACES.search(word)
    if match is None:
        return [word]
    return [word[: match.start()] + choice + word[match.end() :] for choice in match[1].split(",")]
