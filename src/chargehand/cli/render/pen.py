"""How lines are drawn: colour or none, a width or none, and tables that know wide characters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from chargehand.cli.render.text import clean

__all__ = ["PLAIN", "Cell", "Pen", "block", "hang", "one_line", "shorten", "table", "wrap"]

_CODES = {
    "good": "32",
    "bad": "31",
    "ask": "33",
    "live": "36",
    "quiet": "2",
    "strong": "1",
}
_LEAST = 12
_STYLE = re.compile(r"\x1b\[\d+m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """`colour`: whether styles show; `width`: cells a line may take (None: as many as it needs).

    `where` are the options with which the same place is found again: they belong to every command that is advised.
    """

    colour: bool = False
    width: int | None = None
    where: str = ""

    def draw(self, text: str, style: str = "") -> str:
        """`text` in a style: good, bad, ask, live, quiet, strong, or none."""
        text, code = clean(text), _CODES.get(style, "")
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code and text else text

    def step(self, words: str) -> str:
        """A command to be copied."""
        return f"chargehand {words}{self.where}"


PLAIN = Pen()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table."""

    text: str
    style: str = ""


def one_line(text: str) -> str:
    """Text with every run of white space as one blank: what fits in a row."""
    return " ".join(clean(text).split())


def shorten(text: str, cells: int) -> str:
    """`text` cut to `cells` terminal cells, with an ellipsis where something was lost."""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, max(0, cells - 1)).rstrip() + "…" if cells > 0 else ""


def wrap(text: str, cells: int | None, *, taken: int = 0) -> list[str]:
    """The lines of `text`, broken at blanks where they are longer than `cells`; a longer word is cut through.

    `taken` cells of the first line belong to something else.
    """
    lines: list[str] = []
    for line in clean(text).expandtabs(4).split("\n"):
        used = 0 if lines else taken
        fits = cells is None or cell_len(line) + used <= cells
        lines += [line.rstrip()] if fits or cells is None else _broken(line, cells, used)
    return lines


def _broken(line: str, cells: int, taken: int) -> list[str]:
    lines: list[str] = []
    current, room = "", cells - taken
    for word in line.split(" "):
        grown = f"{current} {word}" if current else word
        if cell_len(grown) <= room:
            current = grown
            continue
        if current or room < cells:
            lines.append(current)
            room = cells
        current = word
        while cell_len(current) > cells > 1:
            head = set_cell_size(current, cells).rstrip()
            lines.append(head)
            current = current[len(head) :]
    return [*lines, current] if current else lines


def hang(head: str, text: str, pen: Pen, *, indent: int = 4) -> list[str]:
    """Text behind a head that may be styled, its further lines indented; empty lines are left out."""
    taken = cell_len(_STYLE.sub("", head))
    room = None if pen.width is None else max(_LEAST, pen.width - indent)
    lines = wrap(text.strip(), room, taken=min(room or 0, max(0, taken - indent)))
    kept = [line for line in lines[1:] if line.strip()]
    return [(head + lines[0]).rstrip(), *(" " * indent + line for line in kept)]


def block(text: str, pen: Pen, *, indent: int = 4) -> list[str]:
    """Text as an indented block without empty lines."""
    room = None if pen.width is None else max(_LEAST, pen.width - indent)
    return [" " * indent + line for line in wrap(text.strip(), room) if line.strip()]


def table(rows: Sequence[Sequence[Cell | str]], pen: Pen, *, indent: int = 2, gap: int = 2) -> list[str]:
    """Rows as aligned lines; where they are too wide the last column gives way, then the widest ones before it."""
    cells = [[_tidy(cell) for cell in row] for row in rows]
    count = max((len(row) for row in cells), default=0)
    widths = [max((cell_len(row[n].text) for row in cells if n < len(row)), default=0) for n in range(count)]
    if pen.width is not None:
        widths = _fit(widths, pen.width - indent - gap * (count - 1))
    lines = []
    for row in cells:
        parts = []
        for number, cell in enumerate(row):
            text = shorten(cell.text, widths[number])
            padding = " " * (widths[number] - cell_len(text)) if number < len(row) - 1 else ""
            parts.append(pen.draw(text, cell.style) + padding)
        lines.append((" " * indent + (" " * gap).join(parts)).rstrip())
    return lines


def _tidy(cell: Cell | str) -> Cell:
    text, style = (cell.text, cell.style) if isinstance(cell, Cell) else (cell, "")
    return Cell(text=one_line(text), style=style)


def _fit(widths: list[int], room: int) -> list[int]:
    fitted = list(widths)
    over = sum(fitted) - room
    while over > 0 and fitted:
        last = len(fitted) - 1
        number = last if fitted[last] > _LEAST else max(range(len(fitted)), key=lambda n: fitted[n])
        if fitted[number] <= 1:
            break
        cut = min(over, fitted[number] - _LEAST) if fitted[number] > _LEAST else 1
        fitted[number] -= cut
        over -= cut
    return fitted
