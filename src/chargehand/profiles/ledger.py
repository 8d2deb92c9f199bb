"""What a run last wrote to the files of its system, so that an edit by hand is told from its own writing (SPEC 11).

Theory of operation. Before a file is replaced, a line in the run's folder says what it will hold and what it held, and
is on the disk; after that, another says that it came through. A process that dies between the two leaves both texts
known: neither is taken for somebody's edit. The lines are compacted now and then; one that was torn is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chargehand.domain.errors import AdapterError
from chargehand.domain.hand_edits import Told
from chargehand.domain.words import Means

__all__ = ["Ledger", "Written", "rows_of_told", "told_of_rows"]

_NAME = "written.jsonl"
_MOST_LINES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file as a run wrote it: its SHA-256 and what it says of tasks; `text` is ours of it, where others add lines.

    `before`, `told_before` and `text_before` are those of what it held, None once the write came through. `over` is
    the last edit of somebody that was answered and then written over: made once more, it is another one.
    """

    digest: str
    told: Mapping[str, Told]
    text: str = ""
    before: str | None = None
    told_before: Mapping[str, Told] | None = None
    text_before: str | None = None
    over: str = ""


@dataclass(slots=True, kw_only=True)
class Ledger:
    """The files of one run, by their path in the work tree; one writer."""

    folder: Path
    files: dict[str, Written] = field(default_factory=dict)
    lines: int = 0

    def load(self) -> None:
        """Read what processes before this one wrote; AdapterError when it is there and cannot be read."""
        try:
            data = (self.folder / _NAME).read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise _error(self.folder, error) from error
        for line in data.splitlines():
            self._follow(line)
        if data:
            self._compact()

    def intend(self, file: str, written: Written) -> None:
        """The file is about to be replaced: durable when this returns."""
        self.files[file] = written
        self._append(_row(file, written), durable=True)

    def done(self, file: str) -> None:
        """The write came through."""
        written = self.files[file]
        self.files[file] = _settled(written)
        self._append({"file": file, "done": written.digest}, durable=False)
        if self.lines > max(_MOST_LINES, 4 * len(self.files)):
            self._compact()

    def _follow(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            file = str(row["file"])
            if "done" in row:
                written = self.files[file]
                if row["done"] == written.digest:
                    self.files[file] = _settled(written)
                return
            self.files[file] = Written(
                digest=str(row["digest"]),
                told=told_of_rows(row["told"]),
                text=str(row["text"]),
                before=row["before"],
                told_before=told_of_rows(row["told_before"]) if row["told_before"] is not None else None,
                text_before=row["text_before"],
                over=str(row["over"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # torn: what it was to announce was not begun

    def _append(self, row: Mapping[str, Any], *, durable: bool) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / _NAME).open("ab") as file:
                file.write(_line(row))
                file.flush()
                if durable:
                    os.fsync(file.fileno())
        except OSError as error:
            raise _error(self.folder, error) from error
        self.lines += 1

    def _compact(self) -> None:
        aside = self.folder / f"{_NAME}.new"
        try:
            with aside.open("wb") as file:
                file.writelines(_line(_row(name, written)) for name, written in self.files.items())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.folder / _NAME)
        except OSError as error:
            raise _error(self.folder, error) from error
        self.lines = len(self.files)


def _settled(written: Written) -> Written:
    return replace(written, before=None, told_before=None, text_before=None)


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode("ascii") + b"\n"


def _row(file: str, written: Written) -> dict[str, Any]:
    return {
        "file": file,
        "digest": written.digest,
        "told": rows_of_told(written.told),
        "text": written.text,
        "before": written.before,
        "told_before": rows_of_told(written.told_before) if written.told_before is not None else None,
        "text_before": written.text_before,
        "over": written.over,
    }


def rows_of_told(told: Mapping[str, Told]) -> dict[str, list[str]]:
    """What a file says, as JSON has it."""
    return {task: [each.word, each.means.value, each.rest] for task, each in told.items()}


def told_of_rows(rows: Mapping[str, Any]) -> dict[str, Told]:
    """The way back; ValueError, TypeError or AttributeError for what is none."""
    return {task: Told(word=str(w), means=Means(m), rest=str(r)) for task, (w, m, r) in rows.items()}


def _error(folder: Path, error: OSError) -> AdapterError:
    text = f"{folder / _NAME} cannot be used: {error.strerror}. Put that right, and go on with `chargehand resume`."
    return AdapterError("projection", text)
