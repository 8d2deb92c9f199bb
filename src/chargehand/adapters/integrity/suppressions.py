"""Comments that silence a check: linters, type checkers, formatters, coverage, security scanners (SPEC 3.7, item 4).

Python is tokenised and scripts are parsed, so that a text with the same words in it is none; other languages are read
by lines, notebooks by their cells, and a file without a suffix by its first line. What stood in a file before the
change, however it was moved or indented, is not new, nor is one that covers less than it did.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePosixPath

from chargehand.adapters.integrity.notebooks import cells

__all__ = ["Suppression", "may_suppress", "new_suppressions", "suppressions"]

_HINTS = re.compile(
    rb"(?i)ignore|noqa|disable|nosec|nosonar|nolint|nocheck|expect-error|no\s*(?:cover|branch)|pragma|suppress|flowfixme"
    rb"|fmt:|skip|isort:|(?:mypy|pyright):|eslint|rubocop|noinspection|lint\.|#!?\[|pyre-fixme|no_type_check|coding[:=]"
)
"""A file without this silences nothing."""

_PYTHON = frozenset({".py", ".pyi", ".pyw"})
_NOTEBOOK = ".ipynb"
_SCRIPTS = frozenset({".js", ".jsx", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx"})
_OTHERS = frozenset(
    {
        *(".go", ".rs", ".java", ".kt", ".kts", ".scala", ".groovy", ".rb", ".php", ".cs", ".fs", ".vb", ".swift"),
        *(".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".m", ".mm", ".ex", ".exs", ".erl", ".dart", ".lua"),
        *(".sh", ".bash", ".hs", ".ml", ".elm", ".vue", ".svelte", ".astro", ".css", ".scss", ".less", ".sql", ".tf"),
        *(".html", ".htm", ".yaml", ".yml", ".pyx", ".pl", ".jl", ".r", ".R"),
    }
)
_RUN_BY = re.compile(
    r"#![^\n]{0,200}?\b(?:(?P<py>(?:python|pypy)[\d.]*|uv)|(?P<js>node(?:js)?|deno|bun|ts-node|tsx))\b"
)
_IMPORTS = re.compile(r"\s*from\b|[\s\w,()]*$")
_UNTYPED = frozenset({"no_type_check", "no_type_check_decorator"})
_TEXT = 80
_WIDE = 20_000
_MOST = 2_000
_SOME = r"[\w@/.:-]+(?:\s*,\s*[\w@/.:-]+)*"
_LEAD = r"(?:^|//|/\*|<!--)[ \t*/]{0,20}"
_COMMENTS = {
    "type: ignore": r"#\s*type:\s*ignore\b(?:\[(?P<codes>[^\]]{0,500})\])?",
    "noqa": r"(?:#|--)\s*noqa\b(?::\s*(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*))?",
    "noqa of the file": r"#\s*(?:ruff|flake8):\s*noqa\b(?::\s*(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*))?",
    "ruff": r"#\s*ruff:\s*(?:disable|ignore|file-ignore)\b(?:\[(?P<codes>[^\]]{0,500})\])?",
    "pylint": rf"#\s*pylint:\s*(?:disable(?:-next|-msg)?\b(?:\s*=\s*(?P<codes>{_SOME}))?|skip-file)",
    "pyright": r"#\s*(?:based)?pyright:\s*"
    r"(?:ignore\b(?:\[(?P<codes>[^\]]{0,500})\])?|basic|off|report\w+\s*=\s*(?:false|none)\b)",
    "mypy": r"#\s*mypy:\s*(?P<codes>(?:ignore|disable|allow|no-|implicit|follow)[^\n]*)",
    "another type checker": r"#\s*(?:ty:\s*ignore|pyre-(?:ignore|fixme)|pytype:\s*disable)[^\n]*",
    "no_type_check": r"^[ \t]*@(?:\w+[ \t]*\.[ \t]*)*no_type_check(?:_decorator)?\b",
    "another encoding": r"#[^\n]{0,80}?coding[:=][ \t]*(?:utf[-_]?(?:7|16|32)\w*|u7|unicode[-_]1[-_]1[-_]utf[-_]7"
    r"|(?:raw[-_])?unicode[-_]escape|punycode|idna|hz\w*|iso[-_]?2022\w*)\b",
    "nosec": r"#\s*nosec\b(?:[:\s]+(?P<codes>B[0-9]+(?:[,\s]+B[0-9]+)*))?",
    "no cover": r"#\s*pragma:\s*no\s*(?:cover|branch)\b",
    "formatting": r"#\s*(?:fmt:\s*(?:off|skip)|yapf:\s*disable|isort:\s*(?:skip|skip_file|off)|black:\s*skip)\b",
    "@ts-ignore": rf"{_LEAD}@ts-ignore\b",
    "@ts-expect-error": rf"{_LEAD}@ts-expect-error\b",
    "@ts-nocheck": rf"{_LEAD}@ts-nocheck\b",
    "eslint-disable-line": rf"{_LEAD}(?:es|ox|style)lint-disable-(?:next-)?line\b(?:[ \t]+(?P<codes>(?!--){_SOME}))?",
    "eslint-disable": rf"{_LEAD}(?:es|ox|style)lint-disable(?!-)\b(?:[ \t]+(?P<codes>(?!--){_SOME}))?",
    "eslint": r"(?:/\*|<!--)\s*eslint\s+(?P<codes>[^*]{0,500}?(?:\boff\b|\bwarn\b|:[\[\s]{0,9}[01]\b)[^*]{0,500})",
    "another script checker": rf"{_LEAD}(?:tslint:disable|jshint\s+ignore|biome-ignore|prettier-ignore|svelte-ignore"
    r"|deno-lint-ignore|\$FlowFixMe|(?:istanbul|c8|v8)\s+ignore)[\w-]*",
    "a linter": r"(?://|#|--|/\*|;|<!--)\s*(?:nolint|NOSONAR|lint:ignore|rubocop:(?:disable|todo)|shellcheck\s+disable"
    r"|swiftlint:disable|ktlint-disable|phpcs:(?:ignore|disable)|@?phpstan-ignore|@?psalm-suppress|hadolint\s+ignore"
    r"|tflint-ignore|yamllint\s+disable|credo:disable|noinspection)[^\n]*",
    "dart": r"//\s*ignore(?:_for_file)?:[^\n]*",
}
_ATTRIBUTES = {
    "allow": r"#!?\[(?:[^\]\n]{0,200}\bcfg_attr\b[^\]\n]{0,200}?)?\s*(?:allow|expect)\s*\((?P<codes>[^)]{0,500})\)",
    "@SuppressWarnings": r"@(?:file:)?Suppress(?:Warnings|Lint)?\s*\((?P<codes>[^)]{0,500})\)",
    "SuppressMessage": r"\[\s*(?:assembly:\s*)?SuppressMessage\s*\([^)]{0,500}",
    "#pragma": r"#\s*pragma\s+(?:warning\s+disable|(?:GCC|clang)\s+diagnostic\s+ignored|warning\s*\(\s*disable)[^\n]*",
}
_IN_COMMENTS = [(name, re.compile(text, re.IGNORECASE | re.MULTILINE)) for name, text in _COMMENTS.items()]
_IN_LINES = [*_IN_COMMENTS, *((name, re.compile(text)) for name, text in _ATTRIBUTES.items())]
_ALONE = re.compile(r"\s*(?:\{?/[/*]|#|\*|<!--|--)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One comment: `name` is its kind, `codes` what it silences (nothing: all there is), `around` the line it is on."""

    name: str
    codes: frozenset[str]
    text: str
    line: int
    around: str

    def covers(self, other: Suppression) -> bool:
        """Whether this one silences at least as much."""
        return self.name == other.name and (not self.codes or (bool(other.codes) and other.codes <= self.codes))


