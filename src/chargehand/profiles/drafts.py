"""What a run has of a file that somebody edited, while it is asked whose word counts: drawn aside, so nothing is lost.

Theory of operation. A file that is asked about is left alone, and what happens meanwhile goes into its draft, event by
event, with the times of the events. Once the question is answered the file is written from it, and the draft is gone.
The draft also holds what the file said when it was asked about: an edit that says the same is no other question.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from chargehand.domain.errors import AdapterError
from chargehand.domain.hand_edits import Told
from chargehand.profiles.ledger import rows_of_told, told_of_rows
from chargehand.profiles.writing import write_atomically

__all__ = ["Draft", "Drafts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`asked` is the SHA-256 of the text that was asked about, `told` what that says, `ours` what the run had said.

    `text` is the run's own, drawn on theirs of SHA-256 `base`; None until something was drawn. `over` is what the run
    last wrote to the file itself.
    """

    over: str
    asked: str
    told: Mapping[str, Told]
    ours: Mapping[str, Told]
    base: str = ""
    text: str | None = None


@dataclass(slots=True, kw_only=True)
class Drafts:
    """The drafts of one run, by the path of their file in the work tree; one writer."""

    folder: Path
    _known: dict[str, Draft | None] = field(default_factory=dict)

    def get(self, file: str) -> Draft | None:
        """That of a file; None where there is none, or it cannot be read any more."""
        if file not in self._known:
            self._known[file] = self._read(file)
        return self._known[file]

    def put(self, file: str, draft: Draft) -> None:
        """Durable when this returns."""
        if self.get(file) == draft:
            return
        row: dict[str, Any] = {
            "over": draft.over,
            "asked": draft.asked,
            "told": rows_of_told(draft.told),
            "ours": rows_of_told(draft.ours),
            "base": draft.base,
            "text": draft.text,
        }
        path = self._path(file)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AdapterError("projection", f"{path.parent} cannot be made: {error.strerror}.") from error
        write_atomically(path, json.dumps(row), self.folder)
        self._known[file] = draft

    def draw(self, file: str, base: str, text: str) -> None:
        """What the run would have written; nothing for a file that nobody was asked about."""
        if (draft := self.get(file)) is not None:
            self.put(file, replace(draft, base=base, text=text))

    def drop(self, file: str) -> None:
        """The file itself is written."""
        if self.get(file) is not None:
            self._path(file).unlink(missing_ok=True)
            self._known[file] = None

    def _path(self, file: str) -> Path:
        name = sha256(file.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return self.folder / "drafts" / f"{name}.json"

    def _read(self, file: str) -> Draft | None:
        try:
            row = json.loads(self._path(file).read_bytes())
            text = row["text"]
            return Draft(
                over=str(row["over"]),
                asked=str(row["asked"]),
                told=told_of_rows(row["told"]),
                ours=told_of_rows(row["ours"]),
                base=str(row["base"]),
                text=None if text is None else str(text),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
