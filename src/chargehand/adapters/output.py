"""Logs of programs: their end, without secrets, and in a form in which equal failures look equal (SPEC 5, 7.3)."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from chargehand.adapters.text import clean_text, shown_without
from chargehand.domain.secrecy import Strainer, Vault

__all__ = ["TAIL_LINES", "Redactor", "last_state", "normalise_tail", "read_end"]

TAIL_LINES = 50
_LINE_CHARS = 400
_PIECE = 1 << 20


class Redactor:
    """Takes the values of secrets out of everything that is written; of a vault also those that it learns later."""

    def __init__(self, secrets: Sequence[str] | Vault = ()) -> None:
        self.vault = secrets if isinstance(secrets, Vault) else Vault(secrets)

    def text(self, text: str) -> str:
        """The text with every secret replaced, also one that only a terminal would show."""
        return shown_without(text, self.vault)

    def data(self, data: bytes) -> bytes:
        """The bytes with every secret replaced; what is not UTF-8 stays as it is."""
        return self.vault.data(data)

    def file(self, path: Path) -> None:
        """Rewrite a regular file without secrets; one that holds none is left alone, a missing one is fine."""
        if not self.vault.forms:
            return
        try:
            if any(self.data(piece) != piece for piece in self._pieces(path)):
                self._rewrite(path, self._strained)
            if any(self._is_veiled(piece) for piece in self._pieces(path)):
                self._rewrite(path, self._unveiled)
        except FileNotFoundError:
            return

    def _rewrite(self, path: Path, made: Callable[[BinaryIO], Iterable[bytes]]) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as target, path.open("rb") as source:
            target.writelines(made(source))
        Path(name).replace(path)

    def _strained(self, source: BinaryIO) -> Iterable[bytes]:
        strainer = Strainer(self.vault)
        while piece := source.read(_PIECE):
            yield strainer.feed(piece)
        yield strainer.rest()

    def _is_veiled(self, data: bytes) -> bool:
        """Whether a secret would show on a terminal, which leaves out what stands between its letters."""
        return b"\x1b" in data and shown_without(text := data.decode("utf-8", "replace"), self.vault) != text

    def _unveiled(self, source: BinaryIO) -> Iterable[bytes]:
        for line in source:
            yield self.text(line.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def _pieces(self, path: Path) -> Iterable[bytes]:
        """The file in pieces that overlap by more than the longest form of a secret, with sequences in between."""
        overlap = 8 * max(map(len, self.vault.forms))
        kept = b""
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                kept = kept[-overlap:] + piece
                yield kept


def read_end(path: Path, limit: int) -> str:
    """The last `limit` bytes of a file as text; an empty string when there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return file.read(limit).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def last_state(text: str) -> str:
    """The text as a terminal would leave it: of a line drawn over itself only the last state."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


_UNIT = r"(?:ns|µs|us|ms|s|secs?|seconds?|m|mins?|minutes?)"
_VOLATILE = (
    (
        re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"),
        "<time>",
    ),
    (re.compile(r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b"), "<hash>"),
    (re.compile(r"\b0x[0-9a-fA-F]{6,16}\b"), "0x<address>"),
    (re.compile(rf"(?<![\w.])\d+\.\d+ ?{_UNIT}\b"), "<duration>"),
    (re.compile(r"(?<![\w.])\d+(?:ns|µs|us|ms)\b|(?<=\()\d+ ?(?:ms|s)(?=\))"), "<duration>"),
    (re.compile(rf"\b(in|took|after) \d+ ?{_UNIT}\b"), r"\1 <duration>"),
    (re.compile(r"\b(pid|PID|process|Process)([ =:]+)\d+\b"), r"\1\2<pid>"),
    (re.compile(r"==\d{2,}=="), "==<pid>=="),
    (re.compile(r"\b(127\.0\.0\.1|0\.0\.0\.0|localhost|\[::1\]):\d{4,5}\b"), r"\1:<port>"),
    (re.compile(r"\bpytest-of-[\w.-]+/pytest-\d+"), "pytest-<n>"),
)


def normalise_tail(text: str, paths: Sequence[str] = (), *, lines: int = TAIL_LINES) -> str:
    """The last `lines` lines that are not empty, with everything that differs between two runs of one failure named
    instead of shown: `paths` (workspace, private folders) become `.`, and durations, times, addresses, process
    ids, loopback ports and object names placeholders. Two such tails are equal when the failures look alike.
    """
    text = clean_text(last_state(text))
    for path in sorted({path for path in paths if len(path) > 1}, key=len, reverse=True):
        text = text.replace(path, ".")
    kept = [line.rstrip()[:_LINE_CHARS] for line in text.split("\n") if line.strip()][-lines:]
    tail = "\n".join(kept)
    for pattern, placeholder in _VOLATILE:
        tail = pattern.sub(placeholder, tail)
    return tail
