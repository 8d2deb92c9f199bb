"""Markdown as plans use it: sections by their headings, bullets, checkboxes and tables, each with its line.

Parsed by CommonMark rules, so that a heading, a bullet or a table row inside a fence or a quotation is text. Lines
count from 1. Text is the source as it stands, never rendered: what is written back later is what was there.
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

__all__ = ["Bullet", "Row", "Section", "bullets", "code_lines", "code_spans", "fences", "rows", "sections"]

_BOX = re.compile(r"\[(?P<mark>[^\]\n]?)\][ \t]+(?P<text>.*)", re.DOTALL)


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


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def _tokens(text: str) -> list[Token]:
    return _parser().parse(text)


def sections(text: str) -> tuple[Section, ...]:
    """All sections of a document in order; the first has level 0 and may be empty."""
    lines = text.split("\n")
    heads = list(_headings(text))
    found = []
    for number, (level, title, line, first) in enumerate([(0, "", 1, 1), *heads]):
        following = heads[number][2] if number < len(heads) else len(lines) + 1
        end = next((other[2] for other in heads[number:] if other[0] <= level), len(lines) + 1) if level else following
        body = "\n".join(lines[first - 1 : following - 1])
        found.append(Section(level=level, title=title, line=line, first=first, body=body, end=end))
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
            inline = next((t for t in tokens[number:] if t.type in {"inline", "list_item_close"}), None)
            said = inline.content if inline is not None and inline.type == "inline" else ""
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


def code_spans(text: str) -> tuple[str, ...]:
    """The contents of all code spans of a text, in order."""
    return tuple(
        child.content
        for token in _tokens(text)
        if token.type == "inline"
        for child in token.children or ()
        if child.type == "code_inline"
    )
