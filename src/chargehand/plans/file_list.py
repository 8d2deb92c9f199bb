"""Lists of files that people write: paths in code quotes or between commas, also such that hold a space.

Nothing in them vanishes: what may be a path and may be prose is left out of the list, and told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chargehand.plans.markdown import cut_spans

__all__ = ["beside_spans", "cleaned", "is_nothing", "one_path"]

_LINES = re.compile(r":\d+(?:-\d+)?\Z")
_LABEL = re.compile(r"(?i)\A(?:create|modify|test|update|edit)\s*:\s*")
_SUFFIX = re.compile(r"[^\s/]\.[A-Za-z][A-Za-z0-9]{0,7}\Z")
_NONE = frozenset({"", "none", "n/a", "-", "–", "—"})
_NO_PATHS = frozenset({"n/a", "and/or", "e.g", "i.e"})
_PROSE = re.compile(
    r"(?i)add|all|also|and|any|both|create|each|edit|every|extend|in|like|modify|new|no|none|see|some|test|the|to|update"
    r"|various|whatever|with"
)
_JOINTS = frozenset({"and", "or", "plus", "with", "&", "+"})


def cleaned(piece: str) -> str:
    """A piece of a list as the path it names: without bullet, label, quotes, note and line numbers."""
    name = _LABEL.sub("", _without_note(piece.strip().lstrip("-*+ ").strip()))
    return _LINES.sub("", name.strip("`\"' ")).removeprefix("./")


def _without_note(piece: str) -> str:
    """A piece without the remark in brackets that ends it."""
    begin = piece.rfind("(")
    is_note = begin >= 0 and piece.endswith(")") and ")" not in piece[begin:-1]
    return piece[:begin].rstrip() if is_note else piece


def is_nothing(name: str) -> bool:
    """Whether a piece says that there is none."""
    first, _, more = name.lower().partition(" ")
    return name.lower() in _NONE or (first in {"none", "no"} and not any(map(_is_like_path, more.split())))


def one_path(name: str, told: list[str]) -> bool:
    """Whether an unquoted piece is one path; one with a space is told, as what it is taken for."""
    if " " not in name:
        return True
    if _is_doubtful(name.split()):
        told.append(f"Not taken for a file: '{name[:80]}'. Put the paths in it in code quotes.")
        return False
    told.append(f"Taken as one file: '{name[:80]}'.")
    return True


def beside_spans(line: str, told: list[str]) -> Iterator[str]:
    """The paths of a line that stand beside its code spans, by themselves between commas; others are told."""
    rest = re.sub(r"\([^()]*\)", " ", cut_spans(line, "`"))
    for piece in rest.split(","):
        words = [word for word in cleaned(piece).replace("`", " ").split() if _is_like_path(word)]
        if words and "`" not in piece and cleaned(piece) == words[0]:
            yield words[0]
        elif words:
            told.append(f"Not taken for a file: '{' '.join(words)[:80]}'. Put it in code quotes.")


def _is_doubtful(words: list[str]) -> bool:
    """Several paths, or prose around one, rather than a path with spaces."""
    inner = [word for word in words[:-1] if _SUFFIX.search(word.rstrip(",;:"))]
    joined = any(
        word.lower() in _JOINTS and any("/" in w for w in words[:n]) and any("/" in w for w in words[n:])
        for n, word in enumerate(words)
    )
    is_ended = words[-1].endswith("/") or _SUFFIX.search(words[-1]) is not None
    return bool(inner) or joined or not is_ended or _PROSE.fullmatch(words[0]) is not None


def _is_like_path(word: str) -> bool:
    word = word.strip(".;:")
    return word.lower() not in _NO_PATHS and (_SUFFIX.search(word) is not None or "/" in word.strip("/"))
