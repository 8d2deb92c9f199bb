"""The code of a Jupyter notebook, cell by cell, and where its lines stand in the file. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Cell", "cells"]

_SUFFIXES = {"python": ".py", "javascript": ".js", "typescript": ".ts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The code of a cell, and its lines; `suffix` is that of a file of its language, `file` the whole notebook."""

    code: str
    lines: tuple[str, ...]
    suffix: str
    file: str

    def line_of(self, number: int) -> int:
        """Where a line of the code stands in the file, 0 where it cannot be told."""
        said = self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""
        forms = (json.dumps(said, ensure_ascii=plain)[1:-1] for plain in (True, False))
        at = next((at for form in forms if said and (at := self.file.find(form)) >= 0), -1)
        return self.file.count("\n", 0, at) + 1 if at >= 0 else 0


def cells(text: str) -> Iterator[Cell]:
    """The cells with code of a notebook, none where it is none."""
    try:
        book = json.loads(text)
    except (ValueError, RecursionError):
        return
    book = book if isinstance(book, dict) else {}
    suffix = _SUFFIXES.get(_language(book), ".sh")  # others are read by lines
    listed = book.get("cells")
    for cell in listed if isinstance(listed, list) else ():
        source = cell.get("source") if isinstance(cell, dict) and cell.get("cell_type") == "code" else None
        if isinstance(source, list):
            source = "".join(part for part in source if isinstance(part, str))
        if isinstance(source, str) and source:
            yield Cell(code=source, lines=tuple(source.splitlines()), suffix=suffix, file=text)


def _language(book: Mapping[str, Any]) -> str:
    """The language that the notebook names, else Python."""
    about = book.get("metadata")
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        part = about.get(key) if isinstance(about, dict) else None
        if isinstance(part, dict) and isinstance(part.get(name), str):
            return str(part[name]).lower()
    return "python"