def may_suppress(path: str, data: bytes | None = None) -> bool:
    """Whether a file of this name is code, in which a comment may silence a check.

    One without a suffix may be; with its content, it is one where that begins with `#!`. Other code is none where
    nothing in its content hints at it.
    """
    suffix = PurePosixPath(path).suffix
    if suffix == _NOTEBOOK:
        return True  # JSON may write any word in another way
    if suffix and suffix not in _PYTHON | _SCRIPTS | _OTHERS:
        return False
    return data is None or ((bool(suffix) or data.startswith(b"#!")) and _HINTS.search(data) is not None)


def suppressions(path: str, text: str) -> tuple[Suppression, ...]:
    """Every comment of a file that silences a check, in the order of the text."""
    return tuple(islice(_all_in(path, text), _MOST))


def _all_in(path: str, text: str) -> Iterator[Suppression]:
    suffix = PurePosixPath(path).suffix
    if suffix == _NOTEBOOK:
        yield from _of_notebook(text)
        return
    if suffix or text.startswith("#!"):
        suffix = suffix or _suffix_of(text)
        yield from _of_code(path if path.endswith(suffix) else f"{path}{suffix}", suffix, text)


def _suffix_of(text: str) -> str:
    """That of the language that the first line of a script names."""
    run_by = _RUN_BY.match(text)
    return ".sh" if run_by is None else ".py" if run_by["py"] else ".js"


