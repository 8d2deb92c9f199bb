"""Where a command writes: documents and results to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from chargehand.cli.render.text import clean, clean_styled, to_json
from chargehand.domain.secrecy import Vault

__all__ = ["Output", "Patient", "close_stdout", "is_gone", "is_terminal", "may_colour", "terminal_width"]

_WIDTH = 80


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at the stream."""
    with contextlib.suppress(ValueError, AttributeError):
        return stream is not None and stream.isatty()
    return False


def may_colour(stream: TextIO | None) -> bool:
    """Colour shows only on a terminal that knows it, and not where NO_COLOR is set."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def terminal_width(stream: TextIO) -> int:
    """The columns of the terminal behind that stream, which need not be the one behind stdout."""
    with contextlib.suppress(ValueError):
        if int(os.environ.get("COLUMNS", "0")) > 0:
            return int(os.environ["COLUMNS"])
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or _WIDTH
    return _WIDTH


def is_gone(error: OSError) -> bool:
    """Whether nobody reads any more: a pipe without a reader, or a terminal that was closed."""
    return error.errno in {errno.EPIPE, errno.EIO}


def close_stdout() -> None:
    """Point stdout nowhere: its reader is gone, and the interpreter would fail when it flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class Patient:
    """A stream for what nobody has to read: that its terminal was closed is no failure of ours."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it if that can be done."""
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Likewise."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The two streams of one command. With `json` stdout holds the document and nothing else.

    No secret of `vault` is ever printed.
    """

    json: bool = False
    quiet: bool = False
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    vault: Vault = field(default_factory=Vault, repr=False)

    def document(self, document: Mapping[str, Any]) -> None:
        """The one document of a command."""
        self._write(self.stdout, [to_json(document, ascii_only=self._is_narrow)])

    def record(self, document: Mapping[str, Any]) -> None:
        """One of many documents, on a line of its own."""
        self._write(self.stdout, [to_json(document, indent=None, ascii_only=self._is_narrow)])

    def say(self, *lines: str) -> None:
        """What the command was asked for, for people; nothing with `--json`."""
        if not self.json:
            self._write(self.stdout, lines)

    def text(self, text: str) -> None:
        """Text of others, such as a log or a patch, as far as a screen may show it."""
        self.say(*clean(text).removesuffix("\n").split("\n"))

    def note(self, *lines: str) -> None:
        """What helps a person on the way; nothing with `--quiet`."""
        if not self.quiet:
            self.tell(*lines)

    def tell(self, *lines: str) -> None:
        """What has to be said in any case, on stderr; that nobody listens there is no reason to stop."""
        with contextlib.suppress(OSError):
            self._write(self.stderr, lines)

    @property
    def _is_narrow(self) -> bool:
        """Whether stdout can hold only some characters: a document says the others in escapes."""
        return (self.stdout.encoding or "").lower().replace("-", "") != "utf8"

    @property
    def colour(self) -> bool:
        """Whether stdout may be coloured."""
        return may_colour(self.stdout)

    @property
    def width(self) -> int | None:
        """The width of the terminal behind stdout; None where there is none and lines may be long."""
        return terminal_width(self.stdout) if is_terminal(self.stdout) else None

    def _write(self, stream: TextIO, lines: Iterable[str]) -> None:
        tidy = _tidy if may_colour(stream) else clean
        stream.write(self.vault.text("".join(f"{tidy(line)}\n" for line in lines)))
        stream.flush()


def _tidy(line: str) -> str:
    """A line with our styles; whatever they were, they end with it."""
    kept = "\n".join(clean_styled(part) for part in line.split("\n"))
    return f"{kept}\x1b[0m" if "\x1b" in kept and not kept.endswith("\x1b[0m") else kept
