"""Markdown as plans use it: sections by their headings, bullets, checkboxes and tables, each with its line.

Parsed by CommonMark rules, so that a heading, a bullet or a table row inside a fence or a quotation is text. Lines
count from 1. Text is the source as it stands, never rendered: what is written back later is what was there. Only
blocks are parsed, and code spans are found by one pass over the text: everything here is linear in its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = [
    "Bullet",
    "Lost",
    "Row",
    "Section",
    "bullets",
    "code_lines",
    "code_spans",
    "cut_spans",
    "fences",
    "rows",
    "sections",
    "swallowed",
    "without_code",
]

_BOX = re.compile(r"\[(?P<mark>[^\]\n]?)\][ \t]+(?P<text>.*)", re.DOTALL)
_RUN = re.compile(r"\\[!-/:-@\[-`{-~]|`+")
_OPEN_HTML = "<!--"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands below it, up to the next heading of any level; `level` 0 is what comes before all.

    `line` is that of the heading, `first` that of the body's first line. `end` is the line after the last one that
    belongs to the section with all sections below it.
    """

    level: int
    title: str
    line: int
    first: int
    body: str
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullet:
    """An item of a list; `mark` is what stands in its checkbox (a blank for an empty one), None without a checkbox.

    `text` is the first paragraph without marker and box, `body` the whole item, `depth` 0 for the outermost list.
    """

    text: str
    body: str
    line: int
    depth: int = 0
    mark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table, cell by cell; the header is a row, too."""

    cells: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A line that is text only because of what is open around it: `what`, since line `since`."""

    line: int
    what: str
    since: int


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable(["inline", "text_join"])
    return parser


def _tokens(text: str) -> list[Token]:
    return _parser().parse(text)


def sections(text: str) -> tuple[Section, ...]:
    """All sections of a document in order; the first has level 0 and may be empty."""
    lines = text.split("\n")
    heads = list(_headings(text))
    found = []
    all_ = [(0, "", 1, 1), *heads]
    ends = [len(lines) + 1] * len(all_)
    inside: list[int] = []
    for number, (level, _, line, _) in enumerate(all_):
        while inside and (all_[inside[-1]][0] >= level or not all_[inside[-1]][0]):
            ends[inside.pop()] = line
        inside.append(number)
    for number, (level, title, line, first) in enumerate(all_):
        following = all_[number + 1][2] if number + 1 < len(all_) else len(lines) + 1
        body = "\n".join(lines[first - 1 : following - 1])
        found.append(Section(level=level, title=title, line=line, first=first, body=body, end=ends[number]))
    return tuple(found)


def _headings(text: str) -> Iterator[tuple[int, str, int, int]]:
    tokens = _tokens(text)
    for number, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map is not None:
            yield int(token.tag[1:]), tokens[number + 1].content, token.map[0] + 1, token.map[1] + 1


def bullets(text: str, first: int = 1) -> tuple[Bullet, ...]:
    """The items of all lists of a text, outer before inner; `first` is the number of its first line."""
    lines = text.split("\n")
    found, depth = [], -1
    tokens = _tokens(text)
    for number, token in enumerate(tokens):
        if token.type in {"bullet_list_open", "ordered_list_open"}:
            depth += 1
        elif token.type in {"bullet_list_close", "ordered_list_close"}:
            depth -= 1
        elif token.type == "list_item_open" and token.map is not None:
            said = _first_text(tokens, number)
            box = _BOX.fullmatch(said)
            found.append(
                Bullet(
                    text=box["text"] if box else said,
                    body="\n".join(lines[token.map[0] : token.map[1]]).rstrip(),
                    line=first + token.map[0],
                    depth=depth,
                    mark=(box["mark"] or " ") if box else None,
                )
            )
    return tuple(found)


def _first_text(tokens: list[Token], number: int) -> str:
    """The first paragraph of the item that begins at a token; an item is as deep as the parser goes, and no deeper."""
    while tokens[number].type not in {"inline", "list_item_close"}:
        number += 1
    return tokens[number].content if tokens[number].type == "inline" else ""