def _of_code(path: str, suffix: str, text: str) -> Iterator[Suppression]:
    lines = [line[:_WIDE] for line in text.splitlines()]
    found: list[tuple[int, str]] = []
    if "no_type_check" not in text and not any(pattern.search(text) for _, pattern in _IN_LINES):
        return  # far cheaper than to take it apart
    try:
        if suffix in _PYTHON:
            found = list(_python_marks(text))
        elif suffix in _SCRIPTS:
            found = list(_script_comments(path, text))
        else:
            yield from _of_lines(lines)
            return
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError, MemoryError, TimeoutError):
        yield from _of_lines(lines)
        return
    for line, comment in found:
        yield from _of_comment(line, comment[:_WIDE], lines)


def _of_notebook(text: str) -> Iterator[Suppression]:
    """Cell by cell, each with its line in the notebook's file."""
    for cell in cells(text):
        for each in _of_code(f"cell{cell.suffix}", cell.suffix, cell.code):
            yield replace(each, line=cell.line_of(each.line))


def _python_marks(text: str) -> Iterator[tuple[int, str]]:
    """The comments, and where type checks are switched off by name: an import alone does nothing, but under another."""
    before = ""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
        elif token.type == tokenize.NAME and token.string in _UNTYPED:
            is_import = _IMPORTS.match(token.line) is not None and before != "."
            if not is_import or (after is not None and after.string == "as"):
                yield token.start[0], f"@{token.string}"
        before = token.string


def _script_comments(path: str, text: str) -> Iterator[tuple[int, str]]:
    from chargehand.adapters.integrity.script_tests import script_tree

    stack = [script_tree(path, text)]
    while stack:
        node = stack.pop()
        if node.type == "comment" and node.text is not None:
            yield node.start_point[0] + 1, node.text.decode("utf-8", "replace")
        stack.extend(reversed(node.children))


def _of_comment(line: int, comment: str, lines: list[str]) -> Iterator[Suppression]:
    for name, pattern in _IN_COMMENTS:
        for match in pattern.finditer(comment):
            yield _suppression(name, match, line + comment.count("\n", 0, match.end()), lines)


def _of_lines(lines: list[str]) -> Iterator[Suppression]:
    """By lines; what stands behind an open quotation mark is text."""
    for number, line in enumerate(lines, start=1):
        for name, pattern in _IN_LINES:
            for match in pattern.finditer(line):
                if line.count('"', 0, match.start()) % 2 == 0:
                    yield _suppression(name, match, number, lines)


def _suppression(name: str, match: re.Match[str], line: int, lines: list[str]) -> Suppression:
    codes = match.groupdict().get("codes") or ""
    around = lines[line - 1] if line <= len(lines) else ""
    if _ALONE.match(around):
        around = " ".join(lines[line - 1 : line + 1])
    return Suppression(
        name=name,
        codes=frozenset(code for code in re.split(r"[\s,]+", codes.strip()) if code),
        text=" ".join(match.group().split())[:_TEXT],
        line=line,
        around=" ".join(around.split()),
    )


# -- before and after -----------------------------------------------------------------------------


def new_suppressions(files: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, Suppression]]:
    """The comments that a change adds, by path; `files` are (path, text before, text after), empty where there is none.

    What left one file together with its line, and came into another one, has moved.
    """
    left: list[Suppression] = []
    added: list[tuple[str, Suppression]] = []
    for path, old, new in files:
        before, after = _unpaired(suppressions(path, old), suppressions(path, new), _whole)
        before, after = _unpaired(before, after, _kind)
        for each in after:
            wider = next((place for place, other in enumerate(before) if other.covers(each)), None)
            if wider is None:
                added.append((path, each))
            else:
                del before[wider]
        left += before
    gone = Counter(map(_whole, left))
    for path, each in added:
        gone[_whole(each)] -= 1
        if gone[_whole(each)] < 0:
            yield path, each


def _kind(each: Suppression) -> object:
    return each.name, each.codes


def _whole(each: Suppression) -> object:
    return each.name, each.codes, each.around


def _unpaired(
    before: Iterable[Suppression], after: Iterable[Suppression], key: Callable[[Suppression], object]
) -> tuple[list[Suppression], list[Suppression]]:
    """Those of both sides that are left over when each is paired with one of the same key on the other side."""
    before, after = list(before), list(after)
    return _beyond(before, after, key), _beyond(after, before, key)


def _beyond(
    some: list[Suppression], others: list[Suppression], key: Callable[[Suppression], object]
) -> list[Suppression]:
    known = Counter(map(key, others))
    known.subtract(map(key, some))  # below nothing: so many are left over, the last ones
    over = []
    for each in reversed(some):
        if known[key(each)] < 0:
            known[key(each)] += 1
            over.append(each)
    return over[::-1]