def rows(text: str, first: int = 1) -> tuple[Row, ...]:
    """The rows of all tables of a text, without their rules."""
    found: list[Row] = []
    cells: list[str] = []
    line = first
    for token in _tokens(text):
        if token.type == "tr_open":
            cells, line = [], first + (token.map[0] if token.map else 0)
        elif token.type == "inline" and token.level and token.map is not None:
            cells.append(token.content.strip())
        elif token.type == "tr_close":
            found.append(Row(cells=tuple(cells), line=line))
    return tuple(found)


def fences(text: str) -> tuple[tuple[str, str], ...]:
    """(info, content) of all fenced blocks, in order."""
    return tuple((token.info.strip(), token.content) for token in _tokens(text) if token.type == "fence")


def code_lines(text: str) -> frozenset[int]:
    """The numbers of the lines that are code or raw HTML, with the fences around them."""
    return frozenset(
        1 + line
        for token in _tokens(text)
        if token.type in {"fence", "code_block", "html_block"} and token.map is not None
        for line in range(*token.map)
    )


def swallowed(text: str, wanted: re.Pattern[str]) -> tuple[Lost, ...]:
    """The lines that match and stand in raw HTML, or in code or a comment without an end.

    `wanted` is matched against each line without its indentation. A comment that ends is left out on purpose.
    """
    lines = text.split("\n")
    found: list[Lost] = []
    for token in _tokens(text):
        if token.map is None or token.type not in {"fence", "html_block"}:
            continue
        begin, end = token.map
        if token.type == "fence":
            what = "" if _is_closed(token, lines[begin:end]) else "a block of code"
        elif token.content.lstrip().startswith(_OPEN_HTML):
            what = "" if "-->" in token.content else "a comment"
        else:
            what = "raw HTML"
        if what:
            lost = (number for number in range(begin, end) if wanted.match(lines[number].lstrip()))
            found += [Lost(line=1 + number, what=what, since=1 + begin) for number in lost]
    return tuple(found)


def _is_closed(token: Token, lines: list[str]) -> bool:
    last = lines[-1].lstrip(" \t>").rstrip()
    return len(lines) > 1 and len(last) >= len(token.markup) and not last.strip(token.markup[0])


def code_spans(text: str) -> tuple[str, ...]:
    """The contents of all code spans of a text, in order."""
    if "`" not in text:
        return ()
    said = (token.content for token in _tokens(text) if token.type == "inline")
    return tuple(_content(each[begin:end]) for each in said for _, begin, end, _ in _spans(each))


def cut_spans(line: str, by: str) -> str:
    """A line with each of its code spans replaced."""
    parts, at = [], 0
    for opening, _, _, closing in _spans(line):
        parts += [line[at:opening], by]
        at = closing
    return "".join((*parts, line[at:]))


def without_code(text: str) -> str:
    """What a text says beside its fenced blocks and code spans."""
    tokens = _tokens(text)
    said = [cut_spans(token.content, " ") for token in tokens if token.type == "inline"]
    return "\n".join((*said, *(t.content for t in tokens if t.type in {"code_block", "html_block"})))


def _spans(text: str) -> Iterator[tuple[int, int, int, int]]:
    """(begin, begin of the content, its end, end) of each code span: from one run of backticks to the next as long."""
    marks = list(_RUN.finditer(text))
    runs = list(re.finditer("`+", text))
    places: dict[int, list[int]] = {}
    for run in reversed(runs):
        places.setdefault(len(run[0]), []).append(run.start())
    at = 0
    for mark in marks:
        size = len(mark[0])
        if mark.start() < at or mark[0][0] != "`":
            continue
        closing = places.get(size, [])
        while closing and closing[-1] < mark.end():
            closing.pop()
        if closing:
            yield mark.start(), mark.end(), closing[-1], closing[-1] + size
            at = closing[-1] + size


def _content(text: str) -> str:
    text = text.replace("\n", " ")
    return text[1:-1] if text[:1] == text[-1:] == " " and text.strip(" ") else text
